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
 *      has no present SPTE and no parent.  Its role does not tell that it is gone,
 *      so a role that is derived from it cannot either.   [CVE-2026-80726]
 *  I4  A present SPTE is removed, also by an MMIO SPTE, only by functions of
 *      shadow_pte.c that account for it; what replaces it in place is a leaf of the
 *      same gfn and pfn (shadow_update()).   [CVE-2026-23401, -23402]
 *  I5  Making room may zap any page but roots.  A root may have been zapped before
 *      mmu_lock was taken.  So shadow_fault_begin() makes room first, and looks at the
 *      vCPU's root last: no page that was found before is relied on.  [CVE-2026-64561]
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
 * The hash bucket of @gfn, which also has pages of other gfns.  A VM with direct paging
 * has the hash from its first shadow root on, and no shadow page before.
 */
static inline struct hlist_head *shadow_bucket(struct kvm *kvm, gfn_t gfn)
{
	/* Pairs with shadow_alloc_hash(), which does not hold mmu_lock. */
	struct hlist_head *hash = READ_ONCE(kvm->arch.mmu_page_hash);

	return hash ? &hash[hash_64(gfn, KVM_MMU_HASH_SHIFT)] : &shadow_no_pages;
}

/* Not without a hash: all VMs share shadow_no_pages. */
static inline void shadow_hash_add(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	KVM_MMU_WARN_ON(!kvm->arch.mmu_page_hash);
	hlist_add_head(&sp->hash_link, shadow_bucket(kvm, sp->gfn));
}

/**
 * shadow_alloc_hash() - allocate the hash of shadow pages, unless it is there
 * @kvm: the VM, which is to get its first shadow root, or has no direct paging
 *
 * Return: 0, or -ENOMEM.
 * Context: slots_arch_lock.
 */
int shadow_alloc_hash(struct kvm *kvm);

/* A loop over pages of tables at @gfn that are not obsolete; @next links to the rest. */
struct shadow_table_iter {
	struct kvm *kvm;
	gfn_t gfn;
	struct hlist_node **next;
};

static inline struct shadow_table_iter shadow_table_iter(struct kvm *kvm, gfn_t gfn)
{
	return (struct shadow_table_iter) {
		.kvm = kvm,
		.gfn = gfn,
		.next = &shadow_bucket(kvm, gfn)->first,
	};
}

/* The next page that shadows a table, or NULL at the end. */
static inline struct kvm_mmu_page *shadow_table_next(struct shadow_table_iter *iter)
{
	struct kvm_mmu_page *sp;

	while (*iter->next) {
		sp = hlist_entry(*iter->next, struct kvm_mmu_page, hash_link);
		iter->next = &sp->hash_link.next;
		if (sp->gfn == iter->gfn && sp_has_gptes(sp) &&
		    !shadow_sp_obsolete(iter->kvm, sp))
			return sp;
	}
	return NULL;
}

/* Every page that shadows a table at @gfn.  The body must not zap. */
#define shadow_for_each_table(kvm, sp, gfn)				\
	for (struct shadow_table_iter it_ = shadow_table_iter(kvm, gfn);	\
	     ((sp) = shadow_table_next(&it_));)

/* What an entry of an indirect page translates to (kvm_mmu_page::translation). */
#define SHADOW_TR_ACCESS	GENMASK_ULL(2, 0)
#define SHADOW_TR_GFN		GENMASK_ULL(63, 3)

/**
 * shadow_gfn() - the gfn that an entry maps, or would map
 * @sp: the page
 * @index: the entry; in an indirect page the gfn means something if the SPTE is
 *	present, or a walk has found it so
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
	 * A table of 1024 4-byte gPTEs takes two tables of 512 SPTEs.  Bit 21 of the
	 * address tells which of the two; it is the lowest bit of @index.  The
	 * quadrants of a page directory are roots.
	 */
	if (role.has_4_byte_gpte) {
		WARN_ON_ONCE(role.level != PG_LEVEL_4K);
		role.quadrant = index & 1;
	}
	return role;
}

/* shadow_page.c */

/* How many pages are zapped between two chances to let go of mmu_lock. */
#define SHADOW_ZAP_BATCH	10UL

/* How many are freed together, where they need not be freed before that. */
#define SHADOW_FREE_BATCH	(100 * SHADOW_ZAP_BATCH)

/* Where a new page's memory comes from. */
struct shadow_caches {
	struct kvm_mmu_memory_cache *header;
	struct kvm_mmu_memory_cache *table;
	struct kvm_mmu_memory_cache *translation;	/* indirect pages only */
};

