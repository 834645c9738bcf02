/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Slots for the tests of levels: real ones, of a VM without page tables (test_vm.h).
 */
#ifndef __KVM_X86_MMU_LEVEL_SLOT_H
#define __KVM_X86_MMU_LEVEL_SLOT_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

/* Pages per huge page, in numbers. */
#define PAGES_2M	0x200
#define PAGES_1G	0x40000

static inline gfn_t level_pages(int level)
{
	return level == PG_LEVEL_1G ? PAGES_1G : level == PG_LEVEL_2M ? PAGES_2M : 1;
}

/**
 * struct level_geometry - where a slot lies
 * @name: for the test's report
 * @base: its first gfn
 * @npages: how many it has
 * @hva_pages: by how many pages its host addresses are shifted against its gfns
 */
struct level_geometry {
	const char *name;
	gfn_t base;
	unsigned long npages;
	unsigned long hva_pages;
};

/* The slot of id 0; its host addresses are nobody's. */
struct kvm_memory_slot *level_test_slot(struct kunit *test, struct kvm *kvm,
					const struct level_geometry *g);

#endif /* __KVM_X86_MMU_LEVEL_SLOT_H */
