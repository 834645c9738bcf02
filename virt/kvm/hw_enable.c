// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hardware virtualization: on with the first user, off with the last.
 *
 * kvm_usage_lock protects the number of users.  It is taken outside
 * cpus_read_lock(), which cpuhp_setup_state() and cpuhp_remove_state() take;
 * kvm_lock is inside cpus_read_lock() and therefore of no use here.
 *
 * While there is a user, every CPU that can run tasks has virtualization
 * enabled, except after kvm_rebooting was set.  kvm_cpu_virt_on is changed only
 * on its own CPU: by the hotplug thread, by a syscore callback, or by the IPI
 * of a shutdown.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/cleanup.h>
#include <linux/cpu.h>
#include <linux/cpuhotplug.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/syscore_ops.h>

#include "kvm_core.h"

#ifdef CONFIG_KVM_GENERIC_HARDWARE_ENABLING

static bool enable_virt_at_load = true;
module_param(enable_virt_at_load, bool, 0444);

/*
 * Only ever set.  Read where an instruction of VMX or SVM has faulted: a fault is expected
 * once virtualization was disabled under a VM that still runs.
 */
__visible bool kvm_rebooting;
EXPORT_SYMBOL_GPL(kvm_rebooting);

static DEFINE_MUTEX(kvm_usage_lock);
static int kvm_nr_virt_users;
static DEFINE_PER_CPU(bool, kvm_cpu_virt_on);

/**
 * kvm_arch_enable_virtualization() - arch hook, before any CPU is enabled
 *
 * Context: kvm_usage_lock held, when the first user comes.
 */
void __weak kvm_arch_enable_virtualization(void)
{
}

/**
 * kvm_arch_disable_virtualization() - arch hook, after all CPUs are disabled
 *
 * Context: kvm_usage_lock held, when the last user is gone.
 */
void __weak kvm_arch_disable_virtualization(void)
{
}

static int kvm_cpu_virt_enable(void)
{
	if (__this_cpu_read(kvm_cpu_virt_on))
		return 0;

	if (kvm_arch_enable_virtualization_cpu()) {
		pr_info("kvm: enabling virtualization on CPU%d failed\n",
			raw_smp_processor_id());
		return -EIO;
	}

	__this_cpu_write(kvm_cpu_virt_on, true);
	return 0;
}

static void kvm_cpu_virt_disable(void)
{
	if (__this_cpu_read(kvm_cpu_virt_on)) {
		kvm_arch_disable_virtualization_cpu();
		__this_cpu_write(kvm_cpu_virt_on, false);
	}
}

/* A CPU that fails stays offline: a vCPU that moved to it could not go on. */
static int kvm_cpu_online(unsigned int cpu)
{
	return kvm_cpu_virt_enable();
}

static int kvm_cpu_offline(unsigned int cpu)
{
	kvm_cpu_virt_disable();
	return 0;
}

/*
 * The system suspends and resumes on one CPU, with all others offline and
 * every task frozen.  A task freezes with no lock held, so the number of users
 * is stable without kvm_usage_lock.
 */
static void kvm_assert_syscore_context(void)
{
	lockdep_assert_irqs_disabled();
	lockdep_assert_not_held(&kvm_usage_lock);
}

static int kvm_syscore_suspend(void *unused)
{
	kvm_assert_syscore_context();
	kvm_cpu_virt_disable();
	return 0;
}

static void kvm_syscore_resume(void *unused)
{
	kvm_assert_syscore_context();
	WARN_ON_ONCE(kvm_cpu_virt_enable());
}

static void kvm_cpu_virt_disable_ipi(void *unused)
{
	kvm_cpu_virt_disable();
}

/*
 * Firmware expects CPUs with virtualization disabled: on x86 VMX blocks the INIT that
 * firmware resets them with.  VMs may still run, and their vCPUs will fault;
 * kvm_rebooting is set first so that these faults are expected.
 */
static void kvm_syscore_shutdown(void *unused)
{
	pr_info("kvm: exiting hardware virtualization\n");
	kvm_rebooting = true;
	on_each_cpu(kvm_cpu_virt_disable_ipi, NULL, true);
}

