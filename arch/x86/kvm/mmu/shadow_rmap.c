// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of SPTEs: which ones map a gfn, and which ones link to a shadow page.
 *
 * A list of several is a chain of blocks.  Only the first may have free places: it
 * takes what is added, and its last entry fills the place of what is deleted.  So a
 * block's @below never changes.
 *
 * Every SPTE on a list is present, but for one that whoever holds mmu_lock for
 * writing is about to set or to take off.  mmu_lock for writing protects all
 * lists.
 */
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "shadow_internal.h"

#define RMAP_BLOCK_NR	14

/**
 * struct rmap_block - some SPTEs of a list; two cache lines
 * @next: the next block, which is full, or NULL
 * @nr: how many of @sptep are in use, from the first on; never 0 on a list
 * @below: how many SPTEs the blocks after this one have
 * @sptep: the SPTEs
 */
struct rmap_block {
	struct rmap_block *next;
	u32 nr;
	u32 below;
	u64 *sptep[RMAP_BLOCK_NR];
};

struct kmem_cache *rmap_block_cache;

static struct rmap_block *first_block(const struct kvm_rmap_head *head)
{
	return (struct rmap_block *)(rmap_val(head) & ~RMAP_MANY);
}

static void set_first_block(struct kvm_rmap_head *head, struct rmap_block *block)
{
	rmap_set_val(head, block ? (unsigned long)block | RMAP_MANY : 0);
}

static struct rmap_block *push_block(struct kvm_mmu_memory_cache *cache,
				     struct kvm_rmap_head *head,
				     struct rmap_block *next)
{
	struct rmap_block *block = kvm_mmu_memory_cache_alloc(cache);

	block->next = next;
	block->below = next ? next->nr + next->below : 0;
	block->nr = 0;
	set_first_block(head, block);
	return block;
}

/* For a list that is not empty. */
unsigned int __rmap_add(struct kvm_mmu_memory_cache *cache,
			struct kvm_rmap_head *head, u64 *sptep)
{
	struct rmap_block *block;
	unsigned int count;

	if (head->val & RMAP_MANY) {
		block = first_block(head);
		if (block->nr == RMAP_BLOCK_NR)
			block = push_block(cache, head, block);
	} else {
		u64 *only = (u64 *)rmap_val(head);

		block = push_block(cache, head, NULL);
		block->sptep[block->nr++] = only;
	}

	count = block->below + block->nr;
	block->sptep[block->nr++] = sptep;
	return count;
}

static u64 **find_place(struct rmap_block *block, const u64 *sptep)
{
	u32 i;

	for (; block; block = block->next)
		for (i = 0; i < block->nr; i++)
			if (block->sptep[i] == sptep)
				return &block->sptep[i];

	return NULL;
}

/* For a list that is more than this one SPTE; anything else is a bug. */
void __rmap_del(struct kvm *kvm, struct kvm_rmap_head *head, u64 *sptep)
{
	struct rmap_block *block;
	u64 **place;

	if (KVM_BUG_ON_DATA_CORRUPTION(!(head->val & RMAP_MANY), kvm))
		return;

	block = first_block(head);
	place = find_place(block, sptep);
	if (KVM_BUG_ON_DATA_CORRUPTION(!place || !block->nr, kvm))
		return;

	*place = block->sptep[--block->nr];
	if (!block->nr) {
		set_first_block(head, block->next);
		kmem_cache_free(rmap_block_cache, block);
	}
}

void rmap_clear(struct kvm_rmap_head *head)
{
	struct rmap_block *block, *next;

	if (head->val & RMAP_MANY) {
		for (block = first_block(head); block; block = next) {
			next = block->next;
			kmem_cache_free(rmap_block_cache, block);
		}
	}
	rmap_set_val(head, 0);
}

unsigned int pte_list_count(struct kvm_rmap_head *rmap_head)
{
	const struct rmap_block *block;

	if (!(rmap_head->val & RMAP_MANY))
		return !rmap_empty(rmap_head);

	block = first_block(rmap_head);
	return block->nr + block->below;
}

static void iter_look(struct rmap_iter *iter)
{
	iter->cur = iter->block ? iter->block->sptep[iter->pos] : NULL;
	KVM_MMU_WARN_ON(iter->cur && !spte_present(READ_ONCE(*iter->cur)));
}

