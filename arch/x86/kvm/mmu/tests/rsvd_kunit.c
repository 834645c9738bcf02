// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reserved bits against the manual: every bit of every kind of entry on every
 * kind of CPU, and entries with many bits set, are looked up in the masks of
 * permission.c and in the manual's tables, bit by bit: Intel SDM vol. 3A, 5.3
 * (32-bit), 5.4 (PAE), 5.5 (4- and 5-level), vol. 3C, 30.3.3.1 (EPT), and AMD
 * APM vol. 2, 5.3.
 *
 * Pure functions, but for the last tests, which borrow spte_fmt (test_format.h).
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"
#include "test_format.h"

/*
 * A CPU and its mode.  The legacy formats do not look at @execonly and
 * @huge_level, nor EPT at the others.
 */
struct test_cpu {
	int maxphyaddr;
	int levels;
	bool nxe;
	bool gbpages;
	bool pse;
	bool amd;
	bool execonly;
	int huge_level;
};

/* Is bit @bit of an entry reserved?  @ps is the entry's bit 7. */
typedef bool (*manual_t)(const struct test_cpu *cpu, int level, bool ps, int bit);

static const int maxphyaddrs[] = { 32, 36, 39, 40, 43, 46, 48, 51, 52 };

/* The manual. */

/* 5.3, 32-bit paging.  With PSE-36 a 4M page is at an address of 36 bits. */
static bool reserved_32bit(const struct test_cpu *cpu, int level, bool ps, int bit)
{
	if (level == 2 && ps && cpu->pse && bit >= 17 && bit <= 21)
		return true;
	return false;
}

/* 5.4, PAE paging. */
static bool reserved_pae(const struct test_cpu *cpu, int level, bool ps, int bit)
{
	if (bit >= cpu->maxphyaddr && bit <= 62)
		return true;
	if (level == 3) {
		if (bit == 1 || bit == 2)
			return true;
		if (bit >= 5 && bit <= 8)
			return true;
		return bit == 63;
	}
	if (bit == 63 && !cpu->nxe)
		return true;
	if (level == 2 && ps && bit >= 13 && bit <= 20)
		return true;
	return false;
}

/* 5.5, 4-level and 5-level paging; APM 5.3: bit 8 of PML4E and PML5E. */
static bool reserved_long(const struct test_cpu *cpu, int level, bool ps, int bit)
{
	if (bit >= cpu->maxphyaddr && bit <= 51)
		return true;
	if (bit == 63 && !cpu->nxe)
		return true;
	if (level >= 4) {
		if (bit == 7)
			return true;
		if (bit == 8 && cpu->amd)
			return true;
	}
	if (level == 3 && ps) {
		if (bit == 7 && !cpu->gbpages)
			return true;
		if (bit >= 13 && bit <= 29)
			return true;
	}
	if (level == 2 && ps && bit >= 13 && bit <= 20)
		return true;
	return false;
}

static bool reserved_legacy(const struct test_cpu *cpu, int level, bool ps, int bit)
{
	if (cpu->levels == 2)
		return reserved_32bit(cpu, level, ps, bit);
	if (cpu->levels == 3)
		return reserved_pae(cpu, level, ps, bit);
	return reserved_long(cpu, level, ps, bit);
}

/* 30.3.3.1, EPT, but for bits 5:0 of a page, see below. */
static bool reserved_ept(const struct test_cpu *cpu, int level, bool ps, int bit)
{
	if (bit >= cpu->maxphyaddr && bit <= 51)
		return true;
	if (level >= 4 && bit >= 3 && bit <= 7)
		return true;
	if (level == 3 || level == 2) {
		if (!ps && bit >= 3 && bit <= 6)
			return true;
		if (bit == 7 && level > cpu->huge_level)
			return true;
	}
	if (level == 3 && ps && bit >= 12 && bit <= 29)
		return true;
	if (level == 2 && ps && bit >= 12 && bit <= 20)
		return true;
	return false;
}

/* 30.3.3.1: R, W, X in bits 2:0; the memory type of a page in bits 5:3. */
static bool misconfigured_ept(const struct test_cpu *cpu, unsigned int low)
{
	const unsigned int xwr = low & 7, memtype = low >> 3;

	if (xwr == 2 || xwr == 6)
		return true;
	if (xwr == 4 && !cpu->execonly)
		return true;
	if (memtype == 2 || memtype == 3 || memtype == 7)
		return true;
	return false;
}

/* The comparison. */

