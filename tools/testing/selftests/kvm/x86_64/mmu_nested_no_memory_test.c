// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a nested guest needs is where no memory is: its IDT, stack or root, which
 * are L1's memory as well; the tables that L1 made for it; and the VMCB, when L2
 * exits to L1.
 *
 * L2 executes UD2.  KVM_RUN must not go on for ever, and whatever L2 does to itself
 * is L1's to hear of: an exit for a shutdown, or for a fault in L1's tables.  Without
 * a VMCB to tell it, L1 shuts down; it goes on if userspace has the vCPU run again.
 *
 * Breaks of KVM that make this test fail:
 *  - emulate the instruction that an event of L2 interrupted;
 *  - end KVM_RUN with an error for what L2 alone has done;
 *  - inject a #GP into L2 for a VMCB that is not there;
 *  - shut down without L1's registers and root.
 */
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"
#include "test_util.h"
#include "vmx.h"

#define LIMIT_S		5
#define HOLE_GPA	0x80000000ull
#define HOLE_GVA	0x80000000ull
#define TABLE_GVA	0x90000000ull
#define VMCB_GPA	0xa0000000ull
#define VMCB_GVA	0xa0000000ull
#define VMCB_SLOT	10
#define PORT		0x80

enum missing { L2_IDT, L2_IDT_TABLE, L2_STACK, L2_ROOT, L1_TABLES, VMCB, NR_MISSING };

static const char * const names[] = {
	"L2's IDT", "the table of L2's IDT", "L2's stack", "L2's root", "L1's tables",
	"the VMCB",
};

static enum missing missing;
static uint64_t l2_stack[64];

/* The guest */

static void l2_code(void)
{
	asm volatile("outb %%al, %0; ud2" : : "i"(PORT));
}

static void l1_exits(uint64_t exit, uint64_t shutdown, uint64_t fault)
{
	GUEST_ASSERT_EQ(exit, missing == L1_TABLES ? fault : shutdown);
	GUEST_DONE();
}

static void l1_svm(struct svm_test_data *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	generic_svm_setup(svm, l2_code, &l2_stack[ARRAY_SIZE(l2_stack) - 1]);
	vmcb->control.intercept |= BIT_ULL(INTERCEPT_SHUTDOWN);
	if (missing == L2_IDT)
		vmcb->save.idtr.base = HOLE_GVA;
	if (missing == L2_IDT_TABLE)
		vmcb->save.idtr.base = TABLE_GVA;
	if (missing == L2_STACK)
		vmcb->save.rsp = HOLE_GVA + 0x800;
	if (missing == L2_ROOT)
		vmcb->save.cr3 = HOLE_GPA;
	if (missing == L1_TABLES) {
		vmcb->control.nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
		vmcb->control.nested_cr3 = HOLE_GPA;
	}
	if (missing == VMCB)
		vmcb->control.intercept_exceptions = BIT(UD_VECTOR) | BIT(GP_VECTOR);
	run_guest(vmcb, svm->vmcb_gpa);
	if (missing == VMCB)
		GUEST_DONE();
	l1_exits(vmcb->control.exit_code, SVM_EXIT_SHUTDOWN, SVM_EXIT_NPF);
}

static void l1_vmx(struct vmx_pages *vmx)
{
	GUEST_ASSERT(prepare_for_vmx_operation(vmx));
	GUEST_ASSERT(load_vmcs(vmx));
	if (missing == L1_TABLES)
		vmx->eptp_gpa = HOLE_GPA;
	prepare_vmcs(vmx, l2_code, &l2_stack[ARRAY_SIZE(l2_stack) - 1]);
	/* L2 keeps its page faults: with a mask and a match of 0, no code differs. */
	GUEST_ASSERT(!vmwrite(PAGE_FAULT_ERROR_CODE_MATCH, 0));
	if (missing == L2_IDT)
		GUEST_ASSERT(!vmwrite(GUEST_IDTR_BASE, HOLE_GVA));
	if (missing == L2_IDT_TABLE)
		GUEST_ASSERT(!vmwrite(GUEST_IDTR_BASE, TABLE_GVA));
	if (missing == L2_STACK)
		GUEST_ASSERT(!vmwrite(GUEST_RSP, HOLE_GVA + 0x800));
	if (missing == L2_ROOT)
		GUEST_ASSERT(!vmwrite(GUEST_CR3, HOLE_GPA));
	GUEST_ASSERT(!vmlaunch());
	l1_exits(vmreadz(VM_EXIT_REASON), EXIT_REASON_TRIPLE_FAULT,
		 EXIT_REASON_EPT_VIOLATION);
}

