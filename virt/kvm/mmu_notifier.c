// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the host's mm does to guest memory: walks over ranges of host virtual
 * addresses, and the sequence that keeps page faults from mapping what is
 * being unmapped.
 *
 * An invalidation runs from a start to an end callback of the MMU notifier.
 * Two counters describe those in flight:
 *
 *   mn_active_invalidate_count   all of them; under mn_invalidate_lock.  While
 *                                it is not 0 no set of memslots is swapped, so
 *                                start and end see the same slots.
 *   mmu_invalidate_in_progress   those that hit guest memory; under mmu_lock.
 *                                For faults, see kvm_mmu_invalidate_end().
 *
 * Locks nest as kvm->srcu (read), then mmu_lock.  mn_invalidate_lock is a leaf:
 * neither slots_lock nor mmu_lock is ever taken under it.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/mmu_notifier.h>
#include <linux/rcuwait.h>
#include <linux/sched.h>
#include <linux/srcu.h>

#include "kvm_core.h"

#include <trace/events/kvm.h>

/**
 * kvm_arch_guest_memory_reclaimed() - guest memory was unmapped from the VM
 * @kvm: the VM
 *
 * For architectures that must act after the fact, such as by flushing caches of
 * encrypted memory.  This default does nothing.
 *
 * Context: Without mmu_lock, because it may be slow.
 */
void __weak kvm_arch_guest_memory_reclaimed(struct kvm *kvm)
{
}

static void flush_all_mappings(struct kvm *kvm)
{
	kvm_arch_flush_shadow_all(kvm);
	kvm_arch_guest_memory_reclaimed(kvm);
}

/* The state changes before the lock drops: a wakeup cannot be missed. */
static void sleep_unlocked(spinlock_t *lock)
	__must_hold(lock)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	spin_unlock(lock);
	schedule();
	spin_lock(lock);
}

/**
 * kvm_mn_wait_idle() - the slow part of kvm_mn_lock_idle()
 * @kvm: the VM
 *
 * Context: Sleeps; slots_lock held, hence there is at most one waiter;
 * mn_invalidate_lock held, let go while it waits.
 */
void kvm_mn_wait_idle(struct kvm *kvm)
	__must_hold(&kvm->mn_invalidate_lock)
{
	prepare_to_rcuwait(&kvm->mn_memslots_update_rcuwait);
	while (kvm->mn_active_invalidate_count)
		sleep_unlocked(&kvm->mn_invalidate_lock);
	finish_rcuwait(&kvm->mn_memslots_update_rcuwait);
}

#ifdef CONFIG_KVM_GENERIC_MMU_NOTIFIER

/**
 * struct hva_walk - one operation on all guest memory in a range of addresses
 * @start: first host virtual address
 * @end: the address after the last one
 * @handler: called for every slot in the range with the gfns that it has there
 * @invalidate: faults in the range must retry until kvm_mmu_invalidate_end()
 * @flush: flush the VM's TLBs if a handler returned true; a handler that drops
 *	mmu_lock flushes before, also for what was unmapped in the slots before
 *	(flush_due of struct kvm_gfn_range)
 * @may_block: the handler may let go of mmu_lock and reschedule
 * @lockless: the handler takes mmu_lock itself, if it needs it
 */
struct hva_walk {
	unsigned long start;
	unsigned long end;
	bool (*handler)(struct kvm *kvm, struct kvm_gfn_range *range);
	bool invalidate;
	bool flush;
	bool may_block;
	bool lockless;
};

/* The architecture's handlers of aging take mmu_lock themselves, if they need it. */
#define AGING_LOCKLESS IS_ENABLED(CONFIG_KVM_MMU_NOTIFIER_AGING_LOCKLESS)

/* What a walk found; the handlers' answers are or-ed together. */
enum hva_walk_result {
	HVA_WALK_NO_SLOT,
	HVA_WALK_FALSE,
	HVA_WALK_TRUE,
};

static struct kvm *notifier_to_kvm(struct mmu_notifier *mn)
{
	return container_of(mn, struct kvm, mmu_notifier);
}

/*
 * Whether a slot of any address space intersects the range.  The start and the
 * end of an invalidation both ask this, and get the same answer: see
 * kvm_mn_lock_idle().
 */
static bool hva_range_has_slot(struct kvm *kvm, unsigned long start,
			       unsigned long end)
{
	struct kvm_memslots *slots;
	int i;

	if (WARN_ON_ONCE(end <= start))
		return false;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		slots = __kvm_memslots(kvm, i);
		if (interval_tree_iter_first(&slots->hva_tree, start, end - 1))
			return true;
	}
	return false;
}

