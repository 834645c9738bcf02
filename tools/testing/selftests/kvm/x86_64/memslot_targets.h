/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of mmio_memslot_race_test: its targets, and the patterns in which
 * they change.
 */
#ifndef SELFTEST_KVM_MEMSLOT_TARGETS_H
#define SELFTEST_KVM_MEMSLOT_TARGETS_H

#include <sys/mman.h>

#include "kvm_util.h"
#include "memslot_phase.h"
#include "processor.h"

#define TARGET_SLOT	10
#define LOW_SLOT	30
#define HIGH_SLOT	31
#define OTHER_SLOT	40
#define OTHER_GPA	0xb0000000ull
#define AWAY_OFFSET	0x10000000ull

enum where { ABSENT, HERE, AWAY };

static struct target {
	const char *name;
	uint64_t gpa, size;
	uint8_t *backings[2];
	enum where where;
	uint32_t flags;
	uint64_t phase_nr;	/* of the phase that the change under way leads to */
	uint64_t incarnation;	/* chooses one of two slot ids and backings */
} targets[NR_TARGETS] = {
	{ .name = "alone",	.gpa = 0xc0103000ull,	.size = 0x20000 },
	{ .name = "neighbours",	.gpa = 0xc0400000ull,	.size = 0x20000 },
	{ .name = "above 4G",	.gpa = 0x140000000ull,	.size = 0x20000 },
	{ .name = "huge page",	.gpa = 0xc8000000ull,	.size = 0x200000 },
};

static struct slots {
	struct kvm_vm *vm;
	bool has_as1, other_present[2];
	uint64_t changes;	/* in all address spaces */
	uint64_t installs;	/* of a set of slots in address space 0 */
} slots;

/* Slot changes; @installs counts how many sets of slots one change installs. */

static void set_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size,
		     void *hva, int installs)
{
	vm_set_user_memory_region(slots.vm, slot, flags, gpa, size, hva);
	slots.changes++;
	if (!(slot >> 16))
		slots.installs += installs;
}

static uint32_t target_slot(struct target *t)
{
	return TARGET_SLOT + 2 * (t - targets) + (t->incarnation & 1);
}

static uint8_t *target_backing(struct target *t)
{
	return t->backings[t->incarnation & 1];
}

static void fill_backing(struct target *t, uint64_t magic)
{
	uint64_t offset;

	for (offset = 0; offset < t->size; offset += t->size / NR_PROBES)
		WRITE_ONCE(*(uint64_t *)(target_backing(t) + offset),
			   magic ^ (t->gpa + offset));
}

static uint64_t next_phase(struct target *t)
{
	return t->phase_nr << PHASE_SHIFT |
	       (t->where == HERE ? PHASE_MEM : PHASE_MMIO);
}

/* Memory gets its value before the guest can reach it, and loses it after. */
static void place_target(struct target *t, enum where where)
{
	uint64_t gpa = t->gpa + (where == AWAY ? AWAY_OFFSET : 0);
	int installs = t->where == ABSENT ? 1 : 2;

	if (t->where == ABSENT) {
		t->incarnation++;
		t->flags = 0;
	}
	if (where == HERE)
		fill_backing(t, MEM_MAGIC ^
			     (t->phase_nr << PHASE_SHIFT | PHASE_MEM));
	set_slot(target_slot(t), t->flags, gpa, t->size, target_backing(t),
		 installs);
	if (where == AWAY)
		fill_backing(t, FREED_MAGIC);
	t->where = where;
}

static void delete_target(struct target *t)
{
	set_slot(target_slot(t), 0, t->gpa, 0, NULL, 2);
	fill_backing(t, FREED_MAGIC);
	t->where = ABSENT;
}

static void toggle_other(uint32_t as_id)
{
	static uint8_t page[4096] __aligned(4096);
	bool *present = &slots.other_present[as_id];

	set_slot(as_id << 16 | OTHER_SLOT, 0, OTHER_GPA,
		 *present ? 0 : sizeof(page), page, *present ? 2 : 1);
	*present = !*present;
}

/* Patterns: one round of changes each */

static void toggle(struct target *t)
{
	if (t->where == ABSENT)
		place_target(t, HERE);
	else
		delete_target(t);
}

static void move(struct target *t)
{
	place_target(t, t->where == HERE ? AWAY : HERE);
}

/* All MMIO SPTEs are stale when the target changes: every access is a miss. */
static void bump_and_toggle(struct target *t)
{
	toggle_other(0);
	toggle(t);
}

static void replace(struct target *t)
{
	if (t->where != ABSENT)
		delete_target(t);
	place_target(t, HERE);
}

static void change_other(struct target *t)
{
	toggle_other(0);
	toggle_other(0);
}

static void change_other_as(struct target *t)
{
	toggle_other(slots.has_as1);
	toggle_other(slots.has_as1);
}

static void toggle_logging(struct target *t)
{
	if (t->where != HERE) {
		toggle_other(0);
		return;
	}
	t->flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	set_slot(target_slot(t), t->flags, t->gpa, t->size, target_backing(t),
		 1);
}

static const struct pattern {
	void (*run)(struct target *t);
	bool changes_target;
} patterns[] = {
	{ toggle, true }, { bump_and_toggle, true }, { move, true },
	{ replace, true }, { bump_and_toggle, true }, { toggle, true },
	{ change_other }, { change_other_as }, { toggle_logging },
};

/* Set-up */

static void *map_aligned(uint64_t size, uint64_t align)
{
	uintptr_t addr = (uintptr_t)mmap(NULL, size + align,
					 PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT((void *)addr != MAP_FAILED, "mmap() failed: %d", errno);
	addr = (addr + align - 1) & ~(align - 1);
	madvise((void *)addr, size, MADV_HUGEPAGE);
	return (void *)addr;
}

static void init_target(int nr, struct shared *shared)
{
	struct target *t = &targets[nr];
	int i;

	t->where = ABSENT;
	t->phase_nr = 1;
	for (i = 0; i < 2 && !t->backings[i]; i++)
		t->backings[i] = map_aligned(t->size, t->size);
	for (i = 0; i < NR_PROBES; i++) {
		uint64_t gpa = t->gpa + i * (t->size / NR_PROBES);

		virt_pg_map(slots.vm, gpa, gpa);
		shared->probe[nr][i] = gpa;
	}
	shared->phase[nr] = next_phase(t);
}

static void add_neighbours(const struct target *t)
{
	uint8_t *mem = map_aligned(2 * t->size, t->size);

	vm_set_user_memory_region(slots.vm, LOW_SLOT, 0, t->gpa - t->size,
				  t->size, mem);
	vm_set_user_memory_region(slots.vm, HIGH_SLOT, 0, t->gpa + t->size,
				  t->size, mem + t->size);
	slots.installs += 2;
}

#endif /* SELFTEST_KVM_MEMSLOT_TARGETS_H */
