// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memslot generation in MMIO SPTEs: what is stored, what is read back, what
 * matches, and when the stored bits start over.
 *
 * These are pure functions of mmio.h, which the MMU calls too.  The sweeps go
 * over all 2^20 generations that an SPTE tells apart; they count failures and
 * check the count, because an expectation each would take minutes.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "memslot_tree.h"
#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"

#define NR_GENS		BIT_ULL(20)

/* In numbers, not in terms of mmio.h: 19 bits, 3-10 and 52-62. */
static const u64 stored_bits = GENMASK_ULL(62, 52) | GENMASK_ULL(10, 3);

/* Where bit @bit of a generation stands in an SPTE. */
static unsigned int spte_bit_of(unsigned int bit)
{
	return bit <= 8 ? bit + 2 : bit + 43;
}

/* Each of the bits 1-19 alone sets the one SPTE bit that is its own. */
static void mmio_gen_bit_positions(struct kunit *test)
{
	unsigned int bit;

	for (bit = 1; bit < 20; bit++)
		KUNIT_EXPECT_EQ(test, generation_mmio_spte_mask(BIT_ULL(bit)),
				BIT_ULL(spte_bit_of(bit)));

	KUNIT_EXPECT_EQ(test, generation_mmio_spte_mask(1), 0);
	KUNIT_EXPECT_EQ(test, generation_mmio_spte_mask(NR_GENS - 1),
			stored_bits);
	KUNIT_EXPECT_EQ(test, get_mmio_spte_generation(~stored_bits), 0);
}

static void mmio_gen_round_trip(struct kunit *test)
{
	unsigned long bad_bits = 0, bad_value = 0;
	u64 gen, spte;

	for (gen = 0; gen < NR_GENS; gen++) {
		spte = generation_mmio_spte_mask(gen);
		bad_bits += !!(spte & ~stored_bits);
		bad_value += get_mmio_spte_generation(spte) != (gen & ~1ULL);
	}

	KUNIT_EXPECT_EQ(test, bad_bits, 0);
	KUNIT_EXPECT_EQ(test, bad_value, 0);
}

