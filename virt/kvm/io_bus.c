// SPDX-License-Identifier: GPL-2.0-only
/*
 * The buses that carry guest I/O to devices in the kernel.
 *
 * A bus is an array of ranges, sorted by kvm_io_range_cmp(), that is never
 * changed once it is published in kvm->buses (but for its count of ioeventfds,
 * which is eventfd.c's).  Readers hold kvm->srcu; registering and unregistering
 * happen under kvm->slots_lock, and publish a changed copy.  A bus is NULL if there
 * was no memory to unregister a device, and while its VM is built or destroyed.
 *
 * Unregistering waits for readers, as it destroys the device.  Registering does not:
 * only the old array must outlive its readers, and it is kept until somebody waits
 * for readers anyway.
 *
 * A registered device belongs to the bus, which calls its destructor.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/bsearch.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/printk.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/string.h>

#include <kunit/visibility.h>
#include <kvm/iodev.h>

#include "kvm_core.h"

/* The most that each bus keeps of replaced arrays before registering waits, in bytes. */
#define KVM_IO_BUS_MAX_REPLACED	SZ_256K

/**
 * struct kvm_io_bus_copy - a bus, and the older copies that readers may still use
 * @replaced: the copy that this one has replaced, the first of a list that goes back
 *	in time; protected by slots_lock
 * @replaced_size: the size of all copies in that list, in bytes
 * @bus: what is published; it ends with its ranges
 */
struct kvm_io_bus_copy {
	struct kvm_io_bus_copy *replaced;
	size_t replaced_size;
	struct kvm_io_bus bus;
};

/* An access of the guest.  For a write of 0 bytes src may be NULL. */
struct kvm_io_access {
	struct kvm_io_range range;
	bool is_write;
	union {
		const void *src;
		void *dst;
	};
};

/*
 * Tells whether @io is below @dev (negative), inside of it (0), or above.  A device
 * of length 0 takes accesses of any length to its address.  This is no total order
 * where devices overlap: a search then finds any one that matches, and with it those
 * next to it that match, too.
 */
static int kvm_io_range_cmp(const void *io, const void *dev)
{
	const struct kvm_io_range *key = io, *range = dev;
	gpa_t key_end = key->addr, range_end = range->addr;

	if (key->addr < range->addr)
		return -1;

	if (range->len) {
		key_end += key->len;
		range_end += range->len;
	}

	return key_end > range_end;
}

static bool kvm_io_bus_matches(const struct kvm_io_bus *bus, int idx,
			       const struct kvm_io_range *io)
{
	return idx >= 0 && idx < bus->dev_count &&
	       !kvm_io_range_cmp(io, &bus->range[idx]);
}

/* Return: index of the first device for @io, or -1. */
static int kvm_io_bus_find(const struct kvm_io_bus *bus,
			   const struct kvm_io_range *io)
{
	const struct kvm_io_range *hit;
	int idx;

	hit = __inline_bsearch(io, bus->range, bus->dev_count,
			       sizeof(*hit), kvm_io_range_cmp);
	if (!hit)
		return -1;

	idx = hit - bus->range;
	while (kvm_io_bus_matches(bus, idx - 1, io))
		idx--;
	return idx;
}

/* Return: whether the device took the access. */
static bool kvm_io_offer(struct kvm_vcpu *vcpu, struct kvm_io_device *dev,
			 const struct kvm_io_access *access)
{
	const struct kvm_io_range *io = &access->range;

	if (access->is_write)
		return !kvm_iodevice_write(vcpu, dev, io->addr, io->len,
					   access->src);

	return !kvm_iodevice_read(vcpu, dev, io->addr, io->len, access->dst);
}

/* Offer an access to each device that matches until one takes it. */
static int kvm_io_bus_search(struct kvm_vcpu *vcpu,
			     const struct kvm_io_bus *bus,
			     const struct kvm_io_access *access)
{
	int idx = kvm_io_bus_find(bus, &access->range);

	for (; kvm_io_bus_matches(bus, idx, &access->range); idx++) {
		if (kvm_io_offer(vcpu, bus->range[idx].dev, access))
			return idx;
	}

	return -EOPNOTSUPP;
}

/*
 * The bus, for a reader that holds kvm->srcu.  If a device was registered, and the
 * reader could know of it before it entered kvm->srcu, the bus has that device:
 * srcu_read_lock() is a full barrier, which pairs with smp_mb() in
 * kvm_io_bus_register_dev().
 */
static struct kvm_io_bus *kvm_io_bus_of_reader(struct kvm *kvm, enum kvm_bus bus_idx)
{
	smp_mb__after_srcu_read_lock();
	return srcu_dereference(kvm->buses[bus_idx], &kvm->srcu);
}

