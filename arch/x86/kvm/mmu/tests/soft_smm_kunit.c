// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two address spaces of the same memory: what one CPU writes to a table through
 * the one, another that uses the table in the other gets after its flush, be it
 * a table of the OS that KVM shadows, or one that L1 gives to L2.
 *
 * (APM vol. 2, 10.3.1: SMM sees the memory of the system; only SMRAM is its own.)
 *
 * vCPU 0 writes; vCPU 1 pages, and its gva n leads to gfn DATA_GFN + n.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "mmu/fault.h"
#include "mmu/spte.h"
#include "smm.h"
#include "soft_guest.h"
#include "soft_hardware.h"
#include "soft_nested.h"

/* Gfn n is page n in both: some huge pages; the tables are in the first one. */
#define NR_PAGES	1024UL
#define DATA_GFN	0x80
#define SLOT_OF_SMM	BIT(16)

#define RIGHTS		3	/* see soft_gpte() */
#define ACCESSED_DIRTY	0x30

/**
 * struct two_spaces - the VM
 * @vm: see there
 * @paging: of vCPU 1
 * @writer_smm: vCPU 0 is in SMM, and vCPU 1 is not; else it is the other way
 */
struct two_spaces {
	struct soft_vm *vm;
	struct soft_paging paging;
	bool writer_smm;
};

