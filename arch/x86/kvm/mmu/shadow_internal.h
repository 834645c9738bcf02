/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the shadow_* files share, and nobody else.  mmu_lock is held for writing
 * in everything here, unless it says otherwise.
 *
 * The invariants, and what makes it hard to break them:
 *
 *  I1  A page is found only by its whole key, gfn and role (shadow_page_get()),
 *      and is never changed to another: role and gfn are written once.  A link
 *      to a child that is already there is kept only if the child's whole key
 *      is the one that is wanted (shadow_child()).   [CVE-2026-53359]
 *  I2  The gfn of an SPTE is stored once, only shadow_gfn() reads it, and rmaps
 *      take an SPTE, not a gfn.   [CVE-2026-46113]
 *  I3  A page is in one state (enum sp_state); a ZAPPED page is in no index and
 *      has no present SPTE and no parent.  Its role is as it was: what is
 *      derived from it cannot inherit that it is gone.   [CVE-2026-80726]
 *  I4  A present SPTE is replaced only by the shadow_clear*() functions and
 *      those that call them, which account for it, MMIO SPTEs too.   [CVE-2026-23401, -23402]
 *  I5  Making room may zap any page, a root too.  So shadow_fault_begin() looks at
 *      the vCPU's root after it made room, never before.   [CVE-2026-64561]
 */
#ifndef __KVM_X86_MMU_SHADOW_INTERNAL_H
#define __KVM_X86_MMU_SHADOW_INTERNAL_H

#include <linux/bitfield.h>
#include <linux/hash.h>
#include "shadow.h"
#include "mmio.h"

/* Always empty: the bucket of each gfn of a VM that has no hash yet. */
extern struct hlist_head shadow_no_pages;

/*
 * The shadow pages of @gfn, and others.  A VM with direct paging has the hash from its
 * first shadow root on, and no shadow page before (shadow_alloc_hash()).
 */
static inline struct hlist_head *shadow_bucket(struct kvm *kvm, gfn_t gfn)
{
	/* Pairs with shadow_alloc_hash(), which does not hold mmu_lock. */
	struct hlist_head *hash = READ_ONCE(kvm->arch.mmu_page_hash);

	return hash ? &hash[hash_64(gfn, KVM_MMU_HASH_SHIFT)] : &shadow_no_pages;
}

/* Only in the hash of a VM of its own is a page found by this VM alone. */
static inline void shadow_hash_add(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	KVM_MMU_WARN_ON(!kvm->arch.mmu_page_hash);
	hlist_add_head(&sp->hash_link, shadow_bucket(kvm, sp->gfn));
}

/**
 * shadow_alloc_hash() - allocate what finds shadow pages, if it is not there yet
 * @kvm: the VM, which gets its first shadow root, or has no direct paging
 *
 * Return: 0, or -ENOMEM.
 * Context: slots_arch_lock.
 */
int shadow_alloc_hash(struct kvm *kvm);

/* A loop over the pages of @gfn that can be used; @next: the link to go on with. */
struct shadow_gfn_iter {
	struct kvm *kvm;
	gfn_t gfn;
	struct hlist_node **next;
};

static inline struct shadow_gfn_iter shadow_gfn_iter(struct kvm *kvm, gfn_t gfn)
{
	return (struct shadow_gfn_iter) {
		.kvm = kvm,
		.gfn = gfn,
		.next = &shadow_bucket(kvm, gfn)->first,
	};
}

/* The next page, or NULL at the end. */
static inline struct kvm_mmu_page *shadow_gfn_next(struct shadow_gfn_iter *iter)
{
	struct kvm_mmu_page *sp;

	while (*iter->next) {
		sp = hlist_entry(*iter->next, struct kvm_mmu_page, hash_link);
		iter->next = &sp->hash_link.next;
		if (sp->gfn == iter->gfn && !shadow_sp_obsolete(iter->kvm, sp))
			return sp;
	}
	return NULL;
}

/* The next page that shadows a table, or NULL at the end. */
static inline struct kvm_mmu_page *shadow_table_next(struct shadow_gfn_iter *iter)
{
	struct kvm_mmu_page *sp;

	do {
		sp = shadow_gfn_next(iter);
	} while (sp && !sp_has_gptes(sp));

	return sp;
}

/* Every page of @gfn that can be used.  The body must not zap. */
#define shadow_for_each_gfn(kvm, sp, gfn)				\
	for (struct shadow_gfn_iter it_ = shadow_gfn_iter(kvm, gfn);	\
	     ((sp) = shadow_gfn_next(&it_));)

