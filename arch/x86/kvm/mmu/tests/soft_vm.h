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

#include "soft_vendor.h"

#define SOFT_MAX_VCPUS	4

/**
 * struct soft_memory - memory of the VMM
 * @hva: begins at a border of 2M
 * @scratch: a page for arguments of ioctls
 */
struct soft_memory {
	unsigned long hva;
	unsigned long scratch;
};

/* Goes with the test. */
struct soft_memory *soft_memory_create(struct kunit *test, unsigned long nr_pages);

/**
 * struct soft_vm - a VM
 * @test: the test
 * @memory: of its VMM
 * @file: its file
 * @fd: its descriptor
 * @kvm: the VM
 * @nr_vcpus: of @vcpu
 * @vcpu: the vCPUs
 * @vcpu_fd: their descriptors
 */
struct soft_vm {
	struct kunit *test;
	const struct soft_memory *memory;
	struct file *file;
	int fd;
	struct kvm *kvm;
	int nr_vcpus;
	struct kvm_vcpu *vcpu[SOFT_MAX_VCPUS];
	int vcpu_fd[SOFT_MAX_VCPUS];
};

/* Goes with the test, unless it is destroyed before. */
struct soft_vm *soft_vm_create(struct kunit *test, int nr_vcpus,
			       const struct soft_memory *memory);

/* Closes the files, and waits until the VM is gone; frees @vm. */
void soft_vm_destroy(struct soft_vm *vm);

/* KVM_SET_USER_MEMORY_REGION; @page is the first one of the VMM's memory. */
int soft_vm_set_slot(struct soft_vm *vm, u32 id, gfn_t gfn, unsigned long npages,
		     unsigned long page, u32 flags);

/* KVM_GET_DIRTY_LOG of a slot of up to @nr_longs * 64 pages. */
int soft_vm_get_dirty_log(struct soft_vm *vm, u32 id, u64 *bitmap, int nr_longs);

/* KVM_SET_NR_MMU_PAGES */
int soft_vm_set_quota(struct soft_vm *vm, unsigned long pages);

/* The VMM maps new pages in place of some; they are 0. */
void soft_vm_renew_pages(struct soft_vm *vm, unsigned long page,
			 unsigned long npages);

/* The VMM writes and reads word @index of a page. */
void soft_vm_write(struct soft_vm *vm, unsigned long page, unsigned int index,
		   u64 value);
u64 soft_vm_read(struct soft_vm *vm, unsigned long page, unsigned int index);

/* What the host's mm asks of MMU notifiers when it looks for old pages. */
void soft_vm_clear_young(struct soft_vm *vm, unsigned long page,
			 unsigned long npages);
bool soft_vm_test_young(struct soft_vm *vm, unsigned long page);

/* All that maps anything goes, as when VM-wide settings change. */
void soft_vm_zap_all(struct soft_vm *vm);

static inline unsigned long soft_vm_hva(const struct soft_vm *vm, unsigned long page)
{
	return vm->memory->hva + page * PAGE_SIZE;
}

#endif /* __KVM_X86_MMU_SOFT_VM_H */
