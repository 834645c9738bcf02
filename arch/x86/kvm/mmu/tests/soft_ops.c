// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a VM of software CPUs, see soft_ops.h.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/nx_huge_page.h"
#include "smm.h"
#include "soft_ops_impl.h"
#include "soft_paging.h"

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

static struct kvm_vcpu *op_vcpu(struct soft_run *run, const struct soft_op *op)
{
	return run->vm->vcpu[op->vcpu % run->vm->nr_vcpus];
}

#define SOFT_QUOTA	64

/* The address space that a vCPU is in. */
static struct soft_as *vcpu_as(struct soft_run *run, struct kvm_vcpu *vcpu)
{
	return &run->model->as[is_smm(vcpu)];
}

/* Accesses */

static const char *end_name(int end)
{
	static const char * const names[] = {
		[SOFT_RAM] = "RAM",
		[SOFT_MMIO] = "MMIO",
		[SOFT_FAULT] = "a fault",
		[SOFT_RING_FULL] = "a full ring",
	};

	return end < 0 ? "an error" : names[end];
}

static u64 *content_of(struct soft_run *run, struct soft_as *as, gfn_t gfn)
{
	unsigned long page = soft_slot_page(soft_as_slot(as, gfn), gfn);

	if (soft_model_private(run->model, gfn))
		page += SOFT_PAGES;
	return &run->model->content[page];
}

/* Whatever it is, it is in a slot, and it is what is there now. */
static void check_anywhere(struct soft_run *run, struct soft_as *as, u64 value)
{
	gfn_t gfn;

	for (gfn = 0; gfn < SOFT_GFNS; gfn++)
		if (soft_as_slot(as, gfn) && *content_of(run, as, gfn) == value)
			return;
	soft_differ(run, "read %#llx, which is in no slot", value);
}

/* A write that went anywhere; the VMM looks where. */
static void find_written(struct soft_run *run, struct soft_as *as, u64 value)
{
	bool found = false;
	gfn_t gfn;
	u64 word;

	for (gfn = 0; gfn < SOFT_GFNS; gfn++) {
		struct soft_slot *slot = soft_as_slot(as, gfn);

		if (!slot)
			continue;
		word = soft_vm_read(run->vm, soft_slot_page(slot, gfn), 0);
		found |= word == value;
		if (word == value)
			*content_of(run, as, gfn) = value;
	}
	if (!found)
		soft_differ(run, "wrote %#llx to no slot", value);
}

static void check_loose(struct soft_run *run, struct soft_as *as,
			const struct soft_access *access)
{
	if (access->write)
		find_written(run, as, access->value);
	else
		check_anywhere(run, as, access->value);
}

static void check_ram(struct soft_run *run, struct soft_as *as, gfn_t gfn,
		      const struct soft_access *access)
{
	u64 *content = content_of(run, as, gfn);

	if (access->write) {
		*content = access->value;
		soft_as_written(as, gfn);
	} else if (access->value != *content) {
		soft_differ(run, "gfn %#llx: read %#llx, must be %#llx", gfn,
			    access->value, *content);
	}
}

static void count(struct soft_run *run, const struct soft_access *access, int end,
		  bool paging)
{
	if (end < 0)
		return;
	run->ends[end]++;
	run->emulated += access->emulated && end == SOFT_RAM;
	run->paged += paging && end == SOFT_RAM;
	run->loosely += paging && run->loose;
}

/* KVM_RUN, again and again as userspace does. */
static int run_vcpu(struct soft_run *run, struct kvm_vcpu *vcpu,
		    struct soft_access *access)
{
	int end;

	while ((end = soft_cpu_run(vcpu, access)) == SOFT_RING_FULL) {
		run->ends[SOFT_RING_FULL]++;
		soft_op_harvest(run);
		if (run->failed)
			break;
	}
	return end;
}

