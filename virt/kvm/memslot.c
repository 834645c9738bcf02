// SPDX-License-Identifier: GPL-2.0-only
/*
 * Changes of a VM's memslots.
 *
 * A change is one struct kvm_memslot_change that goes through
 *
 *	validate	is the request sound, what does it amount to
 *	prepare		get the memory for it; nobody sees any of it
 *	install, delete	the architecture may refuse, else all readers get the new set
 *	commit		what follows from that; cannot fail
 *
 * What is refused leaves no trace but for KVM_MR_MOVE: the old slot was away for a while
 * (kvm_memslot_undo_move()).  A change costs one grace period of kvm->srcu; two, if
 * kvm_memslot_needs_copy().
 *
 * Locks, in the order in which they are taken:
 *
 *	kvm->slots_lock		  serializes changes and owns the inactive
 *				  copies.
 *	kvm->slots_arch_lock	  protects slot->arch.  Whoever writes to ->arch
 *				  without slots_lock takes this lock before
 *				  reading kvm->memslots[].  A change of memslots
 *				  holds it from reading the old slot's ->arch to
 *				  the publication, so that no such write is
 *				  lost.  It is dropped before the wait for SRCU
 *				  (kvm_memslots_finish()), because it may be
 *				  taken in an SRCU read section.
 *				  Such writes go to slots of the active sets
 *				  alone; readers that still have a replaced slot
 *				  do not see them.  So when an architecture
 *				  says "all slots have it", that is true of
 *				  slots that are looked up afterwards; a reader
 *				  of an older slot must check.
 *	kvm->mn_invalidate_lock	  protects the publication against MMU
 *				  notifiers.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/file.h>
#include <linux/kvm_host.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "kvm_core.h"
#include "memslot_tree.h"

/* Slot ids are kept in a short. */
static_assert(KVM_MEM_SLOTS_NUM <= SHRT_MAX);

/**
 * struct kvm_memslot_change - one change of one slot
 * @kvm: the VM
 * @kind: what happens to the slot
 * @as_id: its address space
 * @old: the slot as it is; NULL for KVM_MR_CREATE
 * @new: the slot as it will be; NULL for KVM_MR_DELETE
 * @invalid: a copy of @old that is marked KVM_MEMSLOT_INVALID and stands in for it
 *	     in the meantime; NULL unless kvm_memslot_needs_copy()
 * @gmem_file: for KVM_MR_CREATE with KVM_MEM_GUEST_MEMFD: a reference that is
 *	       held until the change has ended.  A slot has none of its own, as
 *	       the file pins the VM: closing it unbinds the slot.
 */
struct kvm_memslot_change {
	struct kvm *kvm;
	enum kvm_mr_change kind;
	u16 as_id;
	struct kvm_memory_slot *old;
	struct kvm_memory_slot *new;
	struct kvm_memory_slot *invalid;
	struct file *gmem_file;
};

/* The flags that the VM allows for a slot of the kind, private or not, in @flags. */
static u32 kvm_memslot_allowed_flags(struct kvm *kvm, u32 flags)
{
	/*
	 * Writes to a read-only slot are emulated MMIO, which private memory
	 * cannot have; nor can its writes be logged.
	 */
	if (flags & KVM_MEM_GUEST_MEMFD)
		return kvm_arch_has_private_mem(kvm) ? KVM_MEM_GUEST_MEMFD : 0;

	return KVM_MEM_LOG_DIRTY_PAGES |
	       (kvm_arch_has_readonly_mem(kvm) ? KVM_MEM_READONLY : 0);
}

static bool kvm_region_size_ok(u64 size)
{
	return PAGE_ALIGNED(size) && size == (unsigned long)size &&
	       size >> PAGE_SHIFT <= KVM_MEM_MAX_NR_PAGES;
}

/* Is [start, start + size) page aligned, and does it not wrap? */
static bool kvm_region_range_ok(u64 start, u64 size)
{
	return PAGE_ALIGNED(start) && start + size >= start;
}

