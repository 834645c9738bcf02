/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tests that act when the MMU has unmapped something, which it tells by tracepoints.
 */
#ifndef __KVM_X86_MMU_UNMAP_HOOK_H
#define __KVM_X86_MMU_UNMAP_HOOK_H

#include <kunit/test.h>

/**
 * struct unmap_hook - what is called after each change of an SPTE of direct paging,
 *	and for each shadow page that goes
 * @call: the function; by whatever thread of whatever VM, maybe with mmu_lock
 * @data: its argument
 */
struct unmap_hook {
	void (*call)(void *data);
	void *data;
};

/**
 * unmap_hook_begin() - call it from now on
 * @test: the test, which is skipped if there are no tracepoints
 * @hook: lives as long as the test, and ends with it at the latest
 */
void unmap_hook_begin(struct kunit *test, struct unmap_hook *hook);

/* It is not called any more. */
void unmap_hook_end(struct kunit *test, struct unmap_hook *hook);

#endif /* __KVM_X86_MMU_UNMAP_HOOK_H */
