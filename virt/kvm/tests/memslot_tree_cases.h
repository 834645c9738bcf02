/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The test cases of memslot_tree.c, one list for KUnit and for userland.
 *
 * A case runs on a zeroed struct mst with its seed and the number of random
 * requests set; it leaves what was wrong in ->bad.
 */
#ifndef __KVM_MEMSLOT_TREE_CASES_H__
#define __KVM_MEMSLOT_TREE_CASES_H__

#include "memslot_tree_oracle.h"

struct mst_case {
	const char *name;
	void (*run)(struct mst *t);
};

static void mst_case_empty(struct mst *t)
{
	int i;

	for (i = 0; i < MST_NR_AS; i++) {
		struct kvm_memslots *slots = t->as[i].active;

		mst_expect(t, kvm_memslots_empty(slots));
		mst_expect(t, !search_memslots(slots, 0, true));
		mst_expect(t, !__gfn_to_memslot(slots, 0));
		mst_expect(t, !kvm_memslots_overlap(slots, 0, ~0ULL, -1));
		mst_check_rest(t, &t->as[i]);
	}
}

static int mst_depth(const struct kvm_id_node *node)
{
	int a, b;

	if (!node)
		return 0;

	a = mst_depth(node->below[0]);
	b = mst_depth(node->below[1]);
	return 1 + (a > b ? a : b);
}

#define MST_MANY_SLOTS	2048
#define MST_STRIDE	5

/* However many there are, no path is longer than the ids have bits. */
static void mst_case_many_ids(struct mst *t)
{
	struct kvm_memslots *slots = &t->as[0].copy[0];
	struct kvm_memory_slot *many;
	int i, depth = 0;

	many = kcalloc(MST_MANY_SLOTS, sizeof(*many), GFP_KERNEL);
	if (!mst_expect(t, many))
		return;

	for (i = 0; i < MST_MANY_SLOTS; i++) {
		many[i].id = i * MST_STRIDE;
		many[i].base_gfn = i;
		many[i].npages = 1;
		many[i].userspace_addr = MST_HVA_START + i * PAGE_SIZE;
		kvm_memslots_replace(slots, NULL, &many[i]);
	}
	for (i = 0; i < MST_MANY_SLOTS; i++)
		mst_expect(t, id_to_memslot(slots, many[i].id) == &many[i]);
	for (i = 0; i < KVM_NR_ID_TREES; i++) {
		int d = mst_depth(slots->id_tree[i]);

		depth = d > depth ? d : depth;
	}
	/* 16 in each tree. */
	mst_expect(t, depth <= 8);

	for (i = 0; i < MST_MANY_SLOTS; i++) {
		kvm_memslots_replace(slots, &many[i], NULL);
		mst_expect(t, !id_to_memslot(slots, many[i].id));
		if (i + 1 < MST_MANY_SLOTS)
			mst_expect(t, id_to_memslot(slots, many[i + 1].id) ==
				      &many[i + 1]);
	}
	kfree(many);
}

#define MST_NR_UPDATES	16
#define MST_MAX_AS	4

/* No two address spaces and no two updates share a generation, odd or even. */
static void mst_case_generations(struct mst *t)
{
	bool seen[MST_NR_UPDATES * MST_MAX_AS * 2] = {};
	unsigned int as_id, i;

	for (as_id = 0; as_id < MST_MAX_AS; as_id++) {
		u64 gen = kvm_memslots_gen_first(as_id);

		for (i = 0; i < MST_NR_UPDATES; i++) {
			u64 flux = kvm_memslots_gen_begin(gen);

			mst_expect(t, !(gen & 1));
			mst_expect(t, flux == gen + 1);
			if (!mst_expect(t, flux < ARRAY_SIZE(seen)))
				return;
			mst_expect(t, !seen[gen] && !seen[flux]);
			seen[gen] = true;
			seen[flux] = true;
			gen = kvm_memslots_gen_end(flux, MST_MAX_AS);
		}
	}
}

