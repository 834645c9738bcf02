// SPDX-License-Identifier: GPL-2.0-only
/*
 * Nested guests of software CPUs: what L1's tables, NPT or EPT, are to L2, one
 * access after the other; soft_random_kunit.c has the rest.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/sizes.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/spte.h"
#include "soft_cpu.h"
#include "soft_hardware.h"
#include "soft_nested.h"
#include "soft_paging.h"
#include "soft_vm.h"

/* One slot: gfn n is page n of the VMM. */
#define NR_PAGES	1024
#define NO_GFN		0x8000

/* See soft_gpte() and soft_epte(). */
#define RWX		3
#define RX		2
#define RW		7
#define ONLY_X		0
#define ACCESSED	0x10

/* Of L1's tables, as the VMM writes them before KVM has looked at them. */
static void map(struct soft_vm *vm, const struct soft_paging *paging, int n,
		gfn_t gfn, u64 bits)
{
	soft_vm_write(vm, SOFT_TABLE_GFN + soft_pt(n), soft_pt_word(n),
		      soft_pte_as(paging->mode->ept, gfn, bits));
}

static struct soft_vm *new_vm_kind(struct kunit *test, const struct soft_vm_kind *kind)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm;

	if (!hw->tdp)
		kunit_skip(test, "without nested paging L1 has none either");
	soft_vendor_load(test, hw);
	vm = soft_vm_create_kind(test, 2, soft_memory_create(test, NR_PAGES), kind);
	soft_vm_mark_pages(vm, 0, NR_PAGES);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0, 0));
	return vm;
}

static struct soft_vm *new_vm(struct kunit *test)
{
	const struct soft_vm_kind plain = {};

	return new_vm_kind(test, &plain);
}

static void enter(struct soft_vm *vm, int id, const struct soft_paging *paging)
{
	soft_cpu_begin(vm->vcpu[id]);
	soft_set_paging(vm->vcpu[id], paging);
	soft_cpu_end(vm->vcpu[id]);
}

static void leave(struct soft_vm *vm, int id)
{
	soft_cpu_begin(vm->vcpu[id]);
	soft_nested_leave(vm->vcpu[id]);
	soft_cpu_end(vm->vcpu[id]);
}

static void expect_read(struct soft_vm *vm, int id, u64 addr, gfn_t gfn)
{
	struct soft_access read = { .addr = addr };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &read), SOFT_RAM);
	KUNIT_EXPECT_EQ(vm->test, read.value, SOFT_PAGE_ID + gfn);
}

static void expect_end(struct soft_vm *vm, struct soft_access access, int end)
{
	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[0], &access), end);
}

/* L2 reaches what L1's tables have, by their rights; L1 what its slots have. */
static void soft_test_two_levels(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const u64 there = soft_gva(l1.mode, 0), not_there = soft_gva(l1.mode, 20);
	const u64 read_only = soft_gva(l1.mode, 40);

	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 0, 0x155, RWX);
	map(vm, &l1, 40, 0x166, RX);

	enter(vm, 0, &l1);
	expect_read(vm, 0, there, 0x155);
	expect_read(vm, 0, read_only, 0x166);
	expect_end(vm, (struct soft_access) { read_only + 8, .write = true },
		   SOFT_EXIT);
	expect_end(vm, (struct soft_access) { not_there }, SOFT_EXIT);

	leave(vm, 0);
	expect_read(vm, 0, gfn_to_gpa(0x155), 0x155);
	expect_end(vm, (struct soft_access) { there }, SOFT_MMIO);
	enter(vm, 0, &l1);
	expect_read(vm, 0, there, 0x155);
}

/*
 * What L1 lets L2 only execute, KVM can fetch for it where it has to emulate.
 * (SDM table 29-7: bit 0 of the qualification is a read, bit 2 a fetch.)
 */
static void soft_test_fetch_execute_only(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const u64 addr = soft_gva(l1.mode, 0);

	if (!hw->exec_only)
		kunit_skip(test, "all that can be executed can be read");
	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 0, NO_GFN, ONLY_X);

	enter(vm, 0, &l1);
	expect_end(vm, (struct soft_access) { addr, .fetch = true }, SOFT_MMIO);
	expect_end(vm, (struct soft_access) { addr, .fetch = true }, SOFT_MMIO);
	expect_end(vm, (struct soft_access) { addr }, SOFT_EXIT);
}

/* VMRUN with an nCR3 above 4G, where @paging has it below. */
static void enter_above_4g(struct soft_vm *vm, const struct soft_paging *paging)
{
	enter(vm, 0, paging);
	to_soft_vcpu(vm->vcpu[0])->nested_root |= SZ_4G;
}

/*
 * The tables of 32-bit paging are below 4G, whatever else is in the register.  What is
 * above, nothing or memory, is no table, and L1's changes are seen where the table is.
 */
static void soft_test_root_above_4g(struct kunit *test)
{
	const struct soft_link *link = &soft_links[SOFT_LINK_OF_PT0];
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_32BIT);
	struct soft_access write = {
		.addr = soft_table_gpa(link->table, link->word),
		.write = true,
		.value = soft_gpte(SOFT_TABLE_GFN + SOFT_PT1, RWX),
	};

	if (hw->ept)
		kunit_skip(test, "EPT has no such mode");
	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 0, 0x155, RWX);
	map(vm, &l1, SOFT_PT_ENTRIES, 0x166, RWX);

	enter_above_4g(vm, &l1);
	expect_read(vm, 0, soft_gva(l1.mode, 0), 0x155);
	leave(vm, 0);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1, gpa_to_gfn(SZ_4G), NR_PAGES, 0,
						  0));
	enter_above_4g(vm, &l1);
	expect_read(vm, 0, soft_gva(l1.mode, 0), 0x155);

	leave(vm, 0);
	expect_end(vm, write, SOFT_RAM);
	enter_above_4g(vm, &l1);
	expect_read(vm, 0, soft_gva(l1.mode, 0), 0x166);
}

