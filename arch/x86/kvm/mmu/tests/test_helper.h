/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Threads that help a test of one thread: it says what they do and when, so that
 * two of them meet where two CPUs would meet by chance.  The test's own thread
 * stays on one CPU meanwhile.
 */
#ifndef __KVM_X86_MMU_TEST_HELPER_H
#define __KVM_X86_MMU_TEST_HELPER_H

#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

/* For what takes milliseconds at most, unless it is broken or the host is busy. */
#define TEST_PATIENCE_MS	(30 * MSEC_PER_SEC)

/**
 * struct test_helper - a thread in the test's address space, on another CPU
 * @mm: that one, if the test has one
 * @fn: what it does next; NULL: it ends
 * @data: for @fn
 * @go: it may
 * @done: it has
 * @ended: it uses nothing of this any more
 */
struct test_helper {
	struct mm_struct *mm;
	void (*fn)(void *data);
	void *data;
	struct completion go;
	struct completion done;
	struct completion ended;
};

/* The test's thread stays on the CPU that it is on. */
void test_stay_on_cpu(struct kunit *test);

/* Goes with the test; on the next CPU, if there is another one. */
struct test_helper *test_helper_create(struct kunit *test);

/* The helper calls @fn.  Any context.  Wait for its end before the next call. */
void test_helper_begin(struct test_helper *helper, void (*fn)(void *data),
		       void *data);

/* A helper waits for @lock, which the test holds for writing; spins for at most @ms. */
bool test_helper_contends(rwlock_t *lock, unsigned int ms);

/* Wait for that end, at most @ms; one spins, one sleeps.  Return: false if it is late. */
bool test_helper_spin(struct test_helper *helper, unsigned int ms);
bool test_helper_wait(struct test_helper *helper, unsigned int ms);

#endif /* __KVM_X86_MMU_TEST_HELPER_H */
