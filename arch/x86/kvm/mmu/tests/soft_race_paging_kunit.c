// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests in threads, in several paging modes, while another vCPU changes their
 * tables and the VMM makes KVM drop what it derived from them.
 *
 * Each entry that changes has a number, and its n-th value follows from n.  A vCPU
 * notes the numbers before it flushes a gva, and looks at them again after an
 * access: what it got must be by values from the one to the other (SDM 5.10), for
 * each entry on the way.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>

#include "mmu.h"
#include "soft_hardware.h"
#include "soft_paging.h"
#include "soft_threads.h"
#include "soft_vm.h"

#define NR_VCPUS	4	/* the first one changes the tables */

/* One slot: gfn n is page n.  Behind the tables is what they map. */
#define NR_PAGES	512UL
#define DATA_GFN	0x100
#define NR_DATA		64
#define MMIO_GFN	0x1000

/* PTEs, and what leads to the two PTs. */
#define NR_CELLS	(SOFT_NR_GVAS + 2)
#define LINK_CELL(pt)	(SOFT_NR_GVAS + (pt))

/* Those are changed and used; not all, so that the vCPUs meet. */
#define PTES_IN_USE	12

/* From here on the values of a PTE repeat: there is nothing to judge. */
#define PERIOD		(8 * NR_DATA)

static unsigned long soft_race_gptes = 60000;
module_param(soft_race_gptes, ulong, 0444);
MODULE_PARM_DESC(soft_race_gptes, "KUnit: gPTEs changed under running vCPUs");

/**
 * struct cell - an entry that changes
 * @begun: the number of the last value whose write has begun
 * @done: and of the last that is written
 */
struct cell {
	unsigned long begun;
	unsigned long done;
};

/* Of the entries on the way of a gva: the link, and the PTE in either PT. */
struct numbers {
	unsigned long link;
	unsigned long pte[2];
};

/**
 * struct runner - a vCPU
 * @paging: its mode
 * @flushed: numbers of each gva, before it was flushed
 * @writes: so far; of the first vCPU: gPTEs
 */
struct runner {
	struct soft_paging paging;
	struct numbers flushed[SOFT_NR_GVAS];
	unsigned long writes;
};

/**
 * struct race - what the threads share
 * @vm: the VM
 * @threads: its vCPUs
 * @runners: what each of them knows
 * @cells: the entries
 * @accesses: of all vCPUs
 * @judged: those that were judged
 * @wrong: those that were wrong
 * @failed: errors, and writes that did not end in RAM
 */
struct race {
	struct soft_vm *vm;
	struct soft_threads threads;
	struct runner runners[NR_VCPUS];
	struct cell cells[NR_CELLS];
	atomic_long_t accesses;
	atomic_long_t judged;
	atomic_long_t wrong;
	atomic_long_t failed;
};

static struct race *race_of(struct soft_thread *thread)
{
	return container_of(thread->all, struct race, threads);
}

static struct runner *runner_of(struct soft_thread *thread)
{
	return &race_of(thread)->runners[thread->id];
}

/* Values */

static int pt_of(unsigned int n)
{
	return n / SOFT_PT_ENTRIES;
}

/* Of every eight: five pages, one read-only, one MMIO, and one not present. */
static u64 pte_value(unsigned int n, unsigned long number)
{
	const gfn_t gfn = DATA_GFN + (n * 5 + number * 3) % NR_DATA;

	switch (number % 8) {
	case 5:
		return soft_gpte(gfn, 2);
	case 6:
		return soft_gpte(MMIO_GFN + n, 3);
	case 7:
		return 0;
	default:
		return soft_gpte(gfn, 3);
	}
}

/* Each PT takes the other's place, and goes back. */
static int linked_pt(int pt, unsigned long number)
{
	return (pt + number) % 2;
}

static void write_cell(struct race *race, unsigned int n, bool half)
{
	struct cell *cell = &race->cells[n];
	const unsigned long number = cell->begun + 1;
	struct soft_access access = { .write = true, .half = half };
	const struct soft_link *link;

	if (n < SOFT_NR_GVAS) {
		access.addr = soft_table_gpa(soft_pt(n), soft_pt_word(n));
		access.value = pte_value(n, number);
	} else {
		link = &soft_links[SOFT_LINK_OF_PT0 + n - SOFT_NR_GVAS];
		access.addr = soft_table_gpa(link->table, link->word);
		access.value = soft_gpte(SOFT_TABLE_GFN + SOFT_PT0 +
					 linked_pt(n - SOFT_NR_GVAS, number), 3);
	}

	WRITE_ONCE(cell->begun, number);
	smp_mb(); /* who sees the value sees its number; pairs with numbers_after() */
	if (soft_thread_access(&race->threads.thread[0], &access) != SOFT_RAM)
		atomic_long_inc(&race->failed);
	smp_store_release(&cell->done, number); /* pairs with number_done() */
}

/* Numbers */

static unsigned long number_done(const struct cell *cell)
{
	return smp_load_acquire(&cell->done); /* pairs with write_cell() */
}

