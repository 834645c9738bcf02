// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roles: from the registers of a vCPU to the mode of its MMUs.
 *
 * kvm_mmu::cpu_role says what the guest's tables are, kvm_mmu::root_role which
 * shadow pages translate for it.  Everything else in a struct kvm_mmu that
 * depends on the mode (the tables of permission.c, the functions) follows from
 * the two and from the guest's CPUID, and is written only when they change.
 *
 *  root_mmu    L1; and L2, if the host does not use TDP
 *  guest_mmu   shadows L1's nested page tables, EPT or NPT
 *  nested_mmu  walks L2's own tables for emulation; no roots
 *
 * A vCPU's MMUs are its own: no lock.  The configuration changes only while
 * there is no VM.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cpufeature.h>
#include <linux/moduleparam.h>
#include <linux/printk.h>
#include <asm/vmx.h>

#include "fault.h"
#include "guest_walk.h"
#include "permission.h"
#include "root.h"
#include "shadow.h"
#include "smm.h"

bool tdp_enabled __read_mostly;

/* The same as tdp_enabled: with TDP there is no other MMU to choose. */
bool tdp_mmu_enabled __read_mostly = true;

static int tdp_mmu_param_set(const char *val, const struct kernel_param *kp)
{
	int r = param_set_bool(val, kp);

	if (!r && !tdp_mmu_enabled)
		pr_info_once("tdp_mmu=0 is ignored: all direct paging uses the TDP MMU\n");
	return r;
}

static const struct kernel_param_ops tdp_mmu_param_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = tdp_mmu_param_set,
	.get = param_get_bool,
};

module_param_cb(tdp_mmu, &tdp_mmu_param_ops, &tdp_mmu_enabled, 0444);
__MODULE_PARM_TYPE(tdp_mmu, "bool");

/*
 * What the vendor module said.
 *
 * @forced_level: of all TDP roots; 0 if KVM may choose
 * @max_level: otherwise not above this
 */
static struct {
	u8 forced_level;
	u8 max_level;
} tdp_config __read_mostly;

void kvm_configure_mmu(bool enable_tdp, int tdp_forced_root_level,
		       int tdp_max_root_level, int tdp_huge_page_level)
{
	tdp_enabled = enable_tdp;
	tdp_mmu_enabled = enable_tdp;
	tdp_config.forced_level = tdp_forced_root_level;
	tdp_config.max_level = tdp_max_root_level;

	/* The size of the host's own mappings is another limit, see level.c. */
	if (enable_tdp)
		spte_fmt.huge_level = tdp_huge_page_level;
	else
		spte_fmt.huge_level = boot_cpu_has(X86_FEATURE_GBPAGES) ?
				      PG_LEVEL_1G : PG_LEVEL_2M;
}
EXPORT_SYMBOL_GPL(kvm_configure_mmu);

u8 kvm_mmu_get_max_tdp_level(void)
{
	return tdp_config.forced_level ?: tdp_config.max_level;
}

/* A fifth level costs every walk, and is of use only above 48 bits. */
static u8 tdp_root_level(struct kvm_vcpu *vcpu)
{
	const u8 level = kvm_mmu_get_max_tdp_level();

	if (level == PT64_ROOT_5LEVEL && !tdp_config.forced_level &&
	    cpuid_maxphyaddr(vcpu) <= 48)
		return PT64_ROOT_4LEVEL;
	return level;
}

/* The registers that a mode follows from. */
struct paging_regs {
	unsigned long cr0;
	unsigned long cr4;
	u64 efer;
};

