/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The VM that is to be abused: made by plain ioctls, as selftests' library
 * asserts that they succeed.
 */
#ifndef SELFTEST_KVM_HOSTILE_VM_H
#define SELFTEST_KVM_HOSTILE_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "hostile_random.h"
#include "kvm_util.h"

#define PAGE_BYTES	4096ull
#define PAGES(n)	((n) * PAGE_BYTES)
#define MEM_SIZE	(32ull << 20)
#define GUEST_SIZE	(64ull << 20)	/* where slots and accesses go */
/* 1024 entries: kvm-intel keeps 576 of them for PML. */
#define RING_BYTES	PAGES(4)
#define NR_VCPUS	2		/* that run */
#define MAX_VCPUS	6		/* that there are */
#define NR_EVENTS	4

/* One for each process: it forks for each VM. */
struct hostile {
	bool protected_vm, irqchip, smm;
	uint32_t nr_slots;
	int vm, gmem, events[NR_EVENTS];
	unsigned int nr_vcpus;
	int vcpus[MAX_VCPUS];
	struct kvm_run *runs[MAX_VCPUS];
	struct kvm_dirty_gfn *rings[NR_VCPUS];
	const struct kvm_cpuid2 *cpuid;
	uint8_t *mem, *log;
};

extern struct hostile hostile;

/* With private memory or SMM, an irqchip or not, a dirty ring or not */
void create_hostile_vm(struct guest_random_state *rng);
void add_vcpu_file(int fd);
/* To code that reads and writes memory, in 64-bit mode; any of it may fail. */
void reset_vcpu(int fd, struct guest_random_state *rng);
/* To bytes that are no code, in whatever mode the vCPU is */
void derail_vcpu(int fd, struct guest_random_state *rng);

/* A page of the guest, mostly; at times one of its first, with its tables. */
uint64_t odd_gpa(struct guest_random_state *rng);
/* Memory behind slots, or something that looks like it */
void *odd_memory(struct guest_random_state *rng);
int odd_event(struct guest_random_state *rng);
int odd_vcpu(struct guest_random_state *rng);

#endif /* SELFTEST_KVM_HOSTILE_VM_H */
