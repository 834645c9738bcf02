// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses by gva, see soft_ops.h: where they end, what a page fault says, and
 * what they leave in the guest's tables.  In a nested VM it is L2 that does it: a
 * gva is its gpa, and the tables are L1's.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <asm/trap_pf.h>

#include "soft_ops_internal.h"
#include "soft_translate.h"

/* Where it ends */

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

/* L2's faults are exits to L1. */
static int fault_end(const struct soft_run *run)
{
	return run->vm->kind.nested ? SOFT_EXIT : SOFT_FAULT;
}

/*
 * Exits for EPT have a qualification in place of a code, which KVM makes of these
 * bits and of what the access was.  That is not always known: a misconfiguration,
 * as it comes from an MMIO SPTE of an old generation, has no qualification.
 */
static bool right_code(const struct soft_run *run, u32 code, u32 want)
{
	const u32 mask = soft_run_has_ept(run) ? X86_PF_PROT | X86_PF_RSVD : ~0;

	return (code & mask) == (want & mask);
}

static bool fits(struct soft_run *run, struct soft_as *as, int end,
		 const struct soft_access *access,
		 const struct soft_outcome *outcome)
{
	if (outcome->fault)
		return end == fault_end(run) &&
		       access->fault_addr == access->addr &&
		       right_code(run, access->error_code, outcome->code);
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
	soft_differ(run, "gva %#llx: %s (%d, %#llx, code %#x), must: %s of %#llx (%#x), or %d",
		    access->addr, soft_end_name(end), end, access->value,
		    access->error_code, first->fault ? "a fault" : "an access",
		    first->gfn, first->code, outcomes->nr - 1);
}

/* Accessed and Dirty of the guest's tables: SDM vol. 3, 5.8 and 29.3.5 */

/* KVM believes a cached MMIO gva, which with CR0.WP=0 may be of a clean page. */
static bool must_dirty(const struct soft_guest *guest,
		       const struct soft_access *access, int end)
{
	return access->write &&
	       (end == SOFT_RAM || access->user || guest->paging.wp ||
		guest->paging.mode->nested);
}

/* A and D, in the format of the guest's entries; 0: it has none. */
static u64 accessed_bit(const struct soft_paging *paging)
{
	if (!paging->mode->ept)
		return SOFT_GPTE_A;
	return paging->ad ? SOFT_EPTE_A : 0;
}

static u64 dirty_bit(const struct soft_paging *paging)
{
	if (!paging->mode->ept)
		return SOFT_GPTE_D;
	return paging->ad ? SOFT_EPTE_D : 0;
}

/* A and D that must be there if the CPU has used this entry. */
static u64 wanted_ad(const struct soft_view *view, const struct soft_entry *entry,
		     const struct soft_access *access, bool fault, int end)
{
	const struct soft_paging *paging = &view->guest->paging;
	const struct soft_slot *slot = soft_as_slot(view->as,
						    gpa_to_gfn(entry->gpa));

	/* In a ROM they stay as they are. */
	if (fault || !entry->sure || (slot->flags & KVM_MEM_READONLY))
		return 0;
	return accessed_bit(paging) |
	       (entry->leaf && must_dirty(view->guest, access, end) ?
		dirty_bit(paging) : 0);
}

/* A table may lead to itself, and an entry map a page as well. */
static bool is_leaf_of(const struct soft_path *path, gpa_t gpa)
{
	int i;

	for (i = 0; i < path->nr; i++)
		if (path->entry[i].gpa == gpa && path->entry[i].leaf)
			return true;
	return false;
}

/* What the CPU sets it writes to memory, so that the log must have it. */
static void check_entry(struct soft_run *run, const struct soft_view *view,
			const struct soft_path *path,
			const struct soft_entry *entry,
			const struct soft_access *access, int end)
{
	const struct soft_paging *paging = &view->guest->paging;
	const bool fault = end == fault_end(run);
	const bool written = access->write && !fault;
	const u64 may = accessed_bit(paging) |
			(written && is_leaf_of(path, entry->gpa) ?
			 dirty_bit(paging) : 0);
	const u64 must = wanted_ad(view, entry, access, fault, end);
	const u64 now = soft_read_entry(view, entry->gpa);

	if (now != (entry->value | (now & may)) || (must & ~now))
		soft_differ(run, "gva %#llx: %s, gPTE %#llx: %#llx -> %#llx, must have %#llx",
			    access->addr, soft_end_name(end), entry->gpa,
			    entry->value, now, must);
	if (now != entry->value)
		soft_as_written(view->as, gpa_to_gfn(entry->gpa));
	run->ad_judged += !!must;
}

/* @path: from before the access. */
static void check_path(struct soft_run *run, const struct soft_view *view,
		       const struct soft_path *path,
		       const struct soft_access *access, int end)
{
	int i;

	for (i = 0; i < path->nr; i++)
		check_entry(run, view, path, &path->entry[i], access, end);
}

/* The access */

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

static bool is_missing(u32 code)
{
	return !(code & X86_PF_PROT) || (code & X86_PF_RSVD);
}

static void count(struct soft_run *run, const struct soft_access *access, int end)
{
	if (end < 0)
		return;
	run->ends[end]++;
	run->by_gva[end]++;
	run->missing += end == fault_end(run) && is_missing(access->error_code);
	run->emulated += access->emulated && end == SOFT_RAM;
}

static int access_once(struct soft_run *run, int id, unsigned int n,
		       struct soft_access *access)
{
	struct kvm_vcpu *vcpu = run->vm->vcpu[id];
	struct soft_as *as = soft_vcpu_as(run, vcpu);
	const struct soft_view view = view_of(run, as, &run->guests[id]);
	struct soft_outcomes outcomes;
	struct soft_path path;
	int end;

	soft_translate(&view, n, access, &outcomes);
	soft_find_path(&view, n, &path);
	end = soft_run_vcpu(run, vcpu, access);
	count(run, access, end);
	if (end >= 0 && (run->loose || outcomes.unsure)) {
		check_loose(run, as, end, access);
		return end;
	}
	check_outcome(run, as, end, access, &outcomes);
	if (!run->failed)
		check_path(run, &view, &path, access, end);
	return end;
}

void soft_access_gva(struct soft_run *run, const struct soft_op *op)
{
	const int id = soft_op_vcpu_id(run, op);
	struct soft_guest *guest = &run->guests[id];
	const unsigned int n = op->d & SOFT_AGAIN ? guest->recent : op->c;
	struct soft_access access = {
		.addr = soft_gva(guest->paging.mode, n),
		.write = op->kind == SOFT_OP_WRITE,
		.fetch = op->kind == SOFT_OP_FETCH,
		.user = op->b & 1,
		.ac = op->b & 2,
		.value = soft_model_value(run->model, 0),
	};

	guest->recent = n;
	if (access_once(run, id, n, &access) != fault_end(run) || run->failed ||
	    !(op->d & SOFT_MEND) || !is_missing(access.error_code))
		return;
	soft_guest_mend(run, id, n, op->a);
	if (!run->failed && soft_op_is_paging(run, op))
		access_once(run, id, n, &access);
}
