// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of a VM's file: one call each.
 *
 * This file only moves arguments between userspace and the kernel; the work,
 * and with it every lock, is in the function that a case calls.  What is not
 * known here goes to the architecture.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/compat.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include <kvm/iodev.h>

#include "coalesced_mmio.h"
#include "kvm_core.h"

/*
 * Capabilities.
 */

#define KVM_DIRTY_RING_MAX_BYTES \
	((int)(KVM_DIRTY_RING_MAX_ENTRIES * sizeof(struct kvm_dirty_gfn)))

struct kvm_fixed_cap {
	long cap;
	int value;
};

/* Capabilities whose value is the same for every VM and for /dev/kvm. */
static const struct kvm_fixed_cap kvm_fixed_caps[] = {
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 },
	{ KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_DEVICE_CTRL, 1 },
	{ KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_USER_MEMORY2, 1 },
	{ KVM_CAP_NR_MEMSLOTS, KVM_USER_MEM_SLOTS },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 },
	{ KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_HALT_POLL, 1 },
	{ KVM_CAP_BINARY_STATS_FD, 1 },
	{ KVM_CAP_SYSTEM_EVENT_DATA, 1 },
	{ KVM_CAP_INTERNAL_ERROR_DATA, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 },
#ifdef CONFIG_HAVE_KVM_IRQCHIP
	{ KVM_CAP_IRQFD, 1 },
#endif
#ifdef CONFIG_HAVE_KVM_IRQ_ROUTING
	{ KVM_CAP_IRQ_ROUTING, KVM_MAX_IRQ_ROUTES },
#endif
#ifdef CONFIG_HAVE_KVM_MSI
	{ KVM_CAP_SIGNAL_MSI, 1 },
#endif
#ifdef CONFIG_KVM_MMIO
	{ KVM_CAP_COALESCED_PIO, 1 },
	{ KVM_CAP_COALESCED_MMIO, KVM_COALESCED_MMIO_PAGE_OFFSET },
#endif
#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
	{ KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_CAPS },
#endif
	{ KVM_CAP_DIRTY_LOG_RING,
	  IS_ENABLED(CONFIG_HAVE_KVM_DIRTY_RING_TSO) ?
		KVM_DIRTY_RING_MAX_BYTES : 0 },
	{ KVM_CAP_DIRTY_LOG_RING_ACQ_REL,
	  IS_ENABLED(CONFIG_HAVE_KVM_DIRTY_RING_ACQ_REL) ?
		KVM_DIRTY_RING_MAX_BYTES : 0 },
#ifdef CONFIG_NEED_KVM_DIRTY_RING_WITH_BITMAP
	{ KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP, 1 },
#endif
};

/**
 * kvm_check_extension() - KVM_CHECK_EXTENSION (api.rst 4.4)
 * @kvm: the VM; NULL if /dev/kvm was asked
 * @cap: a KVM_CAP_* number
 *
 * Context: process context, no lock held.
 *
 * Return: what api.rst says of @cap; 0 if KVM does not have it.
 */
int kvm_check_extension(struct kvm *kvm, long cap)
{
	const struct kvm_fixed_cap *fixed;

	for (fixed = kvm_fixed_caps;
	     fixed < kvm_fixed_caps + ARRAY_SIZE(kvm_fixed_caps); fixed++) {
		if (fixed->cap == cap)
			return fixed->value;
	}

	switch (cap) {
#if KVM_MAX_NR_ADDRESS_SPACES > 1
	case KVM_CAP_MULTI_ADDRESS_SPACE:
		return kvm ? kvm_arch_nr_memslot_as_ids(kvm) :
			     KVM_MAX_NR_ADDRESS_SPACES;
#endif
#ifdef CONFIG_KVM_PRIVATE_MEM
	case KVM_CAP_GUEST_MEMFD:
		return !kvm || kvm_arch_has_private_mem(kvm);
#endif
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
	case KVM_CAP_MEMORY_ATTRIBUTES:
		return kvm_supported_mem_attributes(kvm);
#endif
	default:
		return kvm_vm_ioctl_check_extension(kvm, cap);
	}
}