static void role_add_paging(union kvm_cpu_role *role,
			    const struct paging_regs *regs, bool lma)
{
	const bool wp = regs->cr0 & X86_CR0_WP;
	const bool pae = regs->cr4 & X86_CR4_PAE;
	const bool smep = regs->cr4 & X86_CR4_SMEP;
	const bool smap = regs->cr4 & X86_CR4_SMAP;
	const bool la57 = lma && (regs->cr4 & X86_CR4_LA57);

	if (lma)
		role->base.level = la57 ? PT64_ROOT_5LEVEL : PT64_ROOT_4LEVEL;
	else
		role->base.level = pae ? PT32E_ROOT_LEVEL : PT32_ROOT_LEVEL;
	role->base.has_4_byte_gpte = !pae;
	role->base.efer_nx = !!(regs->efer & EFER_NX);

	/* SMEP and SMAP matter to an SPTE only where KVM has to imitate WP=0. */
	role->base.cr0_wp = wp;
	role->base.smep_andnot_wp = smep && !wp;
	role->base.smap_andnot_wp = smap && !wp;

	role->ext.efer_lma = lma;
	role->ext.cr4_la57 = la57;
	role->ext.cr4_pke = lma && (regs->cr4 & X86_CR4_PKE);
	role->ext.cr4_pse = !!(regs->cr4 & X86_CR4_PSE);
	role->ext.cr4_smep = smep;
	role->ext.cr4_smap = smap;
}

static union kvm_cpu_role role_of_regs(struct kvm_vcpu *vcpu,
				       const struct paging_regs *regs)
{
	union kvm_cpu_role role = { .as_u64 = 0 };
	bool lma = regs->efer & EFER_LMA;

	role.ext.valid = 1;
	role.base.smm = is_smm(vcpu);
	role.base.guest_mode = is_guest_mode(vcpu);
	role.base.access = ACC_ALL;

	if (!(regs->cr0 & X86_CR0_PG)) {
		role.base.direct = 1;
		return role;
	}

	/* No CPU gets into that state, so the VM must not go on. */
	if (KVM_BUG_ON(lma && !(regs->cr4 & X86_CR4_PAE), vcpu->kvm))
		lma = false;

	role_add_paging(&role, regs, lma);
	return role;
}

static union kvm_mmu_page_role tdp_root_role(struct kvm_vcpu *vcpu,
					     union kvm_cpu_role cpu_role)
{
	union kvm_mmu_page_role role = { .word = 0 };

	role.level = tdp_root_level(vcpu);
	role.direct = 1;
	role.access = ACC_ALL;
	role.efer_nx = 1;
	role.cr0_wp = 1;
	role.ad_disabled = !mmu_ad_enabled();
	role.guest_mode = cpu_role.base.guest_mode;
	role.smm = cpu_role.base.smm;
	return role;
}

/* True if a role changed, so that what depends on it has to. */
static bool mmu_set_roles(struct kvm_mmu *mmu, union kvm_cpu_role cpu_role,
			  union kvm_mmu_page_role root_role)
{
	if (likely(mmu->cpu_role.as_u64 == cpu_role.as_u64 &&
		   mmu->root_role.word == root_role.word))
		return false;

	mmu->cpu_role = cpu_role;
	mmu->root_role = root_role;
	return true;
}

unsigned long root_guest_cr3(struct kvm_vcpu *vcpu)
{
	return kvm_read_cr3(vcpu);
}

/* The tables are those of the vCPU's CR3, and its kernel handles the faults. */
static void mmu_set_cr3_ops(struct kvm_mmu *mmu)
{
	mmu->get_guest_pgd = root_guest_cr3;
	mmu->get_pdptr = kvm_pdptr_read;
	mmu->inject_page_fault = kvm_inject_page_fault;
}

/* How the guest's tables are walked; without paging there are none. */
static void mmu_set_format(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	if (!mmu_cr0_pg(mmu)) {
		mmu->gva_to_gpa = guest_gva_to_gpa_none;
		return;
	}

	mmu->gva_to_gpa = mmu_cr4_pae(mmu) ? guest_gva_to_gpa_64 :
					     guest_gva_to_gpa_32;
	rsvd_update_guest(vcpu, mmu);
	permission_update(mmu, false);
}

