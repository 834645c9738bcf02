// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two vCPUs, or a vCPU and the VMM, at once, see soft_ops.h.  Helpers do what the
 * other one does, while the first is held where nobody would expect it.
 */
#include <kunit/test.h>
#include <linux/delay.h>
#include <linux/kvm_host.h>
#include <linux/sched.h>
#include <linux/tracepoint.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/mmu_internal.h"
#include "mmu/mmutrace.h"
#include "soft_ops_internal.h"
#include "test_helper.h"

/* Of one who waits for a helper that may itself have to wait. */
#define LATE_MS	50
#define SLOW_MS	5000

/* In time?  It comes back in any case, as it uses a VM that goes. */
static bool comes_back(struct test_helper *helper)
{
	const bool in_time = test_helper_wait(helper, SLOW_MS);

	if (!in_time)
		wait_for_completion(&helper->done);
	return in_time;
}

/* A gfn that both read and write as RAM, and not through tables. */
static struct soft_slot *shared_ram(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	struct soft_as *as = soft_vcpu_as(run, vcpu);

	if (!tdp_enabled || soft_op_is_paging(run, op) ||
	    soft_model_private(run->model, op->a) ||
	    soft_model_end(run->model, as, op->a, true) != SOFT_RAM)
		return NULL;
	return soft_as_slot(as, op->a);
}

/* Late: a fault has pinned its page, and before it is mapped, another maps it. */

/**
 * struct soft_late - a fault that ends late
 * @main: the thread whose next fault it is; NULL: none is
 * @helper: runs the other vCPU
 * @vcpu: that one
 * @write: what it does
 * @end: how that ends
 * @met: it was done, or begun, during the fault
 * @missed: and it has not come back
 */
struct soft_late {
	struct task_struct *main;
	struct test_helper *helper;
	struct kvm_vcpu *vcpu;
	struct soft_access write;
	int end;
	bool met;
	bool missed;
};

static void write_late(void *data)
{
	struct soft_late *late = data;

	late->end = soft_cpu_run(late->vcpu, &late->write);
}

/* mmu_lock is held for reading: the other one needs no more. */
static void fault_is_late(void *data, struct kvm_page_fault *fault)
{
	struct soft_late *late = data;

	if (current != READ_ONCE(late->main))
		return;
	late->main = NULL;
	late->met = true;
	test_helper_begin(late->helper, write_late, late);
	late->missed = !test_helper_spin(late->helper, LATE_MS);
}

static void end_late(void *late)
{
	unregister_trace_kvm_mmu_spte_requested(fault_is_late, late);
	tracepoint_synchronize_unregister();
}

struct soft_late *soft_late_create(struct kunit *test)
{
	struct soft_late *late = kunit_kzalloc(test, sizeof(*late), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, late);
	late->helper = test_helper_create(test);
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_kvm_mmu_spte_requested(fault_is_late, late));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, end_late, late));
	return late;
}

/* It has read what was there before the other one's write, or after. */
static void check_late(struct soft_run *run, const struct soft_op *op, int end,
		       const struct soft_access *read, u64 before)
{
	if (end != SOFT_RAM)
		soft_differ(run, "gfn %#x: late: is %s (%d)", op->a,
			    soft_end_name(end), end);
	else if (read->value != before && read->value != run->late->write.value)
		soft_differ(run, "gfn %#x: late: read %#llx, must be %#llx or %#llx",
			    op->a, read->value, before, run->late->write.value);
}

/* The other one's write, which may have found a full ring. */
static void end_write(struct soft_run *run, const struct soft_op *op)
{
	struct soft_late *late = run->late;
	struct soft_as *as = soft_vcpu_as(run, late->vcpu);

	soft_note_used(run, late->vcpu, &late->write);
	if (late->end == SOFT_RING_FULL) {
		soft_op_harvest(run);
		late->end = soft_run_vcpu(run, late->vcpu, &late->write);
	}
	if (late->end == SOFT_RAM)
		soft_check_ram(run, as, op->a, &late->write);
	else
		soft_differ(run, "gfn %#x: beside a late one: is %s (%d)", op->a,
			    soft_end_name(late->end), late->end);
}

