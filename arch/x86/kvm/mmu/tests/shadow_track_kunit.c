// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow paging by gfn and slot (shadow_track.c, shadow_split.c), and who has to
 * know of writes: tables that are shadowed, write tracking, emulated writes and
 * the dirty log.  What is changed is what was asked for and nothing beside it,
 * and TLBs are flushed where a write could go unseen.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "kvm_core.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "mmu/shadow_internal.h"
#include "forced_yields.h"
#include "shadow_vm.h"
#include "test_format.h"

static const struct format_case formats[] = {
	{ .name = "legacy", .ad = true },
	{ .name = "EPT", .ept = true },
	{ .name = "EPT, A/D", .ept = true, .ad = true },
};

KUNIT_ARRAY_PARAM_DESC(formats, formats, name);

/* Three pages side by side; most tests are about the second. */
#define NR_PAGES	3
#define FIRST		(SHADOW_TEST_GFN + 0x51)
#define SECOND		(FIRST + 1)
#define ALL		7

/* A page table that maps them, from this entry on. */
#define TABLE		(SHADOW_TEST_GFN + 0x13)
#define FIRST_INDEX	7

/**
 * struct track_test - what the tests work on
 * @t: the VM
 * @slot: its slot
 * @sp: shadows TABLE
 * @ad: there are A and D bits
 */
struct track_test {
	struct shadow_test *t;
	struct kvm_memory_slot *slot;
	struct kvm_mmu_page *sp;
	bool ad;
};

static u64 used_leaf(kvm_pfn_t pfn, u64 bits)
{
	return SPTE_PRESENT | spte_fmt.present | spte_fmt.user | spte_fmt.exec |
	       spte_fmt.accessed | spte_fmt.dirty | PFN_PHYS(pfn) |
	       (spte_fmt.accessed ? SPTE_AD_CPU : SPTE_AD_NONE) |
	       spte_fmt.host_writable | spte_fmt.mmu_writable | PT_WRITABLE_MASK | bits;
}

static void map(struct shadow_test *t, struct kvm_mmu_page *sp, int index, gfn_t gfn,
		u64 spte)
{
	struct shadow_zap zap = {};

	shadow_test_begin(t);
	shadow_set_leaf(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache,
			gfn_to_memslot(t->kvm, gfn), sp, index, gfn, ACC_ALL, spte, &zap);
	shadow_zap_finish(t->kvm, &zap);
	shadow_test_end(t);
}

/* The pages are mapped, and the guest has read and written them. */
static struct track_test *create(struct kunit *test)
{
	const struct format_case *format = test->param_value ?: &formats[0];
	struct track_test *tt = kunit_kzalloc(test, sizeof(*tt), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, tt);
	tt->ad = format->ad;
	tt->t = shadow_test_create(test, format);
	tt->slot = shadow_test_slot(tt->t);
	tt->sp = shadow_test_get(test, tt->t, TABLE, shadow_test_table(PG_LEVEL_4K));
	for (i = 0; i < NR_PAGES; i++)
		map(tt->t, tt->sp, FIRST_INDEX + i, FIRST + i,
		    used_leaf(SHADOW_TEST_PFN + i, 0));
	return tt;
}

/* Which of the three entries have a bit, as a mask. */
static unsigned int which(const struct track_test *tt, u64 bit)
{
	unsigned int mask = 0;
	int i;

	for (i = 0; i < NR_PAGES; i++)
		mask |= tt->sp->spt[FIRST_INDEX + i] & bit ? BIT(i) : 0;
	return mask;
}

static u64 nr_flushes(const struct track_test *tt)
{
	return tt->t->kvm->stat.generic.remote_tlb_flush_requests;
}

static struct kvm_gfn_range second_of(struct kvm_memory_slot *slot)
{
	return (struct kvm_gfn_range) {
		.slot = slot,
		.start = SECOND,
		.end = SECOND + 1,
	};
}

/* Unmapping and Accessed. */

