// SPDX-License-Identifier: GPL-2.0-only
/*
 * The writers of direct paging tables, and what each change of an SPTE entails.
 *
 * A change is one store, then tdp_account(), which sees the value that was
 * really replaced.  So the statistics, the A that the host's mm is told of, and the
 * life of the tables follow from the sequence of values that an SPTE has, whoever
 * wins a race.
 *
 * A table is SP_ALLOC while it is private, SP_ACTIVE from just before it is
 * linked, SP_ZAPPED once it is unlinked.  The thread that unlinks it takes down what is
 * below.  mmu_lock for writing keeps others away, so the entries are only counted,
 * unless a log by regions needs their D.  mmu_lock for reading does not, so each entry is
 * frozen as it is accounted for, and nobody maps anything there unnoticed.  RCU waits for
 * readers before a table is freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "mmio.h"
#include "mmu.h"
#include "nx_huge_page.h"
#include "tdp_pte.h"
#include "tdp_region.h"
#include "mmutrace.h"

/* Tables */

struct tdp_table *tdp_table_alloc(struct kvm_vcpu *vcpu)
{
	struct tdp_table *sp;

	sp = kvm_mmu_memory_cache_alloc(&vcpu->mmu_table_cache);
	sp->table.spt = kvm_mmu_memory_cache_alloc(&vcpu->arch.mmu_shadow_page_cache);
	return sp;
}

struct tdp_table *tdp_table_alloc_sleep(void)
{
	struct tdp_table *sp;

	sp = kmem_cache_zalloc(tdp_table_cache, GFP_KERNEL_ACCOUNT);
	if (!sp)
		return NULL;

	sp->table.spt = (u64 *)__get_free_page(GFP_KERNEL_ACCOUNT);
	if (!sp->table.spt) {
		kmem_cache_free(tdp_table_cache, sp);
		return NULL;
	}
	return sp;
}

void tdp_table_init(struct tdp_table *sp, tdp_ptep_t ptep, gfn_t gfn,
		    union kvm_mmu_page_role role)
{
	KVM_MMU_WARN_ON(sp->table.state != SP_ALLOC);

	sp->table.tdp = true;
	sp->table.role = role;
	sp->table.gfn = gfn;
	sp->ptep = ptep;
	INIT_LIST_HEAD(&sp->table.nx_link);
	set_page_private(virt_to_page(sp->table.spt), (unsigned long)&sp->table);

	trace_kvm_mmu_get_page(&sp->table, true);
}

void tdp_table_init_child(struct tdp_table *sp, struct tdp_iter *iter)
{
	union kvm_mmu_page_role role = iter->root->table.role;

	role.level = iter->level - 1;
	tdp_table_init(sp, iter->sptep, iter->gfn, role);
}

void tdp_table_free(struct tdp_table *sp)
{
	free_page((unsigned long)sp->table.spt);
	kmem_cache_free(tdp_table_cache, sp);
}

static void tdp_table_rcu(struct rcu_head *rcu)
{
	tdp_table_free(container_of(rcu, struct tdp_table, rcu));
}

void tdp_table_free_rcu(struct tdp_table *sp)
{
	call_rcu(&sp->rcu, tdp_table_rcu);
}

/* A table is linked (@nr 1) or unlinked (@nr -1). */
static void tdp_count_table(struct kvm *kvm, struct tdp_table *sp, int nr)
{
	kvm_account_pgtable_pages(sp->table.spt, nr);
	atomic64_add(nr, &kvm->arch.tdp_mmu_pages);
}

/*
 * A table was unlinked.  The fault that made it may not have tracked it yet: then it
 * sees, under tdp_mmu_pages_lock, that nx_huge_page_disallowed is false
 * (tdp_track_nx()).
 */
static void tdp_table_retire(struct kvm *kvm, struct tdp_table *sp)
{
	KVM_MMU_WARN_ON(sp->table.state != SP_ACTIVE);

	trace_kvm_mmu_prepare_zap_page(&sp->table);
	WRITE_ONCE(sp->table.state, SP_ZAPPED);
	tdp_count_table(kvm, sp, -1);

	if (!sp->table.nx_huge_page_disallowed)
		return;

	spin_lock(&kvm->arch.tdp_mmu_pages_lock);
	nx_huge_page_untrack(kvm, &sp->table);
	spin_unlock(&kvm->arch.tdp_mmu_pages_lock);
}

/* Stores */

static void tdp_check_value(u64 spte)
{
	KVM_MMU_WARN_ON(spte_causes_ve(spte));
}