/* The gfns of all pages of @slot that the walk's range touches. */
static __always_inline struct kvm_gfn_range
hva_walk_gfns(const struct hva_walk *walk, struct kvm_memory_slot *slot,
	      bool flush_due)
{
	unsigned long slot_start = slot->userspace_addr;
	unsigned long slot_end = slot_start + (slot->npages << PAGE_SHIFT);
	unsigned long end = min(walk->end, slot_end);

	return (struct kvm_gfn_range) {
		.slot = slot,
		.start = hva_to_gfn_memslot(max(walk->start, slot_start), slot),
		.end = hva_to_gfn_memslot(end + PAGE_SIZE - 1, slot),
		/* Private memory is not mapped in the host. */
		.attr_filter = KVM_FILTER_SHARED,
		.may_block = walk->may_block,
		.flush_due = flush_due,
	};
}

/* @any is what the sets before this one gave; it is returned or-ed with this one's. */
static __always_inline bool walk_slots(struct kvm *kvm,
				       struct kvm_memslots *slots,
				       const struct hva_walk *walk, bool any)
{
	unsigned long first = walk->start, last = walk->end - 1;
	struct interval_tree_node *node;
	struct kvm_memory_slot *slot;
	struct kvm_gfn_range range;

	for (node = interval_tree_iter_first(&slots->hva_tree, first, last);
	     node; node = interval_tree_iter_next(node, first, last)) {
		slot = container_of(node, struct kvm_memory_slot,
				    hva_node[slots->node_idx]);
		range = hva_walk_gfns(walk, slot, walk->flush && any);
		any |= walk->handler(kvm, &range);
	}
	return any;
}

static __always_inline bool walk_sets(struct kvm *kvm,
				      const struct hva_walk *walk)
{
	bool any = false;
	int i;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++)
		any = walk_slots(kvm, __kvm_memslots(kvm, i), walk, any);

	if (walk->flush && any)
		kvm_flush_remote_tlbs(kvm);
	return any;
}

static __always_inline bool walk_locked(struct kvm *kvm,
					const struct hva_walk *walk)
{
	bool any;

	KVM_MMU_LOCK(kvm);
	if (walk->invalidate)
		kvm_mmu_invalidate_begin(kvm);
	any = walk_sets(kvm, walk);
	KVM_MMU_UNLOCK(kvm);
	return any;
}

/*
 * mmu_lock is taken only if the range has guest memory, and then once for all
 * slots.  Inlined with a constant walk->handler, which makes it a direct call.
 */
static __always_inline enum hva_walk_result
walk_hva_range(struct kvm *kvm, const struct hva_walk *walk)
{
	enum hva_walk_result result = HVA_WALK_NO_SLOT;
	bool any;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	if (hva_range_has_slot(kvm, walk->start, walk->end)) {
		any = walk->lockless ? walk_sets(kvm, walk) :
				       walk_locked(kvm, walk);
		result = any ? HVA_WALK_TRUE : HVA_WALK_FALSE;
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return result;
}

/**
 * kvm_mmu_invalidate_begin() - make page faults retry from here on
 * @kvm: the VM
 *
 * kvm_mmu_invalidate_range_add() says which gfns are meant, before mmu_lock is
 * dropped; kvm_mmu_invalidate_end() undoes it.
 *
 * Context: mmu_lock held for writing.  A fault checks under mmu_lock before it
 * installs anything, so it sees the count when this caller unlocks.
 */
void kvm_mmu_invalidate_begin(struct kvm *kvm)
{
	long in_progress = kvm->mmu_invalidate_in_progress + 1;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/*
	 * mmu_invalidate_retry_gfn_unsafe() reads it, and the range, without the
	 * lock, as a hint: the fault checks again with mmu_lock held.
	 */
	WRITE_ONCE(kvm->mmu_invalidate_in_progress, in_progress);
	if (in_progress > 1)
		return;

	kvm->mmu_invalidate_range_start = INVALID_GPA;
	kvm->mmu_invalidate_range_end = INVALID_GPA;
}

/**
 * kvm_mmu_invalidate_range_add() - name gfns that an invalidation concerns
 * @kvm: the VM, between kvm_mmu_invalidate_begin() and kvm_mmu_invalidate_end()
 * @start: first gfn
 * @end: the gfn after the last one
 *
 * All invalidations in progress share one range, the smallest that holds them
 * all; it shrinks only when the last one ends.
 *
 * Context: mmu_lock held for writing.
 */
void kvm_mmu_invalidate_range_add(struct kvm *kvm, gfn_t start, gfn_t end)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	WARN_ON_ONCE(!kvm->mmu_invalidate_in_progress);

	if (kvm->mmu_invalidate_range_start != INVALID_GPA) {
		start = min(start, kvm->mmu_invalidate_range_start);
		end = max(end, kvm->mmu_invalidate_range_end);
	}
	kvm->mmu_invalidate_range_start = start;
	kvm->mmu_invalidate_range_end = end;
}

