// SPDX-License-Identifier: GPL-2.0-only
/*
 * What unmaps memory of several slots at once lets go of mmu_lock in between: TLBs
 * are flushed before, of what the slots so far had mapped, or somebody else who
 * wants that memory finds nothing mapped, and takes it while a CPU still uses it.
 *
 * Slot 0 is one page, in which nobody yields.  Slot 1 follows it, and has but its
 * last page mapped: there the walk yields before it finds something to flush.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "forced_yields.h"
#include "soft_cpu.h"
#include "soft_hardware.h"
#include "soft_vm.h"

#define GFN		0x1000
#define SLOT_1_PAGES	16UL
#define NR_PAGES	(1 + SLOT_1_PAGES)
#define MAX_TRIES	16

/**
 * struct unmap_case - who unmaps
 * @name: for the test's report
 * @kind: of the VM
 * @flags: of its slots
 * @unmap: does it, for all pages
 */
struct unmap_case {
	const char *name;
	struct soft_vm_kind kind;
	u32 flags;
	int (*unmap)(struct soft_vm *vm);
};

static int renew_memory(struct soft_vm *vm)
{
	soft_vm_renew_pages(vm, 0, NR_PAGES);
	return 0;
}

static int punch_hole(struct soft_vm *vm)
{
	return soft_vm_punch_hole(vm, 0, NR_PAGES);
}

static int make_shared(struct soft_vm *vm)
{
	return soft_vm_set_private(vm, GFN, NR_PAGES, false);
}

static const struct unmap_case unmap_cases[] = {
	{ "MMU notifier", .unmap = renew_memory },
	{ "guest_memfd", .kind = { .private = true }, .flags = KVM_MEM_GUEST_MEMFD,
	  .unmap = punch_hole },
	{ "memory attributes", .kind = { .private = true },
	  .flags = KVM_MEM_GUEST_MEMFD, .unmap = make_shared },
};

KUNIT_ARRAY_PARAM_DESC(unmap_cases, unmap_cases, name);

static void read_gfn(struct soft_vm *vm, gfn_t gfn)
{
	struct soft_access access = { .addr = gfn_to_gpa(gfn) };

	KUNIT_ASSERT_EQ(vm->test, soft_cpu_run(vm->vcpu[0], &access), SOFT_RAM);
}

static void map_pages(struct soft_vm *vm, const struct unmap_case *c)
{
	if (c->kind.private)
		KUNIT_ASSERT_EQ(vm->test, 0,
				soft_vm_set_private(vm, GFN, NR_PAGES, true));
	read_gfn(vm, GFN);
	read_gfn(vm, GFN + NR_PAGES - 1);
}

static struct soft_vm *create(struct kunit *test, const struct unmap_case *c)
{
	struct soft_vm *vm;

	soft_vendor_load(test, SOFT_NPT);
	vm = soft_vm_create_kind(test, 1, soft_memory_create(test, NR_PAGES), &c->kind);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 1, 0, c->flags));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1, GFN + 1, SLOT_1_PAGES, 1,
						  c->flags));
	map_pages(vm, c);
	return vm;
}

static u64 flushes_of_unmap(struct soft_vm *vm, const struct unmap_case *c)
{
	const u64 *flushes = &vm->kvm->stat.generic.remote_tlb_flush_requests;
	const u64 before = *flushes;

	KUNIT_EXPECT_EQ(vm->test, c->unmap(vm), 0);
	return *flushes - before;
}

static void unmap_flushes_before_it_yields(struct kunit *test)
{
	const struct unmap_case *c = test->param_value;
	struct soft_vm *vm = create(test, c);
	struct forced_yields *yields;
	u64 flushes;

	yields = forced_yields_begin(test, 1);
	flushes = flushes_of_unmap(vm, c);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_EQ(test, yields->wanted, 1);
	/* For slot 0, before the yield; for slot 1, at the end. */
	KUNIT_EXPECT_EQ(test, flushes, 2);
}

/*
 * Nobody wants the lock: one flush does for both slots.  Who unmaps yields as well
 * when the scheduler wants the CPU, which on a busy machine may be now, but not each
 * time.
 */
static void unmap_flushes_once(struct kunit *test)
{
	const struct unmap_case *c = test->param_value;
	struct soft_vm *vm = create(test, c);
	u64 flushes = flushes_of_unmap(vm, c);
	int tries;

	for (tries = 1; flushes == 2 && tries < MAX_TRIES; tries++) {
		map_pages(vm, c);
		flushes = flushes_of_unmap(vm, c);
	}
	KUNIT_EXPECT_EQ(test, flushes, 1);
}

static struct kunit_case soft_unmap_cases[] = {
	KUNIT_CASE_PARAM(unmap_flushes_before_it_yields, unmap_cases_gen_params),
	KUNIT_CASE_PARAM(unmap_flushes_once, unmap_cases_gen_params),
	{}
};

static struct kunit_suite soft_unmap_suite = {
	.name = "kvm_soft_unmap",
	.test_cases = soft_unmap_cases,
};

kunit_test_suite(soft_unmap_suite);
