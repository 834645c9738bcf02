// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that help a test, see test_helper.h.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/sched.h>
#include <linux/sched/clock.h>
#include <linux/sched/mm.h>

#include "test_helper.h"

static void stay_on_any_cpu(void *unused)
{
	set_cpus_allowed_ptr(current, cpu_possible_mask);
}

void test_stay_on_cpu(struct kunit *test)
{
	const struct cpumask *mask = cpumask_of(raw_smp_processor_id());

	KUNIT_ASSERT_EQ(test, 0, set_cpus_allowed_ptr(current, mask));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, stay_on_any_cpu, NULL));
}

static int run_helper(void *data)
{
	struct test_helper *helper = data;

	if (helper->mm)
		kthread_use_mm(helper->mm);
	for (;;) {
		wait_for_completion(&helper->go);
		if (!helper->fn)
			break;
		helper->fn(helper->data);
		complete(&helper->done);
	}
	if (helper->mm)
		kthread_unuse_mm(helper->mm);
	kthread_complete_and_exit(&helper->ended, 0);
}

static void end_helper(void *data)
{
	struct test_helper *helper = data;

	test_helper_begin(helper, NULL, NULL);
	wait_for_completion(&helper->ended);
}

struct test_helper *test_helper_create(struct kunit *test)
{
	struct test_helper *helper = kunit_kzalloc(test, sizeof(*helper), GFP_KERNEL);
	struct task_struct *task;
	int cpu;

	KUNIT_ASSERT_NOT_NULL(test, helper);
	helper->mm = current->mm;
	init_completion(&helper->go);
	init_completion(&helper->done);
	init_completion(&helper->ended);
	cpu = cpumask_any_but(cpu_online_mask, raw_smp_processor_id());
	if (cpu >= nr_cpu_ids)
		cpu = raw_smp_processor_id();
	task = kthread_create_on_cpu(run_helper, helper, cpu, "test_helper/%u");
	KUNIT_ASSERT_FALSE(test, IS_ERR(task));
	wake_up_process(task);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_helper, helper));
	return helper;
}

void test_helper_begin(struct test_helper *helper, void (*fn)(void *data),
		       void *data)
{
	helper->fn = fn;
	helper->data = data;
	complete(&helper->go);
}

bool test_helper_contends(rwlock_t *lock, unsigned int ms)
{
	const u64 end = local_clock() + (u64)ms * NSEC_PER_MSEC;

	while (!rwlock_is_contended(lock)) {
		if (local_clock() >= end)
			return false;
		cpu_relax();
	}
	return true;
}

bool test_helper_spin(struct test_helper *helper, unsigned int ms)
{
	const u64 end = local_clock() + (u64)ms * NSEC_PER_MSEC;

	while (local_clock() < end) {
		if (try_wait_for_completion(&helper->done))
			return true;
		cpu_relax();
	}
	return false;
}

bool test_helper_wait(struct test_helper *helper, unsigned int ms)
{
	return wait_for_completion_timeout(&helper->done, msecs_to_jiffies(ms));
}
