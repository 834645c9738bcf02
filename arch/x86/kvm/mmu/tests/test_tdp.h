/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A VM with a direct paging tree, for KUnit: that of test_vm.h, with a vCPU that
 * has loaded a root, and host memory that leaves can map.
 *
 * The tree is made by the real writers, one at a time: the CPU and other vCPUs
 * are played by stores to the SPTE between a walk and a writer.
 */
#ifndef __KVM_X86_MMU_TEST_TDP_H
#define __KVM_X86_MMU_TEST_TDP_H

#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>

#include "mmu/tdp.h"
#include "mmu/tdp_pte.h"
#include "test_format.h"

/* Another index at each level. */
#define TEST_GFN	((1ULL << 27) | (2ULL << 18) | (3ULL << 9) | 4ULL)
#define TEST_HUGE_GFN	(TEST_GFN & ~511ULL)

/**
 * struct tdp_test - what the tests work on
 * @format: of the SPTEs
 * @kvm: the VM
 * @vcpu: a vCPU of it
 * @root: its root
 * @page: 2M of memory
 * @shared: noted by a test: mmu_lock was held for reading
 */
struct tdp_test {
	const struct format_case *format;
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	struct tdp_table *root;
	struct page *page;
	bool shared;
};

/* kunit_suite::suite_init and ::suite_exit; ::init is test_format_init(). */
int tdp_test_suite_init(struct kunit_suite *suite);
void tdp_test_suite_exit(struct kunit_suite *suite);

/* All of it goes with the test, which fails if there is no memory. */
struct tdp_test *tdp_test_create(struct kunit *test,
				 const struct format_case *format);

/* A vCPU that has loaded a root of @role. */
struct kvm_vcpu *tdp_test_create_vcpu(struct kunit *test, struct kvm *kvm,
				      union kvm_mmu_page_role role);

/* What is held around a writer. */
void tdp_test_begin(struct tdp_test *t, bool shared);
void tdp_test_end(struct tdp_test *t, bool shared);

/* A walk that has reached @gfn at @level, or as far down as there are tables. */
struct tdp_iter tdp_test_walk(struct tdp_test *t, gfn_t gfn, int level);

/* A table for below the walk's SPTE, not linked yet. */
struct tdp_table *tdp_test_table(struct kunit *test, struct tdp_test *t,
				 struct tdp_iter *iter);

/* tdp_link() and tdp_set_atomic(), with the locks. */
int tdp_test_link(struct tdp_test *t, struct tdp_iter *iter,
		  struct tdp_table *sp, bool shared);
int tdp_test_set_atomic(struct tdp_test *t, struct tdp_iter *iter, u64 spte);

/* Tables down to that of @level; a walk that is at the SPTE there. */
struct tdp_iter tdp_test_path(struct kunit *test, struct tdp_test *t, gfn_t gfn,
			      int level);

/* The same, and that SPTE becomes tdp_test_used_leaf(). */
struct tdp_iter tdp_test_map(struct kunit *test, struct tdp_test *t, gfn_t gfn,
			     int level);

/* A leaf that maps @page, with @bits beside what each has. */
u64 tdp_test_leaf(struct tdp_test *t, int level, u64 bits);

/* A leaf that the guest has read and written. */
u64 tdp_test_used_leaf(struct tdp_test *t, int level);

/* The SPTE itself, to look at, or to change it as somebody else would. */
static inline u64 *tdp_test_raw(struct tdp_iter *iter)
{
	return (__force u64 *)iter->sptep;
}

/* Was @page marked dirty, accessed in the host, since this was asked last? */
bool tdp_test_told_dirty(struct tdp_test *t);
bool tdp_test_told_accessed(struct tdp_test *t);

static inline s64 tdp_test_pages(struct tdp_test *t, int level)
{
	return atomic64_read(&t->kvm->stat.pages[level - 1]);
}

static inline s64 tdp_test_tables(struct tdp_test *t)
{
	return atomic64_read(&t->kvm->arch.tdp_mmu_pages);
}

static inline u64 tdp_test_flushes(struct tdp_test *t)
{
	return t->kvm->stat.generic.remote_tlb_flush_requests;
}

#endif /* __KVM_X86_MMU_TEST_TDP_H */
