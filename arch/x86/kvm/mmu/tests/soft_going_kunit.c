// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a vCPU maps, or maps ahead, when the slot of it is deleted: soft_going.h.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kvm_host.h>

#include "soft_going.h"
#include "soft_hardware.h"
#include "test_helper.h"
#include "unmap_hook.h"

static void expect_mmio(struct going_scene *s, u64 addr)
{
	struct soft_access read = { .addr = addr };

	KUNIT_EXPECT_EQ(s->vm->test, SOFT_MMIO, soft_cpu_run(s->vm->vcpu[0], &read));
}

/* Faults */

/* When it goes on, the slot is in the set, but nothing may be mapped any more. */
static void leaf_when_zapped(struct going_scene *s)
{
	struct soft_slow *slow = going_access_slow_page(s);

	going_delete_until_zapped(s, GOING_SLOT);
	complete_all(&slow->given);
	going_expect_no_progress(s);
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);

	KUNIT_EXPECT_EQ(s->vm->test, s->end, SOFT_MMIO);
	expect_mmio(s, s->access.addr);
}

/* It is in none, and the deletion waits for the fault. */
static void leaf_when_published(struct going_scene *s)
{
	struct soft_slow *slow = going_access_slow_page(s);

	going_delete_until_published(s, GOING_SLOT);
	complete_all(&slow->given);
	soft_threads_stop(&s->threads);
	soft_change_end(&s->change);

	KUNIT_EXPECT_EQ(s->vm->test, s->end, SOFT_MMIO);
	expect_mmio(s, s->access.addr);
}

static void direct_leaf_when_zapped(struct kunit *test)
{
	leaf_when_zapped(going_scene_new(test));
}

static void direct_leaf_when_published(struct kunit *test)
{
	leaf_when_published(going_scene_new(test));
}

static void indirect_leaf_when_zapped(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);

	going_make_tables(s, SOFT_4_LEVELS);
	leaf_when_zapped(s);
}

static void indirect_leaf_when_published(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);

	going_make_tables(s, SOFT_4_LEVELS);
	leaf_when_published(s);
}

/* The write would have been logged: the log goes with the slot. */
static void logged_leaf_when_published(struct kunit *test)
{
	const struct soft_vm_kind kind = {};

	leaf_when_published(going_scene_of_kind(test, &kind, KVM_MEM_LOG_DIRTY_PAGES));
}

/**
 * struct next_fault - a fault that goes on during a zap
 * @kvm: the VM
 * @slow: what it waits for
 * @waits: it has come to mmu_lock, which the zap holds
 */
struct next_fault {
	struct kvm *kvm;
	struct soft_slow *slow;
	bool waits;
};

static void let_fault_go_on(void *data)
{
	struct next_fault *fault = data;

	if (completion_done(&fault->slow->given))
		return;
	complete_all(&fault->slow->given);
	fault->waits = test_helper_contends(&fault->kvm->mmu_lock, TEST_PATIENCE_MS);
}

/*
 * The fault goes on while its slot is being zapped, and is next to get mmu_lock: the
 * slot was marked before.
 */
static void leaf_during_zap(struct kunit *test)
{
	struct next_fault *fault = kunit_kzalloc(test, sizeof(*fault), GFP_KERNEL);
	struct soft_access read = { .addr = gfn_to_gpa(GOING) };
	const struct soft_hardware *hw = test->param_value;
	struct going_scene *s;
	struct unmap_hook *hook;

	KUNIT_ASSERT_NOT_NULL(test, fault);
	if (!hw->tdp || num_online_cpus() < 2)
		kunit_skip(test, "needs SPTEs that tell of their change, and two CPUs");
	s = going_scene_new(test);
	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(s->vm->vcpu[0], &read));
	fault->kvm = s->vm->kvm;
	fault->slow = going_access_slow_page(s);
	hook = unmap_hook_begin(test, let_fault_go_on, fault);
	going_delete_until_zapped(s, GOING_SLOT);
	unmap_hook_end(test, hook);
	KUNIT_EXPECT_TRUE(test, fault->waits);
	/* If nothing was zapped, the fault still waits. */
	complete_all(&fault->slow->given);

	going_expect_no_progress(s);
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);
	KUNIT_EXPECT_EQ(test, s->end, SOFT_MMIO);
}

/* A fault that begins when all is zapped. */
static void late_leaf(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);

	going_delete_until_zapped(s, GOING_SLOT);
	going_start_access(s, gfn_to_gpa(GOING), false);
	going_expect_no_progress(s);
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);
	KUNIT_EXPECT_EQ(test, s->end, SOFT_MMIO);
}