static void zap_only_the_range(struct kunit *test)
{
	struct track_test *tt = create(test);
	bool flush[3];

	shadow_test_begin(tt->t);
	flush[0] = shadow_zap_gfn_range(tt->t->kvm, tt->slot, SECOND, SECOND + 1, false,
					false);
	flush[1] = shadow_zap_gfn_range(tt->t->kvm, tt->slot, SECOND, SECOND + 1, false,
					false);
	flush[2] = shadow_zap_gfn_range(tt->t->kvm, tt->slot, SECOND, SECOND + 1, false,
					true);
	shadow_test_end(tt->t);

	KUNIT_EXPECT_TRUE(test, flush[0]);
	KUNIT_EXPECT_FALSE(test, flush[1]);
	/* What was due before is not forgotten. */
	KUNIT_EXPECT_TRUE(test, flush[2]);
	KUNIT_EXPECT_EQ(test, which(tt, SPTE_PRESENT), ALL & ~BIT(1));
}

/* What is due for other gfns is flushed before mmu_lock is let go, and not else. */
static void zap_flushes_before_it_yields(struct kunit *test)
{
	const gfn_t unmapped = SHADOW_TEST_GFN + 0x151;
	struct track_test *tt = create(test);
	struct kvm *kvm = tt->t->kvm;
	const u64 flushes = nr_flushes(tt);
	u64 at_rest, wanted;
	bool due[2];

	shadow_test_begin(tt->t);
	due[0] = shadow_zap_gfn_range(kvm, tt->slot, unmapped, unmapped + 1, true, true);
	at_rest = nr_flushes(tt) - flushes;
	forced_yield_now();
	due[1] = shadow_zap_gfn_range(kvm, tt->slot, unmapped, unmapped + 1, true, true);
	wanted = nr_flushes(tt) - flushes;
	shadow_test_end(tt->t);

	KUNIT_EXPECT_TRUE(test, due[0]);
	KUNIT_EXPECT_EQ(test, at_rest, 0);
	KUNIT_EXPECT_FALSE(test, due[1]);
	KUNIT_EXPECT_EQ(test, wanted, 1);
}

static void zap_first_gfn(struct track_test *tt, struct shadow_zap *zap)
{
	zap->flush = shadow_zap_gfn_range(tt->t->kvm, tt->slot, FIRST, FIRST + 1, false,
					  false);
}

static void clear_first_entry(struct track_test *tt, struct shadow_zap *zap)
{
	shadow_clear(tt->t->kvm, tt->sp, FIRST_INDEX, zap);
}

static void zap_whole_slot(struct track_test *tt, struct shadow_zap *zap)
{
	zap->flush = shadow_zap_slot(tt->t->kvm, tt->slot);
}

static void zap_table(struct track_test *tt, struct shadow_zap *zap)
{
	shadow_page_zap(tt->t->kvm, tt->sp, zap);
}

/* Does the host's mm hear of A when @page is unmapped? */
static bool tells_accessed(struct kunit *test, struct track_test *tt, struct page *page,
			   void (*unmap)(struct track_test *tt, struct shadow_zap *zap))
{
	struct shadow_zap zap = {};

	map(tt->t, tt->sp, FIRST_INDEX, FIRST, used_leaf(page_to_pfn(page), 0));
	shadow_test_begin(tt->t);
	unmap(tt, &zap);
	KUNIT_EXPECT_EQ(test, tt->sp->spt[FIRST_INDEX], SPTE_NONE);
	KUNIT_EXPECT_TRUE(test, zap.flush);
	shadow_zap_finish(tt->t->kvm, &zap);
	shadow_test_end(tt->t);
	return folio_test_clear_referenced(page_folio(page));
}

