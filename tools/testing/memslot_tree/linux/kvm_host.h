/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What memslots need of KVM's header in the userland build, taken
 * from the kernel's own headers by extract.awk, on the helpers of tools/.
 */
#ifndef __MEMSLOT_TREE_KVM_HOST_H__
#define __MEMSLOT_TREE_KVM_HOST_H__

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/bits.h>
#include <linux/interval_tree.h>
#include <linux/kernel.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#define PAGE_SHIFT	12
#define PAGE_SIZE	BIT(PAGE_SHIFT)

typedef u64 gfn_t;

/* One thread only. */
static inline long atomic_long_read(const atomic_long_t *v)
{
	return v->counter;
}

static inline void atomic_long_set(atomic_long_t *v, long i)
{
	v->counter = i;
}

static inline long atomic_long_cmpxchg(atomic_long_t *v, long old, long new)
{
	long was = v->counter;

	if (was == old)
		v->counter = new;
	return was;
}

/* A warning ends the test. */
#undef WARN_ON_ONCE
#define WARN_ON_ONCE(condition) ({					\
	bool __warn = (condition);					\
									\
	if (__warn) {							\
		printf("Bail out! %s:%d: warning: %s\n", __FILE__,	\
		       __LINE__, #condition);				\
		exit(1);						\
	}								\
	__warn;								\
})

struct kvm_arch_memory_slot {
};

#include "generated/kvm_uapi_defs.h"
#include "generated/kvm_host_defs.h"

#endif /* __MEMSLOT_TREE_KVM_HOST_H__ */
