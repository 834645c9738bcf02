// SPDX-License-Identifier: GPL-2.0
/* Dirty logs, as a VMM uses them to migrate a guest. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "bench.h"

#define SPARSE		64

static void open_small(struct scene *scene)
{
	scene->advice = MADV_NOHUGEPAGE;
}

static void open_huge(struct scene *scene)
{
	scene->advice = MADV_HUGEPAGE;
}

static void set_eager_split(const char *value)
{
	FILE *file = fopen("/sys/module/kvm/parameters/eager_page_split", "w");

	if (!file || fputs(value, file) == EOF || fclose(file))
		err(EXIT_FAILURE, "parameter eager_page_split of kvm");
}

/* Huge pages are not split before the guest writes to them. */
static void open_lazy(struct scene *scene)
{
	open_huge(scene);
	set_eager_split("N");
}

static void close_lazy(struct scene *scene)
{
	(void)scene;
	set_eager_split("Y");
}

/* All of the memory is mapped and writable before the log begins. */
static uint64_t begin(struct scene *scene)
{
	scene_create(scene);
	scene_get_memory(scene, MIB(scene->parameter), scene->advice);
	scene->bitmap = malloc(scene->size / PAGE_4K / 8);
	if (!scene->bitmap)
		err(EXIT_FAILURE, "malloc");
	/* No page of it is missing when it is read into. */
	memset(scene->bitmap, 0xff, scene->size / PAGE_4K / 8);
	return scene_write_all(scene);
}

static uint64_t start_log(struct scene *scene)
{
	scene_set_memory(scene, KVM_MEM_LOG_DIRTY_PAGES);
	return 1;
}

static uint64_t stop_log(struct scene *scene)
{
	scene_set_memory(scene, 0);
	return 1;
}

static uint64_t get_log(struct scene *scene)
{
	vm_get_dirty_log(&scene->vm, SLOT_MEMORY, scene->bitmap);
	return 1;
}

/* Each word of the bitmap must be this one. */
static uint64_t check_log(struct scene *scene, uint64_t word)
{
	uint64_t i;

	for (i = 0; i < scene->size / PAGE_4K / 64; i++)
		if (scene->bitmap[i] != word)
			errx(EXIT_FAILURE, "dirty bitmap: %#lx, not %#lx",
			     scene->bitmap[i], word);
	return 1;
}

static uint64_t check_none(struct scene *scene)
{
	return check_log(scene, 0);
}

static uint64_t check_sparse(struct scene *scene)
{
	return check_log(scene, 1);
}

static uint64_t check_all(struct scene *scene)
{
	return check_log(scene, ~0ull);
}

static uint64_t write_sparse(struct scene *scene)
{
	return scene_write(scene, SPARSE * PAGE_4K);
}

static uint64_t write_one_of_512(struct scene *scene)
{
	return scene_write(scene, PAGE_2M);
}

static uint64_t set_manual(struct scene *scene)
{
	vm_set_manual_log(&scene->vm, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
				      KVM_DIRTY_LOG_INITIALLY_SET);
	return 1;
}

static uint64_t clear_log(struct scene *scene)
{
	vm_clear_dirty_log(&scene->vm, SLOT_MEMORY, scene->size / PAGE_4K,
			   scene->bitmap);
	return 1;
}

static uint64_t end(struct scene *scene)
{
	scene_end(scene);
	free(scene->bitmap);
	return 1;
}

static const struct step steps[] = {
	{ .run = begin },
	{ "start the log", PER_GIB, .run = start_log },
	{ "GET, no pages dirty", PER_GIB, .run = get_log },
	{ .run = check_none },
	{ "first write to each page", PER_GIB, .run = scene_write_all },
	{ "GET, all pages dirty", PER_GIB, .run = get_log },
	{ .run = check_all },
	{ "write to 1 of 64 pages", PER_PAGE, .run = write_sparse },
	{ "GET, one in 64 pages dirty", PER_GIB, .run = get_log },
	{ .run = check_sparse },
	{ "write to 1 of 512 pages", PER_PAGE, .run = write_one_of_512 },
	{ "stop the log", PER_GIB, .run = stop_log },
	{ "first write after the log", PER_GIB, .run = scene_write_all },
	{ .run = set_manual },
	{ "start the log, initially all set", PER_GIB, .run = start_log },
	{ .run = get_log },
	{ .run = check_all },
	{ "CLEAR, all pages", PER_GIB, .run = clear_log },
	{ .run = end },
	STEPS_END
};

const struct bench dirty_4k_bench = {
	.name = "dirty-4k",
	BENCH_BY_SIZE,
	.open = open_small,
	.steps = steps,
};

const struct bench dirty_2m_bench = {
	.name = "dirty-2m",
	BENCH_BY_SIZE,
	.open = open_huge,
	.steps = steps,
};

const struct bench dirty_lazy_bench = {
	.name = "dirty-lazy",
	BENCH_BY_SIZE,
	.open = open_lazy,
	.steps = steps,
	.close = close_lazy,
};
