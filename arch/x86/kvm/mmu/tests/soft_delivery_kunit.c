// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where faults could go on for ever: those of an event's delivery, for which KVM
 * has no emulator; and walks that begin, or end, where no memory is.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/page_track.h"
#include "soft_cpu.h"
#include "soft_hardware.h"
#include "soft_nested.h"
#include "soft_paging.h"
#include "soft_vm.h"
#include "x86.h"

/* gfn n is page n of the VMM; each table has a slot of its own. */
#define NR_PAGES	1024
#define SLOT_LOW	0
#define SLOT_HIGH	1
#define SLOT_TABLES	2
#define AFTER_TABLES	(SOFT_TABLE_GFN + SOFT_NR_TABLES)

#define GFN		0x155
#define NO_GFN		0x8000

/* See soft_gpte() and soft_epte(). */
#define RWX		3

static void set_slot(struct soft_vm *vm, u32 id, gfn_t gfn, unsigned long npages)
{
	KUNIT_ASSERT_EQ(vm->test, 0, soft_vm_set_slot(vm, id, gfn, npages, gfn, 0));
}

static void set_table_slot(struct soft_vm *vm, int table, bool there)
{
	set_slot(vm, SLOT_TABLES + table, SOFT_TABLE_GFN + table, there);
}

static void map(struct soft_vm *vm, const struct soft_paging *paging, int n, gfn_t gfn)
{
	soft_vm_write(vm, SOFT_TABLE_GFN + soft_pt(n), soft_pt_word(n),
		      soft_pte_as(paging->mode->ept, gfn, RWX));
}

static struct soft_vm *new_vm(struct kunit *test, struct soft_paging *paging)
{
	struct soft_vm *vm;
	int i;

	soft_vendor_load(test, test->param_value);
	*paging = soft_shadowed_paging(SOFT_4_LEVELS);
	vm = soft_vm_create(test, 2, soft_memory_create(test, NR_PAGES));
	soft_vm_mark_pages(vm, 0, NR_PAGES);
	soft_make_links(vm, SOFT_TABLE_GFN, paging->mode->ept);
	map(vm, paging, 0, GFN);

	set_slot(vm, SLOT_LOW, 0, SOFT_TABLE_GFN);
	set_slot(vm, SLOT_HIGH, AFTER_TABLES, NR_PAGES - AFTER_TABLES);
	for (i = 0; i < SOFT_NR_TABLES; i++)
		set_table_slot(vm, i, true);
	return vm;
}

static void enter(struct soft_vm *vm, int id, const struct soft_paging *paging)
{
	soft_cpu_begin(vm->vcpu[id]);
	soft_set_paging(vm->vcpu[id], paging);
	soft_cpu_end(vm->vcpu[id]);
}

static void expect_end(struct soft_vm *vm, int id, struct soft_access access, int end)
{
	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[id], &access), end);
}

#define NONE		-1
#define WRITE_DENIED	(PFERR_WRITE_MASK | PFERR_PRESENT_MASK | PFERR_USER_MASK)

/**
 * struct delivery - what KVM makes of a fault while an event is delivered
 * @r: of the exit's handler: 0: KVM_RUN returns
 * @pending: the exception on top; or NONE
 * @shutdown: the vCPU, or its L2, shuts down
 */
struct delivery {
	int r, pending;
	bool shutdown;
};

static struct delivery deliver(struct soft_vm *vm, int id, int vector, u64 addr,
			       u64 code)
{
	struct kvm_vcpu *vcpu = vm->vcpu[id];
	struct delivery d;

	soft_cpu_begin(vcpu);
	vcpu->run->exit_reason = KVM_EXIT_UNKNOWN;
	vcpu->arch.exception.vector = vector;
	vcpu->arch.exception.injected = true;
	d.r = kvm_mmu_page_fault(vcpu, addr, code, NULL, 0);
	d.pending = vcpu->arch.exception.pending ? vcpu->arch.exception.vector : NONE;
	d.shutdown = kvm_check_request(KVM_REQ_TRIPLE_FAULT, vcpu);
	kvm_clear_exception_queue(vcpu);
	soft_cpu_end(vcpu);
	return d;
}