/* The vCPU that writes: another one, in the same mode. */
static bool choose_writer(struct soft_run *run, const struct soft_op *op)
{
	struct soft_op other = *op;

	other.vcpu = op->vcpu + 1 + op->b % (run->vm->nr_vcpus - 1);
	run->late->vcpu = soft_op_vcpu(run, &other);
	return shared_ram(run, &other) &&
	       is_smm(run->late->vcpu) == is_smm(soft_op_vcpu(run, op));
}

void soft_op_late(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	struct soft_access read = { .addr = gfn_to_gpa(op->a) };
	struct soft_slot *slot = shared_ram(run, op);
	struct soft_late *late = run->late;
	u64 before;
	int end;

	/* Writes to what an L1 nests with take mmu_lock for writing. */
	if (!late || !slot || run->vm->kind.nested || !choose_writer(run, op))
		return;
	soft_vm_host_protect(run->vm, soft_slot_page(slot, op->a), 1);
	before = *soft_content(run, soft_vcpu_as(run, vcpu), op->a);
	late->write = (struct soft_access) {
		.addr = read.addr,
		.write = true,
		.value = soft_model_value(run->model, 0),
	};
	late->met = false;
	late->missed = false;
	WRITE_ONCE(late->main, current);
	end = soft_run_vcpu(run, vcpu, &read);
	WRITE_ONCE(late->main, NULL);
	if (late->missed && !comes_back(late->helper))
		soft_differ(run, "gfn %#x: the write beside it hangs", op->a);
	check_late(run, op, end, &read, before);
	run->nr_late += late->met;
	if (late->met && !run->failed)
		end_write(run, op);
}

/* Slow: a fault waits for its page, while the VMM changes the slot. */

/**
 * struct soft_slow - a fault that takes long
 * @vmm: the helper who changes the slot
 * @guest: the helper who runs another vCPU
 * @run: for what
 * @op: for which
 * @slot: the slot, as it will be
 * @id: its id
 * @r: what that comes to
 * @begun: the fault has come, and they have begun
 * @vmm_done: the VMM is through
 * @hangs: a helper whom nobody should block did not come back in time
 */
struct soft_slow {
	struct test_helper *vmm;
	struct test_helper *guest;
	struct soft_run *run;
	const struct soft_op *op;
	struct soft_slot slot;
	u32 id;
	int r;
	bool begun;
	bool vmm_done;
	bool hangs;
};

struct soft_slow *soft_slow_create(struct kunit *test)
{
	struct soft_slow *slow = kunit_kzalloc(test, sizeof(*slow), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, slow);
	slow->vmm = test_helper_create(test);
	slow->guest = test_helper_create(test);
	return slow;
}

static void change_slot(void *data)
{
	struct soft_slow *slow = data;
	const struct soft_slot *slot = &slow->slot;

	slow->r = soft_vm_set_slot(slow->run->vm, slow->id, slot->gfn, slot->npages,
				   slot->page, slot->flags);
}

/* The root comes at once, and does not wait for the vCPU's next access. */
static void begin_to_nest(void *data)
{
	struct soft_slow *slow = data;
	struct soft_op op = *slow->op;
	struct kvm_vcpu *vcpu;

	op.kind = SOFT_OP_PAGING;
	op.vcpu = slow->op->vcpu == 1 ? 2 : 1;
	op.a = slow->op->b;
	op.b = SOFT_WP | SOFT_NX;
	soft_guest_paging(slow->run, &op);

	vcpu = soft_op_vcpu(slow->run, &op);
	soft_cpu_begin(vcpu);
	kvm_mmu_reload(vcpu);
	soft_cpu_end(vcpu);
}

