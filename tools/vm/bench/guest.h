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

/* The system slot: page tables, code, stack and job. */
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
#define SMALL_PT		0x10000
#define GUEST_CODE		0x40000
#define GUEST_STACK		0x50000
#define GUEST_JOB		0x51000

#define MEMORY			GIB(1)
#define MEMORY_SIZE		MIB(64)
#define LARGE_SIZE		MIB(512)
#define OTHER_SLOTS		0x90000000
#define MMIO			0xd0000000
#define MMIO_EVENT		0xd8000000

#define PORT_BENCH		0x80
#define PORT_DONE		0x81

enum guest_op {
	GUEST_OUT,
	GUEST_READ,
	GUEST_WRITE,
	GUEST_SWITCH_CR3,
};

/**
 * struct guest_job - what the guest is to do until it writes to PORT_DONE
 * @op: what to do @count times
 * @addr: the first address
 * @step: the distance to the next one; for GUEST_SWITCH_CR3 the second root
 * @count: how many times, at least once
 * @cost: the guest's answer: instructions spent on all of it
 */
struct guest_job {
	uint64_t op;
	uint64_t addr;
	uint64_t step;
	uint64_t count;
	uint64_t cost;
};

/* All of guest.c, which is copied to GUEST_CODE; the linker defines the ends. */
extern char __start_guest_code[], __stop_guest_code[];

void guest_main(struct guest_job *job);

#endif
