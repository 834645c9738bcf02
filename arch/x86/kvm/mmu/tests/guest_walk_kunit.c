// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks of guest page tables: random tables against an oracle
 * (guest_walk_oracle.h), for every format and for one that no CPU knows; and
 * what random tables do not reach.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/srcu.h>
#include <linux/uaccess.h>

#include "../guest_walk.h"
#include "../guest_walk_alg.h"
#include "guest_walk_vm.h"

/* Nothing is where a CPU has it, and a table has 32 entries. */
static const struct guest_fmt guest_fmt_fake = {
	.entry_size	= sizeof(u64),
	.level_bits	= 5,
	.max_level	= 3,

	.present	= BIT_ULL(62),
	.write		= BIT_ULL(60),
	.user		= BIT_ULL(57),
	.exec		= BIT_ULL(54),
	.forbid		= BIT_ULL(54),
	.accessed	= BIT_ULL(52),
	.dirty		= BIT_ULL(50),
	.huge		= BIT_ULL(9),

	.addr		= GENMASK_ULL(47, 12),
	.pkey		= GENMASK_ULL(6, 3),
	.pkey_shift	= 3,
};

static const struct gwo_fmt gwo_fake = {
	.bytes = 8, .index_bits = 5, .addr_end = 48, .pkey = 3,
	.p = 62, .w = 60, .u = 57, .x = -1, .nx = 54, .a = 52, .d = 50, .ps = 9,
};

static const struct gwo_fmt gwo_32 = {
	.bytes = 4, .index_bits = 10, .addr_end = 32, .pkey = -1, .pse36 = true,
	.p = 0, .w = 1, .u = 2, .x = -1, .nx = -1, .a = 5, .d = 6, .ps = 7,
};

static const struct gwo_fmt gwo_64 = {
	.bytes = 8, .index_bits = 9, .addr_end = 52, .pkey = 59,
	.p = 0, .w = 1, .u = 2, .x = -1, .nx = 63, .a = 5, .d = 6, .ps = 7,
};

static const struct gwo_fmt gwo_ept = {
	.bytes = 8, .index_bits = 9, .addr_end = 52, .pkey = -1, .ept = true,
	.p = -1, .w = 1, .u = 0, .x = 2, .nx = -1, .a = 8, .d = 9, .ps = 7,
};

static const struct walk_mode walk_modes[] = {
	{ "fake", &gwo_fake, NULL, 3 },
	{ "32-bit", &gwo_32, guest_gva_to_gpa_32, 2, .ps_off = true },
	{ "32-bit PSE", &gwo_32, guest_gva_to_gpa_32, 2 },
	{ "PAE", &gwo_64, guest_gva_to_gpa_64, 3, .pae = true },
	{ "4-level", &gwo_64, guest_gva_to_gpa_64, 4 },
	{ "5-level", &gwo_64, guest_gva_to_gpa_64, 5 },
	{ "EPT", &gwo_ept, guest_gva_to_gpa_ept, 4 },
	{ "EPT 5-level", &gwo_ept, guest_gva_to_gpa_ept, 5 },
	{ "EPT without A/D", &gwo_ept, guest_gva_to_gpa_ept, 4, .no_ad = true },
};

KUNIT_ARRAY_PARAM_DESC(walk_modes, walk_modes, name);

static noinline bool fake_walk(struct guest_walk *walk, struct kvm_vcpu *vcpu,
			       struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	return guest_walk_fmt(&guest_fmt_fake, walk, vcpu, mmu, addr, access);
}

static bool any_walk(struct walk_test *t, struct guest_walk *walk, gpa_t addr,
		     u64 access)
{
	int idx = srcu_read_lock(&t->kvm->srcu);
	bool ok;

	if (t->mmu->gva_to_gpa)
		ok = guest_walk(walk, t->vcpu, t->mmu, addr, access);
	else
		ok = fake_walk(walk, t->vcpu, t->mmu, addr, access);
	srcu_read_unlock(&t->kvm->srcu, idx);
	return ok;
}

/* Of EPT the MMU is the one that shadows L1's tables, and no other. */
static struct kvm_mmu *test_mmu(struct walk_test *t, const struct walk_mode *mode)
{
	return mode->fmt->ept ? &t->vcpu->arch.guest_mmu : &t->vcpu->arch.root_mmu;
}

