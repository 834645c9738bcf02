// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page fault's way to a mapping:
 *
 *  resolve  the gfn, and its slot
 *  pin      the host's page, which may sleep
 *  commit   under mmu_lock: check that all that still holds, choose the level, and
 *           map (tdp_map.c, shadow_map.c)
 *
 * What makes it right against memslot updates and MMU notifiers is the order:
 * kvm->mmu_invalidate_seq is read before the slot is looked up, and compared
 * under mmu_lock before anything is mapped.  A pfn that the host took away in
 * between is never mapped.  A slot that was replaced in between may still be mapped:
 * whoever replaced it waits for a grace period of kvm->srcu, and then acts on its
 * SPTEs.  Two kinds of slots are refused: one that is outdated (page_track.h), and
 * one that is being deleted, whose SPTEs are zapped before the grace period.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/sched/signal.h>
#include <trace/events/kvm.h>

#include "fault.h"
#include "guest_walk.h"
#include "kvm_emulate.h"
#include "mmio.h"
#include "nx_huge_page.h"
#include "page_track.h"
#include "permission.h"
#include "root.h"
#include "shadow.h"
#include "tdp.h"
#include "x86.h"

static void fault_exit_to_user(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	kvm_prepare_memory_fault_exit(vcpu, gfn_to_gpa(fault->gfn), PAGE_SIZE,
				      fault->write, fault->exec, fault->is_private);
}

static void fault_resolve(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			  gfn_t gfn)
{
	fault->mmu_seq = READ_ONCE(vcpu->kvm->mmu_invalidate_seq);
	/*
	 * Slot and pfn must not be older than this.  Pairs with an invalidation, which
	 * lets go of the host's page table lock before it changes the sequence with
	 * mmu_lock (locking.txt, 4).
	 */
	smp_rmb();
	fault->gfn = gfn;
	fault->slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn);
}

static int fault_noslot(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	if (fault->is_private) {
		fault_exit_to_user(vcpu, fault);
		return -EFAULT;
	}

	vcpu_cache_mmio_info(vcpu, fault->is_tdp ? 0 : fault->addr, fault->gfn,
			     fault->access & spte_fmt.mmio_access);

	fault->slot = NULL;
	fault->pfn = KVM_PFN_NOSLOT;
	fault->map_writable = false;

	/*
	 * No SPTE for what the host's CPU cannot address, nor, with shadow paging, for a
	 * gfn that it has no room for: tables that KVM walks can name such gfns if the
	 * guest's MAXPHYADDR is larger than what the host uses.
	 */
	if (!enable_mmio_caching || fault->gfn > kvm_mmu_max_gfn() ||
	    (!fault->is_tdp && !mmio_gfn_fits(fault->gfn)))
		return RET_PF_EMULATE;
	return RET_PF_CONTINUE;
}

static int fault_error_pfn(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	unsigned long hva;

	if (is_sigpending_pfn(fault->pfn)) {
		kvm_handle_signal_exit(vcpu);
		return -EINTR;
	}

	switch (fault->pfn) {
	case KVM_PFN_ERR_RO_FAULT:
		/* In a read-only slot only writes are MMIO: cache nothing. */
		return RET_PF_EMULATE;
	case KVM_PFN_ERR_HWPOISON:
		hva = gfn_to_hva_memslot(fault->slot, fault->gfn);
		send_sig_mceerr(BUS_MCEERR_AR, (void __user *)hva, PAGE_SHIFT, current);
		return RET_PF_RETRY;
	default:
		return -EFAULT;
	}
}

/* The largest level that guest_memfd's folio (of @order) and the vendor allow. */
static u8 private_max_level(struct kvm *kvm, struct kvm_page_fault *fault, int order)
{
	u8 vendor_max;
	int level;

	for (level = fault->max_level; level > PG_LEVEL_4K; level--)
		if (order >= KVM_HPAGE_GFN_SHIFT(level))
			break;
	if (level == PG_LEVEL_4K)
		return level;

	vendor_max = kvm_x86_call(private_max_mapping_level)(kvm, fault->pfn);
	return vendor_max ? min_t(u8, level, vendor_max) : level;
}

static int fault_pin_private(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	int order, r = -EFAULT;

	if (kvm_slot_can_be_private(fault->slot))
		r = kvm_gmem_get_pfn(vcpu->kvm, fault->slot, fault->gfn, &fault->pfn,
				     &order);
	if (r) {
		fault_exit_to_user(vcpu, fault);
		return r;
	}

	fault->map_writable = !(fault->slot->flags & KVM_MEM_READONLY);
	fault->max_level = private_max_level(vcpu->kvm, fault, order);
	return RET_PF_CONTINUE;
}

