// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only stores to SPTEs of shadow paging, but for the cmpxchg of the fast page
 * fault, and the only ones to the gfn and the access that an entry stands for.
 *
 *  - A leaf is on the rmap of shadow_gfn(), and a link is on its child's list of
 *    parents, exactly as long as it is present.
 *  - An SPTE that the CPU or the fast page fault may change meanwhile
 *    (spte_volatile()) is exchanged atomically, and the exchanged value counts.
 *  - An entry's gfn changes only while its SPTE is not present, and after the lockless
 *    walks that found it present have ended, as they still read the gfn.
 *
 * mmu_lock is held for writing.
 */
#include <linux/kvm_host.h>

#include "mmu.h"
#include "shadow_internal.h"
#include "shadow_walk.h"

/* A list that is longer than this costs too much whenever it is walked. */
#define RMAP_RECYCLE_THRESHOLD 1000

/* Stores. */

/* For an SPTE that is not volatile: nobody else changes it. */
static void store_spte(u64 *sptep, u64 spte)
{
	KVM_MMU_WARN_ON(spte_causes_ve(spte));
	/* A table is filled, and its marks are set, before a lockless walk finds it. */
	smp_store_release(sptep, spte);
}

/* Replaces a present leaf, and returns what it was. */
static u64 exchange_spte(u64 *sptep, u64 spte)
{
	const u64 old = READ_ONCE(*sptep);

	if (!spte_volatile(old)) {
		store_spte(sptep, spte);
		return old;
	}

	KVM_MMU_WARN_ON(spte_causes_ve(spte));
	return xchg(sptep, spte);
}

/*
 * Tell the host's mm of A, if @spte lacks it and @old has it.  Of D it was told when M
 * was set (spte.h).
 */
static void give_accessed(u64 old, u64 spte)
{
	if (spte_accessed(old) && !spte_accessed(spte))
		kvm_set_pfn_accessed(spte_pfn(old));
}

/* KVM has no reference to a page that it maps: it is unmapped before it is freed. */
static void prove_page_in_use(u64 spte)
{
	struct page *page;

	if (!IS_ENABLED(CONFIG_KVM_PROVE_MMU))
		return;

	page = kvm_pfn_to_refcounted_page(spte_pfn(spte));
	WARN_ON_ONCE(page && !page_count(page));
}

/*
 * A fast page fault may have set the W that is lost just now, and not logged the gfn
 * yet.  With a bitmap it is logged here; with rings the fast page fault still does
 * it.  mark_page_dirty_in_slot() will not do: it is for the vCPU that this CPU has
 * loaded, which may be of another VM.
 */
static void log_lost_write(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	if (slot->dirty_bitmap)
		set_bit_le(gfn - slot->base_gfn, slot->dirty_bitmap);
}

/* Clear. */

/*
 * Clear a leaf, and return what it was.  Its caller takes it off its rmap; and gives A
 * to the host's mm, if the leaf goes alone, not with its table or its slot.
 */
static u64 drop_leaf(struct kvm *kvm, const struct kvm_memory_slot *slot,
		     struct kvm_mmu_page *sp, int index)
{
	const u64 old = exchange_spte(&sp->spt[index], SPTE_NONE);

	prove_page_in_use(old);
	kvm_update_page_stats(kvm, sp->role.level, -1);
	if (sp->translation && spte_writable(old))
		log_lost_write(slot, shadow_gfn(sp, index));
	return old;
}

static u64 clear_leaf(struct kvm *kvm, struct kvm_mmu_page *sp, int index)
{
	const gfn_t gfn = shadow_gfn(sp, index);
	const struct kvm_memory_slot *slot = shadow_slot(kvm, sp, gfn);
	const u64 old = drop_leaf(kvm, slot, sp, index);

	rmap_del(kvm, rmap_of(slot, gfn, sp->role.level), &sp->spt[index]);
	return old;
}

/* A nested guest's tables are many, and without parents hardly used again. */
static bool is_nested_orphan(const struct kvm_mmu_page *sp)
{
	return tdp_enabled && sp->role.guest_mode && !sp->parents.val &&
	       !sp->root_count;
}

static struct kvm_mmu_page *clear_link(struct kvm *kvm, u64 *sptep,
				       struct kvm_mmu_page *child)
{
	store_spte(sptep, SPTE_NONE);
	rmap_del(kvm, &child->parents, sptep);
	return child;
}

struct kvm_mmu_page *shadow_clear_entry(struct kvm *kvm, struct kvm_mmu_page *sp,
					int index, struct shadow_zap *zap)
{
	u64 *sptep = &sp->spt[index];
	const u64 spte = READ_ONCE(*sptep);

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (!spte_present(spte)) {
		if (spte != SPTE_NONE)
			store_spte(sptep, SPTE_NONE);
		return NULL;
	}

	zap->flush = true;
	if (!spte_leaf(spte, sp->role.level))
		return clear_link(kvm, sptep, table_to_sp(spte_child(spte)));

	give_accessed(clear_leaf(kvm, sp, index), SPTE_NONE);
	return NULL;
}

