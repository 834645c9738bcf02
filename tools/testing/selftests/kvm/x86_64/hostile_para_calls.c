// SPDX-License-Identifier: GPL-2.0-only
/*
 * What KVM imitates of other hypervisors, and its own MSRs: each keeps addresses of
 * the guest's memory, which comes and goes.
 */
#include <errno.h>
#include <sys/ioctl.h>

#include <asm/kvm_para.h>
#include <linux/kernel.h>

#include "hostile_calls.h"
#include "hostile_vm.h"
#include "hyperv.h"
#include "kvm_util.h"
#include "processor.h"

/* Xen */

static int call_xen_config(struct guest_random_state *rng)
{
	struct kvm_xen_hvm_config config = {
		.flags = chance(rng, 8) ? odd_value(rng) :
			 KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL |
			 (chance(rng, 2) ? KVM_XEN_HVM_CONFIG_EVTCHN_SEND : 0),
		.msr = chance(rng, 8) ? odd_value(rng) : 0x40000000,
		.blob_size_64 = chance(rng, 8),
	};

	return ioctl(hostile.vm, KVM_XEN_HVM_CONFIG, odd_pointer(rng, &config));
}

static void odd_event_channel(struct guest_random_state *rng,
			      struct kvm_xen_hvm_attr *attr)
{
	attr->u.evtchn.send_port = odd_id(rng, 8);
	attr->u.evtchn.type = odd_id(rng, 4);
	attr->u.evtchn.flags = chance(rng, 8) ? odd_value(rng) : below(rng, 4);
	if (chance(rng, 2)) {
		attr->u.evtchn.deliver.port.port = odd_id(rng, 8);
		attr->u.evtchn.deliver.port.vcpu = odd_id(rng, MAX_VCPUS);
		attr->u.evtchn.deliver.port.priority = chance(rng, 8);
	} else {
		attr->u.evtchn.deliver.eventfd.fd = odd_event(rng);
	}
}

static int call_xen_attr(struct guest_random_state *rng)
{
	struct kvm_xen_hvm_attr attr = { .type = odd_id(rng, 8) };

	switch (attr.type) {
	case KVM_XEN_ATTR_TYPE_SHARED_INFO:
		attr.u.shared_info.gfn = chance(rng, 4) ? KVM_XEN_INVALID_GFN :
					 odd_gpa(rng) / PAGE_BYTES;
		break;
	case KVM_XEN_ATTR_TYPE_SHARED_INFO_HVA:
		attr.u.shared_info.hva = (uintptr_t)odd_memory(rng);
		break;
	case KVM_XEN_ATTR_TYPE_EVTCHN:
		odd_event_channel(rng, &attr);
		break;
	default:
		attr.u.pad[0] = chance(rng, 2) ? below(rng, 2) : odd_value(rng);
	}
	return ioctl(hostile.vm, chance(rng, 8) ? KVM_XEN_HVM_GET_ATTR :
						  KVM_XEN_HVM_SET_ATTR,
		     odd_pointer(rng, &attr));
}

static int call_xen_vcpu_attr(struct guest_random_state *rng)
{
	struct kvm_xen_vcpu_attr attr = { .type = odd_id(rng, 11) };

	switch (attr.type) {
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_CURRENT:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_DATA:
	case KVM_XEN_VCPU_ATTR_TYPE_RUNSTATE_ADJUST:
		attr.u.runstate.state = odd_id(rng, 5);
		attr.u.runstate.state_entry_time = odd_value(rng);
		attr.u.runstate.time_running = odd_value(rng);
		break;
	case KVM_XEN_VCPU_ATTR_TYPE_TIMER:
		attr.u.timer.port = odd_id(rng, 8);
		attr.u.timer.priority = chance(rng, 8) ? 0 : -1;
		attr.u.timer.expires_ns = chance(rng, 2) ? 0 : odd_value(rng);
		break;
	case KVM_XEN_VCPU_ATTR_TYPE_VCPU_INFO_HVA:
		attr.u.hva = (uintptr_t)odd_memory(rng);
		break;
	default:
		attr.u.gpa = chance(rng, 4) ? odd_value(rng) : odd_gpa(rng);
	}
	return ioctl(odd_vcpu(rng), chance(rng, 8) ? KVM_XEN_VCPU_GET_ATTR :
						     KVM_XEN_VCPU_SET_ATTR,
		     odd_pointer(rng, &attr));
}

