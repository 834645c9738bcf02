// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow pages: found by their key or made, zapped and freed.
 *
 * From when it is made until it is zapped, a page is in the hash by gfn and on
 * active_mmu_pages, newest first, and counts for the quota.  A page with gPTEs is also
 * in the index by gfn, and its gfn is watched: KVM sees every write to it, or the page
 * is unsync.
 *
 * shadow_page_zap() ends all that at once.  The memory is freed later: when lockless
 * walks have ended (shadow_zap_finish()), and no vCPU has the page as a root.
 */
#include <linux/kvm_host.h>
#include <linux/list.h>
#include <linux/rbtree.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "level.h"
#include "mmu.h"
#include "mmutrace.h"
#include "nx_huge_page.h"
#include "page_track.h"
#include "shadow_internal.h"
#include "shadow_walk.h"

/* With more links to a page than this, it takes too long to find one of them. */
#define MAX_PARENTS	1000

struct kmem_cache *mmu_page_header_cache;
struct hlist_head shadow_no_pages;

/* The index by gfn. */

static u64 index_key(int as_id, gfn_t gfn)
{
	return (u64)as_id << 52 | gfn;
}

static u64 sp_index_key(const struct rb_node *node)
{
	const struct kvm_mmu_page *sp;

	sp = rb_entry(node, struct kvm_mmu_page, gfn_node);
	return index_key(role_as_id(sp->role), sp->gfn);
}

static bool index_less(struct rb_node *a, const struct rb_node *b)
{
	return sp_index_key(a) < sp_index_key(b);
}

struct index_range {
	u64 start;
	u64 end;
};

static int index_cmp(const void *key, const struct rb_node *node)
{
	const struct index_range *range = key;
	const u64 node_key = sp_index_key(node);

	if (node_key < range->start)
		return 1;
	return node_key < range->end ? 0 : -1;
}

static struct kvm_mmu_page *index_first(struct kvm *kvm,
					const struct index_range *range)
{
	struct rb_node *node;

	node = rb_find_first(range, &kvm->arch.shadow_pages_by_gfn, index_cmp);
	return rb_entry_safe(node, struct kvm_mmu_page, gfn_node);
}

/* Watching the tables that pages shadow. */

/*
 * The guest uses @gfn as a table of a higher level now, which is never unsync.  So zap
 * its unsync pages of level 1: they are hardly of use any more.
 */
static void zap_unsync_of(struct kvm *kvm, gfn_t gfn)
{
	struct shadow_zap zap = {};
	struct kvm_mmu_page *sp;
	struct hlist_node *next;

	/* No other page is zapped with one of level 1: @next stays good. */
	hlist_for_each_entry_safe(sp, next, shadow_bucket(kvm, gfn), hash_link)
		if (sp->gfn == gfn && sp->unsync)
			shadow_page_zap(kvm, sp, &zap);

	shadow_zap_finish(kvm, &zap);
}

static void count_watched(struct kvm *kvm, int nr)
{
	WRITE_ONCE(kvm->arch.indirect_shadow_pages,
		   kvm->arch.indirect_shadow_pages + nr);
}

/* A table of level 1 may become unsync: its gfn is write-protected, not tracked. */
static void watch_page_table(struct kvm *kvm, struct kvm_memory_slot *slot,
			     gfn_t gfn)
{
	level_disallow(slot, gfn);
	if (mmu_write_protect_gfn(kvm, gfn))
		mmu_flush_gfn(kvm, gfn, PG_LEVEL_4K);
}

/*
 * The slot in which a table may be watched; NULL if there is none, or if it is going: it
 * may have been zapped by now, and a page that is made for the table would outlive it.
 */
static struct kvm_memory_slot *slot_to_watch(struct kvm *kvm, gfn_t gfn,
					     union kvm_mmu_page_role role)
{
	struct kvm_memory_slot *slot;

	slot = __gfn_to_memslot(kvm_memslots_for_spte_role(kvm, role), gfn);
	return slot && !kvm_slot_is_going(slot) ? slot : NULL;
}

