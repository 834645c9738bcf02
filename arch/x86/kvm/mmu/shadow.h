/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shadow paging: what the other files of the MMU may call in the shadow_* files.
 * mmu.c, root.c, role.c, fault.c, page_fault.c, fast_fault.c, zap.c and
 * nx_huge_page.c do; tdp_* never do, and shadow_* never call tdp_*.  What
 * shadow_* files call among themselves is in shadow_internal.h.
 *
 *  shadow_page.c   shadow pages: found by key, zapped and freed
 *  shadow_quota.c  how many of them there may be
 *  shadow_pte.c    the only writers of their SPTEs
 *  shadow_rmap.c   from a gfn to the SPTEs that map it
 *  shadow_sync.c   unsync pages: tables that the guest may write to
 *  shadow_root.c   roots
 *  shadow_map.c    faults, prefetch
 *  shadow_walk.c   walks from a root down, with mmu_lock and without
 *  shadow_write.c  emulated writes to shadowed tables
 *  shadow_track.c  by gfn or slot: unmap, write-protection, Dirty, Accessed
 *  shadow_split.c  huge pages: eager split, recovery
 *
 * Locks: mmu_lock for writing, unless a function says otherwise; kvm->srcu or
 * slots_lock for the slots.
 */
#ifndef __KVM_X86_MMU_SHADOW_H
#define __KVM_X86_MMU_SHADOW_H

#include <linux/llist.h>
#include "spte.h"

struct guest_walk;

/**
 * struct shadow_zap - work that is due before mmu_lock is let go; none if all 0
 * @pages: zapped pages that can no longer be found or used as a root; lockless
 *	walks may still be in them
 * @flush: a TLB may hold a translation that was removed
 */
struct shadow_zap {
	struct llist_head pages;
	bool flush;
};

/* The out-of-line part of shadow_zap_finish(), which is what to call. */
void __shadow_zap_finish(struct kvm *kvm, struct shadow_zap *zap);

/**
 * shadow_zap_finish() - flush TLBs, and free zapped pages
 * @kvm: the VM
 * @zap: the work that is due; empty afterwards
 *
 * Before it frees pages, it waits until all lockless walks that may be in them have
 * ended (shadow_wait_for_walks()).
 *
 * Return: true if TLBs were flushed.
 * Context: mmu_lock for writing.
 */
static inline bool shadow_zap_finish(struct kvm *kvm, struct shadow_zap *zap)
{
	if (!zap->flush && llist_empty(&zap->pages))
		return false;

	__shadow_zap_finish(kvm, zap);
	return true;
}

/* Blocks of rmaps, for the caches of vCPUs and VMs (shadow_rmap.c). */
extern struct kmem_cache *rmap_block_cache;

/* shadow_page.c */

/* The slab caches.  Return: 0 or -ENOMEM. */
int shadow_module_init(void);
void shadow_module_exit(void);

/* Before the VM has vCPUs.  Takes slots_arch_lock without TDP.  Return: 0 or -ENOMEM. */
int shadow_init_vm(struct kvm *kvm);
/* After shadow_zap_all(), when no vCPU has a root any more. */
void shadow_uninit_vm(struct kvm *kvm);

/**
 * shadow_sp_obsolete() - is a page zapped, or of the previous generation
 * @kvm: the VM
 * @sp: the page
 *
 * No vCPU may enter the guest on such a page.
 *
 * Context: mmu_lock for reading or writing.  Or no lock, for a root that the caller
 * has a reference to: if the answer is too early,
 * KVM_REQ_MMU_FREE_OBSOLETE_ROOTS follows.
 */
static inline bool shadow_sp_obsolete(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	return READ_ONCE(sp->state) == SP_ZAPPED ||
	       sp->mmu_valid_gen != READ_ONCE(kvm->arch.mmu_valid_gen);
}

/**
 * shadow_zap_obsolete() - zap and free the pages of the previous generation
 * @kvm: the VM; kvm->arch.mmu_valid_gen has just changed
 *
 * Context: mmu_lock for writing; slots_lock.  Yields.
 */
void shadow_zap_obsolete(struct kvm *kvm);

/* Zap all pages; the VM's vCPUs never run again.  mmu_lock for writing; yields. */
void shadow_zap_all(struct kvm *kvm);

