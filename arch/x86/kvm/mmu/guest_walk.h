/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Walks of the guest's own page tables: one algorithm (guest_walk_alg.h), and
 * formats that are nothing but bits (guest_fmt_*.h).
 *
 * The tables are guest memory: anything may stand in them, and may change at
 * any time.  A walk reads every gPTE once, through the host's mapping.  What it found
 * may be outdated, and is compared again under mmu_lock: see shadow_map_indirect().
 */
#ifndef __KVM_X86_MMU_GUEST_WALK_H
#define __KVM_X86_MMU_GUEST_WALK_H

#include "spte.h"

/**
 * struct guest_walk - what a walk found
 * @level: the level of the last gPTE, which maps the page
 * @top_level: the level of the first table; a PDPTR is not part of the walk
 * @table_gfn: the table of each level, by level - 1: the gfn that the slots know,
 *	which is L1's if the tables are L2's own
 * @gpte_gpa: where each gPTE is, also by level - 1; L1's gpa, as @table_gfn
 * @gpte: its value
 * @hva: where KVM read it
 * @gpte_writable: its slot is not read-only, so A and D can be set
 * @table_access: ACC_* that the gPTEs above the table of each level grant; ACC_ALL
 *	for the first
 * @access: ACC_* of the page: what all gPTEs grant, without write if the last is
 *	clean and the access is no write, so that the first write is seen
 * @gfn: the page; if the tables are L2's own, L1's gfn
 * @fault: what to inject, if guest_walk() returned false
 */
struct guest_walk {
	int level;
	int top_level;
	gfn_t table_gfn[PT64_ROOT_MAX_LEVEL];
	gpa_t gpte_gpa[PT64_ROOT_MAX_LEVEL];
	u64 gpte[PT64_ROOT_MAX_LEVEL];
	void __user *hva[PT64_ROOT_MAX_LEVEL];
	bool gpte_writable[PT64_ROOT_MAX_LEVEL];
	u8 table_access[PT64_ROOT_MAX_LEVEL];
	u8 access;
	gfn_t gfn;
	struct x86_exception fault;
};

/**
 * guest_walk() - translate an address as the guest's CPU would
 * @walk: set to what was found
 * @vcpu: the vCPU
 * @mmu: whose tables: the format is that of mmu->gva_to_gpa
 * @addr: gva, or gpa of a nested guest
 * @access: PFERR_* of the access
 *
 * Fills the arrays of @walk from its top level down to its level, and nothing else of
 * them.  Checks Present, reserved bits and permissions.  Sets A and D in the tables
 * with a cmpxchg, and starts again if the guest changed a gPTE meanwhile.  In a
 * read-only slot they stay as they are.
 *
 * Return: true if the access is allowed; else false, and @walk->fault says what
 * the guest gets (Intel SDM vol. 3A, 5.7; 30.3.3.2 for EPT; AMD APM vol. 2, 5.4).
 * Context: kvm->srcu; may sleep.
 */
bool guest_walk(struct guest_walk *walk, struct kvm_vcpu *vcpu,
		struct kvm_mmu *mmu, gpa_t addr, u64 access);

/*
 * kvm_mmu::gva_to_gpa for each format.  Return: the gpa; or INVALID_GPA, and the fault
 * in @exception, which may be NULL.  Context: as guest_walk().
 */
gpa_t guest_gva_to_gpa_32(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			  u64 access, struct x86_exception *exception);
gpa_t guest_gva_to_gpa_64(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			  u64 access, struct x86_exception *exception);
gpa_t guest_gva_to_gpa_ept(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			   u64 access, struct x86_exception *exception);
/* For a guest without paging. */
gpa_t guest_gva_to_gpa_none(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			    u64 access, struct x86_exception *exception);

/**
 * guest_table_gfn() - the table that a root or a PDPTE leads to
 * @mmu: the format
 * @root: CR3, a nested root, or a PDPTE: guest_walk() ignores bits that are no address,
 *	and 32-bit paging has no tables above 4G
 */
gfn_t guest_table_gfn(const struct kvm_mmu *mmu, u64 root);

/**
 * guest_gpte_changed() - does a gPTE differ from what a walk read
 * @vcpu: the vCPU
 * @walk: the walk
 * @level: of the gPTE
 *
 * Return: true if it differs, or cannot be read without sleeping.
 * Context: mmu_lock for writing; the table is shadowed, so that a write that is
 * not seen here is seen by shadow_track_write(), or by a sync.  kvm->srcu.
 */
bool guest_gpte_changed(struct kvm_vcpu *vcpu, const struct guest_walk *walk,
			int level);

/**
 * struct guest_leaf - what a 4K gPTE says
 * @gfn: the page
 * @access: ACC_*; without write if it is clean
 */
struct guest_leaf {
	gfn_t gfn;
	unsigned int access;
};

/**
 * guest_decode_leaf() - read a 4K gPTE for a prefetch or a sync
 * @mmu: the format, reserved bits, and whether there are A and D
 * @gpte: the value
 * @table_access: ACC_* that the gPTEs above grant
 * @leaf: set to what it says
 *
 * Return: false if it is not present, has reserved bits, or was never accessed:
 * then no SPTE may stand for it.
 */
bool guest_decode_leaf(struct kvm_mmu *mmu, u64 gpte, unsigned int table_access,
		       struct guest_leaf *leaf);

/**
 * struct guest_entry - what a gPTE of any level says
 * @maps: it maps a page; else it leads to a table
 * @gfn: where the page begins, or the table
 * @access: ACC_*; of a page without write if it is clean
 */
struct guest_entry {
	bool maps;
	gfn_t gfn;
	unsigned int access;
};

/* guest_decode_leaf() for a gPTE of any @level, which may lead to a table. */
bool guest_decode_entry(struct kvm_mmu *mmu, u64 gpte, int level,
			unsigned int table_access, struct guest_entry *entry);

/**
 * guest_read_gptes() - read gPTEs without sleeping
 * @vcpu: the vCPU
 * @gpa: of the first; all are in one page
 * @gpte: set to their values, also if they have 4 bytes
 * @nr: how many
 *
 * Return: 0, or -EFAULT if there is no slot, or the host's page is not present.
 * Context: kvm->srcu.
 */
int guest_read_gptes(struct kvm_vcpu *vcpu, gpa_t gpa, u64 *gpte, int nr);

/* The size of a gPTE of an MMU, in bytes, is 1 << shift. */
static inline int guest_gpte_shift(const struct kvm_mmu *mmu)
{
	return mmu->cpu_role.base.has_4_byte_gpte ? 2 : 3;
}

static inline int guest_gpte_size(const struct kvm_mmu *mmu)
{
	return 1 << guest_gpte_shift(mmu);
}

#endif /* __KVM_X86_MMU_GUEST_WALK_H */
