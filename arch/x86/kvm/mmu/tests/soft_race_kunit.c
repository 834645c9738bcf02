// SPDX-License-Identifier: GPL-2.0-only
/*
 * Software CPUs that run, each in a thread of its own, while the VMM changes
 * slots and memory and collects dirty pages.
 *
 * What a gfn must be is known while nothing changes it: the VMM says before a
 * change which gfns it is about, and a vCPU judges an access if none was about
 * its gfn from before the access until after it.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#include "mmu.h"
#include "soft_hardware.h"
#include "soft_model.h"
#include "soft_threads.h"
#include "soft_vm.h"

#define NR_VCPUS	4

/* Slots that come, go and move, all over the same gfns. */
#define NR_SLOTS	4
#define SLOT_PAGES	16UL
#define NR_GFNS		128

/* A slot that stays, with a dirty log. */
#define LOG_ID		NR_SLOTS
#define LOG_GFN		0x200
#define LOG_PAGE	(NR_SLOTS * SLOT_PAGES)
#define LOG_PAGES	64UL

#define NR_PAGES	(LOG_PAGE + LOG_PAGES)

#define NONE		U64_MAX

#define NR_CHANGES	2000	/* under running vCPUs */

/**
 * struct race - what VMM and vCPUs share
 * @vm: the VM
 * @threads: its vCPUs
 * @seq: odd while a change is under way; bumped before and after
 * @first: the gfns that it is about
 * @end: behind them
 * @want: what the first word of each gfn is; NONE: it is MMIO
 * @slot_gfn: where each slot is, or NONE
 * @name: what the first word of each page of the VMM's memory is
 * @next: the next name
 * @accesses: of all vCPUs
 * @judged: those of which it is known what they must be
 * @wrong: those that were not
 * @ended: accesses of each vCPU that have ended
 * @seen: the words of the logged pages at the last collection
 * @owed: logged pages that were written and not logged yet
 * @owed_since: what @ended was when that was noticed
 * @lost: those that never were
 */
struct race {
	struct soft_vm *vm;
	struct soft_threads threads;
	unsigned long seq;
	gfn_t first;
	gfn_t end;
	u64 want[NR_GFNS];
	gfn_t slot_gfn[NR_SLOTS];
	u64 name[NR_PAGES];
	u64 next;
	atomic_long_t accesses;
	atomic_long_t judged;
	atomic_long_t wrong;
	unsigned long ended[NR_VCPUS];
	u64 seen[LOG_PAGES];
	DECLARE_BITMAP(owed, LOG_PAGES);
	unsigned long owed_since[LOG_PAGES][NR_VCPUS];
	unsigned long lost;
};

/* The vCPUs */

/*
 * Pairs with change_begin() and change_end(): a vCPU that finds the same number
 * before and after has seen all of the change that made it, and none of the next.
 */
static unsigned long look(struct race *race)
{
	return smp_load_acquire(&race->seq); /* see above */
}

static bool in_change(struct race *race, gfn_t gfn)
{
	return gfn >= READ_ONCE(race->first) && gfn < READ_ONCE(race->end);
}

static u64 wanted(struct race *race, gfn_t gfn)
{
	return gfn < NR_GFNS ? READ_ONCE(race->want[gfn]) :
			       race->name[LOG_PAGE + gfn - LOG_GFN];
}

static bool is_right(u64 want, int end, const struct soft_access *access)
{
	if (want == NONE)
		return end == SOFT_MMIO;
	return end == SOFT_RAM && (access->write || access->value == want);
}

static void judge(struct race *race, gfn_t gfn, unsigned long seq, int end,
		  const struct soft_access *access)
{
	const u64 want = wanted(race, gfn);
	const bool changing = (seq & 1) && in_change(race, gfn);

	atomic_long_inc(&race->accesses);
	smp_rmb(); /* want and the range before the second look */
	if (changing || look(race) != seq)
		return;

	atomic_long_inc(&race->judged);
	if (is_right(want, end, access))
		return;
	if (atomic_long_inc_return(&race->wrong) == 1)
		pr_err("gfn %#llx: end %d, value %#llx, must be %#llx\n", gfn,
		       end, access->value, want);
}

static struct race *race_of(struct soft_thread *thread)
{
	return container_of(thread->all, struct race, threads);
}

/* The first word is the page's name; each vCPU writes to one of its own. */
static bool one_access(struct soft_thread *thread)
{
	struct race *race = race_of(thread);
	const u32 n = prandom_u32_state(&thread->rnd);
	const gfn_t gfn = n & 1 ? LOG_GFN + (n >> 8) % LOG_PAGES :
				  (n >> 8) % NR_GFNS;
	struct soft_access access = {
		.addr = gfn_to_gpa(gfn),
		.write = n & 2,
		.value = n,
	};
	const unsigned long seq = look(race);
	int end;

	if (access.write)
		access.addr += (1 + thread->id) * sizeof(u64);
	end = soft_thread_access(thread, &access);
	judge(race, gfn, seq, end, &access);
	/* Pairs with nr_ended(): all that the access did in KVM comes before. */
	smp_store_release(&race->ended[thread->id], race->ended[thread->id] + 1);
	return true;
}

