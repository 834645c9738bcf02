// SPDX-License-Identifier: GPL-2.0-only
/*
 * The generic core of KVM: module init and exit, /dev/kvm, uevents.
 *
 * The other files of the core bring their module-wide state up and down
 * through the *_module_init() and *_module_exit() functions of kvm_core.h;
 * kvm_init() and kvm_exit() only say in which order.
 *
 * Takes the place of another kvm_main.c, whose interfaces and behaviour KVM keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/compat.h>
#include <linux/debugfs.h>
#include <linux/kobject.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "async_pf.h"
#include "kvm_core.h"
#include "vfio.h"

#define CREATE_TRACE_POINTS
#include <trace/events/kvm.h>

MODULE_DESCRIPTION("Generic core of the Kernel-based Virtual Machine");
MODULE_LICENSE("GPL");

/* Set by kvm_init(), before any file of KVM can be opened. */
static struct module *kvm_vendor_module;

/**
 * kvm_vendor_get() - pin the vendor module
 *
 * Context: while /dev/kvm exists or a reference is held already.
 *
 * Return: false if the vendor module is on its way out.
 */
bool kvm_vendor_get(void)
{
	return try_module_get(kvm_vendor_module);
}

/**
 * kvm_vendor_put() - undo kvm_vendor_get()
 *
 * The caller enters no vendor code after this.
 *
 * Context: process context.
 */
void kvm_vendor_put(void)
{
	module_put(kvm_vendor_module);
}

#ifndef CONFIG_KVM_COMPAT
/**
 * kvm_refuse_compat_ioctl() - ioctl of a compat task on a KVM file
 * @file: unused
 * @ioctl: unused
 * @arg: unused
 *
 * A 64-bit task can pass its file to a compat task, whose structures KVM
 * would misread.
 *
 * Return: -EINVAL.
 */
long kvm_refuse_compat_ioctl(struct file *file, unsigned int ioctl,
			     unsigned long arg)
{
	return -EINVAL;
}
#endif

/* The bytes of a vCPU's file that userspace maps: see kvm_vcpu_fault(). */
static unsigned long kvm_vcpu_mmap_size(void)
{
	unsigned long pages = 1;	/* struct kvm_run */

	if (IS_ENABLED(CONFIG_X86))
		pages++;		/* port I/O data */
	if (IS_ENABLED(CONFIG_KVM_MMIO))
		pages++;		/* coalesced MMIO ring */

	return pages * PAGE_SIZE;
}

static long kvm_dev_ioctl(struct file *filp, unsigned int ioctl,
			  unsigned long arg)
{
	switch (ioctl) {
	case KVM_GET_API_VERSION:
		return arg ? -EINVAL : KVM_API_VERSION;
	case KVM_GET_VCPU_MMAP_SIZE:
		return arg ? -EINVAL : kvm_vcpu_mmap_size();
	case KVM_CHECK_EXTENSION:
		return kvm_check_extension(NULL, arg);
	case KVM_CREATE_VM:
		return kvm_create_vm_fd(arg);
	default:
		return kvm_arch_dev_ioctl(filp, ioctl, arg);
	}
}

static int kvm_dev_open(struct inode *inode, struct file *filp)
{
#ifndef CONFIG_KVM_COMPAT
	if (is_compat_task())
		return -ENODEV;
#endif

	return kvm_vendor_get() ? 0 : -ENODEV;
}

static int kvm_dev_release(struct inode *inode, struct file *filp)
{
	kvm_vendor_put();
	return 0;
}

static const struct file_operations kvm_dev_fops = {
	.owner = THIS_MODULE,
	.open = kvm_dev_open,
	.release = kvm_dev_release,
	.unlocked_ioctl = kvm_dev_ioctl,
#ifdef CONFIG_KVM_COMPAT
	.compat_ioctl = kvm_dev_ioctl,
#else
	KVM_REFUSE_COMPAT,
#endif
	.llseek = noop_llseek,
};

static struct miscdevice kvm_misc = {
	.minor = KVM_MINOR,
	.name = "kvm",
	.fops = &kvm_dev_fops,
};

/* The numbers of VMs since KVM was loaded, for uevents. */
struct kvm_vm_counts {
	unsigned long long created;
	unsigned long long active;
};

/* Counts @event and returns the counts after it. */
static struct kvm_vm_counts kvm_count_vm_event(enum kvm_vm_event event)
{
	static struct kvm_vm_counts counts;	/* protected by kvm_lock */

	guard(mutex)(&kvm_lock);

	switch (event) {
	case KVM_VM_CREATED:
		counts.created++;
		counts.active++;
		break;
	case KVM_VM_DESTROYED:
		counts.active--;
		break;
	}

