// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asynchronous page faults: while the host fetches a page, the vCPU goes on.
 *
 * The host's pages are missing until the VMM gives them, by userfaultfd.  A guest
 * that has asked for it (MSR_KVM_ASYNC_PF_EN) takes a #PF which says "not
 * present" and a token; only after the guest has told that it runs on does the
 * VMM give the page.  Then an interrupt says "ready" with the same token, and the
 * access finds what the VMM has put there.
 *
 * A guest that has not asked for it waits, without noticing.
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/kvm_para.h>

#include "apic.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define VECTOR		0xe0
#define SLOT		10
#define GPA		0xc0000000ull
#define PAGE_BYTES	4096ull
#define NR_TOLD		16	/* pages that the guest hears of */
#define NR_PAGES	32
#define PAGE_ID		0x5041474500000000ull
#define TOKEN_ALL	0xffffffffu

enum { STAGE_ABSENT = 1, STAGE_READ };

/* The guest's */
static struct kvm_vcpu_pv_apf_data apf_data __aligned(64);
static struct {
	uint64_t data_gpa;
	uint64_t absent, ready;		/* events */
	uint32_t token, ready_token;	/* of the last ones */
} guest;

static uint64_t guest_cr2(void)
{
	uint64_t cr2;

	asm volatile("mov %%cr2, %0" : "=r"(cr2));
	return cr2;
}

/* With the MSR a first event comes, which is for all tokens there were before. */
static void guest_ready(struct ex_regs *regs)
{
	const uint32_t token = READ_ONCE(apf_data.token);

	if (token != TOKEN_ALL) {
		guest.ready_token = token;
		guest.ready++;
	}
	WRITE_ONCE(apf_data.token, 0);
	wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
	x2apic_write_reg(APIC_EOI, 0);
}

/* Not present: the guest does something else, and then waits for the page. */
static void guest_absent(struct ex_regs *regs)
{
	GUEST_ASSERT_EQ(READ_ONCE(apf_data.flags), KVM_PV_REASON_PAGE_NOT_PRESENT);
	guest.token = guest_cr2();
	WRITE_ONCE(apf_data.flags, 0);
	guest.absent++;

	GUEST_SYNC(STAGE_ABSENT);
	while (READ_ONCE(guest.ready) != guest.absent)
		asm volatile("sti; hlt; cli" : : : "memory");
	GUEST_ASSERT_EQ(guest.ready_token, guest.token);
}

static void guest_read(int page)
{
	const uint64_t value = READ_ONCE(*(uint64_t *)(GPA + page * PAGE_BYTES));

	GUEST_ASSERT_EQ(value, PAGE_ID + page);
	GUEST_SYNC(STAGE_READ);
}

static void guest_main(void)
{
	int i;

	x2apic_enable();
	wrmsr(MSR_KVM_ASYNC_PF_INT, VECTOR);
	wrmsr(MSR_KVM_ASYNC_PF_EN, guest.data_gpa | KVM_ASYNC_PF_ENABLED |
	      KVM_ASYNC_PF_SEND_ALWAYS | KVM_ASYNC_PF_DELIVERY_AS_INT);
	asm volatile("sti");
	for (i = 0; i < NR_TOLD; i++) {
		guest_read(i);
		GUEST_ASSERT_EQ(guest.absent, i + 1);
	}

	wrmsr(MSR_KVM_ASYNC_PF_EN, 0);
	for (; i < NR_PAGES; i++)
		guest_read(i);
	GUEST_ASSERT_EQ(guest.absent, NR_TOLD);
	GUEST_DONE();
}

/* The VMM's */
static struct {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint8_t *memory;
	int uffd;
} vmm;

static void setup_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { (uintptr_t)vmm.memory, NR_PAGES * PAGE_BYTES },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	vmm.uffd = syscall(__NR_userfaultfd, O_CLOEXEC);
	__TEST_REQUIRE(vmm.uffd >= 0, "no userfaultfd");
	TEST_ASSERT(!ioctl(vmm.uffd, UFFDIO_API, &api) &&
		    !ioctl(vmm.uffd, UFFDIO_REGISTER, &range),
		    "userfaultfd: errno %d", errno);
}

static void give_page(int page)
{
	static uint64_t content[PAGE_BYTES / 8] __aligned(4096);
	struct uffdio_copy copy = {
		.dst = (uintptr_t)vmm.memory + page * PAGE_BYTES,
		.src = (uintptr_t)content,
		.len = PAGE_BYTES,
	};

	content[0] = PAGE_ID + page;
	TEST_ASSERT(!ioctl(vmm.uffd, UFFDIO_COPY, &copy), "page %d: errno %d",
		    page, errno);
}

static uint64_t run_to_stage(void)
{
	struct ucall uc;

	vcpu_run(vmm.vcpu);
	switch (get_ucall(vmm.vcpu, &uc)) {
	case UCALL_SYNC:
		return uc.args[1];
	case UCALL_DONE:
		return 0;
	default:
		REPORT_GUEST_ASSERT(uc);
	}
	return 0;
}

/* Gives pages as somebody waits for them, from NR_TOLD on. */
static void *giver_thread(void *unused)
{
	struct uffd_msg msg;
	int page;

	for (page = NR_TOLD; page < NR_PAGES; page++) {
		do {
			TEST_ASSERT_EQ(read(vmm.uffd, &msg, sizeof(msg)), sizeof(msg));
		} while (msg.arg.pagefault.address !=
			 (uintptr_t)vmm.memory + page * PAGE_BYTES);
		give_page(page);
	}
	return NULL;
}

int main(int argc, char *argv[])
{
	pthread_t giver;
	int i;

	vmm.vm = vm_create_with_one_vcpu(&vmm.vcpu, guest_main);
	__TEST_REQUIRE(vcpu_cpuid_has(vmm.vcpu, X86_FEATURE_KVM_ASYNC_PF_INT),
		       "no asynchronous page faults");
	vm_userspace_mem_region_add(vmm.vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT,
				    NR_PAGES, 0);
	virt_map(vmm.vm, GPA, GPA, NR_PAGES);
	vmm.memory = addr_gpa2hva(vmm.vm, GPA);
	TEST_ASSERT(!madvise(vmm.memory, NR_PAGES * PAGE_BYTES, MADV_DONTNEED),
		    "madvise: errno %d", errno);
	setup_uffd();
	vm_install_exception_handler(vmm.vm, PF_VECTOR, guest_absent);
	vm_install_exception_handler(vmm.vm, VECTOR, guest_ready);
	guest.data_gpa = addr_gva2gpa(vmm.vm, (vm_vaddr_t)&apf_data);
	sync_global_to_guest(vmm.vm, guest);

	for (i = 0; i < NR_TOLD; i++) {
		TEST_ASSERT_EQ(run_to_stage(), STAGE_ABSENT);
		give_page(i);
		TEST_ASSERT_EQ(run_to_stage(), STAGE_READ);
	}

	pthread_create(&giver, NULL, giver_thread, NULL);
	for (; i < NR_PAGES; i++)
		TEST_ASSERT_EQ(run_to_stage(), STAGE_READ);
	TEST_ASSERT_EQ(run_to_stage(), 0);
	pthread_join(giver, NULL);
	kvm_vm_free(vmm.vm);
	return 0;
}
