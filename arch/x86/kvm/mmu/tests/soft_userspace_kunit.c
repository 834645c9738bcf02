// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM can do to KVM's core that a sane one does not: in a ring that is its
 * own to write (virt/kvm/dirty_ring.c), to a guest_memfd while a slot is being bound
 * to it, by a move to where no slot can be (both virt/kvm/memslot.c), with options of
 * the dirty log that change when it likes (virt/kvm/dirty_log.c), and with
 * attributes of all frames there can be (virt/kvm/mem_attributes.c).
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "mmu.h"
#include "soft_change.h"
#include "soft_hardware.h"
#include "soft_vm.h"
#include "test_helper.h"

#define NR_PAGES	16UL
#define GFN		0x100
#define SLOT		3

/* Gfns that a guest_memfd's slot or attributes can be of. */
#define ALL_PAGES	BIT_ULL(48)

static struct soft_vm *new_vm(struct kunit *test, const struct soft_vm_kind *kind)
{
	soft_vendor_load(test, test->param_value ?: SOFT_NPT);
	return soft_vm_create_kind(test, 1, soft_memory_create(test, NR_PAGES), kind);
}

/* Dirty rings */

static struct soft_vm *new_ring_vm(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, &(struct soft_vm_kind) { .log = SOFT_LOG_RING });

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, SLOT, GFN, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	return vm;
}

static struct kvm_dirty_gfn *ring_of(struct soft_vm *vm)
{
	return vm->vcpu[0]->dirty_ring.dirty_gfns;
}

static void mark_all(struct soft_vm *vm)
{
	int i;

	for (i = 0; i < SOFT_RING_ENTRIES; i++)
		WRITE_ONCE(ring_of(vm)[i].flags, KVM_DIRTY_GFN_F_RESET);
}

static int write_page(struct soft_vm *vm, unsigned long page)
{
	struct soft_access write = { .addr = gfn_to_gpa(GFN + page), .write = true };

	return soft_cpu_run(vm->vcpu[0], &write);
}

/* Entries that KVM never filled are not there to be reset. */
static void ring_marked_unasked(struct kunit *test)
{
	struct soft_vm *vm = new_ring_vm(test);
	struct kvm_dirty_gfn entry = {};

	mark_all(vm);
	KUNIT_EXPECT_EQ(test, soft_vm_reset_rings(vm), 0);
	KUNIT_EXPECT_EQ(test, write_page(vm, 5), SOFT_RAM);
	KUNIT_EXPECT_TRUE(test, soft_vm_next_dirty(vm, 0, &entry));
	KUNIT_EXPECT_EQ(test, entry.slot, SLOT);
	KUNIT_EXPECT_EQ(test, entry.offset, 5);

	mark_all(vm);
	KUNIT_EXPECT_EQ(test, soft_vm_reset_rings(vm), 1);
	KUNIT_EXPECT_EQ(test, soft_vm_reset_rings(vm), 0);
}

/* Slots and offsets that do not exist are taken back, and nothing else. */
static void ring_entries_of_nothing(struct kunit *test)
{
	static const u32 slots[] = { SLOT, 0, 0x7fff, 0x10000 | SLOT, 0x20000, ~0u };
	static const u64 offsets[] = { NR_PAGES, ~0ULL, BIT_ULL(63), 1ULL << 52 };
	struct soft_vm *vm = new_ring_vm(test);
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++) {
		KUNIT_EXPECT_EQ(test, write_page(vm, i), SOFT_RAM);
		ring_of(vm)[i].slot = slots[i % ARRAY_SIZE(slots)];
		ring_of(vm)[i].offset = offsets[i % ARRAY_SIZE(offsets)];
	}
	mark_all(vm);
	KUNIT_EXPECT_EQ(test, soft_vm_reset_rings(vm), NR_PAGES);
}

/*
 * Writes without a KVM_RUN that would end, as by KVM_SET_MSRS: what was not
 * harvested stays, and KVM_RUN says that the ring is full.
 */