static void expect_delivery(struct soft_vm *vm, struct delivery d, int r, int pending,
			    bool shutdown)
{
	KUNIT_EXPECT_EQ(vm->test, d.r, r);
	KUNIT_EXPECT_EQ(vm->test, d.pending, pending);
	KUNIT_EXPECT_EQ(vm->test, d.shutdown, shutdown);
}

static void expect_retry(struct soft_vm *vm, int id, u64 addr)
{
	expect_delivery(vm, deliver(vm, id, UD_VECTOR, addr, WRITE_DENIED), 1, NONE,
			false);
}

/* L2 must not end L1's VM. */
static void expect_failure(struct soft_vm *vm, int id, u64 addr, u64 code)
{
	const bool nested = is_guest_mode(vm->vcpu[id]);
	const struct kvm_run *run = vm->vcpu[id]->run;

	expect_delivery(vm, deliver(vm, id, UD_VECTOR, addr, code), nested, NONE,
			nested);
	if (nested)
		return;
	KUNIT_EXPECT_EQ(vm->test, run->exit_reason, KVM_EXIT_INTERNAL_ERROR);
	KUNIT_EXPECT_EQ(vm->test, run->internal.suberror,
			KVM_INTERNAL_ERROR_DELIVERY_EV);
	KUNIT_EXPECT_EQ(vm->test, run->internal.data[3], addr);
}

static bool is_tracked(struct soft_vm *vm, gfn_t gfn)
{
	struct kvm *kvm = vm->kvm;
	int idx = srcu_read_lock(&kvm->srcu);
	bool tracked;

	tracked = kvm_gfn_is_write_tracked(kvm, gfn_to_memslot(kvm, gfn), gfn);
	srcu_read_unlock(&kvm->srcu, idx);
	return tracked;
}

/* L1 has its stack where a table of L2 was: it is none any more. */
static void soft_test_delivery_to_table(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	const gpa_t stack = gfn_to_gpa(SOFT_TABLE_GFN + SOFT_PD);
	struct soft_paging paging;
	struct soft_vm *vm;

	if (!hw->tdp)
		kunit_skip(test, "without nested paging L1 has none either");
	vm = new_vm(test, &paging);
	enter(vm, 0, &paging);
	expect_end(vm, 0, (struct soft_access) { soft_gva(paging.mode, 0) }, SOFT_RAM);

	expect_end(vm, 1, (struct soft_access) { stack }, SOFT_RAM);
	KUNIT_EXPECT_TRUE(test, is_tracked(vm, gpa_to_gfn(stack)));
	expect_retry(vm, 1, stack);
	KUNIT_EXPECT_FALSE(test, is_tracked(vm, gpa_to_gfn(stack)));
}

static void set_cr0_of_l2(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	soft_cpu_begin(vcpu);
	kvm_x86_call(set_cr0)(vcpu, cr0);
	kvm_init_mmu(vcpu);
	soft_cpu_end(vcpu);
}

/* L1 has another PD for L2 instead: the page of the PML5, which 4 levels leave free. */
static void replace_pd(struct soft_vm *vm, const struct soft_paging *paging)
{
	const struct soft_link *to_pd = &soft_links[2], *to_pt = &soft_links[4];
	const gfn_t pd = SOFT_TABLE_GFN + SOFT_PML5;
	const bool ept = paging->mode->ept;

	soft_vm_write(vm, pd, to_pt->word,
		      soft_link_as(ept, to_pt, SOFT_TABLE_GFN + to_pt->to, RWX));
	expect_end(vm, 1, (struct soft_access) {
		.addr = soft_table_gpa(to_pd->table, to_pd->word),
		.write = true,
		.value = soft_link_as(ept, to_pd, pd, RWX),
	}, SOFT_RAM);
}

/*
 * L2 has its stack where a table of its own was.  The address that faults is L2's gpa:
 * it does not go through the tables of L2, but those of L1.
 */