/* Every page that shadows a table at @gfn.  The body must not zap. */
#define shadow_for_each_table(kvm, sp, gfn)				\
	for (struct shadow_gfn_iter it_ = shadow_gfn_iter(kvm, gfn);	\
	     ((sp) = shadow_table_next(&it_));)

/* What an entry of an indirect page translates to (kvm_mmu_page::translation). */
#define SHADOW_TR_ACCESS	GENMASK_ULL(2, 0)
#define SHADOW_TR_GFN		GENMASK_ULL(63, 3)

/**
 * shadow_gfn() - the gfn that an entry maps, or would map
 * @sp: the page
 * @index: the entry; of an indirect page: one that is present
 */
static inline gfn_t shadow_gfn(const struct kvm_mmu_page *sp, int index)
{
	if (sp->translation)
		return FIELD_GET(SHADOW_TR_GFN, READ_ONCE(sp->translation[index]));
	if (sp->role.passthrough)
		return sp->gfn;
	return sp->gfn + ((gfn_t)index << ((sp->role.level - 1) * SPTE_LEVEL_BITS));
}

/* The access that the guest's tables grant; KVM may grant less. */
static inline unsigned int shadow_access(const struct kvm_mmu_page *sp, int index)
{
	if (sp->translation)
		return FIELD_GET(SHADOW_TR_ACCESS, READ_ONCE(sp->translation[index]));
	return sp->role.access;
}

/* The slot of a gfn that @sp maps or shadows; there is one as long as it does. */
static inline struct kvm_memory_slot *shadow_slot(struct kvm *kvm,
						  const struct kvm_mmu_page *sp,
						  gfn_t gfn)
{
	return __gfn_to_memslot(kvm_memslots_for_spte_role(kvm, sp->role), gfn);
}

/* The role of a child of @sp at @index. */
static inline union kvm_mmu_page_role
shadow_child_role(const struct kvm_mmu_page *sp, int index, bool direct,
		  unsigned int access)
{
	union kvm_mmu_page_role role = sp->role;

	KVM_MMU_WARN_ON(role.invalid || sp->state == SP_ZAPPED);

	role.level--;
	role.direct = direct;
	role.access = access;
	role.passthrough = 0;

	/*
	 * A table of 1024 4-byte gPTEs takes two tables of 512 SPTEs: which of
	 * the two is bit 21 of the address, the lowest that @index stands for.
	 * The four of a page directory are roots.
	 */
	if (role.has_4_byte_gpte) {
		WARN_ON_ONCE(role.level != PG_LEVEL_4K);
		role.quadrant = index & 1;
	}
	return role;
}

/* shadow_page.c */

/* How many pages are zapped before mmu_lock may be let go. */
#define SHADOW_ZAP_BATCH	10UL

/* Where a new page's memory comes from. */
struct shadow_caches {
	struct kvm_mmu_memory_cache *header;
	struct kvm_mmu_memory_cache *table;
	struct kvm_mmu_memory_cache *translation;	/* indirect pages only */
};

/**
 * shadow_page_get() - the page with a key: found, or made
 * @vcpu: the vCPU, whose caches are filled
 * @gfn: with @role the key
 * @role: of the page
 *
 * An unsync page is synced before it is returned, as it is about to be linked.
 * A new one write-protects its gfn, or makes it a tracked one (level > 1).
 *
 * Return: the page.  NULL if it would be for a table whose slot is being deleted,
 * or is gone since the vCPU looked: never for a direct page.
 */
struct kvm_mmu_page *shadow_page_get(struct kvm_vcpu *vcpu, gfn_t gfn,
				     union kvm_mmu_page_role role);

/* The same for a direct page, without a vCPU. */
struct kvm_mmu_page *shadow_page_get_direct(struct kvm *kvm,
					    const struct shadow_caches *caches,
					    gfn_t gfn, union kvm_mmu_page_role role);

/* shadow_quota.c */

/**
 * shadow_quota_left() - how many pages the VM may still have
 * @kvm: the VM
 */
unsigned long shadow_quota_left(struct kvm *kvm);

/**
 * shadow_reserve_pages() - make room for new pages, for who holds no root
 * @kvm: the VM
 *
 * Return: 0 or -ENOSPC.
 */
int __must_check shadow_reserve_pages(struct kvm *kvm);

/* shadow_pte.c */

/**
 * shadow_clear_entry() - make an entry SPTE_NONE, whatever it is
 * @kvm: the VM
 * @sp: the page
 * @index: the entry
 * @zap: a flush is noted if it was present
 *
 * A leaf: A is given to the host's mm, its rmap entry and its statistics
 * go; if it was writable, its slot is dirty-logged and @sp is indirect, its gfn
 * is marked dirty (fast_fault.c relies on it).  A link: the child loses a parent.
 *
 * Return: the child, if it was a link.
 */
