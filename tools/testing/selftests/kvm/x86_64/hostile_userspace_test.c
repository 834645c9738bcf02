// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hostile userspace: threads call whatever KVM has, with random and malformed
 * arguments, on one VM, while its vCPUs run code or what is none, while the
 * memory behind its slots comes and goes, and while it is torn down.
 *
 * Each round is a process with a VM of its own, which ends in one of the ways
 * of enum ending.  With fault injection in the kernel, memory runs out in some
 * of the calls.
 *
 * Each call must succeed or fail with an errno that it may have, nobody may
 * hang, and the VM must never be given up by KVM (EIO).  After the rounds a new
 * VM works: slots, MMIO, an exact dirty log; and nothing has leaked.  That KVM
 * reports nothing is for whoever reads the console.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hostile_calls.h"
#include "hostile_faults.h"
#include "hostile_leak.h"
#include "hostile_scene.h"
#include "hostile_vm.h"
#include "kvm_util.h"
#include "test_util.h"

#define DEFAULT_ROUNDS	12
#define NR_CALLERS	3
#define CALLS		1000		/* in a round, about */
#define HANG_S		120
#define KICK_US		2000

/* That one of them fails: so many or more are in the longest calls. */
#define CALL_ALLOCATIONS	20
#define RUN_ALLOCATIONS		60

/* How a round ends */
enum ending {
	JOIN,		/* threads end, then files are closed in any order */
	CLOSE,		/* files are closed while threads use them */
	EXIT,		/* the process exits while threads run */
	UNMAP,		/* memory is unmapped while threads run, then EXIT */
	KILL,		/* SIGKILL in the middle */
	NR_ENDINGS
};

static const char * const ending_names[] = {
	"join", "close", "exit", "unmap", "kill",
};

/* What the processes share */
static struct board {
	uint64_t calls, injected, exits;
	uint64_t succeeded[MAX_HOSTILE_CALLS], failed[MAX_HOSTILE_CALLS];
} *board;

static unsigned int nr_calls;
static bool can_inject;

struct hostile_thread {
	struct guest_random_state rng;
	int fail_nth;			/* a file, or -1 */
};

static struct round {
	enum ending ending;
	bool stop, closing, injected;
	struct hostile_thread vcpus[NR_VCPUS], callers[NR_CALLERS];
	pthread_t threads[NR_VCPUS + NR_CALLERS];
} round;

/* Threads */

static void add(uint64_t *sum, uint64_t value)
{
	__atomic_fetch_add(sum, value, __ATOMIC_RELAXED);
}

static uint64_t calls_done(void)
{
	return __atomic_load_n(&board->calls, __ATOMIC_RELAXED);
}

/* Where memory ran out, and where another file has the number of a closed one */
static bool is_excused(int error, bool injected)
{
	static const int without_memory[] = { ENOMEM, EFAULT, EINTR, ENFILE, 0 };

	return READ_ONCE(round.closing) || (hostile.smm && error == EIO) ||
	       (injected && is_errno_in(without_memory, error));
}

/* A device that cannot be taken off its bus, for lack of memory, takes the bus. */
static bool may_lack_bus(const struct hostile_call *call)
{
	return call->on_bus && READ_ONCE(round.injected);
}

static void judge(const struct hostile_call *call, int error, bool injected)
{
	TEST_ASSERT(is_errno_in(call->errnos, error) ||
		    (may_lack_bus(call) && error == ENOMEM) ||
		    is_excused(error, injected),
		    "%s: errno %d (%s)%s", call->name, error, strerror(error),
		    injected ? ", after an allocation failed" : "");
}

/* Lets one of the next @allocations fail, in some of the calls. */
static bool begin_injection(struct hostile_thread *t, unsigned int allocations)
{
	const bool inject = t->fail_nth >= 0 && chance(&t->rng, 4);

	if (inject) {
		WRITE_ONCE(round.injected, true);
		set_fail_nth(t->fail_nth, 1 + below(&t->rng, allocations));
	}
	return inject;
}

