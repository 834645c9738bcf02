// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO caching against memslot updates, with real threads and real SRCU.
 *
 *	   vCPU thread				 | updater thread
 *	-----------------------------------------+---------------------------
 *	1  VM exit				 |
 *	2  srcu_read_lock(&kvm->srcu)		 |
 *	3  no slot there: decides on MMIO	 |
 *	4					 | changes the memslots,
 *						 | generation is odd
 *	5					 | synchronize_srcu(&kvm->srcu)
 *	6  reads the generation of the new slots |
 *	7  tags its cache with it		 |
 *	8  srcu_read_unlock(&kvm->srcu)		 |
 *						 | generation is even
 *	9  next access: the cache must miss	 |
 *
 * Completions force this order.  On the VM of test_vm.h run the real
 * set_memory_region path or the two halves of a real installation, lookups,
 * mmio_make_spte(), and the match that the MMU's MMIO fault path uses.
 *
 * The protocol then runs with one of its parts broken.  Every such mutant must
 * show the stale hit that this part prevents, otherwise the test that passes
 * would prove nothing.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/slab.h>
#include <linux/srcu.h>

#include "kvm_core.h"
#include "memslot_tree.h"
#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "test_helper.h"
#include "test_vm.h"
#include "x86.h"

#define RACE_GFN	0x100

/*
 * The protocol, cut where it can be broken.
 *
 * @publish: step 4, what vCPUs see as long as the updater waits
 * @settle: what they see afterwards
 * @settle_early: @settle before step 5 instead of after it
 * @make_spte: step 7
 * @matches: step 9, does an SPTE match a generation?
 * @stale_in_flux: expected result: hits between steps 7 and 8
 * @stale_after: expected result: hits in step 9
 */
struct race_protocol {
	const char *name;
	void (*publish)(struct kvm *kvm, u16 as_id);
	void (*settle)(struct kvm *kvm, u16 as_id);
	bool settle_early;
	u64 (*make_spte)(struct kvm *kvm, u64 gen, gfn_t gfn, unsigned int access);
	bool (*matches)(u64 spte, u64 gen);
	bool stale_in_flux;
	bool stale_after;
};

/*
 * One VM, its vCPU, its updater, and what they saw.
 *
 * @decided: step 3 is done
 * @published: step 4 is done
 * @settled: the updater is through
 * @vcpu_exited, @updater_exited: the threads use nothing of this any more
 */
struct race {
	const struct race_protocol *protocol;
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;

	struct completion decided;
	struct completion published;
	struct completion settled;
	struct completion vcpu_exited;
	struct completion updater_exited;

	u64 old_spte;
	u64 spte;
	u64 flux_gen;
	int updater_error;
	bool timed_out;
	bool decided_on_mmio;
	bool had_to_wait;
	bool old_hit_before;
	bool old_hit_in_flux;
	bool old_hit_after;
	bool hit_in_flux;
	bool hit_after;
	bool info_hit_before;
	bool info_hit_in_flux;
	bool info_hit_after;
	bool slot_after;
};

static struct race *race_create(struct kunit *test)
{
	struct race *race = kunit_kzalloc(test, sizeof(*race), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, race);

	init_completion(&race->decided);
	init_completion(&race->published);
	init_completion(&race->settled);
	init_completion(&race->vcpu_exited);
	init_completion(&race->updater_exited);

	race->kvm = kvm_test_create_vm(test);
	race->vcpu = kvm_test_create_vcpu(test, race->kvm);
	return race;
}

static bool race_wait(struct race *race, struct completion *step)
{
	if (wait_for_completion_timeout(step, msecs_to_jiffies(TEST_PATIENCE_MS)))
		return true;

	race->timed_out = true;
	return false;
}

/* The vCPU. */

static u64 race_current_gen(struct race *race)
{
	return READ_ONCE(kvm_vcpu_memslots(race->vcpu)->generation);
}

