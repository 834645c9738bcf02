// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memslots of a whole VM (test_vm.h) under readers that obey no order, in both
 * address spaces of x86.  mmio_race_kunit.c forces the one order that matters
 * most.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>
#include <linux/srcu.h>

#include "memslot_tree.h"
#include "mmu.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_vm.h"

#define FIRST_GFN	0x100

/* Above what the generations of NR_INSTALLS installations reach. */
#define NR_INSTALLS	200
#define NR_GENERATIONS	(2 * KVM_MAX_NR_ADDRESS_SPACES * (NR_INSTALLS + 1))

/*
 * A vCPU that accesses gfns at random against an updater that gives them slots.
 *
 * @next: index of the gfn that is next to get a slot, the vCPU's favourite
 * @sptes: the vCPU's MMIO SPTEs; 0 is none
 * @accesses: by the vCPU
 * @hits: accesses that found an SPTE of the current generation
 * @stale: hits although there is a slot
 */
struct free_run {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	unsigned int next;
	u64 sptes[64];
	unsigned long accesses;
	unsigned long hits;
	unsigned long stale;
	bool stop;
	struct completion exited;
};

static bool free_run_hits(struct free_run *run, struct kvm_memslots *slots,
			  unsigned int n)
{
	const u64 spte = READ_ONCE(run->sptes[n]);

	return spte && mmio_spte_gen_matches(spte,
					     READ_ONCE(slots->generation));
}

/*
 * @dawdle: decide anew, as after a zap, and wait between decision and tag.  The
 *	    tag may be of another set then, as in a real exit handler.
 */
static void free_run_handle_exit(struct free_run *run, unsigned int n,
				 bool dawdle)
{
	struct kvm_memslots *slots = kvm_vcpu_memslots(run->vcpu);
	const gfn_t gfn = FIRST_GFN + n;
	struct kvm_memory_slot *slot = __gfn_to_memslot(slots, gfn);
	u64 gen;

	if (!dawdle && free_run_hits(run, slots, n)) {
		run->hits++;
		run->stale += !!slot;
		return;
	}
	if (slot)
		return;

	if (dawdle)
		usleep_range(50, 100);
	gen = READ_ONCE(kvm_vcpu_memslots(run->vcpu)->generation);
	WRITE_ONCE(run->sptes[n], mmio_make_spte(run->kvm, gen, gfn, ACC_ALL));
}

static void free_run_access(struct free_run *run, unsigned int n, bool dawdle)
{
	int idx = srcu_read_lock(&run->kvm->srcu);

	free_run_handle_exit(run, n, dawdle);
	srcu_read_unlock(&run->kvm->srcu, idx);
}

static int free_run_vcpu_fn(void *data)
{
	struct free_run *run = data;
	struct rnd_state rnd;

	prandom_seed_state(&rnd, 1);
	while (!READ_ONCE(run->stop)) {
		u32 r = prandom_u32_state(&rnd);

		if (r & BIT(31))
			free_run_access(run, READ_ONCE(run->next), true);
		else
			free_run_access(run, r % ARRAY_SIZE(run->sptes), false);
		WRITE_ONCE(run->accesses, run->accesses + 1);
		cond_resched();
	}

	kthread_complete_and_exit(&run->exited, 0);
}

/* Once the slot is there, no access may be MMIO any more. */
static bool free_run_update(struct kunit *test, struct free_run *run,
			    unsigned int n)
{
	bool hits;
	int idx;

	KUNIT_EXPECT_EQ(test, 0, kvm_test_create_slot(run->kvm, 0, n,
						      FIRST_GFN + n));

	idx = srcu_read_lock(&run->kvm->srcu);
	hits = free_run_hits(run, kvm_vcpu_memslots(run->vcpu), n);
	srcu_read_unlock(&run->kvm->srcu, idx);
	return hits;
}

static void memslot_vm_free_run(struct kunit *test)
{
	struct free_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);
	unsigned long stale = 0, enough;
	struct task_struct *vcpu;
	unsigned int n;

	KUNIT_ASSERT_NOT_NULL(test, run);
	init_completion(&run->exited);
	run->kvm = kvm_test_create_vm(test);
	run->vcpu = kvm_test_create_vcpu(test, run->kvm);

	vcpu = kthread_run(free_run_vcpu_fn, run, "kunit-vcpu");
	KUNIT_ASSERT_FALSE(test, IS_ERR(vcpu));

	for (n = 0; n < ARRAY_SIZE(run->sptes); n++) {
		WRITE_ONCE(run->next, n);
		enough = READ_ONCE(run->accesses) + 300;
		while (time_before(READ_ONCE(run->accesses), enough))
			usleep_range(100, 200);
		stale += free_run_update(test, run, n);
	}
	WRITE_ONCE(run->stop, true);
	wait_for_completion(&run->exited);

	KUNIT_EXPECT_GT(test, run->hits, 0);
	KUNIT_EXPECT_EQ(test, run->stale, 0);
	KUNIT_EXPECT_EQ(test, stale, 0);
}

static u64 memslot_vm_generation(struct kvm *kvm, int as_id)
{
	int idx = srcu_read_lock(&kvm->srcu);
	u64 gen = __kvm_memslots(kvm, as_id)->generation;

	srcu_read_unlock(&kvm->srcu, idx);
	return gen;
}

