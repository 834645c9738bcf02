/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * vCPUs of software in threads: each does one access after the other, until it is
 * told to stop or has no more to do.
 */
#ifndef __KVM_X86_MMU_SOFT_THREADS_H
#define __KVM_X86_MMU_SOFT_THREADS_H

#include <linux/completion.h>
#include <linux/prandom.h>

#include "soft_vm.h"

struct soft_thread;

/**
 * struct soft_thread_ops - what a vCPU does
 * @begin: before all else; NULL: nothing
 * @access: with the vCPU loaded, again and again; false: that was the last one
 * @pause: with the vCPU not loaded, now and then; NULL: nothing
 */
struct soft_thread_ops {
	void (*begin)(struct soft_thread *thread);
	bool (*access)(struct soft_thread *thread);
	void (*pause)(struct soft_thread *thread);
};

/**
 * struct soft_thread - a vCPU's thread
 * @all: those of the VM
 * @ops: what it does
 * @id: which vCPU it is
 * @rnd: random numbers of its own, from a seed of its own
 * @started: it was
 * @ended: it has
 */
struct soft_thread {
	struct soft_threads *all;
	const struct soft_thread_ops *ops;
	int id;
	struct rnd_state rnd;
	bool started;
	struct completion ended;
};

/**
 * struct soft_threads - the threads of a VM
 * @vm: the VM
 * @stop: they end
 * @thread: by vCPU
 */
struct soft_threads {
	struct soft_vm *vm;
	bool stop;
	struct soft_thread thread[SOFT_MAX_VCPUS];
};

static inline struct kvm_vcpu *soft_thread_vcpu(const struct soft_thread *thread)
{
	return thread->all->vm->vcpu[thread->id];
}

/* None is started yet; they are stopped before the VM goes with the test. */
void soft_threads_init(struct soft_threads *threads, struct soft_vm *vm);

void soft_thread_start(struct soft_threads *threads, int id,
		       const struct soft_thread_ops *ops);

/* soft_cpu_access(), but no progress for some seconds is what makes an -ELOOP. */
int soft_thread_access(struct soft_thread *thread, struct soft_access *access);

/* It had no more to do. */
bool soft_thread_ended(struct soft_threads *threads, int id);

/* Waits until all have ended, which were started. */
void soft_threads_stop(struct soft_threads *threads);

#endif /* __KVM_X86_MMU_SOFT_THREADS_H */