/* In the fault, whose vCPU holds kvm->srcu: for that the change waits. */
static void fault_is_slow(void *data)
{
	struct soft_slow *slow = data;
	struct soft_vm *vm = slow->run->vm;
	int i;

	vm->memory->driver->slow = NULL;
	slow->begun = true;
	test_helper_begin(slow->vmm, change_slot, slow);
	for (i = 0; i < 100 && !slow->vmm_done && !soft_vm_slot_changes(vm, slow->id); i++)
		slow->vmm_done = test_helper_wait(slow->vmm, 1);
	test_helper_begin(slow->guest, begin_to_nest, slow);
	slow->hangs = !test_helper_wait(slow->guest, SLOW_MS);
}

/* What the change comes to. */
static void end_slow(struct soft_run *run, struct soft_as *as)
{
	struct soft_slow *slow = run->slow;
	int must;

	/* The fault has ended, which they may have waited for. */
	if (slow->hangs)
		wait_for_completion(&slow->guest->done);
	if (!slow->vmm_done && !comes_back(slow->vmm))
		slow->hangs = true;
	if (slow->hangs) {
		soft_differ(run, "slot %#x: a change of flags hangs", slow->id);
		return;
	}
	must = soft_as_set_slot(as, (u16)slow->id, &slow->slot,
				run->vm->kind.log == SOFT_LOG_INITIALLY_SET, false);
	if (slow->r != must)
		soft_differ(run, "slot %#x: flags: %d, must be %d", slow->id, slow->r,
			    must);
}

/* The page is the driver's, and its next use is a fault. */
static void lend_to_driver(struct soft_run *run, unsigned long page)
{
	soft_vm_renew_by_driver(run->vm, page, 1);
	run->loose |= soft_page_was_table(run, page);
	soft_host_write(run, page);
	soft_vm_host_protect(run->vm, page, 1);
}

static void prepare_slow(struct soft_run *run, const struct soft_op *op,
			 const struct soft_slot *slot)
{
	struct soft_as *as = soft_vcpu_as(run, soft_op_vcpu(run, op));
	struct soft_slow *slow = run->slow;

	slow->run = run;
	slow->op = op;
	slow->slot = *slot;
	slow->slot.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	slow->id = (as - run->model->as) << 16 | (slot - as->slots);
	slow->begun = false;
	slow->vmm_done = false;
	slow->hangs = false;
	lend_to_driver(run, soft_slot_page(slot, op->a));
}

/*
 * The vCPU is not 0, by which the others' tables are written; who finds a full ring
 * would wait for the change.
 */
static bool may_be_slow(struct soft_run *run, const struct soft_op *op)
{
	return run->slow && run->vm->kind.nested && !run->vm->kind.private &&
	       run->vm->kind.log != SOFT_LOG_RING && soft_op_vcpu_id(run, op) &&
	       !is_smm(soft_op_vcpu(run, op));
}

void soft_op_slow(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	struct soft_access read = { .addr = gfn_to_gpa(op->a) };
	struct soft_slot *slot = shared_ram(run, op);
	struct soft_as *as = soft_vcpu_as(run, vcpu);
	struct soft_driver *driver = run->vm->memory->driver;
	int end;

	if (!slot || !may_be_slow(run, op))
		return;
	prepare_slow(run, op, slot);
	driver->slow_data = run->slow;
	driver->slow = fault_is_slow;
	end = soft_run_vcpu(run, vcpu, &read);
	driver->slow = NULL;
	run->nr_slow += run->slow->begun;
	if (run->slow->begun)
		end_slow(run, as);
	if (end != SOFT_RAM)
		soft_differ(run, "gfn %#x: slow: is %s (%d)", op->a,
			    soft_end_name(end), end);
	else if (!run->failed)
		soft_check_ram(run, as, op->a, &read);
}
