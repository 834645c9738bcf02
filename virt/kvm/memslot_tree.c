// SPDX-License-Identifier: GPL-2.0-only
/*
 * The indexes of a memslot set.
 *
 * Nothing here locks or allocates: whoever changes a copy must be its only
 * user, that is, hold kvm->slots_lock and pass the inactive copy.  Lookups are
 * inlines of <linux/kvm_host.h>.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/kvm_host.h>

#include "memslot_tree.h"

/* Slots without a common gfn differ in base_gfn, which is the tree's key. */
static void memslots_link_gfn(struct kvm_memslots *slots,
			      struct kvm_memory_slot *slot)
{
	const int copy = slots->node_idx;
	struct rb_node **link = &slots->gfn_tree.rb_node;
	struct rb_node *above = NULL;

	while (*link) {
		const struct kvm_memory_slot *at;

		above = *link;
		at = rb_entry(above, struct kvm_memory_slot, gfn_node[copy]);
		WARN_ON_ONCE(at->base_gfn == slot->base_gfn);
		link = slot->base_gfn < at->base_gfn ? &above->rb_left :
						       &above->rb_right;
	}

	rb_link_node(&slot->gfn_node[copy], above, link);
	rb_insert_color(&slot->gfn_node[copy], &slots->gfn_tree);
}

static void memslots_unlink_gfn(struct kvm_memslots *slots,
				struct kvm_memory_slot *slot)
{
	rb_erase(&slot->gfn_node[slots->node_idx], &slots->gfn_tree);
}

/* A slot that moves has another place in the tree. */
static void memslots_replace_gfn(struct kvm_memslots *slots,
				 struct kvm_memory_slot *old,
				 struct kvm_memory_slot *new)
{
	const int copy = slots->node_idx;

	if (old->base_gfn == new->base_gfn) {
		rb_replace_node(&old->gfn_node[copy], &new->gfn_node[copy],
				&slots->gfn_tree);
		return;
	}

	memslots_unlink_gfn(slots, old);
	memslots_link_gfn(slots, new);
}

/*
 * The link to the slot with @id, or the empty link where that slot belongs.  The
 * way down the tree is that of id_to_memslot().
 */
static struct kvm_id_node **memslots_id_link(struct kvm_memslots *slots,
					     unsigned int id)
{
	struct kvm_id_node **link = &slots->id_tree[id % KVM_NR_ID_TREES];
	const int copy = slots->node_idx;
	unsigned int path = id / KVM_NR_ID_TREES;

	while (*link && container_of(*link, struct kvm_memory_slot,
				     id_node[copy])->id != id) {
		link = &(*link)->below[path & 1];
		path >>= 1;
	}
	return link;
}

static void memslots_link_id(struct kvm_memslots *slots,
			     struct kvm_memory_slot *slot)
{
	struct kvm_id_node *node = &slot->id_node[slots->node_idx];
	struct kvm_id_node **link = memslots_id_link(slots, slot->id);

	WARN_ON_ONCE(*link);
	node->below[0] = NULL;
	node->below[1] = NULL;
	*link = node;
}

/* Any slot below @slot in the tree may take its place; this takes a leaf. */
static void memslots_unlink_id(struct kvm_memslots *slots,
			       struct kvm_memory_slot *slot)
{
	struct kvm_id_node *node = &slot->id_node[slots->node_idx];
	struct kvm_id_node **link = memslots_id_link(slots, slot->id);
	struct kvm_id_node **last = link, *leaf;

	if (WARN_ON_ONCE(*link != node))
		return;

	while ((*last)->below[0] || (*last)->below[1])
		last = &(*last)->below[!(*last)->below[0]];

	leaf = *last;
	*last = NULL;
	if (leaf == node)
		return;

	*leaf = *node;
	*link = leaf;
}

/* @new takes the place of @old, with all that is below it. */
static void memslots_replace_id(struct kvm_memslots *slots,
				struct kvm_memory_slot *old,
				struct kvm_memory_slot *new)
{
	struct kvm_id_node **link = memslots_id_link(slots, old->id);
	const int copy = slots->node_idx;

	WARN_ON_ONCE(*link != &old->id_node[copy]);
	new->id_node[copy] = old->id_node[copy];
	*link = &new->id_node[copy];
}

static void memslots_link_hva(struct kvm_memslots *slots,
			      struct kvm_memory_slot *slot)
{
	struct interval_tree_node *hva = &slot->hva_node[slots->node_idx];

	hva->start = slot->userspace_addr;
	hva->last = hva->start + (slot->npages << PAGE_SHIFT) - 1;
	interval_tree_insert(hva, &slots->hva_tree);
}

/* @new takes the place of @old, with what the tree has noted there of the ranges below. */
static void memslots_replace_hva(struct kvm_memslots *slots,
				 struct kvm_memory_slot *old,
				 struct kvm_memory_slot *new)
{
	struct interval_tree_node *from = &old->hva_node[slots->node_idx];
	struct interval_tree_node *to = &new->hva_node[slots->node_idx];

