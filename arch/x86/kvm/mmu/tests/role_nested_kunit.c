// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roles of the MMU of a nested guest: NPT has the mode of L1's registers, in every
 * combination, EPT one of its own.
 *
 * The tests borrow the MMU's configuration, so they skip if there are VMs
 * (test_format.h).  No vendor module is called.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/string.h>
#include <asm/vmx.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/guest_walk.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"
#include "mmu/shadow.h"
#include "role_model.h"

static const struct role_config config_svm = {
	.tdp = true, .forced_level = 5, .max_level = 5, .huge_level = PG_LEVEL_1G,
};

/* NPT has the mode that L1's registers say, but no protection keys. */
static void role_npt(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	union kvm_mmu_page_role root;
	unsigned int nr;
	bool ok;

	role_config_set(&config_svm);
	vcpu->arch.mmu = mmu;
	for (nr = 0; nr < ROLE_NR_REGS; nr++) {
		struct role_regs regs = role_regs_nr(nr);

		if (!role_regs_possible(&regs) || !regs.pg || !regs.guest_mode)
			continue;
		role_set_regs(vcpu, &regs);
		kvm_init_shadow_npt_mmu(vcpu, vcpu->arch.cr0, vcpu->arch.cr4,
					vcpu->arch.efer, 0x1000);
		regs.pke = false;

		root = role_expected_base(vcpu, &regs);
		if (root.level == 4)
			root.passthrough = 1;
		root.level = 5;
		ok = role_cpu_ok(mmu, vcpu, &regs) &&
		     mmu->root_role.word == root.word &&
		     mmu->page_fault == fault_indirect &&
		     mmu->sync_spte == shadow_sync_spte &&
		     role_format_ok(mmu, &regs) && role_tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);
	}
}

/* There is nothing to pass through if host and guest have as many levels. */
static void role_npt_same_levels(struct kunit *test)
{
	const struct role_config config = {
		.tdp = true, .forced_level = 4, .max_level = 4,
	};
	const struct role_regs regs = {
		.pg = true, .pae = true, .lma = true, .guest_mode = true,
	};
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;

	role_config_set(&config);
	vcpu->arch.mmu = mmu;
	role_set_regs(vcpu, &regs);
	kvm_init_shadow_npt_mmu(vcpu, vcpu->arch.cr0, vcpu->arch.cr4,
				vcpu->arch.efer, 0x1000);
	KUNIT_EXPECT_TRUE(test, mmu->root_role.level == 4);
	KUNIT_EXPECT_FALSE(test, mmu->root_role.passthrough);
	KUNIT_EXPECT_EQ(test, mmu->root_role.word, mmu->cpu_role.base.word);
}

static bool ept_ok(struct kvm_mmu *scratch, const struct kvm_mmu *mmu,
		   struct kvm_vcpu *vcpu)
{
	const bool execonly = mmu->cpu_role.ext.execonly;

	scratch->cpu_role = mmu->cpu_role;
	permission_update(scratch, true);
	rsvd_bits_ept(&scratch->guest_rsvd_check, vcpu->arch.reserved_gpa_bits,
		      execonly, PG_LEVEL_2M);
	rsvd_update_shadow_ept(scratch, execonly);
	return role_same_tables(scratch, mmu) &&
	       !memcmp(&scratch->shadow_zero_check, &mmu->shadow_zero_check,
		       sizeof(mmu->shadow_zero_check)) &&
	       mmu->page_fault == fault_indirect &&
	       mmu->sync_spte == shadow_sync_spte &&
	       mmu->gva_to_gpa == guest_gva_to_gpa_ept;
}

/* EPT's mode: levels, A/D bits and execute-only.  The registers do not matter. */
static void role_ept(struct kunit *test)
{
	const struct role_regs regs = { .pg = true, .wp = true, .pae = true,
					.smep = true, .nxe = true, .lma = true,
					.guest_mode = true };
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	unsigned int nr;

	role_config_set(&role_config_vmx);
	vcpu->arch.mmu = mmu;
	role_set_regs(vcpu, &regs);
	for (nr = 0; nr < 8; nr++) {
		const bool execonly = nr & BIT(0), ad = nr & BIT(1);
		const bool five = nr & BIT(2);
		union kvm_cpu_role role = { .as_u64 = 0 };

		kvm_init_shadow_ept_mmu(vcpu, execonly, PG_LEVEL_2M, ad,
					five ? VMX_EPTP_PWL_5 : VMX_EPTP_PWL_4);
		role.base.level = five ? 5 : 4;
		role.base.access = 7;
		role.base.guest_mode = 1;
		role.base.ad_disabled = !ad;
		role.ext.valid = 1;
		role.ext.execonly = execonly;
		KUNIT_EXPECT_EQ(test, mmu->cpu_role.as_u64, role.as_u64);
		KUNIT_EXPECT_EQ(test, mmu->root_role.word, role.base.word);
		KUNIT_EXPECT_TRUE_MSG(test, ept_ok(scratch, mmu, vcpu), "%x", nr);
	}
}

/* The MMU of a nested guest is set up anew too, when it is used again. */
static void role_cpuid_of_nested(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	u64 *mask = &mmu->guest_rsvd_check.rsvd_bits_mask[0][0];

	role_config_set(&role_config_vmx);
	vcpu->arch.mmu = mmu;
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, true, VMX_EPTP_PWL_4);
	KUNIT_EXPECT_EQ(test, *mask, GENMASK_ULL(51, 46));

	vcpu->arch.reserved_gpa_bits = GENMASK_ULL(63, 40);
	kvm_mmu_after_set_cpuid(vcpu);
	KUNIT_EXPECT_FALSE(test, mmu->root_role.invalid);

	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, true, VMX_EPTP_PWL_4);
	KUNIT_EXPECT_EQ(test, *mask, GENMASK_ULL(51, 40));
}

static struct kunit_case role_nested_cases[] = {
	KUNIT_CASE(role_npt),
	KUNIT_CASE(role_npt_same_levels),
	KUNIT_CASE(role_ept),
	KUNIT_CASE(role_cpuid_of_nested),
	{}
};

static struct kunit_suite role_nested_suite = {
	.name = "kvm_mmu_role_nested",
	.test_cases = role_nested_cases,
};

kunit_test_suite(role_nested_suite);
