// SPDX-License-Identifier: GPL-2.0-only
/*
 * A vCPU: its lifetime and its file.
 *
 * Lifetime: counted in kvm->created_vcpus, built, put into kvm->vcpu_array and
 * counted in kvm->online_vcpus, then given a file descriptor.  Both counters
 * and the array are written under kvm->lock; kvm_get_vcpu() and
 * kvm_for_each_vcpu() read the array without it.  A vCPU that is online stays
 * until its VM goes; its file only holds a reference to the VM.
 *
 * Locks: vcpu->mutex is taken inside kvm->lock and serializes the vCPU's
 * ioctls.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/anon_inodes.h>
#include <linux/build_bug.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/kvm_dirty_ring.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/srcu.h>
#include <linux/xarray.h>

#include "async_pf.h"
#include "kvm_core.h"

/* vcpu->vcpu_id is an int. */
static_assert(KVM_MAX_VCPU_IDS <= INT_MAX);
/* Userspace maps kvm_run as one page. */
static_assert(sizeof(struct kvm_run) <= PAGE_SIZE);

static struct kmem_cache *kvm_vcpu_cache;

/* What is not set here starts as zero. */
static void kvm_vcpu_init(struct kvm_vcpu *vcpu, struct kvm *kvm,
			  unsigned int id)
{
	vcpu->kvm = kvm;
	vcpu->vcpu_id = id;
	vcpu->cpu = -1;
	snprintf(vcpu->stats_id, sizeof(vcpu->stats_id), "kvm-%d/vcpu-%d",
		 task_pid_nr(current), id);

	mutex_init(&vcpu->mutex);
	rwlock_init(&vcpu->pid_lock);
#ifndef __KVM_HAVE_ARCH_WQP
	rcuwait_init(&vcpu->wait);
#endif
	kvm_vcpu_load_init(vcpu);
	kvm_async_pf_vcpu_init(vcpu);
}

static struct kvm_vcpu *kvm_vcpu_alloc(struct kvm *kvm, unsigned int id)
{
	struct kvm_vcpu *vcpu;

	vcpu = kmem_cache_zalloc(kvm_vcpu_cache, GFP_KERNEL_ACCOUNT);
	if (!vcpu)
		return NULL;

	vcpu->run = (void *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!vcpu->run) {
		kmem_cache_free(kvm_vcpu_cache, vcpu);
		return NULL;
	}

	kvm_vcpu_init(vcpu, kvm, id);
	return vcpu;
}

static void kvm_vcpu_free(struct kvm_vcpu *vcpu)
{
	free_page((unsigned long)vcpu->run);
	kmem_cache_free(kvm_vcpu_cache, vcpu);
}

/* Nobody else can reach the vCPU: it never was online, or its VM is destroyed. */
static void kvm_vcpu_destroy(struct kvm_vcpu *vcpu)
{
	kvm_arch_vcpu_destroy(vcpu);
	kvm_dirty_ring_free(&vcpu->dirty_ring);
	/* Only KVM_RUN changes the pid, and no file is left to call it on. */
	put_pid(vcpu->pid);
	kvm_vcpu_free(vcpu);
}

/**
 * kvm_destroy_vcpus() - free all vCPUs of a VM
 * @kvm: the VM
 *
 * Context: destruction of the VM, whose files are all closed; process context.
 */
void kvm_destroy_vcpus(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long idx;

	kvm_for_each_vcpu(idx, vcpu, kvm) {
		kvm_vcpu_destroy(vcpu);
		xa_erase(&kvm->vcpu_array, idx);
	}
	atomic_set(&kvm->online_vcpus, 0);
}
EXPORT_SYMBOL_GPL(kvm_destroy_vcpus);

/*
 * The ring's pages start at page KVM_DIRTY_LOG_PAGE_OFFSET of the vCPU's file.  The size
 * of the ring is read without a lock: it is fixed once there is a vCPU.
 */
