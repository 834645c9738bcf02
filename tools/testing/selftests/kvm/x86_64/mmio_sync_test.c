// SPDX-License-Identifier: GPL-2.0-only
/*
 * A TLB flush of the guest must not renew a stale MMIO SPTE.
 *
 * With shadow paging (npt=0, ept=0), a page table that the guest has written to
 * may be out of sync with KVM's shadow of it until the guest flushes its TLB.
 * The shadow holds an MMIO SPTE for a page without a slot; then a slot is made
 * there, which makes the SPTE stale.  The flush has KVM go over the table again,
 * and the guest's PTE still says the same: but whether there is a slot has to be
 * looked up.  The guest's next access must see memory, not exit as MMIO.
 *
 * Once with INVLPG, which syncs one entry, once with CR3, which syncs the table.
 * With nested paging nothing is shadowed, and the test passes without a doubt.
 *
 * Break of KVM that makes this test fail: sync_mmio_spte() writes an MMIO SPTE
 * anew, with the current generation, without asking whether the old one was
 * still current (Linux 6.12 and before).
 */
#include <sys/mman.h>

#include "kvm_util.h"
#include "mmio_run.h"
#include "processor.h"
#include "test_util.h"

#define PAGE_BYTES	4096ull
#define GPA		0xc0000000ull
#define TABLE_GVA	0xd0000000ull
#define SLOT		10
#define ROUNDS		8

#define MEM_VALUE	0x4d454dull

/* A bit of a PTE that the CPU ignores. */
#define PTE_IGNORED	BIT(9)

enum flush { INVLPG, CR3, NR_FLUSH };

static const char * const flush_name[] = { "INVLPG", "CR3" };

static struct {
	uint64_t *pte;		/* the guest's address of the PTE of GPA */
	uint64_t mmio, mem;	/* what it read before and after */
} shared;

/* The write makes the table one that KVM lets the guest write to. */
static void guest_round(enum flush flush)
{
	shared.mmio = READ_ONCE(*(uint64_t *)GPA);
	WRITE_ONCE(*shared.pte, *shared.pte ^ PTE_IGNORED);
	GUEST_SYNC(0);
	if (flush == INVLPG)
		asm volatile("invlpg %0" : : "m"(*(char *)GPA) : "memory");
	else
		asm volatile("mov %0, %%cr3" : : "r"(get_cr3()) : "memory");
	shared.mem = READ_ONCE(*(uint64_t *)GPA);
	GUEST_SYNC(1);
}

static void guest_main(void)
{
	enum flush flush;

	for (;;)
		for (flush = 0; flush < NR_FLUSH; flush++)
			guest_round(flush);
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, guest_main);
	uint64_t *pte;
	vm_paddr_t gpa;

	virt_map(vm, GPA, GPA, 1);
	pte = vm_get_page_table_entry(vm, GPA);
	gpa = addr_hva2gpa(vm, pte);
	virt_map(vm, TABLE_GVA, gpa & ~(PAGE_BYTES - 1), 1);
	write_guest_global(vm, shared.pte,
			   (uint64_t *)(TABLE_GVA + (gpa & (PAGE_BYTES - 1))));
	return vm;
}

int main(int argc, char *argv[])
{
	int stale[NR_FLUSH] = {}, round;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	enum flush flush;
	uint64_t *mem;

	mem = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap() failed: %d", errno);
	*mem = MEM_VALUE;
	vm = create_vm(&vcpu);

	for (round = 0; round < ROUNDS; round++) {
		for (flush = 0; flush < NR_FLUSH; flush++) {
			TEST_ASSERT_EQ(run_to_sync(vcpu), 1);
			vm_set_user_memory_region(vm, SLOT, 0, GPA, PAGE_BYTES,
						  mem);
			stale[flush] += run_to_sync(vcpu);
			vm_set_user_memory_region(vm, SLOT, 0, GPA, 0, mem);
		}
	}
	sync_global_from_guest(vm, shared);
	TEST_ASSERT(stale[NR_FLUSH - 1] || shared.mem == MEM_VALUE,
		    "the guest read 0x%lx from memory", shared.mem);
	kvm_vm_free(vm);

	for (flush = 0; flush < NR_FLUSH; flush++)
		pr_info("stale accesses after %s: %d of %d\n", flush_name[flush],
			stale[flush], ROUNDS);
	return stale[INVLPG] || stale[CR3] ? KSFT_FAIL : KSFT_PASS;
}