/* Later accesses use __copy_from_user() and the like, which do no access_ok(). */
static bool kvm_region_hva_ok(const struct kvm_userspace_memory_region2 *mem)
{
	return PAGE_ALIGNED(mem->userspace_addr) &&
	       mem->userspace_addr == untagged_addr(mem->userspace_addr) &&
	       access_ok((void __user *)(unsigned long)mem->userspace_addr,
			 mem->memory_size);
}

/* The checks that need no look at the slots; false stands for -EINVAL. */
static bool kvm_region_ok(struct kvm *kvm,
			  const struct kvm_userspace_memory_region2 *mem)
{
	const u64 size = mem->memory_size;

	if (mem->flags & ~kvm_memslot_allowed_flags(kvm, mem->flags))
		return false;
	if (kvm_user_slot_id(mem->slot) >= KVM_MEM_SLOTS_NUM ||
	    kvm_user_slot_as_id(mem->slot) >= kvm_arch_nr_memslot_as_ids(kvm))
		return false;
	if ((mem->flags & KVM_MEM_GUEST_MEMFD) &&
	    !kvm_region_range_ok(mem->guest_memfd_offset, size))
		return false;

	return kvm_region_size_ok(size) &&
	       kvm_region_range_ok(mem->guest_phys_addr, size) &&
	       kvm_region_hva_ok(mem);
}

/* The number of pages in all slots of a VM must fit in an unsigned long. */
static int kvm_memslot_check_count(const struct kvm_memslot_change *c,
				   unsigned long npages)
{
	const unsigned long total = c->kvm->nr_memslot_pages;

	if (c->kind == KVM_MR_CREATE && total + npages < total)
		return -EINVAL;
	if (c->kind == KVM_MR_DELETE && WARN_ON_ONCE(total < c->old->npages))
		return -EIO;

	return 0;
}

/*
 * Work out which change @mem asks for, and set its kind, as_id and old slot in @c.
 * Returns 1 if there is a change to make, 0 if the slot is as requested already, or
 * a negative errno.
 */
static int kvm_memslot_validate(struct kvm_memslot_change *c,
				const struct kvm_userspace_memory_region2 *mem)
{
	const gfn_t base = gpa_to_gfn(mem->guest_phys_addr);
	const unsigned long npages = mem->memory_size >> PAGE_SHIFT;
	const int id = kvm_user_slot_id(mem->slot);
	struct kvm_memslots *slots;
	int r;

	if (!kvm_region_ok(c->kvm, mem))
		return -EINVAL;

	c->as_id = kvm_user_slot_as_id(mem->slot);
	slots = __kvm_memslots(c->kvm, c->as_id);
	c->old = id_to_memslot(slots, id);

	r = kvm_memslot_classify(c->old, mem, &c->kind);
	if (r <= 0)
		return r;

	r = kvm_memslot_check_count(c, npages);
	if (r)
		return r;

	if ((c->kind == KVM_MR_CREATE || c->kind == KVM_MR_MOVE) &&
	    kvm_memslots_overlap(slots, base, base + npages, id))
		return -EEXIST;

	return 1;
}

static struct kvm_memory_slot *
kvm_memslot_alloc(const struct kvm_userspace_memory_region2 *mem)
{
	struct kvm_memory_slot *slot;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL_ACCOUNT);
	if (!slot)
		return NULL;

	slot->id = kvm_user_slot_id(mem->slot);
	slot->as_id = kvm_user_slot_as_id(mem->slot);
	slot->flags = mem->flags;
	slot->base_gfn = gpa_to_gfn(mem->guest_phys_addr);
	slot->npages = mem->memory_size >> PAGE_SHIFT;
	slot->userspace_addr = mem->userspace_addr;
	return slot;
}