static bool kvm_is_dirty_ring_page(struct kvm *kvm, unsigned long pgoff)
{
	if (!IS_ENABLED(CONFIG_HAVE_KVM_DIRTY_RING))
		return false;

	return pgoff >= KVM_DIRTY_LOG_PAGE_OFFSET &&
	       pgoff - KVM_DIRTY_LOG_PAGE_OFFSET < kvm->dirty_ring_size / PAGE_SIZE;
}

/* Return: the page that userspace shares with KVM at @pgoff, or NULL. */
static struct page *kvm_vcpu_shared_page(struct kvm_vcpu *vcpu,
					 unsigned long pgoff)
{
	switch (pgoff) {
	case 0:
		return virt_to_page(vcpu->run);
#ifdef CONFIG_X86
	case KVM_PIO_PAGE_OFFSET:
		return virt_to_page(vcpu->arch.pio_data);
#endif
#ifdef CONFIG_KVM_MMIO
	case KVM_COALESCED_MMIO_PAGE_OFFSET:
		return virt_to_page(vcpu->kvm->coalesced_mmio_ring);
#endif
	default:
		break;
	}

	if (!kvm_is_dirty_ring_page(vcpu->kvm, pgoff))
		return NULL;

	return kvm_dirty_ring_get_page(&vcpu->dirty_ring,
				       pgoff - KVM_DIRTY_LOG_PAGE_OFFSET);
}

static vm_fault_t kvm_vcpu_fault(struct vm_fault *vmf)
{
	struct kvm_vcpu *vcpu = vmf->vma->vm_file->private_data;
	struct page *shared = kvm_vcpu_shared_page(vcpu, vmf->pgoff);

	if (!shared)
		return kvm_arch_vcpu_fault(vcpu, vmf);

	get_page(shared);
	vmf->page = shared;
	return 0;
}

static const struct vm_operations_struct kvm_vcpu_vm_ops = {
	.fault = kvm_vcpu_fault,
};

/*
 * KVM must see what userspace writes into the dirty ring, so a mapping that
 * starts or ends in it is shared; and nobody has a reason to execute it.
 */
static int kvm_vcpu_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct kvm_vcpu *vcpu = filp->private_data;
	unsigned long last = vma->vm_pgoff + vma_pages(vma) - 1;
	bool plain = (vma->vm_flags & (VM_SHARED | VM_EXEC)) == VM_SHARED;

	if (!plain && (kvm_is_dirty_ring_page(vcpu->kvm, vma->vm_pgoff) ||
		       kvm_is_dirty_ring_page(vcpu->kvm, last)))
		return -EINVAL;

	vma->vm_ops = &kvm_vcpu_vm_ops;
	return 0;
}

static int kvm_vcpu_release(struct inode *inode, struct file *filp)
{
	struct kvm_vcpu *vcpu = filp->private_data;

	kvm_put_kvm(vcpu->kvm);
	return 0;
}

static const struct file_operations kvm_vcpu_fops = {
	.owner = THIS_MODULE,
	.llseek = noop_llseek,
	.mmap = kvm_vcpu_mmap,
	.unlocked_ioctl = kvm_vcpu_ioctl,
#ifdef CONFIG_KVM_COMPAT
	.compat_ioctl = kvm_vcpu_compat_ioctl,
#else
	KVM_REFUSE_COMPAT,
#endif
	.release = kvm_vcpu_release,
};

/**
 * kvm_vcpu_link_id() - let kvm_get_vcpu_by_id() find a vCPU
 * @kvm: the VM
 * @vcpu: online; no other vCPU has its id
 *
 * The vCPU with index 0 is the root of a tree.  No vCPU leaves the tree before the VM
 * is destroyed, so readers need no lock.
 *
 * Context: holds kvm->lock.
 */
