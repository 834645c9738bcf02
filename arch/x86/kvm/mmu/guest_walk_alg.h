/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The walk of a guest's page tables, for any format (guest_fmt.h).
 *
 * Everything is __always_inline, and the format is a constant of the caller:
 * guest_walk.c has one instance per format, and KUnit one for a format that no
 * CPU knows.
 *
 * A walk is a chain of small steps over one struct guest_walker, from the root
 * down:
 *
 *  start      the root: a gPTE from a register
 *  locate     where in the host's memory the next gPTE is
 *  read       the gPTE, and what it leaves of the rights
 *  permit     is the access allowed
 *  translate  the page, and L1's view of it for a nested guest
 *  update_ad  set A and D, as the CPU would
 *
 * kvm->srcu keeps the slots; no lock keeps the tables.
 *
 * Takes the place of a part of mmu/paging_tmpl.h, and keeps its behaviour:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#ifndef __KVM_X86_MMU_GUEST_WALK_ALG_H
#define __KVM_X86_MMU_GUEST_WALK_ALG_H

#include <linux/uaccess.h>

#include "guest_fmt.h"
#include "guest_walk.h"
#include "permission.h"
#include "root.h"
#include "mmutrace.h"

/* How a step ends. */
enum guest_step {
	GUEST_STEP_OK,
	GUEST_STEP_AGAIN,	/* the guest changed a gPTE that was to get A or D */
	GUEST_STEP_FAULT,	/* the guest gets guest_walker::errcode */
	GUEST_STEP_NESTED,	/* L1's tables do not map it: walk->fault is complete */
};

/**
 * struct guest_walker - a walk under way
 * @fmt: the format
 * @vcpu: the vCPU
 * @mmu: whose tables
 * @walk: what the caller gets
 * @addr: the address that is translated
 * @access: PFERR_* of the access
 * @table_access: PFERR_* that L1's tables must allow for a table of L2
 * @level: of @gpte; while @gpte is the root, of the table that it points to
 * @gpte: the last gPTE that was read; before the first, the root
 * @hva: where it was read
 * @rights: the AND of all gPTEs so far, with guest_fmt::forbid inverted
 * @errcode: the PFERR_* of a fault that the tables cause, not the access
 */
struct guest_walker {
	const struct guest_fmt *fmt;
	struct kvm_vcpu *vcpu;
	struct kvm_mmu *mmu;
	struct guest_walk *walk;
	gpa_t addr;
	u64 access;
	u64 table_access;

	int level;
	u64 gpte;
	void __user *hva;
	u64 rights;
	u16 errcode;
};

static __always_inline bool guest_has_ad(const struct guest_fmt *fmt,
					 const struct kvm_mmu *mmu)
{
	return !fmt->ad_optional || !mmu->cpu_role.base.ad_disabled;
}

/* @to if @bit is set in @val, else 0; with constants one or two instructions. */
static __always_inline u64 guest_bit(u64 val, u64 bit, u64 to)
{
	if (bit == to)
		return val & bit;
	return val & bit ? to : 0;
}

/* @rights: see guest_walker::rights. */
static __always_inline unsigned int guest_access(const struct guest_fmt *fmt,
						 u64 rights)
{
	return guest_bit(rights, fmt->write, ACC_WRITE_MASK) |
	       guest_bit(rights, fmt->user, ACC_USER_MASK) |
	       guest_bit(rights, fmt->exec, ACC_EXEC_MASK);
}

static __always_inline bool guest_gpte_reserved(const struct guest_fmt *fmt,
						const struct kvm_mmu *mmu,
						u64 gpte, int level)
{
	const struct rsvd_bits_validate *rsvd = &mmu->guest_rsvd_check;
	const bool huge = gpte & fmt->huge;

	if (gpte & rsvd->rsvd_bits_mask[huge][level - 1])
		return true;
	return fmt->mt_xwr &&
	       rsvd->bad_mt_xwr & BIT_ULL(gpte & fmt->mt_xwr);
}

/*
 * L2's tables are translated by L1's.  To these, a walk of L2's tables is a write if it
 * may set A or D.  If that faults for an emulated access, L1 is told of a fault of the
 * page and not of the table: struct x86_exception cannot tell them apart.
 */
static __always_inline u64 guest_table_access(const struct guest_fmt *fmt,
					      const struct kvm_mmu *mmu)
{
	u64 access = PFERR_USER_MASK | PFERR_GUEST_PAGE_MASK;

	return guest_has_ad(fmt, mmu) ? access | PFERR_WRITE_MASK : access;
}