/**
 * shadow_zap_gfn_direct() - zap the direct pages that lie wholly in a range
 * @kvm: the VM
 * @as_id: the address space
 * @start: first gfn
 * @end: first gfn beyond
 * @zap: takes the pages that are left when it returns
 *
 * These are tables for a guest without paging, or below its huge pages.  Roots stay.
 * Context: mmu_lock for writing; yields, after shadow_zap_finish().
 */
void shadow_zap_gfn_direct(struct kvm *kvm, int as_id, gfn_t start, gfn_t end,
			   struct shadow_zap *zap);

/**
 * shadow_zap_gfn_tables() - zap the pages that shadow tables in a range
 * @kvm: the VM
 * @as_id: the address space
 * @start: first gfn
 * @end: first gfn beyond
 * @zap: takes the pages that are left when it returns
 *
 * Uses the VM's index by gfn, so the pages that are found cost time, not the range.
 * Context: mmu_lock for writing; yields, after shadow_zap_finish().
 */
void shadow_zap_gfn_tables(struct kvm *kvm, int as_id, gfn_t start, gfn_t end,
			   struct shadow_zap *zap);

/**
 * shadow_zap_tables() - zap all pages that shadow tables, while vCPUs go on
 * @kvm: the VM
 *
 * Context: mmu_lock for writing; kvm->srcu.  Yields.
 */
void shadow_zap_tables(struct kvm *kvm);

/**
 * shadow_page_zap() - zap a page: it cannot be found or reached any more
 * @kvm: the VM
 * @sp: ACTIVE or ROOT
 * @zap: takes the page, unless it is a vCPU's root; then all vCPUs are asked to let
 *	go of it, and the last shadow_root_put() takes it
 *
 * Its SPTEs are dropped and the links to it are cut.  Others may go with it: the unsync
 * pages below it, as they could no longer be found to be synced, and orphans of nested
 * guests (shadow_clear()).  So a walk over pages must start anew, unless
 * kvm->arch.n_used_mmu_pages has become less by one only.
 */
void shadow_page_zap(struct kvm *kvm, struct kvm_mmu_page *sp,
		     struct shadow_zap *zap);

/* Remove every MMIO SPTE and nothing else.  mmu_lock for writing; yields. */
void shadow_zap_mmio(struct kvm *kvm);

/* shadow_quota.c */

/**
 * shadow_fault_begin() - make room for the tables of a fault
 * @vcpu: the vCPU
 *
 * Making room may zap any page but roots; the vCPU's root may have gone before.  So
 * nothing may be found before this, and every fault that maps something must come
 * through here.
 *
 * Return: 0; -EAGAIN if the vCPU has to load another root first; -ENOSPC if the
 * quota leaves no page.
 * Context: mmu_lock for writing.
 */
int __must_check shadow_fault_begin(struct kvm_vcpu *vcpu);

/**
 * shadow_change_quota() - set how many shadow pages the VM may have
 * @kvm: the VM
 * @pages: the new quota; the oldest pages beyond it are zapped, but no roots: if more
 *	pages than this stay in use, their number becomes the quota
 *
 * Context: takes mmu_lock for writing, and lets go of it when it is wanted;
 * slots_lock, as the slots of zapped pages are looked up.
 */
void shadow_change_quota(struct kvm *kvm, unsigned long pages);

/* shadow_root.c */

/**
 * shadow_roots_load() - give the vCPU's MMU its roots
 * @vcpu: the vCPU; its caches are filled
 *
 * Sets mmu->root: a shadow page, the PAE or PML4/5 table above four of them, or
 * the dummy root if no slot holds the guest's root.
 *
 * Return: 0, -ENOMEM, -ENOSPC (quota) or -EIO (a bug).
 * Context: takes slots_arch_lock, then mmu_lock for writing; kvm->srcu.
 */
int shadow_roots_load(struct kvm_vcpu *vcpu);

/**
 * shadow_root_put() - drop a vCPU's reference to a root
 * @kvm: the VM
 * @root: the hpa of a shadow page's table; set to INVALID_PAGE
 * @zap: takes the page, if it is zapped and this was the last reference
 */
void shadow_root_put(struct kvm *kvm, hpa_t *root, struct shadow_zap *zap);

/* shadow_sync.c */

/**
 * shadow_sync_roots() - make what the guest wrote to unsync tables take effect
 * @vcpu: the vCPU, whose guest flushes its TLB
 *
 * Context: takes mmu_lock for writing, if there is anything to do.
 */