static u32 apf_new_token(struct kvm_vcpu *vcpu)
{
	u32 id = vcpu->arch.apf.id;

	/* 0 is not a token; the upper 20 bits count. */
	if (!(id << 12))
		id = 1;
	vcpu->arch.apf.id = id + 1;
	return id << 12 | vcpu->vcpu_id;
}

/* Let the guest do something else until the page is there; false: it cannot. */
static bool fault_go_async(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm_arch_async_pf arch = {
		.gfn = fault->gfn,
		.error_code = fault->error_code,
		.direct_map = vcpu->arch.mmu->root_role.direct,
	};

	if (fault->prefetch || !kvm_can_do_async_pf(vcpu))
		return false;

	trace_kvm_try_async_get_page(fault->addr, fault->gfn);
	if (kvm_find_async_pf_gfn(vcpu, fault->gfn)) {
		trace_kvm_async_pf_repeated_fault(fault->addr, fault->gfn);
		kvm_make_request(KVM_REQ_APF_HALT, vcpu);
		return true;
	}

	arch.token = apf_new_token(vcpu);
	arch.cr3 = root_guest_pgd(vcpu, vcpu->arch.mmu);
	return kvm_setup_async_pf(vcpu, fault->addr,
				  kvm_vcpu_gfn_to_hva(vcpu, fault->gfn), &arch);
}

static int fault_pin_shared(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	bool async = false;

	fault->pfn = __gfn_to_pfn_memslot(fault->slot, fault->gfn, false, false,
					  &async, fault->write,
					  &fault->map_writable, NULL);
	if (!async)
		return RET_PF_CONTINUE;
	if (fault_go_async(vcpu, fault))
		return RET_PF_RETRY;

	/* Wait for the page, or until a signal comes. */
	fault->pfn = __gfn_to_pfn_memslot(fault->slot, fault->gfn, false, true,
					  NULL, fault->write,
					  &fault->map_writable, NULL);
	return RET_PF_CONTINUE;
}

/*
 * The APIC access page is mapped for L1 only.  To L2 it is MMIO, on roots of L2's own.
 * While APICv is inhibited, accesses are emulated and no MMIO SPTE is made, which would
 * have to be zapped when APICv comes back.
 */
static int fault_apic_page(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	if (is_guest_mode(vcpu))
		return fault_noslot(vcpu, fault);
	return kvm_apicv_activated(vcpu->kvm) ? RET_PF_CONTINUE : RET_PF_EMULATE;
}

/* A hint, without mmu_lock: saves pinning and locking for nothing. */
static bool fault_will_be_stale(struct kvm *kvm, struct kvm_page_fault *fault)
{
	/* A wrong answer costs one retry, or is put right under mmu_lock. */
	return data_race(mmu_invalidate_retry_gfn_unsafe(kvm, fault->mmu_seq,
							 fault->gfn));
}

/* A prefetched page, or one that was not mapped, does not count as accessed. */
static void fault_unpin(const struct kvm_page_fault *fault, int r)
{
	if (!fault->page)
		return;
	if (fault->prefetch || r == RET_PF_RETRY)
		put_page(fault->page);
	else
		kvm_release_page_clean(fault->page);
}

/* Return: RET_PF_CONTINUE if fault->pfn is pinned or fault->slot is NULL; or the end. */
static int fault_pin(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm *kvm = vcpu->kvm;
	int r = RET_PF_CONTINUE;

	if (fault->is_private != kvm_mem_is_private(kvm, fault->gfn)) {
		fault_exit_to_user(vcpu, fault);
		return -EFAULT;
	}
	if (!fault->slot)
		return fault_noslot(vcpu, fault);
	/*
	 * The slot is being deleted or moved: neither map it nor take the gfn for
	 * MMIO, but retry until that is over.  The update waits until this vCPU leaves
	 * kvm->srcu, as it does when it enters the guest.  A prefetch does not enter the
	 * guest, so it ends with -EAGAIN.  Without mmu_lock, "going" is a hint;
	 * fault_invalidated() decides.
	 */
	if (fault->slot->flags & KVM_MEMSLOT_INVALID ||
	    kvm_slot_is_going(fault->slot))
		return fault->prefetch ? -EAGAIN : RET_PF_RETRY;
	if (fault->slot->id == APIC_ACCESS_PAGE_PRIVATE_MEMSLOT)
		r = fault_apic_page(vcpu, fault);
	if (r != RET_PF_CONTINUE || !fault->slot)
		return r;
	if (fault_will_be_stale(kvm, fault))
		return RET_PF_RETRY;

	r = fault->is_private ? fault_pin_private(vcpu, fault) :
				fault_pin_shared(vcpu, fault);
	if (r != RET_PF_CONTINUE)
		return r;
	if (is_error_pfn(fault->pfn))
		return fault_error_pfn(vcpu, fault);

	fault->page = kvm_pfn_to_refcounted_page(fault->pfn);
	if (fault_will_be_stale(kvm, fault)) {
		fault_unpin(fault, RET_PF_RETRY);
		return RET_PF_RETRY;
	}
	return RET_PF_CONTINUE;
}

