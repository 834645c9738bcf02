// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random operations (soft_ops.h) on VMs of software CPUs, from a seed: as many as
 * the parameters say, in episodes of one VM each.  An episode that goes wrong is
 * run again with fewer and fewer operations, and what is left is printed: it can
 * be put into a test as it is.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/ktime.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "soft_hardware.h"
#include "soft_ops_internal.h"
#include "soft_vm.h"
#include "soft_witness.h"
#include "test_helper.h"

#define EPISODE_OPS	2000
#define SHRINK_MS	60000
#define NR_VCPUS	3

/* "make soak" has more of them, from another seed. */
static unsigned long soft_ops_per_hardware = 170000;
module_param(soft_ops_per_hardware, ulong, 0444);
MODULE_PARM_DESC(soft_ops_per_hardware, "KUnit: random operations");

static unsigned long soft_seed = 1;
module_param(soft_seed, ulong, 0444);
MODULE_PARM_DESC(soft_seed, "KUnit: of the random operations");

/* For the repetition of one that fails. */
static int soft_hardware = -1;
module_param(soft_hardware, int, 0444);
MODULE_PARM_DESC(soft_hardware, "KUnit: random operations on this hardware only, from 0");

/* What only one of them finds is not hidden by what all find. */
static unsigned long soft_without;
module_param(soft_without, ulong, 0444);
MODULE_PARM_DESC(soft_without, "KUnit: random operations without these, by bit");

static uint soft_blind;
module_param(soft_blind, uint, 0444);
MODULE_PARM_DESC(soft_blind, "KUnit: random operations judged without these, by bit of SOFT_BLIND_*");

static bool soft_verbose;
module_param(soft_verbose, bool, 0444);
MODULE_PARM_DESC(soft_verbose, "KUnit: tell of random operations before they are done");

/**
 * struct random_test - what a test works with
 * @run: the oracle, and the VM of an episode
 * @memory: of the VMM, for one VM after the other
 * @kind: of an episode's VMs
 * @ops: of an episode
 * @shorter: what is tried while one is made short
 */
struct random_test {
	struct soft_run run;
	struct soft_memory *memory;
	struct soft_vm_kind kind;
	struct soft_op *ops;
	struct soft_op *shorter;
};

static struct random_test *new_test(struct kunit *test)
{
	struct random_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	const size_t size = EPISODE_OPS * sizeof(*t->ops);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->run.model = kunit_kzalloc(test, sizeof(*t->run.model), GFP_KERNEL);
	t->ops = kunit_kzalloc(test, size, GFP_KERNEL);
	t->shorter = kunit_kzalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->run.model);
	KUNIT_ASSERT_NOT_NULL(test, t->ops);
	KUNIT_ASSERT_NOT_NULL(test, t->shorter);

	soft_vendor_load(test, test->param_value);
	t->memory = soft_memory_create(test, SOFT_PAGES);
	test_stay_on_cpu(test);
	t->run.witness = soft_witness_create(test);
	t->run.late = soft_late_create(test);
	t->run.slow = soft_slow_create(test);
	t->run.verbose = soft_verbose;
	t->run.blind = soft_blind;
	return t;
}

/* Return: how many operations were right. */
static int run_episode(struct kunit *test, struct random_test *t,
		       const struct soft_op *ops, int nr)
{
	int right;

	t->run.vm = soft_vm_create_kind(test, NR_VCPUS, t->memory, &t->kind);
	right = soft_ops_run(&t->run, ops, nr);
	soft_vm_destroy(t->run.vm);
	return right;
}

/* Does it still fail without the operations from @first on? */
static bool fails_without(struct kunit *test, struct random_test *t, int nr,
			  int first, int nr_gone)
{
	const int nr_behind = nr - first - nr_gone;

	memcpy(t->shorter, t->ops, first * sizeof(*t->ops));
	memcpy(t->shorter + first, t->ops + first + nr_gone,
	       nr_behind * sizeof(*t->ops));
	return run_episode(test, t, t->shorter, nr - nr_gone) < nr - nr_gone;
}

