// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow paging: from a fault to a mapping.
 *
 * A fault goes down from the root in two stretches.  The first follows the
 * guest's tables: each gets its shadow page, and only then the gPTE that leads
 * on is compared with what the fault's walk had read, because from then on no
 * write to it goes unseen.  The second begins where the guest's tables end, or at
 * the root for a guest without paging: it makes direct tables, down to the level
 * that the host allows, and the leaf.
 *
 * Faults hold mmu_lock for writing, and flush once, at their end, but for what a step
 * needs at once.
 */
#include <linux/kvm_host.h>

#include "guest_walk.h"
#include "level.h"
#include "mmio.h"
#include "mmu.h"
#include "mmutrace.h"
#include "nx_huge_page.h"
#include "shadow_internal.h"
#include "shadow_walk.h"

/**
 * struct shadow_map - a fault on its way down
 * @vcpu: the vCPU
 * @fault: the fault
 * @iter: the entry that it has come to
 * @zap: what is to be flushed and freed at its end
 */
struct shadow_map {
	struct kvm_vcpu *vcpu;
	struct kvm_page_fault *fault;
	struct shadow_iter iter;
	struct shadow_zap zap;
};

/**
 * struct shadow_leaf - a page on its way into an entry: of a fault or a prefetch
 * @slot: of @gfn; NULL for MMIO
 * @gfn: the first gfn that the entry maps
 * @pfn: of @gfn
 * @page: of @pfn, kept by a reference; NULL if it has none
 * @access: ACC_* that the guest's tables grant
 * @host_writable: the host lets the page be written
 * @write: the guest waits to write it
 * @prefetch: the guest does not wait for it
 */
struct shadow_leaf {
	const struct kvm_memory_slot *slot;
	gfn_t gfn;
	kvm_pfn_t pfn;
	struct page *page;
	unsigned int access;
	bool host_writable;
	bool write;
	bool prefetch;
};

/* Leaves. */

/*
 * May the entry be writable?  If it is already, for the same gfn, then all pages that
 * shadow the gfn are unsync, and need not be looked up.
 */
static bool leaf_may_write(struct kvm *kvm, const struct kvm_mmu_page *sp,
			   int index, const struct shadow_leaf *leaf)
{
	const u64 old = READ_ONCE(sp->spt[index]);

	if (spte_present_leaf(old, sp->role.level) && spte_writable(old) &&
	    shadow_gfn(sp, index) == leaf->gfn)
		return true;
	/* A prefetch must not make the page dirty for the host. */
	if (leaf->prefetch && !mmu_knows_dirty(leaf->page))
		return false;

	return !shadow_try_unsync(kvm, leaf->slot, leaf->gfn, true,
				  leaf->prefetch);
}

static int set_mmio(struct shadow_map *map, struct kvm_mmu_page *sp, int index,
		    const struct shadow_leaf *leaf)
{
	struct kvm_vcpu *vcpu = map->vcpu;
	const u64 gen = READ_ONCE(kvm_vcpu_memslots(vcpu)->generation);
	const u64 spte = mmio_make_spte(vcpu->kvm, gen, leaf->gfn, leaf->access);

	vcpu->stat.pf_mmio_spte_created++;
	trace_mark_mmio_spte(&sp->spt[index], leaf->gfn, spte);
	shadow_set_mmio(vcpu->kvm, sp, index, spte, &map->zap);
	return RET_PF_EMULATE;
}