static void late_private_leaf(struct kunit *test)
{
	const struct soft_vm_kind kind = { .private = true };
	const struct soft_hardware *hw = test->param_value;
	struct going_scene *s;

	if (!hw->tdp)
		kunit_skip(test, "private memory needs TDP");
	s = going_scene_of_kind(test, &kind, KVM_MEM_GUEST_MEMFD);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(s->vm, GOING, 4, true));
	going_delete_until_zapped(s, GOING_SLOT);
	going_start_access(s, gfn_to_gpa(GOING), false);
	going_expect_no_progress(s);
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);
	/* Userspace has to make it shared. */
	KUNIT_EXPECT_EQ(test, s->end, -EFAULT);
}

/* Prefetches */

/* A guest without paging, whose pages shadow paging maps with their neighbours. */
static void direct_prefetch(struct kunit *test)
{
	struct soft_access read = { .addr = gfn_to_gpa(LAST_NEAR) };
	const struct soft_hardware *hw = test->param_value;
	struct going_scene *s;

	if (hw->tdp)
		kunit_skip(test, "stays in the fault's slot");
	s = going_scene_new(test);
	going_delete_until_zapped(s, GOING_SLOT);
	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(s->vm->vcpu[0], &read));
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);
	expect_mmio(s, gfn_to_gpa(GOING));
}

static void indirect_prefetch(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);

	going_make_tables(s, SOFT_4_LEVELS);
	going_use_tables(s);
	going_delete_until_zapped(s, GOING_SLOT);
	going_start_access_to(s, GVA_NEAR);
	going_finish_access(s);
	going_expect_nothing_mapped(s, GOING_SLOT);
	going_end_deletion(s);
	expect_mmio(s, soft_gva(s->paging.mode, GVA_GOING));
}

/*
 * Prefetches do happen where nothing is deleted, or these tests would say nothing.
 * That the vCPU uses them without an exit is not said: without A and D it cannot.
 */
static void prefetch_without_deletion(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);

	going_make_tables(s, SOFT_4_LEVELS);
	going_use_tables(s);
	KUNIT_EXPECT_FALSE(test, going_unmap_slot(s, GOING_SLOT));
	going_start_access_to(s, GVA_NEAR);
	going_finish_access(s);
	KUNIT_EXPECT_TRUE(test, going_unmap_slot(s, GOING_SLOT));
}

/* In the thread, which may not come back before the slot is gone. */
static bool access_nothing(struct soft_thread *thread)
{
	return true;
}

static void pre_fault_once(struct soft_thread *thread)
{
	struct going_scene *s = going_scene_of(thread);

	if (completion_done(&s->pre_faulted))
		return;
	complete_all(&s->pre_fault_begun);
	s->pre_fault = soft_vm_pre_fault(s->vm, 0, GOING, 1);
	complete_all(&s->pre_faulted);
}

static const struct soft_thread_ops pre_fault_ops = {
	.access = access_nothing,
	.pause = pre_fault_once,
};

/* It goes on trying, and the deletion need not wait for it. */
static void pre_fault(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct going_scene *s;

	if (!hw->tdp)
		kunit_skip(test, "is for TDP");
	s = going_scene_new(test);
	going_delete_until_zapped(s, GOING_SLOT);
	soft_thread_start(&s->threads, 0, &pre_fault_ops);
	wait_for_completion(&s->pre_fault_begun);
	msleep(50);
	KUNIT_EXPECT_FALSE(test, completion_done(&s->pre_faulted));
	going_expect_nothing_mapped(s, GOING_SLOT);
	soft_change_publish(&s->change);
	soft_change_end(&s->change);
	wait_for_completion(&s->pre_faulted);
	KUNIT_EXPECT_EQ(test, s->pre_fault, -ENOENT);
}

static struct kunit_case going_cases[] = {
	KUNIT_CASE_PARAM(direct_leaf_when_zapped, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(direct_leaf_when_published, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(indirect_leaf_when_zapped, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(indirect_leaf_when_published, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(logged_leaf_when_published, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(leaf_during_zap, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_leaf, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_private_leaf, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(direct_prefetch, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(indirect_prefetch, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(prefetch_without_deletion, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(pre_fault, soft_hardware_gen_params),
	{}
};

static struct kunit_suite going_suite = {
	.name = "kvm_soft_going",
	.test_cases = going_cases,
};

kunit_test_suite(going_suite);
