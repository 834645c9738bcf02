/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What hostile userspace calls, with random arguments, and the errnos that each
 * call may answer.  EIO is in no list: it says that KVM gave the VM up, which it
 * does only when an SMI finds no memory to save the vCPU's state in.
 */
#ifndef SELFTEST_KVM_HOSTILE_CALLS_H
#define SELFTEST_KVM_HOSTILE_CALLS_H

#include <stdbool.h>

#include "test_util.h"

#define MAX_HOSTILE_CALLS	64

struct hostile_call {
	const char *name;
	int (*call)(struct guest_random_state *rng);
	const int *errnos;		/* up to a 0 */
	bool on_bus;			/* it adds devices to a bus of the VM */
};

#define ERRNOS(...)	((const int []) { __VA_ARGS__, 0 })

/* These end in a call without a name. */
extern const struct hostile_call hostile_memory_calls[];
extern const struct hostile_call hostile_machine_calls[];
extern const struct hostile_call hostile_vcpu_calls[];
extern const struct hostile_call hostile_para_calls[];

/* All of them, numbered from 0; NULL behind the last one */
const struct hostile_call *hostile_call(unsigned int nr);
unsigned int count_hostile_calls(void);

bool is_errno_in(const int *errnos, int error);

#endif /* SELFTEST_KVM_HOSTILE_CALLS_H */
