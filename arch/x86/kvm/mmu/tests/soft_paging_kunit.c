// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest with paging, one step after the other: what is rare among random
 * operations (soft_random_kunit.c), or needs two CPUs at a certain moment.
 *
 * vCPU 0 does not page, and changes the tables; vCPU 1 pages.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/sizes.h>
#include <linux/tracepoint.h>
#include <linux/uaccess.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/mmutrace.h"
#include "mmu/spte_format.h"
#include "soft_guest.h"
#include "soft_hardware.h"

/* One slot: gfn n is page n.  Behind the tables is what they map. */
#define NR_PAGES	256UL
#define DATA_GFN	0x80	/* a multiple of 64, for logs */

#define READ_ONLY	0
#define WRITABLE	1
#define USER		2
#define ACCESSED_DIRTY	0x30

static const struct soft_paging long_mode = {
	.mode = &soft_modes[SOFT_4_LEVELS],
	.wp = true,
	.nx = true,
};

static const struct soft_paging pae = {
	.mode = &soft_modes[SOFT_PAE],
	.wp = true,
	.nx = true,
};

/* gva n leads to gfn DATA_GFN + n, for which nothing is shadowed yet. */
static struct soft_vm *new_guest(struct kunit *test,
				 const struct soft_paging *paging, u64 bits)
{
	struct soft_vm *vm;

	soft_vendor_load(test, SOFT_SHADOW);
	vm = soft_vm_create(test, 2, soft_memory_create(test, NR_PAGES));
	soft_guest_make_memory(vm, false, DATA_GFN, bits);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_quota(vm, 64));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0, 0));
	soft_guest_begin_paging(vm, paging);
	return vm;
}

static void set_gpte(struct soft_vm *vm, unsigned int n, u64 gpte)
{
	soft_guest_write(vm, soft_table_gpa(soft_pt(n), soft_pt_word(n)), gpte);
}

static void invlpg(struct soft_vm *vm, unsigned int n)
{
	soft_cpu_begin(vm->vcpu[1]);
	kvm_mmu_invlpg(vm->vcpu[1], soft_gva(long_mode.mode, n));
	soft_cpu_end(vm->vcpu[1]);
}

static void reload_cr3(struct soft_vm *vm)
{
	soft_cpu_begin(vm->vcpu[1]);
	KUNIT_EXPECT_TRUE(vm->test, soft_load_cr3(vm->vcpu[1], &long_mode));
	soft_cpu_end(vm->vcpu[1]);
}

/* Each access is of the second word: the first one is the page's name. */
static struct soft_access access_of(unsigned int n)
{
	return (struct soft_access) {
		.addr = soft_gva(long_mode.mode, n) + sizeof(u64),
	};
}

static int run(struct soft_vm *vm, struct soft_access access)
{
	return soft_cpu_run(vm->vcpu[1], &access);
}

static int read_by(struct soft_vm *vm, unsigned int n, bool user)
{
	struct soft_access access = access_of(n);

	access.user = user;
	return run(vm, access);
}

static int write_by(struct soft_vm *vm, unsigned int n, bool user)
{
	struct soft_access access = access_of(n);

	access.user = user;
	access.write = true;
	return run(vm, access);
}

static int fetch_by(struct soft_vm *vm, unsigned int n, bool user)
{
	struct soft_access access = access_of(n);

	access.user = user;
	access.fetch = true;
	return run(vm, access);
}

static u64 page_at(struct soft_vm *vm, unsigned int n)
{
	return soft_guest_page_at(vm, &long_mode, n);
}

/* SDM 5.6: with CR0.WP=0 the kernel may write to it, and nobody else. */
static void soft_test_wp_off_user(struct kunit *test)
{
	struct soft_paging paging = long_mode;
	struct soft_vm *vm;

	paging.wp = false;
	vm = new_guest(test, &paging, READ_ONLY | USER);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, false), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, true), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, fetch_by(vm, 0, true), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, false), SOFT_RAM);
}