/* If it goes alone, but not if it goes with its slot or its table. */
static void accessed_is_told_of_one_leaf(struct kunit *test)
{
	struct track_test *tt = create(test);
	struct page *page = alloc_page(GFP_KERNEL);
	struct shadow_zap zap = {};

	KUNIT_ASSERT_NOT_NULL(test, page);
	shadow_test_begin(tt->t);
	zap_whole_slot(tt, &zap);
	shadow_test_end(tt->t);
	KUNIT_EXPECT_EQ(test, which(tt, SPTE_PRESENT), 0);

	KUNIT_EXPECT_TRUE(test, tells_accessed(test, tt, page, zap_first_gfn));
	KUNIT_EXPECT_TRUE(test, tells_accessed(test, tt, page, clear_first_entry));
	KUNIT_EXPECT_FALSE(test, tells_accessed(test, tt, page, zap_whole_slot));
	KUNIT_EXPECT_FALSE(test, tells_accessed(test, tt, page, zap_table));
	__free_page(page);
}

static void age_only_the_range(struct kunit *test)
{
	struct track_test *tt = create(test);
	struct kvm_gfn_range range = second_of(tt->slot);
	struct kvm *kvm = tt->t->kvm;
	bool young[4];
	int i;

	shadow_test_begin(tt->t);
	young[0] = shadow_test_age_gfn_range(kvm, &range);
	young[1] = shadow_age_gfn_range(kvm, &range);
	young[2] = shadow_age_gfn_range(kvm, &range);
	young[3] = shadow_test_age_gfn_range(kvm, &range);
	shadow_test_end(tt->t);

	KUNIT_EXPECT_TRUE(test, young[0]);
	KUNIT_EXPECT_TRUE(test, young[1]);
	KUNIT_EXPECT_FALSE(test, young[2]);
	KUNIT_EXPECT_FALSE(test, young[3]);
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, i != 1,
				spte_accessed(tt->sp->spt[FIRST_INDEX + i]));
}

/* With direct paging there is nothing to age, and no lock, but for nested guests. */
static void age_what_is_shadowed(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_gfn_range range = second_of(shadow_test_slot(t));
	const bool tdp = tdp_enabled;
	struct kvm_mmu_page *sp;
	bool young[3];

	sp = shadow_test_get(test, t, SECOND, shadow_test_direct(PG_LEVEL_4K));
	map(t, sp, 0, SECOND, used_leaf(SHADOW_TEST_PFN, 0));

	tdp_enabled = true;
	young[0] = kvm_test_age_gfn(t->kvm, &range) || kvm_age_gfn(t->kvm, &range);
	tdp_enabled = tdp;
	shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	tdp_enabled = true;
	young[1] = kvm_test_age_gfn(t->kvm, &range) && kvm_age_gfn(t->kvm, &range);
	young[2] = kvm_age_gfn(t->kvm, &range);
	tdp_enabled = tdp;

	KUNIT_EXPECT_FALSE(test, young[0]);
	KUNIT_EXPECT_TRUE(test, young[1]);
	KUNIT_EXPECT_FALSE(test, young[2]);
}

/* Writes. */

static void protect_takes_w_and_m(struct kunit *test)
{
	struct track_test *tt = create(test);
	struct kvm *kvm = tt->t->kvm;
	bool flush[2];

	shadow_test_begin(tt->t);
	flush[0] = shadow_write_protect_gfn(kvm, tt->slot, SECOND);
	flush[1] = shadow_write_protect_gfn(kvm, tt->slot, SECOND);
	shadow_test_end(tt->t);

	KUNIT_EXPECT_TRUE(test, flush[0]);
	KUNIT_EXPECT_FALSE(test, flush[1]);
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, which(tt, spte_fmt.mmu_writable), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, which(tt, SPTE_PRESENT), ALL);
}

/* Huge pages alone, and M stays: nobody flushes before mmu_lock is let go. */
static void wrprot_huge_keeps_m(struct kunit *test)
{
	struct track_test *tt = create(test);
	const gfn_t huge = round_up(SHADOW_TEST_GFN, 512);
	struct kvm_mmu_page *sp;
	u64 spte;

	sp = shadow_test_get(test, tt->t, TABLE, shadow_test_table(PG_LEVEL_2M));
	map(tt->t, sp, 5, huge, used_leaf(SHADOW_TEST_PFN, PT_PAGE_SIZE_MASK));

	shadow_test_begin(tt->t);
	shadow_wrprot_huge(tt->t->kvm, tt->slot, huge + 3, huge + 66);
	spte = sp->spt[5];
	shadow_wrprot_huge(tt->t->kvm, tt->slot, FIRST, FIRST + 1);
	shadow_test_end(tt->t);

	KUNIT_EXPECT_FALSE(test, spte_writable(spte));
	KUNIT_EXPECT_TRUE(test, spte_mmu_writable(spte));
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), ALL);
}

