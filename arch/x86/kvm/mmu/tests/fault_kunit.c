// SPDX-License-Identifier: GPL-2.0-only
/*
 * Faults of direct paging against invalidations, on memory of a real mm: what a
 * fault does if the host takes its page away at the worst moment.
 *
 *	   vCPU thread			 | test
 *	---------------------------------+-------------------------------------
 *	reads mmu_invalidate_seq	 |
 *	looks up the slot		 |
 *	pins the host's page		 | 1: holds mmap_lock, until it has
 *					 |    begun and ended an invalidation
 *	takes mmu_lock			 | 2: holds mmu_lock, until it has
 *	compares, and maps		 |    invalidated
 *
 * The locks force the order: the vCPU waits for one of them when the test
 * invalidates, and has read the sequence before.
 *
 * The mm is that of the test's thread and goes with it: what is mapped is unmapped
 * before.  No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/cpumask.h>
#include <linux/delay.h>
#include <linux/jiffies.h>
#include <linux/kvm_host.h>
#include <linux/mman.h>
#include <linux/mmap_lock.h>
#include <linux/sched.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "kvm_core.h"
#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/mmio.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "mmu/shadow_internal.h"
#include "memslot_tree.h"
#include "mmu/mmutrace.h"
#include "mmu/zap.h"
#include "shadow_vm.h"
#include "test_helper.h"
#include "test_tdp.h"
#include "x86.h"

/* Pages side by side; faults are at the second. */
#define NR_PAGES	3
#define FIRST		TEST_GFN
#define SECOND		(TEST_GFN + 1)

static const struct format_case legacy = { .name = "legacy", .ad = true };

/**
 * struct fault_test - a VM with memory, and one fault of its vCPU
 * @t: the tree
 * @kvm: its VM
 * @hva: of the memory at FIRST
 * @was_tdp: tdp_enabled before the test
 * @gfn: where the vCPU faults
 * @r: RET_PF_*
 */
struct fault_test {
	struct tdp_test *t;
	struct kvm *kvm;
	unsigned long hva;
	bool was_tdp;
	gfn_t gfn;
	int r;
};

static struct fault_test *create_prot(struct kunit *test, unsigned long prot)
{
	struct fault_test *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	struct kvm_userspace_memory_region2 mem = {
		.guest_phys_addr = gfn_to_gpa(FIRST),
		.memory_size = NR_PAGES * PAGE_SIZE,
	};

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->t = tdp_test_create(test, &legacy);
	f->kvm = f->t->kvm;
	f->hva = kunit_vm_mmap(test, NULL, 0, NR_PAGES * PAGE_SIZE,
			       prot, MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, f->hva, 0);
	f->kvm->mm = current->mm;

	mem.userspace_addr = f->hva;
	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(f->kvm, &mem));
	f->was_tdp = tdp_enabled;
	tdp_enabled = true;
	return f;
}

static struct fault_test *create(struct kunit *test)
{
	return create_prot(test, PROT_READ | PROT_WRITE);
}

/* Before the thread's mm goes, and with it the pages. */
static void destroy(struct fault_test *f)
{
	write_lock(&f->kvm->mmu_lock);
	tdp_zap_all(f->kvm);
	write_unlock(&f->kvm->mmu_lock);
	tdp_enabled = f->was_tdp;
}

static bool mapped(struct fault_test *f, gfn_t gfn)
{
	return spte_present_leaf(tdp_test_walk(f->t, gfn, PG_LEVEL_4K).old, PG_LEVEL_4K);
}

/* Nobody waits for it: it is not made to wait for I/O, nor maps its neighbours. */
static int fault_at(struct fault_test *f, gfn_t gfn)
{
	struct kvm_page_fault fault = {
		.addr = gfn_to_gpa(gfn),
		.write = true,
		.prefetch = true,
		.is_tdp = true,
		.max_level = PG_LEVEL_4K,
		.pfn = KVM_PFN_ERR_FAULT,
	};
	const int idx = srcu_read_lock(&f->kvm->srcu);
	const int r = fault_tdp(f->t->vcpu, &fault);

	srcu_read_unlock(&f->kvm->srcu, idx);
	return r;
}

/* For a helper, which is the vCPU's thread then. */
static void vcpu_fn(void *data)
{
	struct fault_test *f = data;

	f->r = fault_at(f, f->gfn);
}

