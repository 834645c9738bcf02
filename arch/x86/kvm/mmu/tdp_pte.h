/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The only stores to direct paging tables, but for the cmpxchg of the fast page fault
 * (fast_fault.c).  For the tdp_* files.
 *
 * What is held while an SPTE is changed, and how it is changed:
 *
 *  mmu_lock for writing   tdp_set(): only the CPU, the fast page fault and ageing
 *                         interfere; atomic where spte_volatile()
 *  mmu_lock for reading   tdp_set_atomic(), tdp_zap_atomic(): cmpxchg against
 *                         what the walk has read; SPTE_FROZEN is left alone
 *  RCU alone              fast_fault.c: gives R, X, W back, and D with W
 *  any of these           tdp_clear_bits() (with mmu_lock), tdp_clear_accessed():
 *                         take bits from a present leaf
 *  regions                tdp_set_region(), tdp_take_dirty(): see tdp_region.h
 *
 * The first two account for what the change means, in tdp_account(): page
 * statistics, A bits for the host's mm, D bits for the log of a region, and the subtree
 * that is unlinked.  The caller flushes TLBs, as each function says.
 */
#ifndef __KVM_X86_MMU_TDP_PTE_H
#define __KVM_X86_MMU_TDP_PTE_H

#include "tdp_iter.h"

/**
 * tdp_set_atomic() - replace the SPTE of a walk under mmu_lock for reading
 * @kvm: the VM
 * @iter: at the SPTE, not after a yield; iter->old is not frozen
 * @spte: the new value
 *
 * If a translation is removed or loses rights, the caller flushes TLBs before anybody
 * relies on that.  If a table is unlinked, it flushes before its RCU read section ends,
 * as the table may be freed then.
 *
 * Return: 0; or -EBUSY if the SPTE is not iter->old any more, with iter->old
 * read anew and nothing else done.
 * Context: mmu_lock for reading, RCU.
 */
int __must_check tdp_set_atomic(struct kvm *kvm, struct tdp_iter *iter, u64 spte);

/**
 * tdp_zap_atomic() - unmap and flush under mmu_lock for reading
 * @kvm: the VM
 * @iter: at the present SPTE
 *
 * The SPTE is frozen until TLBs are flushed, so nobody maps anything there before all
 * CPUs have forgotten the old translation.
 *
 * Return: 0 or -EBUSY, as tdp_set_atomic().
 * Context: mmu_lock for reading, RCU.
 */
int __must_check tdp_zap_atomic(struct kvm *kvm, struct tdp_iter *iter);

/**
 * tdp_set() - replace the SPTE of a walk under mmu_lock for writing
 * @kvm: the VM
 * @iter: at the SPTE; iter->old becomes the value that was really replaced
 * @spte: the new value
 *
 * Context: mmu_lock for writing, RCU.  The caller flushes TLBs.
 */
void tdp_set(struct kvm *kvm, struct tdp_iter *iter, u64 spte);

/**
 * tdp_set_at() - as tdp_set(), without a walk
 * @kvm: the VM
 * @sp: the table
 * @sptep: the SPTE in it
 * @spte: the new value
 *
 * Return: the value that was replaced.
 * Context: mmu_lock for writing, RCU.  The caller flushes TLBs.
 */
u64 tdp_set_at(struct kvm *kvm, struct tdp_table *sp, tdp_ptep_t sptep, u64 spte);

/**
 * tdp_clear_bits() - take bits from a present leaf
 * @kvm: the VM
 * @iter: at the SPTE; iter->old becomes the value before
 * @bits: W, M or D
 *
 * A cmpxchg, retried as long as the SPTE stays a present leaf.  Bits that the CPU or a
 * fast page fault sets meanwhile are seen in iter->old.  Anything else that is put there
 * under mmu_lock for reading is left alone.  An atomic AND would take rights from a link
 * that replaces the leaf, or turn a frozen or MMIO SPTE into another one, as these use
 * the same bits.
 *
 * Return: true if one of @bits was set, and is not any more; false if there is
 * nothing to do, with iter->old read anew if it is not a present leaf any more.
 * Context: mmu_lock, for reading or writing, RCU.  The caller flushes TLBs.
 */
