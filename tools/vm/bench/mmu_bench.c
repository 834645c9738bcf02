// SPDX-License-Identifier: GPL-2.0
/*
 * Prints what operations of KVM's MMU and memslots cost, in instructions.
 *
 * It runs in a VM whose time stamp counter counts instructions ("qemu-system
 * -icount shift=0"). Costs that the guest sees are measured in the guest,
 * others around the system call. All is done ROUNDS times with new VMs, and
 * the least cost counts: timer interrupts and first times only add to it. The
 * guest's memory stays the same, so that after the first round the host's mm
 * has it as active, and does not move it between its lists any more. But what a
 * slot that is deleted, or a VM that is destroyed, had in "new" memory was new
 * to the host's mm each time.
 */
#include <err.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "vm.h"

#define ROUNDS		5
/* Of what takes long. */
#define LARGE_ROUNDS	2
#define EXITS		1024
#define OTHER_CREATED	128
#define SLOT_PAIRS	8
#define EVENTS		32
#define CR3_PAIRS	1024
#define PAGES_4K	(MEMORY_SIZE / PAGE_4K)
#define PAGES_2M	(MEMORY_SIZE / PAGE_2M)
#define LARGE_4K	(LARGE_SIZE / PAGE_4K)

enum cost {
	COST_PIO,
	COST_MMIO_READ,
	COST_MMIO_WRITE,
	COST_IOEVENTFD,
	COST_ADD_IOEVENTFD,
	COST_MMIO_FIRST,
	COST_MMIO_CACHED,
	COST_MMIO_AFTER_CREATE,
	COST_POPULATE_4K,
	COST_TOUCH_AFTER_DELETE,
	COST_TOUCH_MAPPED,
	COST_SLOT_PAIR,
	COST_SLOT_PAIR_MAPPED,
	COST_TOGGLE_LOG,
	COST_TOGGLE_LOG_DIRTY,
	COST_FIRST_WRITE,
	COST_GET_LOG,
	COST_POPULATE_2M,
	COST_POPULATE_TABLES,
	COST_CR3_PAIR,
	COST_DESTROY,
	COST_DESTROY_WAITS,
	COST_DESTROY_NEW,
	COST_DELETE_4K,
	COST_POPULATE_AGAIN,
	COST_DELETE_2M,
	COSTS,
};

static const char * const names[COSTS] = {
	[COST_PIO] = "PIO exit to userspace and back",
	[COST_MMIO_READ] = "MMIO read exit",
	[COST_MMIO_WRITE] = "MMIO write exit",
	[COST_IOEVENTFD] = "MMIO write to an ioeventfd",
	[COST_ADD_IOEVENTFD] = "make an ioeventfd",
	[COST_MMIO_FIRST] = "MMIO page, first touch",
	[COST_MMIO_CACHED] = "MMIO page, cached",
	[COST_MMIO_AFTER_CREATE] = "MMIO page after a slot was created",
	[COST_POPULATE_4K] = "populate a 4K page",
	[COST_TOUCH_AFTER_DELETE] = "touch a page after a slot was deleted",
	[COST_TOUCH_MAPPED] = "touch a mapped page",
	[COST_SLOT_PAIR] = "create + delete a 2 MiB slot",
	[COST_SLOT_PAIR_MAPPED] = "  with 64 MiB mapped elsewhere",
	[COST_TOGGLE_LOG] = "toggle dirty logging on 64 MiB",
	[COST_TOGGLE_LOG_DIRTY] = "  with all of it written to before",
	[COST_FIRST_WRITE] = "first write under dirty logging, 4K",
	[COST_GET_LOG] = "GET_DIRTY_LOG, all dirty, per page",
	[COST_POPULATE_2M] = "populate a 2M page",
	[COST_POPULATE_TABLES] = "guest's own 4K tables: populate",
	[COST_CR3_PAIR] = "guest's own 4K tables: CR3 pair",
	[COST_DESTROY] = "destroy the VM",
	[COST_DESTROY_WAITS] = "  with its waits for RCU",
	[COST_DESTROY_NEW] = "  with its waits, new memory",
	[COST_DELETE_4K] = "delete 512 MiB of new 4K pages",
	[COST_POPULATE_AGAIN] = "  populate 2M pages there, per 4K",
	[COST_DELETE_2M] = "delete 512 MiB of new 2M pages",
};

