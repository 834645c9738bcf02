// SPDX-License-Identifier: GPL-2.0-only
/*
 * Huge pages of shadow paging: split before dirty logging needs it, and made
 * possible again afterwards.
 *
 * Only pages of nested guests, above direct paging, are split.  A split takes memory
 * from caches of the VM, which slots_lock protects.  They are filled with mmu_lock let
 * go, and what was read of a list before that is void.
 */
#include <linux/kvm_host.h>

#include "level.h"
#include "mmu.h"
#include "mmutrace.h"
#include "shadow_internal.h"

/* One split may need a block for the rmap of each piece, and for the table's parents. */
#define SPLIT_RMAP_BLOCKS	SPLIT_DESC_CACHE_MIN_NR_OBJECTS

/* Time to let go of mmu_lock: for others, or because the memory is used up. */
static bool split_must_pause(struct kvm *kvm)
{
	return need_resched() || rwlock_needbreak(&kvm->mmu_lock) ||
	       kvm->arch.split_desc_cache.nobjs < SPLIT_RMAP_BLOCKS ||
	       !kvm->arch.split_page_header_cache.nobjs ||
	       !kvm->arch.split_shadow_page_cache.nobjs;
}

/*
 * Blocks are needed only for gfns that are mapped more than once, which is rare.  A few
 * spare ones save a pause for each of these.
 */
static int split_fill_caches(struct kvm *kvm)
{
	const int capacity = SPLIT_RMAP_BLOCKS + KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE;
	struct kvm_arch *arch = &kvm->arch;
	int r;

	lockdep_assert_held(&kvm->slots_lock);

	r = __kvm_mmu_topup_memory_cache(&arch->split_desc_cache, capacity,
					 SPLIT_RMAP_BLOCKS);
	if (!r)
		r = kvm_mmu_topup_memory_cache(&arch->split_page_header_cache, 1);
	if (!r)
		r = kvm_mmu_topup_memory_cache(&arch->split_shadow_page_cache, 1);
	return r;
}

/* Return: -EAGAIN, as mmu_lock was let go; or -ENOMEM. */
static int split_pause(struct kvm *kvm)
{
	int r;

	write_unlock(&kvm->mmu_lock);
	cond_resched();
	r = split_fill_caches(kvm);
	write_lock(&kvm->mmu_lock);

	return r ?: -EAGAIN;
}

static struct kvm_mmu_page *split_table(struct kvm *kvm, struct kvm_mmu_page *sp,
					int index)
{
	const struct shadow_caches caches = {
		.header = &kvm->arch.split_page_header_cache,
		.table = &kvm->arch.split_shadow_page_cache,
	};
	union kvm_mmu_page_role role;

	/* The pieces of a huge page are linear, whatever @sp shadows. */
	role = shadow_child_role(sp, index, true, shadow_access(sp, index));

	return shadow_page_get_direct(kvm, &caches, shadow_gfn(sp, index), role);
}

/*
 * Map all pieces of @huge that @table does not map yet.  The table may be an older one,
 * made for the same huge page at another place: as it is direct, it maps the same.
 *
 * Return: false if @table may allow less than @huge: it links to tables of its own,
 * which may lack pages, or a piece lacks W.
 */
static bool fill_table(struct kvm *kvm, const struct kvm_memory_slot *slot,
		       struct kvm_mmu_page *table, u64 huge, struct shadow_zap *zap)
{
	bool as_huge = true;
	u64 spte;
	int i;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++) {
		spte = READ_ONCE(table->spt[i]);
		if (spte_present(spte)) {
			as_huge &= spte_leaf(spte, table->role.level) &&
				   spte_writable(spte) >= spte_writable(huge);
			continue;
		}
		spte = spte_make_split(kvm, huge, table->role, i);
		shadow_set_leaf(kvm, &kvm->arch.split_desc_cache, slot, table, i,
				shadow_gfn(table, i), table->role.access, spte, zap);
	}
	return as_huge;
}

/*
 * No flush is needed if the table allows all that the huge page did: whoever takes a
 * piece away later, or W from one, flushes then.  But what an older table lacks already,
 * TLBs may have of the huge page, and nobody flushes for it later.
 */
static void split_leaf(struct kvm *kvm, const struct kvm_memory_slot *slot,
		       struct kvm_mmu_page *sp, int index)
{
	struct shadow_zap zap = {}, huge_zap = {};
	struct kvm_mmu_page *table = split_table(kvm, sp, index);
	const u64 huge = READ_ONCE(sp->spt[index]);
	const bool as_huge = fill_table(kvm, slot, table, huge, &zap);

	shadow_link(kvm, &kvm->arch.split_desc_cache, sp, index, table, &huge_zap);
	zap.flush |= huge_zap.flush && !as_huge;
	shadow_zap_finish(kvm, &zap);
}

