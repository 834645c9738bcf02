// SPDX-License-Identifier: GPL-2.0-only
/*
 * The roots of a vCPU.
 *
 * The current root and the previous ones are a list, most recently used first,
 * of (PGD, page): a guest that goes back to a CR3 finds its tables as they were.
 * Only roots that are shadow pages are cached.
 *
 * A cached root is kept alive by its reference, but it may be zapped meanwhile:
 * whoever zaps one raises KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, which each vCPU
 * handles before it enters the guest (kvm_mmu_free_obsolete_roots()).
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/set_memory.h>

#include "mmu.h"
#include "root.h"
#include "shadow.h"
#include "tdp.h"

static bool __read_mostly flush_on_reuse;
module_param(flush_on_reuse, bool, 0644);

/* Memory for a table of each level, and its struct tdp_table. */
static int tdp_topup_caches(struct kvm_vcpu *vcpu)
{
	int r = kvm_mmu_topup_memory_cache(&vcpu->mmu_table_cache,
					   PT64_ROOT_MAX_LEVEL);

	return r ?: kvm_mmu_topup_memory_cache(&vcpu->arch.mmu_shadow_page_cache,
					       PT64_ROOT_MAX_LEVEL);
}

static int shadow_topup_caches(struct kvm_vcpu_arch *arch, bool indirect)
{
	int r;

	/* Blocks: for the leaf's rmap, a parent of each level, and the prefetched. */
	r = kvm_mmu_topup_memory_cache(&arch->mmu_pte_list_desc_cache,
				       1 + PT64_ROOT_MAX_LEVEL + MMU_PREFETCH_NR);
	if (!r)
		r = kvm_mmu_topup_memory_cache(&arch->mmu_shadow_page_cache,
					       PT64_ROOT_MAX_LEVEL);
	if (!r && indirect)
		r = kvm_mmu_topup_memory_cache(&arch->mmu_shadowed_info_cache,
					       PT64_ROOT_MAX_LEVEL);
	if (!r)
		r = kvm_mmu_topup_memory_cache(&arch->mmu_page_header_cache,
					       PT64_ROOT_MAX_LEVEL);
	return r;
}

int mmu_topup_caches(struct kvm_vcpu *vcpu)
{
	return tdp_active(vcpu) ?
	       tdp_topup_caches(vcpu) :
	       shadow_topup_caches(&vcpu->arch, !vcpu->arch.mmu->root_role.direct);
}

static void mmu_free_caches(struct kvm_vcpu *vcpu)
{
	kvm_mmu_free_memory_cache(&vcpu->arch.mmu_pte_list_desc_cache);
	kvm_mmu_free_memory_cache(&vcpu->arch.mmu_shadow_page_cache);
	kvm_mmu_free_memory_cache(&vcpu->arch.mmu_shadowed_info_cache);
	kvm_mmu_free_memory_cache(&vcpu->arch.mmu_page_header_cache);
	kvm_mmu_free_memory_cache(&vcpu->mmu_table_cache);
}

/* A host CR3 of PAE paging has 32 bits: the table of PDPTEs is below 4G. */
static int mmu_alloc_pae_root(struct kvm_mmu *mmu)
{
	struct page *page;
	int i;

	page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_DMA32);
	if (!page)
		return -ENOMEM;
	mmu->pae_root = page_address(page);
	/* The CPU reads it through CR3, which has no encryption bit then. */
	set_memory_decrypted((unsigned long)mmu->pae_root, 1);
	for (i = 0; i < 4; i++)
		mmu->pae_root[i] = PAE_ROOT_NONE;
	return 0;
}

static void mmu_free_tables(struct kvm_mmu *mmu)
{
	if (!tdp_enabled && mmu->pae_root)
		set_memory_encrypted((unsigned long)mmu->pae_root, 1);
	free_page((unsigned long)mmu->pae_root);
	free_page((unsigned long)mmu->pml4_root);
	free_page((unsigned long)mmu->pml5_root);
}

static void mmu_init_roots(struct kvm_mmu *mmu)
{
	int i;

	mmu->root = KVM_MMU_ROOT_INFO_INVALID;
	mmu->root.pgd = 0;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		mmu->prev_roots[i] = KVM_MMU_ROOT_INFO_INVALID;
}

