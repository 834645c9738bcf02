// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow paging, by gfn or slot: unmap, write-protect, clean or age what is mapped.
 * SPTEs are found by the rmaps of the range; the guest's tables are not walked.
 *
 * mmu_lock is held for writing, but CPUs and the fast page fault still set bits of
 * SPTEs: the functions of shadow_pte.c lose none of them.
 */
#include <linux/kvm_host.h>

#include "mmu.h"
#include "shadow_internal.h"

/* All lists of a notifier's range, without a yield. */
static struct shadow_rmap_walk notified_range(const struct kvm_gfn_range *range)
{
	return (struct shadow_rmap_walk) {
		.slot = range->slot,
		.start = range->start,
		.end = range->end,
		.min_level = PG_LEVEL_4K,
		.max_level = KVM_MAX_HUGEPAGE_LEVEL,
	};
}

/* A whole slot.  Callers flush TLBs at the end, when mmu_lock was let go. */
static void walk_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
		      int min_level, int max_level, rmap_handler_t handler)
{
	const struct shadow_rmap_walk walk = {
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.min_level = min_level,
		.max_level = max_level,
		.can_yield = true,
	};

	shadow_rmap_walk(kvm, &walk, handler);
}

/* Change every SPTE of a list.  Return: true if @change returned true for one. */
static __always_inline bool change_list(struct kvm *kvm,
					struct kvm_rmap_head *head,
					bool (*change)(struct kvm *kvm, u64 *sptep))
{
	bool any = false;
	u64 *sptep;

	for_each_rmap_spte(head, sptep)
		any |= change(kvm, sptep);

	return any;
}

/* Unmap. */

/* @flush, and return: is a flush due.  It is done before mmu_lock is let go. */
static bool unmap_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t start, gfn_t end, bool can_yield, bool flush,
			rmap_handler_t handler)
{
	const struct shadow_rmap_walk walk = {
		.slot = slot,
		.start = start,
		.end = end,
		.min_level = PG_LEVEL_4K,
		.max_level = KVM_MAX_HUGEPAGE_LEVEL,
		.can_yield = can_yield,
		.flush_on_yield = true,
		.flush_due = flush,
	};

	lockdep_assert_held_write(&kvm->mmu_lock);
	return shadow_rmap_walk(kvm, &walk, handler);
}

bool shadow_zap_gfn_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			  gfn_t start, gfn_t end, bool can_yield, bool flush)
{
	return unmap_range(kvm, slot, start, end, can_yield, flush,
			   shadow_clear_rmap);
}

bool shadow_zap_slot(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	return unmap_range(kvm, slot, slot->base_gfn,
			   slot->base_gfn + slot->npages, true, false,
			   shadow_drop_rmap);
}

/* Accessed. */

static bool age(struct kvm *kvm, u64 *sptep)
{
	return shadow_clear_accessed(sptep);
}

static bool age_list(struct kvm *kvm, struct kvm_rmap_head *head,
		     const struct kvm_memory_slot *slot)
{
	return change_list(kvm, head, age);
}

static bool test_age_list(struct kvm *kvm, struct kvm_rmap_head *head,
			  const struct kvm_memory_slot *slot)
{
	u64 *sptep;

	for_each_rmap_spte(head, sptep)
		if (spte_accessed(READ_ONCE(*sptep)))
			return true;

	return false;
}

bool shadow_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	const struct shadow_rmap_walk walk = notified_range(range);

	lockdep_assert_held_write(&kvm->mmu_lock);
	return shadow_rmap_walk(kvm, &walk, age_list);
}

bool shadow_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	const struct shadow_rmap_walk walk = notified_range(range);

	lockdep_assert_held_write(&kvm->mmu_lock);
	return shadow_rmap_walk(kvm, &walk, test_age_list);
}

/* Writes and Dirty. */

/*
 * Make the next write fault, for dirty logging: the fast page fault may give W back.
 *
 * Return: true if TLBs must be flushed.
 */
static bool wrprot_spte(struct kvm *kvm, u64 *sptep)
{
	return READ_ONCE(*sptep) & PT_WRITABLE_MASK && shadow_clear_writable(sptep);
}

/*
 * Make the next write fault, for a shadowed table: the fast page fault may not give W
 * back.
 *
 * Return: true if TLBs must be flushed: if M was set, a writable translation may
 * be cached even though W is clear already.
 */
static bool protect(struct kvm *kvm, u64 *sptep)
{
	const u64 bits = PT_WRITABLE_MASK | spte_fmt.mmu_writable;
	const u64 spte = READ_ONCE(*sptep);

	return spte & bits && shadow_update(kvm, sptep, spte & ~bits);
}

/* Make the next write set D; or fault, if the SPTE has no D to be logged by. */
static bool clean(struct kvm *kvm, u64 *sptep)
{
	const u64 spte = READ_ONCE(*sptep);

	if (!spte_has_dirty(spte))
		return shadow_clear_writable(sptep);

	return spte & spte_fmt.dirty &&
	       shadow_update(kvm, sptep, spte & ~spte_fmt.dirty);
}

static bool wrprot_list(struct kvm *kvm, struct kvm_rmap_head *head,
			const struct kvm_memory_slot *slot)
{
	return change_list(kvm, head, wrprot_spte);
}

static bool clean_list(struct kvm *kvm, struct kvm_rmap_head *head,
		       const struct kvm_memory_slot *slot)
{
	return change_list(kvm, head, clean);
}

void shadow_wrprot_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
			int min_level)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	walk_slot(kvm, slot, min_level, KVM_MAX_HUGEPAGE_LEVEL, wrprot_list);
}

/* @first and @last are near: at most two pages of a level.  One may be done twice. */
void shadow_wrprot_huge(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t first, gfn_t last)
{
	int level;

	lockdep_assert_held_write(&kvm->mmu_lock);

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		wrprot_list(kvm, rmap_of(slot, first, level), slot);
		wrprot_list(kvm, rmap_of(slot, last, level), slot);
	}
}

/* The log is of 4K pages: huge ones are write-protected, by shadow_wrprot_slot(). */
void shadow_clear_dirty_slot(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	walk_slot(kvm, slot, PG_LEVEL_4K, PG_LEVEL_4K, clean_list);
}

void shadow_clear_dirty_masked(struct kvm *kvm, struct kvm_memory_slot *slot,
			       gfn_t gfn, unsigned long mask, bool wrprot)
{
	struct kvm_rmap_head *head, *lists = rmap_of(slot, gfn, PG_LEVEL_4K);

	lockdep_assert_held_write(&kvm->mmu_lock);

	for (; mask; mask &= mask - 1) {
		head = lists + __ffs(mask);
		if (rmap_empty(head))
			continue;
		if (wrprot)
			wrprot_list(kvm, head, slot);
		else
			clean_list(kvm, head, slot);
	}
}

bool shadow_write_protect_gfn(struct kvm *kvm, const struct kvm_memory_slot *slot,
			      gfn_t gfn)
{
	bool flush = false;
	int level;

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (!slot_has_rmaps(slot))
		return false;

	for (level = PG_LEVEL_4K; level <= KVM_MAX_HUGEPAGE_LEVEL; level++)
		flush |= change_list(kvm, rmap_of(slot, gfn, level), protect);

	return flush;
}
