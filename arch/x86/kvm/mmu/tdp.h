/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Direct paging (two-dimensional paging, EPT or NPT): what the other files of the MMU
 * may call in the tdp_* files.  mmu.c, root.c, fault.c, page_fault.c, fast_fault.c,
 * zap.c and nx_huge_page.c do; shadow_* never do, and tdp_* never call shadow_*.
 *
 *  tdp_iter.c   the walk
 *  tdp_pte.c    the only writers, tables' lifetime, accounting
 *  tdp_root.c   roots: found by role, kept by references, invalidated, zapped
 *  tdp_map.c    faults, fault-around, walks without locks
 *  tdp_split.c  huge pages: eager split, recovery in place
 *  tdp_zap.c    unmapping
 *  tdp_track.c  write-protection, Dirty, Accessed
 *  tdp_region.c dirty logging by regions
 *
 * Locks: mmu_lock (for reading is enough for most), RCU for the tables,
 * kvm->arch.tdp_mmu_pages_lock for the list of roots and nx_link under mmu_lock
 * for reading.
 */
#ifndef __KVM_X86_MMU_TDP_H
#define __KVM_X86_MMU_TDP_H

#include "spte.h"

/**
 * tdp_module_init() - create the slab cache, before the first VM
 *
 * Return: 0 or -ENOMEM.
 */
int tdp_module_init(void);

/* Waits until RCU has freed all tables that were unlinked before.  Sleeps. */
void tdp_drain_tables(void);

/* After the last VM; waits as tdp_drain_tables() does. */
void tdp_module_exit(void);

void tdp_init_vm(struct kvm *kvm);

/**
 * tdp_uninit_vm() - free all roots
 * @kvm: the VM, which nobody uses any more
 *
 * Does not wait until RCU has freed the tables: tdp_module_exit() does.
 */
void tdp_uninit_vm(struct kvm *kvm);

/* tdp_root.c */

/**
 * tdp_root_load() - give the vCPU's MMU a root of its role
 * @vcpu: its caches are filled
 *
 * Sets mmu->root.  vCPUs with the same role share a root.
 *
 * Return: 0; it cannot fail.
 * Context: takes mmu_lock for reading.
 */
int tdp_root_load(struct kvm_vcpu *vcpu);

/* True if no vCPU may use the root any more; each is asked to let go of it. */
static inline bool tdp_root_obsolete(const struct tdp_table *root)
{
	return READ_ONCE(root->table.state) == SP_ZAPPED;
}

/*
 * Drops a reference; the last one frees the root, which is invalid by then.  Context:
 * mmu_lock, for reading or writing.
 */
void tdp_root_put(struct kvm *kvm, struct tdp_table *root);

/**
 * tdp_roots_invalidate() - make every root invalid, so that no vCPU loads it again
 * @kvm: the VM
 *
 * tdp_roots_zap_invalid() has to follow.  The caller asks all vCPUs to drop
 * their roots, in the same critical section.
 *
 * Context: mmu_lock for writing, or nobody uses the VM.
 */
void tdp_roots_invalidate(struct kvm *kvm);

/**
 * tdp_roots_zap_invalid() - unmap what invalidated roots still map
 * @kvm: the VM
 *
 * When it returns, they map no pfn any more.  No TLB flush: a vCPU flushes when it loads
 * another root.
 *
 * Context: takes mmu_lock for reading; yields.  slots_lock, if the VM is in use.
 */
void tdp_roots_zap_invalid(struct kvm *kvm);

/* tdp_map.c */

/**
 * tdp_map() - map a page for a fault
 * @vcpu: the vCPU, whose caches are filled
 * @fault: its pfn is pinned, and not invalidated since; slot NULL for MMIO.  The
 *	levels are chosen here (level_choose())
 * @mmu_writable: the gfn is not write-protected as a table or a tracked gfn
 *
 * Return: RET_PF_*.
 * Context: mmu_lock for reading; kvm->srcu.
 */
int tdp_map(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, bool mmu_writable);

