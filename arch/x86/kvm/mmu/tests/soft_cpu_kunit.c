// SPDX-License-Identifier: GPL-2.0-only
/*
 * The software CPU at work: what a guest may do, and what it must not do any
 * more when KVM has said so.  One access after the other; soft_random_kunit.c
 * has the rest.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/page-flags.h>
#include <linux/sched/signal.h>
#include <linux/timer.h>

#include "mmu.h"
#include "mmu/level.h"
#include "mmu/spte.h"
#include "soft_change.h"
#include "soft_hardware.h"
#include "soft_vm.h"
#include "soft_walk.h"
#include "test_helper.h"
#include "x86.h"

#define NR_PAGES	1024
#define GFN		0x100

static struct soft_vm *new_vm_kind(struct kunit *test, int nr_vcpus,
				   const struct soft_vm_kind *kind)
{
	struct soft_memory *memory;
	struct soft_vm *vm;

	soft_vendor_load(test, test->param_value);
	memory = soft_memory_create(test, NR_PAGES);
	vm = soft_vm_create_kind(test, nr_vcpus, memory, kind);
	soft_vm_mark_pages(vm, 0, NR_PAGES);
	return vm;
}

static struct soft_vm *new_vm(struct kunit *test, int nr_vcpus)
{
	const struct soft_vm_kind plain = {};

	return new_vm_kind(test, nr_vcpus, &plain);
}

static void expect_page(struct soft_vm *vm, int id, gfn_t gfn, unsigned long page)
{
	struct soft_access read = { .addr = gfn_to_gpa(gfn) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &read), SOFT_RAM);
	KUNIT_EXPECT_EQ(vm->test, read.value, SOFT_PAGE_ID + page);
}

static void expect_mmio(struct soft_vm *vm, int id, gfn_t gfn)
{
	struct soft_access read = { .addr = gfn_to_gpa(gfn) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &read), SOFT_MMIO);
}

/* What a slot has is reached, and nothing around it, which KVM may map ahead. */
static void soft_test_slot(struct kunit *test)
{
	const gfn_t first = GFN + 3;
	struct soft_vm *vm = new_vm(test, 2);
	int i;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, first, 16, 3, 0));
	for (i = 0; i < 16; i++)
		expect_page(vm, i & 1, first + i, 3 + i);
	expect_mmio(vm, 0, first - 1);
	expect_mmio(vm, 0, first + 16);
	expect_mmio(vm, 1, first + 16);
}

/* Sends a signal to who would never end. */
struct watchdog {
	struct timer_list timer;
	struct task_struct *task;
};

static void watchdog_bark(struct timer_list *timer)
{
	struct watchdog *dog = from_timer(dog, timer, timer);

	send_sig(SIGINT, dog->task, 1);
}

static int pre_fault_watched(struct soft_vm *vm, gfn_t gfn)
{
	struct watchdog dog = { .task = current };
	int r;

	timer_setup_on_stack(&dog.timer, watchdog_bark, 0);
	allow_signal(SIGINT);
	mod_timer(&dog.timer, jiffies + msecs_to_jiffies(TEST_PATIENCE_MS));
	r = soft_vm_pre_fault(vm, 0, gfn, 1);
	timer_delete_sync(&dog.timer);
	destroy_timer_on_stack(&dog.timer);
	disallow_signal(SIGINT);
	flush_signals(current);
	return r;
}

/* KVM_PRE_FAULT_MEMORY finds that the root has become obsolete, and takes another. */
static void soft_test_pre_fault_zapped(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, 1);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	expect_page(vm, 0, GFN, 3);
	soft_vm_zap_all(vm);
	KUNIT_EXPECT_EQ(test, pre_fault_watched(vm, GFN + 1),
			tdp_enabled ? 0 : -EOPNOTSUPP);
	expect_page(vm, 0, GFN + 1, 4);
}

/* Writes to pages from @first on; how many, before their ring is full. */
static int write_until_full(struct soft_vm *vm, int first)
{
	struct soft_access write = { .write = true };
	int i, end = SOFT_RAM;

	for (i = first; i < NR_PAGES && end == SOFT_RAM; i++) {
		write.addr = gfn_to_gpa(GFN + i);
		end = soft_cpu_run(vm->vcpu[0], &write);
	}
	if (end == SOFT_RAM)
		return i - first;
	KUNIT_EXPECT_EQ(vm->test, end, SOFT_RING_FULL);
	return i - 1 - first;
}

