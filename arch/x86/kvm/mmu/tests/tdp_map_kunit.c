// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a fault of direct paging does to an SPTE: under mmu_lock (tdp_map()), and
 * without it (fast_fault_direct()).  The fault is put together here: its page is
 * known, so that nobody has to ask the host.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/find.h>
#include <linux/kvm_host.h>
#include <linux/refcount.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "test_tdp_formats.h"

#define W_BITS	(PT_WRITABLE_MASK | spte_fmt.mmu_writable)

/**
 * struct fault_test - a fault at TEST_GFN, and where it goes
 * @t: the tree
 * @slot: of TEST_GFN; in no set
 * @sptep: the SPTE that translates TEST_GFN
 */
struct fault_test {
	struct tdp_test *t;
	struct kvm_memory_slot *slot;
	u64 *sptep;
};

static struct fault_test *create(struct kunit *test)
{
	struct fault_test *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct tdp_iter iter;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->slot = kunit_kzalloc(test, sizeof(*f->slot), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->slot);
	f->slot->base_gfn = TEST_HUGE_GFN;
	f->slot->npages = 512;

	f->t = tdp_test_create_param(test);
	iter = tdp_test_path(test, f->t, TEST_GFN, PG_LEVEL_4K);
	f->sptep = tdp_test_raw(&iter);
	return f;
}

/* The slot's writes are logged from now on. */
static void log_slot(struct kunit *test, struct fault_test *f)
{
	f->slot->flags |= KVM_MEM_LOG_DIRTY_PAGES;
	f->slot->dirty_bitmap = kunit_kzalloc(test, kvm_dirty_bitmap_bytes(f->slot),
					      GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, f->slot->dirty_bitmap);
}

/* The one page that is logged since this was asked last is TEST_GFN. */
static bool was_logged(struct fault_test *f)
{
	const unsigned int page = TEST_GFN - TEST_HUGE_GFN;
	bool logged = test_and_clear_bit_le(page, f->slot->dirty_bitmap);

	return logged && find_first_bit(f->slot->dirty_bitmap, 512) == 512;
}

/* Who marks a page dirty is a vCPU that runs, unless the VM is being destroyed. */
static void pretend_to_run(struct fault_test *f, bool pretend)
{
	refcount_set(&f->t->kvm->users_count, !pretend);
}

/* Under mmu_lock. */

static int map(struct fault_test *f, struct kvm_page_fault *fault, bool mmu_writable)
{
	struct kvm *kvm = f->t->kvm;
	int r;

	pretend_to_run(f, true);
	read_lock(&kvm->mmu_lock);
	r = tdp_map(f->t->vcpu, fault, mmu_writable);
	read_unlock(&kvm->mmu_lock);
	pretend_to_run(f, false);
	return r;
}

/* What the vCPU does, and whether it waits for that. */
struct fault_kind {
	bool write;
	bool exec;
	bool prefetch;
};

static int map_kind(struct fault_test *f, const struct fault_kind *kind,
		    bool host_writable, bool mmu_writable)
{
	struct kvm_page_fault fault = {
		.addr = gfn_to_gpa(TEST_GFN),
		.write = kind->write,
		.exec = kind->exec,
		.prefetch = kind->prefetch,
		.is_tdp = true,
		.max_level = PG_LEVEL_4K,
		.gfn = TEST_GFN,
		.slot = f->slot,
		.pfn = page_to_pfn(f->t->page),
		.page = f->t->page,
		.map_writable = host_writable,
	};

	return map(f, &fault, mmu_writable);
}

static int map_page(struct fault_test *f, bool write, bool host_writable,
		    bool mmu_writable)
{
	const struct fault_kind kind = { .write = write };

	return map_kind(f, &kind, host_writable, mmu_writable);
}

static int map_mmio(struct fault_test *f)
{
	struct kvm_page_fault fault = {
		.addr = gfn_to_gpa(TEST_GFN),
		.is_tdp = true,
		.max_level = PG_LEVEL_4K,
		.gfn = TEST_GFN,
		.pfn = KVM_PFN_NOSLOT,
	};

	return map(f, &fault, true);
}

