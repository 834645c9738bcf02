// SPDX-License-Identifier: GPL-2.0-only
/*
 * How big a page may be, against models that look at every gfn:
 *
 *  - what slots allow that are misaligned, in gfns or in host addresses;
 *  - gfns that are watched, once or several times;
 *  - memory attributes that change at random.
 *
 * The host's part of level_max() is not tested: the VM has no mm.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>
#include <linux/xarray.h>

#include "mmu.h"
#include "mmu/level.h"
#include "mmu/mmu_internal.h"
#include "level_slot.h"
#include "test_format.h"
#include "test_vm.h"

static const struct level_geometry geometries[] = {
	{ "one page", 0x100, 1, 0 },
	{ "one page at the start of 2M", PAGES_2M, 1, 0 },
	{ "2M", PAGES_2M, PAGES_2M, 0 },
	{ "late by one page", PAGES_2M + 1, 3 * PAGES_2M - 1, 0 },
	{ "ends early by one page", PAGES_2M, 3 * PAGES_2M - 1, 0 },
	{ "within 2M", PAGES_2M + 3, 0x17, 0 },
	{ "across 2M", PAGES_2M + 0x1f0, 0x20, 0 },
	{ "1G", PAGES_1G, PAGES_1G, 0 },
	{ "1G and bits of its neighbours", PAGES_1G - 0x123, PAGES_1G + 0x456, 0 },
	{ "across 1G", PAGES_1G - 0x600, 0xc00, 0 },
	{ "host addresses off by one page", PAGES_2M, 4 * PAGES_2M, 1 },
	{ "host addresses off by 2M", PAGES_1G, PAGES_1G + PAGES_2M, PAGES_2M },
	{ "host addresses off by 1G", PAGES_1G, PAGES_1G, PAGES_1G },
};

KUNIT_ARRAY_PARAM_DESC(geometries, geometries, name);

/* The page of @level that holds @gfn, if the slot holds it and it is aligned. */
static bool fits(const struct level_geometry *g, gfn_t gfn, int level)
{
	const gfn_t pages = level_pages(level), first = gfn / pages * pages;

	return first >= g->base && first + pages <= g->base + g->npages &&
	       g->hva_pages % pages == 0;
}

static int geometry_max(const struct level_geometry *g, gfn_t gfn)
{
	return fits(g, gfn, PG_LEVEL_1G) ? PG_LEVEL_1G :
	       fits(g, gfn, PG_LEVEL_2M) ? PG_LEVEL_2M : PG_LEVEL_4K;
}

/* Is the slot's answer @want, and no more than what is asked for? */
static bool slot_max_is(const struct kvm_memory_slot *slot, gfn_t gfn, int want)
{
	int level;

	for (level = PG_LEVEL_4K; level <= PG_LEVEL_1G; level++) {
		if (level_slot_max(slot, gfn, level) != min(level, want))
			return false;
	}
	return true;
}

static void level_slot_alignment(struct kunit *test)
{
	const struct level_geometry *g = test->param_value;
	struct kvm *kvm = kvm_test_create_vm(test);
	struct kvm_memory_slot *slot = level_test_slot(test, kvm, g);
	unsigned long bad = 0;
	gfn_t gfn;

	/* 37 is prime to the size of pages: all of their gfns have their turn. */
	for (gfn = g->base; gfn < g->base + g->npages; gfn += 37)
		bad += !slot_max_is(slot, gfn, geometry_max(g, gfn));

	gfn = g->base + g->npages - 1;
	bad += !slot_max_is(slot, gfn, geometry_max(g, gfn));
	KUNIT_EXPECT_EQ(test, bad, 0);
}

/* Gfns that are watched, and how often. */
struct watched {
	gfn_t gfn[48];
	unsigned int count[48];
};

static bool watched_below(const struct watched *w, gfn_t gfn, int level)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(w->gfn); i++) {
		if (w->count[i] &&
		    w->gfn[i] / level_pages(level) == gfn / level_pages(level))
			return true;
	}
	return false;
}

static int watched_max(const struct level_geometry *g, const struct watched *w, gfn_t gfn)
{
	int level = geometry_max(g, gfn);

	while (level > PG_LEVEL_4K && watched_below(w, gfn, level))
		level--;
	return level;
}