/* The ring is full before an entry is lost, and the guest goes on after that. */
static void soft_test_full_ring(struct kunit *test)
{
	const struct soft_vm_kind kind = { .log = SOFT_LOG_RING };
	struct soft_vm *vm = new_vm_kind(test, 1, &kind);
	DECLARE_BITMAP(dirty, NR_PAGES) = {};
	struct kvm_dirty_gfn entry;
	int written = 0;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	while (written < NR_PAGES) {
		written += write_until_full(vm, written);
		while (soft_vm_next_dirty(vm, 0, &entry))
			__set_bit(entry.offset % NR_PAGES, dirty);
		KUNIT_ASSERT_GE(test, find_first_zero_bit(dirty, NR_PAGES),
				written);
		KUNIT_ASSERT_GT(test, soft_vm_reset_rings(vm), 0);
	}
}

/* Does the CPU of a vCPU find a page at a gfn without KVM? */
static bool is_mapped(struct soft_vm *vm, gfn_t gfn)
{
	const struct soft_tables tables =
		soft_cpu_tables(to_soft_vcpu(vm->vcpu[0]));
	struct soft_dirtied unused = {};
	struct soft_walk walk;

	local_irq_disable();
	walk = soft_walk(&tables, gfn_to_gpa(gfn),
			 SOFT_R | (tdp_enabled ? SOFT_U : 0), &unused);
	local_irq_enable();
	return !soft_walk_failed(&walk);
}

static bool zap_hits(int i)
{
	return i >= 10 && i < 40;
}

#define AROUND_GFN	0x400

/* All of 2M, which are logged by D where they can be; and some 4K pages after them. */
static int set_around_slot(struct soft_vm *vm, u32 flags)
{
	return soft_vm_set_slot(vm, 0, AROUND_GFN, 600, 0, flags);
}

/* Which of 32 pages from the slot's page @from on are mapped after a read of @page. */
static u32 mapped_by_read(struct soft_vm *vm, int from, int page)
{
	u32 mask = 0;
	int i;

	kvm_zap_gfn_range(vm->kvm, AROUND_GFN, AROUND_GFN + 600);
	expect_page(vm, 0, AROUND_GFN + page, page);
	for (i = 0; i < 32; i++)
		mask |= is_mapped(vm, AROUND_GFN + from + i) ? BIT(i) : 0;
	return mask;
}

/* @small: the VMM's memory is no huge pages. */
static struct soft_vm *new_around_vm(struct kunit *test, bool small)
{
	const struct soft_vm_kind kind = { .small = small };
	struct soft_vm *vm;

	soft_vendor_load(test, test->param_value);
	if (!tdp_enabled || !mmu_ad_enabled())
		kunit_skip(test, "for fault-around of direct paging, which needs A");

	vm = soft_vm_create_kind(test, 1, soft_memory_create(test, NR_PAGES), &kind);
	soft_vm_renew_pages(vm, 0, NR_PAGES);
	soft_vm_mark_pages(vm, 0, NR_PAGES);
	KUNIT_ASSERT_EQ(test, 0, set_around_slot(vm, 0));
	return vm;
}

/* One fault maps the 64K around it, but nothing beyond the slot. */
static void soft_test_around(struct kunit *test)
{
	struct soft_vm *vm = new_around_vm(test, true);

	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 3), 0xffff);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 19), 0xffff0000);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 576, 594), 0xff0000);
}

static bool has_huge_page(struct soft_vm *vm)
{
	struct page *page = soft_vm_get_page(vm, 0);
	bool large;

	if (!page)
		return false;
	large = folio_test_large(page_folio(page));
	put_page(page);
	return large;
}

/* Of a large page of the host that may not be mapped as a whole, it maps 256K. */
static void soft_test_around_large(struct kunit *test)
{
	struct soft_vm *vm = new_around_vm(test, false);

	if (!has_huge_page(vm))
		kunit_skip(test, "the host has no huge page");

	KUNIT_ASSERT_EQ(test, 0, set_around_slot(vm, KVM_MEM_LOG_DIRTY_PAGES));
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 3), U32_MAX);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 32, 3), U32_MAX);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 64, 3), 0);
}

/*
 * Also where writes are logged, in a region and outside of it.  The log has none of the
 * neighbours; what is read itself is mapped writable outside of regions, and logged.
 */