/* The least so far; a negative one is none. */
static double least[COSTS];

static void report(enum cost cost, uint64_t total, uint64_t count)
{
	double value = (double)total / count;

	if (least[cost] < 0 || value < least[cost])
		least[cost] = value;
}

static uint64_t now(void)
{
	return __builtin_ia32_rdtsc();
}

/* What this thread alone has executed: a nanosecond is an instruction. */
static uint64_t thread_time(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ull + time.tv_nsec;
}

/* Memory that is present, in 4K pages or as the advice says. */
static void *alloc_memory(uint64_t size, int advice)
{
	char *area = mmap(NULL, size + PAGE_2M, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *memory;

	if (area == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the guest's memory");
	memory = (char *)(((uintptr_t)area + PAGE_2M - 1) & -PAGE_2M);
	if (madvise(memory, size, advice))
		err(EXIT_FAILURE, "madvise");
	memset(memory, 1, size);
	munmap(area, memory - area);
	munmap(memory + size, PAGE_2M - (memory - area));
	return memory;
}

/* A job that makes the guest exit each time; what that costs all in all. */
static uint64_t time_exits(struct vm *vm, struct guest_job job,
			   uint32_t reason)
{
	uint64_t start, cost, i;

	vm_start(vm, job);
	start = now();
	for (i = 0; i < job.count; i++)
		vm_exit(vm, reason);
	cost = now() - start;
	vm_finish(vm);
	return cost;
}

static void bench_pio(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_OUT,
		.count = EXITS,
	};

	report(COST_PIO, time_exits(vm, job, KVM_EXIT_IO), EXITS);
}

/* Pages that nobody has touched yet, and again; then one page only. */
static void bench_mmio(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_READ,
		.addr = MMIO,
		.step = PAGE_4K,
		.count = EXITS,
	};

	report(COST_MMIO_FIRST, time_exits(vm, job, KVM_EXIT_MMIO), EXITS);
	report(COST_MMIO_CACHED, time_exits(vm, job, KVM_EXIT_MMIO), EXITS);
	job.step = 0;
	report(COST_MMIO_READ, time_exits(vm, job, KVM_EXIT_MMIO), EXITS);
	job.op = GUEST_WRITE;
	report(COST_MMIO_WRITE, time_exits(vm, job, KVM_EXIT_MMIO), EXITS);
}

static void bench_ioeventfd(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = MMIO_EVENT,
		.count = EXITS,
	};
	int event = vm_add_ioeventfd(vm, MMIO_EVENT);

	report(COST_IOEVENTFD, vm_do(vm, job), EXITS);
	close(event);
}

/* What a VM does for the queues of its devices before it starts. */
static void bench_add_ioeventfds(struct vm *vm)
{
	uint64_t start = now(), i;
	int events[EVENTS];

	for (i = 0; i < EVENTS; i++)
		events[i] = vm_add_ioeventfd(vm, MMIO_EVENT + i * PAGE_4K);
	report(COST_ADD_IOEVENTFD, now() - start, EVENTS);
	for (i = 0; i < EVENTS; i++)
		close(events[i]);
}

/* Each of the pages is cached, until a slot elsewhere is created. */
static void bench_mmio_after_create(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_READ,
		.addr = MMIO,
		.step = PAGE_4K,
		.count = OTHER_CREATED,
	};
	uint64_t start, cost = 0, i;

	vm_start(vm, job);
	for (i = 0; i < OTHER_CREATED; i++) {
		vm_set_slot(vm, SLOT_OTHER + i, 0, OTHER_SLOTS + i * PAGE_4K,
			    PAGE_4K, vm->system);
		start = now();
		vm_exit(vm, KVM_EXIT_MMIO);
		cost += now() - start;
	}
	vm_finish(vm);
	report(COST_MMIO_AFTER_CREATE, cost, OTHER_CREATED);
}

