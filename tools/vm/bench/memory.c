// SPDX-License-Identifier: GPL-2.0
/* Memory of the guest: to populate it, and to take it away. */
#include <sys/mman.h>

#include "bench.h"

#define CR3_PAIRS	1024

static uint64_t get_small(struct scene *scene)
{
	return scene_get_memory(scene, MIB(scene->parameter), MADV_NOHUGEPAGE);
}

static uint64_t get_huge(struct scene *scene)
{
	return scene_get_memory(scene, MIB(scene->parameter), MADV_HUGEPAGE);
}

static uint64_t write_huge(struct scene *scene)
{
	return scene_write(scene, PAGE_2M);
}

static uint64_t delete_memory(struct scene *scene)
{
	vm_set_slot(&scene->vm, SLOT_MEMORY, 0, MEMORY, 0, NULL);
	return 1;
}

/*
 * What is deleted, or destroyed, has never been anywhere else, so that the
 * host's mm does not know it yet. In the last part, huge pages are where small
 * ones were.
 */
static const struct step small_steps[] = {
	{ .run = scene_create },
	{ .run = get_small },
	{ "populate 4K pages", PER_GIB, .run = scene_write_all },
	{ "delete the slot", PER_GIB, .run = delete_memory },
	{ .run = scene_free_memory },
	{ .run = get_small },
	{ .run = scene_write_all },
	{ "destroy the VM", PER_GIB, .run = scene_destroy },
	{ .run = scene_free },
	{ .run = scene_free_memory },
	STEPS_END
};

const struct bench memory_4k_bench = {
	.name = "memory-4k",
	BENCH_BY_SIZE,
	.steps = small_steps,
};

static const struct step huge_steps[] = {
	{ .run = scene_create },
	{ .run = get_huge },
	{ "populate 2M pages", PER_GIB, .run = write_huge },
	{ "delete the slot", PER_GIB, .run = delete_memory },
	{ .run = scene_free_memory },
	{ .run = get_small },
	{ .run = scene_write_all },
	{ .run = delete_memory },
	{ .run = scene_free_memory },
	{ .run = get_huge },
	{ "populate 2M pages where 4K pages were", PER_GIB,
	  .run = write_huge },
	{ "destroy the VM", PER_GIB, .run = scene_destroy },
	{ .run = scene_free },
	{ .run = scene_free_memory },
	STEPS_END
};

const struct bench memory_2m_bench = {
	.name = "memory-2m",
	BENCH_BY_SIZE,
	.steps = huge_steps,
};

static uint64_t get_little(struct scene *scene)
{
	return scene_get_memory(scene, MEMORY_SIZE, MADV_NOHUGEPAGE);
}

static const struct step touch_steps[] = {
	{ .run = scene_create },
	{ .run = get_little },
	{ "populate a 4K page", PER_PAGE, .run = scene_write_all },
	{ .run = create_probe },
	{ "delete another slot, with 64 MiB mapped", .run = delete_probe },
	{ "touch a page after that", PER_PAGE, .run = scene_write_all },
	{ "touch a mapped page", PER_PAGE, .run = scene_write_all },
	{ "destroy the VM with 64 MiB", .run = scene_destroy },
	{ .run = scene_free },
	{ .run = scene_free_memory },
	STEPS_END
};

const struct bench touch_bench = {
	.name = "touch",
	.rounds = 1,
	.steps = touch_steps,
};

static uint64_t get_tables(struct scene *scene)
{
	get_little(scene);
	vm_set_root(&scene->vm, SMALL_PML4);
	return 1;
}

static uint64_t switch_cr3(struct scene *scene)
{
	struct guest_job job = {
		.op = GUEST_SWITCH_CR3,
		.addr = SMALL_PML4,
		.step = OTHER_PML4,
		.count = CR3_PAIRS,
	};

	vm_do(&scene->vm, job);
	return CR3_PAIRS;
}

static const struct step tables_steps[] = {
	{ .run = scene_create },
	{ .run = get_tables },
	{ "populate a 4K page", PER_PAGE, .run = scene_write_all },
	{ .run = switch_cr3 },
	{ "load CR3 twice", .run = switch_cr3 },
	{ .run = scene_destroy },
	{ .run = scene_free },
	{ .run = scene_free_memory },
	STEPS_END
};

/* The guest uses 4K pages in its own tables, too. */
const struct bench tables_bench = {
	.name = "tables",
	.rounds = 1,
	.steps = tables_steps,
};
