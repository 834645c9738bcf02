/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast page fault of an indirect page, whose entry changes its gfn.
 *
 * Modelled: one entry of a shadow page and the word that says its gfn; a vCPU
 * whose write fault gives W back without mmu_lock, and another one that writes
 * wherever the entry allows it; an updater, with mmu_lock for writing, that
 * unmaps the entry, and maps another gfn that has the same pfn by then, or
 * removes the entry in one section and maps in another; a flusher that collects
 * the dirty log of both gfns.  The log is a bitmap or a ring (Config:).
 *   fast_fault_indirect()		arch/x86/kvm/mmu/fast_fault.c
 *   shadow_walk_begin(), _end(), shadow_wait_for_walks(), shadow_sptep_gfn()
 *					arch/x86/kvm/mmu/shadow_walk.c
 *   shadow_clear(), log_lost_write(), set_translation(), shadow_set_leaf()
 *					arch/x86/kvm/mmu/shadow_pte.c
 *   kvm_flush_remote_tlbs(), by requests	virt/kvm/request.c
 *   Config: BITMAP
 *   Config: RING	log_lost_write() does nothing
 *
 * Abstracted: both vCPUs fault and write.  A ring is the same set of marks.
 * TLBs are part of the entry: of a flush only that it waits for walks matters here
 * (fast_fault.pml has the TLBs).  Memory is sequentially consistent:
 * litmus/shadow-gfn.litmus, litmus/shadow-walk-*.litmus.
 *
 * Properties (assert): a write to a gfn finds its mark in the log, or on its way
 * there; and what is on its way arrives under the gfn that was written.
 */
#define W	1

bool present, writable;	/* the SPTE; the pfn is always the same */
bit translation;	/* the entry's gfn */
bit maps;		/* ghost: the gfn that the SPTE was made for */

bool marked[2];		/* by gfn */
bool taken[2];		/* by the collector, before its flush */
bool walking[2];	/* by vCPU: READING_SHADOW_PAGE_TABLES */
bool fixed[2];		/* ghost: vCPU's cmpxchg was for this gfn ... */
bit fixed_gfn[2];	/* ... and is not marked yet */
bool unlogged[2];	/* ghost, by gfn: written, and the mark is on its way */

bool locked;
bool stop;

inline lock()	{ atomic { !locked -> locked = true } }
inline unlock()	{ locked = false }

inline flush()
{
	!walking[0];
	!walking[1]
}

#define ON_ITS_WAY(g)	((fixed[0] && fixed_gfn[0] == (g)) || \
			 (fixed[1] && fixed_gfn[1] == (g)))

active [2] proctype vcpu()
{
	byte v = _pid;
	bit gfn;
	bool ok;

	do
	:: d_step {
		present && writable ->
		assert(marked[maps] || taken[maps] || ON_ITS_WAY(maps));
		unlogged[maps] = !marked[maps] && !taken[maps]
	   }
	:: !writable ->
		walking[v] = true;
#ifdef BROKEN_GFN_BEFORE_SPTE
		gfn = translation;
#endif
		if
		:: present && !writable ->
#ifdef SAFE_GFN_BEFORE_CMPXCHG
			gfn = translation;
#endif
			d_step {
				if
				:: present && !writable ->
					writable = true;
					fixed[v] = true;
					fixed_gfn[v] = maps;
					ok = true
				:: else
				fi
			};
#ifdef BROKEN_WALK_ENDS_EARLY
			walking[v] = false;
#endif
			if
			:: ok ->
#if !defined(BROKEN_GFN_BEFORE_SPTE) && !defined(SAFE_GFN_BEFORE_CMPXCHG)
				gfn = translation;
#endif
				d_step {
					marked[gfn] = true;
					unlogged[gfn] = false;
					fixed[v] = false;
					assert(!unlogged[0] || ON_ITS_WAY(0));
					assert(!unlogged[1] || ON_ITS_WAY(1))
				}
			:: else
			fi
		:: else
		fi;
		d_step { walking[v] = false; gfn = 0; ok = false }
	:: stop -> break
	od
}

/* exchange_spte(), and log_lost_write() */
inline clear()
{
	d_step { old = present && writable; present = false; writable = false };
#ifdef BITMAP
	if
	:: old -> d_step { marked[translation] = true; unlogged[translation] = false }
	:: else
	fi;
#endif
	old = false
}

/* The gPTE leads to the other gfn, and that has got the same pfn. */
inline map_other()
{
#if !defined(BROKEN_NO_FLUSH) && !defined(BROKEN_FLUSH_AFTER_TRANSLATION)
	if
	:: need_flush -> flush(); need_flush = false
	:: else
	fi;
#endif
#ifdef BROKEN_SPTE_BEFORE_TRANSLATION
	d_step { present = true; maps = 1 - translation };
	translation = maps;
#else
	translation = 1 - translation;
	d_step { present = true; maps = translation };
#endif
#ifdef BROKEN_FLUSH_AFTER_TRANSLATION
	if
	:: need_flush -> flush(); need_flush = false
	:: else
	fi;
#endif
	need_flush = false
}

active proctype updater()
{
	byte n;
	bool old, need_flush;

	do
	:: n < 4 ->
		lock();
		if
		:: present ->
			clear();
			need_flush = true
		:: else
		fi;
		if
		:: map_other()
		:: need_flush ->	/* shadow_zap_finish() */
#ifndef BROKEN_NO_FLUSH_AT_END
			flush();
#endif
			need_flush = false
		fi;
		unlock();
		n++
	:: stop = true; break
	od
}

active proctype flusher()
{
	bit g;

	do
	:: !stop ->
		if
		:: g = 0
		:: g = 1
		fi;
		d_step { taken[g] = marked[g]; marked[g] = false };
		if
		:: taken[g] ->
			lock();
			d_step {
				if
				:: present && translation == g -> writable = false
				:: else
				fi
			};
			unlock();
			taken[g] = false
		:: else
		fi;
		g = 0
	:: stop -> break
	od
}