static __always_inline enum guest_step guest_step_start(struct guest_walker *w)
{
	const int pdptr_level = w->fmt->pdptr_level;
	struct kvm *kvm = w->vcpu->kvm;

	w->level = w->mmu->cpu_role.base.level;
	w->gpte = root_guest_pgd(w->vcpu, w->mmu);
	w->rights = ~0ULL;
	w->errcode = 0;

	if (pdptr_level && w->level == pdptr_level) {
		w->gpte = w->mmu->get_pdptr(w->vcpu, (w->addr >> 30) & 3);
		trace_kvm_mmu_paging_element(w->gpte, w->level);
		if (!(w->gpte & w->fmt->present))
			return GUEST_STEP_FAULT;
		w->level--;
	}
	w->walk->top_level = w->level;

	/* The VM is being stopped; until then, callers can deal with a fault. */
	if (KVM_BUG_ON(is_long_mode(w->vcpu) && !is_pae(w->vcpu), kvm) ||
	    KVM_BUG_ON(w->level < 1 || w->level > w->fmt->max_level, kvm))
		return GUEST_STEP_FAULT;
	return GUEST_STEP_OK;
}

static __always_inline enum guest_step guest_step_locate(struct guest_walker *w)
{
	const int i = w->level - 1;
	struct guest_walk *walk = w->walk;
	struct kvm_memory_slot *slot;
	unsigned int offset;
	gpa_t table;
	gfn_t gfn;

	table = kvm_translate_gpa(w->vcpu, w->mmu, w->gpte & w->fmt->addr,
				  w->table_access, &walk->fault);
	if (unlikely(table == INVALID_GPA))
		return GUEST_STEP_NESTED;

	gfn = gpa_to_gfn(table);
	slot = kvm_vcpu_gfn_to_memslot(w->vcpu, gfn);
	if (unlikely(!kvm_is_visible_memslot(slot)))
		return GUEST_STEP_FAULT;

	offset = pt_index(w->addr, w->level, w->fmt->level_bits) *
		 w->fmt->entry_size;
	w->hva = (void __user *)(__gfn_to_hva_memslot(slot, gfn) + offset);

	walk->table_gfn[i] = gfn;
	walk->gpte_gpa[i] = table + offset;
	walk->gpte_writable[i] = !(slot->flags & KVM_MEM_READONLY);
	walk->hva[i] = w->hva;
	return GUEST_STEP_OK;
}

/* No access_ok(): a slot is checked as a whole when it is created. */
static __always_inline int guest_get_entry(struct guest_walker *w)
{
	u32 half;
	int r;

	if (w->fmt->entry_size == sizeof(u64))
		return __get_user(w->gpte, (u64 __user *)w->hva);

	r = __get_user(half, (u32 __user *)w->hva);
	w->gpte = half;
	return r;
}

static __always_inline enum guest_step guest_step_read(struct guest_walker *w)
{
	const int i = w->level - 1;
	const u64 above = w->rights;

	if (unlikely(guest_get_entry(w)))
		return GUEST_STEP_FAULT;

	trace_kvm_mmu_paging_element(w->gpte, w->level);
	w->rights = above & (w->gpte ^ w->fmt->forbid);

	if (unlikely(!(w->gpte & w->fmt->present)))
		return GUEST_STEP_FAULT;
	if (unlikely(guest_gpte_reserved(w->fmt, w->mmu, w->gpte, w->level))) {
		w->errcode = PFERR_RSVD_MASK | PFERR_PRESENT_MASK;
		return GUEST_STEP_FAULT;
	}

	w->walk->gpte[i] = w->gpte;
	w->walk->table_access[i] = guest_access(w->fmt, above);
	return GUEST_STEP_OK;
}

static __always_inline bool guest_gpte_maps(const struct guest_fmt *fmt,
					    const struct kvm_mmu *mmu, u64 gpte,
					    int level)
{
	if (level == PG_LEVEL_4K)
		return true;
	if (!(gpte & fmt->huge))
		return false;
	return !fmt->huge_by_pse || mmu->cpu_role.ext.cr4_pse;
}

/* For a gPTE that maps a page: the gpa where the page begins. */
static __always_inline gpa_t guest_page_gpa(const struct guest_fmt *fmt, u64 gpte,
					    int level)
{
	const u64 in_page = BIT_ULL(pt_level_shift(level, fmt->level_bits)) - 1;
	gpa_t gpa = gpte & fmt->addr & ~in_page;

	if (fmt->huge_high && level > PG_LEVEL_4K)
		gpa |= (gpte & fmt->huge_high) << fmt->huge_high_shift;
	return gpa;
}

static __always_inline enum guest_step guest_step_permit(struct guest_walker *w)
{
	unsigned int pkey = (w->gpte & w->fmt->pkey) >> w->fmt->pkey_shift;
	unsigned int access = guest_access(w->fmt, w->rights);

	w->walk->access = access;
	w->errcode = permission_fault(w->vcpu, w->mmu, access, pkey, w->access);
	return unlikely(w->errcode) ? GUEST_STEP_FAULT : GUEST_STEP_OK;
}

