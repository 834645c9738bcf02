// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logging by regions (tdp_region.h), on software CPUs: which pages are in the
 * log, what that costs the guest in exits, and the states of a region in turn.
 */
#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/spte.h"
#include "mmu/tdp.h"
#include "mmu/mmutrace.h"
#include "soft_cpu.h"
#include "soft_region.h"

KUNIT_ARRAY_PARAM_DESC(hardware, region_hardwares, name);

static u64 nr_flushes(const struct region_test *t)
{
	return t->vm->kvm->stat.generic.remote_tlb_flush_requests;
}

/* The log begins with a store to each link, and knows nothing older. */
static void region_begin_is_one_store(struct kunit *test)
{
	struct region_test *t = region_create(test);
	u64 spte;

	region_write(t, 0, REGION_SLOT);
	spte = region_spte(t, 5);
	KUNIT_EXPECT_TRUE(test, spte & spte_fmt.dirty);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_spte(t, 5), spte);
	KUNIT_EXPECT_EQ(test, region_state(t, 5), SPTE_REGION_STALE);
	KUNIT_EXPECT_EQ(test, region_state(t, REGION_PAGES), SPTE_REGION_STALE);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 5), SPTE_REGION_STALE);
}

/* One exit opens a region; D from before is gone by then. */
static void region_opens_once(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_write(t, 0, REGION_PAGES);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, region_write(t, 7, 1), 1);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_FALSE(test, region_spte(t, 8) & spte_fmt.dirty);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 7, 1));

	/* The D that went with the report comes again without an exit. */
	KUNIT_EXPECT_EQ(test, region_write(t, 0, REGION_PAGES), 0);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, REGION_PAGES));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
}

/* The other vCPU's TLB has D: it must not write on unseen. */
static void region_log_flushes(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_set_flags(t, REGION_LOG);
	region_touch(t, 1, 3, true);
	region_touch(t, 1, 3, true);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 1));
	region_touch(t, 1, 3, true);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 3, 1));
}

/* To read, or to be mapped for it, is not to write. */
static void region_reads_are_not_logged(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_set_flags(t, REGION_LOG);
	region_touch(t, 0, 9, false);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_pre_fault(t->vm, 0, REGION_GFN + 20, 4));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_LE(test, region_touch(t, 0, 9, true), 1ULL);
	KUNIT_EXPECT_EQ(test, region_write(t, 20, 4), 0);
	region_write(t, 10, 10);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 9, 15));
}

/* Where nobody writes, the region is closed, looked at again, and then not any more. */
static void region_closes(struct kunit *test)
{
	struct region_test *t = region_create(test);
	u64 flushes;

	region_set_flags(t, REGION_LOG);
	region_write(t, 0, 2);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, 2));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	flushes = nr_flushes(t);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSING);
	KUNIT_EXPECT_EQ(test, nr_flushes(t), flushes + 1);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSED);
	KUNIT_EXPECT_EQ(test, nr_flushes(t), flushes + 1);

	KUNIT_EXPECT_EQ(test, region_touch(t, 1, 1, true), 1ULL);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 1, 1));
}

/* Closed regions are left out as one, but not the region behind them. */
static void region_found_behind_closed(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_set_flags(t, REGION_LOG);
	region_write(t, 0, REGION_PART);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 0, REGION_PART));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSED);
	KUNIT_EXPECT_EQ(test, region_state(t, REGION_PAGES), SPTE_REGION_CLOSED);

	KUNIT_EXPECT_EQ(test, region_write(t, REGION_PAGES + 3, 1), 1);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, REGION_PAGES + 3, 1));
}

/* A region that closes, where a CPU wrote between the look at D and the flush. */
static struct region_test *create_closing(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_set_flags(t, REGION_LOG);
	region_write(t, 0, 2);
	region_log_is(t, 0, 2);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_ASSERT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSING);
	*region_sptep(t, 1, PG_LEVEL_4K) |= spte_fmt.dirty;
	return t;
}

static void region_second_look(struct kunit *test)
{
	struct region_test *t = create_closing(test);
	const u64 flushes = nr_flushes(t);

	KUNIT_EXPECT_TRUE(test, region_log_is(t, 1, 1));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSING);
	/* It may have been opened before D was taken. */
	KUNIT_EXPECT_EQ(test, nr_flushes(t), flushes + 1);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_CLOSED);
}

