/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM of two software CPUs with one slot whose dirty log is by regions
 * (tdp_region.h), if the hardware lets it.
 *
 * The slot is two regions and a bit: the last pages are in a table that the slot
 * has in part, where each page traps.
 */
#ifndef __KVM_X86_MMU_SOFT_REGION_H
#define __KVM_X86_MMU_SOFT_REGION_H

#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu/tdp_region.h"
#include "soft_vendor.h"
#include "soft_vm.h"

static const struct soft_hardware __maybe_unused region_hardwares[] = {
	{ "NPT", .tdp = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
	{ "EPT", .tdp = true, .ept = true, .ad = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
};

/* The slot. */
#define REGION_GFN	0x1000ULL
#define REGION_PAGES	512UL
#define REGION_PART	(2 * REGION_PAGES)	/* in a table of others, too */
#define REGION_SLOT	(REGION_PART + 64)
#define REGION_LOG	KVM_MEM_LOG_DIRTY_PAGES

/**
 * struct region_test - a VM and its log
 * @vm: the VM, with two vCPUs
 * @log: what KVM_GET_DIRTY_LOG has said last
 */
struct region_test {
	struct soft_vm *vm;
	DECLARE_BITMAP(log, REGION_SLOT);
};

/* On the hardware of the test's parameter; @huge: the host may have huge pages. */
struct region_test *region_create_kind(struct kunit *test, enum soft_log log,
				       bool huge);
struct region_test *region_create(struct kunit *test);

/* KVM_SET_USER_MEMORY_REGION of the slot. */
void region_set_flags(struct region_test *t, u32 flags);

/* A vCPU reads or writes a page of the slot; vCPU 0 writes some.  How many exits. */
u64 region_touch(struct region_test *t, int vcpu, unsigned long page, bool write);
u64 region_write(struct region_test *t, unsigned long first, unsigned long nr);

/* KVM_GET_DIRTY_LOG: is it [first, first + nr), and has no TLB more than it should? */
bool region_log_is(struct region_test *t, unsigned long first, unsigned long nr);
bool region_log_is_empty(struct region_test *t);

/* KVM_CLEAR_DIRTY_LOG */
void region_clear_log(struct region_test *t, unsigned long first, unsigned long nr);

/* vCPU 0's SPTE of a page, NULL if not of that level; with 2M the link above. */
u64 *region_sptep(struct region_test *t, unsigned long page, int level);
u64 region_spte(struct region_test *t, unsigned long page);

/* enum spte_region */
u64 region_state(struct region_test *t, unsigned long page);

/* Skips the test unless vCPU 0 has a page in a huge page. */
void region_need_huge(struct region_test *t, unsigned long page);

/* Write-protects a page, as if a table of L1 were in it. */
void region_protect(struct region_test *t, unsigned long page);

#endif /* __KVM_X86_MMU_SOFT_REGION_H */
