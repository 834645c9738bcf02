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
 * struct shadow_zap - what is due before mmu_lock is let go; nothing if all 0
 * @pages: zapped pages that nobody can find or use as root any more; walkers
 *	may still be in them
 * @flush: some CPU may have a translation cached that is gone
 */
struct shadow_zap {
	struct llist_head pages;
	bool flush;
};

/* The part of shadow_zap_finish() for when something is due; always true. */
bool __shadow_zap_finish(struct kvm *kvm, struct shadow_zap *zap);

/**
 * shadow_zap_finish() - flush TLBs, and free zapped pages
 * @kvm: the VM
 * @zap: what is due; nothing is, afterwards
 *
 * Pages are freed when all walks that may be in them have ended
 * (shadow_wait_for_walks()).
 *
 * Return: true if TLBs were flushed.
 * Context: mmu_lock for writing.
 */
static inline bool shadow_zap_finish(struct kvm *kvm, struct shadow_zap *zap)
{
	return (zap->flush || !llist_empty(&zap->pages)) &&
	       __shadow_zap_finish(kvm, zap);
}

/* Blocks of rmaps, for the caches of vCPUs and VMs (shadow_rmap.c). */
extern struct kmem_cache *rmap_block_cache;

/* shadow_page.c */

int shadow_module_init(void);
void shadow_module_exit(void);
int shadow_init_vm(struct kvm *kvm);
void shadow_uninit_vm(struct kvm *kvm);

/**
 * shadow_sp_obsolete() - is a page one that no vCPU may use any more
 * @kvm: the VM
 * @sp: the page
 *
 * Context: mmu_lock, for reading or writing; or none, for a root that the caller
 * holds: then the request to let go of it follows.
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
 * shadow_zap_gfn_direct() - zap the pages without gPTEs that lie in a range
 * @kvm: the VM
 * @as_id: the address space
 * @start: first gfn
 * @end: first gfn beyond
 * @zap: takes them
 *
 * Tables that map linearly, for a guest without paging or below its huge pages.
 * Roots stay.
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
 * @zap: takes them
 *
 * From the VM's index by gfn: costs what is found, not what is asked.
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
 * @zap: takes it, unless it is a root of some vCPU; then shadow_root_put() does,
 *	and the vCPUs are asked to let go of it
 *
 * Its SPTEs are dropped, the links to it are cut, and the unsync pages below it
 * go with it, as nobody would sync them.
 *
 * Return: true if other pages went too: a walk over pages starts anew.
 */
bool shadow_page_zap(struct kvm *kvm, struct kvm_mmu_page *sp,
		     struct shadow_zap *zap);

/* Remove every MMIO SPTE and nothing else.  mmu_lock for writing; yields. */
void shadow_zap_mmio(struct kvm *kvm);

/* shadow_quota.c */

/**
 * shadow_fault_begin() - make room for the tables of a fault
 * @vcpu: the vCPU
 *
 * May zap any page, the vCPU's own root among them: so this looks at the root
 * itself, afterwards, and a fault goes through here or not at all.
 *
 * Return: 0; -EAGAIN if the vCPU has to load another root first; -ENOSPC if the
 * quota leaves no page.
 * Context: mmu_lock for writing.
 */
int __must_check shadow_fault_begin(struct kvm_vcpu *vcpu);

/**
 * shadow_change_quota() - set how many shadow pages the VM may have
 * @kvm: the VM
 * @pages: the quota; pages in use are reclaimed first, but for roots, whose
 *	number is then the quota
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
 * shadow_root_put() - one root less
 * @kvm: the VM
 * @root: of a shadow page; set to INVALID_PAGE
 * @zap: takes the page if it was zapped while it was in use
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
 * shadow_root_unsync() - may a root have unsync pages below
 * @root: of a vCPU, may be invalid
 *
 * Context: none; pairs with the barrier in shadow_try_unsync().
 */
bool shadow_root_unsync(hpa_t root);

