// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging: what the guest reads and writes: write-protection, D and A bits.
 *
 * W, M, D or A are taken from a leaf that stays mapped, by a cmpxchg, as the CPU and the
 * fast page fault change it, too, and with mmu_lock for reading faults may split it
 * (tdp_clear_bits()).
 *
 * An SPTE that lacks the bit may be skipped after a plain read: if W or D is set later,
 * the page is marked dirty later, too, after it was taken out of the bitmap, and so for
 * the next round.  In a region D itself is the mark, for the next collection.
 *
 * Ageing takes no lock but RCU.  A walk may then see tables and roots that are
 * zapped already; what it changes there has no effect.
 *
 * A walk that does not yield needs no references to the roots: RCU keeps them.
 */
#include <linux/kvm_host.h>
#include <linux/rculist.h>

#include "tdp.h"
#include "tdp_pte.h"
#include "tdp_region.h"

static bool age_root(struct kvm *kvm, struct tdp_table *root,
		     const struct kvm_gfn_range *range)
{
	struct tdp_iter iter;
	bool young = false;

	tdp_for_each(iter, root, range->start, range->end) {
		if (spte_present_leaf(iter.old, iter.level) &&
		    spte_accessed(iter.old))
			young |= tdp_clear_accessed(kvm, &iter);
	}
	return young;
}

bool tdp_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct tdp_table *root;
	bool young = false;

	rcu_read_lock();
	list_for_each_entry_rcu(root, &kvm->arch.tdp_mmu_roots, link) {
		if (role_as_id(root->table.role) == range->slot->as_id)
			young |= age_root(kvm, root, range);
	}
	rcu_read_unlock();
	return young;
}

static bool root_young(struct tdp_table *root,
		       const struct kvm_gfn_range *range)
{
	struct tdp_iter iter;

	tdp_for_each(iter, root, range->start, range->end) {
		if (spte_present_leaf(iter.old, iter.level) &&
		    spte_accessed(iter.old))
			return true;
	}
	return false;
}

bool tdp_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	struct tdp_table *root;
	bool young = false;

	rcu_read_lock();
	list_for_each_entry_rcu(root, &kvm->arch.tdp_mmu_roots, link) {
		young = role_as_id(root->table.role) == range->slot->as_id &&
			root_young(root, range);
		if (young)
			break;
	}
	rcu_read_unlock();
	return young;
}

/* The caller has mmu_lock, so a root that is valid stays so. */
static bool root_maps_slot(const struct tdp_table *root,
			   const struct kvm_memory_slot *slot)
{
	return tdp_root_valid(root) && role_as_id(root->table.role) == slot->as_id;
}

/* The bit to clear so that the next write is noticed in the tree of @root: D or W. */
static u64 root_dirty_bit(const struct tdp_table *root)
{
	if (role_needs_wrprot_for_dirty(root->table.role) || !mmu_ad_enabled())
		return PT_WRITABLE_MASK;
	return spte_fmt.dirty;
}

/* Take @bit from a leaf.  If it is D, the leaf must be one that is logged by D. */
static inline void clear_leaf(struct kvm *kvm, struct tdp_iter *iter, u64 bit)
{
	if (!spte_present_leaf(iter->old, iter->level))
		return;

	KVM_MMU_WARN_ON(bit == spte_fmt.dirty && !spte_has_dirty(iter->old));
	if (iter->old & bit)
		tdp_clear_bits(kvm, iter, bit);
}

/* Take @bit from all leafs of @slot, from @min_level up. */
static void clear_slot(struct kvm *kvm, struct tdp_table *root,
		       const struct kvm_memory_slot *slot, int min_level, u64 bit)
{
	gfn_t end = slot->base_gfn + slot->npages;
	struct tdp_iter iter;

	rcu_read_lock();
	tdp_for_each_level(iter, root, min_level, slot->base_gfn, end) {
		if (!tdp_yield(kvm, &iter, false, true))
			clear_leaf(kvm, &iter, bit);
	}
	rcu_read_unlock();
}

