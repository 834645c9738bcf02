// SPDX-License-Identifier: GPL-2.0-only
/*
 * The instruction after STI comes before any interrupt, also if the guest is left
 * between the two.  "sti; hlt" waits for an interrupt: were it delivered before HLT,
 * the vCPU would halt for good.
 *
 * The interrupt finds the guest before a NOP, and its handler says where it has got to.
 * Userspace sets the shadow of STI as KVM_GET_VCPU_EVENTS would have reported it.
 */
#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define VECTOR		0xe0

/* In guest_main(): the NOP, and what follows it */
extern const char guest_nop[], guest_after_nop[];

static uint64_t interrupted_rip;

static void guest_irq(struct ex_regs *regs)
{
	interrupted_rip = regs->rip;
	x2apic_write_reg(APIC_EOI, 0);
}

static void guest_main(void)
{
	x2apic_enable();
	asm volatile("sti");
	for (;;) {
		GUEST_SYNC(interrupted_rip);
		asm volatile("guest_nop: nop\n"
			     "guest_after_nop: nop" : : : "memory");
	}
}

static uint64_t run_to_sync(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	return uc.args[1];
}

/* Go on at the NOP with an interrupt waiting, with or without the @shadow of STI. */
static uint64_t rip_of_interrupt(struct kvm_vcpu *vcpu, bool shadow)
{
	struct kvm_msi msi = {
		.address_lo = APIC_DEFAULT_GPA,
		.data = VECTOR,
	};
	struct kvm_vcpu_events events;
	struct kvm_regs regs;

	vcpu_events_get(vcpu, &events);
	events.flags = KVM_VCPUEVENT_VALID_SHADOW;
	events.interrupt.shadow = shadow ? KVM_X86_SHADOW_INT_STI : 0;
	vcpu_events_set(vcpu, &events);

	vcpu_regs_get(vcpu, &regs);
	regs.rip = (uint64_t)guest_nop;
	vcpu_regs_set(vcpu, &regs);

	TEST_ASSERT(__vm_ioctl(vcpu->vm, KVM_SIGNAL_MSI, &msi) > 0,
		    "the MSI is lost");
	return run_to_sync(vcpu);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_install_exception_handler(vm, VECTOR, guest_irq);

	run_to_sync(vcpu);
	TEST_ASSERT_EQ(rip_of_interrupt(vcpu, false), (uint64_t)guest_nop);
	TEST_ASSERT_EQ(rip_of_interrupt(vcpu, true), (uint64_t)guest_after_nop);
	kvm_vm_free(vm);
	return 0;
}