#ifdef CONFIG_KVM_PRIVATE_MEM
/* Find a new slot's guest_memfd; kvm_memslot_bind_gmem() makes the file know it. */
static int kvm_memslot_prepare_gmem(struct kvm_memslot_change *c,
				    const struct kvm_userspace_memory_region2 *mem)
{
	int r;

	if (c->kind != KVM_MR_CREATE || !(mem->flags & KVM_MEM_GUEST_MEMFD))
		return 0;

	r = kvm_gmem_prepare_memory_region(c->kvm, c->new, mem->guest_memfd,
					   mem->guest_memfd_offset);
	if (!r)
		c->gmem_file = c->new->gmem.file;
	return r;
}

/*
 * Bind the new slot to its guest_memfd.  This is the last step that can fail, as a
 * hole that is punched into the file reaches the slot from then on.  Only the
 * publication follows, under the slots_arch_lock that the caller holds.
 */
static int kvm_memslot_bind_gmem(struct kvm_memslot_change *c)
{
	int r;

	lockdep_assert_held(&c->kvm->slots_arch_lock);

	if (!c->gmem_file)
		return 0;

	r = kvm_gmem_commit_memory_region(c->kvm, c->new);
	if (r)
		kvm_arch_free_memslot(c->kvm, c->new);
	return r;
}
#else
static int kvm_memslot_prepare_gmem(struct kvm_memslot_change *c,
				    const struct kvm_userspace_memory_region2 *mem)
{
	return 0;
}

static int kvm_memslot_bind_gmem(struct kvm_memslot_change *c)
{
	return 0;
}
#endif

/* A slot that was logged and stays logged keeps its bitmap with all its bits. */
static int kvm_memslot_prepare_bitmap(struct kvm_memslot_change *c)
{
	if (!kvm_slot_dirty_track_enabled(c->new))
		return 0;

	if (c->old && c->old->dirty_bitmap) {
		c->new->dirty_bitmap = c->old->dirty_bitmap;
		return 0;
	}
	if (!kvm_use_dirty_bitmap(c->kvm))
		return 0;

	return kvm_dirty_bitmap_alloc(c->kvm, c->new);
}

/*
 * Faults must not map a slot that is being deleted or moved.  Two things prevent it:
 *
 *   a mark	The slot itself is marked as going (kvm_memslot_unmap()).  The mark is
 *		never taken back, so this is for deletions only, and only where the
 *		architecture looks at the mark.
 *   a copy	An INVALID copy takes the slot's place (kvm_memslot_invalidate()), which
 *		costs one more installation.  The slot itself is as it was, and comes
 *		back if the move is refused.
 */
static bool kvm_memslot_needs_copy(const struct kvm_memslot_change *c)
{
	return c->kind == KVM_MR_MOVE ||
	       (c->kind == KVM_MR_DELETE &&
		!IS_ENABLED(CONFIG_HAVE_KVM_GOING_SLOTS));
}

/* Get all that the change needs; kvm_memslot_abort() gives it back. */
static int kvm_memslot_prepare(struct kvm_memslot_change *c,
			       const struct kvm_userspace_memory_region2 *mem)
{
	int r;

	if (kvm_memslot_needs_copy(c)) {
		c->invalid = kzalloc(sizeof(*c->invalid), GFP_KERNEL_ACCOUNT);
		if (!c->invalid)
			return -ENOMEM;
	}
	if (c->kind == KVM_MR_DELETE)
		return 0;

	c->new = kvm_memslot_alloc(mem);
	if (!c->new)
		return -ENOMEM;

	r = kvm_memslot_prepare_gmem(c, mem);
	if (r)
		return r;

	return kvm_memslot_prepare_bitmap(c);
}

/* Undo kvm_memslot_prepare(), also where it stopped half-way. */
static void kvm_memslot_abort(struct kvm_memslot_change *c)
{
	struct kvm_memory_slot *new = c->new;

	kfree(c->invalid);
	if (!new)
		return;

	if (!c->old || new->dirty_bitmap != c->old->dirty_bitmap)
		kvm_dirty_bitmap_free(new);
	kfree(new);
}

