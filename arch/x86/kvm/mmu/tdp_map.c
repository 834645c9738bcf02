// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct paging: what a fault maps, and walks that take no lock.
 *
 * Faults hold mmu_lock for reading and race with each other: every store is a
 * cmpxchg, and the fault that loses lets the guest try again.  Holding mmu_lock keeps
 * off what would invalidate a fault's checks: invalidations by the host, roots becoming
 * invalid, gfns becoming write-tracked.
 *
 * Fault-around: a fault that maps a 4K page also maps those neighbours that the host
 * has present, so that the guest does not exit for each.  It must cost little where it
 * finds nothing.
 */
#include "level.h"
#include "mmio.h"
#include "mmu.h"
#include "nx_huge_page.h"
#include "page_track.h"
#include "tdp.h"
#include "tdp_pte.h"
#include "tdp_region.h"
#include "mmutrace.h"

/* Faults */

/* Track a new table, unless it has been unlinked already (tdp_table_retire()). */
static void tdp_track_nx(struct kvm *kvm, struct tdp_table *sp)
{
	spin_lock(&kvm->arch.tdp_mmu_pages_lock);
	if (sp->table.nx_huge_page_disallowed)
		nx_huge_page_track(kvm, &sp->table);
	spin_unlock(&kvm->arch.tdp_mmu_pages_lock);
}

/* Link a table where nothing is present, or where a page is too big for the fault. */
static int tdp_make_table(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			  struct tdp_iter *iter)
{
	struct tdp_table *sp = tdp_table_alloc(vcpu);
	int r;

	tdp_table_init_child(sp, iter);
	sp->table.nx_huge_page_disallowed = fault->huge_page_disallowed;

	r = spte_present(iter->old) ? tdp_split(vcpu->kvm, iter, sp, true) :
				      tdp_link(vcpu->kvm, iter, sp, true);
	if (r) {
		tdp_table_free(sp);
		return r;
	}

	/* It is the mitigation alone that forbids a huge page here. */
	if (fault->huge_page_disallowed && fault->req_level >= iter->level)
		tdp_track_nx(vcpu->kvm, sp);
	return 0;
}

/* Walk down to the goal level; false if others change the path: let the guest retry. */
static bool tdp_reach_goal(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			   struct tdp_iter *iter)
{
	struct tdp_table *root = root_to_tdp(vcpu->arch.mmu->root.hpa);

	tdp_for_each(*iter, root, fault->gfn, fault->gfn + 1) {
		if (fault->nx_mitigation)
			level_step_down(fault, iter->old, iter->level);

		/* Do not make a table that could not be linked. */
		if (spte_frozen(iter->old))
			return false;
		if (iter->level == fault->goal_level)
			return true;
		if (!spte_present_table(iter->old, iter->level) &&
		    tdp_make_table(vcpu, fault, iter))
			return false;
	}
	/* A table was unlinked before the walk stepped down into it. */
	return false;
}

/* RET_PF_FIXED, _SPURIOUS or _RETRY. */
static int tdp_install(struct kvm *kvm, struct tdp_iter *iter, u64 spte)
{
	if (spte == iter->old)
		return RET_PF_SPURIOUS;
	if (tdp_set_atomic(kvm, iter, spte))
		return RET_PF_RETRY;

	/*
	 * No TLB may keep a table that was replaced, a page that is MMIO now, or the
	 * right to write that is gone: if M was set, a TLB may have W.
	 */
	if (spte_present(iter->old) &&
	    (!spte_leaf(iter->old, iter->level) || !spte_present(spte) ||
	     spte_loses_write(iter->old, spte)))
		mmu_flush_gfn(kvm, iter->gfn, iter->level);
	return RET_PF_FIXED;
}

/*
 * During a memslot update no MMIO SPTE is made, see mmio_direct_current(): the access is
 * emulated.  But KVM cannot emulate for a guest with encrypted registers (SEV-ES).
 * Such a guest needs the SPTE, which makes the CPU raise #VC, and KVM does not get to
 * check the SPTE's generation.  If the SPTE is wrong, the end of the update zaps it,
 * after all readers of the old set have left kvm->srcu.
 */
