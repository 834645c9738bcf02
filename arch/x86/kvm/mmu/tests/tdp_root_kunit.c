// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging's roots (tdp_root.c): who shares one, and when it goes.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "test_tdp.h"

/* Any will do. */
static const struct format_case legacy = { .name = "legacy", .ad = true };

static int count_roots(struct kvm *kvm, bool only_valid)
{
	struct tdp_table *root;
	int n = 0;

	read_lock(&kvm->mmu_lock);
	tdp_for_each_root(kvm, root, -1, only_valid)
		n++;
	read_unlock(&kvm->mmu_lock);
	return n;
}

static void roots_are_shared_by_role(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create(test, &legacy);
	union kvm_mmu_page_role role = t->root->table.role;
	struct kvm_vcpu *same, *smm;

	same = tdp_test_create_vcpu(test, t->kvm, role);
	KUNIT_EXPECT_EQ(test, same->arch.mmu->root.hpa, t->vcpu->arch.mmu->root.hpa);
	KUNIT_EXPECT_EQ(test, refcount_read(&t->root->refs), 3);

	role.smm = 1;
	smm = tdp_test_create_vcpu(test, t->kvm, role);
	KUNIT_EXPECT_NE(test, smm->arch.mmu->root.hpa, t->vcpu->arch.mmu->root.hpa);
	KUNIT_EXPECT_EQ(test, count_roots(t->kvm, true), 2);
	KUNIT_EXPECT_EQ(test, refcount_read(&t->root->refs), 3);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
}

static void invalidate(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	tdp_roots_invalidate(kvm);
	write_unlock(&kvm->mmu_lock);
}

/* An invalid root is zapped once, not loaded again, and lives as long as used. */
static void roots_die_in_order(struct kunit *test)
{
	struct tdp_test *t = tdp_test_create(test, &legacy);
	struct kvm_vcpu *later;

	tdp_test_map(test, t, TEST_GFN, PG_LEVEL_4K);
	invalidate(t->kvm);
	KUNIT_EXPECT_FALSE(test, tdp_root_valid(t->root));
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 1);
	KUNIT_EXPECT_EQ(test, count_roots(t->kvm, true), 0);
	KUNIT_EXPECT_EQ(test, count_roots(t->kvm, false), 1);

	later = tdp_test_create_vcpu(test, t->kvm, t->root->table.role);
	KUNIT_EXPECT_NE(test, later->arch.mmu->root.hpa,
			t->vcpu->arch.mmu->root.hpa);

	tdp_roots_zap_invalid(t->kvm);
	KUNIT_EXPECT_EQ(test, tdp_test_pages(t, PG_LEVEL_4K), 0);
	KUNIT_EXPECT_EQ(test, tdp_test_tables(t), 0);
	KUNIT_EXPECT_EQ(test, refcount_read(&t->root->refs), 1);

	/* The vCPU has not let go of it yet. */
	invalidate(t->kvm);
	tdp_roots_zap_invalid(t->kvm);
	KUNIT_EXPECT_EQ(test, refcount_read(&t->root->refs), 1);
	KUNIT_EXPECT_EQ(test, count_roots(t->kvm, false), 2);
}

static struct kunit_case tdp_root_cases[] = {
	KUNIT_CASE(roots_are_shared_by_role),
	KUNIT_CASE(roots_die_in_order),
	{}
};

static struct kunit_suite tdp_root_suite = {
	.name = "kvm_tdp_root",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = tdp_root_cases,
};

kunit_test_suite(tdp_root_suite);
