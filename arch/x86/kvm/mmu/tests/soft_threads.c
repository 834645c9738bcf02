// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs of software in threads, see soft_threads.h.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>

#include "soft_threads.h"

/* Of one access that makes no progress, and the pause between two of them. */
#define TRIES		50
#define PAUSE_MS	20

/* Accesses, before the VMM's calls that need the vCPU get their turn. */
#define BURST	32

/*
 * A fault is repeated for as long as an invalidation goes on; whose thread may be
 * on a CPU for which the host, where it is busy, has no time at all.
 */
int soft_thread_access(struct soft_thread *thread, struct soft_access *access)
{
	int i, end = -ELOOP;

	for (i = 0; end == -ELOOP && i < TRIES; i++) {
		if (i)
			msleep(PAUSE_MS);
		end = soft_cpu_access(soft_thread_vcpu(thread), access);
	}
	return end;
}

static bool run_burst(struct soft_thread *thread)
{
	struct kvm_vcpu *vcpu = soft_thread_vcpu(thread);
	bool more = true;
	int i;

	soft_cpu_begin(vcpu);
	for (i = 0; more && i < BURST; i++)
		more = thread->ops->access(thread);
	soft_cpu_end(vcpu);
	return more;
}

static void begin(struct soft_thread *thread)
{
	struct kvm_vcpu *vcpu = soft_thread_vcpu(thread);

	if (!thread->ops->begin)
		return;
	soft_cpu_begin(vcpu);
	thread->ops->begin(thread);
	soft_cpu_end(vcpu);
}

static int run_thread(void *data)
{
	struct soft_thread *thread = data;
	struct mm_struct *mm = thread->all->vm->kvm->mm;

	kthread_use_mm(mm);
	begin(thread);
	while (!READ_ONCE(thread->all->stop) && run_burst(thread)) {
		if (thread->ops->pause)
			thread->ops->pause(thread);
		cond_resched();
	}
	kthread_unuse_mm(mm);
	kthread_complete_and_exit(&thread->ended, 0);
}

void soft_threads_stop(struct soft_threads *threads)
{
	struct soft_thread *thread;

	WRITE_ONCE(threads->stop, true);
	for (thread = threads->thread;
	     thread < threads->thread + SOFT_MAX_VCPUS; thread++) {
		if (thread->started)
			wait_for_completion(&thread->ended);
		thread->started = false;
	}
}

static void stop_threads(void *threads)
{
	soft_threads_stop(threads);
}

void soft_threads_init(struct soft_threads *threads, struct soft_vm *vm)
{
	int r;

	memset(threads, 0, sizeof(*threads));
	threads->vm = vm;
	r = kunit_add_action_or_reset(vm->test, stop_threads, threads);
	KUNIT_ASSERT_EQ(vm->test, r, 0);
}

void soft_thread_start(struct soft_threads *threads, int id,
		       const struct soft_thread_ops *ops)
{
	struct soft_thread *thread = &threads->thread[id];
	struct task_struct *task;

	thread->all = threads;
	thread->ops = ops;
	thread->id = id;
	prandom_seed_state(&thread->rnd, 1 + id);
	init_completion(&thread->ended);
	task = kthread_run(run_thread, thread, "soft_vcpu/%d", id);
	KUNIT_ASSERT_FALSE(threads->vm->test, IS_ERR(task));
	thread->started = true;
}

bool soft_thread_ended(struct soft_threads *threads, int id)
{
	return completion_done(&threads->thread[id].ended);
}
