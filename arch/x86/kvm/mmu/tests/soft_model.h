/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle of the software CPU: what a guest's access must do, from slots and
 * memory alone.  It is flat and naive, and knows nothing of page tables, caches
 * or generations.
 *
 * Every value that is written anywhere is another one, so that a read tells both
 * which page it has reached and how old that is.
 */
#ifndef __KVM_X86_MMU_SOFT_MODEL_H
#define __KVM_X86_MMU_SOFT_MODEL_H

#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include "soft_cpu.h"

#define SOFT_PAGES	2048UL	/* of the VMM's memory, and as many private ones */
#define SOFT_GFNS	4096UL	/* that slots and accesses are about */
#define SOFT_SLOTS	8	/* of each address space */
#define SOFT_NR_AS	2	/* without and with SMM */

/**
 * struct soft_slot - a memslot
 * @npages: 0: there is none
 * @gfn: its first gfn
 * @page: its first page of the VMM's memory, and of the private one
 * @flags: KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY, KVM_MEM_GUEST_MEMFD
 * @dirty: pages that the next dirty log must have
 * @maybe: and those that it may have besides: somebody has used them
 * @told: those that a dirty log has had, and that were not cleared since
 */
struct soft_slot {
	unsigned long npages;
	gfn_t gfn;
	unsigned long page;
	u32 flags;
	DECLARE_BITMAP(dirty, SOFT_PAGES);
	DECLARE_BITMAP(maybe, SOFT_PAGES);
	DECLARE_BITMAP(told, SOFT_PAGES);
};

/**
 * struct soft_as - an address space
 * @slots: by id
 */
struct soft_as {
	struct soft_slot slots[SOFT_SLOTS];
};

/**
 * struct soft_model - the VM as userspace and the guest know it
 * @as: by id
 * @private: gfns whose memory is private: what the VMM's memory has there is not
 *	for the guest
 * @content: the first word of each page of the VMM's memory, then of each private
 *	page
 * @used: pages of the VMM's memory that the guest has used since the host's mm
 *	has cleaned them
 * @regions: a log of 2M in one slot may have no page for being used, only those
 *	that a CPU or KVM has written
 * @next: the next value that is written somewhere
 */
struct soft_model {
	struct soft_as as[SOFT_NR_AS];
	DECLARE_BITMAP(private, SOFT_GFNS);
	u64 content[2 * SOFT_PAGES];
	DECLARE_BITMAP(used, SOFT_PAGES);
	bool regions;
	u64 next;
};

/* An empty VM; the memory is as the VMM will write it. */
void soft_model_init(struct soft_model *model);

/* A value that was never written before, for a page. */
u64 soft_model_value(struct soft_model *model, unsigned long page);

/* The slot of a gfn, or NULL. */
struct soft_slot *soft_as_slot(struct soft_as *as, gfn_t gfn);

static inline bool soft_slot_logs(const struct soft_slot *slot)
{
	return slot->npages && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES);
}

/**
 * soft_as_set_slot() - KVM_SET_USER_MEMORY_REGION
 * @as: the address space
 * @id: below SOFT_SLOTS
 * @want: the slot as it is to be; its dirty pages do not matter
 * @initially_set: a dirty log begins with all pages
 * @may_be_private: the VM has private memory
 *
 * Return: 0 or the errno that api.rst 4.35 has for it.
 */
int soft_as_set_slot(struct soft_as *as, int id, const struct soft_slot *want,
		     bool initially_set, bool may_be_private);

/*
 * enum soft_end of an access to @gfn, or -EFAULT if userspace has to make the
 * gfn's memory private, or not, or put it there.
 */
int soft_model_end(struct soft_model *model, struct soft_as *as, gfn_t gfn,
		   bool write);

/* After the guest wrote to @gfn, which is RAM. */
void soft_as_written(struct soft_as *as, gfn_t gfn);

/* The guest has used @gfn, as far as KVM can tell, or @dirtied it; or any gfn. */
void soft_model_used(struct soft_model *model, struct soft_as *as, gfn_t gfn,
		     bool dirtied);
void soft_model_used_any(struct soft_model *model, struct soft_as *as);

/* The whole 2M around a gfn are the slot's. */
bool soft_slot_has_region(const struct soft_slot *slot, gfn_t gfn);

/* @pages, cut where the VMM's memory ends. */
static inline unsigned long soft_cut_pages(unsigned long page, unsigned long pages)
{
	return min(pages, SOFT_PAGES - page);
}

static inline bool soft_model_private(const struct soft_model *model, gfn_t gfn)
{
	return gfn < SOFT_GFNS && test_bit(gfn, model->private);
}

/* The page of the VMM's memory that @gfn, which has a slot, is. */
static inline unsigned long soft_slot_page(const struct soft_slot *slot, gfn_t gfn)
{
	return slot->page + (gfn - slot->gfn);
}

#endif /* __KVM_X86_MMU_SOFT_MODEL_H */
