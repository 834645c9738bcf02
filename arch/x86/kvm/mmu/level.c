// SPDX-License-Identifier: GPL-2.0-only
/*
 * How big a page may be.
 *
 * Each slot has an int for every page of 2M and 1G that it touches
 * (kvm_lpage_info::disallow_lpage), with the reasons not to map it as a whole:
 *
 *	bit 0		set by x86.c: the slot begins or ends within the page, or
 *			its host addresses are not aligned as its gfns are
 *	bits 1-30	level_disallow(): how many gfns of the page KVM watches
 *	bit 31		the gfns of the page differ in their memory attributes
 *
 * A watched gfn forbids huge pages in both address spaces, which may map the same
 * memory.  It is counted in the slot that the table is in, and whoever maps the gfn in
 * the other space asks the slots of both.  So the other space's slots may come and go.
 * The other reasons are those of one slot.
 *
 * Locks: mmu_lock for writing to change, for reading to read; none for a new slot,
 * which nobody else can find.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/align.h>
#include <linux/irqflags.h>
#include <linux/kvm_host.h>
#include <linux/pgtable.h>

#include "level.h"
#include "page_track.h"
#include "spte.h"

#define LPAGE_WATCHED		GENMASK(30, 1)
#define KVM_LPAGE_MIXED_FLAG	BIT(31)

/* The reasons for the page of @level, above 4K, that holds @gfn of @slot. */
static int *lpage_reasons(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	struct kvm_lpage_info *pages = slot->arch.lpage_info[level - PG_LEVEL_2M];

	return &pages[gfn_to_index(gfn, slot->base_gfn, level)].disallow_lpage;
}

static void lpage_count(const struct kvm_memory_slot *slot, gfn_t gfn, int change)
{
	int level, old, *reasons;

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		reasons = lpage_reasons(slot, gfn, level);
		old = *reasons;
		*reasons = old + change;
		/* The count must not run over into the flag. */
		WARN_ON_ONCE((old ^ *reasons) & KVM_LPAGE_MIXED_FLAG);
	}
}

void level_disallow(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	lpage_count(slot, gfn, LPAGE_WATCHED_ONE);
}

void level_allow(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	lpage_count(slot, gfn, -LPAGE_WATCHED_ONE);
}

/*
 * The level of the host's mapping.  Interrupts are off, which keeps the host's tables
 * from being freed.  Each entry is read once: a link to a table may turn into a huge
 * page meanwhile, and a second look would take that for the table.
 */
static int host_level(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn)
{
	/* Not gfn_to_hva(), which refuses read-only slots. */
	unsigned long hva = __gfn_to_hva_memslot(slot, gfn);
	pgd_t pgd;
	p4d_t p4d;
	pud_t pud;
	pmd_t pmd;

	guard(irqsave)();

	pgd = READ_ONCE(*pgd_offset(kvm->mm, hva));
	if (pgd_none(pgd))
		return PG_LEVEL_4K;

	p4d = READ_ONCE(*p4d_offset(&pgd, hva));
	if (!p4d_present(p4d))
		return PG_LEVEL_4K;

	pud = READ_ONCE(*pud_offset(&p4d, hva));
	if (!pud_present(pud))
		return PG_LEVEL_4K;
	if (pud_leaf(pud))
		return PG_LEVEL_1G;

	pmd = READ_ONCE(*pmd_offset(&pud, hva));
	return pmd_present(pmd) && pmd_leaf(pmd) ? PG_LEVEL_2M : PG_LEVEL_4K;
}

int level_slot_max(const struct kvm_memory_slot *slot, gfn_t gfn, int max_level)
{
	int level = max_level;

	while (level > PG_LEVEL_4K && *lpage_reasons(slot, gfn, level))
		level--;
	return level;
}

/* Does the page of @level around @gfn hold a gfn that is watched in slots of @as_id? */
static bool space_watches(struct kvm *kvm, int as_id, gfn_t gfn, int level)
{
	const gfn_t start = gfn_round_for_level(gfn, level);
	struct kvm_memslot_iter iter;
	gfn_t first;

	kvm_for_each_memslot_in_gfn_range(&iter, __kvm_memslots(kvm, as_id), start,
					  start + KVM_PAGES_PER_HPAGE(level)) {
		first = max(start, iter.slot->base_gfn);
		if (*lpage_reasons(iter.slot, first, level) & LPAGE_WATCHED)
			return true;
	}
	return false;
}

