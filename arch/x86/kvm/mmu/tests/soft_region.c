// SPDX-License-Identifier: GPL-2.0-only
/* A VM whose dirty log is by regions, see soft_region.h. */
#include "mmu.h"
#include "mmu/spte.h"
#include "mmu/tdp.h"
#include "mmu/tdp_pte.h"
#include "soft_check.h"
#include "soft_cpu.h"
#include "soft_region.h"

void region_set_flags(struct region_test *t, u32 flags)
{
	KUNIT_ASSERT_EQ(t->vm->test, 0,
			soft_vm_set_slot(t->vm, 0, REGION_GFN, REGION_SLOT, 0,
					 flags));
}

struct region_test *region_create_kind(struct kunit *test, enum soft_log log,
				       bool huge)
{
	struct region_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);
	const struct soft_vm_kind kind = { .log = log, .small = !huge };

	KUNIT_ASSERT_NOT_NULL(test, t);
	soft_vendor_load(test, test->param_value);
	t->vm = soft_vm_create_kind(test, 2, soft_memory_create(test, REGION_SLOT),
				    &kind);
	soft_vm_renew_pages(t->vm, 0, REGION_SLOT);
	soft_vm_mark_pages(t->vm, 0, REGION_SLOT);
	region_set_flags(t, 0);
	return t;
}

struct region_test *region_create(struct kunit *test)
{
	return region_create_kind(test, SOFT_LOG_BITMAP, false);
}

u64 region_touch(struct region_test *t, int vcpu, unsigned long page, bool write)
{
	struct soft_vcpu *sv = to_soft_vcpu(t->vm->vcpu[vcpu]);
	struct soft_access access = {
		.addr = gfn_to_gpa(REGION_GFN + page),
		.write = write,
		.value = page,
	};
	const u64 before = sv->exits;

	KUNIT_EXPECT_EQ(t->vm->test, soft_cpu_run(&sv->vcpu, &access), SOFT_RAM);
	return sv->exits - before;
}

u64 region_write(struct region_test *t, unsigned long first, unsigned long nr)
{
	u64 exits = 0;

	for (; nr; nr--)
		exits += region_touch(t, 0, first++, true);
	return exits;
}

bool region_log_is(struct region_test *t, unsigned long first, unsigned long nr)
{
	DECLARE_BITMAP(want, REGION_SLOT) = {};
	const char *why;
	gfn_t gfn;
	int i;

	bitmap_zero(t->log, REGION_SLOT);
	KUNIT_EXPECT_EQ(t->vm->test, 0,
			soft_vm_get_dirty_log(t->vm, 0, (u64 *)t->log,
					      BITS_TO_LONGS(REGION_SLOT)));
	for (i = 0; i < t->vm->nr_vcpus; i++) {
		why = soft_check_tlb(t->vm->vcpu[i], SOFT_DUE_DONE, &gfn);
		KUNIT_EXPECT_NULL_MSG(t->vm->test, why, "gfn %llx: %s", gfn, why);
	}
	bitmap_set(want, first, nr);
	return bitmap_equal(t->log, want, REGION_SLOT);
}

bool region_log_is_empty(struct region_test *t)
{
	return region_log_is(t, 0, 0);
}

void region_clear_log(struct region_test *t, unsigned long first, unsigned long nr)
{
	DECLARE_BITMAP(pages, REGION_SLOT) = {};
	const unsigned long start = round_down(first, 64);

	bitmap_set(pages, first - start, nr);
	KUNIT_EXPECT_EQ(t->vm->test, 0,
			soft_vm_clear_dirty_log(t->vm, 0, start,
						round_up(first + nr, 64) - start,
						(u64 *)pages));
}

u64 *region_sptep(struct region_test *t, unsigned long page, int level)
{
	const hpa_t hpa = t->vm->vcpu[0]->arch.mmu->root.hpa;
	struct tdp_table *root = table_to_tdp(root_to_table(hpa));
	struct tdp_iter iter, last = {};

	rcu_read_lock();
	tdp_for_each_level(iter, root, level, REGION_GFN + page, REGION_GFN + page + 1)
		last = iter;
	rcu_read_unlock();
	return last.level == level ? (__force u64 *)last.sptep : NULL;
}

u64 region_spte(struct region_test *t, unsigned long page)
{
	return READ_ONCE(*region_sptep(t, page, PG_LEVEL_4K));
}

u64 region_state(struct region_test *t, unsigned long page)
{
	return spte_region(READ_ONCE(*region_sptep(t, page, PG_LEVEL_2M)));
}

void region_need_huge(struct region_test *t, unsigned long page)
{
	const u64 *sptep = region_sptep(t, page, PG_LEVEL_2M);

	if (!sptep || !spte_huge(READ_ONCE(*sptep)))
		kunit_skip(t->vm->test, "the host has no huge page");
}

void region_protect(struct region_test *t, unsigned long page)
{
	struct kvm *kvm = t->vm->kvm;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	KUNIT_EXPECT_TRUE(t->vm->test, mmu_write_protect_gfn(kvm, REGION_GFN + page));
	kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}
