// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests to many vCPUs at once, and the TLB flushes that are built on them.
 *
 * Requester and vCPU order two variables: the requester sets the request and
 * then reads vcpu->mode, the vCPU sets its mode and then reads the requests,
 * each with a full barrier in between (vcpu-requests.rst).  So either the vCPU
 * sees the request before it enters the guest, or the requester sees it inside
 * and interrupts it.
 *
 * Takes the place of a part of kvm_main.c, whose interfaces and behaviour it keeps:
 * Copyright (C) 2006 Qumranet, Inc.
 * Copyright 2010 Red Hat, Inc. and/or its affiliates.
 * Authors: Avi Kivity, Yaniv Kamay
 */
#include <linux/cpumask.h>
#include <linux/kvm_host.h>
#include <linux/lockdep.h>
#include <linux/percpu.h>
#include <linux/smp.h>
#include <linux/topology.h>

#include "kvm_core.h"

/* The CPUs to interrupt; used with preemption disabled. */
static DEFINE_PER_CPU(cpumask_var_t, kvm_kick_mask);

/* One request on its way to several vCPUs, from kvm_kick_begin() on. */
struct kvm_kick {
	unsigned int req;
	int this_cpu;
	struct cpumask *cpus;
};

static void kvm_kick_begin(struct kvm_kick *kick, unsigned int req)
{
	kick->req = req;
	kick->this_cpu = get_cpu();
	kick->cpus = this_cpu_cpumask_var_ptr(kvm_kick_mask);
	cpumask_clear(kick->cpus);
}

/*
 * Must a vCPU that was not asleep be interrupted?  A request that is waited for
 * also waits for lockless walks of shadow page tables, where interrupts are off
 * until the vCPU is OUTSIDE_GUEST_MODE again.
 */
static bool kvm_vcpu_needs_ipi(struct kvm_vcpu *vcpu, unsigned int req)
{
	int mode = kvm_vcpu_exiting_guest_mode(vcpu);

	return req & KVM_REQUEST_WAIT ? mode != OUTSIDE_GUEST_MODE :
					mode == IN_GUEST_MODE;
}

static void kvm_kick_add(struct kvm_kick *kick, struct kvm_vcpu *vcpu)
{
	int cpu;

	if (likely(!(kick->req & KVM_REQUEST_NO_ACTION)))
		__kvm_make_request(kick->req, vcpu);

	/* A sleeper sees the request before it enters the guest. */
	if (!(kick->req & KVM_REQUEST_NO_WAKEUP) && kvm_vcpu_wake_up(vcpu))
		return;

	if (!kvm_vcpu_needs_ipi(vcpu, kick->req))
		return;

	/*
	 * Should the vCPU migrate now, it passes through OUTSIDE_GUEST_MODE,
	 * which is all that the interrupt is for; a walk that it begins
	 * afterwards already sees the page tables as they are to be.
	 */
	cpu = READ_ONCE(vcpu->cpu);
	if (cpu != -1 && cpu != kick->this_cpu)
		__cpumask_set_cpu(cpu, kick->cpus);
}

/* Nothing to do: the CPU has left the guest by taking the interrupt. */
static void kvm_kick_ack(void *unused)
{
}

/* Return: whether any CPU was interrupted. */
static bool kvm_kick_finish(const struct kvm_kick *kick)
{
	bool any = !cpumask_empty(kick->cpus);

	if (any)
		smp_call_function_many(kick->cpus, kvm_kick_ack, NULL,
				       kick->req & KVM_REQUEST_WAIT);
	put_cpu();

	return any;
}

/**
 * kvm_make_vcpus_request_mask() - make a request of some vCPUs and kick them
 * @kvm: the VM
 * @req: KVM_REQ_*, with its KVM_REQUEST_* flags
 * @vcpu_bitmap: indices of the vCPUs, KVM_MAX_VCPUS bits; those that do not
 *	exist are skipped
 *
 * Context: interrupts enabled, not in an interrupt handler; preemption may be
 * disabled.
 *
 * Return: whether a CPU was interrupted; with KVM_REQUEST_WAIT it has left the
 * guest.
 */
bool kvm_make_vcpus_request_mask(struct kvm *kvm, unsigned int req,
				 unsigned long *vcpu_bitmap)
{
	struct kvm_kick kick;
	unsigned int idx;

	kvm_kick_begin(&kick, req);
	for_each_set_bit(idx, vcpu_bitmap, KVM_MAX_VCPUS) {
		struct kvm_vcpu *vcpu = kvm_get_vcpu(kvm, idx);

		if (vcpu)
			kvm_kick_add(&kick, vcpu);
	}

	return kvm_kick_finish(&kick);
}