static void watch_table(struct kvm *kvm, struct kvm_mmu_page *sp,
			struct kvm_memory_slot *slot)
{
	rb_add(&sp->gfn_node, &kvm->arch.shadow_pages_by_gfn, index_less);
	count_watched(kvm, 1);
	/*
	 * Pairs with shadow_track_write() and kvm_mmu_forget_tables(): either they see
	 * the count, or the write that came before them is seen when gPTEs are compared.
	 */
	smp_mb();

	if (sp->role.level == PG_LEVEL_4K)
		watch_page_table(kvm, slot, sp->gfn);
	else
		__kvm_write_track_add_gfn(kvm, slot, sp->gfn);
}

static void unwatch_table(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	struct kvm_memory_slot *slot = shadow_slot(kvm, sp, sp->gfn);

	rb_erase(&sp->gfn_node, &kvm->arch.shadow_pages_by_gfn);
	count_watched(kvm, -1);

	if (sp->role.level == PG_LEVEL_4K)
		level_allow(slot, sp->gfn);
	else
		__kvm_write_track_remove_gfn(kvm, slot, sp->gfn);
}

/* Making and finding. */

static struct kvm_mmu_page *alloc_page_of(const struct shadow_caches *caches,
					  gfn_t gfn, union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp = kvm_mmu_memory_cache_alloc(caches->header);

	sp->gfn = gfn;
	sp->role = role;
	sp->spt = kvm_mmu_memory_cache_alloc(caches->table);
	/* Entries of higher levels are never leaves. */
	if (!role.direct && role.level <= KVM_MAX_HUGEPAGE_LEVEL)
		sp->translation = kvm_mmu_memory_cache_alloc(caches->translation);

	INIT_LIST_HEAD(&sp->nx_link);
	set_page_private(virt_to_page(sp->spt), (unsigned long)&sp->table);
	kvm_account_pgtable_pages(sp->spt, 1);
	return sp;
}

/* @watched: the slot of its table; NULL if it has no gPTEs. */
static struct kvm_mmu_page *make_page(struct kvm *kvm,
				      const struct shadow_caches *caches,
				      gfn_t gfn, union kvm_mmu_page_role role,
				      struct kvm_memory_slot *watched)
{
	struct kvm_mmu_page *sp = alloc_page_of(caches, gfn, role);

	kvm->stat.mmu_cache_miss++;
	if (watched && role.level > PG_LEVEL_4K)
		zap_unsync_of(kvm, gfn);

	sp->mmu_valid_gen = kvm->arch.mmu_valid_gen;
	sp->state = SP_ACTIVE;
	list_add(&sp->link, &kvm->arch.active_mmu_pages);
	shadow_hash_add(kvm, sp);
	kvm->arch.n_used_mmu_pages++;
	if (watched)
		watch_table(kvm, sp, watched);

	trace_kvm_mmu_get_page(&sp->table, true);
	return sp;
}

static struct kvm_mmu_page *find_page(struct kvm *kvm, gfn_t gfn,
				      union kvm_mmu_page_role role)
{
	unsigned int collisions = 0;
	struct kvm_mmu_page *sp;

	/* An obsolete page waits for its zapping, maybe beside its successor. */
	hlist_for_each_entry(sp, shadow_bucket(kvm, gfn), hash_link) {
		if (sp->gfn != gfn)
			collisions++;
		else if (sp->role.word == role.word && !shadow_sp_obsolete(kvm, sp))
			break;
	}

	if (collisions > kvm->stat.max_mmu_page_hash_collisions)
		kvm->stat.max_mmu_page_hash_collisions = collisions;
	return sp;
}

/*
 * A guest can map one huge page, or one table, at any number of places.  A page with
 * too many parents is zapped, and a new one is made.  Other pages that are zapped with
 * it are of lower levels: the page that is to link to it stays.
 */
static struct kvm_mmu_page *find_linkable(struct kvm *kvm, gfn_t gfn,
					  union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp = find_page(kvm, gfn, role);
	struct shadow_zap zap = {};

	if (!sp || likely(pte_list_count(&sp->parents) < MAX_PARENTS))
		return sp;

	shadow_page_zap(kvm, sp, &zap);
	shadow_zap_finish(kvm, &zap);
	return NULL;
}

