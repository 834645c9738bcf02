// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random and hostile guest page tables.
 *
 * A region of guest memory consists of slots and of holes.  Its tables are full
 * of random gPTEs that point into it: loops, a table at several levels, reserved
 * bits, huge pages of any alignment, tables in a hole, in a read-only slot and in
 * one that comes and goes.  They hang below some entries of a sane root, so the
 * guest lives through whatever they say.
 *
 * While nothing changes, each access must end as mmu_naive_walk.h foretells: with
 * the value that the host sees there, with a #PF and its error code, or as MMIO.
 * Between the batches of accesses, tables are rewritten by this vCPU, by another
 * one or by the host; the registers that matter to paging change as well.  What
 * the host writes is none of KVM's business with shadow paging, so the slots go and
 * come back then, and the root is left to the guest.
 *
 * In the storms everything changes at once.  There each access must end somehow,
 * and reach nothing but the region: every word has a tag, and slots that stay are
 * never MMIO.
 *
 * Protects guest_walk.c, permission.c, and the whole of shadow paging.  Breaks of
 * KVM that make this test fail:
 *  - look a shadow page up by its gfn without its role: access, level, direct;
 *  - not zap the SPTE of a gPTE that the emulator wrote (shadow_track_write());
 *  - let a flush leave an unsync page as it is (shadow_sync_children());
 *  - check reserved bits, CR0.WP, SMEP or SMAP wrongly, or with old registers;
 *  - keep SPTEs of a slot that is gone.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_util.h"
#include "mmu_hostile_region.h"
#include "mmu_naive_walk.h"
#include "mmu_probe.h"
#include "processor.h"
#include "test_util.h"

#define DEFAULT_BATCHES	240
#define STORMS		4
#define STORM_BATCHES	200	/* of both vCPUs */
#define STORM_TIMEOUT_S	60

#define NR_PROBES	32
#define TRIES		3	/* for anything but a #PF */
#define MAX_PATCHES	8
#define NR_VCPUS	2

#define ROOT_GVA	(REGION + REGION_SIZE)
#define FIRST_ENTRANCE	16		/* in the root */

enum command { PATCH, PROBE, STORM };

static struct shared {
	enum command command[NR_VCPUS];
	unsigned int nr_patches, current;
	struct patch patches[MAX_PATCHES];
	struct probe probes[NR_PROBES];
	struct probe_cpu cpu[NR_VCPUS];

	unsigned int seed[NR_VCPUS], stop;
	uint64_t done[NR_VCPUS];	/* batches of a storm */
} shared;

/* The guest */

/* PGE, as some gPTEs are global. */
static void guest_flush(void)
{
	const uint64_t cr4 = get_cr4();

	if (cr4 & X86_CR4_PGE) {
		set_cr4(cr4 & ~X86_CR4_PGE);
		set_cr4(cr4);
	} else {
		asm volatile("mov %0, %%cr3" : : "r"(get_cr3()) : "memory");
	}
}

static void guest_probes(struct probe_cpu *cpu)
{
	unsigned int i;

	guest_flush();
	for (i = 0; i < NR_PROBES; i++) {
		WRITE_ONCE(shared.current, i);
		guest_probe(cpu, &shared.probes[i]);
	}
}

/* What was read is from the region, or from the host as MMIO. */
static void judge_storm(const struct probe *p)
{
	const uint64_t tag = p->value & TAG_MASK;

	if (p->vector == PROBE_FAULT)
		GUEST_ASSERT_EQ(p->at, p->gva);
	else
		GUEST_ASSERT_EQ(p->vector, PROBE_DONE);
	if (p->vector == PROBE_DONE && tag != TAG_GPTE && tag != TAG_DATA &&
	    tag != TAG_MMIO)
		GUEST_FAIL("gva 0x%lx: 0x%lx is of no slot", p->gva, p->value);
}

/* No fetch: nobody knows what is there. */
static void storm_batch(struct probe_cpu *cpu, struct guest_random_state *rng)
{
	const int slot = guest_random_bool(rng) ? TABLES : FICKLE;
	struct patch patch = random_guest_patch(rng, slot);
	struct probe p;
	int i;

	write_patch(&patch);
	if (guest_random_bool(rng))
		guest_flush();
	for (i = 0; i < 8; i++) {
		p = (struct probe) {
			.gva = random_address(rng),
			.value = random_gpte(rng, false),
			.access = random_access(rng) & ~PROBE_FETCH,
		};
		guest_probe(cpu, &p);
		judge_storm(&p);
	}
}