static __always_inline enum guest_step
guest_step_translate(struct guest_walker *w)
{
	const struct guest_fmt *fmt = w->fmt;
	const u64 in_page = BIT_ULL(pt_level_shift(w->level, fmt->level_bits)) - 1;
	gpa_t gpa = guest_page_gpa(fmt, w->gpte, w->level);

	gpa |= w->addr & in_page & PAGE_MASK;
	gpa = kvm_translate_gpa(w->vcpu, w->mmu, gpa,
				w->access | PFERR_GUEST_FINAL_MASK,
				&w->walk->fault);
	if (unlikely(gpa == INVALID_GPA))
		return GUEST_STEP_NESTED;

	w->walk->gfn = gpa_to_gfn(gpa);
	return GUEST_STEP_OK;
}

/* Returns 0, 1 if the guest changed the gPTE, or -EFAULT. */
static __always_inline int guest_cmpxchg_entry(const struct guest_fmt *fmt,
					       void __user *hva, u64 old, u64 new)
{
	u32 old_half = old;

	if (fmt->entry_size == sizeof(u64))
		return __try_cmpxchg_user((u64 __user *)hva, &old, new, fault_64);

	return __try_cmpxchg_user((u32 __user *)hva, &old_half, (u32)new,
				  fault_32);
}

/*
 * Set A, and if @dirty D, in one gPTE.  In a read-only slot they stay as they are, which
 * is right for a ROM; tables in read-only memory whose writes are MMIO must have them
 * set.
 */
static __always_inline enum guest_step
guest_set_ad_bits(struct guest_walker *w, int level, bool dirty)
{
	const struct guest_fmt *fmt = w->fmt;
	struct guest_walk *walk = w->walk;
	const int i = level - 1;
	const gfn_t gfn = walk->table_gfn[i];
	const u64 old = walk->gpte[i];
	const unsigned int index = offset_in_page(walk->hva[i]) / fmt->entry_size;
	u64 new = old;
	int r;

	if (!(old & fmt->accessed)) {
		trace_kvm_mmu_set_accessed_bit(gfn, index, fmt->entry_size);
		new |= fmt->accessed;
	}
	if (dirty && !(old & fmt->dirty)) {
		trace_kvm_mmu_set_dirty_bit(gfn, index, fmt->entry_size);
		if (fmt->ept &&
		    kvm_x86_ops.nested_ops->write_log_dirty(w->vcpu, w->addr))
			return GUEST_STEP_FAULT;
		new |= fmt->dirty;
	}
	if (new == old || unlikely(!walk->gpte_writable[i]))
		return GUEST_STEP_OK;

	r = guest_cmpxchg_entry(fmt, walk->hva[i], old, new);
	if (unlikely(r))
		return r < 0 ? GUEST_STEP_FAULT : GUEST_STEP_AGAIN;

	kvm_vcpu_mark_page_dirty(w->vcpu, gfn);
	walk->gpte[i] = new;
	return GUEST_STEP_OK;
}

static __always_inline enum guest_step
guest_step_update_ad(struct guest_walker *w)
{
	const bool write = w->access & PFERR_WRITE_MASK;
	const bool clean = !(w->gpte & w->fmt->dirty);
	enum guest_step step = GUEST_STEP_OK;
	int level;

	if (!guest_has_ad(w->fmt, w->mmu))
		return GUEST_STEP_OK;

	if (!write && clean)
		w->walk->access &= ~ACC_WRITE_MASK;
	if (likely(w->rights & w->fmt->accessed && !(write && clean)))
		return GUEST_STEP_OK;

	for (level = w->walk->top_level; level >= w->level && !step; level--)
		step = guest_set_ad_bits(w, level, write && level == w->level);
	return step;
}

/*
 * Bits 0-2: the access; 3-5: what all gPTEs grant together, down to the last one that
 * was read; 7: there is a linear address; 8: its translation has faulted, not the
 * access to a table on the way there.
 */
static __always_inline u64 guest_ept_qualification(const struct guest_walker *w)
{
	u64 qual = EPT_VIOLATION_GVA_IS_VALID;

	qual |= (w->rights & VMX_EPT_RWX_MASK) << EPT_VIOLATION_RWX_SHIFT;
	if (w->access & PFERR_USER_MASK)
		qual |= EPT_VIOLATION_ACC_READ;
	if (w->access & PFERR_WRITE_MASK)
		qual |= EPT_VIOLATION_ACC_WRITE;
	if (w->access & PFERR_FETCH_MASK)
		qual |= EPT_VIOLATION_ACC_INSTR;
	if (!(w->access & PFERR_GUEST_PAGE_MASK))
		qual |= EPT_VIOLATION_GVA_TRANSLATED;
	return qual;
}

