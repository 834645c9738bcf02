// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unsync pages.  A table of the guest's lowest level may be left writable: what
 * the guest writes there need not take effect before it flushes its TLB, as a
 * CPU could have cached the old gPTEs.  The page that shadows such a table is
 * unsync until a flush makes it follow.  All other tables are write-protected.
 *
 * Invariants, for each entry i of a page P that links to a page C:
 *  - if C is unsync or has a bit in unsync_child, P has bit i.  The reverse need
 *    not hold: shadow_find_unsync() clears the bits that promise too much;
 *  - unsync_children is the number of bits.
 * So a root without unsync children has no unsync page below it.
 *
 * Locks: unsync and the bits are set under mmu_lock, for reading at least, with
 * mmu_unsync_pages_lock, or under mmu_lock for writing.  They are cleared under
 * mmu_lock for writing, and read without lock from roots: shadow_root_unsync().
 */
#include <linux/kvm_host.h>
#include <linux/sched.h>
#include <linux/spinlock.h>

#include "guest_walk.h"
#include "mmu.h"
#include "page_track.h"
#include "shadow_internal.h"
#include "shadow_walk.h"
#include "mmutrace.h"

/* Bookkeeping. */

void shadow_mark_unsync_child(u64 *sptep)
{
	struct kvm_mmu_page *sp = sptep_to_sp(sptep);
	u64 *parent;

	if (__test_and_set_bit(sptep_index(sptep), sp->unsync_child))
		return;

	/* Pages above were marked with the first bit.  This recurses up to 5 levels. */
	WRITE_ONCE(sp->unsync_children, sp->unsync_children + 1);
	if (sp->unsync_children > 1)
		return;

	for_each_rmap_spte(&sp->parents, parent)
		shadow_mark_unsync_child(parent);
}

static void clear_unsync_child(struct kvm_mmu_page *sp, unsigned int i)
{
	WARN_ON_ONCE(!sp->unsync_children);
	__clear_bit(i, sp->unsync_child);
	WRITE_ONCE(sp->unsync_children, sp->unsync_children - 1);
}

static void mark_unsync(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	u64 *sptep;

	/* Tables of a higher level are tracked: shadow_try_unsync() says -EPERM. */
	WARN_ON_ONCE(sp->role.level != PG_LEVEL_4K);

	trace_kvm_mmu_unsync_page(&sp->table);
	kvm->stat.mmu_unsync++;
	for_each_rmap_spte(&sp->parents, sptep)
		shadow_mark_unsync_child(sptep);

	/*
	 * Last: a fault that sees it maps the table writable without a further look, so
	 * all pages above must be marked by then.
	 */
	smp_store_release(&sp->unsync, true);
}

void shadow_clear_unsync(struct kvm *kvm, struct kvm_mmu_page *sp)
{
	WARN_ON_ONCE(!sp->unsync);
	trace_kvm_mmu_sync_page(&sp->table);
	WRITE_ONCE(sp->unsync, false);
	kvm->stat.mmu_unsync--;
}

/* Several faults of direct paging may be here at once, with mmu_lock for reading. */
static void unsync_tables(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_mmu_page *sp;

	spin_lock(&kvm->arch.mmu_unsync_pages_lock);
	shadow_for_each_table(kvm, sp, gfn) {
		if (!sp->unsync)
			mark_unsync(kvm, sp);
	}
	spin_unlock(&kvm->arch.mmu_unsync_pages_lock);
}

int shadow_try_unsync(struct kvm *kvm, const struct kvm_memory_slot *slot,
		      gfn_t gfn, bool can_unsync, bool prefetch)
{
	struct kvm_mmu_page *sp;

	lockdep_assert_held(&kvm->mmu_lock);

	if (kvm_gfn_is_write_tracked(kvm, slot, gfn))
		return -EPERM;

	/* Changes under mmu_lock for writing only. */
	if (!kvm->arch.indirect_shadow_pages)
		return 0;

	shadow_for_each_table(kvm, sp, gfn) {
		if (!can_unsync)
			return -EPERM;
		/* Cleared under mmu_lock for writing only, so it stays set here. */
		if (smp_load_acquire(&sp->unsync))
			continue;
		if (prefetch)
			return -EEXIST;
		unsync_tables(kvm, gfn);
		break;
	}

	/*
	 * The marks are visible before the guest can write by the new SPTE; else
	 * its flush could find a root in sync.  Pairs with below_may_be_unsync().
	 */
	smp_wmb();
	return 0;
}

