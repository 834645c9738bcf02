// SPDX-License-Identifier: GPL-2.0-only
/*
 * In-kernel devices (virt/kvm/device.c) of a VM of software CPUs: a type of
 * device that only counts what it is asked, through the files of userspace.
 *
 * Each device ends exactly once, with its file or with its VM, whatever went
 * wrong before.
 */
#include <kunit/test.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mman.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include <kvm/iodev.h>

#include "kvm_core.h"
#include "soft_hardware.h"
#include "soft_vm.h"

/* Types that no architecture of KVM_X86 has. */
#define TYPE_OF_FILE	KVM_DEV_TYPE_XICS
#define TYPE_OF_VM	KVM_DEV_TYPE_FLIC
#define TYPE_BARE	KVM_DEV_TYPE_XIVE
#define TYPE_UNKNOWN	KVM_DEV_TYPE_FSL_MPIC_20

#define GROUP		3
#define OWN_IOCTL	_IO(KVMIO, 0xfe)
#define OWN_RESULT	0x77

/* What the devices of a test were asked, and what they answer. */
static struct {
	int created, inited, released, destroyed, mapped;
	int create_error;
	u64 value;
} seen;

static int counting_create(struct kvm_device *dev, u32 type)
{
	seen.created++;
	return seen.create_error;
}

static void counting_init(struct kvm_device *dev)
{
	seen.inited++;
}

static void counting_release(struct kvm_device *dev)
{
	seen.released++;
	kfree(dev);
}

static void counting_destroy(struct kvm_device *dev)
{
	seen.destroyed++;
	kfree(dev);
}

static int counting_has_attr(struct kvm_device *dev, struct kvm_device_attr *attr)
{
	return attr->group == GROUP ? 0 : -ENXIO;
}

static int counting_set_attr(struct kvm_device *dev, struct kvm_device_attr *attr)
{
	seen.value = attr->attr;
	return counting_has_attr(dev, attr);
}

static int counting_get_attr(struct kvm_device *dev, struct kvm_device_attr *attr)
{
	return put_user(seen.value, (u64 __user *)attr->addr);
}

static long counting_ioctl(struct kvm_device *dev, unsigned int ioctl,
			   unsigned long arg)
{
	return ioctl == OWN_IOCTL ? OWN_RESULT : -ENOTTY;
}

static int counting_mmap(struct kvm_device *dev, struct vm_area_struct *vma)
{
	seen.mapped++;
	return 0;
}

static const struct kvm_device_ops ops_of_file = {
	.name = "kunit-of-file",
	.create = counting_create,
	.init = counting_init,
	.release = counting_release,
	.has_attr = counting_has_attr,
	.set_attr = counting_set_attr,
	.get_attr = counting_get_attr,
	.ioctl = counting_ioctl,
	.mmap = counting_mmap,
};

static const struct kvm_device_ops ops_of_vm = {
	.name = "kunit-of-vm",
	.create = counting_create,
	.destroy = counting_destroy,
};

/* What it lacks besides, it need not have. */
static const struct kvm_device_ops ops_bare = {
	.name = "kunit-bare",
	.create = counting_create,
	.release = counting_release,
};

static void unregister_types(void *unused)
{
	kvm_unregister_device_ops(TYPE_OF_FILE);
	kvm_unregister_device_ops(TYPE_OF_VM);
	kvm_unregister_device_ops(TYPE_BARE);
}

static struct soft_vm *new_vm(struct kunit *test)
{
	struct soft_vm *vm;

	memset(&seen, 0, sizeof(seen));
	soft_vendor_load(test, SOFT_NPT);
	KUNIT_ASSERT_EQ(test, 0, kvm_register_device_ops(&ops_of_file, TYPE_OF_FILE));
	KUNIT_ASSERT_EQ(test, 0, kvm_register_device_ops(&ops_of_vm, TYPE_OF_VM));
	KUNIT_ASSERT_EQ(test, 0, kvm_register_device_ops(&ops_bare, TYPE_BARE));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unregister_types,
							   NULL));
	vm = soft_vm_create(test, 1, soft_memory_create(test, 1));
	return vm;
}

