// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roles: every combination of the registers that paging depends on, in each
 * kind of MMU, against the rules of role_model.h.  For the MMU of a nested guest
 * see role_nested_kunit.c.
 *
 * The tests borrow the MMU's configuration, so they skip if there are VMs
 * (test_format.h).  No vendor module is called.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/string.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"
#include "mmu/root.h"
#include "mmu/shadow.h"
#include "mmu/spte.h"
#include "role_model.h"

/* Where the guest's tables are walked, and who handles their faults. */
static bool cr3_ops_ok(const struct kvm_mmu *mmu)
{
	/* kvm_pdptr_read() is inline: every file has its own. */
	return mmu->get_guest_pgd == root_guest_cr3 && mmu->get_pdptr &&
	       mmu->inject_page_fault == kvm_inject_page_fault;
}

static const struct role_config config_soft = { .tdp = false };

/* The kinds of MMU. */

/* Shadow pages of what is not 64-bit paging are PAE tables. */
static bool soft_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		    const struct role_regs *regs)
{
	union kvm_mmu_page_role root = role_expected_base(vcpu, regs);

	if (root.level < 3)
		root.level = 3;
	if (mmu->root_role.word != root.word)
		return false;
	if (!regs->pg)
		return mmu->page_fault == fault_nonpaging && !mmu->sync_spte;
	return mmu->page_fault == fault_indirect &&
	       mmu->sync_spte == shadow_sync_spte;
}

/* Direct pages depend on SMM and on being those of a nested guest, no more. */
static bool tdp_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		   const struct role_regs *regs)
{
	const union kvm_mmu_page_role base = role_expected_base(vcpu, regs);
	union kvm_mmu_page_role root = { .word = 0 };

	root.level = 4;
	root.direct = 1;
	root.access = 7;
	root.efer_nx = 1;
	root.cr0_wp = 1;
	root.ad_disabled = !spte_fmt.accessed;
	root.smm = base.smm;
	root.guest_mode = base.guest_mode;
	return mmu->root_role.word == root.word &&
	       mmu->page_fault == fault_tdp && !mmu->sync_spte;
}

/* A nested guest's own tables are walked, never shadowed. */
static bool nested_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		      const struct role_regs *regs)
{
	return !mmu->sync_spte && !mmu->page_fault && !mmu->root_role.word;
}

struct kind {
	const char *name;
	const struct role_config *config;
	bool nested;
	bool (*ok)(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		   const struct role_regs *regs);
};

static const struct kind kinds[] = {
	{ "shadow paging",		&config_soft, false, soft_ok },
	{ "TDP",			&role_config_vmx, false, tdp_ok },
	{ "a nested guest's walks",	&role_config_vmx, true, nested_ok },
};

KUNIT_ARRAY_PARAM_DESC(kinds, kinds, name);

/* From one mode to the next, in an order that changes many bits at a time. */
static void role_of_registers(struct kunit *test)
{
	const struct kind *kind = test->param_value;
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = kind->nested ? &vcpu->arch.nested_mmu :
					     &vcpu->arch.root_mmu;
	unsigned int i;
	bool ok;

	memset(mmu->permissions, 0x5a, sizeof(mmu->permissions));
	role_config_set(kind->config);
	vcpu->arch.walk_mmu = mmu;
	for (i = 0; i < ROLE_NR_REGS; i++) {
		const unsigned int nr = i * 1877 % ROLE_NR_REGS;
		const struct role_regs regs = role_regs_nr(nr);

		if (!role_regs_possible(&regs))
			continue;
		role_set_regs(vcpu, &regs);
		kvm_init_mmu(vcpu);

		ok = role_cpu_ok(mmu, vcpu, &regs) &&
		     kind->ok(mmu, vcpu, &regs) && cr3_ops_ok(mmu) &&
		     role_format_ok(mmu, &regs) && role_tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);
	}
}

/* What does not change is not computed again; a new CPUID is a change. */
static void role_unchanged(struct kunit *test)
{
	const struct role_regs regs = { .pg = true, .pae = true, .lma = true };
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	u64 *mask = &mmu->guest_rsvd_check.rsvd_bits_mask[0][0];
	const u64 poison = 0x5a;

	role_config_set(&role_config_vmx);
	role_set_regs(vcpu, &regs);
	kvm_init_mmu(vcpu);
	KUNIT_EXPECT_NE(test, *mask, poison);

	*mask = poison;
	kvm_init_mmu(vcpu);
	KUNIT_EXPECT_EQ(test, *mask, poison);

	kvm_mmu_after_set_cpuid(vcpu);
	KUNIT_EXPECT_NE(test, *mask, poison);
	KUNIT_EXPECT_FALSE(test, vcpu->kvm->vm_bugged);
}