/* Leaves out halves, quarters, ... down to single ones, while it fails, until @end. */
static int shrink(struct kunit *test, struct random_test *t, int nr, ktime_t end)
{
	int piece, first, gone;

	for (piece = nr / 2; piece; piece /= 2) {
		for (first = 0; first < nr && ktime_before(ktime_get(), end);) {
			gone = min(piece, nr - first);
			if (!fails_without(test, t, nr, first, gone)) {
				first += gone;
				continue;
			}
			nr -= gone;
			memcpy(t->ops, t->shorter, nr * sizeof(*t->ops));
		}
	}
	return nr;
}

static void report(struct kunit *test, struct random_test *t, int nr, u64 seed)
{
	int i;

	KUNIT_FAIL(test, "seed %llu, log of kind %d%s%s, after %d operations, %llu in all: %s",
		   seed, t->kind.log, t->kind.private ? ", private memory" : "",
		   t->kind.nested ? ", nested" : "", nr,
		   (seed - soft_seed) * EPISODE_OPS + nr, t->run.why);
	/* What the kernel warns of, it warns of once. */
	if (run_episode(test, t, t->ops, nr) == nr) {
		kunit_info(test, "it does not happen again\n");
		return;
	}
	/* KUnit gives a test five minutes. */
	nr = shrink(test, t, nr, ktime_add_ms(ktime_get(), SHRINK_MS));
	run_episode(test, t, t->ops, nr);
	kunit_info(test, "these %d are enough: %s\n", nr, t->run.why);
	for (i = 0; i < nr; i++)
		soft_op_print(test, &t->ops[i]);
}

static void fill_episode(struct kunit *test, struct random_test *t, u64 seed)
{
	const struct soft_hardware *hw = test->param_value;
	const unsigned int hardware = hw - soft_hardwares;
	struct rnd_state rnd;
	int i, first_l2;

	t->kind.log = seed % SOFT_NR_LOGS;
	/* Shadow paging has no private memory, and no L2 here. */
	t->kind.private = tdp_enabled && seed / SOFT_NR_LOGS % 4 == 3;
	t->kind.nested = tdp_enabled && seed / SOFT_NR_LOGS % 2 == 0;
	t->kind.small = seed / 2 % 2;
	/* Another list for each hardware. */
	prandom_seed_state(&rnd, seed + ((u64)hardware << 40));
	first_l2 = t->kind.nested ? prandom_u32_state(&rnd) % EPISODE_OPS : 0;
	for (i = 0; i < EPISODE_OPS; i++) {
		t->ops[i] = soft_op_random(&rnd, i ? &t->ops[i - 1] : NULL);
		if (soft_without & BIT(t->ops[i].kind))
			t->ops[i].kind = SOFT_OP_READ;
		/* Any other may come before the first L2, or it begins in one. */
		if (i < first_l2 && t->ops[i].kind == SOFT_OP_PAGING)
			t->ops[i].kind = SOFT_OP_READ;
	}
}

/* Operations of all kinds among which what is rare is there some dozens of times. */
#define MANY_OPS	100000

static void expect_rare(struct kunit *test, const struct soft_run *run)
{
	KUNIT_EXPECT_GT(test, run->ends[SOFT_RING_FULL], 0);
	KUNIT_EXPECT_GT(test, run->witness->looks, 0);
	KUNIT_EXPECT_GT(test, run->ad_judged, 0);
	if (!tdp_enabled)
		return;
	KUNIT_EXPECT_GT(test, run->nr_late, 0);
	KUNIT_EXPECT_GT(test, run->nr_slow, 0);
}

