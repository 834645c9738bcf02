// SPDX-License-Identifier: GPL-2.0-only
/*
 * SPTEs of every format against an evaluation of the manuals' tables, bit by
 * bit and in numbers: nothing of spte_format.h is used to say what is right.
 *
 *   legacy   AMD APM vol. 2, 5.3.3 and 5.3.4, long-mode page translation
 *   EPT      Intel SDM vol. 3C, 29.3.2, "EPT Translation Mechanism"
 *
 * The tests need no VMX or SVM, see test_format.h; MMIO SPTEs are tested in
 * mmio_spte_kunit.c.
 */
#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/nx_huge_page.h"
#include "mmu/spte.h"
#include "test_format.h"

/* Holds for pages of any level; no RAM, which does not matter. */
#define TEST_PFN	0x5a5a40000ULL

/* An address that is never RAM on a PC: the local APIC's. */
#define TEST_MMIO_PFN	0xfee00ULL

static const struct format_case formats[] = {
	{ .name = "legacy", .ad = true },
	{ .name = "EPT", .ept = true },
	{ .name = "EPT, exec-only", .ept = true, .exec_only = true },
	{ .name = "EPT, A/D", .ept = true, .ad = true },
	{ .name = "EPT, A/D, exec-only", .ept = true, .ad = true, .exec_only = true },
};

KUNIT_ARRAY_PARAM_DESC(formats, formats, name);

/* Every leaf that a format has, and what it has to be. */

/* M, and W unless the next write shall be seen. */
static bool oracle_mmu_writable(const struct spte_leaf_args *args)
{
	return (args->access & 2) && args->host_writable && args->mmu_writable;
}

static bool oracle_writable(const struct spte_leaf_args *args)
{
	return oracle_mmu_writable(args) && !args->trap_write;
}

static bool oracle_executable(const struct spte_leaf_args *args)
{
	return (args->access & 1) && !(args->nx_huge && args->level > 1);
}

/* R of EPT, which is where KVM has U/S. */
static bool oracle_readable(const struct format_case *f,
			    const struct spte_leaf_args *args)
{
	return (args->access & 4) || !f->exec_only;
}

static bool oracle_tracked(const struct spte_leaf_args *args)
{
	return args->role.ad_disabled && args->prefetch;
}

#define NR_LEAVES	(3 * 3 * 256)

/* The arguments with number @n; false if the format has no such leaf. */
static bool leaf_args(const struct format_case *f, unsigned int n,
		      struct spte_leaf_args *args)
{
	const bool no_ad = n / 256 / 3 == 1, wrprot = n / 256 / 3 == 2;

	*args = (struct spte_leaf_args) {
		.access = n & 7,
		.host_writable = n & 8,
		.mmu_writable = n & 16,
		.prefetch = n & 32,
		.nx_huge = n & 64,
		.trap_write = n & 128,
		.level = PG_LEVEL_4K + n / 256 % 3,
		.pfn = TEST_PFN,
		.role.access = n & 7,
		.role.ad_disabled = no_ad,
		.role.guest_mode = wrprot,
	};
	args->role.level = args->level;

	/* Neither R nor X: this maps nothing. */
	if (!oracle_readable(f, args) && !oracle_executable(args))
		return false;
	/* A nested guest's EPT may do without what the CPU has. */
	return f->ept ? no_ad || f->ad : !no_ad && !wrprot;
}

/* Go on to the next leaf, number @n from 1, until there is none. */
static bool next_leaf(const struct format_case *f, unsigned int *n,
		      struct spte_leaf_args *args)
{
	while (*n < NR_LEAVES) {
		if (leaf_args(f, (*n)++, args))
			return true;
	}
	return false;
}

static bool legacy_bit(const struct spte_leaf_args *args, unsigned int bit)
{
	switch (bit) {
	case 0:		/* P */
	case 11:	/* KVM's Present */
		return true;
	case 1:		/* R/W */
	case 6:		/* D */
		return oracle_writable(args);
	case 10:	/* MMU-writable */
		return oracle_mmu_writable(args);
	case 2:		/* U/S */
		return args->access & 4;
	case 5:		/* A */
		return !args->prefetch;
	case 7:		/* PS */
		return args->level > 1;
	case 9:		/* host-writable */
		return args->host_writable;
	case 12 ... 51:
		return args->pfn >> (bit - 12) & 1;
	case 63:	/* NX */
		return !oracle_executable(args);
	default:	/* PWT, PCD, G, available, protection key */
		return false;
	}
}