/* Return: index of the device that took the access, or an error. */
static int kvm_io_bus_dispatch(struct kvm_vcpu *vcpu, enum kvm_bus bus_idx,
			       const struct kvm_io_access *access, long cookie)
{
	const struct kvm_io_bus *bus = kvm_io_bus_of_reader(vcpu->kvm, bus_idx);

	if (!bus)
		return -ENOMEM;

	/* The bus may have changed since the cookie was handed out. */
	if (cookie >= 0 && cookie < bus->dev_count &&
	    kvm_io_bus_matches(bus, cookie, &access->range) &&
	    kvm_io_offer(vcpu, bus->range[cookie].dev, access))
		return cookie;

	return kvm_io_bus_search(vcpu, bus, access);
}

/**
 * kvm_io_bus_write_cookie() - let the devices of a bus take a write, fast
 * @vcpu: the vCPU that writes
 * @bus_idx: the bus
 * @addr: the address on it
 * @len: the length in bytes
 * @val: the @len bytes; may be NULL if @len is 0, for devices that only want
 *	to know of the write
 * @cookie: what the last write of that kind returned; -1 for none
 *
 * Context: kvm->srcu is held.
 *
 * Return: the cookie of the device that took the write, -EOPNOTSUPP if none
 * did, -ENOMEM if the bus was lost.
 */
int kvm_io_bus_write_cookie(struct kvm_vcpu *vcpu, enum kvm_bus bus_idx,
			    gpa_t addr, int len, const void *val, long cookie)
{
	const struct kvm_io_access access = {
		.range = { .addr = addr, .len = len },
		.is_write = true,
		.src = val,
	};

	return kvm_io_bus_dispatch(vcpu, bus_idx, &access, cookie);
}

/**
 * kvm_io_bus_write() - let the devices of a bus take a write
 * @vcpu: the vCPU that writes
 * @bus_idx: the bus
 * @addr: the address on it
 * @len: the length in bytes
 * @val: the @len bytes
 *
 * Context: kvm->srcu is held.
 *
 * Return: 0, -EOPNOTSUPP if no device took the write, -ENOMEM if the bus was
 * lost.
 */
int kvm_io_bus_write(struct kvm_vcpu *vcpu, enum kvm_bus bus_idx, gpa_t addr,
		     int len, const void *val)
{
	int r = kvm_io_bus_write_cookie(vcpu, bus_idx, addr, len, val, -1);

	return min(r, 0);
}
EXPORT_SYMBOL_GPL(kvm_io_bus_write);

/**
 * kvm_io_bus_read() - let the devices of a bus answer a read
 * @vcpu: the vCPU that reads
 * @bus_idx: the bus
 * @addr: the address on it
 * @len: the length in bytes
 * @val: takes the @len bytes
 *
 * Context: kvm->srcu is held.
 *
 * Return: as kvm_io_bus_write().
 */
int kvm_io_bus_read(struct kvm_vcpu *vcpu, enum kvm_bus bus_idx, gpa_t addr,
		    int len, void *val)
{
	const struct kvm_io_access access = {
		.range = { .addr = addr, .len = len },
		.is_write = false,
		.dst = val,
	};
	int r = kvm_io_bus_dispatch(vcpu, bus_idx, &access, -1);

	return min(r, 0);
}

/**
 * kvm_io_bus_get_dev() - the first device at an address
 * @kvm: the VM
 * @bus_idx: the bus
 * @addr: the address on it
 *
 * Context: kvm->srcu is held, and protects the device.
 *
 * Return: the device, or NULL.
 */
struct kvm_io_device *kvm_io_bus_get_dev(struct kvm *kvm, enum kvm_bus bus_idx,
					 gpa_t addr)
{
	const struct kvm_io_range io = { .addr = addr, .len = 1 };
	const struct kvm_io_bus *bus;
	int idx;

	lockdep_assert_held(&kvm->srcu);

	bus = kvm_io_bus_of_reader(kvm, bus_idx);
	if (!bus)
		return NULL;

	idx = kvm_io_bus_find(bus, &io);
	return idx < 0 ? NULL : bus->range[idx].dev;
}
EXPORT_SYMBOL_GPL(kvm_io_bus_get_dev);

static void kvm_iodevice_destroy(struct kvm_io_device *dev)
{
	if (dev->ops->destructor)
		dev->ops->destructor(dev);
}

static struct kvm_io_bus_copy *kvm_io_bus_to_copy(struct kvm_io_bus *bus)
{
	return container_of(bus, struct kvm_io_bus_copy, bus);
}

