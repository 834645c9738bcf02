// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU in software, see soft_cpu.h: its TLB, and what it does in the guest.
 */
#include <linux/kvm_host.h>
#include <linux/string.h>
#include <asm/vmx.h>

#include "cpuid.h"
#include "mmu.h"
#include "soft_cpu.h"
#include "soft_vendor.h"
#include "x86.h"

/* The TLB */

int soft_cpu_create(struct kvm_vcpu *vcpu)
{
	BUILD_BUG_ON(offsetof(struct soft_vcpu, vcpu));
	soft_cpu_update_pml(vcpu);
	return 0;
}

/* The log is kept while there is a slot that wants it. */
void soft_cpu_update_pml(struct kvm_vcpu *vcpu)
{
	to_soft_vcpu(vcpu)->pml =
		soft_vendor_hardware()->pml &&
		atomic_read(&vcpu->kvm->nr_memslots_dirty_logging);
}

void soft_cpu_flush(struct kvm_vcpu *vcpu)
{
	memset(to_soft_vcpu(vcpu)->tlb, 0, sizeof(to_soft_vcpu(vcpu)->tlb));
}

/* What tells the translations of one root from those of another. */
static hpa_t tlb_tag(const struct soft_vcpu *sv)
{
	return soft_vendor_hardware()->ept ? sv->root : 0;
}

/* Of the root that KVM is about to load: INVEPT of one context. */
void soft_cpu_flush_current(struct kvm_vcpu *vcpu)
{
	struct soft_vcpu *sv = to_soft_vcpu(vcpu);
	int i;

	if (!soft_vendor_hardware()->ept) {
		soft_cpu_flush(vcpu);
		return;
	}
	for (i = 0; i < SOFT_TLB_ENTRIES; i++)
		if (sv->tlb[i].root == vcpu->arch.mmu->root.hpa)
			sv->tlb[i].pa = 0;
}

static struct soft_tlb_entry *tlb_entry(struct soft_vcpu *sv, u64 addr)
{
	return &sv->tlb[(addr >> PAGE_SHIFT) % SOFT_TLB_ENTRIES];
}

static bool tlb_has(const struct soft_vcpu *sv, const struct soft_tlb_entry *entry,
		    u64 addr)
{
	return entry->pa && entry->page == addr >> PAGE_SHIFT &&
	       entry->root == tlb_tag(sv);
}

void soft_cpu_flush_gva(struct kvm_vcpu *vcpu, gva_t gva)
{
	const struct soft_vcpu *sv = to_soft_vcpu(vcpu);
	struct soft_tlb_entry *entry = tlb_entry(to_soft_vcpu(vcpu), gva);

	if (tlb_has(sv, entry, gva))
		entry->pa = 0;
}

void soft_cpu_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
	struct soft_vcpu *sv = to_soft_vcpu(vcpu);

	sv->root = root;
	sv->levels = level;
}

/* In the guest: interrupts are off */

/* The CPU walks the guest's own tables; with shadow paging it never sees them. */
static bool walks_guest_tables(struct kvm_vcpu *vcpu)
{
	return tdp_enabled && is_paging(vcpu);
}

/* SMEP and SMAP are the guest's own, but work on the tables that KVM made. */
static bool needs_supervisor_page(struct kvm_vcpu *vcpu,
				  const struct soft_access *access)
{
	if (access->user || !is_paging(vcpu))
		return false;
	if (access->fetch)
		return kvm_is_cr4_bit_set(vcpu, X86_CR4_SMEP);
	return kvm_is_cr4_bit_set(vcpu, X86_CR4_SMAP) && !access->ac;
}

static u8 rights_needed(struct kvm_vcpu *vcpu, const struct soft_access *access)
{
	const bool inner = walks_guest_tables(vcpu);
	/* To the tables of TDP each access is one of user mode. */
	const bool user = access->user || (tdp_enabled && !inner);
	/* KVM imitates CR0.WP=0 in shadow pages. */
	const bool wp = access->user || !inner ||
			kvm_is_cr0_bit_set(vcpu, X86_CR0_WP);

	return (access->fetch ? SOFT_X : SOFT_R) |
	       (access->write ? SOFT_D : 0) | (access->write && wp ? SOFT_W : 0) |
	       (user ? SOFT_U : 0) |
	       (needs_supervisor_page(vcpu, access) ? SOFT_S : 0);
}

static void touch_half(u32 *memory, struct soft_access *access)
{
	if (access->write)
		WRITE_ONCE(*memory, access->value);
	else
		access->value = READ_ONCE(*memory);
}

static void touch(hpa_t pa, struct soft_access *access)
{
	u64 *memory = phys_to_virt(pa + offset_in_page(access->addr));

	if (access->half)
		touch_half((u32 *)memory, access);
	else if (access->write)
		WRITE_ONCE(*memory, access->value);
	else
		access->value = READ_ONCE(*memory);
}

