// SPDX-License-Identifier: GPL-2.0-only
/*
 * No write of a running guest may be missing in the dirty log.
 *
 * All vCPUs write to the same pages, each vCPU to its own word, while the main
 * thread collects the dirty log again and again: that takes W from the SPTEs,
 * and the fast page fault gives it back without mmu_lock.  Then the vCPUs stop,
 * the log is collected for the last time, and every page that has changed since
 * it was last reported must be in that log.
 *
 * What a page held when it was reported is read after the log was collected,
 * i.e. when a write to the page faults again: any later change has to be
 * reported again.  Only a stop allows to judge, as KVM may mark a page dirty
 * after another vCPU has written to it through the same SPTE.
 *
 * Once more with the vCPUs still stopped, the log must be empty, or it would
 * pass this test by reporting all pages at all times.
 *
 * At times dirty logging is switched off and on, so that the SPTEs become huge
 * and are split again.  The modes are KVM_GET_DIRTY_LOG, KVM_CLEAR_DIRTY_LOG
 * without and with an initially full log, and the dirty ring.
 *
 * Breaks of KVM that make this test fail:
 *  - mark the page before the cmpxchg of the fast page fault sets W, or not at
 *    all: the collection comes in between;
 *  - take W from an SPTE without an atomic exchange, or not from all that map
 *    the page, or clear the bit of a page and leave W;
 *  - switch dirty logging on without taking W from what is mapped;
 *  - let the fast page fault give W to a huge SPTE of a logged slot.
 */
#include "mmu_race.h"

#include <asm/barrier.h>

#define SLOT		10
#define GPA		0xc0000000ull
#define NR_PAGES	512
#define CHUNK		64	/* pages for one KVM_CLEAR_DIRTY_LOG */
#define RING_ENTRIES	2048
#define MAX_COLLECTIONS	4	/* in a round */
#define RELOG_ROUNDS	8
#define MAX_DELAY_US	1000

enum mode { BITMAP, CLEAR, INITIALLY_SET, RING, NR_MODES };

static const char * const mode_name[] = {
	"bitmap", "manual protect", "manual protect, initially set", "ring",
};

static struct shared {
	uint64_t stop, seed;
	uint64_t writes[MAX_VCPUS];
} shared;

static struct race {
	enum mode mode;
	struct kvm_vm *vm;
	struct shared *shared;
	struct guest_random_state rng;
	uint8_t *mem;
	uint64_t reported[NR_PAGES][MAX_VCPUS];	/* the words then */
	unsigned long log[BITS_TO_LONGS(NR_PAGES)];
} race;

static struct totals {
	uint64_t rounds, collections, reported, fast, writes, lost, repeated;
} totals;

/* Guest */

static void guest_main(uint64_t vcpu)
{
	struct guest_random_state rng = random_of(shared.seed, vcpu);
	uint64_t page, count = 0;

	for (;;) {
		while (!READ_ONCE(shared.stop)) {
			page = guest_random_u32(&rng) % NR_PAGES;
			WRITE_ONCE(((uint64_t *)(GPA + page * PAGE_BYTES))[vcpu],
				   ++count);
		}
		shared.writes[vcpu] = count;
		GUEST_SYNC(0);
	}
}

/* The log: on return race.log has the pages, and writes to them fault. */

static void clear_log(void)
{
	int first, chunk = guest_random_bool(&race.rng) ? CHUNK : NR_PAGES;

	for (first = 0; first < NR_PAGES; first += chunk)
		kvm_vm_clear_dirty_log(race.vm, SLOT,
				       race.log + first / BITS_PER_LONG, first,
				       chunk);
}

static uint32_t harvest_ring(struct kvm_vcpu *vcpu)
{
	struct kvm_dirty_gfn *gfns = vcpu_map_dirty_ring(vcpu), *gfn;
	uint32_t nr;

	for (nr = 0; nr < RING_ENTRIES; nr++) {
		gfn = &gfns[vcpu->fetch_index % RING_ENTRIES];
		/* KVM writes slot and offset first. */
		if (smp_load_acquire(&gfn->flags) != KVM_DIRTY_GFN_F_DIRTY)
			break;
		TEST_ASSERT(gfn->slot == SLOT && gfn->offset < NR_PAGES,
			    "Not a page: slot %u offset %llu", gfn->slot,
			    gfn->offset);
		__set_bit(gfn->offset, race.log);
		/* KVM may write the entry again. */
		smp_store_release(&gfn->flags, KVM_DIRTY_GFN_F_RESET);
		vcpu->fetch_index++;
	}
	return nr;
}

static void collect_rings(void)
{
	uint32_t nr = 0;
	unsigned int i;

	memset(race.log, 0, sizeof(race.log));
	for (i = 0; i < workers.nr; i++)
		nr += harvest_ring(workers.all[i].vcpu);
	TEST_ASSERT_EQ(kvm_vm_reset_dirty_ring(race.vm), nr);
}

static void collect_log(void)
{
	if (race.mode == RING) {
		collect_rings();
	} else {
		kvm_vm_get_dirty_log(race.vm, SLOT, race.log);
		if (race.mode != BITMAP)
			clear_log();
	}
	totals.collections++;
	totals.reported += count_pages(race.log, NR_PAGES);
}

/* Rounds */

static uint64_t *page_words(int page)
{
	return (uint64_t *)(race.mem + page * PAGE_BYTES);
}

