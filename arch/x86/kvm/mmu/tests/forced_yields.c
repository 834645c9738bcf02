// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loops of the MMU that let go of mmu_lock, see forced_yields.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#include "forced_yields.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte.h"
#include "mmu/mmutrace.h"

static void something_went(struct forced_yields *yields)
{
	if (current != yields->task || yields->wanted == yields->limit ||
	    test_tsk_need_resched(current))
		return;

	yields->wanted++;
	forced_yield_now();
}

static void spte_went(void *data, int as_id, gfn_t gfn, int level, u64 old, u64 new)
{
	something_went(data);
}

static void page_went(void *data, struct kvm_mmu_page *sp)
{
	something_went(data);
}

static void stop(void *data)
{
	unregister_trace_kvm_tdp_mmu_spte_changed(spte_went, data);
	unregister_trace_kvm_mmu_prepare_zap_page(page_went, data);
	tracepoint_synchronize_unregister();
	cond_resched();
}

struct forced_yields *forced_yields_begin(struct kunit *test, unsigned int limit)
{
	struct forced_yields *yields;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "there are no tracepoints");

	yields = kunit_kzalloc(test, sizeof(*yields), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, yields);
	yields->task = current;
	yields->limit = limit;

	KUNIT_ASSERT_EQ(test, 0, register_trace_kvm_tdp_mmu_spte_changed(spte_went,
									 yields));
	KUNIT_ASSERT_EQ(test, 0, register_trace_kvm_mmu_prepare_zap_page(page_went,
									 yields));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, stop, yields));
	return yields;
}

void forced_yields_end(struct kunit *test, struct forced_yields *yields)
{
	kunit_release_action(test, stop, yields);
}