struct kvm_mmu_page *shadow_clear_entry(struct kvm *kvm, struct kvm_mmu_page *sp,
					int index, struct shadow_zap *zap);

/**
 * shadow_clear() - the same, and zap the child that nobody needs any more
 * @kvm: the VM
 * @sp: the page
 * @index: the entry
 * @zap: takes the child too, with all below it that is of no more use, if it is of
 *	a nested guest and nobody links to it
 *
 * Return: true if @zap got pages.
 */
bool shadow_clear(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
		  struct shadow_zap *zap);

/* shadow_clear() for every entry of a page. */
bool shadow_clear_table(struct kvm *kvm, struct kvm_mmu_page *sp,
			struct shadow_zap *zap);

/* Cut all links to a page, for who zaps it; a flush is noted if there are any. */
void shadow_clear_parents(struct kvm_mmu_page *sp, struct shadow_zap *zap);

/* Make every MMIO SPTE of a page SPTE_NONE.  No flush is due. */
void shadow_clear_mmio(struct kvm *kvm, struct kvm_mmu_page *sp);

/**
 * shadow_clear_rmap() - shadow_clear() for all leaves of a list
 * @kvm: the VM
 * @head: the list of a gfn, see rmap_of()
 * @slot: the gfn's slot
 *
 * Is an rmap_handler_t.
 *
 * Return: true if a flush is due: the list was not empty.
 */
bool shadow_clear_rmap(struct kvm *kvm, struct kvm_rmap_head *head,
		       const struct kvm_memory_slot *slot);

/* Does an entry map the gfn to the pfn already, with whatever rights? */
bool shadow_maps(const struct kvm_mmu_page *sp, int index, gfn_t gfn, kvm_pfn_t pfn);

/**
 * shadow_set_leaf() - map a page of guest memory
 * @kvm: the VM
 * @cache: of struct rmap_block
 * @slot: of @gfn
 * @sp: the page
 * @index: the entry; anything may be there, and is accounted for
 * @gfn: what it will translate to: a direct page insists on its own shadow_gfn()
 * @access: ACC_* of the guest's tables
 * @spte: the value
 * @zap: a flush is noted if one is due: another pfn or a table was there, or
 *	rights are lost
 *
 * Return: true if something changed.
 */
bool shadow_set_leaf(struct kvm *kvm, struct kvm_mmu_memory_cache *cache,
		     const struct kvm_memory_slot *slot, struct kvm_mmu_page *sp,
		     int index, gfn_t gfn, unsigned int access, u64 spte,
		     struct shadow_zap *zap);

/* Put an MMIO SPTE there; anything may be there, and is accounted for. */
void shadow_set_mmio(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
		     u64 spte, struct shadow_zap *zap);

/**
 * shadow_link() - link a child; anything may be there, and is accounted for
 * @kvm: the VM
 * @cache: of struct rmap_block
 * @sp: the page
 * @index: the entry
 * @child: one level below; not linked here yet
 * @zap: see shadow_clear()
 */
void shadow_link(struct kvm *kvm, struct kvm_mmu_memory_cache *cache,
		 struct kvm_mmu_page *sp, int index, struct kvm_mmu_page *child,
		 struct shadow_zap *zap);

/**
 * shadow_child() - the child that an entry links to, if it is the wanted one
 * @sp: the page
 * @index: the entry
 * @gfn: with @role the wanted key
 * @role: of the wanted child
 *
 * Return: the child, or NULL: then shadow_page_get() and shadow_link().
 */
struct kvm_mmu_page *shadow_child(struct kvm_mmu_page *sp, int index, gfn_t gfn,
				  union kvm_mmu_page_role role);

/**
 * shadow_update() - change a present leaf, not its pfn
 * @kvm: the VM
 * @sptep: the SPTE
 * @spte: the new value, present
 *
 * Atomic if it is volatile.  A that gets lost is given to the host's mm.
 *
 * Return: true if TLBs must be flushed: W or M got lost.  Who needs a flush for A
 * or D, the dirty log say, makes one.
 */
bool shadow_update(struct kvm *kvm, u64 *sptep, u64 spte);

/* Age a present leaf, atomically; true if it had been accessed.  No flush. */
bool shadow_clear_accessed(u64 *sptep);

/* Clear W of a present leaf for D's sake; true if it was set. */
bool shadow_clear_writable(u64 *sptep);