/**
 * kvm_vm_ioctl_enable_cap() - arch hook, KVM_ENABLE_CAP of a VM
 * @kvm: the VM
 * @cap: the capability and its arguments
 *
 * Context: process context, no lock held.
 *
 * Return: as api.rst says of the capability; -EINVAL if it is not known.
 */
int __weak kvm_vm_ioctl_enable_cap(struct kvm *kvm, struct kvm_enable_cap *cap)
{
	return -EINVAL;
}

/* api.rst 7.20: from now on the VM has its own limit, in nanoseconds. */
static int kvm_enable_halt_poll(struct kvm *kvm,
				const struct kvm_enable_cap *cap)
{
	unsigned int max_ns = cap->args[0];

	if (cap->flags || max_ns != cap->args[0])
		return -EINVAL;

	WRITE_ONCE(kvm->max_halt_poll_ns, max_ns);
	/*
	 * Whoever sees the override sees its limit.  Pairs with the smp_rmb() of
	 * kvm_vcpu_max_halt_poll_ns(), between the reads of the two.
	 */
	smp_wmb();
	WRITE_ONCE(kvm->override_halt_poll_ns, true);

	return 0;
}

static int kvm_enable_cap(struct kvm *kvm, struct kvm_enable_cap *cap)
{
	switch (cap->cap) {
	case KVM_CAP_HALT_POLL:
		return kvm_enable_halt_poll(kvm, cap);
#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
	case KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2:
		return kvm_enable_manual_dirty_log(kvm, cap);
#endif
	case KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP:
		return kvm_enable_dirty_ring_bitmap(kvm, cap);
	case KVM_CAP_DIRTY_LOG_RING:
	case KVM_CAP_DIRTY_LOG_RING_ACQ_REL:
		if (!kvm_check_extension(kvm, cap->cap))
			return -EINVAL;
		return kvm_enable_dirty_ring(kvm, cap->args[0]);
	default:
		return kvm_vm_ioctl_enable_cap(kvm, cap);
	}
}

/*
 * The cases.
 */

static int kvm_ioctl_enable_cap(struct kvm *kvm, void __user *argp)
{
	struct kvm_enable_cap cap;

	if (copy_from_user(&cap, argp, sizeof(cap)))
		return -EFAULT;

	return kvm_enable_cap(kvm, &cap);
}

/* Flags that need no field of the second version. */
#define KVM_REGION_V1_FLAGS	(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY)

static int kvm_ioctl_set_region(struct kvm *kvm, void __user *argp)
{
	struct kvm_userspace_memory_region2 region;
	struct kvm_userspace_memory_region first;

	if (copy_from_user(&first, argp, sizeof(first)))
		return -EFAULT;
	if (first.flags & ~KVM_REGION_V1_FLAGS)
		return -EINVAL;

	region = (struct kvm_userspace_memory_region2) {
		.slot = first.slot,
		.flags = first.flags,
		.guest_phys_addr = first.guest_phys_addr,
		.memory_size = first.memory_size,
		.userspace_addr = first.userspace_addr,
	};
	return kvm_set_user_memory_region(kvm, &region);
}

static int kvm_ioctl_set_region2(struct kvm *kvm, void __user *argp)
{
	struct kvm_userspace_memory_region2 region;

	if (copy_from_user(&region, argp, sizeof(region)))
		return -EFAULT;

	return kvm_set_user_memory_region(kvm, &region);
}

static int kvm_ioctl_get_dirty_log(struct kvm *kvm, void __user *argp)
{
	struct kvm_dirty_log log;

	if (copy_from_user(&log, argp, sizeof(log)))
		return -EFAULT;

	return kvm_vm_get_dirty_log(kvm, &log);
}

