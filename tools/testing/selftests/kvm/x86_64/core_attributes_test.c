// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_SET_MEMORY_ATTRIBUTES of all guest frames that there can be.  To take
 * attributes away costs what was given; to give them takes memory until there is
 * none, but who does so can be killed.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define ALL_BYTES	BIT(60)
#define GPA		BIT(40)
#define PAGE_BYTES	4096ull
#define NR_PAGES	1000
#define LIMIT_S		60
#define HEAD_START_US	200000
#define POLL_US		10000

static void set_attributes(struct kvm_vm *vm, uint64_t gpa, uint64_t bytes,
			   bool private)
{
	struct kvm_memory_attributes attributes = {
		.address = gpa,
		.size = bytes,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	vm_ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes);
}

static void test_clear_all(void)
{
	struct kvm_vm *vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);

	set_attributes(vm, GPA, NR_PAGES * PAGE_BYTES, true);
	set_attributes(vm, 0, ALL_BYTES, false);
	set_attributes(vm, 0, ALL_BYTES, false);
	kvm_vm_free(vm);
}

static void set_all(int ready)
{
	struct kvm_vm *vm = vm_create_barebones_type(KVM_X86_SW_PROTECTED_VM);

	write(ready, "", 1);
	set_attributes(vm, 0, ALL_BYTES, true);
}

/* Did the child end within the time? */
static bool ended(pid_t child)
{
	int tries = LIMIT_S / 2 * (1000000 / POLL_US), status;

	while (tries--) {
		if (waitpid(child, &status, WNOHANG) == child)
			return true;
		usleep(POLL_US);
	}
	return false;
}

static void test_kill(void)
{
	int ready[2];
	pid_t child;
	char byte;

	TEST_ASSERT(!pipe(ready), "pipe: errno %d", errno);
	child = fork();
	if (!child) {
		set_all(ready[1]);
		_exit(0);
	}
	TEST_ASSERT_EQ(read(ready[0], &byte, 1), 1);
	usleep(HEAD_START_US);
	kill(child, SIGKILL);
	TEST_ASSERT(ended(child), "a task that sets attributes cannot be killed");
}

int main(void)
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM));

	alarm(LIMIT_S);
	test_clear_all();
	test_kill();
	return 0;
}
