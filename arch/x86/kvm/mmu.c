// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the rest of KVM calls: init and exit for kvm.ko, a vendor module and a VM, and
 * the functions that concern both MMUs, direct paging (tdp_*) and shadow paging
 * (shadow_*).
 *
 * The rest of KVM also calls mmu/page_fault.c (faults), mmu/root.c (CR3, INVLPG),
 * mmu/role.c (paging modes), mmu/zap.c (unmapping) and mmu/page_track.c.
 * Documentation/virtual/kvm/mmu.txt tells how it all works together.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>

#include "kvm_cache_regs.h"
#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/nx_huge_page.h"
#include "mmu/shadow.h"
#include "mmu/tdp.h"
#include "mmu/tdp_region.h"
#include "x86.h"

#define CREATE_TRACE_POINTS
#include "mmu/mmutrace.h"

void __init kvm_mmu_x86_module_init(void)
{
	nx_huge_page_init();
	spte_format_init();
}

int kvm_mmu_vendor_module_init(void)
{
	int r;

	/* Roles are compared, and hashed, as words. */
	BUILD_BUG_ON(sizeof(union kvm_mmu_page_role) != sizeof(u32));
	BUILD_BUG_ON(sizeof(union kvm_mmu_extended_role) != sizeof(u32));
	BUILD_BUG_ON(sizeof(union kvm_cpu_role) != sizeof(u64));

	spte_format_reset();
	r = tdp_module_init();
	if (r)
		return r;

	r = shadow_module_init();
	if (r)
		tdp_module_exit();
	return r;
}

void kvm_mmu_vendor_module_exit(void)
{
	tdp_module_exit();
	shadow_module_exit();
}

int kvm_mmu_init_vm(struct kvm *kvm)
{
	struct kvm_arch *arch = &kvm->arch;
	int r;

	arch->shadow_mmio_value = spte_fmt.mmio_value;
	INIT_LIST_HEAD(&arch->possible_nx_huge_pages);
	spin_lock_init(&arch->mmu_unsync_pages_lock);
	tdp_init_vm(kvm);
	r = shadow_init_vm(kvm);
	if (r)
		return r;

	arch->split_page_header_cache.kmem_cache = mmu_page_header_cache;
	arch->split_page_header_cache.gfp_zero = __GFP_ZERO;
	arch->split_shadow_page_cache.init_value = SPTE_NONE;
	arch->split_desc_cache.kmem_cache = rmap_block_cache;
	arch->split_desc_cache.gfp_zero = __GFP_ZERO;
	return 0;
}

void kvm_mmu_uninit_vm(struct kvm *kvm)
{
	/* No vCPU is left, so no TLB has anything of this VM. */
	mmu_forget_owed(kvm);
	tdp_uninit_vm(kvm);
	shadow_uninit_vm(kvm);
	kvm_mmu_free_memory_cache(&kvm->arch.split_desc_cache);
	kvm_mmu_free_memory_cache(&kvm->arch.split_page_header_cache);
	kvm_mmu_free_memory_cache(&kvm->arch.split_shadow_page_cache);
}

void kvm_mmu_change_mmu_pages(struct kvm *kvm, unsigned long goal_nr_mmu_pages)
{
	shadow_change_quota(kvm, goal_nr_mmu_pages);
}

bool kvm_mmu_may_ignore_guest_pat(struct kvm *kvm)
{
	/*
	 * With EPT, a guest's PAT may be ignored unless devices do DMA that bypasses the
	 * caches; with such DMA, userspace decides by the quirk.
	 */
	return kvm_check_has_quirk(kvm, KVM_X86_QUIRK_IGNORE_GUEST_PAT);
}

int kvm_cpu_dirty_log_size(void)
{
	return kvm_x86_ops.cpu_dirty_log_size;
}

bool mmu_write_protect_gfn(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_memory_slot *slot;
	bool flush = false;
	int i;

	lockdep_assert_held_write(&kvm->mmu_lock);

	for (i = 0; i < kvm_arch_nr_memslot_as_ids(kvm); i++) {
		/*
		 * Whatever maps the gfn was mapped under mmu_lock, by a slot of this set
		 * or an older one.  If the slot is not in this set any more, its mappings
		 * were removed before the set was published.
		 */
		slot = __gfn_to_memslot(__kvm_memslots(kvm, i), gfn);
		if (!slot)
			continue;
		if (kvm_memslots_have_rmaps(kvm))
			flush |= shadow_write_protect_gfn(kvm, slot, gfn);
		if (tdp_enabled)
			flush |= tdp_write_protect_gfn(kvm, slot, gfn);
	}
	return flush;
}

