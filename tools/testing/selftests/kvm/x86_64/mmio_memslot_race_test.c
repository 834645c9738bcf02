// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory slots against MMIO: once KVM_SET_USER_MEMORY_REGION has returned, no
 * guest access may act on the slots as they were before.
 *
 * vCPUs read the probe pages of one target in a loop while the main thread
 * creates, deletes and moves slots there, or changes slots elsewhere.  Every
 * target has a phase word in memory shared with the guest.  It names what the
 * target is now (memory or MMIO) and a number that no other phase has, and it
 * says "changing" from before the ioctl until after its return.  The guest
 * reads the phase, makes the access and reads the phase again.  If both are
 * the same stable phase, the access lies between the return of one change and
 * the start of the next, so its value is certain: memory holds the number of
 * the phase, and an MMIO exit is answered with a value that no memory holds.
 * Any other value is a stale access.  A change is complete when every vCPU
 * has judged, in the phase that follows, the probes that it read last.
 *
 * Changes of other slots leave the phase stable, so there the accesses made
 * during the ioctl are judged too.
 *
 * Breaks of KVM that make this test fail:
 *  - install a set of slots with its final generation already in it, i.e. no
 *    second bump after the SRCU grace period: a vCPU that decided "MMIO" on
 *    the old set tags its cache with the new generation, and keeps it;
 *  - ignore the generation of an MMIO SPTE (mmio_spte_current() always true), with
 *    shadow paging; with direct paging, leave the MMIO SPTEs where memory comes
 *    (kvm_mmu_invalidate_mmio_sptes());
 *  - do not flush the shadow of a deleted or moved slot.
 */
#include <getopt.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "kvm_util.h"
#include "memslot_targets.h"
#include "mmio_stats.h"
#include "processor.h"
#include "test_util.h"

#define DEFAULT_CHANGES	20000
#define QUICK_CHANGES	2000
#define MAX_DELAY_LOOPS	30000
#define ACK_TIMEOUT_S	60

struct worker {
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	sem_t go, done;
	uint64_t mmio_exits;
};

static struct race {
	struct shared *shared;
	struct worker workers[MAX_VCPUS];
	struct guest_random_state rng;
	unsigned int nr_vcpus;
} race;

static cpu_set_t allowed_cpus;

static struct totals {
	uint64_t changes, judged, stale, mmio_exits, misses;
	uint64_t installs, generation;	/* of the last VM */
} totals;

/* vCPU threads */

/*
 * CPU 0 of those allowed is for the main thread, the others are for vCPUs.  A
 * vCPU thread that the main thread preempts in KVM holds up the SRCU grace
 * period that the main thread then waits for.
 */
static void pin_to_cpu(unsigned int nr)
{
	unsigned int nr_cpus = CPU_COUNT(&allowed_cpus);
	unsigned int cpu;

	if (nr_cpus < 2)
		return;
	if (nr)
		nr = 1 + (nr - 1) % (nr_cpus - 1);
	for (cpu = 0; nr || !CPU_ISSET(cpu, &allowed_cpus); cpu++)
		nr -= CPU_ISSET(cpu, &allowed_cpus);
	kvm_pin_this_task_to_pcpu(cpu);
}

static void answer_mmio(struct worker *w)
{
	struct kvm_run *run = w->vcpu->run;
	uint64_t value = MMIO_MAGIC ^ run->mmio.phys_addr;

	TEST_ASSERT(!run->mmio.is_write && run->mmio.len == sizeof(value),
		    "Unexpected MMIO at 0x%llx", run->mmio.phys_addr);
	memcpy(run->mmio.data, &value, sizeof(value));
	w->mmio_exits++;
}

static void *vcpu_thread(void *arg)
{
	struct worker *w = arg;
	struct kvm_run *run = w->vcpu->run;
	struct ucall uc;

	pin_to_cpu(1 + w->vcpu->id);
	sem_wait(&w->go);
	for (;;) {
		vcpu_run(w->vcpu);
		if (run->exit_reason == KVM_EXIT_MMIO) {
			answer_mmio(w);
		} else if (run->exit_reason == KVM_EXIT_IO &&
			   run->io.port == ACK_PORT) {
			sem_post(&w->done);
			sem_wait(&w->go);
		} else {
			break;
		}
	}
	TEST_ASSERT(get_ucall(w->vcpu, &uc) == UCALL_DONE,
		    "Unexpected exit: %s", exit_reason_str(run->exit_reason));
	return NULL;
}

