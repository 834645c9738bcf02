// SPDX-License-Identifier: GPL-2.0-only
/*
 * L2 ends without an exit to L1: userspace sets a state without a nested guest, or L2
 * clears EFER.SVME.  The vCPU goes on outside of guest mode, by its own tables.
 *
 * A break of KVM that makes this test fail: enter the guest with the root that the vCPU
 * had before VMRUN, or with npt=0, with the CR3 of L1, which is no address of the host.
 */
#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"
#include "test_util.h"
#include "vmx.h"

enum ending { BY_USERSPACE, BY_EFER, NR_ENDINGS };

static const char * const names[] = { "userspace", "EFER.SVME = 0" };

static enum ending ending;
static uint64_t l2_stack[64];

/* The guest */

static void l2_code(void)
{
	GUEST_SYNC(ending);
	if (ending == BY_EFER)
		wrmsr(MSR_EFER, rdmsr(MSR_EFER) & ~EFER_SVME);
	GUEST_DONE();
}

/* On Intel, the vCPU goes on where L1 would after an exit. */
static void l1_code(void *data)
{
	void *stack = &l2_stack[ARRAY_SIZE(l2_stack) - 1];
	struct svm_test_data *svm = data;

	if (this_cpu_has(X86_FEATURE_SVM)) {
		generic_svm_setup(svm, l2_code, stack);
		run_guest(svm->vmcb, svm->vmcb_gpa);
	} else {
		GUEST_ASSERT(prepare_for_vmx_operation(data));
		GUEST_ASSERT(load_vmcs(data));
		prepare_vmcs(data, l2_code, stack);
		vmlaunch();
	}
	GUEST_DONE();
}

/* The host */

/* Completes the I/O of the last exit, too. */
static bool is_in_l2(struct kvm_vcpu *vcpu)
{
	struct kvm_x86_state *state = vcpu_save_state(vcpu);
	const bool in_l2 = state->nested.flags & KVM_STATE_NESTED_GUEST_MODE;

	kvm_x86_state_cleanup(state);
	return in_l2;
}

static void leave_by_userspace(struct kvm_vcpu *vcpu)
{
	struct kvm_nested_state state = { .size = sizeof(state) };

	if (kvm_cpu_has(X86_FEATURE_SVM)) {
		state.format = KVM_STATE_NESTED_FORMAT_SVM;
		state.flags = KVM_STATE_NESTED_GIF_SET;
	} else {
		state.hdr.vmx.vmxon_pa = -1ull;
		state.hdr.vmx.vmcs12_pa = -1ull;
	}
	vcpu_nested_state_set(vcpu, &state);
}

static void run_to(struct kvm_vcpu *vcpu, uint64_t cmd)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, cmd);
}

static void try_case(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	vm_vaddr_t gva;

	pr_info("L2 ends by %s\n", names[ending]);
	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	if (kvm_cpu_has(X86_FEATURE_SVM))
		vcpu_alloc_svm(vm, &gva);
	else
		vcpu_alloc_vmx(vm, &gva);
	vcpu_args_set(vcpu, 1, gva);
	sync_global_to_guest(vm, ending);

	run_to(vcpu, UCALL_SYNC);
	TEST_ASSERT(is_in_l2(vcpu), "No L2 runs");
	if (ending == BY_USERSPACE)
		leave_by_userspace(vcpu);
	run_to(vcpu, UCALL_DONE);
	TEST_ASSERT(!is_in_l2(vcpu), "L2 runs on");
	kvm_vm_free(vm);
}

int main(void)
{
	const bool svm = kvm_cpu_has(X86_FEATURE_SVM);

	TEST_REQUIRE(svm || kvm_cpu_has(X86_FEATURE_VMX));
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_NESTED_STATE));
	for (ending = 0; ending < NR_ENDINGS; ending++) {
		if (svm || ending != BY_EFER)
			try_case();
	}
	return 0;
}
