// SPDX-License-Identifier: GPL-2.0-only
/*
 * Write tracking, see page_track.h.
 *
 * Counters change under mmu_lock for writing.  They are read under mmu_lock, or without
 * it where an old answer will do (fault_write_tracked()).  They are allocated for all
 * slots before tracking is enabled, under slots_arch_lock, and freed with their slot.  A
 * slot that was replaced before that may have none: kvm_page_track_slot_outdated().
 *
 * External trackers are on a list that changes under mmu_lock, and is read under
 * an SRCU of its own: they may sleep.
 *
 * Takes the place of another page_track.c, whose interfaces and behaviour it keeps:
 * Copyright(C) 2015 Intel Corporation.
 * Author: Xiao Guangrong
 */
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/vmalloc.h>

#include "level.h"
#include "mmu.h"
#include "mmu_internal.h"
#include "page_track.h"

#ifdef CONFIG_KVM_EXTERNAL_WRITE_TRACKING
static bool external_tracking(struct kvm *kvm)
{
	/* Read before the counters are; pairs with external_tracking_enable(). */
	return smp_load_acquire(&kvm->arch.external_write_tracking_enabled);
}
#else
static bool external_tracking(struct kvm *kvm)
{
	return false;
}
#endif

bool kvm_page_track_write_tracking_enabled(struct kvm *kvm)
{
	return !tdp_enabled || kvm_shadow_root_allocated(kvm) ||
	       external_tracking(kvm);
}

/*
 * There may be many small slots: a page each, from vmalloc, would be too much.  A large
 * slot may need more than INT_MAX bytes, which kvcalloc() would warn of.
 */
static int counters_alloc(struct kvm_memory_slot *slot, unsigned long npages)
{
	unsigned short **counters = &slot->arch.gfn_write_track;
	const size_t size = sizeof(**counters);

	if (*counters)
		return 0;

	*counters = npages * size <= PAGE_SIZE ?
		    kcalloc(npages, size, GFP_KERNEL_ACCOUNT) :
		    __vcalloc(npages, size, GFP_KERNEL_ACCOUNT);
	return *counters ? 0 : -ENOMEM;
}

int kvm_page_track_write_tracking_alloc(struct kvm_memory_slot *slot)
{
	return counters_alloc(slot, slot->npages);
}

int kvm_page_track_create_memslot(struct kvm *kvm, struct kvm_memory_slot *slot,
				  unsigned long npages)
{
	return kvm_page_track_write_tracking_enabled(kvm) ?
	       counters_alloc(slot, npages) : 0;
}

void kvm_page_track_free_memslot(struct kvm_memory_slot *slot)
{
	kvfree(slot->arch.gfn_write_track);
	slot->arch.gfn_write_track = NULL;
}

/* One more tracker, or one less. */
static void count_tracker(struct kvm *kvm, struct kvm_memory_slot *slot,
			  gfn_t gfn, int change)
{
	unsigned short *counter = &slot->arch.gfn_write_track[gfn - slot->base_gfn];
	const int count = *counter + change;

	lockdep_assert_held_write(&kvm->mmu_lock);
	lockdep_assert_once(srcu_read_lock_held(&kvm->srcu) ||
			    lockdep_is_held(&kvm->slots_lock));

	if (!WARN_ON_ONCE(count != (unsigned short)count))
		WRITE_ONCE(*counter, count);
}

void __kvm_write_track_add_gfn(struct kvm *kvm, struct kvm_memory_slot *slot,
			       gfn_t gfn)
{
	if (KVM_BUG_ON(!kvm_page_track_write_tracking_enabled(kvm), kvm))
		return;

	count_tracker(kvm, slot, gfn, 1);
	level_disallow(slot, gfn);
	if (mmu_write_protect_gfn(kvm, gfn))
		kvm_flush_remote_tlbs(kvm);
}

void __kvm_write_track_remove_gfn(struct kvm *kvm, struct kvm_memory_slot *slot,
				  gfn_t gfn)
{
	if (KVM_BUG_ON(!kvm_page_track_write_tracking_enabled(kvm), kvm))
		return;

	count_tracker(kvm, slot, gfn, -1);
	level_allow(slot, gfn);
}

/* A slot's counters; NULL if it is outdated, once tracking is known to be enabled. */
static const unsigned short *slot_counters(const struct kvm_memory_slot *slot)
{
	return READ_ONCE(slot->arch.gfn_write_track);
}

bool kvm_page_track_slot_outdated(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	return slot && kvm_page_track_write_tracking_enabled(kvm) &&
	       !slot_counters(slot);
}

/* An outdated slot has no counters: any gfn of it may be tracked. */
static bool slot_tracks(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	const unsigned short *counters;

	if (!slot)
		return false;

	counters = slot_counters(slot);
	return !counters || READ_ONCE(counters[gfn - slot->base_gfn]);
}

bool kvm_gfn_is_write_tracked(struct kvm *kvm,
			      const struct kvm_memory_slot *slot, gfn_t gfn)
{
	if (!slot || !kvm_page_track_write_tracking_enabled(kvm))
		return false;

	if (slot_tracks(slot, gfn))
		return true;

	/* The other address space may map the same page of the host. */
	BUILD_BUG_ON(KVM_MAX_NR_ADDRESS_SPACES > 2);
	return kvm_arch_nr_memslot_as_ids(kvm) > 1 &&
	       slot_tracks(__gfn_to_memslot(__kvm_memslots(kvm, !slot->as_id), gfn),
			   gfn);
}