static bool end_injection(struct hostile_thread *t, bool inject)
{
	const bool injected = inject && end_fail_nth(t->fail_nth);

	add(&board->injected, injected);
	return injected;
}

static void call_once(struct hostile_thread *t)
{
	const unsigned int nr = below(&t->rng, nr_calls);
	const struct hostile_call *call = hostile_call(nr);
	const bool inject = begin_injection(t, CALL_ALLOCATIONS);
	const int r = call->call(&t->rng);
	const int error = errno;
	const bool injected = end_injection(t, inject);

	if (r < 0)
		judge(call, error, injected);
	add(r < 0 ? &board->failed[nr] : &board->succeeded[nr], 1);
	add(&board->calls, 1);
}

static void *caller_thread(void *arg)
{
	struct hostile_thread *t = arg;

	t->fail_nth = faults_open();
	while (!READ_ONCE(round.stop))
		call_once(t);
	return NULL;
}

static const struct hostile_call run_call = {
	"KVM_RUN", NULL, ERRNOS(EINTR, EAGAIN, EFAULT, EINVAL, ENOMEM),
};

static void run_once(struct hostile_thread *t, int vcpu)
{
	bool inject, injected;
	int r, error;

	if (chance(&t->rng, 3))
		reset_vcpu(vcpu, &t->rng);
	else if (chance(&t->rng, 6))
		derail_vcpu(vcpu, &t->rng);

	inject = begin_injection(t, RUN_ALLOCATIONS);
	r = ioctl(vcpu, KVM_RUN, NULL);
	error = errno;
	injected = end_injection(t, inject);
	if (r)
		judge(&run_call, error, injected);
	else
		add(&board->exits, 1);
}

static void *vcpu_thread(void *arg)
{
	struct hostile_thread *t = arg;

	t->fail_nth = faults_open();
	while (!READ_ONCE(round.stop))
		run_once(t, hostile.vcpus[t - round.vcpus]);
	return NULL;
}

/* A round, in its process */

static void nothing(int signal)
{
}

static void start_threads(struct guest_random_state *rng)
{
	struct sigaction action = { .sa_handler = nothing };
	int i;

	sigaction(SIGUSR1, &action, NULL);
	for (i = 0; i < NR_VCPUS + NR_CALLERS; i++) {
		struct hostile_thread *t = i < NR_VCPUS ? &round.vcpus[i] :
						&round.callers[i - NR_VCPUS];

		t->rng = new_guest_random_state(1 + guest_random_u32(rng) / 2);
		TEST_ASSERT(!pthread_create(&round.threads[i], NULL,
					    i < NR_VCPUS ? vcpu_thread :
							   caller_thread, t),
			    "no thread");
	}
}

/* A vCPU may run for ever otherwise, and callers wait for it. */
static void kick_vcpus(int nr)
{
	while (nr--)
		pthread_kill(round.threads[nr], SIGUSR1);
	usleep(KICK_US);
}

static void kick_until_calls(uint64_t calls)
{
	while (calls_done() < calls)
		kick_vcpus(NR_VCPUS);
}

/* The callers first: some wait for a vCPU. */
static void join_threads(void)
{
	int i;

	WRITE_ONCE(round.stop, true);
	for (i = NR_VCPUS + NR_CALLERS - 1; i >= 0; i--)
		while (pthread_tryjoin_np(round.threads[i], NULL))
			kick_vcpus(min(i + 1, NR_VCPUS));
}

static void close_files(struct guest_random_state *rng)
{
	int files[2 + MAX_VCPUS + NR_EVENTS], nr = 0, i, j;

	files[nr++] = hostile.vm;
	if (hostile.gmem >= 0)
		files[nr++] = hostile.gmem;
	for (i = 0; i < (int)hostile.nr_vcpus; i++)
		files[nr++] = hostile.vcpus[i];
	for (i = 0; i < NR_EVENTS; i++)
		files[nr++] = hostile.events[i];
	for (; nr; nr--) {
		i = below(rng, nr);
		j = files[i];
		files[i] = files[nr - 1];
		close(j);
		if (round.ending == CLOSE)
			kick_vcpus(NR_VCPUS);
	}
}

