// SPDX-License-Identifier: GPL-2.0-only
/*
 * In-kernel devices: interrupt controllers, the link to VFIO and the like.
 *
 * A device belongs to a VM and has a file, which holds a reference to the VM.
 * It ends in one of two ways, as its operations choose: with its file
 * (->release) or with its VM (->destroy); whichever it is frees the device.
 *
 * kvm->devices is changed under kvm->lock and read under RCU.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/nospec.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kvm_core.h"

/*
 * Filled by module inits, on powerpc when /dev/kvm exists already: a reader finds NULL
 * or the operations, and needs no lock.
 */
static const struct kvm_device_ops *kvm_device_types[KVM_DEV_TYPE_MAX] = {
#ifdef CONFIG_KVM_MPIC
	[KVM_DEV_TYPE_FSL_MPIC_20] = &kvm_mpic_ops,
	[KVM_DEV_TYPE_FSL_MPIC_42] = &kvm_mpic_ops,
#endif
};

/**
 * kvm_register_device_ops() - offer a type of device to KVM_CREATE_DEVICE
 * @ops: its operations; they stay valid until they are unregistered
 * @type: its KVM_DEV_TYPE_* number
 *
 * Context: module init; takes no lock.
 *
 * Return: 0; -ENOSPC if @type is not a known number; -EEXIST if it is taken.
 */
int kvm_register_device_ops(const struct kvm_device_ops *ops, u32 type)
{
	if (type >= ARRAY_SIZE(kvm_device_types))
		return -ENOSPC;
	if (kvm_device_types[type])
		return -EEXIST;

	kvm_device_types[type] = ops;
	return 0;
}

/**
 * kvm_unregister_device_ops() - undo kvm_register_device_ops()
 * @type: the number that was registered
 *
 * Context: module exit or a failed init; takes no lock.  Nobody creates a device of
 * the type.
 */
void kvm_unregister_device_ops(u32 type)
{
	kvm_device_types[type] = NULL;
}

/* Runs one of the three attribute calls; -EPERM if the device does not have it. */
static int kvm_device_attr(struct kvm_device *dev, void __user *argp,
			   int (*call)(struct kvm_device *dev,
				       struct kvm_device_attr *attr))
{
	struct kvm_device_attr attr;

	if (!call)
		return -EPERM;
	if (copy_from_user(&attr, argp, sizeof(attr)))
		return -EFAULT;

	return call(dev, &attr);
}

static long kvm_device_ioctl(struct file *filp, unsigned int ioctl,
			     unsigned long arg)
{
	struct kvm_device *dev = filp->private_data;
	const struct kvm_device_ops *ops = dev->ops;
	void __user *argp = (void __user *)arg;

	if (!kvm_vm_is_usable(dev->kvm))
		return -EIO;

	switch (ioctl) {
	case KVM_HAS_DEVICE_ATTR:
		return kvm_device_attr(dev, argp, ops->has_attr);
	case KVM_GET_DEVICE_ATTR:
		return kvm_device_attr(dev, argp, ops->get_attr);
	case KVM_SET_DEVICE_ATTR:
		return kvm_device_attr(dev, argp, ops->set_attr);
	default:
		return ops->ioctl ? ops->ioctl(dev, ioctl, arg) : -ENOTTY;
	}
}

static int kvm_device_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct kvm_device *dev = filp->private_data;

	return dev->ops->mmap ? dev->ops->mmap(dev, vma) : -ENODEV;
}

/* Takes @dev from its VM; nobody finds it in kvm->devices after this. */
static void kvm_device_unlink(struct kvm_device *dev)
{
	lockdep_assert_held(&dev->kvm->lock);

	list_del_rcu(&dev->vm_node);
	synchronize_rcu();
}

static int kvm_device_release(struct inode *inode, struct file *filp)
{
	struct kvm_device *dev = filp->private_data;
	struct kvm *kvm = dev->kvm;

	if (dev->ops->release) {
		mutex_lock(&kvm->lock);
		kvm_device_unlink(dev);
		dev->ops->release(dev);
		mutex_unlock(&kvm->lock);
	}

	kvm_put_kvm(kvm);
	return 0;
}

