// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots of a set that was replaced, in the hands of readers that the change waits
 * for, while the first shadow root comes: what shadow paging needs in slots is
 * allocated for their successors alone (locking.txt, 3).
 *
 * vCPU 0 is in L1.  vCPU 1 enters L2, which makes the first shadow root.  The slot
 * that changes is none of L2's.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/page_track.h"
#include "mmu/shadow_internal.h"
#include "mmu/tdp.h"
#include "soft_change.h"
#include "soft_hardware.h"
#include "soft_nested.h"
#include "soft_paging.h"
#include "soft_threads.h"
#include "soft_vm.h"

/* Slot 0 has L1's tables and what L2 reads: gfn n is page n of the VMM. */
#define NR_PAGES	512
#define L2_GFN		0x155

/* The slot that changes. */
#define CHANGED		1
#define GFN		0x400
#define PAGE		NR_PAGES
#define NR_CHANGED	16

/**
 * struct scene - a VM, and a thread of its VMM that changes a slot
 * @vm: the VM
 * @change: of the slot
 */
struct scene {
	struct soft_vm *vm;
	struct soft_change change;
};

static struct scene *new_scene(struct kunit *test, bool private)
{
	const struct soft_vm_kind kind = { .private = private };
	const struct soft_hardware *hw = test->param_value;
	struct scene *s = kunit_kzalloc(test, sizeof(*s), GFP_KERNEL);
	const u32 flags = private ? KVM_MEM_GUEST_MEMFD : 0;
	struct soft_vm *vm;

	if (!hw->tdp)
		kunit_skip(test, "slots have all that shadow paging needs");
	KUNIT_ASSERT_NOT_NULL(test, s);
	soft_vendor_load(test, hw);
	vm = soft_vm_create_kind(test, 2, soft_memory_create(test, NR_PAGES + NR_CHANGED),
				 &kind);
	soft_vm_mark_pages(vm, 0, NR_PAGES + NR_CHANGED);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0, 0));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, CHANGED, GFN, NR_CHANGED, PAGE,
						  flags));
	s->vm = vm;
	return s;
}

/* The change is published, and waits for a reader. */
static void begin_change(struct scene *s, unsigned long npages, u32 flags)
{
	s->change = (struct soft_change) {
		.vm = s->vm, .id = CHANGED, .gfn = GFN, .npages = npages,
		.page = PAGE, .flags = flags,
	};
	soft_change_until_published(&s->change);
}

/* L1's tables, which lead L2 to one page. */
static struct soft_paging make_tables(struct soft_vm *vm)
{
	const struct soft_paging paging = soft_shadowed_paging(SOFT_4_LEVELS);

	soft_make_links(vm, SOFT_TABLE_GFN, paging.mode->ept);
	soft_vm_write(vm, SOFT_TABLE_GFN + soft_pt(0), soft_pt_word(0),
		      soft_pte_as(paging.mode->ept, L2_GFN, SOFT_GPTE_RW | SOFT_GPTE_US));
	return paging;
}

static void make_first_shadow_root(struct soft_vm *vm, const struct soft_paging *paging)
{
	struct soft_access read = { .addr = soft_gva(paging->mode, 0) };
	struct kvm_vcpu *vcpu = vm->vcpu[1];

	KUNIT_EXPECT_FALSE(vm->test, kvm_shadow_root_allocated(vm->kvm));
	soft_cpu_begin(vcpu);
	soft_set_paging(vcpu, paging);
	KUNIT_EXPECT_EQ(vm->test, SOFT_RAM, soft_cpu_access(vcpu, &read));
	soft_cpu_end(vcpu);
	KUNIT_EXPECT_EQ(vm->test, read.value, SOFT_PAGE_ID + L2_GFN);
	KUNIT_EXPECT_TRUE(vm->test, kvm_shadow_root_allocated(vm->kvm));
}

/* vCPU 0: one write, to the page that is slow. */

#define SLOW_AT		3

static struct soft_access slow_write;
static int slow_write_end;

static bool write_slow_page(struct soft_thread *thread)
{
	slow_write = (struct soft_access) {
		.addr = gfn_to_gpa(GFN + SLOW_AT), .write = true, .value = 5,
	};
	slow_write_end = soft_thread_access(thread, &slow_write);
	return false;
}

static const struct soft_thread_ops write_slow_ops = {
	.access = write_slow_page,
};

/*
 * A fault has its slot and waits for the host's page.  When it goes on, the slot
 * does not know which gfns are tracked: the fault starts over with its successor,
 * in which nothing is, and which is logged.
 */
