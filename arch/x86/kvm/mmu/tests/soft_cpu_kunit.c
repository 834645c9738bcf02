// SPDX-License-Identifier: GPL-2.0-only
/*
 * The software CPU at work: what a guest may do, and what it must not do any
 * more when KVM has said so.  One access after the other; soft_random_kunit.c
 * has the rest.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "soft_hardware.h"
#include "soft_vm.h"

#define NR_PAGES	1024
#define GFN		0x100
#define PAGE_ID		0x5041474500000000ULL

static struct soft_vm *new_vm(struct kunit *test, int nr_vcpus)
{
	struct soft_memory *memory;
	struct soft_vm *vm;
	int i;

	soft_vendor_load(test, test->param_value);
	memory = soft_memory_create(test, NR_PAGES);
	vm = soft_vm_create(test, nr_vcpus, memory);
	for (i = 0; i < NR_PAGES; i++)
		soft_vm_write(vm, i, 0, PAGE_ID + i);
	return vm;
}

static void expect_page(struct soft_vm *vm, int id, gfn_t gfn, unsigned long page)
{
	struct soft_access read = { .addr = gfn_to_gpa(gfn) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &read), SOFT_RAM);
	KUNIT_EXPECT_EQ(vm->test, read.value, PAGE_ID + page);
}

static void expect_mmio(struct soft_vm *vm, int id, gfn_t gfn)
{
	struct soft_access read = { .addr = gfn_to_gpa(gfn) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &read), SOFT_MMIO);
}

/* What a slot has is reached, and nothing around it. */
static void soft_test_slot(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, 2);
	int i;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	for (i = 0; i < 16; i++)
		expect_page(vm, i & 1, GFN + i, 3 + i);
	expect_mmio(vm, 0, GFN - 1);
	expect_mmio(vm, 0, GFN + 16);
	expect_mmio(vm, 1, GFN + 16);
}

static struct kunit_case soft_cases[] = {
	KUNIT_CASE_PARAM(soft_test_slot, soft_hardware_gen_params),
	{}
};

static struct kunit_suite soft_suite = {
	.name = "kvm_soft_cpu",
	.test_cases = soft_cases,
};

kunit_test_suite(soft_suite);
