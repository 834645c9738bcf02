// SPDX-License-Identifier: GPL-2.0-only
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kernel.h>

#include "hostile_calls.h"
#include "hostile_vm.h"
#include "kvm_util.h"
#include "processor.h"

/* Both versions of the registers begin alike. */
static_assert(offsetof(struct kvm_sregs, apic_base) ==
	      offsetof(struct kvm_sregs2, apic_base));

static void flip_one(struct guest_random_state *rng, struct kvm_sregs *s)
{
	switch (below(rng, 6)) {
	case 0:
		s->cr0 = flip_bits(rng, s->cr0);
		break;
	case 1:
		s->cr4 = flip_bits(rng, s->cr4);
		break;
	case 2:
		s->efer = flip_bits(rng, s->efer);
		break;
	case 3:
		s->cr3 = odd_gpa(rng);
		break;
	case 4:
		s->apic_base = flip_bits(rng, s->apic_base);
		break;
	default:
		s->cs.limit = odd_value(rng);
	}
}

static void flip_sregs(struct guest_random_state *rng, void *sregs)
{
	do {
		flip_one(rng, sregs);
	} while (chance(rng, 2));
}

static int call_sregs(struct guest_random_state *rng)
{
	struct kvm_sregs sregs;
	int vcpu = odd_vcpu(rng);

	if (ioctl(vcpu, KVM_GET_SREGS, &sregs))
		return -1;
	flip_sregs(rng, &sregs);
	return ioctl(vcpu, KVM_SET_SREGS, odd_pointer(rng, &sregs));
}

static int call_sregs2(struct guest_random_state *rng)
{
	struct kvm_sregs2 sregs;
	int vcpu = odd_vcpu(rng);

	if (ioctl(vcpu, KVM_GET_SREGS2, &sregs))
		return -1;
	flip_sregs(rng, &sregs);
	sregs.flags ^= chance(rng, 4) << below(rng, 4);
	sregs.pdptrs[below(rng, 4)] = odd_gpa(rng);
	return ioctl(vcpu, KVM_SET_SREGS2, odd_pointer(rng, &sregs));
}

static int call_cpuid(struct guest_random_state *rng)
{
	const size_t size = kvm_cpuid2_size(hostile.cpuid->nent);
	struct kvm_cpuid2 *cpuid = malloc(size);
	struct kvm_cpuid_entry2 *entry;
	int r, i;

	memcpy(cpuid, hostile.cpuid, size);
	for (i = below(rng, 4); i; i--) {
		entry = &cpuid->entries[below(rng, cpuid->nent)];
		*(&entry->eax + below(rng, 4)) ^= 1u << below(rng, 32);
	}
	if (chance(rng, 8))
		cpuid->nent = chance(rng, 2) ? below(rng, cpuid->nent) :
					       odd_value(rng);
	r = ioctl(odd_vcpu(rng), KVM_SET_CPUID2, odd_pointer(rng, cpuid));
	i = errno;
	free(cpuid);
	errno = i;
	return r;
}

static int call_mp_state(struct guest_random_state *rng)
{
	struct kvm_mp_state state = { odd_id(rng, 12) };

	return ioctl(odd_vcpu(rng), KVM_SET_MP_STATE, odd_pointer(rng, &state));
}

static int call_events(struct guest_random_state *rng)
{
	struct kvm_vcpu_events events;
	int vcpu = odd_vcpu(rng);

	if (ioctl(vcpu, KVM_GET_VCPU_EVENTS, &events))
		return -1;
	if (hostile.smm) {
		events.flags |= KVM_VCPUEVENT_VALID_SMM;
		events.smi.smm = chance(rng, 2);
		events.smi.pending = chance(rng, 2);
	}
	events.nmi.pending = chance(rng, 2);
	return ioctl(vcpu, KVM_SET_VCPU_EVENTS, odd_pointer(rng, &events));
}

static int call_translate(struct guest_random_state *rng)
{
	struct kvm_translation translation = { .linear_address = odd_gpa(rng) };

	return ioctl(odd_vcpu(rng), KVM_TRANSLATE,
		     odd_pointer(rng, &translation));
}

/* The page that a running vCPU shares with userspace */
static int call_scribble(struct guest_random_state *rng)
{
	struct kvm_run *run = hostile.runs[below(rng, hostile.nr_vcpus)];

	switch (below(rng, 3)) {
	case 0:
		run->kvm_valid_regs = odd_value(rng);
		break;
	case 1:
		memset(run->mmio.data, guest_random_u32(rng), 8);
		break;
	default:
		run->request_interrupt_window = chance(rng, 2);
	}
	return 0;
}

const struct hostile_call hostile_vcpu_calls[] = {
	{ "SET_SREGS", call_sregs, ERRNOS(EINVAL, EFAULT) },
	{ "SET_SREGS2", call_sregs2, ERRNOS(EINVAL, EFAULT) },
	/* EPERM: for a feature of XSAVE that the process has not asked for. */
	{ "SET_CPUID2", call_cpuid, ERRNOS(EINVAL, EFAULT, E2BIG, EPERM) },
	{ "SET_MP_STATE", call_mp_state, ERRNOS(EINVAL, EFAULT) },
	{ "SET_VCPU_EVENTS", call_events, ERRNOS(EINVAL, EFAULT) },
	{ "TRANSLATE", call_translate, ERRNOS(EINVAL, EFAULT) },
	{ "kvm_run", call_scribble, ERRNOS(0) },
	{}
};