/* KVM has nothing to zap where no slot is: what was MMIO may still be. */
static bool is_right(struct soft_as *as, gfn_t gfn, int end, int want)
{
	return end == want || (want == -EFAULT && end == SOFT_MMIO &&
			       !soft_as_slot(as, gfn));
}

static void do_access(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);
	struct soft_as *as = vcpu_as(run, vcpu);
	const bool paging = soft_is_paging(vcpu);
	struct soft_access access = {
		.addr = paging ? soft_gva(op->a) : gfn_to_gpa(op->a),
		.write = op->kind == SOFT_OP_WRITE,
		.fetch = op->kind == SOFT_OP_FETCH,
		.user = paging && (op->b & 1),
		.value = soft_model_value(run->model, 0),
	};
	int end, want = SOFT_FAULT;
	gfn_t gfn = op->a;

	if (!paging || soft_translate(run->vm, as, &access, &gfn))
		want = soft_model_end(run->model, as, gfn, access.write);
	end = run_vcpu(run, vcpu, &access);
	count(run, &access, end, paging);

	if (end >= 0 && paging && run->loose) {
		if (end == SOFT_RAM)
			check_loose(run, as, &access);
	} else if (!is_right(as, gfn, end, want)) {
		soft_differ(run, "gfn %#llx: is %s (%d), must be %s", gfn,
			    end_name(end), end, end_name(want));
	} else if (end == SOFT_RAM) {
		check_ram(run, as, gfn, &access);
	}
}

/* The guest's tables */

/* How many tables, of both address spaces, a page of the VMM is. */
int soft_nr_tables_at(struct soft_run *run, unsigned long page)
{
	const struct soft_slot *slot;
	int i, nr = 0;
	gfn_t gfn;

	for (i = 0; i < SOFT_NR_AS * SOFT_NR_TABLES; i++) {
		gfn = SOFT_TABLE_GFN + i % SOFT_NR_TABLES;
		slot = soft_as_slot(&run->model->as[i / SOFT_NR_TABLES], gfn);
		nr += slot && soft_slot_page(slot, gfn) == page;
	}
	return nr;
}

/* vCPU 0, which does not page, writes a gPTE as an OS of another vCPU does. */
static void write_gpte(struct soft_run *run, unsigned int table,
		       unsigned int index, u64 gpte)
{
	struct kvm_vcpu *vcpu = run->vm->vcpu[0];
	struct soft_as *as = vcpu_as(run, vcpu);
	const gfn_t gfn = SOFT_TABLE_GFN + table;
	const int want = soft_model_end(run->model, as, gfn, true);
	struct soft_access access = {
		.addr = soft_gpte_gpa(table, index),
		.write = true,
		.value = gpte,
	};
	int end = run_vcpu(run, vcpu, &access);

	if (!is_right(as, gfn, end, want))
		soft_differ(run, "gPTE in gfn %#llx: is %s (%d), must be %s", gfn,
			    end_name(end), end, end_name(want));
	if (end != SOFT_RAM)
		return;

	soft_as_written(as, gfn);
	/* KVM watches gfns: an alias of the page is changed unseen. */
	run->loose |= soft_nr_tables_at(run, soft_slot_page(soft_as_slot(as, gfn),
							    gfn)) > 1;
}

/* INVLPG tells of one gva, MOV to CR3 of all. */
static void flush_guest(struct soft_run *run, bool all, u64 gva)
{
	struct kvm_vcpu *vcpu;
	int i;

	for (i = 1; i < run->vm->nr_vcpus; i++) {
		vcpu = run->vm->vcpu[i];
		if (!soft_is_paging(vcpu))
			continue;
		soft_cpu_begin(vcpu);
		if (all)
			kvm_set_cr3(vcpu, SOFT_CR3);
		else
			kvm_mmu_invlpg(vcpu, gva);
		soft_cpu_end(vcpu);
	}
}

