/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle of guest_walk_kunit.c: a second walk of guest tables, naive, by
 * bit numbers as the manuals have them, over an image of the guest's memory in
 * which it sets A and D itself.  It shares nothing with guest_walk_alg.h.
 *
 * The guest has few pages, so that random tables link to each other, and to
 * themselves, all the time.  They can be seen at three places.
 */
#ifndef __KVM_X86_MMU_GUEST_WALK_ORACLE_H
#define __KVM_X86_MMU_GUEST_WALK_ORACLE_H

#include <linux/kvm_host.h>
#include <linux/prandom.h>
#include <linux/string.h>

#include "mmu.h"
#include "../mmu_internal.h"

#define GWO_PAGES	8
#define GWO_LEVELS	5

#define GWO_RAM		0x100	/* a slot */
#define GWO_ROM		0x200	/* a read-only slot with the same memory */
#define GWO_HOLE	0x300	/* a slot, where the host has no memory */
#define GWO_NONE	0x400	/* no slot */

/**
 * struct gwo_fmt - a format; numbers of bits, -1 if there is no such bit
 * @bytes: of an entry
 * @index_bits: of the address, per level
 * @p: present; -1: any of @w, @u, @x
 * @w: write
 * @u: user, or EPT's read
 * @x: execute; -1: see @nx
 * @nx: no execute; -1: everything may be executed
 * @a: accessed
 * @d: dirty
 * @ps: huge page
 * @addr_end: the first bit above the address, which begins at bit 12
 * @pkey: the lowest of four bits
 * @pse36: bits 13-16 of a huge page's entry are bits 32-35 of the address
 * @ept: has memory types and a qualification
 */
struct gwo_fmt {
	int bytes, index_bits;
	int p, w, u, x, nx, a, d, ps;
	int addr_end, pkey;
	bool pse36, ept;
};

/**
 * struct gwo - a guest
 * @fmt: of its tables
 * @root: CR3, or the like
 * @pdptr: PAE's root
 * @levels: how many
 * @pae: @pdptr is the root
 * @ps_off: the huge bit is ignored above level 1
 * @has_ad: A and D are kept
 * @tells_fetch: error codes have the fetch bit, if the format has @nx
 * @rsvd: reserved bits, by the huge bit and level - 1
 * @bad_mt_xwr: EPT: which values of bits 0-5 are illegal
 * @pkru: two bits per key: either denies every access
 * @image: what its memory holds
 * @dirty: pages of RAM that the walks wrote to
 */
struct gwo {
	const struct gwo_fmt *fmt;
	u64 root;
	u64 pdptr[4];
	int levels;
	bool pae, ps_off, has_ad, tells_fetch;
	u64 rsvd[2][GWO_LEVELS];
	u64 bad_mt_xwr;
	u32 pkru;
	u8 *image;
	unsigned long dirty;
};

struct gwo_step {
	gfn_t gfn;
	unsigned int index;
	u64 entry;
	unsigned int access;
};

/**
 * struct gwo_result - what a walk must find
 * @ok: the access is allowed
 * @errcode: if not
 * @qualification: EPT's; 0 for a misconfiguration
 * @top: the level of the first table
 * @level: of the page
 * @gfn: the page
 * @access: ACC_*
 * @step: the tables, by level - 1
 */
struct gwo_result {
	bool ok;
	u32 errcode;
	u64 qualification;
	int top, level;
	gfn_t gfn;
	unsigned int access;
	struct gwo_step step[GWO_LEVELS];
};

static inline bool gwo_bit(u64 entry, int bit)
{
	return bit >= 0 && (entry >> bit) % 2;
}

static inline gfn_t gwo_gfn(const struct gwo *o, u64 entry)
{
	return (entry & (BIT_ULL(o->fmt->addr_end) - 1)) >> 12;
}

static inline bool gwo_in(gfn_t gfn, gfn_t place)
{
	return gfn >= place && gfn < place + GWO_PAGES;
}

static inline void *gwo_at(const struct gwo *o, gfn_t gfn, unsigned int index)
{
	return o->image + (gfn % 0x100) * PAGE_SIZE + index * o->fmt->bytes;
}

static inline u64 gwo_read(const struct gwo *o, const struct gwo_step *s)
{
	u64 entry = 0;

	memcpy(&entry, gwo_at(o, s->gfn, s->index), o->fmt->bytes);
	return entry;
}

static inline void gwo_set(struct gwo *o, const struct gwo_step *s, int bit)
{
	u64 entry = gwo_read(o, s);

	if (!gwo_in(s->gfn, GWO_RAM) || gwo_bit(entry, bit))
		return;

	entry |= BIT_ULL(bit);
	memcpy(gwo_at(o, s->gfn, s->index), &entry, o->fmt->bytes);
	o->dirty |= BIT(s->gfn - GWO_RAM);
}

static inline bool gwo_present(const struct gwo *o, u64 entry)
{
	const struct gwo_fmt *f = o->fmt;

	if (f->p >= 0)
		return gwo_bit(entry, f->p);
	return gwo_bit(entry, f->w) || gwo_bit(entry, f->u) || gwo_bit(entry, f->x);
}

