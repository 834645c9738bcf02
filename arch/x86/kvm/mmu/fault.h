/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page faults: where they come from (page_fault.c), resolve -> pin -> commit (fault.c),
 * and the lockless fix (fast_fault.c).
 */
#ifndef __KVM_X86_MMU_FAULT_H
#define __KVM_X86_MMU_FAULT_H

#include "mmu_internal.h"

struct guest_walk;

/**
 * fault_handle() - handle one fault from begin to end
 * @vcpu: the vCPU; its root is loaded
 * @addr: a gpa (tdp, nested), or a gva
 * @error_code: PFERR_*
 * @prefetch: the guest does not wait for the page
 * @emulation_type: gets flags for the emulator; may be NULL
 * @level: gets the level that was mapped; may be NULL
 *
 * Return: RET_PF_*, or an errno for userspace.
 * Context: kvm->srcu; may sleep.
 */
int fault_handle(struct kvm_vcpu *vcpu, gpa_t addr, u64 error_code, bool prefetch,
		 int *emulation_type, u8 *level);

/*
 * kvm_mmu::page_fault: for direct paging; for a guest without paging, without TDP; and
 * where tables of the guest are shadowed.  Return and context: as fault_handle().
 */
int fault_tdp(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
int fault_nonpaging(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
int fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * fast_fault_direct() - give W, R or X back without mmu_lock
 * @vcpu: the vCPU
 * @fault: its gfn and slot are known
 *
 * For SPTEs that dirty logging or access tracking took rights from; locking.txt, 5,
 * says why one cmpxchg is enough.
 *
 * Return: RET_PF_FIXED; RET_PF_SPURIOUS; or RET_PF_INVALID: take mmu_lock instead.
 * Context: no lock; kvm->srcu.
 */
int fast_fault_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * fast_fault_indirect() - give W back to an SPTE that shadows a 4K gPTE
 * @vcpu: the vCPU
 * @fault: a write by an SPTE that is present
 * @walk: of the guest's tables, which allow the access
 *
 * Return: as fast_fault_direct().
 * Context: no lock; kvm->srcu.
 */
int fast_fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			const struct guest_walk *walk);

/**
 * fault_walk() - copy the SPTEs that translate an address
 * @vcpu: the vCPU
 * @addr: the address, as a fault has it
 * @sptes: PT64_ROOT_MAX_LEVEL + 1 of them: set to the values, by level
 * @root_level: set to the level of the first
 *
 * Return: the level of the last; negative if the root has no table for @addr, or does
 * not reach it.
 * Context: no lock.
 */
int fault_walk(struct kvm_vcpu *vcpu, u64 addr, u64 *sptes, int *root_level);

/**
 * mmio_fault() - handle a fault by reserved bits: that of an MMIO SPTE, mostly
 * @vcpu: the vCPU
 * @addr: the address, as a fault has it
 * @direct: @addr is a gpa that is translated without tables of the guest
 *
 * Return: RET_PF_EMULATE; RET_PF_INVALID: the MMIO SPTE may be outdated, handle it as
 * any other fault; RET_PF_RETRY: there is no MMIO SPTE any more; -EINVAL: a bug.
 * Context: no lock; kvm->srcu.
 */
int mmio_fault(struct kvm_vcpu *vcpu, u64 addr, bool direct);

#endif /* __KVM_X86_MMU_FAULT_H */