static bool entry_differs(const struct rsvd_bits_validate *rsvd,
			  const struct test_cpu *cpu, manual_t manual, int level,
			  u64 entry)
{
	bool reserved = false;
	int bit;

	for (bit = 0; bit < 64 && !reserved; bit++)
		reserved = (entry & BIT_ULL(bit)) &&
			   manual(cpu, level, entry & BIT_ULL(7), bit);

	return reserved != !!rsvd_bits_set(rsvd, entry, level);
}

/* Every bit alone, and together with bit 7. */
static unsigned long bits_differ(const struct rsvd_bits_validate *rsvd,
				 const struct test_cpu *cpu, manual_t manual)
{
	/* A gPTE of 32-bit paging has no more bits. */
	const int nr_bits = cpu->levels == 2 ? 32 : 64;
	unsigned long bad = 0;
	int level, bit;

	for (level = 1; level <= cpu->levels; level++) {
		for (bit = 0; bit < nr_bits; bit++) {
			bad += entry_differs(rsvd, cpu, manual, level,
					     BIT_ULL(bit));
			bad += entry_differs(rsvd, cpu, manual, level,
					     BIT_ULL(bit) | BIT_ULL(7));
		}
	}
	return bad;
}

/* Entries with few bits set, as most bits are reserved somewhere. */
static unsigned long random_differ(const struct rsvd_bits_validate *rsvd,
				   const struct test_cpu *cpu, manual_t manual)
{
	const u64 bits = cpu->levels == 2 ? GENMASK_ULL(31, 0) : ~0ULL;
	struct rnd_state rnd;
	unsigned long bad = 0;
	int level, i;
	u64 entry;

	prandom_seed_state(&rnd, cpu->maxphyaddr);
	for (level = 1; level <= cpu->levels; level++) {
		for (i = 0; i < 50; i++) {
			entry = BIT_ULL(prandom_u32_state(&rnd) % 64);
			entry |= BIT_ULL(prandom_u32_state(&rnd) % 64);
			entry |= BIT_ULL(prandom_u32_state(&rnd) % 64);
			bad += entry_differs(rsvd, cpu, manual, level,
					     entry & bits);
		}
	}
	return bad;
}

static struct rsvd_rules rules_of(const struct test_cpu *cpu)
{
	return (struct rsvd_rules) {
		.pa_rsvd = GENMASK_ULL(63, cpu->maxphyaddr),
		.level = cpu->levels,
		.nx = cpu->nxe,
		.gbpages = cpu->gbpages,
		.pse = cpu->pse,
		.amd = cpu->amd,
	};
}

static void legacy_check(struct kunit *test, const struct test_cpu *cpu)
{
	const struct rsvd_rules rules = rules_of(cpu);
	struct rsvd_bits_validate rsvd;

	memset(&rsvd, 0x5a, sizeof(rsvd));
	rsvd_bits_legacy(&rsvd, &rules);

	KUNIT_EXPECT_EQ_MSG(test, bits_differ(&rsvd, cpu, reserved_legacy), 0,
			    "M %d nxe %d 1G %d pse %d amd %d", cpu->maxphyaddr,
			    cpu->nxe, cpu->gbpages, cpu->pse, cpu->amd);
	KUNIT_EXPECT_EQ(test, random_differ(&rsvd, cpu, reserved_legacy), 0);
	KUNIT_EXPECT_EQ(test, rsvd.bad_mt_xwr, 0);
}

struct levels_case {
	const char *name;
	int levels;
};

static const struct levels_case levels_cases[] = {
	{ "32-bit",	2 },
	{ "PAE",	3 },
	{ "4-level",	4 },
	{ "5-level",	5 },
};

KUNIT_ARRAY_PARAM_DESC(levels_cases, levels_cases, name);

static void rsvd_legacy(struct kunit *test)
{
	const struct levels_case *c = test->param_value;
	unsigned int i, flags;

	for (i = 0; i < ARRAY_SIZE(maxphyaddrs); i++) {
		for (flags = 0; flags < 16; flags++) {
			const struct test_cpu cpu = {
				.maxphyaddr = maxphyaddrs[i],
				.levels = c->levels,
				.nxe = flags & BIT(0),
				.gbpages = flags & BIT(1),
				.pse = flags & BIT(2),
				.amd = flags & BIT(3),
			};

			legacy_check(test, &cpu);
		}
	}
}

/* A not present entry (no R, W, X) has no memory type. */
static unsigned long misconfig_differs(const struct rsvd_bits_validate *rsvd,
				       const struct test_cpu *cpu)
{
	unsigned long bad = 0;
	unsigned int low;

	for (low = 0; low < 64; low++) {
		if (!(low & 7))
			continue;
		bad += bad_mt_xwr(rsvd, low) != misconfigured_ept(cpu, low);
		bad += bad_mt_xwr(rsvd, low | ~0x3fULL) !=
		       misconfigured_ept(cpu, low);
	}
	return bad;
}