static bool touch_by_tlb(struct soft_vcpu *sv, struct soft_access *access,
			 u8 need)
{
	const struct soft_tlb_entry *entry = tlb_entry(sv, access->addr);

	if (!tlb_has(sv, entry, access->addr) ||
	    (need & ~SOFT_D & ~entry->rights))
		return false;
	if (access->write && !entry->dirty)
		return false;

	sv->hits++;
	touch(entry->pa, access);
	return true;
}

/* In L2, VMX keeps them only if L1's own tables for it have them. */
static bool ept_keeps_ad(const struct soft_vcpu *sv)
{
	if (!soft_vendor_hardware()->ad)
		return false;
	return !(sv->vcpu.arch.hflags & HF_GUEST_MASK) ||
	       (sv->nested_root & VMX_EPTP_AD_ENABLE_BIT);
}

struct soft_tables soft_cpu_tables(const struct soft_vcpu *sv)
{
	const struct soft_hardware *hw = soft_vendor_hardware();

	return (struct soft_tables) {
		.root = sv->root,
		.levels = sv->levels,
		.maxphyaddr = kvm_host.maxphyaddr,
		.ept = hw->tdp && hw->ept,
		.ad = ept_keeps_ad(sv),
		.exec_only = hw->exec_only,
		.nested = hw->tdp,
	};
}

/* 4 or 5 levels: the other modes are there for shadow paging only. */
static struct soft_tables guest_tables(struct kvm_vcpu *vcpu,
				       const struct soft_tables *outer)
{
	return (struct soft_tables) {
		.root = kvm_read_cr3(vcpu) & PAGE_MASK,
		.levels = kvm_is_cr4_bit_set(vcpu, X86_CR4_LA57) ? 5 : 4,
		.maxphyaddr = cpuid_maxphyaddr(vcpu),
		.no_xd = !(vcpu->arch.efer & EFER_NX),
		.outer = outer,
	};
}

static struct soft_walk walk_tables(struct soft_vcpu *sv, u64 addr, u8 need)
{
	const struct soft_tables tables = soft_cpu_tables(sv);
	struct soft_dirtied dirtied = {};
	struct soft_tables inner;
	struct soft_walk walk;

	if (walks_guest_tables(&sv->vcpu)) {
		inner = guest_tables(&sv->vcpu, &tables);
		walk = soft_walk(&inner, addr, need, &dirtied);
	} else {
		walk = soft_walk(&tables, addr, need, &dirtied);
		walk.outer = true;
		walk.addr = addr;
		walk.gpa = addr & PAGE_MASK;
	}
	sv->dirtied = dirtied;
	/* KVM turns the log off in L2: it would have L2's gpas. */
	if (sv->pml && !is_guest_mode(&sv->vcpu))
		sv->logged = dirtied;
	return walk;
}

static struct soft_walk touch_by_walk(struct soft_vcpu *sv,
				      struct soft_access *access, u8 need)
{
	struct soft_walk walk = walk_tables(sv, access->addr, need);

	sv->walks++;
	if (soft_walk_failed(&walk)) {
		/* A page fault drops what the TLB has of the address. */
		soft_cpu_flush_gva(&sv->vcpu, access->addr);
		return walk;
	}

	*tlb_entry(sv, access->addr) = (struct soft_tlb_entry) {
		.page = access->addr >> PAGE_SHIFT,
		.root = tlb_tag(sv),
		.pa = walk.pa,
		.gpa = walk.gpa,
		.rights = walk.rights,
		.dirty = access->write,
	};
	touch(walk.pa, access);
	return walk;
}

/* What a hypercall has flushed since the last access. */
static void serve_hypercall(struct soft_vcpu *sv)
{
	const long flushes = atomic_long_read(&sv->flushes);

	if (flushes == sv->flushed)
		return;
	sv->flushed = flushes;
	soft_cpu_flush(&sv->vcpu);
}

struct soft_walk soft_cpu_enter(struct soft_vcpu *sv, struct soft_access *access)
{
	const u8 need = rights_needed(&sv->vcpu, access);
	struct soft_walk walk = { .present = true };

	WRITE_ONCE(sv->in_guest, true);
	smp_mb(); /* soft_cpu_flush_by_hypercall() waits, or is seen. */
	serve_hypercall(sv);
	if (!touch_by_tlb(sv, access, need))
		walk = touch_by_walk(sv, access, need);
	/* The access is over. */
	smp_store_release(&sv->in_guest, false);
	return walk;
}

/* An access that has begun ends before this does; the next one sees it. */
int soft_cpu_flush_by_hypercall(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	struct soft_vcpu *sv;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		sv = to_soft_vcpu(vcpu);
		atomic_long_inc(&sv->flushes);
		smp_mb(); /* see soft_cpu_enter() */
		while (smp_load_acquire(&sv->in_guest)) /* what it did is done */
			cpu_relax();
	}
	return 0;
}
