// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM does with slots, their dirty pages and its memory, see soft_ops.h.
 */
#include <linux/bitmap.h>
#include <linux/kvm.h>

#include "mmu.h"
#include "soft_check.h"
#include "soft_ops_internal.h"

/*
 * Slots have an id of 16 bits, and above it their address space, of which a VM with
 * private memory has one.
 */
static u32 op_slot_id(struct soft_run *run, const struct soft_op *op)
{
	const u32 as = run->vm->kind.private ? 0 : op->a / SOFT_SLOTS % SOFT_NR_AS;

	return as << 16 | op->a % SOFT_SLOTS;
}

/* Every other slot that could have private memory has it. */
static u32 op_flags(struct soft_run *run, const struct soft_op *op)
{
	return run->vm->kind.private && (op->c & 1) ? KVM_MEM_GUEST_MEMFD :
						      op->e & ~SOFT_TWIN;
}

static struct soft_as *op_slot_as(struct soft_run *run, const struct soft_op *op)
{
	return &run->model->as[op_slot_id(run, op) >> 16];
}

static struct soft_slot *op_slot(struct soft_run *run, const struct soft_op *op)
{
	return &op_slot_as(run, op)->slots[(u16)op_slot_id(run, op)];
}

/* Rings may still have entries of a log that has ended. */
static void note_old_entries(struct soft_run *run, struct soft_slot *slot)
{
	if (run->vm->kind.log == SOFT_LOG_RING)
		bitmap_fill(slot->maybe, SOFT_PAGES);
}

/* No table stays where the slot was, and none is lost. */
static void check_tables(struct soft_run *run, u32 id, const struct soft_slot *old)
{
	gfn_t gfn;

	if (!tdp_enabled || (run->blind & SOFT_BLIND_TABLES))
		return;
	gfn = soft_check_no_tables(run->vm->kvm, id >> 16, old->gfn,
				   old->gfn + old->npages);
	if (gfn != INVALID_GPA)
		soft_differ(run, "slot %#x is gone, and at gfn %#llx is a table",
			    id, gfn);
	if (!soft_check_count(run->vm->kvm))
		soft_differ(run, "tables are miscounted");
}

/* The slot of the same id in the other address space. */
static const struct soft_slot *twin_slot(struct soft_run *run,
					 const struct soft_op *op)
{
	const int other = !(op_slot_id(run, op) >> 16);

	return &run->model->as[other].slots[op->a % SOFT_SLOTS];
}

static void want_slot(struct soft_run *run, const struct soft_op *op,
		      struct soft_slot *want)
{
	const struct soft_slot *twin = twin_slot(run, op);

	want->gfn = op->b;
	want->page = op->c;
	want->npages = op->d;
	want->flags = op_flags(run, op);
	if (!(op->e & SOFT_TWIN) || !twin->npages)
		return;

	want->gfn = twin->gfn;
	want->page = twin->page;
	want->npages = twin->npages;
}