/* Random tables */

static void test_expect_fault(struct kunit *test, const struct guest_walk *walk,
			      const struct gwo_result *want, gpa_t addr)
{
	struct walk_test *t = test->priv;
	const struct x86_exception *fault = &walk->fault;
	const bool nested = t->mmu != t->vcpu->arch.walk_mmu;

	KUNIT_EXPECT_EQ(test, fault->vector, PF_VECTOR);
	KUNIT_EXPECT_TRUE(test, fault->error_code_valid);
	KUNIT_EXPECT_EQ(test, fault->error_code, want->errcode);
	KUNIT_EXPECT_EQ(test, fault->exit_qualification, want->qualification);
	KUNIT_EXPECT_EQ(test, fault->address, addr);
	KUNIT_EXPECT_EQ(test, fault->nested_page_fault, nested);
	KUNIT_EXPECT_FALSE(test, fault->async_page_fault);
}

static void test_expect_page(struct kunit *test, const struct guest_walk *walk,
			     const struct gwo_result *want)
{
	struct walk_test *t = test->priv;
	const struct gwo_fmt *fmt = t->guest.fmt;
	const u64 ad = BIT_ULL(fmt->a) | BIT_ULL(fmt->d);
	const struct gwo_step *s;
	int i;

	KUNIT_EXPECT_EQ(test, walk->gfn, want->gfn);
	KUNIT_EXPECT_EQ(test, walk->access, want->access);
	KUNIT_EXPECT_EQ(test, walk->level, want->level);
	KUNIT_EXPECT_EQ(test, walk->top_level, want->top);

	for (i = want->level - 1; i < want->top; i++) {
		s = &want->step[i];
		KUNIT_EXPECT_EQ(test, walk->table_gfn[i], s->gfn);
		KUNIT_EXPECT_EQ(test, walk->gpte_gpa[i],
				gfn_to_gpa(s->gfn) + s->index * fmt->bytes);
		KUNIT_EXPECT_EQ(test, walk->gpte[i] & ~ad, s->entry & ~ad);
		KUNIT_EXPECT_EQ(test, walk->table_access[i], s->access);
		KUNIT_EXPECT_EQ(test, walk->gpte_writable[i],
				gwo_in(s->gfn, GWO_RAM));
	}
}

static u64 test_random_access(struct walk_test *t)
{
	u64 access = prandom_u32_state(&t->rnd);

	if (!t->guest.fmt->ept)
		return access & (PFERR_WRITE_MASK | PFERR_USER_MASK |
				 PFERR_FETCH_MASK);
	if (gwo_one_in(&t->rnd, 4))
		return PFERR_USER_MASK | PFERR_WRITE_MASK | PFERR_GUEST_PAGE_MASK;
	return PFERR_USER_MASK | PFERR_GUEST_FINAL_MASK |
	       (access & (PFERR_WRITE_MASK | PFERR_FETCH_MASK));
}

static bool test_one_walk(struct kunit *test)
{
	struct walk_test *t = test->priv;
	const u64 access = test_random_access(t);
	struct gwo_result want;
	struct guest_walk walk;
	gpa_t addr = gwo_random_u64(&t->rnd);
	bool ok;

	if (t->guest.pae || t->guest.fmt->bytes == 4)
		addr = lower_32_bits(addr);

	gwo_walk(&t->guest, addr, access, &want);
	ok = any_walk(t, &walk, addr, access);

	KUNIT_ASSERT_EQ_MSG(test, ok, want.ok, "address %llx, access %llx", addr,
			    access);
	if (ok)
		test_expect_page(test, &walk, &want);
	else
		test_expect_fault(test, &walk, &want, addr);
	return ok;
}

static void guest_walk_random(struct kunit *test)
{
	const struct walk_mode *mode = test->param_value;
	struct walk_test *t = test->priv;
	int round, i, nr_ok = 0;

	walk_test_setup_mmu(t, mode, test_mmu(t, mode));
	for (round = 0; round < 100; round++) {
		walk_test_load(test);
		for (i = 0; i < 50; i++)
			nr_ok += test_one_walk(test);
		walk_test_expect_memory(test);
		cond_resched();
	}
	/* The tables are not so bad that nothing is tested but faults. */
	KUNIT_EXPECT_GT(test, nr_ok, 250);
	KUNIT_EXPECT_LT(test, nr_ok, 4750);
}

