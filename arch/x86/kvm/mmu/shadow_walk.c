// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow paging: walks from a root down to the SPTE of an address.
 *
 * Nothing here writes an SPTE.  With mmu_lock for writing, nobody else changes the
 * tables during a walk.  Without it, SPTEs change and pages are zapped meanwhile, but
 * their memory is freed only after the walk (shadow_wait_for_walks()).
 */
#include <linux/kvm_host.h>

#include "mmu.h"
#include "shadow_internal.h"
#include "shadow_walk.h"

/* One address. */

void shadow_iter_start(struct shadow_iter *iter, struct kvm_vcpu *vcpu,
		       hpa_t root, u64 addr)
{
	const struct kvm_mmu *mmu = vcpu->arch.mmu;

	iter->addr = addr;
	iter->table = root;
	iter->level = 0;

	if (WARN_ON_ONCE(!VALID_PAGE(root)) || mmu_is_dummy_root(root))
		return;

	if (!mmu_has_pae_root(mmu)) {
		iter->level = mmu->root_role.level;
		return;
	}

	/* There is one pae_root: previous roots are never of this kind. */
	if (WARN_ON_ONCE(root != mmu->root.hpa))
		return;

	iter->table = mmu->pae_root[(addr >> 30) & 3] & SPTE_ADDR_MASK;
	if (iter->table)
		iter->level = PT32E_ROOT_LEVEL - 1;
}

bool shadow_iter_ok(struct shadow_iter *iter)
{
	if (!iter->level)
		return false;

	iter->index = spte_index_of(iter->addr, iter->level);
	iter->sptep = (u64 *)__va(iter->table) + iter->index;
	return true;
}

void shadow_iter_next(struct shadow_iter *iter, u64 spte)
{
	if (!spte_present_table(spte, iter->level)) {
		iter->level = 0;
		return;
	}

	iter->level--;
	iter->table = spte & SPTE_ADDR_MASK;
}

/* Without mmu_lock. */

void shadow_walk_begin(struct kvm_vcpu *vcpu)
{
	local_irq_disable();
	/*
	 * SPTEs are read after the mode is seen.  Pairs with smp_mb() in
	 * shadow_wait_for_walks(), between a zap and its look at the mode.
	 */
	smp_store_mb(vcpu->mode, READING_SHADOW_PAGE_TABLES);
}

void shadow_walk_end(struct kvm_vcpu *vcpu)
{
	/* Whoever sees this mode may free the tables: all reads are done before it. */
	smp_store_release(&vcpu->mode, OUTSIDE_GUEST_MODE);
	local_irq_enable();
}

void shadow_wait_for_walks(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	unsigned long i;

	lockdep_assert_held_write(&kvm->mmu_lock);

	/*
	 * The mode is read after the SPTEs were cleared.  Pairs with
	 * shadow_walk_begin(): a walk that is not waited for sees them cleared.
	 */
	smp_mb();
	/* What follows comes after all reads of a walk: pairs with shadow_walk_end(). */
	kvm_for_each_vcpu(i, vcpu, kvm)
		smp_cond_load_acquire(&vcpu->mode,
				      VAL != READING_SHADOW_PAGE_TABLES);
}

int shadow_walk(struct kvm_vcpu *vcpu, u64 addr, u64 *sptes, int *root_level)
{
	struct shadow_iter iter;
	int last = -1;

	shadow_iter_start(&iter, vcpu, vcpu->arch.mmu->root.hpa, addr);
	*root_level = iter.level;

	while (shadow_iter_ok(&iter)) {
		last = iter.level;
		sptes[last] = READ_ONCE(*iter.sptep);
		shadow_iter_next(&iter, sptes[last]);
	}
	return last;
}

u64 *shadow_walk_leaf(struct kvm_vcpu *vcpu, u64 addr, u64 *spte)
{
	struct shadow_iter iter;
	u64 *sptep = NULL;

	shadow_iter_start(&iter, vcpu, vcpu->arch.mmu->root.hpa, addr);
	while (shadow_iter_ok(&iter)) {
		sptep = iter.sptep;
		*spte = READ_ONCE(*sptep);
		shadow_iter_next(&iter, *spte);
	}
	return sptep;
}

gfn_t shadow_sptep_gfn(u64 *sptep)
{
	/* The SPTE was read before its gfn is: pairs with shadow_set_leaf(). */
	smp_rmb();
	return shadow_gfn(sptep_to_sp(sptep), sptep_index(sptep));
}

void shadow_clear_flood(struct kvm_vcpu *vcpu, u64 addr)
{
	struct shadow_iter iter;

	shadow_walk_begin(vcpu);
	shadow_iter_start(&iter, vcpu, vcpu->arch.mmu->root.hpa, addr);
	while (shadow_iter_ok(&iter)) {
		shadow_forget_writes(to_sp(iter.table));
		shadow_iter_next(&iter, READ_ONCE(*iter.sptep));
	}
	shadow_walk_end(vcpu);
}
