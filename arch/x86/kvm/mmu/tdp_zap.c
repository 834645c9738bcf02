// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging: unmapping, of a range of gfns, of one table, of whole trees.
 *
 * A walk that lets go of mmu_lock keeps its root by a reference: an MMU notifier
 * must find every SPTE that maps a page of the host, or the page would be freed
 * while the zap still tells the host's mm about its A bit.
 *
 * Only vCPUs on valid roots need TLB flushes.  A vCPU whose root has become invalid
 * loads another one before it enters the guest again, and flushes then.
 *
 * mmu_lock is held for writing, unless a function says otherwise.
 */
#include <linux/kvm_host.h>

#include "mmio.h"
#include "tdp.h"
#include "tdp_pte.h"

/**
 * struct leaf_zap - gfns to unmap
 * @start: first gfn
 * @end: first gfn beyond
 * @may_yield: mmu_lock may be let go
 * @flush: a flush is due; the walk flushes before it yields
 */
struct leaf_zap {
	gfn_t start;
	gfn_t end;
	bool may_yield;
	bool flush;
};

static void zap_leafs(struct kvm *kvm, struct tdp_table *root,
		      struct leaf_zap *zap)
{
	gfn_t end = min(zap->end, tdp_end_gfn());
	struct tdp_iter iter;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* No table is unlinked here, so the flush may come after RCU's read section. */
	rcu_read_lock();
	tdp_for_each(iter, root, zap->start, end) {
		if (zap->may_yield && tdp_yield(kvm, &iter, zap->flush, false)) {
			zap->flush = false;
			continue;
		}
		if (!spte_present_leaf(iter.old, iter.level))
			continue;

		tdp_set(kvm, &iter, SPTE_NONE);
		/* Looked at each time: the root may become invalid during a yield. */
		zap->flush |= tdp_root_valid(root);
	}
	rcu_read_unlock();
}

bool tdp_zap_leafs(struct kvm *kvm, gfn_t start, gfn_t end, bool flush)
{
	struct leaf_zap zap = {
		.start = start,
		.end = end,
		.may_yield = true,
		.flush = flush,
	};
	struct tdp_table *root;

	tdp_for_each_root(kvm, root, -1, true)
		zap_leafs(kvm, root, &zap);
	return zap.flush;
}

bool tdp_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range, bool flush)
{
	struct leaf_zap zap = {
		.start = range->start,
		.end = range->end,
		.may_yield = range->may_block,
		.flush = flush,
	};
	struct tdp_table *root;

	tdp_for_each_root(kvm, root, range->slot->as_id, false)
		zap_leafs(kvm, root, &zap);
	return zap.flush;
}

/* A slot that is deleted or moved. */

/*
 * tdp_yield() for whoever waits for mmu_lock, also where the kernel is not preemptible: a
 * fault shall not wait longer than for one table.
 */
static bool yield_to_faults(struct kvm *kvm, struct tdp_iter *iter,
			    struct leaf_zap *zap)
{
	if (!tdp_has_advanced(iter) ||
	    (!need_resched() && !rwlock_is_contended(&kvm->mmu_lock)))
		return false;

	tdp_yield_now(kvm, iter, zap->flush, false);
	zap->flush = false;
	return true;
}

/* Does the range hold all that the walk's SPTE covers? */
static bool zap_covers(const struct leaf_zap *zap, const struct tdp_iter *iter)
{
	return zap->start <= iter->gfn &&
	       iter->gfn + KVM_PAGES_PER_HPAGE(iter->level) <= zap->end;
}

/* Is the walk's SPTE cleared at once: a leaf, or the link to a table of 4K pages? */
static bool zap_takes(const struct leaf_zap *zap, const struct tdp_iter *iter)
{
	if (spte_present_leaf(iter->old, iter->level))
		return true;
	return iter->level == PG_LEVEL_2M &&
	       spte_present_table(iter->old, PG_LEVEL_2M) && zap_covers(zap, iter);
}

/*
 * Unlink tables of 4K pages that lie wholly in the range, one between two yields, with
 * all that they map.  Other leaves are cleared one by one.
 *
 * Return: the highest level of the links to tables that stay, 0 if there are none.
 */
static int zap_pages(struct kvm *kvm, struct tdp_table *root, struct leaf_zap *zap)
{
	struct tdp_iter iter;
	int top_link = 0;

	tdp_for_each(iter, root, zap->start, min(zap->end, tdp_end_gfn())) {
		if (yield_to_faults(kvm, &iter, zap))
			continue;
		if (zap_takes(zap, &iter)) {
			tdp_set(kvm, &iter, SPTE_NONE);
			zap->flush |= tdp_root_valid(root);
		} else if (spte_present_table(iter.old, iter.level)) {
			top_link = max(top_link, iter.level);
		}
	}
	return top_link;
}

static bool table_maps_nothing(u64 link)
{
	const u64 *table = spte_child_table(link);
	int i;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		if (spte_present(READ_ONCE(table[i])))
			return false;
	return true;
}

/*
 * Unlink tables that map nothing any more, also those that the range holds only in part:
 * they may have mapped nothing else.  MMIO SPTEs do not count as mappings.
 */