static void soft_test_random(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct random_test *t;
	const ktime_t start = ktime_get();
	unsigned long done;
	u64 seed = soft_seed;
	int right;

	if (soft_hardware >= 0 && hw != soft_hardwares + soft_hardware)
		kunit_skip(test, "is not the one that soft_hardware names");
	t = new_test(test);
	for (done = 0; done < soft_ops_per_hardware; done += EPISODE_OPS, seed++) {
		fill_episode(test, t, seed);
		right = run_episode(test, t, t->ops, EPISODE_OPS);
		if (right < EPISODE_OPS) {
			report(test, t, right + 1, seed);
			return;
		}
	}
	kunit_info(test, "seed %lu: %lu operations in %lld ms\n", soft_seed, done,
		   ktime_ms_delta(ktime_get(), start));
	kunit_info(test, "RAM %llu (emulated %llu), MMIO %llu, faults %llu, exits to L1 %llu, full rings %llu\n",
		   t->run.ends[SOFT_RAM], t->run.emulated,
		   t->run.ends[SOFT_MMIO], t->run.ends[SOFT_FAULT],
		   t->run.ends[SOFT_EXIT], t->run.ends[SOFT_RING_FULL]);
	if (t->run.warned)
		kunit_info(test, "not judged by the kernel's warnings: there was one before\n");
	kunit_info(test, "looks at yields %llu, late faults %llu, slow ones %llu\n",
		   t->run.witness->looks, t->run.nr_late, t->run.nr_slow);
	kunit_info(test, "by gva: RAM %llu, MMIO %llu, faults %llu (missing %llu); old or new %llu, judged loosely %llu; A or D of %llu gPTEs\n",
		   t->run.by_gva[SOFT_RAM], t->run.by_gva[SOFT_MMIO],
		   t->run.by_gva[SOFT_FAULT] + t->run.by_gva[SOFT_EXIT],
		   t->run.missing, t->run.stale, t->run.loosely,
		   t->run.ad_judged);
	if (done >= MANY_OPS && !soft_without && !soft_blind)
		expect_rare(test, &t->run);
}

/* One slot, and a fault in it during which somebody else acts. */
static void run_race(struct kunit *test, struct random_test *t, u8 kind)
{
	const struct soft_op ops[] = {
		{ SOFT_OP_CREATE, 0, 0, 0x100, 0x100, 0x40 },
		{ kind, 1, 0x123 },
	};

	KUNIT_EXPECT_EQ_MSG(test, run_episode(test, t, ops, ARRAY_SIZE(ops)),
			    ARRAY_SIZE(ops), "%s", t->run.why);
}

static void soft_test_late(struct kunit *test)
{
	struct random_test *t = new_test(test);

	run_race(test, t, SOFT_OP_LATE);
	KUNIT_EXPECT_EQ(test, t->run.nr_late, 1);
}

static void soft_test_slow(struct kunit *test)
{
	struct random_test *t = new_test(test);

	t->kind.nested = true;
	run_race(test, t, SOFT_OP_SLOW);
	KUNIT_EXPECT_EQ(test, t->run.nr_slow, 1);
}

/* What fails on two operations shrinks to these two. */
static void soft_test_shrink(struct kunit *test)
{
	struct random_test *t = new_test(test);
	int nr;

	fill_episode(test, t, soft_seed);
	t->ops[123].kind = SOFT_OP_FAIL;
	t->ops[987].kind = SOFT_OP_FAIL;

	nr = run_episode(test, t, t->ops, EPISODE_OPS) + 1;
	KUNIT_ASSERT_EQ(test, nr, 988);
	KUNIT_ASSERT_EQ(test, shrink(test, t, nr, KTIME_MAX), 2);
	KUNIT_EXPECT_EQ(test, t->ops[0].kind, SOFT_OP_FAIL);
	KUNIT_EXPECT_EQ(test, t->ops[1].kind, SOFT_OP_FAIL);
}

static const void *first_hardware(const void *previous, char *desc)
{
	return previous ? NULL : soft_hardware_gen_params(NULL, desc);
}

static struct kunit_case soft_cases[] = {
	KUNIT_CASE_PARAM(soft_test_shrink, first_hardware),
	KUNIT_CASE_PARAM(soft_test_late, first_hardware),
	KUNIT_CASE_PARAM(soft_test_slow, first_hardware),
	KUNIT_CASE_PARAM_ATTR(soft_test_random, soft_hardware_gen_params,
			      { .speed = KUNIT_SPEED_SLOW }),
	{}
};

static struct kunit_suite soft_suite = {
	.name = "kvm_soft_random",
	.test_cases = soft_cases,
};

kunit_test_suite(soft_suite);
