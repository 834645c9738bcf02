/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty logging by regions: the D bits of leaves below a link, whose W says
 * whether anybody may write there unseen.
 *
 * Modelled: a link, its table and one leaf of it; two vCPUs that write through
 * TLBs, open the region, and map what is missing, at most three openings in all;
 * an updater that begins and ends the log; a collector; a zapper that unmaps the
 * page, or the table with it.
 *   tdp_region_fast_open(), tdp_region_open(), tdp_regions_begin(),
 *   tdp_regions_collect()		arch/x86/kvm/mmu/tdp_region.c
 *   tdp_map_leaf(), tdp_clear_dirty_masked()
 *					arch/x86/kvm/mmu/tdp_map.c, tdp_track.c
 *   tdp_log_lost(), tdp_unlink()	arch/x86/kvm/mmu/tdp_pte.c
 *   get_dirty_log(), clear_dirty_log()	virt/kvm/dirty_log.c
 *
 * Abstracted: one leaf for the 512.  The collector gets the log in both modes, and
 * clears pages, as it likes.  A flush empties both TLBs at once.  A write
 * and the D that it sets are one step.  A TLB that has W but not D sets D in the
 * leaf without a look at the link, as the CPU has caches of links, too.  RCU: a
 * table is never used twice.  Memory is sequentially consistent.
 *
 * Properties (assert): what was written since userspace has copied it, or since
 * the log began, is in the log when vCPUs have stopped; a page that is reported
 * was written since it was taken out of the log last; a region that is closed, and
 * was looked at again, has no D.
 */

/* The link's state. */
#define OPEN	0	/* W is set; for all else it is clear */
#define CLOSED	1	/* and no D below */
#define CLOSING	2	/* it was flushed, or soon will; D may be below */
#define STALE	3	/* D below is from before the log */
#define OPENING	4	/* one vCPU takes those away */
#define NONE	5

#define TLB_NONE	0
#define TLB_WRITE	1	/* W */
#define TLB_DIRTY	2	/* and D */

#define TABLES	3

byte link;
byte table;			/* that it leads to */
bool present[TABLES], d[TABLES];

byte tlb[2];
byte tlb_table[2];		/* of the leaf: where D is set */

bool bit_set;			/* in the dirty bitmap */
bool logged;			/* the slot says so */
bool reading[2];		/* kvm->srcu */

bool write_locked;
byte read_locked;
bool slots_locked;

bool uncopied;			/* ghost: written since it was copied */
bool fresh;			/* ghost: since it was taken */
bool begun;			/* ghost: the log has been since before its flush */

byte opened;
bool stop;
byte stopped;

inline read_lock()	{ atomic { !write_locked -> read_locked++ } }
inline read_unlock()	{ read_locked-- }
inline write_lock()	{ atomic { !write_locked && read_locked == 0 -> write_locked = true } }
inline write_unlock()	{ write_locked = false }
inline slots_lock()	{ atomic { !slots_locked -> slots_locked = true } }
inline slots_unlock()	{ slots_locked = false }

/* Stores on their way are done, then nothing is left. */
inline flush()
{
	d_step {
		tlb[0] = TLB_NONE;
		tlb_table[0] = 0;
		tlb[1] = TLB_NONE;
		tlb_table[1] = 0
	}
}

/* The CPU walks: W of the link and of the leaf; a write sets D. */
inline cpu_write()
{
	d_step {
		if
		:: tlb[v] == TLB_NONE -> tlb_table[v] = table
		:: else
		fi;
		d[tlb_table[v]] = true;
		tlb[v] = TLB_DIRTY;
		uncopied = true;
		fresh = true
	}
}

#define MAY_WALK	(tlb[v] == TLB_NONE && link == OPEN && present[table])
#define MAY_SET_D	(tlb[v] == TLB_WRITE && present[tlb_table[v]])

/* Of a region whose D bits are stale, one vCPU takes them away. */
inline open_stale()
{
	read_lock();
#ifdef BROKEN_OPENERS_MEET
	old = (link == STALE -> STALE : NONE);
#else
	d_step {
		if
		:: link == STALE && tab == table -> link = OPENING; old = OPENING
		:: else -> old = NONE
		fi
	};
#endif
	if
	:: old != NONE ->
#ifdef BROKEN_D_AFTER_W
		d_step {
			if
			:: link == old && tab == table -> link = OPEN
			:: else
			fi
		};
#endif
#ifndef BROKEN_STALE_D_STAYS
		d[tab] = false;
#endif
		d_step {
			if
			:: link == old && tab == table -> link = OPEN
			:: else
			fi
		}
	:: else
	fi;
	read_unlock()
}