/* Also without shared info, and before there is any configuration. */
static int call_xen_send(struct guest_random_state *rng)
{
	struct kvm_irq_routing_xen_evtchn event = {
		.port = odd_id(rng, 8),
		.vcpu = odd_id(rng, MAX_VCPUS),
		.priority = chance(rng, 8) ? odd_value(rng) :
			    KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
	};

	return ioctl(hostile.vm, KVM_XEN_HVM_EVTCHN_SEND,
		     odd_pointer(rng, &event));
}

/* Hyper-V */

static int call_hyperv_eventfd(struct guest_random_state *rng)
{
	struct kvm_hyperv_eventfd event = {
		.conn_id = odd_id(rng, 4),
		.fd = odd_event(rng),
		.flags = chance(rng, 8) ? odd_value(rng) :
			 chance(rng, 4) ? KVM_HYPERV_EVENTFD_DEASSIGN : 0,
	};

	return ioctl(hostile.vm, KVM_HYPERV_EVENTFD, odd_pointer(rng, &event));
}

static int call_vcpu_cap(struct guest_random_state *rng)
{
	static const uint32_t caps[] = {
		KVM_CAP_HYPERV_SYNIC, KVM_CAP_HYPERV_SYNIC2,
		KVM_CAP_HYPERV_DIRECT_TLBFLUSH, KVM_CAP_HYPERV_ENFORCE_CPUID,
		KVM_CAP_HYPERV_ENLIGHTENED_VMCS, KVM_CAP_ENFORCE_PV_FEATURE_CPUID,
	};
	uint16_t version;
	struct kvm_enable_cap cap = {
		.cap = caps[below(rng, ARRAY_SIZE(caps))],
		.args[0] = chance(rng, 2) ? (uintptr_t)&version : chance(rng, 4),
	};

	return ioctl(odd_vcpu(rng), KVM_ENABLE_CAP, odd_pointer(rng, &cap));
}

/* KVM takes fewer at once. */
#define MAX_MSRS	256

/* MSRs of Hyper-V and KVM, mostly those that name a page */

static int call_msrs(struct guest_random_state *rng)
{
	static const uint32_t msrs[] = {
		HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_HYPERCALL,
		HV_X64_MSR_VP_INDEX, HV_X64_MSR_REFERENCE_TSC,
		HV_X64_MSR_VP_ASSIST_PAGE, HV_X64_MSR_SCONTROL,
		HV_X64_MSR_SIEFP, HV_X64_MSR_SIMP, HV_X64_MSR_EOM,
		HV_X64_MSR_SINT0, HV_X64_MSR_STIMER0_CONFIG,
		HV_X64_MSR_STIMER0_COUNT, HV_X64_MSR_TSC_EMULATION_CONTROL,
		MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_WALL_CLOCK_NEW,
		MSR_KVM_ASYNC_PF_EN, MSR_KVM_ASYNC_PF_INT, MSR_KVM_STEAL_TIME,
		MSR_KVM_PV_EOI_EN, MSR_KVM_POLL_CONTROL,
	};
	/* KVM_GET_MSRS writes as many entries as it is told, or none: room for all. */
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[MAX_MSRS];
	} set = { .head.nmsrs = chance(rng, 16) ? odd_value(rng) : 2 };
	int i;

	for (i = 0; i < 2; i++)
		set.entries[i] = (struct kvm_msr_entry) {
			.index = msrs[below(rng, ARRAY_SIZE(msrs))],
			.data = chance(rng, 4) ? odd_value(rng) :
						 odd_gpa(rng) | below(rng, 8),
		};
	return ioctl(odd_vcpu(rng), chance(rng, 8) ? KVM_GET_MSRS : KVM_SET_MSRS,
		     odd_pointer(rng, &set));
}

/* ENOTTY, EOPNOTSUPP: KVM is built without the one or the other. */
const struct hostile_call hostile_para_calls[] = {
	{ "XEN_HVM_CONFIG", call_xen_config, ERRNOS(EINVAL, EFAULT, ENOTTY) },
	{ "XEN_HVM_SET_ATTR", call_xen_attr,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, ENOENT, EEXIST, EBADF) },
	{ "XEN_VCPU_SET_ATTR", call_xen_vcpu_attr,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, ENOENT, EOPNOTSUPP, ENXIO) },
	{ "XEN_HVM_EVTCHN_SEND", call_xen_send,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, EAGAIN, ENOENT, ENXIO) },
	{ "HYPERV_EVENTFD", call_hyperv_eventfd,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, ENOENT, EEXIST, EBADF, ENOSPC) },
	{ "ENABLE_CAP, vCPU", call_vcpu_cap,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, EOPNOTSUPP) },
	{ "SET_MSRS", call_msrs, ERRNOS(EINVAL, EFAULT, E2BIG) },
	{}
};