/* Steps 6 and 7. */
static u64 race_make_spte(struct race *race)
{
	return race->protocol->make_spte(race->kvm, race_current_gen(race),
					 RACE_GFN, ACC_ALL);
}

static bool race_hits(struct race *race, u64 spte)
{
	return race->protocol->matches(spte, race_current_gen(race));
}

/* Steps 6 and 7, and what an access in flux finds. */
static void race_cache_decision(struct race *race)
{
	struct kvm_vcpu *vcpu = race->vcpu;

	race->spte = race_make_spte(race);
	vcpu_cache_mmio_info(vcpu, gfn_to_gpa(RACE_GFN), RACE_GFN, ACC_ALL);

	race->flux_gen = race_current_gen(race);
	race->had_to_wait = !completion_done(&race->settled);
	race->hit_in_flux = race_hits(race, race->spte);
	race->old_hit_in_flux = race_hits(race, race->old_spte);
	race->info_hit_in_flux = vcpu_match_mmio_gpa(vcpu,
						     gfn_to_gpa(RACE_GFN));
}

/* Step 9. */
static void race_access_again(struct race *race)
{
	struct kvm_vcpu *vcpu = race->vcpu;
	int idx = srcu_read_lock(&race->kvm->srcu);

	race->slot_after = kvm_vcpu_gfn_to_memslot(vcpu, RACE_GFN);
	race->hit_after = race_hits(race, race->spte);
	race->old_hit_after = race_hits(race, race->old_spte);
	race->info_hit_after = vcpu_match_mmio_gpa(vcpu, gfn_to_gpa(RACE_GFN));

	srcu_read_unlock(&race->kvm->srcu, idx);
}

static int race_vcpu_fn(void *data)
{
	struct race *race = data;
	struct kvm_vcpu *vcpu = race->vcpu;
	const gpa_t gpa = gfn_to_gpa(RACE_GFN);
	bool published;
	int idx;

	/* 1: a VM exit; 2: its handler enters the read section. */
	idx = srcu_read_lock(&race->kvm->srcu);

	/* 3: no slot, so this is MMIO; an earlier access found the same. */
	race->decided_on_mmio = !kvm_vcpu_gfn_to_memslot(vcpu, RACE_GFN);
	race->old_spte = race_make_spte(race);
	race->old_hit_before = race_hits(race, race->old_spte);
	vcpu_cache_mmio_info(vcpu, gpa, RACE_GFN, ACC_ALL);
	race->info_hit_before = vcpu_match_mmio_gpa(vcpu, gpa);
	complete(&race->decided);

	/* 4, 5: the updater's.  It has time to go on where it must not. */
	published = race_wait(race, &race->published);
	msleep(20);

	/* 6, 7: the generation is the new slots', the decision is not. */
	if (published)
		race_cache_decision(race);

	/* 8: the handler is done. */
	srcu_read_unlock(&race->kvm->srcu, idx);

	if (race_wait(race, &race->settled))
		race_access_again(race);

	kthread_complete_and_exit(&race->vcpu_exited, 0);
}

/* The updater. */

/* The real path.  The test itself watches for the publication. */
static int race_update_whole_fn(void *data)
{
	struct race *race = data;

	if (race_wait(race, &race->decided))
		race->updater_error = kvm_test_create_slot(race->kvm, 0, 0,
							   RACE_GFN);
	complete(&race->settled);
	kthread_complete_and_exit(&race->updater_exited, 0);
}

static bool race_has_slot(struct kvm *kvm)
{
	int idx = srcu_read_lock(&kvm->srcu);
	bool has_slot = gfn_to_memslot(kvm, RACE_GFN);

	srcu_read_unlock(&kvm->srcu, idx);
	return has_slot;
}

static void race_watch_publication(struct race *race)
{
	const unsigned long end = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);

	while (!race_has_slot(race->kvm)) {
		if (time_after(jiffies, end)) {
			race->timed_out = true;
			return;
		}
		usleep_range(100, 200);
	}
	complete(&race->published);
}

