// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow pages (shadow_page.c): found by their whole key and by nothing less, in
 * every index or in none.
 *
 * No VMX or SVM is needed.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/hash.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/rbtree.h>

#include "mmu.h"
#include "mmu/level.h"
#include "mmu/mmu_internal.h"
#include "mmu/page_track.h"
#include "mmu/shadow_internal.h"
#include "shadow_vm.h"
#include "test_format.h"

#define TEST_GFN	(SHADOW_TEST_GFN + 0x45)

static bool is_singular(const struct llist_head *pages)
{
	return pages->first && !pages->first->next;
}

/* Keys. */

/* The pages of all keys that differ in one bit from one another's. */
#define NR_KEYS		(1 + 32 + 40)

struct key {
	gfn_t gfn;
	union kvm_mmu_page_role role;
};

static struct key *make_keys(struct kunit *test, const struct key *base)
{
	struct key *keys = kunit_kcalloc(test, NR_KEYS, sizeof(*keys), GFP_KERNEL);
	struct key *key = keys;
	int bit;

	KUNIT_ASSERT_NOT_NULL(test, keys);
	*key++ = *base;
	for (bit = 0; bit < 32; bit++) {
		*key = *base;
		key->role.word ^= BIT(bit);
		key++;
	}
	for (bit = 0; bit < 40; bit++) {
		*key = *base;
		key->gfn ^= BIT_ULL(bit);
		key++;
	}
	return keys;
}

/*
 * A page of direct tables is the base, as only gfns of a slot can be shadowed.
 * What is found first would be found in the place of another.
 */
static void key_every_bit_counts(struct kunit *test)
{
	const struct key base = { TEST_GFN, shadow_test_direct(PG_LEVEL_2M) };
	struct shadow_test *t = shadow_test_create(test, NULL);
	const struct key *keys = make_keys(test, &base);
	struct kvm_mmu_page *sp[NR_KEYS];
	int i, j, same = 0, lost = 0, wrong = 0;

	for (i = 0; i < NR_KEYS; i++) {
		sp[i] = shadow_test_get(test, t, keys[i].gfn, keys[i].role);
		for (j = 0; j < i; j++)
			same += sp[j] == sp[i];
		wrong += sp[i]->gfn != keys[i].gfn ||
			 sp[i]->role.word != keys[i].role.word;
	}
	for (i = 0; i < NR_KEYS; i++)
		lost += sp[i] != shadow_test_get(test, t, keys[i].gfn, keys[i].role);

	KUNIT_EXPECT_EQ(test, same, 0);
	KUNIT_EXPECT_EQ(test, lost, 0);
	KUNIT_EXPECT_EQ(test, wrong, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, NR_KEYS);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_cache_miss, NR_KEYS);
}

/* A link is kept for its whole key alone, too. */
static void key_of_a_child(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	const struct key key = { TEST_GFN, shadow_test_direct(PG_LEVEL_4K) };
	const struct key *keys = make_keys(test, &key);
	struct kvm_mmu_page *parent, *child;
	int i, found = 0;

	parent = shadow_test_get(test, t, 0, shadow_test_direct(PG_LEVEL_2M));
	child = shadow_test_get(test, t, key.gfn, key.role);
	KUNIT_EXPECT_NULL(test, shadow_child(parent, 7, key.gfn, key.role));

	shadow_test_begin(t);
	shadow_link(t->kvm, &t->vcpu->arch.mmu_pte_list_desc_cache, parent, 7,
		    child, &zap);
	shadow_test_end(t);

	for (i = 1; i < NR_KEYS; i++)
		found += !!shadow_child(parent, 7, keys[i].gfn, keys[i].role);
	KUNIT_EXPECT_EQ(test, found, 0);
	KUNIT_EXPECT_PTR_EQ(test, child,
			    shadow_child(parent, 7, key.gfn, key.role));
}

static gfn_t gfn_of_same_bucket(gfn_t gfn)
{
	gfn_t other = gfn;

	while (hash_64(++other, KVM_MMU_HASH_SHIFT) !=
	       hash_64(gfn, KVM_MMU_HASH_SHIFT))
		;
	return other;
}

