// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>
#include <sys/mman.h>

#include "hostile_scene.h"
#include "processor.h"
#include "test_util.h"

#define SCENE_MEMORY	0x5041474500000000ull
#define SCENE_MMIO	0x4d4d494f00000000ull

const struct scene_slot scene_slots[NR_SCENE_SLOTS] = {
	[PLAIN]	  = { 0, 0, 8, 0 },
	[LOGGED]  = { KVM_MEM_LOG_DIRTY_PAGES, 8, 8, 8 },
	[SUBJECT] = { 0, 20, 4, 16 },
};

/* Guest: reads every page, and writes to one. */
static struct {
	uint64_t values[SCENE_PAGES];
	uint64_t write;
} scene_shared;

static void scene_guest(void)
{
	int i;

	for (;;) {
		for (i = 0; i < SCENE_PAGES; i++)
			scene_shared.values[i] = READ_ONCE(*(uint64_t *)
						(SCENE_GPA + SCENE_PAGE(i)));
		WRITE_ONCE(*(uint64_t *)(scene_shared.write + 8), 1);
		GUEST_SYNC(0);
	}
}

int scene_set(struct scene *s, int id, const struct scene_slot *slot)
{
	struct kvm_userspace_memory_region region = {
		.slot = SCENE_FIRST_ID + id,
		.flags = slot->flags,
		.guest_phys_addr = SCENE_GPA + SCENE_PAGE(slot->first),
		.memory_size = SCENE_PAGE(slot->pages),
		.userspace_addr = (uintptr_t)s->mem + SCENE_PAGE(slot->host),
	};
	int r = ioctl(s->vm->fd, KVM_SET_USER_MEMORY_REGION, &region);

	if (!r)
		s->slots[id] = *slot;
	return r;
}

void scene_fill(struct scene *s)
{
	int i;

	for (i = 0; i < SCENE_HOST_PAGES; i++)
		*(uint64_t *)(s->mem + SCENE_PAGE(i)) = SCENE_MEMORY | i;
}

static void scene_choose_write(struct scene *s)
{
	s->target = s->passes++ % scene_slots[LOGGED].pages;
	write_guest_global(s->vm, scene_shared.write, SCENE_GPA +
			   SCENE_PAGE(scene_slots[LOGGED].first + s->target));
}

static void scene_create_slots(struct scene *s)
{
	int i;

	for (i = 0; i < SCENE_PAGES; i++)
		virt_pg_map(s->vm, SCENE_GPA + SCENE_PAGE(i),
			    SCENE_GPA + SCENE_PAGE(i));
	for (i = 0; i < NR_SCENE_SLOTS; i++)
		TEST_ASSERT(!scene_set(s, i, &scene_slots[i]),
			    "slot %d: errno %d", i, errno);
}

void scene_create(struct scene *s)
{
	memset(s, 0, sizeof(*s));
	s->vm = vm_create_with_one_vcpu(&s->vcpu, scene_guest);
	s->mem = mmap(NULL, SCENE_PAGE(SCENE_HOST_PAGES), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(s->mem != MAP_FAILED, "mmap: errno %d", errno);
	scene_fill(s);
	scene_create_slots(s);
	scene_choose_write(s);
}

void scene_free(struct scene *s)
{
	kvm_vm_free(s->vm);
	munmap(s->mem, SCENE_PAGE(SCENE_HOST_PAGES));
}

static uint64_t scene_expected(const struct scene *s, int page)
{
	int i;

	for (i = 0; i < NR_SCENE_SLOTS; i++) {
		const struct scene_slot *slot = &s->slots[i];

		if (page >= slot->first && page < slot->first + slot->pages)
			return SCENE_MEMORY | (slot->host + page - slot->first);
	}
	return SCENE_MMIO | page;
}

int scene_run_once(struct scene *s)
{
	struct kvm_run *run = s->vcpu->run;
	int r = __vcpu_run(s->vcpu);
	uint64_t value;

	if (!r && run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write) {
		value = (run->mmio.phys_addr - SCENE_GPA) / SCENE_PAGE(1);
		value |= SCENE_MMIO;
		memcpy(run->mmio.data, &value, sizeof(value));
	}
	return r;
}

/* On to the end of the guest's pass. */
static void scene_finish_pass(struct scene *s)
{
	do {
		TEST_ASSERT(!scene_run_once(s), "KVM_RUN: errno %d", errno);
	} while (s->vcpu->run->exit_reason == KVM_EXIT_MMIO);
	TEST_ASSERT_EQ(get_ucall(s->vcpu, NULL), UCALL_SYNC);
	s->written |= BIT(s->target);
}

/*
 * Takes the log.  What the guest wrote must be in it, and with @exact nothing
 * else: a page that is mapped anew, be it for a read, may be logged as well.
 */
static void scene_check_log(struct scene *s, bool exact)
{
	uint64_t allowed = exact ? s->written : BIT(scene_slots[LOGGED].pages) - 1;
	uint64_t bitmap = ~0ull;
	struct kvm_dirty_log log = {
		.slot = SCENE_FIRST_ID + LOGGED,
		.dirty_bitmap = &bitmap,
	};

	TEST_ASSERT(!ioctl(s->vm->fd, KVM_GET_DIRTY_LOG, &log),
		    "KVM_GET_DIRTY_LOG: errno %d", errno);
	TEST_ASSERT((bitmap & s->written) == s->written && !(bitmap & ~allowed),
		    "dirty log: 0x%lx, written: 0x%lx", bitmap, s->written);
	s->written = 0;
}

static void scene_check_values(struct scene *s)
{
	uint64_t *values = addr_gva2hva(s->vm, (vm_vaddr_t)&scene_shared.values);
	int i;

	for (i = 0; i < SCENE_PAGES; i++)
		TEST_ASSERT(values[i] == scene_expected(s, i),
			    "page %d reads 0x%lx instead of 0x%lx", i,
			    values[i], scene_expected(s, i));
}

static void scene_pass(struct scene *s, bool exact)
{
	scene_choose_write(s);
	scene_finish_pass(s);
	scene_check_values(s);
	scene_check_log(s, exact);
}

/* Once the first pass has mapped all, the second one leaves an exact log. */
void scene_check(struct scene *s)
{
	scene_check_log(s, false);
	scene_finish_pass(s);
	scene_pass(s, false);
	scene_pass(s, true);
}