/* An installation, as memslot.c does it, but broken as the protocol says. */
static void race_install(struct race *race)
{
	const struct race_protocol *protocol = race->protocol;
	struct kvm *kvm = race->kvm;

	mutex_lock(&kvm->slots_arch_lock);
	protocol->publish(kvm, 0);				/* 4 */
	mutex_unlock(&kvm->slots_arch_lock);

	if (protocol->settle_early)
		protocol->settle(kvm, 0);
	complete(&race->published);

	synchronize_srcu_expedited(&kvm->srcu);			/* 5 */

	if (!protocol->settle_early)
		protocol->settle(kvm, 0);
}

static int race_update_steps_fn(void *data)
{
	struct race *race = data;
	struct kvm *kvm = race->kvm;
	struct kvm_memory_slot *slot;

	slot = kzalloc(sizeof(*slot), GFP_KERNEL);
	if (slot && race_wait(race, &race->decided)) {
		slot->base_gfn = RACE_GFN;
		slot->npages = 1;
		slot->userspace_addr = kvm_test_hva(RACE_GFN);

		mutex_lock(&kvm->slots_lock);
		kvm_memslots_replace(kvm_inactive_memslots(kvm, 0), NULL, slot);
		race_install(race);
		kvm_memslots_replace(kvm_inactive_memslots(kvm, 0), NULL, slot);
		mutex_unlock(&kvm->slots_lock);
	} else {
		kfree(slot);
		race->updater_error = -EIO;
	}

	complete(&race->settled);
	kthread_complete_and_exit(&race->updater_exited, 0);
}

/* Run both threads to their end, whatever they find. */
static void race_run(struct kunit *test, struct race *race,
		     int (*update_fn)(void *data))
{
	struct task_struct *vcpu, *updater;

	vcpu = kthread_run(race_vcpu_fn, race, "kunit-vcpu");
	KUNIT_ASSERT_FALSE(test, IS_ERR(vcpu));

	updater = kthread_run(update_fn, race, "kunit-updater");
	if (IS_ERR(updater)) {
		wait_for_completion(&race->vcpu_exited);
		KUNIT_FAIL(test, "no updater thread");
		return;
	}

	if (update_fn == race_update_whole_fn)
		race_watch_publication(race);

	wait_for_completion(&race->vcpu_exited);
	wait_for_completion(&race->updater_exited);
}

/* The threads ran in the order of the table, and the decision became stale. */
static void race_expect_order(struct kunit *test, const struct race *race)
{
	KUNIT_EXPECT_FALSE(test, race->timed_out);
	KUNIT_EXPECT_EQ(test, race->updater_error, 0);
	KUNIT_EXPECT_TRUE(test, race->decided_on_mmio);
	KUNIT_EXPECT_TRUE(test, race->had_to_wait);
	KUNIT_EXPECT_TRUE(test, race->slot_after);
}

/* No cache of any age hits; the cache that is tested can hit. */
static void race_expect_no_stale_hit(struct kunit *test,
				     const struct race *race)
{
	KUNIT_EXPECT_TRUE(test, race->old_hit_before);
	KUNIT_EXPECT_TRUE(test, race->info_hit_before);
	KUNIT_EXPECT_EQ(test, race->flux_gen, 1);

	KUNIT_EXPECT_FALSE(test, race->hit_in_flux);
	KUNIT_EXPECT_FALSE(test, race->hit_after);
	KUNIT_EXPECT_FALSE(test, race->old_hit_in_flux);
	KUNIT_EXPECT_FALSE(test, race->old_hit_after);
	KUNIT_EXPECT_FALSE(test, race->info_hit_in_flux);
	KUNIT_EXPECT_FALSE(test, race->info_hit_after);
}

/* The parts of the protocol, broken. */

/* The new set is published under the generation of the old one. */
static void publish_without_bump(struct kvm *kvm, u16 as_id)
{
	kvm_memslots_publish(kvm, as_id);
	__kvm_memslots(kvm, as_id)->generation--;
}

