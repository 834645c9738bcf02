// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages did the guest write?  Marking pages dirty, in a bitmap of the
 * slot or in a ring of the vCPU, and the ioctls that read and reset either.
 *
 * A slot's bitmap is twice as long as the slot: the first half is set by
 * whoever writes, atomically and without a lock; the second is scratch space of
 * the ioctls, under slots_lock.
 *
 * No write is lost, because of the order in which the ioctls work.  Word by word they
 * take bits out of the bitmap and then make the pages of these bits trap writes; then
 * they flush the TLBs; then they report.  Whoever maps a page writable in between marks
 * it again.  Where page tables say what was written, the tables are read before the
 * bitmap: whoever unmaps a page moves what its SPTE says to the bitmap, with a lock
 * held that keeps the tables from being read in between, so the write is found in one
 * of the two.  A write through a stale TLB entry changes a page that is being reported;
 * once the ioctl has returned there is no such entry.  The flush is under slots_lock,
 * so another reader of the log finds it done.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/bitmap.h>
#include <linux/log2.h>
#include <linux/sched.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kvm_core.h"

/**
 * kvm_dirty_bitmap_alloc() - give a slot its dirty bitmap
 * @kvm: the VM
 * @slot: a slot that is not yet visible, its size set
 *
 * Every page starts dirty with KVM_DIRTY_LOG_INITIALLY_SET (api.rst,
 * KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2), and clean otherwise.
 *
 * Context: Sleeps; slots_lock held.
 * Return: 0 or -ENOMEM.
 */
int kvm_dirty_bitmap_alloc(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	lockdep_assert_held(&kvm->slots_lock);

	slot->dirty_bitmap = __vcalloc(2, kvm_dirty_bitmap_bytes(slot),
				       GFP_KERNEL_ACCOUNT);
	if (!slot->dirty_bitmap)
		return -ENOMEM;

	if (kvm_dirty_log_manual_protect_and_init_set(kvm))
		bitmap_set(slot->dirty_bitmap, 0, slot->npages);
	return 0;
}

/**
 * kvm_dirty_bitmap_free() - free a slot's dirty bitmap
 * @slot: a slot that nobody can see any more, with a bitmap or without
 *
 * Context: Sleeps.
 */
void kvm_dirty_bitmap_free(struct kvm_memory_slot *slot)
{
	if (!slot->dirty_bitmap)
		return;

	vfree(slot->dirty_bitmap);
	slot->dirty_bitmap = NULL;
}

/*
 * The slot that an ioctl names, if it has a dirty bitmap.  @first_page is where
 * the user's part of the bitmap starts, a multiple of 64.
 */
static struct kvm_memory_slot *
find_logged_slot(struct kvm *kvm, u32 user_slot, u64 first_page)
{
	u16 as_id = kvm_user_slot_as_id(user_slot);
	u16 id = kvm_user_slot_id(user_slot);
	struct kvm_memory_slot *slot;

	/* With rings there may be no bitmaps. */
	if (!kvm_use_dirty_bitmap(kvm))
		return ERR_PTR(-ENXIO);

	if (as_id >= kvm_arch_nr_memslot_as_ids(kvm) ||
	    id >= KVM_USER_MEM_SLOTS || first_page % 64)
		return ERR_PTR(-EINVAL);

	slot = id_to_memslot(__kvm_memslots(kvm, as_id), id);
	if (!slot || !slot->dirty_bitmap)
		return ERR_PTR(-ENOENT);

	return slot;
}

#ifndef CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT

/**
 * kvm_get_dirty_log() - copy the dirty bitmap of a slot to userspace
 * @kvm: the VM
 * @log: the slot, and where to copy its bitmap
 * @is_dirty: set to 1 if any page is dirty, to 0 otherwise
 * @memslot: set to the slot, NULL if there is none
 *
 * Resetting the bitmap and trapping writes is up to the architecture.
 *
 * Context: Sleeps; slots_lock held.
 * Return: 0; -ENXIO if the VM has no bitmaps, -EINVAL for an id that is out of
 * range, -ENOENT if the slot has no bitmap, -EFAULT.
 */