/*
 * Return: 0; -EAGAIN if mmu_lock was let go; -ENOSPC or -ENOMEM if splitting has
 * to end.
 */
static int try_split(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     struct kvm_mmu_page *sp, int index)
{
	/* Read now, for the tracepoint: split_pause() may let go of mmu_lock. */
	const gfn_t gfn = shadow_gfn(sp, index);
	const u64 huge = READ_ONCE(sp->spt[index]);
	const int level = sp->role.level;
	int r = 0;

	if (shadow_quota_left(kvm) <= KVM_MIN_FREE_MMU_PAGES)
		r = -ENOSPC;
	else if (split_must_pause(kvm))
		r = split_pause(kvm);
	else
		split_leaf(kvm, slot, sp, index);

	trace_kvm_mmu_split_huge_page(gfn, huge, level, r);
	return r;
}

/* Only leaves of nested guests are on a list of huge pages. */
static bool can_split(u64 *sptep)
{
	const struct kvm_mmu_page *sp = sptep_to_sp(sptep);

	return !WARN_ON_ONCE(!sp->role.guest_mode || sp->unsync ||
			     sp->state == SP_ZAPPED ||
			     !spte_huge(READ_ONCE(*sptep)));
}

static u64 *first_to_split(struct kvm_rmap_head *head)
{
	u64 *sptep;

	for_each_rmap_spte(head, sptep)
		if (can_split(sptep))
			return sptep;

	return NULL;
}

/* The list is read anew each time: a split shortens it, a pause may change it. */
static bool split_list(struct kvm *kvm, struct kvm_rmap_head *head,
		       const struct kvm_memory_slot *slot)
{
	u64 *sptep;
	int r;

	do {
		sptep = first_to_split(head);
		if (!sptep)
			break;
		r = try_split(kvm, slot, sptep_to_sp(sptep), sptep_index(sptep));
	} while (!r || r == -EAGAIN);

	return false;
}

void shadow_split_range(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t start, gfn_t end, int target_level)
{
	struct shadow_rmap_walk walk = {
		.slot = slot,
		.start = start,
		.end = end,
		.can_yield = true,
	};
	int level;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* From the top: the pieces are split again, down to the target. */
	for (level = KVM_MAX_HUGEPAGE_LEVEL; level > target_level; level--) {
		walk.min_level = level;
		walk.max_level = level;
		shadow_rmap_walk(kvm, &walk, split_list);
	}
}

/*
 * May a huge page map @gfn, the first one of a table?  Not if the table begins before the
 * slot: then level_max() must not be asked, as it would look beyond the slot's arrays.
 */
static bool may_be_huge(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn,
			int table_level)
{
	return is_gfn_in_memslot(slot, gfn) &&
	       level_max(kvm, slot, gfn, PG_LEVEL_NUM) > table_level;
}

/* Asked once for all 4K pages of a table: the host's page table has to be read. */
static bool has_to_recover(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return may_be_huge(kvm, slot, gfn_round_for_level(gfn, PG_LEVEL_2M), PG_LEVEL_4K);
}

/*
 * Could a huge page stand in the place of @sp?  Not if it shadows a table of the guest.
 * Of tables of 4K pages, has_to_recover() has chosen those where the host has one.
 */
static bool can_be_huge(struct kvm *kvm, const struct kvm_memory_slot *slot,
			const struct kvm_mmu_page *sp)
{
	return sp->role.direct &&
	       (sp->role.level == PG_LEVEL_4K ||
		may_be_huge(kvm, slot, sp->gfn, sp->role.level));
}

static u64 *first_to_recover(struct kvm *kvm, struct kvm_rmap_head *head,
			     const struct kvm_memory_slot *slot)
{
	u64 *sptep;

	for_each_rmap_spte(head, sptep)
		if (can_be_huge(kvm, slot, sptep_to_sp(sptep)))
			return sptep;

	return NULL;
}

static bool recover_list(struct kvm *kvm, struct kvm_rmap_head *head,
			 const struct kvm_memory_slot *slot)
{
	struct shadow_zap zap = {};
	u64 *sptep;

	while ((sptep = first_to_recover(kvm, head, slot)))
		shadow_clear(kvm, sptep_to_sp(sptep), sptep_index(sptep), &zap);

	return zap.flush;
}

void shadow_recover_huge(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	/* No huge page could take the place of a table of the highest level. */
	const struct shadow_rmap_walk walk = {
		.slot = slot,
		.start = slot->base_gfn,
		.end = slot->base_gfn + slot->npages,
		.min_level = PG_LEVEL_4K,
		.max_level = KVM_MAX_HUGEPAGE_LEVEL - 1,
		.wants_4k = has_to_recover,
		.can_yield = true,
		.flush_on_yield = true,
	};

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (shadow_rmap_walk(kvm, &walk, recover_list))
		kvm_flush_remote_tlbs_memslot(kvm, slot);
}