/* It is a page of user mode, also while KVM maps it as the kernel's. */
static void soft_test_wp_off_smep(struct kunit *test)
{
	struct soft_paging paging = long_mode;
	struct soft_vm *vm;

	paging.wp = false;
	paging.smep = true;
	vm = new_guest(test, &paging, READ_ONLY | USER);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, false), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, fetch_by(vm, 0, false), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, fetch_by(vm, 0, true), SOFT_RAM);
}

/* What the kernel writes with EFLAGS.AC it cannot reach without it. */
static void soft_test_wp_off_smap(struct kunit *test)
{
	struct soft_access access = access_of(0);
	struct soft_paging paging = long_mode;
	struct soft_vm *vm;

	paging.wp = false;
	paging.smap = true;
	vm = new_guest(test, &paging, READ_ONLY | USER);
	access.ac = true;
	access.write = true;
	KUNIT_EXPECT_EQ(test, run(vm, access), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, false), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, false), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, run(vm, access), SOFT_RAM);
}

/* The page stays, its rights go; the table is unsync, so INVLPG makes it so. */
static void soft_test_rights_change(struct kunit *test)
{
	const u64 gpte = soft_gpte(DATA_GFN, USER | ACCESSED_DIRTY);
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE | USER);

	KUNIT_EXPECT_EQ(test, write_by(vm, 0, true), SOFT_RAM);
	set_gpte(vm, 1, 0);
	set_gpte(vm, 0, gpte);
	invlpg(vm, 0);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, true), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_RAM);

	set_gpte(vm, 0, gpte & ~SOFT_GPTE_US);
	invlpg(vm, 0);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_FAULT);
	set_gpte(vm, 0, gpte | SOFT_GPTE_RW);
	invlpg(vm, 0);
	KUNIT_EXPECT_EQ(test, write_by(vm, 0, true), SOFT_RAM);
}

/* The page becomes writable without a fault: the host is told by the sync. */
static void soft_test_sync_tells_host(struct kunit *test)
{
	const u64 gpte = soft_gpte(DATA_GFN, USER | ACCESSED_DIRTY);
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE | USER);
	struct page *page = soft_vm_get_page(vm, DATA_GFN);

	KUNIT_ASSERT_NOT_NULL(test, page);
	set_gpte(vm, 0, gpte);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_RAM);
	set_gpte(vm, 1, 0);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, true), SOFT_RAM);
	ClearPageDirty(page);
	set_gpte(vm, 0, gpte | SOFT_GPTE_RW);
	invlpg(vm, 0);
	KUNIT_EXPECT_TRUE(test, PageDirty(page));
	put_page(page);
}

/* An asynchronous page fault is done, and the page is mapped already. */
static void soft_test_late_prefetch(struct kunit *test)
{
	const u64 addr = soft_gva(long_mode.mode, 0);
	u64 before[PT64_ROOT_MAX_LEVEL + 1], after[PT64_ROOT_MAX_LEVEL + 1];
	struct soft_vm *vm = new_guest(test, &long_mode,
				       WRITABLE | USER | ACCESSED_DIRTY);
	struct kvm_vcpu *vcpu = vm->vcpu[1];
	int leaf, root, r;

	KUNIT_EXPECT_EQ(test, write_by(vm, 0, true), SOFT_RAM);
	soft_cpu_begin(vcpu);
	leaf = fault_walk(vcpu, addr, before, &root);
	r = fault_handle(vcpu, addr, PFERR_USER_MASK, true, NULL, NULL);
	KUNIT_EXPECT_EQ(test, fault_walk(vcpu, addr, after, &root), leaf);
	soft_cpu_end(vcpu);

	KUNIT_EXPECT_EQ(test, r, RET_PF_SPURIOUS);
	KUNIT_ASSERT_EQ(test, leaf, PG_LEVEL_4K);
	KUNIT_EXPECT_EQ(test, before[leaf], after[leaf]);
}