static void remember_page(int page)
{
	int i;

	for (i = 0; i < MAX_VCPUS; i++)
		race.reported[page][i] = READ_ONCE(page_words(page)[i]);
}

static void remember_reported(void)
{
	int page;

	for (page = 0; page < NR_PAGES; page++)
		if (test_bit(page, race.log))
			remember_page(page);
}

/* What was written while logging was off is nobody's business. */
static void relog(void)
{
	int page;

	vm_set_user_memory_region(race.vm, SLOT, 0, GPA, NR_PAGES * PAGE_BYTES,
				  race.mem);
	random_delay(&race.rng, MAX_DELAY_US);
	vm_set_user_memory_region(race.vm, SLOT, KVM_MEM_LOG_DIRTY_PAGES, GPA,
				  NR_PAGES * PAGE_BYTES, race.mem);
	for (page = 0; page < NR_PAGES; page++)
		remember_page(page);
}

static void judge_page(int page)
{
	if (test_bit(page, race.log) ||
	    !memcmp(page_words(page), race.reported[page],
		    sizeof(race.reported[page])))
		return;
	if (!totals.lost++)
		pr_info("lost: page %d, mode '%s', round %lu\n", page,
			mode_name[race.mode], totals.rounds);
}

static void judge(void)
{
	int page;

	collect_log();
	for (page = 0; page < NR_PAGES; page++)
		judge_page(page);
	remember_reported();

	collect_log();
	totals.repeated += count_pages(race.log, NR_PAGES);
}

static void run_round(void)
{
	int i, nr = guest_random_u32(&race.rng) % MAX_COLLECTIONS;

	if (guest_random_u32(&race.rng) % RELOG_ROUNDS == 0)
		relog();
	for (i = 0; i <= nr; i++) {
		random_delay(&race.rng, MAX_DELAY_US);
		collect_log();
		remember_reported();
	}
	random_delay(&race.rng, MAX_DELAY_US);
	park_workers();
	judge();
	unpark_workers();
	totals.rounds++;
}

/* Set-up and results */

static bool mode_supported(void)
{
	int manual = kvm_check_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2);

	switch (race.mode) {
	case CLEAR:
		return manual & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	case INITIALLY_SET:
		return manual & KVM_DIRTY_LOG_INITIALLY_SET;
	case RING:
		return kvm_has_cap(KVM_CAP_DIRTY_LOG_RING) ||
		       kvm_has_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL);
	default:
		return true;
	}
}

/* The ring has to be there before the first vCPU. */
static void enable_mode(void)
{
	switch (race.mode) {
	case CLEAR:
		vm_enable_cap(race.vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
		break;
	case INITIALLY_SET:
		vm_enable_cap(race.vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
			      KVM_DIRTY_LOG_INITIALLY_SET);
		break;
	case RING:
		vm_enable_dirty_ring(race.vm, RING_ENTRIES *
				     sizeof(struct kvm_dirty_gfn));
		break;
	default:
		break;
	}
}

static void start_vm(const struct options *opts)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	unsigned int i;

	race.vm = __vm_create(VM_SHAPE_DEFAULT, opts->nr_vcpus, NR_PAGES);
	enable_mode();
	for (i = 0; i < opts->nr_vcpus; i++)
		vcpus[i] = vm_vcpu_add(race.vm, i, guest_main);

	memset(race.mem, 0, NR_PAGES * PAGE_BYTES);
	virt_map(race.vm, GPA, GPA, NR_PAGES);
	race.rng = random_of(opts->seed, MAX_VCPUS);
	race.shared = addr_gva2hva(race.vm, (vm_vaddr_t)&shared);
	race.shared->seed = opts->seed;
	relog();
	start_workers(vcpus, opts->nr_vcpus, &race.shared->stop, "pf_fast");
}

static void run_mode(const struct options *opts)
{
	uint64_t end = now_ms() + opts->seconds * 1000ull / NR_MODES;
	unsigned int i;

	if (!mode_supported()) {
		pr_info("%s: skipped, KVM cannot\n", mode_name[race.mode]);
		return;
	}
	totals = (struct totals) {};
	start_vm(opts);
	while (now_ms() < end)
		run_round();
	park_workers();
	totals.fast = read_stats();
	for (i = 0; i < workers.nr; i++)
		totals.writes += race.shared->writes[i];
	end_workers();
	kvm_vm_free(race.vm);

	pr_info("%s: %lu writes, %lu fast page faults, %lu rounds, %lu collections of %lu pages\n",
		mode_name[race.mode], totals.writes, totals.fast, totals.rounds,
		totals.collections, totals.reported);
	TEST_ASSERT(!totals.lost, "%lu written pages were not in the log",
		    totals.lost);
	TEST_ASSERT(!totals.repeated,
		    "%lu pages were in the log though nobody wrote to them",
		    totals.repeated);
	TEST_ASSERT(totals.reported, "the log was always empty");
}

int main(int argc, char *argv[])
{
	struct options opts = { .seconds = 12, .nr_vcpus = 4, .seed = 1 };

	parse_options(&opts, argc, argv);
	race.mem = map_memory(NR_PAGES * PAGE_BYTES, MADV_HUGEPAGE);
	for (race.mode = 0; race.mode < NR_MODES; race.mode++)
		run_mode(&opts);
	return KSFT_PASS;
}
