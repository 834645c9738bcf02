/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The roots of a vCPU: loaded, cached by (PGD, role), let go.  The functions
 * that the rest of KVM calls are declared in mmu.h and kvm_host.h.
 */
#ifndef __KVM_X86_MMU_ROOT_H
#define __KVM_X86_MMU_ROOT_H

#include "kvm_cache_regs.h"
#include "mmu_internal.h"

/* kvm_mmu::get_guest_pgd of all but nested MMUs; role.c. */
unsigned long root_guest_cr3(struct kvm_vcpu *vcpu);

/* The guest's CR3 or nested root of a vCPU's MMU; a direct call where it can be. */
static inline gpa_t root_guest_pgd(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	if (likely(mmu->get_guest_pgd == root_guest_cr3))
		return kvm_read_cr3(vcpu);
	return mmu->get_guest_pgd(vcpu);
}

/**
 * root_obsolete() - must a root be let go
 * @kvm: the VM
 * @root: of a vCPU, may be invalid
 *
 * A root without a shadow page (PAE, dummy) cannot be told to be fresh: it is
 * obsolete whenever somebody asks.
 */
bool root_obsolete(struct kvm *kvm, hpa_t root);

/**
 * mmu_topup_caches() - make sure that a fault finds its memory under mmu_lock
 * @vcpu: the vCPU, whose current MMU says what a fault may need
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int mmu_topup_caches(struct kvm_vcpu *vcpu);

#endif /* __KVM_X86_MMU_ROOT_H */