/* Return: false if the page had to be zapped. */
static bool sync_page(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp)
{
	struct shadow_zap zap = {};
	bool good = shadow_sync_page(vcpu, sp, &zap);

	shadow_zap_finish(vcpu->kvm, &zap);
	return good;
}

struct kvm_mmu_page *shadow_page_get(struct kvm_vcpu *vcpu, gfn_t gfn,
				     union kvm_mmu_page_role role)
{
	const struct shadow_caches caches = {
		.header = &vcpu->arch.mmu_page_header_cache,
		.table = &vcpu->arch.mmu_shadow_page_cache,
		.translation = &vcpu->arch.mmu_shadowed_info_cache,
	};
	struct kvm_memory_slot *watched = NULL;
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;

	lockdep_assert_held_write(&kvm->mmu_lock);

	sp = find_linkable(kvm, gfn, role);
	if (!sp || (sp->unsync && !sync_page(vcpu, sp))) {
		if (role_has_gptes(role)) {
			watched = slot_to_watch(kvm, gfn, role);
			if (!watched)
				return NULL;
		}
		return make_page(kvm, &caches, gfn, role, watched);
	}

	/* The page is in use as a table: writes to it so far were no flood. */
	if (!role.direct)
		atomic_set(&sp->write_flooding_count, 0);

	trace_kvm_mmu_get_page(&sp->table, false);
	return sp;
}

struct kvm_mmu_page *shadow_page_get_direct(struct kvm *kvm,
					    const struct shadow_caches *caches,
					    gfn_t gfn, union kvm_mmu_page_role role)
{
	struct kvm_mmu_page *sp;

	lockdep_assert_held_write(&kvm->mmu_lock);
	KVM_MMU_WARN_ON(!role.direct);

	sp = find_linkable(kvm, gfn, role);
	if (!sp)
		return make_page(kvm, caches, gfn, role, NULL);

	trace_kvm_mmu_get_page(&sp->table, false);
	return sp;
}

/* Zapping and freeing. */

/* Take a page out of all indexes and counts, and stop watching its table. */
static void hide_page(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	hlist_del_init(&sp->hash_link);
	if (sp_has_gptes(sp))
		unwatch_table(kvm, sp);
	if (sp->unsync)
		shadow_clear_unsync(kvm, sp);
	if (sp->nx_huge_page_disallowed)
		nx_huge_page_untrack(kvm, &sp->table);

	list_del_init(&sp->link);
	kvm->arch.n_used_mmu_pages--;
}

void shadow_page_zap(struct kvm *kvm, struct kvm_mmu_page *sp,
		     struct shadow_zap *zap)
{
	lockdep_assert_held_write(&kvm->mmu_lock);

	if (WARN_ON_ONCE(sp->state == SP_ZAPPED))
		return;

	trace_kvm_mmu_prepare_zap_page(&sp->table);
	kvm->stat.mmu_shadow_zapped++;

	shadow_zap_unsync_children(kvm, sp, zap);
	shadow_clear_table(kvm, sp, zap);
	shadow_clear_parents(sp, zap);
	hide_page(kvm, sp);

	/* Before the request: the vCPU reads its root's state without mmu_lock. */
	WRITE_ONCE(sp->state, SP_ZAPPED);
	if (!sp->root_count)
		__llist_add(&sp->zap_link, &zap->pages);
	else if (sp->mmu_valid_gen == kvm->arch.mmu_valid_gen)
		kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS);
}

static void prove_unused(const struct kvm_mmu_page *sp)
{
	int i;

	KVM_MMU_WARN_ON(sp->state != SP_ZAPPED || sp->root_count);
	KVM_MMU_WARN_ON(sp->parents.val || !list_empty(&sp->nx_link));
	KVM_MMU_WARN_ON(!hlist_unhashed(&sp->hash_link));

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		KVM_MMU_WARN_ON(spte_present(sp->spt[i]));
}