static void watched_step(const struct kvm_memory_slot *slot, struct watched *w,
			 u32 random)
{
	unsigned int i = random % ARRAY_SIZE(w->gfn);

	if (w->count[i] && (random & BIT(31) || w->count[i] == 3)) {
		w->count[i]--;
		level_allow(slot, w->gfn[i]);
	} else {
		w->count[i]++;
		level_disallow(slot, w->gfn[i]);
	}
}

static const struct level_geometry two_1g = {
	"two of 1G and bits", PAGES_1G - 0x321, 2 * PAGES_1G + 0x765, 0
};

static void level_counts(struct kunit *test)
{
	struct watched *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct kvm *kvm = kvm_test_create_vm(test);
	struct kvm_memory_slot *slot = level_test_slot(test, kvm, &two_1g);
	unsigned long bad = 0;
	struct rnd_state rnd;
	unsigned int i, n;
	gfn_t gfn;

	KUNIT_ASSERT_NOT_NULL(test, w);
	prandom_seed_state(&rnd, 3);

	/* In few 2M pages, so that some have several. */
	for (i = 0; i < ARRAY_SIZE(w->gfn); i++)
		w->gfn[i] = two_1g.base + i % 3 * PAGES_1G +
			    prandom_u32_state(&rnd) % 0x700;

	for (n = 0; n < 3000; n++) {
		watched_step(slot, w, prandom_u32_state(&rnd));
		gfn = n & 1 ? w->gfn[n / 2 % ARRAY_SIZE(w->gfn)] :
		      two_1g.base + prandom_u32_state(&rnd) % two_1g.npages;
		bad += !slot_max_is(slot, gfn, watched_max(&two_1g, w, gfn));
	}
	KUNIT_EXPECT_EQ(test, bad, 0);

	/* All reasons gone: as on the first day. */
	for (i = 0; i < ARRAY_SIZE(w->gfn); i++) {
		for (; w->count[i]; w->count[i]--)
			level_allow(slot, w->gfn[i]);
	}
	for (gfn = two_1g.base; gfn < two_1g.base + two_1g.npages; gfn += PAGES_2M)
		bad += !slot_max_is(slot, gfn, geometry_max(&two_1g, gfn));
	KUNIT_EXPECT_EQ(test, bad, 0);
}

#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
static const struct level_geometry attr_slot = {
	"1G and more on both sides", PAGES_1G - 0x503, PAGES_1G + 0xa06, 0
};

/**
 * struct attr_vm - a VM with a slot, and a model of its attributes
 * @kvm: the VM
 * @slot: attr_slot
 * @private: a bit for each gfn of the slot
 */
struct attr_vm {
	struct kvm *kvm;
	struct kvm_memory_slot *slot;
	unsigned long *private;
};

static void attr_vm_destroy(void *data)
{
	struct attr_vm *vm = data;

	xa_destroy(&vm->kvm->mem_attr_array);
}

static struct attr_vm *create_attr_vm(struct kunit *test)
{
	struct attr_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm->kvm = kvm_test_create_vm(test);
	vm->kvm->arch.has_private_mem = true;
	xa_init(&vm->kvm->mem_attr_array);
	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, attr_vm_destroy, vm));

	vm->slot = level_test_slot(test, vm->kvm, &attr_slot);
	vm->private = kunit_kzalloc(test, BITS_TO_LONGS(attr_slot.npages) * sizeof(long),
				    GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm->private);
	return vm;
}

/* All gfns of the page are private, or none is. */
static bool uniform(const struct attr_vm *vm, gfn_t gfn, int level)
{
	const unsigned long first = gfn / level_pages(level) * level_pages(level) -
				    attr_slot.base;
	const unsigned long end = first + level_pages(level);

	return find_next_bit(vm->private, end, first) >= end ||
	       find_next_zero_bit(vm->private, end, first) >= end;
}

static int attr_max(const struct attr_vm *vm, gfn_t gfn)
{
	int level = geometry_max(&attr_slot, gfn);

	while (level > PG_LEVEL_4K && !uniform(vm, gfn, level))
		level--;
	return level;
}