static void soft_test_delivery_of_l2_to_table(struct kunit *test)
{
	const gfn_t gfn = SOFT_TABLE_GFN + SOFT_PD;
	const struct soft_hardware *hw = test->param_value;
	struct soft_paging paging;
	struct soft_vm *vm;
	u64 stack;

	if (!hw->tdp)
		kunit_skip(test, "without nested paging L1 has none either");
	vm = new_vm(test, &paging);
	stack = soft_gva(paging.mode, 1);
	map(vm, &paging, 1, gfn);
	enter(vm, 0, &paging);
	expect_end(vm, 0, (struct soft_access) { soft_gva(paging.mode, 0) }, SOFT_RAM);
	replace_pd(vm, &paging);
	expect_end(vm, 0, (struct soft_access) { stack }, SOFT_RAM);
	KUNIT_EXPECT_TRUE(test, is_tracked(vm, gfn));

	/* L2 has paging of its own, with a CR3 that L1's tables do not translate. */
	set_cr0_of_l2(vm->vcpu[0], X86_CR0_PE | X86_CR0_PG);
	expect_retry(vm, 0, stack);
	KUNIT_EXPECT_FALSE(test, is_tracked(vm, gfn));
	set_cr0_of_l2(vm->vcpu[0], X86_CR0_PE);
	expect_end(vm, 0, (struct soft_access) { stack, .write = true }, SOFT_RAM);
}

