// SPDX-License-Identifier: GPL-2.0-only
/*
 * Invalidations (virt/kvm/mmu_notifier.c): which faults have to start over, and
 * that no set of memslots is published between the start and the end of one.
 *
 * The faults are what they compare with: the sequence that they have read, and
 * their gfn.  The VM is that of test_vm.h.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/rcuwait.h>
#include <linux/srcu.h>

#include "test_vm.h"

#define GFN	0x1000ULL

static void invalidate_begin(struct kvm *kvm, gfn_t start, gfn_t end)
{
	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, start, end);
	write_unlock(&kvm->mmu_lock);
}

static void invalidate_end(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
}

/* Must a fault start over that has read @seq before it looked at the host? */
static bool retries(struct kvm *kvm, unsigned long seq, gfn_t gfn)
{
	bool retry;

	read_lock(&kvm->mmu_lock);
	retry = mmu_invalidate_retry_gfn(kvm, seq, gfn);
	read_unlock(&kvm->mmu_lock);
	return retry;
}

static void retry_in_progress(struct kunit *test)
{
	struct kvm *kvm = kvm_test_create_vm(test);
	const unsigned long seq = kvm->mmu_invalidate_seq;

	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN));
	invalidate_begin(kvm, GFN, GFN + 2);
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN - 1));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN + 1));
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN + 2));
	invalidate_end(kvm);
}

/* Nobody knows any more which gfns it was about: all start over. */
static void retry_after_end(struct kunit *test)
{
	struct kvm *kvm = kvm_test_create_vm(test);
	const unsigned long seq = kvm->mmu_invalidate_seq;

	invalidate_begin(kvm, GFN, GFN + 1);
	invalidate_end(kvm);
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN - 1));
	KUNIT_EXPECT_FALSE(test, retries(kvm, kvm->mmu_invalidate_seq, GFN));
}

/* Two that overlap in time share a range, until both are over. */
static void retry_two_at_once(struct kunit *test)
{
	struct kvm *kvm = kvm_test_create_vm(test);
	unsigned long seq;

	invalidate_begin(kvm, GFN, GFN + 1);
	invalidate_begin(kvm, GFN + 8, GFN + 9);
	seq = kvm->mmu_invalidate_seq;
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN + 8));
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN - 1));
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN + 9));

	invalidate_end(kvm);
	seq = kvm->mmu_invalidate_seq;
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN + 8));

	invalidate_end(kvm);
	seq = kvm->mmu_invalidate_seq;
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN));

	/* The range of the next one has nothing of theirs. */
	invalidate_begin(kvm, GFN + 4, GFN + 5);
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN));
	KUNIT_EXPECT_TRUE(test, retries(kvm, seq, GFN + 4));
	KUNIT_EXPECT_FALSE(test, retries(kvm, seq, GFN + 8));
	invalidate_end(kvm);
}

/**
 * struct publication - an updater that has to wait
 * @kvm: the VM
 * @error: of the ioctl
 * @done: the updater uses nothing of this any more
 */
struct publication {
	struct kvm *kvm;
	int error;
	struct completion done;
};

static int publish_fn(void *data)
{
	struct publication *p = data;

	p->error = kvm_test_create_slot(p->kvm, 0, 0, GFN);
	kthread_complete_and_exit(&p->done, 0);
}

static bool has_slot(struct kvm *kvm)
{
	const int idx = srcu_read_lock(&kvm->srcu);
	const bool found = gfn_to_memslot(kvm, GFN);

	srcu_read_unlock(&kvm->srcu, idx);
	return found;
}

static void count_active(struct kvm *kvm, int change)
{
	spin_lock(&kvm->mn_invalidate_lock);
	kvm->mn_active_invalidate_count += change;
	spin_unlock(&kvm->mn_invalidate_lock);
}

/* An end that sees other slots than its start would not be its end. */
static void publish_waits_for_ends(struct kunit *test)
{
	struct publication *p = kunit_kzalloc(test, sizeof(*p), GFP_KERNEL);
	struct task_struct *updater;
	bool early;

	KUNIT_ASSERT_NOT_NULL(test, p);
	init_completion(&p->done);
	p->kvm = kvm_test_create_vm(test);

	count_active(p->kvm, 1);
	updater = kthread_run(publish_fn, p, "kunit-updater");
	KUNIT_ASSERT_FALSE(test, IS_ERR(updater));

	/* It sleeps, or it is through where it must not be. */
	while (!rcuwait_active(&p->kvm->mn_memslots_update_rcuwait) &&
	       !completion_done(&p->done))
		usleep_range(100, 200);
	early = has_slot(p->kvm);

	count_active(p->kvm, -1);
	rcuwait_wake_up(&p->kvm->mn_memslots_update_rcuwait);
	wait_for_completion(&p->done);

	KUNIT_EXPECT_FALSE(test, early);
	KUNIT_EXPECT_EQ(test, p->error, 0);
	KUNIT_EXPECT_TRUE(test, has_slot(p->kvm));
}

static struct kunit_case invalidate_cases[] = {
	KUNIT_CASE(retry_in_progress),
	KUNIT_CASE(retry_after_end),
	KUNIT_CASE(retry_two_at_once),
	KUNIT_CASE(publish_waits_for_ends),
	{}
};

static struct kunit_suite invalidate_suite = {
	.name = "kvm_invalidate",
	.test_cases = invalidate_cases,
};

kunit_test_suite(invalidate_suite);
