/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of SPTEs: which bit means what.  Bits only, no algorithm.
 *
 * There is one description for the host, spte_fmt: legacy paging (shadow paging
 * and AMD's NPT), or Intel's EPT.  The vendor module chooses it when it is
 * loaded, before there is a VM; nothing changes it later.  It cannot be
 * __ro_after_init, because kvm.ko is read-only before kvm-intel.ko loads.
 *
 *   bits       legacy/NPT (AMD APM vol. 2, 5.3)   EPT (Intel SDM vol. 3C, 29.3)
 *   0          P                                  R
 *   1          R/W                                W
 *   2          U/S                                X
 *   5, 6       A, D                               memory type, with 3, 4
 *   7          PS                                 PS
 *   8, 9       G, host-writable                   A, D
 *   10         MMU-writable                       (user-mode execute)
 *   11         KVM's own Present, in both
 *   12-51      address
 *   52, 53     how Accessed and Dirty are tracked, enum spte_ad
 *   54, 55     of a link to 4K leaves, its region: enum spte_region, in both
 *   54, 56     -                                  R and X of an access-tracked SPTE
 *   57, 58     -                                  host-writable, MMU-writable
 *   63         NX                                 suppress #VE
 *
 * An SPTE that is not KVM-present is none (SPTE_NONE), frozen (SPTE_FROZEN,
 * tdp only) or MMIO, see mmio.h.
 */
#ifndef __KVM_X86_MMU_SPTE_FORMAT_H
#define __KVM_X86_MMU_SPTE_FORMAT_H

#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/kvm_host.h>
#include <asm/vmx.h>

#include "mmu.h"
#include "mmu_internal.h"

/*
 * A page of guest memory or a table is mapped.  The CPU may see less: an
 * access-tracked SPTE of EPT without A/D bits has no R, W and X.
 */
#define SPTE_PRESENT		BIT_ULL(11)

/*
 * How the A and D bits of a present SPTE are kept.  Zero must be "by the CPU",
 * because PAE paging reserves the bits; the others occur in EPT only, and for
 * shadowed nested tables.
 */
#define SPTE_AD_SHIFT		52
#define SPTE_AD_MASK		(3ULL << SPTE_AD_SHIFT)
#define SPTE_AD_CPU		(0ULL << SPTE_AD_SHIFT)	/* A and D bits */
#define SPTE_AD_NONE		BIT_ULL(SPTE_AD_SHIFT)	/* neither */
#define SPTE_AD_WRPROT		(2ULL << SPTE_AD_SHIFT)	/* A bit; D by write faults */

/* An access-tracked SPTE keeps R and X here; W comes back by a write fault. */
#define SPTE_TRACK_RX		(VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK)
#define SPTE_TRACK_SHIFT	54
#define SPTE_TRACK_SAVED	(SPTE_TRACK_RX << SPTE_TRACK_SHIFT)

/*
 * A link to a table of 4K leaves that has no W: what is known of the D bits below
 * (tdp_region.h).  The CPU ignores these bits in a link.
 */
#define SPTE_REGION_SHIFT	54
#define SPTE_REGION_MASK	(3ULL << SPTE_REGION_SHIFT)

#define SPTE_LEGACY_HOST_WRITABLE	BIT_ULL(9)
#define SPTE_LEGACY_MMU_WRITABLE	BIT_ULL(10)
#define SPTE_EPT_HOST_WRITABLE		BIT_ULL(57)
#define SPTE_EPT_MMU_WRITABLE		BIT_ULL(58)

#ifdef CONFIG_DYNAMIC_PHYSICAL_MASK
#define SPTE_ADDR_MASK		(physical_mask & PAGE_MASK)
#else
#define SPTE_ADDR_MASK		GENMASK_ULL(51, PAGE_SHIFT)
#endif

/* Nothing is mapped.  Bit 63 keeps a #VE away from the guest; NPT ignores it. */
#define SPTE_NONE		BIT_ULL(63)

/*
 * A tdp SPTE that one thread works on under mmu_lock for reading: nobody else
 * changes it.  Neither an address nor R, W or X: safe against L1TF.
 */
#define SPTE_FROZEN		(SPTE_NONE | 0x5a0ULL)

static_assert(SPTE_AD_CPU == 0);
static_assert(!(SPTE_NONE & SPTE_PRESENT));
static_assert(!(SPTE_FROZEN & SPTE_PRESENT));
static_assert(!(SPTE_FROZEN & (VMX_EPT_RWX_MASK | GENMASK_ULL(51, 12))));
static_assert(!(SPTE_AD_MASK & SPTE_TRACK_SAVED));
static_assert(!((SPTE_EPT_HOST_WRITABLE | SPTE_EPT_MMU_WRITABLE) &
		(SPTE_AD_MASK | SPTE_TRACK_SAVED)));
static_assert(!(SPTE_REGION_MASK & (SPTE_PRESENT | SPTE_AD_MASK | GENMASK_ULL(51, 0))));
static_assert(VMX_EPT_WRITABLE_MASK == PT_WRITABLE_MASK);
static_assert(ACC_EXEC_MASK == PT_PRESENT_MASK);

/* How many of the top bits of a not-present address L1TF's mitigation sets. */
#define SPTE_L1TF_BITS		5

/**
 * struct spte_format - the bits that depend on CPU and vendor module
 * @present: set in every present SPTE
 * @user: U/S; R in EPT
 * @exec: X in EPT, 0 otherwise
 * @nx: NX, 0 in EPT
 * @accessed: 0 if the CPU has no A bit
 * @dirty: 0 if the CPU has no D bit
 * @memtype: EPT's memory type and ignore-PAT; 0 otherwise
 * @host_writable: the host lets the page be written, as far as the fault knew
 * @mmu_writable: nothing but dirty logging or access tracking forbids to write;
 *	only with @host_writable
 * @track: cleared in an access-tracked SPTE; 0 if there are A bits everywhere
 * @me_value: encryption bits that present SPTEs have
 * @me_mask: all encryption bits
 * @mmio_value: what @mmio_mask reads in an MMIO SPTE; 0: MMIO is not cached
 * @mmio_mask: see @mmio_value
 * @mmio_access: ACC_* bits that an MMIO SPTE keeps
 * @l1tf: the top address bits, set in MMIO SPTEs while their own value moves up
 *	by SPTE_L1TF_BITS; 0 without L1TF
 * @l1tf_gfn: the address bits below @l1tf
 * @huge_level: the largest page that the CPU and KVM's configuration allow
 */
struct spte_format {
	u64 present;
	u64 user;
	u64 exec;
	u64 nx;
	u64 accessed;
	u64 dirty;
	u64 memtype;
	u64 host_writable;
	u64 mmu_writable;
	u64 track;
	u64 me_value;
	u64 me_mask;
	u64 mmio_value;
	u64 mmio_mask;
	u64 mmio_access;
	u64 l1tf;
	u64 l1tf_gfn;
	int huge_level;
};

extern struct spte_format spte_fmt;

/* The names that the tracepoints (mmutrace.h) know. */
#define shadow_present_mask	(spte_fmt.present)
#define shadow_user_mask	(spte_fmt.user)

/**
 * spte_format_init() - remember what module parameters and CPU say
 *
 * Snapshots the parameter mmio_caching and the host's MAXPHYADDR.
 * Context: kvm.ko's module init.
 */
void __init spte_format_init(void);

/**
 * spte_format_reset() - the format of legacy paging
 *
 * Context: before a vendor module sets it up; there is no VM.  The vendor
 * module then calls kvm_mmu_set_ept_masks(), kvm_mmu_set_mmio_spte_mask() and
 * kvm_mmu_set_me_spte_mask() (mmu.h) as needed, and kvm_configure_mmu(), which
 * sets @huge_level.
 */
void spte_format_reset(void);

#endif /* __KVM_X86_MMU_SPTE_FORMAT_H */