/* Return: RET_PF_*. */
static int set_page(struct shadow_map *map, struct kvm_mmu_page *sp, int index,
		    const struct shadow_leaf *leaf)
{
	struct kvm_vcpu *vcpu = map->vcpu;
	struct kvm *kvm = vcpu->kvm;
	const bool writable = leaf->host_writable &&
			      (leaf->access & ACC_WRITE_MASK);
	struct spte_leaf_args args = {
		.gfn = leaf->gfn,
		.pfn = leaf->pfn,
		.level = sp->role.level,
		.role = sp->role,
		.access = leaf->access,
		.nx_huge = nx_huge_page_enabled(kvm),
		.host_writable = leaf->host_writable,
		.prefetch = leaf->prefetch,
		/* A page that nobody writes to must not enter the dirty log. */
		.trap_write = leaf->prefetch &&
			      kvm_slot_dirty_track_enabled(leaf->slot),
	};
	int ret = RET_PF_SPURIOUS;
	u64 spte;

	/* A prefetch leaves alone what is mapped: that may be newer. */
	if (leaf->prefetch && shadow_maps(sp, index, leaf->gfn, leaf->pfn))
		return ret;

	args.mmu_writable = writable && leaf_may_write(kvm, sp, index, leaf);
	spte = spte_make_leaf(vcpu, &args);
	if (spte_mmu_writable(spte) && !leaf->prefetch)
		mmu_tell_dirty(leaf->page);
	if (spte_writable(spte) && kvm_slot_dirty_track_enabled(leaf->slot)) {
		/* The log is of 4K pages: level_choose() has seen to that. */
		WARN_ON_ONCE(args.level > PG_LEVEL_4K);
		mark_page_dirty_in_slot(kvm, leaf->slot, leaf->gfn);
	}

	if (shadow_set_leaf(kvm, &vcpu->arch.mmu_pte_list_desc_cache, leaf->slot,
			    sp, index, leaf->gfn, leaf->access, spte, &map->zap)) {
		trace_kvm_mmu_set_spte(args.level, leaf->gfn, &sp->spt[index]);
		ret = RET_PF_FIXED;
	}

	if (leaf->write && writable && !args.mmu_writable)
		ret = RET_PF_WRITE_PROTECTED;
	return ret;
}

static int map_leaf(struct shadow_map *map)
{
	const struct kvm_page_fault *fault = map->fault;
	const struct shadow_iter *iter = &map->iter;
	const struct shadow_leaf leaf = {
		.slot = fault->slot,
		.gfn = gfn_round_for_level(fault->gfn, iter->level),
		.pfn = fault->pfn,
		.page = fault->page,
		.access = fault->access,
		.host_writable = fault->map_writable,
		.write = fault->write,
		.prefetch = fault->prefetch,
	};
	struct kvm_mmu_page *sp = to_sp(iter->table);

	if (unlikely(!leaf.slot))
		return set_mmio(map, sp, iter->index, &leaf);

	return set_page(map, sp, iter->index, &leaf);
}

/* Prefetch: what lies in the same cache line of the table. */

static struct kvm_memory_slot *prefetch_slot(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn);

	if (!slot || slot->flags & KVM_MEMSLOT_INVALID || kvm_slot_is_going(slot))
		return NULL;

	return slot;
}

/* Map @nr entries from @index on.  Return: false to stop, as others would fail, too. */
static bool prefetch_run(struct shadow_map *map, struct kvm_mmu_page *sp,
			 int index, int nr)
{
	struct page *pages[MMU_PREFETCH_NR];
	struct kvm_memory_slot *slot;
	struct shadow_leaf leaf = {
		.gfn = shadow_gfn(sp, index),
		.access = sp->role.access,
		.host_writable = true,
		.prefetch = true,
	};
	int i, pinned;

	slot = prefetch_slot(map->vcpu, leaf.gfn);
	if (!slot)
		return false;

	pinned = gfn_to_page_many_atomic(slot, leaf.gfn, pages, nr);
	leaf.slot = slot;
	for (i = 0; i < pinned; i++) {
		leaf.page = pages[i];
		leaf.pfn = page_to_pfn(pages[i]);
		set_page(map, sp, index + i, &leaf);
		put_page(pages[i]);
		leaf.gfn++;
	}
	return pinned > 0;
}

/* Nothing to do at an entry: it is mapped, or the fault's own (maybe MMIO). */
static bool prefetch_skips(const struct shadow_map *map,
			   const struct kvm_mmu_page *sp, int index)
{
	return index == map->iter.index ||
	       spte_present(READ_ONCE(sp->spt[index]));
}

static void prefetch_direct(struct shadow_map *map, struct kvm_mmu_page *sp)
{
	int index = round_down(map->iter.index, MMU_PREFETCH_NR);
	const int end = index + MMU_PREFETCH_NR;
	int nr;

	for (; index < end; index += nr + 1) {
		nr = 0;
		while (index + nr < end && !prefetch_skips(map, sp, index + nr))
			nr++;
		if (nr && !prefetch_run(map, sp, index, nr))
			return;
	}
}