/*
 * Dirty logging of a slot begins: its pages of @start_level and above trap the next
 * write, or, where the VM has regions, all regions are closed.  The caller flushes TLBs
 * before it lets go of slots_lock.  Context: slots_lock; takes mmu_lock, yields.
 */
void kvm_mmu_slot_remove_write_access(struct kvm *kvm,
				      const struct kvm_memory_slot *memslot,
				      int start_level)
{
	if (kvm_memslots_have_rmaps(kvm)) {
		write_lock(&kvm->mmu_lock);
		shadow_wrprot_slot(kvm, memslot, start_level);
		write_unlock(&kvm->mmu_lock);
	}
	if (tdp_enabled) {
		read_lock(&kvm->mmu_lock);
		if (tdp_has_regions(kvm))
			tdp_regions_begin(kvm, memslot);
		else
			tdp_wrprot_slot(kvm, memslot, start_level);
		read_unlock(&kvm->mmu_lock);
	}
}

/*
 * Dirty logging of a slot begins on a CPU that logs its writes to clean pages (PML):
 * clear D, or W where there is no D.  Flush and context: as
 * kvm_mmu_slot_remove_write_access().
 */
void kvm_mmu_slot_leaf_clear_dirty(struct kvm *kvm,
				   const struct kvm_memory_slot *memslot)
{
	if (kvm_memslots_have_rmaps(kvm)) {
		write_lock(&kvm->mmu_lock);
		shadow_clear_dirty_slot(kvm, memslot);
		write_unlock(&kvm->mmu_lock);
	}
	if (tdp_enabled) {
		read_lock(&kvm->mmu_lock);
		tdp_clear_dirty_slot(kvm, memslot);
		read_unlock(&kvm->mmu_lock);
	}
}

/*
 * Dirty logging of a slot has ended: make huge pages possible again.  TLBs are flushed.
 * Context: slots_lock; takes mmu_lock, yields.
 */
void kvm_mmu_zap_collapsible_sptes(struct kvm *kvm,
				   const struct kvm_memory_slot *memslot)
{
	if (kvm_memslots_have_rmaps(kvm)) {
		write_lock(&kvm->mmu_lock);
		shadow_recover_huge(kvm, memslot);
		write_unlock(&kvm->mmu_lock);
	}
	if (tdp_enabled) {
		read_lock(&kvm->mmu_lock);
		tdp_recover_huge(kvm, memslot);
		read_unlock(&kvm->mmu_lock);
	}
}

/*
 * Split a slot's huge pages down to @target_level; without TDP they are left to the first
 * write.  Context: slots_lock; takes mmu_lock, yields.
 */
void kvm_mmu_slot_try_split_huge_pages(struct kvm *kvm,
				       const struct kvm_memory_slot *memslot,
				       int target_level)
{
	gfn_t start = memslot->base_gfn, end = start + memslot->npages;

	if (!tdp_enabled)
		return;

	if (kvm_memslots_have_rmaps(kvm)) {
		write_lock(&kvm->mmu_lock);
		shadow_split_range(kvm, memslot, start, end, target_level);
		write_unlock(&kvm->mmu_lock);
	}
	read_lock(&kvm->mmu_lock);
	tdp_split_range(kvm, memslot, start, end, target_level, true);
	read_unlock(&kvm->mmu_lock);
}

/* Is the next write trapped?  Not with PML: the CPU logs it, if D is clear. */
static bool log_dirty_by_write(void)
{
	return !kvm_x86_ops.cpu_dirty_log_size;
}

/*
 * May a logged slot still have huge pages?  Yes, if logging began with all pages set, as
 * nothing was write-protected then.
 */
static bool log_dirty_has_huge(struct kvm *kvm)
{
	return kvm_dirty_log_manual_protect_and_init_set(kvm);
}

/* The part of direct paging.  @shared: mmu_lock is held for reading, else for writing. */
static void trap_direct(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			unsigned long mask, bool shared)
{
	const gfn_t first = gfn + __ffs(mask), last = gfn + __fls(mask);

	if (!tdp_enabled)
		return;

	if (log_dirty_has_huge(kvm)) {
		if (READ_ONCE(eager_page_split))
			tdp_split_range(kvm, slot, first, last + 1, PG_LEVEL_4K,
					shared);
		tdp_wrprot_huge(kvm, slot, first, last);
	}
	tdp_clear_dirty_masked(kvm, slot, gfn, mask, log_dirty_by_write());
}

