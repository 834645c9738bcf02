/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A CPU in software, for KUnit: what a guest's access does between VM-entry and
 * VM-exit.
 *
 * It walks the page tables that KVM gave it (soft_walk.h), and the guest's own by
 * these if it has nested paging, keeps translations in a TLB for as long as KVM
 * does not flush them, and reads and writes the host's memory through them.  Like
 * hardware it does that with interrupts off, so that KVM's IPIs find it either
 * before an access or after.
 *
 * An access is 8 bytes, or 4, and aligned.  An instruction that KVM would emulate is
 * one access too: there is no code in the guest's memory.
 */
#ifndef __KVM_X86_MMU_SOFT_CPU_H
#define __KVM_X86_MMU_SOFT_CPU_H

#include <linux/kvm_host.h>
#include <linux/kvm_types.h>

#include "kvm_emulate.h"
#include "soft_walk.h"

#define SOFT_TLB_ENTRIES	64

/* Of a page-modification log: fewer than the 512 of the SDM, for short rings. */
#define SOFT_PML_ENTRIES	64

/**
 * struct soft_tlb_entry - a translation
 * @page: the address, in pages
 * @root: of the EPT tables that it is from: a CPU keeps those of several (SDM
 *	29.4.1); else 0
 * @pa: the page that it is; 0: no entry
 * @gpa: its address in the tables that KVM made
 * @rights: SOFT_R...
 * @dirty: the walk has set Dirty, so that a write needs no other walk
 */
struct soft_tlb_entry {
	u64 page;
	hpa_t root;
	hpa_t pa;
	u64 gpa;
	u8 rights;
	bool dirty;
};

#define SOFT_MAX_TOUCHED	64

/**
 * struct soft_touched - what KVM was asked to map or told of, in gfns
 * @nr: how many; SOFT_MAX_TOUCHED: some are missing
 * @gfn: of faults in TDP's tables, of what the CPU logged or dirtied, and of what
 *	KVM emulated
 * @dirtied: it was written: D was set in these tables, or KVM wrote
 */
struct soft_touched {
	int nr;
	gfn_t gfn[SOFT_MAX_TOUCHED];
	bool dirtied[SOFT_MAX_TOUCHED];
};

/**
 * struct soft_vcpu - a vCPU of soft_vendor.c
 * @vcpu: KVM's part
 * @root: the tables that KVM has loaded
 * @levels: how many; 3: the root is four PDPTEs
 * @user: the access is one of CPL 3
 * @ac: EFLAGS.AC is set
 * @emulate: KVM wants the access to be emulated
 * @idt: the IDT; without any entry at first
 * @nested_root: of L1's tables for L2: nCR3 or EPTP
 * @nested_fault: in these tables, for which KVM leaves L2; or none
 * @pml: page-modification logging is on
 * @logged: the log: the guest is left after each access, so it has the gpas of one
 * @dirtied: whose D the last access has set, in the outermost tables
 * @in_guest: between VM-entry and VM-exit
 * @flushes: that a hypercall has asked for
 * @flushed: and those that are done
 * @touched: since somebody looked
 * @walks: so far
 * @hits: accesses that the TLB served
 * @exits: page faults that KVM was asked to mend
 * @tlb: direct-mapped
 */
struct soft_vcpu {
	struct kvm_vcpu vcpu;
	hpa_t root;
	int levels;
	bool user;
	bool ac;
	bool emulate;
	struct desc_ptr idt;
	u64 nested_root;
	struct x86_exception nested_fault;
	bool pml;
	struct soft_dirtied logged;
	struct soft_dirtied dirtied;
	bool in_guest;
	atomic_long_t flushes;
	long flushed;
	struct soft_touched touched;
	u64 walks;
	u64 hits;
	u64 exits;
	struct soft_tlb_entry tlb[SOFT_TLB_ENTRIES];
};

/* How an access ends. */
enum soft_end {
	SOFT_RAM,	/* it has read or written memory */
	SOFT_MMIO,	/* it goes to userspace's devices */
	SOFT_FAULT,	/* it is a page fault of the guest */
	SOFT_EXIT,	/* it is one of L2 in L1's tables: an exit to L1 */
	SOFT_RING_FULL,	/* it waits until userspace has collected dirty pages */
	SOFT_NR_ENDS
};

/**
 * struct soft_access - what the guest does, and what comes of it
 * @addr: a gpa without guest paging, L2's in L2; else a gva
 * @write: else it reads
 * @fetch: an instruction fetch; it reads
 * @user: it is one of CPL 3
 * @ac: with EFLAGS.AC, which turns SMAP off
 * @half: of 4 bytes
 * @value: to write, or what was read; of no use but for SOFT_RAM
 * @emulated: KVM has done it in place of the CPU
 * @error_code: of the guest's page fault, if it is one, or of the exit to L1
 * @fault_addr: and CR2, or L2's gpa
 */
struct soft_access {
	u64 addr;
	bool write;
	bool fetch;
	bool user;
	bool ac;
	bool half;
	u64 value;
	bool emulated;
	u32 error_code;
	u64 fault_addr;
};

static inline struct soft_vcpu *to_soft_vcpu(struct kvm_vcpu *vcpu)
{
	return container_of(vcpu, struct soft_vcpu, vcpu);
}

/* soft_cpu.c */

/* The tables that KVM has loaded. */
struct soft_tables soft_cpu_tables(const struct soft_vcpu *sv);

/**
 * soft_cpu_enter() - what the CPU does in the guest
 * @sv: the vCPU
 * @access: the one access of the guest
 *
 * Context: interrupts are off.
 * Return: the walk for which the guest is left; soft_walk_failed() says no: the
 * access is done.
 */
struct soft_walk soft_cpu_enter(struct soft_vcpu *sv, struct soft_access *access);

/* Ops of the vendor, see struct kvm_x86_ops. */
int soft_cpu_create(struct kvm_vcpu *vcpu);
void soft_cpu_flush(struct kvm_vcpu *vcpu);
void soft_cpu_flush_current(struct kvm_vcpu *vcpu);
void soft_cpu_flush_gva(struct kvm_vcpu *vcpu, gva_t gva);
int soft_cpu_flush_by_hypercall(struct kvm *kvm);
void soft_cpu_update_pml(struct kvm_vcpu *vcpu);
void soft_cpu_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level);

/* soft_vcpu_run.c */

/* What KVM_RUN has around the guest: the vCPU is loaded on this CPU. */
void soft_cpu_begin(struct kvm_vcpu *vcpu);
void soft_cpu_end(struct kvm_vcpu *vcpu);

/**
 * soft_cpu_access() - one access of the guest
 * @vcpu: the vCPU, between soft_cpu_begin() and soft_cpu_end()
 * @access: see there
 *
 * Context: may sleep; kvm->srcu is held for reading outside of the guest.
 * Return: enum soft_end, or the errno with which KVM_RUN would end.  -ELOOP: the
 * access makes no progress.
 */
int soft_cpu_access(struct kvm_vcpu *vcpu, struct soft_access *access);

/* The same for a vCPU that is not loaded: KVM_RUN with one access. */
int soft_cpu_run(struct kvm_vcpu *vcpu, struct soft_access *access);

#endif /* __KVM_X86_MMU_SOFT_CPU_H */
