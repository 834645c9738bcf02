/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of races in the MMU share: threads that run vCPUs and park
 * them, memory, and statistics of vCPUs that are running.
 */
#ifndef SELFTEST_KVM_MMU_RACE_H
#define SELFTEST_KVM_MMU_RACE_H

#include <errno.h>
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <linux/bitops.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"
#include "vcpu_stat.h"

#define MAX_VCPUS	8
#define TIMEOUT_S	120
#define PAGE_BYTES	4096ull
#define HUGE_BYTES	(512 * PAGE_BYTES)
#define RFLAGS_IF	0x200

/* Options */

struct options {
	unsigned int seconds, nr_vcpus;
	uint32_t seed;
};

static inline void help(const char *name, const struct options *defaults)
{
	printf("usage: %s [-t seconds] [-v vcpus] [-s seed]\n"
	       " -t: how long the races go on (default %u)\n"
	       " -v: vCPUs (default %u, at most %d)\n"
	       " -s: seed of what is random (default %u)\n",
	       name, defaults->seconds, defaults->nr_vcpus, MAX_VCPUS,
	       defaults->seed);
	exit(KSFT_SKIP);
}

static inline void parse_options(struct options *opts, int argc, char *argv[])
{
	const struct options defaults = *opts;
	int opt;

	while ((opt = getopt(argc, argv, "t:v:s:h")) != -1) {
		switch (opt) {
		case 't':
			opts->seconds = atoi_positive("Seconds", optarg);
			break;
		case 'v':
			opts->nr_vcpus = atoi_positive("vCPUs", optarg);
			break;
		case 's':
			opts->seed = atoi_positive("Seed", optarg);
			break;
		default:
			help(argv[0], &defaults);
		}
	}
	TEST_ASSERT(opts->nr_vcpus <= MAX_VCPUS, "At most %d vCPUs", MAX_VCPUS);
}

/* Guest and host: each vCPU, and the main thread, has its own numbers. */
static inline struct guest_random_state random_of(uint32_t seed, uint32_t who)
{
	return new_guest_random_state(1 + (seed * 8191 + who * 524287) % 0x7ffffff);
}

/* Time */

static inline uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000ull + now.tv_nsec / 1000000;
}

/* Half of the time the CPU is left to the vCPUs. */
static inline void random_delay(struct guest_random_state *rng, uint32_t max_us)
{
	uint32_t r = guest_random_u32(rng), loops = (r >> 8) % max_us * 10;

	if (r & 1)
		usleep((r >> 8) % max_us);
	else
		while (loops--)
			barrier();
}

/* Memory */

/*
 * Aligned to huge pages, and between pages that cannot be accessed, so that the
 * area stays one of its own (see huge_backed()).
 */
