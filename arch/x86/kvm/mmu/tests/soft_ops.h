/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What happens to a VM of software CPUs, as a list of operations: each is done to
 * the VM and to the oracle (soft_model.h), and what the two say is compared.
 *
 * A list can lose any operation and still makes sense, so that one that fails
 * can be made short.
 */
#ifndef __KVM_X86_MMU_SOFT_OPS_H
#define __KVM_X86_MMU_SOFT_OPS_H

#include <kunit/test.h>
#include <linux/prandom.h>

#include "soft_model.h"
#include "soft_translate.h"
#include "soft_vm.h"

struct soft_late;
struct soft_slow;
struct soft_witness;

/* The operations, and their arguments: which vCPU, and a, b, ... */
enum soft_op_kind {
	SOFT_OP_READ,	/* a: gfn, or c: n-th gva, b: CPL 3, and 2: EFLAGS.AC, d */
	SOFT_OP_WRITE,	/* as SOFT_OP_READ */
	SOFT_OP_FETCH,	/* as SOFT_OP_READ */
	SOFT_OP_FILL,	/* a: gfn, b: pages: writes to the logged ones, if there are rings */
	SOFT_OP_CREATE,	/* a: slot, b: gfn, c: page, d: pages, e: flags, SOFT_TWIN */
	SOFT_OP_DELETE,	/* a: slot */
	SOFT_OP_MOVE,	/* a: slot, b: gfn */
	SOFT_OP_FLAGS,	/* a: slot, b: flags */
	SOFT_OP_BEYOND,	/* as SOFT_OP_CREATE, beyond 48 bits: it is logged, and goes */
	SOFT_OP_GET_LOG,	/* a: slot */
	SOFT_OP_CLEAR_LOG,	/* a: slot, b: first / 64, c: pages, d: which of 16 */
	SOFT_OP_HARVEST,	/* the VMM collects dirty rings */
	SOFT_OP_PRIVATE,	/* a: gfn, b: pages, c: 1: private, 0: shared */
	SOFT_OP_PUNCH_HOLE,	/* a: private page, b: pages: they are given back */
	SOFT_OP_RENEW,	/* a: page, b: pages: the VMM maps new ones, c: the driver's */
	SOFT_OP_HOST_PROTECT, /* a: page, b: pages: the driver's are read-only again */
	SOFT_OP_CLEAN,	/* a: page, b: pages: the host's mm has written them back */
	SOFT_OP_HOST_WRITE,	/* a: page */
	SOFT_OP_AGE,	/* a: page, b: pages */
	SOFT_OP_PREFAULT,	/* a: gfn, b: pages */
	SOFT_OP_LATE,	/* a: gfn, b: who writes to it while the vCPU's fault ends */
	SOFT_OP_SLOW,	/* a: gfn, whose fault waits: b: others begin to nest, c, d: as
			 * SOFT_OP_PAGING, e: flags of the slot
			 */
	SOFT_OP_SCRIBBLE, /* the VMM gives back @a entries that KVM never wrote */
	SOFT_OP_NEW_ROOT,	/* the vCPU's MMU begins anew */
	SOFT_OP_SMM,	/* the vCPU enters (a) or leaves it */
	SOFT_OP_PAGING,	/* a: mode, or L2, b: SOFT_WP..., c: gfn, d: new tables */
	SOFT_OP_PROTECT,	/* b: SOFT_WP, SOFT_SMEP, SOFT_SMAP */
	SOFT_OP_GPTE,	/* a: link or PTE, b: n-th gva, c: gfn, d: rights, e: flush */
	SOFT_OP_INVLPG,	/* a: n-th gva; L2: to L1 and back */
	SOFT_OP_CR3,	/* is loaded; L2: to L1, which flushes, and back */
	SOFT_OP_ZAP,	/* KVM drops all that maps anything */
	SOFT_OP_QUOTA,	/* a: shadow pages */
	SOFT_OP_NX,	/* a: 1: huge pages are not executable */
	SOFT_OP_NX_RECOVER,	/* tables that stand for them go */
	SOFT_OP_NEW_VM,	/* this one is destroyed */
	SOFT_OP_FAIL,	/* the test of shrinking: fails after another */
	SOFT_NR_OPS
};

struct soft_op {
	u8 kind;
	u8 vcpu;
	u16 a, b, c, d, e;
};

