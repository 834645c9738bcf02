// SPDX-License-Identifier: GPL-2.0-only
/*
 * Statistics in debugfs: a VM's file is the sum over its vCPUs, the file of all
 * VMs that over the VMs; writing 0 clears just what the file sums up; an open
 * file keeps its VM, and the VM's directory goes with it.
 *
 * What is counted are exits for port I/O, which are as many as the test has the
 * guests make.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define DEBUGFS		"/sys/kernel/debug/kvm"
#define COUNTER		"io_exits"		/* of vCPUs */
#define VM_COUNTER	"mmu_shadow_zapped"	/* of a VM */
#define PRESENT		"pages_4k"		/* is a state, and not counted */
#define NR_VCPUS	2

struct machine {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpus[NR_VCPUS];
	char dir[64];
};

static void guest_main(void)
{
	for (;;)
		GUEST_SYNC(0);
}

static struct machine new_machine(void)
{
	struct machine m;

	m.vm = vm_create_with_vcpus(NR_VCPUS, guest_main, m.vcpus);
	snprintf(m.dir, sizeof(m.dir), "%s/%d-%d", DEBUGFS, getpid(), m.vm->fd);
	return m;
}

static int open_stat(const char *dir, const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags);
}

static uint64_t read_value(int fd)
{
	char text[32] = {};

	TEST_ASSERT(read(fd, text, sizeof(text) - 1) > 0, "read: errno %d", errno);
	return strtoull(text, NULL, 10);
}

static uint64_t read_stat(const char *dir, const char *name)
{
	int fd = open_stat(dir, name, O_RDONLY);
	uint64_t value;

	TEST_ASSERT(fd >= 0, "%s/%s: errno %d", dir, name, errno);
	value = read_value(fd);
	close(fd);
	return value;
}

