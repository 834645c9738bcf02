// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oracle of the software CPU, see soft_model.h.
 */
#include <linux/bitmap.h>
#include <linux/errno.h>
#include <linux/kvm.h>
#include <linux/string.h>

#include "soft_model.h"

u64 soft_model_value(struct soft_model *model, unsigned long page)
{
	return (u64)page << 40 | ++model->next;
}

void soft_model_init(struct soft_model *model)
{
	unsigned long page;

	memset(model, 0, sizeof(*model));
	for (page = 0; page < SOFT_PAGES; page++)
		model->content[page] = soft_model_value(model, page);
}

struct soft_slot *soft_as_slot(struct soft_as *as, gfn_t gfn)
{
	struct soft_slot *slot;
	int id;

	for (id = 0; id < SOFT_SLOTS; id++) {
		slot = &as->slots[id];
		if (gfn >= slot->gfn && gfn < slot->gfn + slot->npages)
			return slot;
	}
	return NULL;
}

static bool overlaps(const struct soft_as *as, int id,
		     const struct soft_slot *want)
{
	const struct soft_slot *other;
	int i;

	for (i = 0; i < SOFT_SLOTS; i++) {
		other = &as->slots[i];
		if (i != id && other->npages &&
		    want->gfn < other->gfn + other->npages &&
		    other->gfn < want->gfn + want->npages)
			return true;
	}
	return false;
}

/* What can be said of a region without a look at the slots. */
static bool flags_are_good(const struct soft_slot *want, bool may_be_private)
{
	if (want->flags & KVM_MEM_GUEST_MEMFD)
		return may_be_private && want->flags == KVM_MEM_GUEST_MEMFD;
	return true;
}

/* Private memory has one slot at a time. */
static bool is_bound(const struct soft_as *as, const struct soft_slot *want)
{
	const struct soft_slot *slot;
	int i;

	for (i = 0; i < SOFT_SLOTS; i++) {
		slot = &as->slots[i];
		if (slot->npages && (slot->flags & KVM_MEM_GUEST_MEMFD) &&
		    want->page < slot->page + slot->npages &&
		    slot->page < want->page + want->npages)
			return true;
	}
	return false;
}

static int check_change(const struct soft_slot *old, const struct soft_slot *want)
{
	if (want->npages != old->npages || want->page != old->page ||
	    ((want->flags ^ old->flags) & KVM_MEM_READONLY) ||
	    ((want->flags | old->flags) & KVM_MEM_GUEST_MEMFD))
		return -EINVAL;
	return 0;
}

int soft_as_set_slot(struct soft_as *as, int id, const struct soft_slot *want,
		     bool initially_set, bool may_be_private)
{
	struct soft_slot *slot = &as->slots[id];
	int r;

	if (!flags_are_good(want, may_be_private))
		return -EINVAL;
	if (!want->npages) {
		if (!slot->npages)
			return -EINVAL;
		slot->npages = 0;
		return 0;
	}

	r = slot->npages ? check_change(slot, want) : 0;
	if (r)
		return r;
	if ((!slot->npages || want->gfn != slot->gfn) && overlaps(as, id, want))
		return -EEXIST;
	if ((want->flags & KVM_MEM_GUEST_MEMFD) && is_bound(as, want))
		return -EEXIST;

	/* A log begins with no page or with all, and moves along with its slot. */
	if (!soft_slot_logs(slot)) {
		bitmap_zero(slot->dirty, SOFT_PAGES);
		bitmap_zero(slot->maybe, SOFT_PAGES);
		bitmap_zero(slot->told, SOFT_PAGES);
		if (initially_set)
			bitmap_set(slot->dirty, 0, want->npages);
	}
	slot->npages = want->npages;
	slot->gfn = want->gfn;
	slot->page = want->page;
	slot->flags = want->flags;
	return 0;
}

int soft_model_end(struct soft_model *model, struct soft_as *as, gfn_t gfn,
		   bool write)
{
	const struct soft_slot *slot = soft_as_slot(as, gfn);

	if (soft_model_private(model, gfn))
		return slot && (slot->flags & KVM_MEM_GUEST_MEMFD) ? SOFT_RAM :
								     -EFAULT;
	if (!slot || (write && (slot->flags & KVM_MEM_READONLY)))
		return SOFT_MMIO;
	return SOFT_RAM;
}

void soft_as_written(struct soft_as *as, gfn_t gfn)
{
	struct soft_slot *slot = soft_as_slot(as, gfn);

	if (soft_slot_logs(slot))
		__set_bit(gfn - slot->gfn, slot->dirty);
}

bool soft_slot_has_region(const struct soft_slot *slot, gfn_t gfn)
{
	const gfn_t first = gfn & ~511ULL;

	return first >= slot->gfn && first + 512 <= slot->gfn + slot->npages;
}

void soft_model_used(struct soft_model *model, struct soft_as *as, gfn_t gfn,
		     bool dirtied)
{
	struct soft_slot *slot = soft_as_slot(as, gfn);

	if (!slot)
		return;
	if (dirtied || !model->regions || !soft_slot_has_region(slot, gfn))
		__set_bit(gfn - slot->gfn, slot->maybe);
	__set_bit(soft_slot_page(slot, gfn), model->used);
}

void soft_model_used_any(struct soft_model *model, struct soft_as *as)
{
	int id;

	bitmap_fill(model->used, SOFT_PAGES);
	for (id = 0; id < SOFT_SLOTS; id++)
		bitmap_fill(as->slots[id].maybe, SOFT_PAGES);
}
