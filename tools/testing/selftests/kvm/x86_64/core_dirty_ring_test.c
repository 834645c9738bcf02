// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dirty rings of a VMM that does not keep to the protocol (api.rst, 8.29): all of
 * a ring is its own to write, so it may mark entries that KVM never filled, go on
 * marking while they are taken back, and name pages that do not exist.
 *
 * KVM takes back what it has pushed and no more, ends, warns of nothing, and goes
 * on to log.  It logs no write in place of an entry that was not harvested.
 */
#include <linux/kvm.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <asm/kvm_para.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define NR_ENTRIES	1024
#define SLOT		10
#define GPA		0xc0000000ull
#define PAGE_BYTES	4096ull
#define NR_PAGES	512
#define NR_ROUNDS	200
#define NR_WRITES	40	/* of a round */
#define LIMIT_S		100

/* The guest's */
static struct {
	uint32_t first, count;	/* pages to write */
} todo;

static void guest_main(void)
{
	uint32_t i;

	for (;;) {
		for (i = 0; i < todo.count; i++)
			WRITE_ONCE(*(uint64_t *)(GPA + (todo.first + i) % NR_PAGES *
						 PAGE_BYTES), i);
		GUEST_SYNC(0);
	}
}

/* The VMM's */
static struct {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	struct kvm_dirty_gfn *ring;
	uint32_t next;		/* to harvest */
} vmm;

static void create(void)
{
	vmm.vm = __vm_create(VM_SHAPE_DEFAULT, 1, 0);
	vm_enable_dirty_ring(vmm.vm, NR_ENTRIES * sizeof(struct kvm_dirty_gfn));
	vmm.vcpu = vm_vcpu_add(vmm.vm, 0, guest_main);
	vm_userspace_mem_region_add(vmm.vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES,
				    KVM_MEM_LOG_DIRTY_PAGES);
	virt_map(vmm.vm, GPA, GPA, NR_PAGES);
	vmm.ring = vcpu_map_dirty_ring(vmm.vcpu);
	vmm.next = 0;
}

static void destroy(void)
{
	kvm_vm_free(vmm.vm);
}

static struct kvm_dirty_gfn *entry(uint32_t n)
{
	return &vmm.ring[n % NR_ENTRIES];
}

static void mark(uint32_t n)
{
	WRITE_ONCE(entry(n)->flags, KVM_DIRTY_GFN_F_RESET);
}

static void write_pages(uint32_t first, uint32_t count)
{
	todo.first = first;
	todo.count = count;
	sync_global_to_guest(vmm.vm, todo);
	vcpu_run(vmm.vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vmm.vcpu, KVM_EXIT_IO);
}

static int reset(void)
{
	const int r = kvm_vm_reset_dirty_ring(vmm.vm);

	TEST_ASSERT(r >= 0 && r <= NR_ENTRIES, "%d entries taken back, of a ring of %d", r,
		    NR_ENTRIES);
	return r;
}

/* The entries from the next one on are these pages; they are harvested. */
static void expect_harvest(uint32_t first, uint32_t count)
{
	uint32_t i;

	for (i = 0; i < count; i++, vmm.next++) {
		TEST_ASSERT_EQ(entry(vmm.next)->flags, KVM_DIRTY_GFN_F_DIRTY);
		TEST_ASSERT_EQ(entry(vmm.next)->slot, SLOT);
		TEST_ASSERT_EQ(entry(vmm.next)->offset, (first + i) % NR_PAGES);
		mark(vmm.next);
	}
	TEST_ASSERT_EQ(reset(), count);
}

/* Entries that KVM never filled are not there to be reset. */
static void test_unasked(void)
{
	uint32_t i;

	create();
	mark(0);
	TEST_ASSERT_EQ(reset(), 0);
	write_pages(0, 1);
	expect_harvest(0, 1);

	for (i = 0; i < NR_ENTRIES; i++)
		mark(i);
	TEST_ASSERT_EQ(reset(), 0);
	write_pages(7, 3);
	expect_harvest(7, 3);
	destroy();
}

static bool scribble_on;

/* Pages are not neighbours, so that each is work for KVM; most are none at all. */
static void *scribble(void *unused)
{
	static const uint32_t slots[] = { SLOT, 0, 0x7fff, 0x10000 + SLOT, ~0u };
	uint32_t i, n = 0;

	while (READ_ONCE(scribble_on)) {
		for (i = 0; i < NR_ENTRIES; i++, n++) {
			entry(i)->slot = slots[n % ARRAY_SIZE(slots)];
			entry(i)->offset = (uint64_t)n * 97 << n % 64;
			mark(i);
		}
	}
	return unused;
}

/* Returns how many entries were reset, as the guest could not go on without. */
static uint64_t write_or_reset(uint32_t first, uint32_t count)
{
	uint64_t taken = 0;

	todo.first = first;
	todo.count = count;
	sync_global_to_guest(vmm.vm, todo);
	for (;;) {
		vcpu_run(vmm.vcpu);
		if (vmm.vcpu->run->exit_reason != KVM_EXIT_DIRTY_RING_FULL)
			break;
		taken += reset();
		sched_yield();
	}
	TEST_ASSERT_KVM_EXIT_REASON(vmm.vcpu, KVM_EXIT_IO);
	return taken;
}

/* Each page is pushed once for each write at most, and taken back once. */
static void test_scribbled(void)
{
	uint64_t pushed = 0, taken = 0;
	pthread_t thread;
	int i;

	create();
	scribble_on = true;
	pthread_create(&thread, NULL, scribble, NULL);
	for (i = 0; i < NR_ROUNDS; i++) {
		taken += write_or_reset(i * NR_WRITES, NR_WRITES);
		pushed += NR_WRITES;
		taken += reset();
		TEST_ASSERT(taken <= pushed, "%lu entries taken back, %lu pages written",
			    taken, pushed);
	}
	WRITE_ONCE(scribble_on, false);
	pthread_join(thread, NULL);
	TEST_ASSERT(taken, "nothing was reset");
	destroy();
}

/* Each of these writes to the page, and is no KVM_RUN, which would end. */
static void write_by_ioctl(uint32_t page)
{
	vcpu_set_msr(vmm.vcpu, MSR_KVM_WALL_CLOCK_NEW, GPA + page * PAGE_BYTES);
}

/* What was not harvested stays, until KVM_RUN has said that the ring is full. */
static void test_full(void)
{
	uint32_t i;

	create();
	write_pages(3, 1);
	for (i = 0; i < NR_ENTRIES; i++)
		write_by_ioctl(5);
	TEST_ASSERT_EQ(entry(0)->offset, 3);
	for (i = 1; i < NR_ENTRIES; i++) {
		TEST_ASSERT_EQ(entry(i)->flags, KVM_DIRTY_GFN_F_DIRTY);
		TEST_ASSERT_EQ(entry(i)->offset, 5);
	}

	vcpu_run(vmm.vcpu);
	TEST_ASSERT_KVM_EXIT_REASON(vmm.vcpu, KVM_EXIT_DIRTY_RING_FULL);
	for (i = 0; i < NR_ENTRIES; i++)
		mark(i);
	TEST_ASSERT_EQ(reset(), NR_ENTRIES);
	vmm.next = NR_ENTRIES;
	write_pages(9, 4);
	expect_harvest(9, 4);
	destroy();
}

int main(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL));

	alarm(LIMIT_S);
	test_unasked();
	test_scribbled();
	test_full();
	return 0;
}
