// SPDX-License-Identifier: GPL-2.0-only
/*
 * The walk over direct paging trees (tdp_iter.h) and the walks without locks
 * (tdp.h) against a recursion, on random trees of four and five levels.
 *
 * Only the links of a tree mean anything here: what a leaf maps does not exist.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/tdp.h"
#include "mmu/tdp_pte.h"
#include "forced_yields.h"
#include "test_format.h"
#include "test_vm.h"

/* With at most two tables below each, five levels have 31 tables. */
#define MAX_CHILDREN	2
#define MAX_VISITS	(31 * SPTE_ENT_PER_PAGE)

/* Ranges that are tried on each tree, apart from the whole of it. */
#define NR_RANGES	12

static const struct format_case legacy = { .name = "legacy", .ad = true };

KUNIT_DEFINE_ACTION_WRAPPER(free_table_action, free_page, unsigned long);
KUNIT_DEFINE_ACTION_WRAPPER(kvfree_action, kvfree, const void *);

/* A table that goes with the test. */
static struct tdp_table *table_create(struct kunit *test, tdp_ptep_t ptep,
				      gfn_t gfn, int level)
{
	union kvm_mmu_page_role role = { .level = level, .direct = 1 };
	struct tdp_table *sp = kunit_kzalloc(test, sizeof(*sp), GFP_KERNEL);
	unsigned long page = get_zeroed_page(GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, sp);
	KUNIT_ASSERT_NE(test, page, 0);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_table_action,
							   (void *)page));
	sp->table.spt = (u64 *)page;
	tdp_table_init(sp, ptep, gfn, role);
	return sp;
}

/* None, frozen, a leaf where there can be one, or something like MMIO. */
static u64 random_spte(struct rnd_state *rnd, int level)
{
	switch (prandom_u32_state(rnd) % 8) {
	case 0:
		return SPTE_FROZEN;
	case 1:
		return SPTE_NONE | (u64)prandom_u32_state(rnd) << PAGE_SHIFT;
	case 2:
	case 3:
		if (level > KVM_MAX_HUGEPAGE_LEVEL)
			return SPTE_NONE;
		return SPTE_PRESENT | (level > PG_LEVEL_4K ? PT_PAGE_SIZE_MASK : 0);
	default:
		return SPTE_NONE;
	}
}

/* Also the first or last entry gets a table, so that walks go up and down there. */
static int random_index(struct rnd_state *rnd)
{
	u32 r = prandom_u32_state(rnd);

	if (r & BIT(31))
		return r & BIT(30) ? 0 : SPTE_ENT_PER_PAGE - 1;
	return r % SPTE_ENT_PER_PAGE;
}

static struct tdp_table *tree_create(struct kunit *test, struct rnd_state *rnd,
				     tdp_ptep_t ptep, gfn_t gfn, int level)
{
	struct tdp_table *sp = table_create(test, ptep, gfn, level), *child;
	int i, index;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++)
		sp->table.spt[i] = random_spte(rnd, level);

	for (i = 0; level > PG_LEVEL_4K && i < MAX_CHILDREN; i++) {
		index = random_index(rnd);
		if (spte_present_table(sp->table.spt[index], level))
			continue;
		child = tree_create(test, rnd, (tdp_ptep_t)&sp->table.spt[index],
				    gfn + index * KVM_PAGES_PER_HPAGE(level),
				    level - 1);
		sp->table.spt[index] = spte_make_table(child->table.spt, false);
	}
	return sp;
}

/**
 * struct visits - the SPTEs that a walk has to see, in this order
 * @start: first gfn
 * @end: first gfn beyond
 * @min_level: not below
 * @sptep: where they are
 * @nr: how many
 */
struct visits {
	gfn_t start;
	gfn_t end;
	int min_level;
	u64 **sptep;
	int nr;
};

static struct visits *visits_create(struct kunit *test)
{
	struct visits *v = kunit_kzalloc(test, sizeof(*v), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, v);
	v->sptep = kvmalloc_array(MAX_VISITS, sizeof(*v->sptep), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, v->sptep);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, kvfree_action,
							   v->sptep));
	return v;
}

/* All of @sp that is in the range, each SPTE before what is below it. */
static void visits_add(struct visits *v, struct tdp_table *sp)
{
	const gfn_t pages = KVM_PAGES_PER_HPAGE(sp->table.role.level);
	gfn_t gfn = sp->table.gfn;
	int i;

	for (i = 0; i < SPTE_ENT_PER_PAGE; i++, gfn += pages) {
		if (gfn + pages <= v->start)
			continue;
		if (gfn >= v->end)
			return;
		v->sptep[v->nr++] = &sp->table.spt[i];
		if (sp->table.role.level > v->min_level &&
		    spte_present_table(sp->table.spt[i], sp->table.role.level))
			visits_add(v, table_to_tdp(spte_child(sp->table.spt[i])));
	}
}

