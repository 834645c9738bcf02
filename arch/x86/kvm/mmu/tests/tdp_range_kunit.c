// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging by ranges and slots (tdp_zap.c, tdp_track.c, tdp_split.c): what is
 * unmapped, write-protected, cleaned, aged or split is what was asked for and
 * nothing beside it, and who has to flush is told so.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "forced_yields.h"
#include "test_tdp_formats.h"
#include "test_vm.h"
#include "unmap_hook.h"

/* Three pages side by side, in one table; most tests are about the second. */
#define NR_PAGES	3
#define FIRST		TEST_GFN
#define SECOND		(TEST_GFN + 1)
#define ALL		7

#define SLOT_PAGES	1024ULL

static struct tdp_test *create(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	int i;

	for (i = 0; i < NR_PAGES; i++)
		tdp_test_map(test, t, FIRST + i, PG_LEVEL_4K);
	return t;
}

/* A slot that is in no set: two pages of 2M, the three pages in the first. */
static struct kvm_memory_slot *create_slot(struct kunit *test, u16 as_id)
{
	struct kvm_memory_slot *slot = kunit_kzalloc(test, sizeof(*slot), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	slot->base_gfn = TEST_HUGE_GFN;
	slot->npages = SLOT_PAGES;
	slot->as_id = as_id;
	return slot;
}

static struct kvm_gfn_range second_of(struct kvm_memory_slot *slot)
{
	return (struct kvm_gfn_range) {
		.slot = slot,
		.start = SECOND,
		.end = SECOND + 1,
		.may_block = true,
	};
}

static u64 spte_at(struct tdp_test *t, gfn_t gfn)
{
	return tdp_test_walk(t, gfn, PG_LEVEL_4K).old;
}

/* Which of the three pages have a bit, as a mask. */
static unsigned int which(struct tdp_test *t, u64 bit)
{
	unsigned int mask = 0;
	int i;

	for (i = 0; i < NR_PAGES; i++)
		mask |= spte_at(t, FIRST + i) & bit ? BIT(i) : 0;
	return mask;
}

static void invalidate_roots(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	tdp_roots_invalidate(kvm);
	write_unlock(&kvm->mmu_lock);
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
	struct tdp_test *t = create(test);

	KUNIT_EXPECT_TRUE(test, zap_leafs(t, SECOND, SECOND + 1));
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), NR_PAGES - 1);

	/* Nothing is there any more, so no TLB has it. */
	KUNIT_EXPECT_FALSE(test, zap_leafs(t, SECOND, SECOND + 1));
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL & ~BIT(1));
}

static void unmap_by_address_space(struct kunit *test)
{
	struct tdp_test *t = create(test);

	KUNIT_EXPECT_FALSE(test, unmap(t, create_slot(test, 1)));
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL);
	KUNIT_EXPECT_TRUE(test, unmap(t, create_slot(test, 0)));
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL & ~BIT(1));
}

/* The host takes its page back: who still zaps the root must not tell it of A. */
static void unmap_in_invalid_roots(struct kunit *test)
{
	struct tdp_test *t = create(test);

	invalidate_roots(t->kvm);
	unmap(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL & ~BIT(1));
}