void tdp_wrprot_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     int min_level)
{
	struct tdp_table *root;

	lockdep_assert_held_read(&kvm->mmu_lock);

	tdp_for_each_root(kvm, root, slot->as_id, true)
		clear_slot(kvm, root, slot, min_level, PT_WRITABLE_MASK);
}

static void wrprot_huge(struct kvm *kvm, struct tdp_table *root, gfn_t first,
			gfn_t last)
{
	struct tdp_iter iter;

	tdp_for_each_level(iter, root, PG_LEVEL_2M, first, last + 1)
		clear_leaf(kvm, &iter, PT_WRITABLE_MASK);
}

void tdp_wrprot_huge(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     gfn_t first, gfn_t last)
{
	struct tdp_table *root;

	lockdep_assert_held(&kvm->mmu_lock);

	rcu_read_lock();
	list_for_each_entry_rcu(root, &kvm->arch.tdp_mmu_roots, link) {
		if (root_maps_slot(root, slot))
			wrprot_huge(kvm, root, first, last);
	}
	rcu_read_unlock();
}

void tdp_clear_dirty_slot(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	struct tdp_table *root;

	lockdep_assert_held_read(&kvm->mmu_lock);

	tdp_for_each_root(kvm, root, slot->as_id, true)
		clear_slot(kvm, root, slot, PG_LEVEL_4K, root_dirty_bit(root));
}

/* Take @bit, or in regions D, from those 4K leafs from @gfn on that @mask names. */
static void clear_masked(struct kvm *kvm, struct tdp_table *root,
			 const struct kvm_memory_slot *slot, gfn_t gfn,
			 unsigned long mask, u64 bit)
{
	struct tdp_iter iter;

	tdp_for_each(iter, root, gfn + __ffs(mask), gfn + __fls(mask) + 1) {
		if (iter.level > PG_LEVEL_4K || !(mask & BIT(iter.gfn - gfn)))
			continue;
		if (tdp_in_region(kvm, root->table.role, slot, iter.gfn))
			tdp_take_dirty(rcu_dereference(iter.sptep));
		else
			clear_leaf(kvm, &iter, bit);
	}
}

void tdp_clear_dirty_masked(struct kvm *kvm, struct kvm_memory_slot *slot,
			    gfn_t gfn, unsigned long mask, bool wrprot)
{
	struct tdp_table *root;

	lockdep_assert_held(&kvm->mmu_lock);

	if (!mask)
		return;

	rcu_read_lock();
	list_for_each_entry_rcu(root, &kvm->arch.tdp_mmu_roots, link) {
		if (root_maps_slot(root, slot))
			clear_masked(kvm, root, slot, gfn, mask, wrprot ?
				     PT_WRITABLE_MASK : root_dirty_bit(root));
	}
	rcu_read_unlock();
}

/* Return: true if M or W was set, so TLBs must be flushed. */
static bool protect_gfn(struct kvm *kvm, struct tdp_table *root, gfn_t gfn)
{
	struct tdp_iter iter;

	tdp_for_each(iter, root, gfn, gfn + 1) {
		if (spte_present_leaf(iter.old, iter.level))
			return tdp_clear_bits(kvm, &iter, PT_WRITABLE_MASK |
							  spte_fmt.mmu_writable);
	}
	return false;
}

bool tdp_write_protect_gfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn)
{
	struct tdp_table *root;
	bool flush = false;

	lockdep_assert_held(&kvm->mmu_lock);

	rcu_read_lock();
	list_for_each_entry_rcu(root, &kvm->arch.tdp_mmu_roots, link) {
		if (root_maps_slot(root, slot))
			flush |= protect_gfn(kvm, root, gfn);
	}
	rcu_read_unlock();
	return flush;
}
