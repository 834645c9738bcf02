// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bad input to KVM_SET_USER_MEMORY_REGION and KVM_SET_USER_MEMORY_REGION2: the
 * errno of each, and that a refused change leaves every slot of the VM as it
 * was.  After each refusal
 *  - setting each slot again to what it is succeeds, so flags, size, gpa and
 *    hva are unchanged;
 *  - a slot over the first or last page of each is refused, one in the page
 *    before and after is not, so what lookups use is unchanged too;
 *  - the guest reads every page of the slots from the same host page, finds
 *    MMIO between them, cannot write to the read-only one, and what it wrote
 *    to the logged one before is still in the dirty log.
 *
 * The "move beyond" rows fail late, when the slot is already invalid in the
 * active set and must come back.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kvm_test_harness.h"
#include "kvm_util.h"
#include "memslot_bad_regions.h"
#include "processor.h"
#include "test_util.h"

#define NR_PAGES	40	/* of the area that the guest reads */

#define PAGE_MAGIC	0x5041474500000000ull
#define MMIO_MAGIC	0x4d4d494f00000000ull

/* Guest: reads all pages, writes to one page of two slots, again and again. */
static struct {
	uint64_t values[NR_PAGES];
	uint64_t dirty_gpa;
} shared;

static void guest_main(void)
{
	int i;

	for (;;) {
		for (i = 0; i < NR_PAGES; i++)
			shared.values[i] =
				READ_ONCE(*(uint64_t *)(GPA + PAGES(i)));
		WRITE_ONCE(*(uint64_t *)shared.dirty_gpa,
			   *(uint64_t *)shared.dirty_gpa);
		WRITE_ONCE(*(uint64_t *)ROM_GPA, 1);
		GUEST_SYNC(0);
	}
}

FIXTURE(memslot_errno) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint8_t *mem;
	uint32_t nr_slots, nr_as;
	unsigned long ioctl;
	uint32_t as_id, passes;
	uint64_t unread_dirty;	/* bits that the next dirty log must have */
};

FIXTURE_VARIANT(memslot_errno) {
	unsigned long ioctl;
	uint32_t as_id;
};

FIXTURE_VARIANT_ADD(memslot_errno, region_as0) {
	KVM_SET_USER_MEMORY_REGION, 0
};

FIXTURE_VARIANT_ADD(memslot_errno, region2_as0) {
	KVM_SET_USER_MEMORY_REGION2, 0
};

FIXTURE_VARIANT_ADD(memslot_errno, region_as1) {
	KVM_SET_USER_MEMORY_REGION, 1
};

FIXTURE_VARIANT_ADD(memslot_errno, region2_as1) {
	KVM_SET_USER_MEMORY_REGION2, 1
};

#define TEST_DATA FIXTURE_DATA(memslot_errno)

static uint32_t slot_id(const TEST_DATA *t, const struct region *r)
{
	uint32_t id = r->slot == LAST ? t->nr_slots - 1 : r->slot;
	uint32_t as_id = t->as_id;

	if (r->base == ID_FROM_NR_SLOTS)
		id += t->nr_slots;
	else if (r->base == ID_FROM_NR_AS)
		as_id = t->nr_as;
	else if (r->base == ID_OTHER_AS)
		as_id ^= 1;
	return as_id << 16 | id;
}

/* Returns 0 or the errno. */
static int set_region(const TEST_DATA *t, const struct region *r)
{
	struct kvm_userspace_memory_region2 arg = {
		.slot = slot_id(t, r),
		.flags = r->flags,
		.guest_phys_addr = r->gpa,
		.memory_size = r->size,
		.userspace_addr = r->hva,
	};

	if (r->hva < HVA_ABS)
		arg.userspace_addr += (uintptr_t)t->mem;
	return ioctl(t->vm->fd, t->ioctl, &arg) ? errno : 0;
}

static const struct region *find_region(const struct region *regions, int nr,
					uint64_t gpa)
{
	int i;

	for (i = 0; i < nr; i++)
		if (gpa >= regions[i].gpa &&
		    gpa < regions[i].gpa + regions[i].size)
			return &regions[i];
	return NULL;
}

/* Create a slot of one page, and delete it again if that worked. */
static int try_page(const TEST_DATA *t, uint64_t gpa)
{
	struct region page = { .slot = FREE, .gpa = gpa, .size = PAGES(1) };
	int error = set_region(t, &page);

	if (!error) {
		page.size = 0;
		TEST_ASSERT(!set_region(t, &page), "Page not deleted");
	}
	return error;
}