static void l1_code(void *data)
{
	if (this_cpu_has(X86_FEATURE_SVM))
		l1_svm(data);
	else
		l1_vmx(data);
}

/* The host */

static struct kvm_run *current_run;

static void on_alarm(int sig)
{
	WRITE_ONCE(current_run->immediate_exit, 1);
}

static bool can_miss(void)
{
	const bool svm = kvm_cpu_has(X86_FEATURE_SVM);

	if (missing == L1_TABLES)
		return svm ? kvm_cpu_has(X86_FEATURE_NPT) : kvm_cpu_has_ept();
	return missing != VMCB || svm;
}

/* In the guest's address space: a page, and a table, that do not exist. */
static void map_holes(struct kvm_vm *vm)
{
	int level = PG_LEVEL_2M;
	uint64_t *pde;

	virt_map(vm, HOLE_GVA, HOLE_GPA, 1);
	virt_map(vm, TABLE_GVA, HOLE_GPA, 1);
	pde = __vm_get_page_table_entry(vm, TABLE_GVA, &level);
	*pde = HOLE_GPA | (*pde & 0xfff);
}

static void add_vmcb(struct kvm_vm *vm)
{
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, VMCB_GPA, VMCB_SLOT, 1, 0);
}

static vm_vaddr_t alloc_svm(struct kvm_vm *vm)
{
	struct svm_test_data *svm;
	vm_vaddr_t gva;

	vcpu_alloc_svm(vm, &gva);
	add_vmcb(vm);
	virt_map(vm, VMCB_GVA, VMCB_GPA, 1);
	svm = addr_gva2hva(vm, gva);
	svm->vmcb = (void *)VMCB_GVA;
	svm->vmcb_gpa = VMCB_GPA;
	return gva;
}

static void run_limited(struct kvm_vcpu *vcpu)
{
	struct itimerval limit = { .it_value.tv_sec = LIMIT_S, .it_interval.tv_sec = 1 };
	int r;

	current_run = vcpu->run;
	setitimer(ITIMER_REAL, &limit, NULL);
	r = __vcpu_run(vcpu);
	memset(&limit, 0, sizeof(limit));
	setitimer(ITIMER_REAL, &limit, NULL);
	TEST_ASSERT(!r, "KVM_RUN spins without %s", names[missing]);
}

/* L2 is on its way when its VMCB goes. */
static void run_case(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	run_limited(vcpu);
	if (vcpu->run->exit_reason == KVM_EXIT_IO && vcpu->run->io.port == PORT) {
		if (missing == VMCB)
			vm_mem_region_delete(vm, VMCB_SLOT);
		run_limited(vcpu);
	}
	if (missing == VMCB) {
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_SHUTDOWN);
		add_vmcb(vm);
		run_limited(vcpu);
	}
	TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_DONE);
}

static void try_case(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	vm_vaddr_t gva;

	pr_info("Without %s\n", names[missing]);
	vm = vm_create_with_one_vcpu(&vcpu, l1_code);
	map_holes(vm);
	if (kvm_cpu_has(X86_FEATURE_SVM))
		gva = alloc_svm(vm);
	else
		vcpu_alloc_vmx(vm, &gva);
	vcpu_args_set(vcpu, 1, gva);
	sync_global_to_guest(vm, missing);
	run_case(vm, vcpu);
	kvm_vm_free(vm);
}

int main(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int i;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SVM) || kvm_cpu_has(X86_FEATURE_VMX));
	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < NR_MISSING; i++) {
		missing = i;
		if (can_miss())
			try_case();
	}
	return 0;
}