/*
 * Under mmu_lock for writing only the CPU, the fast page fault and ageing change the
 * SPTE.  What ageing does may be lost, see spte_volatile().
 */
static u64 tdp_replace(u64 *sptep, u64 old, u64 spte, int level)
{
	tdp_check_value(spte);

	if (spte_present_leaf(old, level) && spte_volatile(old))
		return xchg(sptep, spte);

	/* A table is filled before walks without mmu_lock find it. */
	smp_store_release(sptep, spte);
	return old;
}

/* Freeze an SPTE that others may change, too, or have frozen for a moment. */
static u64 tdp_freeze(u64 *sptep)
{
	u64 old;

	while (spte_frozen(old = xchg(sptep, SPTE_FROZEN)))
		cpu_relax();
	return old;
}

static int tdp_cmpxchg(struct tdp_iter *iter, u64 spte)
{
	u64 *sptep = rcu_dereference(iter->sptep);

	WARN_ON_ONCE(iter->yielded || spte_frozen(iter->old));
	tdp_check_value(spte);

	return try_cmpxchg64(sptep, &iter->old, spte) ? 0 : -EBUSY;
}

/* Accounting */

/*
 * A leaf was replaced by @kept (0: by no leaf).  Tell the host's mm of A if it is lost.
 * Of D it was told when M was set (spte.h).
 */
static void tdp_tell_host(u64 old, u64 kept)
{
	if (spte_accessed(old) && !spte_accessed(kept))
		kvm_set_pfn_accessed(spte_pfn(old));
}

/* The link to the table that an SPTE is in; for a root, a value that is OPEN. */
static u64 tdp_link_above(u64 *sptep)
{
	const struct tdp_table *sp = sptep_to_tdp(sptep);

	return sp->ptep ? tdp_read(sp->ptep) : PT_WRITABLE_MASK;
}

/*
 * A 4K leaf was replaced by @kept (0: by no leaf).  If D is lost, mark the page in the
 * log of its region, if there is one.  A CPU may write by its TLB until the caller has
 * flushed; the mark makes whoever takes it out of the log flush as well.
 */
static void tdp_log_lost(struct kvm *kvm, const struct tdp_iter *iter, u64 kept)
{
	const struct kvm_memory_slot *slot;
	u64 *sptep = rcu_dereference(iter->sptep);
	int idx;

	if (iter->level > PG_LEVEL_4K || !(iter->old & ~kept & spte_fmt.dirty) ||
	    !tdp_has_regions(kvm))
		return;

	/* Invalidations of guest_memfd do not hold it. */
	idx = srcu_read_lock(&kvm->srcu);
	slot = tdp_region_log(kvm, sptep_to_table(sptep)->role, iter->gfn,
			      tdp_link_above(sptep));
	if (slot)
		tdp_region_mark(kvm, slot, iter->gfn);
	srcu_read_unlock(&kvm->srcu, idx);
}

/*
 * The last value of an entry of a table that was unlinked.  A frozen entry is left alone
 * by others, and the CPU sets no D there.  With mmu_lock for writing nobody maps
 * anything here any more, so the entry may stay unless a log needs its D.  Then the CPU,
 * ageing, or a fast page fault that found the table before may still change it, to no
 * effect.
 */
static u64 tdp_last_value(u64 *sptep, bool freeze)
{
	return freeze ? tdp_freeze(sptep) : READ_ONCE(*sptep);
}

/* The slot whose log gets the D bits of the table that @link links to; or NULL. */
static const struct kvm_memory_slot *tdp_table_log(struct kvm *kvm,
						   const struct mmu_table *table,
						   u64 link)
{
	return table->role.level > PG_LEVEL_4K ? NULL :
	       tdp_region_log(kvm, table->role, table->gfn, link);
}

/*
 * Take down the table that @link linked to, and all below.  The host's mm is not told of
 * A: a vCPU that still uses the pages faults, and the fault tells it.
 */
static void tdp_unlink(struct kvm *kvm, u64 link, bool shared)
{
	struct tdp_table *sp = table_to_tdp(spte_child(link));
	const struct kvm_memory_slot *log = tdp_table_log(kvm, &sp->table, link);
	int level = sp->table.role.level, leaves = 0, i;
	gfn_t gfn = sp->table.gfn;
	u64 old;

	tdp_table_retire(kvm, sp);

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++, gfn += KVM_PAGES_PER_HPAGE(level)) {
		old = tdp_last_value(&sp->table.spt[i], shared || log);
		if (!spte_present(old))
			continue;
		if (log && (old & spte_fmt.dirty))
			tdp_region_mark(kvm, log, gfn);

		trace_kvm_tdp_mmu_spte_changed(role_as_id(sp->table.role), gfn, level,
					       old, SPTE_FROZEN);
		if (spte_leaf(old, level))
			leaves++;
		else
			tdp_unlink(kvm, old, shared);
	}

	if (leaves)
		kvm_update_page_stats(kvm, level, -leaves);
	tdp_table_free_rcu(sp);
}

