// SPDX-License-Identifier: GPL-2.0-only
/*
 * A slot that is deleted while a vCPU makes something of it, see soft_going.h.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kvm_host.h>

#include "soft_going.h"
#include "soft_nested.h"
#include "soft_vendor.h"
#include "test_helper.h"

const struct going_slot going_slots[NR_SLOTS] = {
	[LOW_SLOT] = { 0, SOFT_TABLE_GFN },
	[UPPER_SLOT] = { SOFT_TABLE_GFN, SOFT_PT0 },
	[PT_SLOT] = { SOFT_TABLE_GFN + SOFT_PT0, 2 },
	[NEAR_SLOT] = { GOING - 4, 4 },
	[GOING_SLOT] = { GOING, NR_PAGES - GOING },
};

struct going_scene *going_scene_of_kind(struct kunit *test,
					const struct soft_vm_kind *kind, u32 flags)
{
	struct going_scene *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	struct soft_vm *vm;
	int i;

	KUNIT_ASSERT_NOT_NULL(test, s);
	soft_vendor_load(test, test->param_value);
	vm = soft_vm_create_kind(test, 1, soft_memory_create(test, NR_PAGES), kind);
	soft_vm_mark_pages(vm, 0, NR_PAGES);
	for (i = 0; i < NR_SLOTS; i++)
		KUNIT_ASSERT_EQ(test, 0,
				soft_vm_set_slot(vm, i, going_slots[i].gfn,
						 going_slots[i].npages, going_slots[i].gfn,
						 i == GOING_SLOT ? flags : 0));
	s->vm = vm;
	init_completion(&s->pre_fault_begun);
	init_completion(&s->pre_faulted);
	soft_threads_init(&s->threads, vm);
	return s;
}

struct going_scene *going_scene_new(struct kunit *test)
{
	const struct soft_vm_kind kind = {};

	return going_scene_of_kind(test, &kind, 0);
}

void going_make_tables(struct going_scene *s, enum soft_mode_id id)
{
	static const gfn_t gfn[NR_GVAS] = {
		[GVA_NEAR] = LAST_NEAR, [GVA_GOING] = GOING, [GVA_SLOW] = SLOW,
	};
	const u64 rw_us_a_d = BIT(0) | BIT(1) | BIT(4) | BIT(5);
	u64 far;
	unsigned int n;

	s->paging = soft_shadowed_paging(id);
	soft_make_links(s->vm, SOFT_TABLE_GFN, s->paging.mode->ept);
	for (n = GVA_NEAR; n < NR_GVAS; n++)
		soft_vm_write(s->vm, SOFT_TABLE_GFN + soft_pt(n), soft_pt_word(n),
			      soft_pte_as(s->paging.mode->ept, gfn[n], rw_us_a_d));
	far = soft_pte_as(s->paging.mode->ept, LOW, rw_us_a_d);
	soft_vm_write(s->vm, SOFT_TABLE_GFN + soft_pt(GVA_FAR), soft_pt_word(GVA_FAR),
		      far);
}

void going_use_tables(struct going_scene *s)
{
	struct soft_access read = { .addr = soft_gva(s->paging.mode, GVA_FAR) };
	struct kvm_vcpu *vcpu = s->vm->vcpu[0];

	soft_cpu_begin(vcpu);
	KUNIT_EXPECT_TRUE(s->vm->test, soft_set_paging(vcpu, &s->paging));
	KUNIT_EXPECT_EQ(s->vm->test, SOFT_RAM, soft_cpu_access(vcpu, &read));
	soft_cpu_end(vcpu);
}

/* The vCPU's thread */

static void enter(struct soft_thread *thread)
{
	struct going_scene *s = going_scene_of(thread);

	if (s->paging.mode)
		KUNIT_EXPECT_TRUE(s->vm->test, soft_set_paging(soft_thread_vcpu(thread),
							       &s->paging));
}

static bool access_once(struct soft_thread *thread)
{
	struct going_scene *s = going_scene_of(thread);

	s->end = soft_thread_access(thread, &s->access);
	return false;
}

static const struct soft_thread_ops access_ops = {
	.begin = enter,
	.access = access_once,
};

void going_start_access(struct going_scene *s, u64 addr, bool write)
{
	s->access = (struct soft_access) { .addr = addr, .write = write, .value = 5 };
	s->end = -EINPROGRESS;
	soft_thread_start(&s->threads, 0, &access_ops);
}

void going_start_access_to(struct going_scene *s, enum going_gva n)
{
	going_start_access(s, soft_gva(s->paging.mode, n), false);
}

void going_finish_access(struct going_scene *s)
{
	while (!soft_thread_ended(&s->threads, 0))
		usleep_range(1000, 2000);
	soft_threads_stop(&s->threads);
	KUNIT_EXPECT_EQ(s->vm->test, s->end, SOFT_RAM);
}

void going_expect_no_progress(struct going_scene *s)
{
	const u64 *faults = &s->vm->vcpu[0]->stat.pf_taken;
	const unsigned long end = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);
	const u64 enough = READ_ONCE(*faults) + 3;

	while (READ_ONCE(*faults) < enough && time_before(jiffies, end) &&
	       !soft_thread_ended(&s->threads, 0))
		usleep_range(1000, 2000);
	KUNIT_EXPECT_GE(s->vm->test, READ_ONCE(*faults), enough);
	KUNIT_EXPECT_FALSE(s->vm->test, soft_thread_ended(&s->threads, 0));
}

static void deletion_of(struct going_scene *s, enum going_slot_id id)
{
	const gfn_t gfn = going_slots[id].gfn;

	s->change = (struct soft_change) {
		.vm = s->vm, .id = id, .gfn = gfn, .page = gfn,
	};
}

void going_delete_until_zapped(struct going_scene *s, enum going_slot_id id)
{
	deletion_of(s, id);
	soft_change_until_unpublished(&s->change);
}

void going_delete_until_published(struct going_scene *s, enum going_slot_id id)
{
	deletion_of(s, id);
	soft_change_until_published(&s->change);
}

void going_end_deletion(struct going_scene *s)
{
	soft_change_publish(&s->change);
	soft_change_end(&s->change);
	soft_threads_stop(&s->threads);
}

bool going_unmap_slot(struct going_scene *s, enum going_slot_id id)
{
	const gfn_t gfn = going_slots[id].gfn;
	struct kvm *kvm = s->vm->kvm;
	struct kvm_gfn_range range = {
		.start = gfn, .end = gfn + going_slots[id].npages,
		.attr_filter = KVM_FILTER_SHARED | KVM_FILTER_PRIVATE,
	};

	guard(srcu)(&kvm->srcu);
	range.slot = gfn_to_memslot(kvm, range.start);
	KUNIT_EXPECT_NOT_NULL(s->vm->test, range.slot);
	return range.slot && soft_vm_unmap_range(s->vm, &range);
}

void going_expect_nothing_mapped(struct going_scene *s, enum going_slot_id id)
{
	KUNIT_EXPECT_FALSE(s->vm->test, going_unmap_slot(s, id));
}

struct soft_slow *going_access_slow_page(struct going_scene *s)
{
	struct soft_slow *slow = soft_slow_page(s->vm, SLOW);

	if (s->paging.mode)
		going_start_access_to(s, GVA_SLOW);
	else
		going_start_access(s, gfn_to_gpa(SLOW), true);
	wait_for_completion(&slow->asked);
	return slow;
}
