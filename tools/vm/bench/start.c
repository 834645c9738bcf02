// SPDX-License-Identifier: GPL-2.0
/* What a VMM waits for until its guest runs, and when it ends. */
#include <unistd.h>

#include "bench.h"

#define EVENTS		32

static uint64_t prepare(struct scene *scene)
{
	vm_prepare(&scene->vm);
	return 1;
}

static uint64_t create(struct scene *scene)
{
	vm_open(&scene->vm);
	return 1;
}

static uint64_t add_irqchip(struct scene *scene)
{
	vm_add_irqchip(&scene->vm);
	return 1;
}

static uint64_t add_pit(struct scene *scene)
{
	vm_add_pit(&scene->vm);
	return 1;
}

/* A few, as for ROMs; all have the system slot's memory. */
static uint64_t add_slots(struct scene *scene)
{
	uint64_t i;

	vm_add_system(&scene->vm);
	for (i = 0; i < 3; i++)
		vm_set_slot(&scene->vm, SLOT_OTHER + i, 0,
			    MEMORY + i * SYSTEM_SIZE, SYSTEM_SIZE,
			    scene->vm.system);
	return i + 1;
}

static uint64_t add_vcpu(struct scene *scene)
{
	vm_add_vcpu(&scene->vm);
	return 1;
}

/* For the queues of its devices */
static uint64_t add_ioeventfds(struct scene *scene)
{
	uint64_t i;

	for (i = 0; i < EVENTS; i++)
		close(vm_add_ioeventfd(&scene->vm, MMIO_EVENT + i * PAGE_4K));
	return EVENTS;
}

/* All at once, to have a sum */
static uint64_t start_all(struct scene *scene)
{
	int i;

	create(scene);
	add_irqchip(scene);
	add_pit(scene);
	add_slots(scene);
	for (i = 0; i < 4; i++)
		add_vcpu(scene);
	add_ioeventfds(scene);
	return scene_run(scene);
}

static const struct step steps[] = {
	{ .run = prepare },
	{ "create the VM", .run = create },
	{ "create the irqchip", .run = add_irqchip },
	{ "create the PIT", .run = add_pit },
	{ "create one of 4 slots", .run = add_slots },
	{ "create the first vCPU", .run = add_vcpu },
	{ "create a further vCPU", .times = 3, .run = add_vcpu },
	{ "make one of 32 ioeventfds", .run = add_ioeventfds },
	{ "run for the first time", .run = scene_run },
	{ "destroy the VM", .run = scene_destroy },
	{ .run = scene_free },
	{ .run = prepare },
	{ "all of it, from creation to the first run", .run = start_all },
	{ .run = scene_destroy },
	{ .run = scene_free },
	STEPS_END
};

const struct bench start_bench = {
	.name = "start",
	.rounds = 7,
	.steps = steps,
};
