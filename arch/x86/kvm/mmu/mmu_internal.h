/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all files of the x86 MMU share: the page of SPTEs, the fault, and the
 * answers of its steps.  debugfs.c and the tracepoints read it too.
 *
 * Terms.  An SPTE is an entry of a page table that KVM builds and the CPU
 * walks; a gPTE is an entry of a table of the guest.  A page of SPTEs is a table,
 * struct mmu_table.  Two kinds:
 *
 *  tdp     direct paging, gpa -> hpa: struct tdp_table, the tdp_* files.  A tree
 *          per role; found by walking, faulted in under mmu_lock for reading,
 *          freed by RCU.
 *  shadow  all else: struct kvm_mmu_page, a "shadow page" (sp) even if nothing is
 *          shadowed, the shadow_* files: shadows a guest's table (indirect), or
 *          maps a range of gfns linearly (direct) for a guest without paging
 *          or below a guest's huge page.  Found by its key (gfn, role), changed
 *          under mmu_lock for writing, freed after all walkers have left.
 *
 * Which file may call which is said in tdp.h and shadow.h.
 */
#ifndef __KVM_X86_MMU_INTERNAL_H
#define __KVM_X86_MMU_INTERNAL_H

#include <linux/kvm_host.h>
#include <linux/llist.h>
#include <linux/page-flags.h>
#include <linux/rbtree.h>
#include <linux/refcount.h>
#include <linux/stddef.h>
#include <linux/types.h>

#include "prove.h"

#define SPTE_LEVEL_BITS		9
#define SPTE_ENT_PER_PAGE	PTRS_PER_PTE

static_assert(BIT(SPTE_LEVEL_BITS) == SPTE_ENT_PER_PAGE);

/* What a mapping allows, independent of any format. */
#define ACC_EXEC_MASK	1
#define ACC_WRITE_MASK	PT_WRITABLE_MASK
#define ACC_USER_MASK	PT_USER_MASK
#define ACC_ALL		(ACC_EXEC_MASK | ACC_WRITE_MASK | ACC_USER_MASK)

/* gPTEs and SPTEs that one fault may map beside its own: one cache line. */
#define MMU_PREFETCH_NR	8

typedef u64 __rcu *tdp_ptep_t;

/*
 * Where a shadow page is in its life; it only moves down this list, but for
 * ACTIVE <-> ROOT.  Who may look at it in which state is in shadow_internal.h
 * and tdp_root.c.
 */
enum sp_state {
	SP_ALLOC,	/* nobody else can reach it */
	SP_ACTIVE,	/* can be found, and linked from parents */
	SP_ROOT,	/* as ACTIVE, and root_count says how many use it as root */
	SP_ZAPPED,	/* never found or linked again; freed when unused */
};

/**
 * struct mmu_table - what is known of a page of SPTEs of either kind
 * @spt: the SPTE_ENT_PER_PAGE entries
 * @gfn: the gfn of the guest's table (indirect), or the first that it maps
 * @nx_link: kvm->arch.possible_nx_huge_pages
 * @role: with @gfn the whole key; never changes once the page is reachable,
 *	and role.invalid is never set
 * @state: enum sp_state; written under mmu_lock for writing, or by the thread that
 *	links or unlinks the table
 * @tdp: it is part of a struct tdp_table, else of a struct kvm_mmu_page
 * @nx_huge_page_disallowed: made for a fetch, with the iTLB multihit mitigation on: no
 *	huge page replaces it (level_step_down()); on @nx_link's list if only the
 *	mitigation forbids one
 *
 * page_private() of the page of @spt points to the struct mmu_table.
 */

