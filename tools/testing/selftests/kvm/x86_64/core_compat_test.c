// SPDX-License-Identifier: GPL-2.0-only
/*
 * A 32-bit task means the same by an ioctl as a 64-bit one, also where their
 * structures differ: by a pointer that is half as long (dirty logs), by how the
 * set of signals is laid out (KVM_SET_SIGNAL_MASK).
 *
 * The test is a 64-bit program that enters the kernel by INT 0x80, which makes
 * it a 32-bit task for the time of a call.  Behind each short pointer there is
 * garbage, which would be the other half of a long one.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define I386_NR_IOCTL	54
#define SLOT		10
#define GPA		0xc0000000ull
#define NR_PAGES	64ull
#define GARBAGE		0xdeadbeefu

struct compat_dirty_log {
	uint32_t slot, padding;
	uint32_t bitmap, garbage;
};

struct compat_clear_dirty_log {
	uint32_t slot, num_pages;
	uint64_t first_page;
	uint32_t bitmap, garbage;
};

struct signal_mask {
	uint32_t len;
	uint8_t set[8];
} __packed;

/* What the kernel is handed in the first 4 GiB */
static struct low {
	struct compat_dirty_log log;
	struct compat_clear_dirty_log clear;
	struct signal_mask mask;
	uint64_t bitmap;
	uint8_t state[2][1024];
} *low;

typedef int (*ioctl_fn)(int fd, unsigned long request, void *arg);

static int native_ioctl(int fd, unsigned long request, void *arg)
{
	return ioctl(fd, request, arg) < 0 ? -errno : 0;
}

static int compat_ioctl(int fd, unsigned long request, void *arg)
{
	long r;

	asm volatile("int $0x80"
		     : "=a"(r)
		     : "a"(I386_NR_IOCTL), "b"((long)fd), "c"(request), "d"(arg)
		     : "memory", "r8", "r9", "r10", "r11");
	return r < 0 ? (int)r : 0;
}

static const ioctl_fn both[] = { native_ioctl, compat_ioctl };

/* Writes pages 1 and 3, and says so, for ever. */
static void guest_main(void)
{
	for (;;) {
		WRITE_ONCE(*(uint64_t *)(GPA + 1 * 4096), 1);
		WRITE_ONCE(*(uint64_t *)(GPA + 3 * 4096), 1);
		GUEST_SYNC(0);
	}
}

/* Logs */

static void expect_log(struct kvm_vm *vm, uint64_t pages)
{
	low->log = (struct compat_dirty_log) {
		.slot = SLOT,
		.bitmap = (uintptr_t)&low->bitmap,
		.garbage = GARBAGE,
	};
	low->bitmap = ~0ull;
	TEST_ASSERT_EQ(compat_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &low->log), 0);
	TEST_ASSERT_EQ(low->bitmap, pages);
}

static int clear_log(struct kvm_vm *vm, uint32_t slot, uint64_t pages)
{
	low->clear = (struct compat_clear_dirty_log) {
		.slot = slot,
		.num_pages = NR_PAGES,
		.bitmap = (uintptr_t)&low->bitmap,
		.garbage = GARBAGE,
	};
	low->bitmap = pages;
	return compat_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &low->clear);
}

static void test_logs(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	vcpu_run(vcpu);
	expect_log(vm, BIT(1) | BIT(3));
	TEST_ASSERT_EQ(clear_log(vm, SLOT, BIT(1)), 0);
	expect_log(vm, BIT(3));
	TEST_ASSERT_EQ(clear_log(vm, SLOT, ~0ull), 0);
	expect_log(vm, 0);
	vcpu_run(vcpu);
	expect_log(vm, BIT(1) | BIT(3));

	TEST_ASSERT_EQ(clear_log(vm, SLOT + 1, 1), -ENOENT);
	low->log.slot = SLOT + 1;
	TEST_ASSERT_EQ(compat_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &low->log), -ENOENT);
	TEST_ASSERT_EQ(compat_ioctl(vm->fd, KVM_GET_DIRTY_LOG, NULL), -EFAULT);
	TEST_ASSERT_EQ(compat_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, NULL), -EFAULT);
}

/* Signals */

/* A signal, pending and blocked by the task, ends KVM_RUN if @mask lets it. */
static bool run_is_interrupted(struct kvm_vcpu *vcpu)
{
	int r = __vcpu_run(vcpu);

	TEST_ASSERT(!r || errno == EINTR, "KVM_RUN: errno %d", errno);
	return r;
}

static int set_mask(struct kvm_vcpu *vcpu, ioctl_fn call, uint64_t blocked)
{
	low->mask.len = sizeof(low->mask.set);
	memcpy(low->mask.set, &blocked, sizeof(blocked));
	return call(vcpu->fd, KVM_SET_SIGNAL_MASK, &low->mask);
}