/* The links and the guest_memfd binding stay with @old. */
static void kvm_memslot_make_invalid(struct kvm_memory_slot *invalid,
				     const struct kvm_memory_slot *old)
{
	invalid->id = old->id;
	invalid->as_id = old->as_id;
	invalid->flags = old->flags | KVM_MEMSLOT_INVALID;
	invalid->base_gfn = old->base_gfn;
	invalid->npages = old->npages;
	invalid->userspace_addr = old->userspace_addr;
	invalid->dirty_bitmap = old->dirty_bitmap;
	invalid->arch = old->arch;
}

/*
 * First half of an installation: readers find @now in the old slot's place.  The
 * inactive copy has @old until then, also while the active one shows @invalid.
 */
static void kvm_memslot_publish(struct kvm_memslot_change *c,
				struct kvm_memory_slot *now)
{
	kvm_memslots_replace(kvm_inactive_memslots(c->kvm, c->as_id), c->old,
			     now);
	kvm_memslots_publish(c->kvm, c->as_id);
}

/* Second half: no reader has the set from before, which gets @now as well. */
static void kvm_memslot_finish(struct kvm_memslot_change *c,
			       struct kvm_memory_slot *now)
{
	/* What the set from before has in the slot's place. */
	struct kvm_memory_slot *shown = c->invalid ?: c->old;

	kvm_memslots_finish(c->kvm, c->as_id);
	kvm_memslots_replace(kvm_inactive_memslots(c->kvm, c->as_id), shown, now);
}

/*
 * Put the INVALID copy in the old slot's place and drop all that maps its gfns.
 *
 * vCPUs keep running.  Once none of them uses the valid slot, none can build a
 * new mapping of its gfns (gfn_to_hva() and kvm_is_visible_gfn() refuse INVALID
 * slots), so after the flush there is none left and the slot can go or move.
 * The flush is given the copy: as long as the copy is active, users of slots_arch_lock
 * change the ->arch of the copy.
 */
static void kvm_memslot_invalidate(struct kvm_memslot_change *c)
{
	struct kvm *kvm = c->kvm;

	mutex_lock(&kvm->slots_arch_lock);
	kvm_memslot_make_invalid(c->invalid, c->old);
	kvm_memslot_publish(c, c->invalid);
	mutex_unlock(&kvm->slots_arch_lock);
	kvm_memslots_finish(kvm, c->as_id);

	kvm_arch_flush_shadow_memslot(kvm, c->invalid);
	kvm_arch_guest_memory_reclaimed(kvm);
}

/*
 * While the INVALID copy was shown, its ->arch was the one that others changed.  Where
 * there is none, they changed that of the old slot itself.
 */
static void kvm_memslot_take_arch_back(struct kvm_memslot_change *c)
{
	lockdep_assert_held(&c->kvm->slots_arch_lock);

	if (c->invalid)
		c->old->arch = c->invalid->arch;
}

/*
 * Mark a slot that will be deleted, and drop all that maps its gfns.
 *
 * vCPUs keep running, and go on finding the slot.  Whoever gets mmu_lock after the mark
 * was set maps nothing of the slot, whenever it was looked up; what was mapped before
 * is dropped here.  So no grace period is needed before the set without the slot is
 * installed.  The grace period of that installation keeps the slot from being freed
 * under those who still look at the mark.  The mark is never taken back: nothing fails
 * from here on.
 */
static void kvm_memslot_unmap(struct kvm_memslot_change *c)
{
	struct kvm *kvm = c->kvm;

	lockdep_assert_held(&kvm->slots_lock);

	KVM_MMU_LOCK(kvm);
	/* Also read without mmu_lock, as a hint: whoever decides holds the lock. */
	WRITE_ONCE(c->old->going, true);
	KVM_MMU_UNLOCK(kvm);

	kvm_arch_flush_shadow_memslot(kvm, c->old);
}

