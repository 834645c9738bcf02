/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest of guest_walk_kunit.c: a VM (test_vm.h) with slots over user memory
 * of the test's own mm, so that tables there are read and changed as those of a
 * real guest are, and a vCPU about which the test says what the vendor module
 * and L1 would say.
 */
#ifndef __KVM_X86_MMU_GUEST_WALK_VM_H
#define __KVM_X86_MMU_GUEST_WALK_VM_H

#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/prandom.h>

#include "guest_walk_oracle.h"

#define GUEST_BYTES	(GWO_PAGES * PAGE_SIZE)

/* Where L2's view of RAM begins, if L1 has paging of its own. */
#define L2_RAM		0x8000

/**
 * struct walk_mode - a paging mode
 * @name: for the log
 * @fmt: its format, as the oracle knows it
 * @gva_to_gpa: kvm_mmu::gva_to_gpa; NULL: the fake format, which has none
 * @levels: how many
 * @pae: the first level is in registers
 * @ps_off: there are no huge pages
 * @no_ad: there are no A and D
 */
struct walk_mode {
	const char *name;
	const struct gwo_fmt *fmt;
	gpa_t (*gva_to_gpa)(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			    u64 access, struct x86_exception *exception);
	int levels;
	bool pae;
	bool ps_off;
	bool no_ad;
};

/**
 * struct l1_hook - L1's side, and what it saw
 * @refused: a gpa of L2 that L1 does not map
 * @table_access: all accesses to tables, ORed
 * @final_access: the access to the page
 * @race_gpte: stored over the first gPTE of page 3 while the page is
 *	translated; then 0
 * @raced: it was just stored, and the CPU is wanted by somebody else
 * @switches: forced_yield_now() of that
 * @rescheduled: somebody else could have had it before the walk began anew
 * @logged: dirty pages that were logged
 * @log_full: L1's log is full
 */
struct l1_hook {
	gpa_t refused;
	u64 table_access;
	u64 final_access;
	u64 race_gpte;
	bool raced;
	unsigned long switches;
	bool rescheduled;
	int logged;
	bool log_full;
};

/**
 * struct walk_test - kunit::priv
 * @kvm: the VM
 * @vcpu: its vCPU
 * @mmu: the MMU under test, one of @vcpu's
 * @hva: the guest's memory
 * @rnd: everything that is random
 * @guest: the oracle
 * @l1: see there
 * @copy: scratch, as large as the guest's memory
 * @vendor_get_rflags: to be restored
 * @vendor_nested_ops: to be restored
 */
struct walk_test {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	struct kvm_mmu *mmu;
	unsigned long hva;
	struct rnd_state rnd;
	struct gwo guest;
	struct l1_hook l1;
	u8 *copy;

	void *vendor_get_rflags;
	const struct kvm_x86_nested_ops *vendor_nested_ops;
};

/* For struct kunit_suite. */
int walk_test_init(struct kunit *test);

/**
 * walk_test_setup_mmu() - give one of the vCPU's MMUs a paging mode
 * @t: the test
 * @mode: the mode
 * @mmu: becomes the vCPU's current one
 *
 * Its permissions follow the oracle's rule.
 */
void walk_test_setup_mmu(struct walk_test *t, const struct walk_mode *mode,
			 struct kvm_mmu *mmu);

/* The MMU becomes that of L2's own tables, and L1's are t->l1. */
void walk_test_nest(struct walk_test *t);

/* New random tables, in the oracle and in the guest. */
void walk_test_load(struct kunit *test);

/* A and D are where they must be, and so are the marks in the dirty bitmap. */
void walk_test_expect_memory(struct kunit *test);

/* An 8-byte gPTE of a page of RAM. */
void walk_test_put_gpte(struct kunit *test, int page, int index, u64 gpte);
u64 walk_test_get_gpte(struct kunit *test, int page, int index);

#endif /* __KVM_X86_MMU_GUEST_WALK_VM_H */