void shadow_sync_roots(struct kvm_vcpu *vcpu);

/**
 * shadow_root_unsync() - may there be unsync pages below a root
 * @root: a previous root of the vCPU that flushes, or INVALID_PAGE
 *
 * Return: false only if what the guest wrote before its flush needs no sync there.
 * Context: no lock; pairs with the barrier in shadow_try_unsync().
 */
bool shadow_root_unsync(hpa_t root);

/**
 * shadow_sync_addr() - the guest flushed one address: its SPTE follows its gPTE
 * @vcpu: the vCPU, with its current MMU
 * @addr: the address, gva or nested gpa
 * @root: one of its roots, or INVALID_PAGE
 *
 * Only unsync pages are read again, as the guest's writes to other tables are seen.
 * A root of another role than the current one is left alone: it translates another
 * address space.
 * Context: takes mmu_lock for writing, if there is anything to do; kvm->srcu.
 */
void shadow_sync_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root);

/**
 * shadow_check_addr() - shadow_sync_addr() where the VMM may have written to tables
 * @vcpu: see shadow_sync_addr()
 * @addr: see shadow_sync_addr()
 * @root: see shadow_sync_addr()
 *
 * At each level the entry is compared with the gPTE in memory.  If they differ, it is
 * made to follow (level 1), or dropped (above).
 *
 * Context: takes mmu_lock for writing; kvm->srcu.
 */
void shadow_check_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root);

/**
 * shadow_try_unsync() - may a gfn be mapped writable: mark what shadows it unsync
 * @kvm: the VM
 * @slot: of @gfn
 * @gfn: the page
 * @can_unsync: false for a sync, which must leave tables protected
 * @prefetch: the guest has not accessed the page yet
 *
 * All pages of level 1 that shadow the gfn become unsync.  A page of a higher level,
 * or an external tracker, keeps the gfn write-protected.
 *
 * Return: 0 if the gfn may be mapped writable; -EPERM if it must be write-protected;
 * -EEXIST if a prefetch would have to unsync a page, which is left to a fault.
 * Context: mmu_lock, for reading or writing: mmu_unsync_pages_lock is taken.
 */
int shadow_try_unsync(struct kvm *kvm, const struct kvm_memory_slot *slot,
		      gfn_t gfn, bool can_unsync, bool prefetch);

/**
 * shadow_sync_spte() - make one SPTE of an unsync page follow its gPTE
 * @vcpu: the vCPU, whose current MMU's format the table has
 * @sp: the page
 * @i: which entry; not SPTE_NONE
 *
 * This is kvm_mmu::sync_spte for every format of gPTEs.  An MMIO SPTE whose gPTE
 * has not changed is dropped all the same unless mmio_spte_current(), as the gfn may
 * have a slot now.
 *
 * Return: 1 if TLBs must be flushed, 0 if not; -EFAULT if the gPTE cannot be read:
 * the entry is as before, and the caller drops it.
 * Context: mmu_lock for writing; kvm->srcu.
 */
int shadow_sync_spte(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i);

/* shadow_map.c */

/**
 * shadow_map_direct() - map a page for a guest without paging
 * @vcpu: the vCPU, after shadow_fault_begin()
 * @fault: the fault; its pfn is pinned, and not invalidated since
 *
 * Return: RET_PF_*, or -EFAULT (a bug).
 * Context: mmu_lock for writing; kvm->srcu.
 */
int shadow_map_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * shadow_map_indirect() - map a page that the guest's tables translate to
 * @vcpu: the vCPU, after shadow_fault_begin()
 * @fault: the fault; its pfn is pinned, and not invalidated since
 * @walk: of the guest's tables, done before mmu_lock was taken; every gPTE is
 *	compared again once its table is shadowed
 *
 * Return: RET_PF_*, or -EFAULT (a bug).
 * Context: mmu_lock for writing; kvm->srcu.
 */
int shadow_map_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			const struct guest_walk *walk);

/* shadow_walk.c */

/**
 * shadow_walk_begin() - begin to read SPTEs without mmu_lock
 * @vcpu: the vCPU, running on this CPU
 *
 * Until shadow_walk_end(), interrupts are off and vcpu->mode says
 * READING_SHADOW_PAGE_TABLES: whoever frees a page waits for the vCPU
 * (shadow_wait_for_walks()), with mmu_lock held.  So do nothing in between that
 * takes long, or that waits for a holder of mmu_lock.
 */