#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
static int kvm_ioctl_clear_dirty_log(struct kvm *kvm, void __user *argp)
{
	struct kvm_clear_dirty_log log;

	if (copy_from_user(&log, argp, sizeof(log)))
		return -EFAULT;

	return kvm_vm_clear_dirty_log(kvm, &log);
}
#endif

#ifdef CONFIG_KVM_MMIO
static int kvm_ioctl_register_zone(struct kvm *kvm, void __user *argp)
{
	struct kvm_coalesced_mmio_zone zone;

	if (copy_from_user(&zone, argp, sizeof(zone)))
		return -EFAULT;

	return kvm_vm_ioctl_register_coalesced_mmio(kvm, &zone);
}

static int kvm_ioctl_unregister_zone(struct kvm *kvm, void __user *argp)
{
	struct kvm_coalesced_mmio_zone zone;

	if (copy_from_user(&zone, argp, sizeof(zone)))
		return -EFAULT;

	return kvm_vm_ioctl_unregister_coalesced_mmio(kvm, &zone);
}
#endif

static int kvm_ioctl_irqfd(struct kvm *kvm, void __user *argp)
{
	struct kvm_irqfd irqfd;

	if (copy_from_user(&irqfd, argp, sizeof(irqfd)))
		return -EFAULT;

	return kvm_irqfd(kvm, &irqfd);
}

static int kvm_ioctl_ioeventfd(struct kvm *kvm, void __user *argp)
{
	struct kvm_ioeventfd ioeventfd;

	if (copy_from_user(&ioeventfd, argp, sizeof(ioeventfd)))
		return -EFAULT;

	return kvm_ioeventfd(kvm, &ioeventfd);
}

#ifdef CONFIG_HAVE_KVM_MSI
static int kvm_ioctl_signal_msi(struct kvm *kvm, void __user *argp)
{
	struct kvm_msi msi;

	if (copy_from_user(&msi, argp, sizeof(msi)))
		return -EFAULT;

	return kvm_send_userspace_msi(kvm, &msi);
}
#endif

#ifdef __KVM_HAVE_IRQ_LINE
static int kvm_ioctl_irq_line(struct kvm *kvm, unsigned int ioctl,
			      void __user *argp)
{
	bool wants_status = ioctl == KVM_IRQ_LINE_STATUS;
	struct kvm_irq_level level;
	int r;

	if (copy_from_user(&level, argp, sizeof(level)))
		return -EFAULT;

	r = kvm_vm_ioctl_irq_line(kvm, &level, wants_status);
	if (r)
		return r;

	if (wants_status && copy_to_user(argp, &level, sizeof(level)))
		return -EFAULT;

	return 0;
}
#endif

#ifdef CONFIG_HAVE_KVM_IRQ_ROUTING
static int kvm_ioctl_set_routing(struct kvm *kvm,
				 struct kvm_irq_routing __user *argp)
{
	struct kvm_irq_routing_entry *entries = NULL;
	struct kvm_irq_routing head;
	int r;

	if (copy_from_user(&head, argp, sizeof(head)))
		return -EFAULT;
	if (!kvm_arch_can_set_irq_routing(kvm) ||
	    head.nr > KVM_MAX_IRQ_ROUTES || head.flags)
		return -EINVAL;

	if (head.nr)
		entries = vmemdup_array_user(argp->entries, head.nr,
					     sizeof(entries[0]));
	if (IS_ERR(entries))
		return PTR_ERR(entries);

	r = kvm_set_irq_routing(kvm, entries, head.nr, head.flags);
	kvfree(entries);
	return r;
}
#endif

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
static int kvm_ioctl_set_attributes(struct kvm *kvm, void __user *argp)
{
	struct kvm_memory_attributes attrs;

	if (copy_from_user(&attrs, argp, sizeof(attrs)))
		return -EFAULT;

	return kvm_vm_set_mem_attributes(kvm, &attrs);
}
#endif

