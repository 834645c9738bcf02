// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roles: every combination of the registers that paging depends on, in each
 * kind of MMU, against the rules of Intel SDM vol. 3A, 5.1.1 (which mode) and of
 * Documentation/virt/kvm/x86/mmu.rst (which bit of a role), one by one.
 *
 * The tests borrow the MMU's configuration, so they skip if there are VMs
 * (test_format.h).  No vendor module is called.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <asm/vmx.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/guest_walk.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"
#include "mmu/root.h"
#include "mmu/shadow.h"
#include "smm.h"
#include "test_format.h"
#include "test_vm.h"

/* What a mode follows from: bits 0 to 11 of a number. */
struct regs {
	bool pg;
	bool wp;
	bool pse;
	bool pae;
	bool la57;
	bool smep;
	bool smap;
	bool pke;
	bool nxe;
	bool lma;
	bool smm;
	bool guest_mode;
};

#define NR_REGS	BIT(12)

static struct regs regs_nr(unsigned int nr)
{
	return (struct regs) {
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
static bool regs_possible(const struct regs *regs)
{
	if (regs->lma && !regs->pg)
		return false;
	if (regs->lma && !regs->pae)
		return false;
	return true;
}

/* Bits that roles do not depend on are set, EFER.LME without LMA among them. */
static void vcpu_set_regs(struct kvm_vcpu *vcpu, const struct regs *regs)
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

static int expected_level(const struct regs *regs)
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

static union kvm_mmu_page_role expected_base(struct kvm_vcpu *vcpu,
					     const struct regs *regs)
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

static union kvm_mmu_extended_role expected_ext(const struct regs *regs)
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

static bool cpu_role_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
			const struct regs *regs)
{
	return mmu->cpu_role.base.word == expected_base(vcpu, regs).word &&
	       mmu->cpu_role.ext.word == expected_ext(regs).word;
}

/* Where the guest's tables are walked, and who handles their faults. */
static bool cr3_ops_ok(const struct kvm_mmu *mmu)
{
	/* kvm_pdptr_read() is inline: every file has its own. */
	return mmu->get_guest_pgd == root_guest_cr3 && mmu->get_pdptr &&
	       mmu->inject_page_fault == kvm_inject_page_fault;
}

static bool format_ok(const struct kvm_mmu *mmu, const struct regs *regs)
{
	if (!regs->pg)
		return mmu->gva_to_gpa == guest_gva_to_gpa_none;
	if (!regs->pae)
		return mmu->gva_to_gpa == guest_gva_to_gpa_32;
	return mmu->gva_to_gpa == guest_gva_to_gpa_64;
}

static bool same_tables(const struct kvm_mmu *a, const struct kvm_mmu *b)
{
	return a->pkru_mask == b->pkru_mask &&
	       !memcmp(a->permissions, b->permissions, sizeof(a->permissions)) &&
	       !memcmp(&a->guest_rsvd_check, &b->guest_rsvd_check,
		       sizeof(a->guest_rsvd_check));
}

/* The tables are those of the mode, not of one before. */
static bool tables_ok(struct kvm_mmu *scratch, struct kvm_vcpu *vcpu,
		      const struct kvm_mmu *mmu)
{
	scratch->cpu_role = mmu->cpu_role;
	permission_update(scratch, false);
	rsvd_update_guest(vcpu, scratch);
	return !mmu_cr0_pg(mmu) || same_tables(scratch, mmu);
}

/* The configuration. */

struct config {
	bool tdp;
	int forced_level;
	int max_level;
	int huge_level;
};

static void config_set(const struct config *config)
{
	kvm_configure_mmu(config->tdp, config->forced_level, config->max_level,
			  config->huge_level);
}

/* The format, with huge_level, is restored after this. */
static void config_restore(void *saved)
{
	config_set(saved);
}

static u8 tdp_level(struct kvm_vcpu *vcpu, int maxphyaddr)
{
	const struct regs none = {};

	vcpu_set_regs(vcpu, &none);
	vcpu->arch.maxphyaddr = maxphyaddr;
	vcpu->arch.root_mmu.cpu_role.ext.valid = 0;
	kvm_init_mmu(vcpu);
	return vcpu->arch.root_mmu.root_role.level;
}

/* A level is forced if a vCPU that has no use for the maximum gets it. */
static void config_borrow(struct kunit *test, struct kvm_vcpu *vcpu)
{
	struct config *saved;

	KUNIT_ASSERT_EQ(test, test_format_init(test), 0);
	saved = kunit_kzalloc(test, sizeof(*saved), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, saved);

	saved->tdp = tdp_enabled;
	saved->max_level = kvm_mmu_get_max_tdp_level();
	tdp_enabled = true;
	if (tdp_level(vcpu, 36) == saved->max_level)
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

/* A vCPU that never ran, and whose test has the configuration for itself. */
static struct kvm_vcpu *role_vcpu(struct kunit *test)
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

static struct kvm_mmu *role_scratch(struct kunit *test)
{
	struct kvm_mmu *mmu = kunit_kzalloc(test, sizeof(*mmu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mmu);
	return mmu;
}

static const struct config config_soft = { .tdp = false };

static const struct config config_vmx = {
	.tdp = true, .max_level = 5, .huge_level = PG_LEVEL_1G,
};

static const struct config config_svm = {
	.tdp = true, .forced_level = 5, .max_level = 5, .huge_level = PG_LEVEL_1G,
};

/* The kinds of MMU. */

/* Shadow pages of what is not 64-bit paging are PAE tables. */
static bool soft_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		    const struct regs *regs)
{
	union kvm_mmu_page_role root = expected_base(vcpu, regs);

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
		   const struct regs *regs)
{
	const union kvm_mmu_page_role base = expected_base(vcpu, regs);
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
		      const struct regs *regs)
{
	return !mmu->sync_spte && !mmu->page_fault && !mmu->root_role.word;
}

struct kind {
	const char *name;
	const struct config *config;
	bool nested;
	bool (*ok)(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		   const struct regs *regs);
};

static const struct kind kinds[] = {
	{ "shadow paging",		&config_soft, false, soft_ok },
	{ "TDP",			&config_vmx, false, tdp_ok },
	{ "a nested guest's walks",	&config_vmx, true, nested_ok },
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
	config_set(kind->config);
	vcpu->arch.walk_mmu = mmu;
	for (i = 0; i < NR_REGS; i++) {
		const unsigned int nr = i * 1877 % NR_REGS;
		const struct regs regs = regs_nr(nr);

		if (!regs_possible(&regs))
			continue;
		vcpu_set_regs(vcpu, &regs);
		kvm_init_mmu(vcpu);

		ok = cpu_role_ok(mmu, vcpu, &regs) &&
		     kind->ok(mmu, vcpu, &regs) && cr3_ops_ok(mmu) &&
		     format_ok(mmu, &regs) && tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);
	}
}

/* NPT has the mode that L1's registers say, but no protection keys. */
static void role_npt(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	union kvm_mmu_page_role root;
	unsigned int nr;
	bool ok;

	config_set(&config_svm);
	vcpu->arch.mmu = mmu;
	for (nr = 0; nr < NR_REGS; nr++) {
		struct regs regs = regs_nr(nr);

		if (!regs_possible(&regs) || !regs.pg || !regs.guest_mode)
			continue;
		vcpu_set_regs(vcpu, &regs);
		kvm_init_shadow_npt_mmu(vcpu, vcpu->arch.cr0, vcpu->arch.cr4,
					vcpu->arch.efer, 0x1000);
		regs.pke = false;

		root = expected_base(vcpu, &regs);
		if (root.level == 4)
			root.passthrough = 1;
		root.level = 5;
		ok = cpu_role_ok(mmu, vcpu, &regs) &&
		     mmu->root_role.word == root.word &&
		     mmu->page_fault == fault_indirect &&
		     mmu->sync_spte == shadow_sync_spte &&
		     format_ok(mmu, &regs) && tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);
	}
}

