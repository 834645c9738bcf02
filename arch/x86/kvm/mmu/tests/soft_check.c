// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must be true of tables and TLBs, see soft_check.h.
 */
#include <linux/kvm_host.h>
#include <linux/rcupdate.h>

#include "mmu.h"
#include "mmu/spte.h"
#include "mmu/tdp_iter.h"
#include "mmu/tdp_pte.h"
#include "soft_check.h"
#include "soft_cpu.h"
#include "soft_vendor.h"

/* TLBs */

/* The vCPU flushes, or loads another root, before it enters the guest. */
static bool will_flush(struct kvm_vcpu *vcpu)
{
	const struct soft_vcpu *sv = to_soft_vcpu(vcpu);

	return atomic_long_read(&sv->flushes) != sv->flushed ||
	       kvm_test_request(KVM_REQ_TLB_FLUSH, vcpu) ||
	       kvm_test_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu) ||
	       kvm_test_request(KVM_REQ_TLB_FLUSH_GUEST, vcpu) ||
	       kvm_test_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu) ||
	       kvm_test_request(KVM_REQ_MMU_SYNC, vcpu) ||
	       kvm_test_request(KVM_REQ_LOAD_MMU_PGD, vcpu);
}

/* The vCPU is on a tree of direct paging. */
static struct tdp_table *tdp_root_of(struct kvm_vcpu *vcpu)
{
	const hpa_t root = to_soft_vcpu(vcpu)->root;
	struct mmu_table *table;

	if (!tdp_enabled || !VALID_PAGE(root) || root != vcpu->arch.mmu->root.hpa)
		return NULL;
	table = root_to_table(root);
	if (!table || !table->tdp || !tdp_root_valid(table_to_tdp(table)))
		return NULL;
	return table_to_tdp(table);
}

/* @closed: a link on the way has no W. */
static u64 find_leaf(struct tdp_table *root, gfn_t gfn, int *level, bool *closed)
{
	tdp_ptep_t table = (tdp_ptep_t)root->table.spt;
	u64 spte;

	*closed = false;
	for (*level = root->table.role.level; ; --*level) {
		spte = tdp_read(table + spte_index_of(gfn_to_gpa(gfn), *level));
		if (!spte_present_table(spte, *level))
			return spte;
		*closed |= !spte_writable(spte);
		table = (tdp_ptep_t)spte_child_table(spte);
	}
}

static const char *judge_entry(struct tdp_table *root,
			       const struct soft_tlb_entry *entry,
			       enum soft_due due)
{
	const gfn_t gfn = gpa_to_gfn(entry->gpa);
	bool closed;
	int level;
	u64 spte = find_leaf(root, gfn, &level, &closed);

	if (!spte_present_leaf(spte, level))
		return "a page that is mapped no more";
	if (spte_pfn(spte) + (gfn & (KVM_PAGES_PER_HPAGE(level) - 1)) !=
	    PHYS_PFN(entry->pa))
		return "another page";
	if (!(entry->rights & SOFT_W) || !entry->dirty)
		return NULL;
	if (!spte_mmu_writable(spte))
		return "a page that is not MMU-writable any more";
	/* Without A bits, ageing takes W along, and needs no flush: M stays. */
	if (due == SOFT_DUE_DONE && spte_has_ad(spte) && !spte_writable(spte))
		return "a page that is not writable any more";
	if (due == SOFT_DUE_DONE && closed)
		return "a page of a region that is closed";
	if (due == SOFT_DUE_DONE && spte_has_dirty(spte) && !(spte & spte_fmt.dirty))
		return "a page whose D was taken";
	return NULL;
}

const char *soft_check_tlb(struct kvm_vcpu *vcpu, enum soft_due due, gfn_t *gfn)
{
	const struct soft_vcpu *sv = to_soft_vcpu(vcpu);
	const hpa_t tag = soft_vendor_hardware()->ept ? sv->root : 0;
	const struct soft_tlb_entry *entry;
	struct tdp_table *root;
	const char *why = NULL;

	rcu_read_lock();
	root = will_flush(vcpu) ? NULL : tdp_root_of(vcpu);
	for (entry = sv->tlb; root && !why && entry < sv->tlb + SOFT_TLB_ENTRIES;
	     entry++) {
		if (!entry->pa || entry->root != tag)
			continue;
		why = judge_entry(root, entry, due);
		*gfn = gpa_to_gfn(entry->gpa);
	}
	rcu_read_unlock();
	return why;
}

/* Tables */

static gfn_t find_table(struct tdp_table *root, gfn_t start, gfn_t end)
{
	struct tdp_iter iter;

	tdp_for_each(iter, root, start, end) {
		if (spte_present_table(iter.old, iter.level) && iter.gfn >= start &&
		    iter.gfn + KVM_PAGES_PER_HPAGE(iter.level) <= end)
			return iter.gfn;
	}
	return INVALID_GPA;
}

gfn_t soft_check_no_tables(struct kvm *kvm, int as_id, gfn_t start, gfn_t end)
{
	struct tdp_table *root;
	gfn_t gfn = INVALID_GPA;

	read_lock(&kvm->mmu_lock);
	tdp_for_each_root(kvm, root, as_id, true) {
		rcu_read_lock();
		if (gfn == INVALID_GPA)
			gfn = find_table(root, start, end);
		rcu_read_unlock();
	}
	read_unlock(&kvm->mmu_lock);
	return gfn;
}

static long count_tables(struct tdp_table *root)
{
	struct tdp_iter iter;
	long nr = 0;

	rcu_read_lock();
	tdp_for_each_level(iter, root, PG_LEVEL_2M, 0, tdp_end_gfn())
		nr += spte_present_table(iter.old, iter.level);
	rcu_read_unlock();
	return nr;
}

bool soft_check_count(struct kvm *kvm)
{
	struct tdp_table *root;
	long nr = 0;
	bool right;

	read_lock(&kvm->mmu_lock);
	tdp_for_each_root(kvm, root, -1, false)
		nr += count_tables(root);
	right = nr == atomic64_read(&kvm->arch.tdp_mmu_pages);
	read_unlock(&kvm->mmu_lock);
	return right;
}
