/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Functions by which the files of KVM's generic core call each other.
 *
 * Other parts of KVM call those of <linux/kvm_host.h>; these here stay inside
 * virt/kvm/.  There is one section for each file that has any.  The contract of a
 * function stands at its definition.
 */
#ifndef __KVM_CORE_H__
#define __KVM_CORE_H__

#include <linux/fs.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/sched.h>

#include "kvm_mm.h"

/* An int in decimal with its sign and the terminating NUL, in bytes. */
#define KVM_INT_STR_LEN	12

/*
 * kvm_main.c: module init and exit, /dev/kvm, uevents.
 *
 * Every file of KVM belongs to kvm.ko and, through its VM, pins the vendor
 * module: a VM holds kvm_vendor_get() from creation to the end of its
 * destruction, an open /dev/kvm until it is closed.
 *
 * Without KVM_COMPAT the files of KVM refuse all ioctls of 32-bit tasks:
 * KVM_REFUSE_COMPAT in their file_operations.
 */
bool kvm_vendor_get(void);
void kvm_vendor_put(void);

#ifndef CONFIG_KVM_COMPAT
long kvm_refuse_compat_ioctl(struct file *file, unsigned int ioctl,
			     unsigned long arg);
#define KVM_REFUSE_COMPAT	.compat_ioctl = kvm_refuse_compat_ioctl
#endif

enum kvm_vm_event {
	KVM_VM_CREATED,
	KVM_VM_DESTROYED,
};

void kvm_notify_vm_event(struct kvm *kvm, enum kvm_vm_event event);

/* vm.c: a VM's lifetime and its references. */
int kvm_create_vm_fd(unsigned long type);

/* vm_ioctl.c: one call per ioctl of a VM's file. */
long kvm_vm_ioctl(struct file *filp, unsigned int ioctl, unsigned long arg);
#ifdef CONFIG_KVM_COMPAT
long kvm_vm_compat_ioctl(struct file *filp, unsigned int ioctl,
			 unsigned long arg);
#endif
int kvm_check_extension(struct kvm *kvm, long cap);

/*
 * The ioctls of a VM, its vCPUs and its devices fail with -EIO in any other mm than
 * that of the task that created the VM, and once the VM is dead.  vm_dead is only
 * ever set: an ioctl that still reads false could as well have begun earlier.
 */
static inline bool kvm_vm_is_usable(const struct kvm *kvm)
{
	return kvm->mm == current->mm && !READ_ONCE(kvm->vm_dead);
}

/* vcpu_load.c: which vCPU a CPU has loaded. */
void kvm_vcpu_load_init(struct kvm_vcpu *vcpu);

/* vcpu.c: a vCPU's lifetime and its file. */
int kvm_vcpu_module_init(unsigned int size, unsigned int align);
void kvm_vcpu_module_exit(void);
int kvm_create_vcpu_fd(struct kvm *kvm, unsigned long id);
void kvm_vcpu_link_id(struct kvm *kvm, struct kvm_vcpu *vcpu);

/* vcpu_ioctl.c: one call per ioctl of a vCPU's file. */
int kvm_vcpu_follow_task(struct kvm_vcpu *vcpu);
long kvm_vcpu_ioctl(struct file *filp, unsigned int ioctl, unsigned long arg);
#ifdef CONFIG_KVM_COMPAT
long kvm_vcpu_compat_ioctl(struct file *filp, unsigned int ioctl,
			   unsigned long arg);
#endif

/* request.c: requests to vCPUs and remote TLB flushes. */
int kvm_request_module_init(void);
void kvm_request_module_exit(void);

/* memslot_set.c: a VM's sets, their generation, their lifetime, lookups. */
void kvm_memslots_init(struct kvm *kvm);
void kvm_memslots_destroy(struct kvm *kvm);
void kvm_memslots_publish(struct kvm *kvm, u16 as_id);
void kvm_memslots_finish(struct kvm *kvm, u16 as_id);
void kvm_memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot);
#if IS_ENABLED(CONFIG_KUNIT)
void kvm_memslots_settle(struct kvm *kvm, u16 as_id);
#endif

/* The copy of a set that nobody reads: the holder of slots_lock is its only user. */
static inline struct kvm_memslots *kvm_inactive_memslots(struct kvm *kvm, u16 as_id)
{
	lockdep_assert_held(&kvm->slots_lock);

	return &kvm->__memslots[as_id][!__kvm_memslots(kvm, as_id)->node_idx];
}

/* memslot.c: changes of memslots. */
int kvm_set_user_memory_region(struct kvm *kvm,
			       const struct kvm_userspace_memory_region2 *mem);