static void map_twice(struct kunit *test)
{
	struct fault_test *f = create(test);

	KUNIT_EXPECT_EQ(test, map_page(f, true, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, W_BITS);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(f->t, PG_LEVEL_4K), 1);

	KUNIT_EXPECT_EQ(test, map_page(f, true, true, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(f->t, PG_LEVEL_4K), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), 0);
}

/*
 * Another vCPU's fault has mapped the page writable, when this one comes with
 * what the host said before that: the page may only be read.
 */
static void map_late_read(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 spte;

	map_page(f, true, true, true);
	spte = *f->sptep;
	KUNIT_EXPECT_EQ(test, map_page(f, false, false, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), 0);
}

/* A prefetch takes nothing from what is mapped, A the least. */
static void map_late_prefetch(struct kunit *test)
{
	const struct fault_kind prefetch = { .prefetch = true };
	const struct fault_kind write = { .prefetch = true, .write = true };
	struct fault_test *f = create(test);
	u64 spte;

	map_page(f, true, true, true);
	spte = *f->sptep;
	KUNIT_EXPECT_EQ(test, map_kind(f, &prefetch, true, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_EQ(test, map_kind(f, &prefetch, false, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);

	/* Also if the leaf allows less than the prefetch would. */
	map_mmio(f);
	map_page(f, false, false, true);
	spte = *f->sptep;
	KUNIT_EXPECT_EQ(test, map_kind(f, &write, true, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);
}

/* It needs a right that the leaf lacks, and takes others: no TLB keeps these. */
static void map_late_fetch_flushes(struct kunit *test)
{
	const struct fault_kind fetch = { .exec = true };
	struct fault_test *f = create(test);
	u64 bits = W_BITS | spte_fmt.accessed | spte_fmt.dirty, spte;

	spte = tdp_test_leaf(f->t, PG_LEVEL_4K, bits);
	spte = (spte & ~spte_fmt.exec) | spte_fmt.nx;
	map_page(f, true, true, true);
	WRITE_ONCE(*f->sptep, spte);

	KUNIT_EXPECT_EQ(test, map_kind(f, &fetch, false, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, 0);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), 1);

	/* W alone is short, and M as well as W may be in a TLB. */
	WRITE_ONCE(*f->sptep, spte & ~PT_WRITABLE_MASK);
	KUNIT_EXPECT_EQ(test, map_kind(f, &fetch, false, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), 2);
}

/* A shadowed table, or memory that the host gives for reading. */
static void map_forbids_writes(struct kunit *test)
{
	struct fault_test *f = create(test);

	KUNIT_EXPECT_EQ(test, map_page(f, true, true, false), RET_PF_WRITE_PROTECTED);
	KUNIT_EXPECT_TRUE(test, spte_present(*f->sptep));
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, 0);
	KUNIT_EXPECT_TRUE(test, spte_host_writable(*f->sptep));

	map_mmio(f);
	KUNIT_EXPECT_EQ(test, map_page(f, false, false, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, 0);
	KUNIT_EXPECT_FALSE(test, spte_host_writable(*f->sptep));
}

/* What needs no fault to be written is in the log from the start. */
static void map_logs_writable(struct kunit *test)
{
	struct fault_test *f = create(test);

	log_slot(test, f);
	map_page(f, false, true, true);
	KUNIT_EXPECT_TRUE(test, spte_writable(*f->sptep));
	KUNIT_EXPECT_TRUE(test, was_logged(f));

	map_mmio(f);
	map_page(f, false, true, false);
	KUNIT_EXPECT_FALSE(test, was_logged(f));
}

/*
 * The host's mm is told that the page is dirty when the guest may begin to write
 * to it without a word.
 */
static void map_tells_dirty(struct kunit *test)
{
	struct fault_test *f = create(test);

	map_page(f, false, false, true);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(f->t));
	map_page(f, true, true, false);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(f->t));
	map_page(f, true, true, true);
	KUNIT_EXPECT_TRUE(test, tdp_test_told_dirty(f->t));

	/* What is there already was told before. */
	map_page(f, true, true, true);
	map_mmio(f);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(f->t));
}

