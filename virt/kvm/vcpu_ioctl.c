// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of a vCPU's file.
 *
 * All but the architecture's asynchronous ones run under vcpu->mutex.  KVM_RUN
 * holds it from beginning to end: any other ioctl of a running vCPU waits until
 * KVM_RUN returns to userspace.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/cleanup.h>
#include <linux/compat.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/pid.h>
#include <linux/sched/signal.h>
#include <linux/signal.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include <trace/events/kvm.h>

#include "kvm_core.h"

/**
 * kvm_vcpu_follow_task() - note which thread runs the vCPU
 * @vcpu: the vCPU
 *
 * Other tasks read vcpu->pid under pid_lock, to take a reference to the thread's task
 * or to read its number.  Once pid_lock was held for writing, nobody uses the old pid
 * any more, and its reference can be put.
 *
 * Context: holds vcpu->mutex; process context.
 *
 * Return: 0, or the errno of kvm_arch_vcpu_run_pid_change(), with nothing changed.
 */
int kvm_vcpu_follow_task(struct kvm_vcpu *vcpu)
{
	struct pid *last = vcpu->pid;
	int r;

	lockdep_assert_held(&vcpu->mutex);
	if (likely(last == task_pid(current)))
		return 0;

	r = kvm_arch_vcpu_run_pid_change(vcpu);
	if (r)
		return r;

	write_lock(&vcpu->pid_lock);
	WRITE_ONCE(vcpu->pid, get_task_pid(current, PIDTYPE_PID));
	write_unlock(&vcpu->pid_lock);
	put_pid(last);
	return 0;
}

static int kvm_vcpu_ioctl_run(struct kvm_vcpu *vcpu, unsigned long arg)
{
	int r;

	if (arg)
		return -EINVAL;

	r = kvm_vcpu_follow_task(vcpu);
	if (r)
		return r;

	/* Userspace may write immediate_exit at any time: it is read once. */
	vcpu->wants_to_run = !READ_ONCE(vcpu->run->immediate_exit__unsafe);
	r = kvm_arch_vcpu_ioctl_run(vcpu);
	vcpu->wants_to_run = false;

	trace_kvm_userspace_exit(vcpu->run->exit_reason, r);
	return r;
}

/* The argument of an ioctl that reads or writes a part of the vCPU's state. */
union kvm_vcpu_state {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_fpu fpu;
	struct kvm_mp_state mp_state;
	struct kvm_translation translation;
	struct kvm_guest_debug guest_debug;
};

static int state_get_regs(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_get_regs(vcpu, &state->regs);
}

static int state_set_regs(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_set_regs(vcpu, &state->regs);
}

static int state_get_sregs(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_get_sregs(vcpu, &state->sregs);
}

static int state_set_sregs(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_set_sregs(vcpu, &state->sregs);
}

static int state_get_fpu(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_get_fpu(vcpu, &state->fpu);
}

static int state_set_fpu(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_set_fpu(vcpu, &state->fpu);
}

static int state_get_mpstate(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_get_mpstate(vcpu, &state->mp_state);
}

static int state_set_mpstate(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_set_mpstate(vcpu, &state->mp_state);
}

static int state_translate(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_translate(vcpu, &state->translation);
}

static int state_set_guest_debug(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state)
{
	return kvm_arch_vcpu_ioctl_set_guest_debug(vcpu, &state->guest_debug);
}

struct kvm_vcpu_state_ioctl {
	unsigned int nr;
	int (*access)(struct kvm_vcpu *vcpu, union kvm_vcpu_state *state);
};

static const struct kvm_vcpu_state_ioctl kvm_vcpu_state_ioctls[] = {
	{ KVM_GET_REGS, state_get_regs },
	{ KVM_SET_REGS, state_set_regs },
	{ KVM_GET_SREGS, state_get_sregs },
	{ KVM_SET_SREGS, state_set_sregs },
	{ KVM_GET_FPU, state_get_fpu },
	{ KVM_SET_FPU, state_set_fpu },
	{ KVM_GET_MP_STATE, state_get_mpstate },
	{ KVM_SET_MP_STATE, state_set_mpstate },
	{ KVM_TRANSLATE, state_translate },
	{ KVM_SET_GUEST_DEBUG, state_set_guest_debug },
};

/*
 * The ioctl's number says how large its structure is and which way it goes:
 * _IOC_WRITE into the kernel before, _IOC_READ back after success.
 */