static void guest_decode_random(struct kunit *test)
{
	const struct walk_mode *mode = test->param_value;
	struct walk_test *t = test->priv;
	struct gwo *guest = &t->guest;
	struct guest_leaf leaf;
	unsigned int access;
	bool ok, want;
	u64 gpte;
	int i;

	walk_test_setup_mmu(t, mode, test_mmu(t, mode));
	for (i = 0; i < 5000; i++) {
		if (i % 100 == 0)
			walk_test_load(test);
		gpte = gwo_random_entry(guest, &t->rnd);
		if (mode->fmt->bytes == 4)
			gpte = lower_32_bits(gpte);

		want = gwo_present(guest, gpte) && !gwo_reserved(guest, gpte, 1) &&
		       (!guest->has_ad || gwo_bit(gpte, mode->fmt->a));
		if (mode->gva_to_gpa)
			ok = guest_decode_leaf(t->mmu, gpte, i % 8, &leaf);
		else
			ok = guest_decode_leaf_fmt(&guest_fmt_fake, t->mmu, gpte,
						   i % 8, &leaf);
		KUNIT_ASSERT_EQ(test, ok, want);
		if (!ok)
			continue;

		access = gwo_access(guest, gpte) & (i % 8);
		if (guest->has_ad && !gwo_bit(gpte, mode->fmt->d))
			access &= ~ACC_WRITE_MASK;
		KUNIT_EXPECT_EQ(test, leaf.gfn, gwo_gfn(guest, gpte));
		KUNIT_EXPECT_EQ(test, leaf.access, access);
	}
}

/* Tables by hand: 4 levels, in pages 0 to 3, entry 0 of each; page 4 mapped */

#define MODE_4_LEVEL	(&walk_modes[4])
#define MODE_EPT	(&walk_modes[6])

#define PT_PWU		(PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_USER_MASK)
#define USER_READ		PFERR_USER_MASK
#define USER_WRITE		(PFERR_USER_MASK | PFERR_WRITE_MASK)

static u64 test_entry(gfn_t gfn, u64 bits)
{
	return gfn_to_gpa(gfn) | bits;
}

static void test_map_by_hand(struct kunit *test, gfn_t ram, u64 bits)
{
	struct walk_test *t = test->priv;
	int page;

	t->vcpu->arch.cr3 = gfn_to_gpa(ram);
	for (page = 0; page < 4; page++)
		walk_test_put_gpte(test, page, 0, test_entry(ram + page + 1, bits));
}

/* A root whose entry is its own: table on all levels, and page. */
static void guest_walk_loop(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;
	int i;

	walk_test_setup_mmu(t, MODE_4_LEVEL, &t->vcpu->arch.root_mmu);
	t->vcpu->arch.cr3 = gfn_to_gpa(GWO_RAM);
	walk_test_put_gpte(test, 0, 0, test_entry(GWO_RAM, PT_PWU));

	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_WRITE));
	KUNIT_EXPECT_EQ(test, walk.gfn, GWO_RAM);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, walk.table_gfn[i], GWO_RAM);
	KUNIT_EXPECT_EQ(test, walk_test_get_gpte(test, 0, 0),
			test_entry(GWO_RAM,
				   PT_PWU | PT_ACCESSED_MASK | PT_DIRTY_MASK));
}

static void guest_walk_pse36(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;

	walk_test_setup_mmu(t, &walk_modes[2], &t->vcpu->arch.root_mmu);
	t->vcpu->arch.cr3 = gfn_to_gpa(GWO_RAM);
	/* A is set in both 4-byte gPTEs of the word. */
	walk_test_put_gpte(test, 0, 0, 0x00c0a0a7 | 0x00c1e0a7ULL << 32);

	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x00123456, USER_READ));
	KUNIT_EXPECT_EQ(test, walk.level, PG_LEVEL_2M);
	KUNIT_EXPECT_EQ(test, walk.gfn, 0x500d23);
	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x00523456, USER_READ));
	KUNIT_EXPECT_EQ(test, walk.gfn, 0xf00d23);
	KUNIT_EXPECT_EQ(test, walk.access, ACC_USER_MASK | ACC_EXEC_MASK);
}

