// SPDX-License-Identifier: GPL-2.0
/* Steps that several benches have, and their memory. */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "bench.h"

const uint64_t memory_sizes[NR_MEMORY_SIZES] = { 256, 512, 1024 };

/* The kernel tells for the whole process. */
static bool have_huge_pages(uint64_t size)
{
	unsigned long kib = 0;
	char line[128];
	FILE *file = fopen("/proc/self/smaps_rollup", "r");

	if (!file)
		return false;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "AnonHugePages: %lu", &kib) == 1)
			break;
	fclose(file);
	return KIB(kib) >= size;
}

static void *alloc_memory(uint64_t size, int advice)
{
	char *area = mmap(NULL, size + PAGE_2M, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *memory;
	uint64_t i;

	if (area == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the guest's memory");
	memory = (char *)(((uintptr_t)area + PAGE_2M - 1) & -PAGE_2M);
	if (madvise(memory, size, advice))
		err(EXIT_FAILURE, "madvise");
	for (i = 0; i < size; i += PAGE_4K)
		memory[i] = 1;
	munmap(area, memory - area);
	munmap(memory + size, PAGE_2M - (memory - area));
	if (advice == MADV_HUGEPAGE && !have_huge_pages(size))
		errx(EXIT_FAILURE, "no huge pages");
	return memory;
}

uint64_t scene_create(struct scene *scene)
{
	vm_create(&scene->vm);
	return 1;
}

uint64_t scene_destroy(struct scene *scene)
{
	vm_destroy(&scene->vm);
	return 1;
}

uint64_t scene_free(struct scene *scene)
{
	vm_free(&scene->vm);
	return 1;
}

void scene_set_memory(struct scene *scene, uint32_t flags)
{
	vm_set_slot(&scene->vm, SLOT_MEMORY, flags, MEMORY, scene->size,
		    scene->memory);
}

uint64_t scene_get_memory(struct scene *scene, uint64_t size, int advice)
{
	scene->size = size;
	scene->memory = alloc_memory(size, advice);
	scene_set_memory(scene, 0);
	return 1;
}

uint64_t scene_free_memory(struct scene *scene)
{
	munmap(scene->memory, scene->size);
	return 1;
}

void scene_end(struct scene *scene)
{
	scene_destroy(scene);
	scene_free(scene);
	scene_free_memory(scene);
}

uint64_t scene_write(struct scene *scene, uint64_t step)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = MEMORY,
		.step = step,
		.count = scene->size / step,
	};

	vm_do(&scene->vm, job);
	return job.count;
}

uint64_t scene_write_all(struct scene *scene)
{
	return scene_write(scene, PAGE_4K);
}

uint64_t scene_run(struct scene *scene)
{
	vm_do(&scene->vm, (struct guest_job) { .op = GUEST_NOTHING });
	return 1;
}

/* Its memory is that of the system slot. */
uint64_t create_probe(struct scene *scene)
{
	vm_set_slot(&scene->vm, SLOT_PROBE, 0, PROBE, SYSTEM_SIZE,
		    scene->vm.system);
	return 1;
}

uint64_t delete_probe(struct scene *scene)
{
	vm_set_slot(&scene->vm, SLOT_PROBE, 0, PROBE, 0, NULL);
	return 1;
}
