// SPDX-License-Identifier: GPL-2.0-only
/*
 * A signal ends KVM_RUN: with EINTR, KVM_EXIT_INTR as the reason, and one more in
 * the statistic signal_exits.
 *
 * What writes both is not in kvm.ko but in the kernel (kernel/entry/kvm.c).  So this
 * also says whether modules that were built elsewhere have struct kvm_vcpu's members
 * where that kernel knows them.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "vcpu_stat.h"

#define NR_EXITS	100
#define NO_REASON	0xdead

static uint64_t exits;

static void guest_main(void)
{
	for (;;)
		cpu_relax();
}

static void ignore_signal(int sig)
{
}

static void *vcpu_thread(void *data)
{
	struct kvm_vcpu *vcpu = data;

	while (READ_ONCE(exits) < NR_EXITS) {
		vcpu->run->exit_reason = NO_REASON;
		TEST_ASSERT(__vcpu_run(vcpu) == -1 && errno == EINTR,
			    "KVM_RUN did not end with EINTR, but errno %d", errno);
		TEST_ASSERT_EQ(vcpu->run->exit_reason, KVM_EXIT_INTR);
		WRITE_ONCE(exits, exits + 1);
	}
	return NULL;
}

/* A signal between two KVM_RUNs has no effect: there is always another. */
static void interrupt_vcpu(pthread_t thread)
{
	while (READ_ONCE(exits) < NR_EXITS) {
		pthread_kill(thread, SIGUSR1);
		sched_yield();
	}
}

int main(void)
{
	struct sigaction action = { .sa_handler = ignore_signal };
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_main);

	sigaction(SIGUSR1, &action, NULL);
	pthread_create(&thread, NULL, vcpu_thread, vcpu);
	interrupt_vcpu(thread);
	pthread_join(thread, NULL);

	TEST_ASSERT_EQ(vcpu_stat(vcpu, "signal_exits"), NR_EXITS);
	kvm_vm_free(vm);
	return 0;
}
