// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tables of a paging mode: which accesses fault on which pages, and which
 * bits of an entry are reserved.  Pure functions of the mode, see permission.h.
 *
 * A vCPU's tables are written and read by the vCPU alone: no lock.
 */
#include <linux/bits.h>
#include <linux/bug.h>
#include <linux/cpufeature.h>
#include <linux/string.h>
#include <linux/wordpart.h>
#include <asm/pkru.h>

#include "permission.h"

/* Sets of pages: bit a stands for the pages that grant the ACC_* bits a. */
#define PAGES_X		0xaa
#define PAGES_W		0xcc
#define PAGES_U		0xf0
#define PAGES_NOT(set)	(0xff & ~(set))

static_assert(ACC_EXEC_MASK == 1 && ACC_WRITE_MASK == 2 && ACC_USER_MASK == 4);

/**
 * struct faulting - the pages that fault, for one privilege
 * @always: on any access
 * @write: beside those, on a write
 * @fetch: on a fetch
 * @smap: on a data access that SMAP applies to
 */
struct faulting {
	u8 always;
	u8 write;
	u8 fetch;
	u8 smap;
};

static u8 faulting_pages(const struct faulting *on, unsigned int error_code)
{
	u8 pages = on->always;

	if (error_code & PFERR_WRITE_MASK)
		pages |= on->write;
	if (error_code & PFERR_FETCH_MASK)
		pages |= on->fetch;
	else if (!(error_code & PFERR_RSVD_MASK))
		pages |= on->smap;
	return pages;
}

/* @bits of PKRU, shifted to where pkru_mask has those of an error code. */
static u32 pkru_bits(unsigned int error_code, u32 bits)
{
	return bits << (error_code | PFERR_RSVD_MASK);
}

/* Fetches and supervisor pages are not subject to PKRU: their bits stay 0. */
static u32 pkru_mask(const struct kvm_mmu *mmu)
{
	const u32 both = PKRU_AD_BIT | PKRU_WD_BIT;

	return pkru_bits(0, PKRU_AD_BIT) |
	       pkru_bits(PFERR_WRITE_MASK, mmu_cr0_wp(mmu) ? both : PKRU_AD_BIT) |
	       pkru_bits(PFERR_USER_MASK, PKRU_AD_BIT) |
	       pkru_bits(PFERR_USER_MASK | PFERR_WRITE_MASK, both);
}

void permission_update(struct kvm_mmu *mmu, bool ept)
{
	const union kvm_mmu_extended_role ext = mmu->cpu_role.ext;
	const u8 no_x = ept || mmu_efer_nx(mmu) ? PAGES_NOT(PAGES_X) : 0;
	const struct faulting user = {
		.always = PAGES_NOT(PAGES_U),
		.write = PAGES_NOT(PAGES_W),
		.fetch = no_x,
	};
	const struct faulting supervisor = {
		.write = ept || mmu_cr0_wp(mmu) ? PAGES_NOT(PAGES_W) : 0,
		.fetch = no_x | (!ept && ext.cr4_smep ? PAGES_U : 0),
		.smap = !ept && ext.cr4_smap ? PAGES_U : 0,
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(mmu->permissions); i++) {
		const unsigned int error_code = i << 1;
		const bool by_user = error_code & PFERR_USER_MASK;

		mmu->permissions[i] = faulting_pages(by_user ? &user : &supervisor,
						     error_code);
	}
	mmu->pkru_mask = !ept && ext.cr4_pke ? pkru_mask(mmu) : 0;
}

/* The bits of the entries of a level, by bit 7: @table if it is clear. */
static void rsvd_set_level(struct rsvd_bits_validate *rsvd, int level, u64 table,
			   u64 page)
{
	rsvd->rsvd_bits_mask[0][level - 1] = table;
	rsvd->rsvd_bits_mask[1][level - 1] = page;
}

