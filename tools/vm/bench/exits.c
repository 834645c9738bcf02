// SPDX-License-Identifier: GPL-2.0
/* What a guest's access to a device costs. */
#include <unistd.h>

#include <linux/kvm.h>

#include "bench.h"

#define EXITS		1024
#define CREATED		128

/* A job that makes the guest exit each time. */
static uint64_t do_exits(struct scene *scene, struct guest_job job,
			 uint32_t reason)
{
	struct vcpu *vcpu = scene->vm.vcpus;
	uint64_t i;

	vcpu_start(vcpu, job);
	for (i = 0; i < job.count; i++)
		vcpu_exit(vcpu, reason);
	vcpu_finish(vcpu);
	return job.count;
}

static uint64_t write_port(struct scene *scene)
{
	struct guest_job job = { .op = GUEST_OUT, .count = EXITS };

	return do_exits(scene, job, KVM_EXIT_IO);
}

static uint64_t mmio(struct scene *scene, enum guest_op op, uint64_t step)
{
	struct guest_job job = {
		.op = op,
		.addr = MMIO,
		.step = step,
		.count = EXITS,
	};

	return do_exits(scene, job, KVM_EXIT_MMIO);
}

static uint64_t read_pages(struct scene *scene)
{
	return mmio(scene, GUEST_READ, PAGE_4K);
}

static uint64_t read_page(struct scene *scene)
{
	return mmio(scene, GUEST_READ, 0);
}

static uint64_t write_page(struct scene *scene)
{
	return mmio(scene, GUEST_WRITE, 0);
}

static uint64_t add_event(struct scene *scene)
{
	close(vm_add_ioeventfd(&scene->vm, MMIO_EVENT));
	return 1;
}

static uint64_t write_event(struct scene *scene)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = MMIO_EVENT,
		.count = EXITS,
	};

	vm_do(&scene->vm, job);
	return EXITS;
}

/* Each of the pages is cached, until a slot elsewhere is created. */
static void create_other(struct scene *scene)
{
	struct guest_job job = {
		.op = GUEST_READ,
		.addr = MMIO,
		.step = PAGE_4K,
		.count = CREATED,
	};
	uint64_t i = scene->index;

	if (!i)
		vcpu_start(scene->vm.vcpus, job);
	vm_set_slot(&scene->vm, SLOT_OTHER + i, 0, OTHER_SLOTS + i * PAGE_4K,
		    PAGE_4K, scene->vm.system);
}

static uint64_t next_exit(struct scene *scene)
{
	vcpu_exit(scene->vm.vcpus, KVM_EXIT_MMIO);
	return 1;
}

static uint64_t finish(struct scene *scene)
{
	vcpu_finish(scene->vm.vcpus);
	return 1;
}

static const struct step steps[] = {
	{ .run = scene_create },
	{ "PIO exit to userspace and back", .run = write_port },
	{ "MMIO page, first touch", .run = read_pages },
	{ "MMIO page, cached", .run = read_pages },
	{ "MMIO read exit", .run = read_page },
	{ "MMIO write exit", .run = write_page },
	{ .run = add_event },
	{ "MMIO write to an ioeventfd", .run = write_event },
	{ "MMIO page after a slot was created", .times = CREATED,
	  .before = create_other, .run = next_exit },
	{ .run = finish },
	{ .run = scene_destroy },
	{ .run = scene_free },
	STEPS_END
};

const struct bench exits_bench = {
	.name = "exits",
	.rounds = 1,
	.steps = steps,
};
