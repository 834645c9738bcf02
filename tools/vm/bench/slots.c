// SPDX-License-Identifier: GPL-2.0
/* Changes of slots: beside many others, and while vCPUs run. */
#define _GNU_SOURCE
#include <err.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <linux/kvm.h>

#include "bench.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

static const uint64_t slot_counts[] = { 1, 10, 100, 1000, 10000, 32000 };
static const uint64_t vcpu_counts[] = { 0, 1, 2, 3, 4 };

static uint64_t log_probe(struct scene *scene)
{
	vm_set_slot(&scene->vm, SLOT_PROBE, KVM_MEM_LOG_DIRTY_PAGES, PROBE,
		    SYSTEM_SIZE, scene->vm.system);
	return 1;
}

static uint64_t move_probe(struct scene *scene)
{
	vm_set_slot(&scene->vm, SLOT_PROBE, 0, PROBE + SYSTEM_SIZE,
		    SYSTEM_SIZE, scene->vm.system);
	return 1;
}

/* With stock's modules a deletion takes all page tables, and the rest has none to look at. */
static const struct step steps[] = {
	{ .run = scene_run },
	{ "create a slot of 2 MiB", .run = create_probe },
	{ "start its dirty log", .run = log_probe },
	{ "stop its dirty log", .run = create_probe },
	{ "move it", .run = move_probe },
	{ "delete it", .run = delete_probe },
	STEPS_END
};

/* The slot of the VM itself is one of them. */
static void open_slots(struct scene *scene)
{
	uint64_t i;

	scene_create(scene);
	scene->size = scene->parameter * PAGE_4K;
	scene->memory = mmap(NULL, scene->size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
			     0);
	if (scene->memory == MAP_FAILED)
		err(EXIT_FAILURE, "mmap for slots");
	for (i = 1; i < scene->parameter; i++)
		vm_set_slot(&scene->vm, SLOT_OTHER + i, 0,
			    OTHER_SLOTS + i * PAGE_4K, PAGE_4K,
			    (char *)scene->memory + i * PAGE_4K);
}

const struct bench slots_bench = {
	.name = "slots",
	.parameter = "slots",
	.parameters = slot_counts,
	.parameter_count = ARRAY_SIZE(slot_counts),
	.rounds = 7,
	.open = open_slots,
	.steps = steps,
	.close = scene_end,
};

static pthread_t threads[MAX_VCPUS];

static void *run_vcpu(void *vcpu)
{
	vcpu_finish(vcpu);
	return NULL;
}

static void start_thread(struct scene *scene, int index)
{
	pthread_attr_t attributes;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(index, &cpus);
	if (pthread_attr_init(&attributes) ||
	    pthread_attr_setaffinity_np(&attributes, sizeof(cpus), &cpus) ||
	    pthread_create(&threads[index], &attributes, run_vcpu,
			   &scene->vm.vcpus[index]))
		errx(EXIT_FAILURE, "no thread on CPU %d", index);
	pthread_attr_destroy(&attributes);
}

/* Each writes to a page of its own, in memory that is mapped. */
static void open_running(struct scene *scene)
{
	struct guest_job job = { .op = GUEST_SPIN };
	uint64_t i;

	scene_create(scene);
	scene_get_memory(scene, MEMORY_SIZE, MADV_NOHUGEPAGE);
	scene_write_all(scene);
	for (i = 1; i <= scene->parameter; i++) {
		vm_add_vcpu(&scene->vm);
		job.addr = MEMORY + i * PAGE_4K;
		vcpu_start(&scene->vm.vcpus[i], job);
		start_thread(scene, i);
	}
}

static void close_running(struct scene *scene)
{
	uint64_t i;

	for (i = 1; i <= scene->parameter; i++) {
		__atomic_store_n(&scene->vm.vcpus[i].job->stop, 1,
				 __ATOMIC_RELAXED);
		pthread_join(threads[i], NULL);
	}
	scene_end(scene);
}

const struct bench running_bench = {
	.name = "running",
	.parameter = "running vCPUs",
	.parameters = vcpu_counts,
	.parameter_count = ARRAY_SIZE(vcpu_counts),
	.rounds = 7,
	.open = open_running,
	.steps = steps,
	.close = close_running,
};