void shadow_walk_begin(struct kvm_vcpu *vcpu);
void shadow_walk_end(struct kvm_vcpu *vcpu);

/* As tdp_walk() and tdp_walk_leaf(); between shadow_walk_begin() and _end(). */
int shadow_walk(struct kvm_vcpu *vcpu, u64 addr, u64 *sptes, int *root_level);
u64 *shadow_walk_leaf(struct kvm_vcpu *vcpu, u64 addr, u64 *spte);

/**
 * shadow_sptep_gfn() - the gfn that an SPTE stands for, for a reader without lock
 * @sptep: the SPTE, from shadow_walk_leaf(), which was present when it was read
 *
 * The entry's gfn does not change before shadow_walk_end(): it is changed while
 * the SPTE is not present, once the walks that saw it present have ended.
 *
 * Return: the gfn.
 */
gfn_t shadow_sptep_gfn(u64 *sptep);

/**
 * shadow_clear_flood() - forget writes to the tables that translate an address
 * @vcpu: the vCPU
 * @addr: the address, gva or nested gpa
 *
 * They are in use as tables, so the writes so far were no flood.
 *
 * Context: no lock; begins and ends a lockless walk.
 */
void shadow_clear_flood(struct kvm_vcpu *vcpu, u64 addr);

/* shadow_write.c */

/**
 * shadow_track_write() - KVM wrote to guest memory for the guest
 * @vcpu: the vCPU
 * @gpa: where the write begins
 * @bytes: how many bytes; they are in guest memory by now, and in one page
 *
 * In pages that shadow a table there, the SPTEs of the written gPTEs are dropped.  A
 * page that does not look like a table any more is zapped.
 *
 * Context: takes mmu_lock for writing, if anything is shadowed; kvm->srcu.
 */
void shadow_track_write(struct kvm_vcpu *vcpu, gpa_t gpa, int bytes);

/**
 * shadow_unprotect_gfn() - zap what shadows a gfn, so that the guest may write
 * @kvm: the VM
 * @gfn: the page
 *
 * Return: true if a page was zapped that is no vCPU's root.  A root does not count: it
 * is made again, and the gfn protected, before the guest runs.
 * Context: takes mmu_lock for writing.
 */
bool shadow_unprotect_gfn(struct kvm *kvm, gfn_t gfn);

/*
 * shadow_track.c: as the functions of tdp.h, unless it is said; mmu_lock for writing.
 * The caller has checked kvm_memslots_have_rmaps().
 */

/**
 * shadow_zap_gfn_range() - unmap gfns of a slot
 * @kvm: the VM
 * @slot: the slot
 * @start: first gfn
 * @end: first gfn beyond
 * @can_yield: let go of mmu_lock when it is wanted
 * @flush: a flush is due already, for any gfns; what is due is done before a yield
 *
 * Return: true if a flush is due.
 */
bool shadow_zap_gfn_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			  gfn_t start, gfn_t end, bool can_yield, bool flush);
bool shadow_zap_slot(struct kvm *kvm, const struct kvm_memory_slot *slot);
bool shadow_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool shadow_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
void shadow_wrprot_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
			int min_level);
void shadow_clear_dirty_slot(struct kvm *kvm, const struct kvm_memory_slot *slot);
void shadow_wrprot_huge(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t first, gfn_t last);
void shadow_clear_dirty_masked(struct kvm *kvm, struct kvm_memory_slot *slot,
			       gfn_t gfn, unsigned long mask, bool wrprot);
bool shadow_write_protect_gfn(struct kvm *kvm, const struct kvm_memory_slot *slot,
			      gfn_t gfn);

/*
 * shadow_split.c: the same holds.  Splitting is for tdp_enabled only, where all shadow
 * pages with huge leaves are those of nested guests.
 */

/* As tdp_split_range(). */
void shadow_split_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t start, gfn_t end, int target_level);

/*
 * Unmap what direct tables map where a huge page could be; the next fault maps that.
 * TLBs are flushed.
 */
void shadow_recover_huge(struct kvm *kvm, const struct kvm_memory_slot *slot);

#endif /* __KVM_X86_MMU_SHADOW_H */
