/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's own paging: an operating system of a few tables, in any of the
 * modes of SDM vol. 3 chapter 5, where KVM shadows them.  Or a hypervisor (L1) of
 * such tables, which translate for a nested guest: NPT, in the modes that L1's own
 * paging may have (APM vol. 2, 15.25.3), or EPT.
 *
 * All modes share the tables, which lie at fixed gfns, in whatever slot is there:
 * a mode begins at a table of its own and goes down from there.
 *
 *	5 levels    PML5 -> PML4 -> PDPT -> PD -> PT0, PT1
 *	4 levels            PML4 -> PDPT -> PD -> PT0, PT1
 *	(both also as EPT)
 *	PAE                 four PDPTEs  -> PD -> PT0, PT1
 *	32-bit                              PD -> PT0, PT1
 *
 * A table is one of 8-byte entries.  To 32-bit paging its even entries are the
 * lower halves of these, and its odd ones are not present.  Places in a table are
 * counted in words of 8 bytes.  The first word of a page is data (soft_model.h)
 * and translates nothing.
 */
#ifndef __KVM_X86_MMU_SOFT_PAGING_H
#define __KVM_X86_MMU_SOFT_PAGING_H

#include "soft_model.h"
#include "soft_vm.h"

enum soft_table {
	SOFT_PML5,
	SOFT_PML4,
	SOFT_PDPT,
	SOFT_PDPTES,	/* of PAE; not from the beginning of its page */
	SOFT_PD,
	SOFT_PT0,
	SOFT_PT1,
	SOFT_NR_TABLES
};

enum soft_mode_id {
	SOFT_NO_PAGING,
	SOFT_32BIT,
	SOFT_PAE,
	SOFT_4_LEVELS,
	SOFT_5_LEVELS,
	SOFT_NR_MODES,		/* of a guest's own paging */

	SOFT_NPT_32BIT = SOFT_NR_MODES,
	SOFT_NPT_4_LEVELS,
	SOFT_NPT_5_LEVELS,
	SOFT_EPT_4_LEVELS,
	SOFT_EPT_5_LEVELS,
	SOFT_NR_ALL_MODES
};

/**
 * struct soft_mode - what a paging mode is
 * @name: for reports
 * @cr4: what chooses it, together with @efer
 * @efer: see there; without LMA
 * @levels: of tables; 0: no paging
 * @entry_bytes: of an entry: 4 or 8
 * @pdpte_level: the level whose four entries are registers; 0: none
 * @pse: large pages, of 4M, are there only if CR4.PSE is set
 * @nested: it is L1's, for L2
 * @ept: in the format of EPT
 * @root: where the tables begin
 * @root_word: and the word there
 */
struct soft_mode {
	const char *name;
	u64 cr4;
	u64 efer;
	u8 levels;
	u8 entry_bytes;
	u8 pdpte_level;
	bool pse;
	bool nested;
	bool ept;
	enum soft_table root;
	u16 root_word;
};

extern const struct soft_mode soft_modes[SOFT_NR_ALL_MODES];

/*
 * The mode that stands for one of a guest's own: what software CPUs of the
 * hardware have of it, or of nested paging.
 */
const struct soft_mode *soft_own_mode(enum soft_mode_id id);
const struct soft_mode *soft_nested_mode(enum soft_mode_id id);

#define SOFT_NR_PDPTES	4

/**
 * struct soft_paging - how a vCPU translates
 * @mode: the mode
 * @wp: CR0.WP
 * @nx: EFER.NXE
 * @pse: CR4.PSE
 * @smep: CR4.SMEP
 * @smap: CR4.SMAP
 * @ad: EPT keeps A and D (the other modes always do)
 * @pdpte: the PDPTEs, as they were when they were loaded
 */
struct soft_paging {
	const struct soft_mode *mode;
	bool wp;
	bool nx;
	bool pse;
	bool smep;
	bool smap;
	bool ad;
	u64 pdpte[SOFT_NR_PDPTES];
};

/* Paging that KVM shadows: a guest's own one, or with TDP what L1 gives to L2. */
struct soft_paging soft_shadowed_paging(enum soft_mode_id id);

#define SOFT_TABLE_GFN	0x20

static inline bool soft_is_table(gfn_t gfn)
{
	return gfn >= SOFT_TABLE_GFN && gfn < SOFT_TABLE_GFN + SOFT_NR_TABLES;
}

static inline gpa_t soft_table_gpa(enum soft_table table, unsigned int word)
{
	return gfn_to_gpa(SOFT_TABLE_GFN + table) + word * sizeof(u64);
}

/**
 * struct soft_link - an entry by which one table leads to another
 * @table: where it is
 * @word: and which word there
 * @to: the other one
 */
struct soft_link {
	u8 table;
	u16 word;
	u8 to;
};