static void test_setup_nested(struct kunit *test)
{
	struct walk_test *t = test->priv;

	walk_test_setup_mmu(t, MODE_4_LEVEL, &t->vcpu->arch.nested_mmu);
	walk_test_nest(t);
	test_map_by_hand(test, L2_RAM, PT_PWU);
}

/* L2's tables are translated by L1's, and the right page is dirty. */
static void guest_walk_nested(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;
	int i;

	test_setup_nested(test);
	t->guest.dirty = GENMASK(3, 0);

	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_WRITE));
	KUNIT_EXPECT_EQ(test, walk.gfn, GWO_RAM + 4);
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, walk.table_gfn[i], GWO_RAM + 3 - i);

	KUNIT_EXPECT_EQ(test, t->l1.table_access, USER_WRITE | PFERR_GUEST_PAGE_MASK);
	KUNIT_EXPECT_EQ(test, t->l1.final_access, USER_WRITE | PFERR_GUEST_FINAL_MASK);
	KUNIT_ASSERT_EQ(test, 0, copy_from_user(t->guest.image,
						(void __user *)t->hva,
						GUEST_BYTES));
	walk_test_expect_memory(test);
}

/* L1's fault is handed on as it is. */
static void guest_walk_nested_refused(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct x86_exception fault = {};
	struct guest_walk walk;
	int idx;

	test_setup_nested(test);

	t->l1.refused = gfn_to_gpa(L2_RAM + 2);
	KUNIT_ASSERT_FALSE(test, any_walk(t, &walk, 0x123, USER_READ));
	KUNIT_EXPECT_EQ(test, walk.fault.address, t->l1.refused);
	KUNIT_EXPECT_EQ(test, walk.fault.vector, 0);

	t->l1.refused = gfn_to_gpa(L2_RAM + 4);
	idx = srcu_read_lock(&t->kvm->srcu);
	KUNIT_EXPECT_EQ(test, INVALID_GPA,
			guest_gva_to_gpa_64(t->vcpu, t->mmu, 0x123, USER_READ, &fault));
	KUNIT_EXPECT_EQ(test, fault.address, t->l1.refused);
	KUNIT_EXPECT_EQ(test, INVALID_GPA,
			guest_gva_to_gpa_64(t->vcpu, t->mmu, 0x123, USER_READ, NULL));
	KUNIT_EXPECT_EQ(test, INVALID_GPA,
			guest_gva_to_gpa_none(t->vcpu, t->mmu, t->l1.refused, USER_READ,
					      &fault));
	t->l1.refused = 0;
	KUNIT_EXPECT_EQ(test, gfn_to_gpa(GWO_RAM + 4) + 0x123,
			guest_gva_to_gpa_64(t->vcpu, t->mmu, 0x123, USER_READ, NULL));
	srcu_read_unlock(&t->kvm->srcu, idx);
}

/* The guest changes the leaf after it was read: A goes to what stands there. */
static void guest_walk_race(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;

	test_setup_nested(test);
	t->l1.race_gpte = test_entry(L2_RAM + 5, PT_PWU);

	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_READ));
	KUNIT_EXPECT_EQ(test, walk.gfn, GWO_RAM + 5);
	KUNIT_EXPECT_EQ(test, walk.access, ACC_EXEC_MASK | ACC_USER_MASK);
	KUNIT_EXPECT_EQ(test, walk.gpte[0],
			test_entry(L2_RAM + 5, PT_PWU | PT_ACCESSED_MASK));
	KUNIT_EXPECT_EQ(test, walk_test_get_gpte(test, 3, 0), walk.gpte[0]);
	/* As often as it loses; what is preempted in any case need not yield. */
	if (!IS_ENABLED(CONFIG_PREEMPT))
		KUNIT_EXPECT_TRUE(test, t->l1.rescheduled);
}

