// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty logging of direct paging by regions, see tdp_region.h.
 *
 * Why no write is lost: whoever collects D, or takes pages out of the log, holds
 * slots_lock, and flushes before letting it go.  Until then, a CPU that has D in its
 * TLB writes without a trace, but to a page that is being reported.  Afterwards the next
 * write sets D again, or finds its region closed.  Whoever removes a leaf marks its page
 * with mmu_lock for writing, or with slots_lock, so a collection either sees D or comes
 * after the mark.
 */
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>

#include "tdp.h"
#include "tdp_pte.h"
#include "tdp_region.h"
#include "mmutrace.h"

bool __read_mostly dirty_log_regions = true;
module_param(dirty_log_regions, bool, 0444);
MODULE_PARM_DESC(dirty_log_regions,
		 "log dirty pages of direct paging by Dirty bits instead of write faults (default: on)");

/*
 * tdp_set_region(), with statistics and tracepoint.  Only changes of W are counted.  W
 * is cleared with slots_lock, and set without it: hence the atomic counter for that.
 */
static bool set_region(struct kvm *kvm, tdp_ptep_t sptep, u64 *link, u64 region)
{
	const struct mmu_table *table = spte_child(*link);
	const u64 old = *link;

	if (!tdp_set_region(sptep, link, region))
		return false;

	if (region == SPTE_REGION_OPEN)
		atomic64_inc(&kvm->stat.dirty_regions_opened);
	else if (spte_writable(old))
		kvm->stat.dirty_regions_closed++;
	trace_kvm_tdp_mmu_region(role_as_id(table->role), table->gfn,
				 spte_region_nr(old), spte_region_nr(*link));
	return true;
}

/* Opening */

int tdp_region_fast_open(struct kvm *kvm, const struct kvm_page_fault *fault,
			 u64 *sptep)
{
	const struct tdp_table *sp = sptep_to_tdp(sptep);
	u64 link;

	/* There is a link: no root has 4K leaves. */
	link = tdp_read(sp->ptep);
	if (!spte_present_table(link, PG_LEVEL_2M) ||
	    spte_child_table(link) != sp->table.spt)
		return RET_PF_RETRY;
	if (spte_writable(link))
		return RET_PF_SPURIOUS;
	if (spte_region(link) == SPTE_REGION_OPENING)
		return RET_PF_RETRY;
	if (spte_region(link) == SPTE_REGION_STALE &&
	    tdp_in_region(kvm, sp->table.role, fault->slot, fault->gfn))
		return RET_PF_INVALID;

	return set_region(kvm, sp->ptep, &link, SPTE_REGION_OPEN) ?
	       RET_PF_FIXED : RET_PF_RETRY;
}

/*
 * Take D bits from before the log away, then set W, so that no D that the guest sets
 * later is taken.  One vCPU does it, and others that fault meanwhile try again: it must
 * not be preempted, which on PREEMPT_RT mmu_lock does not see to.
 */
static int open_stale(struct kvm *kvm, const struct tdp_table *sp)
{
	u64 link = tdp_read(sp->ptep);
	int i;

	guard(preempt)();

	if (!spte_present_table(link, PG_LEVEL_2M) ||
	    spte_region(link) != SPTE_REGION_STALE ||
	    !set_region(kvm, sp->ptep, &link, SPTE_REGION_OPENING))
		return RET_PF_RETRY;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		tdp_take_dirty(&sp->table.spt[i]);

	return set_region(kvm, sp->ptep, &link, SPTE_REGION_OPEN) ?
	       RET_PF_FIXED : RET_PF_RETRY;
}

int tdp_region_open(struct kvm *kvm, const struct kvm_page_fault *fault, u64 *sptep)
{
	int r;

	lockdep_assert_held_read(&kvm->mmu_lock);

	r = tdp_region_fast_open(kvm, fault, sptep);
	return r == RET_PF_INVALID ? open_stale(kvm, sptep_to_tdp(sptep)) : r;
}

/* The log begins */

static void close_stale(struct kvm *kvm, struct tdp_iter *iter)
{
	while (spte_present_table(iter->old, PG_LEVEL_2M) &&
	       spte_region(iter->old) != SPTE_REGION_STALE) {
		/*
		 * OPENING: a fault that knows an older log takes D away.  Wait for its
		 * end: a late fault may map a leaf with D where it has looked already.
		 */
		if (spte_region(iter->old) != SPTE_REGION_OPENING) {
			if (set_region(kvm, iter->sptep, &iter->old, SPTE_REGION_STALE))
				return;
		} else {
			cpu_relax();
			iter->old = tdp_read(iter->sptep);
		}
	}
}

/* Clear W in the part of a table that is in the slot: it is no region. */
static void wrprot_part(struct kvm *kvm, struct tdp_table *sp,
			const struct kvm_memory_slot *slot)
{
	const gfn_t first = sp->table.gfn;
	const gfn_t end = min(first + SPTE_ENT_PER_PAGE,
			      slot->base_gfn + slot->npages);
	struct tdp_iter iter;

	tdp_for_each(iter, sp, max(first, slot->base_gfn), end) {
		if (spte_present(iter.old))
			tdp_clear_bits(kvm, &iter, PT_WRITABLE_MASK);
	}
}

