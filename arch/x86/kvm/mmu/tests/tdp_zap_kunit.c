// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging by slots and roots (tdp_zap.c): tables go as wholes with what they
 * map, nothing beside it goes, and mmu_lock is let go from table to table.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "forced_yields.h"
#include "test_helper.h"
#include "test_tdp_pages.h"
#include "unmap_hook.h"

static bool zap_slot(struct tdp_test *t, const struct kvm_memory_slot *slot)
{
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_zap_slot(t->kvm, slot, false);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

/* Tables go with what they map, up to the root, which stays. */
static void zap_slot_unlinks_tables(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	KUNIT_EXPECT_FALSE(test, zap_slot(t, create_slot(test, 1)));
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	/* The tables may not be freed before a flush.  Each yield is one more. */
	KUNIT_EXPECT_FALSE(test, zap_slot(t, slot));
	KUNIT_EXPECT_GE(test, tdp_test_flushes(t), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
	KUNIT_EXPECT_TRUE(test, tdp_root_valid(t->root));
}

/* What goes with a table is counted: it is not told to the host's mm, page by page. */
static void zap_slot_tells_nothing(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);

	zap_slot(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_accessed(t));
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(t));
}

/* A table that the slot has in part stays if it maps something else. */
static void zap_slot_leaves_others(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	const gfn_t huge = TEST_HUGE_GFN + 512;

	tdp_test_map(test, t, huge, PG_LEVEL_2M);
	slot->base_gfn = SECOND_PAGE;
	slot->npages = huge + 512 - SECOND_PAGE;
	zap_slot(t, slot);
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), BIT(0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	slot->base_gfn = FIRST_PAGE;
	slot->npages = 1;
	zap_slot(t, slot);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

/* The notifiers do not find a slot that is gone. */
static void zap_slot_in_invalid_roots(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);

	invalidate_roots(t->kvm);
	zap_slot(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

/* Tables of 4K pages side by side, a few pages in each, and two tables above. */
#define NR_TABLES	3

static struct tdp_test *create_tables(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	int i;

	for (i = NR_PAGES; i < NR_TABLES * NR_PAGES; i++)
		tdp_test_map(test, t, TEST_HUGE_GFN + i / NR_PAGES * 512 + i % NR_PAGES,
			     PG_LEVEL_4K);
	KUNIT_ASSERT_EQ(test, tdp_test_tables(t), NR_TABLES + 2);
	return t;
}

/*
 * A fault waits for one table, and not for each page either.  TLBs are flushed
 * whenever mmu_lock is let go, and at the end.
 */
static void zap_slot_yields_by_table(struct kunit *test)
{
	struct tdp_test *t = create_tables(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	struct forced_yields *yields;

	slot->npages = NR_TABLES * 512;
	yields = forced_yields_begin(test, UINT_MAX);
	zap_slot(t, slot);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_GE(test, yields->wanted, NR_TABLES);
	KUNIT_EXPECT_LE(test, yields->wanted, NR_TABLES + 2);
	KUNIT_EXPECT_GE(test, tdp_test_flushes(t), NR_TABLES);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
}

/**
 * struct waiting_fault - a thread that wants mmu_lock for reading, as a fault does
 * @hook: lets it wait when the first table is gone
 * @t: what is mapped
 * @zapper: the test's thread
 * @helper: the thread, on another CPU
 * @begun: it does
 * @waits: it waited when the first table was gone
 * @tables: how many it found when it got mmu_lock
 */
struct waiting_fault {
	struct unmap_hook *hook;
	struct tdp_test *t;
	struct task_struct *zapper;
	struct test_helper *helper;
	bool begun;
	bool waits;
	s64 tables;
};

static void waiting_fault_fn(void *data)
{
	struct waiting_fault *fault = data;

	read_lock(&fault->t->kvm->mmu_lock);
	fault->tables = tdp_test_tables(fault->t);
	read_unlock(&fault->t->kvm->mmu_lock);
}

static void let_fault_wait(void *data)
{
	struct waiting_fault *fault = data;

	if (current != fault->zapper || fault->begun)
		return;

	fault->begun = true;
	test_helper_begin(fault->helper, waiting_fault_fn, fault);
	fault->waits = test_helper_contends(&fault->t->kvm->mmu_lock, TEST_PATIENCE_MS);
}

static struct waiting_fault *create_waiting_fault(struct kunit *test,
						  struct tdp_test *t)
{
	struct waiting_fault *fault = kunit_kzalloc(test, sizeof(*fault), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, fault);
	fault->t = t;
	fault->zapper = current;
	test_stay_on_cpu(test);
	fault->helper = test_helper_create(test);
	fault->hook = unmap_hook_begin(test, let_fault_wait, fault);
	return fault;
}

/* Also on a kernel that is not preemptible. */
static void zap_slot_yields_to_fault(struct kunit *test)
{
	struct kvm_memory_slot *slot;
	struct waiting_fault *fault;
	struct tdp_test *t;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	t = create_tables(test);
	slot = create_slot(test, 0);
	slot->npages = NR_TABLES * 512;
	fault = create_waiting_fault(test, t);
	zap_slot(t, slot);
	unmap_hook_end(test, fault->hook);

	KUNIT_ASSERT_TRUE(test, fault->waits);
	KUNIT_EXPECT_TRUE(test, test_helper_wait(fault->helper, TEST_PATIENCE_MS));
	KUNIT_EXPECT_EQ(test, fault->tables, NR_TABLES - 1 + 2);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void test_zap_mmio(struct kunit *test, bool valid_root)
{
	struct tdp_test *t = create_pages(test);
	struct tdp_iter mmio;
	u64 spte;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	spte = mmio_make_spte(t->kvm, 0, FIRST_PAGE + NR_PAGES, ACC_ALL);
	mmio = tdp_test_path(test, t, FIRST_PAGE + NR_PAGES, PG_LEVEL_4K);
	KUNIT_ASSERT_EQ(test, 0, tdp_test_set_atomic(t, &mmio, spte));
	if (!valid_root)
		invalidate_roots(t->kvm);

	tdp_zap_mmio(t->kvm, 1, 0, tdp_end_gfn());
	tdp_zap_mmio(t->kvm, 0, 0, mmio.gfn);
	tdp_zap_mmio(t->kvm, 0, mmio.gfn + 1, tdp_end_gfn());
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&mmio), spte);

	tdp_zap_mmio(t->kvm, 0, mmio.gfn, mmio.gfn + 1);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&mmio), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES);
}