void kvm_vcpu_link_id(struct kvm *kvm, struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu *above = kvm_get_vcpu(kvm, 0);
	unsigned int path = vcpu->vcpu_id;
	struct kvm_id_node **link;

	if (above == vcpu)
		return;

	link = &above->id_node.below[path & 1];
	while (*link) {
		path >>= 1;
		link = &(*link)->below[path & 1];
	}
	/*
	 * Whoever follows the link sees a vCPU that is complete and counted in
	 * online_vcpus.  Pairs with smp_load_acquire() in kvm_get_vcpu_by_id().
	 */
	smp_store_release(link, &vcpu->id_node);
}

/*
 * Let kvm_get_vcpu() find the vCPU, whose array entry is reserved: storing it
 * neither allocates nor fails.  If it fails all the same, the VM is dead and the
 * vCPU leaks, which is better than a file that points to freed memory.
 */
static void kvm_vcpu_set_online(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;

	if (KVM_BUG_ON(xa_store(&kvm->vcpu_array, vcpu->vcpu_idx, vcpu, 0), kvm))
		return;

	/* Pointer before count: pairs with smp_rmb() in kvm_get_vcpu(). */
	smp_wmb();
	atomic_inc(&kvm->online_vcpus);
	kvm_vcpu_link_id(kvm, vcpu);
}

/*
 * The descriptor is installed last.  Otherwise userspace could guess its number, and
 * use a vCPU that the rest of KVM does not find yet.
 */
static int kvm_vcpu_install_fd(struct kvm_vcpu *vcpu)
{
	char name[sizeof("kvm-vcpu:") + KVM_INT_STR_LEN];
	struct file *file;
	int fd;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;

	snprintf(name, sizeof(name), "kvm-vcpu:%d", vcpu->vcpu_id);
	file = anon_inode_getfile(name, &kvm_vcpu_fops, vcpu, O_RDWR);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}

	/* The file's reference, which kvm_vcpu_release() puts. */
	kvm_get_kvm(vcpu->kvm);
	kvm_vcpu_set_online(vcpu);
	fd_install(fd, file);
	return fd;
}

/*
 * Shows lockdep how the locks of a vCPU's ioctls nest, before any ioctl runs.
 * See Documentation/virtual/kvm/locking.txt.
 */
static void kvm_teach_vcpu_lock_order(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	int idx;

	lockdep_assert_held(&kvm->lock);
	if (!IS_ENABLED(CONFIG_PROVE_LOCKING))
		return;

	mutex_lock(&vcpu->mutex);
	might_lock(&kvm->slots_lock);

	idx = srcu_read_lock(&kvm->srcu);
	might_lock(&kvm->slots_arch_lock);
	KVM_MMU_LOCK(kvm);
	KVM_MMU_UNLOCK(kvm);
	srcu_read_unlock(&kvm->srcu, idx);

	mutex_unlock(&vcpu->mutex);
}

/* Give the vCPU the next index.  Return: its file descriptor, or an error. */
static int kvm_vcpu_publish(struct kvm_vcpu *vcpu)
{
	struct kvm *kvm = vcpu->kvm;
	int fd, r;

	kvm_teach_vcpu_lock_order(vcpu);

	if (kvm_get_vcpu_by_id(kvm, vcpu->vcpu_id))
		return -EEXIST;

	vcpu->vcpu_idx = atomic_read(&kvm->online_vcpus);
	r = xa_reserve(&kvm->vcpu_array, vcpu->vcpu_idx, GFP_KERNEL_ACCOUNT);
	if (r)
		return r;

	fd = kvm_vcpu_install_fd(vcpu);
	if (fd < 0)
		xa_release(&kvm->vcpu_array, vcpu->vcpu_idx);
	return fd;
}

/* Build a vCPU that only the caller knows.  Return: the vCPU, or an ERR_PTR(). */
static struct kvm_vcpu *kvm_vcpu_create(struct kvm *kvm, unsigned int id)
{
	struct kvm_vcpu *vcpu;
	int r;

	vcpu = kvm_vcpu_alloc(kvm, id);
	if (!vcpu)
		return ERR_PTR(-ENOMEM);

