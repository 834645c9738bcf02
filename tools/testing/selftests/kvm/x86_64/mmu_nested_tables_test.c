// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random and hostile nested page tables (SVM).
 *
 * L1 gives L2 nested tables that map what L2 is made of, code and page tables, one
 * to one, and that lead below some entries to the tables of mmu_hostile_region.h.
 * L2 accesses one address, and L1 is told how that ended: VMMCALL, #UD of what was
 * fetched, or #NPF.  By mmu_naive_walk.h it must be the right memory, MMIO of L1
 * or the #NPF that a CPU gives, with its error code and L2's physical address.
 *
 * Before each batch L1 or the host rewrites nested tables, the entries of the sane
 * ones included, and L1 has the TLB flushed by the VMCB.
 *
 * Protects the shadow of nested tables: shadow_*.c and guest_walk.c with the MMU
 * of a nested guest.  Breaks of KVM that make this test fail:
 *  - treat the walk of L2's access as that of a supervisor;
 *  - take the nested table's rights from the wrong level, or forget NX;
 *  - not zap the SPTE of a nested gPTE that L1 wrote, or not sync on VMRUN;
 *  - report L2's linear address, or L1's physical one, in EXITINFO2.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kvm_util.h"
#include "mmu_hostile_region.h"
#include "mmu_naive_walk.h"
#include "mmu_probe.h"
#include "processor.h"
#include "svm_util.h"
#include "test_util.h"

#define DEFAULT_BATCHES	400
#define NR_PROBES	32
#define TRIES		2	/* for anything but an #NPF */
#define MAX_PATCHES	8

#define EXITINFO1_FINAL	BIT_ULL(32)	/* not of a table of L2's */

/* Where L2 has its whole physical address space, by pages of 1G. */
#define L2_FIRST	64ull		/* in the root */
#define L2_GVA		(L2_FIRST << 39)
#define GB		BIT_ULL(30)

/* Where L1 has the two nested tables with entrances. */
#define NPT_GVA		(REGION + REGION_SIZE)
#define FIRST_GB	4ull		/* of the entrances in the second table */

static struct shared {
	unsigned int nr_patches, current;
	struct patch patches[MAX_PATCHES];
	struct probe probes[NR_PROBES];
	uint64_t nested_cr3;
} shared;

/* The guest */

static uint64_t l2_stack[64];

/* From the start for each probe.  What is fetched ends it as well. */
static void l2_main(void)
{
	struct probe *p = &shared.probes[shared.current];
	uint64_t *at = (uint64_t *)(L2_GVA + p->gva);

	if (p->access & PROBE_FETCH)
		asm volatile("jmp *%0" : : "r"(at) : "memory");
	else if (p->access & PROBE_WRITE)
		WRITE_ONCE(*at, p->value);
	else
		p->value = READ_ONCE(*at);
	vmmcall();
}

/* The probe's end is L2's: exit code, EXITINFO1 and EXITINFO2. */
static void l2_probe(struct svm_test_data *svm, struct probe *p)
{
	struct vmcb *vmcb = svm->vmcb;

	vmcb->save.rip = (uint64_t)l2_main;
	vmcb->save.rsp = (uint64_t)&l2_stack[ARRAY_SIZE(l2_stack) - 1];
	run_guest(vmcb, svm->vmcb_gpa);

	p->vector = vmcb->control.exit_code;
	p->error = vmcb->control.exit_info_1;
	p->at = p->vector == SVM_EXIT_NPF ? vmcb->control.exit_info_2 :
					    vmcb->save.rip;
}

static void l1_patch(void)
{
	unsigned int i;

	for (i = 0; i < shared.nr_patches; i++)
		write_patch(&shared.patches[i]);
}

static void l1_probes(struct svm_test_data *svm)
{
	unsigned int i;

	svm->vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	for (i = 0; i < NR_PROBES; i++) {
		WRITE_ONCE(shared.current, i);
		l2_probe(svm, &shared.probes[i]);
		svm->vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
	}
}

static void l1_main(struct svm_test_data *svm)
{
	struct vmcb_control_area *control = &svm->vmcb->control;

	generic_svm_setup(svm, NULL, NULL);
	control->intercept_exceptions = BIT(UD_VECTOR);
	control->nested_ctl = SVM_NESTED_CTL_NP_ENABLE;
	control->nested_cr3 = shared.nested_cr3;
	for (;;) {
		l1_patch();
		GUEST_SYNC(0);
		l1_probes(svm);
		GUEST_SYNC(0);
	}
}

/* The host */

static struct host {
	struct kvm_vcpu *vcpu;
	struct shared *shared;
	struct naive naive;
	struct { uint64_t gpa[NR_PROBES]; bool write[NR_PROBES]; } mmio;
	struct { uint64_t probes, faults, memory, mmio; } totals;
} host;