	*to = *from;
	rb_replace_node_cached(&from->rb, &to->rb, &slots->hva_tree);
}

/**
 * kvm_memslots_init_copy() - Make one copy of an address space's set empty.
 * @slots: the copy
 * @copy: 0 or 1, which of the two it is
 * @generation: its generation, see kvm_memslots_gen_first()
 *
 * Context: @slots has no other user.
 */
void kvm_memslots_init_copy(struct kvm_memslots *slots, int copy,
			    u64 generation)
{
	slots->generation = generation;
	slots->node_idx = copy;
	slots->gfn_tree = RB_ROOT;
	slots->hva_tree = RB_ROOT_CACHED;
	memset(slots->id_tree, 0, sizeof(slots->id_tree));
	atomic_long_set(&slots->last_used_slot, 0);
}

static void memslots_add(struct kvm_memslots *slots,
			 struct kvm_memory_slot *slot)
{
	memslots_link_id(slots, slot);
	memslots_link_hva(slots, slot);
	memslots_link_gfn(slots, slot);
}

static void memslots_remove(struct kvm_memslots *slots,
			    struct kvm_memory_slot *slot)
{
	memslots_unlink_id(slots, slot);
	interval_tree_remove(&slot->hva_node[slots->node_idx], &slots->hva_tree);
	memslots_unlink_gfn(slots, slot);
}

/**
 * kvm_memslots_replace() - Take one slot out of a copy, put another in.
 * @slots: the copy
 * @old: the slot to remove; NULL to add only
 * @new: the slot to add; NULL to remove only.  Its id, gfns and hva are set
 *	 and, @old aside, no slot of @slots has its id or one of its gfns.
 *	 With @old, it has the id, the hva and the size of that.
 *
 * The links of both slots into the other copy stay as they are.
 *
 * Context: @slots is the inactive copy; holds kvm->slots_lock.  Cannot fail.
 */
void kvm_memslots_replace(struct kvm_memslots *slots,
			  struct kvm_memory_slot *old,
			  struct kvm_memory_slot *new)
{
	if (old)
		atomic_long_cmpxchg(&slots->last_used_slot, (long)old,
				    (long)new);

	if (!old) {
		memslots_add(slots, new);
	} else if (!new) {
		memslots_remove(slots, old);
	} else {
		memslots_replace_id(slots, old, new);
		memslots_replace_hva(slots, old, new);
		memslots_replace_gfn(slots, old, new);
	}
}

/**
 * kvm_memslots_overlap() - Is a gfn of a range taken by another slot?
 * @slots: the set to search
 * @start: first gfn of the range
 * @end: the gfn after its last
 * @except_id: id of the slot that may have gfns in the range
 *
 * Context: holds kvm->slots_lock or is in an SRCU read section of kvm->srcu.
 * Return: true if [@start, @end) meets a slot whose id is not @except_id.
 */
bool kvm_memslots_overlap(struct kvm_memslots *slots, gfn_t start, gfn_t end,
			  int except_id)
{
	struct kvm_memslot_iter it;

	kvm_for_each_memslot_in_gfn_range(&it, slots, start, end) {
		if (it.slot->id != except_id)
			return true;
	}

	return false;
}

/**
 * kvm_memslot_classify() - What does a request do to a slot?
 * @old: the slot that has the id of the request; NULL if there is none
 * @mem: the request, with valid flags and sizes and addresses in whole pages
 * @kind: set to the change to make if there is one
 *
 * A slot keeps its size, its hva and whether it is read-only for life.  It can
 * move and toggle dirty logging; one with private memory can only be deleted.
 * See api.rst, KVM_SET_USER_MEMORY_REGION.
 *
 * Context: kvm->slots_lock or kvm->srcu keeps @old.
 * Return: 1 with @kind set; 0 if the slot is as requested already; -EINVAL if
 * it cannot become that.
 */
int kvm_memslot_classify(const struct kvm_memory_slot *old,
			 const struct kvm_userspace_memory_region2 *mem,
			 enum kvm_mr_change *kind)
{
	u32 toggled;

	if (!mem->memory_size) {
		*kind = KVM_MR_DELETE;
		return old ? 1 : -EINVAL;
	}
	if (!old) {
		*kind = KVM_MR_CREATE;
		return 1;
	}

	toggled = mem->flags ^ old->flags;
	if ((mem->flags & KVM_MEM_GUEST_MEMFD) ||
	    (toggled & (KVM_MEM_GUEST_MEMFD | KVM_MEM_READONLY)) ||
	    old->npages != mem->memory_size >> PAGE_SHIFT ||
	    old->userspace_addr != mem->userspace_addr)
		return -EINVAL;

	if (old->base_gfn != mem->guest_phys_addr >> PAGE_SHIFT)
		*kind = KVM_MR_MOVE;
	else if (toggled)
		*kind = KVM_MR_FLAGS_ONLY;
	else
		return 0;

	return 1;
}