/**
 * shadow_sync_addr() - the guest flushed one address: its SPTE follows its gPTE
 * @vcpu: the vCPU, with its current MMU
 * @addr: the address, gva or nested gpa
 * @root: one of its roots, may be invalid
 *
 * Only unsync pages are read again: nothing else can the guest have changed unseen.
 * A root of another role than the current one is left alone: it is of another
 * address space.
 * Context: takes mmu_lock for writing, if there is anything to do; kvm->srcu.
 */
void shadow_sync_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root);

/**
 * shadow_check_addr() - the same where the VMM may have written to any table
 * @vcpu: see shadow_sync_addr()
 * @addr: the same
 * @root: the same
 *
 * The entry of each level is compared with memory.
 * Context: takes mmu_lock for writing; kvm->srcu.
 */
void shadow_check_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root);

/**
 * shadow_try_unsync() - may a gfn be mapped writable: unsync what shadows it
 * @kvm: the VM
 * @slot: of @gfn
 * @gfn: the page
 * @can_unsync: the caller is not a sync, which must leave tables protected
 * @prefetch: nobody asked for the page yet
 *
 * Level 1 pages of the gfn become unsync, once and for all of them; a page of a
 * higher level, or an external tracker, keeps the gfn write-protected.
 *
 * Return: 0: it may be; -EPERM: write-protect it; -EEXIST: leave it to a fault.
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
 * Is kvm_mmu::sync_spte, for every format.  An MMIO SPTE whose gPTE still says
 * the same is dropped unless mmio_spte_current(): the gfn may have a slot now.
 *
 * Return: 0 or 1: TLBs must be flushed; negative: zap the page.
 */
int shadow_sync_spte(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i);

/* shadow_map.c */

/**
 * shadow_map_direct() - map a page for a guest without paging
 * @vcpu: the vCPU, after shadow_fault_begin()
 * @fault: pinned and checked
 *
 * Return: RET_PF_*, or -EFAULT (a bug).
 */
int shadow_map_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/**
 * shadow_map_indirect() - map a page that the guest's tables translate to
 * @vcpu: the vCPU, after shadow_fault_begin()
 * @fault: pinned and checked
 * @walk: of the guest's tables, done before mmu_lock was taken; every gPTE is
 *	compared again once it is shadowed
 *
 * Return: RET_PF_*, or -EFAULT (a bug).
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
 * @addr: the address
 *
 * Context: none.
 */
void shadow_clear_flood(struct kvm_vcpu *vcpu, u64 addr);

/* shadow_write.c */

/**
 * shadow_track_write() - KVM wrote to guest memory for the guest
 * @vcpu: the vCPU
 * @gpa: where
 * @bytes: how many
 *
 * What shadows a table there is brought up to date: the SPTEs of the written
 * gPTEs are dropped, or the page, if it is no table any more by the look of it.
 * Context: takes mmu_lock for writing, if anything is shadowed.
 */
void shadow_track_write(struct kvm_vcpu *vcpu, gpa_t gpa, int bytes);

/**
 * shadow_unprotect_gfn() - zap what shadows a gfn, so that the guest may write
 * @kvm: the VM
 * @gfn: the page
 *
 * Return: true if a page went that is not the root of a vCPU: that one would be
 * made again at once, and the gfn protected.
 * Context: takes mmu_lock for writing.
 */
bool shadow_unprotect_gfn(struct kvm *kvm, gfn_t gfn);

/*
 * shadow_track.c: as the functions of tdp.h; mmu_lock for writing.  Slots have
 * rmaps: who calls has asked kvm_memslots_have_rmaps().
 */

bool shadow_zap_gfn_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			  gfn_t start, gfn_t end, bool can_yield, bool flush);
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
			      gfn_t gfn, int min_level);

/*
 * shadow_split.c: the same holds.  Splitting is for tdp_enabled only, where the
 * pages are those of nested guests.
 */

/* As tdp_split_range(). */
void shadow_split_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t start, gfn_t end, int target_level);

/* Zap direct pages that a huge page could replace; the next fault maps it. */
void shadow_recover_huge(struct kvm *kvm, const struct kvm_memory_slot *slot);

#endif /* __KVM_X86_MMU_SHADOW_H */