/* Rounds */

static void begin_round(int target, bool changes_target)
{
	struct shared *sh = race.shared;
	unsigned int i;

	WRITE_ONCE(sh->focus, target);
	if (changes_target) {
		targets[target].phase_nr++;
		WRITE_ONCE(sh->phase[target], PHASE_CHANGING);
	}
	/* Also a full barrier: the guest knows before KVM does anything. */
	__atomic_fetch_add(&sh->seq, 1, __ATOMIC_SEQ_CST);

	for (i = 0; i < race.nr_vcpus; i++)
		sem_post(&race.workers[i].go);

	/* Vary where the vCPUs are when the change comes. */
	for (i = guest_random_u32(&race.rng) % MAX_DELAY_LOOPS; i; i--)
		barrier();
}

static void wait_for_ack(struct worker *w)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += ACK_TIMEOUT_S;
	TEST_ASSERT(!sem_timedwait(&w->done, &deadline),
		    "vCPU %u judged nothing for %d s after change %lu",
		    w->vcpu->id, ACK_TIMEOUT_S, slots.changes);
}

static void end_round(int target)
{
	struct shared *sh = race.shared;
	unsigned int i;

	WRITE_ONCE(sh->phase[target], next_phase(&targets[target]));
	__atomic_fetch_add(&sh->seq, 1, __ATOMIC_SEQ_CST);

	for (i = 0; i < race.nr_vcpus; i++)
		wait_for_ack(&race.workers[i]);
}

static void run_round(int target, const struct pattern *p)
{
	begin_round(target, p->changes_target);
	p->run(&targets[target]);
	end_round(target);
}

static void run_random_round(void)
{
	uint32_t r = guest_random_u32(&race.rng);

	run_round((r >> 16) % NR_TARGETS, &patterns[r % ARRAY_SIZE(patterns)]);
}

/* Set-up and results */

static void start_vm(uint64_t seed, bool zap_all)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	unsigned int i, nr = race.nr_vcpus;

	slots = (struct slots) {
		.vm = __vm_create_with_vcpus(VM_SHAPE_DEFAULT, nr, 64,
					     guest_main, vcpus),
		.installs = 1,	/* slot 0 */
	};
	slots.has_as1 = vm_check_cap(slots.vm, KVM_CAP_MULTI_ADDRESS_SPACE) > 1;
	race.shared = addr_gva2hva(slots.vm, (vm_vaddr_t)&shared);
	race.rng = new_guest_random_state(seed);
	if (!zap_all)
		vm_enable_cap(slots.vm, KVM_CAP_DISABLE_QUIRKS2,
			      KVM_X86_QUIRK_SLOT_ZAP_ALL);
	for (i = 0; i < NR_TARGETS; i++)
		init_target(i, race.shared);
	add_neighbours(&targets[1]);

	for (i = 0; i < nr; i++) {
		struct worker *w = &race.workers[i];

		*w = (struct worker) { .vcpu = vcpus[i] };
		sem_init(&w->go, 0, 0);
		sem_init(&w->done, 0, 0);
		vcpu_args_set(w->vcpu, 1, (uint64_t)i);
		pthread_create(&w->thread, NULL, vcpu_thread, w);
	}
}

static void stop_vcpus(void)
{
	unsigned int i;

	WRITE_ONCE(race.shared->stop, 1);
	for (i = 0; i < race.nr_vcpus; i++) {
		sem_post(&race.workers[i].go);
		pthread_join(race.workers[i].thread, NULL);
	}
}

static void report_failures(uint32_t vcpu_id, const struct vcpu_log *log)
{
	int i, nr = min_t(uint64_t, log->stale, MAX_FAILURES);

	for (i = 0; i < nr; i++) {
		const struct failure *f = &log->failures[i];

		pr_info("stale: vCPU %u target '%s' gpa 0x%lx round %lu: phase %lu is %s, read 0x%lx, not 0x%lx\n",
			vcpu_id, targets[f->target].name, f->gpa, f->seq / 2,
			f->phase >> PHASE_SHIFT,
			PHASE_KIND(f->phase) == PHASE_MEM ? "memory" : "MMIO",
			f->value, expected_value(f->phase, f->gpa));
	}
}

