// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "hostile_faults.h"
#include "test_util.h"
#include "text_file.h"

#define DEBUGFS	"/sys/kernel/debug/"
#define SLABS	"/sys/kernel/slab/"

/* By default, allocations that may wait never fail.  Reports would be many. */
static const struct fault_setting {
	const char *path, *value;
} fault_settings[] = {
	{ DEBUGFS "failslab/ignore-gfp-wait", "N" },
	{ DEBUGFS "failslab/verbose", "0" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ DEBUGFS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ DEBUGFS "fail_page_alloc/min-order", "0" },
	{ DEBUGFS "fail_page_alloc/verbose", "0" },
};

static void let_slab_fail(const char *name)
{
	char path[512];

	if (name[0] == '.' || !strncmp(name, "kmemleak", strlen("kmemleak")))
		return;
	snprintf(path, sizeof(path), SLABS "%s/failslab", name);
	TEST_ASSERT(write_text(path, "1"), "%s: errno %d", path, errno);
}

/*
 * For each object, kmemleak allocates one of its own, whose failure KVM never
 * sees: all slabs may fail but its.
 */
static void spare_kmemleak(void)
{
	struct dirent *entry;
	DIR *dir;

	if (access(SLABS "kmemleak_object", F_OK))
		return;
	dir = opendir(SLABS);
	TEST_ASSERT(dir, SLABS ": errno %d", errno);
	while ((entry = readdir(dir)))
		let_slab_fail(entry->d_name);
	closedir(dir);
	TEST_ASSERT(write_text(DEBUGFS "failslab/cache-filter", "Y"),
		    "failslab/cache-filter: errno %d", errno);
}

bool faults_init(void)
{
	unsigned int i;

	if (access("/proc/thread-self/fail-nth", W_OK))
		return false;
	for (i = 0; i < ARRAY_SIZE(fault_settings); i++)
		if (!write_text(fault_settings[i].path, fault_settings[i].value))
			return false;
	spare_kmemleak();
	return true;
}

int faults_open(void)
{
	return open("/proc/thread-self/fail-nth", O_RDWR);
}

void set_fail_nth(int fd, unsigned int nth)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%u", nth);

	TEST_ASSERT(pwrite(fd, text, len, 0) == len, "fail-nth: %d", errno);
}

bool end_fail_nth(int fd)
{
	char text[16] = {};

	TEST_ASSERT(pread(fd, text, sizeof(text) - 1, 0) > 0, "fail-nth: %d",
		    errno);
	set_fail_nth(fd, 0);
	return !atoi(text);
}