static void key_in_the_same_bucket(struct kunit *test)
{
	const union kvm_mmu_page_role role = shadow_test_direct(PG_LEVEL_4K);
	struct shadow_test *t = shadow_test_create(test, NULL);
	const gfn_t other_gfn = gfn_of_same_bucket(TEST_GFN);
	struct kvm_mmu_page *sp, *other;

	sp = shadow_test_get(test, t, TEST_GFN, role);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.max_mmu_page_hash_collisions, 0);
	other = shadow_test_get(test, t, other_gfn, role);

	KUNIT_EXPECT_PTR_NE(test, sp, other);
	KUNIT_EXPECT_PTR_EQ(test, sp, shadow_test_get(test, t, TEST_GFN, role));
	KUNIT_EXPECT_PTR_EQ(test, other, shadow_test_get(test, t, other_gfn, role));
	KUNIT_EXPECT_EQ(test, t->kvm->stat.max_mmu_page_hash_collisions, 1);
}

/* States. */

/* Why the page of 2M around @gfn may not be mapped as a whole. */
static int huge_reasons(struct shadow_test *t, gfn_t gfn)
{
	return shadow_test_slot(t)->arch.lpage_info[0]
		[gfn / 512 - SHADOW_TEST_GFN / 512].disallow_lpage;
}

static int tracked(struct shadow_test *t, gfn_t gfn)
{
	return shadow_test_slot(t)->arch.gfn_write_track[gfn - SHADOW_TEST_GFN];
}

/* What depends on the number of pages that shadow TEST_GFN. */
static void expect_watched(struct kunit *test, struct shadow_test *t, int nr,
			   int level)
{
	KUNIT_EXPECT_EQ(test, t->kvm->arch.indirect_shadow_pages, nr);
	KUNIT_EXPECT_EQ(test, huge_reasons(t, TEST_GFN), nr * LPAGE_WATCHED_ONE);
	KUNIT_EXPECT_EQ(test, tracked(t, TEST_GFN), level > PG_LEVEL_4K ? nr : 0);
	KUNIT_EXPECT_EQ(test, RB_EMPTY_ROOT(&t->kvm->arch.shadow_pages_by_gfn), !nr);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, nr);
	KUNIT_EXPECT_EQ(test, list_empty(&t->kvm->arch.active_mmu_pages), !nr);
}

static const int table_levels[] = { 1, 2, 3, 4, 5 };

static void table_level_desc(const int *level, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "level %d", *level);
}

KUNIT_ARRAY_PARAM(table_levels, table_levels, table_level_desc);

/* A page is in all indexes, or in none; what it was derived from stays. */
static void state_active_then_zapped(struct kunit *test)
{
	struct shadow_zap zap = {};
	const int level = *(const int *)test->param_value;
	const union kvm_mmu_page_role role = shadow_test_table(level);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp, *again;

	expect_watched(test, t, 0, level);
	sp = shadow_test_get(test, t, TEST_GFN, role);
	KUNIT_EXPECT_EQ(test, sp->state, SP_ACTIVE);
	KUNIT_EXPECT_EQ(test, !!sp->translation, level <= PG_LEVEL_1G);
	expect_watched(test, t, 1, level);

	KUNIT_EXPECT_EQ(test, shadow_test_zap(t, sp, &zap), 1);
	KUNIT_EXPECT_EQ(test, sp->state, SP_ZAPPED);
	KUNIT_EXPECT_EQ(test, sp->role.word, role.word);
	KUNIT_EXPECT_TRUE(test, hlist_unhashed(&sp->hash_link));
	KUNIT_EXPECT_TRUE(test, is_singular(&zap.pages));
	expect_watched(test, t, 0, level);

	/* The zapped page still exists, so this must be another. */
	again = shadow_test_get(test, t, TEST_GFN, role);
	KUNIT_EXPECT_PTR_NE(test, again, sp);
	expect_watched(test, t, 1, level);

	KUNIT_EXPECT_TRUE(test, shadow_test_finish(t, &zap));
	KUNIT_EXPECT_FALSE(test, shadow_test_finish(t, &zap));
}

