// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of slots that are stopped on their way, see soft_change.h.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/rcuwait.h>
#include <linux/sched/task.h>

#include "soft_change.h"
#include "test_helper.h"

static int change_slot(void *data)
{
	struct soft_change *c = data;
	struct mm_struct *mm = c->vm->kvm->mm;

	kthread_use_mm(mm);
	c->error = soft_vm_set_slot(c->vm, c->id, c->gfn, c->npages, c->page, c->flags);
	kthread_unuse_mm(mm);
	kthread_complete_and_exit(&c->done, 0);
}

static bool is_published(const struct soft_change *c)
{
	return soft_vm_slot_changes(c->vm, c->id);
}

static bool waits_for_notifiers(const struct soft_change *c)
{
	return rcuwait_active(&c->vm->kvm->mn_memslots_update_rcuwait);
}

/* No assertion: the caller may hold what the test's cleanup waits for. */
void soft_change_begin(struct soft_change *c)
{
	struct task_struct *task = kthread_create(change_slot, c, "kunit-change");

	init_completion(&c->done);
	if (IS_ERR(task)) {
		c->error = PTR_ERR(task);
		complete(&c->done);
		return;
	}
	c->task = get_task_struct(task);
	wake_up_process(task);
}

static void run_until(struct soft_change *c, bool (*there)(const struct soft_change *c))
{
	const unsigned long end = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);

	soft_change_begin(c);
	while (!there(c) && !completion_done(&c->done) && time_before(jiffies, end))
		usleep_range(1000, 2000);
	KUNIT_EXPECT_TRUE(c->vm->test, there(c));
}

void soft_change_until_published(struct soft_change *c)
{
	run_until(c, is_published);
}

/* As a start and an end of an MMU notifier, without a range. */
static void count_active(struct kvm *kvm, int change)
{
	spin_lock(&kvm->mn_invalidate_lock);
	kvm->mn_active_invalidate_count += change;
	spin_unlock(&kvm->mn_invalidate_lock);
}

void soft_change_until_unpublished(struct soft_change *c)
{
	count_active(c->vm->kvm, 1);
	run_until(c, waits_for_notifiers);
}

void soft_change_publish(struct soft_change *c)
{
	count_active(c->vm->kvm, -1);
	rcuwait_wake_up(&c->vm->kvm->mn_memslots_update_rcuwait);
}

void soft_change_end(struct soft_change *c)
{
	wait_for_completion(&c->done);
	if (c->task)
		put_task_struct(c->task);
	KUNIT_EXPECT_EQ(c->vm->test, c->error, 0);
}

static void wait_for_page(void *data)
{
	struct soft_slow *slow = data;

	complete_all(&slow->asked);
	wait_for_completion(&slow->given);
}

static void stop_waiting(void *data)
{
	struct soft_slow *slow = data;

	complete_all(&slow->given);
}

struct soft_slow *soft_slow_page(struct soft_vm *vm, unsigned long page)
{
	struct soft_driver *driver = vm->memory->driver;
	struct kunit *test = vm->test;
	struct soft_slow *slow = kunit_kzalloc(test, sizeof(*slow), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slow);
	init_completion(&slow->asked);
	init_completion(&slow->given);
	soft_vm_renew_by_driver(vm, page, 1);
	driver->slow_data = slow;
	driver->slow = wait_for_page;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stop_waiting, slow));
	return slow;
}
