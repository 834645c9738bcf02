// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memslot generation: its arithmetic, and that no two states of a VM's
 * memslots ever have the same one.
 *
 * The sets here are the two copies of each address space, installed by hand
 * with the arithmetic of memslot_tree.h, without a VM; a real installation is
 * in the architecture's tests.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/prandom.h>
#include <linux/slab.h>

#include "../memslot_tree.h"

#define MAX_AS		4
#define NR_INSTALLS	100000

/* Enough for the case that all installations are in one address space. */
#define NR_GENERATIONS	(2 * MAX_AS * (NR_INSTALLS + 1) + 1)

struct gen_as {
	struct kvm_memslots copies[2];
	int active;
};

/*
 * @seen: every generation that was current in any address space
 * @repeated: those that were so a second time
 * @wrong: those whose parity is not that of their moment
 */
struct gen_vm {
	unsigned int nr_as;
	struct gen_as as[MAX_AS];
	unsigned long *seen;
	unsigned long repeated;
	unsigned long wrong;
};

static bool gen_is_in_flux(u64 gen)
{
	return gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
}

static void gen_note(struct gen_vm *vm, u64 gen, bool in_flux)
{
	vm->wrong += gen_is_in_flux(gen) != in_flux || gen >= NR_GENERATIONS;
	if (gen < NR_GENERATIONS)
		vm->repeated += __test_and_set_bit(gen, vm->seen);
}

static void gen_vm_init(struct gen_vm *vm, unsigned int nr_as)
{
	unsigned int i;

	vm->nr_as = nr_as;
	for (i = 0; i < nr_as; i++) {
		u64 gen = kvm_memslots_gen_first(i);

		kvm_memslots_init_copy(&vm->as[i].copies[0], 0, gen);
		kvm_memslots_init_copy(&vm->as[i].copies[1], 1, gen);
		gen_note(vm, gen, false);
	}
}

/* Install the inactive copy: the generation of the readers' set changes twice. */
static void gen_install(struct gen_vm *vm, struct gen_as *as)
{
	struct kvm_memslots *old = &as->copies[as->active];
	struct kvm_memslots *new = &as->copies[!as->active];

	new->generation = kvm_memslots_gen_begin(old->generation);
	as->active = new->node_idx;
	gen_note(vm, new->generation, true);

	new->generation = kvm_memslots_gen_end(new->generation, vm->nr_as);
	gen_note(vm, new->generation, false);
}

static void gen_free_bitmap(void *seen)
{
	bitmap_free(seen);
}

static struct gen_vm *gen_vm_alloc(struct kunit *test)
{
	struct gen_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vm);

	vm->seen = bitmap_zalloc(NR_GENERATIONS, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, vm->seen);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test,
							   gen_free_bitmap,
							   vm->seen));
	return vm;
}

struct gen_case {
	const char *name;
	unsigned int nr_as;
};

static const struct gen_case gen_cases[] = {
	{ "one address space",		1 },
	{ "two address spaces",		2 },
	{ "three address spaces",	3 },
	{ "four address spaces",	4 },
};

KUNIT_ARRAY_PARAM_DESC(gen_cases, gen_cases, name);

/* An update takes the generation up by one, and then to the next at rest. */
static void memslot_gen_one_update(struct kunit *test)
{
	const struct gen_case *c = test->param_value;
	unsigned int i;

	for (i = 0; i < c->nr_as; i++) {
		u64 first = kvm_memslots_gen_first(i);
		u64 flux = kvm_memslots_gen_begin(first);
		u64 next = kvm_memslots_gen_end(flux, c->nr_as);

		KUNIT_EXPECT_EQ(test, first, 2 * i);
		KUNIT_EXPECT_EQ(test, flux, first + 1);
		KUNIT_EXPECT_EQ(test, next, first + 2 * c->nr_as);
	}
}

/* The address spaces are updated in any order, and nothing comes twice. */
static void memslot_gen_random_installs(struct kunit *test)
{
	const struct gen_case *c = test->param_value;
	struct gen_vm *vm = gen_vm_alloc(test);
	struct rnd_state rnd;
	unsigned int i;

	prandom_seed_state(&rnd, c->nr_as);
	gen_vm_init(vm, c->nr_as);
	for (i = 0; i < NR_INSTALLS; i++)
		gen_install(vm, &vm->as[prandom_u32_state(&rnd) % c->nr_as]);

	KUNIT_EXPECT_EQ(test, vm->wrong, 0);
	KUNIT_EXPECT_EQ(test, vm->repeated, 0);
	KUNIT_EXPECT_EQ(test, bitmap_weight(vm->seen, NR_GENERATIONS),
			c->nr_as + 2 * NR_INSTALLS);
}

/* One address space runs ahead by all there is; the other ones stand still. */
static void memslot_gen_one_runs_ahead(struct kunit *test)
{
	const struct gen_case *c = test->param_value;
	struct gen_vm *vm = gen_vm_alloc(test);
	unsigned int i;

	gen_vm_init(vm, c->nr_as);
	for (i = 0; i < NR_INSTALLS; i++)
		gen_install(vm, &vm->as[c->nr_as - 1]);
	for (i = 0; i < NR_INSTALLS; i++)
		gen_install(vm, &vm->as[0]);

	KUNIT_EXPECT_EQ(test, vm->wrong, 0);
	KUNIT_EXPECT_EQ(test, vm->repeated, 0);
}

static struct kunit_case memslot_gen_cases[] = {
	KUNIT_CASE_PARAM(memslot_gen_one_update, gen_cases_gen_params),
	KUNIT_CASE_PARAM(memslot_gen_random_installs, gen_cases_gen_params),
	KUNIT_CASE_PARAM(memslot_gen_one_runs_ahead, gen_cases_gen_params),
	{}
};

static struct kunit_suite memslot_gen_suite = {
	.name = "kvm_memslot_gen",
	.test_cases = memslot_gen_cases,
};

kunit_test_suite(memslot_gen_suite);
