/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One guest with paging, one step after the other: gfn n of the memory is page n of
 * the VMM's, and named so.  vCPU 0 does not page, and may write to the tables, which
 * are at SOFT_TABLE_GFN; vCPU 1 pages.
 */
#ifndef __KVM_X86_MMU_SOFT_GUEST_H
#define __KVM_X86_MMU_SOFT_GUEST_H

#include "soft_paging.h"
#include "soft_vm.h"

/**
 * soft_guest_make_memory() - the VMM names all pages and makes the tables
 * @vm: the VM
 * @ept: in the format of EPT
 * @gfn: what gva 0 leads to, gva n to @gfn + n
 * @bits: of the entries for these, see soft_gpte()
 */
void soft_guest_make_memory(struct soft_vm *vm, bool ept, gfn_t gfn, u64 bits);

/* vCPU 1 turns paging on. */
void soft_guest_begin_paging(struct soft_vm *vm, const struct soft_paging *paging);

/* vCPU 1 reads: which page is at gva n? */
u64 soft_guest_page_at(struct soft_vm *vm, const struct soft_paging *paging,
		       unsigned int n);

/* vCPU 0 writes. */
void soft_guest_write(struct soft_vm *vm, gpa_t gpa, u64 value);

#endif /* __KVM_X86_MMU_SOFT_GUEST_H */