/**
 * shadow_page_get() - find the page with a key, or make it
 * @vcpu: the vCPU, whose caches are filled
 * @gfn: with @role the key
 * @role: of the page
 *
 * An unsync page is synced before it is returned, as it is about to be linked.  For a
 * new page with gPTEs, the gfn is write-protected (level 1) or tracked (above).
 *
 * Return: the page; NULL if the table's slot is being deleted, or was deleted since
 * the vCPU looked it up.  Never NULL for a direct page.
 */
struct kvm_mmu_page *shadow_page_get(struct kvm_vcpu *vcpu, gfn_t gfn,
				     union kvm_mmu_page_role role);

/* shadow_page_get() for a direct page, without a vCPU; never NULL. */
struct kvm_mmu_page *shadow_page_get_direct(struct kvm *kvm,
					    const struct shadow_caches *caches,
					    gfn_t gfn, union kvm_mmu_page_role role);

/* Let go of mmu_lock if it is wanted, after shadow_zap_finish(). */
void shadow_zap_pause(struct kvm *kvm, struct shadow_zap *zap);

/* shadow_quota.c */

/* How many more pages the VM may have. */
unsigned long shadow_quota_left(struct kvm *kvm);

/**
 * shadow_reserve_pages() - make room for new pages; may zap any page but roots
 * @kvm: the VM
 *
 * Return: 0; -ENOSPC if the quota leaves no page.
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
 * For a leaf, the host's mm is told of A, and the leaf leaves its rmap and the
 * statistics.  If it was writable and @sp is indirect, its gfn is marked in the slot's
 * dirty bitmap (fast_fault.c relies on it).  For a link, the child loses a parent.
 *
 * Return: the child if the entry was a link, else NULL.
 */
struct kvm_mmu_page *shadow_clear_entry(struct kvm *kvm, struct kvm_mmu_page *sp,
					int index, struct shadow_zap *zap);

/**
 * shadow_clear() - shadow_clear_entry(), and zap a nested guest's orphan
 * @kvm: the VM
 * @sp: the page
 * @index: the entry
 * @zap: also takes the child of a link, if it is of a nested guest and has no parent
 *	left, and what then has none below it
 */
void shadow_clear(struct kvm *kvm, struct kvm_mmu_page *sp, int index,
		  struct shadow_zap *zap);

/*
 * shadow_clear() for every entry of a page; the host's mm is not told which pages were
 * accessed (mmu.txt, 7).
 */
void shadow_clear_table(struct kvm *kvm, struct kvm_mmu_page *sp,
			struct shadow_zap *zap);

/* Cut all links to a page that is being zapped; notes a flush if there are any. */
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

/* As shadow_clear_rmap(), for a slot that goes: the host's mm is not told of A. */
bool shadow_drop_rmap(struct kvm *kvm, struct kvm_rmap_head *head,
		      const struct kvm_memory_slot *slot);

/* Does an entry map @gfn to @pfn already, whatever its rights? */
bool shadow_maps(const struct kvm_mmu_page *sp, int index, gfn_t gfn, kvm_pfn_t pfn);

/**
 * shadow_set_leaf() - map a page of guest memory
 * @kvm: the VM
 * @cache: of struct rmap_block
 * @slot: of @gfn
 * @sp: the page
 * @index: the entry; anything may be there, and is accounted for
 * @gfn: the gfn that the entry is to map; in a direct page, its shadow_gfn()
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
 * Return: the child; NULL if the caller has to get and link the wanted one.
 */
struct kvm_mmu_page *shadow_child(struct kvm_mmu_page *sp, int index, gfn_t gfn,
				  union kvm_mmu_page_role role);

/**
 * shadow_update() - change a present leaf, not its pfn
 * @kvm: the VM
 * @sptep: the SPTE
 * @spte: the new value, present
 *
 * Atomic if the SPTE is volatile.  If A gets lost, the host's mm is told.
 *
 * Return: true if TLBs must be flushed, as W or M got lost.  A caller that needs a
 * flush for A or D, as the dirty log does, flushes anyway.
 */
bool shadow_update(struct kvm *kvm, u64 *sptep, u64 spte);

/* Age a present leaf, atomically; true if it had been accessed.  No flush. */
bool shadow_clear_accessed(u64 *sptep);

/* Clear W of a present leaf, atomically; true if it was set.  No flush. */
bool shadow_clear_writable(u64 *sptep);

/* Store what the guest's tables grant now by an entry whose gfn stays. */
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
 * @block: the block that has @cur; NULL if the list is that one SPTE
 * @pos: of @cur in @block
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

/* The out-of-line parts of the functions below, for lists of more than one SPTE. */
unsigned int __rmap_add(struct kvm_mmu_memory_cache *cache,
			struct kvm_rmap_head *head, u64 *sptep);
