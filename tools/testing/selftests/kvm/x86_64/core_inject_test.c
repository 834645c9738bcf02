// SPDX-License-Identifier: GPL-2.0-only
/*
 * An interrupt that KVM injects is delivered once, and never where interrupts
 * are off.
 *
 * The guest sends interrupts to itself.  Their handler stays a while, with
 * interrupts off and without an exit, before it ends the interrupt: a second
 * delivery of the same injection would be seen as a handler within the handler,
 * or as one interrupt too many.  Meanwhile another thread executes locked
 * instructions on misaligned memory, within a cache line.  To a CPU that is
 * nothing; an emulator of several CPUs stops the others for each.
 */
#include <pthread.h>
#include <stdint.h>

#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define VECTOR		0xe0
#define NR_INTERRUPTS	20000
#define STAY		500	/* rounds of an empty loop */

static uint64_t taken, depth, deepest;

static bool stop;

static void stay(void)
{
	int i;

	/* PAUSE could make an exit. */
	for (i = 0; i < STAY; i++)
		barrier();
}

static void guest_irq(struct ex_regs *regs)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	stay();
	depth--;
	taken++;
	x2apic_write_reg(APIC_EOI, 0);
}

static void guest_main(void)
{
	uint64_t sent;

	x2apic_enable();
	asm volatile("sti");
	for (sent = 1; sent <= NR_INTERRUPTS; sent++) {
		x2apic_write_reg(APIC_ICR, APIC_DEST_SELF | APIC_INT_ASSERT | VECTOR);
		while (READ_ONCE(taken) < sent)
			barrier();
		GUEST_ASSERT_EQ(READ_ONCE(deepest), 1);
		GUEST_ASSERT_EQ(READ_ONCE(taken), sent);
	}
	GUEST_DONE();
}

static void *disturb(void *unused)
{
	static struct {
		char byte;
		uint32_t value;
	} __packed __aligned(64) misaligned;

	while (!READ_ONCE(stop))
		asm volatile("lock incl %0" : "+m" (misaligned.value));
	return NULL;
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	struct kvm_vm *vm;
	struct ucall uc;

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_install_exception_handler(vm, VECTOR, guest_irq);

	pthread_create(&thread, NULL, disturb, NULL);
	vcpu_run(vcpu);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);

	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_DONE);
	kvm_vm_free(vm);
	return 0;
}
