// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks over shadow paging's tables, and what a walk without lock may believe:
 *
 *  - the role of a child, over all roles and indices, against one that is put
 *    together from the addresses that parent and child translate;
 *  - walks over tables made by hand, for every kind of root;
 *  - the gfn of an entry, of direct and of indirect pages.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/atomic.h>
#include <linux/gfp.h>
#include <linux/irqflags.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/sizes.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/shadow_internal.h"
#include "mmu/shadow_walk.h"
#include "test_vm.h"

static void table_free(void *table)
{
	free_page((unsigned long)table);
}

/* A table, empty, that goes with the test. */
static u64 *table_create(struct kunit *test)
{
	unsigned long table = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NE(test, table, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, table_free,
							   (void *)table));
	return (u64 *)table;
}

/* A shadow page that nobody knows; it and its tables go with the test. */
static struct kvm_mmu_page *sp_create(struct kunit *test,
				      union kvm_mmu_page_role role, gfn_t gfn)
{
	struct kvm_mmu_page *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->role = role;
	sp->gfn = gfn;
	sp->state = SP_ACTIVE;
	sp->spt = table_create(test);
	if (!role.direct)
		sp->translation = table_create(test);
	set_page_private(virt_to_page(sp->spt), (unsigned long)sp);

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		sp->spt[i] = SPTE_NONE;
	return sp;
}

static struct kvm_vcpu *vcpu_create(struct kunit *test, struct kvm *kvm)
{
	struct kvm_vcpu *vcpu = kvm_test_create_vcpu(test, kvm);

	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	return vcpu;
}

/* The role of a child. */

/* A table's place: its level, and for 4-byte gPTEs which quarter of 4G. */
struct role_shape {
	int level;
	bool has_4_byte_gpte;
	int quadrant;
};

static const struct role_shape role_shapes[] = {
	{ .level = 2 },
	{ .level = 3 },
	{ .level = 4 },
	{ .level = 5 },
	{ .level = 2, .has_4_byte_gpte = true, .quadrant = 0 },
	{ .level = 2, .has_4_byte_gpte = true, .quadrant = 1 },
	{ .level = 2, .has_4_byte_gpte = true, .quadrant = 2 },
	{ .level = 2, .has_4_byte_gpte = true, .quadrant = 3 },
};

/* What a role has beside its shape. */
#define NR_ROLE_BITS	12

static union kvm_mmu_page_role role_nr(const struct role_shape *shape,
				       unsigned int bits)
{
	return (union kvm_mmu_page_role) {
		.level = shape->level,
		.has_4_byte_gpte = shape->has_4_byte_gpte,
		.quadrant = shape->quadrant,
		.access = bits & 7,
		.direct = !!(bits & BIT(3)),
		.passthrough = !!(bits & BIT(4)),
		.efer_nx = !!(bits & BIT(5)),
		.cr0_wp = !!(bits & BIT(6)),
		.smep_andnot_wp = !!(bits & BIT(7)),
		.smap_andnot_wp = !!(bits & BIT(8)),
		.ad_disabled = !!(bits & BIT(9)),
		.guest_mode = !!(bits & BIT(10)),
		.smm = !!(bits & BIT(11)),
	};
}

/*
 * A table of 4-byte gPTEs translates 4M: the child is for the half of them that
 * its address is in.  The modes are the whole tree's.
 */
static union kvm_mmu_page_role model_child_role(union kvm_mmu_page_role parent,
						int index, bool direct,
						unsigned int access)
{
	const u64 addr = (u64)parent.quadrant * SZ_1G + (u64)index * SZ_2M;

	return (union kvm_mmu_page_role) {
		.level = parent.level - 1,
		.direct = direct,
		.access = access,
		.has_4_byte_gpte = parent.has_4_byte_gpte,
		.quadrant = parent.has_4_byte_gpte ? addr % SZ_4M / SZ_2M : 0,
		.efer_nx = parent.efer_nx,
		.cr0_wp = parent.cr0_wp,
		.smep_andnot_wp = parent.smep_andnot_wp,
		.smap_andnot_wp = parent.smap_andnot_wp,
		.ad_disabled = parent.ad_disabled,
		.guest_mode = parent.guest_mode,
		.smm = parent.smm,
	};
}

/* All children of one entry; how many are wrong. */
static unsigned int count_wrong_roles(const struct kvm_mmu_page *sp, int index)
{
	union kvm_mmu_page_role role, model;
	unsigned int access, wrong = 0;
	int direct;

	for (access = 0; access <= ACC_ALL; access++) {
		for (direct = 0; direct <= 1; direct++) {
			role = shadow_child_role(sp, index, direct, access);
			model = model_child_role(sp->role, index, direct, access);
			wrong += role.word != model.word;
		}
	}
	return wrong;
}

