/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM of software CPUs (soft_vendor.h), and the memory of its VMM: files and
 * ioctls as userspace has them, in the address space of the test.
 */
#ifndef __KVM_X86_MMU_SOFT_VM_H
#define __KVM_X86_MMU_SOFT_VM_H

#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "soft_driver.h"
#include "soft_vendor.h"

#define SOFT_MAX_VCPUS	4

/**
 * struct soft_memory - memory of the VMM
 * @hva: begins at a border of 2M
 * @nr_pages: of it; private memory of a VM has as many
 * @scratch: a page for arguments of ioctls
 * @driver: may map any of it
 */
struct soft_memory {
	unsigned long hva;
	unsigned long nr_pages;
	unsigned long scratch;
	struct soft_driver *driver;
};

/* Goes with the test. */
struct soft_memory *soft_memory_create(struct kunit *test, unsigned long nr_pages);

/* How a VM tells of dirty pages, see api.rst 7.18, 8.29 and 4.117. */
enum soft_log {
	SOFT_LOG_BITMAP,	/* KVM_GET_DIRTY_LOG clears what it reports */
	SOFT_LOG_MANUAL,	/* KVM_CLEAR_DIRTY_LOG does */
	SOFT_LOG_INITIALLY_SET,	/* and a log begins with all pages */
	SOFT_LOG_RING,		/* a ring for each vCPU, no bitmaps */
	SOFT_NR_LOGS
};

/* Of a ring: few, and enough for what KVM reserves for PML. */
#define SOFT_RING_ENTRIES	256

/**
 * struct soft_vm_kind - what is decided when a VM is created
 * @log: see there
 * @private: it has private memory: KVM_X86_SW_PROTECTED_VM
 * @nested: its guests are hypervisors, whose tables translate for guests of
 *	theirs; else their own paging is what they use tables for
 * @small: the VMM's memory is no huge pages
 */
struct soft_vm_kind {
	enum soft_log log;
	bool private;
	bool nested;
	bool small;
};

/**
 * struct soft_vm - a VM
 * @test: the test
 * @memory: of its VMM
 * @file: its file
 * @fd: its descriptor
 * @kvm: the VM
 * @kind: of it
 * @gmem_fd: of the private memory, if there is
 * @gmem: its file
 * @nr_vcpus: of @vcpu
 * @vcpu: the vCPUs
 * @vcpu_fd: their descriptors
 * @vcpu_file: and files
 * @collected: of their rings, from the beginning
 */
struct soft_vm {
	struct kunit *test;
	const struct soft_memory *memory;
	struct file *file;
	int fd;
	struct kvm *kvm;
	struct soft_vm_kind kind;
	int gmem_fd;
	struct file *gmem;
	int nr_vcpus;
	struct kvm_vcpu *vcpu[SOFT_MAX_VCPUS];
	int vcpu_fd[SOFT_MAX_VCPUS];
	struct file *vcpu_file[SOFT_MAX_VCPUS];
	u32 collected[SOFT_MAX_VCPUS];
};

/* Goes with the test, unless it is destroyed before; the second one is plain. */
struct soft_vm *soft_vm_create_kind(struct kunit *test, int nr_vcpus,
				    const struct soft_memory *memory,
				    const struct soft_vm_kind *kind);
struct soft_vm *soft_vm_create(struct kunit *test, int nr_vcpus,
			       const struct soft_memory *memory);

/* Closes the files, and waits until the VM is gone; frees @vm. */
void soft_vm_destroy(struct soft_vm *vm);

/* Closes a file of a VM, whose last reference is the caller's; it is released then. */
void soft_file_close(int fd, struct file *file);

/* ioctl() of the VM's file or of another one of it; @arg is copied both ways. */
long soft_file_ioctl(struct soft_vm *vm, struct file *file, unsigned int ioctl,
		     void *arg, size_t size);

/*
 * KVM_SET_USER_MEMORY_REGION2; @page is the first one of the VMM's memory, and of
 * the private one.
 */
int soft_vm_set_slot(struct soft_vm *vm, u32 id, gfn_t gfn, unsigned long npages,
		     unsigned long page, u32 flags);

/* A change in the slot's address space is published, and waits for readers. */
bool soft_vm_slot_changes(const struct soft_vm *vm, u32 id);

