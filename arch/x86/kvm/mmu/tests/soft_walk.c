// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page-table walk of a CPU in software, see soft_walk.h.
 */
#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/compiler.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/types.h>

#include "soft_walk.h"

#define INDEX_BITS	9
#define INDEX_MASK	511ULL

/* Legacy paging, SDM table 5-15 and following */
#define LEGACY_P	BIT_ULL(0)
#define LEGACY_RW	BIT_ULL(1)
#define LEGACY_US	BIT_ULL(2)
#define LEGACY_A	BIT_ULL(5)
#define LEGACY_D	BIT_ULL(6)
#define LEGACY_PS	BIT_ULL(7)
#define LEGACY_PAT_HUGE	BIT_ULL(12)
#define LEGACY_XD	BIT_ULL(63)
/* Of a PDPTE of PAE: bits 1, 2, 5-8 and 63 (table 5-8). */
#define PDPTE_RESERVED	(GENMASK_ULL(2, 1) | GENMASK_ULL(8, 5) | BIT_ULL(63))

/* EPT, SDM table 29-2 and following */
#define EPT_R		BIT_ULL(0)
#define EPT_W		BIT_ULL(1)
#define EPT_X		BIT_ULL(2)
#define EPT_RWX		GENMASK_ULL(2, 0)
#define EPT_MT(entry)	(((entry) >> 3) & 7)
#define EPT_PAGE	BIT_ULL(7)
#define EPT_A		BIT_ULL(8)
#define EPT_D		BIT_ULL(9)

/**
 * struct entry - what one entry says
 * @present: it is there
 * @reserved: and must not be as it is
 * @leaf: it maps a page
 * @rights: SOFT_*
 * @accessed: its A; 0: it has none
 * @dirty: its D
 */
struct entry {
	bool present;
	bool reserved;
	bool leaf;
	u8 rights;
	u64 accessed;
	u64 dirty;
};

static int level_shift(int level)
{
	return 12 + INDEX_BITS * (level - 1);
}

static u64 entry_address(const struct soft_tables *tables, u64 entry)
{
	return entry & GENMASK_ULL(tables->maxphyaddr - 1, 12);
}

/* Address bits above what there is, and below where the page begins. */
static bool bad_address(const struct soft_tables *tables, u64 entry, bool leaf,
			int level, u64 allowed)
{
	u64 bad = tables->maxphyaddr < 52 ?
		  GENMASK_ULL(51, tables->maxphyaddr) : 0;

	if (leaf && level > 1)
		bad |= GENMASK_ULL(level_shift(level) - 1, 12) & ~allowed;
	return entry & bad;
}

static struct entry read_pdpte(const struct soft_tables *tables, u64 entry)
{
	return (struct entry) {
		.present = entry & LEGACY_P,
		.reserved = (entry & PDPTE_RESERVED) ||
			    bad_address(tables, entry, false, 3, 0),
		.rights = SOFT_ALL_RIGHTS,
	};
}

static struct entry read_legacy(const struct soft_tables *tables, u64 entry,
				int level)
{
	bool page = entry & LEGACY_PS;
	struct entry e = {
		.present = entry & LEGACY_P,
		.leaf = level == 1 || page,
		.rights = SOFT_R,
		.accessed = LEGACY_A,
		.dirty = LEGACY_D,
	};

	e.reserved = (level > 3 && page) ||
		     (tables->no_xd && (entry & LEGACY_XD)) ||
		     bad_address(tables, entry, e.leaf, level, LEGACY_PAT_HUGE);
	if (entry & LEGACY_RW)
		e.rights |= SOFT_W;
	if (entry & LEGACY_US)
		e.rights |= SOFT_U;
	if (!(entry & LEGACY_XD))
		e.rights |= SOFT_X;
	return e;
}

/* SDM 29.3.3.1: what is an EPT misconfiguration. */
static bool ept_misconfigured(const struct soft_tables *tables, u64 entry,
			      int level, bool leaf)
{
	const u64 rwx = entry & EPT_RWX;

	if (rwx == EPT_W || rwx == (EPT_W | EPT_X))
		return true;
	if (rwx == EPT_X && !tables->exec_only)
		return true;
	if (bad_address(tables, entry, leaf, level, 0))
		return true;
	if (leaf)
		return EPT_MT(entry) == 2 || EPT_MT(entry) == 3 ||
		       EPT_MT(entry) == 7;
	return level > 3 ? entry & GENMASK_ULL(7, 3) : entry & GENMASK_ULL(6, 3);
}

static struct entry read_ept(const struct soft_tables *tables, u64 entry,
			     int level)
{
	struct entry e = {
		.present = entry & EPT_RWX,
		.leaf = level == 1 || (level <= 3 && (entry & EPT_PAGE)),
		.rights = SOFT_U,
		.accessed = tables->ad ? EPT_A : 0,
		.dirty = tables->ad ? EPT_D : 0,
	};

	e.reserved = ept_misconfigured(tables, entry, level, e.leaf);
	if (entry & EPT_R)
		e.rights |= SOFT_R;
	if (entry & EPT_W)
		e.rights |= SOFT_W;
	if (entry & EPT_X)
		e.rights |= SOFT_X;
	return e;
}

static struct entry read_entry(const struct soft_tables *tables, u64 entry,
			       int level)
{
	if (tables->ept)
		return read_ept(tables, entry, level);
	if (tables->levels == 3 && level == 3)
		return read_pdpte(tables, entry);
	return read_legacy(tables, entry, level);
}

static u64 entry_in(u64 table, u64 addr, int level)
{
	return table + ((addr >> level_shift(level)) & INDEX_MASK) * sizeof(u64);
}

