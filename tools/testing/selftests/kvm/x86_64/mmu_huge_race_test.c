// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory keeps its contents while its huge pages are split and recovered
 * under running vCPUs.
 *
 * Two slots are in THP, which the guest maps with huge pages too.  Each page
 * has a word, written by the vCPU that owns the page: a number that counts up,
 * and a hash of it and of the page.
 *
 * In the first slot dirty logging is switched on, which splits the huge pages,
 * and off, so that they come back.  All of a huge page is at times protected
 * against the host's own writes, or accesses, for a moment.  Every vCPU checks
 * the hash of all pages, and that no page goes back in time; the owner knows
 * the very number.
 *
 * In the second slot, pieces are punched out (MADV_DONTNEED) or protected.  The
 * number of a piece's punches is odd while one is going on.  If it was the same,
 * and even, before and after the owner's read, the word must be what the owner
 * wrote since the last punch, or 0.  Words from before a punch are gone.
 *
 * The statistics pages_2m and pages_4k must show, after the vCPUs went over all
 * pages, that the first slot is split with dirty logging and huge without, as
 * long as the host has all of it in huge pages.
 *
 * Breaks of KVM that make this test fail:
 *  - a split that maps the wrong 4K page, or gives W to a child whose parent
 *    had none (the host's zero page);
 *  - an invalidation by the MMU notifier that misses a huge SPTE of which only
 *    a piece goes, or a page fault that does not look at the notifier's sequence
 *    once it holds mmu_lock: old contents remain visible;
 *  - no split when dirty logging is switched on, or no recovery afterwards.
 */
#include "mmu_race.h"

#define LOG_SLOT	10
#define LOG_GPA		0xc0000000ull
#define LOG_HUGE	2ull
#define LOG_PAGES	(LOG_HUGE * 512)

#define PUNCH_SLOT	11
#define PUNCH_GPA	0xd0000000ull
#define PUNCH_HUGE	1ull
#define PUNCH_PAGES	(PUNCH_HUGE * 512)
#define PIECE_PAGES	64
#define NR_PIECES	(PUNCH_PAGES / PIECE_PAGES)
#define HUGE_PIECES	(512 / PIECE_PAGES)

#define MAX_HITS	6	/* on memory, between two switches of logging */
#define MAX_DELAY_US	500

/* What the owner of a page in the second slot knows of it. */
struct page_state {
	uint64_t value, punches;
	bool torn;		/* written during a punch: there, or 0 */
};

static struct shared {
	uint64_t stop;
	uint64_t nr_vcpus;
	struct passes passes;
	uint64_t punches[NR_PIECES];
	uint64_t checked[MAX_VCPUS], zeroes[MAX_VCPUS];
	uint32_t numbers[MAX_VCPUS][LOG_PAGES];	/* the last ones seen */
	struct page_state states[PUNCH_PAGES];
} shared;

static struct race {
	struct kvm_vm *vm;
	struct shared *shared;
	struct guest_random_state rng;
	uint8_t *log_mem, *punch_mem;
} race;

static struct totals {
	uint64_t punches, protections, cycles, judged;
} totals;

/* Guest and host */

static uint64_t word_of(uint64_t page, uint32_t number)
{
	uint32_t hash = (page + 1) * 0x9e3779b1u ^ number * 0x85ebca6bu;

	return (uint64_t)number << 32 | hash;
}

/* Not all pages have their word at the same place. */
static uint64_t offset_of(uint64_t page)
{
	return page * PAGE_BYTES + page % 64 * 64;
}

/* Guest */

static void check_log_page(uint64_t vcpu, uint64_t page)
{
	uint64_t *ptr = (uint64_t *)(LOG_GPA + offset_of(page));
	uint32_t *last = &shared.numbers[vcpu][page];
	bool owner = page % shared.nr_vcpus == vcpu;
	uint64_t word = READ_ONCE(*ptr);
	uint32_t number = word >> 32;

	__GUEST_ASSERT(word == word_of(page, number), "page %lu holds 0x%lx",
		       page, word);
	__GUEST_ASSERT(owner ? number == *last : number >= *last,
		       "page %lu holds number %u, vCPU %lu knows %u", page,
		       number, vcpu, *last);
	*last = number;
	if (owner)
		WRITE_ONCE(*ptr, word_of(page, ++*last));
}

static bool word_possible(const struct page_state *state, uint64_t word,
			  uint64_t punches)
{
	if (punches > state->punches)
		return !word;
	return word == state->value || (state->torn && !word);
}

static void write_punch_page(uint64_t page, uint64_t *ptr, uint64_t *piece)
{
	struct page_state *state = &shared.states[page];
	uint64_t before = READ_ONCE(*piece), after;
	uint32_t number = (state->value >> 32) + 1;

	state->value = word_of(page, number);
	WRITE_ONCE(*ptr, state->value);
	/* The write is done before the punches are counted again. */
	asm volatile("mfence" : : : "memory");
	after = READ_ONCE(*piece);
	state->punches = after + (after & 1);
	state->torn = (before & 1) || before != after;
}

static void check_punch_page(uint64_t vcpu, uint64_t page)
{
	uint64_t *ptr = (uint64_t *)(PUNCH_GPA + offset_of(page));
	uint64_t *piece = &shared.punches[page / PIECE_PAGES];
	struct page_state *state = &shared.states[page];
	uint64_t punches = READ_ONCE(*piece), word = READ_ONCE(*ptr);

	barrier();
	if (!(punches & 1) && READ_ONCE(*piece) == punches) {
		__GUEST_ASSERT(word_possible(state, word, punches),
			       "punched page %lu holds 0x%lx at punch %lu, wrote 0x%lx at punch %lu",
			       page, word, punches, state->value,
			       state->punches);
		shared.checked[vcpu]++;
		shared.zeroes[vcpu] += !word;
	}
	write_punch_page(page, ptr, piece);
}

static void guest_main(uint64_t vcpu)
{
	uint64_t page, wanted;

	while (!READ_ONCE(shared.stop)) {
		wanted = READ_ONCE(shared.passes.wanted);
		for (page = 0; page < LOG_PAGES; page++)
			check_log_page(vcpu, page);
		for (page = vcpu; page < PUNCH_PAGES; page += shared.nr_vcpus)
			check_punch_page(vcpu, page);
		WRITE_ONCE(shared.passes.done[vcpu], wanted);
	}
	GUEST_SYNC(0);
}

/* What the host does to the memory */

static void count_punches(unsigned int first, unsigned int nr)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		__atomic_fetch_add(&race.shared->punches[i], 1,
				   __ATOMIC_SEQ_CST);
}

