/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks of the shadow_* files, from a root down to the SPTE of an address.
 *
 * A walk with mmu_lock for writing may change the SPTEs that it finds, by the functions
 * of shadow_pte.c.  A walk without it is between shadow_walk_begin() and
 * shadow_walk_end() (shadow.h), and may change only counts of writes and, as
 * fast_fault.c does, a leaf by cmpxchg.
 */
#ifndef __KVM_X86_MMU_SHADOW_WALK_H
#define __KVM_X86_MMU_SHADOW_WALK_H

#include "mmu_internal.h"

/*
 * Are the roots the four pages of pae_root, or is it one page?  They are four for guests
 * with 32-bit addresses; with nested NPT, pae_root is below a PML4, and maybe a PML5.
 */
static inline bool mmu_has_pae_root(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.base.level < PT64_ROOT_4LEVEL;
}

/**
 * struct shadow_iter - the SPTEs that translate one address, from the root down
 * @addr: the address, gva or nested gpa
 * @table: the hpa of the table of @level
 * @sptep: the entry; set by shadow_iter_ok()
 * @level: of @sptep; 0 at the end
 * @index: of @sptep in its table; set by shadow_iter_ok()
 */
struct shadow_iter {
	u64 addr;
	hpa_t table;
	u64 *sptep;
	int level;
	int index;
};

/**
 * shadow_iter_start() - begin a walk
 * @iter: is set up; shadow_iter_ok() comes next
 * @vcpu: the vCPU, whose current MMU has the form of @root
 * @root: its hpa; the dummy root has no entries, and neither has an empty PDPTE
 * @addr: the address, gva or nested gpa
 */
void shadow_iter_start(struct shadow_iter *iter, struct kvm_vcpu *vcpu,
		       hpa_t root, u64 addr);

/* Set @sptep and @index of the current entry; false at the end of the walk. */
bool shadow_iter_ok(struct shadow_iter *iter);

/* Step down by the current entry, of which the caller has read the value @spte. */
void shadow_iter_next(struct shadow_iter *iter, u64 spte);

/* The page is in use as a table: writes to it so far were no flood. */
static inline void shadow_forget_writes(struct kvm_mmu_page *sp)
{
	if (atomic_read(&sp->write_flooding_count))
		atomic_set(&sp->write_flooding_count, 0);
}

/**
 * shadow_wait_for_walks() - wait until lockless walks that have begun have ended
 * @kvm: the VM
 *
 * Walks that begin later do not see SPTEs that were cleared before.  A TLB flush is no
 * substitute: a hypercall may flush without an interrupt.
 *
 * Context: mmu_lock for writing.  Spins: walks have interrupts off, and are short.
 */
void shadow_wait_for_walks(struct kvm *kvm);

#endif /* __KVM_X86_MMU_SHADOW_WALK_H */
