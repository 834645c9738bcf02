// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging: huge pages are split when dirty logging starts, and put together again
 * in place when it has ended.
 *
 * Both replace one way to translate a range by another one to the same pfns, so
 * that no vCPU ever sees the range unmapped.  Both are best effort: what stays mapped at
 * the wrong size is slow, but right.
 */
#include <linux/kvm_host.h>

#include "level.h"
#include "mmutrace.h"
#include "tdp.h"
#include "tdp_pte.h"

/**
 * struct split_walk - what to split, for all roots
 * @start: first gfn
 * @end: first gfn beyond
 * @target_level: pages of higher levels are split
 * @shared: mmu_lock is held for reading
 * @spare: a table for the next split: allocated without mmu_lock, and kept if another
 *	thread has split or zapped the page first
 */
struct split_walk {
	gfn_t start;
	gfn_t end;
	int target_level;
	bool shared;
	struct tdp_table *spare;
};

static bool spte_is_huge_page(u64 spte)
{
	return spte_present(spte) && spte_huge(spte);
}

/*
 * The allocation may sleep: mmu_lock and the RCU reader end, and the SPTE of the
 * walk is stale afterwards.
 */
static int split_refill(struct kvm *kvm, struct split_walk *split,
			struct tdp_iter *iter)
	__must_hold(&kvm->mmu_lock) __must_hold(RCU)
{
	mmu_prove_flushed(kvm);
	rcu_read_unlock();
	if (split->shared)
		read_unlock(&kvm->mmu_lock);
	else
		write_unlock(&kvm->mmu_lock);

	split->spare = tdp_table_alloc_sleep();

	if (split->shared)
		read_lock(&kvm->mmu_lock);
	else
		write_lock(&kvm->mmu_lock);
	rcu_read_lock();

	iter->yielded = true;
	return split->spare ? 0 : -ENOMEM;
}

/* If another thread splits the page first, or zaps it, the spare table stays. */
static void split_huge(struct kvm *kvm, struct split_walk *split,
		       struct tdp_iter *iter)
{
	do {
		tdp_table_init_child(split->spare, iter);
		if (!tdp_split(kvm, iter, split->spare, split->shared)) {
			split->spare = NULL;
			return;
		}
	} while (spte_is_huge_page(iter->old));
}

/* The walk sees parents first, so the 2M pieces of a 1G page are split next. */
static int split_root(struct kvm *kvm, struct tdp_table *root,
		      struct split_walk *split)
{
	struct tdp_iter iter;
	int r = 0;

	rcu_read_lock();
	tdp_for_each_level(iter, root, split->target_level + 1, split->start,
			   split->end) {
		if (tdp_yield(kvm, &iter, false, split->shared))
			continue;
		if (!spte_is_huge_page(iter.old))
			continue;
		if (split->spare) {
			split_huge(kvm, split, &iter);
			continue;
		}

		r = split_refill(kvm, split, &iter);
		if (r) {
			trace_kvm_mmu_split_huge_page(iter.gfn, iter.old,
						      iter.level, r);
			break;
		}
	}
	rcu_read_unlock();
	return r;
}

void tdp_split_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     gfn_t start, gfn_t end, int target_level, bool shared)
{
	struct split_walk split = {
		.start = start,
		.end = end,
		.target_level = target_level,
		.shared = shared,
	};
	struct tdp_table *root;
	int r = 0;

	tdp_assert_locked(kvm, shared);

	tdp_for_each_root(kvm, root, slot->as_id, true) {
		if (!r)
			r = split_root(kvm, root, &split);
	}
	if (split.spare)
		tdp_table_free(split.spare);
}

/*
 * Is the first page of a table of 4K pages where it would be in a huge page of the host?
 * If the host has none, mostly not, which is seen sooner here than by level_max().
 */
static bool lies_as_in_huge(const struct tdp_iter *iter)
{
	const u64 piece = READ_ONCE(*spte_child_table(iter->old));

	return iter->level > PG_LEVEL_2M || !spte_present(piece) ||
	       !((spte_pfn(piece) ^ iter->gfn) & (SPTE_ENT_PER_PAGE - 1));
}