int kvm_mmu_create(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	arch->mmu_pte_list_desc_cache.kmem_cache = rmap_block_cache;
	arch->mmu_pte_list_desc_cache.gfp_zero = __GFP_ZERO;
	arch->mmu_page_header_cache.kmem_cache = mmu_page_header_cache;
	arch->mmu_page_header_cache.gfp_zero = __GFP_ZERO;
	vcpu->mmu_table_cache.kmem_cache = tdp_table_cache;
	vcpu->mmu_table_cache.gfp_zero = __GFP_ZERO;
	arch->mmu_shadow_page_cache.init_value = SPTE_NONE;
	arch->mmu_shadowed_info_cache.gfp_zero = __GFP_ZERO;

	arch->mmu = &arch->root_mmu;
	arch->walk_mmu = &arch->root_mmu;
	mmu_init_roots(&arch->guest_mmu);
	mmu_init_roots(&arch->root_mmu);

	/* A nested guest without TDP below uses the root MMU as well. */
	return tdp_enabled ? 0 : mmu_alloc_pae_root(&arch->root_mmu);
}

void kvm_mmu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_mmu_unload(vcpu);
	mmu_free_tables(&vcpu->arch.root_mmu);
	mmu_free_tables(&vcpu->arch.guest_mmu);
	mmu_free_caches(vcpu);
}

int kvm_mmu_load(struct kvm_vcpu *vcpu)
{
	int r;

	r = mmu_topup_caches(vcpu);
	if (r)
		return r;
	r = tdp_active(vcpu) ? tdp_root_load(vcpu) : shadow_roots_load(vcpu);
	if (r)
		return r;

	kvm_mmu_sync_roots(vcpu);
	kvm_mmu_load_pgd(vcpu);
	/*
	 * The page may have been a root before, of this or another hypervisor.
	 * Because of this flush nobody flushes when a root is freed.
	 */
	kvm_x86_call(flush_tlb_current)(vcpu);
	return 0;
}

/* Those of @roots that are loaded or cached. */
static unsigned long roots_present(struct kvm_mmu *mmu, unsigned long roots)
{
	int i;

	if (!VALID_PAGE(mmu->root.hpa))
		roots &= ~KVM_MMU_ROOT_CURRENT;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (!VALID_PAGE(mmu->prev_roots[i].hpa))
			roots &= ~KVM_MMU_ROOT_PREVIOUS(i);
	return roots;
}

static void tdp_root_drop(struct kvm *kvm, struct kvm_mmu_root_info *root)
{
	tdp_root_put(kvm, root_to_tdp(root->hpa));
	root->hpa = INVALID_PAGE;
}

static void roots_free_tdp(struct kvm *kvm, struct kvm_mmu *mmu,
			   unsigned long roots)
{
	int i;

	read_lock(&kvm->mmu_lock);
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (roots & KVM_MMU_ROOT_PREVIOUS(i))
			tdp_root_drop(kvm, &mmu->prev_roots[i]);
	if (roots & KVM_MMU_ROOT_CURRENT)
		tdp_root_drop(kvm, &mmu->root);
	read_unlock(&kvm->mmu_lock);
}

/* The current root: a shadow page, four of them, or the dummy. */
static void shadow_root_drop(struct kvm *kvm, struct kvm_mmu *mmu,
			     struct shadow_zap *zap)
{
	int i;

	if (root_to_sp(mmu->root.hpa)) {
		shadow_root_put(kvm, &mmu->root.hpa, zap);
	} else if (!mmu_is_dummy_root(mmu->root.hpa) && mmu->pae_root) {
		for (i = 0; i < 4; i++) {
			hpa_t root = mmu->pae_root[i] & SPTE_ADDR_MASK;

			if (root)
				shadow_root_put(kvm, &root, zap);
			mmu->pae_root[i] = PAE_ROOT_NONE;
		}
	}
	mmu->root.hpa = INVALID_PAGE;
}

static void roots_free_shadow(struct kvm *kvm, struct kvm_mmu *mmu,
			      unsigned long roots)
{
	struct shadow_zap zap = {};
	int i;

	write_lock(&kvm->mmu_lock);
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (roots & KVM_MMU_ROOT_PREVIOUS(i))
			shadow_root_put(kvm, &mmu->prev_roots[i].hpa, &zap);
	if (roots & KVM_MMU_ROOT_CURRENT)
		shadow_root_drop(kvm, mmu, &zap);
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
}

void kvm_mmu_free_roots(struct kvm *kvm, struct kvm_mmu *mmu,
			ulong roots_to_free)
{
	unsigned long roots = roots_present(mmu, roots_to_free);

	WARN_ON_ONCE(roots_to_free & ~KVM_MMU_ROOTS_ALL);
	if (!roots)
		return;

	if (tdp_enabled && mmu->root_role.direct)
		roots_free_tdp(kvm, mmu, roots);
	else
		roots_free_shadow(kvm, mmu, roots);
	if (roots & KVM_MMU_ROOT_CURRENT)
		mmu->root.pgd = 0;
}
EXPORT_SYMBOL_GPL(kvm_mmu_free_roots);

