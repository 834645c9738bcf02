// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unsync pages: what shadow_try_unsync() makes unsync, the bits that lead to it
 * from above, and the searches that follow them.  The trees are made by hand, and
 * a model searches them without any bits.
 *
 * The sweeps count failures and check the count.  No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/spinlock.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_vm.h"

#define TREE_PAGES	64
#define TREE_LINKS	64

struct tree_link {
	unsigned int parent;
	unsigned int index;
	unsigned int child;
};

/**
 * struct tree - shadow pages and how they are linked
 * @kvm: their VM
 * @sp: the pages
 * @nr: how many there are
 * @link: the model's idea of the links
 * @nr_links: how many there are
 * @blocks: for lists of parents
 */
struct tree {
	struct kvm *kvm;
	struct kvm_mmu_page *sp[TREE_PAGES];
	unsigned int nr;
	struct tree_link link[TREE_LINKS];
	unsigned int nr_links;
	struct kvm_mmu_memory_cache blocks;
};

static void tree_destroy(void *data)
{
	struct tree *tree = data;
	struct kvm_mmu_page *sp;

	while (tree->nr) {
		sp = tree->sp[--tree->nr];
		rmap_clear(&sp->parents);
		hlist_del_init(&sp->hash_link);
		free_page((unsigned long)sp->spt);
		kfree(sp);
	}
	tree->kvm->arch.indirect_shadow_pages = 0;
	kvm_mmu_free_memory_cache(&tree->blocks);
}

static void tree_blocks_exit(void *unused)
{
	rmap_module_exit();
}

/* There are no blocks before a vendor module is loaded. */
static void tree_blocks_init(struct kunit *test)
{
	if (rmap_block_cache)
		return;

	KUNIT_ASSERT_EQ(test, 0, rmap_module_init());
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, tree_blocks_exit,
							   NULL));
}

static struct tree *tree_create(struct kunit *test)
{
	struct tree *tree = kunit_kzalloc(test, sizeof(*tree), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, tree);
	tree_blocks_init(test);
	tree->kvm = kvm_test_create_vm(test);
	shadow_test_first_root(test, tree->kvm);
	tree->blocks.kmem_cache = rmap_block_cache;
	tree->blocks.gfp_zero = __GFP_ZERO;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, tree_destroy,
							   tree));
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(&tree->blocks, 32));
	return tree;
}

/* A page that shadows the table at its number as gfn; returns the number. */
static unsigned int tree_page(struct kunit *test, struct tree *tree, int level)
{
	struct kvm_mmu_page *sp;
	int i;

	KUNIT_ASSERT_LT(test, tree->nr, TREE_PAGES);
	sp = kzalloc(sizeof(*sp), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->spt = (u64 *)__get_free_page(GFP_KERNEL);
	if (!sp->spt)
		kfree(sp);
	KUNIT_ASSERT_NOT_NULL(test, sp->spt);
	set_page_private(virt_to_page(sp->spt), (unsigned long)sp);
	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		sp->spt[i] = SPTE_NONE;

	sp->gfn = tree->nr;
	sp->role.level = level;
	sp->state = SP_ACTIVE;
	sp->mmu_valid_gen = tree->kvm->arch.mmu_valid_gen;
	shadow_hash_add(tree->kvm, sp);
	tree->kvm->arch.indirect_shadow_pages++;
	tree->sp[tree->nr] = sp;
	return tree->nr++;
}

static void tree_link(struct kunit *test, struct tree *tree, unsigned int parent,
		      unsigned int index, unsigned int child)
{
	u64 *sptep = &tree->sp[parent]->spt[index];

	KUNIT_ASSERT_LT(test, tree->nr_links, TREE_LINKS);
	*sptep = __pa(tree->sp[child]->spt) | SPTE_PRESENT;
	rmap_add(&tree->blocks, &tree->sp[child]->parents, sptep);
	tree->link[tree->nr_links++] = (struct tree_link){ parent, index, child };
}

/*
 * Two roots, 0 and 1; pages that both reach, that one root links to twice, and
 * that have parents in two places; leaves from LEAF on.
 */
#define LEAF		7
#define NR_LEAVES	6
#define ALL_LEAVES	(BIT(NR_LEAVES) - 1)

static struct tree *tree_of_two_roots(struct kunit *test)
{
	static const int levels[LEAF + NR_LEAVES] = {
		4, 4, 3, 3, 2, 2, 2, 1, 1, 1, 1, 1, 1
	};
	static const struct tree_link links[] = {
		{ 0, 0, 2 }, { 0, 511, 3 },
		{ 1, 5, 2 }, { 1, 64, 2 },
		{ 2, 0, 4 }, { 2, 63, 5 },
		{ 3, 64, 5 }, { 3, 100, 6 },
		{ 4, 1, 7 }, { 4, 2, 8 }, { 4, 3, 7 },
		{ 5, 0, 9 }, { 5, 511, 10 },
		{ 6, 10, 11 }, { 6, 11, 12 }, { 6, 12, 10 },
	};
	struct tree *tree = tree_create(test);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(levels); i++)
		tree_page(test, tree, levels[i]);
	for (i = 0; i < ARRAY_SIZE(links); i++)
		tree_link(test, tree, links[i].parent, links[i].index,
			  links[i].child);
	return tree;
}

