// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which vCPU a physical CPU has loaded, and what perf is told of it.
 *
 * A loaded vCPU belongs to the task that loaded it; the preempt notifier puts and
 * loads it again around the time in which that task does not run.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/perf_event.h>
#include <linux/preempt.h>
#include <linux/sched.h>

#include "kvm_core.h"

/* The vCPU that is loaded on this CPU; written with preemption disabled. */
static DEFINE_PER_CPU(struct kvm_vcpu *, kvm_running_vcpu);

/* Preemption is disabled. */
static void kvm_vcpu_enter_cpu(struct kvm_vcpu *vcpu, int cpu)
{
	__this_cpu_write(kvm_running_vcpu, vcpu);
	kvm_arch_vcpu_load(vcpu, cpu);
}

/**
 * vcpu_load() - make a vCPU the one that this CPU has loaded
 * @vcpu: the vCPU
 *
 * Until vcpu_put() the vCPU follows the calling task: it leaves the CPU and
 * comes back together with it.
 *
 * Context: process context; the caller holds vcpu->mutex, or nobody else can
 * reach the vCPU.
 */
void vcpu_load(struct kvm_vcpu *vcpu)
{
	int cpu = get_cpu();

	/*
	 * The notifier only fires once preemption is enabled again, so its
	 * place relative to the load does not matter.
	 */
	preempt_notifier_register(&vcpu->preempt_notifier);
	kvm_vcpu_enter_cpu(vcpu, cpu);
	put_cpu();
}
EXPORT_SYMBOL_GPL(vcpu_load);

/**
 * vcpu_put() - undo vcpu_load()
 * @vcpu: the vCPU that the calling task has loaded
 *
 * Context: process context.
 */
void vcpu_put(struct kvm_vcpu *vcpu)
{
	preempt_disable();
	kvm_arch_vcpu_put(vcpu);
	__this_cpu_write(kvm_running_vcpu, NULL);
	preempt_notifier_unregister(&vcpu->preempt_notifier);
	preempt_enable();
}
EXPORT_SYMBOL_GPL(vcpu_put);

/**
 * kvm_get_running_vcpu() - the vCPU that the calling task has loaded
 *
 * Context: any.  The answer stays right after a migration, because the preempt
 * notifier carries the variable along with the task.
 *
 * Return: the vCPU, or NULL if there is none.
 */
struct kvm_vcpu *kvm_get_running_vcpu(void)
{
	struct kvm_vcpu *loaded;

	preempt_disable();
	loaded = __this_cpu_read(kvm_running_vcpu);
	preempt_enable();

	return loaded;
}
EXPORT_SYMBOL_GPL(kvm_get_running_vcpu);

/**
 * kvm_get_running_vcpus() - each CPU's loaded vCPU, e.g. as a per-CPU cookie
 *
 * Context: any.
 *
 * Return: the per-CPU variable.  What is read of another CPU may be old at once.
 */
struct kvm_vcpu * __percpu *kvm_get_running_vcpus(void)
{
	return &kvm_running_vcpu;
}

/* The task that has the vCPU loaded starts to run on @cpu. */
static void kvm_vcpu_sched_in(struct preempt_notifier *pn, int cpu)
{
	struct kvm_vcpu *vcpu;

	vcpu = container_of(pn, struct kvm_vcpu, preempt_notifier);
	WRITE_ONCE(vcpu->ready, false);
	WRITE_ONCE(vcpu->preempted, false);
	kvm_vcpu_enter_cpu(vcpu, cpu);
	/* kvm_arch_vcpu_load() looks at it, so it is cleared only afterwards. */
	WRITE_ONCE(vcpu->scheduled_out, false);
}

/*
 * The task that has the vCPU loaded stops running.  If the task is still runnable it
 * was preempted, and is worth a directed yield: see kvm_vcpu_on_spin().  Others read
 * ready and preempted without a lock; a wrong value makes for a wasted yield.
 */
static void kvm_vcpu_sched_out(struct preempt_notifier *pn,
			       struct task_struct *next)
{
	struct kvm_vcpu *vcpu;

	vcpu = container_of(pn, struct kvm_vcpu, preempt_notifier);
	WRITE_ONCE(vcpu->scheduled_out, true);
	if (vcpu->wants_to_run && task_is_runnable(current)) {
		WRITE_ONCE(vcpu->ready, true);
		WRITE_ONCE(vcpu->preempted, true);
	}
	kvm_arch_vcpu_put(vcpu);
	__this_cpu_write(kvm_running_vcpu, NULL);
}

static struct preempt_ops kvm_vcpu_preempt_ops = {
	.sched_out = kvm_vcpu_sched_out,
	.sched_in = kvm_vcpu_sched_in,
};

/**
 * kvm_vcpu_load_init() - let a new vCPU be loaded
 * @vcpu: the vCPU, which nobody else can reach
 *
 * Context: any.
 */
void kvm_vcpu_load_init(struct kvm_vcpu *vcpu)
{
	preempt_notifier_init(&vcpu->preempt_notifier, &kvm_vcpu_preempt_ops);
}

#ifdef CONFIG_GUEST_PERF_EVENTS
static unsigned int kvm_perf_guest_state(void)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	if (!kvm_arch_pmi_in_guest(vcpu))
		return 0;

	if (kvm_arch_vcpu_in_kernel(vcpu))
		return PERF_GUEST_ACTIVE;

	return PERF_GUEST_ACTIVE | PERF_GUEST_USER;
}

/* perf asks for the state first, and only goes on where a guest is active. */
static unsigned long kvm_perf_guest_ip(void)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();

	if (WARN_ON_ONCE(!kvm_arch_pmi_in_guest(vcpu)))
		return 0;

	return kvm_arch_vcpu_get_ip(vcpu);
}

static struct perf_guest_info_callbacks kvm_perf_callbacks = {
	.get_ip = kvm_perf_guest_ip,
	.state = kvm_perf_guest_state,
};

/**
 * kvm_register_perf_callbacks() - let perf attribute samples to guests
 * @pt_intr_handler: handles a guest's Intel PT interrupt, or NULL
 *
 * Context: module init of the architecture; perf takes one user at a time.
 */
void kvm_register_perf_callbacks(unsigned int (*pt_intr_handler)(void))
{
	kvm_perf_callbacks.handle_intel_pt_intr = pt_intr_handler;
	perf_register_guest_info_callbacks(&kvm_perf_callbacks);
}

/**
 * kvm_unregister_perf_callbacks() - undo kvm_register_perf_callbacks()
 *
 * Context: may sleep; on return no CPU runs a callback any more.
 */
void kvm_unregister_perf_callbacks(void)
{
	perf_unregister_guest_info_callbacks(&kvm_perf_callbacks);
}
#endif
