// SPDX-License-Identifier: GPL-2.0-only
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "hostile_leak.h"
#include "test_util.h"
#include "text_file.h"

#define LEAK_TIMEOUT_S	120	/* for what is freed after grace periods */
#define KMEMLEAK_FILE	"/sys/kernel/debug/kmemleak"
#define KMEMLEAK_AGE_S	6	/* younger objects are no leaks to it */

/* -1 if there is no such file; otherwise its first number. */
static long first_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1;

	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* In KiB, of the whole machine.  A read of stat_refresh sums up all CPUs' parts. */
static long count_page_tables(const char *field)
{
	const size_t len = strlen(field);
	char line[128];
	long value = -1;
	FILE *file;

	first_number("/proc/sys/vm/stat_refresh");
	file = fopen("/proc/meminfo", "r");
	if (!file)
		return -1;
	while (value < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, field, len))
			sscanf(line + len, ": %ld", &value);
	fclose(file);
	return value;
}

/*
 * Exact only after a shrink, which takes the free objects of each CPU's slabs
 * back, and for a cache that is not merged with others of its size.
 */
static long count_objects(const char *cache)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/aliases", cache);
	if (first_number(path))
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/shrink", cache);
	if (!write_text(path, "1"))
		return -1;
	snprintf(path, sizeof(path), "/sys/kernel/slab/%s/objects", cache);
	return first_number(path);
}

static long count_references(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	return first_number(path);
}

/* Each VM has a directory named by numbers. */
static long count_vms(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	long vms = 0;

	if (!dir)
		return -1;
	while ((entry = readdir(dir)))
		vms += entry->d_name[0] >= '0' && entry->d_name[0] <= '9';
	closedir(dir);
	return vms;
}

/*
 * A cache or a module is there under one of its names.  Those that others use
 * as well come last: VMs of before are gone when the first ones are 0.
 */
static struct leak_count {
	long (*count)(const char *name);
	const char *names[2];
	bool shared;
	long before;
} leak_counts[] = {
	{ count_vms, { "/sys/kernel/debug/kvm" } },
	{ count_objects, { "kvm_vcpu" } },
	{ count_objects, { "kvm_mmu_page_header" } },
	{ count_objects, { "rmap_block", "pte_list_desc" } },
	{ count_objects, { "x86_emulator" } },
	{ count_objects, { "kvm_async_pf" } },
	{ count_page_tables, { "SecPageTables" }, true },
	{ count_references, { "kvm" }, true },
	{ count_references, { "kvm_amd", "kvm_intel" }, true },
};

static bool leak_kmemleak;

static long count_now(const struct leak_count *c)
{
	long value = c->count(c->names[0]);

	return value < 0 && c->names[1] ? c->count(c->names[1]) : value;
}

static void wait_for_count(const struct leak_count *c, const char *when)
{
	const time_t end = time(NULL) + LEAK_TIMEOUT_S;
	long now = count_now(c);

	while (now != c->before && time(NULL) < end) {
		usleep(100000);
		now = count_now(c);
	}
	TEST_ASSERT(now == c->before, "leak %s: %s: %ld instead of %ld", when,
		    c->names[0], now, c->before);
}

static void start_count(struct leak_count *c)
{
	const long now = count_now(c);

	if (now < 0)
		pr_info("SKIP: no count of %s; for merged caches: slab_nomerge\n",
			c->names[0]);
	c->before = now < 0 || c->shared ? now : 0;
	if (now >= 0 && !c->shared)
		wait_for_count(c, "before the test");
}

static void check_count(const struct leak_count *c)
{
	if (c->before < 0)
		return;
	wait_for_count(c, "of the test");
	pr_info("%s: %ld, as before\n", c->names[0], c->before);
}

/* An object is a leak if it is old enough, and two scans find no pointer to it. */
static bool scan_twice(void)
{
	return write_text(KMEMLEAK_FILE, "scan") &&
	       write_text(KMEMLEAK_FILE, "scan");
}

static void start_kmemleak(void)
{
	leak_kmemleak = scan_twice() && write_text(KMEMLEAK_FILE, "clear");
	if (!leak_kmemleak)
		pr_info("SKIP: kmemleak is not in this kernel, or is off\n");
}

static void check_kmemleak(void)
{
	char line[256];
	int lines = 0;
	FILE *file;

	if (!leak_kmemleak)
		return;
	sleep(KMEMLEAK_AGE_S);
	TEST_ASSERT(scan_twice(), "kmemleak has given up");
	file = fopen(KMEMLEAK_FILE, "r");
	TEST_ASSERT(file, "no " KMEMLEAK_FILE ": %d", errno);
	while (fgets(line, sizeof(line), file) && ++lines)
		pr_info("%s", line);
	fclose(file);
	TEST_ASSERT(!lines, "kmemleak has found a leak");
	pr_info("kmemleak: no leak\n");
}

void leak_start(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(leak_counts); i++)
		start_count(&leak_counts[i]);
	start_kmemleak();
}

void leak_check(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(leak_counts); i++)
		check_count(&leak_counts[i]);
	check_kmemleak();
}
