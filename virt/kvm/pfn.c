// SPDX-License-Identifier: GPL-2.0-only
/*
 * From guest frames to host frames: hva to pfn, and the references to pages.
 *
 * A pfn that these functions return is pinned by a page reference where the
 * page has a reference count at all; kvm_release_pfn_*() or
 * kvm_release_page_*() drop it.  The pin keeps the page from being freed, not
 * from being unmapped: whoever installs the pfn in a guest page table follows
 * the sequence that kvm_mmu_invalidate_end() documents.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/mm.h>
#include <linux/swap.h>

#include "kvm_core.h"

/* The guest writes: a mapping without write permission is an error. */
#define PIN_WRITE		BIT(0)
/* The guest reads, but a writable mapping is welcome where one exists. */
#define PIN_TRY_WRITABLE	BIT(1)
/* The caller must not sleep. */
#define PIN_ATOMIC		BIT(2)
/* Do not wait for I/O; excludes PIN_ATOMIC. */
#define PIN_NOWAIT		BIT(3)
/* Any signal ends the wait, not only a fatal one. */
#define PIN_INTERRUPTIBLE	BIT(4)

/**
 * struct pin_request - one translation of a host virtual address
 * @hva: the address, in the address space of current->mm
 * @how: PIN_* bits
 * @writable: out: the guest may be given write access
 * @io_pending: out: PIN_NOWAIT gave up, yet the mapping is a valid one
 */
struct pin_request {
	unsigned long hva;
	unsigned int how;
	bool writable;
	bool io_pending;
};

/**
 * kvm_is_zone_device_page() - whether device memory backs a page
 * @page: a page that the caller holds a reference to
 *
 * Without a reference the page's device metadata may be gone already.
 *
 * Context: Any.
 * Return: true for ZONE_DEVICE pages.
 */
bool kvm_is_zone_device_page(struct page *page)
{
	return !WARN_ON_ONCE(!page_count(page)) && is_zone_device_page(page);
}

/**
 * kvm_pfn_to_refcounted_page() - the page of a pfn, if it is counted
 * @pfn: a pfn that is no error value
 *
 * Reserved pages have no reference count, except for the zero page and for
 * device memory, which carry the flag for other reasons.
 *
 * Context: Any; something keeps the page, e.g. a reference or the lock of a host page
 * table that maps it.
 * Return: the page, or NULL if @pfn has none or one that must not be put.
 */
struct page *kvm_pfn_to_refcounted_page(kvm_pfn_t pfn)
{
	struct page *page = pfn_valid(pfn) ? pfn_to_page(pfn) : NULL;

	if (!page || !PageReserved(page))
		return page;

	return is_zero_pfn(pfn) || kvm_is_zone_device_page(page) ? page : NULL;
}

/* Never sleeps, and finds only pages that are present and writable. */
static struct page *pin_fast(struct pin_request *req)
{
	struct page *page;

	if (!(req->how & (PIN_WRITE | PIN_TRY_WRITABLE)))
		return NULL;

	if (!get_user_page_fast_only(req->hva, FOLL_WRITE, &page))
		return NULL;

	req->writable = true;
	return page;
}

/*
 * A vCPU's access is an access to the page, so NUMA hinting faults are taken
 * here: once the guest maps the page the host no longer sees any.
 */
static unsigned int gup_flags(const struct pin_request *req)
{
	unsigned int gup = FOLL_HWPOISON | FOLL_HONOR_NUMA_FAULT;

	if (req->how & PIN_WRITE)
		gup |= FOLL_WRITE;
	if (req->how & PIN_NOWAIT)
		gup |= FOLL_NOWAIT;
	if (req->how & PIN_INTERRUPTIBLE)
		gup |= FOLL_INTERRUPTIBLE;
	return gup;
}

/* Fault the page in; an ERR_PTR() says why get_user_pages() could not. */
static struct page *pin_slow(struct pin_request *req)
{
	struct page *page, *upgrade;
	long got;

	might_sleep();

