// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unmapping: MMU notifiers, memslots, ranges, whole VMs.
 *
 * Deleting or moving a slot unmaps its own pages: the leaves that map its gfns,
 * the tables that map nothing any more, and the pages that shadow tables there,
 * found by the index of shadowed gfns.  All else stays mapped.  Stock KVM zaps the
 * whole VM by default, and says so by KVM_X86_QUIRK_SLOT_ZAP_ALL: here that is done for
 * VMs with an assigned device, or if the module parameter slot_zap_all asks for it.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "mmio.h"
#include "mmu.h"
#include "shadow.h"
#include "tdp.h"
#include "x86.h"
#include "zap.h"
#include "mmutrace.h"

/* -1: it depends on the VM, see slot_zaps_all(). */
static int __read_mostly slot_zap_all = -1;
module_param(slot_zap_all, int, 0644);
MODULE_PARM_DESC(slot_zap_all,
		 "deleting a memslot unmaps all of the VM's memory: 1 always, 0 never, -1 (default) with an assigned device");

static void reload_apic_page(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	if (kvm_x86_ops.set_apic_access_page_addr &&
	    slot->id == APIC_ACCESS_PAGE_PRIVATE_MEMSLOT)
		kvm_make_all_cpus_request(kvm, KVM_REQ_APIC_PAGE_RELOAD);
}

/* What other slots of the same walk had mapped (flush_due) is flushed before a yield. */
bool kvm_unmap_gfn_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool flush = range->flush_due;

	/* A fault that looked up the slot before the invalidation maps nothing after. */
	lockdep_assert_once(kvm->mmu_invalidate_in_progress);

	if (kvm_memslots_have_rmaps(kvm))
		flush = shadow_zap_gfn_range(kvm, range->slot, range->start,
					     range->end, range->may_block, flush);
	if (tdp_enabled)
		flush = tdp_unmap_gfn_range(kvm, range, flush);

	reload_apic_page(kvm, range->slot);
	return flush;
}

/*
 * With direct paging only pages for nested guests have SPTEs on rmaps, and slots keep
 * the rmaps when the last of these pages is gone.  Read without mmu_lock: the SPTEs of a
 * page that is just being made are not old.
 */
static bool may_age_shadow_pages(struct kvm *kvm)
{
	return kvm_memslots_have_rmaps(kvm) &&
	       (!tdp_enabled || READ_ONCE(kvm->arch.indirect_shadow_pages));
}

/* Direct paging is aged without mmu_lock, shadow paging with it, by rmaps. */
bool kvm_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool young = false;

	if (tdp_enabled)
		young = tdp_age_gfn_range(kvm, range);
	if (may_age_shadow_pages(kvm)) {
		write_lock(&kvm->mmu_lock);
		young |= shadow_age_gfn_range(kvm, range);
		write_unlock(&kvm->mmu_lock);
	}
	return young;
}

bool kvm_test_age_gfn(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool young = tdp_enabled && tdp_test_age_gfn_range(kvm, range);

	if (!young && may_age_shadow_pages(kvm)) {
		write_lock(&kvm->mmu_lock);
		young = shadow_test_age_gfn_range(kvm, range);
		write_unlock(&kvm->mmu_lock);
	}
	return young;
}

/*
 * Everything becomes obsolete at once, under mmu_lock: there is one valid
 * generation and at most one obsolete one, as slots_lock is held until the
 * latter is gone.
 */
static void zap_all_invalidate(struct kvm *kvm)
{
	lockdep_assert_held(&kvm->slots_lock);
	lockdep_assert_held_write(&kvm->mmu_lock);

	trace_kvm_mmu_zap_all_fast(kvm);
	WRITE_ONCE(kvm->arch.mmu_valid_gen, kvm->arch.mmu_valid_gen ^ 1);
	if (tdp_enabled)
		tdp_roots_invalidate(kvm);
	/* In the same critical section: any vCPU with an obsolete root is told of it. */
	kvm_make_all_cpus_request(kvm, KVM_REQ_MMU_FREE_OBSOLETE_ROOTS);
	shadow_zap_obsolete(kvm);
}

void zap_all_fast(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	zap_all_invalidate(kvm);
	write_unlock(&kvm->mmu_lock);

	/* The notifiers cannot reach a deleted slot: no SPTE may outlive it. */
	if (tdp_enabled)
		tdp_roots_zap_invalid(kvm);
}

/* Shadow paging: unmap the gfns of a range, by slots.  Return: true if a flush is due. */
static bool shadow_zap_gfns(struct kvm *kvm, gfn_t start, gfn_t end)
{
	struct kvm_memslot_iter iter;
	bool flush = false;
	int i;

	if (!kvm_memslots_have_rmaps(kvm))
		return false;

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		kvm_for_each_memslot_in_gfn_range(&iter, __kvm_memslots(kvm, i),
						  start, end) {
			struct kvm_memory_slot *slot = iter.slot;
			gfn_t slot_end = slot->base_gfn + slot->npages;

			flush = shadow_zap_gfn_range(kvm, slot,
						     max(start, slot->base_gfn),
						     min(end, slot_end), true, flush);
		}
	}
	return flush;
}

