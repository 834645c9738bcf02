// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writers of shadow paging's SPTEs (shadow_pte.c): whatever is replaced by
 * whatever, it is on the list that it belongs on and on no other, it is counted,
 * and the host's mm, the dirty log and the TLBs are told.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_format.h"

#define GFN_A	(SHADOW_TEST_GFN + 0x51)
#define GFN_B	(SHADOW_TEST_GFN + 0x152)
#define TABLE	(SHADOW_TEST_GFN + 0x13)

static const struct format_case formats[] = {
	{ .name = "legacy", .ad = true },
	{ .name = "EPT", .ept = true },
	{ .name = "EPT, A/D", .ept = true, .ad = true },
};

KUNIT_ARRAY_PARAM_DESC(formats, formats, name);

static const struct format_case *test_case(struct kunit *test)
{
	return test->param_value ?: &formats[0];
}

/* A leaf that the CPU may read and execute; A and D as the format has them. */
static u64 leaf(kvm_pfn_t pfn)
{
	return SPTE_PRESENT | spte_fmt.present | spte_fmt.user | spte_fmt.exec |
	       spte_fmt.accessed | PFN_PHYS(pfn) |
	       (spte_fmt.accessed ? SPTE_AD_CPU : SPTE_AD_NONE);
}

/* The same, which may be written, and was. */
static u64 writable_leaf(kvm_pfn_t pfn)
{
	return leaf(pfn) | spte_fmt.host_writable | spte_fmt.mmu_writable |
	       PT_WRITABLE_MASK | spte_fmt.dirty;
}

/* What a writer returned, and what its caller had to do at the end. */
struct outcome {
	bool changed;
	unsigned int flushes;
	bool pages;
};

static u64 nr_flushes(struct shadow_test *t)
{
	return t->kvm->stat.generic.remote_tlb_flush_requests;
}

/* @flushes: how many there were before the writer. */
static struct outcome finish(struct shadow_test *t, bool changed,
			     struct shadow_zap *zap, u64 flushes)
{
	struct outcome outcome = {
		.changed = changed,
		.pages = !llist_empty(&zap->pages),
	};

	shadow_zap_finish(t->kvm, zap);
	outcome.flushes = nr_flushes(t) - flushes;
	return outcome;
}

static struct outcome set_leaf(struct shadow_test *t, struct kvm_mmu_page *sp,
			       int index, gfn_t gfn, unsigned int access, u64 spte)
{
	struct shadow_zap zap = {};
	const u64 flushes = nr_flushes(t);
	struct outcome outcome;
	bool changed;

	shadow_test_begin(t);
	changed = shadow_set_leaf(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache,
				  gfn_to_memslot(t->kvm, gfn), sp, index, gfn,
				  access, spte, &zap);
	outcome = finish(t, changed, &zap, flushes);
	shadow_test_end(t);
	return outcome;
}

static struct outcome clear(struct shadow_test *t, struct kvm_mmu_page *sp,
			    int index)
{
	struct shadow_zap zap = {};
	const u64 flushes = nr_flushes(t);
	const unsigned long used = t->kvm->arch.n_used_mmu_pages;
	struct outcome outcome;

	shadow_test_begin(t);
	shadow_clear(t->kvm, sp, index, &zap);
	outcome = finish(t, t->kvm->arch.n_used_mmu_pages != used, &zap, flushes);
	shadow_test_end(t);
	return outcome;
}

static struct outcome set_link(struct shadow_test *t, struct kvm_mmu_page *sp,
			       int index, struct kvm_mmu_page *child)
{
	struct shadow_zap zap = {};
	const u64 flushes = nr_flushes(t);
	struct outcome outcome;

	shadow_test_begin(t);
	shadow_link(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache, sp, index,
		    child, &zap);
	outcome = finish(t, true, &zap, flushes);
	shadow_test_end(t);
	return outcome;
}

static void expect_outcome(struct kunit *test, struct outcome outcome,
			   bool changed, unsigned int flushes)
{
	KUNIT_EXPECT_EQ(test, outcome.changed, changed);
	KUNIT_EXPECT_EQ(test, outcome.flushes, flushes);
}

static unsigned int nr_mapped(struct shadow_test *t, gfn_t gfn, int level)
{
	return pte_list_count(rmap_of(shadow_test_slot(t), gfn, level));
}

static s64 nr_pages(struct shadow_test *t, int level)
{
	return atomic64_read(&t->kvm->stat.pages[level - 1]);
}