void __rmap_del(struct kvm *kvm, struct kvm_rmap_head *head, u64 *sptep);
struct rmap_iter __rmap_iter(const struct kvm_rmap_head *head);
void __rmap_next(struct rmap_iter *iter);

/**
 * slot_has_rmaps() - does a slot have rmaps
 * @slot: of any set, once kvm_memslots_have_rmaps() is true
 *
 * A slot that was replaced before rmaps were allocated never gets any
 * (locking.txt, 3).  No SPTE is to be found by it: what its successor maps is in the
 * successor's rmaps.  Two callers may have such a slot: ageing, which only wants hints,
 * and guest_memfd, which has the original of an INVALID slot, whose gfns nobody can map.
 * Other notifiers hold off the publication, and so have slots of the active set.
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
 * Return: how many were on it before.
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
 * @min_level: the lowest level of pages whose lists are walked
 * @max_level: the highest
 * @wants_4k: false: leave out the 4K pages of the 2M that has @gfn; or NULL
 * @can_yield: let go of mmu_lock when it is wanted
 * @flush_on_yield: flush TLBs of the range before that, if a handler asked for it
 * @flush_due: a flush is due already, for other gfns; only with @flush_on_yield
 */
struct shadow_rmap_walk {
	const struct kvm_memory_slot *slot;
	gfn_t start;
	gfn_t end;
	int min_level;
	int max_level;
	bool (*wants_4k)(struct kvm *kvm, const struct kvm_memory_slot *slot, gfn_t gfn);
	bool can_yield;
	bool flush_on_yield;
	bool flush_due;
};

/* Handles one list, which is not empty; with @flush_on_yield, true: a flush is due. */
typedef bool (*rmap_handler_t)(struct kvm *kvm, struct kvm_rmap_head *head,
			       const struct kvm_memory_slot *slot);

/**
 * shadow_rmap_walk() - call a handler for every list that is not empty
 * @kvm: the VM
 * @walk: which lists
 * @handler: called for each
 *
 * Return: the OR of what the handler returned; with @flush_on_yield that is: a flush is
 * due, also for what was due before.
 */
bool shadow_rmap_walk(struct kvm *kvm, const struct shadow_rmap_walk *walk,
		      rmap_handler_t handler);

int rmap_module_init(void);
void rmap_module_exit(void);

/* shadow_sync.c */

/* An entry's child may be unsync: mark it so above.  See shadow_sync.c for the locks. */
void shadow_mark_unsync_child(u64 *sptep);

/* How many unsync pages are dealt with between two chances to let go of mmu_lock. */
#define SHADOW_UNSYNC_BATCH	16

/**
 * shadow_find_unsync() - search for unsync pages below a page
 * @parent: the page
 * @found: takes up to SHADOW_UNSYNC_BATCH of them; the same page twice if two
 *	entries link to it
 * @nr: how many @found has already
 *
 * Bits of unsync_child below which nothing is unsync are cleared.  The caller deals
 * with what was found and searches again, until nothing is found: then @parent has no
 * bit left.
 *
 * Return: how many @found has.
 */
unsigned int shadow_find_unsync(struct kvm_mmu_page *parent,
				struct kvm_mmu_page **found, unsigned int nr);

/**
 * shadow_sync_page() - make an unsync page follow its table
 * @vcpu: the vCPU, whose MMU has the page's role
 * @sp: the page; its mark and the rights to its table stay as they are
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

/* Clear the mark of a page that is about to be synced, or is being zapped. */
void shadow_clear_unsync(struct kvm *kvm, struct kvm_mmu_page *sp);

/* Zap all unsync pages below. */
void shadow_zap_unsync_children(struct kvm *kvm, struct kvm_mmu_page *parent,
				struct shadow_zap *zap);

/* shadow_write.c */

/**
 * shadow_write_misaligned() - does a write not look like one of a gPTE
 * @role: of a page that shadows what is written
 * @offset: in the page
 * @bytes: how many, at least 1
 *
 * Return: false for at least four bytes of one gPTE, or its lowest byte; else true.
 */
bool shadow_write_misaligned(union kvm_mmu_page_role role, unsigned int offset,
			     unsigned int bytes);

/**
 * shadow_write_covers() - the SPTEs of a page that stand for a written gPTE
 * @role: of the page
 * @offset: of the write, which is not misaligned
 * @first: set to the index of the first
 *
 * Return: how many, in a row; 0 if the gPTE is in another page's quadrant.
 */
unsigned int shadow_write_covers(union kvm_mmu_page_role role, unsigned int offset,
				 unsigned int *first);

#endif /* __KVM_X86_MMU_SHADOW_INTERNAL_H */