bool tdp_clear_bits(struct kvm *kvm, struct tdp_iter *iter, u64 bits);

/**
 * tdp_clear_accessed() - age a present leaf
 * @kvm: the VM
 * @iter: at the SPTE
 *
 * A cmpxchg to the value without A, or to the access-tracked one, retried as in
 * tdp_clear_bits().  No TLB flush: the notifiers do not ask for one.  The host's page is
 * not touched, as nothing keeps it from being freed.
 *
 * Return: true if the page had been accessed.
 * Context: RCU.  mmu_lock is not needed: a change in a zapped table that the walk still
 * sees has no effect.
 */
bool tdp_clear_accessed(struct kvm *kvm, struct tdp_iter *iter);

/**
 * tdp_set_region() - change the state of a region
 * @sptep: the link to its table
 * @link: its value when it was last read, and what it is afterwards
 * @region: enum spte_region
 *
 * A cmpxchg.  The caller flushes TLBs if that takes W away.
 *
 * Return: false if the link has changed meanwhile.
 * Context: RCU; mmu_lock as tdp_region.h says.
 */
bool tdp_set_region(tdp_ptep_t sptep, u64 *link, u64 region);

/**
 * tdp_take_dirty() - take D from a 4K leaf
 * @sptep: an SPTE of a region; other values than a present leaf are left alone
 *
 * A cmpxchg, as in tdp_clear_bits().  The caller flushes TLBs.
 *
 * Return: true if it was a present leaf with D, and has no D any more.
 * Context: RCU, mmu_lock, and nobody but the log has a use for D.
 */
static inline bool tdp_take_dirty(u64 *sptep)
{
	const u64 dirty = SPTE_PRESENT | spte_fmt.dirty;
	u64 old = READ_ONCE(*sptep);

	do {
		if ((old & dirty) != dirty)
			return false;
	} while (!try_cmpxchg64(sptep, &old, old & ~spte_fmt.dirty));
	return true;
}

/**
 * tdp_table_alloc() - get a table from the caches of a vCPU
 * @vcpu: the vCPU; mmu_topup_caches() has filled them
 *
 * Return: the table; all entries are SPTE_NONE.
 */
struct tdp_table *tdp_table_alloc(struct kvm_vcpu *vcpu);

/**
 * tdp_table_alloc_sleep() - allocate a table for tdp_split()
 *
 * Return: the table, whose entries are undefined; or NULL.
 * Context: may sleep.
 */
struct tdp_table *tdp_table_alloc_sleep(void);

/**
 * tdp_table_init() - set what a new table stands for
 * @sp: from tdp_table_alloc*(), SP_ALLOC
 * @ptep: the SPTE that will link to it; NULL for a root
 * @gfn: the first gfn that it covers
 * @role: of the tree, with the level of the table
 */
void tdp_table_init(struct tdp_table *sp, tdp_ptep_t ptep, gfn_t gfn,
		    union kvm_mmu_page_role role);

/* tdp_table_init() for the table that is to be linked at the SPTE of a walk. */
void tdp_table_init_child(struct tdp_table *sp, struct tdp_iter *iter);

/* Frees a table that never was linked. */
void tdp_table_free(struct tdp_table *sp);

/* Frees an unlinked table, or root, after a grace period of RCU. */
void tdp_table_free_rcu(struct tdp_table *sp);

/**
 * tdp_link() - link a new table
 * @kvm: the VM
 * @iter: at the SPTE: not present, or a huge page of which @sp has the pieces
 * @sp: initialized by tdp_table_init_child()
 * @shared: mmu_lock is held for reading
 *
 * Return: 0 or -EBUSY; then @sp is still the caller's.
 * Context: mmu_lock, RCU.
 */
int __must_check tdp_link(struct kvm *kvm, struct tdp_iter *iter,
			  struct tdp_table *sp, bool shared);