/**
 * tdp_prefetch() - map neighbours of a 4K page that the host has present already
 * @vcpu: the vCPU
 * @fault: has just been mapped, in the same section of mmu_lock
 *
 * Fills entries of the table that the fault has its leaf in, without sleeping, and with
 * A clear.  It does so for 4K leaves only, and not: on CPUs without A bits; in VMs that
 * can have private memory; if an invalidation is in progress, or one ended since the
 * fault began; where KVM watches a gfn of the same 2M.
 *
 * Context: mmu_lock for reading; kvm->srcu.
 */
void tdp_prefetch(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault);

/* tdp_zap.c */

/**
 * tdp_zap_leafs() - unmap gfns in all valid roots
 * @kvm: the VM
 * @start: first gfn
 * @end: first gfn beyond
 * @flush: a flush is due already
 *
 * Return: true if the caller must flush TLBs before it lets go of mmu_lock.
 * Context: mmu_lock for writing; yields, after flushing.
 */
bool tdp_zap_leafs(struct kvm *kvm, gfn_t start, gfn_t end, bool flush);

/* tdp_zap_leafs() for notifiers: in all roots of one address space, invalid ones too. */
bool tdp_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range, bool flush);

/**
 * tdp_zap_slot() - unmap a slot, and unlink the tables that map nothing any more
 * @kvm: the VM
 * @slot: the slot; nobody maps its gfns any more
 * @flush: a flush is due already
 *
 * Unmaps in all roots of the slot's address space, invalid ones too: once the slot
 * is gone, notifiers would not find what is left.
 *
 * Return: true if the caller must flush TLBs before it lets go of mmu_lock.
 * Context: mmu_lock for writing; yields, after flushing.
 */
bool tdp_zap_slot(struct kvm *kvm, const struct kvm_memory_slot *slot, bool flush);

/**
 * tdp_zap_table() - unlink a table, so that a huge page can take its place
 * @kvm: the VM
 * @sp: not a root
 *
 * Return: true if the caller must flush TLBs before its RCU read section ends; false
 * if @sp is not linked (a bug).
 * Context: mmu_lock for writing, RCU.
 */
bool tdp_zap_table(struct kvm *kvm, struct tdp_table *sp);

/**
 * tdp_zap_all() - unmap everything, of invalid roots too
 * @kvm: the VM, whose vCPUs never run again
 *
 * Context: mmu_lock for writing; yields.
 */
void tdp_zap_all(struct kvm *kvm);

/**
 * tdp_zap_mmio() - remove the MMIO SPTEs of some gfns, and nothing else
 * @kvm: the VM
 * @as_id: the address space
 * @start: the first gfn
 * @end: the first gfn beyond; if it is @start, there is nothing to do
 *
 * No TLB flush: the CPU does not cache what is not present or reserved.
 * Context: takes mmu_lock for reading; yields.
 */
void tdp_zap_mmio(struct kvm *kvm, int as_id, gfn_t start, gfn_t end);

/* tdp_track.c */

/*
 * For notifiers.  Return: true if the guest has accessed the range.  The first also
 * clears A.  Context: no lock; kvm->srcu for the slot.
 */
bool tdp_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);
bool tdp_test_age_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range);

/**
 * tdp_wrprot_slot() - clear W (not M) in a slot, for dirty logging
 * @kvm: the VM
 * @slot: the slot
 * @min_level: only pages of this level and above
 *
 * The caller flushes TLBs.
 * Context: mmu_lock for reading; yields.
 */
void tdp_wrprot_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     int min_level);

/**
 * tdp_wrprot_huge() - clear W (not M) of the huge pages that map some gfns
 * @kvm: the VM
 * @slot: the slot
 * @first: first gfn
 * @last: last gfn, not far from @first: there is no yield
 *
 * The caller flushes TLBs.
 * Context: mmu_lock for reading or writing.
 */
void tdp_wrprot_huge(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     gfn_t first, gfn_t last);

/* As tdp_wrprot_slot() from 4K up, but clears D, or W where the tree has no D bits. */
void tdp_clear_dirty_slot(struct kvm *kvm, const struct kvm_memory_slot *slot);