static void invalidate_begin(struct kvm *kvm, gfn_t start, gfn_t end)
{
	lockdep_assert_held_write(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, start, end);
}

/* What only shadow paging needs stays away from a vCPU of direct paging. */
static void direct_caches(struct kunit *test)
{
	struct fault_test *f = create(test);
	const struct kvm_vcpu_arch *arch = &f->t->vcpu->arch;

	KUNIT_EXPECT_EQ(test, fault_at(f, SECOND), RET_PF_FIXED);
	KUNIT_EXPECT_GT(test, f->t->vcpu->mmu_table_cache.nobjs, 0);
	KUNIT_EXPECT_EQ(test, arch->mmu_page_header_cache.nobjs, 0);
	KUNIT_EXPECT_EQ(test, arch->mmu_pte_list_desc_cache.nobjs, 0);
	KUNIT_EXPECT_EQ(test, arch->mmu_shadowed_info_cache.nobjs, 0);
	destroy(f);
}

static void map_undisturbed(struct kunit *test)
{
	struct fault_test *f = create(test);

	KUNIT_EXPECT_EQ(test, fault_at(f, SECOND), RET_PF_FIXED);
	KUNIT_EXPECT_TRUE(test, mapped(f, SECOND));
	KUNIT_EXPECT_FALSE(test, mapped(f, FIRST));
	KUNIT_EXPECT_EQ(test, fault_at(f, SECOND), RET_PF_SPURIOUS);
	destroy(f);
}

/* 1: an invalidation begins and ends before the page is pinned. */
static void stale_before_pin(struct kunit *test)
{
	struct fault_test *f = create(test);
	struct test_helper *vcpu = test_helper_create(test);
	const unsigned long late = jiffies + msecs_to_jiffies(TEST_PATIENCE_MS);
	bool waits;

	f->gfn = SECOND;
	mmap_write_lock(f->kvm->mm);
	test_helper_begin(vcpu, vcpu_fn, f);
	while (!rwsem_is_contended(&f->kvm->mm->mmap_lock) &&
	       time_before(jiffies, late))
		usleep_range(100, 200);
	waits = rwsem_is_contended(&f->kvm->mm->mmap_lock);

	write_lock(&f->kvm->mmu_lock);
	invalidate_begin(f->kvm, SECOND, SECOND + 1);
	kvm_mmu_invalidate_end(f->kvm);
	write_unlock(&f->kvm->mmu_lock);
	mmap_write_unlock(f->kvm->mm);

	KUNIT_EXPECT_TRUE(test, waits);
	KUNIT_EXPECT_TRUE(test, test_helper_wait(vcpu, TEST_PATIENCE_MS));
	KUNIT_EXPECT_EQ(test, f->r, RET_PF_RETRY);
	KUNIT_EXPECT_FALSE(test, mapped(f, SECOND));
	destroy(f);
}

/* @ended: the invalidation is over when the vCPU gets mmu_lock. */
static bool race_for_mmu_lock(struct fault_test *f, struct test_helper *vcpu,
			      gfn_t invalidated, bool ended)
{
	struct kvm *kvm = f->kvm;
	bool waits;

	write_lock(&kvm->mmu_lock);
	test_helper_begin(vcpu, vcpu_fn, f);
	waits = test_helper_contends(&kvm->mmu_lock, TEST_PATIENCE_MS);

	invalidate_begin(kvm, invalidated, invalidated + 1);
	if (ended)
		kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	waits &= test_helper_wait(vcpu, TEST_PATIENCE_MS);

	write_lock(&kvm->mmu_lock);
	if (!ended)
		kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);
	return waits;
}

/* 2: an invalidation begins, and maybe ends, after the page was pinned. */
static void test_stale_after_pin(struct kunit *test, gfn_t invalidated, bool ended,
				 bool retry)
{
	struct test_helper *vcpu;
	struct fault_test *f;

	if (num_online_cpus() < 2)
		kunit_skip(test, "needs two CPUs");

	f = create(test);
	f->gfn = SECOND;
	test_stay_on_cpu(test);
	vcpu = test_helper_create(test);
	KUNIT_EXPECT_TRUE(test, race_for_mmu_lock(f, vcpu, invalidated, ended));
	KUNIT_EXPECT_EQ(test, f->r, retry ? RET_PF_RETRY : RET_PF_FIXED);
	KUNIT_EXPECT_EQ(test, mapped(f, SECOND), !retry);
	destroy(f);
}

