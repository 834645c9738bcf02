/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A nested guest (L2) of a software CPU: what VMRUN and VM-entry, and the exits
 * back to L1, are to the MMU, as svm/nested.c and vmx/nested.c have it.
 *
 * L1 has made nested page tables, NPT or EPT by the hardware, that translate the
 * addresses of an L2 without paging: soft_paging.h has their modes.  A fault that
 * they cause is an exit to L1, which ends the access; L1 does nothing about it,
 * and L2 goes on.
 */
#ifndef __KVM_X86_MMU_SOFT_NESTED_H
#define __KVM_X86_MMU_SOFT_NESTED_H

#include <linux/kvm_host.h>

#include "soft_paging.h"

/**
 * soft_nested_enter() - from L1 to L2
 * @vcpu: is loaded, and in L1
 * @paging: of a nested mode: L1's tables for L2
 *
 * NPT is flushed (KVM does so with each VMRUN), EPT is not.
 */
void soft_nested_enter(struct kvm_vcpu *vcpu, const struct soft_paging *paging);

/* The same, if L1 has no nested paging: L2 runs on tables of direct paging. */
void soft_nested_enter_direct(struct kvm_vcpu *vcpu);

/* From L2, if the vCPU is there, to L1. */
void soft_nested_leave(struct kvm_vcpu *vcpu);

/**
 * soft_nested_flush() - L1 flushes what the CPU has of its tables
 * @vcpu: is loaded, and in L1
 *
 * INVEPT of all contexts; for NPT, soft_nested_enter() does it.
 */
void soft_nested_flush(struct kvm_vcpu *vcpu);

#endif /* __KVM_X86_MMU_SOFT_NESTED_H */
