// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's own accesses to guest memory, through the VMM's mapping of it.
 *
 * A guest frame is looked up in a set of memslots and becomes a host virtual
 * address of the VMM; data is then copied as from or to user memory, so that
 * it may fault and sleep.  The caller runs in the VMM's mm and holds kvm->srcu
 * (or slots_lock), which keeps the set and its slots alive.
 *
 * "VM" functions look into the VM's first address space, "vCPU" functions into
 * the one that the vCPU sees at the moment (SMM has its own on x86).
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/hugetlb.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "kvm_core.h"

/**
 * struct guest_span - guest memory of any length, and the buffer beside it
 * @kvm: the VM
 * @vcpu: whose view of memory is meant; NULL for the VM's
 * @to: buffer to read into
 * @from: buffer to write from
 */
struct guest_span {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	void *to;
	const void *from;
};

/**
 * struct guest_chunk - the part of a span that lies in one page
 * @gfn: the page
 * @offset: where the chunk begins in it, in bytes
 * @len: bytes, to the end of the page at most
 * @done: bytes of the span that precede the chunk
 */
struct guest_chunk {
	gfn_t gfn;
	int offset;
	int len;
	unsigned long done;
};

typedef int (*guest_chunk_fn)(const struct guest_span *span,
			      const struct guest_chunk *chunk);

static __always_inline unsigned long
slot_gfn_to_hva(const struct kvm_memory_slot *slot, gfn_t gfn, bool write)
{
	if (!slot || slot->flags & KVM_MEMSLOT_INVALID)
		return KVM_HVA_ERR_BAD;

	if (write && kvm_memslot_is_readonly(slot))
		return KVM_HVA_ERR_RO_BAD;

	return __gfn_to_hva_memslot(slot, gfn);
}

/**
 * kvm_slot_gfn_to_hva() - translate a frame of a slot
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 * @write: the access is a write
 *
 * A slot that is only marked as going still translates: its memory may be used until
 * the set without it is installed.
 *
 * Context: kvm->srcu or slots_lock keeps @slot.
 * Return: the host virtual address; KVM_HVA_ERR_BAD if @slot is NULL or INVALID,
 * KVM_HVA_ERR_RO_BAD for a write to a read-only slot.
 */
unsigned long kvm_slot_gfn_to_hva(const struct kvm_memory_slot *slot,
				  gfn_t gfn, bool write)
{
	return slot_gfn_to_hva(slot, gfn, write);
}

/**
 * gfn_to_hva_memslot() - translate a frame of a slot for writing
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 *
 * Context: As kvm_slot_gfn_to_hva().
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long gfn_to_hva_memslot(struct kvm_memory_slot *slot, gfn_t gfn)
{
	return slot_gfn_to_hva(slot, gfn, true);
}
EXPORT_SYMBOL_GPL(gfn_to_hva_memslot);

/**
 * gfn_to_hva() - translate a guest frame of a VM for writing
 * @kvm: the VM
 * @gfn: guest frame number
 *
 * Context: kvm->srcu or slots_lock held.
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long gfn_to_hva(struct kvm *kvm, gfn_t gfn)
{
	return slot_gfn_to_hva(gfn_to_memslot(kvm, gfn), gfn, true);
}
EXPORT_SYMBOL_GPL(gfn_to_hva);

/**
 * kvm_vcpu_gfn_to_hva() - translate a guest frame of a vCPU for writing
 * @vcpu: the vCPU
 * @gfn: guest frame number
 *
 * Context: kvm->srcu held.
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long kvm_vcpu_gfn_to_hva(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	return slot_gfn_to_hva(kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn, true);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_gfn_to_hva);

/**
 * gfn_to_hva_memslot_prot() - translate a frame of a slot for reading
 * @slot: the slot that contains @gfn, or NULL
 * @gfn: guest frame number
 * @writable: if not NULL, set on success: the slot may be written as well
 *
 * Context: As kvm_slot_gfn_to_hva().
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long gfn_to_hva_memslot_prot(struct kvm_memory_slot *slot, gfn_t gfn,
				      bool *writable)
{
	unsigned long hva = slot_gfn_to_hva(slot, gfn, false);

	if (writable && !kvm_is_error_hva(hva))
		*writable = !kvm_memslot_is_readonly(slot);

	return hva;
}

/**
 * gfn_to_hva_prot() - translate a guest frame of a VM for reading
 * @kvm: the VM
 * @gfn: guest frame number
 * @writable: if not NULL, set on success: the slot may be written as well
 *
 * Context: kvm->srcu or slots_lock held.
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long gfn_to_hva_prot(struct kvm *kvm, gfn_t gfn, bool *writable)
{
	return gfn_to_hva_memslot_prot(gfn_to_memslot(kvm, gfn), gfn, writable);
}

/**
 * kvm_vcpu_gfn_to_hva_prot() - translate a guest frame of a vCPU for reading
 * @vcpu: the vCPU
 * @gfn: guest frame number
 * @writable: if not NULL, set on success: the slot may be written as well
 *
 * Context: kvm->srcu held.
 * Return: as kvm_slot_gfn_to_hva().
 */