	return counts;
}

static void kvm_uevent_add_stats_path(struct kobj_uevent_env *env,
				      struct kvm *kvm)
{
	char *buf, *path;

	if (IS_ERR(kvm->debugfs_dentry))
		return;

	buf = kmalloc(PATH_MAX, GFP_KERNEL);
	if (!buf)
		return;

	path = dentry_path_raw(kvm->debugfs_dentry, buf, PATH_MAX);
	if (!IS_ERR(path))
		add_uevent_var(env, "STATS_PATH=%s", path);
	kfree(buf);
}

/**
 * kvm_notify_vm_event() - tell userspace that a VM came or went
 * @kvm: the VM; its debugfs directory still exists if it ever did
 * @event: what happened to it
 *
 * Sends a change uevent of /dev/kvm with the number of VMs created and alive.
 * The event is lost if there is no memory for it, as any uevent may be.
 *
 * Context: process context; takes kvm_lock.
 */
void kvm_notify_vm_event(struct kvm *kvm, enum kvm_vm_event event)
{
	bool created = event == KVM_VM_CREATED;
	struct kvm_vm_counts counts;
	struct kobj_uevent_env *env;

	if (!kvm_misc.this_device)
		return;

	counts = kvm_count_vm_event(event);
	if (created)
		kvm->userspace_pid = task_pid_nr(current);

	env = kzalloc(sizeof(*env), GFP_KERNEL);
	if (!env)
		return;

	add_uevent_var(env, "CREATED=%llu", counts.created);
	add_uevent_var(env, "COUNT=%llu", counts.active);
	add_uevent_var(env, "EVENT=%s", created ? "create" : "destroy");
	add_uevent_var(env, "PID=%d", kvm->userspace_pid);
	kvm_uevent_add_stats_path(env, kvm);
	/* At most five of UEVENT_NUM_ENVP entries are used: NULL fits in. */
	env->envp[env->envp_idx++] = NULL;

	kobject_uevent_env(&kvm_misc.this_device->kobj, KOBJ_CHANGE, env->envp);
	kfree(env);
}

/**
 * kvm_init() - bring up the generic core for a vendor module
 * @vcpu_size: bytes of the vendor's vCPU, which begins with a struct kvm_vcpu
 * @vcpu_align: its alignment in bytes; 0 means that of struct kvm_vcpu
 * @module: the vendor module; VMs and open /dev/kvm files pin it
 *
 * Context: process context, once, when the vendor module is ready for VMs:
 * /dev/kvm opens it to userspace and therefore comes last.
 *
 * Return: 0 or a negative errno, with everything undone.
 */
int kvm_init(unsigned int vcpu_size, unsigned int vcpu_align,
	     struct module *module)
{
	int r;

	r = kvm_vcpu_module_init(vcpu_size, vcpu_align);
	if (r)
		return r;

	r = kvm_request_module_init();
	if (r)
		goto exit_vcpu;

	r = kvm_irqfd_init();
	if (r)
		goto exit_request;

	r = kvm_async_pf_init();
	if (r)
		goto exit_irqfd;

	kvm_vendor_module = module;
	kvm_stats_module_init();

	r = kvm_vfio_ops_init();
	if (WARN_ON_ONCE(r))
		goto exit_stats;

	kvm_gmem_init(module);

	r = kvm_virtualization_module_init();
	if (r)
		goto exit_vfio;

	r = misc_register(&kvm_misc);
	if (r) {
		pr_err("kvm: cannot register /dev/kvm: %d\n", r);
		goto exit_virtualization;
	}

	return 0;

exit_virtualization:
	kvm_virtualization_module_exit();
exit_vfio:
	kvm_vfio_ops_exit();
exit_stats:
	kvm_stats_module_exit();
	kvm_async_pf_deinit();
exit_irqfd:
	kvm_irqfd_exit();
exit_request:
	kvm_request_module_exit();
exit_vcpu:
	kvm_vcpu_module_exit();
	return r;
}
EXPORT_SYMBOL_GPL(kvm_init);

/**
 * kvm_exit() - undo kvm_init()
 *
 * Context: process context, when the vendor module is unloaded: every VM and
 * every open /dev/kvm pins it, so none is left.
 */
void kvm_exit(void)
{
	misc_deregister(&kvm_misc);
	kvm_virtualization_module_exit();
	kvm_vfio_ops_exit();
	kvm_stats_module_exit();
	kvm_async_pf_deinit();
	kvm_irqfd_exit();
	kvm_request_module_exit();
	kvm_vcpu_module_exit();
}
EXPORT_SYMBOL_GPL(kvm_exit);