int kvm_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log,
		      int *is_dirty, struct kvm_memory_slot **memslot)
{
	struct kvm_memory_slot *slot = find_logged_slot(kvm, log->slot, 0);
	unsigned long bytes;

	*is_dirty = 0;
	*memslot = NULL;
	if (IS_ERR(slot))
		return PTR_ERR(slot);

	*memslot = slot;
	kvm_arch_sync_dirty_log(kvm, slot);

	bytes = kvm_dirty_bitmap_bytes(slot);
	if (memchr_inv(slot->dirty_bitmap, 0, bytes))
		*is_dirty = 1;

	return copy_to_user(log->dirty_bitmap, slot->dirty_bitmap, bytes) ?
	       -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(kvm_get_dirty_log);

#else /* CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT */

/**
 * kvm_arch_trap_dirty_pages() - arch hook, trap the next write to some pages
 * @kvm: the VM
 * @slot: a slot that is logged
 * @gfn_offset: the page of bit 0 of @masks[0], in pages from the start of the slot
 * @masks: the pages, whose bits were taken out of the log; 0 where there are none
 * @nr: how many masks, at most KVM_DIRTY_WORDS, so that faults do not wait for long
 *
 * Some architectures need less than mmu_lock for writing, which this default takes.
 *
 * Context: slots_lock held; takes mmu_lock.  The caller flushes TLBs.
 */
void __weak kvm_arch_trap_dirty_pages(struct kvm *kvm, struct kvm_memory_slot *slot,
				      gfn_t gfn_offset, const unsigned long *masks,
				      int nr)
{
	int i;

	KVM_MMU_LOCK(kvm);
	for (i = 0; i < nr; i++, gfn_offset += BITS_PER_LONG) {
		if (masks[i])
			kvm_arch_mmu_enable_log_dirty_pt_masked(kvm, slot, gfn_offset,
								masks[i]);
	}
	KVM_MMU_UNLOCK(kvm);
}

/**
 * kvm_arch_collect_dirty_pages() - arch hook, find pages that only page tables know
 *				    to be written
 * @kvm: the VM
 * @slot: a slot that is logged
 * @report: a bitmap of the caller's, in which the pages are noted; the next write to
 *	each of them is noticed.  With NULL the pages are put into the slot's bitmap;
 *	whoever takes them out of it calls kvm_arch_trap_dirty_pages().
 *
 * For architectures whose page tables say what was written.  This default is for
 * those that mark each page when it faults.
 *
 * Context: slots_lock held; takes mmu_lock.
 * Return: true if the slot's TLB entries must be flushed before userspace sees @report,
 * and before slots_lock is let go.
 */
bool __weak kvm_arch_collect_dirty_pages(struct kvm *kvm,
					 const struct kvm_memory_slot *slot,
					 unsigned long *report)
{
	return false;
}

#define WORDS_AT_ONCE	8

static bool any_of_words(const unsigned long *bits)
{
	return READ_ONCE(bits[0]) | READ_ONCE(bits[1]) | READ_ONCE(bits[2]) |
	       READ_ONCE(bits[3]) | READ_ONCE(bits[4]) | READ_ONCE(bits[5]) |
	       READ_ONCE(bits[6]) | READ_ONCE(bits[7]);
}

/*
 * The first word from @i on that is not 0, or @end.  Mostly there are few.  Bits are
 * set meanwhile, without a lock: one that comes too late is found by the next ioctl.
 */
static unsigned long next_dirty_word(const unsigned long *bits, unsigned long i,
				     unsigned long end)
{
	while (i + WORDS_AT_ONCE <= end && !any_of_words(bits + i))
		i += WORDS_AT_ONCE;
	while (i < end && !READ_ONCE(bits[i]))
		i++;
	return i;
}

/* Move words of the bitmap into @report and @taken. */
static void take_words(unsigned long *bits, unsigned long *report, unsigned long *taken,
		       int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		taken[i] = READ_ONCE(bits[i]) ? xchg(&bits[i], 0) : 0;
		report[i] |= taken[i];
	}
}

/*
 * Move the bitmap's bits into @report and trap writes to their pages.  slots_lock
 * keeps everybody else from clearing bits.  Returns true if the slot's TLB entries must
 * be flushed.
 */
static bool take_dirty_bits(struct kvm *kvm, struct kvm_memory_slot *slot,
			    unsigned long *report)
{
	const unsigned long words = BITS_TO_LONGS(slot->npages);
	unsigned long *bits = slot->dirty_bitmap;
	unsigned long taken[KVM_DIRTY_WORDS], i;
	bool any = false;
	int nr;

	for (i = next_dirty_word(bits, 0, words); i < words;
	     i = next_dirty_word(bits, i + nr, words)) {
		any = true;
		nr = min(words - i, KVM_DIRTY_WORDS);
		take_words(bits + i, report + i, taken, nr);
		kvm_arch_trap_dirty_pages(kvm, slot, i * BITS_PER_LONG, taken, nr);
		cond_resched();
	}
	return any;
}