/* May a huge page of the slot stand where there is a table now? */
static bool recoverable(struct kvm *kvm, const struct kvm_memory_slot *slot,
			const struct tdp_iter *iter)
{
	gfn_t end = iter->gfn + KVM_PAGES_PER_HPAGE(iter->level);

	if (iter->level > KVM_MAX_HUGEPAGE_LEVEL ||
	    !spte_present_table(iter->old, iter->level))
		return false;

	/* level_max() must not be asked for a page that the slot holds only in part. */
	if (iter->gfn < slot->base_gfn || end > slot->base_gfn + slot->npages)
		return false;

	return lies_as_in_huge(iter) &&
	       level_max(kvm, slot, iter->gfn, iter->level) == iter->level;
}

/*
 * May the host be about to split the huge page that level_max() saw?  The answer stays
 * true while mmu_lock is held, as invalidations begin with mmu_lock for writing.
 */
static bool invalidation_overlaps(struct kvm *kvm, const struct tdp_iter *iter)
{
	gfn_t end = iter->gfn + KVM_PAGES_PER_HPAGE(iter->level);

	return kvm->mmu_invalidate_in_progress &&
	       iter->gfn < kvm->mmu_invalidate_range_end &&
	       end > kvm->mmu_invalidate_range_start;
}

/* The huge page that @piece is a part of; SPTE_NONE if its pfn does not fit. */
static u64 piece_to_huge(struct kvm *kvm, const struct tdp_iter *piece, int level)
{
	gfn_t within = KVM_PAGES_PER_HPAGE(level) - 1;
	u64 spte = piece->old;
	int l;

	if (WARN_ON_ONCE((spte_pfn(spte) ^ piece->gfn) & within))
		return SPTE_NONE;

	for (l = piece->level + 1; l <= level; l++)
		spte = spte_make_huge(kvm, spte, l);
	return spte;
}

/*
 * The huge page for the place of a table.  A leaf below tells which pfns the host has
 * there: since it was mapped, no invalidation took it away.  SPTE_NONE if no leaf was
 * found: the search covers a table of 4K pages, but not all tables below 1G.
 */
static u64 table_to_huge(struct kvm *kvm, const struct tdp_iter *iter)
{
	gfn_t end = iter->gfn + KVM_PAGES_PER_HPAGE(iter->level);
	int left = 2 * SPTE_ENT_PER_PAGE;
	struct tdp_iter piece;

	if (invalidation_overlaps(kvm, iter))
		return SPTE_NONE;

	tdp_for_each(piece, table_to_tdp(spte_child(iter->old)), iter->gfn, end) {
		if (spte_present_leaf(piece.old, piece.level))
			return piece_to_huge(kvm, &piece, iter->level);
		if (!--left)
			break;
	}
	return SPTE_NONE;
}

/*
 * Put a huge page in the place of the table, or nothing: then the next fault maps one.
 * Return: true if TLBs must be flushed, before RCU's read section ends.  Until then a
 * CPU uses the huge page, or a piece at the same pfn, or a table that RCU keeps.
 */
static bool recover_page(struct kvm *kvm, const struct kvm_memory_slot *slot,
			 struct tdp_iter *iter)
{
	u64 huge;
	int r;

	while (recoverable(kvm, slot, iter)) {
		huge = table_to_huge(kvm, iter);
		if (spte_present(huge))
			r = tdp_set_atomic(kvm, iter, huge);
		else
			r = tdp_zap_atomic(kvm, iter);
		if (!r)
			return spte_present(huge);
	}
	return false;
}

static void recover_root(struct kvm *kvm, struct tdp_table *root,
			 const struct kvm_memory_slot *slot)
{
	gfn_t end = slot->base_gfn + slot->npages;
	struct tdp_iter iter;
	bool flush = false;

	rcu_read_lock();
	tdp_for_each_level(iter, root, PG_LEVEL_2M, slot->base_gfn, end) {
		if (tdp_yield(kvm, &iter, flush, true))
			flush = false;
		else
			flush |= recover_page(kvm, slot, &iter);
	}
	if (flush)
		kvm_flush_remote_tlbs_memslot(kvm, slot);
	rcu_read_unlock();
}

void tdp_recover_huge(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	struct tdp_table *root;

	lockdep_assert_held_read(&kvm->mmu_lock);

	/* A huge page with D set would hide writes from the log. */
	if (WARN_ON_ONCE(kvm_slot_dirty_track_enabled(slot)))
		return;
	/* level_max() does not know the size of guest_memfd's folios. */
	if (WARN_ON_ONCE(kvm_slot_can_be_private(slot)))
		return;

	tdp_for_each_root(kvm, root, slot->as_id, true)
		recover_root(kvm, root, slot);
}
