// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging's writers (tdp_pte.h), in every format: what was replaced, what
 * is counted, what the host's mm is told, which tables go.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/nx_huge_page.h"
#include "test_tdp_formats.h"

#define W_BITS	(PT_WRITABLE_MASK | spte_fmt.mmu_writable)

static int zap_atomic(struct tdp_test *t, struct tdp_iter *iter)
{
	int r;

	tdp_test_begin(t, true);
	r = tdp_zap_atomic(t->kvm, iter);
	tdp_test_end(t, true);
	return r;
}

static void set(struct tdp_test *t, struct tdp_iter *iter, u64 spte)
{
	tdp_test_begin(t, false);
	tdp_set(t->kvm, iter, spte);
	tdp_test_end(t, false);
}

static bool clear_bits(struct tdp_test *t, struct tdp_iter *iter, u64 bits)
{
	bool cleared;

	tdp_test_begin(t, true);
	cleared = tdp_clear_bits(t->kvm, iter, bits);
	tdp_test_end(t, true);
	return cleared;
}

static bool clear_accessed(struct tdp_test *t, struct tdp_iter *iter)
{
	bool young;

	rcu_read_lock();
	young = tdp_clear_accessed(t->kvm, iter);
	rcu_read_unlock();
	return young;
}

static int split(struct tdp_test *t, struct tdp_iter *iter,
		 struct tdp_table *sp, bool shared)
{
	int r;

	tdp_test_begin(t, shared);
	r = tdp_split(t->kvm, iter, sp, shared);
	tdp_test_end(t, shared);
	return r;
}

/* Of Dirty, the host's mm was told by who set M: no writer touches the page. */
static void expect_told(struct kunit *test, struct tdp_test *t, bool accessed)
{
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(t));
	KUNIT_EXPECT_EQ(test, tdp_test_told_accessed(t), accessed);
}

static void set_counts_and_tells(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_path(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);

	set(t, &iter, spte);
	KUNIT_EXPECT_EQ(test, iter.old, SPTE_NONE);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), spte);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	expect_told(test, t, false);

	/* W and M go. */
	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	set(t, &iter, spte & ~W_BITS);
	KUNIT_EXPECT_EQ(test, iter.old, spte);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	expect_told(test, t, false);

	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	set(t, &iter, SPTE_NONE);
	KUNIT_EXPECT_EQ(test, iter.old, spte & ~W_BITS);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	expect_told(test, t, true);
}

/* A and D by the CPU, or W by the fast page fault, after the walk has read. */
static void set_sees_volatile_bits(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_path(test, t, TEST_GFN, PG_LEVEL_4K);
	bool ad = t->format->ad;
	u64 before = tdp_test_leaf(t, PG_LEVEL_4K, ad ? W_BITS : spte_fmt.mmu_writable);
	u64 now = tdp_test_used_leaf(t, PG_LEVEL_4K);

	KUNIT_ASSERT_EQ(test, 0, tdp_test_set_atomic(t, &iter, before));
	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	*tdp_test_raw(&iter) = now;

	set(t, &iter, SPTE_NONE);
	KUNIT_EXPECT_EQ(test, iter.old, now);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	expect_told(test, t, true);
}

static void set_at_counts_and_tells(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_2M), old;

	tdp_test_begin(t, false);
	old = tdp_set_at(t->kvm, sptep_to_tdp(tdp_test_raw(&iter)), iter.sptep,
			 SPTE_NONE);
	tdp_test_end(t, false);
	KUNIT_EXPECT_EQ(test, old, spte);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	expect_told(test, t, true);
}

static void set_atomic_counts_and_tells(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);

	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_set_atomic(t, &iter, SPTE_NONE), 0);
	KUNIT_EXPECT_EQ(test, iter.old, spte);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(t), 0);
	expect_told(test, t, true);
}

static void set_atomic_loses(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 other = tdp_test_leaf(t, PG_LEVEL_4K, spte_fmt.accessed);

	*tdp_test_raw(&iter) = other;
	KUNIT_EXPECT_EQ(test, tdp_test_set_atomic(t, &iter, SPTE_NONE), -EBUSY);
	KUNIT_EXPECT_EQ(test, iter.old, other);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), other);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	expect_told(test, t, false);

	/* What it has read anew is good for another try. */
	KUNIT_EXPECT_EQ(test, tdp_test_set_atomic(t, &iter, SPTE_NONE), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
}

