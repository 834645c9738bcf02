// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks of the guest's own page tables: an instance of the algorithm
 * (guest_walk_alg.h) for each format, and the choice among them.
 *
 * kvm_mmu::gva_to_gpa tells which format an MMU's tables have.  Nothing here takes a
 * lock: the slots are kept by kvm->srcu, and a gPTE is only a value that stood in the
 * guest's memory at some time.
 */
#include <linux/kvm_host.h>

#include "guest_fmt_32.h"
#include "guest_fmt_64.h"
#include "guest_fmt_ept.h"
#include "guest_walk.h"
#include "guest_walk_alg.h"

typedef bool (*guest_walk_fn)(struct guest_walk *walk, struct kvm_vcpu *vcpu,
			      struct kvm_mmu *mmu, gpa_t addr, u64 access);

/* One copy for each format, for faults and for gva_to_gpa. */
static noinline bool walk_32(struct guest_walk *walk, struct kvm_vcpu *vcpu,
			     struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	return guest_walk_fmt(&guest_fmt_32, walk, vcpu, mmu, addr, access);
}

static noinline bool walk_64(struct guest_walk *walk, struct kvm_vcpu *vcpu,
			     struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	return guest_walk_fmt(&guest_fmt_64, walk, vcpu, mmu, addr, access);
}

static noinline bool walk_ept(struct guest_walk *walk, struct kvm_vcpu *vcpu,
			      struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	return guest_walk_fmt(&guest_fmt_ept, walk, vcpu, mmu, addr, access);
}

bool guest_walk(struct guest_walk *walk, struct kvm_vcpu *vcpu,
		struct kvm_mmu *mmu, gpa_t addr, u64 access)
{
	if (mmu->gva_to_gpa == guest_gva_to_gpa_64)
		return walk_64(walk, vcpu, mmu, addr, access);
	if (mmu->gva_to_gpa == guest_gva_to_gpa_ept)
		return walk_ept(walk, vcpu, mmu, addr, access);
	return walk_32(walk, vcpu, mmu, addr, access);
}

gfn_t guest_table_gfn(const struct kvm_mmu *mmu, u64 root)
{
	if (mmu->gva_to_gpa == guest_gva_to_gpa_64)
		return gpa_to_gfn(root & guest_fmt_64.addr);
	if (mmu->gva_to_gpa == guest_gva_to_gpa_ept)
		return gpa_to_gfn(root & guest_fmt_ept.addr);
	return gpa_to_gfn(root & guest_fmt_32.addr);
}

static __always_inline gpa_t gva_to_gpa(guest_walk_fn walk_fn,
					struct kvm_vcpu *vcpu, struct kvm_mmu *mmu,
					gpa_t addr, u64 access,
					struct x86_exception *exception)
{
	struct guest_walk walk __uninitialized;

	if (likely(walk_fn(&walk, vcpu, mmu, addr, access)))
		return gfn_to_gpa(walk.gfn) | offset_in_page(addr);

	if (exception)
		*exception = walk.fault;
	return INVALID_GPA;
}

gpa_t guest_gva_to_gpa_32(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			  u64 access, struct x86_exception *exception)
{
	return gva_to_gpa(walk_32, vcpu, mmu, addr, access, exception);
}

gpa_t guest_gva_to_gpa_64(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			  u64 access, struct x86_exception *exception)
{
	return gva_to_gpa(walk_64, vcpu, mmu, addr, access, exception);
}

gpa_t guest_gva_to_gpa_ept(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			   u64 access, struct x86_exception *exception)
{
	/*
	 * translate_nested_gpa() makes each access one of user mode, as NPT wants it.
	 * For EPT that bit means a read, which a fetch is not: the page may allow fetches
	 * and nothing else.
	 */
	if (access & PFERR_FETCH_MASK)
		access &= ~PFERR_USER_MASK;
	return gva_to_gpa(walk_ept, vcpu, mmu, addr, access, exception);
}

gpa_t guest_gva_to_gpa_none(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			    u64 access, struct x86_exception *exception)
{
	if (exception)
		exception->error_code = 0;
	return kvm_translate_gpa(vcpu, mmu, addr, access | PFERR_GUEST_FINAL_MASK,
				 exception);
}

bool guest_decode_leaf(struct kvm_mmu *mmu, u64 gpte, unsigned int table_access,
		       struct guest_leaf *leaf)
{
	if (mmu->gva_to_gpa == guest_gva_to_gpa_64)
		return guest_decode_leaf_fmt(&guest_fmt_64, mmu, gpte,
					     table_access, leaf);
	if (mmu->gva_to_gpa == guest_gva_to_gpa_ept)
		return guest_decode_leaf_fmt(&guest_fmt_ept, mmu, gpte,
					     table_access, leaf);
	return guest_decode_leaf_fmt(&guest_fmt_32, mmu, gpte, table_access, leaf);
}

bool guest_decode_entry(struct kvm_mmu *mmu, u64 gpte, int level,
			unsigned int table_access, struct guest_entry *entry)
{
	if (mmu->gva_to_gpa == guest_gva_to_gpa_64)
		return guest_decode_entry_fmt(&guest_fmt_64, mmu, gpte, level,
					      table_access, entry);
	if (mmu->gva_to_gpa == guest_gva_to_gpa_ept)
		return guest_decode_entry_fmt(&guest_fmt_ept, mmu, gpte, level,
					      table_access, entry);
	return guest_decode_entry_fmt(&guest_fmt_32, mmu, gpte, level,
				      table_access, entry);
}

/* 4-byte gPTEs are read into the upper half of the array, then spread upward. */
int guest_read_gptes(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *gpte, int nr)
{
	const int size = guest_gpte_size(vcpu->arch.mmu);
	u32 *half = (u32 *)gpte + nr;
	int i, r;

	if (size == sizeof(u64))
		return kvm_vcpu_read_guest_atomic(vcpu, gpa, gpte, nr * size);

	r = kvm_vcpu_read_guest_atomic(vcpu, gpa, half, nr * size);
	for (i = 0; !r && i < nr; i++)
		gpte[i] = half[i];
	return r;
}

/* A gPTE of 4 bytes is read into the lower half of the u64: x86 is little-endian. */
bool guest_gpte_changed(struct kvm_vcpu *vcpu, const struct guest_walk *walk,
			int level)
{
	const int size = guest_gpte_size(vcpu->arch.mmu);
	const int i = level - 1;
	u64 gpte = 0;

	return kvm_vcpu_read_guest_atomic(vcpu, walk->gpte_gpa[i], &gpte, size) ||
	       gpte != walk->gpte[i];
}
