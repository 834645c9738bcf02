// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memslot sets of a VM: their installation and generation, their lifetime,
 * and lookups by gfn.
 *
 * kvm->memslots[] points to the active copy of each address space's set.  The
 * pointer changes in kvm_memslots_publish() only, under slots_lock,
 * slots_arch_lock and mn_invalidate_lock, taken in this order; readers hold
 * kvm->srcu for reading, or slots_lock.  The other copy belongs to the holder
 * of slots_lock.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <kunit/visibility.h>

#include "kvm_core.h"
#include "memslot_tree.h"

/* MMIO SPTEs of x86 do not store the lowest bit: it has to be the flag. */
static_assert(BIT_ULL(0) == KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);

/**
 * kvm_memslots_publish() - Make the inactive copy the active one.
 * @kvm: the VM
 * @as_id: the address space
 *
 * First half of an installation.  The copy's generation says that an update is
 * in progress: there may still be readers of the other copy.
 *
 * The start and the end of an MMU notifier's invalidation must see the same slots,
 * see kvm_mn_lock_idle().  So the pointer changes while none is in flight.
 *
 * Context: holds slots_lock and slots_arch_lock; sleeps.
 */
void kvm_memslots_publish(struct kvm *kvm, u16 as_id)
{
	struct kvm_memslots *active = __kvm_memslots(kvm, as_id);
	struct kvm_memslots *next = kvm_inactive_memslots(kvm, as_id);
	const u64 gen = active->generation;

	lockdep_assert_held(&kvm->slots_arch_lock);
	WARN_ON_ONCE(gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);

	/* Nobody can reach @next yet: rcu_assign_pointer() orders the store. */
	next->generation = kvm_memslots_gen_begin(gen);

	kvm_mn_lock_idle(kvm);
	rcu_assign_pointer(kvm->memslots[as_id], next);
	kvm_mn_unlock(kvm);
}

/**
 * kvm_memslots_settle() - End the update of the active copy.
 * @kvm: the VM
 * @as_id: the address space
 *
 * A grace period of kvm->srcu has passed since the publication: nobody uses the
 * other copy any more, so what is tagged with the next generation is derived from
 * this copy alone, and every tag made meanwhile is stale.
 *
 * The architecture is told of a generation before anyone can see it.  An MMIO SPTE
 * of x86 has room for some bits of it only: x86 zaps all MMIO SPTEs in time before
 * these bits come back to a value that is still in use.
 *
 * Context: holds slots_lock; may sleep.
 */
VISIBLE_IF_KUNIT
void kvm_memslots_settle(struct kvm *kvm, u16 as_id)
{
	struct kvm_memslots *slots = __kvm_memslots(kvm, as_id);
	u64 gen = kvm_memslots_gen_end(slots->generation,
				       kvm_arch_nr_memslot_as_ids(kvm));

	lockdep_assert_held(&kvm->slots_lock);

	kvm_arch_memslots_updated(kvm, gen);

	/*
	 * Read without a lock by all that caches a lookup: the vCPU's last used
	 * slot below, gfn_to_hva_cache, gfn_to_pfn_cache, x86's MMIO caches.  A
	 * reader that still gets the odd value caches under a tag that is stale
	 * at once, and looks up again.
	 */
	WRITE_ONCE(slots->generation, gen);
}

/**
 * kvm_memslots_finish() - Wait until all readers use the active copy.
 * @kvm: the VM
 * @as_id: the address space
 *
 * Second half of an installation.  A reader may take slots_arch_lock: the wait would
 * never end if the caller still held it.
 *
 * Context: holds slots_lock, but not slots_arch_lock; sleeps.
 */
void kvm_memslots_finish(struct kvm *kvm, u16 as_id)
{
	lockdep_assert_not_held(&kvm->slots_arch_lock);

	synchronize_srcu_expedited(&kvm->srcu);
	kvm_memslots_settle(kvm, as_id);
	/* Readers of I/O buses hold kvm->srcu, too: none has a replaced array now. */
	kvm_io_buses_reclaim(kvm);
}

/**
 * kvm_memslot_free() - Free a slot with all that belongs to it.
 * @kvm: the VM
 * @slot: a slot that is in no set, or whose VM has no user left
 *
 * Context: holds kvm->slots_lock, or the last reference to the VM is gone.
 */
void kvm_memslot_free(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	if (slot->flags & KVM_MEM_GUEST_MEMFD)
		kvm_gmem_unbind(slot);
	kvm_dirty_bitmap_free(slot);
	kvm_arch_free_memslot(kvm, slot);
	kfree(slot);
}

/**
 * kvm_memslots_init() - Give a new VM its empty sets.
 * @kvm: the VM, which nobody else knows yet
 *
 * Context: creation of the VM; takes no lock.
 */
