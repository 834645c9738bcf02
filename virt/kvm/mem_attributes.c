// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory attributes: which guest frames are private and which are shared.
 *
 * kvm->mem_attr_array maps a gfn to its attributes; no entry means none.  It is
 * written under slots_lock and read under RCU.  A change is an invalidation
 * like any other: faults in the range retry from before the first entry changes
 * until after the last one has.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/xarray.h>

#include "kvm_core.h"

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES

/* The number of gfns that are looked at before others may run. */
#define ATTRS_AT_ONCE	4096

/**
 * struct attr_change - new attributes for a range of guest frames
 * @start: first gfn
 * @end: the gfn after the last one
 * @attrs: KVM_MEMORY_ATTRIBUTE_* bits that all of them get
 */
struct attr_change {
	gfn_t start;
	gfn_t end;
	unsigned long attrs;
};

/**
 * kvm_supported_mem_attributes() - attributes that userspace may set
 * @kvm: the VM, or NULL to ask what any VM may support
 *
 * Context: Any.
 * Return: KVM_MEMORY_ATTRIBUTE_* bits.
 */
u64 kvm_supported_mem_attributes(struct kvm *kvm)
{
	bool private = !kvm || kvm_arch_has_private_mem(kvm);

	return private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
}

/*
 * Step @xas through a range that ends at @last.  With @skip_gaps, step to the next
 * entry; NULL stands for the end of the range.  Without it, step to the next index;
 * NULL means that the index has no entry.
 */
static void *next_attr_entry(struct xa_state *xas, unsigned long last,
			     bool skip_gaps)
{
	void *entry;

	/* A reserved entry is none, and one that moved is looked up again. */
	do {
		entry = skip_gaps ? xas_next_entry(xas, last) : xas_next(xas);
	} while (xas_retry(xas, entry));

	return entry;
}

/**
 * kvm_range_has_memory_attributes() - whether all gfns of a range agree
 * @kvm: the VM
 * @start: first gfn
 * @end: the gfn after the last one
 * @mask: the attributes to look at; those that @kvm does not support are ignored
 * @attrs: the value that they must have
 *
 * Context: Any.  Without slots_lock the answer may be stale.
 * Return: true if every gfn's attributes in @mask equal @attrs.
 */
bool kvm_range_has_memory_attributes(struct kvm *kvm, gfn_t start, gfn_t end,
				     unsigned long mask, unsigned long attrs)
{
	XA_STATE(xas, &kvm->mem_attr_array, start);
	unsigned long gfn;
	void *entry;

	mask &= kvm_supported_mem_attributes(kvm);
	if (attrs & ~mask)
		return false;

	if (end - start == 1)
		return (kvm_get_memory_attributes(kvm, start) & mask) == attrs;

	guard(rcu)();

	for (gfn = start; gfn < end; gfn++) {
		entry = next_attr_entry(&xas, end - 1, !attrs);
		if (!entry)
			return !attrs;

		WARN_ON_ONCE(!xa_to_value(entry));
		if (xas.xa_index != gfn || (xa_to_value(entry) & mask) != attrs)
			return false;
	}
	return true;
}

typedef bool (*attr_handler)(struct kvm *kvm, struct kvm_gfn_range *range);

/*
 * Call @handler for every slot in the range, with the gfns that it has there.
 * Returns true if a handler did.
 */
static __always_inline bool walk_attr_slots(struct kvm *kvm,
					    const struct attr_change *change,
					    attr_handler handler)
{
	struct kvm_memslot_iter iter;
	struct kvm_gfn_range range;
	bool any = false;
	int i;

	lockdep_assert_held_write(&kvm->mmu_lock);

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot_in_gfn_range(&iter, __kvm_memslots(kvm, i),
						  change->start, change->end) {
			range = (struct kvm_gfn_range) {
				.slot = iter.slot,
				.start = max(change->start, iter.slot->base_gfn),
				.end = min(change->end, iter.slot->base_gfn +
							iter.slot->npages),
				.arg.attributes = change->attrs,
				.may_block = true,
				.flush_due = any,
			};
			any |= handler(kvm, &range);
		}
	}
	return any;
}

/* slots_lock keeps the answer the same for both ends of a change. */
static bool attr_change_has_slot(struct kvm *kvm,
				 const struct attr_change *change)
{
	struct kvm_memslot_iter iter;
	int i;

	lockdep_assert_held(&kvm->slots_lock);

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_memslot_iter_start(&iter, __kvm_memslots(kvm, i),
				       change->start);
		if (kvm_memslot_iter_is_valid(&iter, change->end))
			return true;
	}
	return false;
}

/*
 * Nothing in the range may be mapped while its attributes change, so its gfns are
 * added to the invalidation whether or not the architecture has anything to unmap.
 */
static bool pre_set_attrs(struct kvm *kvm, struct kvm_gfn_range *range)
{
	kvm_mmu_invalidate_range_add(kvm, range->start, range->end);
	return kvm_arch_pre_set_memory_attributes(kvm, range);
}

static void begin_attr_change(struct kvm *kvm, const struct attr_change *change)
{
	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_begin(kvm);
	if (walk_attr_slots(kvm, change, pre_set_attrs))
		kvm_flush_remote_tlbs(kvm);
	KVM_MMU_UNLOCK(kvm);
}