static const struct file_operations kvm_device_fops = {
	.owner = THIS_MODULE,
	.release = kvm_device_release,
	.mmap = kvm_device_mmap,
	.unlocked_ioctl = kvm_device_ioctl,
#ifdef CONFIG_KVM_COMPAT
	.compat_ioctl = kvm_device_ioctl,
#else
	KVM_REFUSE_COMPAT,
#endif
};

/**
 * kvm_device_from_filp() - the device behind a file
 * @filp: any file
 *
 * Context: any; the caller holds a reference to @filp.
 *
 * Return: the device, which lives as long as @filp; NULL if @filp is not a
 * device's.
 */
struct kvm_device *kvm_device_from_filp(struct file *filp)
{
	return filp->f_op == &kvm_device_fops ? filp->private_data : NULL;
}

/* The operations of a type that userspace named, NULL if there are none. */
static const struct kvm_device_ops *kvm_device_find_ops(u32 type)
{
	if (type >= ARRAY_SIZE(kvm_device_types))
		return NULL;

	return kvm_device_types[array_index_nospec(type,
						   ARRAY_SIZE(kvm_device_types))];
}

static struct kvm_device *kvm_device_create(struct kvm *kvm, u32 type,
					    const struct kvm_device_ops *ops)
{
	struct kvm_device *dev;
	int r;

	dev = kzalloc(sizeof(*dev), GFP_KERNEL_ACCOUNT);
	if (!dev)
		return ERR_PTR(-ENOMEM);

	dev->kvm = kvm;
	dev->ops = ops;

	mutex_lock(&kvm->lock);
	r = ops->create(dev, type);
	if (r >= 0)
		list_add_rcu(&dev->vm_node, &kvm->devices);
	mutex_unlock(&kvm->lock);

	if (r < 0) {
		kfree(dev);
		return ERR_PTR(r);
	}

	if (ops->init)
		ops->init(dev);
	return dev;
}

/* Ends a device that never got its file. */
static void kvm_device_abort(struct kvm_device *dev)
{
	const struct kvm_device_ops *ops = dev->ops;
	struct kvm *kvm = dev->kvm;

	mutex_lock(&kvm->lock);
	kvm_device_unlink(dev);
	if (ops->release)
		ops->release(dev);
	mutex_unlock(&kvm->lock);

	if (ops->destroy)
		ops->destroy(dev);
}

/**
 * kvm_create_device_fd() - KVM_CREATE_DEVICE (api.rst 4.79)
 * @kvm: the VM
 * @cd: in: type and flags; out: the file descriptor.  Unchanged on an error
 *	and with KVM_CREATE_DEVICE_TEST, which only asks for the type.
 *
 * Context: may sleep; takes kvm->lock.
 *
 * Return: 0; -ENODEV if the type is unknown; -ENOMEM; what ->create() of the device
 * returns; or -EMFILE or -ENFILE if there can be no more files.
 */
int kvm_create_device_fd(struct kvm *kvm, struct kvm_create_device *cd)
{
	const struct kvm_device_ops *ops = kvm_device_find_ops(cd->type);
	struct kvm_device *dev;
	int fd;

	if (!ops)
		return -ENODEV;
	if (cd->flags & KVM_CREATE_DEVICE_TEST)
		return 0;

	dev = kvm_device_create(kvm, cd->type, ops);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	/* The file's reference: userspace may close it before we return. */
	kvm_get_kvm(kvm);
	fd = anon_inode_getfd(ops->name, &kvm_device_fops, dev,
			      O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		kvm_put_kvm_no_destroy(kvm);
		kvm_device_abort(dev);
		return fd;
	}

	cd->fd = fd;
	return 0;
}

/**
 * kvm_destroy_devices() - end the devices that live as long as their VM
 * @kvm: the VM; nobody else refers to it, so kvm->lock is not needed
 *
 * A reader that outlives the VM is a bug: list_del() poisons the links that it would
 * follow.
 *
 * Context: destruction of the VM; may sleep.
 */
void kvm_destroy_devices(struct kvm *kvm)
{
	struct kvm_device *dev, *next;

	list_for_each_entry_safe(dev, next, &kvm->devices, vm_node) {
		list_del(&dev->vm_node);
		dev->ops->destroy(dev);
	}
}