/* Nobody writes to what is mapped ahead: the first write takes the long way. */
static void map_ahead_leaves_clean(struct kunit *test)
{
	const struct fault_kind prefetch = { .prefetch = true };
	struct fault_test *f = create(test);

	KUNIT_EXPECT_EQ(test, map_kind(f, &prefetch, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_TRUE(test, spte_present(*f->sptep));
	KUNIT_EXPECT_TRUE(test, spte_host_writable(*f->sptep));
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, 0);
	map_mmio(f);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(f->t));
	KUNIT_EXPECT_FALSE(test, tdp_test_told_accessed(f->t));

	map_kind(f, &prefetch, true, true);
	KUNIT_EXPECT_EQ(test, map_page(f, true, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, W_BITS);
	KUNIT_EXPECT_TRUE(test, tdp_test_told_dirty(f->t));
}

/* A page that is dirty already costs the guest no fault; without A bits it does. */
static void map_ahead_writable(struct kunit *test)
{
	const struct fault_kind prefetch = { .prefetch = true };
	struct fault_test *f = create(test);
	const u64 w = f->t->format->ad ? PT_WRITABLE_MASK : 0;

	SetPageDirty(f->t->page);
	KUNIT_EXPECT_EQ(test, map_kind(f, &prefetch, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, spte_fmt.mmu_writable | w);
	KUNIT_EXPECT_TRUE(test, tdp_test_told_dirty(f->t));
}

/* Where writes are logged, the first one has to be seen: W is left to it. */
static void map_ahead_not_logged(struct kunit *test)
{
	const struct fault_kind prefetch = { .prefetch = true };
	struct fault_test *f = create(test);

	log_slot(test, f);
	SetPageDirty(f->t->page);
	KUNIT_EXPECT_EQ(test, map_kind(f, &prefetch, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep & W_BITS, spte_fmt.mmu_writable);
	KUNIT_EXPECT_FALSE(test, was_logged(f));
	KUNIT_EXPECT_EQ(test, find_first_bit(f->slot->dirty_bitmap, 512), 512);
	ClearPageDirty(f->t->page);
}

/* The slot is gone: what the page was goes to the host, and no TLB keeps it. */
static void map_mmio_over_page(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 flushes;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	KUNIT_EXPECT_EQ(test, map_mmio(f), RET_PF_EMULATE);
	KUNIT_EXPECT_TRUE(test, spte_is_mmio(f->t->kvm, *f->sptep));
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), 0);

	KUNIT_EXPECT_EQ(test, map_page(f, true, true, true), RET_PF_FIXED);
	flushes = tdp_test_flushes(f->t);
	KUNIT_EXPECT_EQ(test, map_mmio(f), RET_PF_EMULATE);
	KUNIT_EXPECT_TRUE(test, spte_is_mmio(f->t->kvm, *f->sptep));
	KUNIT_EXPECT_EQ(test, mmio_spte_gfn(*f->sptep), TEST_GFN);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), flushes + 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(f->t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_TRUE(test, tdp_test_told_accessed(f->t));
}

/* Without mmu_lock. */

static int fast(struct fault_test *f, bool write, bool present)
{
	struct kvm_page_fault fault = {
		.addr = gfn_to_gpa(TEST_GFN),
		.write = write,
		.present = present,
		.is_tdp = true,
		.gfn = TEST_GFN,
		.slot = f->slot,
	};
	const bool tdp = tdp_enabled;
	int r;

	pretend_to_run(f, true);
	tdp_enabled = true;
	r = fast_fault_direct(f->t->vcpu, &fault);
	tdp_enabled = tdp;
	pretend_to_run(f, false);
	return r;
}

/* The SPTE as dirty logging left it, or whoever else took bits from it. */
static u64 set_up(struct fault_test *f, u64 bits)
{
	u64 spte = tdp_test_leaf(f->t, PG_LEVEL_4K, bits | spte_fmt.accessed);

	WRITE_ONCE(*f->sptep, spte);
	return spte;
}

/* D comes with W: the page is logged, and PML need not log it again. */
static u64 fixed_for_write(const struct fault_test *f, u64 spte)
{
	return spte | PT_WRITABLE_MASK | (f->t->format->ad ? spte_fmt.dirty : 0);
}

static void fast_gives_w(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 spte;

	log_slot(test, f);
	spte = set_up(f, spte_fmt.mmu_writable);
	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep, fixed_for_write(f, spte));
	KUNIT_EXPECT_TRUE(test, was_logged(f));

	/* Another vCPU had the same fault. */
	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_SPURIOUS);
	KUNIT_EXPECT_FALSE(test, was_logged(f));
	KUNIT_EXPECT_EQ(test, f->t->vcpu->stat.pf_fast, 2);
}

