// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that does not run: halting, waking, kicking, yielding to it.
 *
 * A halted vCPU polls for an event, for a time that adapts to how long past halts
 * took, and then sleeps on its rcuwait.  A waker first makes the event visible and
 * then looks for a sleeper; the sleeper first announces itself and then looks for
 * events.  The full barriers of set_current_state() and rcuwait_wake_up() pair.
 *
 * vcpu->halt_poll_ns belongs to the task that runs the vCPU.  What
 * kvm_vcpu_on_spin() reads of other vCPUs are hints, read without a lock.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/stat.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/smp.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include <trace/events/ipi.h>
#include <trace/events/kvm.h>

#include "kvm_core.h"

/*
 * Module parameters, which root may write at any time: each use reads them once, and one
 * old value makes for one poll that is too long or too short.
 */

/* The longest poll, in ns; 0 forbids polling.  KVM_CAP_HALT_POLL overrides it. */
unsigned int halt_poll_ns = KVM_HALT_POLL_NS_DEFAULT;
EXPORT_SYMBOL_GPL(halt_poll_ns);

/* Divisor by which a vCPU's poll shrinks; 0 stops it at once. */
unsigned int halt_poll_ns_shrink = 2;
EXPORT_SYMBOL_GPL(halt_poll_ns_shrink);

/* Factor by which a vCPU's poll grows; 0 keeps it. */
unsigned int halt_poll_ns_grow = 2;
EXPORT_SYMBOL_GPL(halt_poll_ns_grow);

/* The shortest poll other than none, in ns. */
unsigned int halt_poll_ns_grow_start = 10 * NSEC_PER_USEC;
EXPORT_SYMBOL_GPL(halt_poll_ns_grow_start);

module_param(halt_poll_ns, uint, 0644);
module_param(halt_poll_ns_shrink, uint, 0644);
module_param(halt_poll_ns_grow, uint, 0644);
module_param(halt_poll_ns_grow_start, uint, 0644);

/**
 * kvm_sigset_activate() - block the signals that KVM_SET_SIGNAL_MASK names
 * @vcpu: the vCPU that the calling task is about to run
 *
 * Context: process context, under vcpu->mutex.  The task's own mask waits in
 * ->real_blocked, which only the task itself writes and whose readers can live
 * with any subset of ->blocked.
 */
void kvm_sigset_activate(struct kvm_vcpu *vcpu)
{
	if (vcpu->sigset_active)
		sigprocmask(SIG_SETMASK, &vcpu->sigset, &current->real_blocked);
}

/**
 * kvm_sigset_deactivate() - undo kvm_sigset_activate()
 * @vcpu: the same vCPU
 *
 * Context: process context, under vcpu->mutex since kvm_sigset_activate().
 */
void kvm_sigset_deactivate(struct kvm_vcpu *vcpu)
{
	if (vcpu->sigset_active) {
		sigprocmask(SIG_SETMASK, &current->real_blocked, NULL);
		sigemptyset(&current->real_blocked);
	}
}

/* Has the halted vCPU of the current task a reason to run or to return? */
static bool kvm_vcpu_has_event(struct kvm_vcpu *vcpu)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	bool event;

	/* The request comes last: asking consumes it. */
	event = kvm_arch_vcpu_runnable(vcpu) ||
		kvm_cpu_has_pending_timer(vcpu) ||
		signal_pending(current) ||
		kvm_check_request(KVM_REQ_UNBLOCK, vcpu);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return event;
}

/**
 * kvm_vcpu_block() - sleep until the vCPU has a reason to run or to return
 * @vcpu: the vCPU that the calling task has loaded
 *
 * The reasons: the vCPU is runnable, its timer is pending, the task has a signal, or
 * KVM_REQ_UNBLOCK was requested.  Does not poll first, as kvm_vcpu_halt() does.
 *
 * Context: process context, outside of kvm->srcu.
 *
 * Return: whether the task slept at all.
 */
