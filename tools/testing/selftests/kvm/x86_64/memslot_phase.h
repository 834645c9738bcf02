/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The phase protocol of mmio_memslot_race_test: what host and guest share, and
 * how the guest judges one access.
 */
#ifndef SELFTEST_KVM_MEMSLOT_PHASE_H
#define SELFTEST_KVM_MEMSLOT_PHASE_H

#include <linux/bits.h>
#include <linux/compiler.h>

#include "kvm_util.h"
#include "ucall_common.h"

#define NR_PROBES	32
#define NR_JUDGED	6	/* at the end of each round */
#define NR_TARGETS	4
#define MAX_VCPUS	8
#define MAX_FAILURES	4
#define ACK_PORT	0x5a0

#define MMIO_MAGIC	0x4d4d494f00000000ull
#define MEM_MAGIC	0x4d454d0000000000ull
#define FREED_MAGIC	0x4652454500000000ull

/* A phase is a running number, shifted, and one of these. */
enum phase_kind { PHASE_CHANGING, PHASE_MMIO, PHASE_MEM };

#define PHASE_SHIFT	2
#define PHASE_KIND(p)	((p) & (BIT(PHASE_SHIFT) - 1))

struct failure {
	uint64_t seq, target, gpa, phase, value;
};

struct vcpu_log {
	uint64_t acked, judged, skipped, stale;
	struct failure failures[MAX_FAILURES];
};

/* Odd @seq: a change is under way; even: the guest is to judge and ack. */
static struct shared {
	uint64_t seq, focus, stop;
	uint64_t phase[NR_TARGETS];
	uint64_t probe[NR_TARGETS][NR_PROBES];
	struct vcpu_log log[MAX_VCPUS];
} shared;

static uint64_t expected_value(uint64_t phase, uint64_t gpa)
{
	if (PHASE_KIND(phase) == PHASE_MEM)
		return MEM_MAGIC ^ phase ^ gpa;
	return MMIO_MAGIC ^ gpa;
}

static void guest_report(struct vcpu_log *log, int target, uint64_t gpa,
			 uint64_t phase, uint64_t value)
{
	struct failure *f = &log->failures[log->stale % MAX_FAILURES];

	if (log->stale++ >= MAX_FAILURES)
		return;

	*f = (struct failure) {
		.seq = READ_ONCE(shared.seq), .target = target,
		.gpa = gpa, .phase = phase, .value = value,
	};
}

/* Returns true if the access began and ended in one stable phase. */
static bool guest_judge(struct vcpu_log *log, int target, uint64_t gpa)
{
	uint64_t phase, value;

	phase = READ_ONCE(shared.phase[target]);
	asm volatile("mov (%1), %0" : "=r"(value) : "r"(gpa) : "memory");

	/* x86 keeps the order of loads: no barrier is needed. */
	if (PHASE_KIND(phase) == PHASE_CHANGING ||
	    READ_ONCE(shared.phase[target]) != phase) {
		log->skipped++;
		return false;
	}

	log->judged++;
	if (value != expected_value(phase, gpa))
		guest_report(log, target, gpa, phase, value);
	return true;
}

/* Judge the probes read last: those were in KVM's hands during the change. */
static bool guest_judge_last(struct vcpu_log *log, int target, unsigned int end)
{
	bool all = true;
	unsigned int i;

	for (i = end - NR_JUDGED; i != end; i++)
		all &= guest_judge(log, target,
				   shared.probe[target][i % NR_PROBES]);
	return all;
}

/*
 * While a change is under way, walk over all probes, so that an access rarely
 * finds what the one before it left in a cache.
 */
static void guest_main(uint64_t id)
{
	struct vcpu_log *log = &shared.log[id];
	unsigned int next = NR_PROBES;

	/* Bochs 2.7 keeps interrupts from the host while the guest has them off. */
	asm volatile("sti");
	while (!READ_ONCE(shared.stop)) {
		uint64_t seq = READ_ONCE(shared.seq);
		int target = READ_ONCE(shared.focus);

		if (seq & 1 || seq == log->acked) {
			guest_judge(log, target,
				    shared.probe[target][next++ % NR_PROBES]);
		} else if (guest_judge_last(log, target, next)) {
			WRITE_ONCE(log->acked, seq);
			asm volatile("outb %b0, %w1" :: "a"(0), "d"(ACK_PORT));
		}
	}
	GUEST_DONE();
}

#endif /* SELFTEST_KVM_MEMSLOT_PHASE_H */
