/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an access through 4-level tables must lead to, by the manuals alone: level
 * by level, no cache, no shortcut.  Where the manuals say nothing, as KVM has
 * always done: a table in no slot reads as not present.
 */
#ifndef SELFTEST_KVM_MMU_NAIVE_WALK_H
#define SELFTEST_KVM_MMU_NAIVE_WALK_H

#include "kvm_util.h"
#include "mmu_probe.h"
#include "processor.h"

#define PFERR_P		BIT(0)
#define PFERR_RSVD	BIT(3)

enum result {
	FAULTS,		/* #PF with @error */
	MEMORY,		/* at @gpa */
	MMIO,		/* exit with @gpa */
	UNKNOWN,	/* not the MMU's doing: see walk_table() */
};

/**
 * struct outcome - what an access must lead to
 * @result: which of the two others counts
 * @error: the error code of the #PF
 * @gpa: what is accessed
 */
struct outcome {
	enum result result;
	uint32_t error;
	uint64_t gpa;
};

/**
 * struct naive - what a walk depends on
 * @cr0, @cr4, @efer: of the vCPU
 * @pgd: CR3
 * @pa_bits: MAXPHYADDR
 * @tdp: the CPU walks, and not KVM
 * @gb_pages: there are pages of 1G
 * @print: what is read
 * @word: where the host has the word at a gpa; NULL without slot
 * @read_only: is the gpa in a read-only slot
 */
struct naive {
	uint64_t cr0, cr4, efer, pgd;
	unsigned int pa_bits;
	bool tdp, gb_pages, print;
	uint64_t *(*word)(uint64_t gpa);
	bool (*read_only)(uint64_t gpa);
};

/**
 * struct walk_state - a walk under way
 * @gva: what is translated
 * @gpte: the last that was read
 * @all: the AND of all gPTEs
 * @any: their OR
 * @blind: see walk_table()
 */
struct walk_state {
	uint64_t gva, gpte, all, any;
	bool blind;
};

static inline uint64_t low_bits(int nr)
{
	return BIT_ULL(nr) - 1;
}

static inline uint64_t reserved_bits(const struct naive *n, uint64_t gpte,
				     int level)
{
	uint64_t bits = low_bits(52) & ~low_bits(n->pa_bits);

	if (!(n->efer & EFER_NX))
		bits |= PTE_NX_MASK;
	if (level == PG_LEVEL_512G ||
	    (level == PG_LEVEL_1G && !n->gb_pages))
		bits |= PTE_LARGE_MASK;
	else if (level > PG_LEVEL_4K && (gpte & PTE_LARGE_MASK))
		bits |= low_bits(PG_LEVEL_SHIFT(level)) & ~low_bits(13);
	return bits;
}

/*
 * Reads the gPTE.  If the CPU walks, a table that it may not write to, or that is
 * not there, has KVM emulate the access.  KVM's emulator has then the address of
 * the gPTE, and takes it for that of the operand if their offsets are the same.
 */
static inline bool walk_table(const struct naive *n, struct walk_state *w,
			      int level)
{
	const uint64_t offset = (w->gva >> PG_LEVEL_SHIFT(level) << 3) & 0xff8;
	const uint64_t gpa = PTE_GET_PA(w->gpte) | offset;
	const uint64_t *word = n->word(gpa);

	if (n->tdp && offset == (w->gva & 0xff8) && (!word || n->read_only(gpa)))
		w->blind = true;
	if (!word)
		return false;

	w->gpte = READ_ONCE(*word);
	if (n->print)
		pr_info("level %d: gpte 0x%lx at 0x%lx\n", level, w->gpte, gpa);
	w->all &= w->gpte;
	w->any |= w->gpte;
	return w->gpte & PTE_PRESENT_MASK;
}

static inline bool user_may(const struct walk_state *w, uint32_t access)
{
	if (!(w->all & PTE_USER_MASK))
		return false;
	return !(access & PROBE_WRITE) || (w->all & PTE_WRITABLE_MASK);
}

static inline bool kernel_may(const struct naive *n, const struct walk_state *w,
			      uint32_t access)
{
	const bool user_page = w->all & PTE_USER_MASK;

	if (access & PROBE_FETCH)
		return !user_page || !(n->cr4 & X86_CR4_SMEP);
	if (user_page && (n->cr4 & X86_CR4_SMAP) && !(access & PROBE_AC))
		return false;
	return !(access & PROBE_WRITE) || (w->all & PTE_WRITABLE_MASK) ||
	       !(n->cr0 & X86_CR0_WP);
}

static inline bool may(const struct naive *n, const struct walk_state *w,
		       uint32_t access)
{
	if ((access & PROBE_FETCH) && (w->any & PTE_NX_MASK))
		return false;
	return access & PROBE_USER ? user_may(w, access) :
				     kernel_may(n, w, access);
}

static inline struct outcome fault(const struct naive *n, uint32_t access,
				   uint32_t error)
{
	error |= access & (PROBE_WRITE | PROBE_USER);
	if ((n->efer & EFER_NX) || (n->cr4 & X86_CR4_SMEP))
		error |= access & PROBE_FETCH;
	return (struct outcome) { FAULTS, error };
}

static inline struct outcome walk_leaf(const struct naive *n,
				       const struct walk_state *w, int level,
				       uint32_t access)
{
	const uint64_t in_page = low_bits(PG_LEVEL_SHIFT(level));
	uint64_t gpa;

	if (!may(n, w, access))
		return fault(n, access, PFERR_P);

	gpa = (PTE_GET_PA(w->gpte) & ~in_page) | (w->gva & in_page);
	if (!n->word(gpa) || ((access & PROBE_WRITE) && n->read_only(gpa)))
		return (struct outcome) { MMIO, 0, gpa };
	return (struct outcome) { MEMORY, 0, gpa };
}

static inline struct outcome walk_levels(const struct naive *n,
					 struct walk_state *w, uint32_t access)
{
	int level;

	for (level = PG_LEVEL_512G;; level--) {
		if (!walk_table(n, w, level))
			return fault(n, access, 0);
		if (w->gpte & reserved_bits(n, w->gpte, level))
			return fault(n, access, PFERR_P | PFERR_RSVD);
		if (level == PG_LEVEL_4K || (w->gpte & PTE_LARGE_MASK))
			return walk_leaf(n, w, level, access);
	}
}

/* TCG of QEMU 7.2 leaves P out of the error code if a bit is reserved. */
static inline bool same_error(const struct naive *n, uint64_t error,
			      uint64_t must_be)
{
	if (n->tdp && (must_be & PFERR_RSVD))
		error |= PFERR_P;
	return error == must_be;
}

static inline struct outcome naive_walk(const struct naive *n, uint64_t gva,
					uint32_t access)
{
	struct walk_state w = { .gva = gva, .gpte = n->pgd, .all = ~0ull };
	struct outcome out = walk_levels(n, &w, access);

	if (w.blind)
		out.result = UNKNOWN;
	return out;
}

#endif /* SELFTEST_KVM_MMU_NAIVE_WALK_H */