/**
 * tdp_clear_dirty_masked() - prepare 4K pages for another round of dirty logging
 * @kvm: the VM
 * @slot: the slot
 * @gfn: of bit 0 of @mask
 * @mask: the pages
 * @wrprot: clear W instead of D, except in regions (tdp_region.h)
 *
 * The caller flushes TLBs.
 * Context: mmu_lock for reading or writing.
 */
void tdp_clear_dirty_masked(struct kvm *kvm, struct kvm_memory_slot *slot,
			    gfn_t gfn, unsigned long mask, bool wrprot);

/**
 * tdp_write_protect_gfn() - clear W and M: KVM wants to see every write
 * @kvm: the VM
 * @slot: the gfn's slot
 * @gfn: the page
 *
 * Return: true if TLBs must be flushed before the caller lets go of mmu_lock.
 * Context: mmu_lock; for writing, to keep faults from mapping the gfn writable
 * meanwhile.
 */
bool tdp_write_protect_gfn(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn);

/* tdp_split.c */

/**
 * tdp_split_range() - split huge pages, so that faults need not while writes are logged
 * @kvm: the VM
 * @slot: the slot
 * @start: first gfn
 * @end: first gfn beyond
 * @target_level: pages of higher levels are split down to this one
 * @shared: mmu_lock is held for reading
 *
 * Best effort: stops when there is no memory.
 * Context: mmu_lock, which is let go to allocate; slots_lock.
 */
void tdp_split_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     gfn_t start, gfn_t end, int target_level, bool shared);

/**
 * tdp_recover_huge() - put huge pages in the place of tables of pieces
 * @kvm: the VM
 * @slot: the slot; dirty logging has ended
 *
 * Where slot and host allow a huge page and some piece is mapped, the huge page
 * is mapped in the place of the table at once; the guest does not fault.  If no piece
 * tells the pfns, or the host may be changing them, the table is unlinked, and the next
 * fault decides.  TLBs are flushed.
 *
 * Context: mmu_lock for reading; yields.  slots_lock.
 */
void tdp_recover_huge(struct kvm *kvm, const struct kvm_memory_slot *slot);

/* Without any lock: for the fast page fault and for MMIO faults. */

static inline void tdp_walk_begin(void)
{
	rcu_read_lock();
}

static inline void tdp_walk_end(void)
{
	rcu_read_unlock();
}

/**
 * tdp_reaches() - do a vCPU's tables translate a gfn
 * @vcpu: the vCPU, tdp_active()
 * @gfn: the page, perhaps of a slot
 *
 * A slot may have all gfns of the host's MAXPHYADDR.  Four levels translate 48 bits,
 * also on a host that has more, where the vCPU's MAXPHYADDR is 48 or less
 * (tdp_root_level()).
 *
 * Return: false if no SPTE is, or may be, for the gfn.
 */
bool tdp_reaches(struct kvm_vcpu *vcpu, gfn_t gfn);

/**
 * tdp_walk() - copy the SPTEs that translate an address
 * @vcpu: the vCPU
 * @gpa: the address
 * @sptes: PT64_ROOT_MAX_LEVEL + 1 of them: set to the values, by level
 * @root_level: set to the level of the root
 *
 * Return: the level of the last one, which may not be present; -1: the tables do not
 * reach the address.
 * Context: between tdp_walk_begin() and tdp_walk_end().
 */
int tdp_walk(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *sptes, int *root_level);

/**
 * tdp_walk_leaf() - the last SPTE that translates a gfn
 * @vcpu: the vCPU
 * @gfn: the page, tdp_reaches()
 * @spte: set to its value
 *
 * Return: the SPTE, whose table is not freed before tdp_walk_end().
 * Context: between tdp_walk_begin() and tdp_walk_end().
 */
u64 *tdp_walk_leaf(struct kvm_vcpu *vcpu, gfn_t gfn, u64 *spte);

/* True if the vCPU's current MMU is one that these functions serve. */
static inline bool tdp_active(struct kvm_vcpu *vcpu)
{
	return tdp_enabled && vcpu->arch.mmu->root_role.direct;
}

#endif /* __KVM_X86_MMU_TDP_H */
