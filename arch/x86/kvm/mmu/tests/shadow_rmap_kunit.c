// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists of SPTEs (shadow_rmap.c) against naive models:
 *
 *  - one list, whose entries come and go in every order, against a bitmap;
 *  - walks over the lists of a slot, against a look at every gfn.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#include "mmu.h"
#include "mmu/shadow_internal.h"
#include "test_vm.h"

/* One list. */

#define NR_SPTES	300

/**
 * struct list_test - a list and what it should be
 * @kvm: a VM, for what is reported
 * @cache: of blocks
 * @head: the list
 * @on: which of @sptes are on it
 * @sptes: the SPTEs that may be on it, present as they have to be
 * @rnd: everything that is random
 */
struct list_test {
	struct kvm *kvm;
	struct kvm_mmu_memory_cache cache;
	struct kvm_rmap_head head;
	DECLARE_BITMAP(on, NR_SPTES);
	u64 sptes[NR_SPTES];
	struct rnd_state rnd;
};

static void list_destroy(void *data)
{
	struct list_test *t = data;

	rmap_clear(&t->head);
	kvm_mmu_free_memory_cache(&t->cache);
}

static struct list_test *list_create(struct kunit *test)
{
	struct list_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->kvm = kunit_kzalloc(test, sizeof(*t->kvm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->kvm);
	t->cache.kmem_cache = rmap_block_cache;
	/* What else is kept in the head must not get lost, nor be in the way. */
	t->head.val = RMAP_BELOW;
	for (i = 0; i < NR_SPTES; i++)
		t->sptes[i] = SPTE_PRESENT;
	prandom_seed_state(&t->rnd, 6);

	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, list_destroy, t));
	return t;
}

static void list_add_nr(struct kunit *test, struct list_test *t, unsigned int nr)
{
	const unsigned int before = bitmap_weight(t->on, NR_SPTES);

	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&t->cache, 1));
	KUNIT_EXPECT_EQ(test, before, rmap_add(&t->cache, &t->head, &t->sptes[nr]));
	__set_bit(nr, t->on);
}

static void list_del_nr(struct list_test *t, unsigned int nr)
{
	rmap_del(t->kvm, &t->head, &t->sptes[nr]);
	__clear_bit(nr, t->on);
}

/* Every entry is seen once, and nothing else is. */
static void list_check(struct kunit *test, struct list_test *t)
{
	DECLARE_BITMAP(seen, NR_SPTES) = {};
	unsigned int nr;
	u64 *sptep;

	for_each_rmap_spte(&t->head, sptep) {
		nr = sptep - t->sptes;
		KUNIT_ASSERT_LT(test, nr, NR_SPTES);
		KUNIT_EXPECT_FALSE(test, __test_and_set_bit(nr, seen));
	}

	KUNIT_EXPECT_TRUE(test, bitmap_equal(seen, t->on, NR_SPTES));
	KUNIT_EXPECT_EQ(test, bitmap_weight(t->on, NR_SPTES),
			pte_list_count(&t->head));
	KUNIT_EXPECT_EQ(test, bitmap_empty(t->on, NR_SPTES), rmap_empty(&t->head));
	KUNIT_EXPECT_TRUE(test, t->head.val & RMAP_BELOW);
}

/* Around one entry, one block, two blocks, and many. */
static const unsigned int list_sizes[] = { 1, 2, 3, 14, 15, 16, 28, 29, 30, 300 };

static void list_size_desc(const unsigned int *size, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%u", *size);
}

KUNIT_ARRAY_PARAM(list_sizes, list_sizes, list_size_desc);

/* The list grows and shrinks, so that it is often full and often empty. */
static void list_random(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);
	unsigned int step, nr;
	bool grow = true;

	for (step = 0; step < 5000; step++) {
		if (bitmap_empty(t->on, NR_SPTES))
			grow = true;
		else if (bitmap_weight(t->on, NR_SPTES) == size)
			grow = false;

		nr = prandom_u32_state(&t->rnd) % size;
		if (test_bit(nr, t->on)) {
			if (!grow || !(prandom_u32_state(&t->rnd) % 4))
				list_del_nr(t, nr);
		} else {
			if (grow || !(prandom_u32_state(&t->rnd) % 4))
				list_add_nr(test, t, nr);
		}

		if (size < 32 || !(step % 32))
			list_check(test, t);
	}
}

static void list_fill(struct kunit *test, struct list_test *t, unsigned int size)
{
	unsigned int nr;

	for (nr = 0; nr < size; nr++)
		list_add_nr(test, t, nr);
	list_check(test, t);
}

static void list_first_in_first_out(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);
	unsigned int nr;

	list_fill(test, t, size);
	for (nr = 0; nr < size; nr++) {
		list_del_nr(t, nr);
		list_check(test, t);
	}
}

static void list_last_in_first_out(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);
	unsigned int nr;

	list_fill(test, t, size);
	for (nr = size; nr--;) {
		list_del_nr(t, nr);
		list_check(test, t);
	}
}

static u64 *list_first(struct list_test *t)
{
	return rmap_iter(&t->head).cur;
}