void shadow_clear(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
		  struct shadow_zap *zap)
{
	struct kvm_mmu_page *child = shadow_clear_entry(kvm, sp, index, zap);

	if (child && is_nested_orphan(child))
		shadow_page_zap(kvm, child, zap);
}

void shadow_clear_table(struct kvm *kvm, struct kvm_mmu_page *sp,
			struct shadow_zap *zap)
{
	u64 spte;
	int i;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++) {
		spte = READ_ONCE(sp->spt[i]);
		if (spte_present_leaf(spte, sp->role.level)) {
			clear_leaf(kvm, sp, i);
			zap->flush = true;
		} else if (spte != SPTE_NONE) {
			shadow_clear(kvm, sp, i, zap);
		}
	}
}

void shadow_clear_parents(struct kvm_mmu_page *sp, struct shadow_zap *zap)
{
	u64 *sptep;

	if (!sp->parents.val)
		return;

	for_each_rmap_spte(&sp->parents, sptep)
		store_spte(sptep, SPTE_NONE);

	rmap_clear(&sp->parents);
	zap->flush = true;
}

void shadow_clear_mmio(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	int i;

	lockdep_assert_held_write(&kvm->mmu_lock);

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		if (spte_is_mmio(kvm, READ_ONCE(sp->spt[i])))
			store_spte(&sp->spt[i], SPTE_NONE);
}

/* @alone: the host's mm is told of A. */
static __always_inline bool drop_list(struct kvm *kvm, struct kvm_rmap_head *head,
				      const struct kvm_memory_slot *slot, bool alone)
{
	u64 *sptep, old;

	lockdep_assert_held_write(&kvm->mmu_lock);

	if (rmap_empty(head))
		return false;

	for_each_rmap_spte(head, sptep) {
		old = drop_leaf(kvm, slot, sptep_to_sp(sptep), sptep_index(sptep));
		if (alone)
			give_accessed(old, SPTE_NONE);
	}
	rmap_clear(head);
	return true;
}

bool shadow_clear_rmap(struct kvm *kvm, struct kvm_rmap_head *head,
		       const struct kvm_memory_slot *slot)
{
	return drop_list(kvm, head, slot, true);
}

bool shadow_drop_rmap(struct kvm *kvm, struct kvm_rmap_head *head,
		      const struct kvm_memory_slot *slot)
{
	return drop_list(kvm, head, slot, false);
}

/* Set. */

/* Does a TLB flush wait for lockless walks?  By interrupts it does, by hypercalls not. */
static bool flush_waits_for_walks(void)
{
#if IS_ENABLED(CONFIG_HYPERV)
	return !kvm_x86_ops.flush_remote_tlbs;
#else
	return true;
#endif
}

/*
 * Store what the entry, which is not present now, is going to translate to.  Walks
 * without lock that saw it present may still log its old gfn, so wait for them first.
 * If it was present under an earlier hold of mmu_lock, the flush at the end of that
 * hold has waited for them, unless it was a hypercall.
 */
static void set_translation(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
			    gfn_t gfn, unsigned int access,
			    struct shadow_zap *zap)
{
	if (shadow_gfn(sp, index) != gfn &&
	    (zap->flush || !flush_waits_for_walks()))
		shadow_wait_for_walks(kvm);

	WRITE_ONCE(sp->translation[index], FIELD_PREP(SHADOW_TR_GFN, gfn) |
					   FIELD_PREP(SHADOW_TR_ACCESS, access));
}

static void add_leaf_to_rmap(struct kvm *kvm, struct kvm_mmu_memory_cache *cache,
			     const struct kvm_memory_slot *slot,
			     struct kvm_mmu_page *sp, int index, gfn_t gfn,
			     struct shadow_zap *zap)
{
	struct kvm_rmap_head *head = rmap_of(slot, gfn, sp->role.level);
	unsigned int count;

	if (sp->role.level == PG_LEVEL_4K)
		rmap_mark_below(slot, gfn);
	count = rmap_add(cache, head, &sp->spt[index]);

	kvm_update_page_stats(kvm, sp->role.level, 1);
	if (count > kvm->stat.max_mmu_rmap_size)
		kvm->stat.max_mmu_rmap_size = count;

	/* Empty the list: what is still in use is mapped again by faults. */
	if (unlikely(count > RMAP_RECYCLE_THRESHOLD))
		zap->flush |= shadow_clear_rmap(kvm, head, slot);
}

bool shadow_maps(const struct kvm_mmu_page *sp, int index, gfn_t gfn, kvm_pfn_t pfn)
{
	const u64 spte = READ_ONCE(sp->spt[index]);

	return spte_present_leaf(spte, sp->role.level) && spte_pfn(spte) == pfn &&
	       shadow_gfn(sp, index) == gfn;
}

