// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VM of the tests of shadow pages, see shadow_vm.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/srcu.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/root.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_vm.h"

static const struct format_case legacy = { .name = "legacy", .ad = true };

static bool own_module_state;

int shadow_test_suite_init(struct kunit_suite *suite)
{
	own_module_state = !mmu_page_header_cache;
	return own_module_state ? shadow_module_init() : 0;
}

void shadow_test_suite_exit(struct kunit_suite *suite)
{
	if (own_module_state)
		shadow_module_exit();
}

void shadow_test_begin(struct shadow_test *t)
	__acquires(&t->kvm->srcu) __acquires(&t->kvm->mmu_lock)
{
	t->srcu_idx = srcu_read_lock(&t->kvm->srcu);
	write_lock(&t->kvm->mmu_lock);
}

void shadow_test_end(struct shadow_test *t)
	__releases(&t->kvm->mmu_lock) __releases(&t->kvm->srcu)
{
	write_unlock(&t->kvm->mmu_lock);
	srcu_read_unlock(&t->kvm->srcu, t->srcu_idx);
}

static void shadow_test_destroy(void *data)
{
	struct shadow_test *t = data;

	shadow_test_begin(t);
	shadow_zap_all(t->kvm);
	shadow_test_end(t);
	kvm_mmu_destroy(t->vcpu);
}

static void create_slot(struct kunit *test, struct shadow_test *t, int as_id)
{
	const struct kvm_userspace_memory_region2 mem = {
		.slot = as_id << 16,
		.guest_phys_addr = gfn_to_gpa(SHADOW_TEST_GFN),
		.memory_size = SHADOW_TEST_PAGES << PAGE_SHIFT,
		.userspace_addr = kvm_test_hva(SHADOW_TEST_GFN),
	};

	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(t->kvm, &mem));
}

void shadow_test_first_root(struct kunit *test, struct kvm *kvm)
{
	mutex_lock(&kvm->slots_arch_lock);
	KUNIT_EXPECT_EQ(test, 0, shadow_alloc_hash(kvm));
	mutex_unlock(&kvm->slots_arch_lock);
	kvm->arch.shadow_root_allocated = true;
}

struct shadow_test *shadow_test_create(struct kunit *test,
				       const struct format_case *format)
{
	struct shadow_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	int as_id;

	KUNIT_ASSERT_NOT_NULL(test, t);
	test_format_set(format ?: &legacy);
	t->kvm = kvm_test_create_vm(test);
	t->vcpu = kvm_test_create_vcpu(test, t->kvm);
	KUNIT_ASSERT_EQ(test, 0, kvm_mmu_create(t->vcpu));
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, shadow_test_destroy, t));

	/* Slots get rmaps and more. */
	shadow_test_first_root(test, t->kvm);
	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(t->kvm); as_id++)
		create_slot(test, t, as_id);

	shadow_change_quota(t->kvm, 1000);
	return t;
}

struct kvm_mmu_page *shadow_test_get(struct kunit *test, struct shadow_test *t,
				     gfn_t gfn, union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp;

	KUNIT_ASSERT_EQ(test, 0, mmu_topup_caches(t->vcpu));
	shadow_test_begin(t);
	sp = shadow_page_get(t->vcpu, gfn, role);
	shadow_test_end(t);
	return sp;
}

unsigned long shadow_test_zap(struct shadow_test *t, struct kvm_mmu_page *sp,
			      struct shadow_zap *zap)
{
	const unsigned long used = t->kvm->arch.n_used_mmu_pages;

	shadow_test_begin(t);
	shadow_page_zap(t->kvm, sp, zap);
	shadow_test_end(t);
	return used - t->kvm->arch.n_used_mmu_pages;
}

bool shadow_test_finish(struct shadow_test *t, struct shadow_zap *zap)
{
	bool flushed;

	shadow_test_begin(t);
	flushed = shadow_zap_finish(t->kvm, zap);
	shadow_test_end(t);
	return flushed;
}

bool shadow_test_exists(struct shadow_test *t, gfn_t gfn,
			union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp;
	bool exists = false;

	shadow_test_begin(t);
	hlist_for_each_entry(sp, shadow_bucket(t->kvm, gfn), hash_link)
		exists |= sp->gfn == gfn && sp->role.word == role.word &&
			  !shadow_sp_obsolete(t->kvm, sp);
	shadow_test_end(t);
	return exists;
}

void shadow_test_make_root(struct kvm_mmu_page *sp)
{
	sp->root_count++;
	sp->state = SP_ROOT;
}

void shadow_test_put_root(struct shadow_test *t, struct kvm_mmu_page *sp,
			  struct shadow_zap *zap)
{
	hpa_t root = __pa(sp->spt);

	shadow_test_begin(t);
	shadow_root_put(t->kvm, &root, zap);
	shadow_test_end(t);
}

struct kvm_memory_slot *shadow_test_slot(struct shadow_test *t)
{
	struct kvm_memory_slot *slot;
	int idx = srcu_read_lock(&t->kvm->srcu);

	slot = gfn_to_memslot(t->kvm, SHADOW_TEST_GFN);
	srcu_read_unlock(&t->kvm->srcu, idx);
	return slot;
}