/* The page that an entry links to, if it does. */
static struct kvm_mmu_page *linked_page(const struct kvm_mmu_page *sp,
					unsigned int i)
{
	const u64 spte = READ_ONCE(sp->spt[i]);

	return spte_present_table(spte, sp->role.level) ?
	       table_to_sp(spte_child(spte)) : NULL;
}

unsigned int shadow_find_unsync(struct kvm_mmu_page *parent,
				struct kvm_mmu_page **found, unsigned int nr)
{
	struct kvm_mmu_page *child;
	unsigned int i;

	if (!parent->unsync_children)
		return nr;

	for_each_set_bit(i, parent->unsync_child, SPTE_ENT_PER_PAGE) {
		if (nr == SHADOW_UNSYNC_BATCH)
			break;

		child = linked_page(parent, i);
		if (child && child->unsync) {
			found[nr++] = child;
			continue;
		}

		/* Recurses up to 5 levels.  May find that nothing below is unsync. */
		if (child)
			nr = shadow_find_unsync(child, found, nr);
		if (!child || !child->unsync_children)
			clear_unsync_child(parent, i);
	}
	return nr;
}

void shadow_zap_unsync_children(struct kvm *kvm, struct kvm_mmu_page *parent,
				struct shadow_zap *zap)
{
	struct kvm_mmu_page *found[SHADOW_UNSYNC_BATCH];
	unsigned int nr;

	while ((nr = shadow_find_unsync(parent, found, 0))) {
		/* A page may have been found twice. */
		while (nr--)
			if (found[nr]->state != SP_ZAPPED)
				shadow_page_zap(kvm, found[nr], zap);
	}
}

/* From gPTEs to SPTEs. */

/* For an MMIO SPTE: since it was made, the gfn may have got a slot. */
static void sync_mmio(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i,
		      const struct guest_leaf *leaf, struct shadow_zap *zap)
{
	const u64 old = READ_ONCE(sp->spt[i]);
	u64 new;

	if (mmio_spte_gfn(old) != leaf->gfn || !mmio_spte_current(vcpu, old)) {
		shadow_clear(vcpu->kvm, sp, i, zap);
		return;
	}

	/* Keep its generation: a newer one would claim that the slots were looked at. */
	new = mmio_make_spte(vcpu->kvm, get_mmio_spte_generation(old), leaf->gfn,
			     leaf->access);
	if (new == old)
		return;

	trace_mark_mmio_spte(&sp->spt[i], leaf->gfn, new);
	shadow_set_mmio(vcpu->kvm, sp, i, new, zap);
}

/* The gPTE grants other rights than before to the same page. */
static bool sync_access(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i,
			const struct guest_leaf *leaf)
{
	struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(vcpu, leaf->gfn);
	const u64 old = READ_ONCE(sp->spt[i]);
	struct spte_leaf_args args = {
		.gfn = leaf->gfn,
		.pfn = spte_pfn(old),
		.level = PG_LEVEL_4K,
		.role = sp->role,
		.access = leaf->access,
		.host_writable = spte_host_writable(old),
		.prefetch = true,
	};
	u64 new;

	/* No table may become unsync before the guest's flush is over. */
	if (args.host_writable && (leaf->access & ACC_WRITE_MASK))
		args.mmu_writable = spte_writable(old) ||
				    !shadow_try_unsync(vcpu->kvm, slot, leaf->gfn,
						       false, true);
	/* Nobody has written: the page need not enter the log. */
	args.trap_write = !spte_writable(old) && kvm_slot_dirty_track_enabled(slot);

	shadow_set_access(sp, i, leaf->access);
	new = spte_make_leaf(vcpu, &args);
	/* The pfn is mapped, so it is not invalidated, and the host may be told of it. */
	if (spte_mmu_writable(new) && !spte_mmu_writable(old))
		kvm_set_pfn_dirty(spte_pfn(new));
	if (spte_writable(new) && kvm_slot_dirty_track_enabled(slot))
		mark_page_dirty_in_slot(vcpu->kvm, slot, leaf->gfn);
	return shadow_update(vcpu->kvm, &sp->spt[i], new);
}