static void collect_vcpu(struct worker *w)
{
	const struct vcpu_log *log = &race.shared->log[w->vcpu->id];
	uint64_t misses = vcpu_stat(w->vcpu, "pf_mmio_spte_created");
	uint64_t exits = vcpu_stat(w->vcpu, "mmio_exits");

	TEST_ASSERT(exits == w->mmio_exits,
		    "KVM counted %lu MMIO exits, userspace saw %lu", exits,
		    w->mmio_exits);
	report_failures(w->vcpu->id, log);
	totals.judged += log->judged;
	totals.stale += log->stale;
	totals.mmio_exits += exits;
	totals.misses += misses;
}

/*
 * The last round makes a target MMIO, so the MMIO SPTEs that its probes create
 * carry the generation that the last change left.
 */
static void run_last_round(void)
{
	struct target *t = &targets[0];

	if (t->where == ABSENT)
		run_round(0, &patterns[0]);
	mmio_trace_start();
	run_round(0, &patterns[0]);
	totals.generation = mmio_trace_stop();
}

static void run_vm(uint64_t nr_changes, uint64_t seed, bool zap_all)
{
	unsigned int i;

	start_vm(seed, zap_all);
	while (slots.changes < nr_changes)
		run_random_round();
	run_last_round();
	stop_vcpus();

	for (i = 0; i < race.nr_vcpus; i++)
		collect_vcpu(&race.workers[i]);
	totals.changes += slots.changes;
	totals.installs = slots.installs;
	kvm_vm_free(slots.vm);
}

static void print_totals(void)
{
	pr_info("slot changes: %lu\n", totals.changes);
	pr_info("judged accesses: %lu\n", totals.judged);
	pr_info("stale accesses: %lu\n", totals.stale);
	pr_info("mmio exits: %lu\n", totals.mmio_exits);
	pr_info("mmio cache hits: %lu misses: %lu\n",
		mmio_cache_hits(totals.mmio_exits, totals.misses),
		totals.misses);
	pr_info("generation: %lu (of the second VM, after %lu installed sets)\n",
		totals.generation, totals.installs);
}

static void help(const char *name)
{
	printf("usage: %s [-n changes] [-v vcpus] [-s seed] [-q]\n"
	       " -n: slot changes in total (default %d)\n"
	       " -v: vCPUs (default 2, at most %d)\n"
	       " -s: seed of the order of changes\n"
	       " -q: quick, %d changes\n",
	       name, DEFAULT_CHANGES, MAX_VCPUS, QUICK_CHANGES);
	exit(KSFT_SKIP);
}

int main(int argc, char *argv[])
{
	uint64_t changes = DEFAULT_CHANGES, seed = 1;
	int opt;

	race.nr_vcpus = 2;
	while ((opt = getopt(argc, argv, "n:v:s:qh")) != -1) {
		switch (opt) {
		case 'n':
			changes = atoi_positive("Slot changes", optarg);
			break;
		case 'v':
			race.nr_vcpus = atoi_positive("vCPUs", optarg);
			break;
		case 's':
			seed = atoi_non_negative("Seed", optarg);
			break;
		case 'q':
			changes = QUICK_CHANGES;
			break;
		default:
			help(argv[0]);
		}
	}
	TEST_ASSERT(race.nr_vcpus <= MAX_VCPUS, "At most %d vCPUs", MAX_VCPUS);

	sched_getaffinity(0, sizeof(allowed_cpus), &allowed_cpus);
	pin_to_cpu(0);

	/* Half with every deletion zapping the whole VM, half without. */
	run_vm(changes / 2, seed, true);
	if (kvm_check_cap(KVM_CAP_DISABLE_QUIRKS2) & KVM_X86_QUIRK_SLOT_ZAP_ALL)
		run_vm(changes - changes / 2, seed + 1, false);
	else
		run_vm(changes - changes / 2, seed + 1, true);

	print_totals();
	return totals.stale ? KSFT_FAIL : KSFT_PASS;
}
