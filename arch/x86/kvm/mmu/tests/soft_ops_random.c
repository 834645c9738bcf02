// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random operations, see soft_ops.h: which there are, how often, and where.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/prandom.h>

#include "soft_ops.h"

static u32 below(struct rnd_state *rnd, u32 limit)
{
	return prandom_u32_state(rnd) % limit;
}

/* Where most of it happens, so that the vCPUs meet. */
#define HOT_GFNS	96

/* Mostly few; sometimes a 2M page and more. */
static u32 some_pages(struct rnd_state *rnd)
{
	return below(rnd, 4) ? 1 + below(rnd, 40) : 1 + below(rnd, 1100);
}

static u32 some_gfn(struct rnd_state *rnd)
{
	return below(rnd, 8) ? below(rnd, HOT_GFNS) : below(rnd, SOFT_GFNS);
}

/* Of small slots: where all is hot they would leave no room for the large one. */
static u32 some_other_gfn(struct rnd_state *rnd)
{
	return below(rnd, 8) ? below(rnd, SOFT_GFNS) : some_gfn(rnd);
}

/* Mostly of the address space without SMM. */
static u32 some_slot(struct rnd_state *rnd)
{
	return below(rnd, 4) ? below(rnd, SOFT_SLOTS) :
			       below(rnd, SOFT_NR_AS * SOFT_SLOTS);
}

/* Where logs are by regions, these are what most operations are for. */
static bool for_regions(struct rnd_state *rnd)
{
	return soft_vendor_hardware()->regions && below(rnd, 4);
}

static void random_slot(struct rnd_state *rnd, struct soft_op *op)
{
	static const u8 flags[] = {
		0, 0, 0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_LOG_DIRTY_PAGES,
		KVM_MEM_READONLY, KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY,
	};

	op->b = some_other_gfn(rnd);
	op->c = below(rnd, SOFT_PAGES);
	/* What lies alike in gfns and in host memory can be a huge page. */
	if (below(rnd, 2))
		op->c = (op->c & ~511) | (op->b & 511);
	op->d = soft_cut_pages(op->c, some_pages(rnd));
	op->e = flags[below(rnd, ARRAY_SIZE(flags))];
	/* Most of what is accessed should be there, and the guest's tables too. */
	if (below(rnd, 6)) {
		op->b = below(rnd, 16);
		op->d = soft_cut_pages(op->c, HOT_GFNS);
		if (below(rnd, 16))
			op->e &= ~KVM_MEM_READONLY;
		if (for_regions(rnd)) {
			op->b = 0;
			op->c &= ~511;
			op->d = soft_cut_pages(op->c, 512 + below(rnd, 2) * 512);
		}
	} else if (below(rnd, 2)) {
		/* Whole tables of it, and huge pages. */
		op->b = below(rnd, SOFT_GFNS / 512 - 1) * 512;
		op->c &= ~511;
		op->d = soft_cut_pages(op->c, 512 + below(rnd, 2) * 512);
	}
	if (for_regions(rnd) && !(op->e & KVM_MEM_READONLY))
		op->e |= KVM_MEM_LOG_DIRTY_PAGES;
	/* SMM mostly sees what the OS sees. */
	if (below(rnd, 2))
		op->e |= SOFT_TWIN;
}

/* Most guests have WP, NX and PSE; SMAP makes most accesses fault here. */
static u32 some_features(struct rnd_state *rnd)
{
	const u32 features = below(rnd, 32);

	return below(rnd, 3) ? (features | SOFT_WP | SOFT_NX | SOFT_PSE) & ~SOFT_SMAP :
			       features;
}

/* Of the modes, those of today's guests come more often. */
static void random_paging(struct rnd_state *rnd, struct soft_op *op)
{
	static const u8 modes[] = {
		SOFT_NO_PAGING, SOFT_32BIT, SOFT_PAE, SOFT_PAE, SOFT_4_LEVELS,
		SOFT_4_LEVELS, SOFT_5_LEVELS,
	};

	op->a = modes[below(rnd, ARRAY_SIZE(modes))];
	op->b = some_features(rnd);
	op->c = below(rnd, HOT_GFNS);
	op->d = below(rnd, 4) ? 1 + below(rnd, 2) : 0;
}