static void run_to_sync(void)
{
	struct kvm_run *run = host.vcpu->run;
	unsigned int current;
	struct ucall uc;

	memset(&host.mmio, 0, sizeof(host.mmio));
	for (;;) {
		vcpu_run(host.vcpu);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		answer_mmio(run);
		current = READ_ONCE(host.shared->current);
		host.mmio.gpa[current] = run->mmio.phys_addr;
		host.mmio.write[current] = run->mmio.is_write;
	}
	TEST_ASSERT_KVM_EXIT_REASON(host.vcpu, KVM_EXIT_IO);
	if (get_ucall(host.vcpu, &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
}

/* By L1, or by the host: what KVM knows has to go then. */
static void rewrite_tables(void)
{
	const bool by_host = !(guest_random_u32(&region.rng) % 3);
	unsigned int i, nr = 1 + guest_random_u32(&region.rng) % MAX_PATCHES;
	struct patch *p = host.shared->patches;

	for (i = 0; i < nr; i++) {
		if (!by_host) {
			p[i] = random_guest_patch(&region.rng, TABLES);
			continue;
		}
		p[i] = random_patch(&region.rng, guest_random_u32(&region.rng) %
						 NR_TABLE_SLOTS);
		*patched_word(&p[i]) = p[i].value;
	}
	if (by_host)
		forget_all();
	host.shared->nr_patches = by_host ? 0 : nr;
	run_to_sync();
}

/* For nested tables, each access is by a user. */
static struct outcome foretell(const struct probe *p)
{
	return naive_walk(&host.naive, p->gva, p->access | PROBE_USER);
}

/* A write leaves things as they are.  A fetch of a gPTE could do anything. */
static struct outcome random_probe(struct probe *p)
{
	struct outcome out;
	int tries = TRIES;

	do {
		*p = (struct probe) {
			.gva = random_address(&region.rng),
			.value = random_gpte(&region.rng, false),
			.access = random_access(&region.rng) &
				  (PROBE_WRITE | PROBE_FETCH),
		};
		out = foretell(p);
	} while (out.result == FAULTS && --tries);

	if ((p->access & PROBE_FETCH) &&
	    (out.result == MMIO ||
	     (out.result == MEMORY && is_table(out.gpa)))) {
		p->access &= ~PROBE_FETCH;
		out = foretell(p);
	}
	if (out.result == MEMORY)
		p->value = *host_word(out.gpa);
	return out;
}

static bool same_fault(const struct probe *p, const struct outcome *out)
{
	return p->vector == SVM_EXIT_NPF &&
	       p->error == (EXITINFO1_FINAL | out->error) &&
	       p->at / PAGE == p->gva / PAGE;
}

static bool same_memory(const struct probe *p, uint64_t gpa)
{
	const uint64_t ignore = is_table(gpa) ? AD_BITS : 0;

	if (p->access & PROBE_FETCH)
		return p->vector == SVM_EXIT_EXCP_BASE + UD_VECTOR &&
		       p->at == L2_GVA + p->gva;
	return p->vector == SVM_EXIT_VMMCALL &&
	       !((p->value ^ *host_word(gpa)) & ~ignore);
}

static bool same_mmio(const struct probe *p, int i, uint64_t gpa)
{
	const bool write = p->access & PROBE_WRITE;

	return p->vector == SVM_EXIT_VMMCALL && host.mmio.gpa[i] == gpa &&
	       host.mmio.write[i] == write &&
	       (write || p->value == mmio_value(gpa));
}

static bool as_foretold(const struct probe *p, int i, const struct outcome *out)
{
	switch (out->result) {
	case FAULTS:
		host.totals.faults++;
		return same_fault(p, out);
	case MEMORY:
		host.totals.memory++;
		return same_memory(p, out->gpa);
	default:
		host.totals.mmio++;
		return same_mmio(p, i, out->gpa);
	}
}

static void report(const struct probe *p, int i, const struct outcome *out)
{
	static const char * const what[] = { "#NPF", "memory", "MMIO" };

	pr_info("L2's gpa 0x%lx access 0x%x: exit 0x%x, 0x%lx, 0x%lx value 0x%lx mmio 0x%lx\n",
		p->gva, p->access, p->vector, p->error, p->at, p->value,
		host.mmio.gpa[i]);
	host.naive.print = true;
	naive_walk(&host.naive, p->gva, p->access | PROBE_USER);
	pr_info("must be: %s, error 0x%x, L1's gpa 0x%lx, word 0x%lx\n",
		what[out->result], out->error, out->gpa,
		out->result == MEMORY ? *host_word(out->gpa) : 0);
}

static void run_batch(unsigned int batch)
{
	struct outcome outcomes[NR_PROBES];
	unsigned int i;

	for (i = 0; i < NR_PROBES; i++)
		outcomes[i] = random_probe(&host.shared->probes[i]);
	run_to_sync();

	for (i = 0; i < NR_PROBES; i++) {
		const struct probe *p = &host.shared->probes[i];

		host.totals.probes++;
		if (as_foretold(p, i, &outcomes[i]))
			continue;
		report(p, i, &outcomes[i]);
		TEST_FAIL("batch %u, probe %u", batch, i);
	}
}

/* Set-up */

/* L2's tables: L1's, and below two entries its gpas one to one. */
static void create_l2_tables(struct kvm_vm *vm)
{
	const uint64_t rights = PTE_PRESENT_MASK | PTE_WRITABLE_MASK;
	uint64_t *root = addr_gpa2hva(vm, vm->pgd);
	uint64_t i, gb, *table;
	vm_paddr_t gpa;

	for (i = 0; i < 2; i++) {
		gpa = vm_alloc_page_table(vm);
		root[L2_FIRST + i] = gpa | rights;
		table = addr_gpa2hva(vm, gpa);
		for (gb = 0; gb < PAGE_WORDS; gb++)
			table[gb] = (i * PAGE_WORDS + gb) * GB | rights |
				    PTE_LARGE_MASK;
	}
}

static uint64_t npt_link(uint64_t gpa)
{
	return gpa | PTE_PRESENT_MASK | PTE_WRITABLE_MASK | PTE_USER_MASK;
}

/* The root, a table of 1G per entry, and one for the first 1G. */
static vm_paddr_t create_npt(struct kvm_vm *vm)
{
	const vm_paddr_t gpa[] = {
		vm_alloc_page_table(vm), vm_alloc_page_table(vm),
		vm_alloc_page_table(vm),
	};
	uint64_t *low = addr_gpa2hva(vm, gpa[2]);
	uint64_t i;

	*(uint64_t *)addr_gpa2hva(vm, gpa[0]) = npt_link(gpa[1]);
	*(uint64_t *)addr_gpa2hva(vm, gpa[1]) = npt_link(gpa[2]);
	for (i = 0; i < PAGE_WORDS; i++)
		low[i] = npt_link(i * SIZE_2M) | PTE_LARGE_MASK;

	virt_map(vm, NPT_GVA, gpa[0], 1);
	virt_map(vm, NPT_GVA + PAGE, gpa[1], 1);
	return gpa[0];
}

/* One in the root, if L2's addresses are so wide. */
static void create_entrances(struct kvm_vm *vm)
{
	uint64_t i;

	for (i = 0; i < NR_ENTRANCES; i++)
		common.entrances[i] = (struct entrance) {
			.gva = NPT_GVA + PAGE + (FIRST_GB + i) * WORD,
			.prefix = (FIRST_GB + i) * GB,
			.levels = 2,
		};
	if (vm->pa_bits >= 40)
		common.entrances[0] = (struct entrance) {
			NPT_GVA + WORD, BIT_ULL(39), 3
		};
}

static void create_vm(uint32_t seed)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(&host.vcpu, l1_main);
	vm_vaddr_t svm;

	host.shared = addr_gva2hva(vm, (vm_vaddr_t)&shared);
	host.shared->nested_cr3 = create_npt(vm);
	host.naive = (struct naive) {
		.cr0 = X86_CR0_WP,
		.efer = EFER_NX,
		.pgd = host.shared->nested_cr3,
		.pa_bits = vm->pa_bits,
		.gb_pages = true,
		.word = host_word,
		.read_only = is_read_only,
	};
	create_l2_tables(vm);
	create_entrances(vm);
	create_region(vm, seed);
	vcpu_alloc_svm(vm, &svm);
	vcpu_args_set(host.vcpu, 1, svm);
}

int main(int argc, char *argv[])
{
	const struct options options = parse_options(argc, argv, DEFAULT_BATCHES);
	unsigned int batch;

	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_SVM));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_NPT));
	TEST_REQUIRE(kvm_cpu_has(X86_FEATURE_GBPAGES));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_READONLY_MEM));
	pr_info("seed: %u\n", options.seed);
	create_vm(options.seed);

	fill_all();
	for (batch = 0; batch < options.batches; batch++) {
		if (!(guest_random_u32(&region.rng) % 8))
			set_slot(FICKLE, !region.fickle_there);
		rewrite_tables();
		run_batch(batch);
	}
	check_data();
	kvm_vm_free(region.vm);
	pr_info("probes: %lu, of these #NPF: %lu, memory: %lu, MMIO: %lu\n",
		host.totals.probes, host.totals.faults, host.totals.memory,
		host.totals.mmio);
	return KSFT_PASS;
}
