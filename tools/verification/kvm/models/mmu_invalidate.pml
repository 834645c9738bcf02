/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page faults against invalidations by the host, while memslots come and go.
 *
 * Modelled: one gfn and its host page, in a slot or not; two vCPUs that fault
 * and access; an updater that is the host's mm: it takes the page away and puts
 * another there, between the start and the end of an invalidation, and is
 * modelled twice, as invalidations overlap; a flusher that deletes the slot and
 * creates it again.
 *   fault_resolve(), fault_pin(), fault_commit_tdp()
 *					arch/x86/kvm/mmu/fault.c
 *   kvm_mmu_invalidate_begin(), _end(), kvm_mn_lock_idle(), and the notifiers
 *					virt/kvm/mmu_notifier.c
 *   kvm_memslots_publish()		virt/kvm/memslot_set.c
 *   kvm_memslot_unmap(), or kvm_memslot_invalidate()
 *					virt/kvm/memslot.c
 *   Config: GOING	the slot is marked, and who maps it looks (x86)
 *   Config: INVALID_COPY	others; and as one that moves
 *
 * Abstracted: the range of an invalidation is the gfn.  Unmapping and its flush
 * are one step.  mmu_lock is taken for writing by all.  A grace period waits until
 * it has seen each vCPU outside of its read section.  Memory is sequentially
 * consistent: litmus/invalidate-*.litmus.
 *
 * Properties (assert): no vCPU accesses a page that the host has given away, or one
 * of a slot that is deleted; nobody gives away a page that an SPTE maps; nobody looks
 * at a slot that is freed; starts and ends are counted in pairs.
 */
byte host = 1;		/* the page that the host maps; 0: none */
byte spte;		/* the page that the guest reaches, 0: none */
bool slot = true;		/* in the set, INVALID or not */
bool invalid;
bit which;		/* the first slot, or the one that comes after it */
bool going[2];		/* the mark of each; with mmu_lock */
bool freed;		/* the first one */
bool deleted;		/* from the end of its deletion until there is another */
bool reading[2];	/* kvm->srcu */

byte seq;
short in_progress;
byte active_count;	/* mn_active_invalidate_count */
bool mn_locked, locked;

byte ended;

inline lock()	{ atomic { !locked -> locked = true } }
inline unlock()	{ locked = false }

inline synchronize_srcu()
{
#ifndef BROKEN_NO_GRACE_PERIOD
	!reading[0];
	!reading[1]
#else
	skip
#endif
}

inline publish(is, is_invalid)
{
#ifdef BROKEN_SWAP_WITHOUT_IDLE
	atomic { !mn_locked -> mn_locked = true };
#else
	atomic { !mn_locked && active_count == 0 -> mn_locked = true };
#endif
	d_step { slot = is; invalid = is_invalid };
	mn_locked = false
}

inline swap(is, is_invalid)
{
	publish(is, is_invalid);
	synchronize_srcu()
}

#if defined(GOING) && !defined(BROKEN_NO_LOOK)
#define MAY_NOT_MAP(n)	going[n]
#else
#define MAY_NOT_MAP(n)	false
#endif

active [2] proctype vcpu()
{
	byte seen_seq, pfn;
	bool seen_slot, stop;
	bit seen_which;

	do
	:: d_step { spte != 0 -> assert(spte == host && !deleted) }
	:: d_step { spte == 0 && ended < 2 -> reading[_pid] = true }
#ifdef SAFE_SEQ_AFTER_SLOT
		d_step { seen_slot = slot && !invalid; seen_which = which };
		seen_seq = seq;
		pfn = host;
#elif defined(BROKEN_SEQ_AFTER_PFN)
		d_step { seen_slot = slot && !invalid; seen_which = which };
		pfn = host;
		seen_seq = seq;
#else
		seen_seq = seq;
		d_step { seen_slot = slot && !invalid; seen_which = which };
		pfn = host;
#endif
		if
		:: seen_slot && pfn ->
#ifdef BROKEN_LOOK_BEFORE_LOCK
			stop = MAY_NOT_MAP(seen_which);
#endif
#ifndef BROKEN_RECHECK_WITHOUT_LOCK
			lock();
#endif
			assert(!freed || seen_which == 1);
#ifndef BROKEN_LOOK_BEFORE_LOCK
			stop = MAY_NOT_MAP(seen_which);
#endif
			if
			:: stop ->
#if !defined(BROKEN_NO_RECHECK) && !defined(BROKEN_NO_COUNT)
			:: in_progress ->
#endif
#if !defined(BROKEN_NO_RECHECK) && !defined(BROKEN_NO_SEQ)
			:: seq != seen_seq ->
#endif
			:: else ->
#ifdef BROKEN_RECHECK_WITHOUT_LOCK
				lock();
				spte = pfn;
				unlock()
#else
				spte = pfn
#endif
			fi;
#ifndef BROKEN_RECHECK_WITHOUT_LOCK
			unlock()
#endif
		:: else
		fi;
		d_step {
			seen_seq = 0;
			pfn = 0;
			seen_slot = false;
			seen_which = 0;
			stop = false;
			reading[_pid] = false
		}
	:: ended == 2 -> break
	od
}

/* mmu_notifier_invalidate_range_start() and _end(), and the host between. */
active [2] proctype updater()
{
	bool hit;

	atomic { !mn_locked -> active_count++ };
	hit = slot;
	if
	:: hit ->
		lock();
		in_progress++;
#ifndef BROKEN_NO_UNMAP
		spte = 0;
#endif
		unlock()
	:: else
	fi;

	d_step { assert(spte == 0); host = 0 };
	host = _pid;		/* 2 and 3: each puts another page there */

	hit = slot;
	if
	:: hit ->
		lock();
		seq++;
		in_progress--;
		assert(in_progress >= 0);
		unlock()
	:: else
	fi;
	atomic { !mn_locked -> active_count--; ended++ };
	hit = false
}

/* DELETE, and CREATE */
active proctype flusher()
{
#ifdef GOING
	/* The mark has a section of mmu_lock of its own. */
#ifdef BROKEN_MARK_AFTER_ZAP
	lock();
	spte = 0;
	unlock();
	lock();
	going[0] = true;
	unlock();
#else
	lock();
	going[0] = true;
	unlock();
	lock();
	spte = 0;
	unlock();
#endif
#else
	swap(true, true);
	lock();
	spte = 0;
	unlock();
#endif
	publish(false, false);
#ifdef BROKEN_FREED_BEFORE_GRACE_PERIOD
	freed = true;
#endif
	synchronize_srcu();
	d_step { freed = true; deleted = true };

	d_step { which = 1; deleted = false };
	swap(true, false);
	ended == 2;
	assert(in_progress == 0)
}
