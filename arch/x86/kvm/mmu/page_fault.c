// SPDX-License-Identifier: GPL-2.0-only
/*
 * What brings a fault to the MMU, and what is done with the MMU's answer: exits for
 * #PF, EPT violations and misconfigurations and nested page faults; asynchronous page
 * faults; KVM_PRE_FAULT_MEMORY.
 *
 * A fault by reserved bits is mostly that of an MMIO SPTE.  If the SPTE counts
 * (mmu.txt, 5), the access is emulated and there is nothing to map.
 *
 * Takes the place of a part of mmu/mmu.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kvm_host.h>
#include <linux/sched/signal.h>
#include <asm/kvm_para.h>

#include "fault.h"
#include "kvm_cache_regs.h"
#include "mmio.h"
#include "root.h"
#include "shadow.h"
#include "tdp.h"
#include "x86.h"
#include "trace.h"
#include "mmutrace.h"

int fault_walk(struct kvm_vcpu *vcpu, u64 addr, u64 *sptes, int *root_level)
{
	int leaf;

	if (tdp_active(vcpu)) {
		tdp_walk_begin();
		leaf = tdp_walk(vcpu, addr, sptes, root_level);
		tdp_walk_end();
	} else {
		shadow_walk_begin(vcpu);
		leaf = shadow_walk(vcpu, addr, sptes, root_level);
		shadow_walk_end(vcpu);
	}
	return leaf;
}

/* In L2, faults have L2's addresses, but vcpu->arch.mmio_* has those of L1. */
static bool mmio_cached(struct kvm_vcpu *vcpu, u64 addr, bool direct)
{
	if (mmu_is_nested(vcpu))
		return false;
	return direct ? vcpu_match_mmio_gpa(vcpu, addr) :
			vcpu_match_mmio_gva(vcpu, addr);
}

/* If a present SPTE has reserved bits set, which is a bug of KVM, report the walk. */
static bool mmio_walk_is_bad(struct kvm_vcpu *vcpu, u64 addr, const u64 *sptes,
			     int root_level, int leaf)
{
	const struct rsvd_bits_validate *rsvd = &vcpu->arch.mmu->shadow_zero_check;
	int lowest = spte_present(sptes[leaf]) ? leaf : leaf + 1;
	bool bad = false;
	int level;

	for (level = root_level; level >= lowest; level--)
		bad |= spte_reserved(rsvd, sptes[level], level);
	if (likely(!bad))
		return false;

	pr_err("reserved bits in present SPTEs for address 0x%llx:\n", addr);
	for (level = root_level; level >= lowest; level--)
		pr_err("level %d: SPTE 0x%llx, reserved 0x%llx\n", level,
		       sptes[level], rsvd_bits_set(rsvd, sptes[level], level));
	return true;
}

int mmio_fault(struct kvm_vcpu *vcpu, u64 addr, bool direct)
{
	const u64 gen = mmio_gen_of_walk(vcpu);
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1], spte;
	unsigned int access;
	int root_level, leaf;
	gfn_t gfn;

	if (mmio_cached(vcpu, addr, direct))
		return RET_PF_EMULATE;

	/* No SPTE: the tables do not reach so far; or the shadow root has gone. */
	leaf = fault_walk(vcpu, addr, sptes, &root_level);
	if (leaf < 0)
		return tdp_active(vcpu) ? RET_PF_INVALID : RET_PF_RETRY;
	if (WARN_ON_ONCE(mmio_walk_is_bad(vcpu, addr, sptes, root_level, leaf)))
		return -EINVAL;

	spte = sptes[leaf];
	if (!spte_is_mmio(vcpu->kvm, spte))
		return RET_PF_RETRY;
	if (tdp_active(vcpu) ? !mmio_direct_current(spte, gen) :
			       !mmio_spte_current(vcpu, spte))
		return RET_PF_INVALID;

	/* With direct paging there may be no room for all of the gfn: mmio_gfn_fits(). */
	gfn = direct ? gpa_to_gfn(addr) : mmio_spte_gfn(spte);
	access = mmio_spte_access(spte);
	trace_handle_mmio_page_fault(direct ? 0 : addr, gfn, access);
	vcpu_cache_mmio_info(vcpu, direct ? 0 : addr, gfn, access);
	return RET_PF_EMULATE;
}

/*
 * Was it the CPU that wrote A or D to a table of L1, which L1 also uses as a nested table
 * of L2?  Then there is no instruction to emulate.
 */
static bool sets_own_gpte_bits(u64 error_code, bool direct)
{
	const u64 table_write = PFERR_GUEST_PAGE_MASK | PFERR_WRITE_MASK |
				PFERR_PRESENT_MASK;

	return direct && (error_code & table_write) == table_write;
}