/* Some are changed and used more often than others. */
static u32 some_gva(struct rnd_state *rnd)
{
	return below(rnd, 3) ? below(rnd, 8) * 12 : below(rnd, SOFT_NR_GVAS);
}

/* Links are rare, and most are those of an OS; else anything is a table. */
static void random_link(struct rnd_state *rnd, struct soft_op *op)
{
	op->a = below(rnd, SOFT_NR_LINKS);
	if (below(rnd, 8)) {
		op->c = SOFT_TABLE_GFN + soft_links[op->a].to;
	} else if (soft_links[op->a].table == SOFT_PD && below(rnd, 4)) {
		op->c = below(rnd, 4) ? op->c & ~511 : op->c & ~1023;
		op->d |= 8;
	}
}

/* R/W and U/S, or others; an OS may set A and D itself. */
static u32 some_rights(struct rnd_state *rnd, u32 one_in)
{
	return (below(rnd, one_in) ? 3 : below(rnd, 8)) |
	       (below(rnd, 2) ? 0x30 : below(rnd, 4) << 4);
}

static void random_gpte(struct rnd_state *rnd, struct soft_op *op)
{
	op->e = (below(rnd, 2) ? SOFT_FLUSH_NONE : below(rnd, 3)) |
		(below(rnd, 2) ? SOFT_GPTE_HALF : 0);
	op->b = some_gva(rnd);
	op->c = some_gfn(rnd);
	if (!below(rnd, 8)) {
		op->d = some_rights(rnd, 8);
		random_link(rnd, op);
		return;
	}
	op->a = SOFT_NR_LINKS;
	op->d = some_rights(rnd, 2);
	op->e |= below(rnd, 3) ? 0 : SOFT_GPTE_KEEP;
}

/* Often what can be a huge page again; sometimes what the host maps read-only. */
static void random_renewal(struct rnd_state *rnd, struct soft_op *op)
{
	op->a = below(rnd, SOFT_PAGES);
	op->b = 1 + below(rnd, 64);
	op->c = !below(rnd, 4);
	if (below(rnd, 2))
		return;
	op->a &= ~511;
	op->b = 512;
}

static void random_access(struct rnd_state *rnd, struct soft_op *op)
{
	op->a = some_gfn(rnd);
	op->b = below(rnd, 4);
	op->c = some_gva(rnd);
	op->d = (below(rnd, 2) ? SOFT_AGAIN : 0) | (below(rnd, 4) ? SOFT_MEND : 0);
}

/* How often each comes, of the sum of all. */
static const u8 weights[SOFT_NR_OPS] = {
	[SOFT_OP_READ] = 60,
	[SOFT_OP_WRITE] = 60,
	[SOFT_OP_FETCH] = 10,
	[SOFT_OP_FILL] = 1,
	[SOFT_OP_CREATE] = 14,
	[SOFT_OP_DELETE] = 4,
	[SOFT_OP_MOVE] = 2,
	[SOFT_OP_FLAGS] = 8,
	[SOFT_OP_BEYOND] = 1,
	[SOFT_OP_GET_LOG] = 10,
	[SOFT_OP_CLEAR_LOG] = 6,
	[SOFT_OP_HARVEST] = 1,
	[SOFT_OP_PRIVATE] = 3,
	[SOFT_OP_PUNCH_HOLE] = 1,
	[SOFT_OP_RENEW] = 3,
	[SOFT_OP_HOST_WRITE] = 6,
	[SOFT_OP_AGE] = 3,
	[SOFT_OP_PREFAULT] = 3,
	[SOFT_OP_HOST_PROTECT] = 2,
	[SOFT_OP_CLEAN] = 2,
	[SOFT_OP_LATE] = 3,
	[SOFT_OP_SLOW] = 2,
	[SOFT_OP_SCRIBBLE] = 1,
	[SOFT_OP_NEW_ROOT] = 2,
	[SOFT_OP_SMM] = 1,
	[SOFT_OP_PAGING] = 3,
	[SOFT_OP_PROTECT] = 2,
	[SOFT_OP_GPTE] = 16,
	[SOFT_OP_INVLPG] = 3,
	[SOFT_OP_CR3] = 2,
	[SOFT_OP_ZAP] = 1,
	[SOFT_OP_QUOTA] = 1,
	[SOFT_OP_NX] = 1,
	[SOFT_OP_NX_RECOVER] = 2,
};

