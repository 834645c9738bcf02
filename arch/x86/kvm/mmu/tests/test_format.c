// SPDX-License-Identifier: GPL-2.0-only
/*
 * A format of SPTEs for KUnit, see test_format.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/mutex.h>

#include "mmu.h"
#include "mmu/nx_huge_page.h"
#include "mmu/spte_format.h"
#include "mmu/tdp_region.h"
#include "test_format.h"

static bool test_format_in_use(void)
{
	guard(mutex)(&kvm_lock);
	return !list_empty(&vm_list);
}

static void test_format_restore(void *data)
{
	struct test_format *t = data;

	spte_fmt = t->saved;
	enable_mmio_caching = t->mmio_caching;
	WRITE_ONCE(nx_huge_pages, t->nx_huge_pages);
	kvm_x86_ops.cpu_dirty_log_size = t->dirty_log_size;
	dirty_log_regions = t->regions;
}

int test_format_init(struct kunit *test)
{
	struct test_format *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, t);
	t->kvm = kunit_kzalloc(test, sizeof(*t->kvm), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->kvm);
	t->vcpu = kunit_kzalloc(test, sizeof(*t->vcpu), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->vcpu);
	t->vcpu->kvm = t->kvm;
	t->vcpu->arch.mmu = &t->mmu;
	test->priv = t;

	if (test_format_in_use())
		kunit_skip(test, "there are VMs");

	t->saved = spte_fmt;
	t->mmio_caching = enable_mmio_caching;
	t->nx_huge_pages = nx_huge_pages;
	t->dirty_log_size = kvm_x86_ops.cpu_dirty_log_size;
	t->regions = dirty_log_regions;
	dirty_log_regions = false;
	return kunit_add_action_or_reset(test, test_format_restore, t);
}

void test_format_set(const struct format_case *f)
{
	spte_format_reset();
	if (f->ept)
		kvm_mmu_set_ept_masks(f->ad, f->exec_only);
	spte_fmt.memtype = 0;
	kvm_x86_ops.cpu_dirty_log_size = f->ept && f->ad ? 512 : 0;
}
