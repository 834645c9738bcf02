/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fast page fault of a direct page against write-protection, zap, ageing
 * and the dirty log.
 *
 * Modelled: one leaf of direct paging; two vCPUs that read and write the page
 * through TLBs; an updater, with mmu_lock for writing, that write-protects the
 * gfn (a shadowed table) or unmaps the page, which the host then gives to
 * somebody else; a flusher that collects the dirty log, with mmu_lock for
 * reading, and flushes, or ages the page without a lock.  Three configurations:
 *   Config: LOG_W	the log is by write-protection
 *   Config: LOG_D	the log is by Dirty bits (PML)
 *   Config: AGE	no log; Accessed and Dirty bits
 *   fast_try(), fast_fix(), fast_fault_direct()
 *					arch/x86/kvm/mmu/fast_fault.c
 *   tdp_map_leaf(), tdp_log_writable()	arch/x86/kvm/mmu/tdp_map.c
 *   tdp_replace(), tdp_clear_bits(), tdp_clear_accessed(), tdp_tell_host()
 *					arch/x86/kvm/mmu/tdp_pte.c
 *   spte_volatile()			arch/x86/kvm/mmu/spte.h
 *   take_dirty_bits(), mark_page_dirty_in_slot()	virt/kvm/dirty_log.c
 *
 * Abstracted: H is always set, and the pfn is right when it is mapped
 * (mmu_invalidate.pml).  A flush empties both TLBs at once.  A write that
 * is emulated is left out, as are SPTEs without A and D, in which W stands for
 * D.  Memory is sequentially consistent: litmus/dirty-log-*.litmus.
 *
 * Properties (assert): a write finds its page in the log, or on its way there:
 * between a cmpxchg and its mark, or between the collector's xchg and its flush;
 * what is copied by the log when vCPUs have stopped is all that was written; a
 * protected gfn is not written after the flush; a page is not written after it
 * was given away; no A or D that the CPU has set is missing when the host's mm
 * takes the page.
 */
#define P	1	/* present */
#define W	2
#define M	4	/* MMU-writable */
#define A	8
#define D	16
#define PFN	32	/* the page: one of two */

#ifdef LOG_D
#define LOG_BIT	D
#else
#define LOG_BIT	W
#endif

#define TLB_NONE	0
#define TLB_READ	1
#define TLB_WRITE	2	/* W, and D is known to be set */

byte spte;
byte tlb[2];
byte tlb_page[2];
byte page;			/* that the host has for the gfn, 0 or PFN */

bool marked;			/* the bit in the dirty bitmap */
bool pml_buffer;		/* of either vCPU */
bool taken;			/* by the collector, before its flush */
bool marking[2];		/* between cmpxchg and mark */
bool uncopied;			/* ghost: written since it was copied */

bool write_locked;
byte read_locked;
bool protect;			/* a table is shadowed there */
bool protected;			/* ghost: and TLBs were flushed */

bool cpu_a, cpu_d;		/* ghosts: set by a CPU, not told to the host */

bool stop;
byte stopped;

inline read_lock()	{ atomic { !write_locked -> read_locked++ } }
inline read_unlock()	{ read_locked-- }
inline write_lock()	{ atomic { !write_locked && read_locked == 0 -> write_locked = true } }
inline write_unlock()	{ write_locked = false }

inline flush()
{
	d_step {
		tlb[0] = TLB_NONE;
		tlb_page[0] = 0;
		tlb[1] = TLB_NONE;
		tlb_page[1] = 0
	}
}

/* The host's mm is told what @old has and @new has not. */
inline tell_host(old, new)
{
	if
	:: old & A && !(new & A) -> cpu_a = false
	:: else
	fi;
	if
	:: old & D && !(new & D) -> cpu_d = false
	:: else
	fi
}

/* The CPU stores to the page. */
inline store()
{
	assert(tlb_page[v] == page);
	assert(!protected);
#ifndef AGE
	assert(marked || pml_buffer || taken || marking[0] || marking[1]);
	uncopied = true
#endif
}

/* A walk by the CPU sets A, and D for a write, by locked operations. */
inline cpu_walk(write)
{
	if
	:: !(spte & A) -> cpu_a = true
	:: else
	fi;
	spte = spte | A;
	if
	:: write && !(spte & D) ->
		cpu_d = true;
#ifdef LOG_D
		pml_buffer = true;
#endif
		spte = spte | D
	:: else
	fi;
	tlb_page[v] = spte & PFN;
	tlb[v] = (spte & W && spte & D -> TLB_WRITE : TLB_READ)
}

inline mark()
{
	d_step { marked = true; marking[v] = false }
}

inline fast_fault()
{
	new = old | W | D;
#ifdef BROKEN_MARK_BEFORE_SET
	marked = true;
#endif
#ifdef BROKEN_FAST_PLAIN_STORE
	d_step { spte = new; marking[v] = true };
#else
	d_step {
		if
		:: spte == old -> spte = new; marking[v] = true
		:: else -> new = 0
		fi
	};
#endif
#if defined(BROKEN_NO_MARK) || defined(BROKEN_MARK_BEFORE_SET)
	marking[v] = false;
#else
	if
	:: new -> mark()
	:: else
	fi;
#endif
	new = 0
}