/* CR0.WP changes behind KVM's back; permissions follow when they are used. */
static void role_passthrough_wp(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	unsigned int nr;
	bool ok;

	role_config_set(&role_config_vmx);
	for (nr = 0; nr < ROLE_NR_REGS; nr++) {
		struct role_regs regs = role_regs_nr(nr);

		if (!role_regs_possible(&regs) || !regs.pg)
			continue;
		role_set_regs(vcpu, &regs);
		kvm_init_mmu(vcpu);

		vcpu->arch.cr0 ^= X86_CR0_WP;
		regs.wp = !regs.wp;
		__kvm_mmu_refresh_passthrough_bits(vcpu, mmu);
		ok = mmu_cr0_wp(mmu) == regs.wp && role_tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);

		/* The rest of the role follows at the next change of a register. */
		kvm_init_mmu(vcpu);
		KUNIT_ASSERT_TRUE_MSG(test, role_cpu_ok(mmu, vcpu, &regs),
				      "registers %x", nr);
	}
}

struct level_case {
	const char *name;
	struct role_config config;
	int maxphyaddr;
	u8 level;
};

static const struct level_case level_cases[] = {
	{ "four at most, small guest",	{ true, 0, 4 }, 36, 4 },
	{ "four at most, big guest",	{ true, 0, 4 }, 52, 4 },
	{ "five at most, 36 bits",	{ true, 0, 5 }, 36, 4 },
	{ "five at most, 48 bits",	{ true, 0, 5 }, 48, 4 },
	{ "five at most, 49 bits",	{ true, 0, 5 }, 49, 5 },
	{ "five at most, 52 bits",	{ true, 0, 5 }, 52, 5 },
	{ "four forced",		{ true, 4, 4 }, 52, 4 },
	{ "five forced, 36 bits",	{ true, 5, 5 }, 36, 5 },
	{ "five forced, 52 bits",	{ true, 5, 5 }, 52, 5 },
};

KUNIT_ARRAY_PARAM_DESC(level_cases, level_cases, name);

static void role_tdp_level(struct kunit *test)
{
	const struct level_case *c = test->param_value;
	struct kvm_vcpu *vcpu = role_vcpu(test);

	role_config_set(&c->config);
	KUNIT_EXPECT_EQ(test, role_level_with_tdp(vcpu, c->maxphyaddr), c->level);
	KUNIT_EXPECT_EQ(test, kvm_mmu_get_max_tdp_level(), c->config.max_level);
}

static void role_configure(struct kunit *test)
{
	role_vcpu(test);

	kvm_configure_mmu(true, 0, 5, PG_LEVEL_2M);
	KUNIT_EXPECT_TRUE(test, tdp_enabled);
	KUNIT_EXPECT_TRUE(test, tdp_mmu_enabled);
	KUNIT_EXPECT_EQ(test, spte_fmt.huge_level, PG_LEVEL_2M);

	kvm_configure_mmu(false, 0, 5, PG_LEVEL_4K);
	KUNIT_EXPECT_FALSE(test, tdp_enabled);
	KUNIT_EXPECT_FALSE(test, tdp_mmu_enabled);
	KUNIT_EXPECT_EQ(test, spte_fmt.huge_level,
			boot_cpu_has(X86_FEATURE_GBPAGES) ? PG_LEVEL_1G :
							    PG_LEVEL_2M);
}

static struct kunit_case role_cases[] = {
	KUNIT_CASE_PARAM(role_of_registers, kinds_gen_params),
	KUNIT_CASE(role_unchanged),
	KUNIT_CASE(role_passthrough_wp),
	KUNIT_CASE_PARAM(role_tdp_level, level_cases_gen_params),
	KUNIT_CASE(role_configure),
	{}
};

static struct kunit_suite role_suite = {
	.name = "kvm_mmu_role",
	.test_cases = role_cases,
};

kunit_test_suite(role_suite);