static int kvm_vcpu_access_state(struct kvm_vcpu *vcpu,
				 const struct kvm_vcpu_state_ioctl *ioctl,
				 void __user *argp)
{
	union kvm_vcpu_state *state __free(kfree) = kzalloc(sizeof(*state), GFP_KERNEL);
	int r;

	if (!state)
		return -ENOMEM;
	if ((_IOC_DIR(ioctl->nr) & _IOC_WRITE) &&
	    copy_from_user(state, argp, _IOC_SIZE(ioctl->nr)))
		return -EFAULT;

	r = ioctl->access(vcpu, state);
	if (!r && (_IOC_DIR(ioctl->nr) & _IOC_READ) &&
	    copy_to_user(argp, state, _IOC_SIZE(ioctl->nr)))
		r = -EFAULT;
	return r;
}

static const struct kvm_vcpu_state_ioctl *kvm_vcpu_find_state_ioctl(unsigned int nr)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(kvm_vcpu_state_ioctls); i++)
		if (kvm_vcpu_state_ioctls[i].nr == nr)
			return &kvm_vcpu_state_ioctls[i];
	return NULL;
}

/* kvm_sigset_activate() installs @sigset around the vCPU's runs. */
static void kvm_vcpu_set_sigset(struct kvm_vcpu *vcpu, sigset_t *sigset)
{
	lockdep_assert_held(&vcpu->mutex);

	sigdelsetmask(sigset, sigmask(SIGKILL) | sigmask(SIGSTOP));
	vcpu->sigset = *sigset;
	vcpu->sigset_active = 1;
}

/* Return: 0 if @mask says that its set has @size bytes, or an error. */
static int kvm_check_sigmask_len(struct kvm_signal_mask __user *mask,
				 size_t size)
{
	u32 len;

	if (get_user(len, &mask->len))
		return -EFAULT;

	return len == size ? 0 : -EINVAL;
}

/* Without @mask the vCPU runs with the signal mask of its task. */
static int kvm_vcpu_ioctl_sigmask(struct kvm_vcpu *vcpu,
				  struct kvm_signal_mask __user *mask)
{
	sigset_t sigset;
	int r;

	if (!mask) {
		vcpu->sigset_active = 0;
		return 0;
	}

	r = kvm_check_sigmask_len(mask, sizeof(sigset));
	if (r)
		return r;
	if (copy_from_user(&sigset, mask->sigset, sizeof(sigset)))
		return -EFAULT;

	kvm_vcpu_set_sigset(vcpu, &sigset);
	return 0;
}

#ifdef CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY
static bool kvm_pre_fault_is_valid(const struct kvm_pre_fault_memory *range)
{
	return !range->flags && PAGE_ALIGNED(range->gpa | range->size) &&
	       range->gpa < range->gpa + range->size;
}

/*
 * kvm->srcu is released between two tries: -EAGAIN means that the slot is being
 * deleted or moved, which waits for all readers.
 */
static long kvm_vcpu_pre_fault_once(struct kvm_vcpu *vcpu,
				    struct kvm_pre_fault_memory *range)
{
	int idx = srcu_read_lock(&vcpu->kvm->srcu);
	long done = kvm_arch_vcpu_pre_fault_memory(vcpu, range);

	srcu_read_unlock(&vcpu->kvm->srcu, idx);
	return done;
}

/*
 * Map from the start of @range on and shrink it by what is done.
 *
 * Return: 0 once all is mapped, -EINTR for a signal, or what the architecture returns.
 */
static long kvm_vcpu_pre_fault(struct kvm_vcpu *vcpu,
			       struct kvm_pre_fault_memory *range)
{
	long done;

	while (range->size) {
		if (signal_pending(current))
			return -EINTR;

		cond_resched();
		done = kvm_vcpu_pre_fault_once(vcpu, range);
		if (done == -EAGAIN)
			continue;
		if (WARN_ON_ONCE(!done || done == -EIO) || done < 0)
			return done;

		range->gpa += done;
		range->size -= done;
	}

	return 0;
}

/*
 * The range is written back, so that userspace learns what is left of it.  An error
 * is returned only if nothing was mapped (api.rst, KVM_PRE_FAULT_MEMORY).
 */
static int kvm_vcpu_ioctl_pre_fault(struct kvm_vcpu *vcpu, void __user *argp)
{
	struct kvm_pre_fault_memory range;
	u64 size;
	long r;

	if (copy_from_user(&range, argp, sizeof(range)))
		return -EFAULT;

	size = range.size;
	r = -EINVAL;
	if (kvm_pre_fault_is_valid(&range)) {
		vcpu_load(vcpu);
		r = kvm_vcpu_pre_fault(vcpu, &range);
		vcpu_put(vcpu);
	}

	if (copy_to_user(argp, &range, sizeof(range)))
		return -EFAULT;

	return range.size < size ? 0 : r;
}
#endif