static void fault_of_replaced_slot(struct kunit *test)
{
	struct soft_threads *threads = kunit_kzalloc(test, sizeof(*threads), GFP_KERNEL);
	struct scene *s = new_scene(test, false);
	const struct soft_paging paging = make_tables(s->vm);
	struct soft_slow *slow;
	u64 log = 0;

	KUNIT_ASSERT_NOT_NULL(test, threads);
	soft_threads_init(threads, s->vm);
	slow = soft_slow_page(s->vm, PAGE + SLOW_AT);

	soft_thread_start(threads, 0, &write_slow_ops);
	wait_for_completion(&slow->asked);
	begin_change(s, NR_CHANGED, KVM_MEM_LOG_DIRTY_PAGES);
	make_first_shadow_root(s->vm, &paging);

	complete_all(&slow->given);
	soft_threads_stop(threads);
	soft_change_end(&s->change);

	KUNIT_EXPECT_EQ(test, slow_write_end, SOFT_RAM);
	KUNIT_EXPECT_FALSE(test, slow_write.emulated);
	KUNIT_EXPECT_EQ(test, soft_vm_read(s->vm, PAGE + SLOW_AT, 0), 5);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_get_dirty_log(s->vm, CHANGED, &log, 1));
	KUNIT_EXPECT_EQ(test, log, BIT(SLOW_AT));
}

static bool write_protect_by(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	bool flush;

	write_lock(&kvm->mmu_lock);
	flush = shadow_write_protect_gfn(kvm, slot, GFN);
	if (tdp_enabled)
		flush |= tdp_write_protect_gfn(kvm, slot, GFN);
	kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
	return flush;
}

static bool is_tracked(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	bool tracked;

	read_lock(&kvm->mmu_lock);
	tracked = kvm_gfn_is_write_tracked(kvm, slot, GFN);
	read_unlock(&kvm->mmu_lock);
	return tracked;
}

/* All that takes a slot, with one that has neither rmaps nor counters. */
static void use_replaced_slot(struct kunit *test, struct soft_vm *vm,
			      struct kvm_memory_slot *old)
{
	struct kvm *kvm = vm->kvm;
	struct kvm_memory_slot *new = gfn_to_memslot(kvm, GFN);
	struct kvm_gfn_range range = {
		.slot = old, .start = GFN, .end = GFN + 1,
		.attr_filter = KVM_FILTER_SHARED, .may_block = true,
	};

	KUNIT_ASSERT_PTR_NE(test, old, new);
	KUNIT_EXPECT_FALSE(test, slot_has_rmaps(old));
	KUNIT_EXPECT_TRUE(test, slot_has_rmaps(new));
	KUNIT_EXPECT_TRUE(test, kvm_page_track_slot_outdated(kvm, old));
	KUNIT_EXPECT_FALSE(test, kvm_page_track_slot_outdated(kvm, new));
	KUNIT_EXPECT_TRUE(test, is_tracked(kvm, old));
	KUNIT_EXPECT_FALSE(test, is_tracked(kvm, new));

	/* Direct paging has mapped it, and goes by the gfn. */
	KUNIT_EXPECT_TRUE(test, kvm_test_age_gfn(kvm, &range));
	KUNIT_EXPECT_TRUE(test, kvm_age_gfn(kvm, &range));
	KUNIT_EXPECT_FALSE(test, kvm_test_age_gfn(kvm, &range));
	KUNIT_EXPECT_TRUE(test, write_protect_by(kvm, old));
	KUNIT_EXPECT_TRUE(test, soft_vm_unmap_range(vm, &range));
	KUNIT_EXPECT_FALSE(test, soft_vm_unmap_range(vm, &range));
}

/* Readers of the replaced slot, who are not held up by the change. */
static void readers_of_replaced_slot(struct kunit *test)
{
	struct soft_access write = { .addr = gfn_to_gpa(GFN), .write = true };
	struct scene *s = new_scene(test, false);
	const struct soft_paging paging = make_tables(s->vm);
	struct kvm *kvm = s->vm->kvm;
	struct kvm_memory_slot *old;
	int idx;

	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(s->vm->vcpu[0], &write));

	idx = srcu_read_lock(&kvm->srcu);
	old = gfn_to_memslot(kvm, GFN);
	begin_change(s, NR_CHANGED, KVM_MEM_LOG_DIRTY_PAGES);
	make_first_shadow_root(s->vm, &paging);
	use_replaced_slot(test, s->vm, old);
	srcu_read_unlock(&kvm->srcu, idx);
	soft_change_end(&s->change);

	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(s->vm->vcpu[0], &write));
}

/*
 * A slot that has left the set, and that the guest_memfd goes on to know until it is
 * freed: a hole is punched there.
 */
static void hole_in_deleted_slot(struct kunit *test)
{
	struct soft_access write = { .addr = gfn_to_gpa(GFN), .write = true };
	struct scene *s = new_scene(test, true);
	const struct soft_paging paging = make_tables(s->vm);
	struct kvm *kvm = s->vm->kvm;
	int idx;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(s->vm, GFN, NR_CHANGED, true));
	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(s->vm->vcpu[0], &write));

	idx = srcu_read_lock(&kvm->srcu);
	begin_change(s, 0, 0);
	make_first_shadow_root(s->vm, &paging);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_punch_hole(s->vm, PAGE, NR_CHANGED));
	srcu_read_unlock(&kvm->srcu, idx);
	soft_change_end(&s->change);
}

static struct kunit_case old_slot_cases[] = {
	KUNIT_CASE_PARAM(fault_of_replaced_slot, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(readers_of_replaced_slot, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(hole_in_deleted_slot, soft_hardware_gen_params),
	{}
};

static struct kunit_suite old_slot_suite = {
	.name = "kvm_soft_old_slot",
	.test_cases = old_slot_cases,
};

kunit_test_suite(old_slot_suite);
