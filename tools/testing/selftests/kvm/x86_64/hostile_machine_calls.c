// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/kernel.h>

#include "hostile_calls.h"
#include "hostile_vm.h"
#include "kvm_util.h"

/* I/O and interrupts */

static int call_coalesced(struct guest_random_state *rng)
{
	struct kvm_coalesced_mmio_zone zone = {
		.addr = chance(rng, 2) ? PAGES(below(rng, 8)) : odd_gpa(rng),
		.size = odd_size(rng),
		.pio = chance(rng, 16) ? odd_value(rng) : chance(rng, 4),
	};

	return ioctl(hostile.vm, chance(rng, 2) ? KVM_REGISTER_COALESCED_MMIO :
						  KVM_UNREGISTER_COALESCED_MMIO,
		     odd_pointer(rng, &zone));
}

static int call_ioeventfd(struct guest_random_state *rng)
{
	struct kvm_ioeventfd event = {
		.datamatch = below(rng, 2),
		.addr = chance(rng, 2) ? PAGES(below(rng, 8)) : odd_gpa(rng),
		.len = chance(rng, 8) ? odd_value(rng) : 1 << below(rng, 4),
		.fd = odd_event(rng),
		.flags = chance(rng, 8) ? odd_value(rng) : below(rng, 8),
	};

	return ioctl(hostile.vm, KVM_IOEVENTFD, odd_pointer(rng, &event));
}

static int call_irqfd(struct guest_random_state *rng)
{
	struct kvm_irqfd irqfd = {
		.fd = odd_event(rng),
		.gsi = odd_id(rng, 24),
		.flags = chance(rng, 8) ? odd_value(rng) : below(rng, 4),
		.resamplefd = odd_event(rng),
	};

	return ioctl(hostile.vm, KVM_IRQFD, odd_pointer(rng, &irqfd));
}

/* The delivery mode may be SMI. */
static uint32_t odd_msi_data(struct guest_random_state *rng)
{
	const uint32_t data = guest_random_u32(rng);

	return hostile.smm ? data : data & ~GENMASK(10, 8);
}

static int call_interrupt(struct guest_random_state *rng)
{
	struct kvm_irq_level level = { .irq = odd_id(rng, 24), .level = 1 };
	struct kvm_msi msi = {
		.address_lo = 0xfee00000 | below(rng, 4) << 12,
		.data = odd_msi_data(rng),
		.flags = chance(rng, 16) ? odd_value(rng) : 0,
	};
	struct kvm_interrupt irq = { odd_id(rng, 256) };

	switch (below(rng, 5)) {
	case 0:
		return ioctl(hostile.vm, KVM_IRQ_LINE, &level);
	case 1:
		return ioctl(hostile.vm, KVM_SIGNAL_MSI, &msi);
	case 2:
		return ioctl(odd_vcpu(rng), KVM_INTERRUPT, &irq);
	case 3:
		return hostile.smm ? ioctl(odd_vcpu(rng), KVM_SMI, 0) : 0;
	default:
		return ioctl(odd_vcpu(rng), KVM_NMI, 0);
	}
}

static int call_routing(struct guest_random_state *rng)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entries[4];
	} routing = {
		.head.nr = chance(rng, 8) ? odd_value(rng) : below(rng, 5),
		.head.flags = chance(rng, 32),
	};
	int i;

	for (i = 0; i < 4; i++)
		routing.entries[i] = (struct kvm_irq_routing_entry) {
			.gsi = odd_id(rng, 24),
			.type = odd_id(rng, 6),
			.u.irqchip = { odd_id(rng, 4), odd_id(rng, 24) },
		};
	return ioctl(hostile.vm, KVM_SET_GSI_ROUTING, odd_pointer(rng, &routing));
}

/* The VM as a whole */

static int call_enable_cap(struct guest_random_state *rng)
{
	static const uint32_t caps[] = {
		KVM_CAP_DIRTY_LOG_RING, KVM_CAP_DIRTY_LOG_RING_ACQ_REL,
		KVM_CAP_DIRTY_LOG_RING_WITH_BITMAP, KVM_CAP_HALT_POLL,
		KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_CAP_DISABLE_QUIRKS2,
		KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_X2APIC_API,
		KVM_CAP_EXCEPTION_PAYLOAD, KVM_CAP_MAX_VCPU_ID,
		KVM_CAP_VM_DISABLE_NX_HUGE_PAGES, KVM_CAP_EXIT_HYPERCALL,
		KVM_CAP_EXIT_ON_EMULATION_FAILURE, KVM_CAP_X86_USER_SPACE_MSR,
	};
	struct kvm_enable_cap cap = {
		.cap = chance(rng, 16) ? odd_value(rng) : caps[below(rng, ARRAY_SIZE(caps))],
		.flags = chance(rng, 32) ? odd_value(rng) : 0,
		.args[0] = chance(rng, 2) ? below(rng, 16) : odd_value(rng),
	};

	return ioctl(hostile.vm, KVM_ENABLE_CAP, odd_pointer(rng, &cap));
}

