// SPDX-License-Identifier: GPL-2.0
/*
 * How long mmu_lock is held at most while a step is done, for writing and for reading.
 * A kernel with CONFIG_LOCK_STAT counts it, for the locks of all VMs together; there is
 * one. lockdep, which it needs, takes part of the time. Nobody else wants the lock, so
 * that nobody yields it.
 */
#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

#define LOCK_STAT	"/proc/lock_stat"

/* In nanoseconds. */
struct holds {
	double write;
	double read;
};

bool can_count_holds(void)
{
	return !access(LOCK_STAT, W_OK);
}

static void forget_holds(void)
{
	FILE *file = fopen(LOCK_STAT, "w");

	if (!file || fputs("0", file) == EOF || fclose(file))
		err(EXIT_FAILURE, LOCK_STAT);
}

/* Behind a lock's name: two counts, four times of waits, two counts, the least... */
#define BEFORE_LONGEST	"%*s %*s %*s %*s %*s %*s %*s %*s %*s"

/* "mmu_lock-R:" for reading; "mmu_lock-W:", or "mmu_lock:" if nobody read. */
static void add_line(struct holds *sum, const char *line)
{
	const char *name = strstr(line, "mmu_lock");
	const char *colon = name ? strchr(name, ':') : NULL;
	double longest, *hold;

	if (!colon || sscanf(colon, ": " BEFORE_LONGEST " %lf", &longest) != 1)
		return;
	hold = colon[-1] == 'R' ? &sum->read : &sum->write;
	if (longest * 1000 > *hold)
		*hold = longest * 1000;
}

static void add_holds(struct holds *sum)
{
	FILE *file = fopen(LOCK_STAT, "r");
	char line[512];

	if (!file)
		err(EXIT_FAILURE, LOCK_STAT);
	while (fgets(line, sizeof(line), file))
		add_line(sum, line);
	fclose(file);
}

static struct holds measure_holds(const struct step *step, struct scene *scene)
{
	const unsigned int times = step->times ? step->times : 1;
	struct holds sum = {};

	for (scene->index = 0; scene->index < times; scene->index++) {
		if (step->before)
			step->before(scene);
		forget_holds();
		step->run(scene);
		add_holds(&sum);
	}
	return sum;
}

/* One round is enough: nothing of it is random. */
void run_for_holds(const struct bench *bench, uint64_t parameter)
{
	struct scene scene = { .parameter = parameter };
	const struct step *step;
	struct holds holds;

	if (bench->open)
		bench->open(&scene);
	for (step = bench->steps; step->run; step++) {
		holds = measure_holds(step, &scene);
		if (step->name)
			print_result(bench, step, "call", parameter, holds.write,
				     holds.read);
	}
	if (bench->close)
		bench->close(&scene);
}
