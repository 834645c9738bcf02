/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A witness of each yield: while it watches, whoever changes SPTEs is made to let
 * go of mmu_lock wherever it may, and each time TLBs must grant nothing that
 * another holder of the lock would take for gone.
 */
#ifndef __KVM_X86_MMU_SOFT_WITNESS_H
#define __KVM_X86_MMU_SOFT_WITNESS_H

#include <linux/completion.h>
#include <linux/sched.h>

#include "soft_ops.h"

/**
 * struct soft_witness - a thread that comes before the test's own on the same CPU
 * @task: the thread
 * @main: the test's
 * @run: what it watches; NULL: nothing
 * @stop: it ends
 * @looks: so far
 * @go: SPTEs were changed since it looked
 * @ended: it has
 */
struct soft_witness {
	struct task_struct *task;
	struct task_struct *main;
	struct soft_run *run;
	bool stop;
	u64 looks;
	struct completion go;
	struct completion ended;
};

/* Goes with the test, whose thread stays on its CPU. */
struct soft_witness *soft_witness_create(struct kunit *test);

/* What the test's own thread does from here on; NULL: does not matter. */
void soft_witness_watch(struct soft_witness *witness, struct soft_run *run);

#endif /* __KVM_X86_MMU_SOFT_WITNESS_H */