/*
 * Make an entry, which is not SPTE_NONE, follow its gPTE.  A flush is noted only where
 * KVM needs one: for changes of its tables, the guest flushes itself.
 */
static void sync_entry(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i,
		       u64 gpte, struct shadow_zap *zap)
{
	struct guest_leaf leaf;

	if (!guest_decode_leaf(vcpu->arch.mmu, gpte, sp->role.access, &leaf)) {
		shadow_clear(vcpu->kvm, sp, i, zap);
		return;
	}

	if (unlikely(spte_is_mmio(vcpu->kvm, READ_ONCE(sp->spt[i])))) {
		sync_mmio(vcpu, sp, i, &leaf, zap);
		return;
	}

	if (leaf.gfn != shadow_gfn(sp, i) || spte_would_be_none(leaf.access)) {
		shadow_clear(vcpu->kvm, sp, i, zap);
		return;
	}

	if (leaf.access != shadow_access(sp, i))
		zap->flush |= sync_access(vcpu, sp, i, &leaf);
}

/* Where the gPTE of an entry is.  A 4-byte gPTE of level 2 has two entries. */
static gpa_t gpte_gpa(const struct kvm_mmu_page *sp, int i)
{
	const int entry = sp->role.quadrant * SPTE_ENT_PER_PAGE + i;

	if (sp->role.has_4_byte_gpte)
		return gfn_to_gpa(sp->gfn) + (entry >> (sp->role.level - 1)) * 4;
	return gfn_to_gpa(sp->gfn) + entry * 8;
}

int shadow_sync_spte(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i)
{
	struct shadow_zap zap = {};
	u64 gpte;

	KVM_MMU_WARN_ON(!sp->translation || sp->role.level != PG_LEVEL_4K);

	if (guest_read_gptes(vcpu, gpte_gpa(sp, i), &gpte, 1))
		return -EFAULT;

	sync_entry(vcpu, sp, i, gpte, &zap);
	return zap.flush;
}

static bool all_none(const u64 *sptes, int nr)
{
	while (nr--)
		if (READ_ONCE(sptes[nr]) != SPTE_NONE)
			return false;
	return true;
}

/* Return: 0 or -EFAULT. */
static int sync_entries(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp,
			struct shadow_zap *zap)
{
	u64 gptes[MMU_PREFETCH_NR];
	int first, i;

	for (first = 0; first < SPTE_ENT_PER_PAGE; first += MMU_PREFETCH_NR) {
		if (all_none(&sp->spt[first], MMU_PREFETCH_NR))
			continue;

		if (guest_read_gptes(vcpu, gpte_gpa(sp, first), gptes,
				     MMU_PREFETCH_NR))
			return -EFAULT;

		for (i = 0; i < MMU_PREFETCH_NR; i++)
			if (READ_ONCE(sp->spt[first + i]) != SPTE_NONE)
				sync_entry(vcpu, sp, first + i, gptes[i], zap);
	}
	return 0;
}

/*
 * Does the vCPU's current MMU take gPTEs as the page's role does?  If not, address
 * space, reserved bits and more would be wrong.  The mask has the parts of a role that
 * differ among the pages of one MMU.
 */
static bool same_context(const struct kvm_vcpu *vcpu,
			 const struct kvm_mmu_page *sp)
{
	static const union kvm_mmu_page_role of_page = {
		.level = 15,
		.quadrant = 3,
		.access = ACC_ALL,
		.passthrough = 1,
	};
	const struct kvm_mmu *mmu = vcpu->arch.mmu;

	return mmu->sync_spte && !sp->role.direct &&
	       !((sp->role.word ^ mmu->root_role.word) & ~of_page.word);
}

bool shadow_sync_page(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp,
		      struct shadow_zap *zap)
{
	if (!WARN_ON_ONCE(!same_context(vcpu, sp)) &&
	    !sync_entries(vcpu, sp, zap))
		return true;