/* A region that closes may open again at once, with what is written there. */
static void region_opens_while_it_closes(struct kunit *test)
{
	struct region_test *t = create_closing(test);

	KUNIT_EXPECT_EQ(test, region_write(t, 2, 2), 1);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_OPEN);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 1, 3));
}

/* Pages of the first region. */
#define WRITTEN		2	/* and the next one */
#define MARKED		4

/**
 * struct midway - D is being collected: of the first region it was, and the second
 *	one is closed
 * @t: the VM
 * @nr: how often that was so
 * @mark: MARKED gets into the log now, as if its leaf, with D, were taken away while
 *	the collection has let go of mmu_lock
 * @dirty: WRITTEN has D
 * @logged: and is in the log
 */
struct midway {
	struct region_test *t;
	int nr;
	bool mark;
	bool dirty;
	bool logged;
};

static void midway_probe(void *data, int as_id, gfn_t gfn, int from, int to)
{
	struct midway *midway = data;
	struct kvm *kvm = midway->t->vm->kvm;
	struct kvm_memory_slot *slot = id_to_memslot(kvm_memslots(kvm), 0);

	midway->nr++;
	midway->dirty = region_spte(midway->t, WRITTEN) & spte_fmt.dirty;
	midway->logged = test_bit_le(WRITTEN, slot->dirty_bitmap);
	if (midway->mark)
		tdp_region_mark(kvm, slot, slot->base_gfn + MARKED);
}

/* KVM_GET_DIRTY_LOG must report @nr pages from WRITTEN on. */
static void collect_midway(struct kunit *test, enum soft_log log, unsigned long nr,
			   struct midway *midway)
{
	struct region_test *t = region_create_kind(test, log, false);

	region_set_flags(t, REGION_LOG);
	region_write(t, REGION_PAGES, 1);
	region_log_is(t, REGION_PAGES, 1);
	region_clear_log(t, REGION_PAGES, 1);
	region_write(t, WRITTEN, 2);

	midway->t = t;
	KUNIT_ASSERT_EQ(test, 0, register_trace_kvm_tdp_mmu_region(midway_probe, midway));
	KUNIT_EXPECT_TRUE(test, region_log_is(t, WRITTEN, nr));
	unregister_trace_kvm_tdp_mmu_region(midway_probe, midway);
	tracepoint_synchronize_unregister();

	KUNIT_EXPECT_EQ(test, midway->nr, 1);
	KUNIT_EXPECT_EQ(test, region_state(t, REGION_PAGES), SPTE_REGION_CLOSING);
}

/* D goes as it is found, and past the log. */
static void region_taken_in_one_pass(struct kunit *test)
{
	struct midway midway = {};

	collect_midway(test, SOFT_LOG_BITMAP, 2, &midway);
	KUNIT_EXPECT_FALSE(test, midway.dirty);
	KUNIT_EXPECT_FALSE(test, midway.logged);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(midway.t));
}

/* In manual mode it stays, and is in the log until that is cleared. */
static void region_manual_takes_nothing(struct kunit *test)
{
	struct midway midway = {};

	collect_midway(test, SOFT_LOG_MANUAL, 2, &midway);
	KUNIT_EXPECT_TRUE(test, midway.dirty);
	KUNIT_EXPECT_TRUE(test, midway.logged);
	KUNIT_EXPECT_TRUE(test, region_log_is(midway.t, WRITTEN, 2));
	region_clear_log(midway.t, WRITTEN, 2);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(midway.t));
}

/* What D becomes while it is collected is in the same report. */
static void region_marked_midway(struct kunit *test)
{
	struct midway midway = { .mark = true };

	collect_midway(test, SOFT_LOG_BITMAP, MARKED - WRITTEN + 1, &midway);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(midway.t));
}

static void invalidate(struct region_test *t, unsigned long page, unsigned long nr)
{
	soft_vm_invalidate(t->vm, page, nr);
}

/* D goes with its leaf: to the log, if it is of the log. */
static void region_zap_logs(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_write(t, 0, 4);
	region_set_flags(t, REGION_LOG);
	invalidate(t, 0, 1);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));

	region_write(t, 1, 3);
	region_touch(t, 0, 4, false);
	invalidate(t, 0, 8);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 1, 3));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
}

