// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Xen event channel for a VM whose shared info page KVM does not know: not yet,
 * or no more.  There is nowhere to deliver the event, and nothing to warn of.
 */
#include <errno.h>
#include <linux/kvm.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define SLOT		10
#define GPA		0xc0000000ull
#define XEN_MSR		0x40000200
#define PORT		15

static void guest_main(void)
{
	GUEST_DONE();
}

/* Returns 0 if the event is pending now, or a negative errno. */
static int send_event(struct kvm_vm *vm)
{
	struct kvm_irq_routing_xen_evtchn event = {
		.port = PORT,
		.vcpu = 0,
		.priority = KVM_IRQ_ROUTING_XEN_EVTCHN_PRIO_2LEVEL,
	};
	const int r = __vm_ioctl(vm, KVM_XEN_HVM_EVTCHN_SEND, &event);

	return r < 0 ? -errno : r;
}

static void set_shared_info(struct kvm_vm *vm, uint64_t gfn)
{
	struct kvm_xen_hvm_attr attr = {
		.type = KVM_XEN_ATTR_TYPE_SHARED_INFO,
		.u.shared_info.gfn = gfn,
	};

	vm_ioctl(vm, KVM_XEN_HVM_SET_ATTR, &attr);
}

int main(void)
{
	struct kvm_xen_hvm_config config = {
		.flags = KVM_XEN_HVM_CONFIG_INTERCEPT_HCALL |
			 KVM_XEN_HVM_CONFIG_EVTCHN_SEND,
		.msr = XEN_MSR,
	};
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;

	TEST_REQUIRE(kvm_check_cap(KVM_CAP_XEN_HVM) & KVM_XEN_HVM_CONFIG_EVTCHN_SEND);

	vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, 1, 0);
	vm_ioctl(vm, KVM_XEN_HVM_CONFIG, &config);

	TEST_ASSERT_EQ(send_event(vm), -EINVAL);
	set_shared_info(vm, GPA / 4096);
	TEST_ASSERT_EQ(send_event(vm), 0);
	set_shared_info(vm, KVM_XEN_INVALID_GFN);
	TEST_ASSERT_EQ(send_event(vm), -EINVAL);
	kvm_vm_free(vm);
	return 0;
}
