// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over a direct paging tree, see tdp_iter.h.
 *
 * A walk is a gfn that it is on its way to (next_gfn), the tables on the path to it,
 * and a level.  It has three moves.  Down keeps the gfn.  To the side, the gfn becomes
 * the end of what the SPTE covers.  Up follows if that is the end of the table as well:
 * to the first level at which the gfn's index is not 0.  So parents that were visited
 * before their tables are not visited again.
 *
 * Tables of the path may be unlinked meanwhile, but are not freed before the walk
 * leaves RCU.  In an unlinked table a walk may find frozen SPTEs, which it leaves
 * alone, or, without mmu_lock, SPTEs as they were.  After a yield the path is dropped.
 */
#include "tdp_iter.h"
#include "tdp_pte.h"

/* The SPTE on the way to next_gfn in the path's table of @level. */
static __always_inline void tdp_iter_look(struct tdp_iter *iter, int level)
{
	iter->level = level;
	iter->gfn = gfn_round_for_level(iter->next_gfn, level);
	iter->sptep = iter->table[level - 1] +
		      spte_index_of(gfn_to_gpa(iter->next_gfn), level);
	iter->old = tdp_read(iter->sptep);
}

void tdp_iter_restart(struct tdp_iter *iter)
{
	iter->yielded = false;
	iter->yielded_gfn = iter->next_gfn;
	tdp_iter_look(iter, iter->root->table.role.level);
}

struct tdp_iter *tdp_iter_start(struct tdp_iter *iter, struct tdp_table *root,
				int min_level, gfn_t start, gfn_t end)
{
	/* The dummy root has no page, and maps nothing. */
	if (WARN_ON_ONCE(!root))
		return NULL;

	/*
	 * A gfn that the tables do not reach has the index of another one, and a slot
	 * may be there: the host's MAXPHYADDR allows it (tdp_reaches()).
	 */
	start = max(start, root->table.gfn);
	end = min(end, root->table.gfn + tdp_nr_gfns(root->table.role.level));
	if (start >= end)
		return NULL;

	KVM_MMU_WARN_ON(!root->table.tdp || root->table.role.level > PT64_ROOT_MAX_LEVEL ||
			root->table.role.level < min_level);

	iter->root = root;
	iter->as_id = role_as_id(root->table.role);
	iter->min_level = min_level;
	iter->end = end;
	iter->next_gfn = start;
	iter->table[root->table.role.level - 1] = (tdp_ptep_t)root->table.spt;
	tdp_iter_restart(iter);
	return iter;
}

/* Go on in the first table above that has not ended. */
struct tdp_iter *tdp_iter_up(struct tdp_iter *iter)
{
	int level = iter->level;

	do {
		if (level++ == iter->root->table.role.level)
			return NULL;
	} while (!spte_index_of(gfn_to_gpa(iter->next_gfn), level));

	tdp_iter_look(iter, level);
	return iter;
}

/* The link is read anew: the walk's user may have made or zapped it. */
struct tdp_iter *tdp_iter_down(struct tdp_iter *iter)
{
	int level = iter->level;

	if (iter->yielded) {
		tdp_iter_restart(iter);
		return iter;
	}

	iter->old = tdp_read(iter->sptep);
	if (!spte_present_table(iter->old, level))
		return tdp_iter_side(iter);

	iter->table[level - 2] = (tdp_ptep_t)spte_child_table(iter->old);
	tdp_iter_look(iter, level - 1);
	return iter;
}

void tdp_yield_now(struct kvm *kvm, struct tdp_iter *iter, bool flush, bool shared)
	__must_hold(RCU)
{
	/* The walk never goes back behind where it has been. */
	WARN_ON_ONCE(iter->gfn > iter->next_gfn);
	iter->yielded = true;

	/* No CPU may use a table by its TLB that RCU does not keep any more. */
	if (flush)
		kvm_flush_remote_tlbs(kvm);
	mmu_prove_flushed(kvm);
	rcu_read_unlock();
	if (shared) {
		cond_resched_rwlock_read(&kvm->mmu_lock);
	} else {
		/* Who waits is first: mmu_lock keeps a queue. */
		write_unlock(&kvm->mmu_lock);
		cond_resched();
		write_lock(&kvm->mmu_lock);
	}
	rcu_read_lock();
}