/* There is nothing to pass through if host and guest have as many levels. */
static void role_npt_same_levels(struct kunit *test)
{
	const struct config config = {
		.tdp = true, .forced_level = 4, .max_level = 4,
	};
	const struct regs regs = {
		.pg = true, .pae = true, .lma = true, .guest_mode = true,
	};
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;

	config_set(&config);
	vcpu->arch.mmu = mmu;
	vcpu_set_regs(vcpu, &regs);
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
	return same_tables(scratch, mmu) &&
	       !memcmp(&scratch->shadow_zero_check, &mmu->shadow_zero_check,
		       sizeof(mmu->shadow_zero_check)) &&
	       mmu->page_fault == fault_indirect &&
	       mmu->sync_spte == shadow_sync_spte &&
	       mmu->gva_to_gpa == guest_gva_to_gpa_ept;
}

/* EPT's mode: levels, A/D bits and execute-only.  The registers do not matter. */
static void role_ept(struct kunit *test)
{
	const struct regs regs = { .pg = true, .wp = true, .pae = true,
				   .smep = true, .nxe = true, .lma = true,
				   .guest_mode = true };
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	unsigned int nr;

	config_set(&config_vmx);
	vcpu->arch.mmu = mmu;
	vcpu_set_regs(vcpu, &regs);
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

/* What does not change is not computed again; a new CPUID is a change. */
static void role_unchanged(struct kunit *test)
{
	const struct regs regs = { .pg = true, .pae = true, .lma = true };
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	u64 *mask = &mmu->guest_rsvd_check.rsvd_bits_mask[0][0];
	const u64 poison = 0x5a;

	config_set(&config_vmx);
	vcpu_set_regs(vcpu, &regs);
	kvm_init_mmu(vcpu);
	KUNIT_EXPECT_NE(test, *mask, poison);

	*mask = poison;
	kvm_init_mmu(vcpu);
	KUNIT_EXPECT_EQ(test, *mask, poison);

	kvm_mmu_after_set_cpuid(vcpu);
	KUNIT_EXPECT_NE(test, *mask, poison);
	KUNIT_EXPECT_FALSE(test, vcpu->kvm->vm_bugged);
}

/* The MMU of a nested guest is set up anew too, when it is used again. */
static void role_cpuid_of_nested(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	u64 *mask = &mmu->guest_rsvd_check.rsvd_bits_mask[0][0];

	config_set(&config_vmx);
	vcpu->arch.mmu = mmu;
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, true, VMX_EPTP_PWL_4);
	KUNIT_EXPECT_EQ(test, *mask, GENMASK_ULL(51, 46));

	vcpu->arch.reserved_gpa_bits = GENMASK_ULL(63, 40);
	kvm_mmu_after_set_cpuid(vcpu);
	KUNIT_EXPECT_FALSE(test, mmu->root_role.invalid);

	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, true, VMX_EPTP_PWL_4);
	KUNIT_EXPECT_EQ(test, *mask, GENMASK_ULL(51, 40));
}