/* Two pages of one table, of different roles: the table is watched for both. */
static void state_two_roles(struct kunit *test)
{
	struct shadow_zap zap = {};
	const int level = *(const int *)test->param_value;
	union kvm_mmu_page_role role = shadow_test_table(level);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp[2];

	sp[0] = shadow_test_get(test, t, TEST_GFN, role);
	role.access = ACC_EXEC_MASK;
	sp[1] = shadow_test_get(test, t, TEST_GFN, role);
	expect_watched(test, t, 2, level);

	shadow_test_zap(t, sp[0], &zap);
	expect_watched(test, t, 1, level);
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, TEST_GFN, role));

	shadow_test_zap(t, sp[1], &zap);
	expect_watched(test, t, 0, level);
	shadow_test_finish(t, &zap);
}

/* A root that is zapped is gone for all but those who have it loaded. */
static void state_zapped_root(struct kunit *test)
{
	struct shadow_zap zap = {};
	const union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_512G);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *sp, *again;

	sp = shadow_test_get(test, t, TEST_GFN, role);
	shadow_test_make_root(sp);
	shadow_test_make_root(sp);

	shadow_test_zap(t, sp, &zap);
	KUNIT_EXPECT_EQ(test, sp->state, SP_ZAPPED);
	KUNIT_EXPECT_TRUE(test, llist_empty(&zap.pages));
	expect_watched(test, t, 0, PG_LEVEL_512G);

	again = shadow_test_get(test, t, TEST_GFN, role);
	KUNIT_EXPECT_PTR_NE(test, again, sp);
	KUNIT_EXPECT_EQ(test, again->root_count, 0);

	shadow_test_put_root(t, sp, &zap);
	KUNIT_EXPECT_TRUE(test, llist_empty(&zap.pages));
	shadow_test_put_root(t, sp, &zap);
	KUNIT_EXPECT_TRUE(test, is_singular(&zap.pages));
	KUNIT_EXPECT_TRUE(test, shadow_test_finish(t, &zap));
}

/* A page table that becomes an upper table cannot be unsync any more. */
static void state_unsync_goes(struct kunit *test)
{
	union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_4K);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct kvm_mmu_page *unsync;

	unsync = shadow_test_get(test, t, TEST_GFN, role);
	unsync->unsync = true;
	t->kvm->stat.mmu_unsync++;
	role.access = ACC_EXEC_MASK;
	shadow_test_get(test, t, TEST_GFN, role);

	shadow_test_get(test, t, TEST_GFN, shadow_test_table(PG_LEVEL_2M));

	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, TEST_GFN, role));
	role.access = ACC_ALL;
	KUNIT_EXPECT_FALSE(test, shadow_test_exists(t, TEST_GFN, role));
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_unsync, 0);
}

/* A guest may link one table from anywhere: 1000 links, then it is another page. */
static void state_few_parents(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const union kvm_mmu_page_role role = shadow_test_direct(PG_LEVEL_4K);
	struct kvm_mmu_memory_cache *cache = &t->vcpu->arch.mmu_pte_list_desc_cache;
	struct kvm_mmu_page *parent[2], *child;
	struct shadow_zap zap = {};
	int i;

	for (i = 0; i < 2; i++)
		parent[i] = shadow_test_get(test, t, i << 18,
					    shadow_test_direct(PG_LEVEL_2M));
	child = shadow_test_get(test, t, TEST_GFN, role);
	for (i = 0; i < 1000; i++) {
		KUNIT_ASSERT_PTR_EQ(test, child,
				    shadow_test_get(test, t, TEST_GFN, role));
		KUNIT_ASSERT_EQ(test, 0, kvm_mmu_topup_memory_cache(cache, 1));
		shadow_test_begin(t);
		shadow_link(t->kvm, cache, parent[i / 512], i % 512, child, &zap);
		shadow_test_end(t);
	}
	KUNIT_EXPECT_FALSE(test, zap.flush);

	child = shadow_test_get(test, t, TEST_GFN, role);
	KUNIT_EXPECT_EQ(test, child->parents.val, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 3);
	KUNIT_EXPECT_EQ(test, t->kvm->stat.mmu_shadow_zapped, 1);
	for (i = 0; i < 1000; i++)
		KUNIT_EXPECT_EQ(test, parent[i / 512]->spt[i % 512], SPTE_NONE);
}