/* The way in which a list is emptied while others are walked. */
static void list_take_first(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);
	u64 *sptep;

	list_fill(test, t, size);
	while ((sptep = list_first(t))) {
		list_del_nr(t, sptep - t->sptes);
		list_check(test, t);
	}
	KUNIT_EXPECT_TRUE(test, bitmap_empty(t->on, NR_SPTES));
}

static void list_clear(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);

	list_fill(test, t, size);
	rmap_clear(&t->head);
	bitmap_zero(t->on, NR_SPTES);
	list_check(test, t);

	list_fill(test, t, size);
}

/* The report is for the log alone: nothing else may happen. */
static void list_del_missing(struct kunit *test)
{
	const unsigned int size = *(const unsigned int *)test->param_value;
	struct list_test *t = list_create(test);
	unsigned int nr;

	if (IS_ENABLED(CONFIG_BUG_ON_DATA_CORRUPTION))
		kunit_skip(test, "the host would stop");

	/* A VM that is dead already is not reported again. */
	t->kvm->vm_bugged = true;
	for (nr = 0; nr < size; nr++) {
		rmap_del(t->kvm, &t->head, &t->sptes[nr]);
		list_check(test, t);
		list_add_nr(test, t, nr);
	}
}

/* All lists of a slot. */

/* Parts of two pages of 1G, and of six of 2M. */
#define SLOT_BASE	(0x40000 - 0x301)
#define SLOT_PAGES	0x907
#define MAX_LISTS	(SLOT_PAGES + 16)

/**
 * struct walk_test - the lists of a slot, and which ones a walk came to
 * @kvm: a VM
 * @slot: the slot, no VM's
 * @nr_lists: by level - 1: how many the slot has
 * @spte: is on all lists that are not empty
 * @flush_at: the handler wants a flush after this many lists
 * @nr_visited: how many lists the handler was called for
 * @visited: which ones
 * @rnd: everything that is random
 */
struct walk_test {
	struct kvm *kvm;
	struct kvm_memory_slot slot;
	unsigned int nr_lists[KVM_NR_PAGE_SIZES];
	u64 spte;
	unsigned int flush_at;
	unsigned int nr_visited;
	struct kvm_rmap_head *visited[MAX_LISTS];
	struct rnd_state rnd;
};

/* The handler is told nothing but the list. */
static struct walk_test *walk_current;

static bool walk_visit(struct kvm *kvm, struct kvm_rmap_head *head,
		       const struct kvm_memory_slot *slot)
{
	struct walk_test *t = walk_current;

	if (kvm != t->kvm || slot != &t->slot || t->nr_visited == MAX_LISTS)
		return false;

	t->visited[t->nr_visited++] = head;
	return t->nr_visited == t->flush_at;
}

static unsigned int pages_of(int level)
{
	return level == PG_LEVEL_1G ? 0x40000 : level == PG_LEVEL_2M ? 0x200 : 1;
}

static struct kvm_rmap_head *list_of(struct walk_test *t, gfn_t gfn, int level)
{
	const unsigned int nr = pages_of(level);

	return &t->slot.arch.rmap[level - 1][gfn / nr - SLOT_BASE / nr];
}

static struct walk_test *walk_create(struct kunit *test)
{
	struct walk_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	unsigned int nr;
	int level;

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->kvm = kvm_test_create_vm(test);
	t->spte = SPTE_PRESENT;
	t->slot.base_gfn = SLOT_BASE;
	t->slot.npages = SLOT_PAGES;
	prandom_seed_state(&t->rnd, 7);

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_1G; level++) {
		nr = (SLOT_BASE + SLOT_PAGES - 1) / pages_of(level) -
		     SLOT_BASE / pages_of(level) + 1;
		t->nr_lists[level - 1] = nr;
		t->slot.arch.rmap[level - 1] =
			kunit_kcalloc(test, nr, sizeof(struct kvm_rmap_head),
				      GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, t->slot.arch.rmap[level - 1]);
	}
	return t;
}

/* One list in @rarity is not empty. */
static void walk_fill(struct walk_test *t, unsigned int rarity)
{
	struct kvm_rmap_head *heads;
	unsigned int i;
	gfn_t gfn;
	int level;

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_1G; level++) {
		heads = t->slot.arch.rmap[level - 1];
		for (i = 0; i < t->nr_lists[level - 1]; i++)
			heads[i].val = prandom_u32_state(&t->rnd) % rarity ? 0 :
				       (unsigned long)&t->spte;
	}
	for (gfn = SLOT_BASE; gfn < SLOT_BASE + SLOT_PAGES; gfn++)
		if (!rmap_empty(list_of(t, gfn, PG_LEVEL_4K)))
			rmap_mark_below(&t->slot, gfn);
}