unsigned long kvm_vcpu_gfn_to_hva_prot(struct kvm_vcpu *vcpu, gfn_t gfn,
				       bool *writable)
{
	return gfn_to_hva_memslot_prot(kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn,
				       writable);
}

/**
 * kvm_host_page_size() - size of the host's pages behind a guest frame
 * @vcpu: the vCPU
 * @gfn: guest frame number
 *
 * Context: Sleeps, takes the mmap lock for reading; kvm->srcu held.
 * Return: bytes; PAGE_SIZE where nothing is mapped.
 */
unsigned long kvm_host_page_size(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	unsigned long hva = kvm_vcpu_gfn_to_hva_prot(vcpu, gfn, NULL);
	unsigned long bytes = PAGE_SIZE;
	struct vm_area_struct *vma;

	if (kvm_is_error_hva(hva))
		return bytes;

	mmap_read_lock(current->mm);
	vma = find_vma(current->mm, hva);
	if (vma)
		bytes = vma_kernel_pagesize(vma);
	mmap_read_unlock(current->mm);
	return bytes;
}

/* No access_ok() for the copies: the range was checked when the slot was created. */
static int copy_from_slot(const struct kvm_memory_slot *slot, gfn_t gfn,
			  void *data, int offset, int len)
{
	unsigned long hva;

	if (WARN_ON_ONCE(offset + len > PAGE_SIZE))
		return -EFAULT;

	hva = slot_gfn_to_hva(slot, gfn, false);
	if (kvm_is_error_hva(hva) ||
	    __copy_from_user(data, (void __user *)(hva + offset), len))
		return -EFAULT;

	return 0;
}

static int copy_from_slot_atomic(const struct kvm_memory_slot *slot, gfn_t gfn,
				 void *data, int offset, unsigned long len)
{
	unsigned long hva, left;

	if (WARN_ON_ONCE(offset + len > PAGE_SIZE))
		return -EFAULT;

	hva = slot_gfn_to_hva(slot, gfn, false);
	if (kvm_is_error_hva(hva))
		return -EFAULT;

	pagefault_disable();
	left = __copy_from_user_inatomic(data, (void __user *)(hva + offset),
					 len);
	pagefault_enable();
	return left ? -EFAULT : 0;
}

static int copy_to_slot(struct kvm *kvm, const struct kvm_memory_slot *slot,
			gfn_t gfn, const void *data, int offset, int len)
{
	unsigned long hva;

	if (WARN_ON_ONCE(offset + len > PAGE_SIZE))
		return -EFAULT;

	hva = slot_gfn_to_hva(slot, gfn, true);
	if (kvm_is_error_hva(hva) ||
	    __copy_to_user((void __user *)(hva + offset), data, len))
		return -EFAULT;

	mark_page_dirty_in_slot(kvm, slot, gfn);
	return 0;
}

