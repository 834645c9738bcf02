// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host takes shadow pages back when it is short of memory, and the guest does
 * not notice.
 *
 * The guest has a page table of its own for each of many addresses; with shadow
 * paging (npt=0, ept=0) KVM has as many pages that shadow them.  The VMM has the
 * kernel's caches shrunk time and again while the guest goes over all addresses.
 * With nested paging nothing is shadowed, and the guest's accesses are all there
 * is to see.
 */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define GVA		0x10000000000ull
#define STRIDE		0x200000ull	/* what one page table maps */
#define NR_TABLES	1200
#define NR_PAGES	8		/* that they map in turn */
#define GPA		0xc0000000ull
#define SLOT		10
#define ROUNDS		10
#define DROP_CACHES	"/proc/sys/vm/drop_caches"

static bool stop;

static uint64_t *address(int table)
{
	return (uint64_t *)(GVA + table * STRIDE);
}

/* Each write is seen by all addresses of its page. */
static void guest_round(uint64_t round)
{
	int i;

	for (i = 0; i < NR_TABLES; i++) {
		if (i >= NR_PAGES)
			GUEST_ASSERT_EQ(READ_ONCE(*address(i)),
					round + i - NR_PAGES);
		WRITE_ONCE(*address(i), round + i);
	}
}

static void guest_main(void)
{
	uint64_t round = 1;

	while (!READ_ONCE(stop)) {
		guest_round(round << 32);
		GUEST_SYNC(round++);
	}
	GUEST_DONE();
}

/* 4: no line in the kernel's log each time; 2: what has shrinkers. */
static void *dropper(void *unused)
{
	int fd = open(DROP_CACHES, O_WRONLY);

	TEST_ASSERT(fd >= 0, "%s: errno %d", DROP_CACHES, errno);
	TEST_ASSERT_EQ(pwrite(fd, "4", 1, 0), 1);
	while (!READ_ONCE(stop)) {
		TEST_ASSERT_EQ(pwrite(fd, "2", 1, 0), 1);
		usleep(1000);
	}
	close(fd);
	return NULL;
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu)
{
	/* As if it had all the memory that so many tables map. */
	struct kvm_vm *vm = __vm_create_with_one_vcpu(vcpu, NR_TABLES * 512ull,
						      guest_main);
	int i;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES, 0);
	for (i = 0; i < NR_TABLES; i++)
		virt_map(vm, (uintptr_t)address(i), GPA + i % NR_PAGES * 4096, 1);
	/* The VM's own quota is no reason to give any back. */
	vm_ioctl(vm, KVM_SET_NR_MMU_PAGES, (void *)(8ul * NR_TABLES));
	return vm;
}

static void run_round(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	if (get_ucall(vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
}

static bool is_shadowed(void)
{
	return host_cpu_is_intel ? !get_kvm_intel_param_bool("ept") :
				   !get_kvm_amd_param_bool("npt");
}

int main(int argc, char *argv[])
{
	struct kvm_vcpu *vcpu;
	uint64_t recycled;
	struct kvm_vm *vm;
	pthread_t thread;
	int i;

	__TEST_REQUIRE(!access(DROP_CACHES, W_OK), "caches cannot be dropped");
	vm = create_vm(&vcpu);
	run_round(vcpu);
	TEST_ASSERT_EQ(vm_get_stat(vm, "mmu_recycled"), 0);

	pthread_create(&thread, NULL, dropper, NULL);
	for (i = 0; i < ROUNDS; i++)
		run_round(vcpu);
	while (is_shadowed() && !vm_get_stat(vm, "mmu_recycled"))
		run_round(vcpu);
	WRITE_ONCE(stop, true);
	pthread_join(thread, NULL);

	recycled = vm_get_stat(vm, "mmu_recycled");
	pr_info("shadow pages given back: %lu\n", recycled);
	TEST_ASSERT(!recycled == !is_shadowed(), "with%s shadow paging",
		    is_shadowed() ? "" : "out");
	kvm_vm_free(vm);
	return 0;
}
