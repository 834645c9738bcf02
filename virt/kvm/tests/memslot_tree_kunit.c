// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit suite of memslot_tree.c.  The cases are shared with userland, see
 * memslot_tree_cases.h.  Random requests come from a fixed seed, so that every
 * run makes the same, and once more from a new one, which is printed.
 */
#include <kunit/test.h>
#include <linux/random.h>

#include "memslot_tree_cases.h"

#define MST_FIXED_SEED	0x6b766d32
#define MST_FIXED_OPS	100000
#define MST_NEW_OPS	20000

KUNIT_ARRAY_PARAM_DESC(mst, mst_cases, name);

static void mst_report(struct kunit *test, const struct mst *t)
{
	int i;

	if (t->bad)
		KUNIT_FAIL(test, "seed %#x, request %lu: %s (line %d)",
			   t->seed, t->op, t->bad, t->bad_line);

	kunit_info(test, "seed %#x, %lu requests:\n", t->seed, t->op);
	for (i = 0; i < MST_NR_OUTCOMES; i++) {
		if (t->done[i])
			kunit_info(test, "%6lu %s\n", t->done[i],
				   mst_outcome_names[i]);
	}
}

static void mst_run(struct kunit *test, const struct mst_case *c, u32 seed,
		    unsigned long nr_ops)
{
	struct mst *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->seed = seed;
	t->nr_ops = nr_ops;
	mst_run_case(t, c);
	mst_report(test, t);
}

static void memslot_tree_case(struct kunit *test)
{
	mst_run(test, test->param_value, MST_FIXED_SEED, MST_FIXED_OPS);
}

static void memslot_tree_new_seed(struct kunit *test)
{
	const struct mst_case random = { "random", mst_case_random };

	mst_run(test, &random, get_random_u32(), MST_NEW_OPS);
}

static struct kunit_case memslot_tree_cases[] = {
	KUNIT_CASE_PARAM(memslot_tree_case, mst_gen_params),
	KUNIT_CASE(memslot_tree_new_seed),
	{}
};

static struct kunit_suite memslot_tree_suite = {
	.name = "kvm-memslot-tree",
	.test_cases = memslot_tree_cases,
};

kunit_test_suites(&memslot_tree_suite);
