/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty logging of direct paging by regions, for the tdp_* files and those that
 * tdp.h names.
 *
 * A region is what one table of 4K leaves maps: 2M.  W of the link to it says
 * whether anybody may write there unseen: the CPU needs W at every level.  D of
 * the leaves says what was written.  In a link without W, two bits tell why:
 *
 *  OPEN     W.  D below is of the log, if the slot is logged
 *  CLOSED   no D is below
 *  CLOSING  closed when no D was below; a CPU may have set one before the flush
 *           that followed, so the next collection looks once more
 *  STALE    closed when the log began: D below is from before
 *  OPENING  one vCPU takes those D away, with mmu_lock for reading
 *
 *	from		to	who, how
 *	any but		STALE	the log begins: slots_lock, mmu_lock for reading;
 *	OPENING			waits for OPENING to end; flushes
 *	OPEN		CLOSING	a collection finds no D: slots_lock, mmu_lock for
 *				reading; flushes
 *	CLOSING		CLOSED	the next one finds none again
 *	CLOSED, CLOSING	OPEN	a write fault, with RCU alone
 *	STALE		OPEN	the same, if the slot is not logged (any more)
 *	STALE		OPENING	a write fault in a logged slot: mmu_lock for reading
 *	OPENING		OPEN	the same fault
 *
 * Each is one cmpxchg of the link.  All but the first column's zaps leave the
 * table: they replace the link, with mmu_lock.  Slots are logged or not as of
 * kvm->srcu: the log begins after a grace period, so nobody opens a STALE region
 * who does not know of the log.
 *
 * locking.txt, 5, has the rules, tools/verification/kvm/models/dirty_regions.pml
 * their proof.
 */
#ifndef __KVM_X86_MMU_TDP_REGION_H
#define __KVM_X86_MMU_TDP_REGION_H

#include "spte.h"
#include "tdp_iter.h"

enum spte_region {
	SPTE_REGION_OPEN	= PT_WRITABLE_MASK,
	SPTE_REGION_CLOSED	= 0,
	SPTE_REGION_CLOSING	= 1ULL << SPTE_REGION_SHIFT,
	SPTE_REGION_STALE	= 2ULL << SPTE_REGION_SHIFT,
	SPTE_REGION_OPENING	= 3ULL << SPTE_REGION_SHIFT,
};

/* Of a link to a table of 4K leaves. */
static inline u64 spte_region(u64 link)
{
	return link & (PT_WRITABLE_MASK | SPTE_REGION_MASK);
}

/* The same as a small number, for the tracepoint. */
static inline int spte_region_nr(u64 link)
{
	return spte_writable(link) ? 4 : (link & SPTE_REGION_MASK) >> SPTE_REGION_SHIFT;
}

/* Are the D bits below of the log, and not older? */
static inline bool spte_region_counts(u64 link)
{
	const u64 region = spte_region(link);

	return region != SPTE_REGION_STALE && region != SPTE_REGION_OPENING;
}

/* Set before there is a VM, and not changed later: without it no link lacks W. */
extern bool dirty_log_regions;

/*
 * What needs a trap for each page: dirty rings, which tell of pages one by one;
 * CPUs that keep no D; those with PML, which lists what they dirty.  Of other VMs,
 * see tdp_is_region().
 */
static inline bool tdp_has_regions(const struct kvm *kvm)
{
	return dirty_log_regions && tdp_enabled && mmu_ad_enabled() &&
	       !kvm_x86_ops.cpu_dirty_log_size && !kvm->dirty_ring_size;
}

/**
 * tdp_is_region() - is what a table of 4K leaves maps a region of a slot
 * @role: of the table, or of any other in its tree
 * @slot: the slot
 * @gfn: any page of the table
 *
 * A slot that has the table in part closes nothing for its neighbour.  While a CPU
 * runs an L2 whose L1 has no nested paging, its tables are direct, but VMX sets
 * neither A nor D there.
 *
 * Return: true if a write there need not fault for each page.
 */
static inline bool tdp_is_region(union kvm_mmu_page_role role,
				 const struct kvm_memory_slot *slot, gfn_t gfn)
{
	const gfn_t first = gfn_round_for_level(gfn, PG_LEVEL_2M);

	return !role.guest_mode && first >= slot->base_gfn &&
	       first + SPTE_ENT_PER_PAGE <= slot->base_gfn + slot->npages;
}

