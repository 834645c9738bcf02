// SPDX-License-Identifier: GPL-2.0-only
/*
 * The flushes that are owed, see prove.h.
 */
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>

#include "prove.h"

/**
 * struct owed_flush - noted by a CPU that holds a VM's mmu_lock
 * @kvm: the VM; NULL: nothing is owed
 * @flushes: how many the VM has had when M was taken
 */
struct owed_flush {
	struct kvm *kvm;
	u64 flushes;
};

static DEFINE_PER_CPU(struct owed_flush, owed_flush);

static u64 nr_flushes(struct kvm *kvm)
{
	/* If several CPUs flush at a time, some may not be counted, but one is. */
	return data_race(kvm->stat.generic.remote_tlb_flush_requests);
}

void mmu_owe_flush(struct kvm *kvm)
{
	struct owed_flush *owed = raw_cpu_ptr(&owed_flush);

	lockdep_assert_held(&kvm->mmu_lock);
	if (IS_ENABLED(CONFIG_PREEMPT_RT))
		return;

	WRITE_ONCE(owed->kvm, kvm);
	owed->flushes = nr_flushes(kvm);
}

bool mmu_flush_owed(struct kvm *kvm)
{
	const struct owed_flush *owed = raw_cpu_ptr(&owed_flush);

	lockdep_assert_held(&kvm->mmu_lock);
	return READ_ONCE(owed->kvm) == kvm && owed->flushes == nr_flushes(kvm);
}

void mmu_pay_flush(struct kvm *kvm)
{
	struct owed_flush *owed = raw_cpu_ptr(&owed_flush);

	if (READ_ONCE(owed->kvm) == kvm)
		WRITE_ONCE(owed->kvm, NULL);
}

void mmu_forget_owed(struct kvm *kvm)
{
	int cpu;

	for_each_possible_cpu(cpu)
		cmpxchg(&per_cpu(owed_flush, cpu).kvm, kvm, NULL);
}