static void soft_test_around_logged(struct kunit *test)
{
	struct soft_vm *vm = new_around_vm(test, true);
	DECLARE_BITMAP(log, 600) = {};

	KUNIT_ASSERT_EQ(test, 0, set_around_slot(vm, KVM_MEM_LOG_DIRTY_PAGES));
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 3), 0xffff);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 512, 520), 0xffff);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_get_dirty_log(vm, 0, (u64 *)log,
						       BITS_TO_LONGS(600)));
	__clear_bit(3, log);
	__clear_bit(520, log);
	KUNIT_EXPECT_TRUE(test, bitmap_empty(log, 600));
}

static void watch(struct soft_vm *vm, gfn_t gfn, bool on)
{
	const struct kvm_memory_slot *slot;

	guard(srcu)(&vm->kvm->srcu);
	guard(write_lock)(&vm->kvm->mmu_lock);
	slot = gfn_to_memslot(vm->kvm, gfn);
	if (on)
		level_disallow(slot, gfn);
	else
		level_allow(slot, gfn);
}

/* KVM may have to see writes to a gfn near it. */
static void soft_test_around_watched(struct kunit *test)
{
	struct soft_vm *vm = new_around_vm(test, true);

	watch(vm, AROUND_GFN + 40, true);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 3), BIT(3));
	watch(vm, AROUND_GFN + 40, false);
	KUNIT_EXPECT_EQ(test, mapped_by_read(vm, 0, 3), 0xffff);
}

/* A range of gfns goes, whatever slots and gaps it has, and nothing else. */
static void soft_test_zap_range(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, 1);
	int i;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1, GFN + 32, 16, 100, 0));
	for (i = 0; i < 16; i++) {
		expect_page(vm, 0, GFN + i, 3 + i);
		expect_page(vm, 0, GFN + 32 + i, 100 + i);
	}

	kvm_zap_gfn_range(vm->kvm, GFN + 10, GFN + 40);
	for (i = 0; i < 16; i++) {
		KUNIT_EXPECT_EQ(test, is_mapped(vm, GFN + i), !zap_hits(i));
		KUNIT_EXPECT_EQ(test, is_mapped(vm, GFN + 32 + i), !zap_hits(32 + i));
	}
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_TLB_FLUSH, vm->vcpu[0]));
	for (i = 0; i < 16; i++)
		expect_page(vm, 0, GFN + i, 3 + i);
}

/* A slot is deleted beside another one; is that one still mapped? */
static bool survives_deletion(struct soft_vm *vm)
{
	KUNIT_ASSERT_EQ(vm->test, 0, soft_vm_set_slot(vm, 1, GFN + 32, 16, 100, 0));
	expect_page(vm, 0, GFN + 5, 8);
	expect_page(vm, 0, GFN + 32, 100);
	KUNIT_ASSERT_EQ(vm->test, 0, soft_vm_set_slot(vm, 1, GFN + 32, 0, 100, 0));
	KUNIT_EXPECT_FALSE(vm->test, is_mapped(vm, GFN + 32));
	return is_mapped(vm, GFN + 5);
}

/* KVM_X86_QUIRK_SLOT_ZAP_ALL is for VMs with an assigned device. */
static void soft_test_slot_zap_all(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, 1);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	KUNIT_EXPECT_TRUE(test, survives_deletion(vm));
	atomic_inc(&vm->kvm->arch.assigned_device_count);
	KUNIT_EXPECT_FALSE(test, survives_deletion(vm));
	vm->kvm->arch.disabled_quirks |= KVM_X86_QUIRK_SLOT_ZAP_ALL;
	KUNIT_EXPECT_TRUE(test, survives_deletion(vm));
	atomic_dec(&vm->kvm->arch.assigned_device_count);
}

/* After a flush each access leaves its trace again. */
static void soft_test_clear_flush_young(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test, 1);
	int i;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	KUNIT_EXPECT_FALSE(test, soft_vm_clear_flush_young(vm, 3, 16));
	for (i = 0; i < 3; i++) {
		expect_page(vm, 0, GFN + 5, 8);
		KUNIT_EXPECT_TRUE(test, soft_vm_clear_flush_young(vm, 3, 16));
		KUNIT_EXPECT_FALSE(test, soft_vm_test_young(vm, 8));
	}
}

/* Memory of a file, which the VMM has read: it is clean, and may be written. */
static struct soft_vm *new_shared_vm(struct kunit *test)
{
	struct soft_memory *memory;
	struct soft_vm *vm;
	int i;

