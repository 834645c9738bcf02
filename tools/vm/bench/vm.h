/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The smallest VM that the benchmark needs: vCPUs in long mode, without
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
	SLOT_PROBE,
	SLOT_OTHER,
};

/**
 * struct vcpu - one vCPU of a VM
 * @fd: its file
 * @run_size: of the mapping at @run
 * @run: what KVM shares with us
 * @job: what it is to do
 */
struct vcpu {
	int fd;
	size_t run_size;
	struct kvm_run *run;
	struct guest_job *job;
};

/**
 * struct vm - a VM and its vCPUs
 * @kvm: /dev/kvm
 * @fd: the VM's file
 * @vcpus: the vCPUs
 * @vcpu_count: how many there are
 * @system: where the system slot is mapped here
 */
struct vm {
	int kvm;
	int fd;
	struct vcpu vcpus[MAX_VCPUS];
	int vcpu_count;
	char *system;
};

/*
 * The steps of creating a VM, in this order. vm_prepare() is what needs no VM:
 * it fills the system slot's memory.
 */
void vm_prepare(struct vm *vm);
void vm_open(struct vm *vm);
void vm_add_system(struct vm *vm);
void vm_add_irqchip(struct vm *vm);
void vm_add_pit(struct vm *vm);
void vm_add_vcpu(struct vm *vm);

/* All of them but irqchip and PIT; the guest has run, and waits for a job. */
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

/* Takes @pages pages, those that are set in the bitmap, out of the log. */
void vm_clear_dirty_log(struct vm *vm, uint32_t slot, uint32_t pages,
			void *bitmap);

/* Chooses how the log works: the flags of KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2. */
void vm_set_manual_log(struct vm *vm, uint64_t flags);

/* Makes 4-byte writes to @gpa signal an eventfd, which is returned. */
int vm_add_ioeventfd(struct vm *vm, uint64_t gpa);

/* Continues in the guest on other page tables. */
void vm_set_root(struct vm *vm, uint64_t root);

/* Hands the guest a job; @count exits follow, or none, and then the end. */
void vcpu_start(struct vcpu *vcpu, struct guest_job job);

/* Runs until the next exit, which must have this reason. */
void vcpu_exit(struct vcpu *vcpu, uint32_t reason);

/* Runs until the guest says that it is done. */
void vcpu_finish(struct vcpu *vcpu);

/* A whole job of the first vCPU, without exits */
void vm_do(struct vm *vm, struct guest_job job);

#endif
