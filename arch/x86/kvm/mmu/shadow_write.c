// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes to guest memory that KVM does itself, mostly for the emulator, where they hit
 * a table that is shadowed: the SPTEs of the written gPTEs are dropped, and the next
 * fault makes new ones.  A page is zapped if the writes do not look like those to a
 * table, or if they are so many that the faults would cost more than a new page.
 *
 * Zapping changes the hash, so a loop over the pages of a gfn ends with a zap and
 * begins anew.  What must be done once for each write is done before (count_write()).
 */
#include <linux/atomic.h>
#include <linux/kvm_host.h>

#include "mmu.h"
#include "shadow_internal.h"

/* After so many writes and no walk through it, a page is no table, or is being filled. */
#define WRITE_FLOOD	3

/**
 * struct guest_write - what was written
 * @gpa: where
 * @bytes: how many
 */
struct guest_write {
	gpa_t gpa;
	int bytes;
};

/* log2 of the size of a gPTE. */
static unsigned int gpte_shift(union kvm_mmu_page_role role)
{
	return role.has_4_byte_gpte ? 2 : 3;
}

bool shadow_write_misaligned(union kvm_mmu_page_role role, unsigned int offset,
			     unsigned int bytes)
{
	const unsigned int shift = gpte_shift(role);

	/* The lowest byte has the status bits: a guest may write it alone. */
	if (bytes == 1 && !(offset & (BIT(shift) - 1)))
		return false;

	return bytes < 4 || offset >> shift != (offset + bytes - 1) >> shift;
}

unsigned int shadow_write_covers(union kvm_mmu_page_role role, unsigned int offset,
				 unsigned int *first)
{
	/* A 4-byte gPTE of level 2 maps 4M, the SPTEs 2M each. */
	const unsigned int nr = role.has_4_byte_gpte &&
				role.level == PT32_ROOT_LEVEL ? 2 : 1;
	const unsigned int entry = (offset >> gpte_shift(role)) * nr;

	*first = entry % SPTE_ENT_PER_PAGE;
	return entry / SPTE_ENT_PER_PAGE == role.quadrant ? nr : 0;
}

/*
 * A guest with 8-byte gPTEs and 32-bit registers writes a gPTE in two halves: each
 * counts as a write of the whole gPTE.
 */
static struct guest_write whole_gpte(struct kvm_vcpu *vcpu, gpa_t gpa, int bytes)
{
	if (bytes == 4 && is_pae(vcpu))
		return (struct guest_write){ round_down(gpa, 8), 8 };

	return (struct guest_write){ gpa, bytes };
}

/* Did the write leave a gPTE there, and not zeros? */
static bool wrote_gpte(struct kvm_vcpu *vcpu, const struct guest_write *write)
{
	u64 gpte = 0;

	if (write->bytes != 4 && write->bytes != 8)
		return false;

	return !kvm_vcpu_read_guest_atomic(vcpu, write->gpa, &gpte,
					   write->bytes) && gpte;
}

/* A page of level 1 is not zapped for many writes: it can become unsync. */
static bool flooded(const struct kvm_mmu_page *sp)
{
	return sp->role.level > PG_LEVEL_4K &&
	       atomic_read(&sp->write_flooding_count) >= WRITE_FLOOD;
}

static bool is_no_table(const struct kvm_mmu_page *sp,
			const struct guest_write *write)
{
	return shadow_write_misaligned(sp->role, offset_in_page(write->gpa),
				       write->bytes) || flooded(sp);
}

/* Count the write, for statistics and floods; nothing is zapped yet. */
static void count_write(struct kvm_vcpu *vcpu, const struct guest_write *write)
{
	struct kvm *kvm = vcpu->kvm;
	struct kvm_mmu_page *sp;
	unsigned int first, nr;

	kvm->stat.mmu_pte_write++;

	shadow_for_each_table(kvm, sp, gpa_to_gfn(write->gpa)) {
		if (sp->role.level == PG_LEVEL_4K)
			continue;

		if (!shadow_write_misaligned(sp->role, offset_in_page(write->gpa),
					     write->bytes))
			atomic_inc(&sp->write_flooding_count);
		if (is_no_table(sp, write))
			continue;

		nr = shadow_write_covers(sp->role, offset_in_page(write->gpa),
					 &first);
		if (nr && wrote_gpte(vcpu, write))
			kvm->stat.mmu_pde_zapped += nr;
	}
}

/*
 * Drop the SPTEs of the written gPTE.  It may have linked a table with all of a nested
 * guest below it, which the guest may link elsewhere at once.  So the child stays
 * without a parent, until it is linked again or reclaimed.
 */
static void drop_written(struct kvm *kvm, struct kvm_mmu_page *sp,
			 const struct guest_write *write, struct shadow_zap *zap)
{
	unsigned int first, nr;

	nr = shadow_write_covers(sp->role, offset_in_page(write->gpa), &first);
	for (; nr; nr--, first++)
		if (READ_ONCE(sp->spt[first]) != SPTE_NONE)
			shadow_clear_entry(kvm, sp, first, zap);
}

/*
 * Return: true if pages were zapped: call it again.  That comes to an end, as there
 * are fewer pages each time.
 */
static bool apply_write(struct kvm *kvm, const struct guest_write *write,
			struct shadow_zap *zap)
{
	struct kvm_mmu_page *sp;

	shadow_for_each_table(kvm, sp, gpa_to_gfn(write->gpa)) {
		if (is_no_table(sp, write)) {
			kvm->stat.mmu_flooded++;
			shadow_page_zap(kvm, sp, zap);
			return true;
		}
		drop_written(kvm, sp, write, zap);
	}
	return false;
}

void shadow_track_write(struct kvm_vcpu *vcpu, gpa_t gpa, int bytes)
{
	struct shadow_zap zap = {};
	struct kvm *kvm = vcpu->kvm;
	struct guest_write write;

	/*
	 * The write is done.  Either this sees that a page is being made for the table,
	 * or the fault that makes it sees the write when it compares the gPTE again:
	 * pairs with the barrier in watch_table().
	 */
	smp_mb();
	if (!READ_ONCE(kvm->arch.indirect_shadow_pages))
		return;

	write_lock(&kvm->mmu_lock);
	write = whole_gpte(vcpu, gpa, bytes);
	count_write(vcpu, &write);
	while (apply_write(kvm, &write, &zap))
		;
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
}

static struct kvm_mmu_page *first_table(struct kvm *kvm, gfn_t gfn)
{
	struct kvm_mmu_page *sp;

	shadow_for_each_table(kvm, sp, gfn)
		return sp;
	return NULL;
}

bool shadow_unprotect_gfn(struct kvm *kvm, gfn_t gfn)
{
	struct shadow_zap zap = {};
	struct kvm_mmu_page *sp;
	bool any;

	write_lock(&kvm->mmu_lock);
	while ((sp = first_table(kvm, gfn)))
		shadow_page_zap(kvm, sp, &zap);

	/* A root would be made and protected again before the guest runs. */
	any = !llist_empty(&zap.pages);
	shadow_zap_finish(kvm, &zap);
	write_unlock(&kvm->mmu_lock);
	return any;
}