static void stale_in_progress(struct kunit *test)
{
	test_stale_after_pin(test, SECOND, false, true);
}

static void stale_after_end(struct kunit *test)
{
	test_stale_after_pin(test, SECOND, true, true);
}

/* It goes on beside an invalidation of other gfns. */
static void good_beside_invalidation(struct kunit *test)
{
	test_stale_after_pin(test, FIRST, false, false);
}

/* The host unmaps a page: the real notifier finds it, and no other. */
static void notifier_unmaps_one_page(struct kunit *test)
{
	struct fault_test *f = create(test);
	struct kvm *kvm = f->kvm;
	unsigned long seq, i;
	u64 flushes;

	/* The notifier asks these, too: there are none. */
	spin_lock_init(&kvm->gpc_lock);
	INIT_LIST_HEAD(&kvm->gpc_list);

	KUNIT_EXPECT_EQ(test, 0, kvm_mmu_notifier_init(kvm));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_EXPECT_EQ(test, fault_at(f, FIRST + i), RET_PF_FIXED);

	seq = kvm->mmu_invalidate_seq;
	flushes = tdp_test_flushes(f->t);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(f->hva + PAGE_SIZE, PAGE_SIZE));

	KUNIT_EXPECT_TRUE(test, mapped(f, FIRST));
	KUNIT_EXPECT_FALSE(test, mapped(f, SECOND));
	KUNIT_EXPECT_TRUE(test, mapped(f, SECOND + 1));
	KUNIT_EXPECT_EQ(test, kvm->mmu_invalidate_seq, seq + 1);
	KUNIT_EXPECT_EQ(test, kvm->mmu_invalidate_in_progress, 0);
	KUNIT_EXPECT_EQ(test, kvm->mn_active_invalidate_count, 0);
	KUNIT_EXPECT_EQ(test, tdp_test_flushes(f->t), flushes + 1);

	/* Unmaps all. */
	kvm_mmu_notifier_unwind(kvm);
	KUNIT_EXPECT_FALSE(test, mapped(f, FIRST));
	destroy(f);
}

/* As if it shadowed the page table at SECOND. */
static struct kvm_mmu_page *shadow_second(struct kunit *test, struct fault_test *f)
{
	struct kvm_mmu_page *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	struct kvm_memory_slot *slot;
	int idx;

	KUNIT_ASSERT_NOT_NULL(test, sp);
	shadow_test_first_root(test, f->kvm);
	sp->gfn = SECOND;
	sp->role.level = PG_LEVEL_4K;
	sp->state = SP_ACTIVE;
	shadow_hash_add(f->kvm, sp);
	f->kvm->arch.indirect_shadow_pages = 1;

	idx = srcu_read_lock(&f->kvm->srcu);
	slot = gfn_to_memslot(f->kvm, SECOND);
	KUNIT_EXPECT_EQ(test, 0, kvm_page_track_write_tracking_alloc(slot));
	srcu_read_unlock(&f->kvm->srcu, idx);
	return sp;
}

/* What maps a page that the host lets nobody write leaves the table there alone. */
static void read_only_page_stays_sync(struct kunit *test)
{
	struct fault_test *f = create_prot(test, PROT_READ);
	struct kvm_mmu_page *sp = shadow_second(test, f);
	struct kvm_page_fault fault = {
		.addr = gfn_to_gpa(SECOND),
		.is_tdp = true,
		.max_level = PG_LEVEL_4K,
		.pfn = KVM_PFN_ERR_FAULT,
	};
	u64 word;
	int idx;

	/* It is there, so that the fault waits for nothing. */
	KUNIT_EXPECT_EQ(test, 0, get_user(word, (u64 __user *)(f->hva + PAGE_SIZE)));
	idx = srcu_read_lock(&f->kvm->srcu);
	KUNIT_EXPECT_EQ(test, RET_PF_FIXED, fault_tdp(f->t->vcpu, &fault));
	srcu_read_unlock(&f->kvm->srcu, idx);

	KUNIT_EXPECT_TRUE(test, mapped(f, SECOND));
	KUNIT_EXPECT_FALSE(test, fault.map_writable);
	KUNIT_EXPECT_FALSE(test, sp->unsync);
	hlist_del(&sp->hash_link);
	f->kvm->arch.indirect_shadow_pages = 0;
	destroy(f);
}

/* MMIO: nobody's memory, until a slot comes. */

