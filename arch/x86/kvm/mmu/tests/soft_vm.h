/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM of software CPUs (soft_vendor.h), and the memory of its VMM: files and
 * ioctls as userspace has them, in the address space of the test.
 *
 * Each page of that memory knows itself: its first word is soft_page_id() of
 * its place, so what a guest reads tells which page it has reached.
 */
#ifndef __KVM_X86_MMU_SOFT_VM_H
#define __KVM_X86_MMU_SOFT_VM_H

#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "soft_vendor.h"

#define SOFT_MAX_VCPUS	4

/**
 * struct soft_vm - a VM, and what its VMM has
 * @test: the test
 * @file: the VM's file; NULL: it is closed
 * @fd: its descriptor
 * @kvm: the VM
 * @nr_vcpus: of @vcpu
 * @vcpu: the vCPUs
 * @vcpu_fd: their descriptors
 * @hva: the VMM's memory
 * @nr_pages: of it
 * @scratch: a page for arguments of ioctls
 */
struct soft_vm {
	struct kunit *test;
	struct file *file;
	int fd;
	struct kvm *kvm;
	int nr_vcpus;
	struct kvm_vcpu *vcpu[SOFT_MAX_VCPUS];
	int vcpu_fd[SOFT_MAX_VCPUS];
	unsigned long hva;
	unsigned long nr_pages;
	unsigned long scratch;
};

/* Goes with the test, unless it is destroyed before. */
struct soft_vm *soft_vm_create(struct kunit *test, int nr_vcpus,
			       unsigned long nr_pages);

/* Closes the files, and waits until the VM is gone. */
void soft_vm_destroy(struct soft_vm *vm);

/* KVM_SET_USER_MEMORY_REGION; @page is the first one of the VMM's memory. */
int soft_vm_set_slot(struct soft_vm *vm, u32 id, gfn_t gfn, unsigned long npages,
		     unsigned long page, u32 flags);

/* KVM_GET_DIRTY_LOG; up to 64 pages: all of a bitmap's first word. */
int soft_vm_get_dirty_log(struct soft_vm *vm, u32 id, u64 *bitmap, int nr_longs);

/* KVM_CLEAR_DIRTY_LOG for pages of the slot from @first on. */
int soft_vm_clear_dirty_log(struct soft_vm *vm, u32 id, u64 first, u32 nr_pages,
			    const u64 *bitmap);

/* The VMM replaces pages by new ones, which know themselves again. */
void soft_vm_renew_pages(struct soft_vm *vm, unsigned long page,
			 unsigned long npages);

/* What the first word of a page of the VMM's memory is. */
static inline u64 soft_page_id(unsigned long page)
{
	return 0x5041474500000000ULL + page;
}

#endif /* __KVM_X86_MMU_SOFT_VM_H */