static int kvm_ioctl_create_device(struct kvm *kvm, void __user *argp)
{
	struct kvm_create_device cd;
	int r;

	if (copy_from_user(&cd, argp, sizeof(cd)))
		return -EFAULT;

	r = kvm_create_device_fd(kvm, &cd);
	if (r)
		return r;

	return copy_to_user(argp, &cd, sizeof(cd)) ? -EFAULT : 0;
}

#ifdef CONFIG_KVM_PRIVATE_MEM
static int kvm_ioctl_create_guest_memfd(struct kvm *kvm, void __user *argp)
{
	struct kvm_create_guest_memfd args;

	if (copy_from_user(&args, argp, sizeof(args)))
		return -EFAULT;

	return kvm_gmem_create(kvm, &args);
}
#endif

/* I/O and interrupts; what is not known here either is the architecture's. */
static long kvm_vm_io_ioctl(struct file *filp, unsigned int ioctl,
			    unsigned long arg)
{
	struct kvm *kvm = filp->private_data;
	void __user *argp = (void __user *)arg;

	switch (ioctl) {
#ifdef CONFIG_KVM_MMIO
	case KVM_REGISTER_COALESCED_MMIO:
		return kvm_ioctl_register_zone(kvm, argp);
	case KVM_UNREGISTER_COALESCED_MMIO:
		return kvm_ioctl_unregister_zone(kvm, argp);
#endif
	case KVM_IRQFD:
		return kvm_ioctl_irqfd(kvm, argp);
	case KVM_IOEVENTFD:
		return kvm_ioctl_ioeventfd(kvm, argp);
#ifdef CONFIG_HAVE_KVM_MSI
	case KVM_SIGNAL_MSI:
		return kvm_ioctl_signal_msi(kvm, argp);
#endif
#ifdef __KVM_HAVE_IRQ_LINE
	case KVM_IRQ_LINE:
	case KVM_IRQ_LINE_STATUS:
		return kvm_ioctl_irq_line(kvm, ioctl, argp);
#endif
#ifdef CONFIG_HAVE_KVM_IRQ_ROUTING
	case KVM_SET_GSI_ROUTING:
		return kvm_ioctl_set_routing(kvm, argp);
#endif
	default:
		return kvm_arch_vm_ioctl(filp, ioctl, arg);
	}
}

/**
 * kvm_vm_ioctl() - ioctl of a VM's file
 * @filp: the file
 * @ioctl: the command
 * @arg: its argument, mostly a user address
 *
 * Context: process context, no lock held.
 *
 * Return: what api.rst says of @ioctl; -EIO from a task of another address
 * space or for a dead VM; -EFAULT if the argument cannot be copied.
 */
long kvm_vm_ioctl(struct file *filp, unsigned int ioctl, unsigned long arg)
{
	struct kvm *kvm = filp->private_data;
	void __user *argp = (void __user *)arg;

	if (!kvm_vm_is_usable(kvm))
		return -EIO;

	switch (ioctl) {
	case KVM_CREATE_VCPU:
		return kvm_create_vcpu_fd(kvm, arg);
	case KVM_CHECK_EXTENSION:
		return kvm_check_extension(kvm, arg);
	case KVM_ENABLE_CAP:
		return kvm_ioctl_enable_cap(kvm, argp);
	case KVM_SET_USER_MEMORY_REGION:
		return kvm_ioctl_set_region(kvm, argp);
	case KVM_SET_USER_MEMORY_REGION2:
		return kvm_ioctl_set_region2(kvm, argp);
	case KVM_GET_DIRTY_LOG:
		return kvm_ioctl_get_dirty_log(kvm, argp);
#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
	case KVM_CLEAR_DIRTY_LOG:
		return kvm_ioctl_clear_dirty_log(kvm, argp);
#endif
	case KVM_RESET_DIRTY_RINGS:
		return kvm_reset_dirty_rings(kvm);
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
	case KVM_SET_MEMORY_ATTRIBUTES:
		return kvm_ioctl_set_attributes(kvm, argp);
#endif
	case KVM_CREATE_DEVICE:
		return kvm_ioctl_create_device(kvm, argp);
#ifdef CONFIG_KVM_PRIVATE_MEM
	case KVM_CREATE_GUEST_MEMFD:
		return kvm_ioctl_create_guest_memfd(kvm, argp);
#endif
	case KVM_GET_STATS_FD:
		return kvm_vm_get_stats_fd(kvm);
	default:
		return kvm_vm_io_ioctl(filp, ioctl, arg);
	}
}