/* The values of these numbers, or later ones, are in the tables. */
static struct numbers numbers_done(struct race *race, unsigned int n)
{
	const struct cell *cells = race->cells;
	const unsigned int entry = n % SOFT_PT_ENTRIES;

	return (struct numbers) {
		.link = number_done(&cells[LINK_CELL(pt_of(n))]),
		.pte[0] = number_done(&cells[entry]),
		.pte[1] = number_done(&cells[entry + SOFT_PT_ENTRIES]),
	};
}

/* No later values were in the tables until now. */
static struct numbers numbers_after(struct race *race, unsigned int n)
{
	const struct cell *cells = race->cells;
	const unsigned int entry = n % SOFT_PT_ENTRIES;

	smp_rmb(); /* the access before; pairs with write_cell() */
	return (struct numbers) {
		.link = READ_ONCE(cells[LINK_CELL(pt_of(n))].begun),
		.pte[0] = READ_ONCE(cells[entry].begun),
		.pte[1] = READ_ONCE(cells[entry + SOFT_PT_ENTRIES].begun),
	};
}

/* Judging */

/**
 * struct result - an access that has ended
 * @n: the gva
 * @end: enum soft_end
 * @access: the access
 * @first: the numbers of the last flush
 * @start: and before the access
 * @last: and after it
 */
struct result {
	unsigned int n;
	int end;
	const struct soft_access *access;
	struct numbers first;
	struct numbers start;
	struct numbers last;
};

static bool value_fits(struct race *race, const struct result *result, u64 pte)
{
	const struct soft_access *access = result->access;
	const gfn_t gfn = (pte & GENMASK_ULL(35, 12)) >> PAGE_SHIFT;

	if (!pte || (access->write && !(pte & SOFT_GPTE_RW)))
		return result->end == SOFT_FAULT;
	if (gfn >= MMIO_GFN)
		return result->end == SOFT_MMIO;
	if (result->end != SOFT_RAM)
		return false;
	if (!access->write)
		return access->value == SOFT_PAGE_ID + gfn;
	return access->value == soft_vm_read(race->vm, gfn,
					     offset_in_page(access->addr) /
					     sizeof(u64));
}

/* What is not present is not cached: it must have been there meanwhile. */
static bool pte_fits(struct race *race, const struct result *result, int pt)
{
	const unsigned int n = pt * SOFT_PT_ENTRIES + result->n % SOFT_PT_ENTRIES;
	unsigned long number;
	u64 pte;

	for (number = result->first.pte[pt]; number <= result->last.pte[pt];
	     number++) {
		pte = pte_value(n, number);
		if (!pte && number < result->start.pte[pt])
			continue;
		if (value_fits(race, result, pte))
			return true;
	}
	return false;
}

static bool is_right(struct race *race, const struct result *result)
{
	const int pt = linked_pt(pt_of(result->n), result->last.link);

	if (pte_fits(race, result, pt))
		return true;
	return result->first.link != result->last.link &&
	       pte_fits(race, result, !pt);
}

static bool too_many(const struct result *result)
{
	return result->last.pte[0] - result->first.pte[0] >= PERIOD ||
	       result->last.pte[1] - result->first.pte[1] >= PERIOD;
}

static void judge(struct soft_thread *thread, const struct result *result)
{
	struct race *race = race_of(thread);

	atomic_long_inc(&race->accesses);
	if (result->end < 0)
		atomic_long_inc(&race->failed);
	if (result->end < 0 || too_many(result))
		return;
	atomic_long_inc(&race->judged);
	if (is_right(race, result))
		return;
	if (atomic_long_inc_return(&race->wrong) == 1)
		pr_err("vCPU %d, %s, gva %u: end %d, value %#llx; link %lu to %lu, PTEs %lu to %lu and %lu to %lu\n",
		       thread->id, runner_of(thread)->paging.mode->name, result->n,
		       result->end, result->access->value, result->first.link,
		       result->last.link, result->first.pte[0],
		       result->last.pte[0], result->first.pte[1],
		       result->last.pte[1]);
}

/* The vCPUs */

static void note_all(struct soft_thread *thread)
{
	int n;

	for (n = 0; n < SOFT_NR_GVAS; n++)
		runner_of(thread)->flushed[n] = numbers_done(race_of(thread), n);
}

static void invlpg(struct soft_thread *thread, unsigned int n)
{
	struct runner *runner = runner_of(thread);

	runner->flushed[n] = numbers_done(race_of(thread), n);
	kvm_mmu_invlpg(soft_thread_vcpu(thread), soft_gva(runner->paging.mode, n));
}

static void set_mode(struct soft_thread *thread, u32 random)
{
	struct runner *runner = runner_of(thread);

	runner->paging = (struct soft_paging) {
		.mode = &soft_modes[SOFT_32BIT + random % (SOFT_NR_MODES - 1)],
		.wp = true,
		.nx = true,
	};
	note_all(thread);
	if (!soft_set_paging(soft_thread_vcpu(thread), &runner->paging))
		atomic_long_inc(&race_of(thread)->failed);
}

