// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vendor of software CPUs, see soft_vendor.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "cpuid.h"
#include "mmu.h"
#include "mmu/nx_huge_page.h"
#include "mmu/tdp_region.h"
#include "mmu/spte_format.h"
#include "pmu.h"
#include "soft_cpu.h"
#include "soft_nested.h"
#include "soft_vendor.h"
#include "x86.h"

static const struct soft_hardware *hardware;

const struct soft_hardware *soft_vendor_hardware(void)
{
	return hardware;
}

/* Answers, for several ops of one shape each */

static int soft_ok(void)
{
	return 0;
}

static void soft_done(void)
{
}

static void soft_nothing(struct kvm_vcpu *vcpu)
{
}

static bool soft_no(struct kvm_vcpu *vcpu)
{
	return false;
}

/* The software CPU was asked for what it has not. */
static bool unexpected;

/* For all that a guest without instructions and interrupts never needs. */
static unsigned long soft_unexpected(void)
{
	unexpected = true;
	WARN(1, "KVM asked the software CPU for what it has not\n");
	return 0;
}

/* Registers: what is written is what is read */

static bool soft_is_valid_cr(struct kvm_vcpu *vcpu, unsigned long cr)
{
	return true;
}

/* Long mode is active as long as it is enabled and paging is on. */
static void soft_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	vcpu->arch.efer &= ~EFER_LMA;
	if ((cr0 & X86_CR0_PG) && (vcpu->arch.efer & EFER_LME))
		vcpu->arch.efer |= EFER_LMA;
	vcpu->arch.cr0 = cr0;
}

static void soft_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	vcpu->arch.cr4 = cr4;
}

static int soft_set_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	vcpu->arch.efer = efer;
	return 0;
}

static int soft_get_cpl(struct kvm_vcpu *vcpu)
{
	return to_soft_vcpu(vcpu)->user ? 3 : 0;
}

static unsigned long soft_get_rflags(struct kvm_vcpu *vcpu)
{
	return X86_EFLAGS_FIXED | (to_soft_vcpu(vcpu)->ac ? X86_EFLAGS_AC : 0);
}

/* What turns long mode on and off is a segment of 32 bits. */
static void soft_get_cs_db_l_bits(struct kvm_vcpu *vcpu, int *db, int *l)
{
	*db = 1;
	*l = 0;
}

/* RFLAGS and DR7 matter to instructions only. */
static void soft_set_register(struct kvm_vcpu *vcpu, unsigned long value)
{
}

static int soft_set_msr(struct kvm_vcpu *vcpu, struct msr_data *msr)
{
	return 0;
}

static bool soft_has_emulated_msr(struct kvm *kvm, u32 index)
{
	return false;
}

static int soft_get_feature_msr(u32 msr, u64 *data)
{
	return 1;
}

static void soft_vcpu_reset(struct kvm_vcpu *vcpu, bool init_event)
{
}

static void soft_vcpu_load(struct kvm_vcpu *vcpu, int cpu)
{
}

static u64 soft_l2_tsc(struct kvm_vcpu *vcpu)
{
	return 0;
}

static int soft_vm_init(struct kvm *kvm)
{
	return 0;
}

static void soft_no_performance_counters(struct kvm_vcpu *vcpu)
{
}

/* Instructions: there are none, so the MMU's wish is noted for soft_vcpu_run.c. */
static int soft_check_emulate(struct kvm_vcpu *vcpu, int emul_type, void *insn,
			      int insn_len)
{
	to_soft_vcpu(vcpu)->emulate = true;
	/* The delivery of an event is none: see what KVM does about it. */
	return kvm_event_needs_reinjection(vcpu) ? X86EMUL_CONTINUE :
						   X86EMUL_RETRY_INSTR;
}

static void soft_get_idt(struct kvm_vcpu *vcpu, struct desc_ptr *idt)
{
	*idt = to_soft_vcpu(vcpu)->idt;
}

static void soft_get_exit_info(struct kvm_vcpu *vcpu, u32 *reason, u64 *info1,
			       u64 *info2, u32 *intr_info, u32 *error_code)
{
	*reason = *intr_info = *error_code = 0;
	*info1 = *info2 = 0;
}

/* The log of L1's own PML, which it does not use. */
static int soft_write_log_dirty(struct kvm_vcpu *vcpu, gpa_t l2_gpa)
{
	return 0;
}

