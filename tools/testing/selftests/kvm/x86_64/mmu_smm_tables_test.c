// SPDX-License-Identifier: GPL-2.0-only
/*
 * Code in system management mode writes to page tables.
 *
 * SMM sees the memory of the system where SMRAM does not overlay it (APM vol. 2,
 * 10.3.1), and so what it writes to a table is what a CPU gets after its next
 * flush, at every level.  KVM has an address space of its own for SMM, and shadow
 * pages are of tables in either: each mapping of such a table has to be write-
 * protected, in both.
 *
 * The tables are the OS's own, which are shadowed with npt=0 and ept=0, or nested
 * ones that L1 gives to L2 (SVM), shadowed with npt=1.  SMM gets its mapping of
 * them before they become tables, after, or as part of a huge page, which it gets
 * by touching a page beside them, before or after.
 *
 * Breaks of KVM that make this test fail:
 *  - write-protect a table in the slot of its own address space only;
 *  - allow a huge page of SMM around what is a table of the OS.
 */
#include <string.h>
#include <linux/sizes.h>
#include <sys/mman.h>

#include "kvm_util.h"
#include "processor.h"
#include "svm_util.h"
#include "test_util.h"

#define PAGE		0x1000ull
#define WORD		8
#define GB		BIT_ULL(30)

#define OF_SMM		BIT(16)	/* the address space of a slot's id */
#define REGION_SLOT	10
#define REGION_GPA	0x40000000ull
#define REGION_SIZE	(2 * SZ_2M)	/* the first half in 4K pages, then 2M ones */
#define SMRAM_SLOT	11
#define SMRAM_GPA	0x1000000ull
#define SMRAM_SIZE	0x10000ull
#define SMM_ENTRY	0x8000
#define SMM_ARGS	0x9000

#define RIGHTS		(PTE_PRESENT_MASK | PTE_WRITABLE_MASK | PTE_USER_MASK | \
			 PTE_ACCESSED_MASK | PTE_DIRTY_MASK)

/* What each place has, by page; SPARE is no table. */
enum place_page { PDPT, PD, PD2, PT, PT2, OLD, NEW, SPARE, NR_PAGES };

#define OLD_VALUE	0x0111ull
#define NEW_VALUE	0x0222ull
#define PDPT_INDEX	2		/* to PD, then always the first entry */
#define UNUSED_WORD	511

/**
 * struct place - tables somewhere in the region
 * @name: for messages
 * @offset: in the region
 * @touch_first: SMM writes to them before they are tables
 * @touch_beside: SMM writes beside them, before and after
 */
struct place {
	const char *name;
	uint64_t offset;
	bool touch_first;
	bool touch_beside;
};

static const struct place places[] = {
	{ "4K, SMM later", 0x10000 },
	{ "4K, SMM first", 0x20000, true },
	{ "2M, SMM later", SZ_2M + 0x10000 },
	{ "2M, SMM first", SZ_2M + 0x20000, true },
	{ "2M, SMM beside", SZ_2M + 0x30000, false, true },
};

#define NR_PLACES	ARRAY_SIZE(places)

/* The OS reaches place i by entry FIRST_ROOT + i of its root; L2 by a root of it. */
#define FIRST_ROOT	64ull
#define L2_GVA		0xd0000000ull
#define L2_GPA		(PDPT_INDEX * GB)

static struct shared {
	unsigned int place;
	uint64_t nested_root[NR_PLACES];
	uint64_t value;
} shared;

static struct host {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint8_t *region;
	uint8_t *smram;
	unsigned int nr_smis, wrong, reads;
} host;

/* The guests: each sync is a flush, then a read. */

static void os_main(struct svm_test_data *svm)
{
	for (;;) {
		const uint64_t gva = (FIRST_ROOT + READ_ONCE(shared.place)) << 39;

		asm volatile("mov %0, %%cr3" : : "r"(get_cr3()) : "memory");
		GUEST_SYNC(READ_ONCE(*(uint64_t *)(gva + PDPT_INDEX * GB)));
	}
}

static uint64_t l2_stack[64];

static void l2_main(void)
{
	shared.value = READ_ONCE(*(uint64_t *)L2_GVA);
	vmmcall();
}

