// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory that is kept at hand: caches of gfn to hva for areas that KVM
 * reads and writes often, and frames mapped into the kernel.
 *
 * A cache may outlive the memslots that it was filled from, and notices it by their
 * generation.  A mapping holds a reference to its page; it goes on showing that
 * page, whatever the memslots or the VMM's mm do, until it is undone.  Memory that
 * has no reference count is mapped only with allow_unsafe_mappings: its owner frees it
 * once the MMU notifier has removed it from the guest's tables, and mappings have no
 * notifier.  A cache or a mapping belongs to one user, mostly a vCPU, which serializes
 * its uses.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/highmem.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "kvm_core.h"

/*
 * A cache is good as long as its generation equals that of the current set.
 * The generation is read, without a lock, before any slot is looked up.  While a
 * set is being replaced the generation is odd: a cache that is filled then has a tag
 * that goes stale with the end of the grace period.  So comparing for equality is
 * enough, and KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS is not looked at.
 *
 * An error is cached as well, as the error value in ghc->hva.
 */
static int fill_hva_cache(struct kvm_memslots *slots,
			  struct gfn_to_hva_cache *ghc, gpa_t gpa,
			  unsigned long len)
{
	gfn_t last = gpa_to_gfn(gpa + len - 1);
	struct kvm_memory_slot *slot = NULL;
	gfn_t first = gpa_to_gfn(gpa);
	gfn_t gfn;

	ghc->generation = READ_ONCE(slots->generation);
	ghc->hva = KVM_HVA_ERR_BAD;
	if (last < first)
		return -EINVAL;

	/* Every slot that the area touches must be there and writable. */
	for (gfn = first; gfn <= last; gfn = slot->base_gfn + slot->npages) {
		slot = __gfn_to_memslot(slots, gfn);
		ghc->hva = kvm_slot_gfn_to_hva(slot, gfn, true);
		if (kvm_is_error_hva(ghc->hva))
			return -EFAULT;
	}

	/* An area of several pages has no single hva: each access looks it up. */
	ghc->memslot = first == last ? slot : NULL;
	ghc->hva += first == last ? offset_in_page(gpa) : 0;
	ghc->gpa = gpa;
	ghc->len = len;
	return 0;
}

/**
 * kvm_gfn_to_hva_cache_init() - remember where guest memory lies in the host
 * @kvm: the VM
 * @ghc: the cache
 * @gpa: guest physical address of the area
 * @len: bytes; an area within one page is fast, any other is only checked
 *
 * Context: kvm->srcu held; the caller serializes uses of @ghc.
 * Return: 0, -EINVAL if the area wraps around, -EFAULT if it is not all in
 * slots that may be written to.
 */
int kvm_gfn_to_hva_cache_init(struct kvm *kvm, struct gfn_to_hva_cache *ghc,
			      gpa_t gpa, unsigned long len)
{
	return fill_hva_cache(kvm_memslots(kvm), ghc, gpa, len);
}
EXPORT_SYMBOL_GPL(kvm_gfn_to_hva_cache_init);

/*
 * Makes ghc->hva valid for the current set.  If ghc->memslot is NULL the area has
 * several pages, and ghc->hva must not be used.
 */
static int renew_hva_cache(struct kvm *kvm, struct gfn_to_hva_cache *ghc)
{
	struct kvm_memslots *slots = kvm_memslots(kvm);

	if (READ_ONCE(slots->generation) != ghc->generation &&
	    fill_hva_cache(slots, ghc, ghc->gpa, ghc->len))
		return -EFAULT;

	return kvm_is_error_hva(ghc->hva) ? -EFAULT : 0;
}

/**
 * kvm_read_guest_offset_cached() - read from a cached area
 * @kvm: the VM
 * @ghc: the cache, initialized
 * @data: filled with what is read
 * @offset: first byte in the area
 * @len: bytes
 *
 * Context: As kvm_read_guest_page(); the caller serializes uses of @ghc.
 * Return: 0, -EINVAL beyond the end of the area, -EFAULT.
 */
int kvm_read_guest_offset_cached(struct kvm *kvm, struct gfn_to_hva_cache *ghc,
				 void *data, unsigned int offset,
				 unsigned long len)
{
	const void __user *from;

	if (WARN_ON_ONCE(len + offset > ghc->len))
		return -EINVAL;

	if (renew_hva_cache(kvm, ghc))
		return -EFAULT;

	if (unlikely(!ghc->memslot))
		return kvm_read_guest(kvm, ghc->gpa + offset, data, len);

	from = (void __user *)(ghc->hva + offset);
	return __copy_from_user(data, from, len) ? -EFAULT : 0;
}
EXPORT_SYMBOL_GPL(kvm_read_guest_offset_cached);

/**
 * kvm_read_guest_cached() - read from the start of a cached area
 * @kvm: the VM
 * @ghc: the cache, initialized
 * @data: filled with what is read
 * @len: bytes
 *
 * Context: As kvm_read_guest_offset_cached().
 * Return: as kvm_read_guest_offset_cached().
 */
int kvm_read_guest_cached(struct kvm *kvm, struct gfn_to_hva_cache *ghc,
			  void *data, unsigned long len)
{
	return kvm_read_guest_offset_cached(kvm, ghc, data, 0, len);
}
EXPORT_SYMBOL_GPL(kvm_read_guest_cached);