	shadow_page_zap(vcpu->kvm, sp, zap);
	return false;
}

/* The guest's flushes. */

/* Return: true if TLBs must be flushed, as the guest could go on writing by them. */
static bool protect_tables(struct kvm *kvm, struct kvm_mmu_page **pages,
			   unsigned int nr)
{
	bool flush = false;

	while (nr--)
		flush |= mmu_write_protect_gfn(kvm, pages[nr]->gfn);
	return flush;
}

/*
 * All tables are protected before the first is read: one of them may map
 * another, and its SPTEs must not give back what was just taken.
 */
static void sync_pages(struct kvm_vcpu *vcpu, struct kvm_mmu_page **pages,
		       unsigned int nr, struct shadow_zap *zap)
{
	unsigned int i;

	if (protect_tables(vcpu->kvm, pages, nr)) {
		zap->flush = true;
		shadow_zap_finish(vcpu->kvm, zap);
	}

	for (i = 0; i < nr; i++) {
		/* It may have been found twice. */
		if (!pages[i]->unsync)
			continue;
		shadow_clear_unsync(vcpu->kvm, pages[i]);
		shadow_sync_page(vcpu, pages[i], zap);
	}
}

int shadow_sync_children(struct kvm_vcpu *vcpu, struct kvm_mmu_page *parent,
			 bool can_yield)
{
	struct shadow_zap zap = {};
	struct kvm_mmu_page *found[SHADOW_UNSYNC_BATCH];
	struct kvm *kvm = vcpu->kvm;
	unsigned int nr;

	lockdep_assert_held_write(&kvm->mmu_lock);

	while ((nr = shadow_find_unsync(parent, found, 0))) {
		sync_pages(vcpu, found, nr, &zap);
		if (can_yield) {
			shadow_zap_pause(kvm, &zap);
		} else if (need_resched() || rwlock_needbreak(&kvm->mmu_lock)) {
			shadow_zap_finish(kvm, &zap);
			kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
			return -EINTR;
		}
	}

	shadow_zap_finish(kvm, &zap);
	return 0;
}

/*
 * For callers without mmu_lock that hold a root.  The marks were set before the guest
 * could write, and it wrote before the flush that is handled here, so the marks are
 * seen.  What other vCPUs write meanwhile, this flush need not cover.
 */
static bool below_may_be_unsync(const struct kvm_mmu_page *root)
{
	/* After what the guest did by an SPTE; pairs with shadow_try_unsync(). */
	smp_rmb();
	return READ_ONCE(root->unsync_children);
}

bool shadow_root_unsync(hpa_t root)
{
	const struct kvm_mmu_page *sp;

	if (!VALID_PAGE(root) || mmu_is_dummy_root(root))
		return false;

	sp = root_to_sp(root);
	/* Previous roots have a shadow page: tables of PDPTEs are not cached. */
	return !WARN_ON_ONCE(!sp) && below_may_be_unsync(sp);
}

static void sync_root(struct kvm_vcpu *vcpu, struct kvm_mmu_page *root)
{
	if (!below_may_be_unsync(root))
		return;

	write_lock(&vcpu->kvm->mmu_lock);
	shadow_sync_children(vcpu, root, true);
	mmu_prove_flushed(vcpu->kvm);
	write_unlock(&vcpu->kvm->mmu_lock);
}

void shadow_sync_roots(struct kvm_vcpu *vcpu)
{
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	int i;

	if (mmu_is_dummy_root(mmu->root.hpa))
		return;

	if (!mmu_has_pae_root(mmu)) {
		sync_root(vcpu, root_to_sp(mmu->root.hpa));
		return;
	}

	for (i = 0; i < 4; i++)
		if (mmu->pae_root[i] != PAE_ROOT_NONE)
			sync_root(vcpu, table_to_sp(spte_child(mmu->pae_root[i])));
}

