// SPDX-License-Identifier: GPL-2.0-only
/*
 * A nested guest of a software CPU, see soft_nested.h.
 */
#include <asm/vmx.h>
#include <linux/kvm_host.h>

#include "kvm_cache_regs.h"
#include "mmu.h"
#include "soft_cpu.h"
#include "soft_nested.h"
#include "soft_vendor.h"

/* Of L1's tables, for the guest MMU */

static unsigned long nested_root(struct kvm_vcpu *vcpu)
{
	return to_soft_vcpu(vcpu)->nested_root;
}

static u64 nested_pdpte(struct kvm_vcpu *vcpu, int index)
{
	const gpa_t root = to_soft_vcpu(vcpu)->nested_root;
	u64 pdpte;

	return kvm_vcpu_read_guest(vcpu, root + index * sizeof(pdpte), &pdpte,
				   sizeof(pdpte)) ? 0 : pdpte;
}

static void exit_to_l1(struct kvm_vcpu *vcpu, struct x86_exception *fault,
		       bool from_hardware)
{
	to_soft_vcpu(vcpu)->nested_fault = *fault;
}

static u64 eptp_of(const struct soft_paging *paging)
{
	const struct soft_mode *mode = paging->mode;

	return soft_table_gpa(mode->root, mode->root_word) | VMX_EPTP_MT_WB |
	       (paging->ad ? VMX_EPTP_AD_ENABLE_BIT : 0) |
	       (mode->levels == PT64_ROOT_5LEVEL ? VMX_EPTP_PWL_5 :
						   VMX_EPTP_PWL_4);
}

static void init_ept(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	const struct soft_hardware *hw = soft_vendor_hardware();

	to_soft_vcpu(vcpu)->nested_root = eptp_of(paging);
	kvm_init_shadow_ept_mmu(vcpu, hw->exec_only, hw->huge_level, paging->ad,
				to_soft_vcpu(vcpu)->nested_root);
}

/* The registers are those that L1 has, for its own paging, at VMRUN. */
static void init_npt(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	const struct soft_mode *mode = paging->mode;
	const gpa_t root = soft_table_gpa(mode->root, mode->root_word);
	const u64 efer = (mode->efer & EFER_LME ? EFER_LME | EFER_LMA : 0) |
			 (paging->nx ? EFER_NX : 0);

	to_soft_vcpu(vcpu)->nested_root = root;
	kvm_init_shadow_npt_mmu(vcpu, soft_cr0(paging), soft_cr4(paging), efer,
				root);
	kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

void soft_nested_enter(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;

	enter_guest_mode(vcpu);
	vcpu->arch.mmu = mmu;
	if (paging->mode->ept)
		init_ept(vcpu, paging);
	else
		init_npt(vcpu, paging);
	mmu->get_guest_pgd = nested_root;
	mmu->get_pdptr = nested_pdpte;
	mmu->inject_page_fault = exit_to_l1;

	/* What translates for L2 is known: now its own mode, by its registers. */
	vcpu->arch.walk_mmu = &vcpu->arch.nested_mmu;
	kvm_init_mmu(vcpu);
}

/* To the root for the mode that the vCPU is in. */
static void use_root_mmu(struct kvm_vcpu *vcpu)
{
	kvm_init_mmu(vcpu);
	kvm_mmu_new_pgd(vcpu, kvm_read_cr3(vcpu));
	if (soft_vendor_hardware()->ept)
		return;
	kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

void soft_nested_enter_direct(struct kvm_vcpu *vcpu)
{
	enter_guest_mode(vcpu);
	to_soft_vcpu(vcpu)->nested_root = 0;
	use_root_mmu(vcpu);
}

void soft_nested_leave(struct kvm_vcpu *vcpu)
{
	if (!is_guest_mode(vcpu))
		return;
	leave_guest_mode(vcpu);
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.walk_mmu = &vcpu->arch.root_mmu;
	use_root_mmu(vcpu);
}

void soft_nested_flush(struct kvm_vcpu *vcpu)
{
	if (soft_vendor_hardware()->ept)
		kvm_mmu_free_roots(vcpu->kvm, &vcpu->arch.guest_mmu,
				   KVM_MMU_ROOTS_ALL);
}