/* A leaf that gives way to one with more rights leaves D to it. */
static void region_replaced_keeps_d(struct kunit *test)
{
	struct region_test *t = region_create(test);
	struct kvm_vcpu *vcpu = t->vm->vcpu[0];
	u64 spte;

	region_set_flags(t, REGION_LOG);
	region_write(t, 5, 1);
	region_protect(t, 5);
	spte = region_spte(t, 5);
	KUNIT_EXPECT_FALSE(test, spte_mmu_writable(spte));
	KUNIT_EXPECT_TRUE(test, spte & spte_fmt.dirty);

	/* The guest faults, but does not write. */
	soft_cpu_begin(vcpu);
	kvm_mmu_page_fault(vcpu, gfn_to_gpa(REGION_GFN + 5), PFERR_WRITE_MASK |
			   PFERR_PRESENT_MASK | PFERR_GUEST_FINAL_MASK, NULL, 0);
	soft_cpu_end(vcpu);
	KUNIT_EXPECT_EQ(test, region_spte(t, 5), spte | spte_fmt.mmu_writable |
			PT_WRITABLE_MASK);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 5, 1));
}

/* Whole tables leave theirs, too. */
static void region_table_logs(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_write(t, 0, 4);
	region_set_flags(t, REGION_LOG);
	soft_vm_zap_all(t->vm);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));

	region_write(t, 2, 2);
	region_touch(t, 0, 4, false);
	soft_vm_zap_all(t->vm);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 2, 2));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
}

/* A slot that moves keeps its log. */
static void region_move_keeps_log(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_set_flags(t, REGION_LOG);
	region_write(t, 2, 3);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(t->vm, 0, REGION_GFN + 0x4000,
						  REGION_SLOT, 0, REGION_LOG));
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 2, 3));
}

/* Opened again without a word about D, and closed by the next log. */
static void region_log_ends(struct kunit *test)
{
	struct region_test *t = region_create(test);

	region_write(t, 0, REGION_PAGES);
	region_set_flags(t, REGION_LOG);
	region_set_flags(t, 0);
	KUNIT_EXPECT_EQ(test, region_state(t, 0), SPTE_REGION_STALE);
	KUNIT_EXPECT_EQ(test, region_write(t, 0, 8), 1);
	KUNIT_EXPECT_TRUE(test, region_spte(t, 8) & spte_fmt.dirty);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, region_write(t, 8, 1), 1);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 8, 1));
}

/* Of two vCPUs that open a stale region, the second one has to try again. */
static void region_openers_exclude_each_other(struct kunit *test)
{
	struct region_test *t = region_create(test);
	struct kvm *kvm = t->vm->kvm;
	struct kvm_page_fault fault = {
		.write = true,
		.gfn = REGION_GFN,
	};
	u64 *link, *sptep;
	int fast, slow, idx;

	region_write(t, 0, 1);
	region_set_flags(t, REGION_LOG);
	link = region_sptep(t, 0, PG_LEVEL_2M);
	sptep = region_sptep(t, 0, PG_LEVEL_4K);

	idx = srcu_read_lock(&kvm->srcu);
	fault.slot = gfn_to_memslot(kvm, REGION_GFN);
	read_lock(&kvm->mmu_lock);
	rcu_read_lock();
	KUNIT_EXPECT_EQ(test, tdp_region_fast_open(kvm, &fault, sptep), RET_PF_INVALID);
	*link |= SPTE_REGION_OPENING;
	fast = tdp_region_fast_open(kvm, &fault, sptep);
	slow = tdp_region_open(kvm, &fault, sptep);
	KUNIT_EXPECT_EQ(test, fast, RET_PF_RETRY);
	KUNIT_EXPECT_EQ(test, slow, RET_PF_RETRY);
	KUNIT_EXPECT_TRUE(test, *sptep & spte_fmt.dirty);
	*link = (*link & ~SPTE_REGION_MASK) | SPTE_REGION_STALE;
	KUNIT_EXPECT_EQ(test, tdp_region_open(kvm, &fault, sptep), RET_PF_FIXED);
	KUNIT_EXPECT_FALSE(test, *sptep & spte_fmt.dirty);
	KUNIT_EXPECT_EQ(test, tdp_region_open(kvm, &fault, sptep), RET_PF_SPURIOUS);
	rcu_read_unlock();
	read_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

/**
 * struct traced - what the tracepoint said
 * @nr: how often
 * @last: how the last one went: from * 10 + to
 */
struct traced {
	int nr;
	int last;
};

static void trace_probe(void *data, int as_id, gfn_t gfn, int from, int to)
{
	struct traced *traced = data;

	traced->nr++;
	traced->last = from * 10 + to;
}

static void end_trace(void *traced)
{
	unregister_trace_kvm_tdp_mmu_region(trace_probe, traced);
	tracepoint_synchronize_unregister();
}

/* Until the test ends. */
static struct traced *begin_trace(struct kunit *test)
{
	struct traced *traced = kunit_kzalloc(test, sizeof(*traced), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, traced);
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_kvm_tdp_mmu_region(trace_probe, traced));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_trace, traced));
	return traced;
}