/**
 * kvm_write_guest_offset_cached() - write into a cached area, mark it dirty
 * @kvm: the VM
 * @ghc: the cache, initialized
 * @data: what to write
 * @offset: first byte in the area
 * @len: bytes
 *
 * Context: As kvm_read_guest_offset_cached().
 * Return: as kvm_read_guest_offset_cached().
 */
int kvm_write_guest_offset_cached(struct kvm *kvm, struct gfn_to_hva_cache *ghc,
				  void *data, unsigned int offset,
				  unsigned long len)
{
	gpa_t gpa = ghc->gpa + offset;

	if (WARN_ON_ONCE(len + offset > ghc->len))
		return -EINVAL;

	if (renew_hva_cache(kvm, ghc))
		return -EFAULT;

	if (unlikely(!ghc->memslot))
		return kvm_write_guest(kvm, gpa, data, len);

	if (__copy_to_user((void __user *)(ghc->hva + offset), data, len))
		return -EFAULT;

	mark_page_dirty_in_slot(kvm, ghc->memslot, gpa_to_gfn(gpa));
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_write_guest_offset_cached);

/**
 * kvm_write_guest_cached() - write to the start of a cached area
 * @kvm: the VM
 * @ghc: the cache, initialized
 * @data: what to write
 * @len: bytes
 *
 * Context: As kvm_read_guest_offset_cached().
 * Return: as kvm_read_guest_offset_cached().
 */
int kvm_write_guest_cached(struct kvm *kvm, struct gfn_to_hva_cache *ghc,
			   void *data, unsigned long len)
{
	return kvm_write_guest_offset_cached(kvm, ghc, data, 0, len);
}
EXPORT_SYMBOL_GPL(kvm_write_guest_cached);

static bool allow_unsafe_mappings;
module_param(allow_unsafe_mappings, bool, 0444);
MODULE_PARM_DESC(allow_unsafe_mappings,
		 "map memory of the guest into the kernel though nothing keeps it from being freed");

/* The mapping may live long and move to another CPU: no kmap_local_page(). */
static void *map_page(struct page *page)
{
	if (!PageHighMem(page))
		return page_address(page);

	return vmap(&page, 1, VM_MAP, PAGE_KERNEL);
}

static void unmap_page(struct page *page, void *hva)
{
	if (PageHighMem(page))
		vunmap(hva);
}

/* Memory that the host kernel does not manage (mem=) has no struct page. */
static void *map_unmanaged_pfn(kvm_pfn_t pfn)
{
#ifdef CONFIG_HAS_IOMEM
	return memremap(pfn_to_hpa(pfn), PAGE_SIZE, MEMREMAP_WB);
#else
	return NULL;
#endif
}

static void unmap_unmanaged_pfn(void *hva)
{
#ifdef CONFIG_HAS_IOMEM
	memunmap(hva);
#endif
}

/**
 * kvm_vcpu_map() - map a guest frame into the kernel's address space
 * @vcpu: a vCPU of the VM
 * @gfn: guest frame number, looked up in the VM's first address space
 * @map: filled on success; kvm_vcpu_unmap() undoes it
 *
 * Context: Sleeps; kvm->srcu held.
 * Return: 0, -EFAULT if the frame cannot be mapped, or -EINVAL if @map is NULL or the
 * frame is not backed by writable memory that has a reference count (with
 * allow_unsafe_mappings it need not have one).
 */
int kvm_vcpu_map(struct kvm_vcpu *vcpu, gfn_t gfn, struct kvm_host_map *map)
{
	struct kvm_host_map new = {
		.gfn = gfn,
	};

	if (!map)
		return -EINVAL;

	new.pfn = gfn_to_pfn(vcpu->kvm, gfn);
	if (is_error_noslot_pfn(new.pfn))
		return -EINVAL;
	/* Without a count there is no reference, and nothing to release. */
	if (!kvm_pfn_to_refcounted_page(new.pfn) && !allow_unsafe_mappings)
		return -EINVAL;

	if (pfn_valid(new.pfn)) {
		new.page = pfn_to_page(new.pfn);
		new.hva = map_page(new.page);
	} else {
		new.page = KVM_UNMAPPED_PAGE;
		new.hva = map_unmanaged_pfn(new.pfn);
	}

	if (!new.hva) {
		kvm_release_pfn_clean(new.pfn);
		return -EFAULT;
	}
	*map = new;
	return 0;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_map);

/**
 * kvm_vcpu_unmap() - undo kvm_vcpu_map()
 * @vcpu: the vCPU, whose view of memory tells the slot of a dirty frame
 * @map: a mapping, one that was undone already, or NULL
 * @dirty: the frame was written through the mapping
 *
 * Context: May sleep; kvm->srcu held.
 */
void kvm_vcpu_unmap(struct kvm_vcpu *vcpu, struct kvm_host_map *map, bool dirty)
{
	if (!map || !map->hva)
		return;

	if (map->page == KVM_UNMAPPED_PAGE)
		unmap_unmanaged_pfn(map->hva);
	else
		unmap_page(map->page, map->hva);

	if (dirty)
		kvm_vcpu_mark_page_dirty(vcpu, map->gfn);

	kvm_release_pfn(map->pfn, dirty);

	map->page = NULL;
	map->hva = NULL;
}
EXPORT_SYMBOL_GPL(kvm_vcpu_unmap);