/* Store the access of an entry, whose gfn stays. */
void shadow_set_access(struct kvm_mmu_page *sp, int index, unsigned int access);

/* shadow_rmap.c */

/*
 * A list of SPTEs: of one gfn, or of the parents of a page.  Most have one entry,
 * so kvm_rmap_head::val is 0, or the one SPTE, or RMAP_MANY and the address of a
 * struct rmap_block.
 *
 * The list of a 2M page also keeps RMAP_BELOW: without it, the lists of the 4K
 * pages in its range have always been empty, and walks skip them.
 */
#define RMAP_MANY	1UL
#define RMAP_BELOW	2UL

/**
 * struct rmap_iter - where a loop over a list is
 * @cur: the SPTE; NULL at the end
 * @block: where it is; NULL if the list is but that one
 * @pos: of it in @block
 */
struct rmap_iter {
	u64 *cur;
	struct rmap_block *block;
	int pos;
};

static inline unsigned long rmap_val(const struct kvm_rmap_head *head)
{
	return head->val & ~RMAP_BELOW;
}

static inline void rmap_set_val(struct kvm_rmap_head *head, unsigned long val)
{
	head->val = (head->val & RMAP_BELOW) | val;
}

static inline bool rmap_empty(const struct kvm_rmap_head *head)
{
	return !rmap_val(head);
}

/* The parts of the functions below that know of blocks. */
unsigned int __rmap_add(struct kvm_mmu_memory_cache *cache,
			struct kvm_rmap_head *head, u64 *sptep);
void __rmap_del(struct kvm *kvm, struct kvm_rmap_head *head, u64 *sptep);
struct rmap_iter __rmap_iter(const struct kvm_rmap_head *head);
void __rmap_next(struct rmap_iter *iter);

/**
 * slot_has_rmaps() - was the slot in the active set with the first shadow root
 * @slot: of any set, once kvm_memslots_have_rmaps() is true
 *
 * A slot that was replaced before rmaps were allocated never gets any
 * (locking.txt, 3).  Nothing has been mapped by it; what its successor maps is
 * reached by the successor alone.  Two may have such a slot, and find nothing: ageing,
 * which only asks for hints; and guest_memfd, which has the original of a slot that is
 * INVALID, of which nothing can be mapped.  Other notifiers hold off the publication,
 * and so have slots of the active set.
 */
static inline bool slot_has_rmaps(const struct kvm_memory_slot *slot)
{
	return READ_ONCE(slot->arch.rmap[0]);
}

/**
 * rmap_of() - the list of SPTEs of one level that map a gfn
 * @slot: the gfn's slot, which has rmaps
 * @gfn: the page
 * @level: PG_LEVEL_*
 */
static inline struct kvm_rmap_head *rmap_of(const struct kvm_memory_slot *slot,
					    gfn_t gfn, int level)
{
	return &slot->arch.rmap[level - PG_LEVEL_4K]
			       [gfn_to_index(gfn, slot->base_gfn, level)];
}

/* Before an SPTE is put on the list of a 4K page. */
static inline void rmap_mark_below(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	struct kvm_rmap_head *above = rmap_of(slot, gfn, PG_LEVEL_2M);

	if (!(above->val & RMAP_BELOW))
		above->val |= RMAP_BELOW;
}

/**
 * rmap_add() - put an SPTE on a list
 * @cache: of struct rmap_block
 * @head: the list
 * @sptep: not on it
 *
 * Return: how many were on it.
 */
static inline unsigned int rmap_add(struct kvm_mmu_memory_cache *cache,
				    struct kvm_rmap_head *head, u64 *sptep)
{
	if (!rmap_empty(head))
		return __rmap_add(cache, head, sptep);

	rmap_set_val(head, (unsigned long)sptep);
	return 0;
}

/* Take an SPTE off a list.  It is a bug, reported, if it is not there. */
static inline void rmap_del(struct kvm *kvm, struct kvm_rmap_head *head,
			    u64 *sptep)
{
	if (rmap_val(head) == (unsigned long)sptep)
		rmap_set_val(head, 0);
	else
		__rmap_del(kvm, head, sptep);
}

/* Take all SPTEs off a list. */
void rmap_clear(struct kvm_rmap_head *head);

static inline struct rmap_iter rmap_iter(const struct kvm_rmap_head *head)
{
	if (head->val & RMAP_MANY)
		return __rmap_iter(head);

	return (struct rmap_iter) { .cur = (u64 *)rmap_val(head) };
}

static inline void rmap_next(struct rmap_iter *iter)
{
	if (iter->block)
		__rmap_next(iter);
	else
		iter->cur = NULL;
}

