// SPDX-License-Identifier: GPL-2.0-only
/*
 * Emulated writes to shadowed tables: which SPTEs one covers, and which ones are
 * misaligned.  All offsets, sizes, formats, levels and quadrants against a model
 * that knows of addresses only.  The counters of who tracks writes, for slots of
 * any size.
 *
 * The sweeps count failures and check the count.  No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "mmu/shadow_internal.h"

/**
 * struct table_kind - a page of SPTEs that shadows a table of the guest
 * @name: for the test's report
 * @level: of the page
 * @gpte_size: in bytes
 * @quadrant: which part of the table it shadows, if the gPTEs have 4 bytes
 */
struct table_kind {
	const char *name;
	int level;
	int gpte_size;
	int quadrant;
};

static const struct table_kind table_kinds[] = {
	{ "8 bytes, level 1",			1, 8, 0 },
	{ "8 bytes, level 2",			2, 8, 0 },
	{ "8 bytes, level 3",			3, 8, 0 },
	{ "8 bytes, level 4",			4, 8, 0 },
	{ "8 bytes, level 5",			5, 8, 0 },
	{ "4 bytes, level 1, quadrant 0",	1, 4, 0 },
	{ "4 bytes, level 1, quadrant 1",	1, 4, 1 },
	{ "4 bytes, level 2, quadrant 0",	2, 4, 0 },
	{ "4 bytes, level 2, quadrant 1",	2, 4, 1 },
	{ "4 bytes, level 2, quadrant 2",	2, 4, 2 },
	{ "4 bytes, level 2, quadrant 3",	2, 4, 3 },
};

KUNIT_ARRAY_PARAM_DESC(table_kinds, table_kinds, name);

static union kvm_mmu_page_role kind_role(const struct table_kind *kind)
{
	return (union kvm_mmu_page_role){
		.level = kind->level,
		.has_4_byte_gpte = kind->gpte_size == 4,
		.quadrant = kind->quadrant,
	};
}

/* The gPTE that translates the addresses that an SPTE translates. */
static unsigned int model_gpte(const struct table_kind *kind, unsigned int spte)
{
	const int gpte_bits = kind->gpte_size == 4 ? 10 : 9;
	const u64 nth = kind->quadrant * 512 + spte;
	const u64 addr = nth << (12 + 9 * (kind->level - 1));

	return addr >> (12 + gpte_bits * (kind->level - 1));
}

/* The SPTEs that stand for a gPTE; *@first is the lowest. */
static unsigned int model_sptes(const struct table_kind *kind, unsigned int gpte,
				unsigned int *first)
{
	unsigned int spte, nr = 0;

	for (spte = 512; spte-- > 0;) {
		if (model_gpte(kind, spte) != gpte)
			continue;
		*first = spte;
		nr++;
	}
	return nr;
}

static void write_covers(struct kunit *test)
{
	const struct table_kind *kind = test->param_value;
	const union kvm_mmu_page_role role = kind_role(kind);
	unsigned int gpte, byte, nr, first, model_nr, model_first;
	unsigned int bad = 0, all = 0;

	for (gpte = 0; gpte < PAGE_SIZE / kind->gpte_size; gpte++) {
		model_first = 0;
		model_nr = model_sptes(kind, gpte, &model_first);
		all += model_nr;

		for (byte = 0; byte < kind->gpte_size; byte++) {
			nr = shadow_write_covers(role, gpte * kind->gpte_size + byte,
						 &first);
			bad += nr != model_nr || (nr && first != model_first);
		}
	}

	KUNIT_EXPECT_EQ(test, bad, 0);
	/* The model itself: each SPTE stands for one gPTE. */
	KUNIT_EXPECT_EQ(test, all, 512);
}

/* Does one write reach into a second gPTE, or set no more than a piece of one? */
static bool model_misaligned(unsigned int offset, unsigned int bytes,
			     unsigned int size)
{
	unsigned int i;

	if (bytes < 4)
		return bytes > 1 || offset % size;

	for (i = 1; i < bytes; i++)
		if ((offset + i) % size == 0)
			return true;
	return false;
}

