/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A bench is a table of steps. main.c has the list of all, and runs them;
 * measure.c says what is measured.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "vm.h"

/* Ends a table of steps. */
#define STEPS_END		{ }

/**
 * struct scene - what the steps of a bench work on
 * @vm: the VM
 * @parameter: the one of struct bench that this is about
 * @size: of the guest's memory
 * @memory: where it is mapped here
 * @advice: to the host about its pages: MADV_HUGEPAGE or MADV_NOHUGEPAGE
 * @bitmap: of the dirty log, a bit for each 4K page
 * @index: how often the step has been repeated
 */
struct scene {
	struct vm vm;
	uint64_t parameter;
	uint64_t size;
	void *memory;
	int advice;
	uint64_t *bitmap;
	uint64_t index;
};

enum per {
	PER_CALL,
	PER_PAGE,
	PER_GIB,
};

/**
 * struct step - one line of the results, or what has to be done before the next
 * @name: in the results; without a name it is not measured
 * @per: what the result is about; for PER_GIB of @size
 * @times: how often it is done, 0 for once; the result is the mean
 * @before: what comes before each time, and is not measured
 * @run: does it; returns how many there were of what the result is about
 */
struct step {
	const char *name;
	enum per per;
	unsigned int times;
	void (*before)(struct scene *scene);
	uint64_t (*run)(struct scene *scene);
};

/**
 * struct bench - steps, and what they are done with
 * @name: in the results, and to choose it by
 * @parameter: what the parameters are, if there are any
 * @parameters: ends with the one at @parameter_count
 * @parameter_count: how many; 0 for a bench without
 * @rounds: how often all steps are done; the result is the median
 * @open: makes the scene that all rounds share, if there is any
 * @steps: what is done in each round
 * @close: the end of the scene
 */
struct bench {
	const char *name;
	const char *parameter;
	const uint64_t *parameters;
	unsigned int parameter_count;
	unsigned int rounds;
	void (*open)(struct scene *scene);
	const struct step *steps;
	void (*close)(struct scene *scene);
};

/* Measures and prints a bench, with all of its parameters or with one. */
void run_bench(const struct bench *bench, const char *parameter);

/* A line of what the VM prints. */
void print_result(const struct bench *bench, const struct step *step,
		  const char *unit, uint64_t parameter, double first, double second);

/* holds.c: can this kernel measure holds of mmu_lock, instead of what steps cost? */
bool can_count_holds(void);
void run_for_holds(const struct bench *bench, uint64_t parameter);

/* A bench of large memory, which is done once with each size. */
#define BENCH_BY_SIZE		.parameter = "MiB",			\
				.parameters = memory_sizes,		\
				.parameter_count = NR_MEMORY_SIZES,	\
				.rounds = 1
#define NR_MEMORY_SIZES		3
extern const uint64_t memory_sizes[NR_MEMORY_SIZES];

/* Steps and their parts that several benches have */
uint64_t scene_create(struct scene *scene);
uint64_t scene_destroy(struct scene *scene);
uint64_t scene_free(struct scene *scene);
/*
 * A slot of memory that is present, in 4K pages (MADV_NOHUGEPAGE) or in 2M pages;
 * and its end, where the slot does not matter any more.
 */
uint64_t scene_get_memory(struct scene *scene, uint64_t size, int advice);
uint64_t scene_free_memory(struct scene *scene);
void scene_set_memory(struct scene *scene, uint32_t flags);
/* The VM goes, and then its memory. */
void scene_end(struct scene *scene);
/* Writes to one 4K page of @step bytes; returns how many there were. */
uint64_t scene_write(struct scene *scene, uint64_t step);
uint64_t scene_write_all(struct scene *scene);
/* vCPU 0 runs, for a moment: it has page tables then. */
uint64_t scene_run(struct scene *scene);
uint64_t create_probe(struct scene *scene);
uint64_t delete_probe(struct scene *scene);

extern const struct bench start_bench, exits_bench, slots_bench, running_bench,
			  touch_bench, tables_bench, memory_4k_bench,
			  memory_2m_bench, dirty_4k_bench, dirty_2m_bench,
			  dirty_lazy_bench, nested_bench;

#endif
