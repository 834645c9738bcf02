/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Three pages of 4K that direct paging maps side by side, and a slot around them:
 * what the tests of ranges and of zaps begin with.
 */
#ifndef __KVM_X86_MMU_TEST_TDP_PAGES_H
#define __KVM_X86_MMU_TEST_TDP_PAGES_H

#include "mmu/mmu_internal.h"
#include "test_tdp_formats.h"

/* Three pages side by side, in one table; most tests are about the second. */
#define NR_PAGES	3
#define FIRST_PAGE		TEST_GFN
#define SECOND_PAGE		(TEST_GFN + 1)
#define ALL_PAGES		7

#define SLOT_PAGES	1024ULL

static inline struct tdp_test *create_pages(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create_param(test);
	int i;

	for (i = 0; i < NR_PAGES; i++)
		tdp_test_map(test, t, FIRST_PAGE + i, PG_LEVEL_4K);
	return t;
}

/* A slot that is in no set: two pages of 2M, the three pages in the first. */
static inline struct kvm_memory_slot *create_slot(struct kunit *test, u16 as_id)
{
	struct kvm_memory_slot *slot = kunit_kzalloc(test, sizeof(*slot), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	slot->base_gfn = TEST_HUGE_GFN;
	slot->npages = SLOT_PAGES;
	slot->as_id = as_id;
	return slot;
}

static inline u64 spte_at(struct tdp_test *t, gfn_t gfn)
{
	return tdp_test_walk(t, gfn, PG_LEVEL_4K).old;
}

/* Which of the three pages have a bit, as a mask. */
static inline unsigned int pages_with(struct tdp_test *t, u64 bit)
{
	unsigned int mask = 0;
	int i;

	for (i = 0; i < NR_PAGES; i++)
		mask |= spte_at(t, FIRST_PAGE + i) & bit ? BIT(i) : 0;
	return mask;
}

static inline void invalidate_roots(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	tdp_roots_invalidate(kvm);
	write_unlock(&kvm->mmu_lock);
}

#endif /* __KVM_X86_MMU_TEST_TDP_PAGES_H */
