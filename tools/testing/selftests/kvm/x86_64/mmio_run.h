/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a guest whose accesses to what is no memory are answered, and counted.
 */
#ifndef SELFTEST_KVM_MMIO_RUN_H
#define SELFTEST_KVM_MMIO_RUN_H

#include <string.h>

#include "kvm_util.h"
#include "test_util.h"
#include "ucall_common.h"

/* What the guest reads where there is no slot. */
#define MMIO_VALUE	0x4d4d494full

/* Runs to the next sync; returns the number of MMIO exits. */
static inline int run_to_sync(struct kvm_vcpu *vcpu)
{
	const uint64_t value = MMIO_VALUE;
	int exits = 0;

	for (;;) {
		vcpu_run(vcpu);
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO)
			break;
		memcpy(vcpu->run->mmio.data, &value, sizeof(value));
		exits++;
	}
	TEST_ASSERT_EQ(get_ucall(vcpu, NULL), UCALL_SYNC);
	return exits;
}

#endif /* SELFTEST_KVM_MMIO_RUN_H */