/* M is clear: the gfn is a table that is shadowed, or is tracked. */
static void fast_needs_m(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 spte;

	log_slot(test, f);
	spte = set_up(f, 0);
	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_INVALID);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);
	KUNIT_EXPECT_FALSE(test, was_logged(f));
	KUNIT_EXPECT_EQ(test, f->t->vcpu->stat.pf_fast, 0);
}

static void fast_leaves_invalid_slots(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 spte = set_up(f, spte_fmt.mmu_writable);

	f->slot->flags |= KVM_MEMSLOT_INVALID;
	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_INVALID);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);
}

/* It has to be split first: one page of it would be logged, not 512. */
static void fast_leaves_huge_pages_to_the_log(struct kunit *test)
{
	struct fault_test *f = create(test);
	struct tdp_iter iter;
	u64 spte;

	log_slot(test, f);
	spte = tdp_test_leaf(f->t, PG_LEVEL_2M, spte_fmt.mmu_writable |
						spte_fmt.accessed);
	iter = tdp_test_walk(f->t, TEST_HUGE_GFN, PG_LEVEL_2M);
	KUNIT_ASSERT_EQ(test, 0, tdp_test_set_atomic(f->t, &iter, spte));
	f->sptep = tdp_test_raw(&iter);

	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_INVALID);
	KUNIT_EXPECT_EQ(test, *f->sptep, spte);

	f->slot->flags &= ~KVM_MEM_LOG_DIRTY_PAGES;
	KUNIT_EXPECT_EQ(test, fast(f, true, true), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep, fixed_for_write(f, spte));
}

/* Without A bits the SPTE has no rights at all; with them that is not the case. */
static void fast_restores_tracked(struct kunit *test)
{
	struct fault_test *f = create(test);
	u64 young = set_up(f, spte_fmt.mmu_writable);
	u64 old = spte_make_old(young);

	WRITE_ONCE(*f->sptep, old);
	if (f->t->format->ad) {
		KUNIT_EXPECT_EQ(test, fast(f, false, false), RET_PF_INVALID);
		KUNIT_EXPECT_EQ(test, *f->sptep, old);
		return;
	}
	KUNIT_EXPECT_EQ(test, fast(f, false, false), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep, young);

	WRITE_ONCE(*f->sptep, old);
	KUNIT_EXPECT_EQ(test, fast(f, true, false), RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, *f->sptep, fixed_for_write(f, young));
}

static struct kunit_case tdp_map_cases[] = {
	KUNIT_CASE_PARAM(map_twice, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_late_read, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_late_prefetch, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_late_fetch_flushes, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_forbids_writes, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_logs_writable, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_tells_dirty, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_ahead_leaves_clean, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_ahead_writable, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_ahead_not_logged, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(map_mmio_over_page, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(fast_gives_w, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(fast_needs_m, tdp_formats_gen_params),
	KUNIT_CASE(fast_leaves_invalid_slots),
	KUNIT_CASE(fast_leaves_huge_pages_to_the_log),
	KUNIT_CASE_PARAM(fast_restores_tracked, tdp_formats_gen_params),
	{}
};

static struct kunit_suite tdp_map_suite = {
	.name = "kvm_tdp_map",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = tdp_map_cases,
};

kunit_test_suite(tdp_map_suite);