/*
 * Zap what shadows the page and let the guest do the write again, in the cases that the
 * emulator cannot handle:
 *  - An event is being delivered.  Another vCPU may have zapped the pages meanwhile, so
 *    retry also if there was nothing to zap.
 *  - The CPU itself writes, to set A or D.
 */
static bool unprotect_instead(struct kvm_vcpu *vcpu, gpa_t addr, u64 error_code,
			      bool direct)
{
	if (kvm_event_needs_reinjection(vcpu)) {
		__kvm_mmu_unprotect_gfn_and_retry(vcpu, addr, true);
		return true;
	}
	return sets_own_gpte_bits(error_code, direct) &&
	       kvm_mmu_unprotect_gfn_and_retry(vcpu, addr);
}

static int write_protect_fault(struct kvm_vcpu *vcpu, gpa_t addr, u64 error_code,
			       int *emulation_type)
{
	bool direct = vcpu->arch.mmu->root_role.direct;

	/* Zapping what shadows the page did not help this instruction the last time. */
	if (vcpu->arch.last_retry_eip == kvm_rip_read(vcpu) &&
	    vcpu->arch.last_retry_addr == addr)
		return RET_PF_EMULATE;
	vcpu->arch.last_retry_eip = 0;
	vcpu->arch.last_retry_addr = 0;

	/*
	 * vcpu->arch.mmio_* cannot have this gpa: it has a slot, and became stale when
	 * the slot was created.  It can have the gva, if the guest has changed its
	 * tables and not flushed yet.
	 */
	if (mmio_cached(vcpu, addr, direct)) {
		WARN_ON_ONCE(direct);
		return RET_PF_EMULATE;
	}

	if (unprotect_instead(vcpu, addr, error_code, direct))
		return RET_PF_RETRY;

	/* The emulator may zap them later, but not for L2: L1 still uses the table. */
	if (!is_guest_mode(vcpu))
		*emulation_type |= EMULTYPE_ALLOW_RETRY_PF;
	return RET_PF_EMULATE;
}

static void fault_count(struct kvm_vcpu *vcpu, int r)
{
	if (r == RET_PF_FIXED)
		vcpu->stat.pf_fixed++;
	else if (r == RET_PF_EMULATE)
		vcpu->stat.pf_emulate++;
	else if (r == RET_PF_SPURIOUS)
		vcpu->stat.pf_spurious++;
}

/* For a software-protected VM, only the memory attributes tell what is private. */
static bool sw_protected_private(struct kvm_vcpu *vcpu, gpa_t addr)
{
	return IS_ENABLED(CONFIG_KVM_SW_PROTECTED_VM) &&
	       vcpu->kvm->arch.vm_type == KVM_X86_SW_PROTECTED_VM &&
	       kvm_mem_is_private(vcpu->kvm, gpa_to_gfn(addr));
}

noinline int kvm_mmu_page_fault(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa,
				u64 error_code, void *insn, int insn_len)
{
	bool direct = vcpu->arch.mmu->root_role.direct;
	int emulation_type = EMULTYPE_PF;
	int r = RET_PF_INVALID;

	if (WARN_ON_ONCE(!VALID_PAGE(vcpu->arch.mmu->root.hpa)))
		return RET_PF_RETRY;

	if (error_code & PFERR_RSVD_MASK) {
		if (WARN_ON_ONCE(error_code & PFERR_PRIVATE_ACCESS))
			return -EFAULT;
		r = mmio_fault(vcpu, cr2_or_gpa, direct);
		if (r == RET_PF_EMULATE)
			goto emulate;
	}

	if (r == RET_PF_INVALID) {
		/* MMIO is shared, but a stale MMIO SPTE may be for what is memory now. */
		if (sw_protected_private(vcpu, cr2_or_gpa))
			error_code |= PFERR_PRIVATE_ACCESS;
		vcpu->stat.pf_taken++;
		r = fault_handle(vcpu, cr2_or_gpa, error_code, false,
				 &emulation_type, NULL);
		if (KVM_BUG_ON(r == RET_PF_INVALID, vcpu->kvm))
			return -EIO;
	}
	if (r < 0)
		return r;
	if (r == RET_PF_WRITE_PROTECTED)
		r = write_protect_fault(vcpu, cr2_or_gpa, error_code,
					&emulation_type);
	fault_count(vcpu, r);
	if (r != RET_PF_EMULATE)
		return 1;
emulate:
	return x86_emulate_instruction(vcpu, cr2_or_gpa, emulation_type, insn,
				       insn_len);
}
EXPORT_SYMBOL_GPL(kvm_mmu_page_fault);