static void guest_storm(int id)
{
	struct guest_random_state rng = new_guest_random_state(shared.seed[id]);

	while (!READ_ONCE(shared.stop)) {
		storm_batch(&shared.cpu[id], &rng);
		WRITE_ONCE(shared.done[id], shared.done[id] + 1);
	}
}

static void guest_main(int id)
{
	unsigned int i;

	for (;;) {
		switch (READ_ONCE(shared.command[id])) {
		case PATCH:
			for (i = 0; i < shared.nr_patches; i++)
				write_patch(&shared.patches[i]);
			break;
		case PROBE:
			guest_probes(&shared.cpu[id]);
			break;
		case STORM:
			guest_storm(id);
			break;
		}
		GUEST_SYNC(0);
	}
}

/* The host: vCPUs */

static struct host {
	struct kvm_vcpu *vcpu[NR_VCPUS];
	struct shared *shared;
	struct naive naive;
	struct { uint64_t gpa[NR_PROBES]; bool write[NR_PROBES]; } mmio;
	struct { uint64_t probes, faults, memory, mmio, unknown; } totals;
} host;

static void run_command(int id, enum command command)
{
	struct kvm_run *run = host.vcpu[id]->run;
	unsigned int current;
	struct ucall uc;

	WRITE_ONCE(host.shared->command[id], command);
	for (;;) {
		vcpu_run(host.vcpu[id]);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		answer_mmio(run);
		if (command == PROBE) {
			current = READ_ONCE(host.shared->current);
			host.mmio.gpa[current] = run->mmio.phys_addr;
			host.mmio.write[current] = run->mmio.is_write;
		}
	}
	TEST_ASSERT(run->exit_reason == KVM_EXIT_IO, "vCPU %d: exit %s", id,
		    exit_reason_str(run->exit_reason));
	if (get_ucall(host.vcpu[id], &uc) == UCALL_ABORT)
		REPORT_GUEST_ASSERT(uc);
}

/* A batch while nothing changes. */

static void random_registers(void)
{
	const uint64_t cr4_bits = X86_CR4_PGE |
		(kvm_cpu_has(X86_FEATURE_SMEP) ? X86_CR4_SMEP : 0) |
		(kvm_cpu_has(X86_FEATURE_SMAP) ? X86_CR4_SMAP : 0);
	const uint64_t random = guest_random_u64(&region.rng);
	struct kvm_sregs sregs;

	vcpu_sregs_get(host.vcpu[0], &sregs);
	sregs.cr0 = (sregs.cr0 & ~X86_CR0_WP) | (random & X86_CR0_WP);
	sregs.cr4 = (sregs.cr4 & ~cr4_bits) | (random & cr4_bits);
	vcpu_sregs_set(host.vcpu[0], &sregs);

	host.naive.cr0 = sregs.cr0;
	host.naive.cr4 = sregs.cr4;
	host.naive.efer = sregs.efer;
}

static void rewrite_by_host(unsigned int nr)
{
	struct patch p;

	while (nr--) {
		p = random_patch(&region.rng,
				 guest_random_u32(&region.rng) % NR_TABLE_SLOTS);
		*patched_word(&p) = p.value;
	}
	forget_all();
}

static void rewrite_by_vcpu(unsigned int nr, int id)
{
	struct patch *p = host.shared->patches;
	unsigned int i;

	for (i = 0; i < nr; i++)
		p[i] = random_guest_patch(&region.rng, TABLES);
	host.shared->nr_patches = nr;
	run_command(id, PATCH);
	TEST_ASSERT(*patched_word(&p[nr - 1]) == p[nr - 1].value,
		    "vCPU %d wrote 0x%lx to 0x%lx, not 0x%lx", id,
		    *patched_word(&p[nr - 1]), p[nr - 1].gva, p[nr - 1].value);
}

static void rewrite_tables(void)
{
	const unsigned int by = guest_random_u32(&region.rng) % (NR_VCPUS + 1);
	const unsigned int nr = 1 + guest_random_u32(&region.rng) % MAX_PATCHES;

	if (by == NR_VCPUS)
		rewrite_by_host(nr);
	else
		rewrite_by_vcpu(nr, by);
}