static void free_page_of(struct kvm_mmu_page *sp)
{
	prove_unused(sp);

	kvm_account_pgtable_pages(sp->spt, -1);
	free_page((unsigned long)sp->spt);
	free_page((unsigned long)sp->translation);
	kmem_cache_free(mmu_page_header_cache, sp);
}

void __shadow_zap_finish(struct kvm *kvm, struct shadow_zap *zap)
{
	struct kvm_mmu_page *sp, *next;

	lockdep_assert_held_write(&kvm->mmu_lock);

	kvm_flush_remote_tlbs(kvm);
	zap->flush = false;

	/* A walk that begins too late to be waited for sees the links cut. */
	if (!llist_empty(&zap->pages))
		shadow_wait_for_walks(kvm);
	llist_for_each_entry_safe(sp, next, __llist_del_all(&zap->pages), zap_link)
		free_page_of(sp);
}

/* Zapping many. */

void shadow_zap_pause(struct kvm *kvm, struct shadow_zap *zap)
{
	if (!need_resched() && !rwlock_needbreak(&kvm->mmu_lock))
		return;

	shadow_zap_finish(kvm, zap);
	mmu_prove_flushed(kvm);
	cond_resched_rwlock_write(&kvm->mmu_lock);
}

static struct kvm_mmu_page *oldest_page(struct kvm *kvm)
{
	struct list_head *pages = &kvm->arch.active_mmu_pages;

	return list_empty(pages) ? NULL :
	       list_last_entry(pages, struct kvm_mmu_page, link);
}

/*
 * No flush is due before mmu_lock is let go: vCPUs have to load another root, or never
 * run again.  So many pages can share one flush; but to free all of them at once would
 * take long.
 */
static void zap_from_oldest(struct kvm *kvm, bool only_obsolete)
{
	struct shadow_zap zap = {};
	struct kvm_mmu_page *sp;
	unsigned long zapped = 0;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* Pages of the new generation are newer than all obsolete ones. */
	while ((sp = oldest_page(kvm))) {
		if (only_obsolete && !shadow_sp_obsolete(kvm, sp))
			break;

		shadow_page_zap(kvm, sp, &zap);
		if (++zapped % SHADOW_FREE_BATCH == 0)
			shadow_zap_finish(kvm, &zap);
		if (zapped % SHADOW_ZAP_BATCH == 0)
			cond_resched_rwlock_write(&kvm->mmu_lock);
	}

	shadow_zap_finish(kvm, &zap);
}

void shadow_zap_obsolete(struct kvm *kvm)
{
	lockdep_assert_held(&kvm->slots_lock);
	zap_from_oldest(kvm, true);
}

void shadow_zap_all(struct kvm *kvm)
{
	zap_from_oldest(kvm, false);
}

void shadow_zap_gfn_tables(struct kvm *kvm, int as_id, gfn_t start, gfn_t end,
			   struct shadow_zap *zap)
{
	const struct index_range range = {
		.start = index_key(as_id, start),
		.end = index_key(as_id, end),
	};
	struct kvm_mmu_page *sp;

	lockdep_assert_held_write(&kvm->mmu_lock);

	while ((sp = index_first(kvm, &range))) {
		shadow_page_zap(kvm, sp, zap);
		shadow_zap_pause(kvm, zap);
	}
}

/* A direct page that begins at @gfn, ends by @end, and is nobody's root; or NULL. */
static struct kvm_mmu_page *find_direct(struct kvm *kvm, int as_id, gfn_t gfn,
					gfn_t end)
{
	struct kvm_mmu_page *sp;

	hlist_for_each_entry(sp, shadow_bucket(kvm, gfn), hash_link)
		if (sp->gfn == gfn && sp->role.direct && !sp->root_count &&
		    role_as_id(sp->role) == as_id &&
		    gfn + KVM_PAGES_PER_HPAGE(sp->role.level + 1) <= end)
			return sp;
	return NULL;
}

