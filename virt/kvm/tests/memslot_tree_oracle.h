/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests of memslot_tree.c against an oracle: a flat array of slots for each
 * address space, in which everything is found by looking at every entry.
 *
 * They need nothing but memory, so that the same source is the KUnit suite
 * memslot_tree_kunit.c and the userland program of tools/testing/memslot_tree/.
 * Whoever includes it provides kzalloc(), kfree() and the kernel's types.
 *
 * Changes drive both copies of a set as memslot.c does: change the inactive
 * one, install it, repeat the change in the other; DELETE and MOVE by way of an
 * INVALID copy of the slot.
 */
#ifndef __KVM_MEMSLOT_TREE_ORACLE_H__
#define __KVM_MEMSLOT_TREE_ORACLE_H__

#include <linux/kvm_host.h>
#include <linux/slab.h>

#include "../memslot_tree.h"

/* Room is scarce, so that slots often touch and requests often overlap. */
#define MST_NR_AS	2
#define MST_NR_IDS	40
#define MST_LOW_GFNS	1536
#define MST_MAX_PAGES	64
#define MST_HVA_PAGES	512
#define MST_HVA_START	0x10000000UL

/*
 * Slots are numbered by the oracle; their ids are such that the index by id has
 * many in a tree.
 */
static inline int mst_id(int nr)
{
	return nr % 3 + nr / 3 * KVM_NR_ID_TREES;
}

static inline int mst_nr(int id)
{
	return id % KVM_NR_ID_TREES + id / KVM_NR_ID_TREES * 3;
}

/* Some slots lie far above the others. */
#define MST_HIGH_GFN	BIT_ULL(40)
#define MST_END_GFN	(MST_HIGH_GFN + MST_LOW_GFNS + MST_MAX_PAGES)

/* What a request comes to: an enum kvm_mr_change, or one of these. */
enum {
	MST_SAME = KVM_MR_FLAGS_ONLY + 1,
	MST_REFUSED,
	MST_OVERLAP,
	MST_VETOED,
	MST_NR_OUTCOMES,
};

static const char *const mst_outcome_names[MST_NR_OUTCOMES] = {
	[KVM_MR_CREATE]		= "create",
	[KVM_MR_DELETE]		= "delete",
	[KVM_MR_MOVE]		= "move",
	[KVM_MR_FLAGS_ONLY]	= "flags",
	[MST_SAME]		= "same",
	[MST_REFUSED]		= "refused",
	[MST_OVERLAP]		= "overlap",
	[MST_VETOED]		= "vetoed",
};

/* One entry of the oracle, or what is requested of it; no pages: no slot. */
struct mst_slot {
	gfn_t base;
	unsigned long npages;
	unsigned long hva;
	u32 flags;
};

struct mst_as {
	struct kvm_memslots copy[2];
	struct kvm_memslots *active;
	struct mst_slot oracle[MST_NR_IDS];
	/* In the active copy this slot is INVALID; none: -1. */
	int invalid_id;
};

struct mst {
	struct mst_as as[MST_NR_AS];
	u32 seed;
	u32 rand;
	unsigned long nr_ops;
	/* Requests made, by outcome, and the first thing that was wrong. */
	unsigned long op;
	unsigned long done[MST_NR_OUTCOMES];
	const char *bad;
	int bad_line;
};

struct mst_op {
	int as_id;
	int id;
	struct mst_slot want;
	/* The architecture refuses the change, if it is a MOVE. */
	bool veto;
};

static bool __mst_expect(struct mst *t, bool ok, const char *what, int line)
{
	if (!ok && !t->bad) {
		t->bad = what;
		t->bad_line = line;
	}

	return ok;
}

/* Returns whether it holds; the first one that does not is kept. */
#define mst_expect(t, cond)	__mst_expect(t, cond, #cond, __LINE__)

/* xorshift32: the same numbers from the same seed everywhere. */
static u32 mst_rand(struct mst *t, u32 below)
{
	t->rand ^= t->rand << 13;
	t->rand ^= t->rand >> 17;
	t->rand ^= t->rand << 5;

	return t->rand % below;
}

static gfn_t mst_rand_gfn(struct mst *t)
{
	return mst_rand(t, MST_LOW_GFNS) +
	       (mst_rand(t, 8) ? 0 : MST_HIGH_GFN);
}

static unsigned long mst_rand_hva(struct mst *t)
{
	return MST_HVA_START + mst_rand(t, MST_HVA_PAGES) * PAGE_SIZE;
}