static void l1_main(struct svm_test_data *svm)
{
	struct vmcb *vmcb = svm->vmcb;

	generic_svm_setup(svm, NULL, NULL);
	vmcb->control.nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	for (;;) {
		const unsigned int place = READ_ONCE(shared.place);

		vmcb->control.nested_cr3 = READ_ONCE(shared.nested_root[place]);
		vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
		vmcb->save.rip = (uint64_t)l2_main;
		vmcb->save.rsp = (uint64_t)&l2_stack[ARRAY_SIZE(l2_stack) - 1];
		run_guest(vmcb, svm->vmcb_gpa);
		GUEST_ASSERT_EQ(vmcb->control.exit_code, SVM_EXIT_VMMCALL);
		GUEST_SYNC(READ_ONCE(shared.value));
	}
}

/* SMM */

/* At SMRAM_GPA + SMM_ARGS. */
struct smm_args {
	uint32_t gpa;
	uint32_t low, high;	/* what is to be written there */
	uint32_t count;		/* of SMIs */
};

/* 16-bit code: write the two halves, and count. */
static const uint8_t smm_handler[] = {
	0x66, 0xbe, 0x00, 0x90, 0x00, 0x01,	/* mov $0x1009000, %esi */
	0x67, 0x66, 0x8b, 0x3e,			/* mov (%esi), %edi */
	0x67, 0x66, 0x8b, 0x46, 0x04,		/* mov 4(%esi), %eax */
	0x67, 0x66, 0x89, 0x07,			/* mov %eax, (%edi) */
	0x67, 0x66, 0x8b, 0x46, 0x08,		/* mov 8(%esi), %eax */
	0x67, 0x66, 0x89, 0x47, 0x04,		/* mov %eax, 4(%edi) */
	0x67, 0x66, 0xff, 0x46, 0x0c,		/* incl 12(%esi) */
	0x0f, 0xaa,				/* rsm */
};

static struct smm_args *smm_args(void)
{
	return (struct smm_args *)(host.smram + SMM_ARGS);
}

/* Before the vCPU's next instruction. */
static void smm_writes(uint64_t gpa, uint64_t value)
{
	struct smm_args *args = smm_args();

	args->gpa = gpa;
	args->low = value;
	args->high = value >> 32;
	vcpu_ioctl(host.vcpu, KVM_SMI, NULL);
	host.nr_smis++;
}

