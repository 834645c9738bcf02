// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs that others wait for (virt/kvm/vcpu_halt.c, request.c): whom a vCPU that
 * spins gives its time to, whom a kick and a request reach.
 *
 * The vCPUs are software CPUs that nobody runs; in place of those that would,
 * there are threads which want the CPU of the test, and do not get it while the
 * test runs.  So a yield to one of them succeeds.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/pid.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>

#include "soft_hardware.h"
#include "soft_vm.h"
#include "test_helper.h"

#define NR_VCPUS	SOFT_MAX_VCPUS

/* What kvm->last_boosted_vcpu says when no vCPU was boosted. */
#define NOBODY		1000

static struct soft_vm *new_vm(struct kunit *test)
{
	soft_vendor_load(test, SOFT_NPT);
	test_stay_on_cpu(test);
	return soft_vm_create(test, NR_VCPUS, soft_memory_create(test, 1));
}

static int want_cpu(void *unused)
{
	while (!kthread_should_stop())
		cond_resched();
	return 0;
}

static void stop_thread(void *task)
{
	kthread_stop(task);
	put_task_struct(task);
}

/* vCPU @id was run by a thread that waits for this CPU. */
static void preempt_vcpu(struct soft_vm *vm, int id)
{
	struct kvm_vcpu *vcpu = vm->vcpu[id];
	struct task_struct *task;

	task = kthread_create_on_cpu(want_cpu, NULL, raw_smp_processor_id(),
				     "kunit-vcpu/%u");
	KUNIT_ASSERT_NOT_ERR_OR_NULL(vm->test, task);
	get_task_struct(task);
	KUNIT_ASSERT_EQ(vm->test, 0, kunit_add_action_or_reset(vm->test, stop_thread,
							       task));
	wake_up_process(task);

	WRITE_ONCE(vcpu->pid, get_task_pid(task, PIDTYPE_PID));
	WRITE_ONCE(vcpu->preempted, true);
	WRITE_ONCE(vcpu->ready, true);
}

/* Whom vCPU 0 boosts when it spins. */
static int boosted(struct soft_vm *vm, bool kernel_only)
{
	const int before = vm->kvm->last_boosted_vcpu;
	int now;

	vm->kvm->last_boosted_vcpu = NOBODY;
	kvm_vcpu_on_spin(vm->vcpu[0], kernel_only);
	now = vm->kvm->last_boosted_vcpu;
	if (now == NOBODY)
		vm->kvm->last_boosted_vcpu = before;
	return now;
}

/* From the vCPU after the last one on, and round to itself. */
static int boosted_after(struct soft_vm *vm, int last)
{
	vm->kvm->last_boosted_vcpu = last;
	kvm_vcpu_on_spin(vm->vcpu[0], false);
	return vm->kvm->last_boosted_vcpu;
}

static void yield_round_robin(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	preempt_vcpu(vm, 1);
	preempt_vcpu(vm, 3);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 0), 1);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 1), 3);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 2), 3);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 3), 1);
}

/* Who runs, was never run or is itself the one that spins is no candidate. */
static void yield_candidates(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	KUNIT_EXPECT_EQ(test, boosted(vm, false), NOBODY);
	preempt_vcpu(vm, 0);
	WRITE_ONCE(vm->vcpu[2]->ready, true);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), NOBODY);
	KUNIT_EXPECT_EQ(test, kvm_vcpu_yield_to(vm->vcpu[2]), 0);

	preempt_vcpu(vm, 1);
	KUNIT_EXPECT_GT(test, kvm_vcpu_yield_to(vm->vcpu[1]), 0);
	WRITE_ONCE(vm->vcpu[1]->ready, false);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), NOBODY);
	WRITE_ONCE(vm->vcpu[1]->ready, true);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), 1);
}

/* A lock of the guest's kernel is held in the kernel. */
static void yield_to_kernel(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	preempt_vcpu(vm, 1);
	vm->vcpu[1]->arch.preempted_in_kernel = false;
	KUNIT_EXPECT_EQ(test, boosted(vm, true), NOBODY);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), 1);
	vm->vcpu[1]->arch.preempted_in_kernel = true;
	KUNIT_EXPECT_EQ(test, boosted(vm, true), 1);
	vm->vcpu[1]->arch.preempted_in_kernel = false;
	WRITE_ONCE(vm->vcpu[1]->preempted, false);
	KUNIT_EXPECT_EQ(test, boosted(vm, true), 1);
}

