/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the benchmark and the code that it runs in the guest agree on.
 *
 * All addresses are guest-physical and, under each of the page tables, virtual
 * as well: the guest maps itself one to one.
 */
#ifndef BENCH_GUEST_H
#define BENCH_GUEST_H

#include <stdint.h>

#define KIB(n)			((uint64_t)(n) << 10)
#define MIB(n)			((uint64_t)(n) << 20)
#define GIB(n)			((uint64_t)(n) << 30)

#define PAGE_4K			KIB(4)
#define PAGE_2M			MIB(2)

/* The system slot: page tables, code, stacks and jobs. */
#define SYSTEM_SIZE		MIB(2)
/* Maps 4 GiB with 2M pages. */
#define LARGE_PML4		0x1000
#define LARGE_PDPT		0x2000
#define LARGE_PD		0x3000
/* Two roots over the same tables: like the above, but 4K pages in MEMORY. */
#define SMALL_PML4		0x7000
#define OTHER_PML4		0x8000
#define SMALL_PDPT		0x9000
#define SMALL_PD		0xa000
/*
 * Maps the same with 1G pages, for a nested guest: none of its tables may be a
 * nested page table as well, since hardware walks it as if it wrote to it.
 */
#define HUGE_PML4		0xb000
#define HUGE_PDPT		0xc000
#define SMALL_PT		0x10000
#define GUEST_CODE		0x40000
/* Of a nested guest */
#define GUEST_VMCB		0x48000
#define GUEST_HOST_SAVE		0x49000
#define GUEST_L2_STACK		0x4c000
/* Two pages for each vCPU; the stack grows down to the first. */
#define GUEST_STACK(vcpu)	(0x51000 + (vcpu) * 2 * PAGE_4K)
#define GUEST_JOB(vcpu)		GUEST_STACK(vcpu)

#define MAX_VCPUS		5

#define MEMORY			GIB(1)
/* What the tables with 4K pages map; LARGE_PD maps more. */
#define MEMORY_SIZE		MIB(64)
#define PROBE			0x88000000
#define OTHER_SLOTS		0x90000000
#define MMIO			0xd0000000
#define MMIO_EVENT		0xd8000000

#define PORT_BENCH		0x80
#define PORT_DONE		0x81
/* The nested guest did not end as it should. */
#define PORT_FAILED		0x82

enum guest_op {
	GUEST_NOTHING,
	GUEST_OUT,
	GUEST_READ,
	GUEST_WRITE,
	GUEST_SWITCH_CR3,
	/* Write to @addr until @stop is set. */
	GUEST_SPIN,
	/* Of a nested guest, see guest_nested.c */
	GUEST_L2_EXIT,
	GUEST_L2_WRITE,
	GUEST_L2_REMAP,
	GUEST_L2_SWITCH_ROOT,
};

/**
 * struct guest_job - what the guest is to do until it writes to PORT_DONE
 * @op: what to do @count times
 * @addr: the first address
 * @step: the distance to the next one; for GUEST_SWITCH_CR3 the second root
 * @count: how many times, at least once
 * @stop: ends GUEST_SPIN
 */
struct guest_job {
	uint64_t op;
	uint64_t addr;
	uint64_t step;
	uint64_t count;
	uint64_t stop;
};

/*
 * All of guest.c and guest_nested.c, which is copied to GUEST_CODE; the linker
 * defines the ends.
 */
extern char __start_guest_code[], __stop_guest_code[];

void guest_main(struct guest_job *job);

/* Jobs that are done in, or with, a nested guest */
void guest_nested(const struct guest_job *job);

static inline void guest_out(uint16_t port)
{
	asm volatile("outb %%al, %0" : : "d"(port) : "memory");
}

static inline void guest_store(uint64_t addr)
{
	asm volatile("movl %k0, (%0)" : : "r"(addr) : "memory");
}

static inline void guest_write_all(uint64_t addr, uint64_t step, uint64_t count)
{
	do {
		guest_store(addr);
		addr += step;
	} while (--count);
}

#endif
