/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Loops of the MMU that let go of mmu_lock: for the test's own thread the CPU is
 * wanted by somebody else from the moment on when the loop has unmapped something.
 */
#ifndef __KVM_X86_MMU_FORCED_YIELDS_H
#define __KVM_X86_MMU_FORCED_YIELDS_H

#include <kunit/test.h>
#include <linux/sched.h>
#include <linux/types.h>

#include "unmap_hook.h"

/**
 * struct forced_yields - when the CPU is wanted
 * @hook: calls for it
 * @task: the test's thread
 * @limit: how often at most
 * @wanted: how often it was so far: but for the last time the thread has yielded
 * @switches: forced_yield_now(), of the last time
 */
struct forced_yields {
	struct unmap_hook *hook;
	struct task_struct *task;
	unsigned int limit;
	unsigned int wanted;
	unsigned long switches;
};

/* From now on this thread has to yield.  Return: for forced_yield_done(). */
unsigned long forced_yield_now(void);

/* Has it yielded since?  Somebody else may want the CPU again by now. */
bool forced_yield_done(unsigned long switches);

/**
 * forced_yields_begin() - the CPU is wanted after each page or SPTE that goes
 * @test: the test, which is skipped if there are no tracepoints
 * @limit: how often at most
 *
 * Return: goes with the test.
 */
struct forced_yields *forced_yields_begin(struct kunit *test, unsigned int limit);

/* It is not wanted any more. */
void forced_yields_end(struct kunit *test, struct forced_yields *yields);

#endif /* __KVM_X86_MMU_FORCED_YIELDS_H */