static void mst_setup(struct mst *t)
{
	int i, copy;

	t->rand = t->seed ?: 1;
	for (i = 0; i < MST_NR_AS; i++) {
		struct mst_as *as = &t->as[i];

		for (copy = 0; copy < 2; copy++)
			kvm_memslots_init_copy(&as->copy[copy], copy,
					       kvm_memslots_gen_first(i));
		as->active = &as->copy[0];
		as->invalid_id = -1;
	}
}

static struct kvm_memslots *mst_inactive(struct mst_as *as)
{
	return &as->copy[!as->active->node_idx];
}

static int mst_as_id(struct mst *t, struct mst_as *as)
{
	return as - t->as;
}

/*
 * The oracle.
 */

static bool mst_has_gfn(const struct mst_slot *s, gfn_t gfn)
{
	return gfn >= s->base && gfn - s->base < s->npages;
}

static bool mst_meets_gfns(const struct mst_slot *s, gfn_t start, gfn_t end)
{
	return s->npages && s->base < end && start < s->base + s->npages;
}

static bool mst_meets_hvas(const struct mst_slot *s, unsigned long start,
			   unsigned long last)
{
	return s->npages && s->hva <= last &&
	       start <= s->hva + s->npages * PAGE_SIZE - 1;
}

static int mst_find_gfn(const struct mst_as *as, gfn_t gfn)
{
	int id;

	for (id = 0; id < MST_NR_IDS; id++) {
		if (mst_has_gfn(&as->oracle[id], gfn))
			return id;
	}

	return -1;
}

static int mst_count_gfns(const struct mst_as *as, gfn_t start, gfn_t end,
			  int except_id)
{
	int id, n = 0;

	for (id = 0; id < MST_NR_IDS; id++)
		n += id != except_id &&
		     mst_meets_gfns(&as->oracle[id], start, end);

	return n;
}

static int mst_count_hvas(const struct mst_as *as, unsigned long start,
			  unsigned long last)
{
	int id, n = 0;

	for (id = 0; id < MST_NR_IDS; id++)
		n += mst_meets_hvas(&as->oracle[id], start, last);

	return n;
}

static int mst_predict_update(const struct mst_slot *is,
			      const struct mst_slot *want)
{
	if (want->npages != is->npages || want->hva != is->hva)
		return MST_REFUSED;
	if (want->flags & KVM_MEM_GUEST_MEMFD)
		return MST_REFUSED;
	if ((want->flags | KVM_MEM_LOG_DIRTY_PAGES) !=
	    (is->flags | KVM_MEM_LOG_DIRTY_PAGES))
		return MST_REFUSED;
	if (want->base != is->base)
		return KVM_MR_MOVE;

	return want->flags == is->flags ? MST_SAME : KVM_MR_FLAGS_ONLY;
}

static int mst_predict(const struct mst_as *as, int id,
		       const struct mst_slot *want)
{
	const struct mst_slot *is = &as->oracle[id];
	int kind = KVM_MR_CREATE;

	if (!want->npages)
		return is->npages ? KVM_MR_DELETE : MST_REFUSED;
	if (is->npages)
		kind = mst_predict_update(is, want);

	if ((kind == KVM_MR_CREATE || kind == KVM_MR_MOVE) &&
	    mst_count_gfns(as, want->base, want->base + want->npages, id))
		return MST_OVERLAP;

	return kind;
}

/*
 * The sets against the oracle.
 */

/* @id stands in @slots as the oracle says, and nothing else under that id. */
static void mst_check_id(struct mst *t, const struct mst_as *as,
			 struct kvm_memslots *slots, int id)
{
	const struct kvm_memory_slot *slot = id_to_memslot(slots, mst_id(id));
	const struct mst_slot *is = &as->oracle[id];
	u32 flags = is->flags;

	if (slots == as->active && id == as->invalid_id)
		flags |= KVM_MEMSLOT_INVALID;

	if (!mst_expect(t, !slot == !is->npages) || !slot)
		return;

	mst_expect(t, slot->id == mst_id(id));
	mst_expect(t, slot->flags == flags);
	mst_expect(t, slot->npages == is->npages);
	mst_expect(t, slot->base_gfn == is->base);
	mst_expect(t, slot->userspace_addr == is->hva);
}

/* A range of gfns yields the slots that meet it, each once, in order. */
static void mst_check_gfns(struct mst *t, const struct mst_as *as,
			   struct kvm_memslots *slots, gfn_t start, gfn_t end)
{
	struct kvm_memslot_iter it;
	gfn_t from = 0;
	int n = 0;

	kvm_for_each_memslot_in_gfn_range(&it, slots, start, end) {
		mst_expect(t, it.slot->base_gfn >= from);
		from = it.slot->base_gfn + it.slot->npages;
		mst_expect(t, from > start);
		if (!mst_expect(t, ++n <= MST_NR_IDS))
			return;
	}

