/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The roots of a vCPU: loading, caching by (PGD, role), freeing.  The functions that
 * the rest of KVM calls are declared in mmu.h and kvm_host.h.
 */
#ifndef __KVM_X86_MMU_ROOT_H
#define __KVM_X86_MMU_ROOT_H

#include "kvm_cache_regs.h"
#include "mmu_internal.h"

/* kvm_mmu::get_guest_pgd of all MMUs but those of nested tables; role.c. */
unsigned long root_guest_cr3(struct kvm_vcpu *vcpu);

/* The guest's CR3, or nested root, that @mmu translates from. */
static inline gpa_t root_guest_pgd(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	if (likely(mmu->get_guest_pgd == root_guest_cr3))
		return kvm_read_cr3(vcpu);
	return mmu->get_guest_pgd(vcpu);
}

/**
 * root_obsolete() - must a vCPU let go of a root
 * @kvm: the VM
 * @root: of a vCPU, or INVALID_PAGE, which is not obsolete
 *
 * A root without a struct mmu_table (PAE, dummy) does not tell whether it is up to
 * date, so it always counts as obsolete.
 *
 * Context: see shadow_sp_obsolete().
 */
bool root_obsolete(struct kvm *kvm, hpa_t root);

/**
 * mmu_topup_caches() - fill the caches from which a fault allocates under mmu_lock
 * @vcpu: the vCPU, whose current MMU says what a fault may need
 *
 * Return: 0 or -ENOMEM.
 * Context: may sleep.
 */
int mmu_topup_caches(struct kvm_vcpu *vcpu);

#endif /* __KVM_X86_MMU_ROOT_H */
