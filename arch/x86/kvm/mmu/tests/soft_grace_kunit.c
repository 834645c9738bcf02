// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a change of a slot, or of the devices on a bus, costs in grace periods of
 * kvm->srcu, which vCPUs and whoever else reads slots make long: counted for each
 * ioctl.  All are expedited.  And what readers have of a slot that is being deleted.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/srcu.h>

#include "soft_change.h"
#include "soft_hardware.h"
#include "soft_vm.h"
#include "test_helper.h"

#define GFN		0x100
#define NR_PAGES	16UL

/**
 * struct step - an ioctl
 * @name: of it
 * @id: of the slot, with its address space
 * @gfn: see soft_vm_set_slot(); so are @npages and @flags
 * @npages: see there
 * @flags: see there
 * @cost: in grace periods
 * @bus_ioctl: the ioctl, if it is one for a device on a bus
 * @pio: its bus; else MMIO
 */
struct step {
	const char *name;
	u32 id;
	gfn_t gfn;
	unsigned long npages;
	u32 flags;
	unsigned long cost;
	unsigned int bus_ioctl;
	u32 pio;
};

#define SMM_SPACE	0x10000

static const struct step steps[] = {
	{ "create", 0, GFN, NR_PAGES, 0, 1 },
	{ "create a second one", 1, 2 * GFN, NR_PAGES, 0, 1 },
	{ "the same again", 1, 2 * GFN, NR_PAGES, 0, 0 },
	{ "log", 0, GFN, NR_PAGES, KVM_MEM_LOG_DIRTY_PAGES, 1 },
	{ "do not log", 0, GFN, NR_PAGES, 0, 1 },
	{ "move", 0, 3 * GFN, NR_PAGES, 0, 2 },
	{ "log again", 0, 3 * GFN, NR_PAGES, KVM_MEM_LOG_DIRTY_PAGES, 1 },
	{ "delete a logged one", 0, 3 * GFN, 0, 0, 1 },
	{ "delete, right after that", 1, 2 * GFN, 0, 0, 1 },
};

static const struct step smm_steps[] = {
	{ "create for SMM", SMM_SPACE, GFN, NR_PAGES, 0, 1 },
	{ "delete for SMM", SMM_SPACE, GFN, 0, 0, 1 },
};

static const struct step private_steps[] = {
	{ "create with guest_memfd", 0, GFN, NR_PAGES, KVM_MEM_GUEST_MEMFD, 1 },
	{ "delete with guest_memfd", 0, GFN, 0, 0, 1 },
};

/* A device that comes waits for nobody; for one that goes, somebody does. */
#define REGISTER(_pio, _cost)	\
	{ "register", .bus_ioctl = KVM_REGISTER_COALESCED_MMIO, .pio = _pio, .cost = _cost }
#define UNREGISTER(_pio, _cost)	\
	{ "unregister", .bus_ioctl = KVM_UNREGISTER_COALESCED_MMIO, .pio = _pio, .cost = _cost }

static const struct step bus_steps[] = {
	REGISTER(0, 0),
	REGISTER(1, 0),
	UNREGISTER(0, 1),
	UNREGISTER(1, 1),
	UNREGISTER(1, 0),	/* There is none. */
};

/* A number that grows with each grace period, by as much as is seen here. */
static unsigned long srcu_steps(struct srcu_struct *srcu)
{
	const unsigned long before = get_state_synchronize_srcu(srcu);

	synchronize_srcu_expedited(srcu);
	return get_state_synchronize_srcu(srcu) - before;
}

static long do_step(struct soft_vm *vm, const struct step *step)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = 0x100, .size = 8, .pio = step->pio,
	};

	if (step->bus_ioctl)
		return soft_file_ioctl(vm, vm->file, step->bus_ioctl, &zone, sizeof(zone));

	return soft_vm_set_slot(vm, step->id, step->gfn, step->npages, 0, step->flags);
}

