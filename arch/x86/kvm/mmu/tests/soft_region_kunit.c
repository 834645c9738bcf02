// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logging by regions (tdp_region.h), on software CPUs: which pages are in the
 * log, what that costs the guest in exits, and the states of a region in turn.
 *
 * The slot is two regions and a bit: the last pages are in a table that the slot
 * has in part, where each page traps.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/spte.h"
#include "mmu/tdp.h"
#include "mmu/tdp_pte.h"
#include "mmu/tdp_region.h"
#include "soft_check.h"
#include "soft_cpu.h"
#include "soft_helper.h"
#include "soft_vendor.h"
#include "soft_vm.h"

static const struct soft_hardware hardwares[] = {
	{ "NPT", .tdp = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
	{ "EPT", .tdp = true, .ept = true, .ad = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
};

KUNIT_ARRAY_PARAM_DESC(hardware, hardwares, name);

#define GFN		0x1000ULL
#define REGION		512UL
#define PART		(2 * REGION)
#define NR_PAGES	(PART + 64)
#define LOG		KVM_MEM_LOG_DIRTY_PAGES

/**
 * struct region_test - a VM and its log
 * @vm: the VM, with two vCPUs
 * @log: what KVM_GET_DIRTY_LOG has said last
 */
struct region_test {
	struct soft_vm *vm;
	DECLARE_BITMAP(log, NR_PAGES);
};

static void set_flags(struct region_test *t, u32 flags)
{
	KUNIT_ASSERT_EQ(t->vm->test, 0,
			soft_vm_set_slot(t->vm, 0, GFN, NR_PAGES, 0, flags));
}

static struct region_test *create_kind(struct kunit *test, enum soft_log log, bool huge)
{
	struct region_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	const struct soft_vm_kind kind = { .log = log, .small = !huge };

	KUNIT_ASSERT_NOT_NULL(test, t);
	soft_vendor_load(test, test->param_value);
	t->vm = soft_vm_create_kind(test, 2, soft_memory_create(test, NR_PAGES), &kind);
	soft_vm_renew_pages(t->vm, 0, NR_PAGES);
	soft_vm_mark_pages(t->vm, 0, NR_PAGES);
	set_flags(t, 0);
	return t;
}

static struct region_test *create(struct kunit *test)
{
	return create_kind(test, SOFT_LOG_BITMAP, false);
}

static u64 touch(struct region_test *t, int vcpu, unsigned long page, bool write)
{
	struct soft_vcpu *sv = to_soft_vcpu(t->vm->vcpu[vcpu]);
	struct soft_access access = {
		.addr = gfn_to_gpa(GFN + page),
		.write = write,
		.value = page,
	};
	const u64 before = sv->exits;

	KUNIT_EXPECT_EQ(t->vm->test, soft_cpu_run(&sv->vcpu, &access), SOFT_RAM);
	return sv->exits - before;
}

/* How many exits it took. */
static u64 write_pages(struct region_test *t, unsigned long first, unsigned long nr)
{
	u64 exits = 0;

	for (; nr; nr--)
		exits += touch(t, 0, first++, true);
	return exits;
}

/* Is the log [first, first + nr), and no TLB has more than it should? */
static bool log_is(struct region_test *t, unsigned long first, unsigned long nr)
{
	DECLARE_BITMAP(want, NR_PAGES) = {};
	const char *why;
	gfn_t gfn;
	int i;

	bitmap_zero(t->log, NR_PAGES);
	KUNIT_EXPECT_EQ(t->vm->test, 0,
			soft_vm_get_dirty_log(t->vm, 0, (u64 *)t->log,
					      BITS_TO_LONGS(NR_PAGES)));
	for (i = 0; i < t->vm->nr_vcpus; i++) {
		why = soft_check_tlb(t->vm->vcpu[i], SOFT_DUE_DONE, &gfn);
		KUNIT_EXPECT_NULL_MSG(t->vm->test, why, "gfn %llx: %s", gfn, why);
	}
	bitmap_set(want, first, nr);
	return bitmap_equal(t->log, want, NR_PAGES);
}

static bool log_is_empty(struct region_test *t)
{
	return log_is(t, 0, 0);
}

static void clear_log(struct region_test *t, unsigned long first, unsigned long nr)
{
	DECLARE_BITMAP(pages, NR_PAGES) = {};
	const unsigned long start = round_down(first, 64);

	bitmap_set(pages, first - start, nr);
	KUNIT_EXPECT_EQ(t->vm->test, 0,
			soft_vm_clear_dirty_log(t->vm, 0, start,
						round_up(first + nr, 64) - start,
						(u64 *)pages));
}

static u64 nr_flushes(const struct region_test *t)
{
	return t->vm->kvm->stat.generic.remote_tlb_flush_requests;
}

/* The SPTE of a page, and with @level of 2M the link above. */
static u64 *sptep_of(struct region_test *t, unsigned long page, int level)
{
	const hpa_t hpa = t->vm->vcpu[0]->arch.mmu->root.hpa;
	struct tdp_table *root = table_to_tdp(root_to_table(hpa));
	struct tdp_iter iter, last = {};

	rcu_read_lock();
	tdp_for_each_level(iter, root, level, GFN + page, GFN + page + 1)
		last = iter;
	rcu_read_unlock();
	return last.level == level ? (__force u64 *)last.sptep : NULL;
}

static u64 spte_of(struct region_test *t, unsigned long page)
{
	return READ_ONCE(*sptep_of(t, page, PG_LEVEL_4K));
}

static u64 region_of(struct region_test *t, unsigned long page)
{
	return spte_region(READ_ONCE(*sptep_of(t, page, PG_LEVEL_2M)));
}

/* The log begins with a store to each link, and knows nothing older. */
static void region_begin_is_one_store(struct kunit *test)
{
	struct region_test *t = create(test);
	u64 spte;

	write_pages(t, 0, NR_PAGES);
	spte = spte_of(t, 5);
	KUNIT_EXPECT_TRUE(test, spte & spte_fmt.dirty);
	set_flags(t, LOG);
	KUNIT_EXPECT_EQ(test, spte_of(t, 5), spte);
	KUNIT_EXPECT_EQ(test, region_of(t, 5), SPTE_REGION_STALE);
	KUNIT_EXPECT_EQ(test, region_of(t, REGION), SPTE_REGION_STALE);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_of(t, 5), SPTE_REGION_STALE);
}

/* One exit opens a region; D from before is gone by then. */
static void region_opens_once(struct kunit *test)
{
	struct region_test *t = create(test);

	write_pages(t, 0, REGION);
	set_flags(t, LOG);
	KUNIT_EXPECT_EQ(test, write_pages(t, 7, 1), 1);
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_FALSE(test, spte_of(t, 8) & spte_fmt.dirty);
	KUNIT_EXPECT_TRUE(test, log_is(t, 7, 1));

	/* The D that went with the report comes again without an exit. */
	KUNIT_EXPECT_EQ(test, write_pages(t, 0, REGION), 0);
	KUNIT_EXPECT_TRUE(test, log_is(t, 0, REGION));
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
}

/* The other vCPU's TLB has D: it must not write on unseen. */
static void region_log_flushes(struct kunit *test)
{
	struct region_test *t = create(test);

	set_flags(t, LOG);
	touch(t, 1, 3, true);
	touch(t, 1, 3, true);
	KUNIT_EXPECT_TRUE(test, log_is(t, 3, 1));
	touch(t, 1, 3, true);
	KUNIT_EXPECT_TRUE(test, log_is(t, 3, 1));
}

/* To read, or to be mapped for it, is not to write. */
static void region_reads_are_not_logged(struct kunit *test)
{
	struct region_test *t = create(test);

	set_flags(t, LOG);
	touch(t, 0, 9, false);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_pre_fault(t->vm, 0, GFN + 20, 4));
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_LE(test, touch(t, 0, 9, true), 1ULL);
	KUNIT_EXPECT_EQ(test, write_pages(t, 20, 4), 0);
	write_pages(t, 10, 10);
	KUNIT_EXPECT_TRUE(test, log_is(t, 9, 15));
}

