// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logging by regions (tdp_region.h), on software CPUs: kinds of logs, VMs,
 * pages and hardware, and where there are no regions.
 */
#include "mmu.h"
#include "mmu/spte.h"
#include "mmu/tdp.h"
#include "soft_cpu.h"
#include "soft_nested.h"
#include "soft_region.h"
#include "x86.h"

KUNIT_ARRAY_PARAM_DESC(hardware, region_hardwares, name);

/* Where the parameter means nothing. */
static const struct soft_hardware others[] = {
	{ "EPT with PML", .tdp = true, .ept = true, .ad = true, .pml = true,
	  .regions = true, .levels = 4, .huge_level = PG_LEVEL_2M },
	{ "EPT without A/D", .tdp = true, .ept = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
	{ "shadow paging", .regions = true, .levels = 4, .huge_level = PG_LEVEL_2M },
};

KUNIT_ARRAY_PARAM_DESC(other, others, name);

/* What the slot has in part: a fault for each page, as ever. */
static void region_part_traps(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_write(t, 0, REGION_SLOT);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_state(t, REGION_PART), SPTE_REGION_OPEN);
	KUNIT_EXPECT_FALSE(test, spte_writable(region_spte(t, REGION_PART)));
	KUNIT_EXPECT_EQ(test, region_write(t, REGION_PART, 8), 8);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, REGION_PART, 8));
	KUNIT_EXPECT_EQ(test, region_write(t, REGION_PART - 1, 2), 2);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, REGION_PART - 1, 2));
	soft_vm_invalidate(t->vm, REGION_PART, 64);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
}

/* A slot need not begin with a word's worth of pages: what is REGION_GFN is page 3. */
static void region_of_odd_slot(struct kunit *test)
{
	struct region_test *t = region_create(test);
	int i;

	for (i = 0; i < 2; i++)
		KUNIT_ASSERT_EQ(test, 0,
				soft_vm_set_slot(t->vm, 0, REGION_GFN - 3, REGION_SLOT,
						 0, i ? REGION_LOG : 0));
	region_write(t, 59, 4);
	KUNIT_EXPECT_EQ(test, region_state(t, 59), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 62, 4));
	KUNIT_EXPECT_EQ(test, region_write(t, 59, 4), 0);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 62, 4));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
}

/* KVM_GET_DIRTY_LOG leaves D to KVM_CLEAR_DIRTY_LOG, which takes it and flushes. */
static void region_manual(struct kunit *test)
{
	struct region_test *t = region_create_kind(test, SOFT_LOG_MANUAL, false);

	region_set_flags(t, REGION_LOG);
	region_write(t, 62, 4);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 62, 4));
	KUNIT_EXPECT_TRUE(test, region_spte(t, 62) & spte_fmt.dirty);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 62, 4));
	region_clear_log(t, 63, 3);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 62, 1));
	KUNIT_EXPECT_EQ(test, region_write(t, 64, 1), 0);
	region_clear_log(t, 62, 1);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 64, 1));
}

/* All is in the log; once userspace has it, @nr pages that are written cost one exit. */
static void expect_whole_log(struct region_test *t, unsigned long page, unsigned long nr)
{
	struct kunit *test = t->vm->test;

	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, REGION_SLOT));
	region_clear_log(t, 0, REGION_SLOT);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_write(t, page, nr), 1);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, page, nr));
}

/* A log that begins with all pages closes nothing. */
static void region_initially_set(struct kunit *test)
{
	struct region_test *t = region_create_kind(test, SOFT_LOG_INITIALLY_SET, false);

	region_write(t, 0, REGION_SLOT);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	expect_whole_log(t, 5, 2);
}

/*
 * A log that begins with all pages leaves a closed region closed, and under it is
 * D from the time without a log.
 */
static void region_initially_set_again(struct kunit *test)
{
	struct region_test *t = region_create_kind(test, SOFT_LOG_INITIALLY_SET, false);
	/* Not mapped by fault-around. */
	const unsigned long far = 100;

	region_write(t, 0, 2);
	region_set_flags(t, REGION_LOG);
	region_clear_log(t, 0, REGION_SLOT);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSED);
	region_set_flags(t, 0);
	region_touch(t, 0, far, false);
	KUNIT_EXPECT_TRUE(test, region_spte(t, far) & spte_fmt.dirty);

	region_set_flags(t, REGION_LOG);
	expect_whole_log(t, far, 1);
}

