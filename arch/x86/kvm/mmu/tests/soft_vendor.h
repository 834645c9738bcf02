/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A vendor of CPUs that exist in software only, for KUnit.
 *
 * It sits where kvm-amd and kvm-intel sit and is all that KVM sees of the
 * hardware: VMs and vCPUs of it are real ones, with all of their life in x86.c
 * and the core.  Of the guest it knows what the MMU is about: the registers that
 * make a paging mode, a TLB (soft_cpu.h), and nested page tables of an L1
 * (soft_nested.h).  It has no instructions, interrupts or clocks; what of that KVM
 * asks for all the same fails the test.
 *
 * There is one vendor at a time, so the tests are skipped if another is loaded.
 */
#ifndef __KVM_X86_MMU_SOFT_VENDOR_H
#define __KVM_X86_MMU_SOFT_VENDOR_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "soft_cpu.h"

/**
 * struct soft_hardware - what the vendor's CPUs can do
 * @name: for the test's report
 * @tdp: they translate gpas; else KVM shadows the guest's tables
 * @ept: in the format of EPT; else of legacy paging
 * @ad: EPT has Accessed and Dirty bits
 * @exec_only: EPT has pages that can be executed and not read
 * @pml: EPT logs the pages whose Dirty bits it sets
 * @levels: of the tables for gpas: 4 or 5
 * @hypercall: TLBs of others are flushed by a hypercall, as on Hyper-V: no vCPU
 *	leaves the guest for it, nor whatever else it is doing
 * @huge_level: the largest page that they may map, PG_LEVEL_*
 * @regions: not of the CPU: KVM logs dirty pages by regions (tdp_region.h)
 */
struct soft_hardware {
	const char *name;
	bool tdp;
	bool ept;
	bool ad;
	bool exec_only;
	bool pml;
	bool hypercall;
	bool regions;
	int levels;
	int huge_level;
};

/**
 * soft_vendor_load() - become KVM's vendor
 * @test: is skipped if there is one already; the vendor goes with the test
 * @hw: its CPUs
 */
void soft_vendor_load(struct kunit *test, const struct soft_hardware *hw);

/* The hardware of the vendor that is loaded. */
const struct soft_hardware *soft_vendor_hardware(void);

#endif /* __KVM_X86_MMU_SOFT_VENDOR_H */
