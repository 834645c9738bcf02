/* SPDX-License-Identifier: GPL-2.0-only */
/* Statistics of a vCPU by their names, each read through a file of its own. */
#ifndef SELFTEST_KVM_VCPU_STAT_H
#define SELFTEST_KVM_VCPU_STAT_H

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kvm_util.h"
#include "test_util.h"

/* Opened before the vCPU runs: KVM_GET_STATS_FD waits for a running vCPU. */
struct stat_reader {
	int fd;
	struct kvm_stats_header header;
	struct kvm_stats_desc *descs, *desc;
};

static inline void open_stat(struct stat_reader *reader, struct kvm_vcpu *vcpu,
			     const char *name)
{
	int i;

	reader->fd = vcpu_get_stats_fd(vcpu);
	read_stats_header(reader->fd, &reader->header);
	reader->descs = read_stats_descriptors(reader->fd, &reader->header);
	for (i = 0; i < reader->header.num_desc; i++) {
		reader->desc = get_stats_descriptor(reader->descs, i,
						    &reader->header);
		if (!strcmp(reader->desc->name, name))
			return;
	}
	TEST_FAIL("KVM has no vCPU stat '%s'", name);
}

static inline uint64_t read_stat(struct stat_reader *reader)
{
	uint64_t value;

	read_stat_data(reader->fd, &reader->header, reader->desc, &value, 1);
	return value;
}

static inline void close_stat(struct stat_reader *reader)
{
	free(reader->descs);
	close(reader->fd);
}

/* Of a vCPU that does not run. */
static inline uint64_t vcpu_stat(struct kvm_vcpu *vcpu, const char *name)
{
	struct stat_reader reader;
	uint64_t value;

	open_stat(&reader, vcpu, name);
	value = read_stat(&reader);
	close_stat(&reader);
	return value;
}

#endif /* SELFTEST_KVM_VCPU_STAT_H */