/* The model: is a page unsync, or has it such pages below? */
static bool model_unsync(const struct tree *tree, unsigned int page)
{
	unsigned int i;

	if (tree->sp[page]->unsync)
		return true;

	for (i = 0; i < tree->nr_links; i++)
		if (tree->link[i].parent == page &&
		    model_unsync(tree, tree->link[i].child))
			return true;
	return false;
}

/* The leaves that a page reaches and that are unsync, as a mask. */
static unsigned long model_leaves(const struct tree *tree, unsigned int page)
{
	unsigned long mask = tree->sp[page]->unsync ? BIT(page - LEAF) : 0;
	unsigned int i;

	for (i = 0; i < tree->nr_links; i++)
		if (tree->link[i].parent == page)
			mask |= model_leaves(tree, tree->link[i].child);
	return mask;
}

/* How a page's bits differ from the model's. */
struct bits_diff {
	unsigned int missing;
	unsigned int stale;
	unsigned int miscounted;
};

static struct bits_diff tree_compare(const struct tree *tree)
{
	DECLARE_BITMAP(model, SPTE_ENT_PER_PAGE);
	struct bits_diff diff = {};
	unsigned int page, i;

	for (page = 0; page < tree->nr; page++) {
		const struct kvm_mmu_page *sp = tree->sp[page];

		bitmap_zero(model, SPTE_ENT_PER_PAGE);
		for (i = 0; i < tree->nr_links; i++)
			if (tree->link[i].parent == page &&
			    model_unsync(tree, tree->link[i].child))
				__set_bit(tree->link[i].index, model);

		diff.missing += !bitmap_subset(model, sp->unsync_child,
					       SPTE_ENT_PER_PAGE);
		diff.stale += !bitmap_subset(sp->unsync_child, model,
					     SPTE_ENT_PER_PAGE);
		diff.miscounted += sp->unsync_children !=
				   bitmap_weight(sp->unsync_child,
						 SPTE_ENT_PER_PAGE);
	}
	return diff;
}

/* The bits are exactly the model's. */
static void expect_exact(struct kunit *test, const struct tree *tree)
{
	const struct bits_diff diff = tree_compare(tree);

	KUNIT_EXPECT_EQ(test, diff.missing, 0);
	KUNIT_EXPECT_EQ(test, diff.stale, 0);
	KUNIT_EXPECT_EQ(test, diff.miscounted, 0);
}

static int try_unsync(struct tree *tree, gfn_t gfn, bool can_unsync, bool prefetch)
{
	int r;

	/* As a fault of direct paging does. */
	read_lock(&tree->kvm->mmu_lock);
	r = shadow_try_unsync(tree->kvm, NULL, gfn, can_unsync, prefetch);
	read_unlock(&tree->kvm->mmu_lock);
	return r;
}

/* Return: how many calls failed. */
static unsigned int unsync_leaves(struct tree *tree, unsigned long leaves)
{
	unsigned int leaf, bad = 0;

	for_each_set_bit(leaf, &leaves, NR_LEAVES)
		bad += try_unsync(tree, LEAF + leaf, true, false) != 0;
	return bad;
}

static void sync_leaves(struct tree *tree, unsigned long leaves)
{
	unsigned int leaf;

	for_each_set_bit(leaf, &leaves, NR_LEAVES)
		shadow_clear_unsync(tree->kvm, tree->sp[LEAF + leaf]);
}