bool kvm_vcpu_block(struct kvm_vcpu *vcpu)
{
	struct rcuwait *wait = kvm_arch_vcpu_get_wait(vcpu);
	bool slept = false;

	vcpu->stat.generic.blocking = 1;

	/*
	 * If the task is preempted, kvm_arch_vcpu_put() asks whether the vCPU
	 * blocks.  It must not do so between the two calls.
	 */
	preempt_disable();
	kvm_arch_vcpu_blocking(vcpu);
	prepare_to_rcuwait(wait);
	preempt_enable();

	/* The barrier pairs with that of rcuwait_wake_up(). */
	set_current_state(TASK_INTERRUPTIBLE);
	while (!kvm_vcpu_has_event(vcpu)) {
		slept = true;
		schedule();
		set_current_state(TASK_INTERRUPTIBLE);
	}

	preempt_disable();
	finish_rcuwait(wait);
	kvm_arch_vcpu_unblocking(vcpu);
	preempt_enable();

	vcpu->stat.generic.blocking = 0;
	return slept;
}

/* One halt: from @start to @poll_end it polls, to @end it sleeps. */
struct kvm_halt {
	ktime_t start;
	ktime_t poll_end;
	ktime_t end;
	bool slept;
};

static unsigned int kvm_vcpu_max_halt_poll_ns(const struct kvm_vcpu *vcpu)
{
	const struct kvm *kvm = vcpu->kvm;

	if (!READ_ONCE(kvm->override_halt_poll_ns))
		return READ_ONCE(halt_poll_ns);

	/*
	 * The override before its value: pairs with the smp_wmb() where
	 * vm_ioctl.c enables KVM_CAP_HALT_POLL.
	 */
	smp_rmb();
	return READ_ONCE(kvm->max_halt_poll_ns);
}

/* Return: true if an event came, false if the time is up or the CPU is needed. */
static bool kvm_halt_poll(struct kvm_vcpu *vcpu, struct kvm_halt *halt)
{
	ktime_t stop = ktime_add_ns(halt->start, vcpu->halt_poll_ns);

	do {
		if (kvm_vcpu_has_event(vcpu))
			return true;
		cpu_relax();
		halt->poll_end = ktime_get();
	} while (kvm_vcpu_can_poll(halt->poll_end, stop));

	return false;
}

static void kvm_halt_sleep(struct kvm_vcpu *vcpu, struct kvm_halt *halt)
{
	struct kvm_vcpu_stat_generic *stat = &vcpu->stat.generic;
	u64 ns;

	halt->slept = kvm_vcpu_block(vcpu);
	halt->end = ktime_get();
	if (!halt->slept)
		return;

	ns = ktime_to_ns(ktime_sub(halt->end, halt->poll_end));
	stat->halt_wait_ns += ns;
	KVM_STATS_LOG_HIST_UPDATE(stat->halt_wait_hist, ns);
}

/*
 * A poll counts as successful if the vCPU did not sleep, even if the event came only
 * after the end of the poll.
 */
static void kvm_halt_count_poll(struct kvm_vcpu *vcpu,
				const struct kvm_halt *halt)
{
	struct kvm_vcpu_stat_generic *stat = &vcpu->stat.generic;
	u64 ns = ktime_to_ns(ktime_sub(halt->poll_end, halt->start));

	stat->halt_attempted_poll++;
	if (halt->slept) {
		stat->halt_poll_fail_ns += ns;
		KVM_STATS_LOG_HIST_UPDATE(stat->halt_poll_fail_hist, ns);
		return;
	}

	stat->halt_successful_poll++;
	if (!vcpu_valid_wakeup(vcpu))
		stat->halt_poll_invalid++;
	stat->halt_poll_success_ns += ns;
	KVM_STATS_LOG_HIST_UPDATE(stat->halt_poll_success_hist, ns);
}

static void kvm_vcpu_grow_poll(struct kvm_vcpu *vcpu)
{
	unsigned int start = READ_ONCE(halt_poll_ns_grow_start);
	unsigned int factor = READ_ONCE(halt_poll_ns_grow);
	unsigned int old = vcpu->halt_poll_ns;

	if (factor)
		vcpu->halt_poll_ns = max(old * factor, start);

	trace_kvm_halt_poll_ns_grow(vcpu->vcpu_id, vcpu->halt_poll_ns, old);
}