/* The part of shadow paging, where the VM has rmaps.  mmu_lock is held for writing. */
static void trap_shadow(struct kvm *kvm, struct kvm_memory_slot *slot, gfn_t gfn,
			unsigned long mask)
{
	const gfn_t first = gfn + __ffs(mask), last = gfn + __fls(mask);

	if (log_dirty_has_huge(kvm)) {
		if (tdp_enabled && READ_ONCE(eager_page_split))
			shadow_split_range(kvm, slot, first, last + 1, PG_LEVEL_4K);
		shadow_wrprot_huge(kvm, slot, first, last);
	}
	shadow_clear_dirty_masked(kvm, slot, gfn, mask, log_dirty_by_write());
}

/*
 * Never called: x86 has its own kvm_arch_trap_dirty_pages().  The generic one, which is
 * linked as well, refers to it.
 */
void kvm_arch_mmu_enable_log_dirty_pt_masked(struct kvm *kvm,
					     struct kvm_memory_slot *slot,
					     gfn_t gfn_offset, unsigned long mask)
{
	WARN_ON_ONCE(1);
}

/*
 * Pages were taken out of the log: make sure that the next write to each is noticed.  The
 * caller flushes TLBs.
 *
 * The first shadow root may come at any time, also after this found no rmaps.  No
 * write is lost by that: @mask was taken out of the log before, and what the root's
 * pages map writable after that is marked dirty again.
 */
void kvm_arch_trap_dirty_pages(struct kvm *kvm, struct kvm_memory_slot *slot,
			       gfn_t gfn_offset, const unsigned long *masks, int nr)
{
	const bool shared = !kvm_memslots_have_rmaps(kvm);
	gfn_t gfn = slot->base_gfn + gfn_offset;
	int i;

	if (shared)
		read_lock(&kvm->mmu_lock);
	else
		write_lock(&kvm->mmu_lock);
	for (i = 0; i < nr; i++, gfn += BITS_PER_LONG) {
		if (!masks[i])
			continue;
		trap_direct(kvm, slot, gfn, masks[i], shared);
		if (!shared)
			trap_shadow(kvm, slot, gfn, masks[i]);
	}
	mmu_prove_flushed(kvm);
	if (shared)
		read_unlock(&kvm->mmu_lock);
	else
		write_unlock(&kvm->mmu_lock);
}

/* See tdp_regions_collect().  Pages of shadow paging were marked by faults. */
bool kvm_arch_collect_dirty_pages(struct kvm *kvm, const struct kvm_memory_slot *slot,
				  unsigned long *report)
{
	bool flush;

	if (!tdp_has_regions(kvm))
		return false;

	read_lock(&kvm->mmu_lock);
	flush = tdp_regions_collect(kvm, slot, report);
	mmu_prove_flushed(kvm);
	read_unlock(&kvm->mmu_lock);
	return flush;
}

/* KVM wrote to guest memory for the guest. */
void kvm_mmu_track_write(struct kvm_vcpu *vcpu, gpa_t gpa, const u8 *new, int bytes)
{
	shadow_track_write(vcpu, gpa, bytes);
}

/* The gpa of a write that made a fault.  If L1 has tables for L2, @addr is L2's gpa. */
static gpa_t written_gpa(struct kvm_vcpu *vcpu, gpa_t addr)
{
	if (vcpu->arch.mmu->root_role.direct)
		return addr;
	if (mmu_is_nested(vcpu))
		return translate_nested_gpa(vcpu, addr, PFERR_WRITE_MASK, NULL);
	return kvm_mmu_gva_to_gpa_write(vcpu, addr, NULL);
}

/*
 * The emulator failed on a write, or should not be asked: zap what shadows the page, so
 * that the guest does the write itself.  last_retry_* keep that from being tried for
 * ever at the same instruction.  Return: true if a page was zapped.
 */
bool __kvm_mmu_unprotect_gfn_and_retry(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa,
				       bool always_retry)
{
	bool zapped = false;
	gpa_t gpa;

	/* Without mmu_lock: a wrong answer only costs an emulation or a search. */
	if (READ_ONCE(vcpu->kvm->arch.indirect_shadow_pages)) {
		gpa = written_gpa(vcpu, cr2_or_gpa);
		if (gpa != INVALID_GPA)
			zapped = shadow_unprotect_gfn(vcpu->kvm, gpa_to_gfn(gpa));
	}

	if (zapped || always_retry) {
		vcpu->arch.last_retry_eip = kvm_rip_read(vcpu);
		vcpu->arch.last_retry_addr = cr2_or_gpa;
	}
	return zapped;
}