/* KVM_GET_DIRTY_LOG of a slot of up to @nr_longs * 64 pages. */
int soft_vm_get_dirty_log(struct soft_vm *vm, u32 id, u64 *bitmap, int nr_longs);

/* KVM_CLEAR_DIRTY_LOG of a range of a slot, in pages. */
int soft_vm_clear_dirty_log(struct soft_vm *vm, u32 id, unsigned long first,
			    unsigned long npages, const u64 *bitmap);

/* Takes the next entry out of a vCPU's dirty ring; false: there is none. */
bool soft_vm_next_dirty(struct soft_vm *vm, int vcpu, struct kvm_dirty_gfn *entry);

/* Flags of the next @nr entries, which KVM has not written, or not yet. */
void soft_vm_scribble(struct soft_vm *vm, int vcpu, u32 nr, u32 flags);

/* KVM_RESET_DIRTY_RINGS; how many entries that gave back, or an errno. */
int soft_vm_reset_rings(struct soft_vm *vm);

/* KVM_PRE_FAULT_MEMORY; for each vCPU, also at the same time. */
int soft_vm_pre_fault(struct soft_vm *vm, int vcpu, gfn_t gfn,
		      unsigned long npages);

/* KVM_SET_NR_MMU_PAGES */
int soft_vm_set_quota(struct soft_vm *vm, unsigned long pages);

/* KVM_SET_MEMORY_ATTRIBUTES */
int soft_vm_set_private(struct soft_vm *vm, gfn_t gfn, unsigned long npages,
			bool private);

/* The VMM gives private pages back; what comes in their place is 0. */
int soft_vm_punch_hole(struct soft_vm *vm, unsigned long page,
		       unsigned long npages);

/* The VMM maps new pages in place of some; they are 0. */
void soft_vm_renew_pages(struct soft_vm *vm, unsigned long page,
			 unsigned long npages);

/* The driver maps them. */
void soft_vm_renew_by_driver(struct soft_vm *vm, unsigned long page,
			     unsigned long npages);

/* Those of the driver are read-only again, until somebody writes. */
void soft_vm_host_protect(struct soft_vm *vm, unsigned long page,
			  unsigned long npages);

/* What MMU notifiers are told of pages that the host's mm is about to change. */
void soft_vm_invalidate(struct soft_vm *vm, unsigned long page,
			unsigned long npages);

/* The same of a range of one slot, which may be one that was replaced. */
bool soft_vm_unmap_range(struct soft_vm *vm, struct kvm_gfn_range *range);

/* The host's page behind one of the VMM's, with a reference; or NULL. */
struct page *soft_vm_get_page(struct soft_vm *vm, unsigned long page);

/*
 * The host's mm has written the page back: it is not dirty any more.  Return:
 * whether it was, as far as can be told (never of a large folio or the driver's).
 */
bool soft_vm_clean_page(struct soft_vm *vm, unsigned long page);

/* The VMM writes and reads word @index of a page. */
void soft_vm_write(struct soft_vm *vm, unsigned long page, unsigned int index,
		   u64 value);
u64 soft_vm_read(struct soft_vm *vm, unsigned long page, unsigned int index);

/* Names pages: the n-th from @page on begins with SOFT_PAGE_ID + n. */
#define SOFT_PAGE_ID	0x5041474500000000ULL
void soft_vm_mark_pages(struct soft_vm *vm, unsigned long page,
			unsigned long npages);

/* What the host's mm asks of MMU notifiers when it looks for old pages. */
void soft_vm_clear_young(struct soft_vm *vm, unsigned long page,
			 unsigned long npages);
bool soft_vm_clear_flush_young(struct soft_vm *vm, unsigned long page,
			       unsigned long npages);
bool soft_vm_test_young(struct soft_vm *vm, unsigned long page);

/* All that maps anything goes, as when VM-wide settings change. */
void soft_vm_zap_all(struct soft_vm *vm);

static inline unsigned long soft_vm_hva(const struct soft_vm *vm, unsigned long page)
{
	return vm->memory->hva + page * PAGE_SIZE;
}

#endif /* __KVM_X86_MMU_SOFT_VM_H */