static inline void *map_memory(uint64_t size, int advice)
{
	void *area = mmap(NULL, size + 2 * HUGE_BYTES, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *mem;

	TEST_ASSERT(area != MAP_FAILED, "mmap() failed: %d", errno);
	mem = align_ptr_up(area + PAGE_BYTES, HUGE_BYTES);
	TEST_ASSERT(!mprotect(mem, size, PROT_READ | PROT_WRITE),
		    "mprotect() failed: %d", errno);
	/* Without THP in the kernel there is nothing to advise about. */
	madvise(mem, size, advice);
	return mem;
}

/* Whether all of what map_memory() has mapped at @mem is in huge pages. */
static inline bool huge_backed(const void *mem, uint64_t size)
{
	FILE *smaps = fopen("/proc/self/smaps", "r");
	unsigned long start, end, kbytes = 0;
	bool inside = false;
	char line[512];

	TEST_ASSERT(smaps, "no /proc/self/smaps: %d", errno);
	while (fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start == (unsigned long)mem;
		else if (inside &&
			 sscanf(line, "AnonHugePages: %lu kB", &kbytes) == 1)
			break;
	}
	fclose(smaps);
	return kbytes * 1024 == size;
}

/* Pages in a dirty log */
static inline unsigned int count_pages(const unsigned long *log, int nr_pages)
{
	unsigned int count = 0;
	int i;

	for (i = 0; i < BITS_TO_LONGS(nr_pages); i++)
		count += __builtin_popcountl(log[i]);
	return count;
}

/* Threads that run vCPUs */

struct worker {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	sem_t parked, go;
	struct stat_reader stat;
	uint64_t efaults;
	bool parking, quit;
};

static struct workers {
	struct worker all[MAX_VCPUS];
	unsigned int nr;
	uint64_t *stop;		/* in guest memory: the guests have to sync */
} workers;

static inline void park(struct worker *w)
{
	sem_post(&w->parked);
	sem_wait(&w->go);
}

static inline void handle_exit(struct worker *w)
{
	struct kvm_run *run = w->vcpu->run;
	struct ucall uc;

	/* Only the main thread can make room in a full dirty ring. */
	if (run->exit_reason == KVM_EXIT_DIRTY_RING_FULL) {
		if (READ_ONCE(w->parking))
			park(w);
		else
			usleep(100);
		return;
	}
	switch (get_ucall(w->vcpu, &uc)) {
	case UCALL_SYNC:
		park(w);
		break;
	case UCALL_ABORT:
		REPORT_GUEST_ASSERT(uc);
		break;
	default:
		TEST_FAIL("Unexpected exit: %s",
			  exit_reason_str(run->exit_reason));
	}
}

/*
 * The main thread sleeps most of the time, and goes first when it does not.
 * EFAULT: the host's memory cannot be accessed now, see mprotect().
 */
static inline void *worker_thread(void *arg)
{
	struct worker *w = arg;

	setpriority(PRIO_PROCESS, 0, 10);
	sem_wait(&w->go);
	while (!READ_ONCE(w->quit)) {
		if (!_vcpu_run(w->vcpu)) {
			handle_exit(w);
			continue;
		}
		TEST_ASSERT(errno == EFAULT, KVM_IOCTL_ERROR(KVM_RUN, -1));
		w->efaults++;
		sched_yield();
	}
	return NULL;
}

/*
 * On a host with one CPU, only an interrupt ends a guest that spins, which Bochs
 * 2.7 delivers to the host only while the guest has interrupts on.
 */
static inline void enable_interrupts(struct kvm_vcpu *vcpu)
{
	struct kvm_regs regs;

	vcpu_regs_get(vcpu, &regs);
	regs.rflags |= RFLAGS_IF;
	vcpu_regs_set(vcpu, &regs);
}

/* The guest's argument is the number of its vCPU; @stat is read_stats()'s. */
static inline void start_workers(struct kvm_vcpu *vcpus[], unsigned int nr,
				 uint64_t *stop, const char *stat)
{
	unsigned int i;

	workers.nr = nr;
	workers.stop = stop;
	for (i = 0; i < nr; i++) {
		struct worker *w = &workers.all[i];

		*w = (struct worker) { .vcpu = vcpus[i] };
		vcpu_args_set(w->vcpu, 1, (uint64_t)i);
		enable_interrupts(w->vcpu);
		open_stat(&w->stat, w->vcpu, stat);
		sem_init(&w->parked, 0, 0);
		sem_init(&w->go, 0, 0);
		pthread_create(&w->thread, NULL, worker_thread, w);
		sem_post(&w->go);
	}
}

static inline void wait_parked(struct worker *w)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += TIMEOUT_S;
	TEST_ASSERT(!sem_timedwait(&w->parked, &deadline),
		    "vCPU %u did not stop for %d s", w->vcpu->id, TIMEOUT_S);
}

/* On return all vCPUs are in userspace, and what they wrote can be judged. */
static inline void park_workers(void)
{
	unsigned int i;

	WRITE_ONCE(*workers.stop, 1);
	for (i = 0; i < workers.nr; i++)
		WRITE_ONCE(workers.all[i].parking, true);
	for (i = 0; i < workers.nr; i++)
		wait_parked(&workers.all[i]);
}

static inline void unpark_workers(void)
{
	unsigned int i;

	WRITE_ONCE(*workers.stop, 0);
	for (i = 0; i < workers.nr; i++)
		WRITE_ONCE(workers.all[i].parking, false);
	for (i = 0; i < workers.nr; i++)
		sem_post(&workers.all[i].go);
}

static inline uint64_t read_stats(void)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < workers.nr; i++)
		sum += read_stat(&workers.all[i].stat);
	return sum;
}

/* The workers are parked; after that the VM can be freed. */
static inline void end_workers(void)
{
	unsigned int i;

	for (i = 0; i < workers.nr; i++) {
		struct worker *w = &workers.all[i];

		WRITE_ONCE(w->quit, true);
		sem_post(&w->go);
		pthread_join(w->thread, NULL);
		close_stat(&w->stat);
	}
}

/* Passes: the guests go over all pages again and again, and say so. */

struct passes {
	uint64_t wanted;		/* written by the main thread */
	uint64_t done[MAX_VCPUS];	/* the @wanted seen when the last began */
};

/* On return every vCPU has made a pass that began after the call. */
static inline void wait_for_pass(struct passes *passes)
{
	uint64_t wanted = ++passes->wanted, start = now_ms();
	unsigned int i;

	for (i = 0; i < workers.nr; i++) {
		while (READ_ONCE(passes->done[i]) < wanted) {
			TEST_ASSERT(now_ms() - start < TIMEOUT_S * 1000,
				    "vCPU %u made no pass for %d s", i,
				    TIMEOUT_S);
			/* Waking up more often would take the time away. */
			usleep(5000);
		}
	}
}

#endif /* SELFTEST_KVM_MMU_RACE_H */