/* Most gPTEs are those of an OS: tables where they belong. */
static void do_gpte(struct soft_run *run, const struct soft_op *op)
{
	const unsigned int table = op->a % SOFT_NR_TABLES;
	const unsigned int n = op->b;
	const bool pt = table >= SOFT_PT0;
	unsigned int index = pt ? 1 + n % SOFT_PT_ENTRIES : SOFT_INDEX;

	if (table == SOFT_PD)
		index += n & 1;
	write_gpte(run, table, index, soft_gpte(op->c, op->d));

	/* Tables that map themselves have gvas in many places. */
	run->self_mapped |= !pt && soft_is_table(op->c) &&
			    op->c != SOFT_TABLE_GFN + table + 1 + (index - 1);
	flush_guest(run, !pt || run->self_mapped || (op->e & 1),
		    soft_gva((table - SOFT_PT0) * SOFT_PT_ENTRIES + index - 1));
}

/* What an OS does before it turns paging on. */
static void make_tables(struct soft_run *run, const struct soft_op *op)
{
	const u64 all = 3;
	int n;

	for (n = 0; n < SOFT_PD; n++)
		write_gpte(run, n, SOFT_INDEX,
			   soft_gpte(SOFT_TABLE_GFN + n + 1, all));
	for (n = 0; n < 2; n++)
		write_gpte(run, SOFT_PD, SOFT_INDEX + n,
			   soft_gpte(SOFT_TABLE_GFN + SOFT_PT0 + n, all));
	for (n = 0; n < 2 * SOFT_PT_ENTRIES; n += 1 + op->b % 4)
		write_gpte(run, SOFT_PT0 + n / SOFT_PT_ENTRIES,
			   1 + n % SOFT_PT_ENTRIES, soft_gpte(op->a + n, all));
	flush_guest(run, true, 0);
}

static void do_paging(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);

	/* TDP walks the guest's tables in hardware. */
	if (tdp_enabled || vcpu == run->vm->vcpu[0])
		return;
	if (!soft_is_paging(vcpu))
		make_tables(run, op);
	soft_cpu_begin(vcpu);
	soft_set_paging(vcpu, !soft_is_paging(vcpu));
	soft_cpu_end(vcpu);
}

/* The MMU */

static void do_prefault(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);
	const int end = soft_model_end(run->model, vcpu_as(run, vcpu), op->a,
				       false);
	int r, must;

	r = soft_vm_pre_fault(run->vm, vcpu->vcpu_id, op->a);
	if (!tdp_enabled)
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
	struct kvm_vcpu *vcpu = op_vcpu(run, op);

	soft_cpu_begin(vcpu);
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

/* As enter_smm() and RSM change what the MMU sees. */
static void do_smm(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);

	/* With private memory there is one address space. */
	if (run->vm->kind.private)
		return;
	soft_cpu_begin(vcpu);
	vcpu->arch.hflags ^= HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
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

	run->loose = false;
	run->self_mapped = false;
	soft_model_init(run->model);
	/* Without slots, KVM allows no shadow page, not even a root. */
	soft_vm_set_quota(run->vm, SOFT_QUOTA);
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
	case SOFT_OP_CREATE:
	case SOFT_OP_DELETE:
	case SOFT_OP_MOVE:
	case SOFT_OP_FLAGS:
		return soft_op_slot(run, op);
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
	case SOFT_OP_AGE:
		return soft_op_age(run, op);
	case SOFT_OP_PREFAULT:
		return do_prefault(run, op);
	case SOFT_OP_NEW_ROOT:
		return do_new_root(run, op);
	case SOFT_OP_SMM:
		return do_smm(run, op);
	case SOFT_OP_PAGING:
		return do_paging(run, op);
	case SOFT_OP_GPTE:
		return do_gpte(run, op);
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

int soft_ops_run(struct soft_run *run, const struct soft_op *ops, int nr)
{
	int i;

	run->failed = false;
	run->fails_seen = 0;
	nx_huge_page_set(false);
	begin_vm(run);
	for (i = 0; i < nr; i++) {
		do_op(run, &ops[i]);
		if (run->failed)
			break;
		cond_resched();
	}
	return i;
}
