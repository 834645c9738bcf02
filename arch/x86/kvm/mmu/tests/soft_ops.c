// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a VM of software CPUs, see soft_ops.h.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/nx_huge_page.h"
#include "soft_check.h"
#include "soft_ops_internal.h"
#include "soft_witness.h"

void soft_differ(struct soft_run *run, const char *format, ...)
{
	va_list args;

	if (run->failed)
		return;
	run->failed = true;
	va_start(args, format);
	vscnprintf(run->why, sizeof(run->why), format, args);
	va_end(args);
}

#define SOFT_QUOTA	64

/* Accesses */

const char *soft_end_name(int end)
{
	static const char * const names[] = {
		[SOFT_RAM] = "RAM",
		[SOFT_MMIO] = "MMIO",
		[SOFT_FAULT] = "a fault",
		[SOFT_EXIT] = "an exit",
		[SOFT_RING_FULL] = "a full ring",
	};

	return end < 0 ? "an error" : names[end];
}

void soft_check_ram(struct soft_run *run, struct soft_as *as, gfn_t gfn,
		    const struct soft_access *access)
{
	u64 *content = soft_content(run, as, gfn);

	if (access->write) {
		*content = access->value;
		soft_as_written(as, gfn);
	} else if (access->value != *content) {
		soft_differ(run, "gfn %#llx: read %#llx, must be %#llx", gfn,
			    access->value, *content);
	}
}

/*
 * Where the emulator walks the guest's tables, it sets A bits, and nobody tells
 * where.
 */
void soft_note_used(struct soft_run *run, struct kvm_vcpu *vcpu,
		    const struct soft_access *access)
{
	struct soft_touched *touched = &to_soft_vcpu(vcpu)->touched;
	struct soft_as *as = soft_vcpu_as(run, vcpu);

	if (touched->nr == SOFT_MAX_TOUCHED ||
	    (access->emulated && is_paging(vcpu)))
		soft_model_used_any(run->model, as);
	while (touched->nr--)
		soft_model_used(run->model, as, touched->gfn[touched->nr],
				touched->dirtied[touched->nr]);
	touched->nr = 0;
}

/* KVM_RUN, again and again as userspace does. */
int soft_run_vcpu(struct soft_run *run, struct kvm_vcpu *vcpu,
		  struct soft_access *access)
{
	int end;

	for (;;) {
		end = soft_cpu_run(vcpu, access);
		soft_note_used(run, vcpu, access);
		if (end != SOFT_RING_FULL)
			return end;
		run->ends[SOFT_RING_FULL]++;
		soft_op_harvest(run);
		if (run->failed)
			return end;
	}
}

bool soft_end_is_right(struct soft_as *as, gfn_t gfn, int end, int want)
{
	return end == want || (want == -EFAULT && end == SOFT_MMIO &&
			       !soft_as_slot(as, gfn));
}

static void do_access(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	struct soft_as *as = soft_vcpu_as(run, vcpu);
	struct soft_access access = {
		.addr = gfn_to_gpa(op->a),
		.write = op->kind == SOFT_OP_WRITE,
		.fetch = op->kind == SOFT_OP_FETCH,
		.value = soft_model_value(run->model, 0),
	};
	const int want = soft_model_end(run->model, as, op->a, access.write);
	int end;

	if (soft_op_is_paging(run, op)) {
		soft_access_gva(run, op);
		return;
	}
	end = soft_run_vcpu(run, vcpu, &access);
	if (!soft_end_is_right(as, op->a, end, want)) {
		soft_differ(run, "gfn %#x: is %s (%d), must be %s", op->a,
			    soft_end_name(end), end, soft_end_name(want));
		return;
	}
	if (end < 0)
		return;
	run->ends[end]++;
	run->emulated += access.emulated && end == SOFT_RAM;
	if (end == SOFT_RAM)
		soft_check_ram(run, as, op->a, &access);
}

