// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots for the tests of levels, see level_slot.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/srcu.h>

#include "level_slot.h"

struct kvm_memory_slot *level_test_slot(struct kunit *test, struct kvm *kvm,
					const struct level_geometry *g)
{
	struct kvm_userspace_memory_region2 mem = {
		.guest_phys_addr = gfn_to_gpa(g->base),
		.memory_size = g->npages << PAGE_SHIFT,
		.userspace_addr = (u64)(PAGES_1G + g->base + g->hva_pages) << PAGE_SHIFT,
	};
	struct kvm_memory_slot *slot;
	int idx;

	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(kvm, &mem));

	/* Nobody deletes it, so it outlives the read section. */
	idx = srcu_read_lock(&kvm->srcu);
	slot = gfn_to_memslot(kvm, g->base);
	srcu_read_unlock(&kvm->srcu, idx);

	KUNIT_ASSERT_NOT_NULL(test, slot);
	return slot;
}
