// SPDX-License-Identifier: GPL-2.0-only
/*
 * A witness of yields, see soft_witness.h.
 *
 * It is woken (unmap_hook.h) at each change of an SPTE of direct paging, and for each
 * shadow page that goes.  It has the higher priority on its only CPU: from then on
 * need_resched() is true, and it runs as soon as mmu_lock is dropped.  When it
 * sleeps again, it leaves the flag behind: the walk goes on to let go of the lock
 * at each place.
 */
#include <kunit/test.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>

#include "soft_check.h"
#include "soft_ops_internal.h"
#include "soft_witness.h"
#include "unmap_hook.h"

static void look(struct soft_witness *witness)
{
	struct soft_run *run = READ_ONCE(witness->run);
	const char *why = NULL;
	gfn_t gfn;
	int i;

	/* Somebody else has the lock, or has it still: not yet. */
	if (!run || !read_trylock(&run->vm->kvm->mmu_lock))
		return;
	witness->looks++;
	for (i = 0; i < run->vm->nr_vcpus && !why; i++)
		why = soft_check_tlb(run->vm->vcpu[i], SOFT_DUE_UNLOCKED, &gfn);
	read_unlock(&run->vm->kvm->mmu_lock);
	if (why)
		soft_differ(run, "yield: the TLB of vCPU %d has for gfn %#llx %s",
			    i - 1, gfn, why);
}

static int run_witness(void *data)
{
	struct soft_witness *witness = data;

	for (;;) {
		wait_for_completion(&witness->go);
		if (READ_ONCE(witness->stop))
			break;
		look(witness);
		if (READ_ONCE(witness->run))
			set_tsk_need_resched(witness->main);
	}
	kthread_complete_and_exit(&witness->ended, 0);
}

/* mmu_lock is held: it looks when that is over. */
static void wake(void *data)
{
	struct soft_witness *witness = data;

	if (current == witness->main && witness->run &&
	    !completion_done(&witness->go))
		complete(&witness->go);
}

static void end_witness(void *data)
{
	struct soft_witness *witness = data;

	WRITE_ONCE(witness->stop, true);
	complete(&witness->go);
	wait_for_completion(&witness->ended);
}

struct soft_witness *soft_witness_create(struct kunit *test)
{
	struct soft_witness *witness;

	witness = kunit_kzalloc(test, sizeof(*witness), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, witness);
	witness->main = current;
	init_completion(&witness->go);
	init_completion(&witness->ended);
	witness->task = kthread_create_on_cpu(run_witness, witness,
					      raw_smp_processor_id(),
					      "soft_witness/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(witness->task));
	sched_set_fifo_low(witness->task);
	wake_up_process(witness->task);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_witness,
							   witness));
	/* Ends before the thread does. */
	unmap_hook_begin(test, wake, witness);
	return witness;
}

void soft_witness_watch(struct soft_witness *witness, struct soft_run *run)
{
	WRITE_ONCE(witness->run, run);
}