/* CR0.WP changes behind KVM's back; permissions follow when they are used. */
static void role_passthrough_wp(struct kunit *test)
{
	struct kvm_vcpu *vcpu = role_vcpu(test);
	struct kvm_mmu *scratch = role_scratch(test);
	struct kvm_mmu *mmu = &vcpu->arch.root_mmu;
	unsigned int nr;
	bool ok;

	config_set(&config_vmx);
	for (nr = 0; nr < NR_REGS; nr++) {
		struct regs regs = regs_nr(nr);

		if (!regs_possible(&regs) || !regs.pg)
			continue;
		vcpu_set_regs(vcpu, &regs);
		kvm_init_mmu(vcpu);

		vcpu->arch.cr0 ^= X86_CR0_WP;
		regs.wp = !regs.wp;
		__kvm_mmu_refresh_passthrough_bits(vcpu, mmu);
		ok = mmu_cr0_wp(mmu) == regs.wp && tables_ok(scratch, vcpu, mmu);
		KUNIT_ASSERT_TRUE_MSG(test, ok, "registers %x", nr);

		/* The rest of the role follows at the next change of a register. */
		kvm_init_mmu(vcpu);
		KUNIT_ASSERT_TRUE_MSG(test, cpu_role_ok(mmu, vcpu, &regs),
				      "registers %x", nr);
	}
}

struct level_case {
	const char *name;
	struct config config;
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

	config_set(&c->config);
	KUNIT_EXPECT_EQ(test, tdp_level(vcpu, c->maxphyaddr), c->level);
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
	KUNIT_CASE(role_npt),
	KUNIT_CASE(role_npt_same_levels),
	KUNIT_CASE(role_ept),
	KUNIT_CASE(role_unchanged),
	KUNIT_CASE(role_cpuid_of_nested),
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