/* Other rights, or another A or D, for a page that is mapped already. */
static bool change_leaf(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
			unsigned int access, u64 spte, struct shadow_zap *zap)
{
	u64 *sptep = &sp->spt[index];

	shadow_set_access(sp, index, access);
	if (READ_ONCE(*sptep) == spte)
		return false;

	zap->flush |= shadow_update(kvm, sptep, spte);
	return true;
}

bool shadow_set_leaf(struct kvm *kvm, struct kvm_mmu_memory_cache *cache,
		     const struct kvm_memory_slot *slot, struct kvm_mmu_page *sp,
		     int index, gfn_t gfn, unsigned int access, u64 spte,
		     struct shadow_zap *zap)
{
	u64 *sptep = &sp->spt[index];

	lockdep_assert_held_write(&kvm->mmu_lock);
	KVM_MMU_WARN_ON(!spte_present_leaf(spte, sp->role.level));

	/* A direct page does not store gfns: the rmap could not be found again. */
	if (!sp->translation && KVM_BUG_ON(gfn != shadow_gfn(sp, index), kvm))
		return false;

	if (shadow_maps(sp, index, gfn, spte_pfn(spte)))
		return change_leaf(kvm, sp, index, access, spte, zap);

	if (READ_ONCE(*sptep) != SPTE_NONE)
		shadow_clear(kvm, sp, index, zap);
	if (sp->translation)
		set_translation(kvm, sp, index, gfn, access, zap);
	else
		KVM_MMU_WARN_ON(access != sp->role.access);

	KVM_MMU_WARN_ON(spte_causes_ve(spte));
	spte_check_writable(spte);
	/* After the translation; pairs with shadow_sptep_gfn(). */
	smp_store_release(sptep, spte);
	add_leaf_to_rmap(kvm, cache, slot, sp, index, gfn, zap);
	return true;
}

void shadow_set_mmio(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
		     u64 spte, struct shadow_zap *zap)
{
	KVM_MMU_WARN_ON(!spte_is_mmio(kvm, spte));

	shadow_clear(kvm, sp, index, zap);
	store_spte(&sp->spt[index], spte);
}

void shadow_link(struct kvm *kvm, struct kvm_mmu_memory_cache *cache,
		 struct kvm_mmu_page *sp, int index, struct kvm_mmu_page *child,
		 struct shadow_zap *zap)
{
	u64 *sptep = &sp->spt[index];

	shadow_clear(kvm, sp, index, zap);

	/* A ZAPPED page has its links cut already: this one would stay. */
	if (KVM_BUG_ON(child->state == SP_ZAPPED ||
		       child->role.level + 1 != sp->role.level, kvm))
		return;

	store_spte(sptep, spte_make_table(child->spt, child->role.ad_disabled));
	rmap_add(cache, &child->parents, sptep);

	/* What is below was synced by the caller: only @child itself may be unsync. */
	if (WARN_ON_ONCE(child->unsync_children) || child->unsync)
		shadow_mark_unsync_child(sptep);
}

struct kvm_mmu_page *shadow_child(struct kvm_mmu_page *sp, int index, gfn_t gfn,
				  union kvm_mmu_page_role role)
{
	const u64 spte = READ_ONCE(sp->spt[index]);
	struct kvm_mmu_page *child;

	if (!spte_present_table(spte, sp->role.level))
		return NULL;

	child = table_to_sp(spte_child(spte));
	return child->gfn == gfn && child->role.word == role.word ? child : NULL;
}

/* Update. */

bool shadow_update(struct kvm *kvm, u64 *sptep, u64 spte)
{
	u64 old;

	KVM_MMU_WARN_ON(!spte_present(spte));
	spte_check_writable(spte);

	old = exchange_spte(sptep, spte);
	KVM_MMU_WARN_ON(!spte_present(old) || spte_pfn(old) != spte_pfn(spte));

	give_accessed(old, spte);
	if (spte_mmu_writable(old) && !spte_mmu_writable(spte))
		mmu_owe_flush(kvm);
	/* M counts too: a CPU may have cached W before it was cleared. */
	return spte_loses_write(old, spte);
}

bool shadow_clear_accessed(u64 *sptep)
{
	const u64 spte = READ_ONCE(*sptep);

	if (!spte_accessed(spte))
		return false;

	if (spte_has_ad(spte)) {
		clear_bit(__ffs(spte_fmt.accessed), (unsigned long *)sptep);
		return true;
	}

	exchange_spte(sptep, spte_make_old(spte));
	return true;
}

bool shadow_clear_writable(u64 *sptep)
{
	return test_and_clear_bit(PT_WRITABLE_SHIFT, (unsigned long *)sptep);
}

void shadow_set_access(struct kvm_mmu_page *sp, int index, unsigned int access)
{
	u64 translation;

	if (!sp->translation) {
		KVM_MMU_WARN_ON(access != sp->role.access);
		return;
	}

	translation = sp->translation[index] & ~SHADOW_TR_ACCESS;
	translation |= FIELD_PREP(SHADOW_TR_ACCESS, access);
	WRITE_ONCE(sp->translation[index], translation);
}