static int call_vm_address(struct guest_random_state *rng)
{
	uint64_t address = odd_gpa(rng);

	if (chance(rng, 2))
		return ioctl(hostile.vm, KVM_SET_TSS_ADDR, address);
	return ioctl(hostile.vm, KVM_SET_IDENTITY_MAP_ADDR,
		     odd_pointer(rng, &address));
}

static int call_mmu_pages(struct guest_random_state *rng)
{
	uint64_t nr = chance(rng, 4) ? odd_value(rng) : below(rng, 256);

	return ioctl(hostile.vm, KVM_SET_NR_MMU_PAGES, nr);
}

/* Ids are few, so that most are taken; new vCPUs are everybody's. */
static int call_create_vcpu(struct guest_random_state *rng)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	const uint64_t id = chance(rng, 4) ? odd_value(rng) :
					     below(rng, 2 * MAX_VCPUS);
	int fd = ioctl(hostile.vm, KVM_CREATE_VCPU, id);
	int error = errno;

	if (fd >= 0) {
		pthread_mutex_lock(&lock);
		if (hostile.nr_vcpus < MAX_VCPUS)
			add_vcpu_file(fd);
		else
			close(fd);
		pthread_mutex_unlock(&lock);
	}
	errno = error;
	return fd < 0 ? -1 : 0;
}

/* Calls that yield files, which stay open for a moment only. */
static int call_create_file(struct guest_random_state *rng)
{
	struct kvm_create_guest_memfd gmem = {
		.size = odd_gpa(rng),
		.flags = chance(rng, 16) ? odd_value(rng) : 0,
	};
	int fd;

	switch (below(rng, 3)) {
	case 0:
		fd = ioctl(hostile.vm, KVM_GET_STATS_FD, NULL);
		break;
	case 1:
		fd = ioctl(odd_vcpu(rng), KVM_GET_STATS_FD, NULL);
		break;
	default:
		fd = ioctl(hostile.vm, KVM_CREATE_GUEST_MEMFD,
			   odd_pointer(rng, &gmem));
	}
	return fd < 0 ? -1 : close(fd);
}

static int call_unknown(struct guest_random_state *rng)
{
	const unsigned int number = _IOC(below(rng, 4), KVMIO, below(rng, 256),
					 below(rng, 4) * 64);

	/* What waits, and what is for some VMs only, is for others to call. */
	if (_IOC_NR(number) == _IOC_NR(KVM_RUN) ||
	    _IOC_NR(number) == _IOC_NR(KVM_SMI))
		return 0;
	return ioctl(chance(rng, 2) ? hostile.vm : odd_vcpu(rng), number, NULL);
}

const struct hostile_call hostile_machine_calls[] = {
	{ "COALESCED_MMIO", call_coalesced, ERRNOS(EINVAL, EFAULT, ENOSPC),
	  true },
	{ "IOEVENTFD", call_ioeventfd,
	  ERRNOS(EINVAL, EFAULT, ENOENT, EEXIST, EBADF, ENOSPC), true },
	{ "IRQFD", call_irqfd, ERRNOS(EINVAL, EFAULT, EBUSY, EBADF) },
	{ "interrupts", call_interrupt,
	  ERRNOS(EINVAL, EFAULT, ENXIO, EEXIST, EPERM) },
	{ "SET_GSI_ROUTING", call_routing,
	  ERRNOS(EINVAL, EFAULT, ENXIO, E2BIG) },
	{ "ENABLE_CAP", call_enable_cap,
	  ERRNOS(EINVAL, EFAULT, E2BIG, EEXIST, EPERM) },
	{ "SET_TSS_ADDR", call_vm_address, ERRNOS(EINVAL, EFAULT, EEXIST) },
	{ "SET_NR_MMU_PAGES", call_mmu_pages, ERRNOS(EINVAL) },
	{ "CREATE_VCPU", call_create_vcpu, ERRNOS(EINVAL, EEXIST) },
	{ "files", call_create_file, ERRNOS(EINVAL, EFAULT, ENOTTY) },
	{ "unknown", call_unknown,
	  ERRNOS(EINVAL, EFAULT, ENOTTY, ENXIO, E2BIG, EPERM, EEXIST, ENOENT,
		 EOPNOTSUPP), true },
	{}
};