static void zap_mmio_only(struct kunit *test)
{
	test_zap_mmio(test, true);
}

static void zap_mmio_in_invalid_roots(struct kunit *test)
{
	test_zap_mmio(test, false);
}

static void zap_root(struct tdp_test *t, bool shared)
{
	if (shared)
		read_lock(&t->kvm->mmu_lock);
	else
		write_lock(&t->kvm->mmu_lock);
	tdp_zap_root(t->kvm, t->root, shared);
	if (shared)
		read_unlock(&t->kvm->mmu_lock);
	else
		write_unlock(&t->kvm->mmu_lock);
}

static void test_zap_root(struct kunit *test, bool shared)
{
	struct tdp_test *t = create_pages(test);

	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	zap_root(t, shared);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void zap_root_shared(struct kunit *test)
{
	test_zap_root(test, true);
}

static void zap_root_exclusive(struct kunit *test)
{
	test_zap_root(test, false);
}

static void test_zap_root_yields(struct kunit *test, bool shared)
{
	struct tdp_test *t = create_tables(test);
	struct forced_yields *yields;

	yields = forced_yields_begin(test, UINT_MAX);
	zap_root(t, shared);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_GE(test, yields->wanted, NR_TABLES);
	KUNIT_EXPECT_LE(test, yields->wanted, NR_TABLES + 2);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void zap_root_yields_shared(struct kunit *test)
{
	test_zap_root_yields(test, true);
}

static void zap_root_yields_exclusive(struct kunit *test)
{
	test_zap_root_yields(test, false);
}

static struct kunit_case tdp_zap_cases[] = {
	KUNIT_CASE_PARAM(zap_slot_unlinks_tables, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(zap_slot_tells_nothing, tdp_formats_gen_params),
	KUNIT_CASE(zap_slot_yields_by_table),
	KUNIT_CASE(zap_slot_yields_to_fault),
	KUNIT_CASE(zap_slot_leaves_others),
	KUNIT_CASE(zap_slot_in_invalid_roots),
	KUNIT_CASE(zap_mmio_only),
	KUNIT_CASE(zap_mmio_in_invalid_roots),
	KUNIT_CASE(zap_root_shared),
	KUNIT_CASE(zap_root_exclusive),
	KUNIT_CASE(zap_root_yields_shared),
	KUNIT_CASE(zap_root_yields_exclusive),
	{}
};

static struct kunit_suite tdp_zap_suite = {
	.name = "kvm_tdp_zap",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = tdp_zap_cases,
};

kunit_test_suite(tdp_zap_suite);
