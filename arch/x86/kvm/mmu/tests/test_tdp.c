// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM with a direct paging tree for KUnit, see test_tdp.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/page-flags.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "test_tdp.h"
#include "test_vm.h"

#define HUGE_ORDER	9

static bool own_module_state;

int tdp_test_suite_init(struct kunit_suite *suite)
{
	/* A vendor module has it, if one is loaded. */
	own_module_state = !tdp_table_cache;
	return own_module_state ? tdp_module_init() : 0;
}

void tdp_test_suite_exit(struct kunit_suite *suite)
{
	if (own_module_state)
		tdp_module_exit();
}

static void free_vcpu(void *data)
{
	struct kvm_vcpu *vcpu = data;
	struct kvm *kvm = vcpu->kvm;

	if (VALID_PAGE(vcpu->arch.mmu->root.hpa)) {
		read_lock(&kvm->mmu_lock);
		tdp_root_put(kvm, root_to_tdp(vcpu->arch.mmu->root.hpa));
		read_unlock(&kvm->mmu_lock);
	}
	kvm_mmu_free_memory_cache(&vcpu->mmu_table_cache);
	kvm_mmu_free_memory_cache(&vcpu->arch.mmu_shadow_page_cache);
}

static void fill_caches(struct kunit *test, struct kvm_vcpu *vcpu)
{
	int r;

	r = kvm_mmu_topup_memory_cache(&vcpu->mmu_table_cache, 1);
	KUNIT_ASSERT_EQ(test, r, 0);
	r = kvm_mmu_topup_memory_cache(&vcpu->arch.mmu_shadow_page_cache, 1);
	KUNIT_ASSERT_EQ(test, r, 0);
}

struct kvm_vcpu *tdp_test_create_vcpu(struct kunit *test, struct kvm *kvm,
				      union kvm_mmu_page_role role)
{
	struct kvm_vcpu *vcpu = kvm_test_create_vcpu(test, kvm);

	vcpu->mmu_table_cache.kmem_cache = tdp_table_cache;
	vcpu->mmu_table_cache.gfp_zero = __GFP_ZERO;
	vcpu->arch.mmu_shadow_page_cache.init_value = SPTE_NONE;
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.mmu->root_role = role;
	vcpu->arch.mmu->root.hpa = INVALID_PAGE;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_vcpu, vcpu));

	fill_caches(test, vcpu);
	KUNIT_ASSERT_EQ(test, 0, tdp_root_load(vcpu));
	return vcpu;
}

static void free_guest_page(void *page)
{
	folio_clear_unevictable(page_folio((struct page *)page));
	__free_pages(page, HUGE_ORDER);
}

struct tdp_test *tdp_test_create(struct kunit *test,
				 const struct format_case *format)
{
	struct tdp_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	union kvm_mmu_page_role role = {
		.level = 4,
		.direct = 1,
		.access = ACC_ALL,
		.ad_disabled = !format->ad,
	};

	KUNIT_ASSERT_NOT_NULL(test, t);
	test_format_set(format);
	t->format = format;

	t->page = alloc_pages(GFP_KERNEL | __GFP_COMP, HUGE_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, t->page);
	/* Told twice, it must not become active: then it is not Referenced. */
	folio_set_unevictable(page_folio(t->page));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_guest_page,
							   t->page));
	t->kvm = kvm_test_create_vm(test);
	t->vcpu = tdp_test_create_vcpu(test, t->kvm, role);
	t->root = root_to_tdp(t->vcpu->arch.mmu->root.hpa);
	return t;
}

void tdp_test_begin(struct tdp_test *t, bool shared)
	__acquires(&t->kvm->mmu_lock) __acquires(RCU)
{
	if (shared)
		read_lock(&t->kvm->mmu_lock);
	else
		write_lock(&t->kvm->mmu_lock);
	rcu_read_lock();
}

void tdp_test_end(struct tdp_test *t, bool shared)
	__releases(&t->kvm->mmu_lock) __releases(RCU)
{
	rcu_read_unlock();
	if (shared)
		read_unlock(&t->kvm->mmu_lock);
	else
		write_unlock(&t->kvm->mmu_lock);
}

struct tdp_iter tdp_test_walk(struct tdp_test *t, gfn_t gfn, int level)
{
	struct tdp_iter iter, last = {};

	rcu_read_lock();
	tdp_for_each_level(iter, t->root, level, gfn, gfn + 1)
		last = iter;
	rcu_read_unlock();
	return last;
}

struct tdp_table *tdp_test_table(struct kunit *test, struct tdp_test *t,
				 struct tdp_iter *iter)
{
	struct tdp_table *sp;

	fill_caches(test, t->vcpu);
	sp = tdp_table_alloc(t->vcpu);
	tdp_table_init_child(sp, iter);
	return sp;
}

int tdp_test_link(struct tdp_test *t, struct tdp_iter *iter,
		  struct tdp_table *sp, bool shared)
{
	int r;

	tdp_test_begin(t, shared);
	r = tdp_link(t->kvm, iter, sp, shared);
	tdp_test_end(t, shared);
	return r;
}

int tdp_test_set_atomic(struct tdp_test *t, struct tdp_iter *iter, u64 spte)
{
	int r;

	tdp_test_begin(t, true);
	r = tdp_set_atomic(t->kvm, iter, spte);
	tdp_test_end(t, true);
	return r;
}

struct tdp_iter tdp_test_path(struct kunit *test, struct tdp_test *t, gfn_t gfn,
			      int level)
{
	struct tdp_iter iter = tdp_test_walk(t, gfn, level);
	struct tdp_table *sp;

	while (iter.level > level) {
		sp = tdp_test_table(test, t, &iter);
		KUNIT_ASSERT_EQ(test, 0, tdp_test_link(t, &iter, sp, true));
		iter = tdp_test_walk(t, gfn, level);
	}
	return iter;
}

struct tdp_iter tdp_test_map(struct kunit *test, struct tdp_test *t, gfn_t gfn,
			     int level)
{
	struct tdp_iter iter = tdp_test_path(test, t, gfn, level);
	u64 spte = tdp_test_used_leaf(t, level);

	KUNIT_ASSERT_EQ(test, 0, tdp_test_set_atomic(t, &iter, spte));
	iter.old = spte;
	return iter;
}

u64 tdp_test_leaf(struct tdp_test *t, int level, u64 bits)
{
	return SPTE_PRESENT | spte_fmt.present | spte_fmt.user | spte_fmt.exec |
	       spte_fmt.host_writable | PFN_PHYS(page_to_pfn(t->page)) |
	       (t->format->ad ? SPTE_AD_CPU : SPTE_AD_NONE) |
	       (level > PG_LEVEL_4K ? PT_PAGE_SIZE_MASK : 0) | bits;
}

u64 tdp_test_used_leaf(struct tdp_test *t, int level)
{
	return tdp_test_leaf(t, level, PT_WRITABLE_MASK | spte_fmt.mmu_writable |
				       spte_fmt.accessed | spte_fmt.dirty);
}

bool tdp_test_told_dirty(struct tdp_test *t)
{
	return TestClearPageDirty(t->page);
}

bool tdp_test_told_accessed(struct tdp_test *t)
{
	struct folio *folio = page_folio(t->page);
	bool accessed = folio_test_referenced(folio);

	folio_clear_referenced(folio);
	return accessed;
}