/* Who has looked up the slot without a log needs no D. */
inline open_region()
{
	if
	:: old == STALE && seen_logged -> open_stale()
	:: old == OPENING
	:: else ->
		d_step {
			if
			:: link == old && tab == table -> link = OPEN
			:: else
			fi
		}
	fi
}

/* In a slot that is logged, the CPU shall set D; else KVM sets it with W. */
inline map()
{
	read_lock();
	d_step {
		if
		:: link == NONE ->
			link = OPEN;
			present[table] = true;
			d[table] = !seen_logged
		:: link != NONE && !present[table] ->
			present[table] = true;
			d[table] = !seen_logged
		:: else
		fi
	};
	read_unlock()
}

active [2] proctype vcpu()
{
	byte v = _pid;
	byte old, tab;
	bool seen_logged;

	do
	/* A walk for a read leaves W in the TLB. */
	:: d_step {
		MAY_WALK -> tlb_table[v] = table;
		tlb[v] = (d[table] -> TLB_DIRTY : TLB_WRITE)
	   }
	:: d_step { tlb[v] == TLB_DIRTY -> uncopied = true; fresh = true }
	:: atomic { (MAY_WALK || MAY_SET_D) -> cpu_write() }
	:: atomic {
		tlb[v] == TLB_WRITE && !present[tlb_table[v]] ->
		tlb[v] = TLB_NONE; tlb_table[v] = 0
	   }
	:: atomic {
		tlb[v] == TLB_NONE && !(link == OPEN && present[table]) &&
		opened < 3 -> opened++; reading[v] = true
	   }
	   seen_logged = logged;
	   d_step { old = link; tab = table };
	   if
	   :: old != NONE && present[tab] && old != OPEN -> open_region()
	   :: old == NONE || !present[tab] -> map()
	   :: else
	   fi;
	   d_step { old = 0; tab = 0; seen_logged = false; reading[v] = false }
	:: atomic { stop -> tlb[v] = TLB_NONE; tlb_table[v] = 0; stopped++; break }
	od
}

/* KVM_SET_USER_MEMORY_REGION, which changes the slot's flags */
inline synchronize_srcu()
{
#ifndef BROKEN_NO_GRACE_PERIOD
	!reading[0];
	!reading[1]
#else
	skip
#endif
}

/* The bitmap is clear; all that is there now, userspace copies after the start. */
inline begin_log()
{
	slots_lock();
	d_step { bit_set = false; fresh = false; logged = true };
	synchronize_srcu();
	read_lock();
	do
	:: d_step { old = link; tab = table };
	   if
#ifdef BROKEN_BEGIN_LEAVES_OPENER
	   :: old == OPENING -> break
#elif !defined(BROKEN_BEGIN_UNDER_OPENER)
	   :: old == OPENING -> link != OPENING
#endif
	   :: old == NONE || old == STALE -> break
	   :: else ->
		d_step {
			if
			:: link == old && tab == table -> link = STALE; old = NONE
			:: else
			fi
		};
		if
		:: old == NONE -> break
		:: else
		fi
	   fi
	od;
	read_unlock();
#ifndef BROKEN_NO_FLUSH_AT_BEGIN
	flush();
#endif
	d_step { uncopied = false; begun = true; old = 0; tab = 0 };
	slots_unlock()
}

inline end_log()
{
	slots_lock();
	d_step { logged = false; begun = false };
	synchronize_srcu();
	slots_unlock()
}

active proctype updater()
{
	byte old, tab;
	bool again;

	do
	:: begin_log();
	   if
	   :: !again -> again = true; end_log()
	   :: break
	   fi
	od;
	stop = true
}

/*
 * The D of a leaf.  @take: it goes into the report, else it stays and is in the
 * bitmap.
 */
inline look_at_leaf(take)
{
	d_step {
		if
		:: present[tab] && d[tab] ->
			any = true;
			assert(bit_set || fresh);
			if
			:: take ->
#ifndef BROKEN_COLLECT_KEEPS_D
				d[tab] = false;
#endif
				fresh = false;
				reported = true
			:: else ->
#ifdef BROKEN_MANUAL_TAKES_D
				d[tab] = false;
				fresh = false
#else
				bit_set = true
#endif
			fi
		:: else
		fi
	}
}