/* One page of 4K is mapped, at A, at B, or neither. */
static void expect_mapped(struct kunit *test, struct shadow_test *t, int a, int b)
{
	KUNIT_EXPECT_EQ(test, nr_mapped(t, GFN_A, PG_LEVEL_4K), a);
	KUNIT_EXPECT_EQ(test, nr_mapped(t, GFN_B, PG_LEVEL_4K), b);
	KUNIT_EXPECT_EQ(test, nr_pages(t, PG_LEVEL_4K), a + b);
}

/* Leaves. */

static void leaf_of_indirect_page(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, test_case(test));
	const u64 ro = leaf(SHADOW_TEST_PFN), rw = writable_leaf(SHADOW_TEST_PFN);
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	expect_outcome(test, clear(t, sp, 3), false, 0);

	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL, rw), true, 0);
	expect_mapped(test, t, 1, 0);
	KUNIT_EXPECT_EQ(test, shadow_gfn(sp, 3), GFN_A);
	KUNIT_EXPECT_EQ(test, shadow_access(sp, 3), ACC_ALL);

	/* The same again; less; more. */
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL, rw), false, 0);
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_EXEC_MASK, ro), true, 1);
	KUNIT_EXPECT_EQ(test, shadow_access(sp, 3), ACC_EXEC_MASK);
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL, rw), true, 0);
	expect_mapped(test, t, 1, 0);

	/* Another pfn. */
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL,
				      leaf(SHADOW_TEST_PFN + 1)), true, 1);
	expect_mapped(test, t, 1, 0);

	expect_outcome(test, clear(t, sp, 3), false, 1);
	expect_mapped(test, t, 0, 0);
	KUNIT_EXPECT_EQ(test, sp->spt[3], SPTE_NONE);
}

/*
 * The guest makes the gPTE point to another gfn that has the same pfn.  The list
 * that the SPTE is on has to follow, or a later unmap of either misses it.
 */
static void leaf_follows_its_gfn(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const u64 spte = leaf(SHADOW_TEST_PFN);
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	set_leaf(t, sp, 3, GFN_A, ACC_ALL, spte);
	expect_mapped(test, t, 1, 0);

	expect_outcome(test, set_leaf(t, sp, 3, GFN_B, ACC_ALL, spte), true, 1);
	expect_mapped(test, t, 0, 1);
	KUNIT_EXPECT_EQ(test, shadow_gfn(sp, 3), GFN_B);

	set_leaf(t, sp, 3, GFN_A, ACC_ALL, spte);
	expect_mapped(test, t, 1, 0);
	KUNIT_EXPECT_EQ(test, shadow_sptep_gfn(&sp->spt[3]), GFN_A);
}

/* Else walks over the slot do not find what is mapped. */
static void leaf_tells_walks(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const struct kvm_rmap_head *above;
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	above = rmap_of(shadow_test_slot(t), GFN_A, PG_LEVEL_2M);
	KUNIT_EXPECT_FALSE(test, above->val & RMAP_BELOW);

	set_leaf(t, sp, 3, GFN_A, ACC_ALL, leaf(SHADOW_TEST_PFN));
	KUNIT_EXPECT_TRUE(test, above->val & RMAP_BELOW);
	KUNIT_EXPECT_TRUE(test, rmap_empty(above));
	clear(t, sp, 3);
}

/* A direct page cannot be made to lie about its gfns. */
static void leaf_of_direct_page(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const u64 spte = leaf(SHADOW_TEST_PFN);
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, GFN_A - 3, shadow_test_direct(PG_LEVEL_4K));
	KUNIT_EXPECT_NULL(test, sp->translation);
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL, spte), true, 0);
	expect_mapped(test, t, 1, 0);

	/* Is a bug; a VM that is dead already is not reported again. */
	t->kvm->vm_bugged = true;
	expect_outcome(test, set_leaf(t, sp, 3, GFN_B, ACC_ALL, spte), false, 0);
	expect_outcome(test, set_leaf(t, sp, 4, GFN_A, ACC_ALL, spte), false, 0);
	t->kvm->vm_bugged = false;

	KUNIT_EXPECT_EQ(test, sp->spt[3], spte);
	KUNIT_EXPECT_EQ(test, sp->spt[4], SPTE_NONE);
	expect_mapped(test, t, 1, 0);
}