/* The pages of the old generation, and no others. */
static void state_obsolete(struct kunit *test)
{
	struct shadow_zap zap = {};
	struct shadow_test *t = shadow_test_create(test, NULL);
	const union kvm_mmu_page_role role = shadow_test_table(PG_LEVEL_2M);
	struct kvm_mmu_page *old[40], *root;
	int i, found = 0;

	for (i = 0; i < ARRAY_SIZE(old); i++)
		old[i] = shadow_test_get(test, t, TEST_GFN + i, role);
	root = old[3];
	shadow_test_make_root(root);

	t->kvm->arch.mmu_valid_gen ^= 1;
	for (i = 0; i < ARRAY_SIZE(old); i += 2)
		found += shadow_test_get(test, t, TEST_GFN + i, role) == old[i];
	KUNIT_EXPECT_EQ(test, found, 0);

	mutex_lock(&t->kvm->slots_lock);
	shadow_test_begin(t);
	shadow_zap_obsolete(t->kvm);
	shadow_test_end(t);
	mutex_unlock(&t->kvm->slots_lock);

	for (i = 0; i < ARRAY_SIZE(old); i++)
		KUNIT_EXPECT_EQ(test, shadow_test_exists(t, TEST_GFN + i, role),
				!(i % 2));
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, ARRAY_SIZE(old) / 2);
	KUNIT_EXPECT_EQ(test, root->state, SP_ZAPPED);

	shadow_test_put_root(t, root, &zap);
	shadow_test_finish(t, &zap);
}

/* They are freed as they go, with a flush for many, and not all at the end. */
static void many_go_in_batches(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const u64 *flushes = &t->kvm->stat.generic.remote_tlb_flush_requests;
	u64 before;
	int i;

	for (i = 0; i < 2 * SHADOW_FREE_BATCH + 1; i++)
		shadow_test_get(test, t, i, shadow_test_direct(PG_LEVEL_4K));

	before = *flushes;
	shadow_test_begin(t);
	shadow_zap_all(t->kvm);
	shadow_test_end(t);
	KUNIT_EXPECT_EQ(test, *flushes - before, 3);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.n_used_mmu_pages, 0);
}

/* The index by gfn. */

#define NR_TABLES	64

/* Tables at every second gfn, some twice, in each address space. */
struct tables {
	union kvm_mmu_page_role role[KVM_MAX_NR_ADDRESS_SPACES][2];
	DECLARE_BITMAP(there, KVM_MAX_NR_ADDRESS_SPACES * 2 * NR_TABLES);
};

static unsigned int table_nr(int as_id, int kind, int i)
{
	return (as_id * 2 + kind) * NR_TABLES + i;
}

static gfn_t table_gfn(int i)
{
	return TEST_GFN + 2 * i;
}

static void create_tables(struct kunit *test, struct shadow_test *t,
			  struct tables *tables, struct rnd_state *rnd)
{
	int as_id, kind, i;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(t->kvm); as_id++) {
		for (kind = 0; kind < 2; kind++) {
			tables->role[as_id][kind] = shadow_test_table(1 + kind);
			tables->role[as_id][kind].smm = as_id;
			for (i = 0; i < NR_TABLES; i++) {
				if (prandom_u32_state(rnd) % 2)
					continue;
				shadow_test_get(test, t, table_gfn(i),
						tables->role[as_id][kind]);
				__set_bit(table_nr(as_id, kind, i), tables->there);
			}
		}
	}
}

static void zap_range(struct shadow_test *t, struct tables *tables, int as_id,
		      gfn_t start, gfn_t end)
{
	struct shadow_zap zap = {};
	int kind, i;

	shadow_test_begin(t);
	shadow_zap_gfn_tables(t->kvm, as_id, start, end, &zap);
	shadow_zap_finish(t->kvm, &zap);
	shadow_test_end(t);

	for (kind = 0; kind < 2; kind++)
		for (i = 0; i < NR_TABLES; i++)
			if (table_gfn(i) >= start && table_gfn(i) < end)
				__clear_bit(table_nr(as_id, kind, i), tables->there);
}