static void kvm_vcpu_shrink_poll(struct kvm_vcpu *vcpu)
{
	unsigned int divisor = READ_ONCE(halt_poll_ns_shrink);
	unsigned int start = READ_ONCE(halt_poll_ns_grow_start);
	unsigned int old = vcpu->halt_poll_ns;
	unsigned int ns = divisor ? old / divisor : 0;

	vcpu->halt_poll_ns = ns < start ? 0 : ns;
	trace_kvm_halt_poll_ns_shrink(vcpu->vcpu_id, vcpu->halt_poll_ns, old);
}

/*
 * Learn from a halt of @ns: polling pays where halts are shorter than the
 * longest poll.  That limit can have changed meanwhile.
 */
static void kvm_vcpu_adapt_poll(struct kvm_vcpu *vcpu, u64 ns)
{
	unsigned int longest = kvm_vcpu_max_halt_poll_ns(vcpu);

	if (!vcpu_valid_wakeup(vcpu))
		kvm_vcpu_shrink_poll(vcpu);
	else if (!longest)
		vcpu->halt_poll_ns = 0;
	else if (ns <= vcpu->halt_poll_ns)
		return;
	else if (ns > longest && vcpu->halt_poll_ns)
		kvm_vcpu_shrink_poll(vcpu);
	else if (ns < longest && vcpu->halt_poll_ns < longest)
		kvm_vcpu_grow_poll(vcpu);
}

/**
 * kvm_vcpu_halt() - emulate an instruction that waits for an interrupt
 * @vcpu: the vCPU that the calling task has loaded
 *
 * Polls up to vcpu->halt_poll_ns before it blocks, for the sake of wakeups that
 * come soon (halt-polling.rst).
 *
 * Context: process context, outside of kvm->srcu.
 */
void kvm_vcpu_halt(struct kvm_vcpu *vcpu)
{
	unsigned int longest = kvm_vcpu_max_halt_poll_ns(vcpu);
	bool may_poll = !kvm_arch_no_poll(vcpu);
	struct kvm_halt halt = {};
	bool polls;
	u64 ns;

	if (vcpu->halt_poll_ns > longest)
		vcpu->halt_poll_ns = longest;
	polls = may_poll && vcpu->halt_poll_ns;

	halt.start = ktime_get();
	halt.poll_end = halt.start;
	if (polls && kvm_halt_poll(vcpu, &halt))
		halt.end = halt.poll_end;
	else
		kvm_halt_sleep(vcpu, &halt);

	ns = ktime_to_ns(ktime_sub(halt.end, halt.start));
	if (polls)
		kvm_halt_count_poll(vcpu, &halt);
	if (may_poll)
		kvm_vcpu_adapt_poll(vcpu, ns);

	trace_kvm_vcpu_wakeup(ns, halt.slept, vcpu_valid_wakeup(vcpu));
}
EXPORT_SYMBOL_GPL(kvm_vcpu_halt);

/**
 * kvm_vcpu_wake_up() - wake a vCPU that blocks
 * @vcpu: the vCPU
 *
 * Context: any.  The event to wake it for is visible already.
 *
 * Return: whether it was blocking.
 */
bool kvm_vcpu_wake_up(struct kvm_vcpu *vcpu)
{
	if (!__kvm_vcpu_wake_up(vcpu))
		return false;

	/* Several CPUs may wake the vCPU at once: the statistics may lose one. */
	data_race(vcpu->stat.generic.halt_wakeup++);
	WRITE_ONCE(vcpu->ready, true);
	return true;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_wake_up);