/* Who spins as well has every second turn. */
static void yield_to_spinner(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	preempt_vcpu(vm, 1);
	kvm_vcpu_set_in_spin_loop(vm->vcpu[1], true);
	kvm_vcpu_set_dy_eligible(vm->vcpu[1], false);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 0), 0);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 0), 1);
	KUNIT_EXPECT_EQ(test, boosted_after(vm, 0), 0);
	KUNIT_EXPECT_FALSE(test, vm->vcpu[0]->spin_loop.in_spin_loop);
	KUNIT_EXPECT_FALSE(test, vm->vcpu[0]->spin_loop.dy_eligible);
}

/* Who sleeps in HLT wants the CPU when there is something to do. */
static void yield_to_halted(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct rcuwait *wait = kvm_arch_vcpu_get_wait(vm->vcpu[1]);

	preempt_vcpu(vm, 1);
	kvm_clear_request(KVM_REQ_EVENT, vm->vcpu[1]);
	prepare_to_rcuwait(wait);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), NOBODY);
	kvm_make_request(KVM_REQ_EVENT, vm->vcpu[1]);
	KUNIT_EXPECT_EQ(test, boosted(vm, false), 1);
	finish_rcuwait(wait);
}

/* A request reaches those that it names, and no others. */
static void request_by_mask(struct kunit *test)
{
	DECLARE_BITMAP(mask, KVM_MAX_VCPUS) = {};
	struct soft_vm *vm = new_vm(test);
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		kvm_clear_request(KVM_REQ_MMU_SYNC, vm->vcpu[i]);
	__set_bit(1, mask);
	__set_bit(3, mask);
	__set_bit(NR_VCPUS + 3, mask);
	KUNIT_EXPECT_FALSE(test, kvm_make_vcpus_request_mask(vm->kvm, KVM_REQ_MMU_SYNC,
							     mask));
	for (i = 0; i < NR_VCPUS; i++)
		KUNIT_EXPECT_EQ(test, kvm_test_request(KVM_REQ_MMU_SYNC, vm->vcpu[i]),
				i == 1 || i == 3);
}

static void put_in_guest(struct kvm_vcpu *vcpu)
{
	vcpu->cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	vcpu->mode = IN_GUEST_MODE;
}

static int take_out_of_guest(struct kvm_vcpu *vcpu)
{
	const int mode = vcpu->mode;

	vcpu->mode = OUTSIDE_GUEST_MODE;
	vcpu->cpu = -1;
	return mode;
}

/* Only a guest that has asked for steal time has its page looked up anew. */
static void kick_for_memslots(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	int i;

	vm->vcpu[1]->arch.st.msr_val = KVM_MSR_ENABLED;
	for (i = 0; i < 2; i++)
		put_in_guest(vm->vcpu[i]);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, 1, 0, 0));
	vm->vcpu[1]->arch.st.msr_val = 0;

	KUNIT_EXPECT_EQ(test, take_out_of_guest(vm->vcpu[0]), IN_GUEST_MODE);
	KUNIT_EXPECT_EQ(test, take_out_of_guest(vm->vcpu[1]), EXITING_GUEST_MODE);
}

/* A kick sends a vCPU out of the guest, and leaves it alone elsewhere. */
static void kick_by_mode(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct kvm_vcpu *vcpu = vm->vcpu[1];

	kvm_vcpu_kick(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->mode, OUTSIDE_GUEST_MODE);

	/* In the guest on another CPU, or on none: an interrupt at most. */
	vcpu->cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	vcpu->mode = IN_GUEST_MODE;
	kvm_vcpu_kick(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->mode, EXITING_GUEST_MODE);
	vcpu->mode = OUTSIDE_GUEST_MODE;
	vcpu->cpu = -1;

	/* By itself, from an interrupt, say. */
	soft_cpu_begin(vcpu);
	vcpu->mode = IN_GUEST_MODE;
	kvm_vcpu_kick(vcpu);
	KUNIT_EXPECT_EQ(test, vcpu->mode, EXITING_GUEST_MODE);
	vcpu->mode = OUTSIDE_GUEST_MODE;
	soft_cpu_end(vcpu);
}

static struct kunit_case yield_cases[] = {
	KUNIT_CASE(yield_round_robin),
	KUNIT_CASE(yield_candidates),
	KUNIT_CASE(yield_to_kernel),
	KUNIT_CASE(yield_to_spinner),
	KUNIT_CASE(yield_to_halted),
	KUNIT_CASE(request_by_mask),
	KUNIT_CASE(kick_by_mode),
	KUNIT_CASE(kick_for_memslots),
	{}
};

static struct kunit_suite yield_suite = {
	.name = "kvm_soft_yield",
	.test_cases = yield_cases,
};

kunit_test_suite(yield_suite);