static void count(struct soft_vm *vm, const struct step *steps, unsigned int nr)
{
	struct srcu_struct *srcu = &vm->kvm->srcu;
	const unsigned long one = srcu_steps(srcu);
	const struct step *step;
	unsigned long before;

	KUNIT_ASSERT_NE(vm->test, one, 0);
	for (step = steps; step < steps + nr; step++) {
		before = get_state_synchronize_srcu(srcu);
		KUNIT_EXPECT_EQ_MSG(vm->test, 0, do_step(vm, step), "%s", step->name);
		KUNIT_EXPECT_EQ_MSG(vm->test,
				    get_state_synchronize_srcu(srcu) - before,
				    step->cost * one, "%s", step->name);
	}
}

static struct soft_vm *new_vm(struct kunit *test, bool private)
{
	const struct soft_vm_kind kind = { .private = private };

	soft_vendor_load(test, test->param_value);
	return soft_vm_create_kind(test, 1, soft_memory_create(test, NR_PAGES), &kind);
}

static void grace_periods(struct kunit *test)
{
	count(new_vm(test, false), steps, ARRAY_SIZE(steps));
}

static void grace_periods_of_buses(struct kunit *test)
{
	count(new_vm(test, false), bus_steps, ARRAY_SIZE(bus_steps));
}

static void grace_periods_of_smm(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, false);

	if (kvm_arch_nr_memslot_as_ids(vm->kvm) < 2)
		kunit_skip(test, "needs two address spaces");
	count(vm, smm_steps, ARRAY_SIZE(smm_steps));
}

static void grace_periods_of_private_memory(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;

	if (!hw->tdp)
		kunit_skip(test, "private memory needs TDP");
	count(new_vm(test, true), private_steps, ARRAY_SIZE(private_steps));
}

#ifdef CONFIG_TREE_SRCU
static void do_nothing(struct rcu_head *head)
{
}

/*
 * Is a later grace period than @needed asked for as expedited?  Ask before it ends: then
 * both numbers are equal in any case.
 */
static bool expedited_behind(const struct srcu_usage *usage, unsigned long needed)
{
	const unsigned long asked = READ_ONCE(usage->srcu_gp_seq_needed);

	return asked != needed && READ_ONCE(usage->srcu_gp_seq_needed_exp) == asked;
}

/**
 * struct waiting_step - an ioctl that waits for a grace period
 * @vm: its VM
 * @step: the ioctl
 * @helper: who does it
 * @r: what it returned
 */
struct waiting_step {
	struct soft_vm *vm;
	const struct step *step;
	struct test_helper *helper;
	long r;
};

static void do_waiting_step(void *data)
{
	struct waiting_step *w = data;

	w->r = do_step(w->vm, w->step);
}

/*
 * SRCU that is idle does all as if it were expedited.  Here it is not: a callback's
 * grace period waits for a reader until the ioctl has asked for one of its own.
 */
static bool is_expedited(struct waiting_step *w, struct rcu_head *head)
{
	struct srcu_struct *srcu = &w->vm->kvm->srcu;
	const unsigned long end = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);
	struct srcu_usage *usage = srcu->srcu_sup;
	unsigned long needed;
	bool expedited;

	scoped_guard(srcu, srcu) {
		call_srcu(srcu, head, do_nothing);
		needed = READ_ONCE(usage->srcu_gp_seq_needed);
		test_helper_begin(w->helper, do_waiting_step, w);
		do {
			usleep_range(1000, 2000);
			expedited = expedited_behind(usage, needed);
		} while (!expedited && time_before(jiffies, end));
	}
	wait_for_completion(&w->helper->done);
	srcu_barrier(srcu);
	return expedited;
}

