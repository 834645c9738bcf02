/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM for KUnit: a struct kvm with what memslots need, which are their sets,
 * SRCU, the locks, and an MMU without a single page table.
 *
 * The real memslot core runs on it, kvm_set_memory_region() included.  There is
 * no vCPU that kvm_arch_memslots_updated() could kick, and slots are created
 * and never deleted or moved: nothing calls the vendor module, and VMX or SVM
 * are not needed.
 */
#ifndef __KVM_X86_MMU_TEST_VM_H
#define __KVM_X86_MMU_TEST_VM_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

struct kvm *kvm_test_create_vm(struct kunit *test);
struct kvm_vcpu *kvm_test_create_vcpu(struct kunit *test, struct kvm *kvm);
int kvm_test_create_slot(struct kvm *kvm, u16 as_id, u16 id, gfn_t gfn);

/* A user address for a page that nobody accesses. */
static inline unsigned long kvm_test_hva(gfn_t gfn)
{
	return 0x10000000UL + gfn_to_gpa(gfn);
}

#endif /* __KVM_X86_MMU_TEST_VM_H */
