// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO SPTEs: gfn, access and generation come back, with and without L1TF, and
 * an SPTE is good in its generation only.  What bits the generation has is
 * tested in mmio_gen_kunit.c.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "test_format.h"

struct mmio_format {
	const char *name;
	bool ept;
	/* Address bits of the L1 cache, as L1TF has it; 0: no L1TF. */
	unsigned int cache_bits;
	/* Address bits that the host uses without L1TF; 0: all of 48. */
	unsigned int phys_bits;
};

static const struct mmio_format mmio_formats[] = {
	{ "legacy", false, 0 },
	{ "legacy, 43 bits", false, 0, 43 },
	{ "legacy, L1TF, 36 bits", false, 36 },
	{ "legacy, L1TF, 46 bits", false, 46 },
	{ "EPT", true, 0 },
	{ "EPT, 43 bits", true, 0, 43 },
	{ "EPT, L1TF, 36 bits", true, 36 },
	{ "EPT, L1TF, 46 bits", true, 46 },
};

KUNIT_ARRAY_PARAM_DESC(mmio_formats, mmio_formats, name);

/* Sets the format up; returns how many bits of an address an SPTE keeps. */
static unsigned int mmio_set_format(struct kunit *test)
{
	const struct mmio_format *f = test->param_value;
	struct test_format *t = test->priv;
	const unsigned int gpa_bits = f->cache_bits ?: f->phys_bits ?: 48;
	const u64 value = GENMASK_ULL(51, f->phys_bits ?: 51) | 1;

	spte_fmt.l1tf = f->cache_bits ? 31ULL << (gpa_bits - 5) : 0;
	spte_fmt.l1tf_gfn = GENMASK_ULL(gpa_bits - 1, 12) & ~spte_fmt.l1tf;
	if (f->ept)
		kvm_mmu_set_ept_masks(true, true);
	else
		kvm_mmu_set_mmio_spte_mask(value, value, 6);
	if (!enable_mmio_caching)
		kunit_skip(test, "mmio_caching=0");

	t->kvm->arch.shadow_mmio_value = spte_fmt.mmio_value;
	return gpa_bits;
}

/* What is kept of access, gfn and generation comes back, and nothing else. */
static bool mmio_keeps(struct kunit *test, u64 gen, gfn_t gfn, unsigned int access)
{
	const struct mmio_format *f = test->param_value;
	struct test_format *t = test->priv;
	const u64 spte = mmio_make_spte(t->kvm, gen, gfn, access);

	return mmio_spte_gfn(spte) == gfn &&
	       mmio_spte_access(spte) == (f->ept ? 0 : access & 6) &&
	       get_mmio_spte_generation(spte) == (gen & GENMASK_ULL(19, 1)) &&
	       spte_is_mmio(t->kvm, spte) && !spte_present(spte) &&
	       !spte_frozen(spte) && (spte & spte_fmt.l1tf) == spte_fmt.l1tf &&
	       (f->ept ? (spte & 7) == 6 : (spte & 1) && (spte & BIT_ULL(51)));
}

static void mmio_spte_round_trip(struct kunit *test)
{
	const unsigned int gfn_bits = mmio_set_format(test) - PAGE_SHIFT;
	unsigned int g, b, access;
	unsigned long lost = 0;
	gfn_t gfn;
	u64 gen;

	/* One bit each, then none, then all. */
	for (g = 0; g < gfn_bits + 2; g++) {
		gfn = g < gfn_bits ? BIT_ULL(g) :
		      g == gfn_bits ? 0 : BIT_ULL(gfn_bits) - 1;
		for (b = 0; b < 26; b++) {
			gen = b < 24 ? BIT_ULL(b) : b == 24 ? 0 : ~0ULL;
			for (access = 0; access <= ACC_ALL; access++)
				lost += !mmio_keeps(test, gen, gfn, access);
		}
	}
	KUNIT_EXPECT_EQ(test, lost, 0);
}

