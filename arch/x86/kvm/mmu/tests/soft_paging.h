/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's own paging: an operating system of five tables, and what they
 * translate, as SDM vol. 3 chapter 5 says.  Only shadow paging has to care.
 *
 * The tables lie at fixed gfns, in whatever slot is there, and every word of them
 * but the first translates.  (The first word of a page is data, see
 * soft_model.h.)
 */
#ifndef __KVM_X86_MMU_SOFT_PAGING_H
#define __KVM_X86_MMU_SOFT_PAGING_H

#include "soft_model.h"
#include "soft_vm.h"

enum soft_table {
	SOFT_PML4,
	SOFT_PDPT,
	SOFT_PD,
	SOFT_PT0,
	SOFT_PT1,
	SOFT_NR_TABLES
};

#define SOFT_TABLE_GFN	0x20
#define SOFT_CR3	(SOFT_TABLE_GFN * PAGE_SIZE)

/* All gvas have these indices in PML4 and PDPT, and PD has one for each PT. */
#define SOFT_INDEX	1ULL
#define SOFT_GVA	(SOFT_INDEX << 39 | SOFT_INDEX << 30 | SOFT_INDEX << 21)

/* gPTEs of each PT that a guest makes. */
#define SOFT_PT_ENTRIES	48

static inline bool soft_is_table(gfn_t gfn)
{
	return gfn >= SOFT_TABLE_GFN && gfn < SOFT_TABLE_GFN + SOFT_NR_TABLES;
}

/* The gva that the entry of a PT translates, @n counting through both. */
static inline u64 soft_gva(unsigned int n)
{
	const u64 pt = n / SOFT_PT_ENTRIES % 2, index = 1 + n % SOFT_PT_ENTRIES;

	return SOFT_GVA + (pt << 21) + (index << 12);
}

static inline gpa_t soft_gpte_gpa(unsigned int table, unsigned int index)
{
	return gfn_to_gpa(SOFT_TABLE_GFN + table) + index * sizeof(u64);
}

/* The gPTE for a gfn, or for the table there. */
u64 soft_gpte(gfn_t gfn, u64 bits);

/* Is the vCPU translating gvas? */
bool soft_is_paging(struct kvm_vcpu *vcpu);

/* CR0.PG on, with four levels and tables at SOFT_CR3, or off. */
void soft_set_paging(struct kvm_vcpu *vcpu, bool on);

/**
 * soft_translate() - what the guest's tables say
 * @vm: whose memory has them
 * @as: the address space that they are in
 * @access: its addr is a gva
 * @gfn: becomes its page
 *
 * Return: false if it is a page fault.
 */
bool soft_translate(struct soft_vm *vm, struct soft_as *as,
		    const struct soft_access *access, gfn_t *gfn);

#endif /* __KVM_X86_MMU_SOFT_PAGING_H */