/* Features of a paging mode, for SOFT_OP_PAGING and SOFT_OP_PROTECT. */
#define SOFT_WP		BIT(0)
#define SOFT_NX		BIT(1)
#define SOFT_PSE	BIT(2)
#define SOFT_SMEP	BIT(3)
#define SOFT_SMAP	BIT(4)
/* Of EPT. */
#define SOFT_AD		SOFT_PSE

/* Beside a slot's flags: its memory is what the other address space has, if so. */
#define SOFT_TWIN	BIT(15)

/* Of an access by gva. */
#define SOFT_AGAIN	BIT(0)	/* of the gva that the vCPU used or got last */
#define SOFT_MEND	BIT(1)	/* the OS maps what is missing, to @a: once more */

/* What SOFT_OP_GPTE flushes after its change, on all vCPUs that page. */
enum soft_flush {
	SOFT_FLUSH_NONE,	/* later, maybe */
	SOFT_FLUSH_GVA,		/* its gva */
	SOFT_FLUSH_ALL		/* by a load of CR3 */
};

/* Beside it: the write is one of 4 bytes; a PTE gets other rights, and stays. */
#define SOFT_GPTE_HALF	BIT(2)
#define SOFT_GPTE_KEEP	BIT(3)

/* What of KVM's own is judged, beside what the guest sees. */
#define SOFT_BLIND_TABLES	BIT(0)	/* where no slot is */
#define SOFT_BLIND_TLB		BIT(1)	/* translations that outlive their SPTEs */
#define SOFT_BLIND_LOG		BIT(2)	/* pages in a log that nobody has used */
#define SOFT_BLIND_TOLD		BIT(3)	/* and those that the host takes for dirty */
#define SOFT_BLIND_WARN		BIT(4)	/* the kernel's own opinion */
#define SOFT_BLIND_YIELD	BIT(5)	/* translations while mmu_lock is free */

/**
 * struct soft_run - a VM, its oracle, and where they differ
 * @vm: the VM
 * @model: the oracle
 * @failed: they differ
 * @loose: the host changed the guest's tables behind KVM's back, which owes the
 *	guest no certain translation before SOFT_OP_ZAP, but never one out of
 *	the slots
 * @guests: the paging of the vCPUs, or their L2s' nested paging
 * @changes: of the guest's tables
 * @was_table: pages of the VMM that the guest has used as tables
 * @witness: looks on when KVM lets go of mmu_lock; NULL: nobody does
 * @late: for SOFT_OP_LATE; NULL: they are left out
 * @slow: for SOFT_OP_SLOW; NULL: they are left out
 * @warned: the kernel had warned before
 * @blind: what is not judged, SOFT_BLIND_*
 * @verbose: print operations before they are done
 * @nr_late: faults that ended late
 * @nr_slow: faults that waited
 * @fails_seen: of SOFT_OP_FAIL
 * @why: how they differ
 * @ends: accesses by enum soft_end; these counters go on from VM to VM
 * @by_gva: those by gva
 * @missing: of their faults, those of gPTEs that were not present or bad
 * @loosely: of these, those that could only be judged loosely
 * @stale: and those that may have used what the guest had not flushed yet
 * @ad_judged: entries of the guest's tables whose A or D had to be there
 * @emulated: those that KVM did in the guest's place
 */
struct soft_run {
	struct soft_vm *vm;
	struct soft_model *model;
	bool failed;
	bool loose;
	struct soft_guest guests[SOFT_MAX_VCPUS];
	struct soft_changes changes;
	DECLARE_BITMAP(was_table, SOFT_PAGES);
	struct soft_witness *witness;
	struct soft_late *late;
	struct soft_slow *slow;
	bool warned;
	bool verbose;
	unsigned int blind;
	u64 nr_late;
	u64 nr_slow;
	int fails_seen;
	char why[160];
	u64 ends[SOFT_NR_ENDS];
	u64 by_gva[SOFT_NR_ENDS];
	u64 missing;
	u64 loosely;
	u64 stale;
	u64 ad_judged;
	u64 emulated;
};

/* Any operation but SOFT_OP_FAIL, after @last, or as the first one. */
struct soft_op soft_op_random(struct rnd_state *rnd, const struct soft_op *last);

/* Prints it as C, for a list of struct soft_op. */
void soft_op_print(struct kunit *test, const struct soft_op *op);

/**
 * soft_ops_run() - do operations with a VM that is fresh, until one goes wrong
 * @run: with vm and model
 * @ops: the operations
 * @nr: how many
 *
 * Return: how many were right; @nr: all.
 */
int soft_ops_run(struct soft_run *run, const struct soft_op *ops, int nr);

#endif /* __KVM_X86_MMU_SOFT_OPS_H */