static bool ept_bit(const struct format_case *f, const struct spte_leaf_args *args,
		    unsigned int bit)
{
	const bool tracked = oracle_tracked(args);
	const bool ad = !args->role.ad_disabled;

	switch (bit) {
	case 0:		/* R */
		return oracle_readable(f, args) && !tracked;
	case 1:		/* W */
		return oracle_writable(args) && !tracked;
	case 2:		/* X */
		return oracle_executable(args) && !tracked;
	case 7:		/* a page, not a table */
		return args->level > 1;
	case 8:		/* A */
		return ad && !args->prefetch;
	case 9:		/* D */
		return ad && oracle_writable(args);
	case 11:	/* KVM's Present */
	case 63:	/* suppress #VE */
		return true;
	case 12 ... 51:
		return args->pfn >> (bit - 12) & 1;
	case 52:	/* neither A nor D */
		return !ad;
	case 53:	/* A, and D by write faults */
		return args->role.guest_mode;
	case 54:	/* R, saved */
		return oracle_readable(f, args) && tracked;
	case 56:	/* X, saved */
		return oracle_executable(args) && tracked;
	case 57:	/* host-writable */
		return args->host_writable;
	case 58:	/* MMU-writable */
		return oracle_mmu_writable(args);
	default:	/* memory type, ignore-PAT, user-mode execute, ignored */
		return false;
	}
}

static u64 oracle_leaf(const struct format_case *f, const struct spte_leaf_args *args)
{
	unsigned int bit;
	u64 spte = 0;

	for (bit = 0; bit < 64; bit++) {
		if (f->ept ? ept_bit(f, args, bit) : legacy_bit(args, bit))
			spte |= BIT_ULL(bit);
	}
	return spte;
}

static void spte_leaf_bits(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	struct test_format *t = test->priv;
	struct spte_leaf_args args;
	unsigned int n = 0, leaves = 0;

	test_format_set(f);
	while (next_leaf(f, &n, &args)) {
		KUNIT_EXPECT_EQ_MSG(test, spte_make_leaf(t->vcpu, &args),
				    oracle_leaf(f, &args), "leaf %u", n);
		leaves++;
	}
	KUNIT_EXPECT_GE(test, leaves, 256);
}

/* The rights that the CPU sees. */
static void spte_expect_rights(struct kunit *test, const struct format_case *f,
			       const struct spte_leaf_args *args, u64 spte)
{
	const struct kvm_page_fault read = {}, write = { .write = true };
	const struct kvm_page_fault fetch = { .exec = true };
	const bool there = !oracle_tracked(args);

	KUNIT_EXPECT_EQ(test, spte_allows(spte, &read),
			there && (!f->ept || oracle_readable(f, args)));
	KUNIT_EXPECT_EQ(test, spte_allows(spte, &write),
			there && oracle_writable(args));
	KUNIT_EXPECT_EQ(test, spte_allows(spte, &fetch),
			there && oracle_executable(args));
}

static void spte_expect_state(struct kunit *test, struct kvm *kvm,
			      const struct spte_leaf_args *args, u64 spte)
{
	const bool tracked = oracle_tracked(args);

	KUNIT_EXPECT_TRUE(test, spte_present_leaf(spte, args->level));
	KUNIT_EXPECT_FALSE(test, spte_present_table(spte, args->level));
	KUNIT_EXPECT_FALSE(test, spte_frozen(spte));
	KUNIT_EXPECT_FALSE(test, spte_is_mmio(kvm, spte));
	KUNIT_EXPECT_EQ(test, spte_huge(spte), args->level > 1);
	KUNIT_EXPECT_EQ(test, spte_pfn(spte), args->pfn);

	KUNIT_EXPECT_EQ(test, spte_has_ad(spte), !args->role.ad_disabled);
	KUNIT_EXPECT_EQ(test, spte_has_dirty(spte),
			!args->role.ad_disabled && !args->role.guest_mode);
	KUNIT_EXPECT_EQ(test, spte_tracked(spte), tracked);
	KUNIT_EXPECT_EQ(test, spte_accessed(spte), !args->prefetch);
}

