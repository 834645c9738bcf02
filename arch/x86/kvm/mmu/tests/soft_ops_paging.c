// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guests with paging do, see soft_ops.h: accesses by gva, changes of their
 * tables, flushes, and changes of the mode.  In a nested VM it is L2 that does it,
 * and a gva is its gpa.
 *
 * vCPU 0 does not page: it changes the tables for the others, as an OS (or L1)
 * does on another CPU.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "soft_nested.h"
#include "soft_ops_internal.h"
#include "soft_translate.h"

static struct soft_guest *op_guest(struct soft_run *run, const struct soft_op *op)
{
	return &run->guests[soft_op_vcpu_id(run, op)];
}

static bool is_paging_guest(const struct soft_guest *guest)
{
	return guest->paging.mode->levels;
}

bool soft_op_is_paging(struct soft_run *run, const struct soft_op *op)
{
	return is_paging_guest(op_guest(run, op));
}

bool soft_page_was_table(const struct soft_run *run, unsigned long page)
{
	return test_bit(page, run->was_table);
}

void soft_paging_init(struct soft_run *run)
{
	int i;

	run->loose = false;
	run->changes.nr = 0;
	bitmap_zero(run->was_table, SOFT_PAGES);
	memset(run->guests, 0, sizeof(run->guests));
	for (i = 0; i < SOFT_MAX_VCPUS; i++)
		run->guests[i].paging.mode = &soft_modes[SOFT_NO_PAGING];
}

/* Accesses by gva */

/* Whatever it is, it is in a slot, and it is what is there now. */
static void check_anywhere(struct soft_run *run, struct soft_as *as, u64 value)
{
	gfn_t gfn;

	for (gfn = 0; gfn < SOFT_GFNS; gfn++)
		if (soft_as_slot(as, gfn) && *soft_content(run, as, gfn) == value)
			return;
	soft_differ(run, "read %#llx, which is in no slot", value);
}

static bool is_written(struct soft_run *run, struct soft_as *as, gfn_t gfn,
		       u64 value)
{
	const struct soft_slot *slot = soft_as_slot(as, gfn);

	return slot && soft_vm_read(run->vm, soft_slot_page(slot, gfn), 0) == value;
}

/* A write that went anywhere; the VMM looks where. */
static void find_written(struct soft_run *run, struct soft_as *as, u64 value)
{
	bool found = false;
	gfn_t gfn;

	for (gfn = 0; gfn < SOFT_GFNS; gfn++) {
		if (!is_written(run, as, gfn, value))
			continue;
		found = true;
		*soft_content(run, as, gfn) = value;
	}
	if (!found)
		soft_differ(run, "wrote %#llx to no slot", value);
}

static void check_loose(struct soft_run *run, struct soft_as *as, int end,
			const struct soft_access *access)
{
	run->loosely++;
	if (end == SOFT_RAM && access->write)
		find_written(run, as, access->value);
	else if (end == SOFT_RAM)
		check_anywhere(run, as, access->value);
}

static bool fits(struct soft_run *run, struct soft_as *as, int end,
		 const struct soft_access *access,
		 const struct soft_outcome *outcome)
{
	if (outcome->fault)
		return end == SOFT_FAULT;
	if (end != soft_model_end(run->model, as, outcome->gfn,
				  access->write))
		return false;
	if (end != SOFT_RAM)
		return true;
	if (access->write)
		return is_written(run, as, outcome->gfn, access->value);
	return access->value == *soft_content(run, as, outcome->gfn);
}

/* If two gfns are one page, nobody can tell which one the log must have. */
static void note_written(struct soft_run *run, struct soft_as *as,
			 const struct soft_access *access,
			 const struct soft_outcomes *outcomes)
{
	int i, nr = 0;
	gfn_t gfn;

	for (i = 0; i < outcomes->nr; i++) {
		if (!fits(run, as, SOFT_RAM, access, &outcomes->list[i]))
			continue;
		gfn = outcomes->list[i].gfn;
		*soft_content(run, as, gfn) = access->value;
		nr++;
	}
	if (nr == 1)
		soft_as_written(as, gfn);
}

