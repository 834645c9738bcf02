/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SPTEs as values: what one says, and how one is made.  Nothing here reads or
 * writes a page table.  tdp_pte.[ch], shadow_pte.c and fast_fix() store SPTEs.
 *
 * Why a present leaf may not be writable, by the bits H (host-writable), M
 * (MMU-writable), W:
 *
 *   H M W
 *   1 1 1  it is
 *   1 1 0  dirty logging or access tracking wants to see the next write: the
 *          fast page fault gives W back without mmu_lock
 *   1 0 0  the guest or KVM forbids it: a read-only gPTE, a shadowed table
 *   0 0 0  the host forbids it
 *
 * No other combination exists: spte_check_writable().  With direct paging, a fault
 * replaces a leaf by one with fewer of the bits only if it needs a right that the
 * leaf lacks; with shadow paging it stores what it found.  M is cleared under
 * mmu_lock, and TLBs are flushed before the lock is dropped, also if W was clear: a
 * stale writable translation may be cached since W was cleared without a flush.
 *
 * Before M is set, under mmu_lock, the host's mm is told that the page is dirty
 * (mmu_tell_dirty()): from then on the guest may write without KVM's notice.
 * Before the host cleans the page it invalidates it.  So the host is not told again
 * when W, D or the leaf is removed, nor when the fast page fault sets W.
 */
#ifndef __KVM_X86_MMU_SPTE_H
#define __KVM_X86_MMU_SPTE_H

#include "mmu.h"
#include "mmu_internal.h"
#include "spte_format.h"

static inline bool spte_present(u64 spte)
{
	return spte & SPTE_PRESENT;
}

static inline bool spte_frozen(u64 spte)
{
	return spte == SPTE_FROZEN;
}

/* The following are for present SPTEs. */

static inline bool spte_huge(u64 spte)
{
	return spte & PT_PAGE_SIZE_MASK;
}

/* Maps guest memory, rather than a table. */
static inline bool spte_leaf(u64 spte, int level)
{
	return level == PG_LEVEL_4K || spte_huge(spte);
}

static inline bool spte_present_leaf(u64 spte, int level)
{
	return spte_present(spte) && spte_leaf(spte, level);
}

static inline bool spte_present_table(u64 spte, int level)
{
	return spte_present(spte) && !spte_leaf(spte, level);
}

static inline kvm_pfn_t spte_pfn(u64 spte)
{
	return PHYS_PFN(spte & SPTE_ADDR_MASK);
}

/* The table that a non-leaf links to. */
static inline u64 *spte_child_table(u64 spte)
{
	return __va(spte & SPTE_ADDR_MASK);
}

static inline struct mmu_table *spte_child(u64 spte)
{
	return to_table(spte & SPTE_ADDR_MASK);
}

/*
 * True if no SPTE can have these rights: an EPT entry that grants nothing would not be
 * present.  That can be where EPT has execute-only pages, as R is in ACC_USER_MASK.
 */
static inline bool spte_would_be_none(unsigned int access)
{
	return !access && spte_fmt.present == SPTE_NONE;
}

static inline bool spte_writable(u64 spte)
{
	return spte & PT_WRITABLE_MASK;
}

static inline bool spte_mmu_writable(u64 spte)
{
	return spte & spte_fmt.mmu_writable;
}

static inline bool spte_host_writable(u64 spte)
{
	return spte & spte_fmt.host_writable;
}

static inline bool spte_executable(u64 spte)
{
	return (spte & (spte_fmt.exec | spte_fmt.nx)) == spte_fmt.exec;
}

/* The name that the tracepoints know. */
#define is_executable_pte spte_executable

/* The CPU keeps an A bit. */
static inline bool spte_has_ad(u64 spte)
{
	return (spte & SPTE_AD_MASK) != SPTE_AD_NONE;
}

/* Dirty pages are found by the D bit; otherwise by write faults. */
static inline bool spte_has_dirty(u64 spte)
{
	return (spte & SPTE_AD_MASK) == SPTE_AD_CPU;
}

/* R, W and X are taken away to see the next access. */
static inline bool spte_tracked(u64 spte)
{
	return !spte_has_ad(spte) && !(spte & spte_fmt.track);
}

static inline bool spte_accessed(u64 spte)
{
	return spte_has_ad(spte) ? spte & spte_fmt.accessed : !spte_tracked(spte);
}

/**
 * spte_volatile() - may bits of a present leaf change without mmu_lock
 * @spte: present leaf
 *
 * The CPU sets A and D, and the fast page fault sets W and restores R and X.
 * Such an SPTE is changed by an atomic operation that returns the old value, or
 * a bit would be lost (locking.txt, "Fast page fault").
 *
 * Aging, without mmu_lock as well, takes A (or R, W and X, to track accesses) from
 * any leaf.  A plain store over that loses nothing: the value that the writer read
 * before still has A, and from it the host's mm is told.
 */
static inline bool spte_volatile(u64 spte)
{
	if (spte_mmu_writable(spte) && !spte_writable(spte))
		return true;
	if (!spte_has_ad(spte))
		return spte_tracked(spte);
	return !(spte & spte_fmt.accessed) ||
	       (spte_writable(spte) && !(spte & spte_fmt.dirty));
}

/* Does a present leaf allow the access of a fault now? */
static inline bool spte_allows(u64 spte, const struct kvm_page_fault *fault)
{
	if (fault->exec)
		return spte_executable(spte);
	if (fault->write)
		return spte_writable(spte);
	return spte & PT_PRESENT_MASK;
}

