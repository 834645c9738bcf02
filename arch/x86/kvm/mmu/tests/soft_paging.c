// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's own paging, see soft_paging.h.
 */
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "soft_paging.h"
#include "x86.h"

/* SDM table 5-15 and following */
#define GPTE_P		BIT_ULL(0)
#define GPTE_RW		BIT_ULL(1)
#define GPTE_US		BIT_ULL(2)
#define GPTE_PS		BIT_ULL(7)
#define GPTE_XD		BIT_ULL(63)
#define GPTE_GFN	GENMASK_ULL(35, 12)
/* A vCPU without CPUID has physical addresses of 36 bits. */
#define GPTE_RESERVED	GENMASK_ULL(51, 36)

u64 soft_gpte(gfn_t gfn, u64 bits)
{
	return gfn_to_gpa(gfn) | GPTE_P | (bits & 1 ? GPTE_RW : 0) |
	       (bits & 2 ? GPTE_US : 0) | (bits & 4 ? GPTE_XD : 0) |
	       (bits & 8 ? GPTE_PS : 0);
}

bool soft_is_paging(struct kvm_vcpu *vcpu)
{
	return is_paging(vcpu);
}

void soft_set_paging(struct kvm_vcpu *vcpu, bool on)
{
	struct kvm_vcpu_arch *arch = &vcpu->arch;

	arch->cr0 = X86_CR0_ET | (on ? X86_CR0_PE | X86_CR0_PG | X86_CR0_WP : 0);
	arch->cr4 = on ? X86_CR4_PAE : 0;
	arch->efer = on ? EFER_LME | EFER_LMA | EFER_NX : 0;
	arch->cr3 = on ? SOFT_CR3 : 0;
	kvm_mmu_reset_context(vcpu);
}

/* A gPTE, or 0 where there is no memory. */
static u64 read_gpte(struct soft_vm *vm, struct soft_as *as, gfn_t table,
		     unsigned int index)
{
	const struct soft_slot *slot = soft_as_slot(as, table);

	return slot ? soft_vm_read(vm, soft_slot_page(slot, table), index) : 0;
}

static bool gpte_good(u64 gpte, int level, bool leaf)
{
	if (!(gpte & GPTE_P) || (gpte & GPTE_RESERVED))
		return false;
	if (!leaf || level == 1)
		return level <= 3 || !(gpte & GPTE_PS);
	/* A huge page's address has no bits below it; bit 12 is its PAT. */
	return !(gpte & GENMASK_ULL(11 + 9 * (level - 1), 13));
}

bool soft_translate(struct soft_vm *vm, struct soft_as *as,
		    const struct soft_access *access, gfn_t *gfn)
{
	const u64 in_page = access->addr >> 12;
	u64 gpte, granted = GPTE_RW | GPTE_US;
	gfn_t table = SOFT_TABLE_GFN;
	bool leaf = false, xd = false;
	int level;

	for (level = 4; !leaf; level--) {
		gpte = read_gpte(vm, as, table,
				 (in_page >> (9 * (level - 1))) & 511);
		leaf = level == 1 || (level <= 3 && (gpte & GPTE_PS));
		if (!gpte_good(gpte, level, leaf))
			return false;
		granted &= gpte;
		xd |= gpte & GPTE_XD;
		table = (gpte & GPTE_GFN) >> PAGE_SHIFT;
	}
	level++;

	*gfn = (table & ~(BIT_ULL(9 * (level - 1)) - 1)) |
	       (in_page & (BIT_ULL(9 * (level - 1)) - 1));
	return !(access->write && !(granted & GPTE_RW)) &&
	       !(access->user && !(granted & GPTE_US)) &&
	       !(access->fetch && xd);
}
