// SPDX-License-Identifier: GPL-2.0
/*
 * Init of a Linux guest that is migrated while it writes its memory.
 *
 * A writer on each CPU goes round pages of its own.  What a page holds follows
 * from its number and from the round that wrote it last, and each round checks
 * all pages before it writes: what a migration left behind is as some earlier
 * round wrote it, and is told apart.
 *
 * One half of the pages is written in each round, the other half seldom: a lost
 * write to a page is not made good by the next one before anybody looks.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define WRITERS		2
#define PAGES		4096UL
#define SELDOM		16
#define PAGE_WORDS	512
#define REPORT_US	200000

/* What a writer tells init; it alone writes it, and init reads it meanwhile. */
struct progress {
	uint64_t rounds;
	uint64_t written;
} __attribute__((aligned(64)));

/* Init must not end, and a writer that does would only be missed later. */
static void stop(void)
{
	for (;;)
		pause();
}

static void die(const char *what)
{
	perror(what);
	stop();
}

static void *map(size_t size, int sharing)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | sharing, -1, 0);

	if (memory == MAP_FAILED)
		die("mmap");
	return memory;
}

static uint64_t word(unsigned long page, uint64_t round, unsigned int index)
{
	uint64_t seed = (round << 16 | page) * 0x9e3779b97f4a7c15;

	return (seed ^ seed >> 29) + index * 0xd1b54a32d192ed03;
}

/* Round 0 writes all pages. */
static bool is_written(unsigned long page, uint64_t round)
{
	return page < PAGES / 2 || !round || (page + round) % SELDOM == 0;
}

/* The last round before this one that wrote the page */
static uint64_t last_write(unsigned long page, uint64_t round)
{
	do {
		round--;
	} while (!is_written(page, round));
	return round;
}

static void write_page(uint64_t *words, unsigned long page, uint64_t round)
{
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++)
		words[i] = word(page, round, i);
}

/*
 * Says what is wrong, and of which round it is: a later one if it is the writer
 * that was put back, 0 if of none.
 */
static void complain(unsigned long page, uint64_t round, unsigned int index,
		     uint64_t found)
{
	uint64_t other = round + 1000;

	while (other && word(page, other, index) != found)
		other--;
	printf("WRONG: page %lu is of round %" PRIu64 ", not of %" PRIu64
	       ": word %u is %#" PRIx64 "\n", page, other, round, index, found);
	stop();
}

static void check_page(const uint64_t *words, unsigned long page, uint64_t round)
{
	unsigned int i;

	for (i = 0; i < PAGE_WORDS; i++) {
		uint64_t found = *(const volatile uint64_t *)&words[i];

		if (found != word(page, round, i))
			complain(page, round, i, found);
	}
}

static void do_round(uint64_t *memory, uint64_t round, struct progress *progress)
{
	unsigned long page;

	for (page = 0; page < PAGES; page++) {
		uint64_t *words = memory + page * PAGE_WORDS;

		if (round)
			check_page(words, page, last_write(page, round));
		if (!is_written(page, round))
			continue;
		write_page(words, page, round);
		__atomic_store_n(&progress->written, progress->written + 1,
				 __ATOMIC_RELAXED);
	}
	__atomic_store_n(&progress->rounds, round + 1, __ATOMIC_RELAXED);
}

static void write_forever(int cpu, struct progress *progress)
{
	uint64_t *memory = map(PAGES * PAGE_WORDS * sizeof(*memory), MAP_PRIVATE);
	cpu_set_t cpus;
	uint64_t round;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("sched_setaffinity");
	for (round = 0; ; round++)
		do_round(memory, round, progress);
}

static void report(const struct progress *progress)
{
	uint64_t rounds[WRITERS], written = 0;
	struct timespec now;
	int i;

	for (i = 0; i < WRITERS; i++) {
		rounds[i] = __atomic_load_n(&progress[i].rounds, __ATOMIC_RELAXED);
		written += __atomic_load_n(&progress[i].written, __ATOMIC_RELAXED);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	printf("WRITERS: %" PRIu64 " ms, %" PRIu64 " pages, %" PRIu64 " %" PRIu64
	       " rounds\n", now.tv_sec * UINT64_C(1000) + now.tv_nsec / 1000000,
	       written, rounds[0], rounds[1]);
}

int main(void)
{
	struct progress *progress = map(WRITERS * sizeof(*progress), MAP_SHARED);
	int cpu;

	setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
	for (cpu = 0; cpu < WRITERS; cpu++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			write_forever(cpu, &progress[cpu]);
	}
	for (;;) {
		usleep(REPORT_US);
		report(progress);
	}
}