/* Where nobody writes, the region is closed, looked at again, and then not any more. */
static void region_closes(struct kunit *test)
{
	struct region_test *t = create(test);
	u64 flushes;

	set_flags(t, LOG);
	write_pages(t, 0, 2);
	KUNIT_EXPECT_TRUE(test, log_is(t, 0, 2));
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_OPEN);
	flushes = nr_flushes(t);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_CLOSING);
	KUNIT_EXPECT_EQ(test, nr_flushes(t), flushes + 1);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_CLOSED);
	KUNIT_EXPECT_EQ(test, nr_flushes(t), flushes + 1);

	KUNIT_EXPECT_EQ(test, touch(t, 1, 1, true), 1ULL);
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, log_is(t, 1, 1));
}

/* What a CPU wrote between the look at D and the flush. */
static void region_second_look(struct kunit *test)
{
	struct region_test *t = create(test);

	set_flags(t, LOG);
	write_pages(t, 0, 2);
	log_is(t, 0, 2);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_ASSERT_EQ(test, region_of(t, 0), SPTE_REGION_CLOSING);
	*sptep_of(t, 1, PG_LEVEL_4K) |= spte_fmt.dirty;

	KUNIT_EXPECT_TRUE(test, log_is(t, 1, 1));
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_CLOSING);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_CLOSED);
}