/* A #PF exit: a fault of the guest, or an async PF event of the host's hypervisor. */
int kvm_handle_page_fault(struct kvm_vcpu *vcpu, u64 error_code,
			  u64 fault_address, char *insn, int insn_len)
{
	u32 host_flags = vcpu->arch.apf.host_apf_flags;

	/* A #PF has a 32-bit error code; above are flags of KVM's own. */
	BUILD_BUG_ON(lower_32_bits(PFERR_SYNTHETIC_MASK));
	if (WARN_ON_ONCE(upper_32_bits(error_code)))
		error_code = lower_32_bits(error_code);

	/* kvm_arch_vcpu_load() does it too, when the task comes back to a CPU. */
	WRITE_ONCE(vcpu->arch.l1tf_flush_l1d, true);
	if (!host_flags) {
		trace_kvm_page_fault(vcpu, fault_address, error_code);
		return kvm_mmu_page_fault(vcpu, fault_address, error_code, insn,
					  insn_len);
	}

	if (host_flags & KVM_PV_REASON_PAGE_NOT_PRESENT) {
		vcpu->arch.apf.host_apf_flags = 0;
		local_irq_disable();
		kvm_async_pf_task_wait_schedule(fault_address);
		local_irq_enable();
	} else {
		WARN_ONCE(1, "unexpected host async PF flags: %x\n", host_flags);
	}
	return 1;
}
EXPORT_SYMBOL_GPL(kvm_handle_page_fault);

void kvm_arch_async_page_ready(struct kvm_vcpu *vcpu, struct kvm_async_pf *work)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;

	if (WARN_ON_ONCE(work->arch.error_code & PFERR_PRIVATE_ACCESS))
		return;
	/* Map nothing if the guest has gone on to another paging mode or, below, CR3. */
	if (work->wakeup_all || mmu->root_role.direct != work->arch.direct_map)
		return;
	if (kvm_mmu_reload(vcpu))
		return;
	if (!mmu->root_role.direct && work->arch.cr3 != root_guest_pgd(vcpu, mmu))
		return;

	if (fault_handle(vcpu, work->cr2_or_gpa, work->arch.error_code, true,
			 NULL, NULL) == RET_PF_FIXED)
		vcpu->stat.pf_fixed++;
}

/* Requests are served at the guest's entry, but it is not entered between two tries. */
static int pre_fault_root(struct kvm_vcpu *vcpu)
{
	if (kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu))
		kvm_mmu_free_obsolete_roots(vcpu);
	return kvm_mmu_reload(vcpu);
}

/* Map one page ahead of the guest.  Return: 0, or an errno of KVM_PRE_FAULT_MEMORY. */
static int pre_fault_page(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code, u8 *level)
{
	int r;

	/* Only direct paging translates L1's gpas. */
	if (vcpu->arch.mmu->page_fault != fault_tdp)
		return -EOPNOTSUPP;

	do {
		if (signal_pending(current))
			return -EINTR;
		cond_resched();
		r = pre_fault_root(vcpu);
		if (r)
			return r;
		r = fault_handle(vcpu, gpa, error_code, true, NULL, level);
	} while (r == RET_PF_RETRY);

	switch (r) {
	case RET_PF_FIXED:
	case RET_PF_SPURIOUS:
	case RET_PF_WRITE_PROTECTED:
		return 0;
	case RET_PF_EMULATE:
		return -ENOENT;
	default:
		WARN_ONCE(r >= 0, "pre-fault ended with %d\n", r);
		return r < 0 ? r : -EIO;
	}
}

long kvm_arch_vcpu_pre_fault_memory(struct kvm_vcpu *vcpu,
				    struct kvm_pre_fault_memory *range)
{
	u64 error_code = PFERR_GUEST_FINAL_MASK, end;
	u8 level = PG_LEVEL_4K;
	int r;

	if (!vcpu->kvm->arch.pre_fault_allowed)
		return -EOPNOTSUPP;
	if (kvm_arch_has_private_mem(vcpu->kvm) &&
	    kvm_mem_is_private(vcpu->kvm, gpa_to_gfn(range->gpa)))
		error_code |= PFERR_PRIVATE_ACCESS;

	r = pre_fault_page(vcpu, range->gpa, error_code, &level);
	if (r)
		return r;
	/* A huge page may begin before the range, and end after it. */
	end = (range->gpa & KVM_HPAGE_MASK(level)) + KVM_HPAGE_SIZE(level);
	return min(range->size, end - range->gpa);
}

void kvm_mmu_print_sptes(struct kvm_vcpu *vcpu, gpa_t gpa, const char *msg)
{
	u64 sptes[PT64_ROOT_MAX_LEVEL + 1];
	char line[PT64_ROOT_MAX_LEVEL * 32];
	int root_level, leaf, level, len = 0;

	leaf = fault_walk(vcpu, gpa, sptes, &root_level);
	if (leaf < 0)
		return;
	for (level = root_level; level >= leaf; level--)
		len += scnprintf(line + len, sizeof(line) - len,
				 ", spte[%d] = 0x%llx", level, sptes[level]);
	pr_err("%s %llx%s\n", msg, gpa, line);
}
EXPORT_SYMBOL_GPL(kvm_mmu_print_sptes);