/**
 * kvm_make_all_cpus_request() - make a request of all vCPUs and kick them
 * @kvm: the VM
 * @req: KVM_REQ_*, with its KVM_REQUEST_* flags
 *
 * Context: as kvm_make_vcpus_request_mask().
 *
 * Return: as kvm_make_vcpus_request_mask().
 */
bool kvm_make_all_cpus_request(struct kvm *kvm, unsigned int req)
{
	struct kvm_vcpu *vcpu;
	struct kvm_kick kick;
	unsigned long idx;

	kvm_kick_begin(&kick, req);
	kvm_for_each_vcpu(idx, vcpu, kvm)
		kvm_kick_add(&kick, vcpu);

	return kvm_kick_finish(&kick);
}
EXPORT_SYMBOL_GPL(kvm_make_all_cpus_request);

/**
 * kvm_flush_remote_tlbs() - drop all of a VM's translations from all TLBs
 * @kvm: the VM
 *
 * Context: as kvm_make_vcpus_request_mask(); usually under kvm->mmu_lock, after
 * the page tables were changed.
 */
void kvm_flush_remote_tlbs(struct kvm *kvm)
{
	/* Several CPUs may flush at once: the statistics may lose one. */
	data_race(kvm->stat.generic.remote_tlb_flush_requests++);

	/*
	 * The new page tables must be visible before vcpu->mode is read.  The
	 * barrier is that of kvm_vcpu_exiting_guest_mode().  It pairs with the
	 * vCPU's between mode and page tables: on x86
	 * smp_mb__after_srcu_read_unlock() in vcpu_enter_guest(), on powerpc
	 * smp_mb() in kvmppc_prepare_to_enter().  Nobody relies on it for walks
	 * without lock: a flush can be a hypercall (locking.txt, 4).
	 */
	if (kvm_arch_flush_remote_tlbs(kvm) &&
	    !kvm_make_all_cpus_request(kvm, KVM_REQ_TLB_FLUSH))
		return;

	/* As above. */
	data_race(kvm->stat.generic.remote_tlb_flush++);
}
EXPORT_SYMBOL_GPL(kvm_flush_remote_tlbs);

/**
 * kvm_flush_remote_tlbs_range() - drop the translations of a range of gfns
 * @kvm: the VM
 * @gfn: the first guest frame number
 * @nr_pages: the number of pages of PAGE_SIZE
 *
 * Drops all translations where the architecture can do no less.
 *
 * Context: as kvm_flush_remote_tlbs().
 */
void kvm_flush_remote_tlbs_range(struct kvm *kvm, gfn_t gfn, u64 nr_pages)
{
	if (kvm_arch_flush_remote_tlbs_range(kvm, gfn, nr_pages))
		kvm_flush_remote_tlbs(kvm);
}

/**
 * kvm_flush_remote_tlbs_memslot() - drop the translations of a memslot
 * @kvm: the VM
 * @memslot: the slot
 *
 * Context: as kvm_flush_remote_tlbs(), often without kvm->mmu_lock.  Holds
 * kvm->slots_lock, as whoever changes the slot next relies on this flush.
 */
void kvm_flush_remote_tlbs_memslot(struct kvm *kvm,
				   const struct kvm_memory_slot *memslot)
{
	lockdep_assert_held(&kvm->slots_lock);

	kvm_flush_remote_tlbs_range(kvm, memslot->base_gfn, memslot->npages);
}

/* Free the masks of the possible CPUs below @end. */
static void kvm_free_kick_masks(unsigned int end)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (cpu >= end)
			return;
		free_cpumask_var(per_cpu(kvm_kick_mask, cpu));
	}
}

/**
 * kvm_request_module_init() - prepare for requests
 *
 * Context: kvm_init().
 *
 * Return: 0 or -ENOMEM.
 */
int kvm_request_module_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (!alloc_cpumask_var_node(&per_cpu(kvm_kick_mask, cpu),
					    GFP_KERNEL, cpu_to_node(cpu))) {
			kvm_free_kick_masks(cpu);
			return -ENOMEM;
		}
	}

	return 0;
}

/**
 * kvm_request_module_exit() - undo kvm_request_module_init()
 *
 * Context: kvm_exit() or a failed kvm_init(); no VM exists.
 */
void kvm_request_module_exit(void)
{
	kvm_free_kick_masks(nr_cpu_ids);
}