/* A region that closes may open again at once, with what is written there. */
static void region_opens_while_it_closes(struct kunit *test)
{
	struct region_test *t = create(test);

	set_flags(t, LOG);
	write_pages(t, 0, 2);
	log_is(t, 0, 2);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	*sptep_of(t, 1, PG_LEVEL_4K) |= spte_fmt.dirty;
	KUNIT_EXPECT_EQ(test, write_pages(t, 2, 2), 2);
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, log_is(t, 1, 3));
}

static void invalidate(struct region_test *t, unsigned long page, unsigned long nr)
{
	soft_vm_invalidate(t->vm, page, nr);
}

/* D goes with its leaf: to the log, if it is of the log. */
static void region_zap_logs(struct kunit *test)
{
	struct region_test *t = create(test);

	write_pages(t, 0, 4);
	set_flags(t, LOG);
	invalidate(t, 0, 1);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));

	write_pages(t, 1, 3);
	touch(t, 0, 4, false);
	invalidate(t, 0, 8);
	KUNIT_EXPECT_TRUE(test, log_is(t, 1, 3));
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
}

/* The same, with the whole tree. */
static void region_table_logs(struct kunit *test)
{
	struct region_test *t = create(test);

	write_pages(t, 0, 4);
	set_flags(t, LOG);
	soft_vm_zap_all(t->vm);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));

	write_pages(t, 2, 2);
	touch(t, 0, 4, false);
	soft_vm_zap_all(t->vm);
	KUNIT_EXPECT_TRUE(test, log_is(t, 2, 2));
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
}

/* A slot that moves keeps its log. */
static void region_move_keeps_log(struct kunit *test)
{
	struct region_test *t = create(test);

	set_flags(t, LOG);
	write_pages(t, 2, 3);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(t->vm, 0, GFN + 0x4000, NR_PAGES, 0,
						  LOG));
	KUNIT_EXPECT_TRUE(test, log_is(t, 2, 3));
}

/* Opened again without a word about D, and closed by the next log. */
static void region_log_ends(struct kunit *test)
{
	struct region_test *t = create(test);

	write_pages(t, 0, REGION);
	set_flags(t, LOG);
	set_flags(t, 0);
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_STALE);
	KUNIT_EXPECT_EQ(test, write_pages(t, 0, REGION), 1);
	KUNIT_EXPECT_TRUE(test, spte_of(t, 8) & spte_fmt.dirty);
	set_flags(t, LOG);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, write_pages(t, 8, 1), 1);
	KUNIT_EXPECT_TRUE(test, log_is(t, 8, 1));
}

/* What the slot has in part: a fault for each page, as ever. */
static void region_part_traps(struct kunit *test)
{
	struct region_test *t = create(test);

	write_pages(t, 0, NR_PAGES);
	set_flags(t, LOG);
	KUNIT_EXPECT_EQ(test, region_of(t, PART), SPTE_REGION_OPEN);
	KUNIT_EXPECT_FALSE(test, spte_writable(spte_of(t, PART)));
	KUNIT_EXPECT_EQ(test, write_pages(t, PART, 8), 8);
	KUNIT_EXPECT_TRUE(test, log_is(t, PART, 8));
	KUNIT_EXPECT_EQ(test, write_pages(t, PART - 1, 2), 2);
	KUNIT_EXPECT_TRUE(test, log_is(t, PART - 1, 2));
	invalidate(t, PART, 64);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
}

/* KVM_GET_DIRTY_LOG leaves D to KVM_CLEAR_DIRTY_LOG, which takes it and flushes. */
static void region_manual(struct kunit *test)
{
	struct region_test *t = create_kind(test, SOFT_LOG_MANUAL, false);

	set_flags(t, LOG);
	write_pages(t, 62, 4);
	KUNIT_EXPECT_TRUE(test, log_is(t, 62, 4));
	KUNIT_EXPECT_TRUE(test, log_is(t, 62, 4));
	clear_log(t, 63, 3);
	KUNIT_EXPECT_TRUE(test, log_is(t, 62, 1));
	KUNIT_EXPECT_EQ(test, write_pages(t, 64, 1), 0);
	clear_log(t, 62, 1);
	KUNIT_EXPECT_TRUE(test, log_is(t, 64, 1));
}