/* Real installations, the address spaces taking turns at random. */
static void memslot_vm_unique_generations(struct kunit *test)
{
	DECLARE_BITMAP(seen, NR_GENERATIONS) = {};
	struct kvm *kvm = kvm_test_create_vm(test);
	const unsigned int nr_as = kvm_arch_nr_memslot_as_ids(kvm);
	struct rnd_state rnd;
	unsigned int as_id, n;
	u64 gen;

	prandom_seed_state(&rnd, 2);
	for (as_id = 0; as_id < nr_as; as_id++)
		__set_bit(memslot_vm_generation(kvm, as_id), seen);

	for (n = 0; n < NR_INSTALLS; n++) {
		as_id = prandom_u32_state(&rnd) % nr_as;
		KUNIT_ASSERT_EQ(test, 0,
				kvm_test_create_slot(kvm, as_id, n,
						     FIRST_GFN + n));
		gen = memslot_vm_generation(kvm, as_id);
		KUNIT_EXPECT_EQ(test, 0,
				gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS);
		KUNIT_ASSERT_LT(test, gen, NR_GENERATIONS);
		KUNIT_EXPECT_FALSE(test, __test_and_set_bit(gen, seen));
	}
}

struct wrap_case {
	const char *name;
	unsigned int as_id;
};

static const struct wrap_case wrap_cases[] = {
	{ "address space 0", 0 },
	{ "address space 1", 1 },
};

KUNIT_ARRAY_PARAM_DESC(wrap_cases, wrap_cases, name);

/* An MMIO SPTE in a page of its own: it is gone once MMIO SPTEs are zapped. */
struct mmio_probe {
	struct kvm_mmu_page sp;
	u64 spt[SPTE_ENT_PER_PAGE];
};

static void mmio_probe_begin(struct kvm *kvm, struct mmio_probe *probe)
{
	memset64(probe->spt, SPTE_NONE, SPTE_ENT_PER_PAGE);
	probe->spt[7] = mmio_make_spte(kvm, 0, 7, 0);
	probe->sp.spt = probe->spt;
	shadow_hash_add(kvm, &probe->sp);
}

static bool mmio_probe_end(struct mmio_probe *probe)
{
	hlist_del(&probe->sp.hash_link);
	return probe->spt[7] == SPTE_NONE;
}

/* Does the installation of one more slot zap MMIO SPTEs? */
static bool memslot_vm_install_zaps(struct kunit *test, struct kvm *kvm,
				    u16 as_id, u16 id)
{
	struct mmio_probe *probe = kunit_kzalloc(test, sizeof(*probe), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, probe);
	shadow_test_first_root(test, kvm);
	mmio_probe_begin(kvm, probe);
	KUNIT_EXPECT_EQ(test, 0,
			kvm_test_create_slot(kvm, as_id, id, FIRST_GFN + id));
	return mmio_probe_end(probe);
}

/* The one update that makes the stored bits start over zaps. */
static void memslot_vm_wrap_zaps(struct kunit *test)
{
	const struct wrap_case *c = test->param_value;
	struct kvm *kvm = kvm_test_create_vm(test);
	const unsigned int nr_as = kvm_arch_nr_memslot_as_ids(kvm);
	const u64 wrap = BIT_ULL(20) + kvm_memslots_gen_first(c->as_id);

	if (c->as_id >= nr_as)
		kunit_skip(test, "no such address space");
	if (IS_ENABLED(CONFIG_CPUMASK_OFFSTACK))
		kunit_skip(test, "kick masks may be missing");

	mutex_lock(&kvm->slots_lock);
	__kvm_memslots(kvm, c->as_id)->generation = wrap - 4 * nr_as;
	mutex_unlock(&kvm->slots_lock);

	KUNIT_EXPECT_FALSE(test,
			   memslot_vm_install_zaps(test, kvm, c->as_id, 0));
	KUNIT_EXPECT_TRUE(test,
			  memslot_vm_install_zaps(test, kvm, c->as_id, 1));
	KUNIT_EXPECT_EQ(test, memslot_vm_generation(kvm, c->as_id), wrap);
	KUNIT_EXPECT_FALSE(test,
			   memslot_vm_install_zaps(test, kvm, c->as_id, 2));
}

/* A vCPU that enters or leaves SMM does not keep the other space's slot. */
static void memslot_vm_last_used_slot(struct kunit *test)
{
	struct kvm *kvm = kvm_test_create_vm(test);
	struct kvm_vcpu *vcpu = kvm_test_create_vcpu(test, kvm);
	struct kvm_memory_slot *slot;
	int idx;

	if (kvm_arch_nr_memslot_as_ids(kvm) < 2)
		kunit_skip(test, "needs two address spaces");

	KUNIT_ASSERT_EQ(test, 0, kvm_test_create_slot(kvm, 0, 1, FIRST_GFN));

	idx = srcu_read_lock(&kvm->srcu);

	slot = kvm_vcpu_gfn_to_memslot(vcpu, FIRST_GFN);
	KUNIT_EXPECT_NOT_NULL(test, slot);
	KUNIT_EXPECT_PTR_EQ(test, vcpu->last_used_slot, slot);

	vcpu->arch.hflags |= HF_SMM_MASK;
	KUNIT_EXPECT_NULL(test, kvm_vcpu_gfn_to_memslot(vcpu, FIRST_GFN));

	vcpu->arch.hflags &= ~HF_SMM_MASK;
	KUNIT_EXPECT_PTR_EQ(test, kvm_vcpu_gfn_to_memslot(vcpu, FIRST_GFN),
			    slot);

	srcu_read_unlock(&kvm->srcu, idx);
}

static struct kunit_case memslot_vm_cases[] = {
	KUNIT_CASE(memslot_vm_free_run),
	KUNIT_CASE(memslot_vm_unique_generations),
	KUNIT_CASE_PARAM(memslot_vm_wrap_zaps, wrap_cases_gen_params),
	KUNIT_CASE(memslot_vm_last_used_slot),
	{}
};

static struct kunit_suite memslot_vm_suite = {
	.name = "kvm_memslot_vm",
	.test_cases = memslot_vm_cases,
};

kunit_test_suite(memslot_vm_suite);
