/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a paging mode allows, computed once when the mode changes, so that a
 * check is a table lookup (permission_fault() of mmu.h).
 */
#ifndef __KVM_X86_MMU_PERMISSION_H
#define __KVM_X86_MMU_PERMISSION_H

#include "spte.h"

/* The parts of a paging mode that permissions depend on (kvm_mmu::cpu_role). */
static inline bool mmu_cr0_pg(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.base.level > 0;
}

static inline bool mmu_cr0_wp(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.base.cr0_wp;
}

static inline bool mmu_cr4_pae(const struct kvm_mmu *mmu)
{
	return !mmu->cpu_role.base.has_4_byte_gpte;
}

static inline bool mmu_cr4_smep(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.ext.cr4_smep;
}

static inline bool mmu_cr4_smap(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.ext.cr4_smap;
}

static inline bool mmu_efer_nx(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.base.efer_nx;
}

/**
 * permission_update() - fill mmu->permissions and mmu->pkru_mask
 * @mmu: with its cpu_role set
 * @ept: the guest's tables are EPT: no CR0.WP, NX, SMEP, SMAP or PKU
 *
 * mmu->permissions[e] has bit a set if an access with the error code bits
 * e << 1 faults on a page that grants the ACC_* bits a.  PFERR_RSVD_MASK in the
 * error code stands for "SMAP does not apply".  mmu->pkru_mask: see kvm_host.h.
 * Rules: Intel SDM vol. 3A, 5.6; AMD APM vol. 2, 5.6.
 */
void permission_update(struct kvm_mmu *mmu, bool ept);

/**
 * struct rsvd_rules - what decides which bits of an entry are reserved
 * @pa_rsvd: address bits beyond MAXPHYADDR
 * @level: of the root: 2 (32-bit), 3 (PAE), 4, 5
 * @nx: bit 63 is NX, not reserved
 * @gbpages: the CPU has 1G pages
 * @pse: 32-bit: 4M pages
 * @amd: bit 8 is reserved in PML4Es and PML5Es
 */
struct rsvd_rules {
	u64 pa_rsvd;
	int level;
	bool nx;
	bool gbpages;
	bool pse;
	bool amd;
};

/**
 * rsvd_bits_legacy() - the reserved bits of 32-bit, PAE, 4- and 5-level tables
 * @rsvd: filled
 * @rules: see there
 *
 * Intel SDM vol. 3A, 5.3 to 5.5.
 */
void rsvd_bits_legacy(struct rsvd_bits_validate *rsvd,
		      const struct rsvd_rules *rules);

/**
 * rsvd_bits_ept() - the reserved bits, memory types and XWR of EPT
 * @rsvd: filled
 * @pa_rsvd: address bits beyond MAXPHYADDR
 * @execonly: X without R is allowed
 * @huge_level: the largest page
 *
 * Intel SDM vol. 3C, 30.3.3.1.
 */
void rsvd_bits_ept(struct rsvd_bits_validate *rsvd, u64 pa_rsvd, bool execonly,
		   int huge_level);

/* Fill mmu->guest_rsvd_check of a guest's legacy tables, from its cpu_role. */
void rsvd_update_guest(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu);

/*
 * Fill mmu->shadow_zero_check: the bits that KVM's own SPTEs never have.  For
 * shadow pages of legacy tables, of EPT, and for direct (tdp) pages.
 */
void rsvd_update_shadow(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu);
void rsvd_update_shadow_ept(struct kvm_mmu *mmu, bool execonly);
void rsvd_update_tdp(struct kvm_mmu *mmu);

#endif /* __KVM_X86_MMU_PERMISSION_H */