static bool walk_run(struct walk_test *t, const struct shadow_rmap_walk *walk)
{
	bool flush;

	walk_current = t;
	t->nr_visited = 0;
	write_lock(&t->kvm->mmu_lock);
	flush = shadow_rmap_walk(t->kvm, walk, walk_visit);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

/* The walk has come to all lists that some gfn of the range has, in order. */
static void walk_check(struct kunit *test, struct walk_test *t,
		       const struct shadow_rmap_walk *walk)
{
	struct kvm_rmap_head *head, *last;
	unsigned int nr = 0;
	gfn_t gfn;
	int level;

	for (level = walk->min_level; level <= walk->max_level; level++) {
		last = NULL;
		for (gfn = walk->start; gfn < walk->end; gfn++) {
			head = list_of(t, gfn, level);
			if (head == last || rmap_empty(head))
				continue;
			last = head;
			KUNIT_ASSERT_LT(test, nr, t->nr_visited);
			KUNIT_ASSERT_PTR_EQ(test, t->visited[nr], head);
			nr++;
		}
	}
	KUNIT_EXPECT_EQ(test, nr, t->nr_visited);
}

static gfn_t random_gfn(struct walk_test *t)
{
	return SLOT_BASE + prandom_u32_state(&t->rnd) % SLOT_PAGES;
}

static int random_level(struct walk_test *t)
{
	return PG_LEVEL_4K + prandom_u32_state(&t->rnd) % KVM_NR_PAGE_SIZES;
}

static struct shadow_rmap_walk random_walk(struct walk_test *t)
{
	const gfn_t a = random_gfn(t), b = random_gfn(t);
	const int c = random_level(t), d = random_level(t);

	return (struct shadow_rmap_walk) {
		.slot = &t->slot,
		.start = min(a, b),
		.end = max(a, b) + 1,
		.min_level = min(c, d),
		.max_level = max(c, d),
		.can_yield = prandom_u32_state(&t->rnd) % 2,
	};
}

static void walk_random(struct kunit *test)
{
	struct walk_test *t = walk_create(test);
	struct shadow_rmap_walk walk;
	bool flush;
	int i;

	for (i = 0; i < 300; i++) {
		walk_fill(t, i % 3 ? 1 + i : 1);
		walk = random_walk(t);
		t->flush_at = prandom_u32_state(&t->rnd) % 40;
		flush = walk_run(t, &walk);
		walk_check(test, t, &walk);
		KUNIT_EXPECT_EQ(test, flush,
				t->flush_at && t->flush_at <= t->nr_visited);
	}
}

static struct shadow_rmap_walk whole_slot(struct walk_test *t)
{
	return (struct shadow_rmap_walk) {
		.slot = &t->slot,
		.start = SLOT_BASE,
		.end = SLOT_BASE + SLOT_PAGES,
		.min_level = PG_LEVEL_4K,
		.max_level = KVM_MAX_HUGEPAGE_LEVEL,
	};
}

static void walk_whole_slot(struct kunit *test)
{
	struct walk_test *t = walk_create(test);
	struct shadow_rmap_walk walk = whole_slot(t);

	walk.can_yield = true;
	KUNIT_EXPECT_FALSE(test, walk_run(t, &walk));
	KUNIT_EXPECT_EQ(test, t->nr_visited, 0);

	walk_fill(t, 1);
	walk_run(t, &walk);
	walk_check(test, t, &walk);
	KUNIT_EXPECT_EQ(test, t->nr_visited,
			t->nr_lists[0] + t->nr_lists[1] + t->nr_lists[2]);
}

/* There is nothing to walk, but another slot of the same unmap has left a flush due. */
static void walk_without_rmaps(struct kunit *test)
{
	struct walk_test *t = walk_create(test);
	struct shadow_rmap_walk walk = whole_slot(t);

	walk.flush_on_yield = true;
	walk.flush_due = true;
	memset(t->slot.arch.rmap, 0, sizeof(t->slot.arch.rmap));
	KUNIT_EXPECT_TRUE(test, walk_run(t, &walk));
	KUNIT_EXPECT_EQ(test, t->nr_visited, 0);
}

static struct kunit_case rmap_cases[] = {
	KUNIT_CASE_PARAM(list_random, list_sizes_gen_params),
	KUNIT_CASE_PARAM(list_first_in_first_out, list_sizes_gen_params),
	KUNIT_CASE_PARAM(list_last_in_first_out, list_sizes_gen_params),
	KUNIT_CASE_PARAM(list_take_first, list_sizes_gen_params),
	KUNIT_CASE_PARAM(list_clear, list_sizes_gen_params),
	KUNIT_CASE_PARAM(list_del_missing, list_sizes_gen_params),
	KUNIT_CASE(walk_random),
	KUNIT_CASE(walk_whole_slot),
	KUNIT_CASE(walk_without_rmaps),
	{}
};

/* There are blocks when a vendor module is loaded; else the tests need some. */
static bool own_blocks;

static int rmap_suite_init(struct kunit_suite *suite)
{
	own_blocks = !rmap_block_cache;
	return own_blocks ? rmap_module_init() : 0;
}

static void rmap_suite_exit(struct kunit_suite *suite)
{
	if (own_blocks)
		rmap_module_exit();
}

static struct kunit_suite rmap_suite = {
	.name = "kvm_shadow_rmap",
	.suite_init = rmap_suite_init,
	.suite_exit = rmap_suite_exit,
	.test_cases = rmap_cases,
};

kunit_test_suite(rmap_suite);
