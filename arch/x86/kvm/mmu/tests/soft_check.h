/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What must be true of KVM's tables and of TLBs, whatever the guest does next.
 * These look at the tables with KVM's own eyes, where the CPU (soft_walk.h) would
 * have to run into them first; with direct paging only.
 */
#ifndef __KVM_X86_MMU_SOFT_CHECK_H
#define __KVM_X86_MMU_SOFT_CHECK_H

#include <linux/kvm_host.h>

/* What a TLB must not grant that the SPTE does not, and by when. */
enum soft_due {
	SOFT_DUE_UNLOCKED,	/* mmu_lock was let go: another page, M is clear */
	SOFT_DUE_DONE,		/* and what was asked of KVM is done: W is clear */
};

/**
 * soft_check_tlb() - find a translation for which a flush is overdue
 * @vcpu: the vCPU, which is not in the guest
 * @due: what is due
 * @gfn: which one it is
 *
 * Return: what is wrong with it, or NULL.
 * Context: kvm->srcu, or nobody zaps; takes RCU.
 */
const char *soft_check_tlb(struct kvm_vcpu *vcpu, enum soft_due due, gfn_t *gfn);

/**
 * soft_check_no_tables() - find tables for gfns where no slot is
 * @kvm: the VM
 * @as_id: the address space
 * @start: the first gfn; tables that lie wholly in the range count
 * @end: the first gfn beyond
 *
 * Return: the first gfn of such a table, or INVALID_GPA.
 * Context: takes mmu_lock for reading.
 */
gfn_t soft_check_no_tables(struct kvm *kvm, int as_id, gfn_t start, gfn_t end);

/* The tables that the roots have are as many as KVM counts.  Takes mmu_lock. */
bool soft_check_count(struct kvm *kvm);

#endif /* __KVM_X86_MMU_SOFT_CHECK_H */