struct rmap_iter __rmap_iter(const struct kvm_rmap_head *head)
{
	struct rmap_iter iter = { .block = first_block(head) };

	iter_look(&iter);
	return iter;
}

void __rmap_next(struct rmap_iter *iter)
{
	if (++iter->pos == iter->block->nr) {
		iter->pos = 0;
		iter->block = iter->block->next;
	}
	iter_look(iter);
}

static void flush_before_pause(struct kvm *kvm, const struct shadow_rmap_walk *walk)
{
	if (walk->flush_due)
		kvm_flush_remote_tlbs(kvm);
	else
		kvm_flush_remote_tlbs_range(kvm, walk->start,
					    walk->end - walk->start);
}

/* Let go of mmu_lock if it is wanted.  @flush, and return: is a flush due. */
static bool walk_pause(struct kvm *kvm, const struct shadow_rmap_walk *walk, bool flush)
{
	if (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock))
		return flush;

	if (flush && walk->flush_on_yield) {
		flush_before_pause(kvm, walk);
		flush = false;
	}
	mmu_prove_flushed(kvm);
	cond_resched_rwlock_write(&kvm->mmu_lock);
	return flush;
}

/* Handle the lists from @head to @last.  @flush, and return: is a flush due. */
static bool walk_lists(struct kvm *kvm, const struct shadow_rmap_walk *walk,
		       struct kvm_rmap_head *head, struct kvm_rmap_head *last,
		       rmap_handler_t handler, bool flush)
{
	for (; head <= last; head++) {
		if (!rmap_empty(head))
			flush |= handler(kvm, head, walk->slot);
		/* Many empty lists take time, too: pause once for each page of them. */
		else if (offset_in_page(head))
			continue;

		if (walk->can_yield)
			flush = walk_pause(kvm, walk, flush);
	}
	return flush;
}

static void prove_empty(const struct kvm_rmap_head *head,
			const struct kvm_rmap_head *last)
{
	if (!IS_ENABLED(CONFIG_KVM_PROVE_MMU))
		return;

	for (; head <= last; head++)
		WARN_ON_ONCE(!rmap_empty(head));
}

/* By ranges of 2M: where RMAP_BELOW is not set, all lists of 4K pages are empty. */
static bool walk_4k(struct kvm *kvm, const struct shadow_rmap_walk *walk,
		    rmap_handler_t handler, bool flush)
{
	const struct kvm_rmap_head *above = rmap_of(walk->slot, walk->start, PG_LEVEL_2M);
	struct kvm_rmap_head *head, *last;
	gfn_t gfn, end;

	for (gfn = walk->start; gfn < walk->end; gfn = end, above++) {
		end = min(walk->end, gfn_round_for_level(gfn, PG_LEVEL_2M) +
				     KVM_PAGES_PER_HPAGE(PG_LEVEL_2M));
		head = rmap_of(walk->slot, gfn, PG_LEVEL_4K);
		last = head + (end - 1 - gfn);
		if (!(above->val & RMAP_BELOW))
			prove_empty(head, last);
		else if (!walk->wants_4k || walk->wants_4k(kvm, walk->slot, gfn))
			flush = walk_lists(kvm, walk, head, last, handler, flush);
		if (walk->can_yield)
			flush = walk_pause(kvm, walk, flush);
	}
	return flush;
}

bool shadow_rmap_walk(struct kvm *kvm, const struct shadow_rmap_walk *walk,
		      rmap_handler_t handler)
{
	int level = walk->min_level;
	bool flush = walk->flush_due;

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (!slot_has_rmaps(walk->slot))
		return flush;

	if (level == PG_LEVEL_4K) {
		flush = walk_4k(kvm, walk, handler, flush);
		level++;
	}
	for (; level <= walk->max_level; level++)
		flush = walk_lists(kvm, walk, rmap_of(walk->slot, walk->start, level),
				   rmap_of(walk->slot, walk->end - 1, level),
				   handler, flush);
	return flush;
}

int rmap_module_init(void)
{
	rmap_block_cache = KMEM_CACHE(rmap_block, SLAB_ACCOUNT);
	return rmap_block_cache ? 0 : -ENOMEM;
}

void rmap_module_exit(void)
{
	kmem_cache_destroy(rmap_block_cache);
	rmap_block_cache = NULL;
}