static void check_outcome(struct soft_run *run, struct soft_as *as, int end,
			  const struct soft_access *access,
			  const struct soft_outcomes *outcomes)
{
	const struct soft_outcome *first = &outcomes->list[0];
	int i;

	run->stale += outcomes->nr > 1;
	for (i = 0; i < outcomes->nr; i++) {
		if (!fits(run, as, end, access, &outcomes->list[i]))
			continue;
		if (end == SOFT_RAM && access->write)
			note_written(run, as, access, outcomes);
		return;
	}
	soft_differ(run, "gva %#llx: is %s (%d, %#llx), must be %s of gfn %#llx, or %d others",
		    access->addr, soft_end_name(end), end, access->value,
		    first->fault ? "a fault" : "an access", first->gfn,
		    outcomes->nr - 1);
}

static struct soft_view view_of(struct soft_run *run, struct soft_as *as,
				const struct soft_guest *guest)
{
	return (struct soft_view) {
		.vm = run->vm,
		.as = as,
		.guest = guest,
		.changes = &run->changes,
		.was_table = run->was_table,
	};
}

static void count(struct soft_run *run, const struct soft_access *access, int end)
{
	if (end < 0)
		return;
	run->ends[end]++;
	run->by_gva[end]++;
	run->emulated += access->emulated && end == SOFT_RAM;
}

void soft_access_gva(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = soft_op_vcpu(run, op);
	struct soft_as *as = soft_vcpu_as(run, vcpu);
	const struct soft_guest *guest = op_guest(run, op);
	const struct soft_view view = view_of(run, as, guest);
	struct soft_access access = {
		.addr = soft_gva(guest->paging.mode, op->c),
		.write = op->kind == SOFT_OP_WRITE,
		.fetch = op->kind == SOFT_OP_FETCH,
		.user = op->b & 1,
		.ac = op->b & 2,
		.value = soft_model_value(run->model, 0),
	};
	struct soft_outcomes outcomes;
	int end;

	soft_translate(&view, op->c, &access, &outcomes);
	end = soft_run_vcpu(run, vcpu, &access);
	count(run, &access, end);
	if (end >= 0 && (run->loose || outcomes.unsure))
		check_loose(run, as, end, &access);
	else
		check_outcome(run, as, end, &access, &outcomes);
}

/* Flushes */

static void invlpg(struct soft_run *run, int id, unsigned int n)
{
	struct soft_guest *guest = &run->guests[id];
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];

	if (!is_paging_guest(guest))
		return;
	soft_cpu_begin(vcpu);
	if (guest->paging.mode->nested)
		soft_set_paging(vcpu, &guest->paging);
	else
		kvm_mmu_invlpg(vcpu, soft_gva(guest->paging.mode, n));
	soft_cpu_end(vcpu);
	/* L1 has no flush for one gpa of L2. */
	if (!guest->paging.mode->nested)
		guest->flushed_gva[n % SOFT_NR_GVAS] = run->changes.nr;
}

/* What a load of the PDPTEs must come to, and its result. */
static bool load_pdptes(struct soft_run *run, int id)
{
	struct soft_as *as = soft_vcpu_as(run, run->vm->vcpu[id]);
	struct soft_paging *paging = &run->guests[id].paging;

	return !paging->mode->pdpte_level ||
	       soft_load_pdptes(run->vm, as, paging->pdpte);
}

static void expect_loaded(struct soft_run *run, int id, bool loaded, bool must)
{
	if (loaded != must)
		soft_differ(run, "vCPU %d: PDPTEs are %sloaded", id,
			    loaded ? "" : "not ");
	if (loaded)
		run->guests[id].flushed = run->changes.nr;
}

static void reload_cr3(struct soft_run *run, int id)
{
	struct soft_guest *guest = &run->guests[id];
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	bool must, loaded;

	if (!is_paging_guest(guest))
		return;
	must = load_pdptes(run, id);
	soft_cpu_begin(vcpu);
	loaded = soft_load_cr3(vcpu, &guest->paging);
	soft_cpu_end(vcpu);
	expect_loaded(run, id, loaded, must);
}

void soft_guest_invlpg(struct soft_run *run, const struct soft_op *op)
{
	invlpg(run, soft_op_vcpu_id(run, op), op->a);
}

void soft_guest_cr3(struct soft_run *run, const struct soft_op *op)
{
	reload_cr3(run, soft_op_vcpu_id(run, op));
}