static bool tdp_may_keep_mmio(const struct kvm_vcpu *vcpu, u64 gen)
{
	return vcpu->arch.guest_state_protected ||
	       !(gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);
}

static int tdp_map_mmio(struct kvm_vcpu *vcpu, struct tdp_iter *iter)
{
	const u64 gen = READ_ONCE(kvm_vcpu_memslots(vcpu)->generation);
	u64 spte;

	if (!tdp_may_keep_mmio(vcpu, gen))
		return RET_PF_EMULATE;

	spte = mmio_make_spte(vcpu->kvm, gen, iter->gfn, ACC_ALL);
	if (tdp_install(vcpu->kvm, iter, spte) == RET_PF_RETRY)
		return RET_PF_RETRY;

	vcpu->stat.pf_mmio_spte_created++;
	trace_mark_mmio_spte(rcu_dereference(iter->sptep), iter->gfn, spte);
	return RET_PF_EMULATE;
}

/*
 * Outside of regions.  If the SPTE lets the guest write without a fault, log the page
 * now, after the SPTE was set.  The log is read under mmu_lock for reading too: it takes
 * the mark first and then looks at the SPTE, which it finds.  Both sides have full
 * barriers.
 */
static void tdp_log_writable(struct kvm *kvm, const struct kvm_page_fault *fault,
			     const struct tdp_iter *iter, u64 spte)
{
	if (!spte_writable(spte) || !kvm_slot_dirty_track_enabled(fault->slot))
		return;

	/* level_choose() maps nothing larger in a logged slot. */
	WARN_ON_ONCE(iter->level > PG_LEVEL_4K);
	mark_page_dirty_in_slot(kvm, fault->slot, iter->gfn);
}

/*
 * The fault may be late: it asked the host before it got mmu_lock, and another vCPU's
 * fault may have mapped the page with more rights since.  So a leaf that allows the
 * access stays as it is.  A prefetch leaves any leaf of the page alone.
 */
static bool tdp_leaf_suffices(const struct kvm_page_fault *fault,
			      const struct tdp_iter *iter)
{
	/* A leaf of another page is for tdp_account() to report. */
	return spte_present_leaf(iter->old, iter->level) &&
	       spte_pfn(iter->old) == fault->pfn &&
	       (fault->prefetch || spte_allows(iter->old, fault));
}

/*
 * A prefetch must not make the page dirty for the host, as nobody has written to it.
 * The host does not write private memory back.
 */
static bool tdp_may_write_unseen(const struct kvm_page_fault *fault)
{
	return !fault->prefetch || fault->is_private || mmu_knows_dirty(fault->page);
}

/*
 * What all leaves at the walk's SPTE have in common.  In a slot that is logged, nobody
 * has written to a page that is mapped ahead: D says so in a region, else no W.
 */
static struct spte_leaf_args tdp_leaf_args(struct kvm *kvm, const struct tdp_iter *iter,
					   const struct kvm_memory_slot *slot,
					   bool prefetch)
{
	struct spte_leaf_args args = {
		.gfn = iter->gfn,
		.level = iter->level,
		.role = iter->root->table.role,
		.access = ACC_ALL,
		.prefetch = prefetch,
	};

	args.clean = tdp_in_region(kvm, args.role, slot, iter->gfn);
	args.trap_write = prefetch && !args.clean && kvm_slot_dirty_track_enabled(slot);
	args.role.level = iter->level;
	return args;
}

static int tdp_map_leaf(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			struct tdp_iter *iter, bool mmu_writable)
{
	struct spte_leaf_args args;
	u64 spte;
	int r;

	if (tdp_leaf_suffices(fault, iter))
		return RET_PF_SPURIOUS;

	args = tdp_leaf_args(vcpu->kvm, iter, fault->slot, fault->prefetch);
	args.pfn = fault->pfn;
	args.nx_huge = fault->nx_mitigation;
	args.host_writable = fault->map_writable;
	args.mmu_writable = mmu_writable && tdp_may_write_unseen(fault);
	spte = spte_make_leaf(vcpu, &args);
	/* Keep D for the log: a CPU that has D in its TLB would not set it again. */
	if (args.clean && spte_present_leaf(iter->old, iter->level))
		spte |= iter->old & spte_fmt.dirty;
	if (spte_mmu_writable(spte) && !fault->prefetch)
		mmu_tell_dirty(fault->page);
	r = tdp_install(vcpu->kvm, iter, spte);
	if (r == RET_PF_RETRY)
		return r;

	if (!args.clean)
		tdp_log_writable(vcpu->kvm, fault, iter, spte);
	trace_kvm_mmu_set_spte(iter->level, iter->gfn,
			       rcu_dereference(iter->sptep));

	/* The write has to be emulated, or the guest would fault for ever. */
	return fault->write && !mmu_writable ? RET_PF_WRITE_PROTECTED : r;
}