void shadow_zap_gfn_direct(struct kvm *kvm, int as_id, gfn_t start, gfn_t end,
			   struct shadow_zap *zap)
{
	struct kvm_mmu_page *sp;
	gfn_t gfn;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* A table of level 1 maps 2M, and tables above map more: all begin at 2M. */
	for (gfn = round_up(start, SPTE_ENT_PER_PAGE); gfn < end;
	     gfn += SPTE_ENT_PER_PAGE) {
		if (list_empty(&kvm->arch.active_mmu_pages))
			return;
		while ((sp = find_direct(kvm, as_id, gfn, end)))
			shadow_page_zap(kvm, sp, zap);
		shadow_zap_pause(kvm, zap);
	}
}

/* Zap the pages of the next gfn from @start on, and move @start on; false: no more. */
static bool zap_next_table(struct kvm *kvm, u64 *start, struct shadow_zap *zap)
{
	struct index_range range = { .start = *start, .end = U64_MAX };
	struct kvm_mmu_page *sp = index_first(kvm, &range);

	if (!sp)
		return false;

	range.start = sp_index_key(&sp->gfn_node);
	range.end = range.start + 1;
	*start = range.end;

	while ((sp = index_first(kvm, &range)))
		shadow_page_zap(kvm, sp, zap);
	return true;
}

/* Each gfn is looked at once: pages that are made meanwhile are of memory as it is. */
void shadow_zap_tables(struct kvm *kvm)
{
	struct shadow_zap zap = {};
	u64 start = 0;

	lockdep_assert_held_write(&kvm->mmu_lock);

	while (zap_next_table(kvm, &start, &zap))
		shadow_zap_pause(kvm, &zap);
	shadow_zap_finish(kvm, &zap);
}

void shadow_zap_mmio(struct kvm *kvm)
{
	struct hlist_head *hash = READ_ONCE(kvm->arch.mmu_page_hash);
	struct kvm_mmu_page *sp;
	int i;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/* Pages that are made while mmu_lock is let go have no old MMIO SPTE. */
	for (i = 0; hash && i < KVM_NUM_MMU_PAGES; i++) {
		hlist_for_each_entry(sp, &hash[i], hash_link)
			shadow_clear_mmio(kvm, sp);
		cond_resched_rwlock_write(&kvm->mmu_lock);
	}
}

/* Module and VM. */

int shadow_module_init(void)
{
	int r;

	r = rmap_module_init();
	if (r)
		return r;

	mmu_page_header_cache = kmem_cache_create("kvm_mmu_page_header",
						  sizeof(struct kvm_mmu_page), 0,
						  SLAB_ACCOUNT, NULL);
	if (mmu_page_header_cache)
		return 0;

	rmap_module_exit();
	return -ENOMEM;
}

void shadow_module_exit(void)
{
	kmem_cache_destroy(mmu_page_header_cache);
	mmu_page_header_cache = NULL;
	rmap_module_exit();
}

int shadow_init_vm(struct kvm *kvm)
{
	kvm->arch.shadow_pages_by_gfn = RB_ROOT;
	INIT_LIST_HEAD(&kvm->arch.active_mmu_pages);

	if (tdp_enabled)
		return 0;

	/* Without TDP each root is a shadow page. */
	guard(mutex)(&kvm->slots_arch_lock);
	return shadow_alloc_hash(kvm);
}

int shadow_alloc_hash(struct kvm *kvm)
{
	struct hlist_head *hash;

	lockdep_assert_held(&kvm->slots_arch_lock);

	if (kvm->arch.mmu_page_hash)
		return 0;

	hash = kvcalloc(KVM_NUM_MMU_PAGES, sizeof(*hash), GFP_KERNEL_ACCOUNT);
	if (!hash)
		return -ENOMEM;

	/* The hash is seen empty: pairs with the READ_ONCE() of shadow_bucket(). */
	smp_store_release(&kvm->arch.mmu_page_hash, hash);
	return 0;
}

void shadow_uninit_vm(struct kvm *kvm)
{
	KVM_MMU_WARN_ON(!list_empty(&kvm->arch.active_mmu_pages));
	kvfree(kvm->arch.mmu_page_hash);
	kvm->arch.mmu_page_hash = NULL;
}
