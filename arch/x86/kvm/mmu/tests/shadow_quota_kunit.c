// SPDX-License-Identifier: GPL-2.0-only
/*
 * How many shadow pages there may be (shadow_quota.c): which go for others, in
 * which order, and who looks at its root after that.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "forced_yields.h"
#include "shadow_vm.h"
#include "test_format.h"

static bool exists_direct(struct shadow_test *t, gfn_t gfn)
{
	return shadow_test_exists(t, gfn, shadow_test_direct(PG_LEVEL_4K));
}

static int reserve(struct shadow_test *t)
{
	int r;

	shadow_test_begin(t);
	r = shadow_reserve_pages(t->kvm);
	shadow_test_end(t);
	return r;
}

static void quota_takes_the_oldest(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *root = NULL, *sp;
	const int nr = KVM_REFILL_PAGES + 10;
	int i;

	for (i = 0; i < nr; i++) {
		sp = shadow_test_get(test, t, i, shadow_test_direct(PG_LEVEL_4K));
		if (i == 4)
			root = sp;
	}
	shadow_test_make_root(root);

	/* Enough: nothing is done. */
	shadow_change_quota(t->kvm, nr + KVM_MIN_FREE_MMU_PAGES);
	KUNIT_EXPECT_EQ(test, reserve(t), 0);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_recycled, 0);

	shadow_change_quota(t->kvm, nr + 2);
	KUNIT_EXPECT_EQ(test, reserve(t), 0);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_recycled, KVM_REFILL_PAGES - 2);
	KUNIT_EXPECT_EQ(test, shadow_quota_left(t->kvm), KVM_REFILL_PAGES);

	/* The root is old, too, and stays. */
	for (i = 0; i < nr; i++)
		KUNIT_EXPECT_EQ(test, exists_direct(t, i),
				i == 4 || i > KVM_REFILL_PAGES - 2);
	shadow_test_put_root(t, root, &zap);
}

/* An unsync page is zapped with its parent, and is not what comes next any more. */
static void quota_goes_on_behind_both(struct kunit *test)
{
	const gfn_t gfn = SHADOW_TEST_GFN;
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *parent, *child;

	parent = shadow_test_get(test, t, gfn, shadow_test_table(PG_LEVEL_2M));
	child = shadow_test_get(test, t, gfn + 1, shadow_test_table(PG_LEVEL_4K));
	shadow_test_get(test, t, gfn + 2, shadow_test_direct(PG_LEVEL_4K));

	shadow_test_begin(t);
	shadow_link(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache, parent, 0, child,
		    &zap);
	KUNIT_EXPECT_EQ(test, 0, shadow_try_unsync(t->kvm, NULL, gfn + 1, true, false));
	shadow_test_end(t);
	shadow_test_finish(t, &zap);

	mutex_lock(&t->kvm->slots_lock);
	shadow_change_quota(t->kvm, 0);
	mutex_unlock(&t->kvm->slots_lock);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_recycled, 3);
}

static void quota_is_for_roots_first(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *root[3];
	int i;

	for (i = 0; i < 10; i++)
		shadow_test_get(test, t, i, shadow_test_direct(PG_LEVEL_4K));
	for (i = 0; i < ARRAY_SIZE(root); i++) {
		root[i] = shadow_test_get(test, t, i, shadow_test_direct(PG_LEVEL_2M));
		shadow_test_make_root(root[i]);
	}

	shadow_change_quota(t->kvm, 2);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 3);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_max_mmu_pages, 3);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_recycled, 10);
	KUNIT_EXPECT_EQ(test, reserve(t), -ENOSPC);

	for (i = 0; i < ARRAY_SIZE(root); i++)
		shadow_test_put_root(t, root[i], &zap);
	KUNIT_EXPECT_EQ(test, reserve(t), 0);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 0);
}

/* With mmu_lock let go after each batch, once it is freed. */
static void quota_yields(struct kunit *test)
{
	const unsigned int nr = 5 * SHADOW_ZAP_BATCH + 1;
	struct shadow_test *t = shadow_test_create(test, NULL);
	const u64 *flushes = &t->kvm->stat.generic.remote_tlb_flush_requests;
	struct forced_yields *yields;
	u64 before;
	int i;

	for (i = 0; i < nr; i++)
		shadow_test_get(test, t, i, shadow_test_direct(PG_LEVEL_4K));

	yields = forced_yields_begin(test, nr);
	before = *flushes;
	shadow_change_quota(t->kvm, 1);
	forced_yields_end(test, yields);

	KUNIT_EXPECT_EQ(test, yields->wanted, 5);
	KUNIT_EXPECT_EQ(test, *flushes - before, 5);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 1);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_max_mmu_pages, 1);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_recycled, nr - 1);
}

/* Whoever made room looks at its root after that, not before. */
static void quota_then_root(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *root;
	int fresh, zapped;

	root = shadow_test_get(test, t, SHADOW_TEST_GFN,
			       shadow_test_table(PG_LEVEL_512G));
	shadow_test_make_root(root);
	t->vcpu->arch.mmu->root.hpa = __pa(root->spt);

	shadow_test_begin(t);
	fresh = shadow_fault_begin(t->vcpu);
	shadow_page_zap(t->kvm, root, &zap);
	zapped = shadow_fault_begin(t->vcpu);
	shadow_test_end(t);

	KUNIT_EXPECT_EQ(test, fresh, 0);
	KUNIT_EXPECT_EQ(test, zapped, -EAGAIN);

	t->vcpu->arch.mmu->root.hpa = INVALID_PAGE;
	shadow_test_put_root(t, root, &zap);
	shadow_test_finish(t, &zap);
}

static struct kunit_case shadow_quota_cases[] = {
	KUNIT_CASE(quota_takes_the_oldest),
	KUNIT_CASE(quota_goes_on_behind_both),
	KUNIT_CASE(quota_is_for_roots_first),
	KUNIT_CASE(quota_yields),
	KUNIT_CASE(quota_then_root),
	{}
};

static struct kunit_suite shadow_quota_suite = {
	.name = "kvm_shadow_quota",
	.suite_init = shadow_test_suite_init,
	.suite_exit = shadow_test_suite_exit,
	.init = test_format_init,
	.test_cases = shadow_quota_cases,
};

kunit_test_suite(shadow_quota_suite);