/* The gfns [@start, @end) are to become private, or shared. */
static struct kvm_gfn_range attr_range(const struct attr_vm *vm, gfn_t start,
				       gfn_t end, bool private)
{
	return (struct kvm_gfn_range) {
		.slot = vm->slot,
		.start = start,
		.end = end,
		.arg.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
		.may_block = true,
	};
}

/* How many 2M pages of the slot are not judged as the model does. */
static unsigned long attr_mistakes(const struct attr_vm *vm)
{
	unsigned long bad = 0;
	gfn_t gfn;

	for (gfn = attr_slot.base; gfn < attr_slot.base + attr_slot.npages;
	     gfn = (gfn / PAGES_2M + 1) * PAGES_2M)
		bad += !slot_max_is(vm->slot, gfn, attr_max(vm, gfn));
	return bad;
}

static int attr_store(struct attr_vm *vm, const struct kvm_gfn_range *range)
{
	const unsigned long attrs = range->arg.attributes;
	gfn_t gfn;
	int r;

	for (gfn = range->start; gfn < range->end; gfn++) {
		r = xa_err(xa_store(&vm->kvm->mem_attr_array, gfn,
				    attrs ? xa_mk_value(attrs) : NULL, GFP_KERNEL));
		if (r)
			return r;
		__assign_bit(gfn - attr_slot.base, vm->private, attrs);
	}
	return 0;
}

/* As KVM_SET_MEMORY_ATTRIBUTES does it. */
static int attr_change(struct attr_vm *vm, struct kvm_gfn_range *range)
{
	struct kvm *kvm = vm->kvm;
	int r;

	guard(mutex)(&kvm->slots_lock);

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, range->start, range->end);
	kvm_arch_pre_set_memory_attributes(kvm, range);
	write_unlock(&kvm->mmu_lock);

	r = attr_store(vm, range);

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_end(kvm);
	kvm_arch_post_set_memory_attributes(kvm, range);
	write_unlock(&kvm->mmu_lock);
	return r;
}

/* Around one of the slot's ends, or of the 1G page's, or anywhere. */
static struct kvm_gfn_range attr_random_range(struct attr_vm *vm,
					      struct rnd_state *rnd)
{
	const gfn_t places[] = {
		attr_slot.base, PAGES_1G, 2 * PAGES_1G,
		attr_slot.base + attr_slot.npages,
		attr_slot.base + prandom_u32_state(rnd) % attr_slot.npages,
	};
	gfn_t middle = places[prandom_u32_state(rnd) % ARRAY_SIZE(places)];
	gfn_t start = middle - prandom_u32_state(rnd) % (3 * PAGES_2M);
	gfn_t end = middle + prandom_u32_state(rnd) % (3 * PAGES_2M) + 1;

	/* Half of them are made of whole 2M pages. */
	if (prandom_u32_state(rnd) & 1) {
		start = start / PAGES_2M * PAGES_2M;
		end = (end / PAGES_2M + 1) * PAGES_2M;
	}

	start = max(start, attr_slot.base);
	end = min(end, attr_slot.base + attr_slot.npages);
	return attr_range(vm, min(start, end - 1), end, prandom_u32_state(rnd) & 1);
}

static void level_attributes_random(struct kunit *test)
{
	struct attr_vm *vm = create_attr_vm(test);
	struct kvm_gfn_range range;
	unsigned long bad = 0;
	struct rnd_state rnd;
	unsigned int n;

	prandom_seed_state(&rnd, 4);
	for (n = 0; n < 60; n++) {
		range = attr_random_range(vm, &rnd);
		KUNIT_ASSERT_EQ(test, 0, attr_change(vm, &range));
		bad += attr_mistakes(vm);
	}
	KUNIT_EXPECT_EQ(test, bad, 0);

	/* A slot that comes later finds the same. */
	kvm_mmu_init_memslot_memory_attributes(vm->kvm, vm->slot);
	KUNIT_EXPECT_EQ(test, attr_mistakes(vm), 0);

	/* All shared again: 1G, if nothing is left over. */
	range = attr_range(vm, attr_slot.base, attr_slot.base + attr_slot.npages,
			   false);
	KUNIT_ASSERT_EQ(test, 0, attr_change(vm, &range));
	KUNIT_EXPECT_EQ(test, attr_mistakes(vm), 0);
	KUNIT_EXPECT_EQ(test, PG_LEVEL_1G,
			level_slot_max(vm->slot, PAGES_1G, PG_LEVEL_1G));
}

