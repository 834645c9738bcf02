/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapping by slot, by range and of a whole VM: whom it concerns, in which
 * order.  The functions that the rest of KVM calls are in mmu.h and kvm_host.h.
 */
#ifndef __KVM_X86_MMU_ZAP_H
#define __KVM_X86_MMU_ZAP_H

#include "mmu_internal.h"

/**
 * zap_all_fast() - make all shadow pages and roots obsolete, then zap them
 * @kvm: the VM
 *
 * vCPUs go on with new roots at once; when it returns, no old SPTE is left.
 * Context: slots_lock; takes mmu_lock; yields.
 */
void zap_all_fast(struct kvm *kvm);

/**
 * mmu_expect_memory() - say which gfns get memory by the next set of memslots
 * @kvm: the VM
 * @slot: that is created, or where it moves to
 *
 * When a set is settled next, MMIO SPTEs of direct paging go from there.  If the
 * change is given up, that is for nothing, and does no harm.
 * Context: slots_lock; before the set with @slot is published.
 */
void mmu_expect_memory(struct kvm *kvm, const struct kvm_memory_slot *slot);

#endif /* __KVM_X86_MMU_ZAP_H */
