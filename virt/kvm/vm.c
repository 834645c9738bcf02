// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM's lifetime: creation, references, destruction.
 *
 * A VM lives as long as it has references: its own file, the files of its
 * vCPUs, devices and statistics, and whoever called kvm_get_kvm().  It is
 * built in four stages, which a failed creation undoes in reverse order:
 *
 *	basics		locks and lists; cannot fail
 *	core		SRCU, interrupt routing, memslot sets, I/O buses
 *	arch		the architecture's part, virtualization enabled
 *	attached	MMU notifier, coalesced MMIO ring, debugfs
 *
 * and is then published on vm_list, which kvm_lock protects.  kvm_destroy_vm()
 * has an order of its own: interrupt routes and I/O buses go first.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/refcount.h>
#include <linux/sched/mm.h>
#include <linux/srcu.h>
#include <linux/suspend.h>

#include <kvm/iodev.h>

#include "coalesced_mmio.h"
#include "kvm_core.h"

/* Outside every lock of a VM; inside cpus_read_lock(). */
DEFINE_MUTEX(kvm_lock);
LIST_HEAD(vm_list);

/**
 * kvm_arch_post_init_vm() - arch hook, before the VM is published
 * @kvm: the complete VM, not yet on vm_list
 *
 * Context: process context; may sleep.
 *
 * Return: 0 or a negative errno, which fails the creation.
 */
int __weak kvm_arch_post_init_vm(struct kvm *kvm)
{
	return 0;
}

/**
 * kvm_arch_pre_destroy_vm() - arch hook, before anything is freed that the VM works with
 * @kvm: the VM, gone from vm_list and without its debugfs directory
 *
 * Context: process context; may sleep.
 */
void __weak kvm_arch_pre_destroy_vm(struct kvm *kvm)
{
}

#ifdef CONFIG_HAVE_KVM_PM_NOTIFIER
static int kvm_pm_event(struct notifier_block *nb, unsigned long state,
			void *unused)
{
	return kvm_arch_pm_notifier(container_of(nb, struct kvm, pm_notifier),
				    state);
}

static void kvm_pm_notifier_init(struct kvm *kvm)
{
	kvm->pm_notifier = (struct notifier_block) {
		.notifier_call = kvm_pm_event,
		/* Called before the notifiers of what VMs need: ftrace, RCU, ... */
		.priority = INT_MAX,
	};
	register_pm_notifier(&kvm->pm_notifier);
}

static void kvm_pm_notifier_exit(struct kvm *kvm)
{
	unregister_pm_notifier(&kvm->pm_notifier);
}
#else
static void kvm_pm_notifier_init(struct kvm *kvm) { }
static void kvm_pm_notifier_exit(struct kvm *kvm) { }
#endif

/*
 * Shows lockdep the order in which a VM's locks nest, before any path takes
 * two of them: a path with another order is reported at its first run.  See
 * Documentation/virtual/kvm/locking.txt.
 */
static void kvm_teach_lock_order(struct kvm *kvm)
{
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		return;

	mutex_lock(&kvm->lock);
	mutex_lock(&kvm->slots_lock);

	mutex_lock(&kvm->slots_arch_lock);
	spin_lock(&kvm->mn_invalidate_lock);
	spin_unlock(&kvm->mn_invalidate_lock);
	mutex_unlock(&kvm->slots_arch_lock);

	mutex_lock(&kvm->irq_lock);
	mutex_unlock(&kvm->irq_lock);

	KVM_MMU_LOCK(kvm);
	KVM_MMU_UNLOCK(kvm);

	mutex_unlock(&kvm->slots_lock);
	mutex_unlock(&kvm->lock);

	/* Memory is allocated inside slots_lock: reclaim must not take kvm_lock. */
	mutex_lock(&kvm_lock);
	might_lock(&kvm->slots_lock);
	mutex_unlock(&kvm_lock);
}

static void kvm_vm_init_locks(struct kvm *kvm)
{
	mutex_init(&kvm->lock);
	mutex_init(&kvm->slots_lock);
	mutex_init(&kvm->slots_arch_lock);
	mutex_init(&kvm->irq_lock);
	KVM_MMU_LOCK_INIT(kvm);
	spin_lock_init(&kvm->gpc_lock);
	spin_lock_init(&kvm->mn_invalidate_lock);

	kvm_teach_lock_order(kvm);
}