/* Search below a page; return what is found as a mask. */
static unsigned long find_leaves(struct tree *tree, unsigned int page)
{
	struct kvm_mmu_page *found[SHADOW_UNSYNC_BATCH];
	unsigned long mask = 0;
	unsigned int nr;

	nr = shadow_find_unsync(tree->sp[page], found, 0);
	while (nr--)
		mask |= BIT(found[nr]->gfn - LEAF);
	return mask;
}

/* Each leaf after the others, in both orders. */
static void unsync_marks_all_above(struct kunit *test)
{
	struct tree *up = tree_of_two_roots(test);
	struct tree *down = tree_of_two_roots(test);
	unsigned int i;

	expect_exact(test, up);
	for (i = 0; i < NR_LEAVES; i++) {
		KUNIT_EXPECT_EQ(test, 0, unsync_leaves(up, BIT(i)));
		KUNIT_EXPECT_EQ(test, 0,
				unsync_leaves(down, BIT(NR_LEAVES - 1 - i)));
		expect_exact(test, up);
		expect_exact(test, down);
		KUNIT_EXPECT_EQ(test, up->kvm->stat.mmu_unsync, i + 1);
	}
}

/* A search finds what can be reached, and changes nothing that is true. */
static void unsync_find(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	unsigned int page, bad = 0;
	unsigned long leaves;

	for (leaves = 0; leaves <= ALL_LEAVES; leaves++) {
		bad += unsync_leaves(tree, leaves);
		for (page = 0; page < LEAF; page++)
			bad += find_leaves(tree, page) !=
			       model_leaves(tree, page);
		expect_exact(test, tree);

		sync_leaves(tree, leaves);
		bad += find_leaves(tree, 0) || find_leaves(tree, 1);
		expect_exact(test, tree);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, tree->kvm->stat.mmu_unsync, 0);
}

/*
 * Some of the leaves are synced.  A search from one root cleans up below it, and
 * misses nothing anywhere; after a search from both, all bits are true.
 */
static void unsync_part(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	unsigned long before, after;
	struct bits_diff diff;
	unsigned int bad = 0;

	for (before = 0; before <= ALL_LEAVES; before++) {
		for (after = 0; after < before; after++) {
			if (after & ~before)
				continue;
			bad += unsync_leaves(tree, before);
			sync_leaves(tree, before & ~after);

			bad += find_leaves(tree, 0) != model_leaves(tree, 0);
			bad += !tree->sp[0]->unsync_children != !model_leaves(tree, 0);
			diff = tree_compare(tree);
			bad += diff.missing || diff.miscounted;

			find_leaves(tree, 1);
			diff = tree_compare(tree);
			bad += diff.missing || diff.miscounted || diff.stale;

			sync_leaves(tree, after);
			find_leaves(tree, 0);
			find_leaves(tree, 1);
		}
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* A bit of an entry that links to nothing any more goes with the next search. */
static void unsync_stale_link(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	struct kvm_mmu_page *parent = tree->sp[6];
	u64 *cut = &parent->spt[10];

	KUNIT_EXPECT_EQ(test, 0, unsync_leaves(tree, ALL_LEAVES));
	rmap_del(tree->kvm, &tree->sp[11]->parents, cut);
	*cut = SPTE_NONE;
	KUNIT_EXPECT_TRUE(test, test_bit(10, parent->unsync_child));

	KUNIT_EXPECT_EQ(test, find_leaves(tree, 3),
			model_leaves(tree, 3) & ~BIT(11 - LEAF));
	KUNIT_EXPECT_FALSE(test, test_bit(10, parent->unsync_child));
	KUNIT_EXPECT_EQ(test, parent->unsync_children, 2);
}

/* More pages than one search finds: each is found, and the bits last as long. */
static void unsync_batches(struct kunit *test)
{
	const unsigned int nr_leaves = 2 * SHADOW_UNSYNC_BATCH + 3;
	struct kvm_mmu_page *found[SHADOW_UNSYNC_BATCH];
	struct tree *tree = tree_create(test);
	unsigned int i, nr, synced = 0, rounds = 0;

	tree_page(test, tree, 3);
	tree_page(test, tree, 2);
	tree_link(test, tree, 0, 300, 1);
	for (i = 0; i < nr_leaves; i++) {
		unsigned int leaf = tree_page(test, tree, 1);

		tree_link(test, tree, 1, 13 * i, leaf);
		KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, leaf, true, false));
	}

	while ((nr = shadow_find_unsync(tree->sp[0], found, 0))) {
		KUNIT_EXPECT_EQ(test, nr, min(nr_leaves - synced,
					      SHADOW_UNSYNC_BATCH));
		rounds++;
		synced += nr;
		while (nr--)
			shadow_clear_unsync(tree->kvm, found[nr]);
		KUNIT_EXPECT_EQ(test, tree->sp[0]->unsync_children, 1);
	}

	KUNIT_EXPECT_EQ(test, rounds, 3);
	KUNIT_EXPECT_EQ(test, synced, nr_leaves);
	expect_exact(test, tree);
}