/* A device's file and its descriptor. */
struct soft_device {
	int fd;
	struct file *file;
};

static int create_device(struct soft_vm *vm, u32 type, u32 flags, int *fd)
{
	struct kvm_create_device create = { .type = type, .flags = flags };
	int r = soft_file_ioctl(vm, vm->file, KVM_CREATE_DEVICE, &create,
				sizeof(create));

	*fd = create.fd;
	return r;
}

static struct soft_device new_device(struct soft_vm *vm, u32 type)
{
	struct soft_device device = {};

	KUNIT_ASSERT_EQ(vm->test, 0, create_device(vm, type, 0, &device.fd));
	device.file = fget(device.fd);
	KUNIT_ASSERT_NOT_NULL(vm->test, device.file);
	return device;
}

static void close_device(const struct soft_device *device)
{
	soft_file_close(device->fd, device->file);
}

static int device_attr(struct soft_vm *vm, const struct soft_device *device,
		       unsigned int ioctl, u32 group, u64 attr)
{
	struct kvm_device_attr arg = {
		.group = group,
		.attr = attr,
		.addr = vm->memory->scratch + PAGE_SIZE / 2,
	};

	return soft_file_ioctl(vm, device->file, ioctl, &arg, sizeof(arg));
}

/* Maps the file and unmaps it again. */
static int map_device(const struct soft_device *device)
{
	unsigned long hva = vm_mmap(device->file, 0, PAGE_SIZE, PROT_READ,
				    MAP_SHARED, 0);

	return IS_ERR_VALUE(hva) ? (long)hva : vm_munmap(hva, PAGE_SIZE);
}

/* A type is offered once, under a number that api.rst knows. */
static void device_types(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	int fd;

	KUNIT_EXPECT_EQ(test, -EEXIST,
			kvm_register_device_ops(&ops_of_vm, TYPE_OF_FILE));
	KUNIT_EXPECT_EQ(test, -ENOSPC,
			kvm_register_device_ops(&ops_of_vm, KVM_DEV_TYPE_MAX));
	KUNIT_EXPECT_EQ(test, -ENODEV, create_device(vm, TYPE_UNKNOWN, 0, &fd));
	KUNIT_EXPECT_EQ(test, -ENODEV, create_device(vm, KVM_DEV_TYPE_MAX, 0, &fd));
	KUNIT_EXPECT_EQ(test, 0, create_device(vm, TYPE_OF_FILE,
					       KVM_CREATE_DEVICE_TEST, &fd));
	KUNIT_EXPECT_EQ(test, seen.created, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm->kvm->devices));
}

/* Attributes, mmap() and ioctls reach the device. */
static void device_calls(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct soft_device device = new_device(vm, TYPE_OF_FILE);
	const struct file_operations *f_op = device.file->f_op;
	u64 value;

	KUNIT_EXPECT_EQ(test, seen.inited, 1);
	KUNIT_EXPECT_PTR_EQ(test, kvm_device_from_filp(device.file)->kvm, vm->kvm);
	KUNIT_EXPECT_NULL(test, kvm_device_from_filp(vm->file));
	KUNIT_EXPECT_TRUE(test, file_is_kvm(vm->file));
	KUNIT_EXPECT_FALSE(test, file_is_kvm(device.file));

	KUNIT_EXPECT_EQ(test, 0, device_attr(vm, &device, KVM_HAS_DEVICE_ATTR,
					     GROUP, 0));
	KUNIT_EXPECT_EQ(test, -ENXIO, device_attr(vm, &device, KVM_HAS_DEVICE_ATTR,
						  GROUP + 1, 0));
	KUNIT_EXPECT_EQ(test, 0, device_attr(vm, &device, KVM_SET_DEVICE_ATTR,
					     GROUP, 0x1234));
	KUNIT_EXPECT_EQ(test, 0, device_attr(vm, &device, KVM_GET_DEVICE_ATTR,
					     GROUP, 0));
	KUNIT_EXPECT_EQ(test, 0, get_user(value, (u64 __user *)(vm->memory->scratch +
								PAGE_SIZE / 2)));
	KUNIT_EXPECT_EQ(test, value, 0x1234);
	KUNIT_EXPECT_EQ(test, -EFAULT, f_op->unlocked_ioctl(device.file,
							    KVM_SET_DEVICE_ATTR, 0));

	KUNIT_EXPECT_EQ(test, OWN_RESULT, f_op->unlocked_ioctl(device.file,
							       OWN_IOCTL, 0));
	KUNIT_EXPECT_EQ(test, -ENOTTY, f_op->unlocked_ioctl(device.file, KVM_RUN, 0));
	KUNIT_EXPECT_EQ(test, 0, map_device(&device));
	KUNIT_EXPECT_EQ(test, seen.mapped, 1);
	close_device(&device);
}