static void expect_tables(struct kunit *test, struct shadow_test *t,
			  const struct tables *tables)
{
	int as_id, kind, i, bad = 0;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(t->kvm); as_id++)
		for (kind = 0; kind < 2; kind++)
			for (i = 0; i < NR_TABLES; i++)
				bad += shadow_test_exists(t, table_gfn(i),
							  tables->role[as_id][kind]) !=
				       test_bit(table_nr(as_id, kind, i),
						tables->there);

	KUNIT_EXPECT_EQ(test, bad, 0);
	KUNIT_EXPECT_EQ(test, t->kvm->arch.indirect_shadow_pages,
			bitmap_weight(tables->there,
				      KVM_MAX_NR_ADDRESS_SPACES * 2 * NR_TABLES));
}

static void index_ranges(struct kunit *test)
{
	struct tables *tables = kunit_kzalloc(test, sizeof(*tables), GFP_KERNEL);
	struct shadow_test *t = shadow_test_create(test, NULL);
	struct rnd_state rnd;
	gfn_t start, end;
	int round, i;

	KUNIT_ASSERT_NOT_NULL(test, tables);
	prandom_seed_state(&rnd, 8);

	for (round = 0; round < 10; round++) {
		create_tables(test, t, tables, &rnd);
		for (i = 0; i < 8; i++) {
			start = TEST_GFN - 4 + prandom_u32_state(&rnd) % 140;
			end = start + prandom_u32_state(&rnd) % (8 << i / 2);
			zap_range(t, tables,
				  i % kvm_arch_nr_memslot_as_ids(t->kvm), start, end);
			expect_tables(test, t, tables);
		}
	}
	zap_range(t, tables, 0, 0, BIT_ULL(40));
	expect_tables(test, t, tables);
}

/* Pages without gPTEs are in no index: those that lie in a slot go with it. */
static void direct_pages_of_a_range(struct kunit *test)
{
	struct shadow_test *t = shadow_test_create(test, NULL);
	const union kvm_mmu_page_role role = shadow_test_direct(PG_LEVEL_4K);
	const gfn_t first = round_up(SHADOW_TEST_GFN, 512);
	const gfn_t end = SHADOW_TEST_GFN + SHADOW_TEST_PAGES;
	union kvm_mmu_page_role smm = role;
	struct shadow_zap zap = {};
	struct kvm_mmu_page *root;

	smm.smm = 1;
	shadow_test_get(test, t, first - 512, role);
	shadow_test_get(test, t, first, role);
	shadow_test_get(test, t, first, smm);
	shadow_test_get(test, t, round_down(end, 512), role);
	root = shadow_test_get(test, t, first + 512, role);
	root->root_count = 1;

	shadow_test_begin(t);
	shadow_zap_gfn_direct(t->kvm, 0, SHADOW_TEST_GFN, end, &zap);
	shadow_zap_finish(t->kvm, &zap);
	shadow_test_end(t);

	KUNIT_EXPECT_FALSE(test, shadow_test_exists(t, first, role));
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, first, smm));
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, first - 512, role));
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, round_down(end, 512), role));
	KUNIT_EXPECT_TRUE(test, shadow_test_exists(t, first + 512, role));
	root->root_count = 0;
}

static struct kunit_case shadow_page_cases[] = {
	KUNIT_CASE(key_every_bit_counts),
	KUNIT_CASE(key_of_a_child),
	KUNIT_CASE(key_in_the_same_bucket),
	KUNIT_CASE_PARAM(state_active_then_zapped, table_levels_gen_params),
	KUNIT_CASE_PARAM(state_two_roles, table_levels_gen_params),
	KUNIT_CASE(state_zapped_root),
	KUNIT_CASE(state_unsync_goes),
	KUNIT_CASE(state_few_parents),
	KUNIT_CASE(state_obsolete),
	KUNIT_CASE(many_go_in_batches),
	KUNIT_CASE(index_ranges),
	KUNIT_CASE(direct_pages_of_a_range),
	{}
};

static struct kunit_suite shadow_page_suite = {
	.name = "kvm_shadow_page",
	.suite_init = shadow_test_suite_init,
	.suite_exit = shadow_test_suite_exit,
	.init = test_format_init,
	.test_cases = shadow_page_cases,
};

kunit_test_suite(shadow_page_suite);