static struct kvm_x86_nested_ops soft_nested_ops = {
	.leave_nested = soft_nested_leave,
	.write_log_dirty = soft_write_log_dirty,
};

static struct kvm_pmu_ops soft_pmu_ops = {
	.init = soft_no_performance_counters,
	.refresh = soft_no_performance_counters,
	.rdpmc_ecx_to_pmc = (void *)soft_unexpected,
	.msr_idx_to_pmc = (void *)soft_unexpected,
	.is_valid_msr = (void *)soft_unexpected,
	.get_msr = (void *)soft_unexpected,
	.set_msr = (void *)soft_unexpected,
};

static struct kvm_x86_ops soft_ops = {
	.name = "kvm-software",
	.vm_size = sizeof(struct kvm),
	.nested_ops = &soft_nested_ops,

	.check_processor_compatibility = soft_ok,
	.enable_virtualization_cpu = soft_ok,
	.disable_virtualization_cpu = soft_done,
	.hardware_unsetup = soft_done,
	.vm_init = soft_vm_init,
	.vcpu_create = soft_cpu_create,
	.vcpu_free = soft_nothing,
	.vcpu_reset = soft_vcpu_reset,
	.vcpu_load = soft_vcpu_load,
	.vcpu_put = soft_nothing,
	.prepare_switch_to_guest = soft_nothing,
	.update_exception_bitmap = soft_nothing,
	.vcpu_after_set_cpuid = soft_nothing,
	.refresh_apicv_exec_ctrl = soft_nothing,
	.write_tsc_offset = soft_nothing,
	.write_tsc_multiplier = soft_nothing,
	.get_l2_tsc_offset = soft_l2_tsc,
	.get_l2_tsc_multiplier = soft_l2_tsc,

	.has_emulated_msr = soft_has_emulated_msr,
	.get_feature_msr = soft_get_feature_msr,
	.is_valid_cr0 = soft_is_valid_cr,
	.is_valid_cr4 = soft_is_valid_cr,
	.set_cr0 = soft_set_cr0,
	.set_cr4 = soft_set_cr4,
	.set_efer = soft_set_efer,
	.get_cpl = soft_get_cpl,
	.get_cs_db_l_bits = soft_get_cs_db_l_bits,
	.get_rflags = soft_get_rflags,
	.set_rflags = soft_set_register,
	.set_dr7 = soft_set_register,
	.set_msr = soft_set_msr,
	.get_if_flag = soft_no,

	.flush_tlb_all = soft_cpu_flush,
	.flush_tlb_current = soft_cpu_flush_current,
	.flush_tlb_guest = soft_cpu_flush,
	.flush_tlb_gva = soft_cpu_flush_gva,
	.load_mmu_pgd = soft_cpu_load_root,
	.update_cpu_dirty_logging = soft_cpu_update_pml,
	.check_emulate_instruction = soft_check_emulate,

	/* KVM warns of an op that is missing here. */
	.get_msr = (void *)soft_unexpected,
	.get_segment_base = (void *)soft_unexpected,
	.get_segment = (void *)soft_unexpected,
	.set_segment = (void *)soft_unexpected,
	.get_idt = soft_get_idt,
	.set_idt = (void *)soft_unexpected,
	.get_gdt = (void *)soft_unexpected,
	.set_gdt = (void *)soft_unexpected,
	.sync_dirty_debug_regs = (void *)soft_unexpected,
	.cache_reg = (void *)soft_unexpected,
	.vcpu_pre_run = (void *)soft_unexpected,
	.vcpu_run = (void *)soft_unexpected,
	.handle_exit = (void *)soft_unexpected,
	.skip_emulated_instruction = (void *)soft_unexpected,
	.set_interrupt_shadow = (void *)soft_unexpected,
	.get_interrupt_shadow = (void *)soft_unexpected,
	.patch_hypercall = (void *)soft_unexpected,
	.inject_irq = (void *)soft_unexpected,
	.inject_nmi = (void *)soft_unexpected,
	.inject_exception = (void *)soft_unexpected,
	.cancel_injection = (void *)soft_unexpected,
	.interrupt_allowed = (void *)soft_unexpected,
	.nmi_allowed = (void *)soft_unexpected,
	.get_nmi_mask = (void *)soft_unexpected,
	.set_nmi_mask = (void *)soft_unexpected,
	.enable_nmi_window = (void *)soft_unexpected,
	.enable_irq_window = (void *)soft_unexpected,
	.deliver_interrupt = (void *)soft_unexpected,
	.has_wbinvd_exit = (void *)soft_unexpected,
	.get_exit_info = soft_get_exit_info,
	.check_intercept = (void *)soft_unexpected,
	.handle_exit_irqoff = (void *)soft_unexpected,
	.setup_mce = (void *)soft_unexpected,
	.apic_init_signal_blocked = (void *)soft_unexpected,
	.msr_filter_changed = (void *)soft_unexpected,
	.complete_emulated_msr = (void *)soft_unexpected,
	.vcpu_deliver_sipi_vector = (void *)soft_unexpected,
#ifdef CONFIG_KVM_SMM
	.smi_allowed = (void *)soft_unexpected,
	.enter_smm = (void *)soft_unexpected,
	.leave_smm = (void *)soft_unexpected,
	.enable_smi_window = (void *)soft_unexpected,
#endif
};