void kvm_mmu_free_guest_mode_roots(struct kvm *kvm, struct kvm_mmu *mmu)
{
	unsigned long roots = 0;
	int i;

	/* Not while L2 runs on this MMU: its current root is one of guest mode. */
	WARN_ON_ONCE(mmu->root_role.guest_mode);

	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++) {
		hpa_t root = mmu->prev_roots[i].hpa;
		struct mmu_table *table;

		if (!VALID_PAGE(root))
			continue;
		table = root_to_table(root);
		if (!table || table->role.guest_mode)
			roots |= KVM_MMU_ROOT_PREVIOUS(i);
	}
	kvm_mmu_free_roots(kvm, mmu, roots);
}
EXPORT_SYMBOL_GPL(kvm_mmu_free_guest_mode_roots);

void kvm_mmu_unload(struct kvm_vcpu *vcpu)
{
	kvm_mmu_free_roots(vcpu->kvm, &vcpu->arch.root_mmu, KVM_MMU_ROOTS_ALL);
	kvm_mmu_free_roots(vcpu->kvm, &vcpu->arch.guest_mmu, KVM_MMU_ROOTS_ALL);
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
}

bool root_obsolete(struct kvm *kvm, hpa_t root)
{
	struct mmu_table *table;

	if (!VALID_PAGE(root))
		return false;
	table = root_to_table(root);
	if (!table)
		return true;
	return table->tdp ? tdp_root_obsolete(table_to_tdp(table)) :
			    shadow_sp_obsolete(kvm, table_to_sp(table));
}

static void mmu_free_obsolete_roots(struct kvm *kvm, struct kvm_mmu *mmu)
{
	unsigned long roots = 0;
	int i;

	if (root_obsolete(kvm, mmu->root.hpa))
		roots = KVM_MMU_ROOT_CURRENT;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (root_obsolete(kvm, mmu->prev_roots[i].hpa))
			roots |= KVM_MMU_ROOT_PREVIOUS(i);
	kvm_mmu_free_roots(kvm, mmu, roots);
}

void kvm_mmu_free_obsolete_roots(struct kvm_vcpu *vcpu)
{
	mmu_free_obsolete_roots(vcpu->kvm, &vcpu->arch.root_mmu);
	mmu_free_obsolete_roots(vcpu->kvm, &vcpu->arch.guest_mmu);
}

void kvm_mmu_sync_roots(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	if (mmu->root_role.direct || !VALID_PAGE(mmu->root.hpa))
		return;
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	shadow_sync_roots(vcpu);
}

/* Instead of syncing the previous roots, forget them. */
void kvm_mmu_sync_prev_roots(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	unsigned long roots = 0;
	int i;

	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (shadow_root_unsync(mmu->prev_roots[i].hpa))
			roots |= KVM_MMU_ROOT_PREVIOUS(i);
	kvm_mmu_free_roots(vcpu->kvm, mmu, roots);
}

static bool root_usable(const struct kvm_mmu_root_info *root, gpa_t pgd,
			union kvm_mmu_page_role role)
{
	struct mmu_table *table;

	if (!VALID_PAGE(root->hpa) || (!role.direct && root->pgd != pgd))
		return false;
	table = root_to_table(root->hpa);
	return !WARN_ON_ONCE(!table) && table->role.word == role.word;
}

/*
 * Make the root of (@pgd, @role) the current one if it is cached.  If not, there is no
 * current root afterwards.  The one that was current is cached, in place of the oldest.
 */
static bool root_switch(struct kvm *kvm, struct kvm_mmu *mmu, gpa_t pgd,
			union kvm_mmu_page_role role)
{
	const int nr = KVM_MMU_NUM_PREV_ROOTS;
	struct kvm_mmu_root_info *prev = mmu->prev_roots;
	struct kvm_mmu_root_info current_root = mmu->root;
	bool found;
	int i = 0;

	while (i < nr && !root_usable(&prev[i], pgd, role))
		i++;
	found = i < nr;

	if (!VALID_PAGE(current_root.hpa)) {
		if (!found)
			return false;
		mmu->root = prev[i];
		memmove(prev + i, prev + i + 1, (nr - 1 - i) * sizeof(*prev));
		prev[nr - 1] = KVM_MMU_ROOT_INFO_INVALID;
		return true;
	}

	i = min(i, nr - 1);
	mmu->root = prev[i];
	memmove(prev + 1, prev, i * sizeof(*prev));
	prev[0] = current_root;
	if (!found)
		kvm_mmu_free_roots(kvm, mmu, KVM_MMU_ROOT_CURRENT);
	return found;
}