static bool zap_slot(struct tdp_test *t, const struct kvm_memory_slot *slot)
{
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_zap_slot(t->kvm, slot, false);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

/* Tables go with what they map, up to the root, which stays. */
static void zap_slot_unlinks_tables(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	KUNIT_EXPECT_FALSE(test, zap_slot(t, create_slot(test, 1)));
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	/* The tables may not be freed before a flush.  Each yield is one more. */
	KUNIT_EXPECT_FALSE(test, zap_slot(t, slot));
	KUNIT_EXPECT_GE(test, tdp_test_flushes(t), 1);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
	KUNIT_EXPECT_TRUE(test, tdp_root_valid(t->root));
}

/* What goes with a table is counted: it is not told to the host's mm, page by page. */
static void zap_slot_tells_nothing(struct kunit *test)
{
	struct tdp_test *t = create(test);

	zap_slot(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_FALSE(test, tdp_test_told_accessed(t));
	KUNIT_EXPECT_FALSE(test, tdp_test_told_dirty(t));
}

/* A table that the slot has in part stays if it maps something else. */
static void zap_slot_leaves_others(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	const gfn_t huge = TEST_HUGE_GFN + 512;

	tdp_test_map(test, t, huge, PG_LEVEL_2M);
	slot->base_gfn = SECOND;
	slot->npages = huge + 512 - SECOND;
	zap_slot(t, slot);
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), BIT(0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 3);

	slot->base_gfn = FIRST;
	slot->npages = 1;
	zap_slot(t, slot);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

/* The notifiers do not find a slot that is gone. */
static void zap_slot_in_invalid_roots(struct kunit *test)
{
	struct tdp_test *t = create(test);

	invalidate_roots(t->kvm);
	zap_slot(t, create_slot(test, 0));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

/* Tables of 4K pages side by side, a few pages in each, and two tables above. */
#define NR_TABLES	3

static struct tdp_test *create_tables(struct kunit *test)
{
	struct tdp_test *t = create(test);
	int i;

	for (i = NR_PAGES; i < NR_TABLES * NR_PAGES; i++)
		tdp_test_map(test, t, TEST_HUGE_GFN + i / NR_PAGES * 512 + i % NR_PAGES,
			     PG_LEVEL_4K);
	KUNIT_ASSERT_EQ(test, tdp_test_tables(t), NR_TABLES + 2);
	return t;
}

/*
 * A fault waits for one table, and not for each page either.  TLBs are flushed
 * whenever mmu_lock is let go, and at the end.
 */
static void zap_slot_yields_by_table(struct kunit *test)
{
	struct tdp_test *t = create_tables(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	struct forced_yields *yields;

	slot->npages = NR_TABLES * 512;
	yields = forced_yields_begin(test, UINT_MAX);
	zap_slot(t, slot);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_GE(test, yields->wanted, NR_TABLES);
	KUNIT_EXPECT_LE(test, yields->wanted, NR_TABLES + 2);
	KUNIT_EXPECT_GE(test, tdp_test_flushes(t), NR_TABLES);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
}

static void test_zap_mmio(struct kunit *test, bool valid_root)
{
	struct tdp_test *t = create(test);
	struct tdp_iter mmio;
	u64 spte;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	spte = mmio_make_spte(t->kvm, 0, FIRST + NR_PAGES, ACC_ALL);
	mmio = tdp_test_path(test, t, FIRST + NR_PAGES, PG_LEVEL_4K);
	KUNIT_ASSERT_EQ(test, 0, tdp_test_set_atomic(t, &mmio, spte));
	if (!valid_root)
		invalidate_roots(t->kvm);

	tdp_zap_mmio(t->kvm, 1, 0, tdp_end_gfn());
	tdp_zap_mmio(t->kvm, 0, 0, mmio.gfn);
	tdp_zap_mmio(t->kvm, 0, mmio.gfn + 1, tdp_end_gfn());
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&mmio), spte);

	tdp_zap_mmio(t->kvm, 0, mmio.gfn, mmio.gfn + 1);
	KUNIT_EXPECT_EQ(test, *tdp_test_raw(&mmio), SPTE_NONE);
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL);
}

static void zap_mmio_only(struct kunit *test)
{
	test_zap_mmio(test, true);
}

static void zap_mmio_in_invalid_roots(struct kunit *test)
{
	test_zap_mmio(test, false);
}

static void zap_root(struct tdp_test *t, bool shared)
{
	if (shared)
		read_lock(&t->kvm->mmu_lock);
	else
		write_lock(&t->kvm->mmu_lock);
	tdp_zap_root(t->kvm, t->root, shared);
	if (shared)
		read_unlock(&t->kvm->mmu_lock);
	else
		write_unlock(&t->kvm->mmu_lock);
}

static void test_zap_root(struct kunit *test, bool shared)
{
	struct tdp_test *t = create(test);

	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	zap_root(t, shared);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void zap_root_shared(struct kunit *test)
{
	test_zap_root(test, true);
}

static void zap_root_exclusive(struct kunit *test)
{
	test_zap_root(test, false);
}

static void test_zap_root_yields(struct kunit *test, bool shared)
{
	struct tdp_test *t = create_tables(test);
	struct forced_yields *yields;

	yields = forced_yields_begin(test, UINT_MAX);
	zap_root(t, shared);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_GE(test, yields->wanted, NR_TABLES);
	KUNIT_EXPECT_LE(test, yields->wanted, NR_TABLES + 2);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void zap_root_yields_shared(struct kunit *test)
{
	test_zap_root_yields(test, true);
}

static void zap_root_yields_exclusive(struct kunit *test)
{
	test_zap_root_yields(test, false);
}

/* Accessed. */

static void age_only_the_range(struct kunit *test)
{
	struct tdp_test *t = create(test);
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
		KUNIT_EXPECT_EQ(test, spte_accessed(spte_at(t, FIRST + i)), i != 1);
	KUNIT_EXPECT_EQ(test, which(t, SPTE_PRESENT), ALL);
}

/* Writes. */

static bool protect(struct tdp_test *t, struct kvm_memory_slot *slot, gfn_t gfn,
		    int min_level)
{
	bool flush;

	write_lock(&t->kvm->mmu_lock);
	flush = tdp_write_protect_gfn(t->kvm, slot, gfn, min_level);
	write_unlock(&t->kvm->mmu_lock);
	return flush;
}

static void protect_takes_w_and_m(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	KUNIT_EXPECT_FALSE(test, protect(t, create_slot(test, 1), SECOND, PG_LEVEL_4K));
	KUNIT_EXPECT_FALSE(test, protect(t, slot, SECOND, PG_LEVEL_2M));
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), ALL);

	KUNIT_EXPECT_TRUE(test, protect(t, slot, SECOND, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.mmu_writable), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.host_writable), ALL);
	KUNIT_EXPECT_FALSE(test, protect(t, slot, SECOND, PG_LEVEL_4K));
}