/*
 * A page that the guest uses was replaced by another without an invalidation:
 * it may belong to somebody else by now.  The VM must not run any more.
 */
static void __cold tdp_bug_pfn(struct kvm *kvm, const struct tdp_iter *iter,
			       u64 spte)
{
	pr_err("leaf SPTE replaced by one of another page: as_id %d gfn %llx level %d old %llx new %llx\n",
	       iter->as_id, iter->gfn, iter->level, iter->old, spte);
	KVM_BUG_ON_DATA_CORRUPTION(true, kvm);
}

/* An SPTE that is not present, and stays so, changes only to or from MMIO. */
static void tdp_check_not_present(struct kvm *kvm, const struct tdp_iter *iter,
				  u64 spte)
{
	WARN_ONCE(!spte_is_mmio(kvm, iter->old) && !spte_is_mmio(kvm, spte),
		  "unexpected change of a not-present SPTE: gfn %llx level %d old %llx new %llx\n",
		  iter->gfn, iter->level, iter->old, spte);
}

/* iter->old was replaced by @spte. */
static void tdp_account(struct kvm *kvm, const struct tdp_iter *iter, u64 spte,
			bool shared)
{
	const int level = iter->level;
	const u64 old = iter->old;
	const bool was_leaf = spte_present_leaf(old, level);
	const bool is_leaf = spte_present_leaf(spte, level);
	const bool other_pfn = spte_pfn(old) != spte_pfn(spte);

	KVM_MMU_WARN_ON(iter->gfn != gfn_round_for_level(iter->gfn, level));
	if (unlikely(was_leaf && is_leaf && other_pfn))
		tdp_bug_pfn(kvm, iter, spte);

	if (old == spte)
		return;

	trace_kvm_tdp_mmu_spte_changed(iter->as_id, iter->gfn, level, old, spte);
	if (is_leaf)
		spte_check_writable(spte);
	if (is_leaf != was_leaf)
		kvm_update_page_stats(kvm, level, is_leaf ? 1 : -1);

	if (was_leaf && is_leaf && spte_mmu_writable(old) && !spte_mmu_writable(spte))
		mmu_owe_flush(kvm);
	if (was_leaf) {
		tdp_tell_host(old, is_leaf ? spte : 0);
		tdp_log_lost(kvm, iter, is_leaf ? spte : 0);
	} else if (!spte_present(old) && !spte_present(spte)) {
		tdp_check_not_present(kvm, iter, spte);
	} else if (spte_present(old) &&
		   (is_leaf || !spte_present(spte) || WARN_ON_ONCE(other_pfn))) {
		tdp_unlink(kvm, old, shared);
	}
}

/* Writers */

int tdp_set_atomic(struct kvm *kvm, struct tdp_iter *iter, u64 spte)
{
	int r;

	lockdep_assert_held_read(&kvm->mmu_lock);

	r = tdp_cmpxchg(iter, spte);
	if (!r)
		tdp_account(kvm, iter, spte, true);
	return r;
}

int tdp_zap_atomic(struct kvm *kvm, struct tdp_iter *iter)
{
	int r;

	lockdep_assert_held_read(&kvm->mmu_lock);

	r = tdp_cmpxchg(iter, SPTE_FROZEN);
	if (r)
		return r;

	/* Thaw it before the subtree is accounted for: others wait for it. */
	mmu_flush_gfn(kvm, iter->gfn, iter->level);
	WRITE_ONCE(*rcu_dereference(iter->sptep), SPTE_NONE);
	tdp_account(kvm, iter, SPTE_NONE, true);
	return 0;
}

void tdp_set(struct kvm *kvm, struct tdp_iter *iter, u64 spte)
{
	u64 *sptep = rcu_dereference(iter->sptep);

	lockdep_assert_held_write(&kvm->mmu_lock);
	/* SPTEs are frozen only under mmu_lock for reading. */
	WARN_ON_ONCE(iter->yielded || spte_frozen(iter->old) || spte_frozen(spte));

	iter->old = tdp_replace(sptep, iter->old, spte, iter->level);
	tdp_account(kvm, iter, spte, false);
}