	req->writable = req->how & PIN_WRITE;
	got = get_user_pages_unlocked(req->hva, 1, &page, gup_flags(req));
	if (got != 1)
		return ERR_PTR(got < 0 ? got : -EFAULT);

	if (req->how & PIN_WRITE)
		return page;

	/* The read fault may have left a writable PTE: map it as such. */
	upgrade = pin_fast(req);
	if (upgrade) {
		put_page(page);
		return upgrade;
	}
	return page;
}

static bool hva_is_poisoned(unsigned long hva)
{
	return get_user_pages(hva, 1, FOLL_HWPOISON | FOLL_WRITE, NULL) ==
	       -EHWPOISON;
}

static bool vma_permits(const struct vm_area_struct *vma,
			const struct pin_request *req)
{
	vm_flags_t need = VM_READ;

	if (req->how & PIN_WRITE)
		need |= VM_WRITE;
	return (vma->vm_flags & need) == need;
}

/*
 * Find the PTE of a VM_IO or VM_PFNMAP mapping, which get_user_pages() never
 * faults in.  -EAGAIN: the mmap lock was dropped meanwhile, args->vma may be
 * gone.
 */
static int follow_pfnmap_or_fault(struct follow_pfnmap_args *args,
				  const struct pin_request *req)
{
	unsigned int fault = req->how & PIN_WRITE ? FAULT_FLAG_WRITE : 0;
	bool relocked = false;
	int r;

	if (!follow_pfnmap_start(args))
		return 0;

	r = fixup_user_fault(current->mm, req->hva, fault, &relocked);
	if (relocked)
		return -EAGAIN;

	return r ?: follow_pfnmap_start(args);
}

/*
 * Translate through the PTE of a pfn mapping.  Its owner unmaps it, and thus
 * calls our MMU notifier, before it frees the memory; the reference is for the
 * caller's kvm_release_pfn_*(), which puts any counted page.  A page that has a
 * count of zero (the tail of an uncompounded high-order allocation) could not
 * be put later and is refused.
 */
static int pin_pfnmap(struct pin_request *req, struct vm_area_struct *vma,
		      kvm_pfn_t *pfn)
{
	struct follow_pfnmap_args args = {
		.vma = vma,
		.address = req->hva,
	};
	struct page *page;
	int r;

	r = follow_pfnmap_or_fault(&args, req);
	if (r)
		return r;

	if ((req->how & PIN_WRITE) && !args.writable) {
		*pfn = KVM_PFN_ERR_RO_FAULT;
	} else {
		*pfn = args.pfn;
		req->writable = args.writable;
		page = kvm_pfn_to_refcounted_page(args.pfn);
		if (page && !get_page_unless_zero(page))
			r = -EFAULT;
	}
	follow_pfnmap_end(&args);
	return r;
}

/* Translate by the VMA where get_user_pages() failed; mmap lock held. */
static kvm_pfn_t pin_by_vma(struct pin_request *req)
{
	struct vm_area_struct *vma;
	kvm_pfn_t pfn;
	int r;

	do {
		vma = vma_lookup(current->mm, req->hva);
		if (!vma)
			return KVM_PFN_ERR_FAULT;

		if (!(vma->vm_flags & (VM_IO | VM_PFNMAP))) {
			req->io_pending = (req->how & PIN_NOWAIT) &&
					  vma_permits(vma, req);
			return KVM_PFN_ERR_FAULT;
		}
		r = pin_pfnmap(req, vma, &pfn);
	} while (r == -EAGAIN);

	return r ? KVM_PFN_ERR_FAULT : pfn;
}

static kvm_pfn_t pin_after_failed_gup(struct pin_request *req, int error)
{
	kvm_pfn_t pfn;

	if (error == -EINTR)
		return KVM_PFN_ERR_SIGPENDING;

	mmap_read_lock(current->mm);
	if (error == -EHWPOISON ||
	    (!(req->how & PIN_NOWAIT) && hva_is_poisoned(req->hva)))
		pfn = KVM_PFN_ERR_HWPOISON;
	else
		pfn = pin_by_vma(req);
	mmap_read_unlock(current->mm);
	return pfn;
}