/* W was taken for the dirty log, without a flush so far: a TLB may have it. */
static void protect_after_w_is_gone(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct tdp_iter iter = tdp_test_walk(t, SECOND, PG_LEVEL_4K);

	*tdp_test_raw(&iter) &= ~PT_WRITABLE_MASK;
	KUNIT_EXPECT_TRUE(test, protect(t, create_slot(test, 0), SECOND, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.mmu_writable), ALL & ~BIT(1));
}

/* CONFIG_KVM_PROVE_MMU knows who takes M, and until when it has to be flushed. */
static void protect_owes_flush(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	bool owed[3];

	if (!IS_ENABLED(CONFIG_KVM_PROVE_MMU))
		kunit_skip(test, "nothing is noted");

	write_lock(&t->kvm->mmu_lock);
	owed[0] = mmu_flush_owed(t->kvm);
	tdp_write_protect_gfn(t->kvm, slot, SECOND, PG_LEVEL_4K);
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
	tdp_clear_dirty_masked(t->kvm, slot, FIRST, mask, wrprot);
	read_unlock(&t->kvm->mmu_lock);
}

/* M stays, so that the fast page fault can give W back. */
static void clean_only_the_mask(struct kunit *test)
{
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);
	const u64 bit = t->format->ad ? spte_fmt.dirty : PT_WRITABLE_MASK;

	clean(t, create_slot(test, 1), ALL, true);
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), ALL);

	clean(t, slot, BIT(0) | BIT(2), false);
	KUNIT_EXPECT_EQ(test, which(t, bit), BIT(1));
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), t->format->ad ? ALL : BIT(1));

	clean(t, slot, BIT(1) | BIT(2), true);
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), t->format->ad ? BIT(0) : 0);
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.mmu_writable), ALL);
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
	struct tdp_test *t = create(test);
	struct kvm_memory_slot *slot = create_slot(test, 0);

	tdp_test_map(test, t, huge, PG_LEVEL_2M);
	tdp_test_map(test, t, beyond, PG_LEVEL_4K);

	wrprot(t, slot, PG_LEVEL_2M);
	KUNIT_EXPECT_FALSE(test, writable_at(t, huge));
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), ALL);

	wrprot(t, slot, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, which(t, PT_WRITABLE_MASK), 0);
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.mmu_writable), ALL);
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
	u64 spte;

	tdp_test_map(test, t, TEST_HUGE_GFN, PG_LEVEL_2M);
	tdp_test_map(test, t, TEST_HUGE_GFN + 512, PG_LEVEL_2M);
	t->kvm->manual_dirty_log_protect = KVM_DIRTY_LOG_MANUAL_CAPS;
	eager_page_split = false;
	tdp_enabled = true;
	tdp_mmu_enabled = true;
	kvm_arch_trap_dirty_pages(t->kvm, slot, 0, 1);
	eager_page_split = split;
	tdp_enabled = tdp;
	tdp_mmu_enabled = no_rmaps;

	spte = spte_at(t, TEST_HUGE_GFN);
	KUNIT_EXPECT_TRUE(test, spte_huge(spte));
	KUNIT_EXPECT_FALSE(test, spte_writable(spte));
	KUNIT_EXPECT_TRUE(test, spte_mmu_writable(spte));
	KUNIT_EXPECT_TRUE(test, writable_at(t, TEST_HUGE_GFN + 512));
	KUNIT_EXPECT_TRUE(test, protect(t, slot, TEST_HUGE_GFN, PG_LEVEL_4K));
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
static int reset_ring(struct kunit *test, struct tdp_test *t, u64 offset)
{
	struct kvm_dirty_ring ring;
	int r;

	KUNIT_ASSERT_EQ(test, 0, kvm_dirty_ring_alloc(&ring, 0, PAGE_SIZE));
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
	struct tdp_test *t = create(test);
	struct unmap_hook hook = { .call = note_shared, .data = t };
	const bool tdp = tdp_enabled, no_rmaps = tdp_mmu_enabled;
	/* With PML, D is what is logged. */
	const u64 bit = kvm_cpu_dirty_log_size() ? spte_fmt.dirty : PT_WRITABLE_MASK;
	const struct kvm_userspace_memory_region2 mem = {
		.guest_phys_addr = gfn_to_gpa(FIRST),
		.memory_size = NR_PAGES * PAGE_SIZE,
		.userspace_addr = kvm_test_hva(FIRST),
	};

	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(t->kvm, &mem));
	unmap_hook_begin(test, &hook);
	tdp_enabled = true;
	tdp_mmu_enabled = true;
	mutex_lock(&t->kvm->slots_lock);
	KUNIT_EXPECT_EQ(test, reset_ring(test, t, SECOND - FIRST), 1);
	mutex_unlock(&t->kvm->slots_lock);
	tdp_enabled = tdp;
	tdp_mmu_enabled = no_rmaps;
	unmap_hook_end(test, &hook);

	KUNIT_EXPECT_TRUE(test, t->shared);
	KUNIT_EXPECT_EQ(test, which(t, spte_fmt.mmu_writable), ALL);
	KUNIT_EXPECT_EQ(test, which(t, bit), ALL & ~BIT(1));
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
	KUNIT_CASE_PARAM(zap_slot_unlinks_tables, tdp_formats_gen_params),
	KUNIT_CASE_PARAM(zap_slot_tells_nothing, tdp_formats_gen_params),
	KUNIT_CASE(zap_slot_yields_by_table),
	KUNIT_CASE(zap_slot_leaves_others),
	KUNIT_CASE(zap_slot_in_invalid_roots),
	KUNIT_CASE(zap_mmio_only),
	KUNIT_CASE(zap_mmio_in_invalid_roots),
	KUNIT_CASE(zap_root_shared),
	KUNIT_CASE(zap_root_exclusive),
	KUNIT_CASE(zap_root_yields_shared),
	KUNIT_CASE(zap_root_yields_exclusive),
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