void kvm_mmu_new_pgd(struct kvm_vcpu *vcpu, gpa_t new_pgd)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	union kvm_mmu_page_role role = mmu->root_role;

	/* A table of PDPTEs and the dummy root are not cached. */
	if (VALID_PAGE(mmu->root.hpa) && !root_to_table(mmu->root.hpa))
		kvm_mmu_free_roots(vcpu->kvm, mmu, KVM_MMU_ROOT_CURRENT);

	/* Without a root, kvm_mmu_reload() makes one before the guest runs. */
	if (!root_usable(&mmu->root, new_pgd, role) &&
	    !root_switch(vcpu->kvm, mmu, new_pgd, role))
		return;

	/*
	 * The root may be obsolete, but then the request to free it is pending,
	 * and the vCPU handles that before it loads the PGD.
	 */
	kvm_make_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
	if (flush_on_reuse) {
		kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
		kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
	}

	/* What it has is for a gva of the address space that was left. */
	vcpu_clear_mmio_info(vcpu, MMIO_GVA_ANY);
	if (!role.direct)
		atomic_set(&root_to_sp(mmu->root.hpa)->write_flooding_count, 0);
}
EXPORT_SYMBOL_GPL(kvm_mmu_new_pgd);

/* Make the SPTEs of an address follow the guest's tables, in each of @roots. */
static void follow_addr(struct kvm_vcpu *vcpu, u64 addr, unsigned long roots,
			void (*follow)(struct kvm_vcpu *vcpu, u64 addr, hpa_t root))
{
	const struct kvm_mmu *mmu = vcpu->arch.mmu;
	int i;

	if (roots & KVM_MMU_ROOT_CURRENT)
		follow(vcpu, addr, mmu->root.hpa);
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (roots & KVM_MMU_ROOT_PREVIOUS(i))
			follow(vcpu, addr, mmu->prev_roots[i].hpa);
}

/* @check: those of @roots where the guest's tables are read again at every level. */
static void invalidate_addr(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, u64 addr,
			    unsigned long roots, unsigned long check)
{
	WARN_ON_ONCE(roots & ~KVM_MMU_ROOTS_ALL);

	/* In guest_mmu, @addr is a gpa of L2, and the TLB entry is not flushed here. */
	if (mmu != &vcpu->arch.guest_mmu) {
		/* Nothing is cached for such an address (SDM, INVLPG). */
		if (is_noncanonical_invlpg_address(addr, vcpu))
			return;
		kvm_x86_call(flush_tlb_gva)(vcpu, addr);
	}
	if (!mmu->sync_spte)
		return;

	vcpu_clear_mmio_info(vcpu, addr);
	/* A sync reads the tables in the format of the current MMU. */
	if (WARN_ON_ONCE(mmu != vcpu->arch.mmu))
		return;

	follow_addr(vcpu, addr, check, shadow_check_addr);
	follow_addr(vcpu, addr, roots & ~check, shadow_sync_addr);
}

/* For a #PF that KVM injects: it has just read the tables, so syncing is enough. */
void kvm_mmu_invalidate_addr(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu,
			     u64 addr, unsigned long roots)
{
	invalidate_addr(vcpu, mmu, addr, roots, 0);
}
EXPORT_SYMBOL_GPL(kvm_mmu_invalidate_addr);

/*
 * INVLPG flushes global translations of every PCID, so look at all roots.  A root that
 * is not cached is synced when it is loaded.  Without PCIDs, the guest comes back to a
 * previous root by a flush, so only unsync pages need to follow there.
 */
void kvm_mmu_invlpg(struct kvm_vcpu *vcpu, gva_t gva)
{
	invalidate_addr(vcpu, vcpu->arch.walk_mmu, gva, KVM_MMU_ROOTS_ALL,
			kvm_is_cr4_bit_set(vcpu, X86_CR4_PCIDE) ?
			KVM_MMU_ROOTS_ALL : KVM_MMU_ROOT_CURRENT);
	vcpu->stat.invlpg++;
}
EXPORT_SYMBOL_GPL(kvm_mmu_invlpg);

void kvm_mmu_invpcid_gva(struct kvm_vcpu *vcpu, gva_t gva, unsigned long pcid)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	unsigned long roots = 0;
	int i;

	if (kvm_get_active_pcid(vcpu) == pcid)
		roots = KVM_MMU_ROOT_CURRENT;
	for (i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (VALID_PAGE(mmu->prev_roots[i].hpa) &&
		    kvm_get_pcid(vcpu, mmu->prev_roots[i].pgd) == pcid)
			roots |= KVM_MMU_ROOT_PREVIOUS(i);
	if (roots)
		invalidate_addr(vcpu, mmu, gva, roots, roots);
	vcpu->stat.invlpg++;
}