static void test_signals(struct kvm_vcpu *vcpu, ioctl_fn call)
{
	const uint64_t usr1 = 1ull << (SIGUSR1 - 1);

	TEST_ASSERT_EQ(set_mask(vcpu, call, ~usr1), 0);
	TEST_ASSERT(run_is_interrupted(vcpu), "the mask lets SIGUSR1 pass");
	TEST_ASSERT_EQ(set_mask(vcpu, call, usr1), 0);
	TEST_ASSERT(!run_is_interrupted(vcpu), "the mask blocks SIGUSR1");
	TEST_ASSERT_EQ(set_mask(vcpu, call, ~0ull), 0);
	TEST_ASSERT(!run_is_interrupted(vcpu), "the mask blocks all");
	TEST_ASSERT_EQ(set_mask(vcpu, call, ~usr1), 0);
	TEST_ASSERT_EQ(call(vcpu->fd, KVM_SET_SIGNAL_MASK, NULL), 0);
	TEST_ASSERT(!run_is_interrupted(vcpu), "the task's own mask blocks SIGUSR1");

	low->mask.len = sizeof(low->mask.set) / 2;
	TEST_ASSERT_EQ(call(vcpu->fd, KVM_SET_SIGNAL_MASK, &low->mask), -EINVAL);
	TEST_ASSERT_EQ(call(vcpu->fd, KVM_SET_SIGNAL_MASK, (void *)8), -EFAULT);
}

static void block_pending_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	TEST_ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
	TEST_ASSERT_EQ(raise(SIGUSR1), 0);
}

/* The state of the vCPU, which is laid out alike */
static const struct state {
	const char *name;
	unsigned long get, set;
} states[] = {
	{ "regs", KVM_GET_REGS, KVM_SET_REGS },
	{ "sregs", KVM_GET_SREGS, KVM_SET_SREGS },
	{ "fpu", KVM_GET_FPU, KVM_SET_FPU },
	{ "mp_state", KVM_GET_MP_STATE, KVM_SET_MP_STATE },
};

/* What one sets is what the other gets. */
static void test_state(struct kvm_vcpu *vcpu, const struct state *state)
{
	uint8_t *native = low->state[0], *compat = low->state[1];

	memset(low->state, 0, sizeof(low->state));
	TEST_ASSERT_EQ(native_ioctl(vcpu->fd, state->get, native), 0);
	TEST_ASSERT_EQ(compat_ioctl(vcpu->fd, state->get, compat), 0);
	TEST_ASSERT(!memcmp(native, compat, sizeof(low->state[0])),
		    "%s differ", state->name);

	/* RAX, or a register of the FPU: what the rest begins with is not free. */
	if (state->get == KVM_GET_REGS || state->get == KVM_GET_FPU)
		native[0] ^= 0x5a;
	TEST_ASSERT_EQ(compat_ioctl(vcpu->fd, state->set, native), 0);
	TEST_ASSERT_EQ(native_ioctl(vcpu->fd, state->get, compat), 0);
	TEST_ASSERT(!memcmp(native, compat, sizeof(low->state[0])),
		    "%s were not set", state->name);
}

/* The files of a VM are of no use to another process, however it calls. */
static void test_other_process(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	pid_t pid = fork();
	unsigned int i;
	int status;

	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	for (i = 0; !pid && i < ARRAY_SIZE(both); i++) {
		if (both[i](vm->fd, KVM_GET_DIRTY_LOG, &low->log) != -EIO ||
		    set_mask(vcpu, both[i], 0) != -EIO ||
		    both[i](vcpu->fd, KVM_GET_REGS, low->state) != -EIO)
			_exit(1);
	}
	if (!pid)
		_exit(0);
	TEST_ASSERT_EQ(waitpid(pid, &status, 0), pid);
	TEST_ASSERT(!status, "another process was served: status 0x%x", status);
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	unsigned int i;

	low = mmap(NULL, sizeof(*low), PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	TEST_ASSERT(low != MAP_FAILED, "no memory below 4 GiB");
	__TEST_REQUIRE(compat_ioctl(-1, KVM_RUN, NULL) == -EBADF,
		       "the kernel has no 32-bit calls");

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_enable_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES,
				    KVM_MEM_LOG_DIRTY_PAGES);
	virt_map(vm, GPA, GPA, NR_PAGES);

	test_logs(vm, vcpu);
	block_pending_signal();
	for (i = 0; i < ARRAY_SIZE(both); i++)
		test_signals(vcpu, both[i]);
	for (i = 0; i < ARRAY_SIZE(states); i++)
		test_state(vcpu, &states[i]);
	test_other_process(vm, vcpu);
	kvm_vm_free(vm);
	return 0;
}