static void reload_cr3(struct soft_thread *thread)
{
	note_all(thread);
	if (!soft_load_cr3(soft_thread_vcpu(thread), &runner_of(thread)->paging))
		atomic_long_inc(&race_of(thread)->failed);
}

static void maybe_flush(struct soft_thread *thread, u32 random, unsigned int n)
{
	if (random % 512 == 0)
		set_mode(thread, random >> 10);
	else if (random % 64 == 1)
		reload_cr3(thread);
	else if (random % 4 == 2)
		invlpg(thread, n);
}

static unsigned int some_pte(u32 random)
{
	return random % 2 * SOFT_PT_ENTRIES + random / 2 % PTES_IN_USE;
}

/* The first word is the page's name; each vCPU writes to one of its own. */
static bool one_access(struct soft_thread *thread)
{
	struct race *race = race_of(thread);
	struct runner *runner = runner_of(thread);
	struct rnd_state *rnd = &thread->rnd;
	const unsigned int n = some_pte(prandom_u32_state(rnd));
	struct soft_access access = { .write = prandom_u32_state(rnd) & 1 };
	struct result result = { .n = n, .access = &access };

	maybe_flush(thread, prandom_u32_state(rnd), n);
	access.addr = soft_gva(runner->paging.mode, n);
	if (access.write) {
		access.addr += (1 + thread->id) * sizeof(u64);
		access.value = ++runner->writes;
	}

	result.first = runner->flushed[n];
	result.start = numbers_done(race, n);
	result.end = soft_thread_access(thread, &access);
	result.last = numbers_after(race, n);
	judge(thread, &result);
	return true;
}

static void first_mode(struct soft_thread *thread)
{
	set_mode(thread, thread->id);
}

static const struct soft_thread_ops vcpu_ops = {
	.begin = first_mode,
	.access = one_access,
};

/* Links change rarely: each time all below them is linked anew. */
static bool write_tables(struct soft_thread *thread)
{
	const u32 random = prandom_u32_state(&thread->rnd);

	write_cell(race_of(thread), random % 64 ? some_pte(random >> 8) :
						  LINK_CELL(random >> 8 & 1),
		   random & 0x80);
	return ++runner_of(thread)->writes < soft_race_gptes;
}

static const struct soft_thread_ops writer_ops = {
	.access = write_tables,
};

/* The VMM: nothing of it changes what an access does. */

static int one_change(struct soft_vm *vm, u32 random)
{
	u64 log[NR_PAGES / 64];

	switch (random % 8) {
	case 0:
		return soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0,
					random & 8 ? KVM_MEM_LOG_DIRTY_PAGES : 0);
	case 1:
		soft_vm_get_dirty_log(vm, 0, log, ARRAY_SIZE(log));
		return 0;
	case 2:
		soft_vm_zap_all(vm);
		return 0;
	case 3:
		return soft_vm_set_quota(vm, KVM_MIN_ALLOC_MMU_PAGES +
					     (random >> 8) % 64);
	default:
		soft_vm_clear_young(vm, 0, NR_PAGES);
		return 0;
	}
}

/* The test */

static void make_memory(struct race *race)
{
	unsigned long i;

	soft_vm_mark_pages(race->vm, 0, NR_PAGES);
	soft_make_links(race->vm, SOFT_TABLE_GFN, false);
	for (i = 0; i < SOFT_NR_GVAS; i++)
		soft_vm_write(race->vm, SOFT_TABLE_GFN + soft_pt(i),
			      soft_pt_word(i), pte_value(i, 0));
}

static struct race *new_race(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, race);
	soft_vendor_load(test, SOFT_SHADOW);
	race->vm = soft_vm_create(test, NR_VCPUS,
				  soft_memory_create(test, NR_PAGES));
	make_memory(race);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_quota(race->vm, 64));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(race->vm, 0, 0, NR_PAGES, 0, 0));
	soft_threads_init(&race->threads, race->vm);
	return race;
}

static void soft_test_race_paging(struct kunit *test)
{
	struct race *race = new_race(test);
	unsigned long changes = 0;
	struct rnd_state rnd;
	int i, r = 0;

	for (i = NR_VCPUS - 1; i >= 0; i--)
		soft_thread_start(&race->threads, i, i ? &vcpu_ops : &writer_ops);
	prandom_seed_state(&rnd, 7);
	while (!r && !soft_thread_ended(&race->threads, 0)) {
		r = one_change(race->vm, prandom_u32_state(&rnd));
		changes++;
		schedule_timeout_uninterruptible(1);
	}
	soft_threads_stop(&race->threads);

	KUNIT_EXPECT_EQ(test, r, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race->failed), 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race->wrong), 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&race->judged), 0);
	kunit_info(test, "%lu gPTEs and %lu other changes, %ld accesses, %ld judged\n",
		   soft_race_gptes, changes, atomic_long_read(&race->accesses),
		   atomic_long_read(&race->judged));
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_SLOW(soft_test_race_paging),
	{}
};

static struct kunit_suite race_suite = {
	.name = "kvm_soft_race_paging",
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);