/* What is mapped ahead, in the same line of the table, nobody has written. */
static void soft_test_prefetch_not_logged(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode,
				       WRITABLE | USER | ACCESSED_DIRTY);
	/* Its line is full of gPTEs: the first word of the table is none. */
	const unsigned int n = 10;
	u64 log[NR_PAGES / 64];

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	KUNIT_EXPECT_EQ(test, write_by(vm, n, true), SOFT_RAM);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_get_dirty_log(vm, 0, log,
						       ARRAY_SIZE(log)));
	KUNIT_EXPECT_EQ(test, log[DATA_GFN / 64], BIT_ULL(n));
}

/* Nor may the guest do more with it than its own gPTE allows. */
static void soft_test_prefetch_rights(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode,
				       WRITABLE | USER | ACCESSED_DIRTY);
	const unsigned int n = 10;

	set_gpte(vm, n + 1, soft_gpte(DATA_GFN + n + 1, USER | ACCESSED_DIRTY));
	set_gpte(vm, n + 2, soft_gpte(DATA_GFN + n + 2, WRITABLE | ACCESSED_DIRTY));
	KUNIT_EXPECT_EQ(test, write_by(vm, n, true), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, write_by(vm, n + 1, true), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, read_by(vm, n + 1, true), SOFT_RAM);
	KUNIT_EXPECT_EQ(test, read_by(vm, n + 2, true), SOFT_FAULT);
	KUNIT_EXPECT_EQ(test, write_by(vm, n + 2, false), SOFT_RAM);
}

/* The PDPTE that leads to the tables is the second one of four. */
static void soft_test_pae_sync(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &pae, WRITABLE | USER);

	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &pae, 0), DATA_GFN);
	set_gpte(vm, 1, 0);
	set_gpte(vm, 0, soft_gpte(DATA_GFN + 7, WRITABLE | USER));
	soft_cpu_begin(vm->vcpu[1]);
	KUNIT_EXPECT_TRUE(test, soft_load_cr3(vm->vcpu[1], &pae));
	soft_cpu_end(vm->vcpu[1]);
	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &pae, 0), DATA_GFN + 7);
}

/* SDM 4.4.1: they are in registers, and need their memory to be loaded only. */
static void soft_test_pdptrs_without_slot(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &pae, WRITABLE | USER);
	const gfn_t gone = SOFT_TABLE_GFN + SOFT_PDPTES;

	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &pae, 0), DATA_GFN);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, 0, 0, 0));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 0, 0, gone, 0, 0));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1, gone + 1,
						  NR_PAGES - gone - 1, gone + 1,
						  0));
	soft_vm_zap_all(vm);
	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &pae, 0), DATA_GFN);

	soft_cpu_begin(vm->vcpu[1]);
	KUNIT_EXPECT_FALSE(test, soft_load_cr3(vm->vcpu[1], &pae));
	soft_cpu_end(vm->vcpu[1]);
}

/*
 * Userspace may set registers that the guest could not load: bits that are no address
 * lead nowhere else.
 */
static void soft_test_pdptr_of_userspace(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &pae, WRITABLE | USER);

	vm->vcpu[1]->arch.walk_mmu->pdptrs[1] |= BIT_ULL(62);
	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &pae, 0), DATA_GFN);
}

static void soft_test_cr3_of_userspace(struct kunit *test)
{
	const struct soft_paging paging = { .mode = &soft_modes[SOFT_32BIT] };
	struct soft_vm *vm = new_guest(test, &paging, WRITABLE | USER);

	vm->vcpu[1]->arch.cr3 |= SZ_4G;
	KUNIT_EXPECT_EQ(test, soft_guest_page_at(vm, &paging, 0), DATA_GFN);
}

/* Tables of another process begin here: as the first one's, but for the PTs. */
#define OTHER_GFN	0x40
#define OTHER_ROOT	gfn_to_gpa(OTHER_GFN + SOFT_PML4)

static void make_other_tables(struct soft_vm *vm)
{
	const struct soft_link *link;
	gfn_t to;

	for (link = soft_links; link < soft_links + SOFT_NR_LINKS; link++) {
		to = OTHER_GFN + link->to;
		if (link->to == SOFT_PT0)
			to = SOFT_TABLE_GFN + SOFT_PT1;
		soft_vm_write(vm, OTHER_GFN + link->table, link->word,
			      soft_gpte(to, WRITABLE | USER));
	}
}