static void unlink_empty(struct kvm *kvm, struct tdp_table *root,
			 struct leaf_zap *zap, int level)
{
	struct tdp_iter iter;

	tdp_for_each_level(iter, root, level, zap->start,
			   min(zap->end, tdp_end_gfn())) {
		if (yield_to_faults(kvm, &iter, zap))
			continue;
		if (iter.level != level || !spte_present_table(iter.old, level) ||
		    !table_maps_nothing(iter.old))
			continue;

		tdp_set(kvm, &iter, SPTE_NONE);
		zap->flush |= tdp_root_valid(root);
	}
}

/*
 * Passes from the leaves up: each unlinks tables that the one before has emptied, as far
 * up as there are tables.
 */
static void zap_slot_root(struct kvm *kvm, struct tdp_table *root,
			  struct leaf_zap *zap)
{
	int level, top_link;

	rcu_read_lock();
	top_link = zap_pages(kvm, root, zap);
	for (level = PG_LEVEL_2M; level <= top_link; level++)
		unlink_empty(kvm, root, zap, level);

	/* No CPU may use a table by its TLB that RCU does not keep any more. */
	if (zap->flush)
		kvm_flush_remote_tlbs(kvm);
	zap->flush = false;
	rcu_read_unlock();
}

bool tdp_zap_slot(struct kvm *kvm, const struct kvm_memory_slot *slot, bool flush)
{
	struct leaf_zap zap = {
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.may_yield = true,
		.flush = flush,
	};
	struct tdp_table *root;

	lockdep_assert_held_write(&kvm->mmu_lock);

	tdp_for_each_root(kvm, root, slot->as_id, false)
		zap_slot_root(kvm, root, &zap);
	return zap.flush;
}

bool tdp_zap_table(struct kvm *kvm, struct tdp_table *sp)
{
	u64 *link;

	if (WARN_ON_ONCE(!sp->ptep))
		return false;
	if (WARN_ON_ONCE(!spte_present(tdp_read(sp->ptep))))
		return false;

	link = rcu_dereference(sp->ptep);
	tdp_set_at(kvm, sptep_to_tdp(link), sp->ptep, SPTE_NONE);
	return true;
}

/* Under mmu_lock for reading, others may change the SPTE: try until it is not present. */
static void zap_spte(struct kvm *kvm, struct tdp_iter *iter, bool shared)
{
	if (!shared) {
		tdp_set(kvm, iter, SPTE_NONE);
		return;
	}
	while (tdp_set_atomic(kvm, iter, SPTE_NONE)) {
		if (!spte_present(iter->old))
			return;
	}
}

/* Unlink the tables below the SPTEs of @level, with all that they map. */
static void zap_tables(struct kvm *kvm, struct tdp_table *root, int level,
		       bool shared)
{
	struct tdp_iter iter;

	tdp_for_each_level(iter, root, level, 0, tdp_end_gfn()) {
		if (tdp_yield(kvm, &iter, false, shared))
			continue;
		if (iter.level == level && spte_present_table(iter.old, level))
			zap_spte(kvm, &iter, shared);
	}
}

/*
 * Unlinking a table visits all SPTEs below it without a yield.  So tables are unlinked in
 * passes from the leaves up, and no pass finds tables below those that it unlinks.
 * Leaves go with their table; the root itself has none.
 */
void tdp_zap_root(struct kvm *kvm, struct tdp_table *root, bool shared)
{
	int level = PG_LEVEL_2M;

	tdp_assert_locked(kvm, shared);
	WARN_ON_ONCE(!refcount_read(&root->refs));

	rcu_read_lock();
	for (; level <= root->table.role.level; level++)
		zap_tables(kvm, root, level, shared);
	rcu_read_unlock();
}

/* Invalid roots, too: another thread may be zapping one, and not be done yet. */
void tdp_zap_all(struct kvm *kvm)
{
	struct tdp_table *root;

	tdp_for_each_root(kvm, root, -1, false)
		tdp_zap_root(kvm, root, false);
}

static void zap_mmio_root(struct kvm *kvm, struct tdp_table *root, gfn_t start,
			  gfn_t end)
{
	struct tdp_iter iter;

	rcu_read_lock();
	tdp_for_each(iter, root, start, min(end, tdp_end_gfn())) {
		if (tdp_yield(kvm, &iter, false, true))
			continue;
		while (spte_is_mmio(kvm, iter.old)) {
			if (!tdp_set_atomic(kvm, &iter, SPTE_NONE))
				break;
		}
	}
	rcu_read_unlock();
}

/*
 * In invalid roots, too: a vCPU that has one may still look up MMIO SPTEs there, until it
 * enters the guest again.
 */
void tdp_zap_mmio(struct kvm *kvm, int as_id, gfn_t start, gfn_t end)
{
	struct tdp_table *root;

	if (start >= end)
		return;

	read_lock(&kvm->mmu_lock);
	tdp_for_each_root(kvm, root, as_id, false)
		zap_mmio_root(kvm, root, start, end);
	read_unlock(&kvm->mmu_lock);
}