static int kvm_slot_is_logged(const struct kvm_memory_slot *slot)
{
	return slot && kvm_slot_dirty_track_enabled(slot);
}

/* Called before the architecture's commit, which may read these counts. */
static void kvm_memslot_account(const struct kvm_memslot_change *c)
{
	int logged = kvm_slot_is_logged(c->new) - kvm_slot_is_logged(c->old);

	lockdep_assert_held(&c->kvm->slots_lock);

	if (c->kind == KVM_MR_CREATE)
		c->kvm->nr_memslot_pages += c->new->npages;
	else if (c->kind == KVM_MR_DELETE)
		c->kvm->nr_memslot_pages -= c->old->npages;

	if (logged)
		atomic_add(logged, &c->kvm->nr_memslots_dirty_logging);
}

/* Free the slot that was replaced, but for what its successor has taken over. */
static void kvm_memslot_retire(struct kvm_memslot_change *c)
{
	struct kvm_memory_slot *old = c->old;

	if (!old)
		return;

	if (!c->new) {
		kvm_memslot_free(c->kvm, old);
		return;
	}

	/* A bound slot is not replaced: kvm_memslot_classify() refuses it. */
	if (WARN_ON_ONCE(old->flags & KVM_MEM_GUEST_MEMFD))
		kvm_gmem_unbind(old);
	if (!c->new->dirty_bitmap)
		kvm_dirty_bitmap_free(old);
	kfree(old);
}

/*
 * The architecture is asked first: if it refuses, as s390 can, nothing has changed.  No
 * architecture keeps anything from there to the publication, so slots_arch_lock can be
 * dropped in between.
 */
static int kvm_memslot_delete(struct kvm_memslot_change *c)
{
	struct kvm *kvm = c->kvm;
	int r;

	mutex_lock(&kvm->slots_arch_lock);
	r = kvm_arch_prepare_memory_region(kvm, c->old, NULL, KVM_MR_DELETE);
	mutex_unlock(&kvm->slots_arch_lock);
	if (r)
		return r;

	if (c->invalid)
		kvm_memslot_invalidate(c);
	else
		kvm_memslot_unmap(c);

	mutex_lock(&kvm->slots_arch_lock);
	kvm_memslot_take_arch_back(c);
	kvm_memslot_publish(c, NULL);
	mutex_unlock(&kvm->slots_arch_lock);
	kvm_memslot_finish(c, NULL);

	/* Until now KVM could access the slot's memory by the VMM's mapping. */
	if (!c->invalid)
		kvm_arch_guest_memory_reclaimed(kvm);
	return 0;
}

/* The guest has seen no more than a flush. */
static void kvm_memslot_undo_move(struct kvm_memslot_change *c)
{
	struct kvm *kvm = c->kvm;

	mutex_lock(&kvm->slots_arch_lock);
	kvm_memslot_take_arch_back(c);
	/* The inactive copy still has the old slot. */
	kvm_memslots_publish(kvm, c->as_id);
	mutex_unlock(&kvm->slots_arch_lock);
	kvm_memslot_finish(c, c->old);
}

/*
 * Ask the architecture, which may refuse the change, and publish the new slot.  What x86
 * allocates depends on whether shadow paging needs rmaps, which must not change until
 * the publication: slots_arch_lock is held all the time.
 *
 * KVM_MR_MOVE: the old range is INVALID and flushed already.  riscv maps I/O memory at
 * the new gfns; where they overlap the old ones, a later flush would remove it.
 */
