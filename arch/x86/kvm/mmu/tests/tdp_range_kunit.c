// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging by ranges (tdp_zap.c, tdp_track.c, tdp_split.c): what is unmapped,
 * write-protected, cleaned, aged or split is what was asked for and nothing beside
 * it, and who has to flush is told so.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "test_tdp_pages.h"
#include "test_vm.h"
#include "unmap_hook.h"

static struct kvm_gfn_range second_of(struct kvm_memory_slot *slot)
{
	return (struct kvm_gfn_range) {
		.slot = slot,
		.start = SECOND_PAGE,
		.end = SECOND_PAGE + 1,
		.may_block = true,
	};
}

/* Unmapping. */

static bool zap_leafs(struct tdp_test *t, gfn_t start, gfn_t end)
{
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_zap_leafs(t->kvm, start, end, false);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

static bool unmap(struct tdp_test *t, struct kvm_memory_slot *slot)
{
	struct kvm_gfn_range range = second_of(slot);
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_unmap_gfn_range(t->kvm, &range, false);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

static void zap_only_the_range(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);

	KUNIT_EXPECT_TRUE(test, zap_leafs(t, SECOND_PAGE, SECOND_PAGE + 1));
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES & ~BIT(1));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), NR_PAGES - 1);

	/* Nothing is there any more, so no TLB has it. */
	KUNIT_EXPECT_FALSE(test, zap_leafs(t, SECOND_PAGE, SECOND_PAGE + 1));
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES & ~BIT(1));
}

static void unmap_by_address_space(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);

	KUNIT_EXPECT_FALSE(test, unmap(t, create_slot(test, 1)));
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES);
	KUNIT_EXPECT_TRUE(test, unmap(t, create_slot(test, 0)));
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES & ~BIT(1));
}

/* The host takes its page back: who still zaps the root must not tell it of A. */
static void unmap_in_invalid_roots(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);

	invalidate_roots(t->kvm);
	unmap(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES & ~BIT(1));
}

/* Accessed. */

static void age_only_the_range(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_gfn_range ours = second_of(create_slot(test, 0));
	struct kvm_gfn_range other = second_of(create_slot(test, 1));
	int i;

	KUNIT_EXPECT_FALSE(test, tdp_test_age_gfn_range(t->kvm, &other));
	KUNIT_EXPECT_FALSE(test, tdp_age_gfn_range(t->kvm, &other));

	/* To look changes nothing. */
	KUNIT_EXPECT_TRUE(test, tdp_test_age_gfn_range(t->kvm, &ours));
	KUNIT_EXPECT_TRUE(test, tdp_test_age_gfn_range(t->kvm, &ours));
	KUNIT_EXPECT_TRUE(test, tdp_age_gfn_range(t->kvm, &ours));
	KUNIT_EXPECT_FALSE(test, tdp_age_gfn_range(t->kvm, &ours));
	KUNIT_EXPECT_FALSE(test, tdp_test_age_gfn_range(t->kvm, &ours));

	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, spte_accessed(spte_at(t, FIRST_PAGE + i)), i != 1);
	KUNIT_EXPECT_EQ(test, pages_with(t, SPTE_PRESENT), ALL_PAGES);
}

/* Writes. */

static bool protect(struct tdp_test *t, struct kvm_memory_slot *slot, gfn_t gfn)
{
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_write_protect_gfn(t->kvm, slot, gfn);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

static void protect_takes_w_and_m(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	KUNIT_EXPECT_FALSE(test, protect(t, create_slot(test, 1), SECOND_PAGE));
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), ALL_PAGES);

	KUNIT_EXPECT_TRUE(test, protect(t, slot, SECOND_PAGE));
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), ALL_PAGES & ~BIT(1));
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.mmu_writable), ALL_PAGES & ~BIT(1));
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.host_writable), ALL_PAGES);
	KUNIT_EXPECT_FALSE(test, protect(t, slot, SECOND_PAGE));
}

/* W was taken for the dirty log, without a flush so far: a TLB may have it. */
static void protect_after_w_is_gone(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct tdp_iter iter = tdp_test_walk(t, SECOND_PAGE, PG_LEVEL_4K);

	*tdp_test_raw(&iter) &= ~PT_WRITABLE_MASK;
	KUNIT_EXPECT_TRUE(test, protect(t, create_slot(test, 0), SECOND_PAGE));
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.mmu_writable), ALL_PAGES & ~BIT(1));
}

