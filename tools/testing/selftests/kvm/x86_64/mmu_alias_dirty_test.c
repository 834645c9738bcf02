// SPDX-License-Identifier: GPL-2.0-only
/*
 * A write is logged for the gfn that it went through, also when the guest's PTE
 * changes to another gfn of the same memory.
 *
 * Two slots, X and Y, are backed by the same host memory.  The guest has PTEs
 * that it flips between the gfns of X and of Y.  With shadow paging (npt=0,
 * ept=0) the SPTE of such a PTE looks the same for both, once dirty logging has
 * taken W away, so a comparison does not tell which gfn it stands for: the ABA
 * problem of the fast page fault (Documentation/virt/kvm/locking.rst).  With
 * nested paging each gfn has its own SPTE.
 *
 * All vCPUs write through all PTEs, while the main thread collects both logs.
 * A page's PTE is flipped only by the vCPU that owns the page:
 *
 *	owner				any vCPU
 *	seq++ (odd)			read seq, even: says which gfn
 *	write the PTE			INVLPG
 *	INVLPG				write the page, MFENCE
 *	seq++ (even)			read seq: the same?
 *
 * If seq is the same, the PTE was not written between the two reads, as its
 * writes lie between changes of seq and x86 keeps stores in order.  The INVLPG
 * after the first read dropped what the TLB had, and the translation that the
 * write used was made before the second read, so it was made from this very
 * PTE: there is no doubt about the gfn.  Other writes are not judged, they only
 * provoke faults.
 *
 * A write is recorded after it was made, with the number of collections that
 * were complete before it.  So the record says at least which collection must
 * report the page for that gfn, that one or a later one.  It is judged when all
 * vCPUs have stopped and both logs were collected for the last time.  Once more
 * they must be empty.
 *
 * Breaks of KVM that make this test fail:
 *  - INVLPG, or the emulation of the write to the PTE, keeps an SPTE whose pfn
 *    and access stay the same, although the gfn does not;
 *  - the fast page fault marks the gfn that the guest's tables gave when it
 *    began, not that of the SPTE to which it gave W (rarely: the PTE has to
 *    change in between, and the log to be collected);
 *  - the rmap of one gfn has an SPTE of the other, so W stays.
 */
#include "mmu_race.h"

#define SLOT		10
#define VA		0xe0000000ull
#define TABLE_VA	0xf0000000ull
#define NR_PAGES	16
#define SIZE		(NR_PAGES * PAGE_BYTES)
#define FLIP_ONE_IN	4
#define MAX_COLLECTIONS	32	/* in a round */
#define MAX_DELAY_US	200

/* Nothing is left for the walk to set. */
#define PTE_BITS	(PTE_PRESENT_MASK | PTE_WRITABLE_MASK | \
			 PTE_ACCESSED_MASK | PTE_DIRTY_MASK)

enum alias { X, Y, NR_ALIASES };

static const uint64_t alias_gpa[] = { 0xc0000000ull, 0xd0000000ull };

/* The collections that have to report a page; those before need not. */
typedef uint64_t collection_nrs[NR_PAGES][NR_ALIASES];

static struct shared {
	uint64_t stop, seed, nr_vcpus;
	uint64_t *ptes;			/* the guest's address of them */
	uint64_t seq[NR_PAGES];		/* bit 1: the alias, bit 0: it changes */
	uint64_t collections[NR_ALIASES];	/* complete ones */
	collection_nrs written[MAX_VCPUS];
	uint64_t flips[MAX_VCPUS], judged[MAX_VCPUS], others[MAX_VCPUS];
} shared;

static struct race {
	bool manual;
	struct kvm_vm *vm;
	struct shared *shared;
	struct guest_random_state rng;
	uint8_t *mem;
	collection_nrs reported;
	unsigned long log[BITS_TO_LONGS(NR_PAGES)];
} race;

static struct totals {
	uint64_t rounds, collections, reported, lost, repeated;
} totals;

/* Guest */

static enum alias alias_of(uint64_t seq)
{
	return seq >> 1 & 1;
}

static uint64_t *page_words(uint64_t page)
{
	return (uint64_t *)(VA + page * PAGE_BYTES);
}

static void flush_page(void *addr)
{
	asm volatile("invlpg %0" : : "m"(*(char *)addr) : "memory");
}

static void flip(uint64_t page)
{
	uint64_t seq = shared.seq[page];
	uint64_t gpa = alias_gpa[alias_of(seq + 2)] + page * PAGE_BYTES;

	WRITE_ONCE(shared.seq[page], seq + 1);
	WRITE_ONCE(shared.ptes[page], gpa | PTE_BITS);
	flush_page(page_words(page));
	WRITE_ONCE(shared.seq[page], seq + 2);
}

static void write_and_judge(uint64_t vcpu, uint64_t page, uint64_t value)
{
	uint64_t seq = READ_ONCE(shared.seq[page]);
	enum alias alias = alias_of(seq);
	uint64_t complete = READ_ONCE(shared.collections[alias]);

	if (seq & 1)
		return;
	flush_page(page_words(page));
	WRITE_ONCE(page_words(page)[vcpu], value);
	asm volatile("mfence" : : : "memory");
	if (READ_ONCE(shared.seq[page]) != seq)
		return;
	WRITE_ONCE(shared.written[vcpu][page][alias], complete + 1);
	shared.judged[vcpu]++;
}

static void guest_step(uint64_t vcpu, uint64_t page, uint32_t r)
{
	if (page % shared.nr_vcpus == vcpu && r % FLIP_ONE_IN == 0) {
		flip(page);
		shared.flips[vcpu]++;
	}
	if (r >> 8 & 1) {
		write_and_judge(vcpu, page, r);
	} else {
		WRITE_ONCE(page_words(page)[vcpu], r);
		shared.others[vcpu]++;
	}
}