static void bench_exits(void)
{
	struct vm vm;

	vm_create(&vm);
	bench_pio(&vm);
	bench_mmio(&vm);
	bench_ioeventfd(&vm);
	bench_mmio_after_create(&vm);
	vm_destroy(&vm);
	vm_free(&vm);

	vm_create(&vm);
	bench_add_ioeventfds(&vm);
	vm_destroy(&vm);
	vm_free(&vm);
}

/* What it costs the guest to write to each page of its memory once. */
static uint64_t write_memory(struct vm *vm, uint64_t page_size)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = MEMORY,
		.step = page_size,
		.count = MEMORY_SIZE / page_size,
	};

	return vm_do(vm, job);
}

static void set_memory(struct vm *vm, uint32_t flags, void *memory)
{
	vm_set_slot(vm, SLOT_MEMORY, flags, MEMORY, MEMORY_SIZE, memory);
}

static void create_other(struct vm *vm)
{
	vm_set_slot(vm, SLOT_OTHER, 0, OTHER_SLOTS, SYSTEM_SIZE, vm->system);
}

static void delete_other(struct vm *vm)
{
	vm_set_slot(vm, SLOT_OTHER, 0, OTHER_SLOTS, 0, vm->system);
}

static uint64_t time_slot_pair(struct vm *vm)
{
	uint64_t start = now();

	create_other(vm);
	delete_other(vm);
	return now() - start;
}

static void bench_touch(struct vm *vm)
{
	report(COST_POPULATE_4K, write_memory(vm, PAGE_4K), PAGES_4K);
	report(COST_SLOT_PAIR_MAPPED, time_slot_pair(vm), 1);
	report(COST_TOUCH_AFTER_DELETE, write_memory(vm, PAGE_4K), PAGES_4K);
	report(COST_TOUCH_MAPPED, write_memory(vm, PAGE_4K), PAGES_4K);
}

static uint64_t time_toggle_log(struct vm *vm, void *memory)
{
	uint64_t start = now();

	set_memory(vm, KVM_MEM_LOG_DIRTY_PAGES, memory);
	set_memory(vm, 0, memory);
	return now() - start;
}

/* Starts and ends with all of the memory mapped and writable. */
static void bench_dirty_log(struct vm *vm, void *memory)
{
	static uint64_t bitmap[PAGES_4K / 64];
	uint64_t start;

	report(COST_TOGGLE_LOG_DIRTY, time_toggle_log(vm, memory), 1);
	report(COST_TOGGLE_LOG, time_toggle_log(vm, memory), 1);

	write_memory(vm, PAGE_4K);
	set_memory(vm, KVM_MEM_LOG_DIRTY_PAGES, memory);
	report(COST_FIRST_WRITE, write_memory(vm, PAGE_4K), PAGES_4K);

	start = now();
	vm_get_dirty_log(vm, SLOT_MEMORY, bitmap);
	report(COST_GET_LOG, now() - start, PAGES_4K);
	if (bitmap[0] != ~0ull)
		errx(EXIT_FAILURE, "written pages are not dirty");
	set_memory(vm, 0, memory);
	write_memory(vm, PAGE_4K);
}

static void bench_destroy(struct vm *vm)
{
	uint64_t start = now();
	uint64_t thread_start = thread_time();

	vm_destroy(vm);
	report(COST_DESTROY, thread_time() - thread_start, 1);
	report(COST_DESTROY_WAITS, now() - start, 1);
	vm_free(vm);
}

/* The guest maps nothing but itself, and does not run between the pairs. */
static void bench_slot_pair(void)
{
	uint64_t cost = 0;
	struct vm vm;
	int i;

	vm_create(&vm);
	time_slot_pair(&vm);
	for (i = 0; i < SLOT_PAIRS; i++)
		cost += time_slot_pair(&vm);
	report(COST_SLOT_PAIR, cost, SLOT_PAIRS);
	vm_destroy(&vm);
	vm_free(&vm);
}

static void bench_memory(void *memory)
{
	struct vm vm;

	vm_create(&vm);
	set_memory(&vm, 0, memory);
	bench_touch(&vm);
	bench_dirty_log(&vm, memory);
	bench_destroy(&vm);
}