static void begin_smm(struct kvm_vcpu *vcpu)
{
	soft_cpu_begin(vcpu);
	vcpu->arch.hflags |= HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

static void create_slot(struct two_spaces *t, bool smm)
{
	KUNIT_ASSERT_EQ(t->vm->test, 0,
			soft_vm_set_slot(t->vm, smm ? SLOT_OF_SMM : 0, 0, NR_PAGES,
					 0, 0));
}

static void delete_slot(struct two_spaces *t, bool smm)
{
	KUNIT_ASSERT_EQ(t->vm->test, 0,
			soft_vm_set_slot(t->vm, smm ? SLOT_OF_SMM : 0, 0, 0, 0, 0));
}

static struct two_spaces create(struct kunit *test, bool writer_smm)
{
	const struct soft_hardware *hw = test->param_value;
	struct two_spaces t = { .writer_smm = writer_smm };

	if (hw->tdp && !writer_smm)
		kunit_skip(test, "there is no L2 in SMM");
	soft_vendor_load(test, hw);
	t.paging = soft_shadowed_paging(SOFT_4_LEVELS);
	t.vm = soft_vm_create(test, 2, soft_memory_create(test, NR_PAGES));
	soft_guest_make_memory(t.vm, t.paging.mode->ept, DATA_GFN,
			       RIGHTS | ACCESSED_DIRTY);
	create_slot(&t, false);
	create_slot(&t, true);
	begin_smm(t.vm->vcpu[!writer_smm]);
	return t;
}

static void begin_paging(struct two_spaces *t)
{
	soft_guest_begin_paging(t->vm, &t->paging);
}

static void flush(struct two_spaces *t)
{
	soft_cpu_begin(t->vm->vcpu[1]);
	KUNIT_EXPECT_TRUE(t->vm->test, soft_load_cr3(t->vm->vcpu[1], &t->paging));
	soft_cpu_end(t->vm->vcpu[1]);
}

static u64 page_at(struct two_spaces *t, unsigned int n)
{
	return soft_guest_page_at(t->vm, &t->paging, n);
}

/* A word that translates nothing, in each table: the writer has it mapped. */
static void touch_tables(struct two_spaces *t)
{
	int i;

	for (i = 0; i < SOFT_NR_TABLES; i++)
		soft_guest_write(t->vm, soft_table_gpa(i, 511), 0);
}

static void write_pte(struct two_spaces *t, unsigned int n, gfn_t gfn)
{
	soft_guest_write(t->vm, soft_table_gpa(soft_pt(n), soft_pt_word(n)),
			 soft_pte_as(t->paging.mode->ept, gfn,
				     RIGHTS | ACCESSED_DIRTY));
}

/* The link to the first PT leads to @to. */
static void write_link(struct two_spaces *t, enum soft_table to)
{
	const struct soft_link *link = &soft_links[SOFT_LINK_OF_PT0];

	soft_guest_write(t->vm, soft_table_gpa(link->table, link->word),
			 soft_link_as(t->paging.mode->ept, link, SOFT_TABLE_GFN + to,
				      RIGHTS | ACCESSED_DIRTY));
}

/* Each write takes effect with the next flush, a PTE's and a link's. */
static void expect_writes_seen(struct two_spaces *t)
{
	struct kunit *test = t->vm->test;

	write_pte(t, 0, DATA_GFN + 7);
	flush(t);
	KUNIT_EXPECT_EQ(test, page_at(t, 0), DATA_GFN + 7);
	write_pte(t, 0, DATA_GFN);
	flush(t);
	KUNIT_EXPECT_EQ(test, page_at(t, 0), DATA_GFN);

	write_link(t, SOFT_PT1);
	flush(t);
	KUNIT_EXPECT_EQ(test, page_at(t, 0), DATA_GFN + SOFT_PT_ENTRIES);
	write_link(t, SOFT_PT0);
	flush(t);
	KUNIT_EXPECT_EQ(test, page_at(t, 0), DATA_GFN);
}

/* The writer's mappings are there when the tables become tables. */
static void test_mapped_before(struct kunit *test, bool writer_smm)
{
	struct two_spaces t = create(test, writer_smm);

	touch_tables(&t);
	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	expect_writes_seen(&t);
}

/* They are made when the tables are tables. */
static void test_mapped_after(struct kunit *test, bool writer_smm)
{
	struct two_spaces t = create(test, writer_smm);

	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	touch_tables(&t);
	flush(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	expect_writes_seen(&t);
}

static void soft_test_smm_mapped_before(struct kunit *test)
{
	test_mapped_before(test, true);
}

static void soft_test_smm_mapped_after(struct kunit *test)
{
	test_mapped_after(test, true);
}

static void soft_test_os_mapped_before(struct kunit *test)
{
	test_mapped_before(test, false);
}

static void soft_test_os_mapped_after(struct kunit *test)
{
	test_mapped_after(test, false);
}

/* The writer's slot comes when the tables are tables, goes, and comes again. */
static void soft_test_slot_comes_later(struct kunit *test)
{
	struct two_spaces t = create(test, true);

	delete_slot(&t, true);
	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	create_slot(&t, true);
	touch_tables(&t);
	expect_writes_seen(&t);

	delete_slot(&t, true);
	create_slot(&t, true);
	touch_tables(&t);
	expect_writes_seen(&t);
}

/* The other way: its own slot goes with all its tables, and comes again. */
static void soft_test_slot_of_tables(struct kunit *test)
{
	struct two_spaces t = create(test, true);

	touch_tables(&t);
	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	delete_slot(&t, false);
	touch_tables(&t);
	create_slot(&t, false);
	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	expect_writes_seen(&t);
}

/* The level by which vCPU 0 maps a gfn. */
static int mapped_level(struct two_spaces *t, gfn_t gfn)
{
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1];
	int root_level, leaf;

	soft_guest_write(t->vm, gfn_to_gpa(gfn) + 511 * sizeof(u64), 0);
	soft_cpu_begin(t->vm->vcpu[0]);
	leaf = fault_walk(t->vm->vcpu[0], gfn_to_gpa(gfn), sptes, &root_level);
	soft_cpu_end(t->vm->vcpu[0]);
	return leaf;
}

/* A huge page beside a table's is one that has the table. */
static void soft_test_no_huge_page(struct kunit *test)
{
	struct two_spaces t = create(test, true);
	const gfn_t beside = SOFT_TABLE_GFN + SOFT_NR_TABLES + 1, far = 512;

	if (mapped_level(&t, far) != PG_LEVEL_2M)
		kunit_skip(test, "the host has no huge pages for the VMM");
	KUNIT_EXPECT_EQ(test, mapped_level(&t, beside), PG_LEVEL_2M);

	begin_paging(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	expect_writes_seen(&t);
	soft_vm_zap_all(t.vm);
	flush(&t);
	KUNIT_EXPECT_EQ(test, page_at(&t, 0), DATA_GFN);
	KUNIT_EXPECT_EQ(test, mapped_level(&t, far), PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, mapped_level(&t, beside), PG_LEVEL_4K);
	expect_writes_seen(&t);
}

static struct kunit_case smm_cases[] = {
	KUNIT_CASE_PARAM(soft_test_smm_mapped_before, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_smm_mapped_after, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_os_mapped_before, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_os_mapped_after, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_slot_comes_later, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_slot_of_tables, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(soft_test_no_huge_page, soft_hardware_gen_params),
	{}
};

static struct kunit_suite smm_suite = {
	.name = "kvm_soft_smm",
	.test_cases = smm_cases,
};

kunit_test_suite(smm_suite);
