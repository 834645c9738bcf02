// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU that halts polls for a while before it sleeps, if that pays: the time
 * grows up to the limit of KVM_CAP_HALT_POLL while wakeups come soon, shrinks
 * when they do not, and is 0 where the VMM or the guest forbids polling.  Each
 * halt ends by the interrupt that the VMM sends, whether polled or slept.
 *
 * The test never looks at a clock: it goes on until KVM has learned.
 */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <asm/kvm_para.h>

#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "vcpu_stat.h"

#define VECTOR		0xe0
#define LONGEST_NS	1000000000u
#define SHORT_NS	20000u
#define LATE_US		2000
#define NR_POLLS	5	/* that shall succeed */
#define NR_QUIET	10	/* halts in a row without a poll */
#define MAX_ROUNDS	2000

/* What guest and VMM share */
static struct {
	uint64_t halts, wakeups;
	bool no_poll, stop;
} shared, *host;

static struct kvm_vm *vm;
static struct kvm_vcpu *vcpu;

/* Of the vCPU */
static struct stat_reader attempted, successful, success_ns, fail_ns;

static void guest_irq(struct ex_regs *regs)
{
	shared.wakeups++;
	x2apic_write_reg(APIC_EOI, 0);
}

/* Interrupts come in HLT only, so that each ends one halt. */
static void guest_main(void)
{
	x2apic_enable();
	while (!READ_ONCE(shared.stop)) {
		wrmsr(MSR_KVM_POLL_CONTROL, !READ_ONCE(shared.no_poll));
		WRITE_ONCE(shared.halts, shared.halts + 1);
		asm volatile("sti; hlt; cli" : : : "memory");
	}
	GUEST_DONE();
}

static void *vcpu_thread(void *unused)
{
	vcpu_run(vcpu);
	return NULL;
}

static void wait_for(const uint64_t *counter, uint64_t value)
{
	while (READ_ONCE(*counter) != value)
		sched_yield();
}

/* One halt and its end, @delay_us after it has begun. */
static void one_halt(useconds_t delay_us)
{
	struct kvm_msi msi = {
		.address_lo = APIC_DEFAULT_GPA,
		.data = VECTOR,
	};
	const uint64_t halt = host->wakeups + 1;

	wait_for(&host->halts, halt);
	if (delay_us)
		usleep(delay_us);
	TEST_ASSERT(__vm_ioctl(vm, KVM_SIGNAL_MSI, &msi) > 0, "the MSI is lost");
	wait_for(&host->wakeups, halt);
}

static void set_longest(uint64_t ns)
{
	vm_enable_cap(vm, KVM_CAP_HALT_POLL, ns);
}

static uint64_t polls(void)
{
	return read_stat(&attempted);
}

static uint64_t good_polls(void)
{
	return read_stat(&successful);
}

/* A poll grows until the wakeup comes within it. */
static void test_grows(void)
{
	const uint64_t before = good_polls();
	int i;

	set_longest(LONGEST_NS);
	for (i = 0; i < MAX_ROUNDS && good_polls() < before + NR_POLLS; i++)
		one_halt(0);
	TEST_ASSERT(good_polls() >= before + NR_POLLS,
		    "%lu polls of %lu succeed after %d halts", good_polls(),
		    polls(), i);
	TEST_ASSERT(polls() >= good_polls(), "more polls succeed than there are");
	TEST_ASSERT(read_stat(&success_ns), "they took no time");
}

/* Wakeups come later than a poll may last: it shrinks, and ends. */
static void test_shrinks(void)
{
	int i, quiet = 0;
	uint64_t before;

	set_longest(SHORT_NS);
	for (i = 0; i < MAX_ROUNDS && quiet < NR_QUIET; i++) {
		before = polls();
		one_halt(LATE_US);
		quiet = polls() == before ? quiet + 1 : 0;
	}
	TEST_ASSERT(quiet == NR_QUIET, "KVM polls in vain, for ever");
	TEST_ASSERT(read_stat(&fail_ns), "no poll failed");
}

static void test_forbidden(void)
{
	uint64_t before;
	int i;

	/* The first of them may have begun before. */
	one_halt(0);
	one_halt(0);
	before = polls();
	for (i = 0; i < NR_QUIET; i++)
		one_halt(0);
	TEST_ASSERT_EQ(polls(), before);
}

static void test_forbidden_by_vmm(void)
{
	test_grows();
	set_longest(0);
	test_forbidden();
}

static void test_forbidden_by_guest(void)
{
	test_grows();
	WRITE_ONCE(host->no_poll, true);
	test_forbidden();
	WRITE_ONCE(host->no_poll, false);
}

static void test_errors(void)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_HALT_POLL, .flags = 1 };

	TEST_ASSERT(__vm_ioctl(vm, KVM_ENABLE_CAP, &cap) && errno == EINVAL,
		    "KVM_CAP_HALT_POLL has no flags");
	cap.flags = 0;
	cap.args[0] = 1ull << 32;
	TEST_ASSERT(__vm_ioctl(vm, KVM_ENABLE_CAP, &cap) && errno == EINVAL,
		    "KVM_CAP_HALT_POLL is 32 bits wide");
}

int main(int argc, char *argv[])
{
	pthread_t thread;

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_HALT_POLL));
	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_install_exception_handler(vm, VECTOR, guest_irq);
	host = (void *)addr_gva2hva(vm, (vm_vaddr_t)&shared);

	open_stat(&attempted, vcpu, "halt_attempted_poll");
	open_stat(&successful, vcpu, "halt_successful_poll");
	open_stat(&success_ns, vcpu, "halt_poll_success_ns");
	open_stat(&fail_ns, vcpu, "halt_poll_fail_ns");

	test_errors();
	pthread_create(&thread, NULL, vcpu_thread, NULL);
	test_grows();
	test_shrinks();
	test_forbidden_by_vmm();
	test_forbidden_by_guest();

	/* The guest looks at it after its halt. */
	wait_for(&host->halts, host->wakeups + 1);
	WRITE_ONCE(host->stop, true);
	one_halt(0);
	pthread_join(thread, NULL);
	TEST_ASSERT_EQ(get_ucall(vcpu, NULL), UCALL_DONE);
	close_stat(&attempted);
	close_stat(&successful);
	close_stat(&success_ns);
	close_stat(&fail_ns);
	kvm_vm_free(vm);
	return 0;
}