static void kvm_vm_init_basics(struct kvm *kvm)
{
	kvm_vm_init_locks(kvm);
	rcuwait_init(&kvm->mn_memslots_update_rcuwait);
	xa_init(&kvm->vcpu_array);
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
	xa_init_flags(&kvm->mem_attr_array, XA_FLAGS_ACCOUNT);
#endif
	INIT_LIST_HEAD(&kvm->devices);
	INIT_LIST_HEAD(&kvm->gpc_list);
#ifdef CONFIG_HAVE_KVM_IRQCHIP
	INIT_HLIST_HEAD(&kvm->irq_ack_notifier_list);
#endif
	kvm_eventfd_init(kvm);

	mmgrab(current->mm);
	kvm->mm = current->mm;
	kvm->max_vcpus = KVM_MAX_VCPUS;
	refcount_set(&kvm->users_count, 1);
	/* No directory yet.  NULL would stand for the root of debugfs. */
	kvm->debugfs_dentry = ERR_PTR(-ENOENT);
	scnprintf(kvm->stats_id, sizeof(kvm->stats_id), "kvm-%d",
		  task_pid_nr(current));
}

static int kvm_vm_init_core(struct kvm *kvm)
{
	int r;

	r = init_srcu_struct(&kvm->srcu);
	if (r)
		return r;

	r = init_srcu_struct(&kvm->irq_srcu);
	if (r)
		goto exit_srcu;

	r = kvm_init_irq_routing(kvm);
	if (r)
		goto exit_irq_srcu;

	kvm_memslots_init(kvm);

	r = kvm_io_buses_init(kvm);
	if (r)
		goto exit_routing;

	return 0;

exit_routing:
	kvm_free_irq_routing(kvm);
exit_irq_srcu:
	cleanup_srcu_struct(&kvm->irq_srcu);
exit_srcu:
	cleanup_srcu_struct(&kvm->srcu);
	return r;
}

static void kvm_vm_exit_core(struct kvm *kvm)
{
	kvm_io_buses_destroy(kvm);
	kvm_free_irq_routing(kvm);
	cleanup_srcu_struct(&kvm->irq_srcu);
	cleanup_srcu_struct(&kvm->srcu);
}

static int kvm_vm_init_arch(struct kvm *kvm, unsigned long type)
{
	int r;

	r = kvm_arch_init_vm(kvm, type);
	if (r)
		return r;

	r = kvm_enable_virtualization();
	if (r)
		kvm_arch_destroy_vm(kvm);

	return r;
}

static int kvm_vm_attach(struct kvm *kvm, const char *fdname)
{
	int r;

	r = kvm_mmu_notifier_init(kvm);
	if (r)
		return r;

	r = kvm_coalesced_mmio_init(kvm);
	if (r < 0)
		goto unwind_notifier;

	r = kvm_create_vm_debugfs(kvm, fdname);
	if (r)
		goto free_mmio;

	r = kvm_arch_post_init_vm(kvm);
	if (r)
		goto destroy_debugfs;

	return 0;

destroy_debugfs:
	kvm_destroy_vm_debugfs(kvm);
free_mmio:
	kvm_coalesced_mmio_free(kvm);
unwind_notifier:
	kvm_mmu_notifier_unwind(kvm);
	return r;
}

static void kvm_vm_publish(struct kvm *kvm)
{
	mutex_lock(&kvm_lock);
	list_add(&kvm->vm_list, &vm_list);
	mutex_unlock(&kvm_lock);

	preempt_notifier_inc();
	kvm_pm_notifier_init(kvm);
}

static int kvm_vm_build(struct kvm *kvm, unsigned long type, const char *fdname)
{
	int r;

	r = kvm_vm_init_core(kvm);
	if (r)
		return r;

	r = kvm_vm_init_arch(kvm, type);
	if (r)
		goto exit_core;

	r = kvm_vm_attach(kvm, fdname);
	if (r)
		goto exit_arch;

	kvm_vm_publish(kvm);
	return 0;

exit_arch:
	kvm_disable_virtualization();
	kvm_arch_destroy_vm(kvm);
exit_core:
	kvm_vm_exit_core(kvm);
	return r;
}

/* Creates a VM with one reference; @fdname names its debugfs directory. */
static struct kvm *kvm_create_vm(unsigned long type, const char *fdname)
{
	struct kvm *kvm;
	int r;

	if (!kvm_vendor_get())
		return ERR_PTR(-ENODEV);

	kvm = kvm_arch_alloc_vm();
	if (!kvm) {
		r = -ENOMEM;
		goto put_vendor;
	}

	kvm_vm_init_basics(kvm);
	r = kvm_vm_build(kvm, type, fdname);
	if (!r)
		return kvm;

	/* If anybody else had a reference, they would use the VM after it is freed. */
	WARN_ON_ONCE(!refcount_dec_and_test(&kvm->users_count));
	kvm_arch_free_vm(kvm);
	mmdrop(current->mm);
put_vendor:
	kvm_vendor_put();
	return ERR_PTR(r);
}

static void kvm_vm_unpublish(struct kvm *kvm)
{
	kvm_pm_notifier_exit(kvm);
	kvm_notify_vm_event(kvm, KVM_VM_DESTROYED);
	kvm_destroy_vm_debugfs(kvm);
	kvm_arch_sync_events(kvm);

	mutex_lock(&kvm_lock);
	list_del(&kvm->vm_list);
	mutex_unlock(&kvm_lock);
}

