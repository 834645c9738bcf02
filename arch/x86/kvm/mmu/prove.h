/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * CONFIG_KVM_PROVE_MMU: checks that cost too much to be always there.  One of them needs
 * notes: were TLBs flushed before mmu_lock was let go, if M was taken from a leaf
 * (spte.h)?
 *
 * A writer that takes M notes, for the CPU it runs on, that the VM needs a flush.  Any
 * flush of the VM after that will do.  Whoever may have taken M checks it before mmu_lock
 * is let go.  A holder of mmu_lock stays on its CPU; not so under PREEMPT_RT, where
 * nothing is noted.
 */
#ifndef __KVM_X86_MMU_PROVE_H
#define __KVM_X86_MMU_PROVE_H

#include <linux/bug.h>
#include <linux/build_bug.h>
#include <linux/types.h>

struct kvm;

#ifdef CONFIG_KVM_PROVE_MMU

#define KVM_MMU_WARN_ON(cond) WARN_ON_ONCE(cond)

/* Note that M was taken from a leaf that stays present.  Under mmu_lock. */
void mmu_owe_flush(struct kvm *kvm);

/* Is a flush still owed that was noted on this CPU?  Under mmu_lock. */
bool mmu_flush_owed(struct kvm *kvm);

/* Note that TLBs were flushed for the gfns, other than by kvm_flush_remote_tlbs(). */
void mmu_pay_flush(struct kvm *kvm);

/* Forget what is noted for a VM that ends. */
void mmu_forget_owed(struct kvm *kvm);

#else

#define KVM_MMU_WARN_ON(cond) BUILD_BUG_ON_INVALID(cond)

static inline void mmu_owe_flush(struct kvm *kvm) {}
static inline bool mmu_flush_owed(struct kvm *kvm) { return false; }
static inline void mmu_pay_flush(struct kvm *kvm) {}
static inline void mmu_forget_owed(struct kvm *kvm) {}

#endif

/* Warn if a flush is owed.  To be called before mmu_lock is let go. */
static inline void mmu_prove_flushed(struct kvm *kvm)
{
	KVM_MMU_WARN_ON(mmu_flush_owed(kvm));
}

#endif /* __KVM_X86_MMU_PROVE_H */
