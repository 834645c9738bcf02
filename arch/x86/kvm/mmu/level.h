/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How big a page may be: what the slot, the host's page, the memory attributes,
 * dirty logging and the iTLB multihit mitigation allow.
 */
#ifndef __KVM_X86_MMU_LEVEL_H
#define __KVM_X86_MMU_LEVEL_H

#include "mmu.h"
#include "mmu_internal.h"

/* What level_disallow() adds to kvm_lpage_info::disallow_lpage; bit 0 is x86.c's. */
#define LPAGE_WATCHED_ONE	2

/**
 * level_disallow() - no huge page may hold a gfn from now on
 * @slot: its slot
 * @gfn: the page, e.g. a shadowed table
 *
 * That is so in the other address space too, whatever its slots are and will be.
 * Counts; level_allow() is the reverse.
 * Context: mmu_lock for writing.
 */
void level_disallow(const struct kvm_memory_slot *slot, gfn_t gfn);
void level_allow(const struct kvm_memory_slot *slot, gfn_t gfn);

/**
 * level_slot_max() - the largest page that a slot allows for a gfn
 * @slot: the slot
 * @gfn: the page, in @slot
 * @max_level: not above this, PG_LEVEL_1G at most
 *
 * The part of level_max() that knows alignment, level_disallow() in this slot and
 * mixed attributes, and nothing of host and CPU.
 */
int level_slot_max(const struct kvm_memory_slot *slot, gfn_t gfn, int max_level);

/**
 * level_max() - the largest page that may map a gfn
 * @kvm: the VM
 * @slot: its slot
 * @gfn: the page
 * @max_level: not above this; PG_LEVEL_NUM: any
 *
 * Reads the host's page table: the answer holds only as long as no MMU notifier
 * runs for the address, so the caller either checks mmu_invalidate_retry_gfn()
 * under mmu_lock before it believes it, or maps nothing with it.
 *
 * Context: mmu_lock; kvm->srcu or slots_lock.
 */
int level_max(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn,
	      int max_level);

/**
 * level_choose() - choose the level of a fault
 * @vcpu: the vCPU
 * @fault: pinned and checked; sets req_level and goal_level, and rounds pfn down
 *	to goal_level
 *
 * Context: mmu_lock; kvm->srcu.
 */
void level_choose(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * level_step_down() - keep a table that is there because the guest executes
 * @fault: the fault: if a huge page was to replace the table, it goes one level
 *	further down instead
 * @spte: what stands at @level
 * @level: of @spte
 */
void level_step_down(struct kvm_page_fault *fault, u64 spte, int level);

#endif /* __KVM_X86_MMU_LEVEL_H */
