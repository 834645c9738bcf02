// SPDX-License-Identifier: GPL-2.0
/*
 * What is measured: instructions of the thread that asks for something, and the
 * time until it is done, which includes what others do for it and waits.
 *
 * The VM's clock counts instructions, of all its CPUs ("qemu-system -icount
 * shift=0"): a nanosecond is an instruction, or a wait in which no CPU has
 * anything to do. What a thread has used of it is known to its scheduler.
 *
 * A kernel that counts how long locks are held is for something else: holds.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bench.h"

#define MAX_STEPS	24
#define MAX_ROUNDS	9

struct cost {
	double instructions;
	double time;
};

static const char * const units[] = {
	[PER_CALL] = "call",
	[PER_PAGE] = "page",
	[PER_GIB] = "GiB",
};

/* What measuring itself costs. */
static struct cost overhead;

static struct cost now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (struct cost) {
		.instructions = time.tv_sec * 1e9 + time.tv_nsec,
		.time = __builtin_ia32_rdtsc(),
	};
}

static void add_since(struct cost *sum, struct cost start)
{
	struct cost end = now();

	sum->instructions += end.instructions - start.instructions -
			     overhead.instructions;
	sum->time += end.time - start.time - overhead.time;
}

static void calibrate(void)
{
	struct cost least = { .instructions = 1e9 };
	int i;

	for (i = 0; i < 16; i++) {
		struct cost cost = {};

		add_since(&cost, now());
		if (cost.instructions < least.instructions)
			least = cost;
	}
	overhead = least;
}

/* A step with something before it is measured each time, else at once. */
static struct cost measure(const struct step *step, struct scene *scene)
{
	unsigned int times = step->times ? step->times : 1;
	struct cost start = {}, sum = {};
	double count = 0;

	for (scene->index = 0; scene->index < times; scene->index++) {
		if (step->before)
			step->before(scene);
		if (step->before || !scene->index)
			start = now();
		count += step->run(scene);
		if (step->before || scene->index == times - 1)
			add_since(&sum, start);
	}
	if (step->per == PER_GIB)
		count = times * (double)scene->size / GIB(1);
	sum.instructions /= count;
	sum.time /= count;
	return sum;
}

static int compare(const void *left, const void *right)
{
	double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

static double median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

void print_result(const struct bench *bench, const struct step *step,
		  const char *unit, uint64_t parameter, double first, double second)
{
	printf("bench: %s|%s|", bench->name, step->name);
	if (bench->parameter)
		printf("%lu|%s", parameter, bench->parameter);
	else
		printf("|");
	printf("|%s|%.1f|%.1f\n", unit, first, second);
	fflush(stdout);
}

static void print_step(const struct bench *bench, const struct step *step,
		       uint64_t parameter, const struct cost *costs)
{
	double instructions[MAX_ROUNDS], time[MAX_ROUNDS];
	unsigned int i;

	for (i = 0; i < bench->rounds; i++) {
		instructions[i] = costs[i].instructions;
		time[i] = costs[i].time;
	}
	print_result(bench, step, units[step->per], parameter,
		     median(instructions, bench->rounds),
		     median(time, bench->rounds));
}

static void run_rounds(const struct bench *bench, uint64_t parameter)
{
	static struct cost costs[MAX_STEPS][MAX_ROUNDS];
	struct scene scene = { .parameter = parameter };
	unsigned int i, round;

	calibrate();
	if (bench->open)
		bench->open(&scene);
	for (round = 0; round < bench->rounds; round++)
		for (i = 0; bench->steps[i].run; i++)
			costs[i][round] = measure(&bench->steps[i], &scene);
	if (bench->close)
		bench->close(&scene);
	for (i = 0; bench->steps[i].run; i++)
		if (bench->steps[i].name)
			print_step(bench, &bench->steps[i], parameter,
				   costs[i]);
}

void run_bench(const struct bench *bench, const char *parameter)
{
	void (*run)(const struct bench *bench, uint64_t parameter) = run_rounds;
	unsigned int i;

	if (can_count_holds())
		run = run_for_holds;
	if (parameter || !bench->parameter_count) {
		run(bench, parameter ? strtoull(parameter, NULL, 0) : 0);
		return;
	}
	for (i = 0; i < bench->parameter_count; i++)
		run(bench, bench->parameters[i]);
}
