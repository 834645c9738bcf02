// SPDX-License-Identifier: GPL-2.0-only
/*
 * SPTEs as values (spte.h): how they are made, and made from each other.
 *
 * Everything here computes one value from others and from spte_fmt.  Locks and
 * stores are left to the callers.
 */
#include <linux/kvm_host.h>
#include <asm/e820/api.h>
#include <asm/memtype.h>

#include "mmu.h"
#include "nx_huge_page.h"
#include "spte.h"

/* Is @pfn memory of a device, which must not be cached? */
static bool pfn_is_mmio(kvm_pfn_t pfn)
{
	const u64 hpa = PFN_PHYS(pfn);

	if (!pfn_valid(pfn))
		return !e820__mapped_raw_any(hpa, hpa + PAGE_SIZE - 1,
					     E820_TYPE_RAM);

	if (is_zero_pfn(pfn) || !PageReserved(pfn_to_page(pfn)))
		return false;

	/* Persistent memory is reserved too, but the host caches it. */
	return !pat_enabled() || pat_pfn_immune_to_uc_mtrr(pfn);
}

static u64 leaf_ad_kind(union kvm_mmu_page_role role)
{
	if (role.ad_disabled)
		return SPTE_AD_NONE;

	return role_needs_wrprot_for_dirty(role) ? SPTE_AD_WRPROT : SPTE_AD_CPU;
}

static u64 leaf_user_exec(const struct spte_leaf_args *args)
{
	u64 bits = args->access & ACC_USER_MASK ? spte_fmt.user : 0;

	if (!(args->access & ACC_EXEC_MASK) ||
	    (args->nx_huge && args->level > PG_LEVEL_4K))
		return bits | spte_fmt.nx;

	return bits | spte_fmt.exec;
}

/* H, M and W: one row of the table in spte.h. */
static u64 leaf_hmw(const struct spte_leaf_args *args)
{
	if (!args->host_writable)
		return 0;

	if (!args->mmu_writable || !(args->access & ACC_WRITE_MASK))
		return spte_fmt.host_writable;

	return spte_fmt.host_writable | spte_fmt.mmu_writable |
	       (args->trap_write ? 0 : PT_WRITABLE_MASK);
}

/* What depends on the memory itself: its type (EPT) and its encryption. */
static u64 leaf_memory(struct kvm_vcpu *vcpu, gfn_t gfn, kvm_pfn_t pfn)
{
	u64 bits = 0;
	bool mmio;

	if (!(spte_fmt.memtype | spte_fmt.me_value))
		return 0;

	mmio = pfn_is_mmio(pfn);
	if (spte_fmt.memtype)
		bits = kvm_x86_call(get_mt_mask)(vcpu, gfn, mmio);

	return mmio ? bits : bits | spte_fmt.me_value;
}

u64 spte_make_leaf(struct kvm_vcpu *vcpu, const struct spte_leaf_args *args)
{
	const struct rsvd_bits_validate *rsvd = &vcpu->arch.mmu->shadow_zero_check;
	u64 spte;

	WARN_ON_ONCE(spte_would_be_none(args->access));

	spte = SPTE_PRESENT | spte_fmt.present | PFN_PHYS(args->pfn) |
	       leaf_ad_kind(args->role) | leaf_user_exec(args) |
	       leaf_hmw(args) | leaf_memory(vcpu, args->gfn, args->pfn);

	if (args->level > PG_LEVEL_4K)
		spte |= PT_PAGE_SIZE_MASK;

	if (spte_has_ad(spte)) {
		if (!args->prefetch)
			spte |= spte_fmt.accessed;
		if (spte_writable(spte) && !args->clean)
			spte |= spte_fmt.dirty;
	} else if (args->prefetch) {
		spte = spte_make_old(spte);
	}

	WARN_ONCE(spte_reserved(rsvd, spte, args->level),
		  "SPTE %llx of level %d has reserved bits %llx\n", spte,
		  args->level, rsvd_bits_set(rsvd, spte, args->level));
	return spte;
}

u64 spte_make_table(u64 *table, bool ad_disabled)
{
	u64 ad = ad_disabled ? SPTE_AD_NONE : spte_fmt.accessed;

	return __pa(table) | SPTE_PRESENT | ad | PT_WRITABLE_MASK |
	       spte_fmt.present | spte_fmt.user | spte_fmt.exec |
	       spte_fmt.me_value;
}

/* Make an SPTE executable; an access-tracked one when it gets its rights back. */
static u64 make_executable(u64 spte)
{
	if (spte_tracked(spte))
		return spte | spte_fmt.exec << SPTE_TRACK_SHIFT;

	return (spte & ~spte_fmt.nx) | spte_fmt.exec;
}

u64 spte_make_split(struct kvm *kvm, u64 huge, union kvm_mmu_page_role role,
		    int index)
{
	u64 spte = huge | PFN_PHYS(index * KVM_PAGES_PER_HPAGE(role.level));

	KVM_BUG_ON(!spte_present(huge) || !spte_huge(huge), kvm);

	if (role.level > PG_LEVEL_4K)
		return spte;

	spte &= ~PT_PAGE_SIZE_MASK;
	if ((role.access & ACC_EXEC_MASK) && nx_huge_page_enabled(kvm))
		spte = make_executable(spte);
	return spte;
}

u64 spte_make_huge(struct kvm *kvm, u64 small, int level)
{
	const u64 offset = (KVM_HPAGE_SIZE(level) - 1) & PAGE_MASK;
	u64 spte = (small & ~offset) | PT_PAGE_SIZE_MASK;

	KVM_BUG_ON(!spte_present(small) || level == PG_LEVEL_4K, kvm);

	if (spte_tracked(spte))
		spte = spte_untrack(spte);

	if (spte_has_ad(spte)) {
		spte |= spte_fmt.accessed;
		if (spte_writable(spte))
			spte |= spte_fmt.dirty;
	}

	if (nx_huge_page_enabled(kvm))
		spte = (spte & ~spte_fmt.exec) | spte_fmt.nx;
	return spte;
}

u64 spte_make_old(u64 spte)
{
	if (spte_has_ad(spte))
		return spte & ~spte_fmt.accessed;

	if (spte_tracked(spte))
		return spte;

	spte_check_writable(spte);
	WARN_ONCE(spte & SPTE_TRACK_SAVED,
		  "SPTE %llx saves rights that it has\n", spte);

	return (spte & ~spte_fmt.track) |
	       (spte & SPTE_TRACK_RX) << SPTE_TRACK_SHIFT;
}
