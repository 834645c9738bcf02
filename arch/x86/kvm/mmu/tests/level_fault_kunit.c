// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a fault makes of how big a page may be, and how it steps down to a table
 * that is to be kept.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>

#include "mmu.h"
#include "mmu/level.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "level_slot.h"
#include "test_format.h"
#include "test_vm.h"

/*
 * A fault at the last page of a slot of 1G, and what is to come out.  @watched:
 * the slot's first gfn is; @cpu_level: the CPU's largest page, 0 for 1G.
 */
struct choose_case {
	const char *name;
	u8 max_level;
	u8 req_level;
	u8 goal_level;
	bool exec;
	bool nx;
	bool dirty_log;
	bool watched;
	u8 cpu_level;
};

static const struct choose_case choose_cases[] = {
	{ "1G", PG_LEVEL_1G, PG_LEVEL_1G, PG_LEVEL_1G },
	{ "up to 2M", PG_LEVEL_2M, PG_LEVEL_2M, PG_LEVEL_2M },
	{ "up to 4K", PG_LEVEL_4K, PG_LEVEL_4K, PG_LEVEL_4K },
	{ "CPU up to 2M", PG_LEVEL_1G, PG_LEVEL_2M, PG_LEVEL_2M,
	  .cpu_level = PG_LEVEL_2M },
	{ "watched gfn", PG_LEVEL_1G, PG_LEVEL_2M, PG_LEVEL_2M, .watched = true },
	{ "dirty log", PG_LEVEL_1G, PG_LEVEL_4K, PG_LEVEL_4K, .dirty_log = true },
	{ "executed", PG_LEVEL_1G, PG_LEVEL_1G, PG_LEVEL_1G, .exec = true },
	{ "mitigated", PG_LEVEL_1G, PG_LEVEL_1G, PG_LEVEL_1G, .nx = true },
	{ "executed, mitigated", PG_LEVEL_1G, PG_LEVEL_1G, PG_LEVEL_4K,
	  .exec = true, .nx = true },
};

KUNIT_ARRAY_PARAM_DESC(choose_cases, choose_cases, name);

static void level_choose_fault(struct kunit *test)
{
	static const struct level_geometry g = { "1G", PAGES_1G, PAGES_1G, 0 };
	const struct choose_case *c = test->param_value;
	struct kvm *kvm = kvm_test_create_vm(test);
	struct kvm_vcpu *vcpu = kvm_test_create_vcpu(test, kvm);
	struct kvm_page_fault fault = {
		.exec = c->exec,
		.nx_mitigation = c->nx,
		.is_private = true,
		.max_level = c->max_level,
		.gfn = 2 * PAGES_1G - 1,
		.slot = level_test_slot(test, kvm, &g),
		.pfn = 6 * PAGES_1G - 1,
	};

	spte_fmt.huge_level = c->cpu_level ?: PG_LEVEL_1G;
	if (c->dirty_log)
		fault.slot->flags |= KVM_MEM_LOG_DIRTY_PAGES;
	if (c->watched)
		level_disallow(fault.slot, g.base);

	scoped_guard(srcu, &kvm->srcu)
		level_choose(vcpu, &fault);
	fault.slot->flags &= ~KVM_MEM_LOG_DIRTY_PAGES;

	KUNIT_EXPECT_EQ(test, fault.req_level, c->req_level);
	KUNIT_EXPECT_EQ(test, fault.goal_level, c->goal_level);
	KUNIT_EXPECT_EQ(test, fault.huge_page_disallowed, c->exec && c->nx);
	KUNIT_EXPECT_EQ(test, fault.pfn, 6 * PAGES_1G - level_pages(c->goal_level));
}

static void table_free(void *table)
{
	free_page((unsigned long)table);
}

/* An SPTE that links to a table, which goes with the test. */
static u64 create_link(struct kunit *test, bool nx_huge_page_disallowed)
{
	struct mmu_table *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	unsigned long table = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NE(test, table, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, table_free,
							   (void *)table));
	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->nx_huge_page_disallowed = nx_huge_page_disallowed;
	set_page_private(virt_to_page((void *)table), (unsigned long)sp);
	return SPTE_PRESENT | __pa(table);
}

/* The level that a fault for @goal goes to where @spte stands at @level. */
static int step_down(struct kunit *test, int goal, u64 spte, int level)
{
	const gfn_t gfn = 3 * PAGES_1G + 7 * PAGES_2M + 9;
	struct kvm_page_fault fault = {
		.gfn = gfn,
		.pfn = gfn / level_pages(goal) * level_pages(goal),
		.goal_level = goal,
	};

	level_step_down(&fault, spte, level);
	KUNIT_EXPECT_EQ(test, fault.pfn, gfn / level_pages(fault.goal_level) *
					 level_pages(fault.goal_level));
	return fault.goal_level;
}

static void level_step_down_cases(struct kunit *test)
{
	const u64 kept = create_link(test, true), other = create_link(test, false);
	const u64 huge = kept | PT_PAGE_SIZE_MASK, gone = kept & ~SPTE_PRESENT;

	KUNIT_EXPECT_EQ(test, PG_LEVEL_4K, step_down(test, PG_LEVEL_2M, kept, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M, step_down(test, PG_LEVEL_1G, kept, PG_LEVEL_1G));

	/* Not where the fault wants to map. */
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M, step_down(test, PG_LEVEL_2M, kept, PG_LEVEL_1G));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_1G, step_down(test, PG_LEVEL_1G, kept, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_4K, step_down(test, PG_LEVEL_4K, kept, PG_LEVEL_4K));

	/* Not a table, or not one that is to be kept. */
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M, step_down(test, PG_LEVEL_2M, other, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M, step_down(test, PG_LEVEL_2M, huge, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M, step_down(test, PG_LEVEL_2M, gone, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_2M,
			step_down(test, PG_LEVEL_2M, SPTE_NONE, PG_LEVEL_2M));
}

static struct kunit_case level_fault_cases[] = {
	KUNIT_CASE_PARAM(level_choose_fault, choose_cases_gen_params),
	KUNIT_CASE(level_step_down_cases),
	{}
};

static struct kunit_suite level_fault_suite = {
	.name = "kvm_level_fault",
	.init = test_format_init,
	.test_cases = level_fault_cases,
};

kunit_test_suite(level_fault_suite);