/* Bits 13-16 of a 4M page are address bits 32-35: guests have PSE-36. */
static void rsvd_set_32bit(struct rsvd_bits_validate *rsvd,
			   const struct rsvd_rules *rules)
{
	rsvd_set_level(rsvd, PG_LEVEL_4K, 0, 0);
	rsvd_set_level(rsvd, PG_LEVEL_2M, 0, rules->pse ? GENMASK_ULL(21, 17) : 0);
}

static void rsvd_set_pae(struct rsvd_bits_validate *rsvd,
			 const struct rsvd_rules *rules)
{
	const u64 nx = rules->nx ? 0 : PT64_NX_MASK;
	const u64 high = (rules->pa_rsvd & GENMASK_ULL(62, 0)) | nx;
	const u64 pdpte = high | PT64_NX_MASK | GENMASK_ULL(8, 5) | GENMASK_ULL(2, 1);

	rsvd_set_level(rsvd, PG_LEVEL_4K, high, high);
	rsvd_set_level(rsvd, PG_LEVEL_2M, high, high | GENMASK_ULL(20, 13));
	rsvd_set_level(rsvd, PG_LEVEL_1G, pdpte, pdpte);
}

static void rsvd_set_long(struct rsvd_bits_validate *rsvd,
			  const struct rsvd_rules *rules)
{
	const u64 nx = rules->nx ? 0 : PT64_NX_MASK;
	const u64 high = (rules->pa_rsvd & GENMASK_ULL(51, 0)) | nx;
	const u64 no_gb = rules->gbpages ? 0 : PT_PAGE_SIZE_MASK;
	const u64 top = high | PT_PAGE_SIZE_MASK | (rules->amd ? PT_GLOBAL_MASK : 0);
	int level;

	rsvd_set_level(rsvd, PG_LEVEL_4K, high, high);
	rsvd_set_level(rsvd, PG_LEVEL_2M, high, high | GENMASK_ULL(20, 13));
	rsvd_set_level(rsvd, PG_LEVEL_1G, high, high | no_gb | GENMASK_ULL(29, 13));
	for (level = PT64_ROOT_4LEVEL; level <= rules->level; level++)
		rsvd_set_level(rsvd, level, top, top);
}

void rsvd_bits_legacy(struct rsvd_bits_validate *rsvd,
		      const struct rsvd_rules *rules)
{
	memset(rsvd, 0, sizeof(*rsvd));

	if (rules->level == PT32_ROOT_LEVEL)
		rsvd_set_32bit(rsvd, rules);
	else if (rules->level == PT32E_ROOT_LEVEL)
		rsvd_set_pae(rsvd, rules);
	else
		rsvd_set_long(rsvd, rules);
}

/* Of the 64 values of bits 0-5: those with a memory type, and with an XWR. */
#define EPT_MEMTYPE(type)	(0xffULL << ((type) * 8))
#define EPT_XWR(xwr)		REPEAT_BYTE(BIT(xwr))

void rsvd_bits_ept(struct rsvd_bits_validate *rsvd, u64 pa_rsvd, bool execonly,
		   int huge_level)
{
	const u64 high = pa_rsvd & GENMASK_ULL(51, 0);
	const u64 table = high | GENMASK_ULL(6, 3);
	const u64 no_2m = huge_level < PG_LEVEL_2M ? PT_PAGE_SIZE_MASK : 0;
	const u64 no_1g = huge_level < PG_LEVEL_1G ? PT_PAGE_SIZE_MASK : 0;
	const u64 top = table | PT_PAGE_SIZE_MASK;

	rsvd_set_level(rsvd, PG_LEVEL_4K, high, high);
	rsvd_set_level(rsvd, PG_LEVEL_2M, table, high | no_2m | GENMASK_ULL(20, 12));
	rsvd_set_level(rsvd, PG_LEVEL_1G, table, high | no_1g | GENMASK_ULL(29, 12));
	rsvd_set_level(rsvd, PT64_ROOT_4LEVEL, top, top);
	rsvd_set_level(rsvd, PT64_ROOT_5LEVEL, top, top);

	rsvd->bad_mt_xwr = EPT_MEMTYPE(2) | EPT_MEMTYPE(3) | EPT_MEMTYPE(7) |
			   EPT_XWR(VMX_EPT_WRITABLE_MASK) |
			   EPT_XWR(VMX_EPT_WRITABLE_MASK | VMX_EPT_EXECUTABLE_MASK);
	if (!execonly)
		rsvd->bad_mt_xwr |= EPT_XWR(VMX_EPT_EXECUTABLE_MASK);
}