static void punch(unsigned int first, unsigned int nr)
{
	int r;

	count_punches(first, nr);
	r = madvise(race.punch_mem + first * PIECE_PAGES * PAGE_BYTES,
		    nr * PIECE_PAGES * PAGE_BYTES, MADV_DONTNEED);
	TEST_ASSERT(!r, "madvise() failed: %d", errno);
	count_punches(first, nr);
	totals.punches++;
}

/* A whole huge page comes back as one. */
static void punch_somewhere(void)
{
	uint32_t r = guest_random_u32(&race.rng);
	unsigned int huge = (r >> 8) % PUNCH_HUGE * HUGE_PIECES;
	unsigned int first = (r >> 16) % HUGE_PIECES;

	if (r & 1)
		punch(huge, HUGE_PIECES);
	else
		punch(huge + first, 1 + (r >> 20) % (HUGE_PIECES - first));
}

static void protect(uint8_t *mem, uint64_t size)
{
	bool read = guest_random_bool(&race.rng);
	int r = mprotect(mem, size, read ? PROT_READ : PROT_NONE);

	random_delay(&race.rng, MAX_DELAY_US);
	r |= mprotect(mem, size, PROT_READ | PROT_WRITE);
	TEST_ASSERT(!r, "mprotect() failed: %d", errno);
	totals.protections++;
}

static void protect_somewhere(void)
{
	uint32_t r = guest_random_u32(&race.rng);
	unsigned int page = (r >> 8) % PUNCH_PAGES;

	if (r & 1)
		protect(race.log_mem + (r >> 8) % LOG_HUGE * HUGE_BYTES,
			HUGE_BYTES);
	else
		protect(race.punch_mem + page * PAGE_BYTES, PAGE_BYTES);
}

static void hit_memory(void)
{
	int nr = guest_random_u32(&race.rng) % MAX_HITS;

	while (nr--) {
		if (guest_random_bool(&race.rng))
			punch_somewhere();
		else
			protect_somewhere();
		random_delay(&race.rng, MAX_DELAY_US);
	}
}

/* Cycles of dirty logging */

