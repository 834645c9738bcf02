// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hundreds of memory slots at once, against an oracle.
 *
 * The guest-physical area is cut into cells of six pages; a slot covers one
 * to four pages of a cell, so there is a gap before or after each.  Slots are
 * created, deleted, moved and logged in pseudo-random order.  The oracle keeps
 * what each slot is; the guest reads every cell and the host compares: memory
 * tells which host page it is, a gap exits as MMIO.  What the guest writes to
 * logged slots must be in their logs.
 */
#include <string.h>
#include <sys/mman.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define NR_SLOTS	500
#define NR_CELLS	600
#define CELL_PAGES	6
#define MAX_PAGES	4
#define NR_PAGES	(NR_CELLS * CELL_PAGES)
#define FIRST_SLOT	100
#define PAGE_BYTES	4096ull
#define GPA		0x40000000ull
#define NR_RANDOM_OPS	1000
#define OPS_PER_CHECK	250
/* The harness would end each test after 30 seconds, too few for KASAN. */
#define SECONDS		600

#define PAGE_MAGIC	0x5041474500000000ull
#define MMIO_MAGIC	0x4d4d494f00000000ull

/* Slot @id maps @nr_pages from page @first on; @nr_pages is 0 if not there. */
struct slot {
	uint32_t first, nr_pages, flags;
};

FIXTURE(memslot_many) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint8_t *mem;
	struct guest_random_state rng;
	struct slot slots[NR_SLOTS];
	int16_t owner[NR_CELLS];	/* slot in a cell, or -1 */
};

#define TEST_DATA FIXTURE_DATA(memslot_many)

/* Guest: reads one page after another, and writes to those asked for. */
static struct {
	uint64_t values[NR_PAGES];
	uint8_t write[NR_PAGES];
} shared;

static void guest_main(void)
{
	int i;

	for (;;) {
		for (i = 0; i < NR_PAGES; i++) {
			uint64_t *p = (uint64_t *)(GPA + i * PAGE_BYTES);

			shared.values[i] = READ_ONCE(*p);
			if (shared.write[i])
				WRITE_ONCE(*p, shared.values[i]);
		}
		GUEST_SYNC(0);
	}
}

static void run_guest(TEST_DATA *t)
{
	struct kvm_run *run = t->vcpu->run;

	for (;;) {
		uint64_t value;

		vcpu_run(t->vcpu);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		TEST_ASSERT(!run->mmio.is_write, "MMIO write to 0x%llx",
			    run->mmio.phys_addr);
		value = MMIO_MAGIC ^ run->mmio.phys_addr;
		memcpy(run->mmio.data, &value, sizeof(value));
	}
	TEST_ASSERT_EQ(get_ucall(t->vcpu, NULL), UCALL_SYNC);
}

/* Page @page of the slot with index @id in the backing memory. */
static uint8_t *host_page(TEST_DATA *t, int id, int page)
{
	return t->mem + (id * MAX_PAGES + page) * PAGE_BYTES;
}

static void set_slot(TEST_DATA *t, int id)
{
	struct slot *s = &t->slots[id];

	vm_set_user_memory_region(t->vm, FIRST_SLOT + id, s->flags,
				  GPA + s->first * PAGE_BYTES,
				  s->nr_pages * PAGE_BYTES,
				  host_page(t, id, 0));
}

static uint64_t expected_value(TEST_DATA *t, int page)
{
	int id = t->owner[page / CELL_PAGES];
	struct slot *s = &t->slots[id];

	if (id < 0 || page < s->first || page >= s->first + s->nr_pages)
		return MMIO_MAGIC ^ (GPA + page * PAGE_BYTES);
	return PAGE_MAGIC | id << 8 | (page - s->first);
}

static void check_all(TEST_DATA *t)
{
	uint64_t *values = addr_gva2hva(t->vm, (vm_vaddr_t)&shared.values);
	int i;

	run_guest(t);
	for (i = 0; i < NR_PAGES; i++)
		TEST_ASSERT(values[i] == expected_value(t, i),
			    "page %d: read 0x%lx, not 0x%lx", i, values[i],
			    expected_value(t, i));
}

/* Operations */

static uint32_t random_below(TEST_DATA *t, uint32_t n)
{
	return guest_random_u32(&t->rng) % n;
}

static int random_free_cell(TEST_DATA *t)
{
	int cell;

	do {
		cell = random_below(t, NR_CELLS);
	} while (t->owner[cell] >= 0);
	return cell;
}

static void place_slot(TEST_DATA *t, int id)
{
	struct slot *s = &t->slots[id];
	int cell = random_free_cell(t);

	t->owner[cell] = id;
	s->first = cell * CELL_PAGES +
		   random_below(t, CELL_PAGES - s->nr_pages + 1);
	set_slot(t, id);
}

static void create_slot(TEST_DATA *t, int id)
{
	struct slot *s = &t->slots[id];

	s->nr_pages = 1 + random_below(t, MAX_PAGES);
	s->flags = random_below(t, 4) ? 0 : KVM_MEM_LOG_DIRTY_PAGES;
	place_slot(t, id);
}