/* Writes to all that is logged there: often more than a dirty ring has room for. */
static void do_fill(struct soft_run *run, const struct soft_op *op)
{
	struct soft_as *as = soft_vcpu_as(run, soft_op_vcpu(run, op));
	struct soft_op write = { .kind = SOFT_OP_WRITE, .vcpu = op->vcpu, .a = op->a };
	const u32 end = op->a + min(op->b, SOFT_GFNS - op->a);
	const struct soft_slot *slot;

	if (run->vm->kind.log != SOFT_LOG_RING)
		return;
	for (; write.a < end && !run->failed; write.a++) {
		slot = soft_as_slot(as, write.a);
		if (slot && slot->flags & KVM_MEM_LOG_DIRTY_PAGES)
			do_access(run, &write);
	}
}

/* The MMU */

/* One that is not there at the beginning is an error; later it ends the call. */
static void do_prefault(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	const int end = soft_model_end(run->model, soft_vcpu_as(run, vcpu),
				       op->a, false);
	int r, must;

	r = soft_vm_pre_fault(run->vm, vcpu->vcpu_id, op->a, op->b);
	/* Only what KVM maps by L1's gpas. */
	if (!tdp_enabled || is_guest_mode(vcpu))
		must = -EOPNOTSUPP;
	else if (end < 0)
		must = end;
	else
		must = end == SOFT_RAM ? 0 : -ENOENT;
	if (r != must)
		soft_differ(run, "gfn %#x: pre-fault: %d, must be %d", op->a, r,
			    must);
}

static void do_new_root(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);

	soft_cpu_begin(vcpu);
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

/* All that was derived from the guest's tables is gone. */
static void do_zap(struct soft_run *run)
{
	soft_vm_zap_all(run->vm);
	run->loose = false;
}

static void do_quota(struct soft_run *run, const struct soft_op *op)
{
	int r = soft_vm_set_quota(run->vm, op->a);

	if (r)
		soft_differ(run, "quota of %d: %d", op->a, r);
}

static void do_nx(struct soft_run *run, const struct soft_op *op)
{
	nx_huge_page_set(op->a & 1);
}

/* A VM without slots, whose memory the oracle knows. */
static void begin_vm(struct soft_run *run)
{
	unsigned long page;

	soft_paging_init(run);
	soft_model_init(run->model);
	run->model->regions = soft_vendor_hardware()->regions &&
			      run->vm->kind.log != SOFT_LOG_RING;
	/* Without slots, KVM allows no shadow page, not even a root. */
	soft_vm_set_quota(run->vm, SOFT_QUOTA);
	/* Whatever an earlier VM has made of it, in huge pages. */
	soft_vm_renew_pages(run->vm, 0, SOFT_PAGES);
	for (page = 0; page < SOFT_PAGES; page++)
		soft_vm_write(run->vm, page, 0, run->model->content[page]);
}

/* The next VM has the same memory, and the last one is destroyed as it is. */
static void do_new_vm(struct soft_run *run)
{
	struct soft_vm *old = run->vm;

	run->vm = soft_vm_create_kind(old->test, old->nr_vcpus, old->memory,
				      &old->kind);
	begin_vm(run);
	soft_vm_destroy(old);
}

