// SPDX-License-Identifier: GPL-2.0
/*
 * mmu_bench NAME [PARAMETER]: does what has that name, and prints what each
 * step costs; with one parameter instead of all that it has.
 * mmu_bench: prints the names.
 *
 * It runs in a VM whose clock counts instructions, see measure.c.
 */
#define _GNU_SOURCE
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct bench * const benches[] = {
	&start_bench,
	&exits_bench,
	&touch_bench,
	&tables_bench,
	&slots_bench,
	&running_bench,
	&memory_4k_bench,
	&memory_2m_bench,
	&dirty_4k_bench,
	&dirty_2m_bench,
	&dirty_lazy_bench,
	&nested_bench,
};

#define BENCHES		(sizeof(benches) / sizeof(benches[0]))

/* Threads of vCPUs are on other CPUs. */
static void stay_on_this_cpu(void)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(0, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		err(EXIT_FAILURE, "sched_setaffinity");
}

static const struct bench *find(const char *name)
{
	unsigned int i;

	for (i = 0; i < BENCHES; i++)
		if (!strcmp(benches[i]->name, name))
			return benches[i];
	errx(EXIT_FAILURE, "no bench has the name %s", name);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc > 1) {
		stay_on_this_cpu();
		run_bench(find(argv[1]), argv[2]);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < BENCHES; i++)
		puts(benches[i]->name);
	return EXIT_SUCCESS;
}
