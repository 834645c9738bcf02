// SPDX-License-Identifier: GPL-2.0
/* A guest inside the guest, in 64 MiB that L1 maps for it by 4K pages. */
#include <sys/mman.h>

#include "bench.h"

#define EXITS		512
#define REMAPPED	512

static uint64_t start(struct scene *scene)
{
	scene_create(scene);
	return scene_get_memory(scene, MEMORY_SIZE, MADV_NOHUGEPAGE);
}

static uint64_t do_nested(struct scene *scene, enum guest_op op, uint64_t count)
{
	struct guest_job job = {
		.op = op,
		.addr = MEMORY,
		.step = PAGE_4K,
		.count = count,
	};

	vm_do(&scene->vm, job);
	return count;
}

static uint64_t exit_to_l1(struct scene *scene)
{
	return do_nested(scene, GUEST_L2_EXIT, EXITS);
}

static uint64_t write_memory(struct scene *scene)
{
	return do_nested(scene, GUEST_L2_WRITE, scene->size / PAGE_4K);
}

static uint64_t remap(struct scene *scene)
{
	return do_nested(scene, GUEST_L2_REMAP, REMAPPED);
}

static uint64_t switch_root(struct scene *scene)
{
	return do_nested(scene, GUEST_L2_SWITCH_ROOT, EXITS);
}

static uint64_t end(struct scene *scene)
{
	scene_end(scene);
	return 1;
}

static const struct step steps[] = {
	{ .run = start },
	{ .run = exit_to_l1 },
	{ "run L2 until it exits to L1", .run = exit_to_l1 },
	{ "L2 populates a 4K page", PER_PAGE, .run = write_memory },
	{ .run = create_probe },
	{ "delete another slot, with that mapped", .run = delete_probe },
	{ "L2 touches a page after that", PER_PAGE, .run = write_memory },
	{ "L1 maps another page, L2 touches it", PER_PAGE, .run = remap },
	{ .run = switch_root },
	{ "run L2 in turn on two roots", .run = switch_root },
	{ .run = end },
	STEPS_END
};

const struct bench nested_bench = {
	.name = "nested",
	.rounds = 1,
	.steps = steps,
};