/* The update is over, and the generation as if it had not been. */
static void settle_without_bump(struct kvm *kvm, u16 as_id)
{
	struct kvm_memslots *slots = __kvm_memslots(kvm, as_id);

	slots->generation &= ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
}

/* Nothing happens after the grace period. */
static void settle_not_at_all(struct kvm *kvm, u16 as_id)
{
}

/* The low 19 bits are stored, bit 0 among them. */
static u64 make_spte_with_bit0(struct kvm *kvm, u64 gen, gfn_t gfn,
			       unsigned int access)
{
	return mmio_make_spte(kvm, gen << 1, gfn, access);
}

static bool matches_with_bit0(u64 spte, u64 gen)
{
	return get_mmio_spte_generation(spte) >> 1 ==
	       (gen & (MMIO_SPTE_GEN_MASK >> 1));
}

static const struct race_protocol race_real = {
	.name = "as it is",
	.publish = kvm_memslots_publish,
	.settle = kvm_memslots_settle,
	.make_spte = mmio_make_spte,
	.matches = mmio_spte_gen_matches,
};

static const struct race_protocol race_mutants[] = {
	{
		.name = "no first bump",
		.publish = publish_without_bump,
		.settle = kvm_memslots_settle,
		.make_spte = mmio_make_spte,
		.matches = mmio_spte_gen_matches,
		.stale_in_flux = true,
	},
	{
		.name = "no second bump, the flag is cleared",
		.publish = kvm_memslots_publish,
		.settle = settle_without_bump,
		.make_spte = mmio_make_spte,
		.matches = mmio_spte_gen_matches,
		.stale_after = true,
	},
	{
		.name = "no second bump, bit 0 is stored",
		.publish = kvm_memslots_publish,
		.settle = settle_not_at_all,
		.make_spte = make_spte_with_bit0,
		.matches = matches_with_bit0,
		.stale_in_flux = true,
		.stale_after = true,
	},
	{
		.name = "second bump before the grace period",
		.publish = kvm_memslots_publish,
		.settle = kvm_memslots_settle,
		.settle_early = true,
		.make_spte = mmio_make_spte,
		.matches = mmio_spte_gen_matches,
		.stale_in_flux = true,
		.stale_after = true,
	},
	{
		.name = "bit 0 is stored",
		.publish = kvm_memslots_publish,
		.settle = kvm_memslots_settle,
		.make_spte = make_spte_with_bit0,
		.matches = matches_with_bit0,
		.stale_in_flux = true,
	},
};

KUNIT_ARRAY_PARAM_DESC(race_mutants, race_mutants, name);

/* The tests. */

static void mmio_race_whole_path(struct kunit *test)
{
	struct race *race = race_create(test);

	race->protocol = &race_real;
	race_run(test, race, race_update_whole_fn);
	race_expect_order(test, race);
	race_expect_no_stale_hit(test, race);
}

static void mmio_race_steps(struct kunit *test)
{
	struct race *race = race_create(test);

	race->protocol = &race_real;
	race_run(test, race, race_update_steps_fn);
	race_expect_order(test, race);
	race_expect_no_stale_hit(test, race);
}

static void mmio_race_mutant(struct kunit *test)
{
	struct race *race = race_create(test);

	race->protocol = test->param_value;
	race_run(test, race, race_update_steps_fn);
	race_expect_order(test, race);
	KUNIT_EXPECT_EQ(test, race->hit_in_flux, race->protocol->stale_in_flux);
	KUNIT_EXPECT_EQ(test, race->hit_after, race->protocol->stale_after);
}

static struct kunit_case mmio_race_cases[] = {
	KUNIT_CASE(mmio_race_whole_path),
	KUNIT_CASE(mmio_race_steps),
	KUNIT_CASE_PARAM(mmio_race_mutant, race_mutants_gen_params),
	{}
};

static struct kunit_suite mmio_race_suite = {
	.name = "kvm_mmio_race",
	.test_cases = mmio_race_cases,
};

kunit_test_suite(mmio_race_suite);
