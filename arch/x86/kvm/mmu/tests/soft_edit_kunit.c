// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VMM that edits the guest's tables by its own mapping of guest memory, where
 * KVM shadows them and does not see it; then the guest flushes one address, or
 * the VMM says so by KVM_SET_SREGS.  The next access goes by what is in memory, at
 * every level (SDM vol. 3, 5.10.4.1; APM vol. 2, 5.5.2).
 *
 * gva n leads to gfn DATA_GFN + n.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "soft_guest.h"
#include "soft_hardware.h"

/* One slot: gfn n is page n.  Behind the tables is what they map. */
#define NR_PAGES	256UL
#define DATA_GFN	0x80
/* Other tables, as the first ones, but for PT1 in place of PT0. */
#define OTHER_GFN	0x40

/* See soft_gpte(): accessed, dirty and user pages. */
#define WRITABLE	1ULL
#define LARGE		8ULL
#define BITS		(WRITABLE | 0x32)

/* Where the link of the other process leads. */
static gfn_t other_table(const struct soft_link *link)
{
	return link->to == SOFT_PT0 ? SOFT_TABLE_GFN + SOFT_PT1 : OTHER_GFN + link->to;
}

static void make_tables(struct soft_vm *vm)
{
	const struct soft_link *link;

	soft_guest_make_memory(vm, false, DATA_GFN, BITS);
	for (link = soft_links; link < soft_links + SOFT_NR_LINKS; link++)
		soft_vm_write(vm, OTHER_GFN + link->table, link->word,
			      soft_link_as(false, link, other_table(link), BITS));
}

static const enum soft_mode_id edited_modes[] = {
	SOFT_32BIT, SOFT_PAE, SOFT_4_LEVELS, SOFT_5_LEVELS,
};

static void edited_mode_desc(const enum soft_mode_id *id, char *desc)
{
	strscpy(desc, soft_modes[*id].name, KUNIT_PARAM_DESC_SIZE);
}

KUNIT_ARRAY_PARAM(edited_modes, edited_modes, edited_mode_desc);

/**
 * struct edited - a guest whose tables the VMM edits
 * @vm: the VM
 * @paging: of vCPU 1
 * @flush: what makes what is at gva 0 count
 */
struct edited {
	struct soft_vm *vm;
	struct soft_paging paging;
	void (*flush)(struct edited *e);
};

static void flush_by_invlpg(struct edited *e)
{
	soft_cpu_begin(e->vm->vcpu[1]);
	kvm_mmu_invlpg(e->vm->vcpu[1], soft_gva(e->paging.mode, 0));
	soft_cpu_end(e->vm->vcpu[1]);
}

static void flush_by_invpcid(struct edited *e)
{
	soft_cpu_begin(e->vm->vcpu[1]);
	kvm_mmu_invpcid_gva(e->vm->vcpu[1], soft_gva(e->paging.mode, 0), 0);
	soft_cpu_end(e->vm->vcpu[1]);
}

/* KVM_SET_SREGS does this. */
static void flush_by_vmm(struct edited *e)
{
	kvm_mmu_forget_tables(e->vm->kvm);
}

static struct edited new_edited(struct kunit *test, void (*flush)(struct edited *e))
{
	const enum soft_mode_id *id = test->param_value;
	struct edited e = {
		.paging = {
			.mode = &soft_modes[*id],
			.wp = true,
			.nx = true,
			.pse = true,
		},
		.flush = flush,
	};

	soft_vendor_load(test, SOFT_SHADOW);
	e.vm = soft_vm_create(test, 2, soft_memory_create(test, NR_PAGES));
	make_tables(e.vm);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(e.vm, 0, 0, NR_PAGES, 0, 0));
	soft_guest_begin_paging(e.vm, &e.paging);
	return e;
}

static u64 page_at(struct edited *e, unsigned int n)
{
	return soft_guest_page_at(e->vm, &e->paging, n);
}