/* Runs the guest up to its next sync, and proves that ROM is read-only. */
static void run_guest(const TEST_DATA *t)
{
	struct kvm_run *run = t->vcpu->run;
	int rom_writes = 0;
	uint64_t value;

	for (;;) {
		vcpu_run(t->vcpu);
		if (run->exit_reason != KVM_EXIT_MMIO)
			break;
		if (run->mmio.is_write) {
			TEST_ASSERT_EQ(run->mmio.phys_addr, ROM_GPA);
			rom_writes++;
		} else {
			value = MMIO_MAGIC ^ run->mmio.phys_addr;
			memcpy(run->mmio.data, &value, sizeof(value));
		}
	}
	TEST_ASSERT_EQ(get_ucall(t->vcpu, NULL), UCALL_SYNC);
	TEST_ASSERT_EQ(rom_writes, 1);
}

static int get_dirty_log(const TEST_DATA *t, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = { .slot = slot, .dirty_bitmap = bitmap };

	return __vm_ioctl(t->vm, KVM_GET_DIRTY_LOG, &log) ? errno : 0;
}

static void check_dirty_log(TEST_DATA *t)
{
	uint64_t bitmap = 0;

	/* A read may be logged as well, so other pages may be dirty. */
	TEST_ASSERT_EQ(get_dirty_log(t, LOGGED, &bitmap), 0);
	TEST_ASSERT_EQ(bitmap & t->unread_dirty, t->unread_dirty);
	TEST_ASSERT_EQ(bitmap & ~0xffull, 0);
	t->unread_dirty = 0;
}

/*
 * What the guest reads is what @regions say, and what it wrote the last time is
 * still in the dirty log after what happened since.
 */
static void check_guest(TEST_DATA *t, const struct region *regions, int nr)
{
	uint64_t *values = addr_gva2hva(t->vm, (vm_vaddr_t)&shared.values);
	uint64_t expected, gpa, page = t->passes++ % 8;
	const struct region *r;
	int i;

	check_dirty_log(t);
	write_guest_global(t->vm, shared.dirty_gpa, LOGGED_GPA + PAGES(page));
	run_guest(t);
	t->unread_dirty = BIT(page);
	for (i = 0; i < NR_PAGES; i++) {
		gpa = GPA + PAGES(i);
		r = find_region(regions, nr, gpa);
		expected = r ? PAGE_MAGIC | (r->hva + gpa - r->gpa) :
			       MMIO_MAGIC ^ gpa;
		TEST_ASSERT(values[i] == expected,
			    "gpa 0x%lx reads 0x%lx, not 0x%lx", gpa, values[i],
			    expected);
	}
}

static void check_regions(TEST_DATA *t, const struct region *regions, int nr)
{
	struct region delete = { .slot = FREE };
	int i, j;

	for (i = 0; i < nr; i++) {
		const struct region *r = &regions[i];
		const uint64_t gpas[] = {
			r->gpa - PAGES(1), r->gpa,
			r->gpa + r->size - PAGES(1), r->gpa + r->size,
		};

		TEST_ASSERT_EQ(set_region(t, r), 0);
		for (j = 0; j < ARRAY_SIZE(gpas); j++)
			TEST_ASSERT_EQ(try_page(t, gpas[j]),
				       find_region(regions, nr, gpas[j]) ?
				       EEXIST : 0);
	}
	TEST_ASSERT_EQ(set_region(t, &delete), EINVAL);
	/* The guest does not run in SMM, so it sees address space 0 only. */
	if (!t->as_id)
		check_guest(t, regions, nr);
}

FIXTURE_SETUP(memslot_errno)
{
	int i;

	self->ioctl = variant->ioctl;
	self->as_id = variant->as_id;
	self->nr_slots = kvm_check_cap(KVM_CAP_NR_MEMSLOTS);
	self->vm = vm_create_with_one_vcpu(&self->vcpu, guest_main);
	self->nr_as = vm_check_cap(self->vm, KVM_CAP_MULTI_ADDRESS_SPACE) ?: 1;
	if (self->as_id >= self->nr_as)
		SKIP(return, "KVM has one address space");
	if (self->ioctl == KVM_SET_USER_MEMORY_REGION2 &&
	    !kvm_has_cap(KVM_CAP_USER_MEMORY2))
		SKIP(return, "no KVM_SET_USER_MEMORY_REGION2");

	self->mem = mmap(NULL, PAGES(NR_PAGES), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->mem);
	for (i = 0; i < NR_PAGES; i++) {
		*(uint64_t *)(self->mem + PAGES(i)) = PAGE_MAGIC | PAGES(i);
		virt_pg_map(self->vm, GPA + PAGES(i), GPA + PAGES(i));
	}
	for (i = 0; i < ARRAY_SIZE(layout); i++)
		ASSERT_EQ(0, set_region(self, &layout[i]));
}

