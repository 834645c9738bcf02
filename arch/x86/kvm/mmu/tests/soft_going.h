/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A slot is deleted while a vCPU makes something of it: mappings, pages that shadow
 * tables in it, roots (locking.txt, 3, "One grace period for a deletion").
 *
 * The deletion stops at one of two points.  Either all is zapped and the slot still
 * in the set, or the set without it is published and waits for a reader.  What a vCPU
 * has looked up before, it may not use at either.
 */
#ifndef __KVM_X86_MMU_SOFT_GOING_H
#define __KVM_X86_MMU_SOFT_GOING_H

#include <linux/completion.h>

#include "soft_change.h"
#include "soft_paging.h"
#include "soft_threads.h"
#include "soft_vm.h"

/* Page n of the VMM is gfn n.  Slots side by side, see going_slots[]. */
#define NR_PAGES	0x40
#define LOW		8
#define LAST_NEAR	0x2b
#define GOING		0x2c
#define SLOW		0x2f

enum going_slot_id {
	LOW_SLOT,
	UPPER_SLOT,	/* the guest's tables, but for those of level 1 */
	PT_SLOT,	/* these */
	NEAR_SLOT,	/* in the same 8 gfns as the next one */
	GOING_SLOT,	/* what the guest has its data in */
	NR_SLOTS
};

/* What the guest's n-th gva, or L2's address, is: soft_gva(). */
enum going_gva {
	GVA_NEAR = 7,	/* the first word of a line: a prefetch ends at what is no gPTE */
	GVA_GOING,
	GVA_SLOW,
	NR_GVAS,
	GVA_FAR = 24,	/* in another line of the same table */
};

/**
 * struct going_slot - where a slot is
 * @gfn: its first one
 * @npages: its size
 */
struct going_slot {
	gfn_t gfn;
	unsigned long npages;
};

extern const struct going_slot going_slots[NR_SLOTS];

/**
 * struct going_scene - a VM, its vCPU in a thread, and a slot that is deleted
 * @vm: the VM
 * @threads: its vCPU
 * @change: the deletion
 * @paging: of the vCPU, if it has any: its own, or L2's
 * @access: of the vCPU
 * @end: of it
 * @pre_fault: what KVM_PRE_FAULT_MEMORY has returned
 * @pre_fault_begun: it was called
 * @pre_faulted: it has returned
 */
struct going_scene {
	struct soft_vm *vm;
	struct soft_threads threads;
	struct soft_change change;
	struct soft_paging paging;
	struct soft_access access;
	int end;
	int pre_fault;
	struct completion pre_fault_begun;
	struct completion pre_faulted;
};

/* @flags: of GOING_SLOT. */
struct going_scene *going_scene_of_kind(struct kunit *test,
					const struct soft_vm_kind *kind, u32 flags);
struct going_scene *going_scene_new(struct kunit *test);

static inline struct going_scene *going_scene_of(struct soft_thread *thread)
{
	return container_of(thread->all, struct going_scene, threads);
}

/* The vCPU translates by tables that KVM shadows: its own, or L1's for L2. */
void going_make_tables(struct going_scene *s, enum soft_mode_id id);

/* Makes the first shadow root, which slots_arch_lock is needed for. */
void going_use_tables(struct going_scene *s);

/* The vCPU's thread does one access, by its address or the gva. */
void going_start_access(struct going_scene *s, u64 addr, bool write);
void going_start_access_to(struct going_scene *s, enum going_gva n);

/* The same at SLOW: its fault has its slot, and waits for the host's page. */
struct soft_slow *going_access_slow_page(struct going_scene *s);

/* Nothing is in the access's way. */
void going_finish_access(struct going_scene *s);

/* It faults again and again, and gets nowhere. */
void going_expect_no_progress(struct going_scene *s);

void going_delete_until_zapped(struct going_scene *s, enum going_slot_id id);
void going_delete_until_published(struct going_scene *s, enum going_slot_id id);

/* The rest of a deletion that was stopped before the publication. */
void going_end_deletion(struct going_scene *s);

/* As an MMU notifier does it.  Return: true if there was something. */
bool going_unmap_slot(struct going_scene *s, enum going_slot_id id);

/* What is there is gone then, or a test that fails would go on to crash. */
void going_expect_nothing_mapped(struct going_scene *s, enum going_slot_id id);

#endif /* __KVM_X86_MMU_SOFT_GOING_H */
