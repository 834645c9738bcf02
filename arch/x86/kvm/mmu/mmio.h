/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * MMIO SPTEs: "no slot holds this gfn", remembered in the page table, so that
 * the next access faults as reserved (or misconfigured, in EPT) and goes to
 * emulation without a walk of the slots.
 *
 * With shadow paging, such an entry is true only for one generation of the memslots.
 * 19 bits of it hold bits 1 to 19 of the generation; bit 0, "update in progress", is
 * dropped when the entry is made and presumed 0 when it is read, so that an entry made
 * during an update never matches: a seqcount whose reader does not retry but
 * ignores the cache (Documentation/virtual/kvm/mmu.txt).  All MMIO SPTEs are
 * zapped twice before the stored part comes round to the same value.
 *
 * With direct paging, an entry looks the same, and counts until its gfn gets memory
 * (mmio_direct_current()).  During an update each access is a miss, and none is made,
 * unless KVM cannot emulate (tdp_may_keep_mmio()).
 *
 *   bits 3-10    bits 1-8 of the generation
 *   bits 52-62   bits 9-19
 *   the others   spte_fmt.mmio_value, access, gfn
 *
 * An MMIO SPTE is never present.  It replaces a present one only through the
 * writers of tdp_pte.h and shadow_pte.c, which account for the old value.
 */
#ifndef __KVM_X86_MMU_MMIO_H
#define __KVM_X86_MMU_MMIO_H

#include "spte.h"

/* Where bits 1-8 and bits 9-19 of a generation move to, and how far. */
#define MMIO_GEN_LOW_MASK	GENMASK_ULL(10, 3)
#define MMIO_GEN_LOW_SHIFT	(3 - 1)
#define MMIO_GEN_HIGH_MASK	GENMASK_ULL(62, 52)
#define MMIO_GEN_HIGH_SHIFT	(52 - 9)

/* What of a memslot generation is compared: bits 1-19 are stored, bit 0 is 0. */
#define MMIO_SPTE_GEN_MASK	GENMASK_ULL(19, 0)

/* What a vendor module may use to mark MMIO SPTEs. */
#define MMIO_ALLOWED_MASK	(BIT_ULL(63) | GENMASK_ULL(51, 12) | GENMASK_ULL(2, 0))

static_assert((MMIO_GEN_LOW_MASK >> MMIO_GEN_LOW_SHIFT ^
	       MMIO_GEN_HIGH_MASK >> MMIO_GEN_HIGH_SHIFT ^
	       KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS) == MMIO_SPTE_GEN_MASK);
static_assert(!((MMIO_GEN_LOW_MASK | MMIO_GEN_HIGH_MASK) &
		(MMIO_ALLOWED_MASK | SPTE_PRESENT)));
static_assert(KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS == 1);

static inline bool spte_is_mmio(struct kvm *kvm, u64 spte)
{
	return (spte & spte_fmt.mmio_mask) == kvm->arch.shadow_mmio_value &&
	       likely(enable_mmio_caching);
}

/* The bits that an MMIO SPTE has for a generation; of an odd one bit 0 is lost. */
static inline u64 generation_mmio_spte_mask(u64 gen)
{
	return (gen << MMIO_GEN_LOW_SHIFT & MMIO_GEN_LOW_MASK) |
	       (gen << MMIO_GEN_HIGH_SHIFT & MMIO_GEN_HIGH_MASK);
}

/* The generation that @spte was made in, bit 0 presumed 0. */
static inline u64 get_mmio_spte_generation(u64 spte)
{
	return (spte & MMIO_GEN_LOW_MASK) >> MMIO_GEN_LOW_SHIFT |
	       (spte & MMIO_GEN_HIGH_MASK) >> MMIO_GEN_HIGH_SHIFT;
}

/* Was @spte made in generation @gen?  Never if @gen is odd. */
static inline bool mmio_spte_gen_matches(u64 spte, u64 gen)
{
	return get_mmio_spte_generation(spte) == (gen & MMIO_SPTE_GEN_MASK);
}