/* A gfn that is mapped too often is unmapped, and begins anew. */
static void leaf_recycles_long_lists(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_4K);
	struct kvm_mmu_memory_cache *cache;
	struct kvm_mmu_page *sp[2];
	unsigned int flushes = 0;
	int i;

	cache = &t->vcpu->arch.mmu_pte_list_desc_cache;
	sp[0] = shadow_test_get(test, t, TABLE, role);
	sp[1] = shadow_test_get(test, t, TABLE + 1, role);

	for (i = 0; i <= 1000; i++) {
		KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(cache, 1));
		flushes += set_leaf(t, sp[i / 512], i % 512, GFN_A, ACC_ALL,
				    leaf(SHADOW_TEST_PFN)).flushes;
	}
	KUNIT_EXPECT_EQ(test, flushes, 0);
	expect_mapped(test, t, 1001, 0);

	expect_outcome(test, set_leaf(t, sp[1], 511, GFN_A, ACC_ALL,
				      leaf(SHADOW_TEST_PFN)), true, 1);
	expect_mapped(test, t, 0, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.max_mmu_rmap_size, 1001);

	set_leaf(t, sp[0], 0, GFN_A, ACC_ALL, leaf(SHADOW_TEST_PFN));
	expect_mapped(test, t, 1, 0);
}

/* MMIO. */

static void mmio_replaces_a_leaf(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp;
	bool flush;
	u64 mmio;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	mmio = mmio_make_spte(t->kvm, 0, GFN_A, ACC_ALL);
	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	set_leaf(t, sp, 3, GFN_A, ACC_ALL, leaf(SHADOW_TEST_PFN));
	set_leaf(t, sp, 4, GFN_B, ACC_ALL, leaf(SHADOW_TEST_PFN));

	shadow_test_begin(t);
	shadow_set_mmio(t->kvm, sp, 3, mmio, &zap);
	flush = zap.flush;
	zap.flush = false;
	shadow_set_mmio(t->kvm, sp, 5, mmio, &zap);
	shadow_test_end(t);

	KUNIT_EXPECT_TRUE(test, flush);
	KUNIT_EXPECT_FALSE(test, zap.flush);
	KUNIT_EXPECT_EQ(test, sp->spt[3], mmio);
	expect_mapped(test, t, 0, 1);

	/* And back: nothing was mapped. */
	expect_outcome(test, set_leaf(t, sp, 3, GFN_A, ACC_ALL,
				      leaf(SHADOW_TEST_PFN)), true, 0);
	expect_mapped(test, t, 1, 1);

	shadow_test_begin(t);
	shadow_zap_mmio(t->kvm);
	shadow_test_end(t);
	KUNIT_EXPECT_EQ(test, sp->spt[5], SPTE_NONE);
	expect_mapped(test, t, 1, 1);
}

/* Links. */

static void link_is_cut_from_both_ends(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *parent[2], *child;
	int i;

	for (i = 0; i < 2; i++)
		parent[i] = shadow_test_get(test, t, TABLE + i,
					    shadow_test_table(PG_LEVEL_2M));
	child = shadow_test_get(test, t, GFN_A, shadow_test_direct(PG_LEVEL_4K));
	set_leaf(t, child, 0, GFN_A, ACC_ALL, leaf(SHADOW_TEST_PFN));

	expect_outcome(test, set_link(t, parent[0], 7, child), true, 0);
	set_link(t, parent[0], 9, child);
	set_link(t, parent[1], 511, child);
	KUNIT_EXPECT_EQ(test, pte_list_count(&child->parents), 3);

	/* From above: the child stays, and what it maps. */
	expect_outcome(test, clear(t, parent[0], 7), false, 1);
	shadow_test_zap(t, parent[1], &zap);
	KUNIT_EXPECT_EQ(test, pte_list_count(&child->parents), 1);
	KUNIT_EXPECT_EQ(test, child->state, SP_ACTIVE);
	expect_mapped(test, t, 1, 0);

	/* From below. */
	shadow_test_zap(t, child, &zap);
	KUNIT_EXPECT_EQ(test, child->parents.val, 0);
	KUNIT_EXPECT_EQ(test, parent[0]->spt[9], SPTE_NONE);
	expect_mapped(test, t, 0, 0);
	KUNIT_EXPECT_TRUE(test, shadow_test_finish(t, &zap));
}

/* A huge page in the place of a table, and a table in that of a huge page. */
static void link_and_huge_page(struct kunit *test)
{
	const u64 huge = leaf(SHADOW_TEST_PFN) | PT_PAGE_SIZE_MASK;
	const gfn_t gfn = round_up(SHADOW_TEST_GFN, 512);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *parent, *child;

	parent = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_2M));
	child = shadow_test_get(test, t, gfn, shadow_test_direct(PG_LEVEL_4K));
	set_link(t, parent, 7, child);

	expect_outcome(test, set_leaf(t, parent, 7, gfn, ACC_ALL, huge), true, 1);
	KUNIT_EXPECT_EQ(test, child->parents.val, 0);
	KUNIT_EXPECT_EQ(test, nr_mapped(t, gfn, PG_LEVEL_2M), 1);
	KUNIT_EXPECT_EQ(test, nr_pages(t, PG_LEVEL_2M), 1);

	expect_outcome(test, set_link(t, parent, 7, child), true, 1);
	KUNIT_EXPECT_EQ(test, pte_list_count(&child->parents), 1);
	KUNIT_EXPECT_EQ(test, nr_mapped(t, gfn, PG_LEVEL_2M), 0);
	KUNIT_EXPECT_EQ(test, nr_pages(t, PG_LEVEL_2M), 0);
}