/**
 * kvm_mmu_invalidate_end() - let page faults map the gfns again
 * @kvm: the VM
 *
 * A fault reads mmu_invalidate_seq, pins the pfn, takes mmu_lock, and installs
 * the pfn only if neither an invalidation is in progress for its gfn nor the
 * sequence has moved on.  Either tells it that the pfn may be stale.  The slot
 * that the fault looked up is another matter: kvm->srcu keeps it until the fault is
 * done.  Whoever deletes or moves the slot flushes when no fault can map it any more:
 * after a grace period in which it was INVALID, or after it was marked as going, which
 * faults look at with mmu_lock held (see kvm_memslot_needs_copy()).
 *
 * Context: mmu_lock held for writing.
 */
void kvm_mmu_invalidate_end(struct kvm *kvm)
{
	long in_progress = kvm->mmu_invalidate_in_progress - 1;

	lockdep_assert_held_write(&kvm->mmu_lock);

	WRITE_ONCE(kvm->mmu_invalidate_seq, kvm->mmu_invalidate_seq + 1);
	/*
	 * Who sees the count go down must see the sequence go up.  Pairs with
	 * the smp_rmb() in mmu_invalidate_retry(), for callers that do not hold
	 * mmu_lock; and with the one in mmu_notifier_retry_cache(), because
	 * mn_active_invalidate_count drops later still.
	 */
	smp_wmb();
	WRITE_ONCE(kvm->mmu_invalidate_in_progress, in_progress);
	KVM_BUG_ON(in_progress < 0, kvm);

	/* Without kvm_mmu_invalidate_range_add() no fault was held back. */
	WARN_ON_ONCE(kvm->mmu_invalidate_range_start == INVALID_GPA);
}

/**
 * kvm_mmu_unmap_gfn_range() - unmap gfns as part of an invalidation
 * @kvm: the VM
 * @range: the gfns
 *
 * Context: mmu_lock held for writing, after kvm_mmu_invalidate_begin().  If
 * range->may_block, mmu_lock may be dropped and taken again.  Before it is dropped, TLBs
 * are flushed if that is due for other slots (range->flush_due) or for this range.
 * Return: true if the caller must flush TLBs.
 */
bool kvm_mmu_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	kvm_mmu_invalidate_range_add(kvm, range->start, range->end);
	return kvm_unmap_gfn_range(kvm, range);
}

/*
 * The order of the three steps is the contract with pfncache.c.  Its caches check
 * mn_active_invalidate_count, so the count rises before they are invalidated.
 * Invalidating them takes their locks, so it comes before mmu_lock is taken.
 */
static int on_invalidate_start(struct mmu_notifier *mn,
			       const struct mmu_notifier_range *range)
{
	const struct hva_walk walk = {
		.start = range->start,
		.end = range->end,
		.handler = kvm_mmu_unmap_gfn_range,
		.invalidate = true,
		.flush = true,
		.may_block = mmu_notifier_range_blockable(range),
	};
	struct kvm *kvm = notifier_to_kvm(mn);

	trace_kvm_unmap_hva_range(range->start, range->end);

	spin_lock(&kvm->mn_invalidate_lock);
	kvm->mn_active_invalidate_count++;
	spin_unlock(&kvm->mn_invalidate_lock);

	gfn_to_pfn_cache_invalidate_start(kvm, range->start, range->end);

	if (walk_hva_range(kvm, &walk) != HVA_WALK_NO_SLOT)
		kvm_arch_guest_memory_reclaimed(kvm);
	return 0;
}

/* Returns true if this was the last invalidation in flight. */
static bool drop_active_invalidate(struct kvm *kvm)
{
	bool idle;

	spin_lock(&kvm->mn_invalidate_lock);
	if (!WARN_ON_ONCE(!kvm->mn_active_invalidate_count))
		kvm->mn_active_invalidate_count--;
	idle = !kvm->mn_active_invalidate_count;
	spin_unlock(&kvm->mn_invalidate_lock);
	return idle;
}

static void on_invalidate_end(struct mmu_notifier *mn,
			      const struct mmu_notifier_range *range)
{
	struct kvm *kvm = notifier_to_kvm(mn);
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	if (hva_range_has_slot(kvm, range->start, range->end)) {
		KVM_MMU_LOCK(kvm);
		kvm_mmu_invalidate_end(kvm);
		KVM_MMU_UNLOCK(kvm);
	}
	srcu_read_unlock(&kvm->srcu, idx);

	if (drop_active_invalidate(kvm))
		rcuwait_wake_up(&kvm->mn_memslots_update_rcuwait);
}