static bool prefetch_gpte(struct shadow_map *map, struct kvm_mmu_page *sp,
			  int index, u64 gpte)
{
	struct kvm_vcpu *vcpu = map->vcpu;
	struct shadow_leaf leaf = { .host_writable = true, .prefetch = true };
	struct guest_leaf guest;

	if (!guest_decode_leaf(vcpu->arch.mmu, gpte, sp->role.access, &guest) ||
	    spte_would_be_none(guest.access))
		return false;

	leaf.slot = prefetch_slot(vcpu, guest.gfn);
	if (!leaf.slot)
		return false;

	leaf.pfn = gfn_to_pfn_memslot_atomic(leaf.slot, guest.gfn);
	if (is_error_noslot_pfn(leaf.pfn))
		return false;

	leaf.page = kvm_pfn_to_refcounted_page(leaf.pfn);
	leaf.gfn = guest.gfn;
	leaf.access = guest.access;
	set_page(map, sp, index, &leaf);
	if (leaf.page)
		put_page(leaf.page);
	return true;
}

static void prefetch_indirect(struct shadow_map *map, struct kvm_mmu_page *sp,
			      const u64 *gptes)
{
	const int first = round_down(map->iter.index, MMU_PREFETCH_NR);
	int i;

	for (i = 0; i < MMU_PREFETCH_NR; i++) {
		if (prefetch_skips(map, sp, first + i))
			continue;
		if (!prefetch_gpte(map, sp, first + i, gptes[i]))
			return;
	}
}

/* @ret: of the fault's own leaf.  @gptes: of gpte_line_changed(), for a 4K gPTE. */
static void prefetch_around(struct shadow_map *map, int ret, const u64 *gptes)
{
	struct kvm_mmu_page *sp;

	if (ret < 0 || ret == RET_PF_SPURIOUS)
		return;

	/* Each gfn may be private, which only faults look up. */
	if (kvm_arch_has_private_mem(map->vcpu->kvm))
		return;

	/* A page that is being invalidated must not be mapped: leave that to faults. */
	if (unlikely(map->vcpu->kvm->mmu_invalidate_in_progress))
		return;

	sp = to_sp(map->iter.table);
	if (sp->role.level > PG_LEVEL_4K)
		return;

	if (sp->role.direct)
		prefetch_direct(map, sp);
	else
		prefetch_indirect(map, sp, gptes);
}

/* Faults. */

static void link_child(struct shadow_map *map, struct kvm_mmu_page *sp,
		       struct kvm_mmu_page *child)
{
	struct kvm_vcpu *vcpu = map->vcpu;

	shadow_link(vcpu->kvm, &vcpu->arch.mmu_pte_list_desc_cache, sp,
		    map->iter.index, child, &map->zap);
}

/* A table below a guest's huge page, or for a guest without paging. */
static void link_direct(struct shadow_map *map)
{
	const struct shadow_iter *iter = &map->iter;
	struct kvm_page_fault *fault = map->fault;
	struct kvm_mmu_page *sp = to_sp(iter->table);
	const gfn_t gfn = gfn_round_for_level(fault->gfn, iter->level);
	union kvm_mmu_page_role role;
	struct kvm_mmu_page *child;

	role = shadow_child_role(sp, iter->index, true, fault->access);
	if (shadow_child(sp, iter->index, gfn, role))
		return;

	child = shadow_page_get(map->vcpu, gfn, role);
	link_child(map, sp, child);

	if (!fault->huge_page_disallowed)
		return;

	child->nx_huge_page_disallowed = true;
	if (fault->req_level >= iter->level)
		nx_huge_page_track(map->vcpu->kvm, &child->table);
}

/* From where the guest's tables end to the page. */
static int map_linear(struct shadow_map *map)
{
	struct kvm_page_fault *fault = map->fault;
	struct shadow_iter *iter = &map->iter;

	level_choose(map->vcpu, fault);
	trace_kvm_mmu_spte_requested(fault);

	while (shadow_iter_ok(iter)) {
		/* A table may be there for executable pages: then step below it. */
		if (fault->nx_mitigation)
			level_step_down(fault, READ_ONCE(*iter->sptep),
					iter->level);

		if (iter->level == fault->goal_level)
			return map_leaf(map);

		link_direct(map);
		shadow_iter_next(iter, READ_ONCE(*iter->sptep));
	}

	/* There is no root, or a link was not stored. */
	WARN_ON_ONCE(1);
	return -EFAULT;
}

int shadow_map_direct(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault)
{
	struct shadow_map map = { .vcpu = vcpu, .fault = fault };
	int ret;

	lockdep_assert_held_write(&vcpu->kvm->mmu_lock);

	shadow_iter_start(&map.iter, vcpu, vcpu->arch.mmu->root.hpa, fault->addr);
	ret = map_linear(&map);
	prefetch_around(&map, ret, NULL);

	shadow_zap_finish(vcpu->kvm, &map.zap);
	return ret;
}