/* What a device has not is refused, and so is everything in a dead VM. */
static void device_lacks(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct soft_device device = new_device(vm, TYPE_BARE);

	KUNIT_EXPECT_EQ(test, -EPERM, device_attr(vm, &device, KVM_HAS_DEVICE_ATTR,
						  GROUP, 0));
	KUNIT_EXPECT_EQ(test, -EPERM, device_attr(vm, &device, KVM_SET_DEVICE_ATTR,
						  GROUP, 0));
	KUNIT_EXPECT_EQ(test, -EPERM, device_attr(vm, &device, KVM_GET_DEVICE_ATTR,
						  GROUP, 0));
	KUNIT_EXPECT_EQ(test, -ENOTTY, device_attr(vm, &device, OWN_IOCTL, GROUP, 0));
	KUNIT_EXPECT_EQ(test, -ENODEV, map_device(&device));

	kvm_vm_dead(vm->kvm);
	KUNIT_EXPECT_EQ(test, -EIO, device_attr(vm, &device, KVM_HAS_DEVICE_ATTR,
						GROUP, 0));
	close_device(&device);
	KUNIT_EXPECT_EQ(test, seen.released, 1);
}

/* It goes with its file, and nobody finds it in the VM any more. */
static void device_ends_with_file(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct soft_device device = new_device(vm, TYPE_OF_FILE);

	KUNIT_EXPECT_TRUE(test, list_is_singular(&vm->kvm->devices));
	close_device(&device);
	KUNIT_EXPECT_EQ(test, seen.released, 1);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm->kvm->devices));

	soft_vm_destroy(vm);
	KUNIT_EXPECT_EQ(test, seen.released, 1);
	KUNIT_EXPECT_EQ(test, seen.destroyed, 0);
}

/* It outlives its file, and goes with the VM. */
static void device_ends_with_vm(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct soft_device device = new_device(vm, TYPE_OF_VM);

	close_device(&device);
	KUNIT_EXPECT_EQ(test, seen.destroyed, 0);
	soft_vm_destroy(vm);
	KUNIT_EXPECT_EQ(test, seen.destroyed, 1);
}

/* An open file of a device holds the VM. */
static void device_file_holds_vm(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct soft_device device = new_device(vm, TYPE_OF_VM);

	soft_vm_destroy(vm);
	KUNIT_EXPECT_EQ(test, seen.destroyed, 0);
	close_device(&device);
	KUNIT_EXPECT_EQ(test, seen.destroyed, 1);
}

/* What could not be created is not there. */
static void device_not_created(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	int fd;

	seen.create_error = -EBUSY;
	KUNIT_EXPECT_EQ(test, -EBUSY, create_device(vm, TYPE_OF_FILE, 0, &fd));
	KUNIT_EXPECT_EQ(test, seen.created, 1);
	KUNIT_EXPECT_EQ(test, seen.inited, 0);
	KUNIT_EXPECT_EQ(test, seen.released, 0);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm->kvm->devices));
}