static void zap_atomic_flushes(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);

	KUNIT_EXPECT_EQ(test, zap_atomic(t, &iter), 0);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(t), 1);
	expect_told(test, t, true);
}

static void zap_atomic_loses(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 other = tdp_test_leaf(t, PG_LEVEL_4K, spte_fmt.accessed);

	*tdp_test_raw(&iter) = other;
	KUNIT_EXPECT_EQ(test, zap_atomic(t, &iter), -EBUSY);
	KUNIT_EXPECT_EQ(test, iter.old, other);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), other);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(t), 0);
}

static void clear_bits_takes_and_tells(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	bool ad = t->format->ad;
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);

	KUNIT_EXPECT_TRUE(test, clear_bits(t, &iter, PT_WRITABLE_MASK));
	KUNIT_EXPECT_EQ(test, iter.old, spte);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), spte & ~PT_WRITABLE_MASK);
	expect_told(test, t, false);

	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	KUNIT_EXPECT_FALSE(test, clear_bits(t, &iter, PT_WRITABLE_MASK));
	expect_told(test, t, false);

	KUNIT_EXPECT_EQ(test, clear_bits(t, &iter, spte_fmt.dirty), ad);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter),
			spte & ~(PT_WRITABLE_MASK | spte_fmt.dirty));
	expect_told(test, t, false);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
}

/* The CPU or the fast page fault sets a bit after the walk has read. */
static void clear_bits_sees_volatile_bits(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);

	iter.old &= ~(spte_fmt.dirty | spte_fmt.accessed);
	KUNIT_EXPECT_TRUE(test, clear_bits(t, &iter, PT_WRITABLE_MASK));
	KUNIT_EXPECT_EQ(test, iter.old, spte);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), spte & ~PT_WRITABLE_MASK);
}

/* What no leaf is any more, with the bits that were to be cleared. */
static void race_others(struct tdp_test *t, u64 *other)
{
	other[0] = SPTE_FROZEN;
	other[1] = t->kvm->arch.shadow_mmio_value | spte_fmt.accessed | spte_fmt.dirty;
	other[2] = spte_make_table(page_address(t->page), !mmu_ad_enabled());
}

static void only_leaves_change(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	const u64 bits = W_BITS | spte_fmt.accessed | spte_fmt.dirty;
	const u64 spte = tdp_test_used_leaf(t, PG_LEVEL_2M);
	u64 other[3];
	int i;

	race_others(t, other);
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		*tdp_test_raw(&iter) = other[i];

		iter.old = spte;
		KUNIT_EXPECT_FALSE(test, clear_bits(t, &iter, bits));
		KUNIT_EXPECT_EQ(test, iter.old, other[i]);
		KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), other[i]);

		iter.old = spte;
		KUNIT_EXPECT_TRUE(test, clear_accessed(t, &iter));
		KUNIT_EXPECT_EQ(test, iter.old, other[i]);
		KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), other[i]);
	}
	*tdp_test_raw(&iter) = spte;
}

static void clear_accessed_ages(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);

	KUNIT_EXPECT_TRUE(test, clear_accessed(t, &iter));
	KUNIT_EXPECT_EQ(test, iter.old, spte);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), spte_make_old(spte));
	expect_told(test, t, false);

	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	KUNIT_EXPECT_FALSE(test, clear_accessed(t, &iter));
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&iter), spte_make_old(spte));
	expect_told(test, t, false);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
}

static void link_counts(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	struct tdp_table *sp = tdp_test_table(test, t, &iter);
	bool shared;

	KUNIT_EXPECT_EQ(test, sp->table.state, SP_ALLOC);
	KUNIT_EXPECT_EQ(test, tdp_test_link(t, &iter, sp, true), 0);
	KUNIT_EXPECT_EQ(test, sp->table.state, SP_ACTIVE);
	KUNIT_EXPECT_PTR_EQ(test, spte_child(*tdp_test_raw(&iter)), &sp->table);
	KUNIT_EXPECT_EQ(test, (int)sp->table.role.level, 3);
	KUNIT_EXPECT_EQ(test, sp->table.gfn, gfn_round_for_level(TEST_GFN, 4));
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 1);

	/* Somebody else has linked one meanwhile. */
	iter.old = SPTE_NONE;
	sp = tdp_test_table(test, t, &iter);
	KUNIT_EXPECT_EQ(test, tdp_test_link(t, &iter, sp, true), -EBUSY);
	KUNIT_EXPECT_EQ(test, sp->table.state, SP_ALLOC);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 1);
	tdp_table_free(sp);

	for (shared = false; tdp_test_tables(t) < 3; shared = true) {
		iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
		sp = tdp_test_table(test, t, &iter);
		KUNIT_ASSERT_EQ(test, 0, tdp_test_link(t, &iter, sp, shared));
	}
	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, iter.level, PG_LEVEL_4K);
}