static inline bool gwo_reserved(const struct gwo *o, u64 entry, int level)
{
	if (entry & o->rsvd[gwo_bit(entry, o->fmt->ps)][level - 1])
		return true;
	return o->fmt->ept && gwo_bit(o->bad_mt_xwr, entry % 64);
}

static inline unsigned int gwo_access(const struct gwo *o, u64 entry)
{
	const struct gwo_fmt *f = o->fmt;
	bool x = f->x >= 0 ? gwo_bit(entry, f->x) : !gwo_bit(entry, f->nx);

	return (gwo_bit(entry, f->w) ? ACC_WRITE_MASK : 0) |
	       (gwo_bit(entry, f->u) ? ACC_USER_MASK : 0) |
	       (x ? ACC_EXEC_MASK : 0);
}

/* A simple rule, for mmu->permissions too: every right must be granted. */
static inline bool gwo_denies(unsigned int granted, u64 access)
{
	return (access & PFERR_WRITE_MASK && !(granted & ACC_WRITE_MASK)) ||
	       (access & PFERR_USER_MASK && !(granted & ACC_USER_MASK)) ||
	       (access & PFERR_FETCH_MASK && !(granted & ACC_EXEC_MASK));
}

static inline bool gwo_key_denies(const struct gwo *o, u64 entry)
{
	if (o->fmt->pkey < 0)
		return false;
	return (o->pkru >> ((entry >> o->fmt->pkey) % 16 * 2)) % 4;
}

static inline void gwo_fault(const struct gwo *o, struct gwo_result *r,
			     u64 access, u32 errcode)
{
	r->errcode = errcode;
	r->errcode |= access & PFERR_WRITE_MASK;
	r->errcode |= access & PFERR_USER_MASK;
	if (o->tells_fetch && o->fmt->nx >= 0)
		r->errcode |= access & PFERR_FETCH_MASK;

	if (!o->fmt->ept || errcode & PFERR_RSVD_MASK)
		return;

	r->qualification = BIT(7);
	if (access & PFERR_USER_MASK)
		r->qualification |= BIT(0);
	if (access & PFERR_WRITE_MASK)
		r->qualification |= BIT(1);
	if (access & PFERR_FETCH_MASK)
		r->qualification |= BIT(2);
	if (r->access & ACC_USER_MASK)
		r->qualification |= BIT(3);
	if (r->access & ACC_WRITE_MASK)
		r->qualification |= BIT(4);
	if (r->access & ACC_EXEC_MASK)
		r->qualification |= BIT(5);
	if (!(access & PFERR_GUEST_PAGE_MASK))
		r->qualification |= BIT(8);
}

static inline bool gwo_is_leaf(const struct gwo *o, u64 entry, int level)
{
	return level == 1 || (gwo_bit(entry, o->fmt->ps) && !o->ps_off);
}

/* From the root to the leaf; false if it ends before, and that is in @r. */
static inline bool gwo_descend(struct gwo *o, u64 addr, u64 access, u64 entry,
			       struct gwo_result *r)
{
	const int bits = o->fmt->index_bits;
	struct gwo_step *s;

	for (r->level = r->top;; r->level--) {
		s = &r->step[r->level - 1];
		s->gfn = gwo_gfn(o, entry);
		s->index = (addr >> (12 + (r->level - 1) * bits)) % BIT(bits);
		s->access = r->access;

		if (!gwo_in(s->gfn, GWO_RAM) && !gwo_in(s->gfn, GWO_ROM)) {
			gwo_fault(o, r, access, 0);
			return false;
		}
		entry = gwo_read(o, s);
		s->entry = entry;
		r->access &= gwo_access(o, entry);
		if (!gwo_present(o, entry)) {
			gwo_fault(o, r, access, 0);
			return false;
		}
		if (gwo_reserved(o, entry, r->level)) {
			gwo_fault(o, r, access, PFERR_PRESENT_MASK | PFERR_RSVD_MASK);
			return false;
		}
		if (gwo_is_leaf(o, entry, r->level))
			return true;
	}
}

static inline gfn_t gwo_page(const struct gwo *o, u64 entry, u64 addr, int level)
{
	const int shift = (level - 1) * o->fmt->index_bits;
	gfn_t gfn = gwo_gfn(o, entry) >> shift << shift;

	gfn += (addr >> 12) % BIT_ULL(shift);
	if (o->fmt->pse36 && level == 2)
		gfn += (entry >> 13) % 16 << 20;
	return gfn;
}

/* Sets A and D in the image, and takes W from what is clean and is only read. */
static inline void gwo_touch(struct gwo *o, u64 access, struct gwo_result *r)
{
	struct gwo_step *leaf = &r->step[r->level - 1];
	int i;

	if (!o->has_ad)
		return;

	for (i = r->level - 1; i < r->top; i++)
		gwo_set(o, &r->step[i], o->fmt->a);

	if (access & PFERR_WRITE_MASK)
		gwo_set(o, leaf, o->fmt->d);
	else if (!gwo_bit(leaf->entry, o->fmt->d))
		r->access &= ~ACC_WRITE_MASK;
}