struct mapped {
	int64_t huge, small;
};

static struct mapped switch_logging(bool on)
{
	vm_set_user_memory_region(race.vm, LOG_SLOT,
				  on ? KVM_MEM_LOG_DIRTY_PAGES : 0, LOG_GPA,
				  LOG_PAGES * PAGE_BYTES, race.log_mem);
	hit_memory();
	wait_for_pass(&race.shared->passes);
	return (struct mapped) {
		.huge = vm_get_stat(race.vm, "pages_2m"),
		.small = vm_get_stat(race.vm, "pages_4k"),
	};
}

/* The second slot's pages may be either at both times. */
static void judge(const struct mapped *off, const struct mapped *on)
{
	int64_t huge = LOG_HUGE - PUNCH_HUGE, small = huge * 512 / 2;

	TEST_ASSERT(off->huge - on->huge >= huge &&
		    on->small - off->small >= small,
		    "pages_2m: %ld without dirty logging, %ld with; pages_4k: %ld, %ld",
		    off->huge, on->huge, off->small, on->small);
	totals.judged++;
}

static void run_cycle(void)
{
	bool huge = huge_backed(race.log_mem, LOG_PAGES * PAGE_BYTES);
	struct mapped off = switch_logging(false), on = switch_logging(true);
	struct mapped again = switch_logging(false);

	totals.cycles++;
	if (!huge || !huge_backed(race.log_mem, LOG_PAGES * PAGE_BYTES))
		return;
	judge(&off, &on);
	judge(&again, &on);
}

/* Set-up and results */

static void add_slot(uint32_t slot, uint64_t gpa, uint64_t size, uint8_t *mem)
{
	vm_set_user_memory_region(race.vm, slot, 0, gpa, size, mem);
	virt_map_level(race.vm, gpa, gpa, size, PG_LEVEL_2M);
}

static void start_vm(const struct options *opts)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	uint64_t page;

	race.rng = random_of(opts->seed, MAX_VCPUS);
	race.log_mem = map_memory(LOG_PAGES * PAGE_BYTES, MADV_HUGEPAGE);
	race.punch_mem = map_memory(PUNCH_PAGES * PAGE_BYTES, MADV_HUGEPAGE);
	for (page = 0; page < LOG_PAGES; page++)
		*(uint64_t *)(race.log_mem + offset_of(page)) = word_of(page, 0);

	race.vm = __vm_create_with_vcpus(VM_SHAPE_DEFAULT, opts->nr_vcpus,
					 128, guest_main, vcpus);
	add_slot(LOG_SLOT, LOG_GPA, LOG_PAGES * PAGE_BYTES, race.log_mem);
	add_slot(PUNCH_SLOT, PUNCH_GPA, PUNCH_PAGES * PAGE_BYTES,
		 race.punch_mem);
	race.shared = addr_gva2hva(race.vm, (vm_vaddr_t)&shared);
	race.shared->nr_vcpus = opts->nr_vcpus;
	start_workers(vcpus, opts->nr_vcpus, &race.shared->stop, "pf_fixed");
}

static void print_totals(void)
{
	uint64_t checked = 0, zeroes = 0, efaults = 0;
	unsigned int i;

	for (i = 0; i < workers.nr; i++) {
		checked += race.shared->checked[i];
		zeroes += race.shared->zeroes[i];
		efaults += workers.all[i].efaults;
	}
	pr_info("%lu cycles of dirty logging, %lu faults\n", totals.cycles,
		read_stats());
	pr_info("%lu punches, %lu checks after, %lu found 0\n", totals.punches,
		checked, zeroes);
	pr_info("%lu protections, %lu times in the way\n", totals.protections,
		efaults);
	if (totals.judged)
		pr_info("%lu splits and recoveries seen\n", totals.judged);
	else
		pr_info("skipped: splits and recoveries, there was no THP\n");
	TEST_ASSERT(checked && zeroes, "no punch could be judged");
}

int main(int argc, char *argv[])
{
	struct options opts = { .seconds = 12, .nr_vcpus = 2, .seed = 1 };
	uint64_t end;

	parse_options(&opts, argc, argv);
	start_vm(&opts);
	for (end = now_ms() + opts.seconds * 1000ull; now_ms() < end;)
		run_cycle();
	park_workers();
	print_totals();
	end_workers();
	kvm_vm_free(race.vm);
	return KSFT_PASS;
}