/*
 * Did an invalidation hit the gfn since the slot was looked up, or is the slot one that
 * must not be mapped (going, or outdated)?  Under mmu_lock.
 */
static bool fault_invalidated(struct kvm *kvm, struct kvm_page_fault *fault)
{
	if (!fault->slot)
		return false;

	return kvm_slot_is_going(fault->slot) ||
	       kvm_page_track_slot_outdated(kvm, fault->slot) ||
	       mmu_invalidate_retry_gfn(kvm, fault->mmu_seq, fault->gfn);
}

/* Is it a write to a gfn whose writes are tracked?  Then no mapping helps. */
static bool fault_write_tracked(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	if (fault->rsvd || !fault->present || !fault->write)
		return false;
	return kvm_gfn_is_write_tracked(vcpu->kvm, fault->slot, fault->gfn);
}

/*
 * May the gfn be mapped writable, as far as tables that KVM shadows are concerned?
 * Where the host forbids writes anyway, no table is made unsync for it.
 */
static bool fault_mmu_writable(struct kvm *kvm, struct kvm_page_fault *fault)
{
	return !fault->map_writable || !kvm_page_track_write_tracking_enabled(kvm) ||
	       !shadow_try_unsync(kvm, fault->slot, fault->gfn, true,
				  fault->prefetch);
}

static int fault_commit_tdp(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct kvm *kvm = vcpu->kvm;
	int r = RET_PF_RETRY;

	read_lock(&kvm->mmu_lock);
	if (!root_obsolete(kvm, vcpu->arch.mmu->root.hpa) &&
	    !fault_invalidated(kvm, fault)) {
		r = tdp_map(vcpu, fault, fault_mmu_writable(kvm, fault));
		if (r == RET_PF_FIXED && !fault->prefetch)
			tdp_prefetch(vcpu, fault);
	}
	mmu_prove_flushed(kvm);
	read_unlock(&kvm->mmu_lock);
	fault_unpin(fault, r);
	return r;
}

/* @walk: of the guest's tables; NULL for a guest without paging. */
static int fault_commit_shadow(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			       const struct guest_walk *walk)
{
	struct kvm *kvm = vcpu->kvm;
	int r;

	write_lock(&kvm->mmu_lock);
	r = shadow_fault_begin(vcpu);
	if (r == -EAGAIN || (!r && fault_invalidated(kvm, fault)))
		r = RET_PF_RETRY;
	else if (!r)
		r = walk ? shadow_map_indirect(vcpu, fault, walk) :
			   shadow_map_direct(vcpu, fault);
	mmu_prove_flushed(kvm);
	write_unlock(&kvm->mmu_lock);
	fault_unpin(fault, r);
	return r;
}

/* All steps of a direct mapping before the commit.  Return: RET_PF_*, or an errno. */
static int fault_prepare_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	int r;

	fault->access = ACC_ALL;
	fault_resolve(vcpu, fault, gpa_to_gfn(fault->addr));
	/* An outdated slot does not say which gfns are tracked; look it up again. */
	if (kvm_page_track_slot_outdated(vcpu->kvm, fault->slot))
		return RET_PF_RETRY;
	if (fault_write_tracked(vcpu, fault))
		return RET_PF_WRITE_PROTECTED;
	r = fast_fault_direct(vcpu, fault);
	if (r != RET_PF_INVALID)
		return r;
	r = mmu_topup_caches(vcpu);
	if (r)
		return r;
	return fault_pin(vcpu, fault);
}

int fault_tdp(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	int r;

	/* No SPTE can help, so KVM does the access, to a slot or to MMIO. */
	fault->gfn = gpa_to_gfn(fault->addr);
	if (!tdp_reaches(vcpu, fault->gfn))
		return RET_PF_EMULATE;

	r = fault_prepare_direct(vcpu, fault);
	return r == RET_PF_CONTINUE ? fault_commit_tdp(vcpu, fault) : r;
}

