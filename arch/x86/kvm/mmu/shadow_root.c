// SPDX-License-Identifier: GPL-2.0-only
/*
 * Roots of shadow paging.  What an MMU's root stands for decides its form:
 *
 *   guest's tables         root
 *   4 or 5 levels          a page that shadows the guest's root
 *   PAE                    pae_root: four pages, of what the PDPTRs link to
 *   32-bit, 2 levels       pae_root: four pages of one table, a quadrant each
 *   none (no paging)       pae_root: four direct pages of 1G each
 *
 * An L1 that is not in long mode may have nested tables of the 2nd and 3rd form,
 * while NPT of the host has 4 or 5 levels: then pae_root is below a PML4, and maybe a
 * PML5, of which one entry each is used.  Neither they nor pae_root are shadow pages.
 *
 * What may sleep comes before mmu_lock is taken (struct root_plan).  A page is in
 * state SP_ROOT as long as it is the root of some vCPU, unless it is zapped: then it is
 * freed when the last vCPU lets go of it (shadow_root_put()).
 */
#include <linux/kvm_host.h>
#include <linux/mutex.h>

#include "guest_walk.h"
#include "mmu.h"
#include "page_track.h"
#include "root.h"
#include "shadow_internal.h"
#include "shadow_walk.h"

#define NR_PDPTRS	4

/* There is no table: the PDPTR is not present, or points where no slot is. */
#define GFN_NONE	(~(gfn_t)0)

/**
 * struct root_plan - the pages that an MMU needs as roots
 * @pgd: of the guest, with which the root is cached; 0 for direct MMUs
 * @gfn: of the tables that they shadow, or the first that each maps; only the first
 *	counts if there is no pae_root
 */
struct root_plan {
	gpa_t pgd;
	gfn_t gfn[NR_PDPTRS];
};

/* Entries of pae_root; a CPU with 4 or 5 levels wants rights there too. */
static u64 pdpte_bits(const struct kvm_mmu *mmu)
{
	u64 bits = PT_PRESENT_MASK | spte_fmt.me_value;

	if (mmu->root_role.level >= PT64_ROOT_4LEVEL)
		bits |= PT_WRITABLE_MASK | PT_USER_MASK | PT_ACCESSED_MASK;
	return bits;
}

/*
 * Allocate pae_root and the tables above it, for nested NPT: on demand, as nearly every
 * L1 is in long mode.  The host's NPT level is one for all vCPUs and MMUs, so either all
 * of the tables are there or none.
 */
static int alloc_upper_tables(struct kvm_mmu *mmu)
{
	const int nr = mmu->root_role.level - PT32E_ROOT_LEVEL + 1;
	u64 *table[PT64_ROOT_MAX_LEVEL - PT32E_ROOT_LEVEL + 1] = {};
	int i;

	if (mmu->pae_root && mmu->pml4_root &&
	    (mmu->pml5_root || mmu->root_role.level == PT64_ROOT_4LEVEL))
		return 0;

	if (WARN_ON_ONCE(!tdp_enabled || mmu->pae_root || mmu->pml4_root))
		return -EIO;

	for (i = 0; i < nr; i++) {
		table[i] = (u64 *)get_zeroed_page(GFP_KERNEL_ACCOUNT);
		if (!table[i])
			goto out_free;
		if (i)
			*table[i] = __pa(table[i - 1]) | pdpte_bits(mmu);
	}

	mmu->pae_root = table[0];
	mmu->pml4_root = table[1];
	mmu->pml5_root = table[2];
	return 0;

out_free:
	while (i--)
		free_page((unsigned long)table[i]);
	return -ENOMEM;
}

/*
 * Give all slots what shadow paging alone needs.  What was allocated before an -ENOMEM
 * stays: it is freed with its slot, or serves the next try.
 */
static int alloc_slots(struct kvm *kvm)
{
	struct kvm_memory_slot *slot;
	int as_id, bkt, r;

	for (as_id = 0; as_id < kvm_arch_nr_memslot_as_ids(kvm); as_id++) {
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(kvm, as_id)) {
			r = memslot_rmap_alloc(slot, slot->npages);
			if (!r)
				r = kvm_page_track_write_tracking_alloc(slot);
			if (r)
				return r;
		}
	}
	return 0;
}

/*
 * For the first shadow root of a VM with direct paging.  Slots that are created later
 * get everything at once.
 */
static int prepare_vm(struct kvm *kvm)
{
	int r;

	if (kvm_shadow_root_allocated(kvm))
		return 0;

	mutex_lock(&kvm->slots_arch_lock);
	r = shadow_alloc_hash(kvm);
	if (!r && (!kvm_memslots_have_rmaps(kvm) ||
		   !kvm_page_track_write_tracking_enabled(kvm)))
		r = alloc_slots(kvm);
	if (!r) {
		/* After what it promises: pairs with kvm_shadow_root_allocated(). */
		smp_store_release(&kvm->arch.shadow_root_allocated, true);
	}
	mutex_unlock(&kvm->slots_arch_lock);
	return r;
}

