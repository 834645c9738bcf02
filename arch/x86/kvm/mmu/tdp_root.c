// SPDX-License-Identifier: GPL-2.0-only
/*
 * The roots of direct paging.
 *
 * There is one valid root per role, shared by all vCPUs with that role.  It is kept
 * by references: one for each vCPU that has it as current or cached root, one for each
 * walk that may let go of mmu_lock, and one of the MMU's while it is valid.  So a valid
 * root never loses its last reference.
 *
 *  SP_ROOT    valid: can be found and loaded
 *  SP_ZAPPED  invalid: no vCPU loads it again, but some may still use it, and
 *             until it is zapped the MMU notifiers have to find it.  The MMU's
 *             reference is dropped after the zap, by tdp_roots_zap_invalid().
 *
 * The list of roots is changed under tdp_mmu_pages_lock and read under RCU.  A
 * root changes its state under mmu_lock for writing, and is found or created
 * under mmu_lock for reading.
 */
#include <linux/rculist.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include "mmu.h"
#include "tdp.h"
#include "tdp_pte.h"

struct kmem_cache *tdp_table_cache;

void tdp_init_vm(struct kvm *kvm)
{
	INIT_LIST_HEAD(&kvm->arch.tdp_mmu_roots);
	spin_lock_init(&kvm->arch.tdp_mmu_pages_lock);
}

void tdp_uninit_vm(struct kvm *kvm)
{
	/* Without TDP there are no roots, unless KUnit has made some. */
	if (!tdp_enabled && list_empty(&kvm->arch.tdp_mmu_roots))
		return;

	tdp_roots_invalidate(kvm);
	tdp_roots_zap_invalid(kvm);

	WARN_ON(!list_empty(&kvm->arch.tdp_mmu_roots));
	WARN_ON(atomic64_read(&kvm->arch.tdp_mmu_pages));
}

int tdp_module_init(void)
{
	tdp_table_cache = kmem_cache_create("kvm_tdp_table",
					    sizeof(struct tdp_table), 0,
					    SLAB_ACCOUNT, NULL);
	return tdp_table_cache ? 0 : -ENOMEM;
}

void tdp_drain_tables(void)
{
	rcu_barrier();
}

void tdp_module_exit(void)
{
	/* The RCU callbacks that free the tables of past VMs are in this module. */
	tdp_drain_tables();
	kmem_cache_destroy(tdp_table_cache);
	tdp_table_cache = NULL;
}

void tdp_root_put(struct kvm *kvm, struct tdp_table *root)
{
	if (!refcount_dec_and_test(&root->refs))
		return;

	KVM_BUG_ON(!root->table.tdp || tdp_root_valid(root), kvm);

	spin_lock(&kvm->arch.tdp_mmu_pages_lock);
	list_del_rcu(&root->link);
	spin_unlock(&kvm->arch.tdp_mmu_pages_lock);
	tdp_table_free_rcu(root);
}

/* The root after @prev, which a reference keeps on the list; the first if NULL. */
static struct tdp_table *tdp_root_after(struct kvm *kvm, struct tdp_table *prev)
{
	struct list_head *roots = &kvm->arch.tdp_mmu_roots;

	return list_next_or_null_rcu(roots, prev ? &prev->link : roots,
				     struct tdp_table, link);
}

static bool tdp_root_wanted(const struct tdp_root_iter *iter,
			    const struct tdp_table *root)
{
	return (iter->as_id < 0 || role_as_id(root->table.role) == iter->as_id) &&
	       (!iter->only_valid || tdp_root_valid(root));
}

struct tdp_table *tdp_next_root(struct tdp_root_iter *iter)
{
	struct tdp_table *prev = iter->root;

	lockdep_assert_held(&iter->kvm->mmu_lock);

	/* A root without references is about to leave the list: pass it over. */
	rcu_read_lock();
	do {
		iter->root = tdp_root_after(iter->kvm, iter->root);
	} while (iter->root &&
		 (!tdp_root_wanted(iter, iter->root) ||
		  !refcount_inc_not_zero(&iter->root->refs)));
	rcu_read_unlock();

	if (prev)
		tdp_root_put(iter->kvm, prev);
	return iter->root;
}

/* A valid root of @role, with a reference for the caller; or NULL. */
static struct tdp_table *tdp_root_find(struct kvm *kvm,
				       union kvm_mmu_page_role role)
{
	struct tdp_table *root = NULL;

	rcu_read_lock();
	do {
		root = tdp_root_after(kvm, root);
	} while (root && (root->table.role.word != role.word || !tdp_root_valid(root)));

	/* As it is valid, the MMU's reference stays while mmu_lock is held. */
	if (root)
		refcount_inc(&root->refs);
	rcu_read_unlock();
	return root;
}

static struct tdp_table *tdp_root_create(struct kvm_vcpu *vcpu,
					 union kvm_mmu_page_role role)
{
	struct tdp_table *root = tdp_table_alloc(vcpu);

	tdp_table_init(root, NULL, 0, role);
	root->table.state = SP_ROOT;
	/* One reference is the vCPU's, the other the MMU's. */
	refcount_set(&root->refs, 2);
	list_add_rcu(&root->link, &vcpu->kvm->arch.tdp_mmu_roots);
	return root;
}

int tdp_root_load(struct kvm_vcpu *vcpu)
{
	struct kvm_mmu *mmu = vcpu->arch.mmu;
	struct kvm *kvm = vcpu->kvm;
	struct tdp_table *root;

	read_lock(&kvm->mmu_lock);
	root = tdp_root_find(kvm, mmu->root_role);
	if (!root) {
		/* Look again: another vCPU may have created it meanwhile. */
		spin_lock(&kvm->arch.tdp_mmu_pages_lock);
		root = tdp_root_find(kvm, mmu->root_role);
		if (!root)
			root = tdp_root_create(vcpu, mmu->root_role);
		spin_unlock(&kvm->arch.tdp_mmu_pages_lock);
	}
	read_unlock(&kvm->mmu_lock);

	/*
	 * The root may become invalid from here on: then a request keeps the vCPU out
	 * of the guest, and the reference keeps the page.
	 */
	mmu->root.hpa = __pa(root->table.spt);
	mmu->root.pgd = 0;
	return 0;
}

void tdp_roots_invalidate(struct kvm *kvm)
{
	struct tdp_table *root;

	/* A VM that is being destroyed, or could not be created, has no users. */
	if (IS_ENABLED(CONFIG_PROVE_LOCKING) &&
	    refcount_read(&kvm->users_count) && kvm->created_vcpus)
		lockdep_assert_held_write(&kvm->mmu_lock);

	/*
	 * Roots that were invalidated before are zapped, but may have references left.
	 * root_obsolete() reads the state without mmu_lock.
	 */
	list_for_each_entry(root, &kvm->arch.tdp_mmu_roots, link) {
		if (tdp_root_valid(root)) {
			WRITE_ONCE(root->table.state, SP_ZAPPED);
			root->zap_root = true;
		}
	}
}

void tdp_roots_zap_invalid(struct kvm *kvm)
{
	struct tdp_table *root;

	read_lock(&kvm->mmu_lock);
	tdp_for_each_root(kvm, root, -1, false) {
		if (!root->zap_root)
			continue;

		root->zap_root = false;
		KVM_BUG_ON(tdp_root_valid(root), kvm);
		tdp_zap_root(kvm, root, true);
		/* This is the MMU's reference, not the one of the loop. */
		tdp_root_put(kvm, root);
	}
	read_unlock(&kvm->mmu_lock);
}