/*
 * A write writes what is there, so that the tables stay as they are.  A fetch is
 * of data: what a gPTE would do is unknown.
 */
static struct outcome random_probe(struct probe *p)
{
	struct outcome out;
	int tries = TRIES;

	do {
		*p = (struct probe) {
			.gva = random_address(&region.rng),
			.value = random_gpte(&region.rng, false),
			.access = random_access(&region.rng),
		};
		out = naive_walk(&host.naive, p->gva, p->access);
	} while (out.result == FAULTS && --tries);

	if ((p->access & PROBE_FETCH) &&
	    (out.result == UNKNOWN || out.result == MMIO ||
	     (out.result == MEMORY && is_table(out.gpa)))) {
		p->access &= ~PROBE_FETCH;
		out = naive_walk(&host.naive, p->gva, p->access);
	}
	if ((p->access & PROBE_WRITE) && out.result == UNKNOWN) {
		p->access &= ~PROBE_WRITE;
		out = naive_walk(&host.naive, p->gva, p->access);
	}
	if (out.result == MEMORY)
		p->value = *host_word(out.gpa);
	return out;
}

static bool same_memory(const struct probe *p, uint64_t gpa)
{
	const uint64_t ignore = is_table(gpa) ? AD_BITS : 0;

	if (p->access & PROBE_FETCH)
		return p->vector == PROBE_FETCHED && p->at == p->gva;
	return p->vector == PROBE_DONE &&
	       !((p->value ^ *host_word(gpa)) & ~ignore);
}

static bool same_mmio(const struct probe *p, int i, uint64_t gpa)
{
	const bool write = p->access & PROBE_WRITE;

	return p->vector == PROBE_DONE && host.mmio.gpa[i] == gpa &&
	       host.mmio.write[i] == write &&
	       (write || p->value == mmio_value(gpa));
}

static bool as_foretold(const struct probe *p, int i, const struct outcome *out)
{
	switch (out->result) {
	case FAULTS:
		host.totals.faults++;
		return p->vector == PROBE_FAULT && p->at == p->gva &&
		       same_error(&host.naive, p->error, out->error);
	case MEMORY:
		host.totals.memory++;
		return same_memory(p, out->gpa);
	case MMIO:
		host.totals.mmio++;
		return same_mmio(p, i, out->gpa);
	default:
		host.totals.unknown++;
		return true;
	}
}

static void report(const struct probe *p, int i, const struct outcome *out)
{
	static const char * const what[] = { "#PF", "memory", "MMIO" };

	pr_info("gva 0x%lx access 0x%x: vector %u error 0x%lx at 0x%lx value 0x%lx mmio 0x%lx\n",
		p->gva, p->access, p->vector, p->error, p->at, p->value,
		host.mmio.gpa[i]);
	pr_info("must be: %s, error 0x%x, gpa 0x%lx, word 0x%lx\n",
		what[out->result], out->error, out->gpa,
		out->result == MEMORY ? *host_word(out->gpa) : 0);
	host.naive.print = true;
	naive_walk(&host.naive, p->gva, p->access);
	pr_info("cr0 0x%lx cr4 0x%lx efer 0x%lx\n", host.naive.cr0,
		host.naive.cr4, host.naive.efer);
}

static void run_batch(unsigned int batch)
{
	struct outcome outcomes[NR_PROBES];
	unsigned int i;

	for (i = 0; i < NR_PROBES; i++)
		outcomes[i] = random_probe(&host.shared->probes[i]);
	memset(&host.mmio, 0, sizeof(host.mmio));
	run_command(0, PROBE);

	for (i = 0; i < NR_PROBES; i++) {
		const struct probe *p = &host.shared->probes[i];

		host.totals.probes++;
		if (as_foretold(p, i, &outcomes[i]))
			continue;
		report(p, i, &outcomes[i]);
		TEST_FAIL("batch %u, probe %u", batch, i);
	}
}

static void run_quiet(unsigned int batches)
{
	unsigned int batch;

	fill_all();
	for (batch = 0; batch < batches; batch++) {
		if (!(batch % 8))
			random_registers();
		if (!(guest_random_u32(&region.rng) % 8))
			set_slot(FICKLE, !region.fickle_there);
		rewrite_tables();
		run_batch(batch);
	}
	check_data();
}