static int kvm_memslot_install(struct kvm_memslot_change *c)
{
	struct kvm *kvm = c->kvm;
	int r;

	mutex_lock(&kvm->slots_arch_lock);
	kvm_memslot_take_arch_back(c);
	r = kvm_arch_prepare_memory_region(kvm, c->old, c->new, c->kind);
	if (!r)
		r = kvm_memslot_bind_gmem(c);
	if (!r)
		kvm_memslot_publish(c, c->new);
	mutex_unlock(&kvm->slots_arch_lock);

	if (!r)
		kvm_memslot_finish(c, c->new);
	else if (c->kind == KVM_MR_MOVE)
		kvm_memslot_undo_move(c);
	return r;
}

/*
 * All readers have the new set.  Users of slots_arch_lock have found the new slot since
 * it was published: the architecture must expect that its ->arch has changed.
 */
static void kvm_memslot_commit(struct kvm_memslot_change *c)
{
	kfree(c->invalid);
	kvm_memslot_account(c);
	kvm_arch_commit_memory_region(c->kvm, c->old, c->new, c->kind);
	kvm_memslot_retire(c);
}

static int kvm_memslot_execute(struct kvm_memslot_change *c)
{
	int r;

	if (c->kind == KVM_MR_MOVE)
		kvm_memslot_invalidate(c);
	r = c->kind == KVM_MR_DELETE ? kvm_memslot_delete(c) : kvm_memslot_install(c);
	if (!r)
		kvm_memslot_commit(c);
	return r;
}

/**
 * __kvm_set_memory_region() - Create, delete, move or change the flags of a
 *			       slot, internal ones included.
 * @kvm: the VM
 * @mem: the request as in api.rst, KVM_SET_USER_MEMORY_REGION2; sizes and
 *	 addresses in bytes.  A size of 0 deletes the slot.
 *
 * On return no vCPU uses the slot as it was.  On failure the slots are as
 * before.
 *
 * Context: holds kvm->slots_lock, not kvm->srcu; sleeps.
 * Return: 0, also if nothing had to change; -EINVAL for a request that is
 * malformed or that the slot does not allow, -EEXIST if it would overlap
 * another slot or a guest_memfd's range that another slot is bound to, -EBADF if
 * the guest_memfd is no open file, -ENOMEM, or what
 * kvm_arch_prepare_memory_region() returns.
 */
int __kvm_set_memory_region(struct kvm *kvm,
			    const struct kvm_userspace_memory_region2 *mem)
{
	struct kvm_memslot_change change = { .kvm = kvm };
	int r;

	lockdep_assert_held(&kvm->slots_lock);

	r = kvm_memslot_validate(&change, mem);
	if (r <= 0)
		return r;

	r = kvm_memslot_prepare(&change, mem);
	if (!r)
		r = kvm_memslot_execute(&change);
	if (r)
		kvm_memslot_abort(&change);
	if (change.gmem_file)
		fput(change.gmem_file);
	return r;
}
EXPORT_SYMBOL_GPL(__kvm_set_memory_region);

/**
 * kvm_set_memory_region() - __kvm_set_memory_region() with the lock taken.
 * @kvm: the VM
 * @mem: the request
 *
 * Context: takes kvm->slots_lock; sleeps.
 * Return: as __kvm_set_memory_region().
 */
int kvm_set_memory_region(struct kvm *kvm,
			  const struct kvm_userspace_memory_region2 *mem)
{
	guard(mutex)(&kvm->slots_lock);

	return __kvm_set_memory_region(kvm, mem);
}
EXPORT_SYMBOL_GPL(kvm_set_memory_region);

/**
 * kvm_set_user_memory_region() - Carry out a request of userspace.
 * @kvm: the VM
 * @mem: the request
 *
 * Context: takes kvm->slots_lock; sleeps.
 * Return: -EINVAL for a slot that KVM keeps for itself, otherwise as
 * __kvm_set_memory_region().
 */
int kvm_set_user_memory_region(struct kvm *kvm,
			       const struct kvm_userspace_memory_region2 *mem)
{
	if (kvm_user_slot_id(mem->slot) >= KVM_USER_MEM_SLOTS)
		return -EINVAL;

	return kvm_set_memory_region(kvm, mem);
}