FIXTURE_TEARDOWN(memslot_errno)
{
	kvm_vm_free(self->vm);
}

TEST_F(memslot_errno, bad_regions)
{
	int i, error;

	check_regions(self, layout, ARRAY_SIZE(layout));
	for (i = 0; i < ARRAY_SIZE(bad_regions); i++) {
		const struct region *r = &bad_regions[i];

		error = set_region(self, r);
		EXPECT_EQ(r->error, error) {
			TH_LOG("case '%s'", r->name);
		}
		check_regions(self, layout, ARRAY_SIZE(layout));
	}
}

TEST_F(memslot_errno, bad_pointer)
{
	EXPECT_EQ(-1, ioctl(self->vm->fd, self->ioctl, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->vm->fd, self->ioctl, HVA_KERNEL));
	EXPECT_EQ(EFAULT, errno);
	check_regions(self, layout, ARRAY_SIZE(layout));
}

TEST_F(memslot_errno, dirty_log)
{
	uint32_t as = self->as_id << 16;
	uint64_t bitmap = ~0ull;

	EXPECT_EQ(0, get_dirty_log(self, as | LOGGED, &bitmap));
	EXPECT_EQ(0, bitmap);
	check_regions(self, layout, ARRAY_SIZE(layout));
	EXPECT_EQ(ENOENT, get_dirty_log(self, as | PLAIN, &bitmap));
	EXPECT_EQ(ENOENT, get_dirty_log(self, as | FREE, &bitmap));
	EXPECT_EQ(EINVAL, get_dirty_log(self, as | self->nr_slots, &bitmap));
	EXPECT_EQ(EINVAL, get_dirty_log(self, self->nr_as << 16 | LOGGED,
					&bitmap));
	check_regions(self, layout, ARRAY_SIZE(layout));
	EXPECT_EQ(EFAULT, get_dirty_log(self, as | LOGGED, NULL));
}

/* Every good change, one after another. */
TEST_F(memslot_errno, good_changes)
{
	struct region now[ARRAY_SIZE(layout)], *plain = &now[0];
	struct region *logged = &now[1], *last = &now[2], delete;
	const uint64_t moves[] = { 8, 4, 5, 0 };
	uint64_t bitmap = ~0ull;
	int i;

	memcpy(now, layout, sizeof(now));
	/* Next to another slot, over itself, and with new flags at once. */
	for (i = 0; i < ARRAY_SIZE(moves); i++) {
		plain->gpa = GPA + PAGES(moves[i]);
		plain->flags ^= KVM_MEM_LOG_DIRTY_PAGES;
		EXPECT_EQ(0, set_region(self, plain));
		check_regions(self, now, ARRAY_SIZE(now));
	}

	/* A log that was off starts empty. */
	logged->flags = 0;
	self->unread_dirty = 0;
	EXPECT_EQ(0, set_region(self, logged));
	logged->flags = KVM_MEM_LOG_DIRTY_PAGES;
	EXPECT_EQ(0, set_region(self, logged));
	EXPECT_EQ(0, get_dirty_log(self, self->as_id << 16 | LOGGED, &bitmap));
	EXPECT_EQ(0, bitmap);
	check_regions(self, now, ARRAY_SIZE(now));

	/* Delete does not look at gpa, flags and hva if they are valid. */
	delete = (struct region) {
		.slot = LAST, .gpa = PAGES(77), .hva = PAGES(3),
		.flags = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES,
	};
	EXPECT_EQ(0, set_region(self, &delete));
	EXPECT_EQ(EINVAL, set_region(self, &delete));
	last->gpa = GPA + PAGES(36);
	last->size = PAGES(2);
	last->hva = PAGES(30);
	EXPECT_EQ(0, set_region(self, last));
	check_regions(self, now, ARRAY_SIZE(now));
}

TEST_HARNESS_MAIN