static void clean(struct track_test *tt, unsigned long mask, bool wrprot)
{
	shadow_test_begin(tt->t);
	shadow_clear_dirty_masked(tt->t->kvm, tt->slot, FIRST, mask, wrprot);
	shadow_test_end(tt->t);
}

/* M stays, so that the fast page fault can give W back. */
static void clean_only_the_mask(struct kunit *test)
{
	struct track_test *tt = create(test);
	const u64 bit = tt->ad ? spte_fmt.dirty : PT_WRITABLE_MASK;

	clean(tt, BIT(0) | BIT(2), false);
	KUNIT_EXPECT_EQ(test, which(tt, bit), BIT(1));
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), tt->ad ? ALL : BIT(1));

	clean(tt, BIT(1) | BIT(2), true);
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), tt->ad ? BIT(0) : 0);
	KUNIT_EXPECT_EQ(test, which(tt, spte_fmt.mmu_writable), ALL);
}

/* The bits leave the log first, then their pages trap, then TLBs are flushed. */
static void log_is_taken_and_trapped(struct kunit *test)
{
	struct track_test *tt = create(test);
	struct kvm_dirty_log log = { .slot = 0 };
	const u64 flushes = nr_flushes(tt);
	unsigned long *bitmap;

	bitmap = kunit_kzalloc(test, 2 * kvm_dirty_bitmap_bytes(tt->slot), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, bitmap);
	tt->slot->dirty_bitmap = bitmap;
	set_bit_le(SECOND - SHADOW_TEST_GFN, bitmap);

	/* Nobody's memory takes the report; the bits are taken all the same. */
	KUNIT_EXPECT_EQ(test, kvm_vm_get_dirty_log(tt->t->kvm, &log), -EFAULT);
	tt->slot->dirty_bitmap = NULL;

	KUNIT_EXPECT_FALSE(test, test_bit_le(SECOND - SHADOW_TEST_GFN, bitmap));
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, nr_flushes(tt), flushes + 1);
}

/* Tables. */

static bool tracked(struct track_test *tt, int as_id)
{
	struct kvm_memory_slot *slot;
	bool is_tracked;

	shadow_test_begin(tt->t);
	slot = __gfn_to_memslot(__kvm_memslots(tt->t->kvm, as_id), SECOND);
	is_tracked = kvm_gfn_is_write_tracked(tt->t->kvm, slot, SECOND);
	shadow_test_end(tt->t);
	return is_tracked;
}

/* The guest makes a page that it can write to a page table: writes must trap. */
static void test_table(struct kunit *test, int level)
{
	struct track_test *tt = create(test);
	const u64 flushes = nr_flushes(tt);
	struct shadow_zap zap = {};
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, tt->t, SECOND, shadow_test_table(level));
	KUNIT_EXPECT_EQ(test, which(tt, PT_WRITABLE_MASK), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, which(tt, spte_fmt.mmu_writable), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, nr_flushes(tt), flushes + 1);
	KUNIT_EXPECT_EQ(test, tracked(tt, 0), level > PG_LEVEL_4K);
	/* The other address space may map the same page of the host. */
	if (kvm_arch_nr_memslot_as_ids(tt->t->kvm) > 1)
		KUNIT_EXPECT_EQ(test, tracked(tt, 1), level > PG_LEVEL_4K);

	shadow_test_zap(tt->t, sp, &zap);
	KUNIT_EXPECT_FALSE(test, tracked(tt, 0));
	shadow_test_finish(tt->t, &zap);
}

static void page_table_is_protected(struct kunit *test)
{
	test_table(test, PG_LEVEL_4K);
}