void kvm_zap_gfn_range(struct kvm *kvm, gfn_t gfn_start, gfn_t gfn_end)
{
	bool flush;
	int idx;

	if (WARN_ON_ONCE(gfn_end <= gfn_start))
		return;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	/* A fault that has begun must not map the range again. */
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, gfn_start, gfn_end);

	flush = shadow_zap_gfns(kvm, gfn_start, gfn_end);
	if (tdp_enabled)
		flush = tdp_zap_leafs(kvm, gfn_start, gfn_end, flush);
	if (flush)
		kvm_flush_remote_tlbs_range(kvm, gfn_start, gfn_end - gfn_start);

	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}
EXPORT_SYMBOL_GPL(kvm_zap_gfn_range);

void kvm_arch_flush_shadow_all(struct kvm *kvm)
{
	write_lock(&kvm->mmu_lock);
	shadow_zap_all(kvm);
	if (tdp_enabled)
		tdp_zap_all(kvm);
	write_unlock(&kvm->mmu_lock);
}

/*
 * Pages that shadow a table in the slot are counted in the slot (write tracking), so
 * they are zapped, too.  So are tables that map nothing any more: another slot may come
 * whose pages are larger, or none.
 */
static void zap_slot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	const gfn_t end = slot->base_gfn + slot->npages;
	struct shadow_zap zap = {};

	write_lock(&kvm->mmu_lock);
	if (kvm_memslots_have_rmaps(kvm))
		zap.flush = shadow_zap_slot(kvm, slot);
	if (tdp_enabled)
		zap.flush = tdp_zap_slot(kvm, slot, zap.flush);
	if (kvm_memslots_have_rmaps(kvm)) {
		shadow_zap_gfn_tables(kvm, slot->as_id, slot->base_gfn, end, &zap);
		shadow_zap_gfn_direct(kvm, slot->as_id, slot->base_gfn, end, &zap);
	}
	reload_apic_page(kvm, slot);
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
}

/*
 * In 2019, VMs with an assigned device failed unless everything was zapped, for a reason
 * that was not found.  So that is kept for them, unless userspace disables the quirk.
 */
static bool slot_zaps_all(struct kvm *kvm)
{
	const int all = READ_ONCE(slot_zap_all);

	if (all >= 0)
		return all;

	return kvm->arch.vm_type == KVM_X86_DEFAULT_VM &&
	       kvm_check_has_quirk(kvm, KVM_X86_QUIRK_SLOT_ZAP_ALL) &&
	       kvm_arch_has_assigned_device(kvm);
}

/*
 * @slot is going or INVALID, so nobody maps its gfns again.  It is one of the active set,
 * so it has rmaps if there are any: the first shadow root gives them to no other set.
 */
void kvm_arch_flush_shadow_memslot(struct kvm *kvm, struct kvm_memory_slot *slot)
{
	if (slot_zaps_all(kvm))
		zap_all_fast(kvm);
	else
		zap_slot(kvm, slot);
}

/*
 * Userspace sets CR3.  It may have written to the guest's tables by its own mapping of
 * guest memory, which KVM cannot see.  So all pages that shadow tables are zapped.
 */
void kvm_mmu_forget_tables(struct kvm *kvm)
{
	int idx;

	/*
	 * Either this sees that a page is being made for a table, or the fault that
	 * makes it sees what userspace wrote: pairs with the barrier in watch_table().
	 */
	smp_mb();
	if (!READ_ONCE(kvm->arch.indirect_shadow_pages))
		return;

	idx = srcu_read_lock(&kvm->srcu);
	write_lock(&kvm->mmu_lock);
	shadow_zap_tables(kvm);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

void mmu_expect_memory(struct kvm *kvm, const struct kvm_memory_slot *slot)
{
	struct kvm_mmu_gain *gain = &kvm->arch.mmu_gain;

	lockdep_assert_held(&kvm->slots_lock);

	gain->as_id = slot->as_id;
	gain->start = slot->base_gfn;
	gain->end = slot->base_gfn + slot->npages;
}

/*
 * A memslot update ends with generation @gen, and nobody uses the old set any more.
 *
 * Shadow paging: the new generation makes all MMIO SPTEs stale.  But where the part
 * that they store starts over, an old one could match again: then all are zapped.
 *
 * Direct paging: only those are wrong whose gfn has got memory.  They are zapped
 * before @gen is stored: see mmio_direct_current().
 */
void kvm_mmu_invalidate_mmio_sptes(struct kvm *kvm, u64 gen)
{
	struct kvm_mmu_gain *gain = &kvm->arch.mmu_gain;

	WARN_ON_ONCE(gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);

	if (tdp_enabled)
		tdp_zap_mmio(kvm, gain->as_id, gain->start, gain->end);
	*gain = (struct kvm_mmu_gain) {};
	if (likely(!mmio_gen_wrapped(kvm, gen)))
		return;

	kvm_debug_ratelimited("zapping MMIO SPTEs for generation wraparound\n");
	write_lock(&kvm->mmu_lock);
	shadow_zap_mmio(kvm);
	write_unlock(&kvm->mmu_lock);
}