static kvm_pfn_t pin_hva(struct pin_request *req)
{
	struct page *page;

	if (WARN_ON_ONCE((req->how & PIN_ATOMIC) && (req->how & PIN_NOWAIT)))
		return KVM_PFN_ERR_FAULT;

	page = pin_fast(req);
	if (page)
		return page_to_pfn(page);

	if (req->how & PIN_ATOMIC)
		return KVM_PFN_ERR_FAULT;

	page = pin_slow(req);
	if (IS_ERR(page))
		return pin_after_failed_gup(req, PTR_ERR(page));

	return page_to_pfn(page);
}

/**
 * hva_to_pfn() - pin the host page behind a host virtual address
 * @addr: host virtual address in current->mm
 * @atomic: only look, never sleep; finds present writable pages only
 * @interruptible: let any signal end the wait
 * @async: if not NULL do not wait for I/O, and set it where I/O is needed
 * @write_fault: the guest writes, the page must be writable
 * @writable: if not NULL, a page that is only read is mapped writable where that
 *	is possible; set to whether the guest may be given write access
 *
 * @atomic and @async exclude each other.
 *
 * Context: May sleep unless @atomic; takes the mmap lock for reading.
 * Return: a pinned pfn, or a KVM_PFN_ERR_* value.
 */
kvm_pfn_t hva_to_pfn(unsigned long addr, bool atomic, bool interruptible,
		     bool *async, bool write_fault, bool *writable)
{
	struct pin_request req = {
		.hva = addr,
		.how = (write_fault ? PIN_WRITE : 0) |
		       (writable ? PIN_TRY_WRITABLE : 0) |
		       (atomic ? PIN_ATOMIC : 0) |
		       (async ? PIN_NOWAIT : 0) |
		       (interruptible ? PIN_INTERRUPTIBLE : 0),
	};
	kvm_pfn_t pfn = pin_hva(&req);

	if (writable)
		*writable = req.writable;
	if (req.io_pending)
		*async = true;
	return pfn;
}

/**
 * __gfn_to_pfn_memslot() - pin the host page behind a frame of a slot
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 * @atomic: see hva_to_pfn()
 * @interruptible: see hva_to_pfn()
 * @async: see hva_to_pfn()
 * @write_fault: see hva_to_pfn()
 * @writable: see hva_to_pfn(); false for a read-only slot
 * @hva: if not NULL, set to the host virtual address or its error value
 *
 * Context: As hva_to_pfn(); kvm->srcu or slots_lock keeps @slot alive.
 * Return: a pinned pfn; KVM_PFN_NOSLOT where there is no valid slot,
 * KVM_PFN_ERR_RO_FAULT for a write to a read-only slot, or another
 * KVM_PFN_ERR_* value.
 */
kvm_pfn_t __gfn_to_pfn_memslot(const struct kvm_memory_slot *slot, gfn_t gfn,
			       bool atomic, bool interruptible, bool *async,
			       bool write_fault, bool *writable, hva_t *hva)
{
	unsigned long addr = kvm_slot_gfn_to_hva(slot, gfn, write_fault);
	bool *upgrade = writable;

	if (hva)
		*hva = addr;

	if (writable && (kvm_is_error_hva(addr) ||
			 kvm_memslot_is_readonly(slot))) {
		*writable = false;
		upgrade = NULL;
	}

	if (addr == KVM_HVA_ERR_RO_BAD)
		return KVM_PFN_ERR_RO_FAULT;
	if (kvm_is_error_hva(addr))
		return KVM_PFN_NOSLOT;

	return hva_to_pfn(addr, atomic, interruptible, async, write_fault,
			  upgrade);
}
EXPORT_SYMBOL_GPL(__gfn_to_pfn_memslot);

/**
 * gfn_to_pfn_prot() - pin the host page behind a guest frame
 * @kvm: the VM
 * @gfn: guest frame number
 * @write_fault: the guest writes
 * @writable: if not NULL, whether the guest may be given write access
 *
 * Context: As __gfn_to_pfn_memslot(), with kvm->srcu held.
 * Return: as __gfn_to_pfn_memslot().
 */
