/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Dirty logging of direct paging by regions, for the tdp_* files and those that
 * tdp.h names.
 *
 * A region is the 2M that one table of 4K leaves maps.  W of the link to the table says
 * whether the guest may write there without a fault, as the CPU needs W at every level.
 * D of the leaves says what was written.  In a link without W, two bits tell why:
 *
 *  OPEN     W is set.  D below belongs to the log, if the slot is logged
 *  CLOSED   no D is below
 *  CLOSING  closed when no D was below; a CPU may have set one before the flush
 *           that followed, so the next collection looks once more
 *  STALE    closed when the log began: D below is from before
 *  OPENING  one vCPU takes D from before the log away, with mmu_lock for reading
 *
 *	from		to	by
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
 * Each step is one cmpxchg of the link.  A zap, which is not listed, replaces the link
 * in any state, with mmu_lock.  Whether a slot is logged is read under kvm->srcu.  The
 * log begins after a grace period: faults that do not know of it are over before
 * tdp_regions_begin() makes regions STALE.
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

/* The state of a region, enum spte_region, from the link to its table. */
static inline u64 spte_region(u64 link)
{
	return link & (PT_WRITABLE_MASK | SPTE_REGION_MASK);
}

/* spte_region() as a small number, for the tracepoint. */
static inline int spte_region_nr(u64 link)
{
	return spte_writable(link) ? 4 : (link & SPTE_REGION_MASK) >> SPTE_REGION_SHIFT;
}

/* Do the D bits below belong to the log, and are not older? */
static inline bool spte_region_counts(u64 link)
{
	const u64 region = spte_region(link);

	return region != SPTE_REGION_STALE && region != SPTE_REGION_OPENING;
}

/* Set when the module is loaded, and never changed: if false, all links have W. */
extern bool dirty_log_regions;

/*
 * May a VM have regions?  Not with dirty rings, which report pages one by one; nor on
 * CPUs without D bits; nor with PML, by which the CPU itself lists what it dirties.
 * See tdp_is_region() for what is left.
 */
static inline bool tdp_has_regions(const struct kvm *kvm)
{
	return dirty_log_regions && tdp_enabled && mmu_ad_enabled() &&
	       !kvm_x86_ops.cpu_dirty_log_size && !kvm->dirty_ring_size;
}

/**
 * tdp_is_region() - do the gfns of a table of 4K leaves form a region of a slot
 * @role: of the table, or of any other in its tree
 * @slot: the slot
 * @gfn: any gfn of the table
 *
 * Not if the slot has only a part of them: closing the table would trap the writes to
 * its neighbour.  Nor in tables for L2: they are direct ones if L1 has no nested
 * paging, but VMX sets neither A nor D there.
 *
 * Return: true if they do: writes to 4K pages need not be trapped one by one.
 */
static inline bool tdp_is_region(union kvm_mmu_page_role role,
				 const struct kvm_memory_slot *slot, gfn_t gfn)
{
	const gfn_t first = gfn_round_for_level(gfn, PG_LEVEL_2M);

	return !role.guest_mode && first >= slot->base_gfn &&
	       first + SPTE_ENT_PER_PAGE <= slot->base_gfn + slot->npages;
}

/**
 * tdp_in_region() - are writes to a page of direct paging logged by D
 * @kvm: the VM
 * @role: of the tree
 * @slot: of @gfn, or NULL
 * @gfn: the page
 *
 * Not if the slot is not logged, or if each page's first write has to fault: see
 * tdp_has_regions() and tdp_is_region().  A huge page faults all the same, to be split,
 * and so does a gfn that is write-tracked or shadowed as a table.
 *
 * Return: true if they are.
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
 * Return: RET_PF_SPURIOUS: it was open; RET_PF_FIXED: it is open now; RET_PF_RETRY:
 * another vCPU is opening it, or its table is gone; RET_PF_INVALID: it takes
 * tdp_region_open().
 * Context: RCU; kvm->srcu.
 */
int tdp_region_fast_open(struct kvm *kvm, const struct kvm_page_fault *fault,
			 u64 *sptep);

/*
 * As tdp_region_fast_open(), but also takes away D from before the log, and never returns
 * RET_PF_INVALID.  Context: RCU, mmu_lock for reading; kvm->srcu.
 */
int tdp_region_open(struct kvm *kvm, const struct kvm_page_fault *fault, u64 *sptep);

/**
 * tdp_regions_begin() - close all regions of a slot when its log begins
 * @kvm: the VM, for which tdp_has_regions() is true
 * @slot: the slot; all readers of kvm->srcu know that it is logged
 *
 * W, not M, is taken from huge pages, and from leaves whose table is no region.  The
 * caller flushes TLBs before it lets go of slots_lock.
 *
 * Context: slots_lock, mmu_lock for reading; yields.
 */
void tdp_regions_begin(struct kvm *kvm, const struct kvm_memory_slot *slot);

/**
 * tdp_regions_collect() - find out by D bits what was written
 * @kvm: the VM, for which tdp_has_regions() is true
 * @slot: the slot, which is logged
 * @report: a bitmap of the caller's: takes the pages that have D, and D is cleared.
 *	If NULL, the slot's bitmap takes them, and D stays until the page is taken out
 *	of that bitmap
 *
 * Regions without any D are closed.
 *
 * Return: true if TLBs have to be flushed before slots_lock is let go, and before
 * userspace sees @report.
 * Context: slots_lock, mmu_lock for reading; yields.
 */
bool tdp_regions_collect(struct kvm *kvm, const struct kvm_memory_slot *slot,
			 unsigned long *report);

/**
 * tdp_region_log() - must D of a leaf that is removed be logged
 * @kvm: the VM
 * @role: of the table of the leaf
 * @gfn: any gfn of the table
 * @link: the value of the link to the table
 *
 * Return: the slot, for tdp_region_mark(); NULL if it need not.
 * Context: kvm->srcu or slots_lock.
 */
const struct kvm_memory_slot *tdp_region_log(struct kvm *kvm,
					     union kvm_mmu_page_role role,
					     gfn_t gfn, u64 link);

/**
 * tdp_region_mark() - log a page whose D was removed with its leaf
 * @kvm: the VM
 * @slot: from tdp_region_log()
 * @gfn: the page
 *
 * Not mark_page_dirty_in_slot(), which wants a running vCPU.
 *
 * Context: mmu_lock for writing, or slots_lock, held since before the leaf was removed:
 * no collection may come in between.  Or a fault that does not know of the log yet: then
 * the thread that begins the log holds slots_lock, and waits for the fault.
 */
static inline void tdp_region_mark(struct kvm *kvm,
				   const struct kvm_memory_slot *slot, gfn_t gfn)
{
	lockdep_assert_once(lockdep_is_held_type(&kvm->mmu_lock, 0) ||
			    mutex_is_locked(&kvm->slots_lock));
	set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
}

#endif /* __KVM_X86_MMU_TDP_REGION_H */
