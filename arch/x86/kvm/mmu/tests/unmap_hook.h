/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that act when the MMU has unmapped something, which it tells by tracepoints.
 */
#ifndef __KVM_X86_MMU_UNMAP_HOOK_H
#define __KVM_X86_MMU_UNMAP_HOOK_H

#include <kunit/test.h>

struct unmap_hook;

/**
 * unmap_hook_begin() - from now on, call a function after each change of an SPTE of
 *	direct paging, and for each shadow page that goes
 * @test: the test, which is skipped if there are no tracepoints
 * @call: the function; by whatever thread of whatever VM, maybe with mmu_lock
 * @data: its argument, which lives as long as the test
 *
 * Return: ends with the test at the latest.
 */
struct unmap_hook *unmap_hook_begin(struct kunit *test, void (*call)(void *data),
				    void *data);

/* It is not called any more. */
void unmap_hook_end(struct kunit *test, struct unmap_hook *hook);

#endif /* __KVM_X86_MMU_UNMAP_HOOK_H */