static void end_attr_change(struct kvm *kvm, const struct attr_change *change)
{
	KVM_MMU_LOCK(kvm);
	kvm_mmu_invalidate_end(kvm);
	walk_attr_slots(kvm, change, kvm_arch_post_set_memory_attributes);
	KVM_MMU_UNLOCK(kvm);
}

/* The range may be all gfns there can be: only a fatal signal ends a walk. */
static int attr_walk_pause(void)
{
	cond_resched();
	return fatal_signal_pending(current) ? -EINTR : 0;
}

/*
 * Set *@set if every gfn has the attributes already.  The range is looked at in pieces,
 * because each takes a reader of RCU.  Pieces that were looked at do not change before
 * slots_lock is released.  Returns 0, or -EINTR for a fatal signal.
 */
static int attrs_are_set(struct kvm *kvm, const struct attr_change *change,
			 bool *set)
{
	gfn_t start, end;
	int r = 0;

	*set = true;
	for (start = change->start; !r && *set && start < change->end; start = end) {
		end = min(start + ATTRS_AT_ONCE, change->end);
		/* Only entries are looked at, not each gfn: one piece will do. */
		if (!change->attrs)
			end = change->end;
		*set = kvm_range_has_memory_attributes(kvm, start, end, ~0,
						       change->attrs);
		r = attr_walk_pause();
	}
	return r;
}

/* Give reserved entries back; gfns that have attributes already keep them. */
static void release_attrs(struct kvm *kvm, gfn_t start, gfn_t end)
{
	gfn_t gfn;

	for (gfn = start; gfn < end; gfn++) {
		xa_release(&kvm->mem_attr_array, gfn);
		cond_resched();
	}
}

/*
 * Once an entry is reserved for each gfn, storing attributes cannot fail.  Removing
 * attributes needs no entries.
 */
static int reserve_attrs(struct kvm *kvm, const struct attr_change *change)
{
	gfn_t gfn;
	int r = 0;

	if (!change->attrs)
		return 0;

	for (gfn = change->start; gfn < change->end; gfn++) {
		r = xa_reserve(&kvm->mem_attr_array, gfn, GFP_KERNEL_ACCOUNT) ?:
		    attr_walk_pause();
		if (r) {
			release_attrs(kvm, change->start, gfn + 1);
			break;
		}
	}
	return r;
}

static int store_attrs(struct kvm *kvm, const struct attr_change *change)
{
	void *entry = xa_mk_value(change->attrs);
	gfn_t gfn;
	int r = 0;

	for (gfn = change->start; gfn < change->end; gfn++) {
		r = xa_err(xa_store(&kvm->mem_attr_array, gfn, entry,
				    GFP_KERNEL_ACCOUNT));
		KVM_BUG_ON(r, kvm);
		cond_resched();
	}
	return r;
}

/* A step for each entry there is, not for each gfn. */
static void remove_attrs(struct kvm *kvm, const struct attr_change *change)
{
	unsigned long gfn;
	void *entry;

	xa_for_each_range(&kvm->mem_attr_array, gfn, entry, change->start,
			  change->end - 1) {
		xa_erase(&kvm->mem_attr_array, gfn);
		cond_resched();
	}
}

static int change_attrs(struct kvm *kvm, const struct attr_change *change)
{
	bool mapped, set;
	int r;

	lockdep_assert_held(&kvm->slots_lock);

	r = attrs_are_set(kvm, change, &set);
	if (r || set)
		return r;

	r = reserve_attrs(kvm, change);
	if (r)
		return r;

	mapped = attr_change_has_slot(kvm, change);
	if (mapped)
		begin_attr_change(kvm, change);

	if (change->attrs)
		r = store_attrs(kvm, change);
	else
		remove_attrs(kvm, change);

	if (mapped)
		end_attr_change(kvm, change);
	return r;
}

/**
 * kvm_vm_set_mem_attributes() - KVM_SET_MEMORY_ATTRIBUTES
 * @kvm: the VM
 * @attrs: a range of guest physical addresses, in bytes, page-aligned and not empty;
 *	the attributes for all of it, whether or not there are slots; flags must be 0
 *
 * Context: Sleeps, takes slots_lock.
 * Return: 0; or -EINVAL for a range or attributes that are not valid, -ENOMEM, or -EINTR
 * for a fatal signal, with nothing changed.
 */
int kvm_vm_set_mem_attributes(struct kvm *kvm,
			      const struct kvm_memory_attributes *attrs)
{
	const struct attr_change change = {
		.start = gpa_to_gfn(attrs->address),
		.end = gpa_to_gfn(attrs->address + attrs->size),
		.attrs = attrs->attributes,
	};
	int r;

	/* The array holds unsigned longs: attributes are for 64-bit hosts. */
	BUILD_BUG_ON(sizeof(attrs->attributes) != sizeof(change.attrs));

	if (attrs->flags ||
	    attrs->attributes & ~kvm_supported_mem_attributes(kvm))
		return -EINVAL;
	if (!attrs->size || attrs->address + attrs->size < attrs->address)
		return -EINVAL;
	if (!PAGE_ALIGNED(attrs->address) || !PAGE_ALIGNED(attrs->size))
		return -EINVAL;

	mutex_lock(&kvm->slots_lock);
	r = change_attrs(kvm, &change);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

#endif /* CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES */
