// SPDX-License-Identifier: GPL-2.0-only
/*
 * What roles follow from, see role_model.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/string.h>

#include "mmu.h"
#include "mmu/guest_walk.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"
#include "mmu/spte.h"
#include "role_model.h"
#include "smm.h"
#include "test_format.h"
#include "test_vm.h"

struct role_regs role_regs_nr(unsigned int nr)
{
	return (struct role_regs) {
		.pg = nr & BIT(0),
		.wp = nr & BIT(1),
		.pse = nr & BIT(2),
		.pae = nr & BIT(3),
		.la57 = nr & BIT(4),
		.smep = nr & BIT(5),
		.smap = nr & BIT(6),
		.pke = nr & BIT(7),
		.nxe = nr & BIT(8),
		.lma = nr & BIT(9),
		.smm = nr & BIT(10),
		.guest_mode = nr & BIT(11),
	};
}

/* 5.1.1: IA32_EFER.LMA is 1 only with CR0.PG and CR4.PAE. */
bool role_regs_possible(const struct role_regs *regs)
{
	if (regs->lma && !regs->pg)
		return false;
	if (regs->lma && !regs->pae)
		return false;
	return true;
}

void role_set_regs(struct kvm_vcpu *vcpu, const struct role_regs *regs)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	arch->cr0 = X86_CR0_PE | X86_CR0_TS | X86_CR0_CD;
	arch->cr0 |= regs->pg ? X86_CR0_PG : 0;
	arch->cr0 |= regs->wp ? X86_CR0_WP : 0;
	arch->cr4 = X86_CR4_PGE | X86_CR4_OSXSAVE;
	arch->cr4 |= regs->pse ? X86_CR4_PSE : 0;
	arch->cr4 |= regs->pae ? X86_CR4_PAE : 0;
	arch->cr4 |= regs->la57 ? X86_CR4_LA57 : 0;
	arch->cr4 |= regs->smep ? X86_CR4_SMEP : 0;
	arch->cr4 |= regs->smap ? X86_CR4_SMAP : 0;
	arch->cr4 |= regs->pke ? X86_CR4_PKE : 0;
	arch->efer = EFER_SCE | EFER_LME;
	arch->efer |= regs->nxe ? EFER_NX : 0;
	arch->efer |= regs->lma ? EFER_LMA : 0;
	arch->hflags = regs->guest_mode ? HF_GUEST_MASK : 0;
#ifdef CONFIG_KVM_SMM
	arch->hflags |= regs->smm ? HF_SMM_MASK : 0;
#endif
}

/* The rules. */

static int expected_level(const struct role_regs *regs)
{
	if (!regs->pg)
		return 0;
	if (!regs->pae)
		return 2;
	if (!regs->lma)
		return 3;
	if (!regs->la57)
		return 4;
	return 5;
}

union kvm_mmu_page_role role_expected_base(struct kvm_vcpu *vcpu,
					   const struct role_regs *regs)
{
	union kvm_mmu_page_role role = { .word = 0 };

	role.level = expected_level(regs);
	role.access = 7;
	if (is_guest_mode(vcpu))
		role.guest_mode = 1;
	if (is_smm(vcpu))
		role.smm = 1;
	if (!regs->pg) {
		role.direct = 1;
		return role;
	}
	if (!regs->pae)
		role.has_4_byte_gpte = 1;
	if (regs->nxe)
		role.efer_nx = 1;
	if (regs->wp)
		role.cr0_wp = 1;
	if (regs->smep && !regs->wp)
		role.smep_andnot_wp = 1;
	if (regs->smap && !regs->wp)
		role.smap_andnot_wp = 1;
	return role;
}

static union kvm_mmu_extended_role expected_ext(const struct role_regs *regs)
{
	union kvm_mmu_extended_role role = { .word = 0 };

	role.valid = 1;
	if (!regs->pg)
		return role;
	if (regs->pse)
		role.cr4_pse = 1;
	if (regs->smep)
		role.cr4_smep = 1;
	if (regs->smap)
		role.cr4_smap = 1;
	if (!regs->lma)
		return role;
	role.efer_lma = 1;
	if (regs->pke)
		role.cr4_pke = 1;
	if (regs->la57)
		role.cr4_la57 = 1;
	return role;
}

bool role_cpu_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		 const struct role_regs *regs)
{
	return mmu->cpu_role.base.word == role_expected_base(vcpu, regs).word &&
	       mmu->cpu_role.ext.word == expected_ext(regs).word;
}

bool role_format_ok(const struct kvm_mmu *mmu, const struct role_regs *regs)
{
	if (!regs->pg)
		return mmu->gva_to_gpa == guest_gva_to_gpa_none;
	if (!regs->pae)
		return mmu->gva_to_gpa == guest_gva_to_gpa_32;
	return mmu->gva_to_gpa == guest_gva_to_gpa_64;
}

bool role_same_tables(const struct kvm_mmu *a, const struct kvm_mmu *b)
{
	return a->pkru_mask == b->pkru_mask &&
	       !memcmp(a->permissions, b->permissions, sizeof(a->permissions)) &&
	       !memcmp(&a->guest_rsvd_check, &b->guest_rsvd_check,
		       sizeof(a->guest_rsvd_check));
}

bool role_tables_ok(struct kvm_mmu *scratch, struct kvm_vcpu *vcpu,
		    const struct kvm_mmu *mmu)
{
	scratch->cpu_role = mmu->cpu_role;
	permission_update(scratch, false);
	rsvd_update_guest(vcpu, scratch);
	return !mmu_cr0_pg(mmu) || role_same_tables(scratch, mmu);
}

/* The configuration. */

const struct role_config role_config_vmx = {
	.tdp = true, .max_level = 5, .huge_level = PG_LEVEL_1G,
};

void role_config_set(const struct role_config *config)
{
	kvm_configure_mmu(config->tdp, config->forced_level, config->max_level,
			  config->huge_level);
}

/* The format, with huge_level, is restored after this. */
static void config_restore(void *saved)
{
	role_config_set(saved);
}

u8 role_level_with_tdp(struct kvm_vcpu *vcpu, int maxphyaddr)
{
	const struct role_regs none = {};

	role_set_regs(vcpu, &none);
	vcpu->arch.maxphyaddr = maxphyaddr;
	vcpu->arch.root_mmu.cpu_role.ext.valid = 0;
	kvm_init_mmu(vcpu);
	return vcpu->arch.root_mmu.root_role.level;
}

/* A level is forced if a vCPU that has no use for the maximum gets it. */
static void config_borrow(struct kunit *test, struct kvm_vcpu *vcpu)
{
	struct role_config *saved;

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	saved = kunit_kzalloc(test, sizeof(*saved), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, saved);

	saved->tdp = tdp_enabled;
	saved->max_level = kvm_mmu_get_max_tdp_level();
	tdp_enabled = true;
	if (role_level_with_tdp(vcpu, 36) == saved->max_level)
		saved->forced_level = saved->max_level;
	tdp_enabled = saved->tdp;
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, config_restore, saved));
}

static void mmu_without_roots(struct kvm_mmu *mmu)
{
	int i;

	mmu->root.hpa = INVALID_PAGE;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		mmu->prev_roots[i] = KVM_MMU_ROOT_INFO_INVALID;
}

struct kvm_vcpu *role_vcpu(struct kunit *test)
{
	struct kvm_vcpu *vcpu;

	vcpu = kvm_test_create_vcpu(test, kvm_test_create_vm(test));
	vcpu->arch.last_vmentry_cpu = -1;
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.walk_mmu = &vcpu->arch.root_mmu;
	mmu_without_roots(&vcpu->arch.root_mmu);
	mmu_without_roots(&vcpu->arch.guest_mmu);

	config_borrow(test, vcpu);
	vcpu->arch.maxphyaddr = 46;
	vcpu->arch.reserved_gpa_bits = GENMASK_ULL(63, 46);
	return vcpu;
}

struct kvm_mmu *role_scratch(struct kunit *test)
{
	struct kvm_mmu *mmu = kunit_kzalloc(test, sizeof(*mmu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mmu);
	return mmu;
}