/* Slots come and go meanwhile: there may be one or none. */
static void pre_fault(struct soft_thread *thread)
{
	const gfn_t gfn = prandom_u32_state(&thread->rnd) % NR_GFNS;
	int r = soft_vm_pre_fault(thread->all->vm, thread->id, gfn, 1);

	if (tdp_enabled ? !r || r == -ENOENT : r == -EOPNOTSUPP)
		return;
	if (atomic_long_inc_return(&race_of(thread)->wrong) == 1)
		pr_err("gfn %#llx: pre-fault: %d\n", gfn, r);
}

static const struct soft_thread_ops vcpu_ops = {
	.access = one_access,
	.pause = pre_fault,
};

/* The VMM */

static void change_begin(struct race *race, gfn_t first, gfn_t end)
{
	WRITE_ONCE(race->first, first);
	WRITE_ONCE(race->end, end);
	/* The range before the number, the number before the change. */
	smp_store_release(&race->seq, race->seq + 1);
	smp_mb(); /* see above */
}

static void change_end(struct race *race)
{
	/* The change, and what is wanted since, before the number. */
	smp_store_release(&race->seq, race->seq + 1);
}

static void want_slot(struct race *race, int id, bool there)
{
	const gfn_t gfn = race->slot_gfn[id];
	unsigned long i;

	for (i = 0; i < SLOT_PAGES; i++)
		WRITE_ONCE(race->want[gfn + i],
			   there ? race->name[id * SLOT_PAGES + i] : NONE);
}

static int set_slot(struct race *race, int id, gfn_t gfn, bool there, u32 flags)
{
	return soft_vm_set_slot(race->vm, id, gfn, there ? SLOT_PAGES : 0,
				id * SLOT_PAGES, flags);
}

static bool is_free(struct race *race, gfn_t gfn)
{
	int id;

	for (id = 0; id < NR_SLOTS; id++)
		if (race->slot_gfn[id] != NONE &&
		    gfn < race->slot_gfn[id] + SLOT_PAGES &&
		    race->slot_gfn[id] < gfn + SLOT_PAGES)
			return false;
	return true;
}

static int create_slot(struct race *race, int id, gfn_t gfn)
{
	int r;

	if (!is_free(race, gfn))
		return 0;
	change_begin(race, gfn, gfn + SLOT_PAGES);
	r = set_slot(race, id, gfn, true, 0);
	race->slot_gfn[id] = gfn;
	want_slot(race, id, true);
	change_end(race);
	return r;
}

static int delete_slot(struct race *race, int id)
{
	const gfn_t gfn = race->slot_gfn[id];
	int r;

	change_begin(race, gfn, gfn + SLOT_PAGES);
	r = set_slot(race, id, gfn, false, 0);
	want_slot(race, id, false);
	race->slot_gfn[id] = NONE;
	change_end(race);
	return r;
}

static int move_slot(struct race *race, int id, gfn_t gfn)
{
	const gfn_t old = race->slot_gfn[id];
	int r;

	if (!is_free(race, gfn))
		return 0;
	change_begin(race, min(old, gfn), max(old, gfn) + SLOT_PAGES);
	r = set_slot(race, id, gfn, true, 0);
	want_slot(race, id, false);
	race->slot_gfn[id] = gfn;
	want_slot(race, id, true);
	change_end(race);
	return r;
}

static void name_page(struct race *race, unsigned long page)
{
	race->name[page] = ++race->next;
	soft_vm_write(race->vm, page, 0, race->name[page]);
}

/* New pages for all of a slot, also while it is nowhere. */
static void renew_slot(struct race *race, int id)
{
	const gfn_t gfn = race->slot_gfn[id];
	const unsigned long page = id * SLOT_PAGES;
	const bool there = gfn != NONE;
	unsigned long i;

	change_begin(race, there ? gfn : 0, there ? gfn + SLOT_PAGES : 0);
	soft_vm_renew_pages(race->vm, page, SLOT_PAGES);
	for (i = 0; i < SLOT_PAGES; i++)
		name_page(race, page + i);
	if (there)
		want_slot(race, id, true);
	change_end(race);
}

static int toggle_log(struct race *race, int id, bool on)
{
	const u32 flags = on ? KVM_MEM_LOG_DIRTY_PAGES : 0;

	/* Nothing of it changes what an access does. */
	return set_slot(race, id, race->slot_gfn[id], true, flags);
}

/* The log */

static u64 logged_words(struct race *race, unsigned long page)
{
	u64 sum = 0;
	int i;

	for (i = 1; i <= NR_VCPUS; i++)
		sum = sum * 31 + soft_vm_read(race->vm, LOG_PAGE + page, i);
	return sum;
}

/* How many accesses of a vCPU have ended, with all that they did in KVM. */
static unsigned long nr_ended(struct race *race, int id)
{
	return smp_load_acquire(&race->ended[id]); /* see one_access() */
}