/* CONFIG_KVM_PROVE_MMU knows who takes M, and until when it has to be flushed. */
static void protect_owes_flush(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	bool owed[3];

	if (!IS_ENABLED(CONFIG_KVM_PROVE_MMU))
		kunit_skip(test, "nothing is noted");

	write_lock(&t->kvm->mmu_lock);
	owed[0] = mmu_flush_owed(t->kvm);
	tdp_write_protect_gfn(t->kvm, slot, SECOND_PAGE);
	owed[1] = mmu_flush_owed(t->kvm);
	kvm_flush_remote_tlbs(t->kvm);
	owed[2] = mmu_flush_owed(t->kvm);
	write_unlock(&t->kvm->mmu_lock);

	KUNIT_EXPECT_FALSE(test, owed[0]);
	KUNIT_EXPECT_TRUE(test, owed[1]);
	KUNIT_EXPECT_FALSE(test, owed[2]);
}

static void clean(struct tdp_test *t, struct kvm_memory_slot *slot,
		  unsigned long mask, bool wrprot)
{
	read_lock(&t->kvm->mmu_lock);
	tdp_clear_dirty_masked(t->kvm, slot, FIRST_PAGE, mask, wrprot);
	read_unlock(&t->kvm->mmu_lock);
}

/* M stays, so that the fast page fault can give W back. */
static void clean_only_the_mask(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	const u64 bit = t->format->ad ? spte_fmt.dirty : PT_WRITABLE_MASK;

	clean(t, create_slot(test, 1), ALL_PAGES, true);
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), ALL_PAGES);

	clean(t, slot, BIT(0) | BIT(2), false);
	KUNIT_EXPECT_EQ(test, pages_with(t, bit), BIT(1));
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), t->format->ad ? ALL_PAGES : BIT(1));

	clean(t, slot, BIT(1) | BIT(2), true);
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), t->format->ad ? BIT(0) : 0);
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.mmu_writable), ALL_PAGES);
}

static bool writable_at(struct tdp_test *t, gfn_t gfn)
{
	return spte_writable(spte_at(t, gfn));
}

static void wrprot(struct tdp_test *t, struct kvm_memory_slot *slot, int min_level)
{
	read_lock(&t->kvm->mmu_lock);
	tdp_wrprot_slot(t->kvm, slot, min_level);
	read_unlock(&t->kvm->mmu_lock);
}

static void wrprot_only_the_slot(struct kunit *test)
{
	const gfn_t huge = TEST_HUGE_GFN + 512, beyond = TEST_HUGE_GFN + SLOT_PAGES;
	struct tdp_test *t = create_pages(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	tdp_test_map(test, t, huge, PG_LEVEL_2M);
	tdp_test_map(test, t, beyond, PG_LEVEL_4K);

	wrprot(t, slot, PG_LEVEL_2M);
	KUNIT_EXPECT_FALSE(test, writable_at(t, huge));
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), ALL_PAGES);

	wrprot(t, slot, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, pages_with(t, PT_WRITABLE_MASK), 0);
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.mmu_writable), ALL_PAGES);
	KUNIT_EXPECT_TRUE(test, writable_at(t, beyond));
}

/*
 * KVM_CLEAR_DIRTY_LOG comes to huge pages that no log has touched so far: W goes
 * alone.  A flush follows without mmu_lock, so M must stay: whoever takes it asks
 * for a flush at once, also if W is gone.
 */
static void trap_huge_keeps_m(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	const bool split = eager_page_split, tdp = tdp_enabled;
	const bool no_rmaps = tdp_mmu_enabled;
	struct kvm_memory_slot *slot = create_slot(test, 0);
	const unsigned long first = 1;
	u64 spte;

	tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	t->kvm->manual_dirty_log_protect = KVM_DIRTY_LOG_MANUAL_CAPS;
	eager_page_split = false;
	tdp_enabled = true;
	tdp_mmu_enabled = true;
	kvm_arch_trap_dirty_pages(t->kvm, slot, 0, &first, 1);
	eager_page_split = split;
	tdp_enabled = tdp;
	tdp_mmu_enabled = no_rmaps;

	spte = spte_at(t, TEST_HUGE_GFN);
	KUNIT_EXPECT_TRUE(test, spte_huge(spte));
	KUNIT_EXPECT_FALSE(test, spte_writable(spte));
	KUNIT_EXPECT_TRUE(test, spte_mmu_writable(spte));
	KUNIT_EXPECT_TRUE(test, writable_at(t, TEST_HUGE_GFN + 512));
	KUNIT_EXPECT_TRUE(test, protect(t, slot, TEST_HUGE_GFN));
}

/* The lock can be had for reading by those who share it. */
static void note_shared(void *data)
{
	struct tdp_test *t = data;

	t->shared = read_trylock(&t->kvm->mmu_lock);
	if (t->shared)
		read_unlock(&t->kvm->mmu_lock);
}

