// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many shadow pages there may be: the quota that userspace gives a VM.  Where it
 * is short, the oldest pages are zapped, but no roots.
 *
 * kvm->arch.n_used_mmu_pages is the length of active_mmu_pages.  The quota is no hard
 * limit: it is checked before a fault, which may then take a few pages more.
 *
 * Making room may zap any page but roots, so a page that was found before cannot be
 * relied on: the callers of reclaim_pages() use none.  shadow_fault_begin() looks at
 * the vCPU's root afterwards: it may have gone before.
 *
 * Locks: mmu_lock for writing.
 */
#include <linux/kvm_host.h>
#include <linux/list.h>

#include "mmu.h"
#include "shadow_internal.h"

/*
 * Zap at least @nr pages, the oldest first, or as many as there are but roots.
 *
 * Return: how many were zapped.
 */
static unsigned long reclaim_pages(struct kvm *kvm, unsigned long nr,
				   struct shadow_zap *zap)
{
	struct list_head *pages = &kvm->arch.active_mmu_pages;
	const unsigned long used = kvm->arch.n_used_mmu_pages;
	unsigned long zapped = 0, before;
	struct kvm_mmu_page *sp, *newer;

	list_for_each_entry_safe_reverse(sp, newer, pages, link) {
		/* A root's memory would stay, and its vCPU would need another root. */
		if (sp->root_count)
			continue;

		before = kvm->arch.n_used_mmu_pages;
		shadow_page_zap(kvm, sp, zap);
		/* Others went with it: @newer may be one of them. */
		if (before - kvm->arch.n_used_mmu_pages > 1)
			newer = list_last_entry(pages, struct kvm_mmu_page, link);

		zapped = used - kvm->arch.n_used_mmu_pages;
		if (zapped >= nr)
			break;
	}

	kvm->stat.mmu_recycled += zapped;
	return zapped;
}

unsigned long shadow_quota_left(struct kvm *kvm)
{
	const unsigned long used = kvm->arch.n_used_mmu_pages;

	return kvm->arch.n_max_mmu_pages > used ?
	       kvm->arch.n_max_mmu_pages - used : 0;
}

int shadow_reserve_pages(struct kvm *kvm)
{
	const unsigned long left = shadow_quota_left(kvm);
	struct shadow_zap zap = {};

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (likely(left >= KVM_MIN_FREE_MMU_PAGES))
		return 0;

	reclaim_pages(kvm, KVM_REFILL_PAGES - left, &zap);
	shadow_zap_finish(kvm, &zap);

	/* One is enough to go on, see the top of this file. */
	return shadow_quota_left(kvm) ? 0 : -ENOSPC;
}

/* A PAE root is no shadow page: it is stale if the vCPU is asked to let go of roots. */
static bool root_is_stale(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu_page *root = root_to_sp(vcpu->arch.mmu->root.hpa);

	if (!root)
		return kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu);

	return shadow_sp_obsolete(vcpu->kvm, root);
}

int shadow_fault_begin(struct kvm_vcpu *vcpu)
{
	int r = shadow_reserve_pages(vcpu->kvm);

	if (r)
		return r;

	return root_is_stale(vcpu) ? -EAGAIN : 0;
}

/* Return: false if no page is left that could go. */
static bool reclaim_batch(struct kvm *kvm, unsigned long pages,
			  struct shadow_zap *zap)
{
	const unsigned long used = kvm->arch.n_used_mmu_pages;

	return used > pages &&
	       reclaim_pages(kvm, min(used - pages, SHADOW_ZAP_BATCH), zap);
}

/*
 * The quota follows before mmu_lock is let go, so that faults cannot take again what was
 * reclaimed.
 */
void shadow_change_quota(struct kvm *kvm, unsigned long pages)
{
	struct shadow_zap zap = {};

	write_lock(&kvm->mmu_lock);
	while (reclaim_batch(kvm, pages, &zap)) {
		kvm->arch.n_max_mmu_pages = max(pages, kvm->arch.n_used_mmu_pages);
		shadow_zap_pause(kvm, &zap);
	}
	kvm->arch.n_max_mmu_pages = max(pages, kvm->arch.n_used_mmu_pages);
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
}
