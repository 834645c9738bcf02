// SPDX-License-Identifier: GPL-2.0-only
/*
 * A page of the guest's memory turns out to be broken (MADV_HWPOISON): the VMM
 * gets a SIGBUS that names the page when the guest touches it, no guest ever sees
 * what was in it, and the guest goes on as soon as the VMM has put another page
 * in its place.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define SLOT		10
#define GPA		0xc0000000ull
#define PAGE_BYTES	4096ull
#define NR_PAGES	16
#define FIRST_BROKEN	6	/* before the guest has touched it */
#define LATER_BROKEN	9	/* after that */
#define OLD_ID		0x4f4c4400ull
#define NEW_ID		0x4e455700ull

static uint8_t *memory;
static bool breaking;
static int signals;
static void *signal_address;

static void guest_main(void)
{
	int i;

	for (;;)
		for (i = 0; i < NR_PAGES; i++)
			GUEST_SYNC(READ_ONCE(*(uint64_t *)(GPA + i * PAGE_BYTES)));
}

static void put_page(int page, uint64_t id)
{
	uint8_t *at = memory + page * PAGE_BYTES;

	TEST_ASSERT(mmap(at, PAGE_BYTES, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == at,
		    "mmap: errno %d", errno);
	*(uint64_t *)at = id + page;
}

/*
 * Of the task that runs the vCPU.  madvise() signals as well, as if the task had
 * touched the page; the guest's access is what the test is about.
 */
static void on_sigbus(int signal, siginfo_t *info, void *context)
{
	if (READ_ONCE(breaking))
		return;
	TEST_ASSERT_EQ(info->si_code, BUS_MCEERR_AR);
	signal_address = info->si_addr;
	signals++;
	put_page(((uint8_t *)info->si_addr - memory) / PAGE_BYTES, NEW_ID);
}

/* What the guest finds in its next page; KVM_RUN may end early for a signal. */
static uint64_t next_value(struct kvm_vcpu *vcpu)
{
	struct ucall uc;
	int r;

	do {
		r = __vcpu_run(vcpu);
		TEST_ASSERT(!r || errno == EINTR, "KVM_RUN: errno %d", errno);
	} while (r);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_SYNC);
	return uc.args[1];
}

static bool break_page(int page)
{
	int r;

	WRITE_ONCE(breaking, true);
	r = madvise(memory + page * PAGE_BYTES, PAGE_BYTES, MADV_HWPOISON);
	WRITE_ONCE(breaking, false);
	return !r;
}

/* One pass over the memory, in which just @broken is replaced. */
static void expect_pass(struct kvm_vcpu *vcpu, int broken, int replaced)
{
	int i, before;

	for (i = 0; i < NR_PAGES; i++) {
		const bool new = i == broken || i == replaced;

		before = READ_ONCE(signals);
		TEST_ASSERT_EQ(next_value(vcpu), (new ? NEW_ID : OLD_ID) + i);
		TEST_ASSERT(READ_ONCE(signals) == before + (i == broken),
			    "page %d, page %d being broken: %d signals before, %d after",
			    i, broken, before, signals);
		if (i == broken)
			TEST_ASSERT_EQ((uintptr_t)signal_address,
				       (uintptr_t)memory + i * PAGE_BYTES);
	}
}

int main(int argc, char *argv[])
{
	struct sigaction action = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO };
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	int i;

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES, 0);
	virt_map(vm, GPA, GPA, NR_PAGES);
	memory = addr_gpa2hva(vm, GPA);
	for (i = 0; i < NR_PAGES; i++)
		put_page(i, OLD_ID);
	sigaction(SIGBUS, &action, NULL);

	__TEST_REQUIRE(break_page(FIRST_BROKEN), "no MADV_HWPOISON");
	expect_pass(vcpu, FIRST_BROKEN, -1);
	TEST_ASSERT(break_page(LATER_BROKEN), "MADV_HWPOISON: errno %d", errno);
	expect_pass(vcpu, LATER_BROKEN, FIRST_BROKEN);
	kvm_vm_free(vm);
	return 0;
}