/* The flags do not disturb the counts, nor the counts the flags. */
static void level_attributes_and_counts(struct kunit *test)
{
	const gfn_t gfn = PAGES_1G + 5;
	struct attr_vm *vm = create_attr_vm(test);
	struct kvm_gfn_range range = attr_range(vm, gfn, gfn + 1, true);

	level_disallow(vm->slot, gfn);
	KUNIT_ASSERT_EQ(test, 0, attr_change(vm, &range));
	level_disallow(vm->slot, gfn);
	level_allow(vm->slot, gfn);
	level_allow(vm->slot, gfn);
	KUNIT_EXPECT_EQ(test, attr_mistakes(vm), 0);

	level_disallow(vm->slot, gfn);
	range = attr_range(vm, gfn, gfn + 1, false);
	KUNIT_ASSERT_EQ(test, 0, attr_change(vm, &range));
	KUNIT_EXPECT_EQ(test, PG_LEVEL_4K,
			level_slot_max(vm->slot, gfn, PG_LEVEL_1G));
	level_allow(vm->slot, gfn);
	KUNIT_EXPECT_EQ(test, attr_mistakes(vm), 0);
}

/*
 * What is held off while the attributes of [@start, @end) change, in gfns from
 * @start and from @end on, outwards.
 */
static void expect_held_off(struct kunit *test, struct attr_vm *vm, gfn_t start,
			    gfn_t end, gfn_t before, gfn_t after)
{
	struct kvm_gfn_range range = attr_range(vm, start, end, true);
	struct kvm *kvm = vm->kvm;

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	kvm_mmu_invalidate_range_add(kvm, start, end);
	kvm_arch_pre_set_memory_attributes(kvm, &range);
	before -= start - kvm->mmu_invalidate_range_start;
	after -= kvm->mmu_invalidate_range_end - end;
	kvm_mmu_invalidate_end(kvm);
	write_unlock(&kvm->mmu_lock);

	KUNIT_EXPECT_EQ(test, before, 0);
	KUNIT_EXPECT_EQ(test, after, 0);
}

static void level_attributes_hold_off(struct kunit *test)
{
	const gfn_t slot_end = attr_slot.base + attr_slot.npages;
	const gfn_t page = PAGES_1G + PAGES_2M;
	struct attr_vm *vm = create_attr_vm(test);
	struct kvm_gfn_range one = attr_range(vm, page, page + 1, true);

	/* All of the 1G page could be mapped at once. */
	expect_held_off(test, vm, PAGES_1G + 3, PAGES_1G + 4, 3, PAGES_1G - 4);

	/* It is mixed now, but its 2M pages are not, save one. */
	KUNIT_ASSERT_EQ(test, 0, attr_change(vm, &one));
	expect_held_off(test, vm, PAGES_1G + 3, PAGES_1G + 4, 3, PAGES_2M - 4);
	expect_held_off(test, vm, page + 3, page + 4, 0, 0);

	/* Both ends of a range count. */
	expect_held_off(test, vm, page + PAGES_2M + 7, page + 9 * PAGES_2M + 1,
			7, PAGES_2M - 1);

	/* Where the slot begins and ends no huge page is possible. */
	expect_held_off(test, vm, attr_slot.base, attr_slot.base + 1, 0, 0);
	expect_held_off(test, vm, slot_end - 1, slot_end, 0, 0);
}
#endif /* CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES */

static struct kunit_case level_cases[] = {
	KUNIT_CASE_PARAM(level_slot_alignment, geometries_gen_params),
	KUNIT_CASE(level_counts),
#ifdef CONFIG_KVM_GENERIC_MEMORY_ATTRIBUTES
	KUNIT_CASE(level_attributes_random),
	KUNIT_CASE(level_attributes_and_counts),
	KUNIT_CASE(level_attributes_hold_off),
#endif
	{}
};

static struct kunit_suite level_suite = {
	.name = "kvm_level",
	.init = test_format_init,
	.test_cases = level_cases,
};

kunit_test_suite(level_suite);