	r = kvm_arch_vcpu_create(vcpu);
	if (r) {
		kvm_vcpu_free(vcpu);
		return ERR_PTR(r);
	}

	/* Fixed since kvm_vcpu_reserve(): no lock needed to read the size. */
	if (!kvm->dirty_ring_size)
		return vcpu;

	r = kvm_dirty_ring_alloc(&vcpu->dirty_ring, id, kvm->dirty_ring_size);
	if (r) {
		kvm_vcpu_destroy(vcpu);
		return ERR_PTR(r);
	}
	return vcpu;
}

/*
 * Count a vCPU before it exists: from then on nobody can change what the VM's
 * vCPUs are built from (dirty ring, irqchip, ...).
 */
static int kvm_vcpu_reserve(struct kvm *kvm, unsigned int id)
{
	int r = -EINVAL;

	mutex_lock(&kvm->lock);
	if (kvm->created_vcpus < kvm->max_vcpus)
		r = kvm_arch_vcpu_precreate(kvm, id);
	if (!r)
		kvm->created_vcpus++;
	mutex_unlock(&kvm->lock);

	return r;
}

static void kvm_vcpu_unreserve(struct kvm *kvm)
{
	mutex_lock(&kvm->lock);
	kvm->created_vcpus--;
	mutex_unlock(&kvm->lock);
}

/**
 * kvm_create_vcpu_fd() - KVM_CREATE_VCPU
 * @kvm: the VM
 * @id: userspace's name of the vCPU (x86: the APIC id), see api.rst
 *
 * Context: process context; takes kvm->lock.
 *
 * Return: a file descriptor, or -EINVAL for an id out of range and for one
 * vCPU too many, -EEXIST if the id is in use, -ENOMEM, -EMFILE, or what the
 * architecture says.
 */
int kvm_create_vcpu_fd(struct kvm *kvm, unsigned long id)
{
	struct kvm_vcpu *vcpu;
	int r;

	if (id >= KVM_MAX_VCPU_IDS)
		return -EINVAL;

	r = kvm_vcpu_reserve(kvm, id);
	if (r)
		return r;

	vcpu = kvm_vcpu_create(kvm, id);
	if (IS_ERR(vcpu)) {
		kvm_vcpu_unreserve(kvm);
		return PTR_ERR(vcpu);
	}

	mutex_lock(&kvm->lock);
	r = kvm_vcpu_publish(vcpu);
	mutex_unlock(&kvm->lock);
	if (r < 0) {
		kvm_vcpu_destroy(vcpu);
		kvm_vcpu_unreserve(kvm);
		return r;
	}

	kvm_arch_vcpu_postcreate(vcpu);
	kvm_create_vcpu_debugfs(vcpu);
	return r;
}

/**
 * kvm_vcpu_module_init() - prepare for vCPUs
 * @size: bytes of the vendor module's structure, which starts with a kvm_vcpu
 * @align: its alignment in bytes, 0 for that of struct kvm_vcpu
 *
 * Context: kvm_init().
 *
 * Return: 0 or -ENOMEM.
 */
int kvm_vcpu_module_init(unsigned int size, unsigned int align)
{
	/* Hardened usercopy lets userspace see from arch to stats_id. */
	const size_t first = offsetof(struct kvm_vcpu, arch);
	const size_t end = offsetofend(struct kvm_vcpu, stats_id);

	if (!align)
		align = __alignof__(struct kvm_vcpu);

	kvm_vcpu_cache = kmem_cache_create_usercopy("kvm_vcpu", size, align,
						    SLAB_ACCOUNT, first,
						    end - first, NULL);
	return kvm_vcpu_cache ? 0 : -ENOMEM;
}

/**
 * kvm_vcpu_module_exit() - undo kvm_vcpu_module_init()
 *
 * Context: kvm_exit() or a failed kvm_init(); no vCPU exists.
 */
void kvm_vcpu_module_exit(void)
{
	kmem_cache_destroy(kvm_vcpu_cache);
}