/* One per level that all gvas have; the last two lead to the PTs. */
#define SOFT_NR_LINKS	6
#define SOFT_LINK_OF_PT0	4
extern const struct soft_link soft_links[SOFT_NR_LINKS];

/* Where the PD leads to the PTs: in two parts of it, if it is one of 32-bit. */
#define SOFT_PD_WORD_OF_PT0	1
#define SOFT_PD_WORD_OF_PT1	0x101

/* Words of each PT that a guest uses, in either half of it. */
#define SOFT_PT_ENTRIES	48
#define SOFT_NR_GVAS	(2 * SOFT_PT_ENTRIES)

static inline enum soft_table soft_pt(unsigned int n)
{
	return n / SOFT_PT_ENTRIES % 2 ? SOFT_PT1 : SOFT_PT0;
}

static inline unsigned int soft_pt_word(unsigned int n)
{
	const unsigned int entry = n % SOFT_PT_ENTRIES;

	return 1 + entry + (entry < SOFT_PT_ENTRIES / 2 ? 0 : 300);
}

/* The gva that the n-th word of the PTs translates, counting through both. */
u64 soft_gva(const struct soft_mode *mode, unsigned int n);

/* The bits of an entry of a mode that are the index into the table below. */
static inline int soft_index_bits(const struct soft_mode *mode)
{
	return mode->entry_bytes == 4 ? 10 : 9;
}

/* Where in an address the index of a level is. */
static inline int soft_level_shift(const struct soft_mode *mode, int level)
{
	return 12 + soft_index_bits(mode) * (level - 1);
}

/* SDM table 5-20 and before, as far as they matter to what is translated */
#define SOFT_GPTE_P	BIT_ULL(0)
#define SOFT_GPTE_RW	BIT_ULL(1)
#define SOFT_GPTE_US	BIT_ULL(2)
#define SOFT_GPTE_A	BIT_ULL(5)
#define SOFT_GPTE_D	BIT_ULL(6)
#define SOFT_GPTE_PS	BIT_ULL(7)
#define SOFT_GPTE_XD	BIT_ULL(63)
/* SDM table 29-2 and following; SOFT_GPTE_PS is the same. */
#define SOFT_EPTE_R	BIT_ULL(0)
#define SOFT_EPTE_W	BIT_ULL(1)
#define SOFT_EPTE_X	BIT_ULL(2)
#define SOFT_EPTE_RWX	GENMASK_ULL(2, 0)
#define SOFT_EPTE_A	BIT_ULL(8)
#define SOFT_EPTE_D	BIT_ULL(9)

/* The bits that all entries of a walk must have, in either format. */
#define SOFT_GPTE_RIGHTS	GENMASK_ULL(2, 0)

/* The entry for a gfn; @bits: R/W, U/S, XD, PS, A, D. */
u64 soft_gpte(gfn_t gfn, u64 bits);

/* The same of EPT, where R stands for U/S; @leaf: it is the last one. */
u64 soft_epte(gfn_t gfn, u64 bits, bool leaf);

/*
 * The entry for a gfn, and a link to what is there, in the format of EPT or in the
 * other one; @bits as in soft_gpte().
 */
u64 soft_pte_as(bool ept, gfn_t gfn, u64 bits);
u64 soft_link_as(bool ept, const struct soft_link *link, gfn_t gfn, u64 bits);

/* The VMM makes all links; the tables are its pages from @page. */
void soft_make_links(struct soft_vm *vm, unsigned long page, bool ept);

/* The registers of a mode with paging. */
unsigned long soft_cr0(const struct soft_paging *paging);
unsigned long soft_cr4(const struct soft_paging *paging);

/**
 * soft_set_paging() - as a guest does: paging off, the registers, paging on
 * @vcpu: is loaded
 * @paging: what is to be; its PDPTEs are not looked at
 *
 * Return: false if paging stays off, as the PDPTEs cannot be loaded.
 *
 * With a nested mode: from L1, or from L2 by an exit, to L2.  Else the vCPU leaves
 * L2, if it is there.
 */
bool soft_set_paging(struct kvm_vcpu *vcpu, const struct soft_paging *paging);

/*
 * CR4.SMEP and CR4.SMAP, then CR0.WP, while paging is on.  Return: false if CR4
 * cannot be loaded, as the PDPTEs cannot; nothing has changed.
 */
bool soft_set_protection(struct kvm_vcpu *vcpu, const struct soft_paging *paging);

/*
 * MOV to CR3 of what is there.  Return: false if it is a #GP.
 * With a nested mode: an exit, a flush of what the CPU has of L1's tables, and
 * back to L2; true.
 */
bool soft_load_cr3(struct kvm_vcpu *vcpu, const struct soft_paging *paging);

#endif /* __KVM_X86_MMU_SOFT_PAGING_H */