/* Close a region, or write-protect a huge page, which may be split meanwhile. */
static void begin_at(struct kvm *kvm, struct tdp_iter *iter,
		     const struct kvm_memory_slot *slot)
{
	if (spte_present_leaf(iter->old, iter->level))
		tdp_clear_bits(kvm, iter, PT_WRITABLE_MASK);
	if (iter->level != PG_LEVEL_2M || !spte_present_table(iter->old, PG_LEVEL_2M))
		return;

	if (tdp_is_region(iter->root->table.role, slot, iter->gfn))
		close_stale(kvm, iter);
	else
		wrprot_part(kvm, table_to_tdp(spte_child(iter->old)), slot);
}

void tdp_regions_begin(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	const gfn_t end = slot->base_gfn + slot->npages;
	struct tdp_table *root;
	struct tdp_iter iter;

	lockdep_assert_held(&kvm->slots_lock);
	lockdep_assert_held_read(&kvm->mmu_lock);

	tdp_for_each_root(kvm, root, slot->as_id, true) {
		rcu_read_lock();
		tdp_for_each_level(iter, root, PG_LEVEL_2M, slot->base_gfn, end) {
			if (!tdp_yield(kvm, &iter, false, true))
				begin_at(kvm, &iter, slot);
		}
		rcu_read_unlock();
	}
}

/* Collecting */

#define SPTES_PER_LINE	8

/* Does any SPTE in a cache line have the bit that is D in a present leaf? */
static bool line_has_dirty(const u64 *sptep)
{
	return (READ_ONCE(sptep[0]) | READ_ONCE(sptep[1]) | READ_ONCE(sptep[2]) |
		READ_ONCE(sptep[3]) | READ_ONCE(sptep[4]) | READ_ONCE(sptep[5]) |
		READ_ONCE(sptep[6]) | READ_ONCE(sptep[7])) & spte_fmt.dirty;
}

/*
 * The mask of those of BITS_PER_LONG leaves that have D, which is cleared if @take.  A
 * leaf that gets D after it was looked at was written after that.  Mostly few have D.
 */
static unsigned long dirty_mask(u64 *sptep, bool take)
{
	const u64 dirty = SPTE_PRESENT | spte_fmt.dirty;
	unsigned long mask = 0;
	int line, i;

	for (line = 0; line < BITS_PER_LONG; line += SPTES_PER_LINE) {
		if (!line_has_dirty(sptep + line))
			continue;
		for (i = line; i < line + SPTES_PER_LINE; i++)
			if (take ? tdp_take_dirty(&sptep[i]) :
				   (READ_ONCE(sptep[i]) & dirty) == dirty)
				mask |= BIT(i);
	}
	return mask;
}

/* Set @bits in a word of a bitmap.  Return: how many of them were clear. */
static unsigned int set_bits(unsigned long *word, unsigned long bits)
{
	if (!(bits & ~READ_ONCE(*word)))
		return 0;
	return hweight_long(bits & ~atomic_long_fetch_or(bits, (atomic_long_t *)word));
}

/*
 * Set @mask in a bitmap of a slot.  @page: the page of bit 0, counted from the slot's
 * first.  It need not be aligned, as the slot need not be.  Return: as set_bits().
 */
static unsigned int note_mask(unsigned long *bitmap, gfn_t page, unsigned long mask)
{
	unsigned long *word = bitmap + page / BITS_PER_LONG;
	const unsigned int shift = page % BITS_PER_LONG;
	unsigned int nr = set_bits(word, mask << shift);

	if (shift && mask >> (BITS_PER_LONG - shift))
		nr += set_bits(word + 1, mask >> (BITS_PER_LONG - shift));
	return nr;
}

/* The mask of those of BITS_PER_LONG pages from @page on that are in the log. */
static unsigned long logged_mask(const struct kvm_memory_slot *slot, gfn_t page)
{
	const unsigned long *word = slot->dirty_bitmap + page / BITS_PER_LONG;
	const unsigned int shift = page % BITS_PER_LONG;
	unsigned long mask = READ_ONCE(word[0]) >> shift;

	if (shift)
		mask |= READ_ONCE(word[1]) << (BITS_PER_LONG - shift);
	return mask;
}

/*
 * Note the pages of a region that have D in @report, or the log: see
 * tdp_regions_collect().  Only the log needs the atomic operations of set_bits().
 *
 * Return: true if there are any.
 */
static bool collect_table(struct kvm *kvm, const struct kvm_memory_slot *slot,
			  unsigned long *report, const struct mmu_table *table)
{
	unsigned long mask;
	bool any = false;
	int i;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i += BITS_PER_LONG) {
		mask = dirty_mask(table->spt + i, report);
		if (!mask)
			continue;
		any = true;
		kvm->stat.dirty_pages_collected +=
			note_mask(report ?: slot->dirty_bitmap,
				  table->gfn + i - slot->base_gfn, mask);
	}
	return any;
}