/**
 * kvm_read_guest_page() - read from one page of a VM
 * @kvm: the VM
 * @gfn: guest frame number
 * @data: filled with what is read
 * @offset: first byte in the page
 * @len: bytes, to the end of the page at most
 *
 * Context: Sleeps; kvm->srcu held, in the VMM's mm.
 * Return: 0 or -EFAULT, with a part of @data written perhaps.
 */
int kvm_read_guest_page(struct kvm *kvm, gfn_t gfn, void *data, int offset,
			int len)
{
	return copy_from_slot(gfn_to_memslot(kvm, gfn), gfn, data, offset, len);
}
EXPORT_SYMBOL_GPL(kvm_read_guest_page);

/**
 * kvm_vcpu_read_guest_page() - read from one page of a vCPU's memory
 * @vcpu: the vCPU
 * @gfn: guest frame number
 * @data: filled with what is read
 * @offset: first byte in the page
 * @len: bytes, to the end of the page at most
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_read_guest_page().
 */
int kvm_vcpu_read_guest_page(struct kvm_vcpu *vcpu, gfn_t gfn, void *data,
			     int offset, int len)
{
	return copy_from_slot(kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn, data,
			      offset, len);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_read_guest_page);

/**
 * kvm_vcpu_read_guest_atomic() - read a vCPU's memory without sleeping
 * @vcpu: the vCPU
 * @gpa: guest physical address of the first byte
 * @data: filled with what is read
 * @len: bytes, to the end of the page at most
 *
 * Context: Any; kvm->srcu held, in the VMM's mm.
 * Return: 0, or -EFAULT also where the host's page is not present.
 */
int kvm_vcpu_read_guest_atomic(struct kvm_vcpu *vcpu, gpa_t gpa, void *data,
			       unsigned long len)
{
	gfn_t gfn = gpa_to_gfn(gpa);

	return copy_from_slot_atomic(kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn,
				     data, offset_in_page(gpa), len);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_read_guest_atomic);

/**
 * kvm_write_guest_page() - write to one page of a VM and mark it dirty
 * @kvm: the VM
 * @gfn: guest frame number
 * @data: what to write
 * @offset: first byte in the page
 * @len: bytes, to the end of the page at most
 *
 * Context: As kvm_read_guest_page().
 * Return: 0 or -EFAULT, with a part of the bytes written perhaps.
 */
int kvm_write_guest_page(struct kvm *kvm, gfn_t gfn, const void *data,
			 int offset, int len)
{
	return copy_to_slot(kvm, gfn_to_memslot(kvm, gfn), gfn, data, offset,
			    len);
}
EXPORT_SYMBOL_GPL(kvm_write_guest_page);

/**
 * kvm_vcpu_write_guest_page() - write to one page of a vCPU's memory
 * @vcpu: the vCPU
 * @gfn: guest frame number
 * @data: what to write
 * @offset: first byte in the page
 * @len: bytes, to the end of the page at most
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_write_guest_page().
 */
int kvm_vcpu_write_guest_page(struct kvm_vcpu *vcpu, gfn_t gfn,
			      const void *data, int offset, int len)
{
	return copy_to_slot(vcpu->kvm, kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn,
			    data, offset, len);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_write_guest_page);

static __always_inline struct kvm_memory_slot *
span_slot(const struct guest_span *span, gfn_t gfn)
{
	return span->vcpu ? kvm_vcpu_gfn_to_memslot(span->vcpu, gfn) :
			    gfn_to_memslot(span->kvm, gfn);
}

/* Inlined with a constant @fn, which makes it a direct call. */
static __always_inline int walk_chunks(const struct guest_span *span,
				       gpa_t gpa, unsigned long len,
				       guest_chunk_fn fn)
{
	struct guest_chunk chunk = {
		.gfn = gpa_to_gfn(gpa),
		.offset = offset_in_page(gpa),
	};
	int r;

	for (; chunk.done < len; chunk.done += chunk.len, chunk.gfn++) {
		chunk.len = min(len - chunk.done, PAGE_SIZE - chunk.offset);
		r = fn(span, &chunk);
		if (r)
			return r;
		chunk.offset = 0;
	}
	return 0;
}

