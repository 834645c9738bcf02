// SPDX-License-Identifier: GPL-2.0-only
/*
 * The pages that shadow a vCPU's tables, and its roots, when the slot of the tables is
 * deleted: soft_going.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/shadow_internal.h"
#include "soft_going.h"
#include "soft_hardware.h"

/* What is there is gone then, too, or a test that fails would go on to crash. */
static void expect_nothing_shadowed(struct going_scene *s, enum going_slot_id id)
{
	const gfn_t end = going_slots[id].gfn + going_slots[id].npages;
	struct kvm *kvm = s->vm->kvm;
	struct shadow_zap zap = {};
	bool found = false;
	struct kvm_mmu_page *sp;
	gfn_t gfn;

	guard(srcu)(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	for (gfn = going_slots[id].gfn; gfn < end; gfn++)
		shadow_for_each_table(kvm, sp, gfn)
			found = true;
	shadow_zap_gfn_tables(kvm, 0, going_slots[id].gfn, end, &zap);
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
	KUNIT_EXPECT_FALSE(s->vm->test, found);
}

/*
 * The vCPU has walked its tables, and waits for a page; those of level 1 go.  What
 * would shadow one of them had no slot that counts it.
 */
static void table_when_published(struct kunit *test)
{
	struct going_scene *s = going_scene_new(test);
	struct soft_slow *slow;

	going_make_tables(s, SOFT_4_LEVELS);
	slow = going_access_slow_page(s);
	going_delete_until_published(s, PT_SLOT);
	complete_all(&slow->given);
	soft_threads_stop(&s->threads);
	soft_change_end(&s->change);

	KUNIT_EXPECT_EQ(test, s->end, s->paging.mode->nested ? SOFT_EXIT : SOFT_FAULT);
	expect_nothing_shadowed(s, PT_SLOT);
}

/* The vCPU finds its tables in a slot that is going: it is not to shadow them. */
static void late_tables(struct kunit *test, enum going_slot_id id, enum soft_mode_id mode)
{
	struct going_scene *s = going_scene_new(test);

	going_make_tables(s, mode);
	going_use_tables(s);
	going_delete_until_zapped(s, id);
	going_start_access_to(s, GVA_NEAR);
	going_expect_no_progress(s);
	expect_nothing_shadowed(s, id);
	going_end_deletion(s);
	KUNIT_EXPECT_EQ(test, s->end, s->paging.mode->nested ? SOFT_EXIT : SOFT_FAULT);
	expect_nothing_shadowed(s, id);
}

static void late_table(struct kunit *test)
{
	late_tables(test, PT_SLOT, SOFT_4_LEVELS);
}

/* A page, four of PAE, and four of one table. */
static void late_root(struct kunit *test)
{
	late_tables(test, UPPER_SLOT, SOFT_4_LEVELS);
}

static void late_root_of_pae(struct kunit *test)
{
	late_tables(test, UPPER_SLOT, SOFT_PAE);
}

static void late_root_of_32bit(struct kunit *test)
{
	late_tables(test, UPPER_SLOT, SOFT_32BIT);
}

static struct kunit_case going_table_cases[] = {
	KUNIT_CASE_PARAM(table_when_published, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_table, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_root, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_root_of_pae, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(late_root_of_32bit, soft_hardware_gen_params),
	{}
};

static struct kunit_suite going_table_suite = {
	.name = "kvm_soft_going_table",
	.test_cases = going_table_cases,
};

kunit_test_suite(going_table_suite);
