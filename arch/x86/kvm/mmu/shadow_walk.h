/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks of the shadow_* files, from a root down to the SPTE of an address.
 *
 * Who holds mmu_lock for writing may change what is found, by the functions of
 * shadow_pte.c.  Who does not is between shadow_walk_begin() and shadow_walk_end()
 * (shadow.h), and may change counts of writes and, as fast_fault.c does, a leaf by
 * cmpxchg.
 */
#ifndef __KVM_X86_MMU_SHADOW_WALK_H
#define __KVM_X86_MMU_SHADOW_WALK_H

#include "mmu_internal.h"

/**
 * struct shadow_iter - the SPTEs that translate one address, from the root down
 * @addr: the address
 * @table: the table of @level
 * @sptep: the entry
 * @level: of @sptep; 0 at the end
 * @index: of @sptep
 */
struct shadow_iter {
	u64 addr;
	hpa_t table;
	u64 *sptep;
	int level;
	int index;
};

void shadow_iter_start(struct shadow_iter *iter, struct kvm_vcpu *vcpu,
		       hpa_t root, u64 addr);
bool shadow_iter_ok(struct shadow_iter *iter);

/* @spte: the value of the current entry, as the caller read it. */
void shadow_iter_next(struct shadow_iter *iter, u64 spte);

/* The table is in use as a table: writes to it so far were no flood. */
static inline void shadow_forget_writes(struct kvm_mmu_page *sp)
{
	if (atomic_read(&sp->write_flooding_count))
		atomic_set(&sp->write_flooding_count, 0);
}

/**
 * shadow_wait_for_walks() - wait until the walks that began before have ended
 * @kvm: the VM
 *
 * What was cleared before is not seen by walks that begin later.  A TLB flush
 * does not do for this: a hypercall may flush without an interrupt.
 *
 * Context: mmu_lock for writing.  Spins: walks have interrupts off, and are short.
 */
void shadow_wait_for_walks(struct kvm *kvm);

#endif /* __KVM_X86_MMU_SHADOW_WALK_H */