/* A storm */

static void *storm_thread(void *id)
{
	run_command((long)id, STORM);
	return NULL;
}

static void storm_change(void)
{
	struct patch p = random_patch(&region.rng, guest_random_u32(&region.rng) % NR_TABLE_SLOTS);

	WRITE_ONCE(*patched_word(&p), p.value);
	if (!(guest_random_u32(&region.rng) % 64))
		set_slot(FICKLE, !region.fickle_there);
	if (!(guest_random_u32(&region.rng) % 16))
		usleep(500);
}

static void run_storm(void)
{
	struct shared *sh = host.shared;
	const time_t end = time(NULL) + STORM_TIMEOUT_S;
	pthread_t threads[NR_VCPUS];
	long id;

	WRITE_ONCE(sh->stop, 0);
	for (id = 0; id < NR_VCPUS; id++) {
		sh->done[id] = 0;
		sh->seed[id] = guest_random_u32(&region.rng);
		pthread_create(&threads[id], NULL, storm_thread, (void *)id);
	}
	while (READ_ONCE(sh->done[0]) + READ_ONCE(sh->done[1]) < STORM_BATCHES) {
		storm_change();
		TEST_ASSERT(time(NULL) < end, "the guest hangs: %lu and %lu batches",
			    sh->done[0], sh->done[1]);
	}
	WRITE_ONCE(sh->stop, 1);
	for (id = 0; id < NR_VCPUS; id++)
		pthread_join(threads[id], NULL);
}

/* Set-up */

static void create_entrances(struct kvm_vm *vm)
{
	uint64_t i;

	virt_map(vm, ROOT_GVA, vm->pgd, 1);
	for (i = 0; i < NR_ENTRANCES; i++)
		common.entrances[i] = (struct entrance) {
			.gva = ROOT_GVA + (FIRST_ENTRANCE + i) * WORD,
			.prefix = (FIRST_ENTRANCE + i) << 39,
			.levels = 3,
		};
}

/*
 * EFER.NX stays: KVM's shadow pages know NX even if the guest does not, and what
 * was mapped with it is used without.
 */
static void choose_nx(void)
{
	const bool nx = guest_random_u32(&region.rng) % 4;
	struct kvm_sregs sregs;
	int id;

	for (id = 0; !nx && id < NR_VCPUS; id++) {
		vcpu_sregs_get(host.vcpu[id], &sregs);
		sregs.efer &= ~EFER_NX;
		vcpu_sregs_set(host.vcpu[id], &sregs);
	}
}

static void create_vm(uint32_t seed)
{
	struct kvm_vm *vm = vm_create_with_vcpus(NR_VCPUS, guest_main, host.vcpu);
	int id;

	host.shared = addr_gva2hva(vm, (vm_vaddr_t)&shared);
	host.naive = (struct naive) {
		.pgd = vm->pgd,
		.pa_bits = vm->pa_bits,
		.tdp = kvm_is_tdp_enabled(),
		.gb_pages = kvm_cpu_has(X86_FEATURE_GBPAGES),
		.word = host_word,
		.read_only = is_read_only,
	};
	create_entrances(vm);
	create_region(vm, seed);
	choose_nx();
	probe_init_vm(vm);
	for (id = 0; id < NR_VCPUS; id++) {
		vcpu_args_set(host.vcpu[id], 1, (uint64_t)id);
		probe_init_vcpu(vm, host.vcpu[id]);
	}
}

int main(int argc, char *argv[])
{
	const struct options options = parse_options(argc, argv, DEFAULT_BATCHES);
	unsigned int i;

	TEST_REQUIRE(kvm_check_cap(KVM_CAP_READONLY_MEM));
	pr_info("seed: %u\n", options.seed);
	create_vm(options.seed);

	for (i = 0; i < STORMS; i++) {
		run_quiet(DIV_ROUND_UP(options.batches, STORMS));
		run_storm();
	}
	kvm_vm_free(region.vm);
	pr_info("probes: %lu, of these #PF: %lu, memory: %lu, MMIO: %lu, unknown: %lu\n",
		host.totals.probes, host.totals.faults, host.totals.memory,
		host.totals.mmio, host.totals.unknown);
	return KSFT_PASS;
}
