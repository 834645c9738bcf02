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
 * @slot: the gfn's slot
 * @gfn: the page, e.g. a shadowed table
 *
 * That holds in the other address space too, whatever slots it has now or later.
 * Calls are counted; level_allow() takes one back.
 *
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
 * The part of level_max() that depends on alignment, level_disallow() in this slot and
 * mixed attributes, but not on host and CPU.
 *
 * Return: PG_LEVEL_*.
 * Context: mmu_lock.
 */
int level_slot_max(const struct kvm_memory_slot *slot, gfn_t gfn, int max_level);

/**
 * level_max() - the largest page that may map a gfn
 * @kvm: the VM
 * @slot: the gfn's slot
 * @gfn: the page
 * @max_level: not above this; PG_LEVEL_NUM: any
 *
 * Reads the host's page table, so the answer holds only as long as no MMU notifier
 * runs for the address.  The caller either checks that under mmu_lock, by
 * mmu_invalidate_retry_gfn() or the like, or maps nothing by the answer.
 *
 * Return: PG_LEVEL_*.
 * Context: mmu_lock; kvm->srcu or slots_lock.
 */
int level_max(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn,
	      int max_level);

/**
 * level_watched() - does KVM watch any gfn in the 2M around a gfn?
 * @kvm: the VM
 * @slot: the gfn's slot
 * @gfn: the page
 *
 * Where it does not, no gfn that is mapped there in either address space is
 * write-tracked or shadowed as a table.
 *
 * Return: true if level_disallow() forbids the 2M page around @gfn.
 * Context: mmu_lock; kvm->srcu or slots_lock.
 */
bool level_watched(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn);

/**
 * level_choose() - choose the level of a fault
 * @vcpu: the vCPU
 * @fault: its pfn is pinned, and not invalidated since
 *
 * Sets huge_page_disallowed, req_level and goal_level, and rounds pfn down to goal_level.
 *
 * Context: mmu_lock; kvm->srcu.
 */
void level_choose(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * level_step_down() - keep a table that is there because the guest executes
 * @fault: the fault; if a huge page was to replace the table, goal_level becomes one
 *	less, and pfn follows
 * @spte: the value of the SPTE that the fault has come to
 * @level: of @spte
 *
 * Context: mmu_lock.
 */
void level_step_down(struct kvm_page_fault *fault, u64 spte, int level);

#endif /* __KVM_X86_MMU_LEVEL_H */
