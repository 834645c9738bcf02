// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's own paging, see soft_paging.h.
 */
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "soft_nested.h"
#include "soft_paging.h"
#include "soft_vendor.h"
#include "x86.h"

/*
 * In tables above the PD.  KVM takes INVLPG of a gva that the host's CPU would not
 * know for a NOP, and the host may have 4 levels only: the gvas are in the upper
 * half of what is canonical there, so that the topmost indices are all ones.
 */
#define PML5_WORD	511
#define PML4_WORD	0x101
#define PDPT_WORD	1
/* PDPTEs are aligned to 32 bytes, and not to a page. */
#define PDPTES_WORD	4

const struct soft_mode soft_modes[SOFT_NR_ALL_MODES] = {
	[SOFT_NO_PAGING] = { "no paging" },
	[SOFT_32BIT] = {
		"32-bit", .levels = 2, .entry_bytes = 4, .pse = true,
		.root = SOFT_PD,
	},
	[SOFT_PAE] = {
		"PAE", .cr4 = X86_CR4_PAE, .levels = 3, .entry_bytes = 8,
		.pdpte_level = 3, .root = SOFT_PDPTES, .root_word = PDPTES_WORD,
	},
	[SOFT_4_LEVELS] = {
		"4 levels", .cr4 = X86_CR4_PAE, .efer = EFER_LME, .levels = 4,
		.entry_bytes = 8, .root = SOFT_PML4,
	},
	[SOFT_5_LEVELS] = {
		"5 levels", .cr4 = X86_CR4_PAE | X86_CR4_LA57, .efer = EFER_LME,
		.levels = 5, .entry_bytes = 8, .root = SOFT_PML5,
	},
	[SOFT_NPT_32BIT] = {
		"NPT, 32-bit", .levels = 2, .entry_bytes = 4, .pse = true,
		.nested = true, .root = SOFT_PD,
	},
	[SOFT_NPT_4_LEVELS] = {
		"NPT, 4 levels", .cr4 = X86_CR4_PAE, .efer = EFER_LME,
		.levels = 4, .entry_bytes = 8, .nested = true,
		.root = SOFT_PML4,
	},
	[SOFT_NPT_5_LEVELS] = {
		"NPT, 5 levels", .cr4 = X86_CR4_PAE | X86_CR4_LA57,
		.efer = EFER_LME, .levels = 5, .entry_bytes = 8,
		.nested = true, .root = SOFT_PML5,
	},
	[SOFT_EPT_4_LEVELS] = {
		"EPT, 4 levels", .levels = 4, .entry_bytes = 8, .nested = true,
		.ept = true, .root = SOFT_PML4,
	},
	[SOFT_EPT_5_LEVELS] = {
		"EPT, 5 levels", .levels = 5, .entry_bytes = 8, .nested = true,
		.ept = true, .root = SOFT_PML5,
	},
};

/* A CPU with nested paging walks 4 or 5 levels, see soft_cpu.c. */
const struct soft_mode *soft_own_mode(enum soft_mode_id id)
{
	if (tdp_enabled && (id == SOFT_32BIT || id == SOFT_PAE))
		id = SOFT_4_LEVELS;
	return &soft_modes[id];
}

/* L1 has no more levels than the hardware. */
const struct soft_mode *soft_nested_mode(enum soft_mode_id id)
{
	static const u8 npt[SOFT_NR_MODES] = {
		SOFT_NO_PAGING, SOFT_NPT_32BIT, SOFT_NPT_4_LEVELS,
		SOFT_NPT_4_LEVELS, SOFT_NPT_5_LEVELS,
	};
	static const u8 ept[SOFT_NR_MODES] = {
		SOFT_NO_PAGING, SOFT_EPT_4_LEVELS, SOFT_EPT_4_LEVELS,
		SOFT_EPT_4_LEVELS, SOFT_EPT_5_LEVELS,
	};
	const struct soft_hardware *hw = soft_vendor_hardware();

	if (id == SOFT_5_LEVELS && hw->levels < 5)
		id = SOFT_4_LEVELS;
	return &soft_modes[hw->ept ? ept[id] : npt[id]];
}

struct soft_paging soft_shadowed_paging(enum soft_mode_id id)
{
	return (struct soft_paging) {
		.mode = tdp_enabled ? soft_nested_mode(id) : soft_own_mode(id),
		.wp = true,
		.nx = true,
		.pse = true,
		.ad = soft_vendor_hardware()->ad,
	};
}

const struct soft_link soft_links[SOFT_NR_LINKS] = {
	{ SOFT_PML5, PML5_WORD, SOFT_PML4 },
	{ SOFT_PML4, PML4_WORD, SOFT_PDPT },
	{ SOFT_PDPT, PDPT_WORD, SOFT_PD },
	{ SOFT_PDPTES, PDPTES_WORD + PDPT_WORD, SOFT_PD },
	{ SOFT_PD, SOFT_PD_WORD_OF_PT0, SOFT_PT0 },
	{ SOFT_PD, SOFT_PD_WORD_OF_PT1, SOFT_PT1 },
};