/* guest_gpte_changed() for a 4K gPTE; reads its neighbours, too, for the prefetch. */
static bool gpte_line_changed(struct kvm_vcpu *vcpu, const struct guest_walk *walk,
			      u64 *gptes)
{
	const int shift = guest_gpte_shift(vcpu->arch.mmu);
	const gpa_t gpa = walk->gpte_gpa[0];
	const gpa_t line = round_down(gpa, MMU_PREFETCH_NR << shift);

	return guest_read_gptes(vcpu, line, gptes, MMU_PREFETCH_NR) ||
	       gptes[(gpa - line) >> shift] != walk->gpte[0];
}

/* Has the gPTE of @level changed since the walk?  Fills @gptes if @level is 4K. */
static bool gpte_changed(struct kvm_vcpu *vcpu, const struct guest_walk *walk,
			 int level, u64 *gptes)
{
	return level > PG_LEVEL_4K ? guest_gpte_changed(vcpu, walk, level) :
				     gpte_line_changed(vcpu, walk, gptes);
}

/*
 * Link the shadow page of the guest's table that the current entry leads to.  It is
 * synced before: CPUs do not cache what is not present, so the guest makes a gPTE present
 * without a flush, and the new link must not lead to what was there before.
 *
 * Return: false if something changed, and the fault has to start over.
 */
static bool link_indirect(struct shadow_map *map, const struct guest_walk *walk,
			  u64 *gptes)
{
	const struct shadow_iter *iter = &map->iter;
	const int level = iter->level - 1;
	const gfn_t gfn = walk->table_gfn[level - 1];
	struct kvm_mmu_page *sp = to_sp(iter->table);
	struct kvm_mmu_page *child = NULL;
	union kvm_mmu_page_role role;

	role = shadow_child_role(sp, iter->index, false,
				 walk->table_access[level - 1]);

	if (!shadow_child(sp, iter->index, gfn, role)) {
		child = shadow_page_get(map->vcpu, gfn, role);
		if (!child)
			return false;
		if (child->unsync_children &&
		    shadow_sync_children(map->vcpu, child, false))
			return false;
	}

	/* If the child was linked already, too: that may have been after the walk. */
	if (gpte_changed(map->vcpu, walk, level, gptes))
		return false;

	if (child)
		link_child(map, sp, child);

	if (map->fault->write && gfn == map->fault->gfn)
		map->fault->self_map_write = true;
	return true;
}

static bool link_guest_tables(struct shadow_map *map,
			      const struct guest_walk *walk, u64 *gptes)
{
	struct shadow_iter *iter = &map->iter;

	while (shadow_iter_ok(iter)) {
		shadow_forget_writes(to_sp(iter->table));
		if (iter->level == walk->level)
			break;
		if (!link_indirect(map, walk, gptes))
			return false;
		shadow_iter_next(iter, READ_ONCE(*iter->sptep));
	}
	return true;
}

/* Is there a root, and has the gPTE that the walk began with not changed? */
static bool root_usable(struct kvm_vcpu *vcpu, const struct shadow_iter *iter,
			const struct guest_walk *walk)
{
	/*
	 * A slot was created, since the roots were loaded, for the guest's root
	 * or for the table that a PDPTE links to.
	 */
	if (unlikely(!iter->level)) {
		kvm_make_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu);
		return false;
	}

	return !guest_gpte_changed(vcpu, walk, walk->top_level);
}

int shadow_map_indirect(struct kvm_vcpu *vcpu, struct kvm_page_fault *fault,
			const struct guest_walk *walk)
{
	struct shadow_map map = { .vcpu = vcpu, .fault = fault };
	u64 gptes[MMU_PREFETCH_NR] __uninitialized;
	int ret = RET_PF_RETRY;

	lockdep_assert_held_write(&vcpu->kvm->mmu_lock);
	WARN_ON_ONCE(walk->gfn != fault->gfn);

	shadow_iter_start(&map.iter, vcpu, vcpu->arch.mmu->root.hpa, fault->addr);
	if (!root_usable(vcpu, &map.iter, walk))
		return RET_PF_RETRY;

	if (link_guest_tables(&map, walk, gptes)) {
		/* After the tables are shadowed: no huge page may hold one of them. */
		ret = map_linear(&map);
		prefetch_around(&map, ret, gptes);
	}

	shadow_zap_finish(vcpu->kvm, &map.zap);
	return ret;
}