/* For EPT, RSVD means a misconfiguration, which has no exit qualification. */
static __always_inline void guest_walk_fault(struct guest_walker *w)
{
	/* 32-bit paging has no NX, whatever EFER says. */
	const bool has_nx = w->fmt->forbid && mmu_efer_nx(w->mmu);
	u16 errcode = w->errcode;

	errcode |= w->access & (PFERR_WRITE_MASK | PFERR_USER_MASK);
	if (w->access & PFERR_FETCH_MASK && (has_nx || mmu_cr4_smep(w->mmu)))
		errcode |= PFERR_FETCH_MASK;

	w->walk->fault = (struct x86_exception) {
		.vector = PF_VECTOR,
		.error_code_valid = true,
		.error_code = errcode,
		.nested_page_fault = w->mmu != w->vcpu->arch.walk_mmu,
		.address = w->addr,
	};
	if (w->fmt->ept && !(errcode & PFERR_RSVD_MASK))
		w->walk->fault.exit_qualification = guest_ept_qualification(w);

	trace_kvm_mmu_walker_error(errcode);
}

static __always_inline enum guest_step guest_walk_try(struct guest_walker *w)
{
	enum guest_step step = guest_step_start(w);

	if (unlikely(step))
		return step;

	for (;;) {
		step = guest_step_locate(w);
		if (unlikely(step))
			return step;
		step = guest_step_read(w);
		if (unlikely(step))
			return step;
		if (guest_gpte_maps(w->fmt, w->mmu, w->gpte, w->level))
			break;
		w->level--;
	}

	step = guest_step_permit(w);
	if (unlikely(step))
		return step;
	step = guest_step_translate(w);
	if (unlikely(step))
		return step;
	return guest_step_update_ad(w);
}

/**
 * guest_walk_fmt() - guest_walk() for one format
 * @fmt: the format, a constant
 * @walk: see guest_walk()
 * @vcpu: see guest_walk()
 * @mmu: see guest_walk()
 * @addr: see guest_walk()
 * @access: see guest_walk()
 */
static __always_inline bool
guest_walk_fmt(const struct guest_fmt *fmt, struct guest_walk *walk,
	       struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	struct guest_walker w = {
		.fmt = fmt,
		.vcpu = vcpu,
		.mmu = mmu,
		.walk = walk,
		.addr = addr,
		.access = access,
		.table_access = guest_table_access(fmt, mmu),
	};
	enum guest_step step;

	might_sleep();
	trace_kvm_mmu_pagetable_walk(addr, access);
	for (;;) {
		step = guest_walk_try(&w);
		if (likely(step != GUEST_STEP_AGAIN))
			break;
		/* Other vCPUs may change the gPTE for as long as they like. */
		cond_resched();
	}

	walk->level = w.level;
	if (unlikely(step == GUEST_STEP_FAULT))
		guest_walk_fault(&w);
	return step == GUEST_STEP_OK;
}

/* guest_decode_entry() for one format, a constant. */
static __always_inline bool
guest_decode_entry_fmt(const struct guest_fmt *fmt, const struct kvm_mmu *mmu,
		       u64 gpte, int level, unsigned int table_access,
		       struct guest_entry *entry)
{
	const bool has_ad = guest_has_ad(fmt, mmu);

	if (!(gpte & fmt->present))
		return false;
	if (has_ad && !(gpte & fmt->accessed))
		return false;
	if (guest_gpte_reserved(fmt, mmu, gpte, level))
		return false;

	entry->maps = guest_gpte_maps(fmt, mmu, gpte, level);
	entry->gfn = gpa_to_gfn(entry->maps ? guest_page_gpa(fmt, gpte, level) :
					      gpte & fmt->addr);
	entry->access = table_access & guest_access(fmt, gpte ^ fmt->forbid);
	if (entry->maps && has_ad && !(gpte & fmt->dirty))
		entry->access &= ~ACC_WRITE_MASK;
	return true;
}

/* guest_decode_leaf() for one format, a constant. */
static __always_inline bool
guest_decode_leaf_fmt(const struct guest_fmt *fmt, const struct kvm_mmu *mmu,
		      u64 gpte, unsigned int table_access,
		      struct guest_leaf *leaf)
{
	struct guest_entry entry;

	if (!guest_decode_entry_fmt(fmt, mmu, gpte, PG_LEVEL_4K, table_access,
				    &entry))
		return false;

	leaf->gfn = entry.gfn;
	leaf->access = entry.access;
	return true;
}

#endif /* __KVM_X86_MMU_GUEST_WALK_ALG_H */
