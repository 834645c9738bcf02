/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Write tracking: gfns that stay write-protected whatever the guest does, so
 * that KVM sees each write to them.  Shadow paging tracks tables of level 2 and
 * above; with CONFIG_KVM_EXTERNAL_WRITE_TRACKING other modules may track what
 * they like (asm/kvm_page_track.h), and are told of writes.
 *
 * A slot counts the trackers of each of its gfns (arch.gfn_write_track).  It has
 * no counters as long as nobody can track: direct paging alone needs none.
 */
#ifndef __KVM_X86_MMU_PAGE_TRACK_H
#define __KVM_X86_MMU_PAGE_TRACK_H

#include <linux/kvm_host.h>
#include <asm/kvm_page_track.h>
#include "mmu.h"

/* Can there be a tracked gfn: do all slots of the active sets have counters? */
bool kvm_page_track_write_tracking_enabled(struct kvm *kvm);

/**
 * kvm_page_track_slot_outdated() - was a slot replaced before tracking began
 * @kvm: the VM
 * @slot: a slot that was looked up at any time in this section of kvm->srcu, or
 *	NULL
 *
 * Tracking begins without waiting for readers of a set that was just replaced:
 * their slots have no counters (locking.txt, 3).  If this returns true, look the gfn up
 * again: the lookup finds another slot, or none.
 *
 * Return: true if tracking is enabled and @slot has no counters.
 */
bool kvm_page_track_slot_outdated(struct kvm *kvm,
				  const struct kvm_memory_slot *slot);

/**
 * kvm_gfn_is_write_tracked() - must a gfn stay write-protected
 * @kvm: the VM
 * @slot: the gfn's slot, or NULL
 * @gfn: the page
 *
 * A gfn that is tracked in one address space is tracked in the other as well;
 * and so is, to be safe, each gfn of an outdated slot.
 *
 * Return: true if it must; false if @slot is NULL.
 * Context: mmu_lock, or the answer may be old; kvm->srcu or slots_lock.
 */
bool kvm_gfn_is_write_tracked(struct kvm *kvm,
			      const struct kvm_memory_slot *slot, gfn_t gfn);

/**
 * __kvm_write_track_add_gfn() - track a gfn once more
 * @kvm: the VM; tracking is enabled
 * @slot: the gfn's slot, which counts the trackers
 * @gfn: the page
 *
 * Write-protects it, flushes TLBs, and allows no huge page around it, in all
 * address spaces.  Faults in another address space ask kvm_gfn_is_write_tracked(), which
 * looks at the counters of both.
 *
 * Context: mmu_lock for writing; kvm->srcu or slots_lock.
 */
void __kvm_write_track_add_gfn(struct kvm *kvm, struct kvm_memory_slot *slot,
			       gfn_t gfn);

/* One tracker less.  Nothing becomes writable before the next fault.  Same context. */
void __kvm_write_track_remove_gfn(struct kvm *kvm, struct kvm_memory_slot *slot,
				  gfn_t gfn);

/**
 * kvm_page_track_create_memslot() - give a new slot its counters, if it needs any
 * @kvm: the VM
 * @slot: the slot, which nobody can see
 * @npages: its size
 *
 * Return: 0 or -ENOMEM.
 */
int kvm_page_track_create_memslot(struct kvm *kvm, struct kvm_memory_slot *slot,
				  unsigned long npages);
void kvm_page_track_free_memslot(struct kvm_memory_slot *slot);

/* Give a slot its counters unless it has them; slots_arch_lock.  0 or -ENOMEM. */
int kvm_page_track_write_tracking_alloc(struct kvm_memory_slot *slot);

#ifndef CONFIG_KVM_EXTERNAL_WRITE_TRACKING

static inline bool kvm_page_track_has_external_user(struct kvm *kvm)
{
	return false;
}

static inline int kvm_page_track_init(struct kvm *kvm)
{
	return 0;
}

static inline void kvm_page_track_cleanup(struct kvm *kvm)
{
}

static inline void kvm_page_track_delete_slot(struct kvm *kvm,
					      struct kvm_memory_slot *slot)
{
}

static inline void __kvm_page_track_write(struct kvm *kvm, gpa_t gpa,
					  const u8 *new, int bytes)
{
}

#else

static inline bool kvm_page_track_has_external_user(struct kvm *kvm)
{
	return !hlist_empty(&kvm->arch.track_notifier_head.track_notifier_list);
}

int kvm_page_track_init(struct kvm *kvm);
void kvm_page_track_cleanup(struct kvm *kvm);

/* Tell external trackers that a slot is deleted.  May sleep. */
void kvm_page_track_delete_slot(struct kvm *kvm, struct kvm_memory_slot *slot);

/* Tell external trackers of a write, whether they track the gfn or not.  May sleep. */
void __kvm_page_track_write(struct kvm *kvm, gpa_t gpa, const u8 *new,
			    int bytes);

#endif /* CONFIG_KVM_EXTERNAL_WRITE_TRACKING */

/**
 * kvm_page_track_write() - KVM wrote to guest memory for the guest
 * @vcpu: the vCPU
 * @gpa: where the write begins
 * @new: what was written
 * @bytes: how many bytes
 *
 * Tells external trackers, and shadow paging (shadow_track_write()).
 *
 * Context: kvm->srcu; may sleep.
 */
static inline void kvm_page_track_write(struct kvm_vcpu *vcpu, gpa_t gpa,
					const u8 *new, int bytes)
{
	__kvm_page_track_write(vcpu->kvm, gpa, new, bytes);
	kvm_mmu_track_write(vcpu, gpa, new, bytes);
}

#endif /* __KVM_X86_MMU_PAGE_TRACK_H */