/* Regions in which nobody writes are closed. */
inline collect(take)
{
	read_lock();
	d_step { old = link; tab = table; any = false };
	if
	:: old == OPEN || old == CLOSING ->
		look_at_leaf(take);
		if
#ifndef BROKEN_COLLECT_WITHOUT_FLUSH
		:: any && take -> flush_due = true
#endif
#ifdef BROKEN_NO_SECOND_LOOK
#define CLOSED_FIRST	CLOSED
#else
#define CLOSED_FIRST	CLOSING
#endif
		:: old == OPEN && !any ->
			d_step {
				if
				:: link == OPEN && tab == table ->
					link = CLOSED_FIRST;
					flush_due = true
				:: else
				fi
			}
		:: old == CLOSING && !any ->
			d_step {
				if
				:: link == CLOSING && tab == table -> link = CLOSED
				:: else
				fi
			}
		:: else
		fi
	:: old == CLOSED ->
		/* What that state promises. */
		assert(link != CLOSED || tab != table || !present[tab] || !d[tab])
	:: else
	fi;
	read_unlock()
}

/* Takes the page out of the log. */
inline clear()
{
	d_step { taken = bit_set; bit_set = false };
#ifdef BROKEN_FLUSH_BEFORE_TAKE
	if
	:: flush_due || taken -> flush()
	:: else
	fi;
#endif
	if
	:: taken ->
		reported = true;
		flush_due = true;
		read_lock();
		d_step {
			if
			:: link != NONE && present[table] && d[table] ->
#ifndef BROKEN_CLEAR_KEEPS_D
				d[table] = false;
#endif
				fresh = false
			:: else
			fi
		};
		read_unlock()
	:: else
	fi
}

inline flush_due_tlbs()
{
	if
#if !defined(BROKEN_NO_FLUSH_AFTER_COLLECT) && !defined(BROKEN_FLUSH_BEFORE_TAKE)
	:: flush_due -> flush()
#endif
	:: else
	fi;
	d_step { flush_due = false; any = false; old = 0; tab = 0 }
}

/* What was taken, userspace copies once the ioctl has ended. */
inline copy()
{
	if
	:: reported -> uncopied = false
	:: else
	fi;
	d_step { taken = false; reported = false }
}

/* KVM_GET_DIRTY_LOG, which takes what it reports */
inline get()
{
#ifdef BROKEN_BITS_BEFORE_D
	clear();
	collect(true);
#else
	collect(true);
	clear();
#endif
	flush_due_tlbs();
	copy()
}

/* The same in manual mode, where it takes nothing */
inline get_manual()
{
	collect(false);
	flush_due_tlbs()
}

/* KVM_CLEAR_DIRTY_LOG, which may come late or never, and does not collect */
inline clear_log()
{
	clear();
	flush_due_tlbs();
	copy()
}

/* Which mode it is may change at any time. */
active proctype collector()
{
	byte old, tab;
	bool any, flush_due, taken, reported;

	do
	:: !stop ->
		slots_lock();
		if
		:: begun -> get()
		:: begun -> get_manual()
		:: begun -> clear_log()
		:: !begun
		fi;
		slots_unlock()
	:: atomic { stop && stopped == 2 -> break }
	od;
	slots_lock();
	if
	:: begun -> get()
	:: begun -> get_manual(); clear_log()
	:: !begun
	fi;
	slots_unlock();
	assert(!uncopied)
}

/* An MMU notifier, or whoever unlinks the table of a slot that stays. */
inline exchange_leaf()
{
#ifdef BROKEN_ZAP_READS_D
	was_d = present[tab] && d[tab];
	d_step { present[tab] = false; d[tab] = false };
#else
	d_step {
		was_d = present[tab] && d[tab];
		present[tab] = false;
		d[tab] = false
	};
#endif
}

inline mark_lost()
{
	d_step {
		if
#ifdef BROKEN_ZAP_TRUSTS_CLOSED
		:: was_d && logged && old != STALE && old != OPENING && old != CLOSED ->
#else
		:: was_d && logged && old != STALE && old != OPENING ->
#endif
#ifndef BROKEN_ZAP_DOES_NOT_LOG
			assert(!begun || fresh);
			bit_set = true;
			fresh = false
#endif
		:: else
		fi;
		was_d = false
	}
}

active proctype zapper()
{
	byte n, old, tab;
	bool was_d;

	do
	:: n < 2 ->
		write_lock();
		d_step { old = link; tab = table };
		if
		:: old != NONE ->
			if
			:: true
			:: atomic { link = NONE; table++ }
			fi;
			exchange_leaf();
#ifdef BROKEN_ZAP_MARKS_LATE
			flush();
			write_unlock();
			mark_lost()
#else
			mark_lost();
			flush();
			write_unlock()
#endif
		:: else -> write_unlock()
		fi;
		d_step { old = 0; tab = 0; n++ }
	:: break
	od
}