static void ring_is_full(struct kunit *test)
{
	struct soft_vm *vm = new_ring_vm(test);
	int i;

	soft_cpu_begin(vm->vcpu[0]);
	for (i = 0; i < 2 * SOFT_RING_ENTRIES; i++)
		mark_page_dirty(vm->kvm, GFN + (i < SOFT_RING_ENTRIES ? 3 : 5));
	soft_cpu_end(vm->vcpu[0]);

	for (i = 0; i < SOFT_RING_ENTRIES; i++) {
		KUNIT_EXPECT_EQ(test, ring_of(vm)[i].flags, KVM_DIRTY_GFN_F_DIRTY);
		KUNIT_EXPECT_EQ(test, ring_of(vm)[i].offset, 3);
	}
	KUNIT_EXPECT_EQ(test, write_page(vm, 1), SOFT_RING_FULL);

	mark_all(vm);
	KUNIT_EXPECT_EQ(test, soft_vm_reset_rings(vm), SOFT_RING_ENTRIES);
	KUNIT_EXPECT_EQ(test, write_page(vm, 1), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, ring_of(vm)[0].offset, 1);
}

/* guest_memfd */

/* Does a hole in the file reach a slot? */
static bool hole_is_seen(struct soft_vm *vm)
{
	const unsigned long seq = vm->kvm->mmu_invalidate_seq;

	KUNIT_EXPECT_EQ(vm->test, 0, soft_vm_punch_hole(vm, 0, NR_PAGES));
	return vm->kvm->mmu_invalidate_seq != seq;
}

/* Does it get to where it waits for a mutex?  Nothing else takes it so long. */
static bool falls_asleep(struct soft_change *change)
{
	const unsigned long end = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);
	int asleep = 0;

	while (asleep < 20 && !completion_done(&change->done) &&
	       time_before(jiffies, end)) {
		usleep_range(500, 1000);
		if (READ_ONCE(change->task->__state) & TASK_UNINTERRUPTIBLE)
			asleep++;
		else
			asleep = 0;
	}
	return asleep == 20;
}

/*
 * Until all that can fail is done, and the slot has all that the MMU needs, no hole
 * that is punched into the file gets at the slot.  All that comes is under one hold
 * of slots_arch_lock, binding included.
 */
static void gmem_is_bound_last(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_change creation = {
		.id = SLOT, .gfn = GFN, .npages = NR_PAGES, .flags = KVM_MEM_GUEST_MEMFD,
	};
	struct soft_vm *vm;

	if (!hw->tdp)
		kunit_skip(test, "private memory needs nested paging");
	vm = new_vm(test, &(struct soft_vm_kind) { .private = true });
	creation.vm = vm;
	mutex_lock(&vm->kvm->slots_arch_lock);
	soft_change_begin(&creation);
	KUNIT_EXPECT_TRUE(test, falls_asleep(&creation));
	KUNIT_EXPECT_FALSE(test, hole_is_seen(vm));
	mutex_unlock(&vm->kvm->slots_arch_lock);
	soft_change_end(&creation);

	KUNIT_EXPECT_TRUE(test, hole_is_seen(vm));
	/* Who has the memory of another slot gets none. */
	KUNIT_EXPECT_EQ(test, -EEXIST, soft_vm_set_slot(vm, SLOT + 1, GFN + NR_PAGES,
							NR_PAGES, 0,
							KVM_MEM_GUEST_MEMFD));
	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_slot(vm, SLOT, GFN, 0, 0, 0));
	KUNIT_EXPECT_FALSE(test, hole_is_seen(vm));
	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_slot(vm, SLOT + 1, GFN + NR_PAGES, NR_PAGES,
						  0, KVM_MEM_GUEST_MEMFD));
}

/* Moves */

static bool has_memory(struct soft_vm *vm, gfn_t gfn)
{
	guard(srcu)(&vm->kvm->srcu);
	return kvm_is_visible_gfn(vm->kvm, gfn);
}

/*
 * x86 refuses it when the slot is INVALID already: it is back, with what its log knew,
 * and can be moved to elsewhere.
 */