/*
 * Sets the bits with a locked operation, unless the entry is another one by now:
 * KVM may replace it at any time, and then the walk begins anew.
 */
static bool set_bits(u64 *entryp, u64 old, u64 bits)
{
	if ((old & bits) == bits)
		return true;
	return try_cmpxchg64(entryp, &old, old | bits);
}

static void note_dirtied(struct soft_dirtied *dirtied, u64 addr)
{
	if (!WARN_ON_ONCE(dirtied->nr == SOFT_MAX_DIRTIED))
		dirtied->addr[dirtied->nr++] = addr;
}

/**
 * struct way - a walk under way
 * @tables: where
 * @addr: the address
 * @need: see soft_walk()
 * @dirtied: see there
 * @walk: the result so far
 * @again: the tables changed meanwhile
 */
struct way {
	const struct soft_tables *tables;
	u64 addr;
	u8 need;
	struct soft_dirtied *dirtied;
	struct soft_walk walk;
	bool again;
};

/*
 * What the outer tables make of @addr, which the inner ones lead to.  Return: the
 * rights that it has there; 0: the walk ends there.
 */
static u8 walk_outer(struct way *way, u64 *addr, u8 need, bool table)
{
	const u64 inner = *addr;
	struct soft_walk outer;

	if (!way->tables->outer)
		return SOFT_ALL_RIGHTS;
	outer = soft_walk(way->tables->outer, inner, need, way->dirtied);
	if (soft_walk_failed(&outer)) {
		outer.outer = true;
		outer.table = table;
		outer.addr = inner;
		way->walk = outer;
		return 0;
	}
	*addr = outer.pa + offset_in_page(inner);
	return outer.rights;
}

/*
 * To NPT, and to EPT that keeps A and D, an access to a table is a write (APM
 * vol. 2, 15.25.6, SDM 29.3.3.2); else it is one if it is.
 */
static u8 need_of_table(const struct soft_tables *outer, bool write)
{
	const u8 need = SOFT_R | SOFT_U;

	return write || !outer->ept || outer->ad ? need | SOFT_W | SOFT_D : need;
}

static bool find_entry(struct way *way, bool write, u64 **entryp)
{
	const struct soft_tables *outer = way->tables->outer;
	u64 addr = entry_in(way->walk.pa, way->addr, way->walk.level);

	if (outer && !walk_outer(way, &addr, need_of_table(outer, write), true))
		return false;
	*entryp = phys_to_virt(addr);
	return true;
}

/* A, and D.  false: the walk ends, or has to begin again. */
static bool mark_entry(struct way *way, u64 *entryp, u64 old, const struct entry *e)
{
	u64 bits = e->accessed;

	if (e->leaf && (way->need & SOFT_D))
		bits |= e->dirty;
	if ((old & bits) == bits)
		return true;
	/* The page must be writable: its translation may be another one by now. */
	if (way->tables->outer && !find_entry(way, true, &entryp))
		return false;
	way->again = !set_bits(entryp, old, bits);
	if (!way->again && (bits & ~old & e->dirty) && !way->tables->outer)
		note_dirtied(way->dirtied, way->addr);
	return !way->again;
}

/* Return: whether the walk goes on below, to the table at walk.pa. */
static bool step(struct way *way)
{
	const struct soft_tables *tables = way->tables;
	struct soft_walk *walk = &way->walk;
	u64 *entryp, old, in_page;
	struct entry e;

	if (!find_entry(way, false, &entryp))
		return false;
	old = READ_ONCE(*entryp);
	e = read_entry(tables, old, walk->level);
	walk->present = e.present;
	walk->reserved = e.present && e.reserved;
	if (!e.present || e.reserved)
		return false;

	walk->rights &= e.rights;
	if (e.leaf && !(walk->rights & SOFT_U))
		walk->rights |= SOFT_S;
	walk->denied = e.leaf && (way->need & ~SOFT_D & ~walk->rights);
	if (walk->denied || !mark_entry(way, entryp, old, &e))
		return false;

	walk->pa = entry_address(tables, old);
	if (e.leaf) {
		in_page = BIT_ULL(level_shift(walk->level)) - 1;
		walk->pa = (walk->pa & ~in_page) | (way->addr & in_page & ~0xfffULL);
	}
	return !e.leaf;
}

/*
 * The page itself, in the outer tables: R, W and X as the access needs them.  To
 * write to it always takes a walk, to execute it may be tried later.
 */
static void walk_to_page(struct way *way)
{
	u8 rights;
	const u8 need = (way->need & (SOFT_R | SOFT_X | SOFT_D)) | SOFT_U |
			(way->need & SOFT_D ? SOFT_W : 0);

	way->walk.gpa = way->walk.pa;
	rights = walk_outer(way, &way->walk.pa, need, false);
	if (!(rights & SOFT_X))
		way->walk.rights &= ~SOFT_X;
}

struct soft_walk soft_walk(const struct soft_tables *tables, u64 addr, u8 need,
			   struct soft_dirtied *dirtied)
{
	struct way way = {
		.tables = tables,
		.addr = addr,
		.need = need,
		.dirtied = dirtied,
	};

	if (tables->nested && addr >> level_shift(tables->levels + 1))
		return (struct soft_walk) { .level = tables->levels };

	do {
		way.again = false;
		way.walk = (struct soft_walk) {
			.pa = tables->root,
			.rights = SOFT_ALL_RIGHTS,
			.level = tables->levels,
		};
		while (step(&way))
			way.walk.level--;
		if (!way.again && !soft_walk_failed(&way.walk))
			walk_to_page(&way);
	} while (way.again);

	return way.walk;
}