/*
 * Must MMIO SPTEs be zapped before @gen is used?  The values that SPTEs store start
 * over at some time.  An address space asks for a zap twice in a round of them: with
 * its first generation in each half.  So between the last use of a value and its
 * next one there is a zap, with a grace period before it, for readers that still
 * make SPTEs with the old value, and one after it, for readers that have read such
 * an SPTE and not compared it yet.
 *
 * Each of the @nr_as address spaces, one or two, has its own remainder modulo
 * 2 * @nr_as: only the bits above can be 0 in any of them.
 */
static inline bool mmio_spte_gen_wrapped(u64 gen, unsigned int nr_as)
{
	const u64 remainder = 2 * nr_as - 1;

	return !(gen & (MMIO_SPTE_GEN_MASK >> 1) & ~remainder);
}

static inline unsigned int mmio_spte_access(u64 spte)
{
	return spte & spte_fmt.mmio_access;
}

/* Does an MMIO SPTE keep all bits of @gfn? */
static inline bool mmio_gfn_fits(gfn_t gfn)
{
	return !(gfn_to_gpa(gfn) & ~(spte_fmt.l1tf | spte_fmt.l1tf_gfn));
}

/**
 * mmio_spte_gfn() - the gfn that an MMIO SPTE was made for
 * @spte: an MMIO SPTE of shadow paging; with direct paging mmio_gfn_fits() may be false
 *
 * Return: the gfn.
 */
gfn_t mmio_spte_gfn(u64 spte);

/**
 * mmio_make_spte() - an MMIO SPTE
 * @kvm: the VM; MMIO SPTEs are enabled for it
 * @gen: the generation of the set of memslots, read after no slot was found there
 * @gfn: the page
 * @access: ACC_* that the guest's tables grant; what the format cannot keep is
 *	dropped
 *
 * With shadow paging, @gen may be odd, or newer than the lookup: then the entry never
 * matches, see the top of this file.  With direct paging the generation is not compared.
 *
 * Return: the value of the SPTE.
 */
u64 mmio_make_spte(struct kvm *kvm, u64 gen, gfn_t gfn, unsigned int access);

/**
 * mmio_spte_current() - does an MMIO SPTE still tell the truth
 * @vcpu: whose address space counts
 * @spte: an MMIO SPTE
 *
 * Return: true if it was made in the generation that is current now, and no
 * update is in progress.  False is a miss, never an error.
 * Context: kvm->srcu held for reading.
 */
bool mmio_spte_current(struct kvm_vcpu *vcpu, u64 spte);

/**
 * mmio_gen_of_walk() - read the memslot generation before SPTEs are read
 * @vcpu: whose address space counts
 *
 * Return: the generation, for mmio_direct_current().
 * Context: kvm->srcu held for reading.
 */
static inline u64 mmio_gen_of_walk(struct kvm_vcpu *vcpu)
{
	/* Pairs with kvm_memslots_settle(), which removes MMIO SPTEs before it stores. */
	return smp_load_acquire(&kvm_vcpu_memslots(vcpu)->generation);
}

/**
 * mmio_direct_current() - does an MMIO SPTE of direct paging still tell the truth
 * @spte: an MMIO SPTE
 * @gen: mmio_gen_of_walk() from before @spte was read
 *
 * The SPTE was made for a set of memslots that was settled.  If its gfn gets memory, it
 * is removed: after all readers of that set have left, and before the generation is even
 * again.  So if @gen is even and the SPTE was there after @gen was read, it is true in
 * the set of @gen, which the reader still has.  An odd @gen never matches.
 *
 * Return: true if no update was in progress when @gen was read.
 */
bool mmio_direct_current(u64 spte, u64 gen);

/**
 * mmio_gen_wrapped() - did half of the stored part of the generation come round
 * @kvm: the VM
 * @gen: the new generation, even
 *
 * The first generation of any address space after the wrap counts.
 */
static inline bool mmio_gen_wrapped(struct kvm *kvm, u64 gen)
{
	return mmio_spte_gen_wrapped(gen, kvm_arch_nr_memslot_as_ids(kvm));
}

#endif /* __KVM_X86_MMU_MMIO_H */
