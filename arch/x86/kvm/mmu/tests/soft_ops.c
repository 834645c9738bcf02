// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a VM of software CPUs, see soft_ops.h.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "smm.h"
#include "soft_ops.h"
#include "soft_paging.h"

static __printf(2, 3) void differ(struct soft_run *run, const char *format, ...)
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

/* Slots have an id of 16 bits, and above it their address space. */
static u32 op_slot_id(const struct soft_op *op)
{
	return (op->a / SOFT_SLOTS % SOFT_NR_AS) << 16 | op->a % SOFT_SLOTS;
}

static struct soft_as *op_slot_as(struct soft_run *run, const struct soft_op *op)
{
	return &run->model->as[op_slot_id(op) >> 16];
}

static struct soft_slot *op_slot(struct soft_run *run, const struct soft_op *op)
{
	return &op_slot_as(run, op)->slots[(u16)op_slot_id(op)];
}

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
	};

	return end < 0 ? "an error" : names[end];
}

static u64 *content_of(struct soft_run *run, struct soft_as *as, gfn_t gfn)
{
	return &run->model->content[soft_slot_page(soft_as_slot(as, gfn), gfn)];
}

/* Whatever it is, it is in a slot, and it is what is there now. */
static void check_anywhere(struct soft_run *run, struct soft_as *as, u64 value)
{
	gfn_t gfn;

	for (gfn = 0; gfn < SOFT_GFNS; gfn++)
		if (soft_as_slot(as, gfn) && *content_of(run, as, gfn) == value)
			return;
	differ(run, "read %#llx, which is in no slot", value);
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
		differ(run, "wrote %#llx to no slot", value);
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
		differ(run, "gfn %#llx: read %#llx, must be %#llx", gfn,
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
		want = soft_as_end(as, gfn, access.write);
	end = soft_cpu_run(vcpu, &access);
	count(run, &access, end, paging);

	if (end >= 0 && paging && run->loose) {
		if (end == SOFT_RAM)
			check_loose(run, as, &access);
	} else if (end != want) {
		differ(run, "gfn %#llx: is %s (%d), must be %s", gfn,
		       end_name(end), end, end_name(want));
	} else if (end == SOFT_RAM) {
		check_ram(run, as, gfn, &access);
	}
}

/* The guest's tables */

/* How many tables, of both address spaces, a page of the VMM is. */
static int nr_tables_at(struct soft_run *run, unsigned long page)
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
	const int want = soft_as_end(as, gfn, true);
	struct soft_access access = {
		.addr = soft_gpte_gpa(table, index),
		.write = true,
		.value = gpte,
	};
	int end = soft_cpu_run(vcpu, &access);

	if (end != want)
		differ(run, "gPTE in gfn %#llx: is %s (%d), must be %s", gfn,
		       end_name(end), end, end_name(want));
	if (end != SOFT_RAM)
		return;

	soft_as_written(as, gfn);
	/* KVM watches gfns: an alias of the page is changed unseen. */
	run->loose |= nr_tables_at(run, soft_slot_page(soft_as_slot(as, gfn),
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

/* Slots and their dirty pages */

static void do_slot(struct soft_run *run, const struct soft_op *op)
{
	const u32 id = op_slot_id(op);
	struct soft_slot want = *op_slot(run, op);
	int r, must;

	switch (op->kind) {
	case SOFT_OP_CREATE:
		want.gfn = op->b;
		want.page = op->c;
		want.npages = op->d;
		want.flags = op->e;
		break;
	case SOFT_OP_DELETE:
		want.npages = 0;
		break;
	case SOFT_OP_MOVE:
		want.gfn = op->b;
		break;
	case SOFT_OP_FLAGS:
		want.flags = op->b;
		break;
	}

	r = soft_vm_set_slot(run->vm, id, want.gfn, want.npages, want.page,
			     want.flags);
	must = soft_as_set_slot(op_slot_as(run, op), (u16)id, &want);
	if (r != must)
		differ(run, "slot %#x: %d, must be %d", id, r, must);
}

static void do_get_log(struct soft_run *run, const struct soft_op *op)
{
	static u64 log[BITS_TO_LONGS(SOFT_PAGES)];
	const u32 id = op_slot_id(op);
	struct soft_slot *slot = op_slot(run, op);
	const bool logs = slot->npages && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES);
	int r = soft_vm_get_dirty_log(run->vm, id, log,
				      BITS_TO_LONGS(slot->npages));

	if (r != (logs ? 0 : -ENOENT)) {
		differ(run, "dirty log of slot %#x: %d", id, r);
		return;
	}
	if (!logs)
		return;
	if (!bitmap_subset(slot->dirty, (unsigned long *)log, slot->npages))
		differ(run, "dirty log of slot %#x: a page is missing", id);
	bitmap_zero(slot->dirty, SOFT_PAGES);
}

/* The VMM's memory */

static void do_host_write(struct soft_run *run, unsigned long page)
{
	const u64 value = soft_model_value(run->model, page);

	run->model->content[page] = value;
	soft_vm_write(run->vm, page, 0, value);
}

static void do_renew(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	unsigned long i;

	soft_vm_renew_pages(run->vm, op->a, pages);
	for (i = 0; i < pages; i++) {
		run->loose |= nr_tables_at(run, op->a + i);
		do_host_write(run, op->a + i);
	}
}

/* Nobody runs in between: what was just made old is old. */
static void do_age(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	unsigned long i;

	soft_vm_clear_young(run->vm, op->a, pages);
	for (i = 0; i < pages; i++)
		if (soft_vm_test_young(run->vm, op->a + i))
			differ(run, "page %#lx is young", op->a + i);
}

/* The MMU */

static void do_prefault(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);
	const int end = soft_as_end(vcpu_as(run, vcpu), op->a, false);
	struct kvm_pre_fault_memory range = {
		.gpa = gfn_to_gpa(op->a),
		.size = PAGE_SIZE,
	};
	long r, must;

	soft_cpu_begin(vcpu);
	r = kvm_arch_vcpu_pre_fault_memory(vcpu, &range);
	soft_cpu_end(vcpu);

	if (!tdp_enabled)
		must = -EOPNOTSUPP;
	else
		must = end == SOFT_RAM ? PAGE_SIZE : -ENOENT;
	if (r != must)
		differ(run, "gfn %#x: pre-fault: %ld, must be %ld", op->a, r,
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

	soft_cpu_begin(vcpu);
	vcpu->arch.hflags ^= HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

static void do_quota(struct soft_run *run, const struct soft_op *op)
{
	int r = soft_vm_set_quota(run->vm, op->a);

	if (r)
		differ(run, "quota of %d: %d", op->a, r);
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
		return do_slot(run, op);
	case SOFT_OP_GET_LOG:
		return do_get_log(run, op);
	case SOFT_OP_RENEW:
		return do_renew(run, op);
	case SOFT_OP_HOST_WRITE:
		return do_host_write(run, op->a);
	case SOFT_OP_AGE:
		return do_age(run, op);
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
	case SOFT_OP_FAIL:
		if (++run->fails_seen == 2)
			differ(run, "told to");
	}
}

int soft_ops_run(struct soft_run *run, const struct soft_op *ops, int nr)
{
	unsigned long page;
	int i;

	run->failed = false;
	run->loose = false;
	run->self_mapped = false;
	run->fails_seen = 0;
	soft_model_init(run->model);
	/* Without slots, KVM allows no shadow page, not even a root. */
	soft_vm_set_quota(run->vm, SOFT_QUOTA);
	for (page = 0; page < SOFT_PAGES; page++)
		soft_vm_write(run->vm, page, 0, run->model->content[page]);

	for (i = 0; i < nr; i++) {
		do_op(run, &ops[i]);
		if (run->failed)
			break;
		cond_resched();
	}
	return i;
}