static void sync_addr_entry(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i)
{
	struct shadow_zap zap = {};
	gfn_t gfn;
	int r;

	if (READ_ONCE(sp->spt[i]) == SPTE_NONE)
		return;

	gfn = shadow_gfn(sp, i);
	r = shadow_sync_spte(vcpu, sp, i);
	if (r < 0)
		shadow_clear(vcpu->kvm, sp, i, &zap);
	if (r > 0 || zap.flush)
		mmu_flush_gfn(vcpu->kvm, gfn, PG_LEVEL_4K);
}

/* Is a present entry of level 2 or above what a fault would make of its gPTE now? */
static bool entry_follows(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i)
{
	struct guest_entry entry;
	u64 gpte;

	if (guest_read_gptes(vcpu, gpte_gpa(sp, i), &gpte, 1) ||
	    !guest_decode_entry(vcpu->arch.mmu, gpte, sp->role.level,
				sp->role.access, &entry))
		return false;

	/* The second half of a 4M page. */
	if (entry.maps && sp->role.has_4_byte_gpte && (i & 1))
		entry.gfn += KVM_PAGES_PER_HPAGE(PG_LEVEL_2M);

	if (spte_present_leaf(READ_ONCE(sp->spt[i]), sp->role.level))
		return entry.maps && shadow_gfn(sp, i) == entry.gfn &&
		       shadow_access(sp, i) == entry.access;

	return shadow_child(sp, i, entry.gfn,
			    shadow_child_role(sp, i, entry.maps, entry.access));
}

static void check_entry(struct kvm_vcpu *vcpu, struct kvm_mmu_page *sp, int i)
{
	struct shadow_zap zap = {};

	if (!sp_has_gptes(sp) || READ_ONCE(sp->spt[i]) == SPTE_NONE)
		return;

	if (sp->role.level == PG_LEVEL_4K) {
		sync_addr_entry(vcpu, sp, i);
	} else if (!entry_follows(vcpu, sp, i)) {
		shadow_clear(vcpu->kvm, sp, i, &zap);
		shadow_zap_finish(vcpu->kvm, &zap);
	}
}

/*
 * A cached root of another context is for another address space, e.g. L2's.  The
 * current root has no page if it is a table of PDPTEs.
 */
static bool of_current_context(const struct kvm_vcpu *vcpu, hpa_t root)
{
	const struct kvm_mmu_page *sp;

	if (!VALID_PAGE(root) || mmu_is_dummy_root(root))
		return false;

	sp = root_to_sp(root);
	return !sp || sp->role.word == vcpu->arch.mmu->root_role.word;
}

void shadow_check_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root)
{
	struct shadow_iter iter;

	if (!of_current_context(vcpu, root))
		return;

	write_lock(&vcpu->kvm->mmu_lock);
	shadow_iter_start(&iter, vcpu, root, addr);
	while (shadow_iter_ok(&iter)) {
		check_entry(vcpu, sptep_to_sp(iter.sptep), iter.index);
		shadow_iter_next(&iter, READ_ONCE(*iter.sptep));
	}
	mmu_prove_flushed(vcpu->kvm);
	write_unlock(&vcpu->kvm->mmu_lock);
}

/* Only a page of level 1 can be unsync.  If it is, all pages above are marked. */
static void sync_unsync_entry(struct kvm_vcpu *vcpu, u64 addr, hpa_t root)
{
	struct kvm_mmu_page *sp;
	struct shadow_iter iter;

	shadow_iter_start(&iter, vcpu, root, addr);
	while (shadow_iter_ok(&iter)) {
		sp = sptep_to_sp(iter.sptep);
		if (sp->unsync)
			sync_addr_entry(vcpu, sp, iter.index);
		if (!sp->unsync_children)
			break;
		shadow_iter_next(&iter, READ_ONCE(*iter.sptep));
	}
}

void shadow_sync_addr(struct kvm_vcpu *vcpu, u64 addr, hpa_t root)
{
	const struct kvm_mmu_page *sp;

	if (!of_current_context(vcpu, root))
		return;

	sp = root_to_sp(root);
	if (sp && !below_may_be_unsync(sp))
		return;

	write_lock(&vcpu->kvm->mmu_lock);
	sync_unsync_entry(vcpu, addr, root);
	mmu_prove_flushed(vcpu->kvm);
	write_unlock(&vcpu->kvm->mmu_lock);
}
