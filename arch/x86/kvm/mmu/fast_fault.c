// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fast page fault: gives W, or R and X, back to an SPTE without mmu_lock.
 *
 * One cmpxchg does it (fast_fix()).  It can only do what the SPTE allows: W
 * where H and M are set, R and X where they are saved.  Whoever clears H or M,
 * or unmaps the page, changes the SPTE, and the cmpxchg fails.  Under mmu_lock
 * such an SPTE is changed atomically (spte_volatile()), so that W, and the D that
 * comes with it or that it leads to, are not lost.
 *
 * The gfn that is marked dirty has to be the one that the SPTE stood for when W
 * was set.  A direct page's gfns never change.  Those of an indirect page do, and
 * pfn and bits may be the same for two gfns, which the cmpxchg does not notice
 * (locking.txt, 5, "The mapping from gfn to pfn").  But a gfn changes only after the
 * walks that have seen its SPTE present have ended (set_translation()).  So the gfn is
 * read after the cmpxchg, and before the walk ends.
 */
#include "fault.h"
#include "guest_walk.h"
#include "shadow.h"
#include "tdp.h"
#include "tdp_region.h"
#include "mmutrace.h"

/* If so many tries fail there is contention, which mmu_lock handles better. */
#define FAST_FAULT_TRIES 5

/*
 * The only store to a leaf without mmu_lock, but for ageing.  (The only one to a link
 * is in tdp_region_fast_open().)  A full barrier if it succeeds.
 */
static bool fast_fix(u64 *sptep, u64 old, u64 new)
{
	return try_cmpxchg64(sptep, &old, new);
}

static bool fast_possible(struct kvm *kvm, const struct kvm_page_fault *fault)
{
	/* Reserved bits are those of an MMIO SPTE, which is never fixed. */
	if (fault->rsvd || !fault->slot || (fault->slot->flags & KVM_MEMSLOT_INVALID))
		return false;
	/* Not private, or not shared, as it was accessed: fault_pin() deals with it. */
	if (kvm->arch.has_private_mem &&
	    fault->is_private != kvm_mem_is_private(kvm, fault->gfn))
		return false;
	/* If the CPU found it not present, only access tracking can be the reason. */
	return fault->present ? fault->write : !mmu_ad_enabled();
}

/* Is a page logged by the D that the CPU sets, and not when W is set? */
static bool fast_leaves_clean(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault,
			      union kvm_mmu_page_role role)
{
	return tdp_active(vcpu) &&
	       tdp_in_region(vcpu->kvm, role, fault->slot, fault->gfn);
}

/*
 * The SPTE with the rights that may be given back: R and X, and W for a write.  D comes
 * with W, as in spte_make_leaf(): PML would log a page again that is logged for W.
 */
static u64 fast_fixed(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault,
		      u64 spte, union kvm_mmu_page_role role)
{
	u64 fixed = spte_tracked(spte) ? spte_untrack(spte) : spte;

	/* A dirty-logged huge page has to be split: one gfn is marked, not 512. */
	if (!fault->write || !spte_mmu_writable(spte) ||
	    (role.level > PG_LEVEL_4K && kvm_slot_dirty_track_enabled(fault->slot)))
		return fixed;

	fixed |= PT_WRITABLE_MASK;
	if (spte_has_ad(fixed) && !fast_leaves_clean(vcpu, fault, role))
		fixed |= spte_fmt.dirty;
	return fixed;
}

/* As fast_fault_direct(), or RET_PF_RETRY: the SPTE changed meanwhile. */
static int fast_try(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault,
		    u64 *sptep, u64 spte)
{
	const union kvm_mmu_page_role role = sptep_to_table(sptep)->role;
	u64 fixed;

	if (!spte_present_leaf(spte, role.level))
		return RET_PF_INVALID;
	/* Another vCPU has fixed it, or the vCPU's TLB entry was stale. */
	if (spte_allows(spte, fault))
		return RET_PF_SPURIOUS;

	fixed = fast_fixed(vcpu, fault, spte, role);
	if (fixed == spte || !spte_allows(fixed, fault))
		return RET_PF_INVALID;
	return fast_fix(sptep, spte, fixed) ? RET_PF_FIXED : RET_PF_RETRY;
}

