// SPDX-License-Identifier: GPL-2.0-only
/*
 * The iTLB multihit mitigation: its module parameters, the tables that are there
 * for its sake, and the worker of each VM that zaps the oldest of them, so that
 * a guest that no longer executes there gets its huge page back.
 *
 * Locks: the parameters are written under the kernel's lock for parameters of
 * modules and read without any.  kvm_lock > slots_lock > mmu_lock.  The list
 * possible_nx_huge_pages is changed under mmu_lock for writing, or for reading
 * with tdp_mmu_pages_lock.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/call_once.h>
#include <linux/cpu.h>
#include <linux/kstrtox.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/sched/vhost_task.h>
#include <linux/sysfs.h>
#include <asm/spec-ctrl.h>

#include "mmu.h"
#include "nx_huge_page.h"
#include "shadow.h"
#include "tdp.h"
#include "zap.h"

#define HOUR_MS		(60 * 60 * MSEC_PER_SEC)

/* -1: "auto", not resolved yet. */
int __read_mostly nx_huge_pages = -1;

/**
 * struct nx_state - the state of the module
 * @never: no VM has a worker or ever will: the mitigation cannot be enabled
 * @period_ms: a worker runs once in so many ms; 0: so often that @ratio runs take 1 h
 * @ratio: each time a worker zaps one in so many tables; 0: none
 */
struct nx_state {
	bool never;
	uint period_ms;
	uint ratio;
};

static struct nx_state nx_state __read_mostly = {
	/* Recovery costs latency. */
	.ratio = IS_ENABLED(CONFIG_PREEMPT_RT) ? 0 : 60,
};

/* The time between two runs of a worker; 0: workers have nothing to do. */
static uint nx_recovery_period(void)
{
	uint ratio = READ_ONCE(nx_state.ratio);
	uint period = READ_ONCE(nx_state.period_ms);

	if (!READ_ONCE(nx_huge_pages) || !ratio)
		return 0;
	/* At most once a second. */
	return period ?: HOUR_MS / min(ratio, 3600u);
}

/* A VM that never ran has neither a worker nor pages. */
static void nx_wake_worker(struct kvm *kvm)
{
	struct vhost_task *worker = READ_ONCE(kvm->arch.nx_huge_page_recovery_thread);

	if (worker)
		vhost_task_wake(worker);
}

static void nx_switch(bool enable)
{
	WRITE_ONCE(nx_huge_pages, enable);
	itlb_multihit_kvm_mitigation = enable;
}

/* After a switch: zap what all VMs have mapped, as huge pages are of the other kind. */
static void nx_zap_vms(void)
{
	struct kvm *kvm;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list) {
		mutex_lock(&kvm->slots_lock);
		zap_all_fast(kvm);
		mutex_unlock(&kvm->slots_lock);

		nx_wake_worker(kvm);
	}
}

static bool nx_cpu_needs_it(void)
{
	return boot_cpu_has_bug(X86_BUG_ITLB_MULTIHIT) && !cpu_mitigations_off();
}

/* Not while there are VMs, as they may have workers: -EBUSY. */
static int nx_set_never(void)
{
	guard(mutex)(&kvm_lock);
	if (!list_empty(&vm_list))
		return -EBUSY;

	nx_state.never = true;
	return 0;
}

static int nx_parse(const char *val, bool *enable)
{
	*enable = false;
	if (sysfs_streq(val, "never"))
		return nx_set_never();
	if (sysfs_streq(val, "off"))
		return 0;

	*enable = true;
	if (sysfs_streq(val, "force"))
		return 0;

	*enable = nx_cpu_needs_it();
	if (sysfs_streq(val, "auto"))
		return 0;

	return kstrtobool(val, enable) ? -EINVAL : 0;
}

void nx_huge_page_set(bool enable)
{
	const bool was_enabled = nx_huge_pages;

	nx_switch(enable);
	if (enable != was_enabled)
		nx_zap_vms();
}