static void expect_expedited(struct soft_vm *vm, const struct step *steps,
			     unsigned int nr)
{
	struct waiting_step w = { .vm = vm, .helper = test_helper_create(vm->test) };
	struct rcu_head *head = kunit_kzalloc(vm->test, sizeof(*head), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(vm->test, head);
	for (w.step = steps; w.step < steps + nr; w.step++) {
		if (w.step->cost)
			KUNIT_ASSERT_TRUE_MSG(vm->test, is_expedited(&w, head), "%s",
					      w.step->name);
		else
			do_waiting_step(&w);
		KUNIT_EXPECT_EQ_MSG(vm->test, 0, w.r, "%s", w.step->name);
	}
}

/* What is waited for is asked for as expedited; of two waits, the first is seen. */
static void all_are_expedited(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, false);

	expect_expedited(vm, steps, ARRAY_SIZE(steps));
	expect_expedited(vm, bus_steps, ARRAY_SIZE(bus_steps));
}
#else
static void all_are_expedited(struct kunit *test)
{
	kunit_skip(test, "Tiny SRCU knows but one kind");
}
#endif

/* A reader that the deletion waits for finds all of the slot. */
static void slot_outlives_its_readers(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, false);
	struct soft_change deletion = { .vm = vm, .gfn = GFN };
	struct kvm_memory_slot *slot;
	struct kvm *kvm = vm->kvm;
	const void *lpages;
	int idx;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, NR_PAGES, 0, 0));
	idx = srcu_read_lock(&kvm->srcu);
	slot = gfn_to_memslot(kvm, GFN);
	lpages = slot->arch.lpage_info[0];
	KUNIT_EXPECT_FALSE(test, kvm_slot_is_going(slot));

	soft_change_until_published(&deletion);
	KUNIT_EXPECT_NULL(test, gfn_to_memslot(kvm, GFN));
	KUNIT_EXPECT_TRUE(test, kvm_slot_is_going(slot));
	KUNIT_EXPECT_EQ(test, slot->base_gfn, GFN);
	KUNIT_EXPECT_PTR_EQ(test, lpages, slot->arch.lpage_info[0]);
	srcu_read_unlock(&kvm->srcu, idx);
	soft_change_end(&deletion);
}

static int read_as_kvm(struct kvm *kvm, u64 *value)
{
	guard(srcu)(&kvm->srcu);
	return kvm_read_guest(kvm, gfn_to_gpa(GFN), value, sizeof(*value));
}

static int read_by_cache(struct kvm *kvm, struct gfn_to_hva_cache *cache, u64 *value)
{
	guard(srcu)(&kvm->srcu);
	return kvm_read_guest_cached(kvm, cache, value, sizeof(*value));
}

/* KVM's own accesses find the slot until it has left the set, and not afterwards. */
static void accesses_by_kvm(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, false);
	struct soft_change deletion = { .vm = vm, .gfn = GFN };
	struct gfn_to_hva_cache cache = {};
	struct kvm *kvm = vm->kvm;
	u64 value = 0;

	soft_vm_mark_pages(vm, 0, 1);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, NR_PAGES, 0, 0));
	scoped_guard(srcu, &kvm->srcu)
		KUNIT_EXPECT_EQ(test, 0, kvm_gfn_to_hva_cache_init(kvm, &cache,
								   gfn_to_gpa(GFN), 8));

	soft_change_until_unpublished(&deletion);
	KUNIT_EXPECT_EQ(test, 0, read_as_kvm(kvm, &value));
	KUNIT_EXPECT_EQ(test, value, SOFT_PAGE_ID);
	KUNIT_EXPECT_EQ(test, 0, read_by_cache(kvm, &cache, &value));

	soft_change_publish(&deletion);
	soft_change_end(&deletion);
	KUNIT_EXPECT_EQ(test, -EFAULT, read_as_kvm(kvm, &value));
	KUNIT_EXPECT_EQ(test, -EFAULT, read_by_cache(kvm, &cache, &value));
}

static struct kunit_case grace_cases[] = {
	KUNIT_CASE_PARAM(grace_periods, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(grace_periods_of_buses, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(grace_periods_of_smm, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(grace_periods_of_private_memory, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(all_are_expedited, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(slot_outlives_its_readers, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(accesses_by_kvm, soft_hardware_gen_params),
	{}
};

static struct kunit_suite grace_suite = {
	.name = "kvm_soft_grace",
	.test_cases = grace_cases,
};

kunit_test_suite(grace_suite);