static void mmu_init_tdp(struct kvm_vcpu *vcpu, union kvm_cpu_role cpu_role)
{
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;

	if (!mmu_set_roles(mmu, cpu_role, tdp_root_role(vcpu, cpu_role)))
		return;

	mmu->page_fault = fault_tdp;
	mmu->sync_spte = NULL;
	mmu_set_cr3_ops(mmu);
	mmu_set_format(vcpu, mmu);
	rsvd_update_tdp(mmu);
}

/* For shadow pages of legacy tables, or of none. */
static void mmu_set_shadow(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu)
{
	if (mmu_cr0_pg(mmu)) {
		mmu->page_fault = fault_indirect;
		mmu->sync_spte = shadow_sync_spte;
	} else {
		mmu->page_fault = fault_nonpaging;
		mmu->sync_spte = NULL;
	}
	mmu_set_format(vcpu, mmu);
	rsvd_update_shadow(vcpu, mmu);
}

/*
 * A guest below 64-bit paging is shadowed by PAE tables.  A vCPU without EFER.NX has
 * other shadow pages than one with it, as NX is reserved in its gPTEs.
 */
static void mmu_init_soft(struct kvm_vcpu *vcpu, union kvm_cpu_role cpu_role)
{
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	union kvm_mmu_page_role root_role = cpu_role.base;

	if (root_role.level < PT32E_ROOT_LEVEL)
		root_role.level = PT32E_ROOT_LEVEL;

	if (!mmu_set_roles(mmu, cpu_role, root_role))
		return;

	mmu_set_cr3_ops(mmu);
	mmu_set_shadow(vcpu, mmu);
}

/*
 * nested_mmu translates a gva of L2 to a gpa of L2.  That gpa is then translated by
 * vcpu->arch.mmu (translate_nested_gpa()).
 */
static void mmu_init_nested(struct kvm_vcpu *vcpu, union kvm_cpu_role cpu_role)
{
	struct kvm_mmu *mmu = &vcpu->arch.nested_mmu;

	if (!mmu_set_roles(mmu, cpu_role, mmu->root_role))
		return;

	mmu->sync_spte = NULL;
	mmu_set_cr3_ops(mmu);
	mmu_set_format(vcpu, mmu);
}

void kvm_init_mmu(struct kvm_vcpu *vcpu)
{
	const struct paging_regs regs = {
		.cr0 = kvm_read_cr0_bits(vcpu, KVM_MMU_CR0_ROLE_BITS),
		.cr4 = kvm_read_cr4_bits(vcpu, KVM_MMU_CR4_ROLE_BITS),
		.efer = vcpu->arch.efer,
	};
	const union kvm_cpu_role role = role_of_regs(vcpu, &regs);

	if (mmu_is_nested(vcpu))
		mmu_init_nested(vcpu, role);
	else if (tdp_enabled)
		mmu_init_tdp(vcpu, role);
	else
		mmu_init_soft(vcpu, role);
}
EXPORT_SYMBOL_GPL(kvm_init_mmu);

/*
 * L1's NPT has the format that L1's registers say (APM vol. 2, 15.25.5).  The pages that
 * shadow it have the host's number of levels.  If that is 5 and L1 has 4, the root is a
 * passthrough page, of which only the first entry is used.
 */
void kvm_init_shadow_npt_mmu(struct kvm_vcpu *vcpu, unsigned long cr0,
			     unsigned long cr4, u64 efer, gpa_t nested_cr3)
{
	const struct paging_regs regs = {
		.cr0 = cr0,
		.cr4 = cr4 & ~X86_CR4_PKE,
		.efer = efer,
	};
	const union kvm_cpu_role cpu_role = role_of_regs(vcpu, &regs);
	union kvm_mmu_page_role root_role = cpu_role.base;
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;

	WARN_ON_ONCE(cpu_role.base.direct || !cpu_role.base.guest_mode);

	root_role.level = tdp_root_level(vcpu);
	root_role.passthrough = root_role.level == PT64_ROOT_5LEVEL &&
				cpu_role.base.level == PT64_ROOT_4LEVEL;

	if (mmu_set_roles(mmu, cpu_role, root_role))
		mmu_set_shadow(vcpu, mmu);
	kvm_mmu_new_pgd(vcpu, nested_cr3);
}
EXPORT_SYMBOL_GPL(kvm_init_shadow_npt_mmu);

