/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The memslots of one address space as data: no locks, no allocation, no VM.
 * Together with memslot_tree.c it builds in userland too, see
 * tools/testing/memslot_tree/.
 *
 * slot		struct kvm_memory_slot: gfns [base_gfn, base_gfn + npages)
 *		backed by host virtual memory from userspace_addr on.
 * set		struct kvm_memslots: slots in three indexes, by id (struct kvm_id_node), by
 *		gfn (rbtree) and by hva (interval tree).  gfn ranges in a set
 *		never overlap; hva ranges may.
 * copy		An address space has two copies of its set.  Readers use the
 *		active one, the updater changes the inactive one.  Copy n links
 *		slots by their nodes n, so a slot can be in both copies.
 * generation	A number that tags what was derived from a set.
 *
 * An update installs the inactive copy and then repeats the change in the
 * other; at rest both copies hold the same slots.
 */
#ifndef __KVM_MEMSLOT_TREE_H__
#define __KVM_MEMSLOT_TREE_H__

#include <linux/kvm_host.h>

/*
 * Generations.  With n address spaces, address space i takes the values 2*i,
 * 2*i + 2*n, 2*i + 4*n, ...: even, and unique in the VM.  A set's generation is
 * odd from its publication until no reader of the other copy is left.  A reader
 * that found a slot in the other copy, but read the generation of this one, thus
 * holds an odd tag, which matches no set once the update has ended.
 */

/**
 * kvm_memslots_gen_first() - The generation of an address space at rest that
 *			      was never updated.
 * @as_id: the address space, from 0
 *
 * Return: an even generation.
 */
static inline u64 kvm_memslots_gen_first(unsigned int as_id)
{
	return 2ULL * as_id;
}

/**
 * kvm_memslots_gen_begin() - The generation under which a copy is published.
 * @gen: the generation of the active copy, at rest
 *
 * Return: @gen marked KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS.
 */
static inline u64 kvm_memslots_gen_begin(u64 gen)
{
	return gen | KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
}

/**
 * kvm_memslots_gen_end() - The generation of a copy once all readers use it.
 * @gen: the generation under which the copy was published
 * @nr_as: number of address spaces of the VM
 *
 * Return: the next generation at rest of the same address space.
 */
static inline u64 kvm_memslots_gen_end(u64 gen, unsigned int nr_as)
{
	return (gen & ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS) + 2ULL * nr_as;
}

void kvm_memslots_init_copy(struct kvm_memslots *slots, int copy,
			    u64 generation);
void kvm_memslots_replace(struct kvm_memslots *slots,
			  struct kvm_memory_slot *old,
			  struct kvm_memory_slot *new);
bool kvm_memslots_overlap(struct kvm_memslots *slots, gfn_t start, gfn_t end,
			  int except_id);
int kvm_memslot_classify(const struct kvm_memory_slot *old,
			 const struct kvm_userspace_memory_region2 *mem,
			 enum kvm_mr_change *kind);

#endif /* __KVM_MEMSLOT_TREE_H__ */