	mst_expect(t, n == mst_count_gfns(as, start, end, -1));
}

/* A range of hvas yields the slots that meet it, each once. */
static void mst_check_hvas(struct mst *t, const struct mst_as *as,
			   struct kvm_memslots *slots, unsigned long start,
			   unsigned long last)
{
	const int copy = slots->node_idx;
	struct interval_tree_node *node;
	int n = 0;

	node = interval_tree_iter_first(&slots->hva_tree, start, last);
	while (node) {
		struct kvm_memory_slot *slot;

		slot = container_of(node, struct kvm_memory_slot,
				    hva_node[copy]);
		mst_expect(t, mst_meets_hvas(&as->oracle[mst_nr(slot->id)], start,
					     last));
		if (!mst_expect(t, ++n <= MST_NR_IDS))
			return;
		node = interval_tree_iter_next(node, start, last);
	}

	mst_expect(t, n == mst_count_hvas(as, start, last));
}

/* Lookup of a gfn, with and without the set's last slot, twice each. */
static void mst_check_gfn(struct mst *t, const struct mst_as *as,
			  struct kvm_memslots *slots, gfn_t gfn)
{
	const int id = mst_find_gfn(as, gfn);
	int i;

	for (i = 0; i < 2; i++) {
		struct kvm_memory_slot *slot = search_memslots(slots, gfn, false);

		mst_expect(t, slot == __gfn_to_memslot(slots, gfn));
		mst_expect(t, (slot ? mst_nr(slot->id) : -1) == id);
	}

	mst_expect(t, !search_memslots(slots, gfn, true) ==
		      kvm_memslots_empty(slots));
}

/* The set's last slot is one of its slots.  It may not be looked into. */
static void mst_check_last_slot(struct mst *t, struct kvm_memslots *slots)
{
	const long last = atomic_long_read(&slots->last_used_slot);
	int id = 0;

	while (id < MST_NR_IDS && last != (long)id_to_memslot(slots, mst_id(id)))
		id++;

	mst_expect(t, !last || id < MST_NR_IDS);
}

static void mst_check_copy(struct mst *t, const struct mst_as *as,
			   struct kvm_memslots *slots)
{
	gfn_t start = mst_rand_gfn(t), end = mst_rand_gfn(t);
	unsigned long hva = mst_rand_hva(t);
	int id;

	mst_check_last_slot(t, slots);
	for (id = 0; id < MST_NR_IDS; id++)
		mst_check_id(t, as, slots, id);

	mst_check_gfns(t, as, slots, 0, MST_END_GFN);
	mst_check_gfns(t, as, slots, start, end);
	mst_check_gfn(t, as, slots, start);
	mst_check_gfn(t, as, slots, end);
	mst_check_hvas(t, as, slots, 0, ULONG_MAX);
	mst_check_hvas(t, as, slots, hva, mst_rand_hva(t) - 1);

	id = mst_rand(t, MST_NR_IDS);
	mst_expect(t, kvm_memslots_overlap(slots, start, end, mst_id(id)) ==
		      !!mst_count_gfns(as, start, end, id));
}

/* At rest both copies hold not only equal slots but the same ones. */
static void mst_check_rest(struct mst *t, struct mst_as *as)
{
	int id;

	mst_check_copy(t, as, as->active);
	mst_check_copy(t, as, mst_inactive(as));

	for (id = 0; id < MST_NR_IDS; id++)
		mst_expect(t, id_to_memslot(&as->copy[0], mst_id(id)) ==
			      id_to_memslot(&as->copy[1], mst_id(id)));
}

/*
 * Changes, as memslot.c makes them.
 */

static void mst_install(struct mst *t, struct mst_as *as)
{
	const u64 rest = as->active->generation;
	struct kvm_memslots *next = mst_inactive(as);

	next->generation = kvm_memslots_gen_begin(rest);
	as->active = next;
	mst_expect(t, next->generation == rest + 1);

	next->generation = kvm_memslots_gen_end(next->generation, MST_NR_AS);
	mst_expect(t, next->generation > rest);
	mst_expect(t, next->generation % (2 * MST_NR_AS) ==
		      2 * mst_as_id(t, as));
}

static struct kvm_memory_slot *mst_alloc(struct mst *t, int id,
					 const struct mst_slot *want)
{
	struct kvm_memory_slot *slot = kzalloc(sizeof(*slot), GFP_KERNEL);

	if (!mst_expect(t, slot))
		return NULL;

	slot->id = mst_id(id);
	slot->flags = want->flags;
	slot->npages = want->npages;
	slot->base_gfn = want->base;
	slot->userspace_addr = want->hva;
	return slot;
}