static bool other_space_watches(struct kvm *kvm, const struct kvm_memory_slot *slot,
				gfn_t gfn, int level)
{
	BUILD_BUG_ON(KVM_MAX_NR_ADDRESS_SPACES > 2);
	return kvm_arch_nr_memslot_as_ids(kvm) > 1 &&
	       kvm_page_track_write_tracking_enabled(kvm) &&
	       space_watches(kvm, !slot->as_id, gfn, level);
}

/* @level, or less because of gfns that are watched in the other address space. */
static int watched_max(struct kvm *kvm, const struct kvm_memory_slot *slot,
		       gfn_t gfn, int level)
{
	while (level > PG_LEVEL_4K && other_space_watches(kvm, slot, gfn, level))
		level--;
	return level;
}

bool level_watched(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return *lpage_reasons(slot, gfn, PG_LEVEL_2M) & LPAGE_WATCHED ||
	       other_space_watches(kvm, slot, gfn, PG_LEVEL_2M);
}

/* Private memory has no host mapping; what guest_memfd allows is in @max_level. */
static int max_level_of(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t gfn, int max_level, bool private)
{
	int level = level_slot_max(slot, gfn, min(max_level, spte_fmt.huge_level));

	level = watched_max(kvm, slot, gfn, level);
	if (private || level == PG_LEVEL_4K)
		return level;
	return min(level, host_level(kvm, slot, gfn));
}

int level_max(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn,
	      int max_level)
{
	bool private = kvm_slot_can_be_private(slot) && kvm_mem_is_private(kvm, gfn);

	return max_level_of(kvm, slot, gfn, max_level, private);
}

/*
 * req_level is what would be mapped without the iTLB multihit mitigation: it tells
 * whether a table is there for the mitigation's sake alone.
 */
void level_choose(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	kvm_pfn_t within;

	fault->huge_page_disallowed = fault->exec && fault->nx_mitigation;
	fault->req_level = PG_LEVEL_4K;
	fault->goal_level = PG_LEVEL_4K;

	if (fault->max_level == PG_LEVEL_4K || is_error_noslot_pfn(fault->pfn))
		return;
	/* Dirty pages are logged by 4K. */
	if (kvm_slot_dirty_track_enabled(fault->slot))
		return;

	fault->req_level = max_level_of(vcpu->kvm, fault->slot, fault->gfn,
					fault->max_level, fault->is_private);
	if (fault->req_level == PG_LEVEL_4K || fault->huge_page_disallowed)
		return;

	within = KVM_PAGES_PER_HPAGE(fault->req_level) - 1;
	if (WARN_ON_ONCE((fault->gfn ^ fault->pfn) & within))
		return;

	fault->goal_level = fault->req_level;
	fault->pfn &= ~within;
}

void level_step_down(struct kvm_page_fault *fault, u64 spte, int level)
{
	if (level != fault->goal_level || level == PG_LEVEL_4K ||
	    !spte_present_table(spte, level) ||
	    !READ_ONCE(spte_child(spte)->nx_huge_page_disallowed))
		return;

	fault->goal_level--;
	fault->pfn |= fault->gfn & (KVM_PAGES_PER_HPAGE(level) -
				    KVM_PAGES_PER_HPAGE(level - 1));
}

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
/*
 * A page that the slot holds only in part is never huge, so no flag is kept for it.  If
 * it begins before the slot, lpage_reasons() must not be asked for its first gfn.
 */
static bool slot_holds(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	return gfn >= slot->base_gfn &&
	       gfn + KVM_PAGES_PER_HPAGE(level) <= slot->base_gfn + slot->npages;
}

static bool range_holds(const struct kvm_gfn_range *range, gfn_t gfn, int level)
{
	return gfn >= range->start &&
	       gfn + KVM_PAGES_PER_HPAGE(level) <= range->end;
}

static bool lpage_mixed(const struct kvm_memory_slot *slot, gfn_t gfn, int level)
{
	return *lpage_reasons(slot, gfn, level) & KVM_LPAGE_MIXED_FLAG;
}

static void lpage_set_mixed(const struct kvm_memory_slot *slot, gfn_t gfn,
			    int level, bool mixed)
{
	int *reasons = lpage_reasons(slot, gfn, level);

	if (mixed)
		*reasons |= KVM_LPAGE_MIXED_FLAG;
	else
		*reasons &= ~KVM_LPAGE_MIXED_FLAG;
}

/* Do all gfns of the page have @attrs?  At 1G the flags of 2M must be up to date. */
static bool lpage_has_attrs(struct kvm *kvm, const struct kvm_memory_slot *slot,
			    gfn_t gfn, int level, unsigned long attrs)
{
	gfn_t end = gfn + KVM_PAGES_PER_HPAGE(level);

	if (level == PG_LEVEL_2M)
		return kvm_range_has_memory_attributes(kvm, gfn, end, ~0, attrs);

	for (; gfn < end; gfn += KVM_PAGES_PER_HPAGE(level - 1)) {
		if (lpage_mixed(slot, gfn, level - 1) ||
		    kvm_get_memory_attributes(kvm, gfn) != attrs)
			return false;
	}
	return true;
}