/* Without a descriptor for its file the device ends at once, the VM does not. */
static void device_without_file(struct kunit *test)
{
	struct rlimit *limit = &current->signal->rlim[RLIMIT_NOFILE];
	const unsigned long before = READ_ONCE(limit->rlim_cur);
	struct soft_vm *vm = new_vm(test);
	const unsigned int users = refcount_read(&vm->kvm->users_count);
	int fd;

	WRITE_ONCE(limit->rlim_cur, 0);
	KUNIT_EXPECT_EQ(test, -EMFILE, create_device(vm, TYPE_OF_FILE, 0, &fd));
	KUNIT_EXPECT_EQ(test, seen.released, 1);
	KUNIT_EXPECT_EQ(test, -EMFILE, create_device(vm, TYPE_OF_VM, 0, &fd));
	KUNIT_EXPECT_EQ(test, seen.destroyed, 1);
	WRITE_ONCE(limit->rlim_cur, before);

	KUNIT_EXPECT_EQ(test, refcount_read(&vm->kvm->users_count), users);
	KUNIT_EXPECT_TRUE(test, list_empty(&vm->kvm->devices));
}

static const struct kvm_io_device_ops silent_ops;

/* The VM ends what is on its buses: create them before it, to end after it. */
static struct kvm_io_device *new_io_devices(struct kunit *test, unsigned int nr)
{
	struct kvm_io_device *devs = kunit_kcalloc(test, nr, sizeof(*devs), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, devs);
	for (i = 0; i < nr; i++)
		devs[i].ops = &silent_ops;
	return devs;
}

/* slots_lock is held. */
static void put_on_bus(struct soft_vm *vm, gpa_t addr, struct kvm_io_device *dev)
{
	KUNIT_EXPECT_EQ(vm->test, 0, kvm_io_bus_register_dev(vm->kvm, KVM_MMIO_BUS,
							     addr, 8, dev));
}

static void take_off_bus(struct soft_vm *vm, struct kvm_io_device *dev)
{
	KUNIT_EXPECT_EQ(vm->test, 0, kvm_io_bus_unregister_dev(vm->kvm, KVM_MMIO_BUS,
							       dev));
}

static struct kvm_io_device *device_at(struct kvm *kvm, enum kvm_bus bus, gpa_t addr)
{
	guard(srcu)(&kvm->srcu);
	return kvm_io_bus_get_dev(kvm, bus, addr);
}

/* On a bus the device is found by any of its addresses, as long as it is there. */
static void device_on_bus(struct kunit *test)
{
	struct kvm_io_device *devs = new_io_devices(test, 2);
	struct soft_vm *vm = new_vm(test);
	struct kvm *kvm = vm->kvm;

	mutex_lock(&kvm->slots_lock);
	put_on_bus(vm, 0x1000, &devs[0]);
	put_on_bus(vm, 0x1008, &devs[1]);
	KUNIT_EXPECT_PTR_EQ(test, device_at(kvm, KVM_MMIO_BUS, 0x1007), &devs[0]);
	KUNIT_EXPECT_PTR_EQ(test, device_at(kvm, KVM_MMIO_BUS, 0x1008), &devs[1]);
	KUNIT_EXPECT_NULL(test, device_at(kvm, KVM_MMIO_BUS, 0x1010));
	KUNIT_EXPECT_NULL(test, device_at(kvm, KVM_PIO_BUS, 0x1000));

	take_off_bus(vm, &devs[0]);
	KUNIT_EXPECT_NULL(test, device_at(kvm, KVM_MMIO_BUS, 0x1007));
	KUNIT_EXPECT_PTR_EQ(test, device_at(kvm, KVM_MMIO_BUS, 0x1008), &devs[1]);
	take_off_bus(vm, &devs[1]);
	mutex_unlock(&kvm->slots_lock);
}