/* Return: the current root after MOV to CR3, or INVALID_PAGE. */
static hpa_t move_to_cr3(struct soft_vm *vm, gpa_t cr3)
{
	struct kvm_vcpu *vcpu = vm->vcpu[1];
	hpa_t root;

	soft_cpu_begin(vcpu);
	KUNIT_EXPECT_EQ(vm->test, 0, kvm_set_cr3(vcpu, cr3));
	root = vcpu->arch.mmu->root.hpa;
	soft_cpu_end(vcpu);
	return root;
}

/* A guest that goes back to a CR3 finds the root of that CR3. */
static void soft_test_cached_roots(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE | USER);
	const gpa_t first = soft_table_gpa(SOFT_PML4, 0);
	hpa_t root;

	make_other_tables(vm);
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN);
	root = move_to_cr3(vm, first);
	KUNIT_EXPECT_TRUE(test, VALID_PAGE(root));

	KUNIT_EXPECT_FALSE(test, VALID_PAGE(move_to_cr3(vm, OTHER_ROOT)));
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN + SOFT_PT_ENTRIES);
	KUNIT_EXPECT_EQ(test, move_to_cr3(vm, first), root);
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN);
	KUNIT_EXPECT_TRUE(test, VALID_PAGE(move_to_cr3(vm, OTHER_ROOT)));
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN + SOFT_PT_ENTRIES);
}

/* As nested guests come and go, whose role is another one: no root goes. */
static hpa_t switch_role(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	mmu->root_role.guest_mode ^= 1;
	kvm_mmu_new_pgd(vcpu, kvm_read_cr3(vcpu));
	return mmu->root.hpa;
}

static void soft_test_root_of_role(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE | USER);
	struct kvm_vcpu *vcpu = vm->vcpu[1];
	hpa_t root;

	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN);
	soft_cpu_begin(vcpu);
	root = vcpu->arch.mmu->root.hpa;
	KUNIT_EXPECT_FALSE(test, VALID_PAGE(switch_role(vcpu)));
	KUNIT_EXPECT_EQ(test, switch_role(vcpu), root);
	soft_cpu_end(vcpu);
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN);
}

/**
 * struct late_write - a write of the guest, while KVM walks its tables
 * @vm: the VM
 * @level: what KVM has just read is of this level
 * @page: where
 * @word: and where there
 * @value: what
 * @done: it has happened
 */
struct late_write {
	struct soft_vm *vm;
	int level;
	unsigned long page;
	unsigned int word;
	u64 value;
	bool done;
};

/*
 * KVM has read a gPTE.  What vCPU 0 writes by its TLB, nothing being shadowed, is
 * the same as what the VMM writes: KVM does not see it.
 */
static void write_now(void *data, __u64 gpte, int level)
{
	struct late_write *late = data;

	if (late->done || level != late->level)
		return;
	late->done = true;
	pagefault_disable();
	soft_vm_write(late->vm, late->page, late->word, late->value);
	pagefault_enable();
}

/* Return: the page at gva 0, which may be the old one or the new one. */
static u64 page_during(struct late_write *late)
{
	u64 page;

	KUNIT_ASSERT_EQ(late->vm->test, 0,
			register_trace_kvm_mmu_paging_element(write_now, late));
	page = page_at(late->vm, 0);
	unregister_trace_kvm_mmu_paging_element(write_now, late);
	tracepoint_synchronize_unregister();
	KUNIT_EXPECT_TRUE(late->vm->test, late->done);
	return page;
}

/* What a fault had read before its table was shadowed is looked at again. */
static void soft_test_gpte_race(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode,
				       WRITABLE | USER | ACCESSED_DIRTY);
	struct late_write late = {
		.vm = vm,
		.level = PG_LEVEL_4K,
		.page = SOFT_TABLE_GFN + SOFT_PT0,
		.word = soft_pt_word(0),
		.value = soft_gpte(DATA_GFN + 7, WRITABLE | USER | ACCESSED_DIRTY),
	};
	u64 page;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "there are no tracepoints");
	page = page_during(&late);
	KUNIT_EXPECT_TRUE(test, page == DATA_GFN || page == DATA_GFN + 7);
	/* INVLPG would look at the guest's table, whatever KVM thinks of it. */
	reload_cr3(vm);
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN + 7);
}