#ifndef CONFIG_S390
/* Interrupt the CPU that a vCPU runs its guest on, if not the current one. */
static void kvm_vcpu_send_kick(struct kvm_vcpu *vcpu)
{
	unsigned int cpu;

	if (!kvm_arch_vcpu_should_kick(vcpu))
		return;

	/*
	 * The vCPU can migrate after this, and the interrupt goes to the wrong
	 * CPU.  But a vCPU that migrates leaves the guest, which is all that
	 * the kick is for.
	 */
	cpu = READ_ONCE(vcpu->cpu);
	if (cpu < nr_cpu_ids && cpu != smp_processor_id() && cpu_online(cpu))
		smp_send_reschedule(cpu);
}

/**
 * kvm_vcpu_kick() - make a vCPU notice what changed
 * @vcpu: the vCPU
 *
 * Wakes it if it blocks, sends it out of the guest if it runs there.  Does not
 * wait until it is out (vcpu-requests.rst).
 *
 * Context: any.
 */
void kvm_vcpu_kick(struct kvm_vcpu *vcpu)
{
	if (kvm_vcpu_wake_up(vcpu))
		return;

	preempt_disable();
	if (vcpu != kvm_get_running_vcpu())
		kvm_vcpu_send_kick(vcpu);
	else if (READ_ONCE(vcpu->mode) == IN_GUEST_MODE)
		/*
		 * IN_GUEST_MODE to EXITING_GUEST_MODE is all that others do to
		 * ->mode: the vCPU's own task needs no cmpxchg for it.
		 */
		WRITE_ONCE(vcpu->mode, EXITING_GUEST_MODE);
	preempt_enable();
}
EXPORT_SYMBOL_GPL(kvm_vcpu_kick);
#endif

/**
 * kvm_vcpu_yield_to() - give the rest of the time slice to a vCPU's task
 * @target: the vCPU
 *
 * Context: process context, may schedule.
 *
 * Return: above 0 if the task was boosted; 0 if not, or if nobody ever ran the
 * vCPU; -ESRCH if neither this CPU nor that of the task has another task to run.
 */
int kvm_vcpu_yield_to(struct kvm_vcpu *target)
{
	struct task_struct *task;
	int r;

	/* KVM_RUN in another thread replaces the pid under the lock, then puts it. */
	read_lock(&target->pid_lock);
	task = get_pid_task(target->pid, PIDTYPE_PID);
	read_unlock(&target->pid_lock);
	if (!task)
		return 0;

	r = yield_to(task, true);
	put_task_struct(task);
	return r;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_yield_to);

/**
 * kvm_arch_dy_runnable() - hook: would a vCPU that blocks run if it could?
 * @vcpu: a vCPU that the calling task has not loaded
 *
 * Context: process context.
 *
 * Return: the answer; a hint.
 */
bool __weak kvm_arch_dy_runnable(struct kvm_vcpu *vcpu)
{
	return kvm_arch_vcpu_runnable(vcpu);
}

/**
 * kvm_arch_vcpu_preempted_in_kernel() - hook: did a preempted vCPU leave its
 * guest in kernel mode?
 * @vcpu: a vCPU that the calling task has not loaded
 *
 * Context: process context.  The default suits architectures that can ask for
 * the mode of a vCPU that is not loaded.
 *
 * Return: the answer; a hint.
 */
bool __weak kvm_arch_vcpu_preempted_in_kernel(struct kvm_vcpu *vcpu)
{
	return kvm_arch_vcpu_in_kernel(vcpu);
}

/**
 * kvm_arch_dy_has_pending_interrupt() - hook: does a vCPU have an interrupt
 * waiting?
 * @vcpu: a vCPU that the calling task has not loaded
 *
 * Context: process context.
 *
 * Return: the answer; a hint.
 */
bool __weak kvm_arch_dy_has_pending_interrupt(struct kvm_vcpu *vcpu)
{
	return false;
}

static bool kvm_vcpu_wants_cpu(struct kvm_vcpu *vcpu)
{
	if (!kvm_vcpu_is_blocking(vcpu) || kvm_arch_dy_runnable(vcpu))
		return true;

#ifdef CONFIG_KVM_ASYNC_PF
	return !list_empty_careful(&vcpu->async_pf.done);
#else
	return false;
#endif
}