void kvm_memslots_init(struct kvm *kvm)
{
	int as_id;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(kvm); as_id++) {
		struct kvm_memslots *copies = kvm->__memslots[as_id];
		u64 gen = kvm_memslots_gen_first(as_id);

		kvm_memslots_init_copy(&copies[0], 0, gen);
		kvm_memslots_init_copy(&copies[1], 1, gen);
		rcu_assign_pointer(kvm->memslots[as_id], &copies[0]);
	}
}

/**
 * kvm_memslots_destroy() - Free all slots of a VM.
 * @kvm: the VM, whose last reference is gone
 *
 * Both copies hold the same slots, so it is enough to go through one.
 *
 * Context: destruction of the VM; takes no slots_lock.  May sleep.
 */
void kvm_memslots_destroy(struct kvm *kvm)
{
	struct kvm_memory_slot *slot, *next;
	int as_id;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(kvm); as_id++) {
		struct kvm_memslots *slots = &kvm->__memslots[as_id][0];

		rbtree_postorder_for_each_entry_safe(slot, next,
						     &slots->gfn_tree,
						     gfn_node[0])
			kvm_memslot_free(kvm, slot);
	}
}

/**
 * kvm_are_all_memslots_empty() - Has the VM no slot at all?
 * @kvm: the VM
 *
 * Context: holds kvm->slots_lock.
 * Return: true if no address space has a slot, internal ones included.
 */
bool kvm_are_all_memslots_empty(struct kvm *kvm)
{
	int as_id = kvm_arch_nr_memslot_as_ids(kvm);

	lockdep_assert_held(&kvm->slots_lock);

	while (as_id--) {
		if (!kvm_memslots_empty(__kvm_memslots(kvm, as_id)))
			return false;
	}

	return true;
}
EXPORT_SYMBOL_GPL(kvm_are_all_memslots_empty);

/**
 * gfn_to_memslot() - Find the slot of a gfn in address space 0.
 * @kvm: the VM
 * @gfn: the guest frame number
 *
 * Context: in an SRCU read section of kvm->srcu, or holds kvm->slots_lock; the
 * slot is valid as long.
 * Return: the slot, which may be internal or INVALID; NULL if there is none.
 */
struct kvm_memory_slot *gfn_to_memslot(struct kvm *kvm, gfn_t gfn)
{
	return __gfn_to_memslot(kvm_memslots(kvm), gfn);
}
EXPORT_SYMBOL_GPL(gfn_to_memslot);

/**
 * kvm_vcpu_gfn_to_memslot() - Find the slot of a gfn as a vCPU sees it.
 * @vcpu: the vCPU
 * @gfn: the guest frame number in the vCPU's current address space
 *
 * The slot that the vCPU found last answers most lookups.  It is valid while the
 * generation is the one under which it was found; as no two address spaces share
 * a generation, it is never taken for a slot of another one.  Lookups that it does
 * not answer leave the set's own last_used_slot alone: all vCPUs would fight for
 * that cache line.
 *
 * Context: runs on behalf of @vcpu (its mutex or its creation), otherwise as
 * gfn_to_memslot().
 * Return: as gfn_to_memslot().
 */
struct kvm_memory_slot *kvm_vcpu_gfn_to_memslot(struct kvm_vcpu *vcpu,
						gfn_t gfn)
{
	struct kvm_memslots *slots = kvm_vcpu_memslots(vcpu);
	/* Pairs with the WRITE_ONCE() of kvm_memslots_settle(). */
	const u64 gen = READ_ONCE(slots->generation);
	struct kvm_memory_slot *slot;

	if (likely(gen == vcpu->last_used_slot_gen)) {
		slot = try_get_memslot(vcpu->last_used_slot, gfn);
		if (slot)
			return slot;
	} else {
		vcpu->last_used_slot_gen = gen;
		vcpu->last_used_slot = NULL;
	}

	slot = search_memslots(slots, gfn, false);
	if (slot)
		vcpu->last_used_slot = slot;

	return slot;
}

/**
 * kvm_is_visible_gfn() - Does userspace back a gfn of address space 0?
 * @kvm: the VM
 * @gfn: the guest frame number
 *
 * Context: as gfn_to_memslot().
 * Return: true if @gfn is in a slot of userspace that is not INVALID.
 */
bool kvm_is_visible_gfn(struct kvm *kvm, gfn_t gfn)
{
	return kvm_is_visible_memslot(gfn_to_memslot(kvm, gfn));
}
EXPORT_SYMBOL_GPL(kvm_is_visible_gfn);

/**
 * kvm_vcpu_is_visible_gfn() - Does userspace back a gfn of a vCPU?
 * @vcpu: the vCPU
 * @gfn: the guest frame number in the vCPU's current address space
 *
 * Context: as kvm_vcpu_gfn_to_memslot().
 * Return: true if @gfn is in a slot of userspace that is not INVALID.
 */
bool kvm_vcpu_is_visible_gfn(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	return kvm_is_visible_memslot(kvm_vcpu_gfn_to_memslot(vcpu, gfn));
}
EXPORT_SYMBOL_GPL(kvm_vcpu_is_visible_gfn);