/* For a gfn that has one bit more than an SPTE keeps, one is made all the same. */
static void mmio_spte_of_wide_gfn(struct kunit *test)
{
	const unsigned int gfn_bits = mmio_set_format(test) - PAGE_SHIFT;
	struct test_format *t = test->priv;
	unsigned int bit;
	u64 spte;

	for (bit = 0; bit < 51 - PAGE_SHIFT; bit++) {
		spte = mmio_make_spte(t->kvm, 8, BIT_ULL(bit), ACC_ALL);
		KUNIT_EXPECT_TRUE(test, spte_is_mmio(t->kvm, spte));
		KUNIT_EXPECT_EQ(test, bit < gfn_bits, mmio_gfn_fits(BIT_ULL(bit)));
		KUNIT_EXPECT_EQ(test, bit < gfn_bits,
				mmio_spte_gfn(spte) == BIT_ULL(bit));
	}
}

/* What is no MMIO SPTE is not taken for one. */
static void mmio_spte_is_distinct(struct kunit *test)
{
	struct test_format *t = test->priv;

	mmio_set_format(test);
	KUNIT_EXPECT_FALSE(test, spte_is_mmio(t->kvm, SPTE_NONE));
	KUNIT_EXPECT_FALSE(test, spte_is_mmio(t->kvm, SPTE_FROZEN));
	KUNIT_EXPECT_FALSE(test, spte_is_mmio(t->kvm, 0));
}

/* An SPTE is good in the generation that it was made in, at rest. */
static void mmio_spte_is_current(struct kunit *test)
{
	struct test_format *t = test->priv;
	struct kvm_memslots *slots = &t->kvm->__memslots[0][0];
	u64 at_rest, in_flux;

	mmio_set_format(test);
	RCU_INIT_POINTER(t->kvm->memslots[0], slots);
	at_rest = mmio_make_spte(t->kvm, 8, 0xfee00, ACC_ALL);
	in_flux = mmio_make_spte(t->kvm, 9, 0xfee00, ACC_ALL);

	slots->generation = 8;
	KUNIT_EXPECT_TRUE(test, mmio_spte_current(t->vcpu, at_rest));
	slots->generation = 9;
	KUNIT_EXPECT_FALSE(test, mmio_spte_current(t->vcpu, at_rest));
	KUNIT_EXPECT_FALSE(test, mmio_spte_current(t->vcpu, in_flux));
	slots->generation = 12;
	KUNIT_EXPECT_FALSE(test, mmio_spte_current(t->vcpu, at_rest));
	KUNIT_EXPECT_FALSE(test, mmio_spte_current(t->vcpu, in_flux));

	KUNIT_EXPECT_FALSE(test, mmio_gen_wrapped(t->kvm, 12));
	KUNIT_EXPECT_FALSE(test, mmio_gen_wrapped(t->kvm, BIT_ULL(20) - 2));
	KUNIT_EXPECT_TRUE(test, mmio_gen_wrapped(t->kvm, BIT_ULL(19)));
	KUNIT_EXPECT_TRUE(test, mmio_gen_wrapped(t->kvm, BIT_ULL(20)));
}

static struct kunit_case mmio_spte_cases[] = {
	KUNIT_CASE_PARAM(mmio_spte_round_trip, mmio_formats_gen_params),
	KUNIT_CASE_PARAM(mmio_spte_of_wide_gfn, mmio_formats_gen_params),
	KUNIT_CASE_PARAM(mmio_spte_is_distinct, mmio_formats_gen_params),
	KUNIT_CASE_PARAM(mmio_spte_is_current, mmio_formats_gen_params),
	{}
};

static struct kunit_suite mmio_spte_suite = {
	.name = "kvm_mmio_spte",
	.init = test_format_init,
	.test_cases = mmio_spte_cases,
};

kunit_test_suite(mmio_spte_suite);