static bool visit_matches(const struct tdp_iter *iter, u64 *sptep)
{
	struct tdp_table *sp = sptep_to_tdp(sptep);
	int level = sp->table.role.level;

	return rcu_dereference(iter->sptep) == sptep && iter->old == *sptep &&
	       iter->level == level &&
	       iter->gfn == sp->table.gfn + sptep_index(sptep) * KVM_PAGES_PER_HPAGE(level) &&
	       iter->table[level - 1] == (tdp_ptep_t)sp->table.spt;
}

/*
 * Walks, and counts what is not as the recursion has it.  Once in @yields SPTEs
 * it behaves as after a yield: the walk has to begin anew where it was.
 */
static int walk_errors(struct visits *v, struct tdp_table *root,
		       struct rnd_state *rnd, u32 yields)
{
	struct tdp_iter iter;
	int n = 0, errors = 0;

	v->nr = 0;
	visits_add(v, root);

	rcu_read_lock();
	tdp_for_each_level(iter, root, v->min_level, v->start, v->end) {
		errors += n >= v->nr || !visit_matches(&iter, v->sptep[n]);
		n++;
		if (!yields || prandom_u32_state(rnd) % yields)
			continue;

		v->start = iter.next_gfn;
		v->nr = 0;
		visits_add(v, root);
		iter.yielded = true;
		n = 0;
	}
	rcu_read_unlock();

	return errors + (n != v->nr);
}

struct tree_case {
	const char *name;
	int root_level;
	int min_level;
};

static const struct tree_case tree_cases[] = {
	{ "4 levels, down to 4K", 4, PG_LEVEL_4K },
	{ "4 levels, down to 2M", 4, PG_LEVEL_2M },
	{ "4 levels, down to 1G", 4, PG_LEVEL_1G },
	{ "4 levels, the root only", 4, 4 },
	{ "5 levels, down to 4K", 5, PG_LEVEL_4K },
	{ "5 levels, down to 2M", 5, PG_LEVEL_2M },
	{ "5 levels, down to 1G", 5, PG_LEVEL_1G },
	{ "5 levels, the root only", 5, 5 },
};

KUNIT_ARRAY_PARAM_DESC(tree_cases, tree_cases, name);

static gfn_t tree_end(const struct tree_case *c)
{
	return SPTE_ENT_PER_PAGE * KVM_PAGES_PER_HPAGE(c->root_level);
}

/* A gfn at, just before, or just after the beginning of some SPTE's range. */
static gfn_t random_gfn(struct visits *v, struct tdp_table *root,
			const struct tree_case *c, struct rnd_state *rnd)
{
	struct tdp_table *sp;
	gfn_t gfn;
	u64 *sptep;

	v->start = 0;
	v->end = tree_end(c);
	v->min_level = PG_LEVEL_4K;
	v->nr = 0;
	visits_add(v, root);

	sptep = v->sptep[prandom_u32_state(rnd) % v->nr];
	sp = sptep_to_tdp(sptep);
	gfn = sp->table.gfn + sptep_index(sptep) * KVM_PAGES_PER_HPAGE(sp->table.role.level);
	return clamp(gfn + prandom_u32_state(rnd) % 3, 1, tree_end(c)) - 1;
}

/* @yields: see walk_errors(). */
static void test_walks(struct kunit *test, u32 yields)
{
	const struct tree_case *c = test->param_value;
	struct visits *v = visits_create(test);
	struct tdp_table *root;
	struct rnd_state rnd;
	gfn_t a, b;
	int i;

	test_format_set(&legacy);
	prandom_seed_state(&rnd, c->root_level * 8 + c->min_level);
	root = tree_create(test, &rnd, NULL, 0, c->root_level);

	for (i = 0; i <= NR_RANGES; i++) {
		a = i ? random_gfn(v, root, c, &rnd) : 0;
		b = i ? random_gfn(v, root, c, &rnd) : tree_end(c);
		v->start = min(a, b);
		v->end = max(a, b);
		v->min_level = c->min_level;
		KUNIT_EXPECT_EQ_MSG(test, walk_errors(v, root, &rnd, yields), 0,
				    "[%llx, %llx)", min(a, b), max(a, b));
	}
}

static void iter_visits_all(struct kunit *test)
{
	test_walks(test, 0);
}

static void iter_restarts(struct kunit *test)
{
	test_walks(test, SPTE_ENT_PER_PAGE);
}

/* A table is stepped into if it is there when the walk goes on, not before. */
static void iter_reads_links_anew(struct kunit *test)
{
	struct tdp_table *root, *child;
	struct tdp_iter iter;
	u64 link;

	test_format_set(&legacy);
	root = table_create(test, NULL, 0, 4);
	child = table_create(test, (tdp_ptep_t)&root->table.spt[0], 0, 3);
	link = spte_make_table(child->table.spt, false);

	rcu_read_lock();
	tdp_iter_start(&iter, root, PG_LEVEL_4K, 0, tdp_end_gfn());
	root->table.spt[0] = link;
	tdp_iter_next(&iter);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, iter.level, 3);
	KUNIT_EXPECT_EQ(test, iter.gfn, 0);

	rcu_read_lock();
	tdp_iter_start(&iter, root, PG_LEVEL_4K, 0, tdp_end_gfn());
	root->table.spt[0] = SPTE_NONE;
	tdp_iter_next(&iter);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, iter.level, 4);
	KUNIT_EXPECT_EQ(test, iter.gfn, KVM_PAGES_PER_HPAGE(4));
}