static void spte_leaf_queries(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	struct test_format *t = test->priv;
	struct spte_leaf_args args;
	unsigned int n = 0;
	u64 spte;

	test_format_set(f);
	t->kvm->arch.shadow_mmio_value = spte_fmt.mmio_value;
	while (next_leaf(f, &n, &args)) {
		spte = oracle_leaf(f, &args);
		spte_expect_state(test, t->kvm, &args, spte);
		spte_expect_rights(test, f, &args, spte);
	}
}

/* The table at the top of spte.h: H is 4, M is 2, W is 1. */
static unsigned int oracle_hmw(const struct spte_leaf_args *args)
{
	if (!args->host_writable)
		return 0;
	if (!args->mmu_writable || !(args->access & 2))
		return 4;
	return oracle_tracked(args) || args->trap_write ? 6 : 7;
}

static void spte_leaf_writable(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	struct test_format *t = test->priv;
	struct spte_leaf_args args;
	unsigned int n = 0, seen = 0;
	u64 spte;

	test_format_set(f);
	while (next_leaf(f, &n, &args)) {
		spte = spte_make_leaf(t->vcpu, &args);
		KUNIT_EXPECT_EQ_MSG(test, oracle_hmw(&args),
				    spte_host_writable(spte) << 2 |
				    spte_mmu_writable(spte) << 1 |
				    spte_writable(spte), "leaf %u", n);
		spte_check_writable(spte);
		seen |= BIT(oracle_hmw(&args));
	}
	KUNIT_EXPECT_EQ(test, seen, BIT(0) | BIT(4) | BIT(6) | BIT(7));
}

/* What others may do to a present leaf without mmu_lock. */

static u64 cpu_reads(const struct format_case *f, u64 spte)
{
	if (!f->ept)
		return spte | BIT_ULL(5);
	return spte & BIT_ULL(52) ? spte : spte | BIT_ULL(8);
}

static u64 cpu_writes(const struct format_case *f, u64 spte)
{
	if (!(spte & BIT_ULL(1)))
		return spte;
	if (!f->ept)
		return spte | BIT_ULL(5) | BIT_ULL(6);
	return spte & BIT_ULL(52) ? spte : spte | BIT_ULL(8) | BIT_ULL(9);
}

/* The fast page fault: R and X from where they are saved, W by M. */
static u64 kvm_fixes(const struct format_case *f, u64 spte)
{
	if (f->ept && (spte & BIT_ULL(52)) && !(spte & 7))
		spte = (spte & ~(5ULL << 54)) | (spte >> 54 & 5);
	if (spte & (f->ept ? BIT_ULL(58) : BIT_ULL(10)))
		spte |= BIT_ULL(1);
	return spte;
}

static bool oracle_volatile(const struct format_case *f, u64 spte)
{
	return cpu_reads(f, spte) != spte || cpu_writes(f, spte) != spte ||
	       kvm_fixes(f, spte) != spte;
}

/* A leaf as it is made, and without any of A, D and W. */
static void spte_leaf_volatile(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	const u64 a = f->ept ? BIT_ULL(8) : BIT_ULL(5), d = a << 1;
	unsigned int n = 0, cleared, seen[2] = {};
	struct spte_leaf_args args;
	u64 spte;

	test_format_set(f);
	while (next_leaf(f, &n, &args)) {
		for (cleared = 0; cleared < 8; cleared++) {
			spte = oracle_leaf(f, &args);
			spte &= ~((cleared & 1 ? a : 0) | (cleared & 2 ? d : 0) |
				  (cleared & 4 ? BIT_ULL(1) : 0));
			KUNIT_EXPECT_EQ_MSG(test, spte_volatile(spte),
					    oracle_volatile(f, spte),
					    "leaf %u: %llx", n, spte);
			seen[oracle_volatile(f, spte)]++;
		}
	}
	KUNIT_EXPECT_GT(test, seen[0], 0);
	KUNIT_EXPECT_GT(test, seen[1], 0);
}