/* Put @stand_in where @old is active; @old stays in the other copy. */
static void mst_invalidate(struct mst *t, struct mst_as *as,
			   struct kvm_memory_slot *old,
			   struct kvm_memory_slot *stand_in)
{
	stand_in->flags |= KVM_MEMSLOT_INVALID;
	kvm_memslots_replace(mst_inactive(as), old, stand_in);
	mst_install(t, as);

	as->invalid_id = mst_nr(old->id);
	mst_check_copy(t, as, as->active);
	mst_check_copy(t, as, mst_inactive(as));
	as->invalid_id = -1;
}

/* Returns the stand-in, NULL if the kind of change does without. */
static struct kvm_memory_slot *
mst_begin_change(struct mst *t, struct mst_as *as, struct kvm_memory_slot *old,
		 int kind)
{
	struct kvm_memory_slot *invalid;

	if (kind != KVM_MR_DELETE && kind != KVM_MR_MOVE)
		return NULL;

	invalid = mst_alloc(t, mst_nr(old->id), &as->oracle[mst_nr(old->id)]);
	if (invalid)
		mst_invalidate(t, as, old, invalid);

	return invalid;
}

/* A refused MOVE installs the old slot once more. */
static void mst_veto(struct mst *t, struct mst_as *as,
		     struct kvm_memory_slot *old,
		     struct kvm_memory_slot *invalid)
{
	mst_install(t, as);
	kvm_memslots_replace(mst_inactive(as), invalid, old);
}

static void mst_change(struct mst *t, const struct mst_op *op, int kind)
{
	struct mst_as *as = &t->as[op->as_id];
	struct kvm_memory_slot *old, *invalid, *new = NULL;

	old = id_to_memslot(as->active, mst_id(op->id));
	invalid = mst_begin_change(t, as, old, kind);
	if (op->veto && kind == KVM_MR_MOVE) {
		mst_veto(t, as, old, invalid);
		kfree(invalid);
		return;
	}

	if (op->want.npages)
		new = mst_alloc(t, op->id, &op->want);

	kvm_memslots_replace(mst_inactive(as), old, new);
	mst_install(t, as);
	kvm_memslots_replace(mst_inactive(as), invalid ?: old, new);
	as->oracle[op->id] = op->want;
	kfree(invalid);
	kfree(old);
}

/* What the code under test says to a request, in the order of memslot.c. */
static int mst_decide(struct mst *t, const struct mst_op *op)
{
	struct kvm_memslots *slots = t->as[op->as_id].active;
	const struct mst_slot *want = &op->want;
	const struct kvm_userspace_memory_region2 mem = {
		.slot = op->as_id << 16 | mst_id(op->id),
		.flags = want->flags,
		.guest_phys_addr = want->base << PAGE_SHIFT,
		.memory_size = (u64)want->npages << PAGE_SHIFT,
		.userspace_addr = want->hva,
	};
	enum kvm_mr_change kind;
	int r;

	r = kvm_memslot_classify(id_to_memslot(slots, mst_id(op->id)), &mem,
				 &kind);
	if (r <= 0)
		return r == -EINVAL ? MST_REFUSED : MST_SAME;

	if ((kind == KVM_MR_CREATE || kind == KVM_MR_MOVE) &&
	    kvm_memslots_overlap(slots, want->base, want->base + want->npages,
				 mst_id(op->id)))
		return MST_OVERLAP;

	return kind;
}

/* One request from end to end; nothing is done where it is not granted. */
static void mst_do(struct mst *t, const struct mst_op *op)
{
	struct mst_as *as = &t->as[op->as_id];
	int outcome = mst_predict(as, op->id, &op->want);

	t->op++;
	if (!mst_expect(t, mst_decide(t, op) == outcome))
		return;

	if (outcome <= KVM_MR_FLAGS_ONLY)
		mst_change(t, op, outcome);
	if (outcome == KVM_MR_MOVE && op->veto)
		outcome = MST_VETOED;

	t->done[outcome]++;
	mst_check_rest(t, as);
}

static void mst_teardown(struct mst *t)
{
	int i, id;

	for (i = 0; i < MST_NR_AS; i++) {
		struct mst_as *as = &t->as[i];

		for (id = 0; id < MST_NR_IDS; id++) {
			struct kvm_memory_slot *slot;

			slot = id_to_memslot(as->active, mst_id(id));
			if (!slot)
				continue;
			kvm_memslots_replace(&as->copy[0], slot, NULL);
			kvm_memslots_replace(&as->copy[1], slot, NULL);
			kfree(slot);
		}
	}
}

#endif /* __KVM_MEMSLOT_TREE_ORACLE_H__ */