static void bench_tables(void *memory)
{
	struct guest_job job = {
		.op = GUEST_SWITCH_CR3,
		.addr = SMALL_PML4,
		.step = OTHER_PML4,
		.count = CR3_PAIRS,
	};
	struct vm vm;

	vm_create(&vm);
	set_memory(&vm, 0, memory);
	vm_set_root(&vm, SMALL_PML4);
	report(COST_POPULATE_TABLES, write_memory(&vm, PAGE_4K), PAGES_4K);
	vm_do(&vm, job);
	report(COST_CR3_PAIR, vm_do(&vm, job), CR3_PAIRS);
	vm_destroy(&vm);
	vm_free(&vm);
}

/* Are there huge pages for all of it? The kernel tells for the whole process. */
static bool is_huge(uint64_t size)
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

static void bench_huge_pages(void *memory)
{
	struct vm vm;

	if (!is_huge(MEMORY_SIZE))
		return;
	vm_create(&vm);
	set_memory(&vm, 0, memory);
	report(COST_POPULATE_2M, write_memory(&vm, PAGE_2M), PAGES_2M);
	vm_destroy(&vm);
	vm_free(&vm);
}

static void set_large(struct vm *vm, uint64_t size, void *memory)
{
	vm_set_slot(vm, SLOT_MEMORY, 0, MEMORY, size, memory);
}

/* What it costs the guest to write to each 4K page of the large slot once. */
static uint64_t write_large(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = MEMORY,
		.step = PAGE_4K,
		.count = LARGE_4K,
	};

	return vm_do(vm, job);
}

static void time_delete(struct vm *vm, enum cost cost)
{
	uint64_t start = now();

	set_large(vm, 0, NULL);
	report(cost, now() - start, 1);
}

static void bench_delete_4k(struct vm *vm)
{
	void *memory = alloc_memory(LARGE_SIZE, MADV_NOHUGEPAGE);

	set_large(vm, LARGE_SIZE, memory);
	write_large(vm);
	time_delete(vm, COST_DELETE_4K);
	munmap(memory, LARGE_SIZE);
}

/* What was there before has left nothing that keeps the pages small. */
static void bench_delete_2m(struct vm *vm)
{
	void *memory = alloc_memory(LARGE_SIZE, MADV_HUGEPAGE);

	if (is_huge(MEMORY_SIZE + LARGE_SIZE)) {
		set_large(vm, LARGE_SIZE, memory);
		report(COST_POPULATE_AGAIN, write_large(vm), LARGE_4K);
		time_delete(vm, COST_DELETE_2M);
	}
	munmap(memory, LARGE_SIZE);
}

static void bench_delete(void)
{
	struct vm vm;

	vm_create(&vm);
	bench_delete_4k(&vm);
	bench_delete_2m(&vm);
	vm_destroy(&vm);
	vm_free(&vm);
}

static void bench_destroy_new(void)
{
	void *memory = alloc_memory(MEMORY_SIZE, MADV_NOHUGEPAGE);
	uint64_t start;
	struct vm vm;

	vm_create(&vm);
	set_memory(&vm, 0, memory);
	write_memory(&vm, PAGE_4K);
	start = now();
	vm_destroy(&vm);
	report(COST_DESTROY_NEW, now() - start, 1);
	vm_free(&vm);
	munmap(memory, MEMORY_SIZE);
}

static void print_costs(void)
{
	int i;

	for (i = 0; i < COSTS; i++) {
		if (least[i] < 0)
			printf("bench: %s: skipped\n", names[i]);
		else
			printf("bench: %s: %.1f\n", names[i], least[i]);
	}
}

int main(void)
{
	void *small = alloc_memory(MEMORY_SIZE, MADV_NOHUGEPAGE);
	void *huge = alloc_memory(MEMORY_SIZE, MADV_HUGEPAGE);
	int i;

	for (i = 0; i < COSTS; i++)
		least[i] = -1;
	if (mlockall(MCL_CURRENT))
		err(EXIT_FAILURE, "mlockall");
	for (i = 0; i < ROUNDS; i++) {
		bench_exits();
		bench_slot_pair();
		bench_memory(small);
		bench_tables(small);
		bench_huge_pages(huge);
		bench_destroy_new();
		if (i < LARGE_ROUNDS)
			bench_delete();
	}
	print_costs();
	return 0;
}