/* Does a leaf lose W or M if @new, of the same page, takes its place? */
static inline bool spte_loses_write(u64 old, u64 new)
{
	return old & ~new & (PT_WRITABLE_MASK | spte_fmt.mmu_writable);
}

/* An EPT entry that the CPU would deliver as #VE to the guest. */
static inline bool spte_causes_ve(u64 spte)
{
	return (spte_fmt.present & VMX_EPT_SUPPRESS_VE_BIT) &&
	       !(spte & VMX_EPT_SUPPRESS_VE_BIT) &&
	       (spte & VMX_EPT_RWX_MASK) != VMX_EPT_MISCONFIG_WX_VALUE;
}

/* Warns if H, M and W are no row of the table at the top of this file. */
static inline void spte_check_writable(u64 spte)
{
	if (spte_mmu_writable(spte))
		WARN_ONCE(!spte_host_writable(spte),
			  "MMU-writable SPTE %llx is not host-writable\n", spte);
	else
		WARN_ONCE(spte_writable(spte),
			  "writable SPTE %llx is not MMU-writable\n", spte);
}

/* True if KVM uses A/D bits for what it maps for itself (not for a nested guest). */
static inline bool mmu_ad_enabled(void)
{
	return spte_fmt.accessed;
}

/* The reserved bits of @spte that are set; bit 7 chooses the table or page row. */
static inline u64 rsvd_bits_set(const struct rsvd_bits_validate *rsvd, u64 pte,
				int level)
{
	return pte & rsvd->rsvd_bits_mask[(pte >> 7) & 1][level - 1];
}

static inline bool bad_mt_xwr(const struct rsvd_bits_validate *rsvd, u64 pte)
{
	return rsvd->bad_mt_xwr & BIT_ULL(pte & 0x3f);
}

static inline bool spte_reserved(const struct rsvd_bits_validate *rsvd, u64 spte,
				 int level)
{
	return bad_mt_xwr(rsvd, spte) || rsvd_bits_set(rsvd, spte, level);
}

/**
 * struct spte_leaf_args - what a leaf SPTE is to say
 * @gfn: first gfn that it maps (for the memory type)
 * @pfn: first pfn
 * @level: PG_LEVEL_*
 * @role: of the page that it goes into: decides the A/D kind
 * @access: ACC_* bits; a huge page loses ACC_EXEC_MASK to @nx_huge
 * @nx_huge: huge pages must not be executable (iTLB multihit)
 * @host_writable: H; without it W and M stay clear
 * @mmu_writable: M and W may be set if @access and @host_writable allow
 * @prefetch: nobody accessed the page yet: A stays clear
 * @trap_write: the next write faults: W stays clear, and M says that the fast
 *	page fault may set it
 * @clean: D stays clear: the CPU is to say when the page is written
 */
struct spte_leaf_args {
	gfn_t gfn;
	kvm_pfn_t pfn;
	u8 level;
	union kvm_mmu_page_role role;
	unsigned int access;
	bool nx_huge;
	bool host_writable;
	bool mmu_writable;
	bool prefetch;
	bool trap_write;
	bool clean;
};

/**
 * spte_make_leaf() - the SPTE for a page of guest memory
 * @vcpu: the vCPU, whose memory types and reserved bits apply
 * @args: what the SPTE is to say
 *
 * D is set with W, so that the CPU need not, unless @args says otherwise.  The caller
 * decides before whether the page must be write-protected (shadowed tables).  It also
 * marks the page dirty: in the log if the SPTE has W, in the host if it has M.
 *
 * Return: the value.  WARNs if it has bits that the CPU reserves.
 */
u64 spte_make_leaf(struct kvm_vcpu *vcpu, const struct spte_leaf_args *args);

/**
 * spte_make_table() - the SPTE that links to a table; it allows everything
 * @table: the table's entries
 * @ad_disabled: the tree has no A/D bits
 */
u64 spte_make_table(u64 *table, bool ad_disabled);

/**
 * spte_make_split() - a piece of a huge page
 * @kvm: the VM
 * @huge: the huge page's SPTE: present, huge
 * @role: of the table of pieces, one level below
 * @index: which piece
 *
 * The piece has the rights and the state of @huge.  But a 4K piece may be executable
 * where the iTLB multihit mitigation forbade that to the huge page.
 */
u64 spte_make_split(struct kvm *kvm, u64 huge, union kvm_mmu_page_role role,
		    int index);

/**
 * spte_make_huge() - a huge page instead of its pieces: undoes spte_make_split()
 * @kvm: the VM
 * @small: any present leaf of the table, one level below @level
 * @level: of the huge page
 *
 * Return: the value, with the rights of @small, but not executable if the iTLB
 * multihit mitigation forbids it.  A is set, and D if it is writable, whatever
 * @small has, as those of the other pieces are lost.  It is not access-tracked;
 * if @small is, W is left to a write fault.
 */
u64 spte_make_huge(struct kvm *kvm, u64 small, int level);

/**
 * spte_make_old() - the value of a present leaf after it was aged
 * @spte: before
 *
 * With A bits A is cleared; without, the SPTE becomes access-tracked.
 */
u64 spte_make_old(u64 spte);

/* An access-tracked SPTE with R and X restored, but not W. */
static inline u64 spte_untrack(u64 spte)
{
	u64 rx = (spte & SPTE_TRACK_SAVED) >> SPTE_TRACK_SHIFT;

	return (spte & ~(SPTE_TRACK_SAVED | spte_fmt.track)) | rx;
}

#endif /* __KVM_X86_MMU_SPTE_H */