/* @want is the answer to every request that is not meant to change anything. */
static void mst_want(struct mst *t, int id, struct mst_slot slot, int want)
{
	const struct mst_op op = { .as_id = 1, .id = id, .want = slot };

	mst_expect(t, mst_predict(&t->as[1], id, &slot) == want);
	mst_do(t, &op);
}

#define MST_LAST_GFN	(BIT_ULL(64 - PAGE_SHIFT) - 1)

/* Slots that touch but do not overlap, at both ends of the gfns too. */
static void mst_case_edges(struct mst *t)
{
	struct mst_as *as = &t->as[1];
	const struct mst_slot first = { .base = 0, .npages = 1 };
	const struct mst_slot second = { .base = 1, .npages = 2 };
	const struct mst_slot last = { .base = MST_LAST_GFN, .npages = 1 };
	gfn_t gfn;

	mst_want(t, 0, second, KVM_MR_CREATE);
	mst_want(t, 1, first, KVM_MR_CREATE);
	mst_want(t, 2, last, KVM_MR_CREATE);
	mst_want(t, 3, first, MST_OVERLAP);
	mst_want(t, 3, last, MST_OVERLAP);
	mst_want(t, 3, (struct mst_slot){ .base = 2, .npages = 1 },
		 MST_OVERLAP);
	mst_want(t, 3, (struct mst_slot){ .base = 3, .npages = 1 },
		 KVM_MR_CREATE);

	for (gfn = 0; gfn < 5; gfn++) {
		mst_check_gfn(t, as, as->active, gfn);
		mst_check_gfns(t, as, as->active, gfn, gfn);
		mst_check_gfns(t, as, as->active, gfn, gfn + 1);
		mst_check_gfns(t, as, as->active, gfn, MST_LAST_GFN + 1);
	}
	mst_check_gfn(t, as, as->active, MST_LAST_GFN);
}

/* What a slot that exists may become, and what is refused. */
static void mst_case_updates(struct mst *t)
{
	const unsigned long hva = MST_HVA_START;
	const struct {
		struct mst_slot want;
		int outcome;
	} updates[] = {
		/* Refused: another size, hva, read-only or private memory. */
		{ { 16, 7, hva, 0 }, MST_REFUSED },
		{ { 16, 9, hva, 0 }, MST_REFUSED },
		{ { 20, 4, hva, 0 }, MST_REFUSED },
		{ { 16, 8, hva + PAGE_SIZE, 0 }, MST_REFUSED },
		{ { 16, 8, hva, KVM_MEM_READONLY }, MST_REFUSED },
		{ { 24, 8, hva, KVM_MEM_READONLY }, MST_REFUSED },
		{ { 16, 8, hva, KVM_MEM_GUEST_MEMFD }, MST_REFUSED },
		/* Granted: to move, also on to itself, and to be logged. */
		{ { 16, 8, hva, 0 }, MST_SAME },
		{ { 16, 8, hva, KVM_MEM_LOG_DIRTY_PAGES }, KVM_MR_FLAGS_ONLY },
		{ { 20, 8, hva, KVM_MEM_LOG_DIRTY_PAGES }, KVM_MR_MOVE },
		{ { 16, 8, hva, 0 }, KVM_MR_MOVE },
		/* Another slot has [32, 40). */
		{ { 25, 8, hva, 0 }, MST_OVERLAP },
		{ { 39, 8, hva, 0 }, MST_OVERLAP },
		{ { 25, 7, hva, 0 }, MST_REFUSED },
		{ { 24, 8, hva, 0 }, KVM_MR_MOVE },
		/* Only the id counts where a slot is deleted. */
		{ { 99, 0, 0, 0 }, KVM_MR_DELETE },
		{ { 24, 0, hva, 0 }, MST_REFUSED },
	};
	int i;

	mst_want(t, 7, (struct mst_slot){ 16, 8, hva, 0 }, KVM_MR_CREATE);
	mst_want(t, 8, (struct mst_slot){ 32, 8, hva, 0 }, KVM_MR_CREATE);
	for (i = 0; i < ARRAY_SIZE(updates); i++)
		mst_want(t, 7, updates[i].want, updates[i].outcome);
}