/* A write to a 4K page needs W in the link to its table, too. */
static int tdp_map_region(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			  struct tdp_iter *iter, int r)
{
	int opened;

	if (!dirty_log_regions || (r != RET_PF_FIXED && r != RET_PF_SPURIOUS) ||
	    !fault->write || fault->prefetch || iter->level > PG_LEVEL_4K)
		return r;

	opened = tdp_region_open(vcpu->kvm, fault, rcu_dereference(iter->sptep));
	return opened == RET_PF_SPURIOUS ? r : opened;
}

int tdp_map(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault, bool mmu_writable)
{
	struct tdp_iter iter;
	int r = RET_PF_RETRY;

	lockdep_assert_held_read(&vcpu->kvm->mmu_lock);

	level_choose(vcpu, fault);
	trace_kvm_mmu_spte_requested(fault);

	rcu_read_lock();
	if (tdp_reach_goal(vcpu, fault, &iter))
		r = fault->slot ? tdp_map_leaf(vcpu, fault, &iter, mmu_writable) :
				  tdp_map_mmio(vcpu, &iter);
	r = tdp_map_region(vcpu, fault, &iter, r);
	rcu_read_unlock();
	return r;
}

/* Walks without locks */

/* The end of a walk: an SPTE that has no table below. */
struct tdp_leaf {
	tdp_ptep_t sptep;
	u64 spte;
	int level;
};

/*
 * Each table is found by the present value of the link to it, and RCU keeps it until
 * the walk ends.  @sptes gets the values, unless it is NULL.
 */
static __always_inline struct tdp_leaf tdp_lookup(struct kvm_vcpu *vcpu, gpa_t gpa,
						  u64 *sptes)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	tdp_ptep_t table = (tdp_ptep_t)__va(mmu->root.hpa);
	struct tdp_leaf leaf;

	for (leaf.level = mmu->root_role.level; ; leaf.level--) {
		leaf.sptep = table + spte_index_of(gpa, leaf.level);
		leaf.spte = tdp_read(leaf.sptep);
		if (sptes)
			sptes[leaf.level] = leaf.spte;
		if (!spte_present_table(leaf.spte, leaf.level))
			return leaf;
		table = (tdp_ptep_t)spte_child_table(leaf.spte);
	}
}

bool tdp_reaches(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	return gfn < tdp_nr_gfns(vcpu->arch.mmu->root_role.level);
}

int tdp_walk(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *sptes, int *root_level)
{
	*root_level = vcpu->arch.mmu->root_role.level;
	if (!tdp_reaches(vcpu, gpa_to_gfn(gpa)))
		return -1;
	return tdp_lookup(vcpu, gpa, sptes).level;
}

u64 *tdp_walk_leaf(struct kvm_vcpu *vcpu, gfn_t gfn, u64 *spte)
{
	struct tdp_leaf leaf = tdp_lookup(vcpu, gfn_to_gpa(gfn), NULL);

	*spte = leaf.spte;
	return rcu_dereference(leaf.sptep);
}

/* Fault-around */

/* 64K, as the host's own faults do; and more, if the host's page is part of more. */
#define TDP_AROUND_MIN	16
#define TDP_AROUND_MAX	64

/*
 * No prefetch without A bits, which tell whether the guest has used a page; nor where a
 * page may be private or write-tracked, as that would have to be looked up for each.
 *
 * If no invalidation is in progress, none begins while mmu_lock is held: the pages that
 * the host has now may be mapped.
 */
