// SPDX-License-Identifier: GPL-2.0
/*
 * The guest. The code of this file is copied to it, so it uses nothing that is
 * elsewhere. Its loops are a handful of instructions: what is measured is KVM.
 */
#include "guest.h"

static void load(uint64_t addr)
{
	uint32_t value;

	asm volatile("movl (%1), %0" : "=r"(value) : "r"(addr) : "memory");
}

static void load_cr3(uint64_t root)
{
	asm volatile("mov %0, %%cr3" : : "r"(root) : "memory");
}

static void write_ports(uint64_t count)
{
	do {
		guest_out(PORT_BENCH);
	} while (--count);
}

static void read_all(uint64_t addr, uint64_t step, uint64_t count)
{
	do {
		load(addr);
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

/* QEMU's single thread goes on to the next CPU at each pause. */
static void spin(const volatile struct guest_job *job)
{
	while (!job->stop) {
		guest_store(job->addr);
		__builtin_ia32_pause();
	}
}

static void do_job(const struct guest_job *job)
{
	switch (job->op) {
	case GUEST_NOTHING:
		break;
	case GUEST_OUT:
		write_ports(job->count);
		break;
	case GUEST_READ:
		read_all(job->addr, job->step, job->count);
		break;
	case GUEST_WRITE:
		guest_write_all(job->addr, job->step, job->count);
		break;
	case GUEST_SWITCH_CR3:
		switch_cr3(job->addr, job->step, job->count);
		break;
	case GUEST_SPIN:
		spin(job);
		break;
	default:
		guest_nested(job);
	}
}

void guest_main(struct guest_job *job)
{
	for (;;) {
		do_job(job);
		guest_out(PORT_DONE);
	}
}