static int on_clear_flush_young(struct mmu_notifier *mn, struct mm_struct *mm,
				unsigned long start, unsigned long end)
{
	const struct hva_walk walk = {
		.start = start,
		.end = end,
		.handler = kvm_age_gfn,
		.flush = true,
		.lockless = AGING_LOCKLESS,
	};

	trace_kvm_age_hva(start, end);
	return walk_hva_range(notifier_to_kvm(mn), &walk) == HVA_WALK_TRUE;
}

/*
 * Without a flush a vCPU may go on using a TLB entry whose Accessed bit is
 * clear: the page looks older than it is, until the entry is evicted.
 */
static int on_clear_young(struct mmu_notifier *mn, struct mm_struct *mm,
			  unsigned long start, unsigned long end)
{
	const struct hva_walk walk = {
		.start = start,
		.end = end,
		.handler = kvm_age_gfn,
		.lockless = AGING_LOCKLESS,
	};

	trace_kvm_age_hva(start, end);
	return walk_hva_range(notifier_to_kvm(mn), &walk) == HVA_WALK_TRUE;
}

static int on_test_young(struct mmu_notifier *mn, struct mm_struct *mm,
			 unsigned long address)
{
	const struct hva_walk walk = {
		.start = address,
		.end = address + 1,
		.handler = kvm_test_age_gfn,
		.lockless = AGING_LOCKLESS,
	};

	trace_kvm_test_age_hva(address);
	return walk_hva_range(notifier_to_kvm(mn), &walk) == HVA_WALK_TRUE;
}

/* The VMM's mm goes away, perhaps long before the VM does. */
static void on_release(struct mmu_notifier *mn, struct mm_struct *mm)
{
	struct kvm *kvm = notifier_to_kvm(mn);
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	flush_all_mappings(kvm);
	srcu_read_unlock(&kvm->srcu, idx);
}

static const struct mmu_notifier_ops kvm_mmu_notifier_ops = {
	.invalidate_range_start	= on_invalidate_start,
	.invalidate_range_end	= on_invalidate_end,
	.clear_flush_young	= on_clear_flush_young,
	.clear_young		= on_clear_young,
	.test_young		= on_test_young,
	.release		= on_release,
};

/**
 * kvm_mmu_notifier_init() - listen to the mm of the VMM
 * @kvm: the VM that is being created by current
 *
 * Context: Sleeps, takes the mmap lock for writing.  mn_invalidate_lock and
 * the sets of memslots are set up.
 * Return: 0, -ENOMEM, or -EINTR if a signal is pending.
 */
int kvm_mmu_notifier_init(struct kvm *kvm)
{
	kvm->mmu_notifier.ops = &kvm_mmu_notifier_ops;
	return mmu_notifier_register(&kvm->mmu_notifier, current->mm);
}

/**
 * kvm_mmu_notifier_unwind() - undo kvm_mmu_notifier_init()
 * @kvm: a VM whose creation failed; it has no memslots
 *
 * Context: Sleeps.
 */
void kvm_mmu_notifier_unwind(struct kvm *kvm)
{
	mmu_notifier_unregister(&kvm->mmu_notifier, kvm->mm);
}

/**
 * kvm_mmu_notifier_destroy() - stop listening and drop all guest mappings
 * @kvm: a VM without users
 *
 * Unregistering calls the release callback, which unmaps everything, unless the
 * mm did that before.
 *
 * Context: Sleeps.
 */
void kvm_mmu_notifier_destroy(struct kvm *kvm)
{
	mmu_notifier_unregister(&kvm->mmu_notifier, kvm->mm);

	WARN_ON(rcuwait_active(&kvm->mn_memslots_update_rcuwait));

	/*
	 * The notifier may have been unregistered between a start and its end.
	 * That end never comes, so kvm_mn_lock_idle() must not wait for it when
	 * memslots are deleted later on.  If every end has come, there can be no
	 * invalidation in progress either.
	 */
	if (kvm->mn_active_invalidate_count)
		kvm->mn_active_invalidate_count = 0;
	else
		WARN_ON(kvm->mmu_invalidate_in_progress);
}

#else /* !CONFIG_KVM_GENERIC_MMU_NOTIFIER */

/* The architecture has a notifier of its own, or none. */

int kvm_mmu_notifier_init(struct kvm *kvm)
{
	return 0;
}

void kvm_mmu_notifier_unwind(struct kvm *kvm)
{
}

void kvm_mmu_notifier_destroy(struct kvm *kvm)
{
	flush_all_mappings(kvm);
}

#endif /* CONFIG_KVM_GENERIC_MMU_NOTIFIER */