static inline void gwo_walk(struct gwo *o, u64 addr, u64 access,
			    struct gwo_result *r)
{
	u64 leaf, root = o->root;
	u32 errcode = 0;

	*r = (struct gwo_result) { .top = o->levels, .access = ACC_ALL };
	if (o->pae) {
		root = o->pdptr[(addr >> 30) % 4];
		r->top = 2;
		if (!gwo_bit(root, 0)) {
			gwo_fault(o, r, access, 0);
			return;
		}
	}
	if (!gwo_descend(o, addr, access, root, r))
		return;

	leaf = r->step[r->level - 1].entry;
	if (gwo_denies(r->access, access))
		errcode |= PFERR_PRESENT_MASK;
	if (gwo_key_denies(o, leaf))
		errcode |= PFERR_PRESENT_MASK | PFERR_PK_MASK;
	if (errcode) {
		gwo_fault(o, r, access, errcode);
		return;
	}
	r->ok = true;
	r->gfn = gwo_page(o, leaf, addr, r->level);
	gwo_touch(o, access, r);
}

/* Random guests */

static inline gfn_t gwo_random_gfn(struct rnd_state *rnd)
{
	static const u16 places[] = { GWO_ROM, GWO_ROM, GWO_HOLE, GWO_NONE };
	u32 r = prandom_u32_state(rnd);

	if (r % 32 == 31)
		return r >> 12;
	return (r % 32 < ARRAY_SIZE(places) ? places[r % 32] : GWO_RAM) +
	       (r >> 16) % GWO_PAGES;
}

static inline u64 gwo_random_u64(struct rnd_state *rnd)
{
	return (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
}

static inline bool gwo_one_in(struct rnd_state *rnd, unsigned int n)
{
	return prandom_u32_state(rnd) % n == 0;
}

static inline u64 gwo_random_entry(const struct gwo *o, struct rnd_state *rnd)
{
	const struct gwo_fmt *f = o->fmt;
	const int often[] = { f->p, f->w, f->u, f->x };
	const int half[] = { f->a, f->d };
	const int seldom[] = { f->nx, f->ps };
	u64 entry = gwo_random_gfn(rnd) << 12;
	int i;

	if (gwo_one_in(rnd, 8))
		entry |= gwo_random_u64(rnd) & ~GENMASK_ULL(f->addr_end - 1, 12);
	for (i = 0; i < ARRAY_SIZE(often); i++)
		if (often[i] >= 0 && !gwo_one_in(rnd, 10))
			entry |= BIT_ULL(often[i]);
	for (i = 0; i < ARRAY_SIZE(half); i++)
		if (gwo_one_in(rnd, 2))
			entry |= BIT_ULL(half[i]);
	for (i = 0; i < ARRAY_SIZE(seldom); i++)
		if (seldom[i] >= 0 && gwo_one_in(rnd, 8))
			entry |= BIT_ULL(seldom[i]);
	return entry;
}

/* A bit at most; neither A nor D, or a walk would make its own tables illegal. */
static inline u64 gwo_random_rsvd(const struct gwo *o, struct rnd_state *rnd)
{
	if (gwo_one_in(rnd, 2))
		return 0;
	return BIT_ULL(prandom_u32_state(rnd) % 64) &
	       ~(BIT_ULL(o->fmt->a) | BIT_ULL(o->fmt->d));
}

static inline void gwo_random_rules(struct gwo *o, struct rnd_state *rnd)
{
	int i;

	for (i = 0; i < 2 * GWO_LEVELS; i++)
		o->rsvd[i / GWO_LEVELS][i % GWO_LEVELS] = gwo_random_rsvd(o, rnd);

	o->bad_mt_xwr = gwo_random_u64(rnd) & gwo_random_u64(rnd) &
			gwo_random_u64(rnd);
	o->pkru = prandom_u32_state(rnd) & prandom_u32_state(rnd) &
		  prandom_u32_state(rnd);
	o->tells_fetch = gwo_one_in(rnd, 2);
}

/* New tables, a new root and new rules; fmt, levels and has_ad stay. */
static inline void gwo_randomize(struct gwo *o, struct rnd_state *rnd)
{
	const int bytes = o->fmt->bytes;
	u64 entry;
	int i;

	for (i = 0; i < GWO_PAGES * PAGE_SIZE / bytes; i++) {
		entry = gwo_random_entry(o, rnd);
		memcpy(o->image + i * bytes, &entry, bytes);
	}
	o->dirty = 0;
	o->root = gwo_random_gfn(rnd) << 12 |
		  (gwo_random_u64(rnd) & ~GENMASK_ULL(o->fmt->addr_end - 1, 12));
	for (i = 0; i < ARRAY_SIZE(o->pdptr); i++)
		o->pdptr[i] = gwo_random_gfn(rnd) << 12 |
			      (gwo_one_in(rnd, 8) ? 0 : PT_PRESENT_MASK);
	gwo_random_rules(o, rnd);
}

#endif /* __KVM_X86_MMU_GUEST_WALK_ORACLE_H */
