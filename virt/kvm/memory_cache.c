// SPDX-License-Identifier: GPL-2.0-only
/*
 * Object caches of the MMU: filled where sleeping is fine, emptied under
 * mmu_lock.
 *
 * A cache holds either objects of one kmem_cache or whole pages.  It is a
 * prefetch buffer: an object that its user frees does not come back.  Nothing
 * here locks; the owner of a cache (a vCPU, or the VM under one of its locks)
 * fills, uses and frees it.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/gfp.h>
#include <linux/panic.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "kvm_core.h"

#ifdef KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE
static void *new_page(const struct kvm_mmu_memory_cache *mc, gfp_t gfp)
{
	void *page = (void *)__get_free_page(gfp);

	if (page && mc->init_value)
		memset64(page, mc->init_value, PAGE_SIZE / sizeof(u64));
	return page;
}

static void *new_object(const struct kvm_mmu_memory_cache *mc, gfp_t gfp)
{
	if (mc->kmem_cache)
		return kmem_cache_alloc(mc->kmem_cache, gfp | mc->gfp_zero);

	return new_page(mc, gfp | mc->gfp_zero);
}

static void free_object(const struct kvm_mmu_memory_cache *mc, void *object)
{
	if (mc->kmem_cache)
		kmem_cache_free(mc->kmem_cache, object);
	else
		free_page((unsigned long)object);
}

/* The array comes with the first topup, its capacity never changes after. */
static int prepare_array(struct kvm_mmu_memory_cache *mc, int capacity,
			 gfp_t gfp)
{
	if (likely(mc->objects))
		return WARN_ON_ONCE(mc->capacity != capacity) ? -EIO : 0;

	if (WARN_ON_ONCE(!capacity))
		return -EIO;

	/* init_value is for pages, and contradicts zeroing them. */
	if (WARN_ON_ONCE(mc->init_value && (mc->kmem_cache || mc->gfp_zero)))
		return -EIO;

	mc->objects = kvmalloc_array(capacity, sizeof(*mc->objects), gfp);
	if (!mc->objects)
		return -ENOMEM;

	mc->capacity = capacity;
	return 0;
}

/**
 * __kvm_mmu_topup_memory_cache() - fill a cache of a given capacity
 * @mc: the cache, its gfp_*, init_value and kmem_cache set by the owner
 * @capacity: objects that it holds when full; the same at every call
 * @min: objects that the caller needs
 *
 * A cache that holds @min objects is left alone, any other is filled up.
 *
 * Context: Sleeps unless mc->gfp_custom forbids it.
 * Return: 0 if the cache holds at least @min objects, -ENOMEM, or -EIO for a
 * cache that is set up wrongly.
 */
int __kvm_mmu_topup_memory_cache(struct kvm_mmu_memory_cache *mc, int capacity,
				 int min)
{
	gfp_t gfp = mc->gfp_custom ?: GFP_KERNEL_ACCOUNT;
	void *object;
	int r;

	if (mc->nobjs >= min)
		return 0;

	r = prepare_array(mc, capacity, gfp);
	if (r)
		return r;

	while (mc->nobjs < capacity) {
		object = new_object(mc, gfp);
		if (!object)
			break;
		mc->objects[mc->nobjs++] = object;
	}
	return mc->nobjs < min ? -ENOMEM : 0;
}

/**
 * kvm_mmu_topup_memory_cache() - fill a cache of the architecture's capacity
 * @mc: the cache
 * @min: objects that the caller needs
 *
 * Context: Sleeps unless mc->gfp_custom forbids it.
 * Return: as __kvm_mmu_topup_memory_cache().
 */
int kvm_mmu_topup_memory_cache(struct kvm_mmu_memory_cache *mc, int min)
{
	return __kvm_mmu_topup_memory_cache(mc,
					    KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE,
					    min);
}

/**
 * kvm_mmu_memory_cache_nr_free_objects() - how many objects are left
 * @mc: the cache
 *
 * Context: the owner of @mc; any.
 * Return: the number of kvm_mmu_memory_cache_alloc() calls that cannot fail.
 */
int kvm_mmu_memory_cache_nr_free_objects(struct kvm_mmu_memory_cache *mc)
{
	return mc->nobjs;
}

/**
 * kvm_mmu_free_memory_cache() - free a cache's objects and its array
 * @mc: the cache; empty afterwards, and ready for another topup
 *
 * Context: May sleep.
 */
void kvm_mmu_free_memory_cache(struct kvm_mmu_memory_cache *mc)
{
	while (mc->nobjs)
		free_object(mc, mc->objects[--mc->nobjs]);

	kvfree(mc->objects);
	mc->capacity = 0;
	mc->objects = NULL;
}

/**
 * kvm_mmu_memory_cache_alloc() - take an object out of a cache
 * @mc: the cache; the caller topped it up
 *
 * Most callers link the object into a page table without a look: __pa(NULL) there would
 * give the guest host memory.  So this never returns NULL.  An empty cache is a bug; it
 * may still get an object from the atomic reserves.  If they have none the machine
 * stops: new code has no BUG_ON(), and a task that it killed would keep mmu_lock.
 *
 * Context: Any.
 * Return: the object, never NULL.
 */
void *kvm_mmu_memory_cache_alloc(struct kvm_mmu_memory_cache *mc)
{
	void *object;

	if (!WARN_ON(!mc->nobjs))
		return mc->objects[--mc->nobjs];

	object = new_object(mc, GFP_ATOMIC | __GFP_ACCOUNT);
	if (!object)
		panic("KVM: out of memory for a page table");

	return object;
}
#endif /* KVM_ARCH_NR_OBJS_PER_MEMORY_CACHE */