/**
 * struct kvm_mmu_page - a page of SPTEs of shadow paging
 * @table: what it has in common with those of direct paging; its members are
 *	the first ones here
 * @unsync: the guest may have written the table since KVM read it (level 1,
 *	indirect)
 * @mmu_valid_gen: kvm->arch.mmu_valid_gen at birth; another value there means
 *	that the page is obsolete
 * @unsync_children: how many bits of @unsync_child are set
 * @root_count: how many vCPUs have it as a root, the cached ones of each counted, too
 * @write_flooding_count: writes since the last walk through it
 * @link: active_mmu_pages while ACTIVE or ROOT
 * @zap_link: shadow_zap::pages when ZAPPED, and no root any more
 * @hash_link: the bucket of its gfn
 * @translation: indirect, levels 1 to 3: what each entry translates to, see
 *	shadow_internal.h; NULL otherwise
 * @parents: the SPTEs that link to it
 * @gfn_node: with gPTEs: the VM's index by gfn
 * @unsync_child: the entries below which an unsync page may be
 */
struct kvm_mmu_page {
	struct_group_tagged(mmu_table, table, u64 *spt;
		gfn_t gfn;
		struct list_head nx_link;
		union kvm_mmu_page_role role;
		u8 state;
		bool tdp;
		bool nx_huge_page_disallowed;
	);
	bool unsync;
	u8 mmu_valid_gen;
	u16 unsync_children;
	int root_count;
	atomic_t write_flooding_count;
	union {
		struct list_head link;
		struct llist_node zap_link;
	};
	struct hlist_node hash_link;
	u64 *translation;
	struct kvm_rmap_head parents;
	struct rb_node gfn_node;
	DECLARE_BITMAP(unsync_child, SPTE_ENT_PER_PAGE);
};

/**
 * struct tdp_table - a page of SPTEs of direct paging
 * @table: what it has in common with those of shadow paging
 * @ptep: the one SPTE that links to it; NULL for a root
 * @link: of a root: kvm->arch.tdp_mmu_roots
 * @refs: of a root: its references, of which one is the MMU's while it is valid
 * @zap_root: the root was invalidated, and tdp_roots_zap_invalid() has to zap it yet
 * @rcu: for the callback that frees it
 */
struct tdp_table {
	struct mmu_table table;
	tdp_ptep_t ptep;
	struct list_head link;
	refcount_t refs;
	bool zap_root;
	struct rcu_head rcu;
};

/* Keep it small: there is one for each 2M of a guest that is mapped by 4K pages. */
static_assert(sizeof(struct tdp_table) <= 104);

/* The shift and the index of an address at a level; bits per level differ by format. */
static inline int pt_level_shift(int level, int level_bits)
{
	return PAGE_SHIFT + (level - 1) * level_bits;
}

static inline unsigned int pt_index(u64 addr, int level, int level_bits)
{
	return (addr >> pt_level_shift(level, level_bits)) &
	       ((1u << level_bits) - 1);
}

static inline unsigned int spte_index_of(u64 addr, int level)
{
	return pt_index(addr, level, SPTE_LEVEL_BITS);
}

/* The first gfn of the page of @level that holds @gfn. */
static inline gfn_t gfn_round_for_level(gfn_t gfn, int level)
{
	return gfn & -KVM_PAGES_PER_HPAGE(level);
}

static inline struct kvm_mmu_page *table_to_sp(struct mmu_table *table)
{
	KVM_MMU_WARN_ON(table->tdp);
	return container_of(table, struct kvm_mmu_page, table);
}

static inline struct tdp_table *table_to_tdp(struct mmu_table *table)
{
	KVM_MMU_WARN_ON(!table->tdp);
	return container_of(table, struct tdp_table, table);
}

/* The table whose SPTEs are at a physical address; to_sp() for one of shadow paging. */
static inline struct mmu_table *to_table(hpa_t spt)
{
	return (struct mmu_table *)page_private(pfn_to_page(PHYS_PFN(spt)));
}

static inline struct kvm_mmu_page *to_sp(hpa_t spt)
{
	return table_to_sp(to_table(spt));
}

/* The table that an SPTE is in, of any kind, or of a known one. */
static inline struct mmu_table *sptep_to_table(u64 *sptep)
{
	return to_table(__pa(sptep));
}

static inline struct kvm_mmu_page *sptep_to_sp(u64 *sptep)
{
	return table_to_sp(sptep_to_table(sptep));
}

static inline struct tdp_table *sptep_to_tdp(u64 *sptep)
{
	return table_to_tdp(sptep_to_table(sptep));
}