kvm_pfn_t gfn_to_pfn_prot(struct kvm *kvm, gfn_t gfn, bool write_fault,
			  bool *writable)
{
	struct kvm_memory_slot *slot = gfn_to_memslot(kvm, gfn);

	return __gfn_to_pfn_memslot(slot, gfn, false, false, NULL, write_fault,
				    writable, NULL);
}
EXPORT_SYMBOL_GPL(gfn_to_pfn_prot);

/**
 * gfn_to_pfn_memslot() - pin the host page of a slot's frame for writing
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 *
 * Context: As __gfn_to_pfn_memslot().
 * Return: as __gfn_to_pfn_memslot().
 */
kvm_pfn_t gfn_to_pfn_memslot(const struct kvm_memory_slot *slot, gfn_t gfn)
{
	return __gfn_to_pfn_memslot(slot, gfn, false, false, NULL, true, NULL,
				    NULL);
}
EXPORT_SYMBOL_GPL(gfn_to_pfn_memslot);

/**
 * gfn_to_pfn_memslot_atomic() - gfn_to_pfn_memslot() that never sleeps
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 *
 * Context: Any that may use get_user_pages_fast_only().
 * Return: as __gfn_to_pfn_memslot(); KVM_PFN_ERR_FAULT where the page is not
 * present and writable.
 */
kvm_pfn_t gfn_to_pfn_memslot_atomic(const struct kvm_memory_slot *slot,
				    gfn_t gfn)
{
	return __gfn_to_pfn_memslot(slot, gfn, true, false, NULL, true, NULL,
				    NULL);
}
EXPORT_SYMBOL_GPL(gfn_to_pfn_memslot_atomic);

/**
 * gfn_to_pfn() - pin the host page behind a guest frame for writing
 * @kvm: the VM
 * @gfn: guest frame number
 *
 * Context: As gfn_to_pfn_prot().
 * Return: as __gfn_to_pfn_memslot().
 */
kvm_pfn_t gfn_to_pfn(struct kvm *kvm, gfn_t gfn)
{
	return gfn_to_pfn_memslot(gfn_to_memslot(kvm, gfn), gfn);
}
EXPORT_SYMBOL_GPL(gfn_to_pfn);

/**
 * gfn_to_page_many_atomic() - pin consecutive present pages of a slot
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: first guest frame number
 * @pages: filled with the pinned pages
 * @nr_pages: how many to pin at most
 *
 * Context: Any that may use get_user_pages_fast_only(); @slot as in
 * __gfn_to_pfn_memslot().
 * Return: the number of pages pinned, 0 if the range leaves the slot, or -1 if the
 * slot is missing, INVALID or read-only.
 */
int gfn_to_page_many_atomic(struct kvm_memory_slot *slot, gfn_t gfn,
			    struct page **pages, int nr_pages)
{
	unsigned long addr = kvm_slot_gfn_to_hva(slot, gfn, true);

	if (kvm_is_error_hva(addr))
		return -1;

	if (slot->base_gfn + slot->npages < gfn + nr_pages)
		return 0;

	return get_user_pages_fast_only(addr, nr_pages, FOLL_WRITE, pages);
}
EXPORT_SYMBOL_GPL(gfn_to_page_many_atomic);

/**
 * gfn_to_page() - pin the struct page behind a guest frame
 * @kvm: the VM
 * @gfn: guest frame number, of memory that certainly has a struct page
 *
 * Context: As gfn_to_pfn().
 * Return: the page with a reference, or KVM_ERR_PTR_BAD_PAGE.
 */
struct page *gfn_to_page(struct kvm *kvm, gfn_t gfn)
{
	kvm_pfn_t pfn = gfn_to_pfn(kvm, gfn);
	struct page *page = NULL;

	if (!is_error_noslot_pfn(pfn))
		page = kvm_pfn_to_refcounted_page(pfn);

	return page ?: KVM_ERR_PTR_BAD_PAGE;
}
EXPORT_SYMBOL_GPL(gfn_to_page);