static int bad_pieces(struct tdp_test *t, const u64 *pieces)
{
	u64 spte = tdp_test_used_leaf(t, PG_LEVEL_4K);
	int i, bad = 0;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		bad += pieces[i] != spte + PFN_PHYS(i);
	return bad;
}

static void test_split(struct kunit *test, bool shared)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	struct tdp_table *sp = tdp_test_table(test, t, &iter);
	s64 tables = tdp_test_tables(t);

	KUNIT_EXPECT_EQ(test, split(t, &iter, sp, shared), 0);
	KUNIT_EXPECT_PTR_EQ(test, spte_child(*tdp_test_raw(&iter)), &sp->table);
	KUNIT_EXPECT_EQ(test, bad_pieces(t, sp->table.spt), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), SPTE_ENT_PER_PAGE);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), tables + 1);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(t), 0);
}

static void split_shared(struct kunit *test)
{
	test_split(test, true);
}

static void split_exclusive(struct kunit *test)
{
	test_split(test, false);
}

/* The huge page got W since the walk has read: the pieces would not have it. */
static void split_loses(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	struct tdp_table *sp = tdp_test_table(test, t, &iter);
	s64 tables = tdp_test_tables(t);

	iter.old &= ~PT_WRITABLE_MASK;
	KUNIT_EXPECT_EQ(test, split(t, &iter, sp, true), -EBUSY);
	KUNIT_EXPECT_EQ(test, iter.old, tdp_test_used_leaf(t, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, sp->table.state, SP_ALLOC);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), tables);

	/* The same table is good for another try. */
	tdp_table_init_child(sp, &iter);
	KUNIT_EXPECT_EQ(test, split(t, &iter, sp, true), 0);
	KUNIT_EXPECT_EQ(test, bad_pieces(t, sp->table.spt), 0);
}

/* Subtrees */

#define NR_LEAVES	5

/* Two tables of pages below one 1G range, the second one tracked for NX. */
static void grow_subtree(struct kunit *test, struct tdp_test *t)
{
	struct tdp_table *sp;
	struct tdp_iter iter;
	int i;

	for (i = 0; i < NR_LEAVES; i++)
		iter = tdp_test_map(test, t, TEST_GFN + i * 100, PG_LEVEL_4K);
	iter = tdp_test_map(test, t, TEST_HUGE_GFN + 7 * 512, PG_LEVEL_2M);

	sp = sptep_to_tdp(tdp_test_raw(&iter));
	sp->table.nx_huge_page_disallowed = true;
	tdp_test_begin(t, false);
	nx_huge_page_track(t->kvm, &sp->table);
	tdp_test_end(t, false);
}

struct unlinked {
	int frozen_2m;
	int frozen_4k;
	bool zapped;
};

static int count_frozen(const struct tdp_table *sp)
{
	int i, n = 0;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		n += spte_frozen(sp->table.spt[i]);
	return n;
}

/*
 * Replaces the link to the table of 2M pages, and looks at what is gone as a
 * reader under RCU may.
 */