static void track(struct soft_vm *vm, gfn_t gfn)
{
	struct kvm *kvm = vm->kvm;
	int idx = srcu_read_lock(&kvm->srcu);

	write_lock(&kvm->mmu_lock);
	__kvm_write_track_add_gfn(kvm, gfn_to_memslot(kvm, gfn), gfn);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

static void untrack(struct soft_vm *vm, gfn_t gfn)
{
	struct kvm *kvm = vm->kvm;
	int idx = srcu_read_lock(&kvm->srcu);

	write_lock(&kvm->mmu_lock);
	__kvm_write_track_remove_gfn(kvm, gfn_to_memslot(kvm, gfn), gfn);
	write_unlock(&kvm->mmu_lock);
	srcu_read_unlock(&kvm->srcu, idx);
}

/*
 * The page is write-protected, but there is nothing to zap: another vCPU has done
 * so, or somebody else tracks it.  The first time nobody can tell.
 */
static void soft_test_delivery_retried_once(struct kunit *test)
{
	struct soft_paging paging;
	struct soft_vm *vm = new_vm(test, &paging);
	const u64 stack = soft_gva(paging.mode, 0);

	enter(vm, 0, &paging);
	expect_end(vm, 0, (struct soft_access) { stack }, SOFT_RAM);
	track(vm, GFN);
	expect_end(vm, 0, (struct soft_access) { stack }, SOFT_RAM);

	expect_retry(vm, 0, stack);
	expect_failure(vm, 0, stack, WRITE_DENIED);
	untrack(vm, GFN);
	expect_end(vm, 0, (struct soft_access) { stack + 8, .write = true }, SOFT_RAM);
}

/* No memory, with an MMIO SPTE and without. */
static void soft_test_delivery_to_hole(struct kunit *test)
{
	const u64 code = PFERR_WRITE_MASK | PFERR_USER_MASK;
	const struct soft_hardware *hw = test->param_value;
	struct soft_paging paging;
	struct soft_vm *vm = new_vm(test, &paging);
	const u64 stack = soft_gva(paging.mode, 0);

	map(vm, &paging, 0, NO_GFN);
	map(vm, &paging, 40, GFN);
	enter(vm, 0, &paging);
	expect_end(vm, 0, (struct soft_access) { soft_gva(paging.mode, 40) }, SOFT_RAM);
	expect_failure(vm, 0, stack, code);
	expect_failure(vm, 0, stack, code);
	expect_failure(vm, 0, stack, PFERR_RSVD_MASK);
	if (!hw->tdp)
		return;

	expect_end(vm, 1, (struct soft_access) { gfn_to_gpa(GFN) }, SOFT_RAM);
	expect_failure(vm, 1, gfn_to_gpa(NO_GFN), code);
}

/*
 * The root of a guest is where no memory is, and so no entry of its IDT can be
 * translated: a #PF, a #DF, a shutdown.
 */
static void soft_test_delivery_without_root(struct kunit *test)
{
	const struct soft_paging own = {
		.mode = &soft_modes[SOFT_4_LEVELS], .nx = true, .wp = true,
	};
	const gpa_t root = gfn_to_gpa(SOFT_TABLE_GFN + SOFT_PML4);
	const struct soft_hardware *hw = test->param_value;
	struct soft_paging unused;
	struct soft_vm *vm = new_vm(test, &unused);

	if (!hw->tdp)
		kunit_skip(test, "shadow paging walks first");
	soft_make_links(vm, SOFT_TABLE_GFN, false);
	enter(vm, 1, &own);
	set_table_slot(vm, SOFT_PML4, false);
	expect_end(vm, 1, (struct soft_access) { soft_gva(own.mode, 0) }, SOFT_FAULT);

	to_soft_vcpu(vm->vcpu[1])->idt = (struct desc_ptr) {
		.address = soft_gva(own.mode, 0), .size = 256 * 16 - 1,
	};
	expect_delivery(vm, deliver(vm, 1, UD_VECTOR, root, 0), 1, PF_VECTOR, false);
	expect_delivery(vm, deliver(vm, 1, PF_VECTOR, root, 0), 1, DF_VECTOR, false);
	KUNIT_EXPECT_TRUE(test, deliver(vm, 1, DF_VECTOR, root, 0).shutdown);
}

/*
 * L2 is in real mode, and L1 does not map its IDT, whose entries have 4 bytes there: the
 * event's is within the limit, and its fault an exit to L1.
 */
static void soft_test_delivery_in_real_mode(struct kunit *test)
{
	const struct soft_hardware *hw = test->param_value;
	struct soft_paging paging;
	struct soft_vcpu *sv;
	struct soft_vm *vm;
	u64 stack;

	if (!hw->tdp)
		kunit_skip(test, "KVM does not run it");
	vm = new_vm(test, &paging);
	sv = to_soft_vcpu(vm->vcpu[0]);
	stack = soft_gva(paging.mode, 0);
	map(vm, &paging, 0, NO_GFN);
	enter(vm, 0, &paging);
	expect_end(vm, 0, (struct soft_access) { stack }, SOFT_MMIO);

	set_cr0_of_l2(&sv->vcpu, 0);
	sv->idt = (struct desc_ptr) {
		.address = soft_gva(paging.mode, 1), .size = 32 * 4 - 1,
	};
	expect_delivery(vm, deliver(vm, 0, AC_VECTOR, stack, WRITE_DENIED), 1, NONE,
			false);
	KUNIT_EXPECT_TRUE(test, sv->nested_fault.nested_page_fault);
	KUNIT_EXPECT_EQ(test, sv->nested_fault.address, sv->idt.address + AC_VECTOR * 4);
}

/* A fault of the guest, or an exit to L1; and no more than that. */
static void soft_test_tables_in_hole(struct kunit *test)
{
	static const int tables[] = { SOFT_PML4, SOFT_PDPT, SOFT_PD, SOFT_PT0 };
	const struct soft_hardware *hw = test->param_value;
	const int fault = hw->tdp ? SOFT_EXIT : SOFT_FAULT;
	struct soft_access read = {};
	struct soft_paging paging;
	struct soft_vm *vm = new_vm(test, &paging);
	int i;

	enter(vm, 0, &paging);
	read.addr = soft_gva(paging.mode, 0);
	expect_end(vm, 0, read, SOFT_RAM);
	for (i = 0; i < ARRAY_SIZE(tables); i++) {
		set_table_slot(vm, tables[i], false);
		expect_end(vm, 0, read, fault);
		expect_end(vm, 0, read, fault);
		set_table_slot(vm, tables[i], true);
		expect_end(vm, 0, read, SOFT_RAM);
	}
}

static struct kunit_case soft_delivery_cases[] = {
	KUNIT_CASE_PARAM(soft_test_delivery_to_table, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_delivery_of_l2_to_table, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_delivery_retried_once, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_delivery_to_hole, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_delivery_without_root, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_delivery_in_real_mode, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_tables_in_hole, soft_hardware_gen_params),
	{}
};

static struct kunit_suite soft_delivery_suite = {
	.name = "kvm_soft_delivery",
	.test_cases = soft_delivery_cases,
};

kunit_test_suite(soft_delivery_suite);
