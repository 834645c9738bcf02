/* SPDX-License-Identifier: GPL-2.0-only */
/* Slab objects of the userland build come from the heap of the C library. */
#ifndef __MEMSLOT_TREE_SLAB_H__
#define __MEMSLOT_TREE_SLAB_H__

#include <stdlib.h>

#define GFP_KERNEL	0

static inline void *kzalloc(size_t size, int flags)
{
	return calloc(1, size);
}

static inline void *kcalloc(size_t n, size_t size, int flags)
{
	return calloc(n, size);
}

static inline void kfree(void *p)
{
	free(p);
}

#endif /* __MEMSLOT_TREE_SLAB_H__ */