/*
 * A vCPU that was preempted in user mode holds no lock of its kernel.  It is worth a
 * yield all the same if it has an interrupt pending: the spinning vCPU may be waiting
 * until an IPI is handled, and the interrupt will bring this vCPU into its kernel.
 */
static bool kvm_vcpu_runs_kernel(struct kvm_vcpu *vcpu)
{
	return !READ_ONCE(vcpu->preempted) ||
	       kvm_arch_dy_has_pending_interrupt(vcpu) ||
	       kvm_arch_vcpu_preempted_in_kernel(vcpu);
}

/*
 * A vCPU that spins itself hardly holds the lock, so it only gets every second
 * chance: the first search skips it, but makes it eligible for the next one.  Its own
 * task changes both fields without a lock; a race costs a wrong guess.
 */
static bool kvm_vcpu_take_turn(struct kvm_vcpu *vcpu)
{
#ifdef CONFIG_HAVE_KVM_CPU_RELAX_INTERCEPT
	bool eligible;

	if (!READ_ONCE(vcpu->spin_loop.in_spin_loop))
		return true;

	eligible = READ_ONCE(vcpu->spin_loop.dy_eligible);
	kvm_vcpu_set_dy_eligible(vcpu, !eligible);
	return eligible;
#else
	return true;
#endif
}

/* A vCPU's search for one that it can yield to. */
struct kvm_spin {
	struct kvm_vcpu *me;
	/* Yield only to vCPUs that may hold a lock of the guest's kernel. */
	bool kernel_only;
	/* Yields that may still fail before the search gives up. */
	int tries;
	/* Result of the last kvm_vcpu_yield_to(). */
	int yielded;
};

static bool kvm_spin_may_boost(const struct kvm_spin *spin,
			       struct kvm_vcpu *vcpu)
{
	return READ_ONCE(vcpu->ready) && vcpu != spin->me &&
	       kvm_vcpu_wants_cpu(vcpu) &&
	       (!spin->kernel_only || kvm_vcpu_runs_kernel(vcpu)) &&
	       kvm_vcpu_take_turn(vcpu);
}

/* Try the vCPUs of the indices from @first to @last. */
static void kvm_spin_search(struct kvm_spin *spin, unsigned long first,
			    unsigned long last)
{
	struct kvm *kvm = spin->me->kvm;
	struct kvm_vcpu *vcpu;
	unsigned long idx;

	xa_for_each_range(&kvm->vcpu_array, idx, vcpu, first, last) {
		if (!kvm_spin_may_boost(spin, vcpu))
			continue;

		spin->yielded = kvm_vcpu_yield_to(vcpu);
		if (spin->yielded > 0) {
			WRITE_ONCE(kvm->last_boosted_vcpu, idx);
			return;
		}
		if (spin->yielded < 0 && !--spin->tries)
			return;
	}
}

/**
 * kvm_vcpu_on_spin() - yield to a vCPU that may hold the lock spun on
 * @me: the vCPU whose guest spins
 * @yield_to_kernel_mode: the guest spins in its kernel, and so only a vCPU in
 * the kernel can hold the lock
 *
 * Looks for vCPUs that want to run and do not, round robin from the one after
 * the last that was boosted.
 *
 * Context: process context, may schedule; the calling task has loaded @me.
 */
void kvm_vcpu_on_spin(struct kvm_vcpu *me, bool yield_to_kernel_mode)
{
	struct kvm *kvm = me->kvm;
	unsigned long boosted = READ_ONCE(kvm->last_boosted_vcpu);
	struct kvm_spin spin = {
		.me = me,
		.kernel_only = yield_to_kernel_mode,
		.tries = 3,
	};

	kvm_vcpu_set_in_spin_loop(me, true);

	kvm_spin_search(&spin, boosted + 1,
			atomic_read(&kvm->online_vcpus) - 1);
	if (!spin.yielded)
		kvm_spin_search(&spin, 0, boosted);

	kvm_vcpu_set_in_spin_loop(me, false);
	/* When @me spins again, the searches of others skip it once more. */
	kvm_vcpu_set_dy_eligible(me, false);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_on_spin);