static void ept_check(struct kunit *test, const struct test_cpu *cpu)
{
	struct rsvd_bits_validate rsvd;

	memset(&rsvd, 0x5a, sizeof(rsvd));
	rsvd_bits_ept(&rsvd, GENMASK_ULL(63, cpu->maxphyaddr), cpu->execonly,
		      cpu->huge_level);

	KUNIT_EXPECT_EQ_MSG(test, bits_differ(&rsvd, cpu, reserved_ept), 0,
			    "M %d huge level %d", cpu->maxphyaddr,
			    cpu->huge_level);
	KUNIT_EXPECT_EQ(test, random_differ(&rsvd, cpu, reserved_ept), 0);
	KUNIT_EXPECT_EQ(test, misconfig_differs(&rsvd, cpu), 0);
}

static void rsvd_ept(struct kunit *test)
{
	unsigned int i, execonly;
	int huge_level;

	for (i = 0; i < ARRAY_SIZE(maxphyaddrs); i++) {
		for (huge_level = PG_LEVEL_4K; huge_level <= PG_LEVEL_1G; huge_level++) {
			for (execonly = 0; execonly < 2; execonly++) {
				const struct test_cpu cpu = {
					.maxphyaddr = maxphyaddrs[i],
					.levels = 5,
					.execonly = execonly,
					.huge_level = huge_level,
				};

				ept_check(test, &cpu);
			}
		}
	}
}

/* Which bits a guest's tables and KVM's own may have, from a vCPU. */

static struct kvm_mmu *rsvd_mmu(struct kunit *test)
{
	struct kvm_mmu *mmu = kunit_kzalloc(test, sizeof(*mmu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mmu);
	return mmu;
}

static struct kvm_vcpu *rsvd_vcpu(struct kunit *test, const struct test_cpu *cpu)
{
	struct kvm_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->arch.reserved_gpa_bits = GENMASK_ULL(63, cpu->maxphyaddr);
	vcpu->arch.is_amd_compatible = cpu->amd;
	if (cpu->gbpages)
		guest_cpu_cap_set(vcpu, X86_FEATURE_GBPAGES);
	return vcpu;
}

static void rsvd_guest(struct kunit *test)
{
	const struct test_cpu cpus[] = {
		{ .levels = 2, .maxphyaddr = 36, .pse = true },
		{ .levels = 3, .maxphyaddr = 40, .nxe = true },
		{ .levels = 4, .maxphyaddr = 46, .gbpages = true },
		{ .levels = 5, .maxphyaddr = 52, .amd = true, .nxe = true },
	};
	struct kvm_mmu *mmu = rsvd_mmu(test);
	struct kvm_vcpu *vcpu;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		vcpu = rsvd_vcpu(test, &cpus[i]);
		mmu->cpu_role.base.level = cpus[i].levels;
		mmu->cpu_role.base.efer_nx = cpus[i].nxe;
		mmu->cpu_role.ext.cr4_pse = cpus[i].pse;

		rsvd_update_guest(vcpu, mmu);
		KUNIT_EXPECT_EQ_MSG(test, bits_differ(&mmu->guest_rsvd_check, &cpus[i],
						      reserved_legacy), 0,
				    "%d levels", cpus[i].levels);
	}
}

/* KVM's own tables: the host's MAXPHYADDR, not the guest's; always with NX. */
static void rsvd_shadow(struct kunit *test)
{
	struct kvm_mmu *mmu = rsvd_mmu(test);
	int levels;

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	spte_fmt.me_mask = 0;
	for (levels = 3; levels <= 5; levels++) {
		struct test_cpu cpu = {
			.levels = levels,
			.maxphyaddr = 32,
			.gbpages = levels & 1,
		};
		struct kvm_vcpu *vcpu = rsvd_vcpu(test, &cpu);

		cpu.maxphyaddr = kvm_host.maxphyaddr;
		cpu.amd = true;
		cpu.nxe = true;
		mmu->root_role.level = levels;
		rsvd_update_shadow(vcpu, mmu);
		KUNIT_EXPECT_EQ_MSG(test, bits_differ(&mmu->shadow_zero_check, &cpu,
						      reserved_legacy), 0,
				    "%d levels", levels);
	}
}