/* A page that is gone, or of the wrong level, is not linked: is a bug. */
static void link_refuses(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *parent, *child;

	parent = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_1G));
	child = shadow_test_get(test, t, GFN_A, shadow_test_direct(PG_LEVEL_4K));

	t->kvm->vm_bugged = true;
	set_link(t, parent, 7, child);
	KUNIT_EXPECT_EQ(test, parent->spt[7], SPTE_NONE);

	child = shadow_test_get(test, t, GFN_A, shadow_test_direct(PG_LEVEL_2M));
	shadow_test_zap(t, child, &zap);
	set_link(t, parent, 7, child);
	KUNIT_EXPECT_EQ(test, parent->spt[7], SPTE_NONE);
	t->kvm->vm_bugged = false;

	shadow_test_finish(t, &zap);
}

/* Tables of a nested guest go with their last parent, but for roots. */
static void link_of_nested_guest(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const bool tdp = tdp_enabled;
	struct kvm_mmu_page *sp[5];
	struct outcome first, last;
	int level;

	for (level = 1; level <= 4; level++) {
		union kvm_mmu_page_role role = shadow_test_direct(level);

		role.guest_mode = 1;
		sp[level] = shadow_test_get(test, t, 0, role);
		if (level > 1)
			set_link(t, sp[level], 7, sp[level - 1]);
	}
	set_link(t, sp[3], 8, sp[2]);
	sp[1]->root_count = 1;

	tdp_enabled = true;
	first = clear(t, sp[3], 8);
	last = clear(t, sp[4], 7);
	tdp_enabled = tdp;

	KUNIT_EXPECT_FALSE(test, first.pages);
	KUNIT_EXPECT_TRUE(test, last.pages);
	KUNIT_EXPECT_TRUE(test, last.changed);
	/* Left are the root, and the page that the link was cut from. */
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 2);
	KUNIT_EXPECT_EQ(test, sp[1]->state, SP_ACTIVE);
	KUNIT_EXPECT_EQ(test, sp[1]->parents.val, 0);
	sp[1]->root_count = 0;
}

/* What is told to whom. */

/*
 * A page of RAM: its flags say what the host's mm was told.  Not more than once
 * that it was accessed, as the page is on no LRU list.
 */
static struct page *create_page(struct kunit *test)
{
	struct page *page = alloc_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, page);
	return page;
}

/*
 * Whoever sets M tells the host's mm; who takes M, W, D or the leaf, or ages it,
 * does not touch the page any more.
 */
static void told_dirty_by_nobody(struct kunit *test)
{
	const struct format_case *format = test_case(test);
	struct shadow_test *t = shadow_test_create(test, format);
	union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_4K);
	struct page *page = create_page(test);
	const kvm_pfn_t pfn = page_to_pfn(page);
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, role);
	set_leaf(t, sp, 3, GFN_A, ACC_ALL, writable_leaf(pfn));
	set_leaf(t, sp, 3, GFN_A, ACC_USER_MASK, leaf(pfn));
	set_leaf(t, sp, 3, GFN_A, ACC_ALL, writable_leaf(pfn));

	KUNIT_EXPECT_TRUE(test, shadow_clear_accessed(&sp->spt[3]));
	KUNIT_EXPECT_FALSE(test, spte_accessed(sp->spt[3]));
	KUNIT_EXPECT_TRUE(test, spte_present(sp->spt[3]));
	KUNIT_EXPECT_FALSE(test, shadow_clear_accessed(&sp->spt[3]));

	KUNIT_EXPECT_EQ(test, shadow_clear_writable(&sp->spt[3]), format->ad);
	KUNIT_EXPECT_FALSE(test, shadow_clear_writable(&sp->spt[3]));

	clear(t, sp, 3);
	KUNIT_EXPECT_FALSE(test, PageDirty(page));
	__free_page(page);
}

/*
 * To take M away is to end all writing, even if W is clear already.  A and D are
 * for who collects them to flush, or not.
 */