/**
 * tdp_in_region() - does D tell who writes to a page of direct paging
 * @kvm: the VM
 * @role: of the tree
 * @slot: of @gfn, or NULL
 * @gfn: the page
 *
 * False if the page is not logged; or if its first write has to fault: see
 * tdp_has_regions() and tdp_is_region().  Huge pages fault too, to be split; so do
 * shadow_* pages, and gfns that are tracked, as W is not there for their own
 * reasons.
 *
 * Return: true if D does.
 */
static inline bool tdp_in_region(const struct kvm *kvm, union kvm_mmu_page_role role,
				 const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return slot && kvm_slot_dirty_track_enabled(slot) && tdp_has_regions(kvm) &&
	       tdp_is_region(role, slot, gfn);
}

/**
 * tdp_region_fast_open() - open the region that a leaf is in, if that is one step
 * @kvm: the VM
 * @fault: a write
 * @sptep: a 4K leaf, found under RCU
 *
 * Return: RET_PF_SPURIOUS: it is open; RET_PF_FIXED: it is now; RET_PF_RETRY:
 * somebody else works on it; RET_PF_INVALID: tdp_region_open() has to.
 * Context: RCU.
 */
int tdp_region_fast_open(struct kvm *kvm, const struct kvm_page_fault *fault,
			 u64 *sptep);

/* The same, and never RET_PF_INVALID.  Context: RCU, mmu_lock for reading. */
int tdp_region_open(struct kvm *kvm, const struct kvm_page_fault *fault, u64 *sptep);

/**
 * tdp_regions_begin() - the log of a slot begins
 * @kvm: the VM, tdp_has_regions()
 * @slot: the slot, which readers of kvm->srcu know to be logged
 *
 * Closes regions.  W, not M, is taken from huge pages, and from leaves in tables
 * that are none.  The caller flushes TLBs.
 * Context: slots_lock, mmu_lock for reading; yields.
 */
void tdp_regions_begin(struct kvm *kvm, const struct kvm_memory_slot *slot);

/**
 * tdp_regions_collect() - find out by D bits what was written
 * @kvm: the VM, tdp_has_regions()
 * @slot: the slot, logged
 * @report: a bitmap that is nobody else's: a page is noted there as its D is taken.
 *	NULL: it is noted in the slot's bitmap and D stays: who takes the page out of
 *	the bitmap takes D
 *
 * Regions without any D are closed.
 *
 * Return: true if TLBs have to be flushed before slots_lock is let go, and before
 * anybody sees @report.
 * Context: slots_lock, mmu_lock for reading; yields.
 */
bool tdp_regions_collect(struct kvm *kvm, const struct kvm_memory_slot *slot,
			 unsigned long *report);

/**
 * tdp_region_log() - does a leaf that goes leave its D to the log
 * @kvm: the VM
 * @role: of the table that it is in
 * @gfn: a page of it
 * @link: to the table
 *
 * Return: the slot whose log wants to know, or NULL.
 * Context: kvm->srcu or slots_lock.
 */
const struct kvm_memory_slot *tdp_region_log(struct kvm *kvm,
					     union kvm_mmu_page_role role,
					     gfn_t gfn, u64 link);

/**
 * tdp_region_mark() - log a page whose D goes with its leaf
 * @kvm: the VM
 * @slot: of tdp_region_log()
 * @gfn: the page
 *
 * Not mark_page_dirty_in_slot(): no vCPU need run here.
 * Context: mmu_lock for writing, or slots_lock: a collection must not come
 * between the leaf and the log.  Or a fault that does not know of the log yet: who
 * makes it begin has slots_lock, and waits for the fault.
 */
static inline void tdp_region_mark(struct kvm *kvm,
				   const struct kvm_memory_slot *slot, gfn_t gfn)
{
	lockdep_assert_once(lockdep_is_held_type(&kvm->mmu_lock, 0) ||
			    mutex_is_locked(&kvm->slots_lock));
	set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
}

#endif /* __KVM_X86_MMU_TDP_REGION_H */
