/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The page-table walk of a CPU in software: SDM vol. 3 chapters 5 (paging) and
 * 29.3 (EPT), APM vol. 2 chapters 5 and 15.25 (nested paging).
 *
 * It knows the manuals' bits and nothing of KVM: what KVM means by a bit that
 * they leave to software is invisible here.
 */
#ifndef __KVM_X86_MMU_SOFT_WALK_H
#define __KVM_X86_MMU_SOFT_WALK_H

#include <linux/bits.h>
#include <linux/types.h>

#define SOFT_R	BIT(0)
#define SOFT_W	BIT(1)
#define SOFT_X	BIT(2)
#define SOFT_U	BIT(3)
#define SOFT_ALL_RIGHTS	(SOFT_R | SOFT_W | SOFT_X | SOFT_U)
/* The page is no page of user mode: what SMEP and SMAP ask for. */
#define SOFT_S	BIT(4)
/* Not a right: the access is a write, whatever rights that takes. */
#define SOFT_D	BIT(5)

/**
 * struct soft_tables - what the walk starts from, and the CPU's features
 * @root: physical address of the first table
 * @levels: how many; 3: PAE, whose first one is four PDPTEs
 * @maxphyaddr: bits of a physical address
 * @ept: the format is EPT's
 * @ad: EPT keeps A and D (the other format always does)
 * @exec_only: EPT allows X without R
 * @no_xd: the other format has no XD: the bit is reserved
 * @nested: addresses are physical ones of a guest: no level translates bits above
 *	those of the first one (SDM 29.3)
 * @outer: what translates the addresses in these tables, and where they lead to:
 *	nested paging; NULL: they are physical
 */
struct soft_tables {
	u64 root;
	int levels;
	int maxphyaddr;
	bool ept;
	bool ad;
	bool exec_only;
	bool no_xd;
	bool nested;
	const struct soft_tables *outer;
};

#define SOFT_MAX_DIRTIED	8

/**
 * struct soft_dirtied - pages whose Dirty bits the CPU set in the outermost tables
 * @nr: how many
 * @addr: the addresses that led there
 */
struct soft_dirtied {
	int nr;
	u64 addr[SOFT_MAX_DIRTIED];
};

/**
 * struct soft_walk - its result
 * @pa: of the page of 4K
 * @gpa: its address in the outer tables, if there are; where the walk ended well
 * @rights: of all levels
 * @level: of the entry that ended it, 1 being the last table's
 * @present: that entry is there; else the walk has failed
 * @reserved: it has bits that must not be set; the walk has failed
 * @denied: rights are missing; the walk has failed
 * @outer: all of this is about the outer tables, for @addr, where the walk failed
 * @table: which is where one of the inner tables is
 * @addr: the address in the outer tables
 */
struct soft_walk {
	u64 pa;
	u64 gpa;
	u8 rights;
	int level;
	bool present;
	bool reserved;
	bool denied;
	bool outer;
	bool table;
	u64 addr;
};

/**
 * soft_walk() - translate an address as the CPU does
 * @tables: where, and how
 * @addr: the address
 * @need: rights that the access needs, and SOFT_D
 * @dirtied: pages are added
 *
 * Sets A, and D for a write, with locked operations.
 *
 * Context: the tables must not go away, so interrupts are off.
 */
struct soft_walk soft_walk(const struct soft_tables *tables, u64 addr, u8 need,
			   struct soft_dirtied *dirtied);

static inline bool soft_walk_failed(const struct soft_walk *walk)
{
	return !walk->present || walk->reserved || walk->denied;
}

#endif /* __KVM_X86_MMU_SOFT_WALK_H */