static void move_beyond_last_gfn(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, &(struct soft_vm_kind) {});
	const u32 flags = KVM_MEM_LOG_DIRTY_PAGES;
	u64 log;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, SLOT, GFN, NR_PAGES, 0, flags));
	KUNIT_EXPECT_EQ(test, write_page(vm, 5), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, -EINVAL, soft_vm_set_slot(vm, SLOT, kvm_mmu_max_gfn(),
							NR_PAGES, 0, flags));

	KUNIT_ASSERT_TRUE(test, has_memory(vm, GFN));
	KUNIT_EXPECT_EQ(test, write_page(vm, 6), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, write_page(vm, NR_PAGES), SOFT_MMIO);
	KUNIT_EXPECT_EQ(test, 0, soft_vm_get_dirty_log(vm, SLOT, &log, 1));
	KUNIT_EXPECT_EQ(test, log, BIT(5) | BIT(6));

	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_slot(vm, SLOT, GFN + NR_PAGES, NR_PAGES, 0,
						  flags));
	KUNIT_EXPECT_EQ(test, write_page(vm, 6), SOFT_MMIO);
	KUNIT_EXPECT_EQ(test, write_page(vm, NR_PAGES), SOFT_RAM);
}

/* Options of the dirty log */

/**
 * struct enabling - manual mode is enabled
 * @vm: the VM
 * @error: of the ioctl
 */
struct enabling {
	struct soft_vm *vm;
	int error;
};

static void enable_manual_log(void *data)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { KVM_DIRTY_LOG_MANUAL_CAPS },
	};
	struct enabling *e = data;

	e->error = soft_file_ioctl(e->vm, e->vm->file, KVM_ENABLE_CAP, &cap, sizeof(cap));
}

/* A change of a slot looks at them twice: they do not change in between. */
static void log_options_wait(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, &(struct soft_vm_kind) {});
	struct test_helper *helper = test_helper_create(test);
	struct enabling e = { .vm = vm };
	bool ended;

	mutex_lock(&vm->kvm->slots_lock);
	test_helper_begin(helper, enable_manual_log, &e);
	ended = test_helper_wait(helper, 100);
	KUNIT_EXPECT_FALSE(test, ended);
	KUNIT_EXPECT_EQ(test, vm->kvm->manual_dirty_log_protect, 0);
	mutex_unlock(&vm->kvm->slots_lock);
	if (!ended)
		wait_for_completion(&helper->done);

	KUNIT_EXPECT_EQ(test, e.error, 0);
	KUNIT_EXPECT_EQ(test, vm->kvm->manual_dirty_log_protect, KVM_DIRTY_LOG_MANUAL_CAPS);
}

/* Attributes */

/* To take away what a few have costs these few, however large the range is. */
static void attributes_of_all(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, &(struct soft_vm_kind) { .private = true });
	struct kvm *kvm = vm->kvm;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(vm, GFN, NR_PAGES, true));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(vm, ALL_PAGES - 1, 1, true));
	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_private(vm, GFN + 1, ALL_PAGES - GFN - 1, false));
	KUNIT_EXPECT_TRUE(test, kvm_mem_is_private(kvm, GFN));
	KUNIT_EXPECT_FALSE(test, kvm_mem_is_private(kvm, GFN + 1));
	KUNIT_EXPECT_FALSE(test, kvm_mem_is_private(kvm, ALL_PAGES - 1));
	KUNIT_EXPECT_EQ(test, 0, soft_vm_set_private(vm, 0, ALL_PAGES, false));
	KUNIT_EXPECT_TRUE(test, xa_empty(&kvm->mem_attr_array));
}

static struct kunit_case userspace_cases[] = {
	KUNIT_CASE_PARAM(ring_marked_unasked, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(ring_entries_of_nothing, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(ring_is_full, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(gmem_is_bound_last, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(move_beyond_last_gfn, soft_hardware_gen_params),
	KUNIT_CASE(log_options_wait),
	KUNIT_CASE(attributes_of_all),
	{}
};

static struct kunit_suite userspace_suite = {
	.name = "kvm_soft_userspace",
	.test_cases = userspace_cases,
};

kunit_test_suite(userspace_suite);