u64 tdp_set_at(struct kvm *kvm, struct tdp_table *sp, tdp_ptep_t sptep, u64 spte)
{
	int level = sp->table.role.level;
	gfn_t index = sptep_index(rcu_dereference(sptep));
	struct tdp_iter iter = {
		.sptep = sptep,
		.gfn = sp->table.gfn + index * KVM_PAGES_PER_HPAGE(level),
		.old = tdp_read(sptep),
		.level = level,
		.as_id = role_as_id(sp->table.role),
	};

	tdp_set(kvm, &iter, spte);
	return iter.old;
}

bool tdp_clear_bits(struct kvm *kvm, struct tdp_iter *iter, u64 bits)
{
	u64 *sptep = rcu_dereference(iter->sptep);
	u64 spte;

	lockdep_assert_held(&kvm->mmu_lock);
	WARN_ON_ONCE(iter->yielded);

	do {
		if (!spte_present_leaf(iter->old, iter->level) ||
		    !(iter->old & bits))
			return false;
		spte = iter->old & ~bits;
	} while (!try_cmpxchg64(sptep, &iter->old, spte));

	trace_kvm_tdp_mmu_spte_changed(iter->as_id, iter->gfn, iter->level,
				       iter->old, spte);
	spte_check_writable(spte);
	if (spte_mmu_writable(iter->old) && !spte_mmu_writable(spte))
		mmu_owe_flush(kvm);
	return true;
}

bool tdp_clear_accessed(struct kvm *kvm, struct tdp_iter *iter)
{
	u64 *sptep = rcu_dereference(iter->sptep);
	u64 spte;

	if (!spte_accessed(iter->old))
		return false;

	do {
		if (!spte_present_leaf(iter->old, iter->level))
			return true;
		spte = spte_make_old(iter->old);
	} while (!try_cmpxchg64(sptep, &iter->old, spte));

	trace_kvm_tdp_mmu_spte_changed(iter->as_id, iter->gfn, iter->level,
				       iter->old, spte);
	return true;
}

bool tdp_set_region(tdp_ptep_t sptep, u64 *link, u64 region)
{
	const u64 new = (*link & ~(PT_WRITABLE_MASK | SPTE_REGION_MASK)) | region;

	if (!try_cmpxchg64(rcu_dereference(sptep), link, new))
		return false;
	*link = new;
	return true;
}

int tdp_link(struct kvm *kvm, struct tdp_iter *iter, struct tdp_table *sp,
	     bool shared)
{
	u64 spte = spte_make_table(sp->table.spt, !mmu_ad_enabled());

	/* Before it is linked: after that, others may unlink it. */
	sp->table.state = SP_ACTIVE;
	if (!shared) {
		tdp_set(kvm, iter, spte);
	} else if (tdp_set_atomic(kvm, iter, spte)) {
		sp->table.state = SP_ALLOC;
		return -EBUSY;
	}

	tdp_count_table(kvm, sp, 1);
	return 0;
}

/*
 * The value that the pieces of a huge page are made from.  If the huge page traps writes
 * for the log, the pieces form a region and need not: they get W if M allows it, and no
 * D, as the huge page's D is older than the log, or logged.  If it is still writable,
 * its value stays: its pages are in the log, or the log that begins will close the
 * region.
 */
static u64 tdp_split_for_log(struct kvm *kvm, const struct tdp_iter *iter,
			     const struct tdp_table *sp)
{
	const u64 clean = iter->old & ~spte_fmt.dirty;

	if (sp->table.role.level > PG_LEVEL_4K || spte_writable(iter->old) ||
	    !tdp_region_log(kvm, sp->table.role, iter->gfn, PT_WRITABLE_MASK))
		return iter->old;

	return spte_mmu_writable(clean) ? clean | PT_WRITABLE_MASK : clean;
}

int tdp_split(struct kvm *kvm, struct tdp_iter *iter, struct tdp_table *sp,
	      bool shared)
{
	const u64 from = tdp_split_for_log(kvm, iter, sp);
	const int level = iter->level;
	const u64 huge = iter->old;
	int i, r;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		sp->table.spt[i] = spte_make_split(kvm, from, sp->table.role, i);

	r = tdp_link(kvm, iter, sp, shared);
	if (!r)
		kvm_update_page_stats(kvm, level - 1, SPTE_ENT_PER_PAGE);

	trace_kvm_mmu_split_huge_page(iter->gfn, huge, level, r);
	return r;
}