	soft_vendor_load(test, test->param_value);
	memory = soft_memory_create(test, 1);
	memory->nr_pages = 16;
	memory->hva = kunit_vm_mmap(test, NULL, 0, memory->nr_pages * PAGE_SIZE,
				    PROT_READ | PROT_WRITE,
				    MAP_ANONYMOUS | MAP_SHARED, 0);
	KUNIT_ASSERT_NE(test, memory->hva, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(memory->hva));

	vm = soft_vm_create(test, 1, memory);
	for (i = 0; i < memory->nr_pages; i++)
		soft_vm_read(vm, i, 0);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 0, 0));
	return vm;
}

/* Which of the pages are dirty in the host, as a mask. */
static unsigned int host_dirty(struct soft_vm *vm)
{
	unsigned int mask = 0;
	struct page *page;
	int i;

	for (i = 0; i < vm->memory->nr_pages; i++) {
		KUNIT_ASSERT_EQ(vm->test, 1, get_user_pages_fast(soft_vm_hva(vm, i),
								 1, 0, &page));
		mask |= PageDirty(page) ? BIT(i) : 0;
		put_page(page);
	}
	return mask;
}

static void write_page(struct soft_vm *vm, gfn_t gfn)
{
	struct soft_access write = { .addr = gfn_to_gpa(gfn), .write = true };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[0], &write), SOFT_RAM);
}

/* What is mapped beside a page that the guest writes to stays clean. */
static void soft_test_host_dirty(struct kunit *test)
{
	struct soft_vm *vm = new_shared_vm(test);

	KUNIT_ASSERT_EQ(test, host_dirty(vm), 0);
	write_page(vm, GFN + 2);
	KUNIT_EXPECT_EQ(test, host_dirty(vm), BIT(2));
	write_page(vm, GFN + 5);
	KUNIT_EXPECT_EQ(test, host_dirty(vm), BIT(2) | BIT(5));

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 0, 0, 0));
	KUNIT_EXPECT_EQ(test, host_dirty(vm), BIT(2) | BIT(5));
}

/* KVM_PRE_FAULT_MEMORY is no write: the log and the host do not see one. */
static void soft_test_pre_fault_clean(struct kunit *test)
{
	struct soft_vm *vm = new_shared_vm(test);
	u64 log = 0;
	int i;

	if (!tdp_enabled)
		kunit_skip(test, "only direct paging is indexed by gpa");

	for (i = 0; i < 8; i++)
		KUNIT_EXPECT_EQ(test, 0, soft_vm_pre_fault(vm, 0, GFN + i, 1));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	for (i = 8; i < 16; i++)
		KUNIT_EXPECT_EQ(test, 0, soft_vm_pre_fault(vm, 0, GFN + i, 1));
	KUNIT_EXPECT_EQ(test, host_dirty(vm), 0);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_get_dirty_log(vm, 0, &log, 1));
	KUNIT_EXPECT_EQ(test, log, 0);

	write_page(vm, GFN + 3);
	write_page(vm, GFN + 11);
	KUNIT_EXPECT_EQ(test, host_dirty(vm), BIT(3) | BIT(11));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_get_dirty_log(vm, 0, &log, 1));
	KUNIT_EXPECT_EQ(test, log, BIT_ULL(3) | BIT_ULL(11));
}

/* It does not see how full a ring is, so it puts nothing in. */
static void soft_test_pre_fault_ring(struct kunit *test)
{
	const struct soft_vm_kind kind = { .log = SOFT_LOG_RING };
	struct soft_vm *vm = new_vm_kind(test, 1, &kind);
	struct kvm_dirty_gfn entry;
	int i;

	if (!tdp_enabled)
		kunit_skip(test, "only direct paging is indexed by gpa");

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	for (i = 0; i < NR_PAGES; i++)
		KUNIT_ASSERT_EQ(test, 0, soft_vm_pre_fault(vm, 0, GFN + i, 1));
	KUNIT_EXPECT_FALSE(test, soft_vm_next_dirty(vm, 0, &entry));

	/* Logged by the fault: PML does not log it again. */
	write_page(vm, GFN + 7);
	KUNIT_ASSERT_TRUE(test, soft_vm_next_dirty(vm, 0, &entry));
	KUNIT_EXPECT_EQ(test, entry.offset, 7);
	KUNIT_EXPECT_FALSE(test, soft_vm_next_dirty(vm, 0, &entry));
}

static struct soft_vm *new_private_vm(struct kunit *test)
{
	const struct soft_vm_kind kind = { .private = true };
	const struct soft_hardware *hw = test->param_value;

	if (!hw->tdp)
		kunit_skip(test, "shadow paging has no private memory");
	return new_vm_kind(test, 1, &kind);
}