/* Of the second word: the first one is the page's name. */
static int end_at_0(struct edited *e, bool write)
{
	struct soft_access access = {
		.addr = soft_gva(e->paging.mode, 0) + sizeof(u64),
		.write = write,
	};

	return soft_cpu_run(e->vm->vcpu[1], &access);
}

static void edit(struct edited *e, enum soft_table table, unsigned int word,
		 gfn_t gfn, u64 bits)
{
	soft_vm_write(e->vm, SOFT_TABLE_GFN + table, word,
		      soft_gpte(gfn, BITS | bits));
	e->flush(e);
}

static void unlink_at(struct edited *e, enum soft_table table, unsigned int word)
{
	soft_vm_write(e->vm, SOFT_TABLE_GFN + table, word, 0);
	e->flush(e);
	KUNIT_EXPECT_EQ(e->vm->test, end_at_0(e, false), SOFT_FAULT);
}

/* Away, to the other process' tables, which have PT1 in place of PT0, and back. */
static void edit_link(struct edited *e, const struct soft_link *link)
{
	struct kunit *test = e->vm->test;

	edit(e, link->table, link->word, other_table(link), 0);
	KUNIT_EXPECT_EQ(test, page_at(e, 0), DATA_GFN + SOFT_PT_ENTRIES);
	edit(e, link->table, link->word, SOFT_TABLE_GFN + link->to, 0);
	KUNIT_EXPECT_EQ(test, page_at(e, 0), DATA_GFN);
	unlink_at(e, link->table, link->word);
	edit(e, link->table, link->word, SOFT_TABLE_GFN + link->to, 0);
	KUNIT_EXPECT_EQ(test, page_at(e, 0), DATA_GFN);
}

static void edit_pte(struct edited *e)
{
	const gfn_t no_slot = 2 * NR_PAGES;

	edit(e, SOFT_PT0, soft_pt_word(0), DATA_GFN + 7, 0);
	KUNIT_EXPECT_EQ(e->vm->test, page_at(e, 0), DATA_GFN + 7);
	unlink_at(e, SOFT_PT0, soft_pt_word(0));
	edit(e, SOFT_PT0, soft_pt_word(0), no_slot, 0);
	KUNIT_EXPECT_EQ(e->vm->test, end_at_0(e, false), SOFT_MMIO);
	edit(e, SOFT_PT0, soft_pt_word(0), DATA_GFN, 0);
	KUNIT_EXPECT_EQ(e->vm->test, page_at(e, 0), DATA_GFN);
}

/* The PT becomes a large page, whose rights change, and a PT again. */
static void edit_large(struct edited *e)
{
	const struct soft_link *link = &soft_links[SOFT_LINK_OF_PT0];
	const u64 pages = BIT_ULL(soft_level_shift(e->paging.mode, 2) - PAGE_SHIFT);
	const u64 page = (soft_gva(e->paging.mode, 0) >> PAGE_SHIFT) & (pages - 1);
	struct kunit *test = e->vm->test;

	edit(e, link->table, link->word, 0, LARGE);
	KUNIT_EXPECT_EQ(test, page_at(e, 0), page);
	KUNIT_EXPECT_EQ(test, end_at_0(e, true), SOFT_RAM);
	soft_vm_write(e->vm, SOFT_TABLE_GFN + link->table, link->word,
		      soft_gpte(0, (BITS & ~WRITABLE) | LARGE));
	e->flush(e);
	KUNIT_EXPECT_EQ(test, end_at_0(e, true), SOFT_FAULT);
	edit(e, link->table, link->word, SOFT_TABLE_GFN + link->to, 0);
	KUNIT_EXPECT_EQ(test, page_at(e, 0), DATA_GFN);
}

/* PDPTEs of PAE are registers. */
static bool is_used(const struct soft_mode *mode, const struct soft_link *link)
{
	return link->table >= mode->root && link->table != SOFT_PDPTES;
}