static void delete_slot(TEST_DATA *t, int id)
{
	struct slot *s = &t->slots[id];

	t->owner[s->first / CELL_PAGES] = -1;
	s->nr_pages = 0;
	s->flags = 0;
	set_slot(t, id);
}

static void move_slot(TEST_DATA *t, int id)
{
	int old_cell = t->slots[id].first / CELL_PAGES;

	place_slot(t, id);
	t->owner[old_cell] = -1;
}

static void toggle_logging(TEST_DATA *t, int id)
{
	t->slots[id].flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	set_slot(t, id);
}

static void random_change(TEST_DATA *t)
{
	int id = random_below(t, NR_SLOTS);

	if (!t->slots[id].nr_pages)
		create_slot(t, id);
	else if (!random_below(t, 3))
		delete_slot(t, id);
	else if (random_below(t, 2))
		move_slot(t, id);
	else
		toggle_logging(t, id);
}

/* A pseudo-random permutation of all slots. */
static void shuffle(TEST_DATA *t, int *ids)
{
	int i, j;

	for (i = 0; i < NR_SLOTS; i++) {
		j = random_below(t, i + 1);
		ids[i] = ids[j];
		ids[j] = i;
	}
}

static void for_all_shuffled(TEST_DATA *t, void (*op)(TEST_DATA *t, int id))
{
	int i, ids[NR_SLOTS];

	shuffle(t, ids);
	for (i = 0; i < NR_SLOTS; i++) {
		op(t, ids[i]);
		if (i % OPS_PER_CHECK == OPS_PER_CHECK / 2)
			check_all(t);
	}
	check_all(t);
}

/* Have the guest write to a random third of the memory, and check the logs. */
static void check_dirty_logs(TEST_DATA *t)
{
	uint8_t *write = addr_gva2hva(t->vm, (vm_vaddr_t)&shared.write);
	uint64_t bitmap, expected;
	int i, id;

	/* Map every page and clear its log before it is written. */
	check_all(t);
	for (id = 0; id < NR_SLOTS; id++)
		if (t->slots[id].flags)
			kvm_vm_get_dirty_log(t->vm, FIRST_SLOT + id, &bitmap);

	for (i = 0; i < NR_PAGES; i++)
		write[i] = (expected_value(t, i) & PAGE_MAGIC) == PAGE_MAGIC &&
			   !random_below(t, 3);
	check_all(t);

	for (id = 0; id < NR_SLOTS; id++) {
		struct slot *s = &t->slots[id];

		if (!s->flags)
			continue;
		for (expected = 0, i = 0; i < s->nr_pages; i++)
			expected |= (uint64_t)write[s->first + i] << i;
		bitmap = 0;
		kvm_vm_get_dirty_log(t->vm, FIRST_SLOT + id, &bitmap);
		/* KVM may log a page that was only read. */
		TEST_ASSERT((bitmap & expected) == expected &&
			    !(bitmap >> s->nr_pages),
			    "slot %d: log 0x%lx, not 0x%lx", id, bitmap,
			    expected);
	}
	memset(write, 0, NR_PAGES);
}

FIXTURE_SETUP(memslot_many)
{
	int i;

	self->vm = __vm_create_with_one_vcpu(&self->vcpu, 256, guest_main);
	self->rng = new_guest_random_state(1);
	self->mem = mmap(NULL, NR_SLOTS * MAX_PAGES * PAGE_BYTES,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i < NR_SLOTS * MAX_PAGES; i++)
		*(uint64_t *)(self->mem + i * PAGE_BYTES) =
			PAGE_MAGIC | (i / MAX_PAGES) << 8 | i % MAX_PAGES;

	virt_map(self->vm, GPA, GPA, NR_PAGES);
	memset(self->owner, -1, sizeof(self->owner));
}

FIXTURE_TEARDOWN(memslot_many)
{
	kvm_vm_free(self->vm);
}

TEST_F_TIMEOUT(memslot_many, create_and_delete, SECONDS)
{
	for_all_shuffled(self, create_slot);
	for_all_shuffled(self, delete_slot);
	for_all_shuffled(self, create_slot);
}

TEST_F_TIMEOUT(memslot_many, move, SECONDS)
{
	for_all_shuffled(self, create_slot);
	for_all_shuffled(self, move_slot);
	for_all_shuffled(self, move_slot);
}

TEST_F_TIMEOUT(memslot_many, toggle_logging, SECONDS)
{
	for_all_shuffled(self, create_slot);
	check_dirty_logs(self);
	for_all_shuffled(self, toggle_logging);
	check_dirty_logs(self);
}

TEST_F_TIMEOUT(memslot_many, random_changes, SECONDS)
{
	int i;

	for (i = 0; i < NR_RANDOM_OPS; i++) {
		random_change(self);
		if (i % OPS_PER_CHECK)
			continue;
		check_all(self);
	}
	check_dirty_logs(self);
}

TEST_HARNESS_MAIN