/*
 * A page that the range holds only in part may be huge now and mixed soon.  Faults on its
 * other gfns must not map it meanwhile, so they are invalidated as well.
 */
static void hold_off_huge(struct kvm *kvm, const struct kvm_gfn_range *range,
			  gfn_t gfn, int level)
{
	if (range_holds(range, gfn, level) || !slot_holds(range->slot, gfn, level) ||
	    lpage_mixed(range->slot, gfn, level))
		return;

	kvm_mmu_invalidate_range_add(kvm, gfn, gfn + KVM_PAGES_PER_HPAGE(level));
}

/**
 * kvm_arch_pre_set_memory_attributes() - unmap gfns whose attributes will change
 * @kvm: the VM, between kvm_mmu_invalidate_begin() and _end()
 * @range: the gfns, of one slot, and their new attributes
 *
 * A slot without guest_memfd is unmapped, too: gfns that become private must not
 * be shared any more, and huge pages are chosen anew.
 *
 * Return: true if the caller must flush TLBs.
 * Context: mmu_lock for writing; slots_lock.
 */
bool kvm_arch_pre_set_memory_attributes(struct kvm *kvm,
					struct kvm_gfn_range *range)
{
	int level;

	if (WARN_ON_ONCE(!kvm_arch_has_private_mem(kvm)) ||
	    WARN_ON_ONCE(range->start >= range->end))
		return false;

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		hold_off_huge(kvm, range,
			      gfn_round_for_level(range->start, level), level);
		hold_off_huge(kvm, range,
			      gfn_round_for_level(range->end - 1, level), level);
	}

	/* Unmap shared pages of gfns that become private, or the reverse. */
	range->attr_filter = range->arg.attributes & KVM_MEMORY_ATTRIBUTE_PRIVATE ?
			     KVM_FILTER_SHARED : KVM_FILTER_PRIVATE;
	return kvm_unmap_gfn_range(kvm, range);
}

/**
 * kvm_arch_post_set_memory_attributes() - note which pages are mixed now
 * @kvm: the VM
 * @range: the gfns, of one slot, and their new attributes, which are stored
 *
 * Return: false: there is nothing to flush.
 * Context: mmu_lock for writing; slots_lock.
 */
bool kvm_arch_post_set_memory_attributes(struct kvm *kvm,
					 struct kvm_gfn_range *range)
{
	unsigned long attrs = range->arg.attributes;
	struct kvm_memory_slot *slot = range->slot;
	bool mixed;
	int level;
	gfn_t gfn;

	lockdep_assert_held_write(&kvm->mmu_lock);
	lockdep_assert_held(&kvm->slots_lock);

	if (WARN_ON_ONCE(!kvm_arch_has_private_mem(kvm)))
		return false;

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		gfn = gfn_round_for_level(range->start, level);
		for (; gfn < range->end; gfn += KVM_PAGES_PER_HPAGE(level)) {
			if (!slot_holds(slot, gfn, level))
				continue;
			mixed = !range_holds(range, gfn, level) &&
				!lpage_has_attrs(kvm, slot, gfn, level, attrs);
			lpage_set_mixed(slot, gfn, level, mixed);
		}
	}
	return false;
}

/**
 * kvm_mmu_init_memslot_memory_attributes() - note which pages of a slot are mixed
 * @kvm: the VM
 * @slot: the slot, which nobody can find yet
 *
 * Attributes are those of gfns and can be older than the slot.
 * Context: slots_lock.
 */
void kvm_mmu_init_memslot_memory_attributes(struct kvm *kvm,
					    struct kvm_memory_slot *slot)
{
	unsigned long attrs;
	gfn_t gfn, pages;
	int level;

	if (!kvm_arch_has_private_mem(kvm))
		return;

	for (level = PG_LEVEL_2M; level <= KVM_MAX_HUGEPAGE_LEVEL; level++) {
		pages = KVM_PAGES_PER_HPAGE(level);
		for (gfn = ALIGN(slot->base_gfn, pages);
		     slot_holds(slot, gfn, level); gfn += pages) {
			attrs = kvm_get_memory_attributes(kvm, gfn);
			lpage_set_mixed(slot, gfn, level,
					!lpage_has_attrs(kvm, slot, gfn, level, attrs));
		}
	}
}
#endif /* CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES */
