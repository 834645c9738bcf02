/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM of the tests of shadow pages: one of test_vm.h with a slot in each
 * address space that has all that shadow paging needs, and a vCPU whose caches
 * are full.  The format of SPTEs is the test's (test_format.h).
 */
#ifndef __KVM_X86_MMU_SHADOW_VM_H
#define __KVM_X86_MMU_SHADOW_VM_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu/shadow_internal.h"
#include "test_format.h"

/* The slots: some pages of 2M, and bits of their neighbours. */
#define SHADOW_TEST_GFN		0x3c0ULL
#define SHADOW_TEST_PAGES	0x680ULL

/* No RAM, so that the host's mm is told nothing. */
#define SHADOW_TEST_PFN		0x5a5a40000ULL

/**
 * struct shadow_test - what the tests work on
 * @kvm: the VM
 * @vcpu: a vCPU of it
 * @srcu_idx: while the locks are held
 */
struct shadow_test {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	int srcu_idx;
};

/* kunit_suite::suite_init and suite_exit: a vendor module may be absent. */
int shadow_test_suite_init(struct kunit_suite *suite);
void shadow_test_suite_exit(struct kunit_suite *suite);

/**
 * shadow_test_create() - the VM; it and its pages go with the test
 * @test: the test, after test_format_init()
 * @format: of SPTEs; NULL: legacy paging
 */
struct shadow_test *shadow_test_create(struct kunit *test,
				       const struct format_case *format);

/* As if @kvm had a shadow root for the first time, but for slots that there are. */
void shadow_test_first_root(struct kunit *test, struct kvm *kvm);

/* What is held in everything that shadow_internal.h declares. */
void shadow_test_begin(struct shadow_test *t);
void shadow_test_end(struct shadow_test *t);

/* These take the locks themselves. */

/* shadow_page_get() with full caches. */
struct kvm_mmu_page *shadow_test_get(struct kunit *test, struct shadow_test *t,
				     gfn_t gfn, union kvm_mmu_page_role role);

/* shadow_page_zap(); @zap is not finished.  Return: how many pages were zapped. */
unsigned long shadow_test_zap(struct shadow_test *t, struct kvm_mmu_page *sp,
			      struct shadow_zap *zap);
bool shadow_test_finish(struct shadow_test *t, struct shadow_zap *zap);

/* Is there a page with this key? */
bool shadow_test_exists(struct shadow_test *t, gfn_t gfn,
			union kvm_mmu_page_role role);

/* What shadow_root.c does when a vCPU loads a root, or lets go of it. */
void shadow_test_make_root(struct kvm_mmu_page *sp);
void shadow_test_put_root(struct shadow_test *t, struct kvm_mmu_page *sp,
			  struct shadow_zap *zap);

/* The slot of address space 0. */
struct kvm_memory_slot *shadow_test_slot(struct shadow_test *t);

static inline union kvm_mmu_page_role shadow_test_table(int level)
{
	return (union kvm_mmu_page_role) { .level = level, .access = ACC_ALL };
}

static inline union kvm_mmu_page_role shadow_test_direct(int level)
{
	union kvm_mmu_page_role role = shadow_test_table(level);

	role.direct = 1;
	return role;
}

#endif /* __KVM_X86_MMU_SHADOW_VM_H */