/*
 * Note in @report all that was written.  The page tables are read before the bitmap:
 * see the top of this file.  Returns true if the slot's TLB entries must be flushed.
 */
static bool take_dirty_pages(struct kvm *kvm, struct kvm_memory_slot *slot,
			     unsigned long *report)
{
	bool flush;

	memset(report, 0, kvm_dirty_bitmap_bytes(slot));
	flush = kvm_arch_collect_dirty_pages(kvm, slot, report);
	return take_dirty_bits(kvm, slot, report) || flush;
}

static int get_dirty_log(struct kvm *kvm, const struct kvm_dirty_log *log)
{
	struct kvm_memory_slot *slot = find_logged_slot(kvm, log->slot, 0);
	unsigned long *report;
	bool flush;

	if (IS_ERR(slot))
		return PTR_ERR(slot);

	kvm_arch_sync_dirty_log(kvm, slot);

	/* In manual mode KVM_CLEAR_DIRTY_LOG resets what this reports. */
	if (kvm->manual_dirty_log_protect) {
		report = slot->dirty_bitmap;
		flush = kvm_arch_collect_dirty_pages(kvm, slot, NULL);
	} else {
		report = kvm_second_dirty_bitmap(slot);
		flush = take_dirty_pages(kvm, slot, report);
	}
	if (flush)
		kvm_flush_remote_tlbs_memslot(kvm, slot);

	/* In manual mode vCPUs set bits meanwhile: one that is missed is in the next report. */
	return data_race(copy_to_user(log->dirty_bitmap, report,
				      kvm_dirty_bitmap_bytes(slot))) ? -EFAULT : 0;
}

/**
 * kvm_vm_get_dirty_log() - KVM_GET_DIRTY_LOG
 * @kvm: the VM
 * @log: the slot, and where to copy its bitmap
 *
 * The pages that are reported become clean, even if the report fails with -EFAULT;
 * in manual mode they stay dirty (api.rst, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2).
 *
 * Context: Takes slots_lock.
 * Return: 0; -ENXIO if the VM has no bitmaps, -EINVAL for an id that is out of
 * range, -ENOENT if the slot has no bitmap, -EFAULT.
 */