/* Return: the hpa of a root; 0 if the table's slot is being deleted, or is gone. */
static hpa_t take_page(struct kvm_vcpu *vcpu, gfn_t gfn, int level, int quadrant)
{
	union kvm_mmu_page_role role = vcpu->arch.mmu->root_role;
	struct kvm_mmu_page *sp;

	WARN_ON_ONCE(role.has_4_byte_gpte && role.direct);
	role.level = level;
	role.quadrant = quadrant;

	sp = shadow_page_get(vcpu, gfn, role);
	if (!sp)
		return 0;
	sp->root_count++;
	sp->state = SP_ROOT;
	return __pa(sp->spt);
}

/* Return: the hpa of the topmost table. */
static hpa_t take_pae_pages(struct kvm_vcpu *vcpu, const struct root_plan *plan)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	hpa_t page;
	int i;

	for (i = 0; i < NR_PDPTRS; i++) {
		WARN_ON_ONCE(mmu->pae_root[i] != PAE_ROOT_NONE);
		if (plan->gfn[i] == GFN_NONE)
			continue;

		page = take_page(vcpu, plan->gfn[i], PT32E_ROOT_LEVEL - 1,
				 mmu->root_role.has_4_byte_gpte ? i : 0);
		if (page)
			mmu->pae_root[i] = pdpte_bits(mmu) | page;
	}

	switch (mmu->root_role.level) {
	case PT64_ROOT_5LEVEL:
		return __pa(mmu->pml5_root);
	case PT64_ROOT_4LEVEL:
		return __pa(mmu->pml4_root);
	default:
		return __pa(mmu->pae_root);
	}
}

static int take_roots(struct kvm_vcpu *vcpu, const struct root_plan *plan)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	const bool pae = mmu_has_pae_root(mmu);
	hpa_t root;
	int r;

	if (WARN_ON_ONCE(pae && !mmu->pae_root))
		return -EIO;

	write_lock(&vcpu->kvm->mmu_lock);
	r = shadow_reserve_pages(vcpu->kvm);
	if (!r) {
		root = pae ? take_pae_pages(vcpu, plan) :
			     take_page(vcpu, plan->gfn[0], mmu->root_role.level, 0);
		/* No page: as if load_indirect() had found no slot. */
		mmu->root.hpa = root ?: mmu_dummy_root();
		mmu->root.pgd = plan->pgd;
	}
	mmu_prove_flushed(vcpu->kvm);
	write_unlock(&vcpu->kvm->mmu_lock);
	return r;
}

static int load_direct(struct kvm_vcpu *vcpu)
{
	struct root_plan plan = {};
	int i;

	if (WARN_ON_ONCE(vcpu->arch.mmu->root_role.level != PT32E_ROOT_LEVEL))
		return -EIO;

	for (i = 0; i < NR_PDPTRS; i++)
		plan.gfn[i] = i * KVM_PAGES_PER_HPAGE(PG_LEVEL_1G);
	return take_roots(vcpu, &plan);
}

/* On SVM, PDPTRs are read from the guest's memory, which may sleep. */
static gfn_t pdptr_gfn(struct kvm_vcpu *vcpu, int i)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	const u64 pdptr = mmu->get_pdptr(vcpu, i);
	const gfn_t gfn = guest_table_gfn(mmu, pdptr);

	if (!(pdptr & PT_PRESENT_MASK) || !kvm_vcpu_is_visible_gfn(vcpu, gfn))
		return GFN_NONE;
	return gfn;
}

static int load_indirect(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	struct root_plan plan = { .pgd = root_guest_pgd(vcpu, mmu) };
	const gfn_t top = guest_table_gfn(mmu, plan.pgd);
	const bool pdptrs = mmu->cpu_role.base.level == PT32E_ROOT_LEVEL;
	int i, r;

	/* With PAE only the PDPTRs count, not the memory that they were loaded from. */
	if (!pdptrs && !kvm_vcpu_is_visible_gfn(vcpu, top)) {
		mmu->root.hpa = mmu_dummy_root();
		return 0;
	}

	for (i = 0; i < NR_PDPTRS; i++)
		plan.gfn[i] = pdptrs ? pdptr_gfn(vcpu, i) : top;

	r = prepare_vm(vcpu->kvm);
	return r ?: take_roots(vcpu, &plan);
}

int shadow_roots_load(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	int r = 0;

	if (mmu->root_role.direct)
		return load_direct(vcpu);

	if (mmu_has_pae_root(mmu) && mmu->root_role.level >= PT64_ROOT_4LEVEL)
		r = alloc_upper_tables(mmu);
	return r ?: load_indirect(vcpu);
}

void shadow_root_put(struct kvm *kvm, hpa_t *root, struct shadow_zap *zap)
{
	struct kvm_mmu_page *sp;

	lockdep_assert_held_write(&kvm->mmu_lock);

	sp = root_to_sp(*root);
	*root = INVALID_PAGE;
	if (WARN_ON_ONCE(!sp || sp->root_count <= 0))
		return;

	if (--sp->root_count)
		return;

	if (sp->state == SP_ROOT)
		sp->state = SP_ACTIVE;
	else
		__llist_add(&sp->zap_link, &zap->pages);
}
