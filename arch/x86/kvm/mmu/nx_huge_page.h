/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The iTLB multihit mitigation: huge pages are not executable.  Where the guest
 * executes, it gets 4K pages, and a worker makes huge pages possible again after a while
 * (Documentation/admin-guide/hw-vuln/multihit.rst).
 */
#ifndef __KVM_X86_MMU_NX_HUGE_PAGE_H
#define __KVM_X86_MMU_NX_HUGE_PAGE_H

#include "mmu_internal.h"

/* The module parameter nx_huge_pages, resolved when kvm.ko is loaded. */
extern int nx_huge_pages;

static inline bool nx_huge_page_enabled(struct kvm *kvm)
{
	return READ_ONCE(nx_huge_pages) && !kvm->arch.disable_nx_huge_pages;
}

/* Resolves the parameter; kvm.ko's module init, after the CPU's bugs are known. */
void __init nx_huge_page_init(void);

/**
 * nx_huge_page_set() - turn the mitigation on or off
 * @enable: whether huge pages must not be executable
 *
 * If that is a change, all that VMs have mapped is zapped.
 *
 * Context: may sleep; takes kvm_lock.
 */
void nx_huge_page_set(bool enable);

/**
 * nx_huge_page_recover() - zap some tables that the mitigation made
 * @kvm: the VM; the parameters say how many of its tables
 *
 * Context: may sleep; takes kvm->srcu, and mmu_lock for writing.
 */
void nx_huge_page_recover(struct kvm *kvm);

/**
 * nx_huge_page_track() - a table could be a huge page but for the mitigation
 * @kvm: the VM
 * @table: the table; may be tracked already
 *
 * Context: mmu_lock for writing; or for reading with tdp_mmu_pages_lock.
 */
void nx_huge_page_track(struct kvm *kvm, struct mmu_table *table);

/*
 * The reverse; also clears nx_huge_page_disallowed.  @table need not be tracked.
 * Context: as nx_huge_page_track().
 */
void nx_huge_page_untrack(struct kvm *kvm, struct mmu_table *table);

#endif /* __KVM_X86_MMU_NX_HUGE_PAGE_H */