/* What the caller of shadow_try_unsync() may do, and what it leaves alone. */
static void unsync_answers(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	const gfn_t no_table = tree->nr, table = LEAF;

	KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, no_table, true, false));
	KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, no_table, false, true));

	KUNIT_EXPECT_EQ(test, -EPERM, try_unsync(tree, table, false, false));
	KUNIT_EXPECT_EQ(test, -EPERM, try_unsync(tree, table, false, true));
	KUNIT_EXPECT_EQ(test, -EEXIST, try_unsync(tree, table, true, true));
	KUNIT_EXPECT_FALSE(test, tree->sp[LEAF]->unsync);
	expect_exact(test, tree);

	KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, table, true, false));
	KUNIT_EXPECT_TRUE(test, tree->sp[LEAF]->unsync);
	/* It is writable already: a prefetch may map it so, a sync may not. */
	KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, table, true, true));
	KUNIT_EXPECT_EQ(test, -EPERM, try_unsync(tree, table, false, true));
	KUNIT_EXPECT_EQ(test, tree->kvm->stat.mmu_unsync, 1);
}

/* All pages of a gfn become unsync at once. */
static void unsync_same_gfn(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	struct kvm_mmu_page *twin = tree->sp[LEAF + 5];

	hlist_del_init(&twin->hash_link);
	twin->gfn = LEAF;
	twin->role.smm = 1;
	shadow_hash_add(tree->kvm, twin);

	KUNIT_EXPECT_EQ(test, 0, try_unsync(tree, LEAF, true, false));
	KUNIT_EXPECT_TRUE(test, tree->sp[LEAF]->unsync && twin->unsync);
	expect_exact(test, tree);
}

static void unsync_root(struct kunit *test)
{
	struct tree *tree = tree_of_two_roots(test);
	const hpa_t roots[] = {
		__pa(tree->sp[0]->spt), __pa(tree->sp[1]->spt),
	};

	KUNIT_EXPECT_FALSE(test, shadow_root_unsync(INVALID_PAGE));
	KUNIT_EXPECT_FALSE(test, shadow_root_unsync(mmu_dummy_root()));
	KUNIT_EXPECT_FALSE(test, shadow_root_unsync(roots[0]));

	/* Only root 0 reaches leaf 4. */
	KUNIT_EXPECT_EQ(test, 0, unsync_leaves(tree, BIT(4)));
	KUNIT_EXPECT_TRUE(test, shadow_root_unsync(roots[0]));
	KUNIT_EXPECT_FALSE(test, shadow_root_unsync(roots[1]));

	sync_leaves(tree, BIT(4));
	find_leaves(tree, 0);
	KUNIT_EXPECT_FALSE(test, shadow_root_unsync(roots[0]));
}

static struct kunit_case shadow_sync_cases[] = {
	KUNIT_CASE(unsync_marks_all_above),
	KUNIT_CASE(unsync_find),
	KUNIT_CASE(unsync_part),
	KUNIT_CASE(unsync_stale_link),
	KUNIT_CASE(unsync_batches),
	KUNIT_CASE(unsync_answers),
	KUNIT_CASE(unsync_same_gfn),
	KUNIT_CASE(unsync_root),
	{}
};

static struct kunit_suite shadow_sync_suite = {
	.name = "kvm_shadow_sync",
	.test_cases = shadow_sync_cases,
};

kunit_test_suite(shadow_sync_suite);