/* One entry, collected by userspace: the page at @offset of slot 0. */
static int reset_ring(struct tdp_test *t, u64 offset)
{
	struct kvm_dirty_ring ring;
	int r = kvm_dirty_ring_alloc(&ring, 0, PAGE_SIZE);

	if (r)
		return r;
	ring.dirty_gfns[0].flags = KVM_DIRTY_GFN_F_RESET;
	ring.dirty_gfns[0].offset = offset;
	ring.dirty_index = 1;
	r = kvm_dirty_ring_reset(t->kvm, &ring);
	kvm_dirty_ring_free(&ring);
	return r;
}

/* KVM_RESET_DIRTY_RINGS: faults go on meanwhile. */
static void ring_reset_shares(struct kunit *test)
{
	struct tdp_test *t = create_pages(test);
	const bool tdp = tdp_enabled, no_rmaps = tdp_mmu_enabled;
	/* With PML, D is what is logged. */
	const u64 bit = kvm_cpu_dirty_log_size() ? spte_fmt.dirty : PT_WRITABLE_MASK;
	const struct kvm_userspace_memory_region2 mem = {
		.guest_phys_addr = gfn_to_gpa(FIRST_PAGE),
		.memory_size = NR_PAGES * PAGE_SIZE,
		.userspace_addr = kvm_test_hva(FIRST_PAGE),
	};
	struct unmap_hook *hook;

	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(t->kvm, &mem));
	hook = unmap_hook_begin(test, note_shared, t);
	tdp_enabled = true;
	tdp_mmu_enabled = true;
	mutex_lock(&t->kvm->slots_lock);
	KUNIT_EXPECT_EQ(test, reset_ring(t, SECOND_PAGE - FIRST_PAGE), 1);
	mutex_unlock(&t->kvm->slots_lock);
	tdp_enabled = tdp;
	tdp_mmu_enabled = no_rmaps;
	unmap_hook_end(test, hook);

	KUNIT_EXPECT_TRUE(test, t->shared);
	KUNIT_EXPECT_EQ(test, pages_with(t, spte_fmt.mmu_writable), ALL_PAGES);
	KUNIT_EXPECT_EQ(test, pages_with(t, bit), ALL_PAGES & ~BIT(1));
}

/* Splits. */

/* The first of two huge pages is split, and translates as before. */
static void test_split_range(struct kunit *test, bool shared)
{
	struct tdp_test *t = tdp_test_create_param(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	struct kvm *kvm = t->kvm;

	tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);

	if (shared)
		read_lock(&kvm->mmu_lock);
	else
		write_lock(&kvm->mmu_lock);
	tdp_split_range(kvm, slot, TEST_HUGE_GFN, TEST_HUGE_GFN + 512, PG_LEVEL_4K,
			shared);
	if (shared)
		read_unlock(&kvm->mmu_lock);
	else
		write_unlock(&kvm->mmu_lock);

	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 512);
	KUNIT_EXPECT_EQ(test, spte_pfn(spte_at(t, TEST_GFN)),
			page_to_pfn(t->page) + TEST_GFN % 512);
	KUNIT_EXPECT_TRUE(test, writable_at(t, TEST_GFN));
	KUNIT_EXPECT_TRUE(test, spte_huge(spte_at(t, TEST_HUGE_GFN + 512)));
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(t), 0);
}

static void split_range_shared(struct kunit *test)
{
	test_split_range(test, true);
}

static void split_range_exclusive(struct kunit *test)
{
	test_split_range(test, false);
}

static struct kunit_case tdp_range_cases[] = {
	KUNIT_CASE(zap_only_the_range),
	KUNIT_CASE(unmap_by_address_space),
	KUNIT_CASE(unmap_in_invalid_roots),
	KUNIT_CASE_PARAM(age_only_the_range, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(protect_takes_w_and_m, tdp_formats_gen_params),
	KUNIT_CASE(protect_after_w_is_gone),
	KUNIT_CASE(protect_owes_flush),
	KUNIT_CASE_PARAM(clean_only_the_mask, tdp_formats_gen_params),
	KUNIT_CASE(wrprot_only_the_slot),
	KUNIT_CASE_PARAM(trap_huge_keeps_m, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(ring_reset_shares, tdp_formats_gen_params),
	KUNIT_CASE(split_range_shared),
	KUNIT_CASE(split_range_exclusive),
	{}
};

static struct kunit_suite tdp_range_suite = {
	.name = "kvm_tdp_range",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = tdp_range_cases,
};

kunit_test_suite(tdp_range_suite);