static size_t kept(struct soft_vm *vm)
{
	return kvm_io_bus_replaced_size(vm->kvm, KVM_MMIO_BUS);
}

/* A device that comes waits for no reader, and one that goes does. */
static void bus_waits_for_what_goes(struct kunit *test)
{
	struct kvm_io_device *devs = new_io_devices(test, 2);
	struct soft_vm *vm = new_vm(test);
	struct kvm *kvm = vm->kvm;
	const struct kvm_io_bus *old;
	unsigned long grace;
	int devices;

	mutex_lock(&kvm->slots_lock);
	put_on_bus(vm, 0x1000, &devs[0]);
	old = kvm_get_bus(kvm, KVM_MMIO_BUS);
	devices = old->dev_count;

	grace = get_state_synchronize_srcu(&kvm->srcu);
	put_on_bus(vm, 0x1008, &devs[1]);
	KUNIT_EXPECT_FALSE(test, poll_state_synchronize_srcu(&kvm->srcu, grace));
	/* A reader may still have it. */
	KUNIT_EXPECT_GT(test, kept(vm), 0);
	KUNIT_EXPECT_EQ(test, old->dev_count, devices);

	take_off_bus(vm, &devs[0]);
	KUNIT_EXPECT_TRUE(test, poll_state_synchronize_srcu(&kvm->srcu, grace));
	KUNIT_EXPECT_EQ(test, kept(vm), 0);
	take_off_bus(vm, &devs[1]);
	mutex_unlock(&kvm->slots_lock);
}

/* Who changes a slot has waited for the readers of buses too. */
static void bus_is_freed_with_a_slot(struct kunit *test)
{
	struct kvm_io_device *dev = new_io_devices(test, 1);
	struct soft_vm *vm = new_vm(test);
	struct kvm *kvm = vm->kvm;

	mutex_lock(&kvm->slots_lock);
	put_on_bus(vm, 0x1000, dev);
	KUNIT_EXPECT_GT(test, kept(vm), 0);
	mutex_unlock(&kvm->slots_lock);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 5, 0x800, 1, 0, 0));

	mutex_lock(&kvm->slots_lock);
	KUNIT_EXPECT_EQ(test, kept(vm), 0);
	take_off_bus(vm, dev);
	mutex_unlock(&kvm->slots_lock);
}

#define MANY_DEVICES	200

/* What is kept for nobody in particular is not much. */
static void bus_keeps_little(struct kunit *test)
{
	struct kvm_io_device *devs = new_io_devices(test, MANY_DEVICES);
	struct soft_vm *vm = new_vm(test);
	size_t most = 0;
	int i;

	mutex_lock(&vm->kvm->slots_lock);
	for (i = 0; i < MANY_DEVICES; i++) {
		put_on_bus(vm, 0x1000 + i * 8, &devs[i]);
		most = max(most, kept(vm));
	}
	mutex_unlock(&vm->kvm->slots_lock);
	KUNIT_EXPECT_GT(test, most, SZ_128K);
	KUNIT_EXPECT_LE(test, most, SZ_256K);
}

static struct kunit_case device_cases[] = {
	KUNIT_CASE(device_types),
	KUNIT_CASE(device_calls),
	KUNIT_CASE(device_lacks),
	KUNIT_CASE(device_ends_with_file),
	KUNIT_CASE(device_ends_with_vm),
	KUNIT_CASE(device_file_holds_vm),
	KUNIT_CASE(device_not_created),
	KUNIT_CASE(device_without_file),
	KUNIT_CASE(device_on_bus),
	KUNIT_CASE(bus_waits_for_what_goes),
	KUNIT_CASE(bus_is_freed_with_a_slot),
	KUNIT_CASE(bus_keeps_little),
	{}
};

static struct kunit_suite device_suite = {
	.name = "kvm_soft_device",
	.test_cases = device_cases,
};

kunit_test_suite(device_suite);