static size_t kvm_io_bus_size(int dev_count)
{
	return offsetof(struct kvm_io_bus_copy, bus.range[dev_count]);
}

static struct kvm_io_bus *kvm_io_bus_alloc(int dev_count)
{
	struct kvm_io_bus_copy *copy;

	copy = kmalloc(kvm_io_bus_size(dev_count), GFP_KERNEL_ACCOUNT);
	if (!copy)
		return NULL;

	*copy = (struct kvm_io_bus_copy) { .bus.dev_count = dev_count };
	return &copy->bus;
}

/* Call it when nobody reads the copies that @bus has replaced any more. */
static void kvm_io_bus_free_replaced(struct kvm_io_bus *bus)
{
	struct kvm_io_bus_copy *copy = kvm_io_bus_to_copy(bus), *old;

	while ((old = copy->replaced)) {
		copy->replaced = old->replaced;
		kfree(old);
	}
	copy->replaced_size = 0;
}

static void kvm_io_bus_free(struct kvm_io_bus *bus)
{
	kvm_io_bus_free_replaced(bus);
	kfree(kvm_io_bus_to_copy(bus));
}

static void kvm_io_bus_destroy(struct kvm_io_bus *bus)
{
	int idx;

	for (idx = 0; idx < bus->dev_count; idx++)
		kvm_iodevice_destroy(bus->range[idx].dev);
	kvm_io_bus_free(bus);
}

/* Return: a bus of @dev_count devices, the first @keep as in @bus; or NULL. */
static struct kvm_io_bus *kvm_io_bus_copy(const struct kvm_io_bus *bus,
					  int dev_count, int keep)
{
	struct kvm_io_bus *copy = kvm_io_bus_alloc(dev_count);

	if (!copy)
		return NULL;

	copy->ioeventfd_count = bus->ioeventfd_count;
	memcpy(copy->range, bus->range, flex_array_size(bus, range, keep));
	return copy;
}

/* Publish @bus.  It keeps @old, which readers may still use. */
static void kvm_io_bus_publish(struct kvm *kvm, enum kvm_bus bus_idx,
			       struct kvm_io_bus *bus, struct kvm_io_bus *old)
{
	struct kvm_io_bus_copy *copy = kvm_io_bus_to_copy(bus);

	copy->replaced = kvm_io_bus_to_copy(old);
	copy->replaced_size = copy->replaced->replaced_size +
			      kvm_io_bus_size(old->dev_count);
	rcu_assign_pointer(kvm->buses[bus_idx], bus);
}

/**
 * kvm_io_buses_reclaim() - free what the buses have replaced
 * @kvm: the VM
 *
 * Context: a grace period of kvm->srcu has ended that began under the same hold of
 * kvm->slots_lock.
 */
void kvm_io_buses_reclaim(struct kvm *kvm)
{
	struct kvm_io_bus *bus;
	int idx;

	lockdep_assert_held(&kvm->slots_lock);

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		bus = kvm_get_bus(kvm, idx);
		if (bus)
			kvm_io_bus_free_replaced(bus);
	}
}

static void kvm_io_buses_wait(struct kvm *kvm)
{
	synchronize_srcu_expedited(&kvm->srcu);
	kvm_io_buses_reclaim(kvm);
}

/**
 * kvm_io_bus_replaced_size() - how much the bus keeps for readers of older copies
 * @kvm: the VM
 * @bus_idx: the bus, which is not NULL
 *
 * Context: under kvm->slots_lock.
 *
 * Return: the size of the arrays, in bytes.
 */
VISIBLE_IF_KUNIT
size_t kvm_io_bus_replaced_size(struct kvm *kvm, enum kvm_bus bus_idx)
{
	return kvm_io_bus_to_copy(kvm_get_bus(kvm, bus_idx))->replaced_size;
}

/**
 * kvm_io_bus_register_dev() - put a device on a bus
 * @kvm: the VM
 * @bus_idx: the bus
 * @addr: the first address that it takes
 * @len: the number of bytes; 0 takes an access of any length to @addr
 * @dev: the device, which belongs to the bus on success
 *
 * An access of the guest that begins after the return finds the device.  One that
 * began before may miss it, and goes to userspace.
 *
 * Context: process context, under kvm->slots_lock.  Waits for kvm->srcu only if more
 * than KVM_IO_BUS_MAX_REPLACED bytes were replaced since somebody waited last.
 *
 * Return: 0, -ENOSPC beyond NR_IOBUS_DEVS devices (ioeventfds, which the limit
 * on files bounds, do not count), or -ENOMEM.
 */