static int random_kind(struct rnd_state *rnd)
{
	int kind, sum = 0, n;

	/* To make a VM costs as much as all else of an episode. */
	if (!below(rnd, 3000))
		return SOFT_OP_NEW_VM;
	for (kind = 0; kind < SOFT_NR_OPS; kind++)
		sum += weights[kind];
	n = below(rnd, sum);
	for (kind = 0; n >= weights[kind]; kind++)
		n -= weights[kind];
	return kind;
}

/* What is asked of a slot; false: it is another kind of operation. */
static bool random_of_slot(struct rnd_state *rnd, struct soft_op *op)
{
	switch (op->kind) {
	case SOFT_OP_CREATE:
	case SOFT_OP_BEYOND:
		random_slot(rnd, op);
		op->a = some_slot(rnd);
		break;
	case SOFT_OP_MOVE:
		op->a = some_slot(rnd);
		op->b = some_other_gfn(rnd);
		break;
	case SOFT_OP_DELETE:
	case SOFT_OP_GET_LOG:
		op->a = some_slot(rnd);
		break;
	case SOFT_OP_CLEAR_LOG:
		op->a = some_slot(rnd);
		op->b = below(rnd, 3);
		op->c = below(rnd, 8) ? 64 * (1 + below(rnd, 20)) :
				       1 + below(rnd, 100);
		op->d = below(rnd, 2) ? U16_MAX : below(rnd, U16_MAX);
		break;
	case SOFT_OP_FLAGS:
		op->a = some_slot(rnd);
		op->b = for_regions(rnd) || below(rnd, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		break;
	case SOFT_OP_PRIVATE:
		op->a = some_gfn(rnd);
		op->b = some_pages(rnd);
		op->c = below(rnd, 2);
		break;
	default:
		return false;
	}
	return true;
}

/* A log that was taken: whoever writes there once more must be in the next one. */
static bool wants_write_again(struct rnd_state *rnd, const struct soft_op *last)
{
	return last && below(rnd, 2) &&
	       (last->kind == SOFT_OP_GET_LOG || last->kind == SOFT_OP_CLEAR_LOG);
}

struct soft_op soft_op_random(struct rnd_state *rnd, const struct soft_op *last)
{
	struct soft_op op = {
		.kind = random_kind(rnd),
		.vcpu = below(rnd, SOFT_MAX_VCPUS),
	};

	if (wants_write_again(rnd, last)) {
		op.kind = SOFT_OP_WRITE;
		random_access(rnd, &op);
		op.d |= SOFT_AGAIN;
		return op;
	}
	if (random_of_slot(rnd, &op))
		return op;

	switch (op.kind) {
	case SOFT_OP_READ:
	case SOFT_OP_WRITE:
	case SOFT_OP_FETCH:
		random_access(rnd, &op);
		break;
	case SOFT_OP_RENEW:
		random_renewal(rnd, &op);
		break;
	case SOFT_OP_AGE:
	case SOFT_OP_HOST_PROTECT:
	case SOFT_OP_PUNCH_HOLE:
		op.a = below(rnd, SOFT_PAGES);
		op.b = 1 + below(rnd, 64);
		break;
	case SOFT_OP_CLEAN:
		op.a = below(rnd, 2) * below(rnd, SOFT_PAGES);
		op.b = soft_cut_pages(op.a, SOFT_PAGES);
		break;
	case SOFT_OP_HOST_WRITE:
		op.a = below(rnd, SOFT_PAGES);
		break;
	case SOFT_OP_GPTE:
		random_gpte(rnd, &op);
		break;
	case SOFT_OP_FILL:
		op.a = below(rnd, 2) * some_gfn(rnd);
		op.b = SOFT_GFNS - op.a;
		break;
	case SOFT_OP_PREFAULT:
		op.a = some_gfn(rnd);
		op.b = below(rnd, 2) ? 1 : some_pages(rnd);
		break;
	case SOFT_OP_LATE:
		op.a = some_gfn(rnd);
		op.b = below(rnd, SOFT_MAX_VCPUS);
		break;
	case SOFT_OP_SLOW:
		op.a = some_gfn(rnd);
		op.b = SOFT_4_LEVELS;
		op.c = below(rnd, HOT_GFNS);
		op.d = 1 + below(rnd, 2);
		break;
	case SOFT_OP_PAGING:
		random_paging(rnd, &op);
		break;
	case SOFT_OP_PROTECT:
		op.b = some_features(rnd);
		break;
	case SOFT_OP_INVLPG:
		op.a = some_gva(rnd);
		break;
	case SOFT_OP_SMM:
		op.a = !below(rnd, 8);
		break;
	case SOFT_OP_QUOTA:
		op.a = KVM_MIN_ALLOC_MMU_PAGES + below(rnd, 64);
		break;
	default:
		op.a = some_gfn(rnd);
	}
	return op;
}

void soft_op_print(struct kunit *test, const struct soft_op *op)
{
	static const char * const names[] = {
		[SOFT_OP_READ] = "READ",
		[SOFT_OP_WRITE] = "WRITE",
		[SOFT_OP_FETCH] = "FETCH",
		[SOFT_OP_FILL] = "FILL",
		[SOFT_OP_CREATE] = "CREATE",
		[SOFT_OP_DELETE] = "DELETE",
		[SOFT_OP_MOVE] = "MOVE",
		[SOFT_OP_FLAGS] = "FLAGS",
		[SOFT_OP_BEYOND] = "BEYOND",
		[SOFT_OP_GET_LOG] = "GET_LOG",
		[SOFT_OP_CLEAR_LOG] = "CLEAR_LOG",
		[SOFT_OP_HARVEST] = "HARVEST",
		[SOFT_OP_PRIVATE] = "PRIVATE",
		[SOFT_OP_PUNCH_HOLE] = "PUNCH_HOLE",
		[SOFT_OP_RENEW] = "RENEW",
		[SOFT_OP_HOST_WRITE] = "HOST_WRITE",
		[SOFT_OP_AGE] = "AGE",
		[SOFT_OP_PREFAULT] = "PREFAULT",
		[SOFT_OP_HOST_PROTECT] = "HOST_PROTECT",
		[SOFT_OP_CLEAN] = "CLEAN",
		[SOFT_OP_LATE] = "LATE",
		[SOFT_OP_SLOW] = "SLOW",
		[SOFT_OP_SCRIBBLE] = "SCRIBBLE",
		[SOFT_OP_NEW_ROOT] = "NEW_ROOT",
		[SOFT_OP_SMM] = "SMM",
		[SOFT_OP_PAGING] = "PAGING",
		[SOFT_OP_PROTECT] = "PROTECT",
		[SOFT_OP_GPTE] = "GPTE",
		[SOFT_OP_INVLPG] = "INVLPG",
		[SOFT_OP_CR3] = "CR3",
		[SOFT_OP_ZAP] = "ZAP",
		[SOFT_OP_QUOTA] = "QUOTA",
		[SOFT_OP_NX] = "NX",
		[SOFT_OP_NX_RECOVER] = "NX_RECOVER",
		[SOFT_OP_NEW_VM] = "NEW_VM",
		[SOFT_OP_FAIL] = "FAIL",
	};

	kunit_info(test, "\t{ SOFT_OP_%s, %u, %#x, %#x, %#x, %#x, %#x },\n",
		   names[op->kind], op->vcpu, op->a, op->b, op->c, op->d, op->e);
}