/* Under mmu_lock for reading: map the page, or give it M and W again. */
inline slow_fault()
{
	read_lock();
	old = spte;
	new = P | A | page | (protect -> 0 : W | M | D);
	d_step {
		if
		:: spte == old && !(old & P && old & W) ->
			tell_host(old, new);
			spte = new;
			marking[v] = (new & W) != 0
		:: else -> new = 0
		fi
	};
	if
	:: new & W -> mark()
	:: else
	fi;
	read_unlock();
	new = 0
}

#ifdef BROKEN_FAST_IGNORES_M
#define FAST(s)	((s) & P && !((s) & W))
#else
#define FAST(s)	((s) & P && !((s) & W) && (s) & M)
#endif

active [2] proctype vcpu()
{
	byte v = _pid;
	byte old, new;

	do
	:: d_step { tlb[v] == TLB_NONE && spte & P -> cpu_walk(false) }
	:: d_step { tlb[v] == TLB_WRITE -> store() }
	:: d_step {
		tlb[v] != TLB_WRITE && spte & P && spte & W ->
		cpu_walk(true);
		store()
	   }
	:: d_step { tlb[v] != TLB_WRITE && !(spte & P && spte & W) -> old = spte }
	   if
	   :: FAST(old) -> fast_fault()
	   :: else -> slow_fault()
	   fi;
	   old = 0
	:: atomic { stop -> stopped++; break }
	od
}

inline clear_bits(bits)
{
	do
	:: old = spte;
	   if
	   :: !(old & P && old & (bits)) -> old = 0; break
	   :: else
	   fi;
#ifdef BROKEN_CLEAR_PLAIN_STORE
	   d_step { tell_host(old, old & ~(bits)); spte = old & ~(bits) };
	   break
#else
	   d_step {
		if
		:: spte == old -> tell_host(old, old & ~(bits)); spte = old & ~(bits)
		:: else -> old = 0
		fi
	   };
	   if
	   :: old -> break
	   :: else
	   fi
#endif
	od
}

/* kvm_vm_get_dirty_log(): afterwards userspace copies the page. */
inline collect()
{
	/* kvm_arch_sync_dirty_log() */
	d_step { marked = marked || pml_buffer; pml_buffer = false };
#ifdef BROKEN_TAKE_AFTER_TRAP
	read_lock();
	clear_bits(LOG_BIT);
	read_unlock();
	d_step { taken = marked; marked = false };
#else
	d_step { taken = marked; marked = false };
	if
	:: taken ->
		read_lock();
		clear_bits(LOG_BIT);
		read_unlock()
	:: else
	fi;
#endif
	if
	:: taken ->
#ifndef BROKEN_NO_FLUSH_AFTER_COLLECT
		flush();
#endif
		d_step { taken = false; uncopied = false }
	:: else
	fi;
	old = 0
}

inline age()
{
	do
	:: old = spte;
	   if
	   :: !(old & P) || !(old & A) -> break
	   :: else
	   fi;
	   d_step {
		if
		:: spte == old -> tell_host(A, 0); spte = old & ~A
		:: else -> old = 0
		fi
	   };
	   if
	   :: old -> break
	   :: else
	   fi
	od;
	old = 0
}

active proctype flusher()
{
	byte old;

	do
#ifdef AGE
	:: !stop -> age()
#else
	:: !stop -> collect()
#endif
	:: atomic { stop && stopped == 2 -> break }
	od;
#ifndef AGE
	collect();
	assert(!uncopied)
#endif
}

/* For a table that is going to be shadowed: nobody writes when this returns. */
inline write_protect()
{
	write_lock();
	protect = true;
	clear_bits(W | M);
	if
#ifdef BROKEN_FLUSH_IF_WRITABLE
	:: old & W ->
#else
	:: old ->
#endif
#ifndef BROKEN_NO_FLUSH_AFTER_PROTECT
		flush();
#endif
		skip
	:: else
	fi;
	old = 0;
	protected = true;
	write_unlock()
}

inline unprotect()
{
	write_lock();
	d_step { protect = false; protected = false };
	write_unlock()
}

#define VOLATILE(s)	((s) & P && ((s & M && !((s) & W)) || !((s) & A) || \
				     ((s) & W && !((s) & D))))

/* An MMU notifier: the page goes to somebody else. */
inline zap()
{
	write_lock();
	old = spte;
	if
#ifdef BROKEN_ZAP_PLAIN_STORE
	:: false
#else
	:: VOLATILE(old) ->
#endif
		d_step { old = spte; spte = 0 }
	:: else -> spte = 0
	fi;
	d_step { tell_host(old, 0) };
#ifndef BROKEN_NO_FLUSH_AFTER_ZAP
	flush();
#endif
	assert(!cpu_a && !cpu_d);
	d_step { page = PFN - page; old = 0 };
	write_unlock()
}

active proctype updater()
{
	byte old, n;

	do
	:: n < 2 ->
		if
		:: !protect -> write_protect()
		:: protect -> unprotect()
		:: zap()
		fi;
		n++
	:: stop = true; break
	od
}