static void do_op(struct soft_run *run, const struct soft_op *op)
{
	switch (op->kind) {
	case SOFT_OP_READ:
	case SOFT_OP_WRITE:
	case SOFT_OP_FETCH:
		return do_access(run, op);
	case SOFT_OP_FILL:
		return do_fill(run, op);
	case SOFT_OP_CREATE:
	case SOFT_OP_DELETE:
	case SOFT_OP_MOVE:
	case SOFT_OP_FLAGS:
		return soft_op_slot(run, op);
	case SOFT_OP_BEYOND:
		return soft_op_beyond(run, op);
	case SOFT_OP_GET_LOG:
		return soft_op_get_log(run, op);
	case SOFT_OP_CLEAR_LOG:
		return soft_op_clear_log(run, op);
	case SOFT_OP_HARVEST:
		return soft_op_harvest(run);
	case SOFT_OP_PRIVATE:
		return soft_op_private(run, op);
	case SOFT_OP_PUNCH_HOLE:
		return soft_op_punch_hole(run, op);
	case SOFT_OP_RENEW:
		return soft_op_renew(run, op);
	case SOFT_OP_HOST_WRITE:
		return soft_op_host_write(run, op);
	case SOFT_OP_HOST_PROTECT:
		return soft_op_host_protect(run, op);
	case SOFT_OP_CLEAN:
		return soft_op_clean(run, op);
	case SOFT_OP_LATE:
		return soft_op_late(run, op);
	case SOFT_OP_SLOW:
		return soft_op_slow(run, op);
	case SOFT_OP_SCRIBBLE:
		return soft_op_scribble(run, op);
	case SOFT_OP_AGE:
		return soft_op_age(run, op);
	case SOFT_OP_PREFAULT:
		return do_prefault(run, op);
	case SOFT_OP_NEW_ROOT:
		return do_new_root(run, op);
	case SOFT_OP_SMM:
		return soft_guest_smm(run, op);
	case SOFT_OP_PAGING:
		return soft_guest_paging(run, op);
	case SOFT_OP_PROTECT:
		return soft_guest_protection(run, op);
	case SOFT_OP_GPTE:
		return soft_guest_gpte(run, op);
	case SOFT_OP_INVLPG:
		return soft_guest_invlpg(run, op);
	case SOFT_OP_CR3:
		return soft_guest_cr3(run, op);
	case SOFT_OP_ZAP:
		return do_zap(run);
	case SOFT_OP_QUOTA:
		return do_quota(run, op);
	case SOFT_OP_NX:
		return do_nx(run, op);
	case SOFT_OP_NX_RECOVER:
		return nx_huge_page_recover(run->vm->kvm);
	case SOFT_OP_NEW_VM:
		return do_new_vm(run);
	case SOFT_OP_FAIL:
		if (++run->fails_seen == 2)
			soft_differ(run, "told to");
	}
}

/* What KVM does for the VMM lets go of mmu_lock; faults do not. */
static bool is_watched(const struct soft_op *op)
{
	switch (op->kind) {
	case SOFT_OP_DELETE:
	case SOFT_OP_MOVE:
	case SOFT_OP_FLAGS:
	case SOFT_OP_BEYOND:
	case SOFT_OP_GET_LOG:
	case SOFT_OP_CLEAR_LOG:
	case SOFT_OP_PRIVATE:
	case SOFT_OP_PUNCH_HOLE:
	case SOFT_OP_RENEW:
	case SOFT_OP_HOST_PROTECT:
	case SOFT_OP_ZAP:
	case SOFT_OP_NX_RECOVER:
		return true;
	default:
		return false;
	}
}

/* An access is judged by itself. */
static bool is_plain(const struct soft_op *op)
{
	return op->kind == SOFT_OP_READ || op->kind == SOFT_OP_WRITE ||
	       op->kind == SOFT_OP_FETCH || op->kind == SOFT_OP_GPTE;
}

static void check_after(struct soft_run *run, const struct soft_op *op)
{
	const bool judged = !is_plain(op) && !(run->blind & SOFT_BLIND_TLB);
	const char *why;
	gfn_t gfn;
	int i;

	if (!(run->blind & SOFT_BLIND_WARN) && !run->warned && test_taint(TAINT_WARN))
		soft_differ(run, "the kernel warned");
	for (i = 0; i < run->vm->nr_vcpus && judged; i++) {
		why = soft_check_tlb(run->vm->vcpu[i], SOFT_DUE_DONE, &gfn);
		if (why)
			soft_differ(run, "the TLB of vCPU %d has for gfn %#llx %s",
				    i, gfn, why);
	}
}

static void do_watched(struct soft_run *run, const struct soft_op *op)
{
	if (run->verbose)
		soft_op_print(run->vm->test, op);
	if (run->witness && is_watched(op) &&
	    !(run->blind & SOFT_BLIND_YIELD))
		soft_witness_watch(run->witness, run);
	do_op(run, op);
	if (run->witness)
		soft_witness_watch(run->witness, NULL);
}

int soft_ops_run(struct soft_run *run, const struct soft_op *ops, int nr)
{
	int i;

	run->failed = false;
	run->fails_seen = 0;
	run->warned = test_taint(TAINT_WARN);
	nx_huge_page_set(false);
	begin_vm(run);
	for (i = 0; i < nr; i++) {
		do_watched(run, &ops[i]);
		check_after(run, &ops[i]);
		if (run->failed)
			break;
		cond_resched();
	}
	return i;
}
