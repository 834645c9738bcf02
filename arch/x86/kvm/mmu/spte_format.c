// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one format of SPTEs (spte_format.h), and the functions that choose it.
 *
 * kvm.ko outlives vendor modules.  Each one that is loaded starts from the format of
 * legacy paging, and from the module parameter mmio_caching as it was at first.  Then
 * it changes what it needs to.  There is no VM meanwhile, so no lock is taken.
 *
 * Takes the place of a part of mmu/spte.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2020 Red Hat, Inc. and/or its affiliates.
 */
#include <linux/cpufeature.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/processor.h>
#include <asm/vmx.h>

#include "mmio.h"
#include "mmu.h"
#include "spte_format.h"
#include "x86.h"

struct spte_format spte_fmt __read_mostly;

/* The parameter as it is in effect; what was asked for is in mmio_caching_wanted. */
bool __read_mostly enable_mmio_caching = true;
EXPORT_SYMBOL_GPL(enable_mmio_caching);
module_param_named(mmio_caching, enable_mmio_caching, bool, 0444);

static bool mmio_caching_wanted __ro_after_init;

/*
 * boot_cpu_data leaves out the address bits that SME and MKTME use for keys; the
 * CPU does not reserve those, which is what counts here.
 */
static u8 __init host_maxphyaddr(void)
{
	if (unlikely(boot_cpu_data.extended_cpuid_level < 0x80000008))
		return boot_cpu_data.x86_phys_bits;

	return cpuid_eax(0x80000008) & 0xff;
}

void __init spte_format_init(void)
{
	mmio_caching_wanted = enable_mmio_caching;
	kvm_host.maxphyaddr = host_maxphyaddr();
}

/*
 * With L1TF, a CPU may read from its L1 cache what the address in a not-present
 * entry names.  So MMIO SPTEs have the top address bits set that the cache compares,
 * which can be more than CPUID says: no memory has all of them set.  The gfn's own top
 * bits move up for that.  With 47 or more address bits there would be no room for them;
 * such CPUs have no L1TF.
 */
static void set_l1tf_bits(struct spte_format *fmt)
{
	const int cache_bits = boot_cpu_data.x86_cache_bits;
	int low_bits = boot_cpu_data.x86_phys_bits;

	if (boot_cpu_has_bug(X86_BUG_L1TF) &&
	    !WARN_ON_ONCE(cache_bits >= 52 - SPTE_L1TF_BITS)) {
		low_bits = cache_bits - SPTE_L1TF_BITS;
		fmt->l1tf = rsvd_bits(low_bits, cache_bits - 1);
	}

	fmt->l1tf_gfn = rsvd_bits(PAGE_SHIFT, low_bits - 1);
}

void spte_format_reset(void)
{
	u64 mmio = 0;

	/* The memory type is PAT entry 0, WB, so that the host's MTRRs decide. */
	spte_fmt = (struct spte_format) {
		.present = PT_PRESENT_MASK,
		.user = PT_USER_MASK,
		.nx = PT64_NX_MASK,
		.accessed = PT_ACCESSED_MASK,
		.dirty = PT_DIRTY_MASK,
		.host_writable = SPTE_LEGACY_HOST_WRITABLE,
		.mmu_writable = SPTE_LEGACY_MMU_WRITABLE,
		.huge_level = boot_cpu_has(X86_FEATURE_GBPAGES) ? PG_LEVEL_1G :
								  PG_LEVEL_2M,
	};
	set_l1tf_bits(&spte_fmt);

	/* With all 52 bits in use, no address bit is left that faults as reserved. */
	if (kvm_host.maxphyaddr < 52)
		mmio = BIT_ULL(51) | PT_PRESENT_MASK;
	kvm_mmu_set_mmio_spte_mask(mmio, mmio, ACC_WRITE_MASK | ACC_USER_MASK);
}

/* Can an MMIO SPTE be told by @value in @mask from anything else? */
static bool mmio_marks_valid(u64 value, u64 mask)
{
	/* The other bits are the generation's and Present. */
	if (WARN_ON(mask & ~MMIO_ALLOWED_MASK))
		return false;

	/* This is where the top bits of the gfn move to. */
	if (WARN_ON(value & (spte_fmt.l1tf << SPTE_L1TF_BITS)))
		return false;

	if (WARN_ON(value & ~mask))
		return false;

	return !WARN_ON(value && (SPTE_FROZEN & mask) == value);
}

void kvm_mmu_set_mmio_spte_mask(u64 mmio_value, u64 mmio_mask, u64 access_mask)
{
	WARN_ON(mmio_value & spte_fmt.l1tf_gfn);
	if (WARN_ON(access_mask & ~(u64)ACC_ALL))
		access_mask &= ACC_ALL;

	if (!mmio_caching_wanted)
		mmio_value = 0;
	if (!mmio_marks_valid(mmio_value, mmio_mask))
		mmio_value = 0;

	enable_mmio_caching = mmio_value;
	spte_fmt.mmio_value = mmio_value;
	spte_fmt.mmio_mask = mmio_mask;
	spte_fmt.mmio_access = access_mask;
}
EXPORT_SYMBOL_GPL(kvm_mmu_set_mmio_spte_mask);

void kvm_mmu_set_me_spte_mask(u64 me_value, u64 me_mask)
{
	const bool valid = !WARN_ON(me_value & ~me_mask);

	spte_fmt.me_value = valid ? me_value : 0;
	spte_fmt.me_mask = valid ? me_mask : 0;
}
EXPORT_SYMBOL_GPL(kvm_mmu_set_me_spte_mask);

void kvm_mmu_set_ept_masks(bool has_ad_bits, bool has_exec_only)
{
	struct spte_format *fmt = &spte_fmt;

	/* A violation is to exit, never to become a #VE. */
	fmt->present = VMX_EPT_SUPPRESS_VE_BIT;
	if (!has_exec_only)
		fmt->present |= VMX_EPT_READABLE_MASK;

	fmt->user = VMX_EPT_READABLE_MASK;
	fmt->exec = VMX_EPT_EXECUTABLE_MASK;
	fmt->nx = 0;

	fmt->accessed = has_ad_bits ? VMX_EPT_ACCESS_BIT : 0;
	fmt->dirty = has_ad_bits ? VMX_EPT_DIRTY_BIT : 0;
	/* L1 may switch A/D bits off for L2, so there is tracking in any case. */
	fmt->track = VMX_EPT_RWX_MASK;

	/* EPT overrides the host's MTRRs: get_mt_mask() says the type, by page. */
	fmt->memtype = VMX_EPT_MT_MASK | VMX_EPT_IPAT_BIT;

	fmt->host_writable = SPTE_EPT_HOST_WRITABLE;
	fmt->mmu_writable = SPTE_EPT_MMU_WRITABLE;

	/* W and X without R is a misconfiguration, which exits at once. */
	kvm_mmu_set_mmio_spte_mask(VMX_EPT_MISCONFIG_WX_VALUE,
				   VMX_EPT_RWX_MASK | VMX_EPT_SUPPRESS_VE_BIT, 0);
}
EXPORT_SYMBOL_GPL(kvm_mmu_set_ept_masks);
