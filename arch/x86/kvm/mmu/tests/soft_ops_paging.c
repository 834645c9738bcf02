// SPDX-License-Identifier: GPL-2.0-only
/*
 * What guests with paging do, see soft_ops.h: changes of their tables, flushes,
 * and changes of the mode.
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

/* The guest's tables */

/* Does the address space have a page of the VMM at a gfn? */
static bool has_page(struct soft_as *as, gfn_t gfn, unsigned long page)
{
	const struct soft_slot *slot = soft_as_slot(as, gfn);

	return slot && soft_slot_page(slot, gfn) == page;
}

/* How many gfns of tables a page of the VMM has, in either address space. */
static int nr_tables_at(struct soft_run *run, unsigned long page)
{
	struct soft_as *as = run->model->as;
	int nr = 0;
	gfn_t gfn;

	for (gfn = SOFT_TABLE_GFN; soft_is_table(gfn); gfn++)
		nr += has_page(&as[0], gfn, page) || has_page(&as[1], gfn, page);
	return nr;
}

/* In both address spaces, where they have the same page. */
static void note_change(struct soft_run *run, struct soft_as *as, gpa_t gpa)
{
	const gfn_t gfn = gpa_to_gfn(gpa);
	const unsigned long page = soft_slot_page(soft_as_slot(as, gfn), gfn);
	const u64 old = soft_read_word(run->vm, as, gpa);
	int i;

	for (i = 0; i < SOFT_NR_AS; i++)
		if (has_page(&run->model->as[i], gfn, page))
			soft_note_change(&run->changes, &run->model->as[i], gpa,
					 old);
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

static gpa_t link_gpa(const struct soft_link *link)
{
	return soft_table_gpa(link->table, link->word);
}

static gpa_t pte_gpa(unsigned int n)
{
	return soft_table_gpa(soft_pt(n), soft_pt_word(n));
}

static void write_pte(struct soft_run *run, unsigned int n, u64 gpte, bool half)
{
	int id;

	write_gpte(run, pte_gpa(n), gpte, half);
	for (id = 0; id < run->vm->nr_vcpus; id++)
		run->guests[id].recent = n;
}

/* In the format that L1 has for L2, or the guest for itself. */

static u64 pte_for(struct soft_run *run, gfn_t gfn, u64 bits)
{
	return soft_pte_as(soft_run_has_ept(run), gfn, bits);
}

static u64 link_for(struct soft_run *run, const struct soft_link *link, gfn_t gfn,
		    u64 bits)
{
	return soft_link_as(soft_run_has_ept(run), link, gfn, bits);
}

/* As mprotect() does it: the page stays, and A and D. */
static u64 with_rights_of(struct soft_run *run, unsigned int n, u64 gpte)
{
	const u64 rights = soft_run_has_ept(run) ? SOFT_EPTE_RWX :
			   SOFT_GPTE_RW | SOFT_GPTE_US | SOFT_GPTE_XD;
	struct soft_as *as = soft_vcpu_as(run, run->vm->vcpu[0]);
	const u64 old = soft_read_word(run->vm, as, pte_gpa(n));

	return old & SOFT_GPTE_P ? (old & ~rights) | (gpte & rights) : gpte;
}

void soft_guest_gpte(struct soft_run *run, const struct soft_op *op)
{
	const unsigned int where = op->a % (SOFT_NR_LINKS + 1);
	const bool half = op->e & SOFT_GPTE_HALF;
	const struct soft_link *link = &soft_links[where];
	u64 gpte = pte_for(run, op->c, op->d);

	if (where < SOFT_NR_LINKS) {
		write_gpte(run, link_gpa(link),
			   link_for(run, link, op->c, op->d), half);
	} else {
		if (op->e & SOFT_GPTE_KEEP)
			gpte = with_rights_of(run, op->b, gpte);
		write_pte(run, op->b, gpte, half);
	}
	flush(run, op->e % SOFT_GPTE_HALF, op->b);
}

/* What an OS does before it turns paging on. */
static void make_tables(struct soft_run *run, gfn_t gfn, unsigned int step)
{
	const u64 all = 3;
	int i;

	for (i = 0; i < SOFT_NR_LINKS; i++) {
		const struct soft_link *link = &soft_links[i];

		write_gpte(run, link_gpa(link),
			   link_for(run, link, SOFT_TABLE_GFN + link->to, all),
			   false);
	}
	for (i = 0; i < SOFT_NR_GVAS; i += step)
		write_pte(run, i, pte_for(run, gfn + i, all), false);
	flush(run, SOFT_FLUSH_ALL, 0);
}

/* Return: whether the link was another one. */
static bool mend_link(struct soft_run *run, const struct soft_link *link)
{
	const u64 gpte = link_for(run, link, SOFT_TABLE_GFN + link->to, 3);
	const u64 ad = soft_run_has_ept(run) ? SOFT_EPTE_A | SOFT_EPTE_D :
					       SOFT_GPTE_A | SOFT_GPTE_D;
	struct soft_as *as = soft_vcpu_as(run, run->vm->vcpu[0]);
	const u64 old = soft_read_word(run->vm, as, link_gpa(link));

	if ((old & ~ad) == gpte)
		return false;
	write_gpte(run, link_gpa(link), gpte, false);
	return true;
}

/* Without a flush if it is only the PTE: what is not present is not cached. */
void soft_guest_mend(struct soft_run *run, int id, unsigned int n, gfn_t gfn)
{
	bool relinked = false;
	int i;

	set_smm(run, 0, is_smm(run->vm->vcpu[id]));
	for (i = 0; i < SOFT_NR_LINKS; i++)
		relinked |= mend_link(run, &soft_links[i]);
	write_pte(run, n, pte_for(run, gfn, 3), false);
	if (relinked)
		reload_cr3(run, id);
}

/* Modes */

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

/* Without PDPTEs that can be loaded, paging stays off. */
static void enter_paging(struct soft_run *run, int id)
{
	const bool must = load_pdptes(run, id);
	struct soft_guest *guest = &run->guests[id];
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	bool on;

	soft_cpu_begin(vcpu);
	on = soft_set_paging(vcpu, &guest->paging);
	soft_cpu_end(vcpu);
	expect_loaded(run, id, on, must);
	if (!on)
		set_no_paging(guest);
}

static void choose_paging(struct soft_run *run, struct soft_paging *paging,
			  const struct soft_op *op)
{
	const enum soft_mode_id id = op->a % SOFT_NR_MODES;

	paging->mode = run->vm->kind.nested ? soft_nested_mode(id) :
					      soft_own_mode(id);
	paging->nx = op->b & SOFT_NX;
	paging->pse = op->b & SOFT_PSE;
	paging->ad = (op->b & SOFT_AD) && soft_vendor_hardware()->ad;
	set_features(paging, op->b);
}

void soft_guest_paging(struct soft_run *run, const struct soft_op *op)
{
	const int id = soft_op_vcpu_id(run, op);
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];

	if (!id || !may_page(run, vcpu))
		return;
	if (op->d) {
		/* Where the vCPU will look for them. */
		set_smm(run, 0, is_smm(vcpu));
		make_tables(run, op->c, op->d);
	}

	choose_paging(run, &run->guests[id].paging, op);
	if (run->guests[id].paging.mode->nested)
		enter_l2(run, id, op->d);
	else
		enter_paging(run, id);
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
