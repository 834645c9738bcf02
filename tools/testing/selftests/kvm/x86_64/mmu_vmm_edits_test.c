// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM edits the page tables of a guest by its own mapping of guest memory.
 *
 * After INVLPG of the address, the guest's next access goes by the tables as they
 * are in memory, at every level (APM vol. 2, 5.5.2), be they shadowed and write-
 * protected (npt=0, ept=0): KVM does not see what the VMM writes.  The same if the
 * VMM calls KVM_SET_SREGS after its edit, or KVM_SET_SREGS2, and the guest does
 * nothing.  With nested paging that comes to a flush of the TLB alone.
 *
 * Breaks of KVM that make this test fail:
 *  - INVLPG only syncs tables that the guest may have written to unseen;
 *  - it compares the PTE, but not what is above;
 *  - KVM_SET_SREGS keeps shadow pages, or what the TLB holds.
 */
#include <string.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define ROUNDS		20

#define MMIO_GPA	0x80000000ull
#define MMIO_VALUE	0x4d4d494full

#define RIGHTS		(PTE_PRESENT_MASK | PTE_WRITABLE_MASK | PTE_ACCESSED_MASK | \
			 PTE_DIRTY_MASK)

/* The first three are linked to at first, each to the next; PT leads to OLD. */
enum guest_page { PDPT, PD, PT, PDPT2, PD2, PT2, OLD, NEW, NR_PAGES };

#define ROOT_INDEX	64
#define GVA		((uint64_t)ROOT_INDEX << 39)
#define OLD_VALUE	0x0111ull
#define NEW_VALUE	0x0222ull
#define FAULT_VALUE	0x0444ull

enum flush { INVLPG, SET_SREGS, SET_SREGS2, NR_FLUSHES };

static const char * const flush_name[] = {
	"INVLPG", "KVM_SET_SREGS", "KVM_SET_SREGS2"
};

static enum flush how;		/* the guest's copy */

static struct host {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint64_t *root;
	uint64_t gpa[NR_PAGES];
	uint64_t *words[NR_PAGES];
	unsigned int accesses;
	unsigned int wrong[NR_FLUSHES];
} host;

static uint64_t read_or_fault(uint64_t gva)
{
	uint64_t value, error_code;
	uint8_t vector;

	asm volatile(KVM_ASM_SAFE("mov (%[gva]), %[value]")
		     : KVM_ASM_SAFE_OUTPUTS(vector, error_code),
		       [value] "=&r"(value)
		     : [gva] "r"(gva)
		     : KVM_ASM_SAFE_CLOBBERS, "memory");
	GUEST_ASSERT(!vector || vector == PF_VECTOR);
	return vector ? FAULT_VALUE : value;
}

static void guest_main(void)
{
	for (;;) {
		if (READ_ONCE(how) == INVLPG)
			asm volatile("invlpg %0" : : "m"(*(char *)GVA) : "memory");
		GUEST_SYNC(read_or_fault(GVA));
	}
}

static void set_sregs2(struct kvm_vcpu *vcpu)
{
	struct kvm_sregs2 sregs2;

	vcpu_ioctl(vcpu, KVM_GET_SREGS2, &sregs2);
	vcpu_ioctl(vcpu, KVM_SET_SREGS2, &sregs2);
}

static void flush(enum flush flush)
{
	struct kvm_sregs sregs;

	if (flush == SET_SREGS) {
		vcpu_sregs_get(host.vcpu, &sregs);
		vcpu_sregs_set(host.vcpu, &sregs);
	} else if (flush == SET_SREGS2) {
		set_sregs2(host.vcpu);
	}
}

/* The value that the guest reads. */
static uint64_t run_guest_once(void)
{
	const uint64_t value = MMIO_VALUE;
	struct kvm_run *run = host.vcpu->run;
	struct ucall uc;

	for (;;) {
		vcpu_run(host.vcpu);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		memcpy(run->mmio.data, &value, sizeof(value));
	}
	if (get_ucall(host.vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
	TEST_ASSERT_EQ(uc.cmd, UCALL_SYNC);
	return uc.args[1];
}

static void edit(enum flush by, const char *what, uint64_t *word, uint64_t gpte,
		 uint64_t value)
{
	uint64_t got;

	WRITE_ONCE(*word, gpte);
	flush(by);
	got = run_guest_once();
	host.accesses++;
	if (got == value)
		return;
	if (!host.wrong[by]++)
		pr_info("%s, %s: the guest reads 0x%lx, not 0x%lx\n",
			flush_name[by], what, got, value);
}

static uint64_t entry_to(enum guest_page page)
{
	return host.gpa[page] | RIGHTS;
}

static void edit_pte(enum flush by)
{
	uint64_t *pte = host.words[PT];

	edit(by, "PTE: new page", pte, entry_to(NEW), NEW_VALUE);
	edit(by, "PTE: not present", pte, 0, FAULT_VALUE);
	edit(by, "PTE: old page", pte, entry_to(OLD), OLD_VALUE);
	edit(by, "PTE: MMIO", pte, MMIO_GPA | RIGHTS, MMIO_VALUE);
	edit(by, "PTE: new page after MMIO", pte, entry_to(NEW), NEW_VALUE);
	edit(by, "PTE: old page again", pte, entry_to(OLD), OLD_VALUE);
}

static void edit_link(enum flush by, const char *what, uint64_t *word,
		      enum guest_page from, enum guest_page to)
{
	edit(by, what, word, entry_to(to), NEW_VALUE);
	edit(by, what, word, entry_to(from), OLD_VALUE);
	edit(by, what, word, 0, FAULT_VALUE);
	edit(by, what, word, entry_to(from), OLD_VALUE);
}

static void test_flush(enum flush by)
{
	unsigned int round;

	write_guest_global(host.vm, how, by);
	for (round = 0; round < ROUNDS; round++) {
		edit_pte(by);
		edit_link(by, "PDE", host.words[PD], PT, PT2);
		edit_link(by, "PDPTE", host.words[PDPT], PD, PD2);
		edit_link(by, "PML4E", &host.root[ROOT_INDEX], PDPT, PDPT2);
	}
}

static void create_vm(void)
{
	int i;

	host.vm = vm_create_with_one_vcpu(&host.vcpu, guest_main);
	for (i = 0; i < NR_PAGES; i++) {
		host.gpa[i] = vm_alloc_page_table(host.vm);
		host.words[i] = addr_gpa2hva(host.vm, host.gpa[i]);
	}
	host.root = addr_gpa2hva(host.vm, host.vm->pgd);
	host.root[ROOT_INDEX] = entry_to(PDPT);
	host.words[PDPT][0] = entry_to(PD);
	host.words[PD][0] = entry_to(PT);
	host.words[PT][0] = entry_to(OLD);
	host.words[PDPT2][0] = entry_to(PD2);
	host.words[PD2][0] = entry_to(PT2);
	host.words[PT2][0] = entry_to(NEW);
	host.words[OLD][0] = OLD_VALUE;
	host.words[NEW][0] = NEW_VALUE;
}

int main(int argc, char *argv[])
{
	unsigned int wrong = 0;
	enum flush by;

	create_vm();
	for (by = 0; by < NR_FLUSHES; by++) {
		if (by == SET_SREGS2 && !kvm_has_cap(KVM_CAP_SREGS2))
			continue;
		host.accesses = 0;
		test_flush(by);
		wrong += host.wrong[by];
		pr_info("%s: %u of %u accesses by old tables\n", flush_name[by],
			host.wrong[by], host.accesses);
	}
	kvm_vm_free(host.vm);
	return wrong ? KSFT_FAIL : KSFT_PASS;
}