void rsvd_update_guest(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	const struct rsvd_rules rules = {
		.pa_rsvd = vcpu->arch.reserved_gpa_bits,
		.level = mmu->cpu_role.base.level,
		.nx = mmu_efer_nx(mmu),
		.gbpages = guest_cpu_cap_has(vcpu, X86_FEATURE_GBPAGES),
		.pse = mmu->cpu_role.ext.cr4_pse,
		.amd = guest_cpuid_is_amd_compatible(vcpu),
	};

	rsvd_bits_legacy(&mmu->guest_rsvd_check, &rules);
}

static u64 host_pa_rsvd(void)
{
	return rsvd_bits(kvm_host.maxphyaddr, 63);
}

/*
 * Encryption bits are address bits to the CPU.  @never: those that SPTEs never have;
 * @maybe: those that they may have.
 */
static void rsvd_adjust(struct rsvd_bits_validate *rsvd, u64 never, u64 maybe)
{
	int level;

	for (level = 0; level < PT64_ROOT_MAX_LEVEL; level++) {
		rsvd->rsvd_bits_mask[0][level] |= never;
		rsvd->rsvd_bits_mask[0][level] &= ~maybe;
		rsvd->rsvd_bits_mask[1][level] |= never;
		rsvd->rsvd_bits_mask[1][level] &= ~maybe;
	}
}

/*
 * KVM leaves bit 8 of upper tables alone on all CPUs, so check as AMD's do.  SPTEs
 * may have NX whatever the guest says: KVM needs it for CR0.WP=0 with SMEP, and
 * for huge pages while nx_huge_pages, which changes at any time, is set.
 */
void rsvd_update_shadow(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	const struct rsvd_rules rules = {
		.pa_rsvd = host_pa_rsvd(),
		.level = mmu->root_role.level,
		.nx = true,
		.gbpages = guest_cpu_cap_has(vcpu, X86_FEATURE_GBPAGES),
		.amd = true,
	};

	WARN_ON_ONCE(rules.level < PT32E_ROOT_LEVEL);

	rsvd_bits_legacy(&mmu->shadow_zero_check, &rules);
	if (spte_fmt.me_mask)
		rsvd_adjust(&mmu->shadow_zero_check, spte_fmt.me_mask,
			    spte_fmt.me_value);
}

void rsvd_update_shadow_ept(struct kvm_mmu *mmu, bool execonly)
{
	rsvd_bits_ept(&mmu->shadow_zero_check, host_pa_rsvd(), execonly,
		      spte_fmt.huge_level);
}

void rsvd_update_tdp(struct kvm_mmu *mmu)
{
	const struct rsvd_rules npt = {
		.pa_rsvd = host_pa_rsvd(),
		.level = mmu->root_role.level,
		.nx = true,
		.gbpages = boot_cpu_has(X86_FEATURE_GBPAGES),
		.amd = true,
	};

	if (spte_fmt.exec)
		rsvd_update_shadow_ept(mmu, false);
	else
		rsvd_bits_legacy(&mmu->shadow_zero_check, &npt);

	if (spte_fmt.me_mask)
		rsvd_adjust(&mmu->shadow_zero_check, 0, spte_fmt.me_mask);
}
