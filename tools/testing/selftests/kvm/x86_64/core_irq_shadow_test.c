// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction after STI comes before any interrupt, also if the guest is left
 * between the two.  "sti; hlt" waits for an interrupt: were it delivered before HLT,
 * the vCPU would halt for good.
 *
 * The interrupt finds the guest before a NOP, and its handler says where the guest has
 * got to.  Userspace sets the shadow of STI as KVM_GET_VCPU_EVENTS would report it.
 */
#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define VECTOR		0xe0
#define NOP_BYTES	1

/* No more than one of the NOPs is executed. */
static __attribute__((naked)) void guest_nops(void)
{
	asm volatile("nop; nop; ud2");
}

static void guest_irq(struct ex_regs *regs)
{
	x2apic_write_reg(APIC_EOI, 0);
	GUEST_SYNC(regs->rip);
}

static void guest_main(void)
{
	x2apic_enable();
	asm volatile("sti");
	GUEST_SYNC(0);
}

static uint64_t run_to_sync(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	return uc.args[1];
}

/* Go on at @start with an interrupt waiting, with or without the @shadow of STI. */
static uint64_t rip_of_interrupt(struct kvm_vcpu *vcpu, struct kvm_regs *start,
				 bool shadow)
{
	struct kvm_msi msi = {
		.address_lo = APIC_DEFAULT_GPA,
		.data = VECTOR,
	};
	struct kvm_vcpu_events events;

	vcpu_events_get(vcpu, &events);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = shadow ? KVM_X86_SHADOW_INT_STI : 0;
	vcpu_events_set(vcpu, &events);
	vcpu_regs_set(vcpu, start);

	TEST_ASSERT(__vm_ioctl(vcpu->vm, KVM_SIGNAL_MSI, &msi) > 0,
		    "the MSI is lost");
	return run_to_sync(vcpu);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_regs start;
	struct kvm_vm *vm;

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_install_exception_handler(vm, VECTOR, guest_irq);

	run_to_sync(vcpu);
	vcpu_regs_get(vcpu, &start);
	start.rip = (uint64_t)guest_nops;

	TEST_ASSERT_EQ(rip_of_interrupt(vcpu, &start, false), start.rip);
	TEST_ASSERT_EQ(rip_of_interrupt(vcpu, &start, true), start.rip + NOP_BYTES);
	kvm_vm_free(vm);
	return 0;
}