/*
 * Devices and memslots go after the architecture's part, which still uses
 * them; SRCU goes last, when nobody can enter a read side any more.
 */
static void kvm_destroy_vm(struct kvm *kvm)
{
	struct mm_struct *mm = kvm->mm;

	kvm_vm_unpublish(kvm);
	kvm_arch_pre_destroy_vm(kvm);

	kvm_free_irq_routing(kvm);
	kvm_io_buses_destroy(kvm);
	kvm_coalesced_mmio_free(kvm);
	kvm_mmu_notifier_destroy(kvm);
	kvm_arch_destroy_vm(kvm);
	kvm_destroy_devices(kvm);
	kvm_memslots_destroy(kvm);
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
	xa_destroy(&kvm->mem_attr_array);
#endif
	cleanup_srcu_struct(&kvm->irq_srcu);
	cleanup_srcu_struct(&kvm->srcu);
	kvm_arch_free_vm(kvm);

	preempt_notifier_dec();
	kvm_disable_virtualization();
	mmdrop(mm);
	kvm_vendor_put();
}

/**
 * kvm_put_kvm() - drop a reference; the last one destroys the VM
 * @kvm: the VM
 *
 * Context: may sleep.  The caller holds no lock of the VM, no read section of its
 * kvm->srcu, and neither kvm_lock nor cpus_read_lock().
 */
void kvm_put_kvm(struct kvm *kvm)
{
	if (refcount_dec_and_test(&kvm->users_count))
		kvm_destroy_vm(kvm);
}
EXPORT_SYMBOL_GPL(kvm_put_kvm);

/**
 * kvm_get_kvm_safe() - take a reference to a VM unless it is being destroyed
 * @kvm: the VM; something else keeps its memory, e.g. kvm_lock and vm_list
 *
 * Context: any.
 *
 * Return: whether a reference was taken.
 */
bool kvm_get_kvm_safe(struct kvm *kvm)
{
	return refcount_inc_not_zero(&kvm->users_count);
}
EXPORT_SYMBOL_GPL(kvm_get_kvm_safe);

/**
 * kvm_put_kvm_no_destroy() - drop a reference that is not the last one
 * @kvm: the VM, which the caller goes on using
 *
 * For a reference taken for a file that was then not installed.
 *
 * Context: any.
 */
void kvm_put_kvm_no_destroy(struct kvm *kvm)
{
	WARN_ON(refcount_dec_and_test(&kvm->users_count));
}
EXPORT_SYMBOL_GPL(kvm_put_kvm_no_destroy);

/**
 * kvm_get_kvm() - take a reference to a VM that the caller already pins
 * @kvm: the VM
 *
 * Context: any.
 */
void kvm_get_kvm(struct kvm *kvm)
{
	refcount_inc(&kvm->users_count);
}
EXPORT_SYMBOL_GPL(kvm_get_kvm);

static int kvm_vm_release(struct inode *inode, struct file *filp)
{
	struct kvm *kvm = filp->private_data;

	kvm_irqfd_release(kvm);
	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations kvm_vm_fops = {
	.owner = THIS_MODULE,
	.release = kvm_vm_release,
	.unlocked_ioctl = kvm_vm_ioctl,
#ifdef CONFIG_KVM_COMPAT
	.compat_ioctl = kvm_vm_compat_ioctl,
#else
	KVM_REFUSE_COMPAT,
#endif
	.llseek = noop_llseek,
};

/**
 * file_is_kvm() - whether a file is that of a VM
 * @file: any file or NULL
 *
 * Context: any; the caller holds a reference to @file.
 *
 * Return: true if @file->private_data is a struct kvm.
 */
bool file_is_kvm(struct file *file)
{
	return file && file->f_op == &kvm_vm_fops;
}
EXPORT_SYMBOL_GPL(file_is_kvm);

/**
 * kvm_create_vm_fd() - KVM_CREATE_VM
 * @type: the architecture's machine type (api.rst 4.2)
 *
 * Context: process context; the VM belongs to current->mm from now on.
 *
 * Return: a file descriptor or a negative errno.
 */
int kvm_create_vm_fd(unsigned long type)
{
	char fdname[KVM_INT_STR_LEN];
	struct file *file;
	struct kvm *kvm;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	scnprintf(fdname, sizeof(fdname), "%d", fd);
	kvm = kvm_create_vm(type, fdname);
	if (IS_ERR(kvm)) {
		put_unused_fd(fd);
		return PTR_ERR(kvm);
	}

	kvm_notify_vm_event(kvm, KVM_VM_CREATED);

	/* On success the reference belongs to the file. */
	file = anon_inode_getfile("kvm-vm", &kvm_vm_fops, kvm, O_RDWR);
	if (IS_ERR(file)) {
		kvm_put_kvm(kvm);
		put_unused_fd(fd);
		return PTR_ERR(file);
	}

	fd_install(fd, file);
	return fd;
}