/* Returns 0 or a negative errno. */
static int write_stat(const char *dir, const char *name, const char *text)
{
	int fd = open_stat(dir, name, O_WRONLY);
	int r;

	if (fd < 0)
		return -errno;
	r = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static void run_vcpu(struct kvm_vcpu *vcpu, int times)
{
	while (times--) {
		vcpu_run(vcpu);
		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
	}
}

/* Sums, by vCPU and by VM, and what clears them */
static void test_sums(const struct machine *a, const struct machine *b)
{
	run_vcpu(a->vcpus[0], 5);
	run_vcpu(a->vcpus[1], 3);
	run_vcpu(b->vcpus[1], 2);
	TEST_ASSERT_EQ(read_stat(a->dir, COUNTER), 8);
	TEST_ASSERT_EQ(read_stat(b->dir, COUNTER), 2);
	TEST_ASSERT_EQ(read_stat(DEBUGFS, COUNTER), 10);
	TEST_ASSERT_EQ(read_stat(DEBUGFS, VM_COUNTER),
		       read_stat(a->dir, VM_COUNTER) +
		       read_stat(b->dir, VM_COUNTER));

	TEST_ASSERT_EQ(write_stat(a->dir, COUNTER, "1"), -EINVAL);
	TEST_ASSERT_EQ(read_stat(a->dir, COUNTER), 8);
	TEST_ASSERT_EQ(write_stat(a->dir, COUNTER, "0"), 0);
	TEST_ASSERT_EQ(write_stat(a->dir, VM_COUNTER, "0"), 0);
	TEST_ASSERT_EQ(read_stat(a->dir, COUNTER), 0);
	TEST_ASSERT_EQ(read_stat(b->dir, COUNTER), 2);
	TEST_ASSERT_EQ(read_stat(DEBUGFS, COUNTER), 2);

	run_vcpu(a->vcpus[1], 1);
	TEST_ASSERT_EQ(write_stat(DEBUGFS, COUNTER, "1"), -EINVAL);
	TEST_ASSERT_EQ(read_stat(DEBUGFS, COUNTER), 3);
	TEST_ASSERT_EQ(write_stat(DEBUGFS, COUNTER, "0"), 0);
	TEST_ASSERT_EQ(read_stat(a->dir, COUNTER), 0);
	TEST_ASSERT_EQ(read_stat(b->dir, COUNTER), 0);
}

/* What is so at present cannot be cleared. */
static void test_present(const struct machine *a)
{
	const uint64_t pages = read_stat(a->dir, PRESENT);

	TEST_ASSERT(pages, "a VM that has run has no pages mapped");
	TEST_ASSERT_EQ(write_stat(a->dir, PRESENT, "0"), -EACCES);
	TEST_ASSERT_EQ(write_stat(DEBUGFS, PRESENT, "0"), -EACCES);
	TEST_ASSERT_EQ(read_stat(a->dir, PRESENT), pages);
}

static void *run_once(void *vcpu)
{
	run_vcpu(vcpu, 1);
	return (void *)syscall(SYS_gettid);
}

/* Which task ran a vCPU last */
static void test_pids(const struct machine *a)
{
	pthread_t thread;
	void *tid;

	TEST_ASSERT_EQ(read_stat(a->dir, "vcpu0/pid"), 0);
	run_vcpu(a->vcpus[0], 1);
	pthread_create(&thread, NULL, run_once, a->vcpus[1]);
	pthread_join(thread, &tid);
	TEST_ASSERT_EQ(read_stat(a->dir, "vcpu0/pid"), getpid());
	TEST_ASSERT_EQ(read_stat(a->dir, "vcpu1/pid"), (uintptr_t)tid);
	run_vcpu(a->vcpus[1], 1);
	TEST_ASSERT_EQ(read_stat(a->dir, "vcpu1/pid"), getpid());
}

/* An open file keeps the VM, which its user may have closed. */
static void test_lifetime(struct machine *a)
{
	int fd = open_stat(a->dir, COUNTER, O_RDONLY);

	TEST_ASSERT(fd >= 0, "open: errno %d", errno);
	run_vcpu(a->vcpus[0], 4);
	kvm_vm_free(a->vm);
	TEST_ASSERT_EQ(read_value(fd), 4);
	TEST_ASSERT(!access(a->dir, F_OK), "the VM is gone under an open file");
	close(fd);
	TEST_ASSERT(access(a->dir, F_OK), "the directory outlives the VM");
}

/* While a vCPU keeps a VM, the VM's descriptor may be another VM's already. */
static void test_same_name(void)
{
	int kvm = open("/dev/kvm", O_RDWR), vm, vcpu, next;
	char dir[64];

	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT(kvm >= 0 && vm >= 0, "KVM_CREATE_VM: errno %d", errno);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	TEST_ASSERT(vcpu >= 0, "KVM_CREATE_VCPU: errno %d", errno);
	snprintf(dir, sizeof(dir), "%s/%d-%d", DEBUGFS, getpid(), vm);
	close(vm);
	next = ioctl(kvm, KVM_CREATE_VM, 0);
	TEST_ASSERT_EQ(next, vm);

	/* The directory is the first one's, and goes with it. */
	TEST_ASSERT_EQ(read_stat(dir, "vcpu0/pid"), 0);
	close(vcpu);
	TEST_ASSERT(access(dir, F_OK), "the directory outlives its VM");
	vcpu = ioctl(next, KVM_CREATE_VCPU, 0);
	TEST_ASSERT(vcpu >= 0, "the second VM is no VM: errno %d", errno);
	close(vcpu);
	close(next);
	close(kvm);
}

int main(int argc, char *argv[])
{
	struct machine a, b;

	__TEST_REQUIRE(!access(DEBUGFS, R_OK | W_OK), "no debugfs");
	a = new_machine();
	b = new_machine();
	test_pids(&a);
	TEST_ASSERT_EQ(write_stat(DEBUGFS, COUNTER, "0"), 0);
	test_sums(&a, &b);
	test_present(&a);
	test_lifetime(&a);
	kvm_vm_free(b.vm);
	test_same_name();
	return 0;
}
