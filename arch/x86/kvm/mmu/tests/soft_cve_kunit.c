// SPDX-License-Identifier: GPL-2.0-only
/*
 * The CVEs of 2026 in shadow paging, as sequences of a guest and of a VMM that
 * writes to the guest's tables behind KVM's back, which KVM does not see and so
 * keeps what it derived from them.  Documentation/virtual/kvm/mmu.txt, "Invariants",
 * says why none of them can happen.
 */
#include <kunit/test.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "soft_hardware.h"
#include "soft_paging.h"
#include "soft_vm.h"

/*
 * One slot: gfn n is page n + 1 of the VMM.  So the two lie differently in large
 * pages, and KVM maps all with 4K.
 */
#define NR_PAGES	1024
#define PAGE_OF(gfn)	((gfn) + 1)

/* A 2M page in it, and one that is no slot's. */
#define HUGE_GFN	0x200
#define MMIO_GFN	0x8000

/* A gva that nothing maps ahead of an access to the first one. */
#define FAR		20

#define RW		3	/* see soft_gpte() */
#define RO		2
#define HUGE		8

static const struct soft_paging paging = {
	.mode = &soft_modes[SOFT_4_LEVELS], .wp = true, .nx = true,
};

/* The VMM writes a gPTE; KVM does not notice. */
static void host_gpte(struct soft_vm *vm, int table, int index, u64 gpte)
{
	soft_vm_write(vm, PAGE_OF(SOFT_TABLE_GFN + table), index, gpte);
}

/* The n-th gva of the first PT. */
static void host_map(struct soft_vm *vm, int n, gfn_t gfn, u64 bits)
{
	host_gpte(vm, soft_pt(n), soft_pt_word(n), soft_gpte(gfn, bits));
}

static void make_guest(struct soft_vm *vm)
{
	soft_vm_mark_pages(vm, PAGE_OF(0), NR_PAGES);
	soft_make_links(vm, PAGE_OF(SOFT_TABLE_GFN), false);
}

static int cve_init(struct kunit *test)
{
	struct soft_vm *vm;

	soft_vendor_load(test, SOFT_SHADOW);
	vm = soft_vm_create(test, 1, soft_memory_create(test, NR_PAGES + 1));
	test->priv = vm;
	make_guest(vm);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, PAGE_OF(0),
						  0));

	soft_cpu_begin(vm->vcpu[0]);
	soft_set_paging(vm->vcpu[0], &paging);
	soft_cpu_end(vm->vcpu[0]);
	return 0;
}

static int guest_access(struct soft_vm *vm, int n, bool write, u64 *value)
{
	struct soft_access access = {
		.addr = soft_gva(paging.mode, n) + (write ? 8 : 0),
		.write = write,
	};
	int end;

	end = soft_cpu_run(vm->vcpu[0], &access);
	*value = access.value;
	return end;
}

static void expect_page(struct soft_vm *vm, int n, gfn_t gfn)
{
	u64 value;

	KUNIT_EXPECT_EQ(vm->test, guest_access(vm, n, false, &value), SOFT_RAM);
	KUNIT_EXPECT_EQ(vm->test, value, SOFT_PAGE_ID + gfn);
}

static void expect_write(struct soft_vm *vm, int n, int end)
{
	u64 unused;

	KUNIT_EXPECT_EQ(vm->test, guest_access(vm, n, true, &unused), end);
}

/* SPTEs of 4K that map a gfn. */
static unsigned int nr_sptes(struct soft_vm *vm, gfn_t gfn)
{
	struct kvm *kvm = vm->kvm;
	struct kvm_memory_slot *slot;
	unsigned int nr;
	int idx;

	idx = srcu_read_lock(&kvm->srcu);
	slot = gfn_to_memslot(kvm, gfn);
	write_lock(&kvm->mmu_lock);
	nr = pte_list_count(&slot->arch.rmap[0][gfn - slot->base_gfn]);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
	return nr;
}

/* No SPTE is left behind by anything: without the slot, all of it is MMIO. */
static void expect_nothing_left(struct soft_vm *vm)
{
	KUNIT_EXPECT_EQ(vm->test, 0, soft_vm_set_slot(vm, 0, 0, 0, 0, 0));
	KUNIT_EXPECT_EQ(vm->test, 0, vm->kvm->stat.pages_4k.counter);
	KUNIT_EXPECT_EQ(vm->test, 0, vm->kvm->stat.pages_2m.counter);
}

/* An MMIO SPTE takes the place of one that maps a page. */
static void cve_2026_23401(struct kunit *test)
{
	struct soft_vm *vm = test->priv;

	host_map(vm, 0, 0x80, RO);
	expect_page(vm, 0, 0x80);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, 0x80), 1);

	/* The write faults on an SPTE that is there, and meets MMIO. */
	host_map(vm, 0, MMIO_GFN, RW);
	expect_write(vm, 0, SOFT_MMIO);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, 0x80), 0);
	expect_nothing_left(vm);
}

/* The same, and another page of RAM. */
static void cve_2026_23402(struct kunit *test)
{
	struct soft_vm *vm = test->priv;

	host_map(vm, 0, 0x80, RO);
	expect_page(vm, 0, 0x80);

	host_map(vm, 0, 0x90, RW);
	expect_write(vm, 0, SOFT_RAM);
	expect_page(vm, 0, 0x90);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, 0x80), 0);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, 0x90), 1);
	expect_nothing_left(vm);
}