/* The index of an SPTE in its table. */
static inline int sptep_index(u64 *sptep)
{
	return ((unsigned long)sptep / sizeof(*sptep)) & (SPTE_ENT_PER_PAGE - 1);
}

static inline int role_as_id(union kvm_mmu_page_role role)
{
	return role.smm ? 1 : 0;
}

/* True if a page of the role shadows a table of the guest, which KVM must watch. */
static inline bool role_has_gptes(union kvm_mmu_page_role role)
{
	return !role.direct && !role.passthrough;
}

static inline bool sp_has_gptes(const struct kvm_mmu_page *sp)
{
	return role_has_gptes(sp->role);
}

/*
 * While L2 runs, PML logs L2's gpas, which are of no use.  So a page of mappings
 * for L2 finds dirty pages by write-protection, not by the Dirty bit.
 */
static inline bool role_needs_wrprot_for_dirty(union kvm_mmu_page_role role)
{
	return role.guest_mode && kvm_x86_ops.cpu_dirty_log_size;
}

/*
 * The root of a vCPU whose guest's own root is in no slot: the zero page, which
 * maps nothing and is nobody's shadow page.
 */
static inline hpa_t mmu_dummy_root(void)
{
	return my_zero_pfn(0) << PAGE_SHIFT;
}

static inline bool mmu_is_dummy_root(hpa_t root)
{
	return is_zero_pfn(PHYS_PFN(root));
}

/* The table of a root; NULL for the dummy root and for PAE/PML4 roots. */
static inline struct mmu_table *root_to_table(hpa_t root)
{
	if (mmu_is_dummy_root(root))
		return NULL;
	return to_table(root & GENMASK_ULL(51, 12));
}

/* root_to_table() for a root of shadow paging. */
static inline struct kvm_mmu_page *root_to_sp(hpa_t root)
{
	struct mmu_table *table = root_to_table(root);

	return table ? table_to_sp(table) : NULL;
}

/* The table of a root of direct paging, which is never the dummy. */
static inline struct tdp_table *root_to_tdp(hpa_t root)
{
	return table_to_tdp(to_table(root));
}

/* PDPTEs have a Present bit, so no other value than 0 is "none". */
#define PAE_ROOT_NONE 0

/* Flush TLBs of all CPUs for the page of @level that holds @gfn. */
static inline void mmu_flush_gfn(struct kvm *kvm, gfn_t gfn, int level)
{
	kvm_flush_remote_tlbs_range(kvm, gfn_round_for_level(gfn, level),
				    KVM_PAGES_PER_HPAGE(level));
	mmu_pay_flush(kvm);
}

/**
 * mmu_tell_dirty() - tell the host's mm that a page is written to
 * @page: the page, kept by a reference; NULL if the pfn has no struct page to tell of
 *
 * Comes before an SPTE with M is stored, see spte.h.
 *
 * Context: mmu_lock, and no invalidation of the page is in progress: the host may have
 * invalidated it to clean it, and then counts on it to stay clean.
 */
static inline void mmu_tell_dirty(struct page *page)
{
	if (page && !PageReserved(page) && !PageDirty(page))
		SetPageDirty(page);
}

/**
 * mmu_knows_dirty() - may M be set without mmu_tell_dirty()
 * @page: see mmu_tell_dirty()
 *
 * A prefetch must not make a page dirty.  M is harmless if the page is dirty already,
 * or is anonymous memory without a copy in swap: its contents are nowhere else, and
 * whoever swaps it out marks it dirty first (add_to_swap()), then invalidates it.
 *
 * Context: mmu_lock, and no invalidation of the page is in progress.
 */
static inline bool mmu_knows_dirty(struct page *page)
{
	struct folio *folio;

	if (!page || PageDirty(page))
		return true;

	folio = page_folio(page);
	return folio_test_anon(folio) && folio_test_swapbacked(folio) &&
	       !folio_test_swapcache(folio);
}

/* Of struct kvm_mmu_page, and of struct tdp_table. */
extern struct kmem_cache *mmu_page_header_cache;
extern struct kmem_cache *tdp_table_cache;