/* Each way is counted where W comes or goes, and traced. */
static void region_counts(struct kunit *test)
{
	struct region_test *t = region_create(test);
	const struct kvm_vm_stat *stat = &t->vm->kvm->stat;
	struct traced *traced = begin_trace(test);

	region_write(t, 0, REGION_PART);
	KUNIT_EXPECT_EQ(test, traced->nr, 0);
	region_set_flags(t, REGION_LOG);
	KUNIT_EXPECT_EQ(test, traced->nr, 2);
	KUNIT_EXPECT_EQ(test, traced->last, 42);
	KUNIT_EXPECT_EQ(test, stat->dirty_regions_closed, 2);

	region_write(t, 7, 3);
	KUNIT_EXPECT_EQ(test, traced->nr, 4);
	KUNIT_EXPECT_EQ(test, traced->last, 34);
	KUNIT_EXPECT_EQ(test, atomic64_read(&stat->dirty_regions_opened), 1);
	KUNIT_EXPECT_EQ(test, stat->dirty_pages_collected, 0);
	KUNIT_EXPECT_TRUE(test, region_log_is(t, 7, 3));
	KUNIT_EXPECT_EQ(test, stat->dirty_pages_collected, 3);

	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_TRUE(test, region_log_is_empty(t));
	KUNIT_EXPECT_EQ(test, traced->nr, 6);
	KUNIT_EXPECT_EQ(test, traced->last, 10);
	KUNIT_EXPECT_EQ(test, stat->dirty_regions_closed, 3);
}

static struct kunit_case region_cases[] = {
	KUNIT_CASE_PARAM(region_begin_is_one_store, hardware_gen_params),
	KUNIT_CASE_PARAM(region_opens_once, hardware_gen_params),
	KUNIT_CASE_PARAM(region_log_flushes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_reads_are_not_logged, hardware_gen_params),
	KUNIT_CASE_PARAM(region_closes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_found_behind_closed, hardware_gen_params),
	KUNIT_CASE_PARAM(region_second_look, hardware_gen_params),
	KUNIT_CASE_PARAM(region_opens_while_it_closes, hardware_gen_params),
	KUNIT_CASE_PARAM(region_taken_in_one_pass, hardware_gen_params),
	KUNIT_CASE_PARAM(region_manual_takes_nothing, hardware_gen_params),
	KUNIT_CASE_PARAM(region_marked_midway, hardware_gen_params),
	KUNIT_CASE_PARAM(region_zap_logs, hardware_gen_params),
	KUNIT_CASE_PARAM(region_replaced_keeps_d, hardware_gen_params),
	KUNIT_CASE_PARAM(region_table_logs, hardware_gen_params),
	KUNIT_CASE_PARAM(region_move_keeps_log, hardware_gen_params),
	KUNIT_CASE_PARAM(region_log_ends, hardware_gen_params),
	KUNIT_CASE_PARAM(region_counts, hardware_gen_params),
	KUNIT_CASE_PARAM(region_openers_exclude_each_other, hardware_gen_params),
	{}
};

static struct kunit_suite region_suite = {
	.name = "kvm_soft_region",
	.test_cases = region_cases,
};

kunit_test_suite(region_suite);
