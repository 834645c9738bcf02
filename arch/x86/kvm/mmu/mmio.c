// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO SPTEs (mmio.h): made, and read back.
 *
 * With L1TF the top bits of the gfn's address stand SPTE_L1TF_BITS higher, and
 * where they were all bits are set (spte_format.h).
 */
#include <linux/kvm_host.h>

#include "mmio.h"
#include "mmu.h"
#include "mmutrace.h"

u64 mmio_make_spte(struct kvm *kvm, u64 gen, gfn_t gfn, unsigned int access)
{
	const u64 gpa = gfn_to_gpa(gfn);
	const u64 moved = (gpa & spte_fmt.l1tf) << SPTE_L1TF_BITS;

	WARN_ON_ONCE(!kvm->arch.shadow_mmio_value);

	return kvm->arch.shadow_mmio_value | generation_mmio_spte_mask(gen) |
	       (access & spte_fmt.mmio_access) | gpa | spte_fmt.l1tf | moved;
}

gfn_t mmio_spte_gfn(u64 spte)
{
	const u64 moved = (spte >> SPTE_L1TF_BITS) & spte_fmt.l1tf;

	return gpa_to_gfn((spte & spte_fmt.l1tf_gfn) | moved);
}

bool mmio_spte_current(struct kvm_vcpu *vcpu, u64 spte)
{
	/* kvm->srcu keeps the set; its generation may change as it is settled. */
	const u64 gen = READ_ONCE(kvm_vcpu_memslots(vcpu)->generation);
	const bool valid = mmio_spte_gen_matches(spte, gen);

	trace_check_mmio_spte(spte, gen & MMIO_SPTE_GEN_MASK,
			      get_mmio_spte_generation(spte), valid);
	return likely(valid);
}

bool mmio_direct_current(u64 spte, u64 gen)
{
	const bool valid = !(gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);

	trace_check_mmio_spte(spte, gen & MMIO_SPTE_GEN_MASK,
			      get_mmio_spte_generation(spte), valid);
	return likely(valid);
}
