// SPDX-License-Identifier: GPL-2.0
/*
 * The guest. The code of this file is copied to it, so it uses nothing that is
 * elsewhere. Its loops are a handful of instructions: what is measured is KVM.
 */
#include "guest.h"

static void out(uint16_t port)
{
	asm volatile("outb %%al, %0" : : "d"(port) : "memory");
}

static void load(uint64_t addr)
{
	uint32_t value;

	asm volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
}

static void store(uint64_t addr)
{
	asm volatile("movl %k0, (%0)" : : "r"(addr) : "memory");
}

static void load_cr3(uint64_t root)
{
	asm volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

static void write_ports(uint64_t count)
{
	do {
		out(PORT_BENCH);
	} while (--count);
}

static void read_all(uint64_t addr, uint64_t step, uint64_t count)
{
	do {
		load(addr);
		addr += step;
	} while (--count);
}

static void write_all(uint64_t addr, uint64_t step, uint64_t count)
{
	do {
		store(addr);
		addr += step;
	} while (--count);
}

/* Ends on the first root. */
static void switch_cr3(uint64_t root, uint64_t other, uint64_t count)
{
	do {
		load_cr3(other);
		load_cr3(root);
	} while (--count);
}

static void do_job(const struct guest_job *job)
{
	switch (job->op) {
	case GUEST_OUT:
		write_ports(job->count);
		break;
	case GUEST_READ:
		read_all(job->addr, job->step, job->count);
		break;
	case GUEST_WRITE:
		write_all(job->addr, job->step, job->count);
		break;
	case GUEST_SWITCH_CR3:
		switch_cr3(job->addr, job->step, job->count);
		break;
	}
}

void guest_main(struct guest_job *job)
{
	uint64_t start;

	for (;;) {
		start = __builtin_ia32_rdtsc();
		do_job(job);
		job->cost = __builtin_ia32_rdtsc() - start;
		out(PORT_DONE);
	}
}
