/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest VM that the benchmark needs: one vCPU in long mode, without
 * interrupts. Whatever goes wrong ends the program.
 */
#ifndef BENCH_VM_H
#define BENCH_VM_H

#include <stddef.h>
#include <stdint.h>

#include "guest.h"

struct kvm_run;

enum slot {
	SLOT_SYSTEM,
	SLOT_MEMORY,
	SLOT_OTHER,
};

/**
 * struct vm - a VM and its vCPU
 * @kvm: /dev/kvm
 * @fd: the VM's file
 * @vcpu: the vCPU's file
 * @run_size: of the mapping at @run
 * @run: what KVM shares with us
 * @system: where the system slot is mapped here
 * @job: the job in it
 */
struct vm {
	int kvm;
	int fd;
	int vcpu;
	size_t run_size;
	struct kvm_run *run;
	char *system;
	struct guest_job *job;
};

/* Creates a VM with its system slot; the guest has run, and waits for a job. */
void vm_create(struct vm *vm);

/* Closes what belongs to the VM, so that KVM destroys it. */
void vm_destroy(struct vm *vm);

/* Gives memory back that only we still map. */
void vm_free(struct vm *vm);

/* Creates or changes a slot; @size 0 deletes it. */
void vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
		 uint64_t size, void *memory);

/* Reads the dirty bitmap of a slot. */
void vm_get_dirty_log(struct vm *vm, uint32_t slot, void *bitmap);

/* Makes 4-byte writes to @gpa signal an eventfd, which is returned. */
int vm_add_ioeventfd(struct vm *vm, uint64_t gpa);

/* Continues in the guest on other page tables. */
void vm_set_root(struct vm *vm, uint64_t root);

/* Hands the guest a job; @count exits follow, or none, and then the end. */
void vm_start(struct vm *vm, struct guest_job job);

/* Runs until the next exit, which must have this reason. */
void vm_exit(struct vm *vm, uint32_t reason);

/* Runs until the guest says that it is done. */
void vm_finish(struct vm *vm);

/* A whole job without exits; what it cost the guest. */
uint64_t vm_do(struct vm *vm, struct guest_job job);

#endif