#ifdef CONFIG_KVM_EXTERNAL_WRITE_TRACKING
int kvm_page_track_init(struct kvm *kvm)
{
	struct kvm_page_track_notifier_head *trackers = &kvm->arch.track_notifier_head;

	INIT_HLIST_HEAD(&trackers->track_notifier_list);
	return init_srcu_struct(&trackers->track_srcu);
}

void kvm_page_track_cleanup(struct kvm *kvm)
{
	cleanup_srcu_struct(&kvm->arch.track_notifier_head.track_srcu);
}

void __kvm_page_track_write(struct kvm *kvm, gpa_t gpa, const u8 *new, int bytes)
{
	struct kvm_page_track_notifier_head *trackers = &kvm->arch.track_notifier_head;
	struct kvm_page_track_notifier_node *tracker;
	int idx;

	if (!kvm_page_track_has_external_user(kvm))
		return;

	idx = srcu_read_lock(&trackers->track_srcu);
	hlist_for_each_entry_srcu(tracker, &trackers->track_notifier_list, node,
				  srcu_read_lock_held(&trackers->track_srcu))
		if (tracker->track_write)
			tracker->track_write(gpa, new, bytes, tracker);
	srcu_read_unlock(&trackers->track_srcu, idx);
}

void kvm_page_track_delete_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	struct kvm_page_track_notifier_head *trackers = &kvm->arch.track_notifier_head;
	struct kvm_page_track_notifier_node *tracker;
	int idx;

	if (!kvm_page_track_has_external_user(kvm))
		return;

	idx = srcu_read_lock(&trackers->track_srcu);
	hlist_for_each_entry_srcu(tracker, &trackers->track_notifier_list, node,
				  srcu_read_lock_held(&trackers->track_srcu))
		if (tracker->track_remove_region)
			tracker->track_remove_region(slot->base_gfn, slot->npages,
						     tracker);
	srcu_read_unlock(&trackers->track_srcu, idx);
}

/* After -ENOMEM, the counters that were allocated stay, and are freed with their slot. */
static int all_counters_alloc(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int as_id, bkt;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(kvm); as_id++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, as_id))
			if (kvm_page_track_write_tracking_alloc(slot))
				return -ENOMEM;
	return 0;
}

static int external_tracking_enable(struct kvm *kvm)
{
	int idx, r = 0;

	/* For the sets of slots; slots_arch_lock keeps them from being changed. */
	idx = srcu_read_lock(&kvm->srcu);
	mutex_lock(&kvm->slots_arch_lock);
	/* Shadow paging may have enabled it, or another tracker meanwhile. */
	if (!kvm_page_track_write_tracking_enabled(kvm))
		r = all_counters_alloc(kvm);
	if (!r) {
		/* Whoever sees it sees the counters; pairs with external_tracking(). */
		smp_store_release(&kvm->arch.external_write_tracking_enabled, true);
	}
	mutex_unlock(&kvm->slots_arch_lock);
	srcu_read_unlock(&kvm->srcu, idx);
	return r;
}

int kvm_page_track_register_notifier(struct kvm *kvm,
				     struct kvm_page_track_notifier_node *n)
{
	int r;

	if (!kvm || current->mm != kvm->mm)
		return -ESRCH;

	r = external_tracking(kvm) ? 0 : external_tracking_enable(kvm);
	if (r)
		return r;

	kvm_get_kvm(kvm);
	write_lock(&kvm->mmu_lock);
	hlist_add_head_rcu(&n->node,
			   &kvm->arch.track_notifier_head.track_notifier_list);
	write_unlock(&kvm->mmu_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_page_track_register_notifier);

void kvm_page_track_unregister_notifier(struct kvm *kvm,
					struct kvm_page_track_notifier_node *n)
{
	write_lock(&kvm->mmu_lock);
	hlist_del_rcu(&n->node);
	write_unlock(&kvm->mmu_lock);

	synchronize_srcu(&kvm->arch.track_notifier_head.track_srcu);
	kvm_put_kvm(kvm);
}
EXPORT_SYMBOL_GPL(kvm_page_track_unregister_notifier);

static int change_gfn(struct kvm *kvm, gfn_t gfn,
		      void (*change)(struct kvm *kvm, struct kvm_memory_slot *slot,
				     gfn_t gfn))
{
	const int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot;

	write_lock(&kvm->mmu_lock);
	/*
	 * Look up the slot under mmu_lock: one that was replaced before may lack rmaps,
	 * and writable SPTEs of the gfn may be on those of its successor.
	 */
	slot = gfn_to_memslot(kvm, gfn);
	if (slot)
		change(kvm, slot, gfn);
	mmu_prove_flushed(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
	return slot ? 0 : -EINVAL;
}

int kvm_write_track_add_gfn(struct kvm *kvm, gfn_t gfn)
{
	return change_gfn(kvm, gfn, __kvm_write_track_add_gfn);
}
EXPORT_SYMBOL_GPL(kvm_write_track_add_gfn);

int kvm_write_track_remove_gfn(struct kvm *kvm, gfn_t gfn)
{
	return change_gfn(kvm, gfn, __kvm_write_track_remove_gfn);
}
EXPORT_SYMBOL_GPL(kvm_write_track_remove_gfn);
#endif /* CONFIG_KVM_EXTERNAL_WRITE_TRACKING */