/* A log that begins with all pages closes nothing. */
static void region_initially_set(struct kunit *test)
{
	struct region_test *t = create_kind(test, SOFT_LOG_INITIALLY_SET, false);

	write_pages(t, 0, NR_PAGES);
	set_flags(t, LOG);
	KUNIT_EXPECT_EQ(test, region_of(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, log_is(t, 0, NR_PAGES));
	clear_log(t, 0, NR_PAGES);
	KUNIT_EXPECT_TRUE(test, log_is_empty(t));
	KUNIT_EXPECT_EQ(test, write_pages(t, 5, 2), 1);
	KUNIT_EXPECT_TRUE(test, log_is(t, 5, 2));
}

/* A huge page becomes an open region by the first write, or is split before. */
static void test_huge(struct kunit *test, bool eager)
{
	const bool saved = eager_page_split;
	struct region_test *t = create_kind(test, SOFT_LOG_BITMAP, true);

	write_pages(t, 0, 1);
	if (!sptep_of(t, 0, PG_LEVEL_2M) ||
	    !spte_huge(READ_ONCE(*sptep_of(t, 0, PG_LEVEL_2M))))
		kunit_skip(test, "the host has no huge page");
	eager_page_split = eager;
	set_flags(t, LOG);
	eager_page_split = saved;
	KUNIT_EXPECT_EQ(test, !sptep_of(t, 0, PG_LEVEL_4K), !eager);
	KUNIT_EXPECT_EQ(test, write_pages(t, 3, 100), 1);
	KUNIT_EXPECT_TRUE(test, log_is(t, 3, 100));
}

static void region_of_huge_page_lazily(struct kunit *test)
{
	test_huge(test, false);
}

static void region_of_huge_page_eagerly(struct kunit *test)
{
	test_huge(test, true);
}

/* Of two vCPUs that open a stale region, the second one has to try again. */
static void region_openers_exclude_each_other(struct kunit *test)
{
	struct region_test *t = create(test);
	struct kvm *kvm = t->vm->kvm;
	struct kvm_page_fault fault = {
		.write = true,
		.gfn = GFN,
	};
	u64 *link, *sptep;
	int fast, slow, idx;

	write_pages(t, 0, 1);
	set_flags(t, LOG);
	link = sptep_of(t, 0, PG_LEVEL_2M);
	sptep = sptep_of(t, 0, PG_LEVEL_4K);

	idx = srcu_read_lock(&kvm->srcu);
	fault.slot = gfn_to_memslot(kvm, GFN);
	read_lock(&kvm->mmu_lock);
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, tdp_region_fast_open(kvm, &fault, sptep), RET_PF_INVALID);
	*link |= SPTE_REGION_OPENING;
	fast = tdp_region_fast_open(kvm, &fault, sptep);
	slow = tdp_region_open(kvm, &fault, sptep);
	KUNIT_EXPECT_EQ(test, fast, RET_PF_RETRY);
	KUNIT_EXPECT_EQ(test, slow, RET_PF_RETRY);
	KUNIT_EXPECT_TRUE(test, *sptep & spte_fmt.dirty);
	*link = (*link & ~SPTE_REGION_MASK) | SPTE_REGION_STALE;
	KUNIT_EXPECT_EQ(test, tdp_region_open(kvm, &fault, sptep), RET_PF_FIXED);
	KUNIT_EXPECT_FALSE(test, *sptep & spte_fmt.dirty);
	KUNIT_EXPECT_EQ(test, tdp_region_open(kvm, &fault, sptep), RET_PF_SPURIOUS);
	rcu_read_unlock();
	read_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE_PARAM(region_begin_is_one_store, hardware_gen_params),
	KUNIT_CASE_PARAM(region_opens_once, hardware_gen_params),
	KUNIT_CASE_PARAM(region_log_flushes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_reads_are_not_logged, hardware_gen_params),
	KUNIT_CASE_PARAM(region_closes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_second_look, hardware_gen_params),
	KUNIT_CASE_PARAM(region_opens_while_it_closes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_zap_logs, hardware_gen_params),
	KUNIT_CASE_PARAM(region_table_logs, hardware_gen_params),
	KUNIT_CASE_PARAM(region_move_keeps_log, hardware_gen_params),
	KUNIT_CASE_PARAM(region_log_ends, hardware_gen_params),
	KUNIT_CASE_PARAM(region_part_traps, hardware_gen_params),
	KUNIT_CASE_PARAM(region_manual, hardware_gen_params),
	KUNIT_CASE_PARAM(region_initially_set, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_huge_page_lazily, hardware_gen_params),
	KUNIT_CASE_PARAM(region_of_huge_page_eagerly, hardware_gen_params),
	KUNIT_CASE_PARAM(region_openers_exclude_each_other, hardware_gen_params),
	{}
};

static struct kunit_suite region_suite = {
	.name = "kvm_soft_region",
	.test_cases = region_cases,
};

kunit_test_suite(region_suite);