static void upper_table_is_tracked(struct kunit *test)
{
	test_table(test, PG_LEVEL_2M);
}

/* Emulated writes. */

static void write_gpte(struct track_test *tt, gfn_t table, int index)
{
	const int idx = srcu_read_lock(&tt->t->kvm->srcu);

	shadow_track_write(tt->t->vcpu, gfn_to_gpa(table) + index * 8, 8);
	srcu_read_unlock(&tt->t->kvm->srcu, idx);
}

/* The entry goes whose gPTE was written, and the page table stays. */
static void write_clears_its_entry(struct kunit *test)
{
	struct track_test *tt = create(test);
	const u64 flushes = nr_flushes(tt);
	int i;

	write_gpte(tt, TABLE, FIRST_INDEX + 1);
	KUNIT_EXPECT_EQ(test, which(tt, SPTE_PRESENT), ALL & ~BIT(1));
	KUNIT_EXPECT_EQ(test, nr_flushes(tt), flushes + 1);

	for (i = 0; i < 10; i++)
		write_gpte(tt, TABLE, FIRST_INDEX + 1);
	KUNIT_EXPECT_EQ(test, tt->sp->state, SP_ACTIVE);
	KUNIT_EXPECT_EQ(test, which(tt, SPTE_PRESENT), ALL & ~BIT(1));
}

/* Nobody walks through an upper table that is written again and again. */
static void write_flood_ends_a_table(struct kunit *test)
{
	struct track_test *tt = create(test);
	const union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_2M);
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, tt->t, SECOND, role);
	write_gpte(tt, SECOND, 0);
	write_gpte(tt, SECOND, 1);
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(tt->t, SECOND, role));

	/* It is used: the count begins anew. */
	KUNIT_EXPECT_PTR_EQ(test, sp, shadow_test_get(test, tt->t, SECOND, role));
	write_gpte(tt, SECOND, 2);
	write_gpte(tt, SECOND, 3);
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(tt->t, SECOND, role));

	write_gpte(tt, SECOND, 4);
	KUNIT_EXPECT_FALSE(test, shadow_test_exists(tt->t, SECOND, role));
	KUNIT_EXPECT_EQ(test, tt->t->kvm->stat.mmu_flooded, 1);
}

/* It may hold all of a nested guest, which L1 links again elsewhere. */
static void write_keeps_what_was_below(struct kunit *test)
{
	struct track_test *tt = create(test);
	union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_2M);
	struct kvm_mmu_page *upper, *lower;
	struct shadow_zap zap = {};
	const bool tdp = tdp_enabled;

	role.guest_mode = 1;
	upper = shadow_test_get(test, tt->t, SECOND, role);
	role = shadow_child_role(upper, 5, false, ACC_ALL);
	lower = shadow_test_get(test, tt->t, FIRST, role);
	shadow_test_begin(tt->t);
	shadow_link(tt->t->kvm, &tt->t->vcpu->arch.mmu_pte_list_desc_cache, upper, 5,
		    lower, &zap);
	shadow_test_end(tt->t);

	tdp_enabled = true;
	write_gpte(tt, SECOND, 5);
	tdp_enabled = tdp;

	KUNIT_EXPECT_EQ(test, upper->spt[5], SPTE_NONE);
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(tt->t, FIRST, role));
	KUNIT_EXPECT_EQ(test, tt->t->kvm->stat.mmu_shadow_zapped, 0);
}

/* Splits: only nested guests have huge pages that are split eagerly. */

#define HUGE_GFN	round_up(SHADOW_TEST_GFN, 512)

/* Entry 5 of the page maps HUGE_GFN. */
static struct kvm_mmu_page *create_huge(struct kunit *test, struct shadow_test *t)
{
	union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_2M);
	struct kvm_mmu_page *sp;

	role.guest_mode = 1;
	sp = shadow_test_get(test, t, TABLE, role);
	map(t, sp, 5, HUGE_GFN, used_leaf(SHADOW_TEST_PFN, PT_PAGE_SIZE_MASK));
	return sp;
}