static void guest_main(uint64_t vcpu)
{
	struct guest_random_state rng = random_of(shared.seed, vcpu);
	uint32_t r;

	for (;;) {
		while (!READ_ONCE(shared.stop)) {
			r = guest_random_u32(&rng);
			guest_step(vcpu, r % NR_PAGES, r / NR_PAGES);
		}
		GUEST_SYNC(0);
	}
}

/* Host */

static void collect_log(enum alias alias)
{
	uint64_t nr = race.shared->collections[alias] + 1;
	int page;

	kvm_vm_get_dirty_log(race.vm, SLOT + alias, race.log);
	if (race.manual)
		kvm_vm_clear_dirty_log(race.vm, SLOT + alias, race.log, 0,
				       NR_PAGES);
	for (page = 0; page < NR_PAGES; page++)
		if (test_bit(page, race.log))
			race.reported[page][alias] = nr;
	WRITE_ONCE(race.shared->collections[alias], nr);
	totals.collections++;
	totals.reported += count_pages(race.log, NR_PAGES);
}

static void judge_page(int page, enum alias alias)
{
	unsigned int i;

	for (i = 0; i < workers.nr; i++) {
		uint64_t written = race.shared->written[i][page][alias];

		if (written <= race.reported[page][alias])
			continue;
		if (!totals.lost++)
			pr_info("lost: page %d of %c, vCPU %u wrote after collection %lu, last reported by %lu, now %lu\n",
				page, "XY"[alias], i, written - 1,
				race.reported[page][alias],
				race.shared->collections[alias]);
	}
}

static void judge(enum alias alias)
{
	int page;

	collect_log(alias);
	for (page = 0; page < NR_PAGES; page++)
		judge_page(page, alias);
	collect_log(alias);
	totals.repeated += count_pages(race.log, NR_PAGES);
}

static void run_round(void)
{
	int nr = guest_random_u32(&race.rng) % MAX_COLLECTIONS;

	while (nr--) {
		collect_log(guest_random_bool(&race.rng) ? X : Y);
		random_delay(&race.rng, MAX_DELAY_US);
	}
	park_workers();
	judge(X);
	judge(Y);
	unpark_workers();
	totals.rounds++;
}

/* The table with the PTEs becomes visible to the guest, at TABLE_VA. */
static void map_pages(void)
{
	vm_paddr_t gpa;
	uint64_t *ptes;
	int page;

	virt_map(race.vm, VA, alias_gpa[X], NR_PAGES);
	ptes = vm_get_page_table_entry(race.vm, VA);
	for (page = 0; page < NR_PAGES; page++)
		ptes[page] |= PTE_BITS;

	gpa = addr_hva2gpa(race.vm, ptes);
	virt_map(race.vm, TABLE_VA, gpa & ~(PAGE_BYTES - 1), 1);
	race.shared->ptes = (void *)(TABLE_VA + (gpa & (PAGE_BYTES - 1)));
}

static void start_vm(const struct options *opts)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	enum alias alias;

	race.vm = __vm_create_with_vcpus(VM_SHAPE_DEFAULT, opts->nr_vcpus,
					 NR_PAGES, guest_main, vcpus);
	if (race.manual)
		vm_enable_cap(race.vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			      KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
	for (alias = X; alias < NR_ALIASES; alias++)
		vm_set_user_memory_region(race.vm, SLOT + alias,
					  KVM_MEM_LOG_DIRTY_PAGES,
					  alias_gpa[alias], SIZE, race.mem);

	race.shared = addr_gva2hva(race.vm, (vm_vaddr_t)&shared);
	race.shared->seed = opts->seed;
	race.shared->nr_vcpus = opts->nr_vcpus;
	map_pages();
	race.rng = random_of(opts->seed, MAX_VCPUS);
	memset(race.reported, 0, sizeof(race.reported));
	start_workers(vcpus, opts->nr_vcpus, &race.shared->stop, "pf_fast");
}

static void print_totals(void)
{
	uint64_t flips = 0, judged = 0, others = 0;
	unsigned int i;

	for (i = 0; i < workers.nr; i++) {
		flips += race.shared->flips[i];
		judged += race.shared->judged[i];
		others += race.shared->others[i];
	}
	pr_info("%s: %lu flips, %lu judged writes, %lu others, %lu fast page faults, %lu rounds, %lu collections of %lu pages\n",
		race.manual ? "manual protect" : "bitmap", flips, judged,
		others, read_stats(), totals.rounds, totals.collections,
		totals.reported);
	TEST_ASSERT(flips && judged, "no write could be judged");
}

static void run_vm(const struct options *opts, bool manual)
{
	uint64_t end = now_ms() + opts->seconds * 500ull;

	totals = (struct totals) {};
	race.manual = manual;
	start_vm(opts);
	while (now_ms() < end)
		run_round();
	park_workers();
	print_totals();
	end_workers();
	kvm_vm_free(race.vm);

	TEST_ASSERT(!totals.lost, "%lu writes were not in the log of their gfn",
		    totals.lost);
	TEST_ASSERT(!totals.repeated,
		    "%lu pages were in the log though nobody wrote to them",
		    totals.repeated);
}

int main(int argc, char *argv[])
{
	struct options opts = { .seconds = 20, .nr_vcpus = 4, .seed = 1 };

	parse_options(&opts, argc, argv);
	race.mem = map_memory(SIZE, MADV_NOHUGEPAGE);
	run_vm(&opts, false);
	if (kvm_check_cap(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2) &
	    KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE)
		run_vm(&opts, true);
	else
		pr_info("manual protect: skipped, KVM cannot\n");
	return KSFT_PASS;
}