/* The shadow page of a huge page is used for another one: rmaps go astray. */
static void cve_2026_46113(struct kunit *test)
{
	struct soft_vm *vm = test->priv;

	host_gpte(vm, SOFT_PD, SOFT_PD_WORD_OF_PT0,
		  soft_gpte(HUGE_GFN, RW | HUGE));
	expect_page(vm, 0, HUGE_GFN + 1);

	host_gpte(vm, SOFT_PD, SOFT_PD_WORD_OF_PT0, soft_gpte(0, RW | HUGE));
	expect_page(vm, FAR, 0 + FAR + 1);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, HUGE_GFN + FAR + 1), 0);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, FAR + 1), 1);
	expect_nothing_left(vm);
}

/* A table where a huge page was, at the same gfn: only the role differs. */
static void cve_2026_53359(struct kunit *test)
{
	struct soft_vm *vm = test->priv;
	int i;

	for (i = 0; i < SOFT_PT_ENTRIES; i++)
		soft_vm_write(vm, PAGE_OF(HUGE_GFN), soft_pt_word(i),
			      soft_gpte(0x100 + i, RW));

	host_gpte(vm, SOFT_PD, SOFT_PD_WORD_OF_PT0,
		  soft_gpte(HUGE_GFN, RW | HUGE));
	expect_page(vm, 0, HUGE_GFN + 1);

	host_gpte(vm, SOFT_PD, SOFT_PD_WORD_OF_PT0, soft_gpte(HUGE_GFN, RW));
	expect_page(vm, FAR, 0x100 + FAR);
	expect_write(vm, FAR + 1, SOFT_RAM);
	KUNIT_EXPECT_EQ(test, nr_sptes(vm, HUGE_GFN + FAR + 1), 0);
	expect_nothing_left(vm);
}

/* Making room for a fault zaps the root that the fault goes on with. */
static void cve_2026_64561(struct kunit *test)
{
	struct soft_vm *vm = test->priv;
	struct kvm_vcpu *vcpu = vm->vcpu[0];
	unsigned long pass, n;

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_quota(vm, KVM_MIN_ALLOC_MMU_PAGES));

	/* More page directories' worth of tables than the quota has room for. */
	for (n = 0; n < 2 * KVM_MIN_ALLOC_MMU_PAGES; n++)
		host_gpte(vm, SOFT_PD, 1 + n, soft_gpte(0x100 + n, RW));
	for (n = 0; n < 2 * KVM_MIN_ALLOC_MMU_PAGES; n++)
		soft_vm_write(vm, PAGE_OF(0x100 + n), 1,
			      soft_gpte(0x40 + n % 64, RW));

	for (pass = 0; pass < 3; pass++)
		for (n = 0; n < 2 * KVM_MIN_ALLOC_MMU_PAGES; n++) {
			struct soft_access access = {
				.addr = soft_gva(paging.mode, 0) + (n << 21),
			};

			KUNIT_EXPECT_EQ(test, SOFT_RAM,
					soft_cpu_run(vcpu, &access));
			KUNIT_EXPECT_EQ(test, access.value,
					SOFT_PAGE_ID + 0x40 + n % 64);
			KUNIT_EXPECT_LE(test, vm->kvm->arch.n_used_mmu_pages,
					KVM_MIN_ALLOC_MMU_PAGES);
		}
	expect_nothing_left(vm);
}

/* A fault under a root that is gone makes pages that are gone from birth. */
static void cve_2026_80726(struct kunit *test)
{
	struct soft_vm *vm = test->priv;
	struct kvm_vcpu *vcpu = vm->vcpu[0];
	const u64 gva = soft_gva(paging.mode, SOFT_PT_ENTRIES);
	const u64 code = PFERR_USER_MASK;
	unsigned long used;

	host_map(vm, 0, 0x80, RW);
	host_map(vm, SOFT_PT_ENTRIES, 0x90, RW);
	expect_page(vm, 0, 0x80);

	/* The request to drop the root comes while the guest faults. */
	soft_vm_zap_all(vm);
	soft_cpu_begin(vcpu);
	KUNIT_EXPECT_TRUE(test, kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
						 vcpu));
	used = vm->kvm->arch.n_used_mmu_pages;
	KUNIT_EXPECT_EQ(test, 1, kvm_mmu_page_fault(vcpu, gva, code, NULL, 0));
	KUNIT_EXPECT_EQ(test, used, vm->kvm->arch.n_used_mmu_pages);
	soft_cpu_end(vcpu);

	expect_page(vm, SOFT_PT_ENTRIES, 0x90);
	expect_page(vm, 0, 0x80);
	expect_nothing_left(vm);
}

static struct kunit_case cve_cases[] = {
	KUNIT_CASE(cve_2026_23401),
	KUNIT_CASE(cve_2026_23402),
	KUNIT_CASE(cve_2026_46113),
	KUNIT_CASE(cve_2026_53359),
	KUNIT_CASE(cve_2026_64561),
	KUNIT_CASE(cve_2026_80726),
	{}
};

static struct kunit_suite cve_suite = {
	.name = "kvm_soft_cve",
	.init = cve_init,
	.test_cases = cve_cases,
};

kunit_test_suite(cve_suite);
