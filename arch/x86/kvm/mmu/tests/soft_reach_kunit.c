// SPDX-License-Identifier: GPL-2.0-only
/*
 * A slot beyond what the vCPUs' tables translate, on software CPUs.  The host's
 * MAXPHYADDR allows it: 52 bits are more than four levels have.  Its gfns have the
 * indexes of those of another slot, so a walk that goes on to them changes that one.
 */
#include "mmu.h"
#include "mmu/tdp.h"
#include "soft_cpu.h"
#include "soft_region.h"

KUNIT_ARRAY_PARAM_DESC(hardware, region_hardwares, name);

/* What four levels translate, in pages. */
#define REACH		BIT_ULL(36)
#define BEYOND_GFN	(REGION_GFN + REACH)

/* Of the slot within reach. */
#define PAGE		5UL

static void restore_maxphyaddr(void *bits)
{
	kvm_host.maxphyaddr = (unsigned long)bits;
}

static int set_beyond(struct region_test *t, u32 flags)
{
	return soft_vm_set_slot(t->vm, 1, BEYOND_GFN, REGION_PAGES, 0, flags);
}

/* A VM whose slot within reach has @flags and is written, and whose other one is logged. */
static struct region_test *create(struct kunit *test, enum soft_log log, bool huge,
				  u32 flags)
{
	struct region_test *t = region_create_kind(test, log, huge);
	void *bits = (void *)(unsigned long)kvm_host.maxphyaddr;

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, restore_maxphyaddr, bits));
	kvm_host.maxphyaddr = 52;
	region_set_flags(t, flags);
	region_write(t, 0, REGION_PAGES);
	KUNIT_ASSERT_EQ(test, (int)t->vm->vcpu[0]->arch.mmu->root_role.level, 4);
	KUNIT_ASSERT_EQ(test, 0, set_beyond(t, REGION_LOG));
	return t;
}

/* The log of a slot beyond begins: the region within reach stays open, and its log true. */
static void reach_log_begins(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_BITMAP, false, REGION_LOG);

	KUNIT_EXPECT_EQ(test, 0, set_beyond(t, 0));
	KUNIT_EXPECT_EQ(test, 0, set_beyond(t, REGION_LOG));
	KUNIT_EXPECT_EQ(test, region_state(t, PAGE), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, REGION_PAGES));
}

/* It is collected: nothing was written there, and D within reach is no news of it. */
static void reach_log_is_collected(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_BITMAP, false, 0);

	bitmap_fill(t->log, REGION_SLOT);
	KUNIT_EXPECT_EQ(test, 0,
			soft_vm_get_dirty_log(t->vm, 1, (u64 *)t->log,
					      BITS_TO_LONGS(REGION_PAGES)));
	KUNIT_EXPECT_EQ(test, find_first_bit(t->log, REGION_PAGES), REGION_PAGES);
	KUNIT_EXPECT_TRUE(test, region_spte(t, PAGE) & spte_fmt.dirty);
}

/* Its pages leave the log. */
static void reach_log_is_cleared(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_INITIALLY_SET, false, 0);
	const u64 spte = region_spte(t, PAGE);

	bitmap_fill(t->log, REGION_SLOT);
	KUNIT_EXPECT_EQ(test, 0,
			soft_vm_clear_dirty_log(t->vm, 1, 0, REGION_PAGES,
						(u64 *)t->log));
	KUNIT_EXPECT_EQ(test, region_spte(t, PAGE), spte);
}

/* It ends: no huge page comes, which would be of the other slot's memory. */
static void reach_log_ends(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_BITMAP, true, REGION_LOG);

	KUNIT_EXPECT_EQ(test, 0, set_beyond(t, 0));
	KUNIT_EXPECT_NOT_NULL(test, region_sptep(t, PAGE, PG_LEVEL_4K));
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, REGION_PAGES));
}

/* The slot goes: what is mapped within reach stays. */
static void reach_slot_goes(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_BITMAP, false, 0);
	const u64 spte = region_spte(t, PAGE);

	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_slot(t->vm, 1, BEYOND_GFN, 0, 0, 0));
	KUNIT_ASSERT_NOT_NULL(test, region_sptep(t, PAGE, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, region_spte(t, PAGE), spte);
}

/* It is not mapped, in whose place ever; KVM does the guest's accesses itself. */
static void reach_is_not_mapped(struct kunit *test)
{
	struct region_test *t = create(test, SOFT_LOG_BITMAP, false, 0);
	struct soft_vcpu *sv = to_soft_vcpu(t->vm->vcpu[0]);
	struct soft_access access = {
		.addr = gfn_to_gpa(BEYOND_GFN + REGION_PAGES - 1),
		.write = true,
		.value = ~0ULL,
	};
	const u64 spte = region_spte(t, PAGE);

	KUNIT_EXPECT_EQ(test, -ENOENT, soft_vm_pre_fault(t->vm, 0, BEYOND_GFN + PAGE, 1));
	KUNIT_EXPECT_EQ(test, region_spte(t, PAGE), spte);

	KUNIT_EXPECT_EQ(test, soft_cpu_run(&sv->vcpu, &access), SOFT_RAM);
	KUNIT_EXPECT_TRUE(test, access.emulated);
	KUNIT_EXPECT_EQ(test, soft_vm_read(t->vm, REGION_PAGES - 1, 0), ~0ULL);
}

static struct kunit_case soft_reach_cases[] = {
	KUNIT_CASE_PARAM(reach_log_begins, hardware_gen_params),
	KUNIT_CASE_PARAM(reach_log_is_collected, hardware_gen_params),
	KUNIT_CASE_PARAM(reach_log_is_cleared, hardware_gen_params),
	KUNIT_CASE_PARAM(reach_log_ends, hardware_gen_params),
	KUNIT_CASE_PARAM(reach_slot_goes, hardware_gen_params),
	KUNIT_CASE_PARAM(reach_is_not_mapped, hardware_gen_params),
	{}
};

static struct kunit_suite soft_reach_suite = {
	.name = "kvm_soft_reach",
	.test_cases = soft_reach_cases,
};

kunit_test_suite(soft_reach_suite);