static void write_misaligned(struct kunit *test)
{
	const struct table_kind *kind = test->param_value;
	const union kvm_mmu_page_role role = kind_role(kind);
	unsigned int offset, bytes, bad = 0;
	bool model;

	for (offset = 0; offset < PAGE_SIZE; offset++) {
		for (bytes = 1; bytes <= 20; bytes++) {
			model = model_misaligned(offset, bytes, kind->gpte_size);
			bad += shadow_write_misaligned(role, offset, bytes) != model;
		}
	}
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* One case per rule, to see what breaks. */
static void write_examples(struct kunit *test)
{
	const union kvm_mmu_page_role pte64 = { .level = 1 };
	const union kvm_mmu_page_role pte32_high = {
		.level = 1, .has_4_byte_gpte = 1, .quadrant = 1,
	};
	const union kvm_mmu_page_role pde32_last = {
		.level = 2, .has_4_byte_gpte = 1, .quadrant = 3,
	};
	unsigned int first;

	KUNIT_EXPECT_EQ(test, shadow_write_covers(pte64, 8 * 7 + 4, &first), 1);
	KUNIT_EXPECT_EQ(test, first, 7);

	/* The upper half of 1024 gPTEs begins at gPTE 512. */
	KUNIT_EXPECT_EQ(test, shadow_write_covers(pte32_high, 4 * 511, &first), 0);
	KUNIT_EXPECT_EQ(test, shadow_write_covers(pte32_high, 4 * 512, &first), 1);
	KUNIT_EXPECT_EQ(test, first, 0);

	/* 4M are two SPTEs; the last 1G begins at gPTE 768. */
	KUNIT_EXPECT_EQ(test, shadow_write_covers(pde32_last, 4 * 767, &first), 0);
	KUNIT_EXPECT_EQ(test, shadow_write_covers(pde32_last, 4 * 769, &first), 2);
	KUNIT_EXPECT_EQ(test, first, 2);

	KUNIT_EXPECT_FALSE(test, shadow_write_misaligned(pte64, 8, 8));
	KUNIT_EXPECT_FALSE(test, shadow_write_misaligned(pte64, 12, 4));
	KUNIT_EXPECT_FALSE(test, shadow_write_misaligned(pte64, 8, 1));
	KUNIT_EXPECT_TRUE(test, shadow_write_misaligned(pte64, 9, 1));
	KUNIT_EXPECT_TRUE(test, shadow_write_misaligned(pte64, 8, 2));
	KUNIT_EXPECT_TRUE(test, shadow_write_misaligned(pte64, 14, 4));
	KUNIT_EXPECT_TRUE(test, shadow_write_misaligned(pte32_high, 8, 8));
	/* Over the end of the page. */
	KUNIT_EXPECT_TRUE(test, shadow_write_misaligned(pte64, PAGE_SIZE - 4, 8));
}

/*
 * A slot may be so large that its counters have more than INT_MAX bytes.  There
 * may be no memory for them, but to ask for it is no reason to warn.
 */
static void write_counters_of_any_slot(struct kunit *test)
{
	static const unsigned long npages[] = {
		1, PAGE_SIZE / 2 - 1, PAGE_SIZE / 2, 1 << 20,
		BIT(30) + 1, KVM_MEM_MAX_NR_PAGES,
	};
	struct kvm_memory_slot slot = {};
	int i, r;

	for (i = 0; i < ARRAY_SIZE(npages); i++) {
		slot.npages = npages[i];
		r = kvm_page_track_write_tracking_alloc(&slot);
		KUNIT_EXPECT_EQ(test, r, slot.arch.gfn_write_track ? 0 : -ENOMEM);
		if (npages[i] <= 1 << 20)
			KUNIT_EXPECT_EQ(test, r, 0);
		if (!r)
			KUNIT_EXPECT_EQ(test, 0, slot.arch.gfn_write_track[npages[i] - 1]);
		kvm_page_track_free_memslot(&slot);
		KUNIT_EXPECT_NULL(test, slot.arch.gfn_write_track);
	}
}

static struct kunit_case shadow_write_cases[] = {
	KUNIT_CASE_PARAM(write_covers, table_kinds_gen_params),
	KUNIT_CASE_PARAM(write_misaligned, table_kinds_gen_params),
	KUNIT_CASE(write_examples),
	KUNIT_CASE(write_counters_of_any_slot),
	{}
};

static struct kunit_suite shadow_write_suite = {
	.name = "kvm_shadow_write",
	.test_cases = shadow_write_cases,
};

kunit_test_suite(shadow_write_suite);
