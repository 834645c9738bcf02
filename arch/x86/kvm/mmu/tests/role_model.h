/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What roles follow from, for their tests: registers, and the rules of Intel SDM
 * vol. 3A, 5.1.1 (which mode) and of Documentation/virt/kvm/x86/mmu.rst (which bit
 * of a role), one by one; and the configuration of the MMU, which tests borrow.
 */
#ifndef __KVM_X86_MMU_ROLE_MODEL_H
#define __KVM_X86_MMU_ROLE_MODEL_H

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/kvm_host.h>

/* What a mode follows from: bits 0 to 11 of a number. */
struct role_regs {
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

#define ROLE_NR_REGS	BIT(12)

struct role_regs role_regs_nr(unsigned int nr);

/* CPUs do not have all combinations. */
bool role_regs_possible(const struct role_regs *regs);

/* Bits that roles do not depend on are set, EFER.LME without LMA among them. */
void role_set_regs(struct kvm_vcpu *vcpu, const struct role_regs *regs);

/* What kvm_mmu::cpu_role is to be; the root's role begins with it. */
union kvm_mmu_page_role role_expected_base(struct kvm_vcpu *vcpu,
					   const struct role_regs *regs);
bool role_cpu_ok(const struct kvm_mmu *mmu, struct kvm_vcpu *vcpu,
		 const struct role_regs *regs);

/* The guest's tables are walked by their format. */
bool role_format_ok(const struct kvm_mmu *mmu, const struct role_regs *regs);

/* Permissions and reserved bits are the same. */
bool role_same_tables(const struct kvm_mmu *a, const struct kvm_mmu *b);

/* They are those of the mode, not of one before; made anew in @scratch. */
bool role_tables_ok(struct kvm_mmu *scratch, struct kvm_vcpu *vcpu,
		    const struct kvm_mmu *mmu);

/* The arguments of kvm_configure_mmu(). */
struct role_config {
	bool tdp;
	int forced_level;
	int max_level;
	int huge_level;
};

extern const struct role_config role_config_vmx;

void role_config_set(const struct role_config *config);

/* The levels of TDP for a vCPU with so many bits of address. */
u8 role_level_with_tdp(struct kvm_vcpu *vcpu, int maxphyaddr);

/*
 * A vCPU that never ran, and whose test has the configuration for itself: it is
 * skipped if there are VMs (test_format.h).
 */
struct kvm_vcpu *role_vcpu(struct kunit *test);

/* For role_tables_ok(). */
struct kvm_mmu *role_scratch(struct kunit *test);

#endif /* __KVM_X86_MMU_ROLE_MODEL_H */