/* The bits of an SPTE that are not the generation's do not matter. */
static void mmio_gen_ignores_other_bits(struct kunit *test)
{
	unsigned long bad = 0;
	u64 gen, spte;

	for (gen = 0; gen < NR_GENS; gen++) {
		spte = generation_mmio_spte_mask(gen) | ~stored_bits;
		bad += get_mmio_spte_generation(spte) != (gen & ~1ULL);
	}

	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* Nor do the bits of the 64-bit generation above the 20 low ones. */
static void mmio_gen_ignores_high_bits(struct kunit *test)
{
	u64 gen = 0x2468c;
	unsigned int bit;

	for (bit = 20; bit < 64; bit++) {
		u64 high = gen | BIT_ULL(bit);
		u64 spte = generation_mmio_spte_mask(high);

		KUNIT_EXPECT_EQ(test, spte, generation_mmio_spte_mask(gen));
		KUNIT_EXPECT_TRUE(test, mmio_spte_gen_matches(spte, high));
	}
}

/*
 * Every update of a VM with one address space: an SPTE of the generation at
 * rest hits until the update begins, an SPTE made in flux never does.
 */
static void mmio_gen_matches_at_rest_only(struct kunit *test)
{
	unsigned long missed = 0, stale = 0;
	u64 rest, flux, next, made_at_rest, made_in_flux;

	for (rest = 0; rest < NR_GENS; rest += 2) {
		flux = kvm_memslots_gen_begin(rest);
		next = kvm_memslots_gen_end(flux, 1);
		made_at_rest = generation_mmio_spte_mask(rest);
		made_in_flux = generation_mmio_spte_mask(flux);

		missed += !mmio_spte_gen_matches(made_at_rest, rest);
		stale += mmio_spte_gen_matches(made_at_rest, flux);
		stale += mmio_spte_gen_matches(made_at_rest, next);
		stale += mmio_spte_gen_matches(made_in_flux, flux);
		stale += mmio_spte_gen_matches(made_in_flux, next);
	}

	KUNIT_EXPECT_EQ(test, missed, 0);
	KUNIT_EXPECT_EQ(test, stale, 0);
}

/* Whatever an SPTE stores, an odd current generation is not it. */
static void mmio_gen_odd_never_matches(struct kunit *test)
{
	unsigned long hits = 0;
	unsigned int bit;
	u64 gen, spte;

	for (gen = 1; gen < NR_GENS; gen += 2) {
		spte = generation_mmio_spte_mask(gen);
		hits += mmio_spte_gen_matches(spte, gen);
		hits += mmio_spte_gen_matches(0, gen);
		hits += mmio_spte_gen_matches(~0ULL, gen);
		for (bit = 0; bit < 20; bit++)
			hits += mmio_spte_gen_matches(spte ^
						      BIT_ULL(spte_bit_of(bit)),
						      gen);
	}

	KUNIT_EXPECT_EQ(test, hits, 0);
}

struct spte_field {
	const char *name;
	u64 bits;
};

/* The generation shares no bit with anything else that an SPTE can mean. */
static void mmio_gen_overlaps_nothing(struct kunit *test)
{
	const struct spte_field others[] = {
		{ "MMU-present",	SPTE_PRESENT },
		{ "MMIO, allowed",	MMIO_ALLOWED_MASK },
		{ "non-present",	SPTE_NONE },
		{ "address",		SPTE_ADDR_MASK },
		/* These are as the vendor module, if any, set them up. */
		{ "MMIO value",		spte_fmt.mmio_value },
		{ "MMIO mask",		spte_fmt.mmio_mask },
		{ "MMIO access",	spte_fmt.mmio_access },
		{ "L1TF",		spte_fmt.l1tf },
		{ "L1TF low gfn",	spte_fmt.l1tf_gfn },
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(others); i++)
		KUNIT_EXPECT_EQ_MSG(test, stored_bits & others[i].bits, 0,
				    "%s", others[i].name);
}

/* The MMU's constructor stores the generation and spoils nothing by it. */
static void mmio_gen_make_spte(struct kunit *test)
{
	struct kvm *kvm = kunit_kzalloc(test, sizeof(*kvm), GFP_KERNEL);
	const gfn_t gfn = 0xfee00;
	unsigned long bad_gen = 0, bad_rest = 0, confused = 0;
	u64 plain, spte, gen;

	KUNIT_ASSERT_NOT_NULL(test, kvm);
	kvm->arch.shadow_mmio_value = spte_fmt.mmio_value ?: BIT_ULL(51);

	plain = mmio_make_spte(kvm, 0, gfn, ACC_ALL);
	for (gen = 0; gen < NR_GENS; gen++) {
		spte = mmio_make_spte(kvm, gen, gfn, ACC_ALL);
		bad_gen += get_mmio_spte_generation(spte) != (gen & ~1ULL);
		bad_rest += (spte & ~stored_bits) != (plain & ~stored_bits);
		confused += spte_present(spte) || spte_frozen(spte);
	}

	KUNIT_EXPECT_EQ(test, bad_gen, 0);
	KUNIT_EXPECT_EQ(test, bad_rest, 0);
	KUNIT_EXPECT_EQ(test, confused, 0);
}

struct wrap_case {
	const char *name;
	unsigned int nr_as;
	unsigned int as_id;
};

static const struct wrap_case wrap_cases[] = {
	{ "one address space",		1, 0 },
	{ "address space 0 of two",	2, 0 },
	{ "address space 1 of two",	2, 1 },
};

KUNIT_ARRAY_PARAM_DESC(wrap_cases, wrap_cases, name);

/*
 * Update for three periods and a bit.  A wrap is where the value that an SPTE
 * would store, without its highest bit, is not higher than the one before: twice a
 * period.  All of these are detected and nothing else is.
 */
static void mmio_gen_wrap(struct kunit *test)
{
	const struct wrap_case *c = test->param_value;
	const unsigned long period = NR_GENS / (2 * c->nr_as);
	unsigned long missed = 0, spurious = 0, wraps = 0, i;
	u64 gen = kvm_memslots_gen_first(c->as_id);
	const u64 low = ~BIT_ULL(62);
	u64 stored = generation_mmio_spte_mask(gen) & low, next_stored;

	for (i = 1; i <= 3 * period + 7; i++) {
		gen = kvm_memslots_gen_end(kvm_memslots_gen_begin(gen),
					   c->nr_as);
		next_stored = generation_mmio_spte_mask(gen) & low;
		if (mmio_spte_gen_wrapped(gen, c->nr_as)) {
			wraps++;
			spurious += next_stored > stored || i % (period / 2);
		} else {
			missed += next_stored <= stored;
		}
		stored = next_stored;
	}

	KUNIT_EXPECT_EQ(test, wraps, 6);
	KUNIT_EXPECT_EQ(test, spurious, 0);
	KUNIT_EXPECT_EQ(test, missed, 0);
}

static struct kunit_case mmio_gen_cases[] = {
	KUNIT_CASE(mmio_gen_bit_positions),
	KUNIT_CASE(mmio_gen_round_trip),
	KUNIT_CASE(mmio_gen_ignores_other_bits),
	KUNIT_CASE(mmio_gen_ignores_high_bits),
	KUNIT_CASE(mmio_gen_matches_at_rest_only),
	KUNIT_CASE(mmio_gen_odd_never_matches),
	KUNIT_CASE(mmio_gen_overlaps_nothing),
	KUNIT_CASE(mmio_gen_make_spte),
	KUNIT_CASE_PARAM(mmio_gen_wrap, wrap_cases_gen_params),
	{}
};

static struct kunit_suite mmio_gen_suite = {
	.name = "kvm_mmio_gen",
	.test_cases = mmio_gen_cases,
};

kunit_test_suite(mmio_gen_suite);