#define DEVICE		(TEST_GFN + 0x2000)

static int set_slot(struct fault_test *f, u32 id, gfn_t gfn, u64 pages)
{
	struct kvm_userspace_memory_region2 mem = {
		.slot = id,
		.guest_phys_addr = gfn_to_gpa(gfn),
		.memory_size = pages * PAGE_SIZE,
		.userspace_addr = f->hva,
	};

	return kvm_set_memory_region(f->kvm, &mem);
}

static struct fault_test *create_device(struct kunit *test)
{
	struct fault_test *f;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	f = create(test);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE), RET_PF_EMULATE);
	return f;
}

static bool is_mmio(struct fault_test *f, gfn_t gfn)
{
	return spte_is_mmio(f->kvm, tdp_test_walk(f->t, gfn, PG_LEVEL_4K).old);
}

/* What the next access to the page finds. */
static int access_mmio(struct fault_test *f, gfn_t gfn)
{
	const int idx = srcu_read_lock(&f->kvm->srcu);
	int r;

	/* The cache of the vCPU is not in question. */
	vcpu_clear_mmio_info(f->t->vcpu, MMIO_GVA_ANY);
	f->t->vcpu->arch.mmio_gfn = 0;
	r = mmio_fault(f->t->vcpu, gfn_to_gpa(gfn), true);
	srcu_read_unlock(&f->kvm->srcu, idx);
	return r;
}

static int access_device(struct fault_test *f)
{
	return access_mmio(f, DEVICE);
}

/* Slots come, change and go elsewhere, beside the page as well. */
static void mmio_outlives_other_slots(struct kunit *test)
{
	struct fault_test *f = create_device(test);

	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, set_slot(f, 1, DEVICE + 1, 2), 0);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, set_slot(f, 2, DEVICE - 2, 2), 0);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);

	/* Not in the same table: one that maps nothing any more goes as a whole. */
	KUNIT_EXPECT_EQ(test, set_slot(f, 3, DEVICE + 0x400, 2), 0);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, set_slot(f, 3, DEVICE + 0x600, 2), 0);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, set_slot(f, 3, kvm_mmu_max_gfn(), 2), -EINVAL);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, set_slot(f, 3, 0, 0), 0);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	destroy(f);
}

/* By a new slot, and by one that moves there. */
static void mmio_becomes_memory(struct kunit *test)
{
	struct fault_test *f = create_device(test);

	KUNIT_EXPECT_EQ(test, set_slot(f, 1, DEVICE, 1), 0);
	KUNIT_EXPECT_FALSE(test, is_mmio(f, DEVICE));
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_RETRY);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE), RET_PF_FIXED);

	KUNIT_EXPECT_EQ(test, set_slot(f, 1, DEVICE + 5, 1), 0);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);

	KUNIT_EXPECT_EQ(test, set_slot(f, 1, DEVICE, 1), 0);
	KUNIT_EXPECT_FALSE(test, is_mmio(f, DEVICE));
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE), RET_PF_FIXED);
	destroy(f);
}

/* As between the publication of a set and the end of the update. */
static void set_flux(struct fault_test *f, bool flux)
{
	struct kvm_memslots *slots = rcu_dereference_raw(f->kvm->memslots[0]);
	const u64 gen = slots->generation;

	WRITE_ONCE(slots->generation, flux ? kvm_memslots_gen_begin(gen) :
					     kvm_memslots_gen_end(gen, 1));
}

static void mmio_misses_in_flux(struct kunit *test)
{
	struct fault_test *f = create_device(test);

	set_flux(f, true);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_INVALID);
	set_flux(f, false);
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_EMULATE);
	destroy(f);
}

/* Nor is one made: the next access is a miss, whenever it comes. */
static void mmio_is_not_made_in_flux(struct kunit *test)
{
	struct fault_test *f = create_device(test);

	set_flux(f, true);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE + 1), RET_PF_EMULATE);
	KUNIT_EXPECT_FALSE(test, is_mmio(f, DEVICE + 1));
	set_flux(f, false);
	KUNIT_EXPECT_FALSE(test, is_mmio(f, DEVICE + 1));
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE + 1), RET_PF_EMULATE);
	KUNIT_EXPECT_TRUE(test, is_mmio(f, DEVICE + 1));
	destroy(f);
}