/*
 * In a CLOSED region no leaf has D that is not in the log, unless the region was opened
 * meanwhile.  A log that began with all pages closed nothing, and D from before stays,
 * but those pages are in it.
 */
static void prove_closed(const struct kvm_memory_slot *slot, tdp_ptep_t sptep, u64 link)
{
	const struct mmu_table *table = spte_child(link);
	unsigned long any = 0;
	int i;

	if (!IS_ENABLED(CONFIG_KVM_PROVE_MMU))
		return;
	for (i = 0; i < SPTE_ENT_PER_PAGE; i += BITS_PER_LONG)
		any |= dirty_mask(table->spt + i, false) &
		       ~logged_mask(slot, table->gfn + i - slot->base_gfn);
	WARN_ONCE(any && tdp_read(sptep) == link,
		  "D in a closed region: gfn %llx\n", table->gfn);
}

/* Is there a table of a region, in which D may be set?  @link: the value of @sptep. */
static bool has_to_be_collected(const struct kvm_memory_slot *slot, tdp_ptep_t sptep,
				u64 link)
{
	const u64 region = spte_region(link);

	if (!spte_present_table(link, PG_LEVEL_2M))
		return false;
	if (region == SPTE_REGION_CLOSED)
		prove_closed(slot, sptep, link);
	return region == SPTE_REGION_OPEN || region == SPTE_REGION_CLOSING;
}

/* How many of the SPTEs that come next in the walk's table need not be looked at. */
static int count_left_out(const struct kvm_memory_slot *slot, const struct tdp_iter *iter)
{
	const gfn_t first = gfn_round_for_level(iter->gfn, PG_LEVEL_1G);
	const gfn_t end = min(iter->end, first + KVM_PAGES_PER_HPAGE(PG_LEVEL_1G));
	const int left = (end - 1 - iter->gfn) / SPTE_ENT_PER_PAGE;
	int nr = 0;

	while (nr < left) {
		tdp_ptep_t sptep = iter->sptep + nr + 1;

		if (has_to_be_collected(slot, sptep, tdp_read(sptep)))
			break;
		nr++;
	}
	return nr;
}

/* Return: true if TLBs have to be flushed: D was taken, or the region was closed. */
static bool collect_region(struct kvm *kvm, const struct kvm_memory_slot *slot,
			   unsigned long *report, struct tdp_iter *iter)
{
	/* Without a report D stays. */
	if (collect_table(kvm, slot, report, spte_child(iter->old)))
		return !!report;
	if (spte_region(iter->old) == SPTE_REGION_OPEN)
		return set_region(kvm, iter->sptep, &iter->old, SPTE_REGION_CLOSING);

	/* TLBs were flushed since it was closed: no D is there, nor will be. */
	set_region(kvm, iter->sptep, &iter->old, SPTE_REGION_CLOSED);
	return false;
}

static bool collect_root(struct kvm *kvm, struct tdp_table *root,
			 const struct kvm_memory_slot *slot, unsigned long *report)
{
	const gfn_t start = round_up(slot->base_gfn, SPTE_ENT_PER_PAGE);
	const gfn_t end = round_down(slot->base_gfn + slot->npages, SPTE_ENT_PER_PAGE);
	struct tdp_iter iter;
	bool flush = false;

	/* All that is in [start, end) is a region, or nothing is. */
	if (start >= end || !tdp_is_region(root->table.role, slot, start))
		return false;

	rcu_read_lock();
	tdp_for_each_level(iter, root, PG_LEVEL_2M, start, end) {
		/* The others take no time, in which anybody could want mmu_lock. */
		if (iter.level == PG_LEVEL_2M &&
		    !has_to_be_collected(slot, iter.sptep, iter.old)) {
			tdp_iter_skip(&iter, count_left_out(slot, &iter));
			continue;
		}
		if (!tdp_yield(kvm, &iter, false, true) && iter.level == PG_LEVEL_2M)
			flush |= collect_region(kvm, slot, report, &iter);
	}
	rcu_read_unlock();
	return flush;
}

bool tdp_regions_collect(struct kvm *kvm, const struct kvm_memory_slot *slot,
			 unsigned long *report)
{
	struct tdp_table *root;
	bool flush = false;

	lockdep_assert_held(&kvm->slots_lock);
	lockdep_assert_held_read(&kvm->mmu_lock);

	tdp_for_each_root(kvm, root, slot->as_id, true)
		flush |= collect_root(kvm, root, slot, report);
	return flush;
}

/* Leaves that are removed */

const struct kvm_memory_slot *tdp_region_log(struct kvm *kvm,
					     union kvm_mmu_page_role role,
					     gfn_t gfn, u64 link)
{
	const struct kvm_memory_slot *slot;

	if (!tdp_has_regions(kvm) || !spte_region_counts(link))
		return NULL;

	slot = __gfn_to_memslot(kvm_memslots_for_spte_role(kvm, role), gfn);
	return tdp_in_region(kvm, role, slot, gfn) && slot->dirty_bitmap ? slot : NULL;
}