/* The SPTEs of a list; the body must not change it, but may clear the SPTEs. */
#define for_each_rmap_spte(head, sptep)					\
	for (struct rmap_iter it_ = rmap_iter(head); ((sptep) = it_.cur);	\
	     rmap_next(&it_))

/**
 * struct shadow_rmap_walk - all lists of a range of a slot, level by level
 * @slot: the slot
 * @start: first gfn
 * @end: first gfn beyond
 * @min_level: lists of pages of this level
 * @max_level: up to this one
 * @can_yield: let go of mmu_lock when it is wanted
 * @flush_on_yield: and flush TLBs of the range before, if the handler asked for it
 * @flush_due: a flush is due already, for other gfns; only with @flush_on_yield
 */
struct shadow_rmap_walk {
	const struct kvm_memory_slot *slot;
	gfn_t start;
	gfn_t end;
	int min_level;
	int max_level;
	bool can_yield;
	bool flush_on_yield;
	bool flush_due;
};

/* Handles one list, which is not empty; true: a flush is due. */
typedef bool (*rmap_handler_t)(struct kvm *kvm, struct kvm_rmap_head *head,
			       const struct kvm_memory_slot *slot);

/**
 * shadow_rmap_walk() - call a handler for every list that is not empty
 * @kvm: the VM
 * @walk: which
 * @handler: for each
 *
 * Return: true if the caller must flush TLBs, also for what was due before.
 */
bool shadow_rmap_walk(struct kvm *kvm, const struct shadow_rmap_walk *walk,
		      rmap_handler_t handler);

int rmap_module_init(void);
void rmap_module_exit(void);

/* shadow_sync.c */

/* An entry's child may have become unsync: tell all pages above. */
void shadow_mark_unsync_child(u64 *sptep);

/* How many unsync pages are dealt with between two looks at who wants the lock. */
#define SHADOW_UNSYNC_BATCH	16

/**
 * shadow_find_unsync() - search for unsync pages below a page
 * @parent: the page
 * @found: takes up to SHADOW_UNSYNC_BATCH of them; the same page twice if two
 *	entries link to it
 * @nr: how many @found has already
 *
 * On the way back, bits of unsync_child are cleared below which nothing was found.
 * The caller deals with what was found and searches again, until nothing is found:
 * then @parent has no bit left.
 *
 * Return: how many @found has.
 */
unsigned int shadow_find_unsync(struct kvm_mmu_page *parent,
				struct kvm_mmu_page **found, unsigned int nr);

/**
 * shadow_sync_page() - make an unsync page follow its table
 * @vcpu: the vCPU, whose MMU has the page's role
 * @sp: the page; it stays unsync and writable, as the guest may go on
 * @zap: a flush is noted, if due; takes the page if it cannot be synced
 *
 * Return: true if @sp is good, false if it was zapped.
 */
bool shadow_sync_page(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp,
		      struct shadow_zap *zap);

/**
 * shadow_sync_children() - sync and write-protect all unsync pages below
 * @vcpu: the vCPU
 * @parent: the page
 * @can_yield: mmu_lock may be let go
 *
 * Return: 0; -EINTR if the lock is wanted and may not be let go: then
 * KVM_REQ_MMU_SYNC is raised, and the caller retries the fault.
 */
int shadow_sync_children(struct kvm_vcpu *vcpu, struct kvm_mmu_page *parent,
			 bool can_yield);

/* The page is not unsync any more, because it is synced or goes. */
void shadow_clear_unsync(struct kvm *kvm, struct kvm_mmu_page *sp);

/* Zap all unsync pages below; true if there were any. */
bool shadow_zap_unsync_children(struct kvm *kvm, struct kvm_mmu_page *parent,
				struct shadow_zap *zap);

/* shadow_write.c */

/**
 * shadow_write_misaligned() - is a write no ordinary one of a single gPTE
 * @role: of a page that shadows what is written
 * @offset: in the page
 * @bytes: how many, at least 1
 *
 * Ordinary are four bytes or more of one gPTE, and its lowest byte alone.
 */
bool shadow_write_misaligned(union kvm_mmu_page_role role, unsigned int offset,
			     unsigned int bytes);

/**
 * shadow_write_covers() - the SPTEs of a page that stand for a written gPTE
 * @role: of the page
 * @offset: of the write, which is not misaligned
 * @first: set to the first
 *
 * Return: how many, one after the other: 0 if it is another page's quadrant.
 */
unsigned int shadow_write_covers(union kvm_mmu_page_role role, unsigned int offset,
				 unsigned int *first);

#endif /* __KVM_X86_MMU_SHADOW_INTERNAL_H */