static int nx_set_mode(const char *val, const struct kernel_param *kp)
{
	bool enable;
	int r;

	if (nx_state.never)
		return -EPERM;

	r = nx_parse(val, &enable);
	if (!r)
		nx_huge_page_set(enable);
	return r;
}

static int nx_get_mode(char *buffer, const struct kernel_param *kp)
{
	if (nx_state.never)
		return sysfs_emit(buffer, "never\n");
	return param_get_bool(buffer, kp);
}

/* Workers that sleep for too long now, or for ever, are woken. */
static int nx_set_recovery(const char *val, const struct kernel_param *kp)
{
	const uint before = nx_recovery_period();
	struct kvm *kvm;
	uint after;
	int r;

	if (nx_state.never)
		return -EPERM;

	r = param_set_uint(val, kp);
	if (r)
		return r;

	after = nx_recovery_period();
	if (!after || (before && before <= after))
		return 0;

	guard(mutex)(&kvm_lock);
	list_for_each_entry(kvm, &vm_list, vm_list)
		nx_wake_worker(kvm);
	return 0;
}

static const struct kernel_param_ops nx_mode_ops = {
	.set = nx_set_mode,
	.get = nx_get_mode,
};

static const struct kernel_param_ops nx_recovery_ops = {
	.set = nx_set_recovery,
	.get = param_get_uint,
};

module_param_cb(nx_huge_pages, &nx_mode_ops, &nx_huge_pages, 0644);
__MODULE_PARM_TYPE(nx_huge_pages, "bool");
module_param_cb(nx_huge_pages_recovery_ratio, &nx_recovery_ops, &nx_state.ratio, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_ratio, "uint");
module_param_cb(nx_huge_pages_recovery_period_ms, &nx_recovery_ops,
		&nx_state.period_ms, 0644);
__MODULE_PARM_TYPE(nx_huge_pages_recovery_period_ms, "uint");

void __init nx_huge_page_init(void)
{
	if (nx_huge_pages == -1)
		nx_switch(nx_cpu_needs_it());
}

void nx_huge_page_track(struct kvm *kvm, struct mmu_table *table)
{
	if (!list_empty(&table->nx_link))
		return;

	kvm->stat.nx_lpage_splits++;
	list_add_tail(&table->nx_link, &kvm->arch.possible_nx_huge_pages);
}

void nx_huge_page_untrack(struct kvm *kvm, struct mmu_table *table)
{
	/* With mmu_lock for reading, level_step_down() may read it meanwhile. */
	WRITE_ONCE(table->nx_huge_page_disallowed, false);
	if (list_empty(&table->nx_link))
		return;

	kvm->stat.nx_lpage_splits--;
	list_del_init(&table->nx_link);
}

/*
 * Do not zap a table whose slot is dirty-logged: it would come back as 4K pages, and is
 * recovered when logging ends.  Without a slot it is zapped.  The slot is looked up
 * only if any is logged; that count may be stale, as zapping in vain costs little.
 */
static bool nx_dirty_logged(struct kvm *kvm, const struct mmu_table *table)
{
	struct kvm_memory_slot *slot;

	if (!atomic_read(&kvm->nr_memslots_dirty_logging))
		return false;

	slot = __gfn_to_memslot(kvm_memslots_for_spte_role(kvm, table->role), table->gfn);
	return slot && kvm_slot_dirty_track_enabled(slot);
}

/* Zap a table, or leave it alone.  In any case it is off the list afterwards. */
static void nx_recover_page(struct kvm *kvm, struct mmu_table *table,
			    struct shadow_zap *zap)
{
	WARN_ON_ONCE(!table->nx_huge_page_disallowed);
	WARN_ON_ONCE(!table->role.direct);

	if (nx_dirty_logged(kvm, table))
		nx_huge_page_untrack(kvm, table);
	else if (table->tdp)
		zap->flush |= tdp_zap_table(kvm, table_to_tdp(table));
	else
		shadow_page_zap(kvm, table_to_sp(table), zap);