/* What an OS does on all CPUs for a change; or it comes later, if at all. */
static void flush(struct soft_run *run, unsigned int how, unsigned int n)
{
	int id;

	for (id = 1; id < run->vm->nr_vcpus; id++) {
		if (how == SOFT_FLUSH_GVA)
			invlpg(run, id, n);
		else if (how == SOFT_FLUSH_ALL)
			reload_cr3(run, id);
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

static void note_change(struct soft_run *run, struct soft_as *as, gpa_t gpa)
{
	const gfn_t gfn = gpa_to_gfn(gpa);
	const unsigned long page = soft_slot_page(soft_as_slot(as, gfn), gfn);
	const unsigned int word = offset_in_page(gpa) / sizeof(u64);

	soft_note_change(&run->changes, as, gpa, soft_vm_read(run->vm, page, word));
	__set_bit(page, run->was_table);
	/* KVM watches gfns: an alias of the page is changed unseen. */
	run->loose |= nr_tables_at(run, page) > 1;
}

/* @half: only the lower one, as 32-bit paging does. */
static void write_gpte(struct soft_run *run, gpa_t gpa, u64 gpte, bool half)
{
	struct kvm_vcpu *vcpu = run->vm->vcpu[0];
	struct soft_as *as = soft_vcpu_as(run, vcpu);
	const int want = soft_model_end(run->model, as, gpa_to_gfn(gpa), true);
	struct soft_access access = {
		.addr = gpa,
		.write = true,
		.half = half,
		.value = gpte,
	};
	int end;

	if (want == SOFT_RAM)
		note_change(run, as, gpa);
	end = soft_run_vcpu(run, vcpu, &access);
	if (!soft_end_is_right(as, gpa_to_gfn(gpa), end, want))
		soft_differ(run, "gPTE at %#llx: is %s (%d), must be %s", gpa,
			    soft_end_name(end), end, soft_end_name(want));
	else if (end == SOFT_RAM)
		soft_as_written(as, gpa_to_gfn(gpa));
}

static void write_link(struct soft_run *run, const struct soft_link *link,
		       u64 gpte, bool half)
{
	write_gpte(run, soft_table_gpa(link->table, link->word), gpte, half);
}

static void write_pte(struct soft_run *run, unsigned int n, u64 gpte, bool half)
{
	write_gpte(run, soft_table_gpa(soft_pt(n), soft_pt_word(n)), gpte, half);
}

/* In the format that L1 has for L2, or the guest for itself. */

static bool is_ept(struct soft_run *run)
{
	return run->vm->kind.nested && soft_vendor_hardware()->ept;
}

static u64 pte_for(struct soft_run *run, gfn_t gfn, u64 bits)
{
	return is_ept(run) ? soft_epte(gfn, bits, true) : soft_gpte(gfn, bits);
}

static u64 link_for(struct soft_run *run, const struct soft_link *link, gfn_t gfn,
		    u64 bits)
{
	return is_ept(run) ? soft_epte(gfn, bits, bits & 8) :
			     soft_link_gpte(link, gfn, bits);
}

void soft_guest_gpte(struct soft_run *run, const struct soft_op *op)
{
	const unsigned int where = op->a % (SOFT_NR_LINKS + 1);
	const bool half = op->e & SOFT_GPTE_HALF;
	const struct soft_link *link = &soft_links[where];

	if (where == SOFT_NR_LINKS)
		write_pte(run, op->b, pte_for(run, op->c, op->d), half);
	else
		write_link(run, link, link_for(run, link, op->c, op->d), half);
	flush(run, op->e & ~SOFT_GPTE_HALF, op->b);
}

/* What an OS does before it turns paging on. */
static void make_tables(struct soft_run *run, gfn_t gfn, unsigned int step)
{
	const u64 all = 3;
	int i;

	for (i = 0; i < SOFT_NR_LINKS; i++) {
		const struct soft_link *link = &soft_links[i];

		write_link(run, link,
			   link_for(run, link, SOFT_TABLE_GFN + link->to, all),
			   false);
	}
	for (i = 0; i < SOFT_NR_GVAS; i += step)
		write_pte(run, i, pte_for(run, gfn + i, all), false);
	flush(run, SOFT_FLUSH_ALL, 0);
}

/* Modes */

static void set_no_paging(struct soft_guest *guest)
{
	guest->paging.mode = &soft_modes[SOFT_NO_PAGING];
}

/*
 * Both ways the CPU forgets what it has cached.  An SMI is an exit from L2; this
 * one stays in L1 after that.
 */
static void set_smm(struct soft_run *run, int id, bool smm)
{
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	struct soft_guest *guest = &run->guests[id];

	if (is_smm(vcpu) == smm)
		return;
	soft_cpu_begin(vcpu);
	if (guest->paging.mode->nested) {
		soft_nested_leave(vcpu);
		set_no_paging(guest);
	}
	vcpu->arch.hflags ^= HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
	guest->flushed = run->changes.nr;
}

/* As enter_smm() and RSM change what the MMU sees. */
void soft_guest_smm(struct soft_run *run, const struct soft_op *op)
{
	/* With private memory there is one address space. */
	if (run->vm->kind.private)
		return;
	set_smm(run, soft_op_vcpu_id(run, op), op->a);
}

static void set_features(struct soft_paging *paging, unsigned int features)
{
	paging->wp = features & SOFT_WP;
	paging->smep = features & SOFT_SMEP;
	paging->smap = features & SOFT_SMAP;
}

/*
 * The oracle does not read tables in private memory; and of that kind of VM, KVM
 * takes an L2's gpa for L1's to tell whether memory is private.  There is no L2 in
 * SMM.
 */
static bool may_page(struct soft_run *run, struct kvm_vcpu *vcpu)
{
	const struct soft_vm_kind *kind = &run->vm->kind;

	return !kind->private && !(kind->nested && is_smm(vcpu));
}

/* With @new tables L1 flushes the CPU; else it may have old ones. */
static void enter_l2(struct soft_run *run, int id, bool new)
{
	struct soft_guest *guest = &run->guests[id];
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];

	soft_cpu_begin(vcpu);
	if (new)
		soft_load_cr3(vcpu, &guest->paging);
	else
		soft_set_paging(vcpu, &guest->paging);
	soft_cpu_end(vcpu);
	if (new)
		guest->flushed = run->changes.nr;
}

void soft_guest_paging(struct soft_run *run, const struct soft_op *op)
{
	const int id = soft_op_vcpu_id(run, op);
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	struct soft_guest *guest = &run->guests[id];
	bool must, on;

	if (!id || !may_page(run, vcpu))
		return;
	if (op->d) {
		/* Where the vCPU will look for them. */
		set_smm(run, 0, is_smm(vcpu));
		make_tables(run, op->c, op->d);
	}

	guest->paging.mode = run->vm->kind.nested ?
			     soft_nested_mode(op->a % SOFT_NR_MODES) :
			     soft_own_mode(op->a % SOFT_NR_MODES);
	guest->paging.nx = op->b & SOFT_NX;
	guest->paging.pse = op->b & SOFT_PSE;
	guest->paging.ad = (op->b & SOFT_AD) && soft_vendor_hardware()->ad;
	set_features(&guest->paging, op->b);
	if (guest->paging.mode->nested) {
		enter_l2(run, id, op->d);
		return;
	}

	must = load_pdptes(run, id);
	soft_cpu_begin(vcpu);
	on = soft_set_paging(vcpu, &guest->paging);
	soft_cpu_end(vcpu);
	expect_loaded(run, id, on, must);
	if (!on)
		set_no_paging(guest);
}

void soft_guest_protection(struct soft_run *run, const struct soft_op *op)
{
	const int id = soft_op_vcpu_id(run, op);
	struct soft_guest *guest = &run->guests[id];
	struct soft_paging want = guest->paging;
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	bool must = true, done;

	if (!is_paging_guest(guest) || guest->paging.mode->nested)
		return;
	set_features(&want, op->b);
	/* With PAE, MOV to CR4 that changes SMEP loads the PDPTEs. */
	if (want.smep != guest->paging.smep)
		must = load_pdptes(run, id);

	soft_cpu_begin(vcpu);
	done = soft_set_protection(vcpu, &want);
	soft_cpu_end(vcpu);
	if (done != must)
		soft_differ(run, "vCPU %d: PDPTEs are %sloaded", id,
			    done ? "" : "not ");
	if (done)
		set_features(&guest->paging, op->b);
}