/* Only its owner may touch the flags of a reserved page (page-flags.h). */
static void set_page_dirty_unless_reserved(struct page *page)
{
	if (!PageReserved(page))
		SetPageDirty(page);
}

static void set_page_accessed_unless_reserved(struct page *page)
{
	if (!PageReserved(page))
		mark_page_accessed(page);
}

/**
 * kvm_release_page_clean() - drop a reference to a page that was only read
 * @page: the page, no error pointer
 *
 * Context: Process context; does not sleep, mmu_lock may be held.
 */
void kvm_release_page_clean(struct page *page)
{
	WARN_ON(is_error_page(page));

	set_page_accessed_unless_reserved(page);
	put_page(page);
}
EXPORT_SYMBOL_GPL(kvm_release_page_clean);

/**
 * kvm_release_page_dirty() - drop a reference to a page that was written
 * @page: the page, no error pointer
 *
 * Context: As kvm_release_page_clean().
 */
void kvm_release_page_dirty(struct page *page)
{
	WARN_ON(is_error_page(page));

	set_page_dirty_unless_reserved(page);
	kvm_release_page_clean(page);
}
EXPORT_SYMBOL_GPL(kvm_release_page_dirty);

/* The page whose reference a pfn stands for, NULL if it stands for none. */
static struct page *page_to_release(kvm_pfn_t pfn)
{
	if (is_error_noslot_pfn(pfn))
		return NULL;

	return kvm_pfn_to_refcounted_page(pfn);
}

/**
 * kvm_release_pfn_clean() - drop the pin of a pfn that was only read
 * @pfn: what a gfn_to_pfn function returned, error values included
 *
 * Context: As kvm_release_page_clean().
 */
void kvm_release_pfn_clean(kvm_pfn_t pfn)
{
	struct page *page = page_to_release(pfn);

	if (page)
		kvm_release_page_clean(page);
}
EXPORT_SYMBOL_GPL(kvm_release_pfn_clean);

/**
 * kvm_release_pfn_dirty() - drop the pin of a pfn that was written
 * @pfn: what a gfn_to_pfn function returned, error values included
 *
 * Context: As kvm_release_page_clean().
 */
void kvm_release_pfn_dirty(kvm_pfn_t pfn)
{
	struct page *page = page_to_release(pfn);

	if (page)
		kvm_release_page_dirty(page);
}
EXPORT_SYMBOL_GPL(kvm_release_pfn_dirty);

/**
 * kvm_release_pfn() - drop the pin of a pfn
 * @pfn: what a gfn_to_pfn function returned, error values included
 * @dirty: the page was written
 *
 * Context: As kvm_release_page_clean().
 */
void kvm_release_pfn(kvm_pfn_t pfn, bool dirty)
{
	if (dirty)
		kvm_release_pfn_dirty(pfn);
	else
		kvm_release_pfn_clean(pfn);
}

/**
 * kvm_set_pfn_dirty() - mark the page of a pfn dirty in the host
 * @pfn: a pfn that is no error value
 *
 * Context: As kvm_release_page_clean().  A reference keeps the page, or the MMU notifier
 * has yet to be told that it is unmapped.
 */
void kvm_set_pfn_dirty(kvm_pfn_t pfn)
{
	if (!WARN_ON(is_error_noslot_pfn(pfn)) && pfn_valid(pfn))
		set_page_dirty_unless_reserved(pfn_to_page(pfn));
}
EXPORT_SYMBOL_GPL(kvm_set_pfn_dirty);

/**
 * kvm_set_pfn_accessed() - mark the page of a pfn accessed in the host
 * @pfn: a pfn that is no error value
 *
 * Context: As kvm_set_pfn_dirty().
 */
void kvm_set_pfn_accessed(kvm_pfn_t pfn)
{
	if (!WARN_ON(is_error_noslot_pfn(pfn)) && pfn_valid(pfn))
		set_page_accessed_unless_reserved(pfn_to_page(pfn));
}
EXPORT_SYMBOL_GPL(kvm_set_pfn_accessed);