static void child_role_of_all_roles(struct kunit *test)
{
	struct kvm_mmu_page *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	unsigned int shape, bits, wrong = 0;
	int index;

	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->state = SP_ACTIVE;

	for (shape = 0; shape < ARRAY_SIZE(role_shapes); shape++) {
		for (bits = 0; bits < BIT(NR_ROLE_BITS); bits++) {
			sp->role = role_nr(&role_shapes[shape], bits);
			index = bits * 37 % SPTE_ENT_PER_PAGE;
			wrong += count_wrong_roles(sp, index);
			wrong += count_wrong_roles(sp, index ^ 1);
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

static void child_role_at_all_indices(struct kunit *test)
{
	struct kvm_mmu_page *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	unsigned int shape, wrong = 0;
	int index;

	KUNIT_ASSERT_NOT_NULL(test, sp);
	sp->state = SP_ACTIVE;

	for (shape = 0; shape < ARRAY_SIZE(role_shapes); shape++) {
		for (index = 0; index < SPTE_ENT_PER_PAGE; index++) {
			sp->role = role_nr(&role_shapes[shape], 0);
			wrong += count_wrong_roles(sp, index);
			sp->role = role_nr(&role_shapes[shape],
					   BIT(NR_ROLE_BITS) - 1);
			wrong += count_wrong_roles(sp, index);
		}
	}
	KUNIT_EXPECT_EQ(test, wrong, 0);
}

/* Walks. */

/**
 * struct root_kind - what decides how a walk begins
 * @name: for the test's report
 * @level: of KVM's root
 * @guest_level: of the guest's, 0 without paging
 * @pae: the walk begins below pae_root
 * @top: the level that it begins at
 */
struct root_kind {
	const char *name;
	int level;
	int guest_level;
	bool pae;
	int top;
};

static const struct root_kind root_kinds[] = {
	{ "4-level", .level = 4, .guest_level = 4, .top = 4 },
	{ "5-level", .level = 5, .guest_level = 5, .top = 5 },
	{ "4-level guest, 5-level root", .level = 5, .guest_level = 4, .top = 5 },
	{ "no paging", .level = 3, .pae = true, .top = 2 },
	{ "32-bit", .level = 3, .guest_level = 2, .pae = true, .top = 2 },
	{ "PAE", .level = 3, .guest_level = 3, .pae = true, .top = 2 },
	{ "32-bit below PML4", .level = 4, .guest_level = 2, .pae = true, .top = 2 },
	{ "PAE below PML4", .level = 4, .guest_level = 3, .pae = true, .top = 2 },
	{ "32-bit below PML5", .level = 5, .guest_level = 2, .pae = true, .top = 2 },
	{ "PAE below PML5", .level = 5, .guest_level = 3, .pae = true, .top = 2 },
};

KUNIT_ARRAY_PARAM_DESC(root_kinds, root_kinds, name);

/* The path of one address, by level; [0] is unused. */
struct test_path {
	struct kvm_vcpu *vcpu;
	u64 addr;
	u64 *table[PT64_ROOT_MAX_LEVEL + 1];
	int index[PT64_ROOT_MAX_LEVEL + 1];
};

/* An index, by division. */
static int model_index(u64 addr, int level)
{
	u64 page = addr / PAGE_SIZE;

	while (--level)
		page /= SPTE_ENT_PER_PAGE;
	return page % SPTE_ENT_PER_PAGE;
}

static u64 *path_sptep(const struct test_path *path, int level)
{
	return &path->table[level][path->index[level]];
}

/* Tables down to level 1, that translate nothing but @addr. */
static struct test_path *path_create(struct kunit *test,
				     const struct root_kind *kind, u64 addr)
{
	struct test_path *path = kunit_kzalloc(test, sizeof(*path), GFP_KERNEL);
	struct kvm_mmu *mmu;
	int level;

	KUNIT_ASSERT_NOT_NULL(test, path);
	path->vcpu = vcpu_create(test, NULL);
	path->addr = addr;

	for (level = 1; level <= kind->top; level++) {
		path->table[level] = table_create(test);
		path->index[level] = model_index(addr, level);
		if (level > 1)
			*path_sptep(path, level) = SPTE_PRESENT |
						   __pa(path->table[level - 1]);
	}

	mmu = path->vcpu->arch.mmu;
	mmu->root_role.level = kind->level;
	mmu->cpu_role.base.level = kind->guest_level;
	mmu->root.hpa = __pa(path->table[kind->top]);
	if (kind->pae) {
		mmu->pae_root = table_create(test);
		mmu->pae_root[addr / SZ_1G % 4] = PT_PRESENT_MASK | mmu->root.hpa;
		mmu->root.hpa = __pa(table_create(test));
	}
	return path;
}

/* An address that the guest's tables can translate. */
static u64 random_addr(struct rnd_state *rnd, const struct root_kind *kind)
{
	const u64 addr = (u64)prandom_u32_state(rnd) << 32 | prandom_u32_state(rnd);
	const int bits = kind->pae ? 32 : 12 + 9 * kind->level;

	return addr & GENMASK_ULL(bits - 1, 0);
}

/* The walk goes down the path, and ends after level @last. */
static void expect_walk(struct kunit *test, const struct test_path *path, int top,
			int last)
{
	struct kvm_vcpu *vcpu = path->vcpu;
	struct shadow_iter iter;
	int level;

	shadow_iter_start(&iter, vcpu, vcpu->arch.mmu->root.hpa, path->addr);
	for (level = top; level >= last; level--) {
		KUNIT_ASSERT_TRUE(test, shadow_iter_ok(&iter));
		KUNIT_EXPECT_EQ(test, iter.level, level);
		KUNIT_EXPECT_EQ(test, iter.index, path->index[level]);
		KUNIT_EXPECT_EQ(test, iter.table, __pa(path->table[level]));
		KUNIT_EXPECT_PTR_EQ(test, iter.sptep, path_sptep(path, level));
		shadow_iter_next(&iter, *iter.sptep);
	}
	KUNIT_EXPECT_FALSE(test, shadow_iter_ok(&iter));
	KUNIT_EXPECT_EQ(test, iter.level, 0);
}

static void walk_goes_down(struct kunit *test)
{
	const struct root_kind *kind = test->param_value;
	struct rnd_state rnd;
	struct test_path *path;
	int i;

	prandom_seed_state(&rnd, 3);
	for (i = 0; i < 20; i++) {
		path = path_create(test, kind, random_addr(&rnd, kind));
		/* The last level: not present, and a page. */
		expect_walk(test, path, kind->top, PG_LEVEL_4K);
		*path_sptep(path, 1) = SPTE_PRESENT | PAGE_SIZE;
		expect_walk(test, path, kind->top, PG_LEVEL_4K);
	}
}

static void walk_ends(struct kunit *test)
{
	const struct root_kind *kind = test->param_value;
	/* Nothing, something that is not present, a huge page. */
	const u64 ends[] = {
		SPTE_NONE, 0, GENMASK_ULL(63, 0) & ~SPTE_PRESENT,
		SPTE_PRESENT | PT_PAGE_SIZE_MASK | SZ_1G,
	};
	struct rnd_state rnd;
	struct test_path *path;
	int level, i;

	prandom_seed_state(&rnd, 4);
	for (level = PG_LEVEL_2M; level <= kind->top; level++) {
		path = path_create(test, kind, random_addr(&rnd, kind));
		for (i = 0; i < ARRAY_SIZE(ends); i++) {
			*path_sptep(path, level) = ends[i];
			expect_walk(test, path, kind->top, level);
		}
	}
}

/* What the guest's root does not have, or no slot holds. */
static void walk_without_root(struct kunit *test)
{
	const struct root_kind *kind = test->param_value;
	struct test_path *path = path_create(test, kind, SZ_2G + SZ_4K);
	struct kvm_mmu *mmu = path->vcpu->arch.mmu;
	struct shadow_iter iter;
	u64 spte;

	if (kind->pae) {
		mmu->pae_root[2] = PAE_ROOT_NONE;
		shadow_iter_start(&iter, path->vcpu, mmu->root.hpa, path->addr);
		KUNIT_EXPECT_FALSE(test, shadow_iter_ok(&iter));
	}

	mmu->root.hpa = mmu_dummy_root();
	shadow_iter_start(&iter, path->vcpu, mmu->root.hpa, path->addr);
	KUNIT_EXPECT_FALSE(test, shadow_iter_ok(&iter));
	KUNIT_EXPECT_NULL(test, shadow_walk_leaf(path->vcpu, path->addr, &spte));
}

static void walk_copies(struct kunit *test)
{
	const struct root_kind *kind = test->param_value;
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1] = {}, spte = 0;
	struct rnd_state rnd;
	struct test_path *path;
	int root_level, last, level;
	u64 *sptep;

	prandom_seed_state(&rnd, 5);
	path = path_create(test, kind, random_addr(&rnd, kind));
	*path_sptep(path, 1) = SPTE_PRESENT | PAGE_SIZE;

	shadow_walk_begin(path->vcpu);
	last = shadow_walk(path->vcpu, path->addr, sptes, &root_level);
	sptep = shadow_walk_leaf(path->vcpu, path->addr, &spte);
	shadow_walk_end(path->vcpu);

	KUNIT_EXPECT_EQ(test, root_level, kind->top);
	KUNIT_EXPECT_EQ(test, last, PG_LEVEL_4K);
	KUNIT_EXPECT_PTR_EQ(test, sptep, path_sptep(path, 1));
	KUNIT_EXPECT_EQ(test, spte, *path_sptep(path, 1));
	for (level = 1; level <= kind->top; level++)
		KUNIT_EXPECT_EQ(test, sptes[level], *path_sptep(path, level));
}

/* Whoever frees a table can see the walk, and interrupts are off meanwhile. */
static void walk_is_announced(struct kunit *test)
{
	struct kvm_vcpu *vcpu = vcpu_create(test, NULL);
	bool irqs_off;
	int mode;

	vcpu->mode = OUTSIDE_GUEST_MODE;
	shadow_walk_begin(vcpu);
	irqs_off = irqs_disabled();
	mode = READ_ONCE(vcpu->mode);
	shadow_walk_end(vcpu);

	KUNIT_EXPECT_TRUE(test, irqs_off);
	KUNIT_EXPECT_EQ(test, mode, READING_SHADOW_PAGE_TABLES);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	KUNIT_EXPECT_EQ(test, READ_ONCE(vcpu->mode), OUTSIDE_GUEST_MODE);
}

/* Of the tables on the path all are forgiven, another one is not. */
static void walk_clears_flood(struct kunit *test)
{
	const struct root_kind *kind = test->param_value;
	struct test_path *path = path_create(test, kind, SZ_1G + SZ_2M);
	struct kvm_mmu_page *sp[PT64_ROOT_MAX_LEVEL + 1] = {}, *other;
	int level;

	other = sp_create(test, (union kvm_mmu_page_role) { .level = 1 }, 0);
	atomic_set(&other->write_flooding_count, 3);

	for (level = 1; level <= kind->top; level++) {
		sp[level] = kunit_kzalloc(test, sizeof(*sp[level]), GFP_KERNEL);
		KUNIT_ASSERT_NOT_NULL(test, sp[level]);
		atomic_set(&sp[level]->write_flooding_count, level);
		set_page_private(virt_to_page(path->table[level]),
				 (unsigned long)sp[level]);
	}

	shadow_clear_flood(path->vcpu, path->addr);

	for (level = 1; level <= kind->top; level++)
		KUNIT_EXPECT_EQ(test, 0,
				atomic_read(&sp[level]->write_flooding_count));
	KUNIT_EXPECT_EQ(test, 3, atomic_read(&other->write_flooding_count));
}

/* Translations. */

/* What a direct page maps follows from its own gfn. */
static void translation_of_direct_page(struct kunit *test)
{
	union kvm_mmu_page_role role = { .direct = 1 };
	struct kvm_mmu_page *sp;
	gfn_t gfn, step = 1;
	int level, i;

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_1G; level++) {
		role.level = level;
		sp = sp_create(test, role, 0x40000000);
		for (i = 0; i < SPTE_ENT_PER_PAGE; i++) {
			gfn = shadow_sptep_gfn(&sp->spt[i]);
			KUNIT_ASSERT_EQ(test, gfn, 0x40000000 + i * step);
		}
		step *= SPTE_ENT_PER_PAGE;
	}
}

static void translation_has_all_of_the_gfn(struct kunit *test)
{
	const gfn_t gfns[] = { 0, 1, 0xfffff, BIT_ULL(39), GENMASK_ULL(39, 0) };
	struct kvm_mmu_page *sp;
	int i;

	sp = sp_create(test, (union kvm_mmu_page_role) { .level = 1 }, 0);
	for (i = 0; i < ARRAY_SIZE(gfns); i++) {
		sp->translation[i] = FIELD_PREP(SHADOW_TR_GFN, gfns[i]);
		KUNIT_EXPECT_EQ(test, shadow_sptep_gfn(&sp->spt[i]), gfns[i]);
		sp->translation[i] |= SHADOW_TR_ACCESS;
		KUNIT_EXPECT_EQ(test, shadow_sptep_gfn(&sp->spt[i]), gfns[i]);
	}
}

static struct kunit_case shadow_map_cases[] = {
	KUNIT_CASE(child_role_of_all_roles),
	KUNIT_CASE(child_role_at_all_indices),
	KUNIT_CASE_PARAM(walk_goes_down, root_kinds_gen_params),
	KUNIT_CASE_PARAM(walk_ends, root_kinds_gen_params),
	KUNIT_CASE_PARAM(walk_without_root, root_kinds_gen_params),
	KUNIT_CASE_PARAM(walk_copies, root_kinds_gen_params),
	KUNIT_CASE(walk_is_announced),
	KUNIT_CASE_PARAM(walk_clears_flood, root_kinds_gen_params),
	KUNIT_CASE(translation_of_direct_page),
	KUNIT_CASE(translation_has_all_of_the_gfn),
	{}
};

static struct kunit_suite shadow_map_suite = {
	.name = "kvm_shadow_map",
	.test_cases = shadow_map_cases,
};

kunit_test_suite(shadow_map_suite);