#ifdef CONFIG_KVM_COMPAT
/* The layouts of a 32-bit task, whose pointer fills half of the union. */
struct compat_kvm_dirty_log {
	__u32 slot;
	__u32 padding1;
	union {
		__u64 padding2;
		compat_uptr_t dirty_bitmap;	/* one bit a page */
	};
};

struct compat_kvm_clear_dirty_log {
	__u32 slot;
	__u32 num_pages;
	__u64 first_page;
	union {
		__u64 padding2;
		compat_uptr_t dirty_bitmap;	/* one bit a page */
	};
};

/**
 * kvm_arch_vm_compat_ioctl() - arch hook, asked first for each ioctl of a compat task
 * @filp: the file
 * @ioctl: the command
 * @arg: its argument
 *
 * Context: as kvm_vm_ioctl().
 *
 * Return: the result; -ENOTTY leaves the ioctl to the generic code.
 */
long __weak kvm_arch_vm_compat_ioctl(struct file *filp, unsigned int ioctl,
				     unsigned long arg)
{
	return -ENOTTY;
}

static int kvm_compat_get_dirty_log(struct kvm *kvm, void __user *argp)
{
	struct compat_kvm_dirty_log compat;
	struct kvm_dirty_log log = {};

	if (copy_from_user(&compat, argp, sizeof(compat)))
		return -EFAULT;

	log.slot = compat.slot;
	log.dirty_bitmap = compat_ptr(compat.dirty_bitmap);

	return kvm_vm_get_dirty_log(kvm, &log);
}

#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
static int kvm_compat_clear_dirty_log(struct kvm *kvm, void __user *argp)
{
	struct compat_kvm_clear_dirty_log compat;
	struct kvm_clear_dirty_log log = {};

	if (copy_from_user(&compat, argp, sizeof(compat)))
		return -EFAULT;

	log.slot = compat.slot;
	log.first_page = compat.first_page;
	log.num_pages = compat.num_pages;
	log.dirty_bitmap = compat_ptr(compat.dirty_bitmap);

	return kvm_vm_clear_dirty_log(kvm, &log);
}
#endif

/**
 * kvm_vm_compat_ioctl() - ioctl of a VM's file by a 32-bit task
 * @filp: the file
 * @ioctl: the command
 * @arg: its argument
 *
 * Only structures with a pointer differ.
 *
 * Context: as kvm_vm_ioctl().
 *
 * Return: as kvm_vm_ioctl().
 */
long kvm_vm_compat_ioctl(struct file *filp, unsigned int ioctl,
			 unsigned long arg)
{
	struct kvm *kvm = filp->private_data;
	long r;

	if (!kvm_vm_is_usable(kvm))
		return -EIO;

	r = kvm_arch_vm_compat_ioctl(filp, ioctl, arg);
	if (r != -ENOTTY)
		return r;

	switch (ioctl) {
	case KVM_GET_DIRTY_LOG:
		return kvm_compat_get_dirty_log(kvm, compat_ptr(arg));
#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
	case KVM_CLEAR_DIRTY_LOG:
		return kvm_compat_clear_dirty_log(kvm, compat_ptr(arg));
#endif
	default:
		return kvm_vm_ioctl(filp, ioctl, arg);
	}
}
#endif