static void rsvd_shadow_ept(struct kunit *test)
{
	struct test_cpu cpu = {
		.levels = 5,
		.maxphyaddr = kvm_host.maxphyaddr,
		.huge_level = PG_LEVEL_2M,
	};
	struct kvm_mmu *mmu = rsvd_mmu(test);
	unsigned int execonly;

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	spte_fmt.huge_level = PG_LEVEL_2M;
	for (execonly = 0; execonly < 2; execonly++) {
		cpu.execonly = execonly;
		rsvd_update_shadow_ept(mmu, execonly);
		KUNIT_EXPECT_EQ(test, 0,
				bits_differ(&mmu->shadow_zero_check, &cpu,
					    reserved_ept));
		KUNIT_EXPECT_EQ(test, 0,
				misconfig_differs(&mmu->shadow_zero_check, &cpu));
	}
}

/* Direct pages have the format of the host's TDP. */
static void rsvd_tdp(struct kunit *test)
{
	const struct test_cpu ept = {
		.levels = 5,
		.maxphyaddr = kvm_host.maxphyaddr,
		.huge_level = PG_LEVEL_1G,
	};
	const struct test_cpu npt = {
		.levels = 4,
		.maxphyaddr = kvm_host.maxphyaddr,
		.nxe = true,
		.gbpages = boot_cpu_has(X86_FEATURE_GBPAGES),
		.amd = true,
	};
	struct kvm_mmu *mmu = rsvd_mmu(test);

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	spte_fmt.me_mask = 0;
	mmu->root_role.level = 4;

	spte_fmt.exec = 0;
	rsvd_update_tdp(mmu);
	KUNIT_EXPECT_EQ(test, 0, bits_differ(&mmu->shadow_zero_check, &npt,
					     reserved_legacy));

	spte_fmt.exec = VMX_EPT_EXECUTABLE_MASK;
	spte_fmt.huge_level = PG_LEVEL_1G;
	rsvd_update_tdp(mmu);
	KUNIT_EXPECT_EQ(test, 0, bits_differ(&mmu->shadow_zero_check, &ept,
					     reserved_ept));
	KUNIT_EXPECT_EQ(test, 0, misconfig_differs(&mmu->shadow_zero_check, &ept));
}

/* The reserved bits of a table's and a page's row, for all levels that exist. */
static u64 rsvd_common(const struct kvm_mmu *mmu)
{
	u64 bits = ~0ULL;
	int level;

	for (level = 0; level < mmu->root_role.level; level++) {
		bits &= mmu->shadow_zero_check.rsvd_bits_mask[0][level];
		bits &= mmu->shadow_zero_check.rsvd_bits_mask[1][level];
	}
	return bits;
}

static u64 rsvd_any(const struct kvm_mmu *mmu)
{
	u64 bits = 0;
	int level;

	for (level = 0; level < mmu->root_role.level; level++) {
		bits |= mmu->shadow_zero_check.rsvd_bits_mask[0][level];
		bits |= mmu->shadow_zero_check.rsvd_bits_mask[1][level];
	}
	return bits;
}

/*
 * Encryption: bits that KVM sets may be set, the others of the mask may not in
 * shadow pages; a direct page may have all.
 */
static void rsvd_encryption(struct kunit *test)
{
	const int top = kvm_host.maxphyaddr - 1;
	const u64 ours = BIT_ULL(51) | BIT_ULL(top);
	const u64 others = BIT_ULL(top - 1) | BIT_ULL(top - 2);
	const struct test_cpu cpu = { .levels = 4, .maxphyaddr = 46, .nxe = true };
	struct kvm_vcpu *vcpu = rsvd_vcpu(test, &cpu);
	struct kvm_mmu *mmu = rsvd_mmu(test);

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	spte_fmt.me_value = ours;
	spte_fmt.me_mask = ours | others;
	spte_fmt.exec = 0;
	mmu->root_role.level = 4;

	rsvd_update_shadow(vcpu, mmu);
	KUNIT_EXPECT_EQ(test, rsvd_any(mmu) & ours, 0);
	KUNIT_EXPECT_EQ(test, rsvd_common(mmu) & others, others);

	rsvd_update_tdp(mmu);
	KUNIT_EXPECT_EQ(test, rsvd_any(mmu) & (ours | others), 0);
}

static struct kunit_case rsvd_cases[] = {
	KUNIT_CASE_PARAM(rsvd_legacy, levels_cases_gen_params),
	KUNIT_CASE(rsvd_ept),
	KUNIT_CASE(rsvd_guest),
	KUNIT_CASE(rsvd_shadow),
	KUNIT_CASE(rsvd_shadow_ept),
	KUNIT_CASE(rsvd_tdp),
	KUNIT_CASE(rsvd_encryption),
	{}
};

static struct kunit_suite rsvd_suite = {
	.name = "kvm_mmu_rsvd",
	.test_cases = rsvd_cases,
};

kunit_test_suite(rsvd_suite);