int fault_nonpaging(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	int r;

	/* Its roots are of level 2, below PDPTEs, which cannot map pages. */
	fault->max_level = PG_LEVEL_2M;
	r = fault_prepare_direct(vcpu, fault);
	return r == RET_PF_CONTINUE ? fault_commit_shadow(vcpu, fault, NULL) : r;
}

/*
 * With CR0.WP=0, the guest's kernel may write to a page that its gPTE makes read-only.
 * So the page is mapped writable for the kernel alone.  If it was a user page and the
 * guest has SMEP, the kernel must not execute it, and gets no X.
 *
 * Return: false if the guest has SMAP and it is a user page: emulate the write instead.
 * It was made with EFLAGS.AC set, but the SPTE would be one of a kernel page, and SMAP
 * would not stop accesses with EFLAGS.AC clear.
 */
static bool fault_override_wp(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	const struct kvm_mmu *mmu = vcpu->arch.mmu;

	if (!fault->write || fault->user || (fault->access & ACC_WRITE_MASK) ||
	    !fault->slot || mmu_cr0_wp(mmu))
		return true;
	if (mmu_cr4_smap(mmu) && (fault->access & ACC_USER_MASK))
		return false;

	fault->access = (fault->access | ACC_WRITE_MASK) & ~ACC_USER_MASK;
	if (mmu_cr4_smep(mmu))
		fault->access &= ~ACC_EXEC_MASK;
	return true;
}

int fault_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct guest_walk walk __uninitialized;
	int r;

	/* Reserved bits were found in SPTEs; those of gPTEs are found by the walk. */
	if (!guest_walk(&walk, vcpu, vcpu->arch.mmu, fault->addr,
			fault->error_code & ~PFERR_RSVD_MASK)) {
		if (!fault->prefetch)
			__kvm_inject_emulated_page_fault(vcpu, &walk.fault, true);
		return RET_PF_RETRY;
	}

	fault->max_level = walk.level;
	fault->access = walk.access;
	fault_resolve(vcpu, fault, walk.gfn);
	if (fault_write_tracked(vcpu, fault)) {
		shadow_clear_flood(vcpu, fault->addr);
		return RET_PF_WRITE_PROTECTED;
	}
	if (!fault_override_wp(vcpu, fault))
		return RET_PF_EMULATE;
	if (fault->write && fault->present) {
		r = fast_fault_indirect(vcpu, fault, &walk);
		if (r != RET_PF_INVALID)
			return r;
	}
	r = mmu_topup_caches(vcpu);
	if (r)
		return r;
	r = fault_pin(vcpu, fault);
	if (r != RET_PF_CONTINUE)
		return r;
	return fault_commit_shadow(vcpu, fault, &walk);
}

int fault_handle(struct kvm_vcpu *vcpu, gpa_t addr, u64 error_code, bool prefetch,
		 int *emulation_type, u8 *level)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	struct kvm_page_fault fault = {
		.addr = addr,
		.error_code = error_code,
		.prefetch = prefetch,
		.exec = error_code & PFERR_FETCH_MASK,
		.write = error_code & PFERR_WRITE_MASK,
		.present = error_code & PFERR_PRESENT_MASK,
		.rsvd = error_code & PFERR_RSVD_MASK,
		.user = error_code & PFERR_USER_MASK,
		.is_tdp = likely(mmu->page_fault == fault_tdp),
		.is_private = error_code & PFERR_PRIVATE_ACCESS,
		.nx_mitigation = nx_huge_page_enabled(vcpu->kvm),
		.max_level = KVM_MAX_HUGEPAGE_LEVEL,
		.req_level = PG_LEVEL_4K,
		.goal_level = PG_LEVEL_4K,
		.pfn = KVM_PFN_ERR_FAULT,
	};
	int r;

	r = fault.is_tdp ? fault_tdp(vcpu, &fault) : mmu->page_fault(vcpu, &fault);

	/* There is no MMIO in private memory: userspace has to sort it out. */
	if (r == RET_PF_EMULATE && fault.is_private) {
		pr_warn_ratelimited("unexpected emulation request on private memory\n");
		fault_exit_to_user(vcpu, &fault);
		return -EFAULT;
	}
	if (fault.self_map_write && emulation_type)
		*emulation_type |= EMULTYPE_WRITE_PF_TO_SP;
	if (level)
		*level = fault.goal_level;
	return r;
}