/* Values made from values. */

static void spte_split_one(struct kunit *test, const struct format_case *f,
			   const struct spte_leaf_args *huge, unsigned int index)
{
	struct test_format *t = test->priv;
	struct spte_leaf_args piece = *huge, back = *huge;
	u64 spte, expected;

	piece.level--;
	piece.role.level--;
	piece.pfn += (kvm_pfn_t)index << ((piece.level - 1) * 9);
	spte = spte_make_split(t->kvm, oracle_leaf(f, huge), piece.role, index);
	KUNIT_EXPECT_EQ(test, spte, oracle_leaf(f, &piece));

	/* As if somebody had just accessed it, but for W, which is not saved. */
	back.prefetch = false;
	expected = oracle_leaf(f, &back);
	if (oracle_tracked(huge))
		expected &= ~BIT_ULL(1);
	KUNIT_EXPECT_EQ(test, spte_make_huge(t->kvm, spte, huge->level), expected);
}

static void spte_split_and_back(struct kunit *test)
{
	const unsigned int indices[] = { 0, 1, 0x155, 511 };
	const struct format_case *f = test->param_value;
	struct spte_leaf_args args;
	unsigned int n = 0, i;

	test_format_set(f);
	while (next_leaf(f, &n, &args)) {
		if (args.level == PG_LEVEL_4K)
			continue;
		WRITE_ONCE(nx_huge_pages, args.nx_huge);
		for (i = 0; i < ARRAY_SIZE(indices); i++)
			spte_split_one(test, f, &args, indices[i]);
	}
}

/* The pieces of a page that is clean and old make one that is neither. */
static void spte_huge_distrusts_ad(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	const u64 a = f->ept ? BIT_ULL(8) : BIT_ULL(5), d = a << 1;
	struct test_format *t = test->priv;
	struct spte_leaf_args args;
	u64 small, huge, w;
	unsigned int n = 0;

	if (!f->ad)
		kunit_skip(test, "no A/D bits");

	test_format_set(f);
	WRITE_ONCE(nx_huge_pages, 0);
	while (next_leaf(f, &n, &args)) {
		if (args.level != PG_LEVEL_4K || args.role.ad_disabled)
			continue;
		small = oracle_leaf(f, &args) & ~(a | d);
		w = small & BIT_ULL(1);
		huge = small | BIT_ULL(7) | a | (w ? d : 0);
		KUNIT_EXPECT_EQ(test, huge,
				spte_make_huge(t->kvm, small, PG_LEVEL_2M));
	}
}

static void spte_age_and_back(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	struct spte_leaf_args args;
	u64 young, old;
	unsigned int n = 0;

	test_format_set(f);
	while (next_leaf(f, &n, &args)) {
		if (args.prefetch)
			continue;
		young = oracle_leaf(f, &args);
		args.prefetch = true;
		old = oracle_leaf(f, &args);

		KUNIT_EXPECT_EQ_MSG(test, spte_make_old(young), old, "leaf %u", n);
		KUNIT_EXPECT_EQ(test, spte_make_old(old), old);
		if (args.role.ad_disabled)
			KUNIT_EXPECT_EQ(test, spte_untrack(old),
					young & ~BIT_ULL(1));
	}
}

/* A table allows everything: what forbids is in the leaves. */
static void spte_table_bits(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	struct test_format *t = test->priv;
	u64 *table = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	u64 spte, rights, accessed;

	KUNIT_ASSERT_NOT_NULL(test, table);
	test_format_set(f);
	t->kvm->arch.shadow_mmio_value = spte_fmt.mmio_value;

	rights = BIT_ULL(11) | 7 | (f->ept ? BIT_ULL(63) : 0);
	accessed = f->ept ? BIT_ULL(8) : BIT_ULL(5);

	spte = spte_make_table(table, !f->ad);
	KUNIT_EXPECT_EQ(test, spte, __pa(table) | rights |
				    (f->ad ? accessed : BIT_ULL(52)));
	KUNIT_EXPECT_PTR_EQ(test, spte_child_table(spte), table);
	KUNIT_EXPECT_TRUE(test, spte_present_table(spte, PG_LEVEL_2M));
	KUNIT_EXPECT_FALSE(test, spte_is_mmio(t->kvm, spte));

	/* As for a nested guest that does without. */
	if (f->ept)
		KUNIT_EXPECT_EQ(test, spte_make_table(table, true),
				__pa(table) | rights | BIT_ULL(52));
}