/*
 * A vCPU whose registers KVM does not know gets on by the SPTE alone, in flux as well.
 * When the update ends, the SPTE goes if its gfn is memory now, and else stays.
 */
static void mmio_of_protected_vcpu(struct kunit *test)
{
	struct fault_test *f = create_device(test);
	struct kvm_memory_slot gains = { .base_gfn = DEVICE + 1, .npages = 1 };

	f->t->vcpu->arch.guest_state_protected = true;
	set_flux(f, true);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE + 1), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, fault_at(f, DEVICE + 2), RET_PF_EMULATE);
	KUNIT_EXPECT_TRUE(test, is_mmio(f, DEVICE + 1));
	KUNIT_EXPECT_TRUE(test, is_mmio(f, DEVICE + 2));
	KUNIT_EXPECT_EQ(test, access_device(f), RET_PF_INVALID);

	mutex_lock(&f->kvm->slots_lock);
	mmu_expect_memory(f->kvm, &gains);
	kvm_mmu_invalidate_mmio_sptes(f->kvm, 2);
	mutex_unlock(&f->kvm->slots_lock);
	set_flux(f, false);
	KUNIT_EXPECT_FALSE(test, is_mmio(f, DEVICE + 1));
	KUNIT_EXPECT_TRUE(test, is_mmio(f, DEVICE + 2));
	destroy(f);
}

/* The update ends when the vCPU has read the SPTE. */
static void end_update(void *data, u64 spte, unsigned int kvm_gen,
		       unsigned int spte_gen, bool valid)
{
	set_flux(data, false);
}

static void mmio_gen_is_read_first(struct kunit *test)
{
	struct fault_test *f;
	int r;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "there are no tracepoints");

	f = create_device(test);
	set_flux(f, true);
	KUNIT_ASSERT_EQ(test, 0, register_trace_check_mmio_spte(end_update, f));
	r = access_device(f);
	unregister_trace_check_mmio_spte(end_update, f);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_EQ(test, r, RET_PF_INVALID);
	destroy(f);
}

/*
 * The host has 35 address bits for itself, and the guest one more: it is among those
 * that make the CPU fault.  The SPTE does not say what the gfn is, but the access does.
 */
static void mmio_of_wide_gpa(struct kunit *test)
{
	const u64 value = GENMASK_ULL(51, 35) | PT_PRESENT_MASK;
	const gfn_t wide = DEVICE | BIT_ULL(35 - PAGE_SHIFT);
	struct fault_test *f;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");

	f = create(test);
	spte_fmt.l1tf_gfn = GENMASK_ULL(34, PAGE_SHIFT);
	kvm_mmu_set_mmio_spte_mask(value, value, ACC_WRITE_MASK | ACC_USER_MASK);
	f->kvm->arch.shadow_mmio_value = spte_fmt.mmio_value;

	KUNIT_EXPECT_EQ(test, fault_at(f, wide), RET_PF_EMULATE);
	KUNIT_EXPECT_TRUE(test, is_mmio(f, wide));
	KUNIT_EXPECT_EQ(test, access_mmio(f, wide), RET_PF_EMULATE);
	KUNIT_EXPECT_EQ(test, f->t->vcpu->arch.mmio_gfn, wide);
	destroy(f);
}

static struct kunit_case fault_cases[] = {
	KUNIT_CASE(direct_caches),
	KUNIT_CASE(map_undisturbed),
	KUNIT_CASE(stale_before_pin),
	KUNIT_CASE(stale_in_progress),
	KUNIT_CASE(stale_after_end),
	KUNIT_CASE(good_beside_invalidation),
	KUNIT_CASE(notifier_unmaps_one_page),
	KUNIT_CASE(read_only_page_stays_sync),
	KUNIT_CASE(mmio_outlives_other_slots),
	KUNIT_CASE(mmio_becomes_memory),
	KUNIT_CASE(mmio_misses_in_flux),
	KUNIT_CASE(mmio_is_not_made_in_flux),
	KUNIT_CASE(mmio_of_protected_vcpu),
	KUNIT_CASE(mmio_gen_is_read_first),
	KUNIT_CASE(mmio_of_wide_gpa),
	{}
};

static struct kunit_suite fault_suite = {
	.name = "kvm_fault",
	.suite_init = tdp_test_suite_init,
	.suite_exit = tdp_test_suite_exit,
	.init = test_format_init,
	.test_cases = fault_cases,
};

kunit_test_suite(fault_suite);