/* The same for a link, from one table to another. */
static void soft_test_link_race(struct kunit *test)
{
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE | USER);
	struct late_write late = {
		.vm = vm,
		.level = PG_LEVEL_2M,
		.page = SOFT_TABLE_GFN + SOFT_PD,
		.word = SOFT_PD_WORD_OF_PT0,
		.value = soft_gpte(SOFT_TABLE_GFN + SOFT_PT1, WRITABLE | USER),
	};
	const unsigned int n = SOFT_PT_ENTRIES;
	u64 page;

	if (!IS_ENABLED(CONFIG_TRACEPOINTS))
		kunit_skip(test, "there are no tracepoints");
	/* KVM has no A to set, or it would notice by that. */
	soft_vm_write(vm, late.page, late.word,
		      soft_gpte(SOFT_TABLE_GFN + SOFT_PT0,
				WRITABLE | USER | ACCESSED_DIRTY));
	page = page_during(&late);
	KUNIT_EXPECT_TRUE(test, page == DATA_GFN || page == DATA_GFN + n);
	invlpg(vm, 0);
	KUNIT_EXPECT_EQ(test, page_at(vm, 0), DATA_GFN + n);
}

/* An MMIO SPTE could not keep the gfn: each access is looked up. */
static void soft_test_mmio_of_wide_gfn(struct kunit *test)
{
	const gfn_t wide = DATA_GFN | BIT_ULL(35 - PAGE_SHIFT);
	struct soft_vm *vm = new_guest(test, &long_mode, WRITABLE);

	/* The host has fewer address bits for itself than the guest. */
	spte_fmt.l1tf_gfn = GENMASK_ULL(34, PAGE_SHIFT);
	set_gpte(vm, 0, soft_gpte(wide, WRITABLE | ACCESSED_DIRTY));
	set_gpte(vm, 1, soft_gpte(NR_PAGES, WRITABLE | ACCESSED_DIRTY));

	KUNIT_EXPECT_EQ(test, read_by(vm, 0, false), SOFT_MMIO);
	/* The vCPU remembers one gfn. */
	KUNIT_EXPECT_EQ(test, read_by(vm, 1, false), SOFT_MMIO);
	KUNIT_EXPECT_EQ(test, read_by(vm, 0, false), SOFT_MMIO);
	KUNIT_EXPECT_EQ(test, vm->vcpu[1]->arch.mmio_gfn, wide);
}

static struct kunit_case paging_cases[] = {
	KUNIT_CASE(soft_test_wp_off_user),
	KUNIT_CASE(soft_test_wp_off_smep),
	KUNIT_CASE(soft_test_wp_off_smap),
	KUNIT_CASE(soft_test_rights_change),
	KUNIT_CASE(soft_test_sync_tells_host),
	KUNIT_CASE(soft_test_late_prefetch),
	KUNIT_CASE(soft_test_prefetch_not_logged),
	KUNIT_CASE(soft_test_prefetch_rights),
	KUNIT_CASE(soft_test_pae_sync),
	KUNIT_CASE(soft_test_pdptrs_without_slot),
	KUNIT_CASE(soft_test_pdptr_of_userspace),
	KUNIT_CASE(soft_test_cr3_of_userspace),
	KUNIT_CASE(soft_test_cached_roots),
	KUNIT_CASE(soft_test_root_of_role),
	KUNIT_CASE(soft_test_gpte_race),
	KUNIT_CASE(soft_test_link_race),
	KUNIT_CASE(soft_test_mmio_of_wide_gfn),
	{}
};

static struct kunit_suite paging_suite = {
	.name = "kvm_soft_paging",
	.test_cases = paging_cases,
};

kunit_test_suite(paging_suite);
