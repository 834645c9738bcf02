/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KVM tells about MMIO: what of it its cache served, and the memslot
 * generation that the last MMIO SPTE carries.
 */
#ifndef SELFTEST_KVM_MMIO_STATS_H
#define SELFTEST_KVM_MMIO_STATS_H

#include <stdlib.h>
#include <string.h>

#include "text_file.h"
#include "vcpu_stat.h"

#define TRACING_DIR	"/sys/kernel/debug/tracing/"
#define MARK_MMIO_SPTE	TRACING_DIR "events/kvmmmu/mark_mmio_spte/enable"

/*
 * A miss is an MMIO SPTE made (stat pf_mmio_spte_created): the access had none
 * of the current generation.  KVM does not count the accesses that an MMIO
 * SPTE or the vCPU's MMIO cache served (pf_emulate counts misses only), so
 * hits are the MMIO exits (stat mmio_exits, one per access here) that made
 * none.  An access whose page becomes memory between its fault and its
 * emulation is a miss without an exit, so hits can be too low, by at most one
 * per vCPU and change.  No miss at all means that KVM does not cache MMIO.
 */
static inline uint64_t mmio_cache_hits(uint64_t mmio_exits, uint64_t misses)
{
	return misses && mmio_exits > misses ? mmio_exits - misses : 0;
}

/* Record the MMIO SPTEs made from now on; without tracefs, do nothing. */
static inline void mmio_trace_start(void)
{
	write_text(TRACING_DIR "trace", "");
	write_text(MARK_MMIO_SPTE, "1");
}

/*
 * Returns the generation stored in the last MMIO SPTE made since
 * mmio_trace_start(), modulo the bits that an SPTE has for it; 0 if unknown.
 */
static inline uint64_t mmio_trace_stop(void)
{
	uint64_t generation = 0;
	char line[256], *gen;
	FILE *trace;

	if (!write_text(MARK_MMIO_SPTE, "0"))
		return 0;
	trace = fopen(TRACING_DIR "trace", "r");
	if (!trace)
		return 0;
	while (fgets(line, sizeof(line), trace)) {
		gen = strstr(line, " gen ");
		if (gen)
			generation = strtoul(gen + 5, NULL, 16);
	}
	fclose(trace);
	return generation;
}

#endif /* SELFTEST_KVM_MMIO_STATS_H */
