// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks of shadow pages without mmu_lock: whoever frees what a walk may be in, or
 * changes what an entry translates to, waits for its end.  A TLB flush does not
 * wait for the walks here: the vCPU is on no CPU that KVM knows of, as if a
 * hypervisor below flushed TLBs by itself.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/ktime.h>
#include <linux/kvm_host.h>
#include <linux/xarray.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_format.h"
#include "test_helper.h"

#define TABLE	(SHADOW_TEST_GFN + 0x13)
#define GFN_A	(SHADOW_TEST_GFN + 0x51)
#define GFN_B	(SHADOW_TEST_GFN + 0x152)

/* In ms, with interrupts off, from when others may have to wait for it. */
#define WALK_LENGTH	20

/**
 * struct held_walk - a walk that takes its time
 * @helper: the thread that walks
 * @vcpu: whose walk it is
 * @inside: it has begun
 * @awaited: what must wait for it begins
 * @over: what must wait for it is done
 * @early: that was before it has ended
 */
struct held_walk {
	struct test_helper *helper;
	struct kvm_vcpu *vcpu;
	bool inside;
	bool awaited;
	bool over;
	bool early;
};

static void walk_slowly(void *data)
{
	struct held_walk *walk = data;
	ktime_t end;

	shadow_walk_begin(walk->vcpu);
	WRITE_ONCE(walk->inside, true);
	while (!READ_ONCE(walk->awaited))
		cpu_relax();
	end = ktime_add_ms(ktime_get(), WALK_LENGTH);
	while (ktime_before(ktime_get(), end) && !READ_ONCE(walk->over))
		cpu_relax();
	walk->early = READ_ONCE(walk->over);
	shadow_walk_end(walk->vcpu);
}

/* The VM's only vCPU, from now on; vcpu_gone() before the VM goes. */
static void vcpu_online(struct kunit *test, struct shadow_test *t)
{
	t->vcpu->cpu = -1;
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&t->kvm->vcpu_array, 0, t->vcpu,
						 GFP_KERNEL)));
	atomic_set(&t->kvm->online_vcpus, 1);
}

static void vcpu_gone(struct shadow_test *t)
{
	atomic_set(&t->kvm->online_vcpus, 0);
	xa_erase(&t->kvm->vcpu_array, 0);
}

static struct held_walk *begin_walk(struct kunit *test, struct shadow_test *t)
{
	struct held_walk *walk = kunit_kzalloc(test, sizeof(*walk), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, walk);
	if (num_online_cpus() < 2)
		kunit_skip(test, "two CPUs are needed");

	vcpu_online(test, t);
	walk->vcpu = t->vcpu;
	test_stay_on_cpu(test);
	walk->helper = test_helper_create(test);
	test_helper_begin(walk->helper, walk_slowly, walk);
	while (!READ_ONCE(walk->inside))
		cond_resched();
	WRITE_ONCE(walk->awaited, true);
	return walk;
}

/* Return: did the walk outlast what had to wait for it, or not end at all? */
static bool end_walk(struct shadow_test *t, struct held_walk *walk)
{
	bool ended;

	WRITE_ONCE(walk->over, true);
	ended = test_helper_wait(walk->helper, TEST_PATIENCE_MS);
	vcpu_gone(t);
	return !ended || walk->early;
}

static void free_waits_for_walks(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct shadow_zap zap = {};
	struct held_walk *walk;
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	walk = begin_walk(test, t);
	shadow_test_zap(t, sp, &zap);
	shadow_test_finish(t, &zap);
	KUNIT_EXPECT_FALSE(test, end_walk(t, walk));
}

static u64 leaf(kvm_pfn_t pfn)
{
	return SPTE_PRESENT | spte_fmt.present | spte_fmt.user | spte_fmt.exec |
	       spte_fmt.accessed | PFN_PHYS(pfn) |
	       (spte_fmt.accessed ? SPTE_AD_CPU : SPTE_AD_NONE);
}

static void set_leaf(struct shadow_test *t, struct kvm_mmu_page *sp, gfn_t gfn)
{
	struct shadow_zap zap = {};

	shadow_test_begin(t);
	shadow_set_leaf(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache,
			gfn_to_memslot(t->kvm, gfn), sp, 3, gfn, ACC_ALL,
			leaf(SHADOW_TEST_PFN), &zap);
	shadow_zap_finish(t->kvm, &zap);
	shadow_test_end(t);
}

/* A walk that makes the SPTE writable logs the gfn that it then finds. */
static void gfn_changes_after_walks(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct held_walk *walk;
	struct kvm_mmu_page *sp;

	sp = shadow_test_get(test, t, TABLE, shadow_test_table(PG_LEVEL_4K));
	set_leaf(t, sp, GFN_A);
	walk = begin_walk(test, t);
	set_leaf(t, sp, GFN_B);
	KUNIT_EXPECT_FALSE(test, end_walk(t, walk));
	KUNIT_EXPECT_EQ(test, shadow_gfn(sp, 3), GFN_B);
}

static struct kunit_case shadow_walk_cases[] = {
	KUNIT_CASE(free_waits_for_walks),
	KUNIT_CASE(gfn_changes_after_walks),
	{}
};

static struct kunit_suite shadow_walk_suite = {
	.name = "kvm_shadow_walk",
	.suite_init = shadow_test_suite_init,
	.suite_exit = shadow_test_suite_exit,
	.init = test_format_init,
	.test_cases = shadow_walk_cases,
};

kunit_test_suite(shadow_walk_suite);