int kvm_io_bus_register_dev(struct kvm *kvm, enum kvm_bus bus_idx, gpa_t addr,
			    int len, struct kvm_io_device *dev)
{
	const struct kvm_io_range range = {
		.addr = addr,
		.len = len,
		.dev = dev,
	};
	struct kvm_io_bus *old, *new;
	int at = 0;

	lockdep_assert_held(&kvm->slots_lock);

	old = kvm_get_bus(kvm, bus_idx);
	if (!old)
		return -ENOMEM;
	if (old->dev_count - old->ioeventfd_count >= NR_IOBUS_DEVS)
		return -ENOSPC;

	while (at < old->dev_count &&
	       kvm_io_range_cmp(&old->range[at], &range) <= 0)
		at++;

	new = kvm_io_bus_copy(old, old->dev_count + 1, at);
	if (!new)
		return -ENOMEM;

	new->range[at] = range;
	memcpy(&new->range[at + 1], &old->range[at],
	       flex_array_size(old, range, old->dev_count - at));

	kvm_io_bus_publish(kvm, bus_idx, new, old);
	/*
	 * Whoever is told of the device from here on, through memory too, finds it:
	 * pairs with smp_mb__after_srcu_read_lock() in kvm_io_bus_of_reader().
	 */
	smp_mb();
	if (kvm_io_bus_replaced_size(kvm, bus_idx) > KVM_IO_BUS_MAX_REPLACED)
		kvm_io_buses_wait(kvm);
	return 0;
}

/* There is no memory for a bus without the device: readers get no bus instead. */
static void kvm_io_bus_lose(struct kvm *kvm, enum kvm_bus bus_idx,
			    struct kvm_io_bus *bus)
{
	pr_err("kvm: failed to shrink bus, removing it completely\n");
	rcu_assign_pointer(kvm->buses[bus_idx], NULL);
	kvm_io_buses_wait(kvm);
	kvm_io_bus_destroy(bus);
}

/**
 * kvm_io_bus_unregister_dev() - take a device off a bus and destroy it
 * @kvm: the VM
 * @bus_idx: the bus
 * @dev: the device; nothing happens if it is not there
 *
 * Context: process context, under kvm->slots_lock; waits for kvm->srcu.
 *
 * Return: 0, or -ENOMEM, in which case the bus and all its devices are gone.
 */
int kvm_io_bus_unregister_dev(struct kvm *kvm, enum kvm_bus bus_idx,
			      struct kvm_io_device *dev)
{
	struct kvm_io_bus *old, *new;
	int at = 0;

	lockdep_assert_held(&kvm->slots_lock);

	old = kvm_get_bus(kvm, bus_idx);
	if (!old)
		return 0;

	while (at < old->dev_count && old->range[at].dev != dev)
		at++;
	if (at == old->dev_count)
		return 0;

	new = kvm_io_bus_copy(old, old->dev_count - 1, at);
	if (!new) {
		kvm_io_bus_lose(kvm, bus_idx, old);
		return -ENOMEM;
	}

	memcpy(&new->range[at], &old->range[at + 1],
	       flex_array_size(new, range, new->dev_count - at));
	kvm_io_bus_publish(kvm, bus_idx, new, old);
	kvm_io_buses_wait(kvm);
	kvm_iodevice_destroy(dev);
	return 0;
}

/**
 * kvm_io_buses_init() - give a new VM its buses, without devices
 * @kvm: the VM, whose buses are all NULL
 *
 * Context: creation of the VM, which nobody else can reach.
 *
 * Return: 0, or -ENOMEM, in which case the buses are all NULL again.
 */
int kvm_io_buses_init(struct kvm *kvm)
{
	struct kvm_io_bus *bus;
	int idx;

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		bus = kvm_io_bus_alloc(0);
		if (!bus) {
			kvm_io_buses_destroy(kvm);
			return -ENOMEM;
		}
		rcu_assign_pointer(kvm->buses[idx], bus);
	}

	return 0;
}

/**
 * kvm_io_buses_destroy() - free a VM's buses and destroy their devices
 * @kvm: the VM; buses that are NULL are left alone
 *
 * Context: destruction of the VM or its failed creation; nobody else can reach
 * it.  Later calls of kvm_io_bus_unregister_dev() find nothing.
 */
void kvm_io_buses_destroy(struct kvm *kvm)
{
	struct kvm_io_bus *bus;
	int idx;

	for (idx = 0; idx < KVM_NR_BUSES; idx++) {
		/* No reader is left, and none can come. */
		bus = rcu_dereference_protected(kvm->buses[idx], true);
		if (bus)
			kvm_io_bus_destroy(bus);
		RCU_INIT_POINTER(kvm->buses[idx], NULL);
	}
}
