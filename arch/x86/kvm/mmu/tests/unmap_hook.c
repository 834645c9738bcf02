// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that act when the MMU has unmapped something, see unmap_hook.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "mmu/mmutrace.h"
#include "unmap_hook.h"

struct unmap_hook {
	void (*call)(void *data);
	void *data;
};

static void spte_changed(void *data, int as_id, gfn_t gfn, int level, u64 old,
			 u64 new)
{
	const struct unmap_hook *hook = data;

	hook->call(hook->data);
}

static void page_zapped(void *data, struct mmu_table *table)
{
	const struct unmap_hook *hook = data;

	hook->call(hook->data);
}

static void unhook(void *data)
{
	unregister_trace_kvm_tdp_mmu_spte_changed(spte_changed, data);
	unregister_trace_kvm_mmu_prepare_zap_page(page_zapped, data);
	tracepoint_synchronize_unregister();
}

struct unmap_hook *unmap_hook_begin(struct kunit *test, void (*call)(void *data),
				    void *data)
{
	struct unmap_hook *hook = kunit_kzalloc(test, sizeof(*hook), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, hook);
	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "there are no tracepoints");

	hook->call = call;
	hook->data = data;
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_kvm_tdp_mmu_spte_changed(spte_changed, hook));
	KUNIT_ASSERT_EQ(test, 0,
			register_trace_kvm_mmu_prepare_zap_page(page_zapped, hook));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unhook, hook));
	return hook;
}

void unmap_hook_end(struct kunit *test, struct unmap_hook *hook)
{
	kunit_release_action(test, unhook, hook);
}
