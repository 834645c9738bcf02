/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Page faults: who brings them (page_fault.c), resolve -> pin -> level -> map
 * (fault.c), and the lockless fix (fast_fault.c).
 */
#ifndef __KVM_X86_MMU_FAULT_H
#define __KVM_X86_MMU_FAULT_H

#include "mmu_internal.h"

struct guest_walk;

/**
 * fault_handle() - one fault from begin to end
 * @vcpu: the vCPU
 * @addr: a gpa (tdp, nested), or a gva
 * @error_code: PFERR_*
 * @prefetch: no vCPU waits for it
 * @emulation_type: gets flags for the emulator; may be NULL
 * @level: gets the level that was mapped; may be NULL
 *
 * Return: RET_PF_*, or an errno for userspace.
 * Context: kvm->srcu; may sleep.
 */
int fault_handle(struct kvm_vcpu *vcpu, gpa_t addr, u64 error_code, bool prefetch,
		 int *emulation_type, u8 *level);

/* kvm_mmu::page_fault: direct paging; a guest without paging; its own tables. */
int fault_tdp(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
int fault_nonpaging(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);
int fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * fast_fault_direct() - give W, R or X back without mmu_lock
 * @vcpu: the vCPU
 * @fault: its gfn and slot are known
 *
 * For SPTEs that dirty logging or access tracking took rights from; locking.txt
 * says why one cmpxchg is enough.
 *
 * Return: RET_PF_FIXED, RET_PF_SPURIOUS, or RET_PF_INVALID: not a case for it.
 */
int fast_fault_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * fast_fault_indirect() - the same for an SPTE that shadows a gPTE
 * @vcpu: the vCPU
 * @fault: a write to what is present
 * @walk: of the guest's tables, which allow the access
 *
 * Return: as fast_fault_direct().
 */
int fast_fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			const struct guest_walk *walk);

/**
 * fault_walk() - copy the SPTEs that translate an address
 * @vcpu: the vCPU
 * @addr: the address, as a fault has it
 * @sptes: the values, by level
 * @root_level: set to the level of the first
 *
 * Return: the level of the last; negative: there is no root, or it does not reach the
 * address.
 * Context: none, takes no lock.
 */
int fault_walk(struct kvm_vcpu *vcpu, u64 addr, u64 *sptes, int *root_level);

/**
 * mmio_fault() - the CPU saw reserved bits: an MMIO SPTE, unless it changed since
 * @vcpu: the vCPU
 * @addr: the address
 * @direct: @addr is a gpa
 *
 * Return: RET_PF_EMULATE; RET_PF_INVALID: the SPTE may be wrong, handle it as any
 * other fault; RET_PF_RETRY: there is none; -EINVAL: a bug.
 * Context: kvm->srcu held for reading.
 */
int mmio_fault(struct kvm_vcpu *vcpu, u64 addr, bool direct);

#endif /* __KVM_X86_MMU_FAULT_H */