static void expect_memory_fault(struct soft_vm *vm, gfn_t gfn)
{
	struct soft_access read = { .addr = gfn_to_gpa(gfn) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[0], &read), -EFAULT);
}

/* Its shared neighbours are used, and are not mapped any farther. */
static void soft_test_private_beside_shared(struct kunit *test)
{
	struct soft_vm *vm = new_private_vm(test);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, GFN, 16, 3, 0));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(vm, GFN + 3, 2, true));
	expect_page(vm, 0, GFN + 1, 4);
	expect_memory_fault(vm, GFN + 3);
	expect_page(vm, 0, GFN + 5, 8);
	expect_memory_fault(vm, GFN + 4);
}

/*
 * What was MMIO is private memory now, which is 0.  The slot's set is published, and
 * waits for a reader: the MMIO SPTE is still there, and stale, in either MMU.
 */
static void soft_test_private_after_mmio(struct kunit *test)
{
	struct soft_access read = { .addr = gfn_to_gpa(GFN), .value = 1 };
	struct soft_vm *vm = new_private_vm(test);
	struct soft_change creation = {
		.vm = vm, .gfn = GFN, .npages = 16, .page = 3,
		.flags = KVM_MEM_GUEST_MEMFD,
	};

	expect_mmio(vm, 0, GFN);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_private(vm, GFN, 1, true));
	scoped_guard(srcu, &vm->kvm->srcu) {
		soft_change_until_published(&creation);
		KUNIT_EXPECT_EQ(test, soft_cpu_run(vm->vcpu[0], &read), SOFT_RAM);
	}
	soft_change_end(&creation);
	KUNIT_EXPECT_EQ(test, read.value, 0);
}

/* An access's faults: MMIO that is cached has none that would look up a slot. */
static u64 mmio_faults(struct soft_vm *vm, int id, gfn_t gfn)
{
	const u64 before = vm->vcpu[id]->stat.pf_taken;

	expect_mmio(vm, id, gfn);
	return vm->vcpu[id]->stat.pf_taken - before;
}

/*
 * A slot comes elsewhere.  As long as readers of the old set are waited for, no access
 * is by a cache, and what is looked up is not kept.  Then direct paging has what it
 * had; shadow paging begins anew.
 */
static void soft_test_mmio_in_flux(struct kunit *test)
{
	const gfn_t old = GFN + 0x10, new = GFN + 0x11;
	const struct soft_hardware *hw = test->param_value;
	struct soft_vm *vm = new_vm(test, 2);
	struct soft_change creation = {
		.vm = vm, .gfn = GFN, .npages = 16, .page = 3,
	};
	int i;

	if (!enable_mmio_caching)
		kunit_skip(test, "no MMIO SPTEs here");
	/* Shadow paging's quota is by the slots that there are. */
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1, GFN + 0x20, 16, 0x20, 0));
	KUNIT_EXPECT_EQ(test, 1, mmio_faults(vm, 0, old));
	KUNIT_EXPECT_EQ(test, 0, mmio_faults(vm, 1, old));

	scoped_guard(srcu, &vm->kvm->srcu) {
		soft_change_until_published(&creation);
		for (i = 0; i < 2; i++) {
			KUNIT_EXPECT_EQ(test, 1, mmio_faults(vm, 0, old));
			KUNIT_EXPECT_EQ(test, 1, mmio_faults(vm, 0, new));
		}
	}
	soft_change_end(&creation);

	KUNIT_EXPECT_EQ(test, !hw->tdp, mmio_faults(vm, 1, old));
	KUNIT_EXPECT_EQ(test, 1, mmio_faults(vm, 1, new));
	KUNIT_EXPECT_EQ(test, 0, mmio_faults(vm, 0, new));
	expect_page(vm, 0, GFN, 3);
}

static struct kunit_case soft_cases[] = {
	KUNIT_CASE_PARAM(soft_test_slot, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_pre_fault_zapped, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_full_ring, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_around, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_around_large, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_around_logged, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_around_watched, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_zap_range, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_slot_zap_all, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_clear_flush_young, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_host_dirty, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_pre_fault_clean, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_pre_fault_ring, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_private_beside_shared, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_private_after_mmio, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_mmio_in_flux, soft_hardware_gen_params),
	{}
};

static struct kunit_suite soft_suite = {
	.name = "kvm_soft_cpu",
	.test_cases = soft_cases,
};

kunit_test_suite(soft_suite);