static void told_to_flush(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, test_case(test));
	const u64 w = PT_WRITABLE_MASK, m = spte_fmt.mmu_writable;
	const u64 used = writable_leaf(SHADOW_TEST_PFN);
	const u64 spte = used & ~spte_fmt.dirty;
	struct kvm_mmu_page *sp;
	bool flush[6];

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	set_leaf(t, sp, 3, GFN_A, ACC_ALL, spte);

	shadow_test_begin(t);
	flush[0] = shadow_update(t->kvm, &sp->spt[3], spte & ~w);
	flush[1] = shadow_update(t->kvm, &sp->spt[3], spte & ~(w | m));
	flush[2] = shadow_update(t->kvm, &sp->spt[3], spte & ~(w | m));
	flush[3] = shadow_update(t->kvm, &sp->spt[3], used);
	flush[4] = shadow_update(t->kvm, &sp->spt[3], spte);
	flush[5] = shadow_update(t->kvm, &sp->spt[3], spte & ~spte_fmt.accessed);
	shadow_test_end(t);

	KUNIT_EXPECT_TRUE(test, flush[0]);
	KUNIT_EXPECT_TRUE(test, flush[1]);
	KUNIT_EXPECT_FALSE(test, flush[2]);
	KUNIT_EXPECT_FALSE(test, flush[3]);
	KUNIT_EXPECT_FALSE(test, flush[4]);
	KUNIT_EXPECT_FALSE(test, flush[5]);
}

/* The log of A and B in a slot whose bitmap is the test's. */
static void expect_logged(struct kunit *test, struct shadow_test *t, bool a, bool b)
{
	unsigned long *bitmap = shadow_test_slot(t)->dirty_bitmap;

	KUNIT_EXPECT_EQ(test, a, test_and_clear_bit_le(GFN_A - SHADOW_TEST_GFN,
						       bitmap));
	KUNIT_EXPECT_EQ(test, b, test_and_clear_bit_le(GFN_B - SHADOW_TEST_GFN,
						       bitmap));
}

/* A fast page fault may have given W, and not come to log it. */
static void told_dirty_log(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const u64 ro = leaf(SHADOW_TEST_PFN), rw = writable_leaf(SHADOW_TEST_PFN);
	struct kvm_memory_slot *slot = shadow_test_slot(t);
	struct kvm_mmu_page *sp, *direct;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	direct = shadow_test_get(test, t, GFN_A, shadow_test_direct(PG_LEVEL_4K));

	slot->dirty_bitmap = kunit_kzalloc(test, kvm_dirty_bitmap_bytes(slot),
					   GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, slot->dirty_bitmap);

	set_leaf(t, sp, 3, GFN_A, ACC_ALL, ro);
	clear(t, sp, 3);
	expect_logged(test, t, false, false);

	set_leaf(t, sp, 3, GFN_A, ACC_ALL, ro);
	/* What the fast page fault does. */
	WRITE_ONCE(sp->spt[3], rw);
	set_leaf(t, sp, 3, GFN_B, ACC_ALL, rw);
	expect_logged(test, t, true, false);
	clear(t, sp, 3);
	expect_logged(test, t, false, true);

	/* The gfns of a direct page never change. */
	set_leaf(t, direct, 0, GFN_A, ACC_ALL, rw);
	clear(t, direct, 0);
	expect_logged(test, t, false, false);

	slot->dirty_bitmap = NULL;
}

static struct kunit_case shadow_pte_cases[] = {
	KUNIT_CASE_PARAM(leaf_of_indirect_page, formats_gen_params),
	KUNIT_CASE(leaf_follows_its_gfn),
	KUNIT_CASE(leaf_tells_walks),
	KUNIT_CASE(leaf_of_direct_page),
	KUNIT_CASE(leaf_recycles_long_lists),
	KUNIT_CASE(mmio_replaces_a_leaf),
	KUNIT_CASE(link_is_cut_from_both_ends),
	KUNIT_CASE(link_and_huge_page),
	KUNIT_CASE(link_refuses),
	KUNIT_CASE(link_of_nested_guest),
	KUNIT_CASE_PARAM(told_dirty_by_nobody, formats_gen_params),
	KUNIT_CASE_PARAM(told_to_flush, formats_gen_params),
	KUNIT_CASE(told_dirty_log),
	{}
};

static struct kunit_suite shadow_pte_suite = {
	.name = "kvm_shadow_pte",
	.suite_init = shadow_test_suite_init,
	.suite_exit = shadow_test_suite_exit,
	.init = test_format_init,
	.test_cases = shadow_pte_cases,
};

kunit_test_suite(shadow_pte_suite);