static __always_inline int read_chunk(const struct guest_span *span,
				      const struct guest_chunk *chunk)
{
	return copy_from_slot(span_slot(span, chunk->gfn), chunk->gfn,
			      span->to + chunk->done, chunk->offset,
			      chunk->len);
}

static __always_inline int write_chunk(const struct guest_span *span,
				       const struct guest_chunk *chunk)
{
	return copy_to_slot(span->kvm, span_slot(span, chunk->gfn), chunk->gfn,
			    span->from + chunk->done, chunk->offset,
			    chunk->len);
}

static __always_inline int clear_chunk(const struct guest_span *span,
				       const struct guest_chunk *chunk)
{
	return copy_to_slot(span->kvm, span_slot(span, chunk->gfn), chunk->gfn,
			    page_address(ZERO_PAGE(0)), chunk->offset,
			    chunk->len);
}

/**
 * kvm_read_guest() - read from a VM's memory
 * @kvm: the VM
 * @gpa: guest physical address of the first byte
 * @data: filled with what is read
 * @len: bytes
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_read_guest_page().
 */
int kvm_read_guest(struct kvm *kvm, gpa_t gpa, void *data, unsigned long len)
{
	const struct guest_span span = { .kvm = kvm, .to = data };

	return walk_chunks(&span, gpa, len, read_chunk);
}
EXPORT_SYMBOL_GPL(kvm_read_guest);

/**
 * kvm_vcpu_read_guest() - read from a vCPU's memory
 * @vcpu: the vCPU
 * @gpa: guest physical address of the first byte
 * @data: filled with what is read
 * @len: bytes
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_read_guest_page().
 */
int kvm_vcpu_read_guest(struct kvm_vcpu *vcpu, gpa_t gpa, void *data,
			unsigned long len)
{
	const struct guest_span span = {
		.kvm = vcpu->kvm,
		.vcpu = vcpu,
		.to = data,
	};

	return walk_chunks(&span, gpa, len, read_chunk);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_read_guest);

/**
 * kvm_write_guest() - write to a VM's memory and mark it dirty
 * @kvm: the VM
 * @gpa: guest physical address of the first byte
 * @data: what to write
 * @len: bytes
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_write_guest_page().
 */
int kvm_write_guest(struct kvm *kvm, gpa_t gpa, const void *data,
		    unsigned long len)
{
	const struct guest_span span = { .kvm = kvm, .from = data };

	return walk_chunks(&span, gpa, len, write_chunk);
}
EXPORT_SYMBOL_GPL(kvm_write_guest);

/**
 * kvm_vcpu_write_guest() - write to a vCPU's memory and mark it dirty
 * @vcpu: the vCPU
 * @gpa: guest physical address of the first byte
 * @data: what to write
 * @len: bytes
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_write_guest_page().
 */
int kvm_vcpu_write_guest(struct kvm_vcpu *vcpu, gpa_t gpa, const void *data,
			 unsigned long len)
{
	const struct guest_span span = {
		.kvm = vcpu->kvm,
		.vcpu = vcpu,
		.from = data,
	};

	return walk_chunks(&span, gpa, len, write_chunk);
}
EXPORT_SYMBOL_GPL(kvm_vcpu_write_guest);

/**
 * kvm_clear_guest() - write zeros to a VM's memory and mark it dirty
 * @kvm: the VM
 * @gpa: guest physical address of the first byte
 * @len: bytes
 *
 * Context: As kvm_read_guest_page().
 * Return: as kvm_write_guest_page().
 */
int kvm_clear_guest(struct kvm *kvm, gpa_t gpa, unsigned long len)
{
	const struct guest_span span = { .kvm = kvm };

	return walk_chunks(&span, gpa, len, clear_chunk);
}
EXPORT_SYMBOL_GPL(kvm_clear_guest);