/* Memory and tables are encrypted, devices are not. */
static void spte_encryption(struct kunit *test)
{
	const u64 c_bit = BIT_ULL(47);
	struct test_format *t = test->priv;
	u64 *table = PTR_ALIGN_DOWN((u64 *)t, PAGE_SIZE);
	struct spte_leaf_args args = {
		.access = ACC_ALL,
		.host_writable = true,
		.mmu_writable = true,
		.level = PG_LEVEL_4K,
	};

	test_format_set(&formats[0]);
	kvm_mmu_set_me_spte_mask(c_bit, c_bit | BIT_ULL(48));

	args.pfn = PHYS_PFN(__pa(t));
	KUNIT_EXPECT_EQ(test, spte_make_leaf(t->vcpu, &args),
			oracle_leaf(&formats[0], &args) | c_bit);
	args.pfn = TEST_MMIO_PFN;
	KUNIT_EXPECT_EQ(test, spte_make_leaf(t->vcpu, &args),
			oracle_leaf(&formats[0], &args));
	KUNIT_EXPECT_TRUE(test, spte_make_table(table, false) & c_bit);
}

/* Each bit of a present SPTE has one meaning, the memory type's bits too. */
static void spte_meanings_are_disjoint(struct kunit *test)
{
	const struct format_case *f = test->param_value;
	u64 fields[14], seen = 0;
	unsigned int i;

	test_format_set(f);
	if (f->ept)
		kvm_mmu_set_ept_masks(f->ad, f->exec_only);

	fields[0] = spte_fmt.present & ~spte_fmt.user;
	fields[1] = spte_fmt.user;
	fields[2] = PT_WRITABLE_MASK;
	fields[3] = spte_fmt.exec;
	fields[4] = spte_fmt.nx;
	fields[5] = spte_fmt.accessed;
	fields[6] = spte_fmt.dirty;
	fields[7] = spte_fmt.memtype;
	fields[8] = PT_PAGE_SIZE_MASK;
	fields[9] = spte_fmt.host_writable;
	fields[10] = spte_fmt.mmu_writable;
	fields[11] = SPTE_PRESENT;
	fields[12] = SPTE_AD_MASK | SPTE_TRACK_SAVED;
	fields[13] = SPTE_ADDR_MASK;
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		KUNIT_EXPECT_EQ_MSG(test, fields[i] & seen, 0, "field %u", i);
		seen |= fields[i];
	}
}

static struct kunit_case spte_cases[] = {
	KUNIT_CASE_PARAM(spte_leaf_bits, formats_gen_params),
	KUNIT_CASE_PARAM(spte_leaf_queries, formats_gen_params),
	KUNIT_CASE_PARAM(spte_leaf_writable, formats_gen_params),
	KUNIT_CASE_PARAM(spte_leaf_volatile, formats_gen_params),
	KUNIT_CASE_PARAM(spte_split_and_back, formats_gen_params),
	KUNIT_CASE_PARAM(spte_huge_distrusts_ad, formats_gen_params),
	KUNIT_CASE_PARAM(spte_age_and_back, formats_gen_params),
	KUNIT_CASE_PARAM(spte_table_bits, formats_gen_params),
	KUNIT_CASE(spte_encryption),
	KUNIT_CASE_PARAM(spte_meanings_are_disjoint, formats_gen_params),
	{}
};

static struct kunit_suite spte_suite = {
	.name = "kvm_spte",
	.init = test_format_init,
	.test_cases = spte_cases,
};

kunit_test_suite(spte_suite);
