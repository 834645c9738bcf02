/* SPDX-License-Identifier: GPL-2.0-only */
/* A statistic of a vCPU by its name, read through a file of its own. */
#ifndef SELFTEST_KVM_VCPU_STAT_H
#define SELFTEST_KVM_VCPU_STAT_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_util.h"

static inline uint64_t vcpu_stat(struct kvm_vcpu *vcpu, const char *name)
{
	struct kvm_stats_header header;
	struct kvm_stats_desc *descs, *desc = NULL;
	int i, fd = vcpu_get_stats_fd(vcpu);
	uint64_t value = 0;

	read_stats_header(fd, &header);
	descs = read_stats_descriptors(fd, &header);
	for (i = 0; i < header.num_desc; i++) {
		desc = get_stats_descriptor(descs, i, &header);
		if (!strcmp(desc->name, name))
			break;
	}
	TEST_ASSERT(i < header.num_desc, "KVM has no vCPU stat '%s'", name);
	read_stat_data(fd, &header, desc, &value, 1);
	free(descs);
	close(fd);
	return value;
}

#endif /* SELFTEST_KVM_VCPU_STAT_H */
