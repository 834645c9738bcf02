/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Unmapping by slot, by range and of a whole VM.  The functions that the rest of KVM
 * calls are declared in mmu.h and kvm_host.h.
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
 * mmu_expect_memory() - note which gfns get memory by the next set of memslots
 * @kvm: the VM
 * @slot: the slot that is created, or a moved slot as it will be
 *
 * When a set is settled next, MMIO SPTEs of direct paging are removed for these gfns
 * (kvm_mmu_invalidate_mmio_sptes()).  If the change is given up, they are removed for
 * nothing, which does no harm.
 *
 * Context: slots_lock; before the set with @slot is published.
 */
void mmu_expect_memory(struct kvm *kvm, const struct kvm_memory_slot *slot);

#endif /* __KVM_X86_MMU_ZAP_H */