/**
 * tdp_split() - put a table of pieces in the place of a huge page
 * @kvm: the VM
 * @iter: at the huge page's SPTE
 * @sp: the table, initialized by tdp_table_init_child()
 * @shared: mmu_lock is held for reading
 *
 * No TLB flush: the pieces translate as the huge page did.
 *
 * Return: 0 or -EBUSY; then @sp is still the caller's.
 * Context: mmu_lock, RCU.
 */
int __must_check tdp_split(struct kvm *kvm, struct tdp_iter *iter,
			   struct tdp_table *sp, bool shared);

/* The part of a yield that lets go of mmu_lock (tdp_iter.c). */
void tdp_yield_now(struct kvm *kvm, struct tdp_iter *iter, bool flush, bool shared);

/* A walk lets go of mmu_lock only if it has advanced since the last time. */
static inline bool tdp_has_advanced(const struct tdp_iter *iter)
{
	WARN_ON_ONCE(iter->yielded);
	return iter->next_gfn != iter->yielded_gfn;
}

/**
 * tdp_yield() - let go of mmu_lock if another thread wants it, or the CPU
 * @kvm: the VM
 * @iter: the walk; if it has not advanced since the last yield, nothing is done
 * @flush: flush TLBs first
 * @shared: mmu_lock is held for reading
 *
 * Unless the kernel is preemptible, only the CPU counts: see rwlock_needbreak().
 *
 * Return: true if mmu_lock was let go: then the walk's SPTE is stale, and the caller
 * goes straight to tdp_iter_next().
 * Context: mmu_lock and RCU; both are held again on return.
 */
static inline bool __must_check tdp_yield(struct kvm *kvm, struct tdp_iter *iter,
					  bool flush, bool shared)
{
	if (!tdp_has_advanced(iter) ||
	    (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock)))
		return false;

	tdp_yield_now(kvm, iter, flush, shared);
	return true;
}

/**
 * struct tdp_root_iter - a loop over roots
 * @kvm: the VM
 * @as_id: only the roots of this address space; -1: of all
 * @only_valid: leave out roots that are invalid
 * @root: the current root, kept by a reference; NULL before the first
 */
struct tdp_root_iter {
	struct kvm *kvm;
	int as_id;
	bool only_valid;
	struct tdp_table *root;
};

/**
 * tdp_next_root() - the next root, kept by a reference
 * @iter: the loop; the reference to the root before is dropped
 *
 * Return: the root, or NULL at the end.
 * Context: mmu_lock, which may be let go between two calls.
 */
struct tdp_table *tdp_next_root(struct tdp_root_iter *iter);

/* A loop over roots, see struct tdp_root_iter.  Before a break, tdp_root_put() @root. */
#define tdp_for_each_root(kvm, root, as_id, only_valid)			\
	for (struct tdp_root_iter it_ = { kvm, as_id, only_valid };	\
	     ((root) = tdp_next_root(&it_));)

/**
 * tdp_zap_root() - unmap all that one root maps (tdp_zap.c)
 * @kvm: the VM
 * @root: kept by a reference, so that MMU notifiers find it while this yields
 * @shared: mmu_lock is held for reading; then @root is invalid
 *
 * When it returns, no SPTE of @root is present.  No TLB flush: see
 * tdp_roots_zap_invalid() and tdp_zap_all().
 *
 * Context: mmu_lock; yields.
 */
void tdp_zap_root(struct kvm *kvm, struct tdp_table *root, bool shared);

/* mmu_lock is held, for reading if @shared. */
static inline void tdp_assert_locked(struct kvm *kvm, bool shared)
{
	if (shared)
		lockdep_assert_held_read(&kvm->mmu_lock);
	else
		lockdep_assert_held_write(&kvm->mmu_lock);
}

/* The first gfn that no tree maps; one of fewer levels may map less. */
static inline gfn_t tdp_end_gfn(void)
{
	return kvm_mmu_max_gfn() + 1;
}

static inline bool tdp_root_valid(const struct tdp_table *root)
{
	return root->table.state == SP_ROOT;
}

#endif /* __KVM_X86_MMU_TDP_PTE_H */
