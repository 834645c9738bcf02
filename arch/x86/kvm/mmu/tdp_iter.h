/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A walk over the SPTEs of one direct paging tree, parents before children, in
 * the order of gfns.  It only reads.
 *
 * Tables are freed by RCU after they were unlinked.  So a walk is inside
 * rcu_read_lock(), or nobody else uses the tree, and it never steps into a table
 * without reading the link to it anew.
 */
#ifndef __KVM_X86_MMU_TDP_ITER_H
#define __KVM_X86_MMU_TDP_ITER_H

#include "spte.h"

/**
 * struct tdp_iter - where a walk is
 * @root: of the tree
 * @end: the first gfn beyond those of interest
 * @next_gfn: the gfn that the walk is on its way to: the first one of the current
 *	SPTE, or one within its range when the walk starts or steps down
 * @yielded_gfn: @next_gfn when the walk started, or last let go of mmu_lock: it must
 *	get further before it lets go again
 * @table: the table of each level on the path, by level - 1
 * @sptep: the current SPTE
 * @gfn: the first gfn that it covers
 * @old: its value when it was last read; writers compare with it
 * @min_level: the walk does not go below
 * @level: of @sptep
 * @as_id: the address space
 * @yielded: mmu_lock was let go: @sptep is stale, and the next step starts over
 *	at @next_gfn
 */
struct tdp_iter {
	struct tdp_table *root;
	gfn_t end;
	gfn_t next_gfn;
	gfn_t yielded_gfn;
	tdp_ptep_t table[PT64_ROOT_MAX_LEVEL];
	tdp_ptep_t sptep;
	gfn_t gfn;
	u64 old;
	int min_level;
	int level;
	int as_id;
	bool yielded;
};

/*
 * Others may change the SPTE at any time, so each read may give another value.  The one
 * that a walk acts on is iter->old.
 */
static inline u64 tdp_read(tdp_ptep_t sptep)
{
	return READ_ONCE(*rcu_dereference(sptep));
}

/* How many gfns a table of @level translates, with what is below. */
static inline gfn_t tdp_nr_gfns(int level)
{
	return KVM_PAGES_PER_HPAGE(level + 1);
}

/**
 * tdp_iter_start() - begin a walk
 * @iter: the walk
 * @root: the tree's root
 * @min_level: PG_LEVEL_*: the lowest tables to look at
 * @start: the first gfn of interest
 * @end: the first gfn beyond those of interest
 *
 * The first SPTE is the root's entry that covers @start.  The walk leaves out gfns that
 * the root's tables do not translate.
 *
 * Return: @iter, or NULL if the walk is over.
 * Context: RCU, as for all of the walk.
 */
struct tdp_iter *tdp_iter_start(struct tdp_iter *iter, struct tdp_table *root,
				int min_level, gfn_t start, gfn_t end);

/**
 * tdp_iter_restart() - go back to the root, on the way to @iter->next_gfn
 * @iter: the walk
 */
void tdp_iter_restart(struct tdp_iter *iter);

/* For tdp_iter_next(): the table has ended; and where the walk may go down. */
struct tdp_iter *tdp_iter_up(struct tdp_iter *iter);
struct tdp_iter *tdp_iter_down(struct tdp_iter *iter);

static inline struct tdp_iter *tdp_iter_side(struct tdp_iter *iter)
{
	iter->next_gfn = iter->gfn + KVM_PAGES_PER_HPAGE(iter->level);
	if (iter->next_gfn >= iter->end)
		return NULL;

	iter->sptep++;
	if (unlikely(IS_ALIGNED((unsigned long)iter->sptep, PAGE_SIZE)))
		return tdp_iter_up(iter);

	iter->gfn = iter->next_gfn;
	iter->old = tdp_read(iter->sptep);
	return iter;
}

/**
 * tdp_iter_next() - go on: down if the SPTE links to a table, else to the side
 * @iter: the walk
 *
 * Mostly it is at its lowest level, and the table has more: that takes no call.
 *
 * Return: @iter, or NULL if the walk is over.
 */
static inline struct tdp_iter *tdp_iter_next(struct tdp_iter *iter)
{
	if (likely(iter->level == iter->min_level && !iter->yielded))
		return tdp_iter_side(iter);
	return tdp_iter_down(iter);
}

/**
 * tdp_iter_skip() - leave out SPTEs
 * @iter: the walk, at its lowest level
 * @nr: how many come after the current one; they are in its table, and before @iter->end
 *
 * The walk is then at the last of them, which it has not read.
 */
static inline void tdp_iter_skip(struct tdp_iter *iter, int nr)
{
	iter->sptep += nr;
	iter->gfn += nr * KVM_PAGES_PER_HPAGE(iter->level);
	iter->next_gfn = max(iter->next_gfn, iter->gfn);
}

/* All SPTEs of @root that cover gfns of [start, end), down to @min_level. */
#define tdp_for_each_level(iter, root, min_level, start, end)		\
	for (struct tdp_iter *it_ = tdp_iter_start(&(iter), root, min_level, \
						   start, end);		\
	     it_; it_ = tdp_iter_next(it_))

#define tdp_for_each(iter, root, start, end)				\
	tdp_for_each_level(iter, root, PG_LEVEL_4K, start, end)

#endif /* __KVM_X86_MMU_TDP_ITER_H */