/* EPT has one format: neither control registers nor EFER matter, nor SMM. */
void kvm_init_shadow_ept_mmu(struct kvm_vcpu *vcpu, bool execonly,
			     int huge_page_level, bool accessed_dirty,
			     gpa_t new_eptp)
{
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	union kvm_cpu_role role = { .as_u64 = 0 };

	/* L1 cannot have an SMM transfer monitor, which could run L2 in SMM. */
	WARN_ON_ONCE(is_smm(vcpu));

	role.base.level = vmx_eptp_page_walk_level(new_eptp);
	role.base.access = ACC_ALL;
	role.base.ad_disabled = !accessed_dirty;
	role.base.guest_mode = 1;
	role.ext.valid = 1;
	role.ext.execonly = execonly;

	if (mmu_set_roles(mmu, role, role.base)) {
		mmu->page_fault = fault_indirect;
		mmu->sync_spte = shadow_sync_spte;
		mmu->gva_to_gpa = guest_gva_to_gpa_ept;
		rsvd_bits_ept(&mmu->guest_rsvd_check, vcpu->arch.reserved_gpa_bits,
			      execonly, huge_page_level);
		permission_update(mmu, true);
		rsvd_update_shadow_ept(mmu, execonly);
	}

	kvm_mmu_new_pgd(vcpu, new_eptp);
}
EXPORT_SYMBOL_GPL(kvm_init_shadow_ept_mmu);

/* Reserved bits do not depend on CR0.WP: only the permissions are stale. */
void __kvm_mmu_refresh_passthrough_bits(struct kvm_vcpu *vcpu,
					struct kvm_mmu *mmu)
{
	const bool wp = kvm_is_cr0_bit_set(vcpu, X86_CR0_WP);

	/* WP is the only bit of a role that the guest changes without an exit. */
	BUILD_BUG_ON((KVM_MMU_CR0_ROLE_BITS & KVM_POSSIBLE_CR0_GUEST_BITS) != X86_CR0_WP);
	BUILD_BUG_ON(KVM_MMU_CR4_ROLE_BITS & KVM_POSSIBLE_CR4_GUEST_BITS);

	if (likely(mmu_cr0_wp(mmu) == wp))
		return;

	mmu->cpu_role.base.cr0_wp = wp;
	if (mmu_cr0_pg(mmu))
		permission_update(mmu, false);
}

void kvm_mmu_reset_context(struct kvm_vcpu *vcpu)
{
	kvm_mmu_unload(vcpu);
	kvm_init_mmu(vcpu);
}
EXPORT_SYMBOL_GPL(kvm_mmu_reset_context);

/*
 * Reserved bits depend on the CPUID, which is not part of a role.  So make every MMU's
 * cpu_role invalid: then it is set up anew.  root_role stays as it is until then, as
 * kvm_mmu_free_roots() goes by it.
 */
void kvm_mmu_after_set_cpuid(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	arch->nested_mmu.cpu_role.ext.valid = 0;
	arch->guest_mmu.cpu_role.ext.valid = 0;
	arch->root_mmu.cpu_role.ext.valid = 0;
	kvm_mmu_reset_context(vcpu);

	/* kvm_set_cpuid() refuses to change what a guest may have seen. */
	KVM_BUG_ON(kvm_vcpu_has_run(vcpu), vcpu->kvm);
}