static void test_edits(struct kunit *test, void (*flush)(struct edited *e))
{
	struct edited e = new_edited(test, flush);
	int i;

	KUNIT_EXPECT_EQ(test, page_at(&e, 0), DATA_GFN);
	edit_pte(&e);
	for (i = 0; i <= SOFT_LINK_OF_PT0; i++) {
		if (is_used(e.paging.mode, &soft_links[i]))
			edit_link(&e, &soft_links[i]);
	}
	edit_large(&e);
}

static void soft_test_vmm_edits_invlpg(struct kunit *test)
{
	test_edits(test, flush_by_invlpg);
}

static void soft_test_vmm_edits_invpcid(struct kunit *test)
{
	test_edits(test, flush_by_invpcid);
}

static void soft_test_vmm_edits_sregs(struct kunit *test)
{
	test_edits(test, flush_by_vmm);
}

static const struct soft_link *first_link(const struct soft_mode *mode)
{
	const struct soft_link *link = soft_links;

	while (!is_used(mode, link))
		link++;
	return link;
}

/* Tables that the guest has left count as well; no other table leads to them. */
static void soft_test_vmm_edits_left(struct kunit *test)
{
	struct edited e = new_edited(test, flush_by_invlpg);
	const struct soft_link *link = first_link(e.paging.mode);
	const gfn_t here = SOFT_TABLE_GFN + link->to, other = other_table(link);

	edit(&e, link->table, link->word, other, 0);
	KUNIT_EXPECT_EQ(test, page_at(&e, 1), DATA_GFN + SOFT_PT_ENTRIES + 1);
	edit(&e, link->table, link->word, here, 0);
	KUNIT_EXPECT_EQ(test, page_at(&e, 1), DATA_GFN + 1);

	soft_vm_write(e.vm, SOFT_TABLE_GFN + SOFT_PT1, soft_pt_word(1),
		      soft_gpte(DATA_GFN + 7, BITS));
	flush_by_vmm(&e);
	edit(&e, link->table, link->word, other, 0);
	/* Its fault makes the links, so that the next access needs none. */
	KUNIT_EXPECT_EQ(test, page_at(&e, 0), DATA_GFN + SOFT_PT_ENTRIES);
	KUNIT_EXPECT_EQ(test, page_at(&e, 1), DATA_GFN + 7);
}

/* What has not changed stays mapped, for its own gva and for its neighbours'. */
static void soft_test_invlpg_keeps(struct kunit *test)
{
	struct edited e = new_edited(test, flush_by_invlpg);
	u64 exits;

	KUNIT_EXPECT_EQ(test, page_at(&e, 0), DATA_GFN);
	KUNIT_EXPECT_EQ(test, page_at(&e, 20), DATA_GFN + 20);
	exits = to_soft_vcpu(e.vm->vcpu[1])->exits;
	flush_by_invlpg(&e);
	KUNIT_EXPECT_EQ(test, page_at(&e, 0), DATA_GFN);
	KUNIT_EXPECT_EQ(test, page_at(&e, 20), DATA_GFN + 20);
	KUNIT_EXPECT_EQ(test, to_soft_vcpu(e.vm->vcpu[1])->exits, exits);
}

static struct kunit_case edit_cases[] = {
	KUNIT_CASE_PARAM(soft_test_vmm_edits_invlpg, edited_modes_gen_params),
	KUNIT_CASE_PARAM(soft_test_vmm_edits_invpcid, edited_modes_gen_params),
	KUNIT_CASE_PARAM(soft_test_vmm_edits_sregs, edited_modes_gen_params),
	KUNIT_CASE_PARAM(soft_test_vmm_edits_left, edited_modes_gen_params),
	KUNIT_CASE_PARAM(soft_test_invlpg_keeps, edited_modes_gen_params),
	{}
};

static struct kunit_suite edit_suite = {
	.name = "kvm_soft_edit",
	.test_cases = edit_cases,
};

kunit_test_suite(edit_suite);