static const struct syscore_ops kvm_syscore_ops = {
	.suspend = kvm_syscore_suspend,
	.resume = kvm_syscore_resume,
	.shutdown = kvm_syscore_shutdown,
};

static struct syscore kvm_syscore = {
	.ops = &kvm_syscore_ops,
};

/*
 * A reboot sets system_state before it runs the syscore callbacks for shutdown.  So if
 * system_state still says that the system runs, kvm_syscore was registered in time for
 * kvm_syscore_shutdown() to be called.
 */
static bool kvm_system_goes_down(void)
{
	switch (system_state) {
	case SYSTEM_HALT:
	case SYSTEM_POWER_OFF:
	case SYSTEM_RESTART:
		return true;
	default:
		return false;
	}
}

static void kvm_virt_stop(void)
{
	lockdep_assert_held(&kvm_usage_lock);

	unregister_syscore(&kvm_syscore);
	cpuhp_remove_state(CPUHP_AP_KVM_ONLINE);
	kvm_arch_disable_virtualization();
}

static int kvm_virt_start(void)
{
	int r;

	lockdep_assert_held(&kvm_usage_lock);

	kvm_arch_enable_virtualization();

	r = cpuhp_setup_state(CPUHP_AP_KVM_ONLINE, "kvm/cpu:online",
			      kvm_cpu_online, kvm_cpu_offline);
	if (r) {
		kvm_arch_disable_virtualization();
		return r;
	}

	register_syscore(&kvm_syscore);

	if (kvm_system_goes_down()) {
		kvm_virt_stop();
		return -EBUSY;
	}

	return 0;
}

/**
 * kvm_enable_virtualization() - become a user of hardware virtualization
 *
 * Context: may sleep; takes kvm_usage_lock and, inside it, cpus_read_lock().
 *
 * Return: 0; -EIO if a CPU refuses; -EBUSY if the system is going down; or
 * another errno of CPU hotplug.
 */
int kvm_enable_virtualization(void)
{
	int r = 0;

	guard(mutex)(&kvm_usage_lock);

	if (!kvm_nr_virt_users)
		r = kvm_virt_start();
	if (!r)
		kvm_nr_virt_users++;

	return r;
}
EXPORT_SYMBOL_GPL(kvm_enable_virtualization);

/**
 * kvm_disable_virtualization() - undo one kvm_enable_virtualization()
 *
 * Context: as kvm_enable_virtualization().
 */
void kvm_disable_virtualization(void)
{
	guard(mutex)(&kvm_usage_lock);

	if (!--kvm_nr_virt_users)
		kvm_virt_stop();
}
EXPORT_SYMBOL_GPL(kvm_disable_virtualization);

/* Shows lockdep the order of the three locks before any path takes two of them. */
static void kvm_teach_virt_lock_order(void)
{
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		return;

	mutex_lock(&kvm_usage_lock);
	cpus_read_lock();
	mutex_lock(&kvm_lock);
	mutex_unlock(&kvm_lock);
	cpus_read_unlock();
	mutex_unlock(&kvm_usage_lock);
}

/**
 * kvm_virtualization_module_init() - enable virtualization for the module
 *
 * With enable_virt_at_load the module itself is a user, so that creating the
 * first VM does not wait for every CPU.
 *
 * Context: kvm_init(); as kvm_enable_virtualization().
 *
 * Return: as kvm_enable_virtualization().
 */
int kvm_virtualization_module_init(void)
{
	kvm_teach_virt_lock_order();

	return enable_virt_at_load ? kvm_enable_virtualization() : 0;
}

/**
 * kvm_virtualization_module_exit() - undo kvm_virtualization_module_init()
 *
 * Context: kvm_exit() or a failed kvm_init(); no VM exists.
 */
void kvm_virtualization_module_exit(void)
{
	if (enable_virt_at_load)
		kvm_disable_virtualization();
}

#else /* !CONFIG_KVM_GENERIC_HARDWARE_ENABLING */

int kvm_virtualization_module_init(void)
{
	return 0;
}

void kvm_virtualization_module_exit(void)
{
}

#endif