static void run_round(uint32_t seed, uint64_t end)
{
	struct guest_random_state rng = new_guest_random_state(seed);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	create_hostile_vm(&rng);
	start_threads(&rng);
	kick_until_calls(end);
	switch (round.ending) {
	case JOIN:
		join_threads();
		close_files(&rng);
		break;
	case CLOSE:
		WRITE_ONCE(round.closing, true);
		close_files(&rng);
		break;
	case UNMAP:
		WRITE_ONCE(round.closing, true);
		munmap(hostile.mem, MEM_SIZE);
		break;
	case KILL:
		for (;;)
			kick_vcpus(NR_VCPUS);
	default:
		break;
	}
	_exit(KSFT_PASS);
}

/* The parent */

/* Returns how the process ended.  It hangs when no call ends for a long time. */
static int wait_for_round(pid_t pid, uint64_t end)
{
	time_t limit = time(NULL) + HANG_S;
	uint64_t before = 0, calls;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		calls = calls_done();
		if (round.ending == KILL && calls >= end)
			kill(pid, SIGKILL);
		if (calls != before)
			limit = time(NULL) + HANG_S;
		before = calls;
		TEST_ASSERT(time(NULL) < limit, "no call has ended for %d s",
			    HANG_S);
		usleep(10000);
	}
	return status;
}

static void fork_round(unsigned int nr, uint32_t seed)
{
	struct guest_random_state rng = new_guest_random_state(seed);
	uint64_t end;
	pid_t pid;
	int status;

	round.ending = nr % NR_ENDINGS;
	end = calls_done() + CALLS / 2 + below(&rng, CALLS);
	pr_info("round %u: seed %u, end: %s\n", nr, seed,
		ending_names[round.ending]);
	fflush(NULL);
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	if (!pid)
		run_round(guest_random_u32(&rng), end);

	status = wait_for_round(pid, end);
	if (round.ending == KILL)
		TEST_ASSERT(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			    "status 0x%x instead of SIGKILL", status);
	else
		TEST_ASSERT(WIFEXITED(status) && !WEXITSTATUS(status),
			    "status 0x%x", status);
}

static void check_new_vm(void)
{
	struct scene scene;

	scene_create(&scene);
	scene_check(&scene);
	scene_free(&scene);
}

static void print_board(void)
{
	unsigned int i;

	for (i = 0; i < nr_calls; i++)
		pr_info("%-36s succeeded: %5lu, failed: %5lu\n",
			hostile_call(i)->name, board->succeeded[i],
			board->failed[i]);
	pr_info("calls: %lu, allocations failed: %lu, exits of vCPUs: %lu\n",
		board->calls, board->injected, board->exits);
	TEST_ASSERT(board->exits, "no vCPU has run");
	TEST_ASSERT(board->injected || !can_inject, "no allocation has failed");
}

static void parse_options(int argc, char *argv[], unsigned int *rounds,
			  uint32_t *seed)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:S:h")) != -1) {
		switch (opt) {
		case 'n':
			*rounds = atoi_positive("Rounds", optarg);
			break;
		case 'S':
			*seed = atoi_positive("Seed", optarg);
			break;
		default:
			printf("usage: %s [-n rounds] [-S seed]\n", argv[0]);
			exit(KSFT_SKIP);
		}
	}
}

int main(int argc, char *argv[])
{
	unsigned int rounds = DEFAULT_ROUNDS, i;
	uint32_t seed = time(NULL) & 0x7fffffff;

	parse_options(argc, argv, &rounds, &seed);
	pr_info("seed: %u\n", seed);
	can_inject = faults_init();
	if (!can_inject)
		pr_info("SKIP: no allocation fails, as this kernel cannot inject that\n");
	board = mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(board != MAP_FAILED, "mmap: errno %d", errno);
	nr_calls = count_hostile_calls();

	/* What is allocated once and for all, is now. */
	check_new_vm();
	leak_start();
	for (i = 0; i < rounds; i++)
		fork_round(i, seed + i);
	check_new_vm();
	print_board();
	leak_check();
	return KSFT_PASS;
}
