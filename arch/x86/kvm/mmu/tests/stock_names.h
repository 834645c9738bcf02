/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tests of memslots and of the generation in MMIO SPTEs run on stock's MMU
 * and on ours.  They use stock's names; this is what they mean in ours.
 */
#ifndef __KVM_X86_MMU_TESTS_STOCK_NAMES_H
#define __KVM_X86_MMU_TESTS_STOCK_NAMES_H

#if !__has_include("mmu/mmio.h")

#include "mmu/spte.h"

#define test_mmio_value				shadow_mmio_value

/* Sees whether MMIO SPTEs are zapped; with stock, all pages are. */
struct mmio_probe {
	u8 valid_gen;
};

static inline void mmio_probe_begin(struct kvm *kvm, struct mmio_probe *probe)
{
	probe->valid_gen = kvm->arch.mmu_valid_gen;
}

static inline bool mmio_probe_end(struct kvm *kvm, struct mmio_probe *probe)
{
	return kvm->arch.mmu_valid_gen != probe->valid_gen;
}

#else

#include "mmu/mmio.h"
#include "mmu/shadow_internal.h"

/* Sees whether MMIO SPTEs are zapped, by one in a page of its own. */
struct mmio_probe {
	struct kvm_mmu_page sp;
	u64 spt[SPTE_ENT_PER_PAGE];
};

static inline void mmio_probe_begin(struct kvm *kvm, struct mmio_probe *probe)
{
	memset64(probe->spt, SPTE_NONE, SPTE_ENT_PER_PAGE);
	probe->spt[7] = mmio_make_spte(kvm, 0, 7, 0);
	probe->sp.spt = probe->spt;
	hlist_add_head(&probe->sp.hash_link, shadow_bucket(kvm, 0));
}

static inline bool mmio_probe_end(struct kvm *kvm, struct mmio_probe *probe)
{
	hlist_del(&probe->sp.hash_link);
	return probe->spt[7] == SPTE_NONE;
}

#define test_mmio_value				(spte_fmt.mmio_value)

#define SPTE_MMU_PRESENT_MASK			SPTE_PRESENT
#define SPTE_MMIO_ALLOWED_MASK			MMIO_ALLOWED_MASK
#define SPTE_BASE_ADDR_MASK			SPTE_ADDR_MASK
#define SHADOW_NONPRESENT_VALUE			SPTE_NONE

#define shadow_mmio_mask			(spte_fmt.mmio_mask)
#define shadow_mmio_access_mask			(spte_fmt.mmio_access)
#define shadow_nonpresent_or_rsvd_mask		(spte_fmt.l1tf)
#define shadow_nonpresent_or_rsvd_lower_gfn_mask	(spte_fmt.l1tf_gfn)

#define is_shadow_present_pte			spte_present
#define is_frozen_spte				spte_frozen

static inline u64 make_mmio_spte(struct kvm_vcpu *vcpu, u64 gfn,
				 unsigned int access)
{
	return mmio_make_spte(vcpu->kvm,
			      READ_ONCE(kvm_vcpu_memslots(vcpu)->generation),
			      gfn, access);
}

#endif /* !__has_include */

#endif /* __KVM_X86_MMU_TESTS_STOCK_NAMES_H */