static void run_to_sync(struct ucall *uc)
{
	vcpu_run(host.vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(host.vcpu, KVM_EXIT_IO);
	if (get_ucall(host.vcpu, uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(*uc);
	TEST_ASSERT_EQ(uc->cmd, UCALL_SYNC);
	TEST_ASSERT_EQ(READ_ONCE(smm_args()->count), host.nr_smis);
}

static void expect(const struct place *place, const char *what, uint64_t value)
{
	struct ucall uc;

	run_to_sync(&uc);
	host.reads++;
	if (uc.args[1] == value)
		return;
	host.wrong++;
	pr_info("%s, %s: the guest reads 0x%lx, not 0x%lx\n", place->name, what,
		uc.args[1], value);
}

/* Places */

static uint64_t page_gpa(const struct place *place, enum place_page page)
{
	return REGION_GPA + place->offset + page * PAGE;
}

static uint64_t *page_words(const struct place *place, enum place_page page)
{
	return (uint64_t *)(host.region + place->offset + page * PAGE);
}

static uint64_t entry_to(const struct place *place, enum place_page page)
{
	return page_gpa(place, page) | RIGHTS;
}

/* Of the PDPT, the entries below are L2's other memory, one to one. */
static void fill_place(const struct place *place)
{
	uint64_t i;

	for (i = 0; i < PDPT_INDEX; i++)
		page_words(place, PDPT)[i] = i * GB | RIGHTS | PTE_LARGE_MASK;
	page_words(place, PDPT)[PDPT_INDEX] = entry_to(place, PD);
	page_words(place, PD)[0] = entry_to(place, PT);
	page_words(place, PD2)[0] = entry_to(place, PT2);
	page_words(place, PT)[0] = entry_to(place, OLD);
	page_words(place, PT2)[0] = entry_to(place, NEW);
	page_words(place, OLD)[0] = OLD_VALUE;
	page_words(place, NEW)[0] = NEW_VALUE;
}

/* SMM has a table's entry lead to elsewhere, and then back again. */
static void rewrite(const struct place *place, const char *what, enum place_page table,
		    unsigned int word, enum place_page from, enum place_page to)
{
	const uint64_t gpa = page_gpa(place, table) + word * WORD;

	smm_writes(gpa, entry_to(place, to));
	expect(place, what, NEW_VALUE);
	smm_writes(gpa, entry_to(place, from));
	expect(place, what, OLD_VALUE);
}

/* The guest is at a sync of another place, and does not use this one's tables. */
static void touch(const struct place *place, enum place_page page)
{
	struct ucall uc;

	smm_writes(page_gpa(place, page) + UNUSED_WORD * WORD, 0);
	run_to_sync(&uc);
}

static void test_place(unsigned int i)
{
	const struct place *place = &places[i];

	if (place->touch_first) {
		touch(place, PDPT);
		touch(place, PD);
		touch(place, PT);
	}
	if (place->touch_beside)
		touch(place, SPARE);

	write_guest_global(host.vm, shared.place, i);
	expect(place, "at first", OLD_VALUE);
	if (place->touch_beside)
		touch(place, SPARE);
	rewrite(place, "PTE", PT, 0, OLD, NEW);
	rewrite(place, "PDE", PD, 0, PT, PT2);
	rewrite(place, "PDPTE", PDPT, PDPT_INDEX, PD, PD2);
}

/* Set-up */

static void *map_aligned(uint64_t size)
{
	uint8_t *mem = mmap(NULL, size + SZ_2M, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(mem != MAP_FAILED, "mmap() failed: %d", errno);
	return (void *)(((uint64_t)mem + SZ_2M - 1) & ~(uint64_t)(SZ_2M - 1));
}

static void create_slots(struct kvm_vm *vm)
{
	host.region = map_aligned(REGION_SIZE);
	madvise(host.region, SZ_2M, MADV_NOHUGEPAGE);
	madvise(host.region + SZ_2M, REGION_SIZE - SZ_2M, MADV_HUGEPAGE);
	memset(host.region, 0, REGION_SIZE);
	vm_set_user_memory_region(vm, REGION_SLOT, 0, REGION_GPA, REGION_SIZE,
				  host.region);
	vm_set_user_memory_region(vm, OF_SMM | REGION_SLOT, 0, REGION_GPA,
				  REGION_SIZE, host.region);

	host.smram = map_aligned(SMRAM_SIZE);
	memset(host.smram, 0, SMRAM_SIZE);
	memcpy(host.smram + SMM_ENTRY, smm_handler, sizeof(smm_handler));
	vm_set_user_memory_region(vm, OF_SMM | SMRAM_SLOT, 0, SMRAM_GPA, SMRAM_SIZE,
				  host.smram);
	vcpu_set_msr(host.vcpu, MSR_IA32_SMBASE, SMRAM_GPA);
}

static void create_roots(struct kvm_vm *vm)
{
	uint64_t *os = addr_gpa2hva(vm, vm->pgd);
	uint64_t root[NR_PLACES];
	unsigned int i;

	for (i = 0; i < NR_PLACES; i++) {
		fill_place(&places[i]);
		os[FIRST_ROOT + i] = entry_to(&places[i], PDPT);
		root[i] = vm_alloc_page_table(vm);
		*(uint64_t *)addr_gpa2hva(vm, root[i]) = entry_to(&places[i], PDPT);
	}
	memcpy(addr_gva2hva(vm, (vm_vaddr_t)shared.nested_root), root, sizeof(root));
	virt_map(vm, L2_GVA, L2_GPA, 1);
}

static unsigned int test_guest(const char *name, void *guest_main, bool nested)
{
	vm_vaddr_t svm = 0;
	unsigned int i;

	memset(&host, 0, sizeof(host));
	host.vm = vm_create_with_one_vcpu(&host.vcpu, guest_main);
	create_slots(host.vm);
	create_roots(host.vm);
	if (nested)
		vcpu_alloc_svm(host.vm, &svm);
	vcpu_args_set(host.vcpu, 1, svm);

	for (i = 0; i < NR_PLACES; i++)
		test_place(i);
	kvm_vm_free(host.vm);
	pr_info("%s: %u SMIs, %u of %u reads by old tables\n", name, host.nr_smis,
		host.wrong, host.reads);
	return host.wrong;
}

int main(int argc, char *argv[])
{
	unsigned int wrong;

	TEST_REQUIRE(kvm_has_cap(KVM_CAP_X86_SMM));
	wrong = test_guest("tables of the OS", os_main, false);
	if (kvm_cpu_has(X86_FEATURE_SVM) && kvm_cpu_has(X86_FEATURE_NPT))
		wrong += test_guest("nested tables", l1_main, true);
	return wrong ? KSFT_FAIL : KSFT_PASS;
}