/* A slot with private memory can be deleted, and nothing else. */
static void mst_case_private(struct mst *t)
{
	const u32 memfd = KVM_MEM_GUEST_MEMFD;

	mst_want(t, 3, (struct mst_slot){ 8, 8, 0, memfd }, KVM_MR_CREATE);
	mst_want(t, 3, (struct mst_slot){ 8, 8, 0, memfd }, MST_REFUSED);
	mst_want(t, 3, (struct mst_slot){ 9, 8, 0, memfd }, MST_REFUSED);
	mst_want(t, 3, (struct mst_slot){ 8, 8, 0, 0 }, MST_REFUSED);
	mst_want(t, 3, (struct mst_slot){ 8, 0, 0, memfd }, KVM_MR_DELETE);
}

static struct mst_slot mst_rand_slot(struct mst *t)
{
	return (struct mst_slot) {
		.base = mst_rand_gfn(t),
		.npages = 1 + mst_rand(t, MST_MAX_PAGES),
		.hva = mst_rand_hva(t),
		.flags = mst_rand(t, 4),
	};
}

/* By a few pages, so that old and new place meet, or anywhere. */
static gfn_t mst_rand_move(struct mst *t, gfn_t base)
{
	return mst_rand(t, 2) ? base + mst_rand(t, 8) : mst_rand_gfn(t);
}

static void mst_rand_update(struct mst *t, struct mst_slot *want)
{
	switch (mst_rand(t, 16)) {
	case 0 ... 3:
		want->npages = 0;
		break;
	case 4 ... 7:
		want->base = mst_rand_move(t, want->base);
		break;
	case 8:
		want->base = mst_rand_move(t, want->base);
		want->flags ^= KVM_MEM_LOG_DIRTY_PAGES;
		break;
	case 9 ... 11:
		want->flags ^= KVM_MEM_LOG_DIRTY_PAGES;
		break;
	case 12:
		want->npages = 1 + mst_rand(t, MST_MAX_PAGES);
		break;
	case 13:
		want->hva = mst_rand_hva(t);
		break;
	case 14:
		want->flags ^= KVM_MEM_READONLY << mst_rand(t, 2);
		break;
	}
}

static struct mst_op mst_rand_op(struct mst *t)
{
	struct mst_op op = {
		.as_id = mst_rand(t, MST_NR_AS),
		.id = mst_rand(t, MST_NR_IDS),
		.veto = !mst_rand(t, 4),
	};

	op.want = t->as[op.as_id].oracle[op.id];
	if (op.want.npages)
		mst_rand_update(t, &op.want);
	else if (mst_rand(t, 8))
		op.want = mst_rand_slot(t);

	return op;
}

/* Every outcome must have come up in one of 200 requests at least. */
static void mst_case_random(struct mst *t)
{
	int i;

	while (t->op < t->nr_ops && !t->bad) {
		const struct mst_op op = mst_rand_op(t);

		mst_do(t, &op);
	}

	for (i = 0; i < MST_NR_OUTCOMES; i++)
		mst_expect(t, t->done[i] >= t->op / 200);
}

static const struct mst_case mst_cases[] = {
	{ "empty sets", mst_case_empty },
	{ "many ids", mst_case_many_ids },
	{ "generations are unique", mst_case_generations },
	{ "slots that touch", mst_case_edges },
	{ "updates granted and refused", mst_case_updates },
	{ "private memory", mst_case_private },
	{ "random requests against the oracle", mst_case_random },
};

static void mst_run_case(struct mst *t, const struct mst_case *c)
{
	mst_setup(t);
	c->run(t);
	mst_teardown(t);
}

#endif /* __KVM_MEMSLOT_TREE_CASES_H__ */
