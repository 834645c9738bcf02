// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops of the MMU that let go of mmu_lock, see forced_yields.h.
 */
#include <kunit/test.h>
#include <linux/sched.h>

#include "forced_yields.h"

static unsigned long nr_switches(void)
{
	return current->nvcsw + current->nivcsw;
}

unsigned long forced_yield_now(void)
{
	set_tsk_need_resched(current);
	set_preempt_need_resched();
	return nr_switches();
}

bool forced_yield_done(unsigned long switches)
{
	return !test_tsk_need_resched(current) || nr_switches() != switches;
}

/*
 * Each yield is counted once, also if somebody else wanted the CPU first.  A thread
 * that has to yield and was not scheduled away since has been counted.
 */
static void something_went(void *data)
{
	struct forced_yields *yields = data;

	if (current != yields->task || yields->wanted == yields->limit)
		return;
	if (!forced_yield_done(yields->switches))
		return;

	yields->wanted++;
	yields->switches = forced_yield_now();
}

struct forced_yields *forced_yields_begin(struct kunit *test, unsigned int limit)
{
	struct forced_yields *yields;

	yields = kunit_kzalloc(test, sizeof(*yields), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, yields);
	yields->task = current;
	yields->switches = nr_switches() - 1;
	yields->limit = limit;
	yields->hook = unmap_hook_begin(test, something_went, yields);
	return yields;
}

void forced_yields_end(struct kunit *test, struct forced_yields *yields)
{
	unmap_hook_end(test, yields->hook);
	cond_resched();
}