static int fast_finish(struct kvm_vcpu *vcpu, int r)
{
	if (r == RET_PF_RETRY)
		return RET_PF_INVALID;
	if (r != RET_PF_INVALID)
		vcpu->stat.pf_fast++;
	return r;
}

/*
 * After fast_try(), which found or made the leaf writable.  A write is logged when W is
 * set.  Not so in a region: the D that the CPU sets tells of the write, and the link to
 * the table has to allow it as well.
 */
static int fast_written(struct kvm_vcpu *vcpu, const struct kvm_page_fault *fault,
			u64 *sptep, u64 old, int r)
{
	const union kvm_mmu_page_role role = sptep_to_table(sptep)->role;
	int opened = RET_PF_SPURIOUS;

	if (r == RET_PF_FIXED && !spte_writable(old) &&
	    !fast_leaves_clean(vcpu, fault, role))
		mark_page_dirty_in_slot(vcpu->kvm, fault->slot, fault->gfn);
	if (dirty_log_regions && tdp_active(vcpu) && role.level == PG_LEVEL_4K)
		opened = tdp_region_fast_open(vcpu->kvm, fault, sptep);

	return opened == RET_PF_SPURIOUS ? r : opened;
}

int fast_fault_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	bool tdp = tdp_active(vcpu);
	int r = RET_PF_RETRY, tries;
	u64 *sptep, spte;

	if (!fast_possible(vcpu->kvm, fault))
		return RET_PF_INVALID;

	/* A shadow walk does not need the RCU read section, which does no harm. */
	tdp_walk_begin();
	if (!tdp)
		shadow_walk_begin(vcpu);
	for (tries = 0; r == RET_PF_RETRY && tries < FAST_FAULT_TRIES; tries++) {
		sptep = tdp ? tdp_walk_leaf(vcpu, fault->gfn, &spte) :
			      shadow_walk_leaf(vcpu, fault->addr, &spte);
		/* The vCPU holds its root, so there is a first SPTE. */
		if (WARN_ON_ONCE(!sptep)) {
			r = RET_PF_INVALID;
			break;
		}
		r = fast_try(vcpu, fault, sptep, spte);
		if ((r == RET_PF_FIXED || r == RET_PF_SPURIOUS) && fault->write)
			r = fast_written(vcpu, fault, sptep, spte, r);
		trace_fast_page_fault(vcpu, fault, sptep, spte, r);
	}
	if (!tdp)
		shadow_walk_end(vcpu);
	tdp_walk_end();
	return fast_finish(vcpu, r);
}

/*
 * The SPTE must map the gfn that the guest's tables say now, with the same rights of
 * user mode: if not, setting W would not help this fault.
 */
static bool fast_matches_walk(u64 *sptep, u64 spte, const struct guest_walk *walk)
{
	bool user = walk->access & ACC_USER_MASK;

	return spte_present(spte) &&
	       sptep_to_sp(sptep)->role.level == PG_LEVEL_4K &&
	       shadow_sptep_gfn(sptep) == walk->gfn &&
	       user == !!(spte & spte_fmt.user);
}

int fast_fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			const struct guest_walk *walk)
{
	int r = RET_PF_INVALID;
	u64 *sptep, spte;

	if (!(walk->access & ACC_WRITE_MASK) || !fast_possible(vcpu->kvm, fault))
		return RET_PF_INVALID;

	shadow_walk_begin(vcpu);
	sptep = shadow_walk_leaf(vcpu, fault->addr, &spte);
	if (sptep && fast_matches_walk(sptep, spte, walk)) {
		r = fast_try(vcpu, fault, sptep, spte);
		/* Read after the cmpxchg, see the top of this file. */
		if (r == RET_PF_FIXED && !spte_writable(spte))
			kvm_vcpu_mark_page_dirty(vcpu, shadow_sptep_gfn(sptep));
		trace_fast_page_fault(vcpu, fault, sptep, spte, r);
	}
	shadow_walk_end(vcpu);
	return fast_finish(vcpu, r);
}