static bool tdp_may_prefetch(struct kvm *kvm, const struct kvm_page_fault *fault)
{
	return fault->goal_level == PG_LEVEL_4K && fault->slot &&
	       mmu_ad_enabled() &&
	       !kvm_arch_has_private_mem(kvm) &&
	       !mmu_invalidate_retry(kvm, fault->mmu_seq) &&
	       !level_watched(kvm, fault->slot, fault->gfn);
}

/* How many pages, with that of the fault, are worth a look.  A power of two. */
static unsigned int tdp_around_nr(const struct kvm_page_fault *fault)
{
	unsigned int nr = fault->page ? folio_nr_pages(page_folio(fault->page)) : 1;

	return clamp(nr, TDP_AROUND_MIN, TDP_AROUND_MAX);
}

static int tdp_count_none(tdp_ptep_t sptep, int max)
{
	int n;

	for (n = 0; n < max; n++)
		if (tdp_read(sptep + n) != SPTE_NONE)
			break;
	return n;
}

/*
 * Map up to @nr pages from the walk's SPTE on, some at a time, and move the walk past
 * them.  Return: false if the host lacks one, present and writable.
 */
static bool tdp_prefetch_run(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			     struct tdp_iter *iter, int nr)
{
	struct spte_leaf_args args = tdp_leaf_args(vcpu->kvm, iter, slot, true);
	const int wanted = min(nr, TDP_AROUND_MIN);
	struct page *pages[TDP_AROUND_MIN];
	int got, i;

	args.host_writable = true;
	got = gfn_to_page_many_atomic(slot, iter->gfn, pages, wanted);
	for (i = 0; i < got; i++) {
		args.pfn = page_to_pfn(pages[i]);
		args.mmu_writable = mmu_knows_dirty(pages[i]);
		iter->old = SPTE_NONE;
		/* If it fails, another vCPU has just mapped the page. */
		if (!tdp_set_atomic(vcpu->kvm, iter, spte_make_leaf(vcpu, &args)))
			trace_kvm_mmu_set_spte(PG_LEVEL_4K, iter->gfn,
					       rcu_dereference(iter->sptep));
		put_page(pages[i]);
		args.gfn = ++iter->gfn;
		iter->sptep++;
	}
	return got == wanted;
}

/*
 * Prefetch from the walk's SPTE up to @end.  The first page that the host lacks ends it,
 * as the host likely lacks more.
 */
static void tdp_prefetch_up_to(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			       struct tdp_iter *iter, gfn_t end)
{
	int nr;

	while (iter->gfn < end) {
		nr = tdp_count_none(iter->sptep, end - iter->gfn);
		if (!nr) {
			iter->gfn++;
			iter->sptep++;
		} else if (!tdp_prefetch_run(vcpu, slot, iter, nr)) {
			return;
		}
	}
}

/* The @nr aligned neighbours of @gfn, as far as they are in @slot. */
static void tdp_prefetch_around(struct kvm_vcpu *vcpu,
				struct kvm_memory_slot *slot, gfn_t gfn, unsigned int nr)
{
	struct tdp_leaf leaf = tdp_lookup(vcpu, gfn_to_gpa(gfn), NULL);
	gfn_t first = round_down(gfn, nr);
	gfn_t end = min(first + nr, slot->base_gfn + slot->npages);
	struct tdp_iter iter;

	/* The fault's leaf was zapped since, with its table. */
	if (leaf.level != PG_LEVEL_4K)
		return;

	first = max(first, slot->base_gfn);
	iter.root = root_to_tdp(vcpu->arch.mmu->root.hpa);
	iter.as_id = slot->as_id;
	iter.level = PG_LEVEL_4K;
	iter.gfn = first;
	iter.sptep = leaf.sptep - (gfn - first);
	iter.yielded = false;
	tdp_prefetch_up_to(vcpu, slot, &iter, end);
}

void tdp_prefetch(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	lockdep_assert_held_read(&vcpu->kvm->mmu_lock);
	if (!tdp_may_prefetch(vcpu->kvm, fault))
		return;

	rcu_read_lock();
	tdp_prefetch_around(vcpu, fault->slot, fault->gfn, tdp_around_nr(fault));
	rcu_read_unlock();
}