static void note_owed(struct race *race, unsigned long page)
{
	int i;

	__set_bit(page, race->owed);
	for (i = 0; i < NR_VCPUS; i++)
		race->owed_since[page][i] = nr_ended(race, i);
}

/*
 * A vCPU that makes an SPTE writable marks the page before its access ends, but
 * another one may write through the SPTE before that.
 */
static void find_ended(struct race *race, unsigned long *over)
{
	unsigned long page;
	bool ended;
	int i;

	bitmap_zero(over, LOG_PAGES);
	for_each_set_bit(page, race->owed, LOG_PAGES) {
		ended = true;
		for (i = 0; i < NR_VCPUS; i++)
			ended &= nr_ended(race, i) != race->owed_since[page][i];
		__assign_bit(page, over, ended);
	}
}

/*
 * A page whose words are others than at the last collection was written in
 * between: it is in this log, or, if that came after the log was read but before
 * the words were, in one that is read after all accesses of then have ended.
 */
static int collect(struct race *race)
{
	DECLARE_BITMAP(over, LOG_PAGES);
	DECLARE_BITMAP(log, LOG_PAGES);
	unsigned long page;
	u64 words, bits;
	int r;

	find_ended(race, over);
	r = soft_vm_get_dirty_log(race->vm, LOG_ID, &bits, 1);
	if (r)
		return r;
	bitmap_from_arr64(log, &bits, LOG_PAGES);
	bitmap_andnot(race->owed, race->owed, log, LOG_PAGES);
	if (bitmap_and(over, over, race->owed, LOG_PAGES)) {
		race->lost += bitmap_weight(over, LOG_PAGES);
		bitmap_andnot(race->owed, race->owed, over, LOG_PAGES);
	}

	for (page = 0; page < LOG_PAGES; page++) {
		words = logged_words(race, page);
		if (words != race->seen[page] && !test_bit(page, log) &&
		    !test_bit(page, race->owed))
			note_owed(race, page);
		race->seen[page] = words;
	}
	return 0;
}

static int one_change(struct race *race, struct rnd_state *rnd)
{
	const u32 n = prandom_u32_state(rnd);
	const int id = (n >> 4) % NR_SLOTS;
	const gfn_t gfn = (n >> 8) % (NR_GFNS - SLOT_PAGES);
	const bool there = race->slot_gfn[id] != NONE;

	switch (n % 8) {
	case 0:
	case 1:
		return there ? delete_slot(race, id) :
			       create_slot(race, id, gfn);
	case 2:
		return there ? move_slot(race, id, gfn) :
			       create_slot(race, id, gfn);
	case 3:
		return there ? toggle_log(race, id, n & 0x80) : 0;
	case 4:
		renew_slot(race, id);
		return 0;
	case 5:
		soft_vm_clear_young(race->vm, 0, NR_PAGES);
		return 0;
	default:
		return collect(race);
	}
}

/* The test */

static struct race *new_race(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, race);
	soft_vendor_load(test, test->param_value);
	race->vm = soft_vm_create(test, NR_VCPUS,
				  soft_memory_create(test, NR_PAGES));
	for (i = 0; i < NR_GFNS; i++)
		race->want[i] = NONE;
	for (i = 0; i < NR_SLOTS; i++)
		race->slot_gfn[i] = NONE;
	for (i = 0; i < NR_PAGES; i++)
		name_page(race, i);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_quota(race->vm, 64));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(race->vm, LOG_ID, LOG_GFN,
						  LOG_PAGES, LOG_PAGE,
						  KVM_MEM_LOG_DIRTY_PAGES));
	soft_threads_init(&race->threads, race->vm);
	return race;
}

static void soft_test_race(struct kunit *test)
{
	struct race *race = new_race(test);
	struct rnd_state rnd;
	unsigned long i;
	int r = 0;

	for (i = 0; i < NR_VCPUS; i++)
		soft_thread_start(&race->threads, i, &vcpu_ops);
	prandom_seed_state(&rnd, 7);
	for (i = 0; i < NR_CHANGES && !r; i++)
		r = one_change(race, &rnd);
	soft_threads_stop(&race->threads);
	for (i = 0; i < NR_VCPUS; i++)
		race->ended[i]++;
	/* The first log may still have what the last one has not. */
	r = r ?: collect(race) ?: collect(race);
	race->lost += bitmap_weight(race->owed, LOG_PAGES);

	KUNIT_EXPECT_EQ(test, r, 0);
	KUNIT_EXPECT_EQ(test, atomic_long_read(&race->wrong), 0);
	KUNIT_EXPECT_EQ(test, race->lost, 0);
	KUNIT_EXPECT_GT(test, atomic_long_read(&race->judged), 0);
	kunit_info(test, "%d changes, %ld accesses, %ld judged\n",
		   NR_CHANGES, atomic_long_read(&race->accesses),
		   atomic_long_read(&race->judged));
}

static struct kunit_case race_cases[] = {
	KUNIT_CASE_PARAM_ATTR(soft_test_race, soft_hardware_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite race_suite = {
	.name = "kvm_soft_race",
	.test_cases = race_cases,
};

kunit_test_suite(race_suite);