/* Rings tell of pages one by one. */
static void region_not_with_rings(struct kunit *test)
{
	struct region_test *t = region_create_kind(test, SOFT_LOG_RING, false);
	struct kvm_dirty_gfn entry;

	region_write(t, 0, 3);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_EQ(test, region_write(t, 0, 3), 3);
	KUNIT_EXPECT_TRUE(test, soft_vm_next_dirty(t->vm, 0, &entry));
	KUNIT_EXPECT_EQ(test, entry.offset, 0);
}

/* Nor with PML, without A and D, and with shadow paging. */
static void region_not_there(struct kunit *test)
{
	struct region_test *t = region_create(test);

	KUNIT_EXPECT_FALSE(test, tdp_has_regions(t->vm->kvm));
	region_write(t, 0, REGION_PAGES);
	region_set_flags(t, REGION_LOG);
	if (tdp_enabled)
		KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	region_write(t, 3, 2);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 2));
	region_write(t, 4, 2);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 4, 2));
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->vm->kvm->stat.dirty_regions_opened), 0);
}

/*
 * L1 without nested paging: what L2 runs on is direct, and with EPT the CPU sets no
 * D there.  L1's own writes go by D.
 */
static void region_not_for_l2(struct kunit *test)
{
	struct region_test *t = region_create(test);
	struct kvm_vcpu *l2 = t->vm->vcpu[1];

	soft_cpu_begin(l2);
	soft_nested_enter_direct(l2);
	soft_cpu_end(l2);
	region_touch(t, 1, 5, true);
	region_write(t, 0, 5);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_touch(t, 1, 5, true), 1ULL);
	KUNIT_EXPECT_EQ(test, region_touch(t, 1, 6, true), 1ULL);
	KUNIT_EXPECT_EQ(test, region_write(t, 3, 2), 1);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 4));
	KUNIT_EXPECT_EQ(test, region_touch(t, 1, 5, true), 1ULL);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 5, 1));
	soft_cpu_begin(l2);
	soft_nested_leave(l2);
	soft_cpu_end(l2);
}

/* A huge page becomes an open region by the first write, or is split before. */
static void test_huge(struct kunit *test, bool eager)
{
	const bool saved = eager_page_split;
	struct region_test *t = region_create_kind(test, SOFT_LOG_BITMAP, true);

	region_write(t, 0, 1);
	region_need_huge(t, 0);
	eager_page_split = eager;
	region_set_flags(t, REGION_LOG);
	eager_page_split = saved;
	KUNIT_EXPECT_EQ(test, !region_sptep(t, 0, PG_LEVEL_4K), !eager);
	KUNIT_EXPECT_EQ(test, region_write(t, 3, 100), 1);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 100));
}

static void region_of_huge_page_lazily(struct kunit *test)
{
	test_huge(test, false);
}

static void region_of_huge_page_eagerly(struct kunit *test)
{
	test_huge(test, true);
}

/* One that KVM protects against writes is split, and its D is from before the log. */
static void region_of_protected_huge_page(struct kunit *test)
{
	const bool saved = eager_page_split;
	struct region_test *t = region_create_kind(test, SOFT_LOG_BITMAP, true);

	region_write(t, 0, 1);
	region_need_huge(t, 0);
	eager_page_split = false;
	region_set_flags(t, REGION_LOG);
	eager_page_split = saved;
	region_protect(t, 7);
	KUNIT_EXPECT_FALSE(test, spte_mmu_writable(*region_sptep(t, 0, PG_LEVEL_2M)));
	region_write(t, 3, 1);
	KUNIT_EXPECT_NOT_NULL(test, region_sptep(t, 0, PG_LEVEL_4K));
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 1));
}

static struct kunit_case region_kind_cases[] = {
	KUNIT_CASE_PARAM(region_part_traps, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_odd_slot, hardware_gen_params),
	KUNIT_CASE_PARAM(region_manual, hardware_gen_params),
	KUNIT_CASE_PARAM(region_initially_set, hardware_gen_params),
	KUNIT_CASE_PARAM(region_initially_set_again, hardware_gen_params),
	KUNIT_CASE_PARAM(region_not_with_rings, hardware_gen_params),
	KUNIT_CASE_PARAM(region_not_there, other_gen_params),
	KUNIT_CASE_PARAM(region_not_for_l2, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_huge_page_lazily, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_huge_page_eagerly, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_protected_huge_page, hardware_gen_params),
	{}
};

static struct kunit_suite region_kind_suite = {
	.name = "kvm_soft_region_kind",
	.test_cases = region_kind_cases,
};

kunit_test_suite(region_kind_suite);