/* Return: how often TLBs were flushed. */
static u64 split(struct shadow_test *t)
{
	const u64 *flushes = &t->kvm->stat.generic.remote_tlb_flush_requests;
	const u64 before = *flushes;

	mutex_lock(&t->kvm->slots_lock);
	shadow_test_begin(t);
	shadow_split_range(t->kvm, gfn_to_memslot(t->kvm, HUGE_GFN), HUGE_GFN,
			   HUGE_GFN + 512, PG_LEVEL_4K);
	shadow_test_end(t);
	mutex_unlock(&t->kvm->slots_lock);
	return *flushes - before;
}

/* The table was there before, and one of its pieces may be written, or not. */
static void test_split_with_table(struct kunit *test, bool writable)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp = create_huge(test, t), *table;
	u64 spte = used_leaf(SHADOW_TEST_PFN + 3, 0);

	if (!writable)
		spte &= ~PT_WRITABLE_MASK;
	table = shadow_test_get(test, t, HUGE_GFN,
				shadow_child_role(sp, 5, true, ACC_ALL));
	map(t, table, 3, HUGE_GFN + 3, spte);

	KUNIT_EXPECT_EQ(test, split(t), writable ? 0 : 1);
	KUNIT_EXPECT_PTR_EQ(test, &table->table, spte_child(sp->spt[5]));
	KUNIT_EXPECT_EQ(test, spte_writable(table->spt[3]), writable);
}

static void split_into_a_table(struct kunit *test)
{
	test_split_with_table(test, true);
}

/* A TLB that has the huge page would let writes through. */
static void split_flushes_what_is_less(struct kunit *test)
{
	test_split_with_table(test, false);
}

static void split_of_nested_guest(struct kunit *test)
{
	const gfn_t gfn = HUGE_GFN;
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp = create_huge(test, t), *pieces;
	int i, bad = 0;

	/* Whoever takes a piece away flushes then. */
	KUNIT_EXPECT_EQ(test, split(t), 0);

	KUNIT_ASSERT_TRUE(test, spte_present_table(sp->spt[5], PG_LEVEL_2M));
	pieces = table_to_sp(spte_child(sp->spt[5]));
	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		bad += spte_pfn(pieces->spt[i]) != SHADOW_TEST_PFN + i ||
		       !spte_writable(pieces->spt[i]) ||
		       rmap_empty(rmap_of(shadow_test_slot(t), gfn + i, PG_LEVEL_4K));
	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->kvm->stat.pages[0]), 512);
	KUNIT_EXPECT_EQ(test, atomic64_read(&t->kvm->stat.pages[1]), 0);
}

static struct kunit_case shadow_track_cases[] = {
	KUNIT_CASE(zap_only_the_range),
	KUNIT_CASE(zap_flushes_before_it_yields),
	KUNIT_CASE(accessed_is_told_of_one_leaf),
	KUNIT_CASE_PARAM(age_only_the_range, formats_gen_params),
	KUNIT_CASE(age_what_is_shadowed),
	KUNIT_CASE_PARAM(protect_takes_w_and_m, formats_gen_params),
	KUNIT_CASE_PARAM(wrprot_huge_keeps_m, formats_gen_params),
	KUNIT_CASE_PARAM(clean_only_the_mask, formats_gen_params),
	KUNIT_CASE(log_is_taken_and_trapped),
	KUNIT_CASE(page_table_is_protected),
	KUNIT_CASE(upper_table_is_tracked),
	KUNIT_CASE(write_clears_its_entry),
	KUNIT_CASE(write_keeps_what_was_below),
	KUNIT_CASE(write_flood_ends_a_table),
	KUNIT_CASE(split_of_nested_guest),
	KUNIT_CASE(split_into_a_table),
	KUNIT_CASE(split_flushes_what_is_less),
	{}
};

static struct kunit_suite shadow_track_suite = {
	.name = "kvm_shadow_track",
	.suite_init = shadow_test_suite_init,
	.suite_exit = shadow_test_suite_exit,
	.init = test_format_init,
	.test_cases = shadow_track_cases,
};

kunit_test_suite(shadow_track_suite);