	WARN_ON_ONCE(table->nx_huge_page_disallowed);
}

/* How many tables one run zaps: one in nx_state.ratio of those that are listed. */
static unsigned long nx_recovery_quota(struct kvm *kvm)
{
	uint ratio = READ_ONCE(nx_state.ratio);

	return ratio ? DIV_ROUND_UP(kvm->stat.nx_lpage_splits, ratio) : 0;
}

/*
 * Recover tables of both MMUs.  @zap also has the flush that tables of tdp need, which
 * has to come before the RCU read section ends.
 */
static void nx_recover_pages(struct kvm *kvm, struct shadow_zap *zap)
{
	struct list_head *pages = &kvm->arch.possible_nx_huge_pages;
	unsigned long quota = nx_recovery_quota(kvm);

	for (; quota && !list_empty(pages); quota--) {
		nx_recover_page(kvm, list_first_entry(pages, struct mmu_table,
						      nx_link), zap);

		if (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock))
			continue;
		shadow_zap_finish(kvm, zap);
		rcu_read_unlock();
		cond_resched_rwlock_write(&kvm->mmu_lock);
		rcu_read_lock();
	}
	shadow_zap_finish(kvm, zap);
}

void nx_huge_page_recover(struct kvm *kvm)
{
	struct shadow_zap zap = {};
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	rcu_read_lock();
	nx_recover_pages(kvm, &zap);
	rcu_read_unlock();
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

/*
 * One round of the worker: the thread calls it in TASK_INTERRUPTIBLE, again at once if it
 * returns true, else after it has slept.  So no wakeup is missed between the look at the
 * clock and the sleep.
 */
static bool nx_worker(void *data)
{
	struct kvm *kvm = data;
	uint period = nx_recovery_period();
	s64 left;

	if (!period)
		return false;

	left = kvm->arch.nx_huge_page_last + msecs_to_jiffies(period) -
	       get_jiffies_64();
	if (left > 0) {
		schedule_timeout(left);
		return true;
	}

	__set_current_state(TASK_RUNNING);
	nx_huge_page_recover(kvm);
	kvm->arch.nx_huge_page_last = get_jiffies_64();
	return true;
}

/* Nothing to do when the VMM is killed: the VM is destroyed soon, with its tables. */
static void nx_worker_killed(void *data)
{
}

static int nx_start_worker(struct once *once)
{
	struct kvm *kvm = container_of(once, struct kvm, arch.nx_once);
	struct vhost_task *worker;

	kvm->arch.nx_huge_page_last = get_jiffies_64();
	worker = vhost_task_create(nx_worker, nx_worker_killed, kvm,
				   "kvm-nx-lpage-recovery");
	if (IS_ERR(worker))
		return PTR_ERR(worker);

	vhost_task_start(worker);
	/* nx_wake_worker() may wake it from here on. */
	WRITE_ONCE(kvm->arch.nx_huge_page_recovery_thread, worker);
	return 0;
}

/**
 * kvm_mmu_post_init_vm() - start the VM's worker
 * @kvm: the VM
 *
 * Called by the first KVM_RUN, as the worker is a thread of the process that runs the
 * VM; and by the next one if that failed.
 *
 * Return: 0, or an errno.
 * Context: may sleep.
 */
int kvm_mmu_post_init_vm(struct kvm *kvm)
{
	/* Read without a lock: nx_set_never() does not set it while there is a VM. */
	if (nx_state.never)
		return 0;
	return call_once(&kvm->arch.nx_once, nx_start_worker);
}

/**
 * kvm_mmu_pre_destroy_vm() - stop the VM's worker
 * @kvm: the VM, which is not on vm_list any more
 *
 * Context: may sleep.
 */
void kvm_mmu_pre_destroy_vm(struct kvm *kvm)
{
	if (kvm->arch.nx_huge_page_recovery_thread)
		vhost_task_stop(kvm->arch.nx_huge_page_recovery_thread);
}