/* Did the walk yield, with the CPU wanted by somebody else? */
static bool yield_wanted(struct kvm *kvm, struct tdp_iter *iter, bool shared)
{
	forced_yield_now();
	return tdp_yield(kvm, iter, true, shared);
}

struct yields {
	bool at_start;
	bool after_step;
	bool again;
};

/* mmu_lock and RCU are held; a step is made in between. */
static void try_yields(struct kvm *kvm, struct tdp_table *root, bool shared,
		       struct yields *y)
{
	struct tdp_iter iter;

	tdp_iter_start(&iter, root, PG_LEVEL_4K, 0, tdp_end_gfn());
	y->at_start = yield_wanted(kvm, &iter, shared);
	tdp_iter_next(&iter);
	y->after_step = yield_wanted(kvm, &iter, shared);
	tdp_iter_next(&iter);
	y->again = yield_wanted(kvm, &iter, shared);
}

/* A walk yields only if it has got further since it last did, and flushes then. */
static void iter_yields_with_progress(struct kunit *test)
{
	struct tdp_table *root;
	struct yields y[2];
	struct kvm *kvm;

	test_format_set(&legacy);
	kvm = kvm_test_create_vm(test);
	root = table_create(test, NULL, 0, 4);

	read_lock(&kvm->mmu_lock);
	rcu_read_lock();
	try_yields(kvm, root, true, &y[0]);
	rcu_read_unlock();
	read_unlock(&kvm->mmu_lock);

	write_lock(&kvm->mmu_lock);
	rcu_read_lock();
	try_yields(kvm, root, false, &y[1]);
	rcu_read_unlock();
	write_unlock(&kvm->mmu_lock);

	KUNIT_EXPECT_FALSE(test, y[0].at_start || y[1].at_start);
	KUNIT_EXPECT_TRUE(test, y[0].after_step && y[1].after_step);
	KUNIT_EXPECT_FALSE(test, y[0].again || y[1].again);
	KUNIT_EXPECT_EQ(test, kvm->stat.generic.remote_tlb_flush_requests, 2);
}

/* Walks without locks end where the recursion for one gfn ends. */
static int lockless_errors(struct kvm_vcpu *vcpu, struct visits *v)
{
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1], spte, *sptep, *last;
	int leaf, root_level, i, errors = 0;

	last = v->sptep[v->nr - 1];
	tdp_walk_begin();
	leaf = tdp_walk(vcpu, gfn_to_gpa(v->start), sptes, &root_level);
	sptep = tdp_walk_leaf(vcpu, v->start, &spte);
	tdp_walk_end();

	errors += sptep != last || spte != *last;
	errors += root_level != vcpu->arch.mmu->root_role.level;
	errors += leaf != root_level - v->nr + 1;
	for (i = 0; i < v->nr; i++)
		errors += sptes[root_level - i] != *v->sptep[i];
	return errors;
}

static void lockless_walks(struct kunit *test)
{
	const struct tree_case *c = test->param_value;
	struct visits *v = visits_create(test);
	struct tdp_table *root;
	struct kvm_vcpu *vcpu;
	struct rnd_state rnd;
	int i;

	test_format_set(&legacy);
	prandom_seed_state(&rnd, c->root_level);
	root = tree_create(test, &rnd, NULL, 0, c->root_level);
	vcpu = kvm_test_create_vcpu(test, NULL);
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	vcpu->arch.mmu->root.hpa = __pa(root->table.spt);
	vcpu->arch.mmu->root_role = root->table.role;

	for (i = 0; i < 64; i++) {
		v->start = random_gfn(v, root, c, &rnd);
		v->end = v->start + 1;
		v->nr = 0;
		visits_add(v, root);
		KUNIT_EXPECT_EQ_MSG(test, lockless_errors(vcpu, v), 0, "%llx",
				    v->start);
	}
}

static struct kunit_case tdp_iter_cases[] = {
	KUNIT_CASE_PARAM(iter_visits_all, tree_cases_gen_params),
	KUNIT_CASE_PARAM(iter_restarts, tree_cases_gen_params),
	KUNIT_CASE(iter_reads_links_anew),
	KUNIT_CASE(iter_yields_with_progress),
	KUNIT_CASE_PARAM(lockless_walks, tree_cases_gen_params),
	{}
};

static struct kunit_suite tdp_iter_suite = {
	.name = "kvm_tdp_iter",
	.init = test_format_init,
	.test_cases = tdp_iter_cases,
};

kunit_test_suite(tdp_iter_suite);