/**
 * mmu_write_protect_gfn() - trap every write to a gfn, in all address spaces
 * @kvm: the VM
 * @gfn: the page, which counts as a table or as tracked by now, so that faults do not
 *	map it writable again
 *
 * Return: true if the caller must flush TLBs before it lets go of mmu_lock.
 * Context: mmu_lock for writing; kvm->srcu or slots_lock.
 */
bool mmu_write_protect_gfn(struct kvm *kvm, gfn_t gfn);

/* How many SPTEs are on a list; for debugfs.c, too.  Context: mmu_lock. */
unsigned int pte_list_count(struct kvm_rmap_head *rmap_head);

/**
 * struct kvm_page_fault - one page fault on its way to a mapping
 *
 * What the vCPU did; constant:
 * @addr: the address: a gpa (tdp, nested), or a gva
 * @error_code: PFERR_*
 * @prefetch: no vCPU waits for it: must not set Accessed, nor queue async work
 * @exec: it fetched an instruction
 * @write: it wrote
 * @present: the CPU found a present entry that did not allow it
 * @rsvd: the CPU found reserved bits, which is how an MMIO SPTE faults
 * @user: it was an access of CPL 3, or any access of a nested guest
 * @is_tdp: @addr is a gpa that tdp_* translates
 * @is_private: it was to the private half of guest_memfd memory
 * @nx_mitigation: huge pages must not be executable (iTLB multihit)
 *
 * What it may become (fault.c, level.c):
 * @max_level: not above this level: given by the caller or by the guest's tables
 * @req_level: what slot and host page allow of @max_level
 * @goal_level: the level to map
 * @huge_page_disallowed: @nx_mitigation, and the guest executes here
 * @access: ACC_* that the guest's tables grant; ACC_ALL for direct mappings
 *
 * What it maps (fault.c):
 * @gfn: the page; for a gva after the walk of the guest's tables
 * @slot: of @gfn; NULL for MMIO
 * @mmu_seq: kvm->mmu_invalidate_seq from before the slot was looked up
 * @pfn: the host's page, rounded down to @goal_level when that is known
 * @page: the host's page, kept by a reference; NULL if @pfn has none
 * @map_writable: the host lets it be written
 *
 * @self_map_write: it writes to a table that its own translation goes through,
 *	so that emulation must not write-protect and retry for ever
 */
struct kvm_page_fault {
	const gpa_t addr;
	const u64 error_code;
	const bool prefetch;
	const bool exec;
	const bool write;
	const bool present;
	const bool rsvd;
	const bool user;
	const bool is_tdp;
	const bool is_private;
	const bool nx_mitigation;

	u8 max_level;
	u8 req_level;
	u8 goal_level;
	bool huge_page_disallowed;
	unsigned int access;

	gfn_t gfn;
	struct kvm_memory_slot *slot;
	unsigned long mmu_seq;
	kvm_pfn_t pfn;
	struct page *page;
	bool map_writable;

	bool self_map_write;
};

/*
 * How a step of a fault ends; a negative value is an errno for userspace.  The
 * names are ABI: the tracepoints export them.
 *
 * RET_PF_CONTINUE: nothing is decided, the next step goes on.
 * RET_PF_RETRY: let the guest try again; something changed underneath.
 * RET_PF_EMULATE: no mapping can serve the access (MMIO): emulate it.
 * RET_PF_WRITE_PROTECTED: a write to a page that KVM write-protects.
 * RET_PF_INVALID: this step cannot serve the fault (an MMIO SPTE that does not count; a
 *	leaf that one cmpxchg does not fix): take the long way.
 * RET_PF_FIXED: the mapping is there now.
 * RET_PF_SPURIOUS: it was there already.
 */
enum {
	RET_PF_CONTINUE = 0,
	RET_PF_RETRY,
	RET_PF_EMULATE,
	RET_PF_WRITE_PROTECTED,
	RET_PF_INVALID,
	RET_PF_FIXED,
	RET_PF_SPURIOUS,
};

#endif /* __KVM_X86_MMU_INTERNAL_H */