static int soft_hardware_setup(void)
{
	kvm_enable_efer_bits(EFER_NX);
	enable_apicv = false;
	/* Or KVM wonders that the host has RDTSCP. */
	kvm_add_user_return_msr(MSR_TSC_AUX);

	soft_ops.cpu_dirty_log_size = hardware->pml ? SOFT_PML_ENTRIES : 0;
#if IS_ENABLED(CONFIG_HYPERV)
	soft_ops.flush_remote_tlbs = hardware->hypercall ?
				     soft_cpu_flush_by_hypercall : NULL;
#endif
	if (hardware->tdp && hardware->ept)
		kvm_mmu_set_ept_masks(hardware->ad, hardware->exec_only);
	/* NPT has as many levels as the host, EPT as many as KVM wants. */
	kvm_configure_mmu(hardware->tdp, hardware->ept ? 0 : hardware->levels,
			  hardware->levels, hardware->huge_level);
	kvm_set_cpu_caps();
	return 0;
}

static struct kvm_x86_init_ops soft_init_ops = {
	.hardware_setup = soft_hardware_setup,
	.runtime_ops = &soft_ops,
	.pmu_ops = &soft_pmu_ops,
};

/**
 * struct saved - parameters that the vendor changes
 * @test: for which it does
 * @pmu: enable_pmu
 * @apicv: enable_apicv
 * @nx_huge_pages: the MMU's
 * @regions: dirty_log_regions
 */
struct saved {
	struct kunit *test;
	bool pmu;
	bool apicv;
	bool nx_huge_pages;
	bool regions;
};

static void soft_vendor_restore(void *data)
{
	const struct saved *saved = data;

	KUNIT_EXPECT_FALSE(saved->test, unexpected);
	unexpected = false;
	enable_pmu = saved->pmu;
	enable_apicv = saved->apicv;
	nx_huge_page_set(saved->nx_huge_pages);
	dirty_log_regions = saved->regions;
	hardware = NULL;
}

static void soft_vendor_unload(void *unused)
{
	kvm_exit();
	kvm_x86_vendor_exit();
}

void soft_vendor_load(struct kunit *test, const struct soft_hardware *hw)
{
	struct saved *saved = kunit_kzalloc(test, sizeof(*saved), GFP_KERNEL);
	int r;

	KUNIT_ASSERT_NOT_NULL(test, saved);
	if (kvm_x86_ops.enable_virtualization_cpu)
		kunit_skip(test, "%s is loaded", kvm_x86_ops.name);

	*saved = (struct saved) {
		.test = test,
		.pmu = enable_pmu,
		.apicv = enable_apicv,
		.nx_huge_pages = nx_huge_pages,
		.regions = dirty_log_regions,
	};
	r = kunit_add_action_or_reset(test, soft_vendor_restore, saved);
	KUNIT_ASSERT_EQ(test, r, 0);

	hardware = hw;
	enable_pmu = false;
	dirty_log_regions = hw->regions;
	KUNIT_ASSERT_EQ(test, kvm_x86_vendor_init(&soft_init_ops), 0);

	r = kvm_init(sizeof(struct soft_vcpu), __alignof__(struct soft_vcpu),
		     THIS_MODULE);
	if (r)
		kvm_x86_vendor_exit();
	KUNIT_ASSERT_EQ(test, r, 0);
	r = kunit_add_action_or_reset(test, soft_vendor_unload, NULL);
	KUNIT_ASSERT_EQ(test, r, 0);
}