void soft_op_slot(struct soft_run *run, const struct soft_op *op)
{
	const u32 id = op_slot_id(run, op);
	struct soft_slot *slot = op_slot(run, op);
	const bool logged = soft_slot_logs(slot);
	const struct soft_slot old = *slot;
	struct soft_slot want = old;
	int r, must;

	switch (op->kind) {
	case SOFT_OP_CREATE:
		want_slot(run, op, &want);
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
	must = soft_as_set_slot(op_slot_as(run, op), (u16)id, &want,
				run->vm->kind.log == SOFT_LOG_INITIALLY_SET,
				run->vm->kind.private);
	if (r != must)
		soft_differ(run, "slot %#x: %d, must be %d", id, r, must);
	if (!logged && soft_slot_logs(slot))
		note_old_entries(run, slot);
	if (!r && (!slot->npages || slot->gfn != old.gfn))
		check_tables(run, id, &old);
}

/* What four levels translate, in pages. */
#define SOFT_REACH	BIT_ULL(36)

/* 0, or how the slot's log went wrong: nobody has written there. */
static int log_beyond(struct soft_run *run, u32 id, unsigned long npages)
{
	static u64 log[BITS_TO_LONGS(SOFT_PAGES)];
	int r;

	if (run->vm->kind.log == SOFT_LOG_RING)
		return 0;
	r = soft_vm_get_dirty_log(run->vm, id, log, BITS_TO_LONGS(npages));
	if (r || run->vm->kind.log == SOFT_LOG_INITIALLY_SET)
		return r;
	return bitmap_empty((unsigned long *)log, npages) ? 0 : -EUCLEAN;
}

/*
 * The model has no such slot, so nothing that it has may change.  The host's MAXPHYADDR
 * is that of a large machine as long as the slot is there.
 */
void soft_op_beyond(struct soft_run *run, const struct soft_op *op)
{
	const u32 id = (op_slot_id(run, op) & ~0xffff) | SOFT_SLOTS;
	const u32 flags[] = { 0, KVM_MEM_LOG_DIRTY_PAGES, 0 };
	const u8 maxphyaddr = kvm_host.maxphyaddr;
	const gfn_t gfn = SOFT_REACH + op->b;
	int i, r = 0;

	kvm_host.maxphyaddr = 52;
	for (i = 0; !r && i < ARRAY_SIZE(flags); i++) {
		r = soft_vm_set_slot(run->vm, id, gfn, op->d, op->c, flags[i]);
		if (!r && flags[i])
			r = log_beyond(run, id, op->d);
	}
	if (!r)
		r = soft_vm_set_slot(run->vm, id, gfn, 0, 0, 0);
	kvm_host.maxphyaddr = maxphyaddr;
	if (r)
		soft_differ(run, "slot %#x beyond reach: %d", id, r);
}

/* Bitmaps of dirty pages */

/* What api.rst 4.8 and 4.117 have for a slot. */
static int log_error(struct soft_run *run, const struct soft_slot *slot)
{
	if (run->vm->kind.log == SOFT_LOG_RING)
		return -ENXIO;
	return soft_slot_logs(slot) ? 0 : -ENOENT;
}

/* @log has what was written, and nothing that nobody used. */
static void check_log(struct soft_run *run, u32 id, const struct soft_slot *slot,
		      const unsigned long *log)
{
	static DECLARE_BITMAP(may, SOFT_PAGES);

	if (!bitmap_subset(slot->dirty, log, slot->npages))
		soft_differ(run, "dirty log of slot %#x: a page is missing", id);
	bitmap_or(may, slot->dirty, slot->maybe, SOFT_PAGES);
	if (!soft_run_is_exact(run) || (run->blind & SOFT_BLIND_LOG) ||
	    bitmap_subset(log, may, slot->npages))
		return;
	bitmap_andnot(may, log, may, slot->npages);
	soft_differ(run, "dirty log of slot %#x: page %#lx, that nobody has used", id,
		    find_first_bit(may, slot->npages));
}

static void forget_dirty(struct soft_slot *slot)
{
	bitmap_zero(slot->dirty, SOFT_PAGES);
	bitmap_zero(slot->maybe, SOFT_PAGES);
	bitmap_zero(slot->told, SOFT_PAGES);
}

/*
 * A page was cleared.  What no log has told of may still come, if KVM does not know
 * it before it looks at D.
 */
static void forget_page(const struct soft_run *run, struct soft_slot *slot,
			unsigned long page)
{
	const bool late = run->model->regions && !test_bit(page, slot->told) &&
			  (test_bit(page, slot->dirty) || test_bit(page, slot->maybe));

	__assign_bit(page, slot->maybe, late);
	__clear_bit(page, slot->dirty);
	__clear_bit(page, slot->told);
}

void soft_op_get_log(struct soft_run *run, const struct soft_op *op)
{
	static u64 log[BITS_TO_LONGS(SOFT_PAGES)];
	const u32 id = op_slot_id(run, op);
	struct soft_slot *slot = op_slot(run, op);
	int r = soft_vm_get_dirty_log(run->vm, id, log,
				      BITS_TO_LONGS(slot->npages));

	if (r != log_error(run, slot))
		soft_differ(run, "dirty log of slot %#x: %d", id, r);
	if (r)
		return;
	check_log(run, id, slot, (unsigned long *)log);
	bitmap_or(slot->told, slot->told, (unsigned long *)log, slot->npages);
	/* In manual mode a page stays dirty until that is cleared. */
	if (run->vm->kind.log == SOFT_LOG_BITMAP)
		forget_dirty(slot);
}

/* Ranges end at a multiple of 64 pages or with the slot. */
static bool is_clear_range(const struct soft_slot *slot, unsigned long first,
			   unsigned long pages)
{
	return first <= slot->npages && pages <= slot->npages - first &&
	       (pages % 64 == 0 || first + pages == slot->npages);
}

/* Up to the end of the slot, if the operation's range goes beyond. */
void soft_op_clear_log(struct soft_run *run, const struct soft_op *op)
{
	static u64 log[BITS_TO_LONGS(SOFT_PAGES)];
	const u32 id = op_slot_id(run, op);
	struct soft_slot *slot = op_slot(run, op);
	const unsigned long first = op->b * 64 % SOFT_PAGES;
	unsigned long pages = op->c, i;
	int r, must = log_error(run, slot);

	if (first < slot->npages)
		pages = min(pages, slot->npages - first);
	for (i = 0; i < ARRAY_SIZE(log); i++)
		log[i] = op->d * 0x0001000100010001ULL;
	if (!must && !is_clear_range(slot, first, pages))
		must = -EINVAL;

	r = soft_vm_clear_dirty_log(run->vm, id, first, pages, log);
	if (r != must)
		soft_differ(run, "clear of slot %#x: %d, must be %d", id, r, must);
	for (i = 0; !r && i < pages; i++) {
		if (!test_bit(i, (unsigned long *)log))
			continue;
		forget_page(run, slot, first + i);
	}
}

/* Rings of dirty pages */

/**
 * struct collected - what was in the rings
 * @dirty: the pages of all slots of an address space, and then of the next
 */
struct collected {
	unsigned long dirty[SOFT_NR_AS * SOFT_SLOTS][BITS_TO_LONGS(SOFT_PAGES)];
};

static void collect_entry(struct soft_run *run, struct collected *collected,
			  const struct kvm_dirty_gfn *entry)
{
	const u32 as = entry->slot >> 16, id = (u16)entry->slot;

	if (as >= SOFT_NR_AS || id >= SOFT_SLOTS || entry->offset >= SOFT_PAGES)
		soft_differ(run, "dirty page %#llx of slot %#x", entry->offset,
			    entry->slot);
	else
		__set_bit(entry->offset,
			  collected->dirty[as * SOFT_SLOTS + id]);
}

/* All that was written is in a ring. */
static void check_collected(struct soft_run *run,
			    const struct collected *collected)
{
	struct soft_slot *slot;
	int i;

	for (i = 0; i < SOFT_NR_AS * SOFT_SLOTS; i++) {
		slot = &run->model->as[i / SOFT_SLOTS].slots[i % SOFT_SLOTS];
		if (soft_slot_logs(slot))
			check_log(run, i / SOFT_SLOTS << 16 | i % SOFT_SLOTS, slot,
				  collected->dirty[i]);
		forget_dirty(slot);
	}
}

void soft_op_harvest(struct soft_run *run)
{
	static struct collected collected;
	struct kvm_dirty_gfn entry;
	int i, r, nr = 0;

	if (run->vm->kind.log != SOFT_LOG_RING)
		return;
	memset(&collected, 0, sizeof(collected));
	for (i = 0; i < run->vm->nr_vcpus; i++)
		for (; soft_vm_next_dirty(run->vm, i, &entry); nr++)
			collect_entry(run, &collected, &entry);
	check_collected(run, &collected);

	r = soft_vm_reset_rings(run->vm);
	if (r != nr)
		soft_differ(run, "dirty rings: %d reset, must be %d", r, nr);
}

/* KVM finds nothing that it has written, and takes nothing. */
void soft_op_scribble(struct soft_run *run, const struct soft_op *op)
{
	const int id = soft_op_vcpu_id(run, op);
	const u32 nr = op->a % SOFT_RING_ENTRIES;
	int r;

	if (run->vm->kind.log != SOFT_LOG_RING)
		return;
	soft_op_harvest(run);
	soft_vm_scribble(run->vm, id, nr, KVM_DIRTY_GFN_F_RESET);
	r = soft_vm_reset_rings(run->vm);
	if (r)
		soft_differ(run, "dirty rings: %d reset, none is dirty", r);
	soft_vm_scribble(run->vm, id, nr, 0);
}

/* Private memory */

void soft_op_private(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long gfns = min(op->b, SOFT_GFNS - op->a);
	int r = soft_vm_set_private(run->vm, op->a, gfns, op->c & 1);

	if (r != (run->vm->kind.private || !(op->c & 1) ? 0 : -EINVAL))
		soft_differ(run, "attributes of gfn %#x: %d", op->a, r);
	if (r)
		return;
	if (op->c & 1)
		bitmap_set(run->model->private, op->a, gfns);
	else
		bitmap_clear(run->model->private, op->a, gfns);
}

void soft_op_punch_hole(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	int r;

	if (!run->vm->kind.private)
		return;
	r = soft_vm_punch_hole(run->vm, op->a, pages);
	if (r)
		soft_differ(run, "hole at private page %#x: %d", op->a, r);
	memset64(run->model->content + SOFT_PAGES + op->a, 0, pages);
}

/* The VMM's memory */

void soft_host_write(struct soft_run *run, unsigned long page)
{
	const u64 value = soft_model_value(run->model, page);

	run->model->content[page] = value;
	soft_vm_write(run->vm, page, 0, value);
}

void soft_op_host_write(struct soft_run *run, const struct soft_op *op)
{
	soft_host_write(run, op->a);
}

void soft_op_renew(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	unsigned long i;

	if (op->c)
		soft_vm_renew_by_driver(run->vm, op->a, pages);
	else
		soft_vm_renew_pages(run->vm, op->a, pages);
	for (i = 0; i < pages; i++) {
		run->loose |= soft_page_was_table(run, op->a + i);
		soft_host_write(run, op->a + i);
	}
}

void soft_op_host_protect(struct soft_run *run, const struct soft_op *op)
{
	soft_vm_host_protect(run->vm, op->a, soft_cut_pages(op->a, op->b));
}

/* Before the host's mm writes back, nobody has a page writable any more. */
void soft_op_clean(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	unsigned long i;

	soft_vm_invalidate(run->vm, op->a, pages);
	for (i = op->a; i < op->a + pages; i++) {
		if (soft_vm_clean_page(run->vm, i) && soft_run_is_exact(run) &&
		    !(run->blind & SOFT_BLIND_TOLD) &&
		    !test_bit(i, run->model->used))
			soft_differ(run, "page %#lx is dirty, and nobody has used it",
				    i);
		__clear_bit(i, run->model->used);
	}
}

/* Nobody runs in between: what was just made old is old. */
void soft_op_age(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = soft_cut_pages(op->a, op->b);
	unsigned long i;

	soft_vm_clear_young(run->vm, op->a, pages);
	for (i = 0; i < pages; i++)
		if (soft_vm_test_young(run->vm, op->a + i))
			soft_differ(run, "page %#lx is young", op->a + i);
}