static u64 level_word(unsigned int n, int level)
{
	switch (level) {
	case 1:
		return soft_pt_word(n);
	case 2:
		return soft_pt(n) == SOFT_PT0 ? SOFT_PD_WORD_OF_PT0 :
						SOFT_PD_WORD_OF_PT1;
	case 3:
		return PDPT_WORD;
	case 4:
		return PML4_WORD;
	default:
		return PML5_WORD;
	}
}

u64 soft_gva(const struct soft_mode *mode, unsigned int n)
{
	const int per_word = sizeof(u64) / mode->entry_bytes;
	/* As gvas of 64 bits are: canonical.  What L2 has for a gpa is not. */
	u64 gva = mode->levels > 3 && !mode->nested ?
		  ~0ULL << soft_level_shift(mode, mode->levels + 1) : 0;
	int level;

	for (level = 1; level <= mode->levels; level++)
		gva |= level_word(n, level) * per_word <<
		       soft_level_shift(mode, level);
	return gva;
}

u64 soft_epte(gfn_t gfn, u64 bits, bool leaf)
{
	const u64 write_back = X86_MEMTYPE_WB << 3;

	return gfn_to_gpa(gfn) | (bits & 2 ? SOFT_EPTE_R : 0) |
	       (bits & 1 ? SOFT_EPTE_W : 0) | (bits & 4 ? 0 : SOFT_EPTE_X) |
	       (bits & 8 ? SOFT_GPTE_PS : 0) | (bits & 16 ? SOFT_EPTE_A : 0) |
	       (bits & 32 ? SOFT_EPTE_D : 0) | (leaf ? write_back : 0);
}

u64 soft_gpte(gfn_t gfn, u64 bits)
{
	return gfn_to_gpa(gfn) | SOFT_GPTE_P | (bits & 1 ? SOFT_GPTE_RW : 0) |
	       (bits & 2 ? SOFT_GPTE_US : 0) | (bits & 4 ? SOFT_GPTE_XD : 0) |
	       (bits & 8 ? SOFT_GPTE_PS : 0) | (bits & 16 ? SOFT_GPTE_A : 0) |
	       (bits & 32 ? SOFT_GPTE_D : 0);
}

u64 soft_pte_as(bool ept, gfn_t gfn, u64 bits)
{
	return ept ? soft_epte(gfn, bits, true) : soft_gpte(gfn, bits);
}

u64 soft_link_as(bool ept, const struct soft_link *link, gfn_t gfn, u64 bits)
{
	if (ept)
		return soft_epte(gfn, bits, bits & 8);
	/* A PDPTE has no rights, A or D: the bits are reserved. */
	return soft_gpte(gfn, link->table == SOFT_PDPTES ? bits & ~0x33ULL : bits);
}

void soft_make_links(struct soft_vm *vm, unsigned long page, bool ept)
{
	const struct soft_link *link;

	for (link = soft_links; link < soft_links + SOFT_NR_LINKS; link++)
		soft_vm_write(vm, page + link->table, link->word,
			      soft_link_as(ept, link, SOFT_TABLE_GFN + link->to,
					   3));
}

unsigned long soft_cr0(const struct soft_paging *paging)
{
	return X86_CR0_PE | (paging->mode->levels ? X86_CR0_PG : 0) |
	       (paging->wp ? X86_CR0_WP : 0);
}

unsigned long soft_cr4(const struct soft_paging *paging)
{
	return paging->mode->cr4 | (paging->pse ? X86_CR4_PSE : 0) |
	       (paging->smep ? X86_CR4_SMEP : 0) |
	       (paging->smap ? X86_CR4_SMAP : 0);
}

/* As kvm_set_cr4(), which asks whether the host has the features. */
static bool set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	const unsigned long old = kvm_read_cr4(vcpu);

	if (is_pae_paging(vcpu) && ((cr4 ^ old) & X86_CR4_PDPTR_BITS) &&
	    !load_pdptrs(vcpu, kvm_read_cr3(vcpu)))
		return false;
	kvm_x86_call(set_cr4)(vcpu, cr4);
	kvm_post_set_cr4(vcpu, old, cr4);
	return true;
}

static bool set_cr3(struct kvm_vcpu *vcpu, const struct soft_mode *mode)
{
	return !kvm_set_cr3(vcpu, soft_table_gpa(mode->root, mode->root_word));
}

bool soft_load_cr3(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	if (!paging->mode->nested)
		return set_cr3(vcpu, paging->mode);

	soft_nested_leave(vcpu);
	soft_nested_flush(vcpu);
	soft_nested_enter(vcpu, paging);
	return true;
}

bool soft_set_paging(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	soft_nested_leave(vcpu);
	if (paging->mode->nested) {
		soft_nested_enter(vcpu, paging);
		return true;
	}

	kvm_set_cr0(vcpu, X86_CR0_PE);
	kvm_x86_call(set_efer)(vcpu, paging->mode->efer |
				     (paging->nx ? EFER_NX : 0));
	set_cr4(vcpu, soft_cr4(paging));
	set_cr3(vcpu, paging->mode);
	return !kvm_set_cr0(vcpu, soft_cr0(paging));
}

bool soft_set_protection(struct kvm_vcpu *vcpu, const struct soft_paging *paging)
{
	if (!set_cr4(vcpu, soft_cr4(paging)))
		return false;
	kvm_set_cr0(vcpu, soft_cr0(paging));
	return true;
}