static u64 leaf_spte(struct soft_vm *vm, u64 addr)
{
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1];
	int level, leaf;

	soft_cpu_begin(vm->vcpu[0]);
	leaf = fault_walk(vm->vcpu[0], addr, sptes, &level);
	soft_cpu_end(vm->vcpu[0]);
	KUNIT_ASSERT_EQ(vm->test, leaf, PG_LEVEL_4K);
	return sptes[leaf];
}

/*
 * A table without X above a page with nothing but X: together they grant nothing,
 * and no SPTE is made of it ahead of an access either.
 */
static void soft_test_prefetch_nothing(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const struct soft_link *link = &soft_links[SOFT_LINK_OF_PT0];
	/* The first two of those that KVM looks at together. */
	const u64 addr = soft_gva(l1.mode, 7), beside = soft_gva(l1.mode, 8);

	if (!hw->exec_only)
		kunit_skip(test, "all that can be executed can be read");
	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	soft_vm_write(vm, SOFT_TABLE_GFN + link->table, link->word,
		      soft_epte(SOFT_TABLE_GFN + link->to, RW, false));
	map(vm, &l1, 7, 0x155, RWX);
	soft_vm_write(vm, SOFT_TABLE_GFN + soft_pt(8), soft_pt_word(8),
		      soft_epte(0x166, ONLY_X, true) | SOFT_EPTE_A);

	enter(vm, 0, &l1);
	expect_read(vm, 0, addr, 0x155);
	KUNIT_EXPECT_EQ(test, leaf_spte(vm, beside), SPTE_NONE);
	expect_end(vm, (struct soft_access) { beside }, SOFT_EXIT);
	expect_end(vm, (struct soft_access) { beside, .fetch = true }, SOFT_EXIT);
}

/* What L1 has made private is not mapped for L2 with its shared neighbour. */
static void soft_test_private_beside_shared(struct kunit *test)
{
	const struct soft_vm_kind kind = { .private = true };
	struct soft_vm *vm = new_vm_kind(test, &kind);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const u64 addr = soft_gva(l1.mode, 7), beside = soft_gva(l1.mode, 8);

	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 7, 0x155, RWX);
	map(vm, &l1, 8, 0x156, RWX | ACCESSED);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(vm, 0x156, 1, true));

	enter(vm, 0, &l1);
	expect_read(vm, 0, addr, 0x155);
	KUNIT_EXPECT_EQ(test, leaf_spte(vm, beside), SPTE_NONE);
	expect_end(vm, (struct soft_access) { beside }, -EFAULT);
}

/*
 * L1 uses for itself the tables that it has given to L2, and its CPU sets Accessed
 * and Dirty in what KVM protects from writes.
 */
static void soft_test_tables_of_both(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const struct soft_paging own = {
		.mode = &soft_modes[SOFT_4_LEVELS], .wp = true, .nx = true,
	};

	if (hw->ept)
		kunit_skip(test, "EPT has a format of its own");
	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 0, 0x155, RWX);
	map(vm, &l1, 40, 0x166, RWX);

	enter(vm, 0, &l1);
	expect_read(vm, 0, soft_gva(l1.mode, 0), 0x155);

	enter(vm, 1, &own);
	expect_read(vm, 1, soft_gva(own.mode, 40), 0x166);
	KUNIT_EXPECT_TRUE(test, soft_vm_read(vm, SOFT_TABLE_GFN + soft_pt(40),
					     soft_pt_word(40)) & SOFT_GPTE_A);
	expect_read(vm, 0, soft_gva(l1.mode, 40), 0x166);
}

static bool is_logged(struct soft_vm *vm, gfn_t gfn)
{
	u64 log[NR_PAGES / 64];

	KUNIT_ASSERT_EQ(vm->test, 0, soft_vm_get_dirty_log(vm, 0, log, ARRAY_SIZE(log)));
	return log[gfn / 64] & BIT_ULL(gfn % 64);
}

/*
 * Each write of L2 after the log was taken is in the log.  PML, which would have
 * L2's gpas, is off in L2: Dirty bits alone would tell nobody.
 */
static void soft_test_log_of_l2(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	const struct soft_paging l1 = soft_shadowed_paging(SOFT_4_LEVELS);
	const u64 addr = soft_gva(l1.mode, 0);
	struct soft_access write = { .addr = addr + 8, .write = true };
	int i;

	soft_make_links(vm, SOFT_TABLE_GFN, l1.mode->ept);
	map(vm, &l1, 0, 0x155, RWX);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));

	enter(vm, 0, &l1);
	for (i = 0; i < 3; i++) {
		KUNIT_EXPECT_EQ(test, soft_cpu_run(vm->vcpu[0], &write), SOFT_RAM);
		KUNIT_EXPECT_TRUE(test, is_logged(vm, 0x155));
		KUNIT_EXPECT_FALSE(test, is_logged(vm, 0x155));
	}
}

static struct kunit_case soft_nested_cases[] = {
	KUNIT_CASE_PARAM(soft_test_two_levels, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_fetch_execute_only, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_root_above_4g, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_prefetch_nothing, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_private_beside_shared, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_tables_of_both, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_log_of_l2, soft_hardware_gen_params),
	{}
};

static struct kunit_suite soft_nested_suite = {
	.name = "kvm_soft_nested",
	.test_cases = soft_nested_cases,
};

kunit_test_suite(soft_nested_suite);