static long kvm_vcpu_ioctl_locked(struct file *filp, unsigned int ioctl,
				  unsigned long arg)
{
	struct kvm_vcpu *vcpu = filp->private_data;
	void __user *argp = (void __user *)arg;
	const struct kvm_vcpu_state_ioctl *state;

	switch (ioctl) {
	case KVM_RUN:
		return kvm_vcpu_ioctl_run(vcpu, arg);
	case KVM_SET_SIGNAL_MASK:
		return kvm_vcpu_ioctl_sigmask(vcpu, argp);
	case KVM_GET_STATS_FD:
		return kvm_vcpu_get_stats_fd(vcpu);
#ifdef CONFIG_KVM_GENERIC_PRE_FAULT_MEMORY
	case KVM_PRE_FAULT_MEMORY:
		return kvm_vcpu_ioctl_pre_fault(vcpu, argp);
#endif
	}

	state = kvm_vcpu_find_state_ioctl(ioctl);
	if (state)
		return kvm_vcpu_access_state(vcpu, state, argp);
	return kvm_arch_vcpu_ioctl(filp, ioctl, arg);
}

/**
 * kvm_vcpu_ioctl() - ioctl() of a vCPU's file
 * @filp: the file
 * @ioctl: a vCPU ioctl of api.rst
 * @arg: its argument
 *
 * Context: process context.  Takes vcpu->mutex, except for the architecture's
 * asynchronous ioctls, which must work while the vCPU runs.
 *
 * Return: what api.rst says for the ioctl; -EIO in another process than the
 * VM's and for a dead VM, -EINTR if a fatal signal ended the wait for the mutex.
 */
long kvm_vcpu_ioctl(struct file *filp, unsigned int ioctl, unsigned long arg)
{
	struct kvm_vcpu *vcpu = filp->private_data;
	long r;

	if (!kvm_vm_is_usable(vcpu->kvm))
		return -EIO;

	if (unlikely(_IOC_TYPE(ioctl) != KVMIO))
		return -EINVAL;

	r = kvm_arch_vcpu_async_ioctl(filp, ioctl, arg);
	if (r != -ENOIOCTLCMD)
		return r;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = kvm_vcpu_ioctl_locked(filp, ioctl, arg);
	mutex_unlock(&vcpu->mutex);

	return r;
}

#ifdef CONFIG_KVM_COMPAT
/* As kvm_vcpu_ioctl_sigmask(), with the set of a 32-bit task. */
static int kvm_vcpu_compat_sigmask(struct kvm_vcpu *vcpu,
				   struct kvm_signal_mask __user *mask)
{
	compat_sigset_t __user *set;
	sigset_t sigset;
	int r;

	if (!mask)
		return kvm_vcpu_ioctl_sigmask(vcpu, NULL);

	r = kvm_check_sigmask_len(mask, sizeof(*set));
	if (r)
		return r;

	set = (compat_sigset_t __user *)mask->sigset;
	if (get_compat_sigset(&sigset, set))
		return -EFAULT;

	kvm_vcpu_set_sigset(vcpu, &sigset);
	return 0;
}

/**
 * kvm_vcpu_compat_ioctl() - ioctl() of a vCPU's file by a 32-bit task
 * @filp: the file
 * @ioctl: a vCPU ioctl of api.rst
 * @arg: its argument
 *
 * Only the signal set has another layout there.
 *
 * Context: as kvm_vcpu_ioctl().
 *
 * Return: as kvm_vcpu_ioctl().
 */
long kvm_vcpu_compat_ioctl(struct file *filp, unsigned int ioctl,
			   unsigned long arg)
{
	struct kvm_vcpu *vcpu = filp->private_data;
	int r;

	if (ioctl != KVM_SET_SIGNAL_MASK)
		return kvm_vcpu_ioctl(filp, ioctl, arg);

	if (!kvm_vm_is_usable(vcpu->kvm))
		return -EIO;

	if (mutex_lock_killable(&vcpu->mutex))
		return -EINTR;
	r = kvm_vcpu_compat_sigmask(vcpu, compat_ptr(arg));
	mutex_unlock(&vcpu->mutex);

	return r;
}
#endif