static inline bool kvm_memslot_is_readonly(const struct kvm_memory_slot *slot)
{
	return slot->flags & KVM_MEM_READONLY;
}

/*
 * Slot ids of the user ABI: bits 0-15 are the id in its address space, bits
 * 16-31 the address space (api.rst, KVM_SET_USER_MEMORY_REGION).
 */
static inline u16 kvm_user_slot_id(u32 slot)
{
	return slot;
}

static inline u16 kvm_user_slot_as_id(u32 slot)
{
	return slot >> 16;
}

/* mmu_notifier.c: hva-range walks, the invalidate sequence. */
int kvm_mmu_notifier_init(struct kvm *kvm);
void kvm_mmu_notifier_unwind(struct kvm *kvm);
void kvm_mmu_notifier_destroy(struct kvm *kvm);
void kvm_mn_wait_idle(struct kvm *kvm);

/*
 * Wait until no invalidation is in flight, and keep it so until kvm_mn_unlock().
 *
 * For swapping a set of memslots.  The start and the end of an invalidation both look
 * for slots in the range, to raise and to lower mmu_invalidate_in_progress.  If the set
 * were swapped in between, the count might never return to 0.
 */
static inline void kvm_mn_lock_idle(struct kvm *kvm)
	__acquires(&kvm->mn_invalidate_lock)
{
	lockdep_assert_held(&kvm->slots_lock);

	spin_lock(&kvm->mn_invalidate_lock);
	if (unlikely(kvm->mn_active_invalidate_count))
		kvm_mn_wait_idle(kvm);
}

static inline void kvm_mn_unlock(struct kvm *kvm)
	__releases(&kvm->mn_invalidate_lock)
{
	spin_unlock(&kvm->mn_invalidate_lock);
}

/* guest_access.c: gfn to hva. */
unsigned long kvm_slot_gfn_to_hva(const struct kvm_memory_slot *slot,
				  gfn_t gfn, bool write);

/* dirty_log.c: dirty bitmaps, the ioctls of bitmap and ring, marking. */
int kvm_dirty_bitmap_alloc(struct kvm *kvm, struct kvm_memory_slot *slot);
void kvm_dirty_bitmap_free(struct kvm_memory_slot *slot);
#ifdef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT
int kvm_vm_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log);
int kvm_vm_clear_dirty_log(struct kvm *kvm,
			   const struct kvm_clear_dirty_log *log);
#else
static inline int kvm_vm_get_dirty_log(struct kvm *kvm,
				       struct kvm_dirty_log *log)
{
	return kvm_vm_ioctl_get_dirty_log(kvm, log);
}
#endif
int kvm_enable_manual_dirty_log(struct kvm *kvm,
				const struct kvm_enable_cap *cap);
int kvm_enable_dirty_ring(struct kvm *kvm, u32 bytes);
int kvm_enable_dirty_ring_bitmap(struct kvm *kvm,
				 const struct kvm_enable_cap *cap);
int kvm_reset_dirty_rings(struct kvm *kvm);

/* mem_attributes.c: private and shared gfn ranges. */
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
u64 kvm_supported_mem_attributes(struct kvm *kvm);
int kvm_vm_set_mem_attributes(struct kvm *kvm,
			      const struct kvm_memory_attributes *attrs);
#endif

/* io_bus.c: the buses that carry guest I/O to in-kernel devices. */
int kvm_io_buses_init(struct kvm *kvm);
void kvm_io_buses_destroy(struct kvm *kvm);
void kvm_io_buses_reclaim(struct kvm *kvm);
#if IS_ENABLED(CONFIG_KUNIT)
size_t kvm_io_bus_replaced_size(struct kvm *kvm, enum kvm_bus bus_idx);
#endif

/* device.c: files of in-kernel devices. */
int kvm_create_device_fd(struct kvm *kvm, struct kvm_create_device *cd);
void kvm_destroy_devices(struct kvm *kvm);

/* stats.c: debugfs and binary statistics. */
void kvm_stats_module_init(void);
void kvm_stats_module_exit(void);
int kvm_create_vm_debugfs(struct kvm *kvm, const char *fdname);
void kvm_destroy_vm_debugfs(struct kvm *kvm);
#ifdef __KVM_HAVE_ARCH_VCPU_DEBUGFS
void kvm_create_vcpu_debugfs(struct kvm_vcpu *vcpu);
#endif
int kvm_vm_get_stats_fd(struct kvm *kvm);
int kvm_vcpu_get_stats_fd(struct kvm_vcpu *vcpu);

/* hw_enable.c: virtualization on and off, hotplug, suspend, reboot. */
int kvm_virtualization_module_init(void);
void kvm_virtualization_module_exit(void);

#endif /* __KVM_CORE_H__ */