/* D of EPT is logged once; if L1's log is full it stays clear. */
static void guest_walk_pml(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;
	u64 leaf = test_entry(GWO_RAM + 4, VMX_EPT_RWX_MASK);

	walk_test_setup_mmu(t, MODE_EPT, &t->vcpu->arch.guest_mmu);
	test_map_by_hand(test, GWO_RAM, VMX_EPT_RWX_MASK);

	t->l1.log_full = true;
	KUNIT_ASSERT_FALSE(test, any_walk(t, &walk, 0x123, USER_WRITE));
	KUNIT_EXPECT_EQ(test, walk.fault.error_code, USER_WRITE);
	KUNIT_EXPECT_EQ(test, t->l1.logged, 1);
	KUNIT_EXPECT_EQ(test, walk_test_get_gpte(test, 3, 0), leaf);

	t->l1.log_full = false;
	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_WRITE));
	KUNIT_EXPECT_EQ(test, t->l1.logged, 2);
	leaf |= VMX_EPT_ACCESS_BIT | VMX_EPT_DIRTY_BIT;
	KUNIT_EXPECT_EQ(test, walk_test_get_gpte(test, 3, 0), leaf);

	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_WRITE));
	KUNIT_EXPECT_EQ(test, t->l1.logged, 2);
	KUNIT_EXPECT_EQ(test, walk.gpte[0], leaf);
}

static void guest_walk_gpte_changed(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct guest_walk walk;
	int idx;

	walk_test_setup_mmu(t, MODE_4_LEVEL, &t->vcpu->arch.root_mmu);
	test_map_by_hand(test, GWO_RAM, PT_PWU);
	KUNIT_ASSERT_TRUE(test, any_walk(t, &walk, 0x123, USER_WRITE));

	idx = srcu_read_lock(&t->kvm->srcu);
	KUNIT_EXPECT_FALSE(test, guest_gpte_changed(t->vcpu, &walk, 1));
	KUNIT_EXPECT_FALSE(test, guest_gpte_changed(t->vcpu, &walk, 4));
	walk_test_put_gpte(test, 0, 0, test_entry(GWO_RAM + 1, PT_PWU));
	KUNIT_EXPECT_FALSE(test, guest_gpte_changed(t->vcpu, &walk, 1));
	KUNIT_EXPECT_TRUE(test, guest_gpte_changed(t->vcpu, &walk, 4));
	walk.gpte_gpa[0] = gfn_to_gpa(GWO_NONE);
	KUNIT_EXPECT_TRUE(test, guest_gpte_changed(t->vcpu, &walk, 1));
	srcu_read_unlock(&t->kvm->srcu, idx);
}

static void guest_read_gptes_sizes(struct kunit *test)
{
	struct walk_test *t = test->priv;
	const gpa_t gpa = gfn_to_gpa(GWO_RAM + 1);
	u64 gpte[4];
	int i, idx;

	for (i = 0; i < 4; i++)
		walk_test_put_gpte(test, 1, i, (2ULL * i + 1) << 32 | 2 * i);

	idx = srcu_read_lock(&t->kvm->srcu);
	walk_test_setup_mmu(t, MODE_4_LEVEL, &t->vcpu->arch.root_mmu);
	KUNIT_EXPECT_EQ(test, 0, guest_read_gptes(t->vcpu, gpa, gpte, 4));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, gpte[i], (2ULL * i + 1) << 32 | 2 * i);

	walk_test_setup_mmu(t, &walk_modes[1], &t->vcpu->arch.root_mmu);
	KUNIT_EXPECT_EQ(test, 0, guest_read_gptes(t->vcpu, gpa + 4, gpte, 4));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, gpte[i], i + 1);

	KUNIT_EXPECT_EQ(test, -EFAULT,
			guest_read_gptes(t->vcpu, gfn_to_gpa(GWO_HOLE), gpte, 4));
	srcu_read_unlock(&t->kvm->srcu, idx);
}

static struct kunit_case guest_walk_test_cases[] = {
	KUNIT_CASE_PARAM(guest_walk_random, walk_modes_gen_params),
	KUNIT_CASE_PARAM(guest_decode_random, walk_modes_gen_params),
	KUNIT_CASE(guest_walk_loop),
	KUNIT_CASE(guest_walk_pse36),
	KUNIT_CASE(guest_walk_nested),
	KUNIT_CASE(guest_walk_nested_refused),
	KUNIT_CASE(guest_walk_race),
	KUNIT_CASE(guest_walk_pml),
	KUNIT_CASE(guest_walk_gpte_changed),
	KUNIT_CASE(guest_read_gptes_sizes),
	{}
};

static struct kunit_suite guest_walk_test_suite = {
	.name = "kvm_guest_walk",
	.init = walk_test_init,
	.test_cases = guest_walk_test_cases,
};

kunit_test_suite(guest_walk_test_suite);