int kvm_vm_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log)
{
	int r;

	mutex_lock(&kvm->slots_lock);
	r = get_dirty_log(kvm, log);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/*
 * Clear bits of the bitmap that are set in @wanted.  @cleared: those that were set.
 * Returns true if there are any.
 */
static bool clear_words(unsigned long *bits, const unsigned long *wanted,
			unsigned long *cleared, int nr)
{
	bool any = false;
	int i;

	for (i = 0; i < nr; i++) {
		cleared[i] = wanted[i];
		if (wanted[i])
			cleared[i] &= atomic_long_fetch_andnot(wanted[i],
							       (atomic_long_t *)&bits[i]);
		any |= cleared[i];
	}
	return any;
}

/*
 * Clear the bits that are set in @wanted and trap writes to their pages; bits
 * that were clear already, and those beyond the slot, do nothing.  Returns true
 * if the slot's TLB entries must be flushed.
 */
static bool clear_dirty_bits(struct kvm *kvm, struct kvm_memory_slot *slot,
			     const struct kvm_clear_dirty_log *log,
			     const unsigned long *wanted)
{
	unsigned long *bits = slot->dirty_bitmap +
			      log->first_page / BITS_PER_LONG;
	const unsigned long words = BITS_TO_LONGS(log->num_pages);
	unsigned long cleared[KVM_DIRTY_WORDS], i;
	bool any = false;
	int nr;

	for (i = 0; i < words; i += nr) {
		nr = min(words - i, KVM_DIRTY_WORDS);
		if (clear_words(bits + i, wanted + i, cleared, nr)) {
			any = true;
			kvm_arch_trap_dirty_pages(kvm, slot, log->first_page +
						  i * BITS_PER_LONG, cleared, nr);
		}
		cond_resched();
	}
	return any;
}

/* A range ends at a multiple of 64 pages or with the slot. */
static bool clear_range_is_valid(const struct kvm_memory_slot *slot,
				 const struct kvm_clear_dirty_log *log)
{
	unsigned long left;

	if (log->first_page > slot->npages)
		return false;

	left = slot->npages - log->first_page;
	return log->num_pages == left ||
	       (log->num_pages < left && log->num_pages % 64 == 0);
}

static int clear_dirty_log(struct kvm *kvm,
			   const struct kvm_clear_dirty_log *log)
{
	unsigned long bytes = BITS_TO_LONGS(log->num_pages) * sizeof(long);
	struct kvm_memory_slot *slot;
	unsigned long *wanted;

	slot = find_logged_slot(kvm, log->slot, log->first_page);
	if (IS_ERR(slot))
		return PTR_ERR(slot);

	if (!clear_range_is_valid(slot, log))
		return -EINVAL;

	kvm_arch_sync_dirty_log(kvm, slot);

	wanted = kvm_second_dirty_bitmap(slot);
	if (copy_from_user(wanted, log->dirty_bitmap, bytes))
		return -EFAULT;

	if (clear_dirty_bits(kvm, slot, log, wanted))
		kvm_flush_remote_tlbs_memslot(kvm, slot);
	return 0;
}

/**
 * kvm_vm_clear_dirty_log() - KVM_CLEAR_DIRTY_LOG
 * @kvm: the VM
 * @log: the slot, the range of its pages, and the bitmap of those to reset
 *
 * Context: Takes slots_lock.
 * Return: 0; -ENXIO if the VM has no bitmaps, -EINVAL for an id or a range that
 * is out of bounds or not a multiple of 64 pages, -ENOENT if the slot has no
 * bitmap, -EFAULT.
 */
int kvm_vm_clear_dirty_log(struct kvm *kvm,
			   const struct kvm_clear_dirty_log *log)
{
	int r;

	mutex_lock(&kvm->slots_lock);
	r = clear_dirty_log(kvm, log);
	mutex_unlock(&kvm->slots_lock);
	return r;
}

/**
 * kvm_enable_manual_dirty_log() - KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2
 * @kvm: the VM
 * @cap: args[0] is the new set of KVM_DIRTY_LOG_* options, 0 for none
 *
 * Options that only manual mode has need KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE.
 *
 * Context: Takes slots_lock: a change of a slot, or an ioctl of the log, goes by one
 * set of options.
 * Return: 0, or -EINVAL for unknown options or flags.
 */
int kvm_enable_manual_dirty_log(struct kvm *kvm,
				const struct kvm_enable_cap *cap)
{
	bool manual = cap->args[0] & KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE;
	u64 allowed = manual ? KVM_DIRTY_LOG_MANUAL_CAPS : 0;

	if (cap->flags || cap->args[0] & ~allowed)
		return -EINVAL;

	mutex_lock(&kvm->slots_lock);
	kvm->manual_dirty_log_protect = cap->args[0];
	mutex_unlock(&kvm->slots_lock);
	return 0;
}

#endif /* CONFIG_KVM_GENERIC_DIRTYLOG_READ_PROTECT */

/**
 * kvm_enable_dirty_ring() - KVM_CAP_DIRTY_LOG_RING and _ACQ_REL
 * @kvm: the VM; the capability is available
 * @bytes: size of each vCPU's ring: a power of two, a page at least, larger
 *	than the entries that the architecture reserves
 *
 * Context: Takes kvm->lock.
 * Return: 0; -E2BIG beyond KVM_DIRTY_RING_MAX_ENTRIES, -EINVAL for any other
 * size, a second call, or a VM that has vCPUs.
 */
int kvm_enable_dirty_ring(struct kvm *kvm, u32 bytes)
{
	const size_t entry = sizeof(struct kvm_dirty_gfn);
	int r = 0;

	if (!KVM_DIRTY_LOG_PAGE_OFFSET || !is_power_of_2(bytes) ||
	    bytes < PAGE_SIZE ||
	    bytes < kvm_dirty_ring_get_rsvd_entries() * entry)
		return -EINVAL;

	if (bytes > KVM_DIRTY_RING_MAX_ENTRIES * entry)
		return -E2BIG;

	mutex_lock(&kvm->lock);
	if (kvm->dirty_ring_size || kvm->created_vcpus)
		r = -EINVAL;
	else
		kvm->dirty_ring_size = bytes;
	mutex_unlock(&kvm->lock);
	return r;
}

/**
 * kvm_enable_dirty_ring_bitmap() - KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP
 * @kvm: the VM
 * @cap: without flags
 *
 * The VM gets bitmaps beside its rings, for writes outside of any vCPU.  As
 * there is no slot yet, every slot will have one.
 *
 * Context: Takes slots_lock.
 * Return: 0; -EINVAL if the architecture needs no such thing, rings are not
 * enabled or the VM has slots.
 */
int kvm_enable_dirty_ring_bitmap(struct kvm *kvm,
				 const struct kvm_enable_cap *cap)
{
	bool empty;

	if (!IS_ENABLED(CONFIG_NEED_KVM_DIRTY_RING_WITH_BITMAP))
		return -EINVAL;

	if (cap->flags || !kvm->dirty_ring_size)
		return -EINVAL;

	mutex_lock(&kvm->slots_lock);
	empty = kvm_are_all_memslots_empty(kvm);
	if (empty)
		kvm->dirty_ring_with_bitmap = true;
	mutex_unlock(&kvm->slots_lock);
	return empty ? 0 : -EINVAL;
}

/**
 * kvm_reset_dirty_rings() - KVM_RESET_DIRTY_RINGS
 * @kvm: the VM
 *
 * Takes back the entries that userspace has collected, and traps writes to
 * their pages again.  Takes no more entries than were in the rings when it began, and
 * fewer if a fatal signal comes.  TLBs are flushed under slots_lock: if two threads
 * call this, the one that finds its entries reset already finds them flushed, too.
 *
 * Context: Takes slots_lock, may sleep.
 * Return: the number of entries over all vCPUs, -EINVAL without rings.
 */
int kvm_reset_dirty_rings(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;
	int entries = 0;

	/* The sum does not overflow. */
	static_assert((u64)KVM_MAX_VCPUS * KVM_DIRTY_RING_MAX_ENTRIES <= INT_MAX);

	if (!kvm->dirty_ring_size)
		return -EINVAL;

	mutex_lock(&kvm->slots_lock);
	kvm_for_each_vcpu(i, vcpu, kvm)
		entries += kvm_dirty_ring_reset(kvm, &vcpu->dirty_ring);
	if (entries)
		kvm_flush_remote_tlbs(kvm);
	mutex_unlock(&kvm->slots_lock);
	return entries;
}

/* A ring belongs to a vCPU, so a write outside of any vCPU needs a bitmap. */
static bool may_mark_dirty(struct kvm *kvm, const struct kvm_vcpu *vcpu)
{
#ifdef CONFIG_HAVE_KVM_DIRTY_RING
	if (WARN_ON_ONCE(vcpu && vcpu->kvm != kvm))
		return false;

	/* While a VM is destroyed no vCPU is loaded, and nobody reads the log. */
	WARN_ON_ONCE(!vcpu && refcount_read(&kvm->users_count) &&
		     !kvm_arch_allow_write_without_running_vcpu(kvm));
#endif
	return true;
}

/**
 * mark_page_dirty_in_slot() - record that a page of guest memory was written
 * @kvm: the VM
 * @memslot: the slot that contains @gfn; NULL, or a slot whose writes are not
 *	tracked, makes this a no-op
 * @gfn: guest frame number
 *
 * The ring is that of the vCPU that the current task has loaded.
 *
 * Context: Any; kvm->srcu or slots_lock held.
 */
void mark_page_dirty_in_slot(struct kvm *kvm,
			     const struct kvm_memory_slot *memslot, gfn_t gfn)
{
	struct kvm_vcpu *vcpu = kvm_get_running_vcpu();
	unsigned long page;

	if (!may_mark_dirty(kvm, vcpu))
		return;

	if (!memslot || !kvm_slot_dirty_track_enabled(memslot))
		return;

	page = gfn - memslot->base_gfn;
	if (vcpu && kvm->dirty_ring_size)
		kvm_dirty_ring_push(vcpu, memslot->as_id << 16 | memslot->id,
				    page);
	else if (memslot->dirty_bitmap)
		set_bit_le(page, memslot->dirty_bitmap);
}
EXPORT_SYMBOL_GPL(mark_page_dirty_in_slot);

/**
 * mark_page_dirty() - record that a page of a VM was written
 * @kvm: the VM
 * @gfn: guest frame number
 *
 * Context: As mark_page_dirty_in_slot().
 */
void mark_page_dirty(struct kvm *kvm, gfn_t gfn)
{
	mark_page_dirty_in_slot(kvm, gfn_to_memslot(kvm, gfn), gfn);
}
EXPORT_SYMBOL_GPL(mark_page_dirty);

/**
 * kvm_vcpu_mark_page_dirty() - record that a page of a vCPU was written
 * @vcpu: the vCPU
 * @gfn: guest frame number
 *
 * Context: As mark_page_dirty_in_slot().
 */
void kvm_vcpu_mark_page_dirty(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct kvm_memory_slot *slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn);

	mark_page_dirty_in_slot(vcpu->kvm, slot, gfn);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_mark_page_dirty);