static struct unlinked unlink_subtree(struct tdp_test *t, u64 spte, bool shared)
{
	struct tdp_iter pages = tdp_test_walk(t, TEST_GFN, PG_LEVEL_4K);
	struct tdp_iter tables = tdp_test_walk(t, TEST_GFN, PG_LEVEL_2M);
	struct tdp_iter iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_1G);
	struct tdp_table *sp_4k = sptep_to_tdp(tdp_test_raw(&pages));
	struct tdp_table *sp_2m = sptep_to_tdp(tdp_test_raw(&tables));
	const struct page *spt = virt_to_page(sp_4k->table.spt);
	struct unlinked u;
	int r = 0;

	tdp_test_begin(t, shared);
	if (shared)
		r = tdp_set_atomic(t->kvm, &iter, spte);
	else
		tdp_set(t->kvm, &iter, spte);
	u.zapped = !r && sp_4k->table.state == SP_ZAPPED && sp_2m->table.state == SP_ZAPPED;
	u.frozen_2m = count_frozen(sp_2m);
	u.frozen_4k = count_frozen(sp_4k);
	/* The reader that looks keeps the memory. */
	u.zapped &= page_count(spt) > 0;
	tdp_test_end(t, shared);
	return u;
}

static void test_unlink(struct kunit *test, bool shared)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct unlinked u;

	grow_subtree(test, t);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), NR_LEAVES);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.nx_lpage_splits, 1);

	u = unlink_subtree(t, SPTE_NONE, shared);
	KUNIT_EXPECT_TRUE(test, u.zapped);
	/* If others may map, they must not map in any entry; else nobody writes any. */
	KUNIT_EXPECT_EQ(test, u.frozen_2m, shared ? SPTE_ENT_PER_PAGE : 0);
	KUNIT_EXPECT_EQ(test, u.frozen_4k, shared ? SPTE_ENT_PER_PAGE : 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 1);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.nx_lpage_splits, 0);
	expect_told(test, t, false);
}

static void unlink_shared(struct kunit *test)
{
	test_unlink(test, true);
}

static void unlink_exclusive(struct kunit *test)
{
	test_unlink(test, false);
}

/* kvm.ko may go when all VMs have gone: what frees their tables is in it. */
static void module_waits_for_tables(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct tdp_iter iter = tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	struct page *spt = virt_to_page(tdp_test_raw(&iter));

	get_page(spt);
	iter = tdp_test_walk(t, TEST_GFN, PG_LEVEL_2M);
	set(t, &iter, SPTE_NONE);
	tdp_drain_tables();
	KUNIT_EXPECT_EQ(test, page_count(spt), 1);
	put_page(spt);
}

/*
 * A table that is there for the NX mitigation has lost its slot: it is zapped,
 * also while the log of another slot leaves tables to the end of logging.
 */
static void nx_table_without_slot(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);

	grow_subtree(test, t);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);
	atomic_set(&t->kvm->nr_memslots_dirty_logging, 1);
	nx_huge_page_recover(t->kvm);
	atomic_set(&t->kvm->nr_memslots_dirty_logging, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.nx_lpage_splits, 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 1);
}

/* A huge page in the place of a table: the subtree goes as well. */
static void huge_replaces_table(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct unlinked u;

	grow_subtree(test, t);
	u = unlink_subtree(t, tdp_test_used_leaf(t, PG_LEVEL_1G), true);
	KUNIT_EXPECT_TRUE(test, u.zapped);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_1G), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 1);
}

static struct kunit_case tdp_cases[] = {
	KUNIT_CASE_PARAM(set_counts_and_tells, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(set_sees_volatile_bits, tdp_formats_gen_params),
	KUNIT_CASE(set_at_counts_and_tells),
	KUNIT_CASE_PARAM(set_atomic_counts_and_tells, tdp_formats_gen_params),
	KUNIT_CASE(set_atomic_loses),
	KUNIT_CASE_PARAM(zap_atomic_flushes, tdp_formats_gen_params),
	KUNIT_CASE(zap_atomic_loses),
	KUNIT_CASE_PARAM(clear_bits_takes_and_tells, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(clear_bits_sees_volatile_bits, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(only_leaves_change, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(clear_accessed_ages, tdp_formats_gen_params),
	KUNIT_CASE(link_counts),
	KUNIT_CASE_PARAM(split_shared, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(split_exclusive, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(split_loses, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(unlink_shared, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(unlink_exclusive, tdp_formats_gen_params),
	KUNIT_CASE(module_waits_for_tables),
	KUNIT_CASE(nx_table_without_slot),
	KUNIT_CASE_PARAM(huge_replaces_table, tdp_formats_gen_params),
	{}
};

static struct kunit_suite tdp_suite = {
	.name = "kvm_tdp",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = tdp_cases,
};

kunit_test_suite(tdp_suite);
