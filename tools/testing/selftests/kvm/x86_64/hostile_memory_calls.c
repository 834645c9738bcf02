// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/kernel.h>

#include "hostile_calls.h"
#include "hostile_vm.h"
#include "kvm_util.h"

#define NR_SLOTS	8

/* As they were when somebody has last set them; any thread reads and writes. */
static struct kvm_userspace_memory_region2 last_regions[NR_SLOTS];
static pthread_mutex_t last_regions_lock = PTHREAD_MUTEX_INITIALIZER;

/* Memory slots and their logs */

static uint32_t odd_slot(struct guest_random_state *rng)
{
	const uint32_t as_id = chance(rng, 32) ? odd_value(rng) : chance(rng, 3);
	const uint32_t border = hostile.nr_slots - 2 + below(rng, 4);

	return as_id << 16 | (chance(rng, 16) ? border & 0xffff :
			      odd_id(rng, NR_SLOTS) & 0xffff);
}

static uint32_t odd_flags(struct guest_random_state *rng)
{
	uint32_t flags = chance(rng, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0;

	if (chance(rng, 8))
		flags |= KVM_MEM_READONLY;
	if (hostile.protected_vm && chance(rng, 4))
		flags = KVM_MEM_GUEST_MEMFD;
	return chance(rng, 32) ? odd_value(rng) : flags;
}

/* 0 deletes the slot; some are so large that their metadata count. */
static uint64_t odd_slot_size(struct guest_random_state *rng)
{
	if (chance(rng, 4))
		return 0;
	if (chance(rng, 64))
		return 16ull << 30;
	return chance(rng, 16) ? odd_value(rng) : odd_size(rng);
}

/* Of the linker: where this program begins */
extern const char __executable_start[];

static struct kvm_userspace_memory_region2
odd_region(struct guest_random_state *rng)
{
	const __u64 program = (uintptr_t)__executable_start;
	struct kvm_userspace_memory_region2 region = {
		.slot = odd_slot(rng),
		.flags = odd_flags(rng),
		.guest_phys_addr = odd_gpa(rng),
		.memory_size = odd_slot_size(rng),
		.userspace_addr = (uintptr_t)odd_memory(rng),
		.guest_memfd = chance(rng, 8) ? odd_event(rng) : hostile.gmem,
		.guest_memfd_offset = odd_gpa(rng),
	};

	/* Without its tables and code, the guest does not get far. */
	if (!(uint16_t)region.slot && !chance(rng, 64))
		region.slot++;
	/* The guest writes to its memory, of which this program is no part. */
	if (region.userspace_addr < program)
		region.memory_size = min(region.memory_size,
					 program - region.userspace_addr);
	/* Metadata of 1 TiB would be half of a small machine. */
	if (region.memory_size > 16ull << 30 && region.memory_size <= 8ull << 40)
		region.memory_size = 0;
	return region;
}

static int set_region(struct guest_random_state *rng,
		      struct kvm_userspace_memory_region2 *region)
{
	int r = ioctl(hostile.vm, chance(rng, 3) ? KVM_SET_USER_MEMORY_REGION :
						   KVM_SET_USER_MEMORY_REGION2,
		      odd_pointer(rng, region));

	if (!r && region->slot < NR_SLOTS) {
		pthread_mutex_lock(&last_regions_lock);
		last_regions[region->slot] = *region;
		pthread_mutex_unlock(&last_regions_lock);
	}
	return r;
}

static int call_set_region(struct guest_random_state *rng)
{
	struct kvm_userspace_memory_region2 region = odd_region(rng);

	return set_region(rng, &region);
}

/* What is there already is logged or not, moved or deleted. */
static int call_change_region(struct guest_random_state *rng)
{
	struct kvm_userspace_memory_region2 region;

	pthread_mutex_lock(&last_regions_lock);
	region = last_regions[1 + below(rng, NR_SLOTS - 1)];
	pthread_mutex_unlock(&last_regions_lock);
	switch (below(rng, 4)) {
	case 0:
		region.guest_phys_addr = odd_gpa(rng);
		break;
	case 1:
		region.memory_size = 0;
		break;
	default:
		region.flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	}
	return set_region(rng, &region);
}

/* Flags of slot 0 alone, so that the guest goes on. */
static int call_log_slot_0(struct guest_random_state *rng)
{
	struct kvm_userspace_memory_region region = {
		.flags = chance(rng, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0,
		.memory_size = MEM_SIZE / 2,
		.userspace_addr = (uintptr_t)hostile.mem,
	};

	return ioctl(hostile.vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static int call_get_log(struct guest_random_state *rng)
{
	struct kvm_dirty_log log = {
		.slot = chance(rng, 2) ? 0 : odd_slot(rng),
		.dirty_bitmap = odd_pointer(rng, hostile.log),
	};

	return ioctl(hostile.vm, KVM_GET_DIRTY_LOG, odd_pointer(rng, &log));
}

static int call_clear_log(struct guest_random_state *rng)
{
	struct kvm_clear_dirty_log log = {
		.slot = chance(rng, 2) ? 0 : odd_slot(rng),
		.first_page = chance(rng, 8) ? odd_value(rng) :
					       64 * below(rng, 64),
		.num_pages = chance(rng, 8) ? odd_value(rng) :
					      64 * (1 + below(rng, 16)),
		.dirty_bitmap = odd_pointer(rng, hostile.log),
	};

	memset(hostile.log, guest_random_u32(rng), 256);
	return ioctl(hostile.vm, KVM_CLEAR_DIRTY_LOG, odd_pointer(rng, &log));
}

/*
 * Rings are shared with userspace, which may write anything, at any time: also
 * entries that KVM has not filled, and those that it takes back just now.
 */
static int call_scribble_ring(struct guest_random_state *rng)
{
	struct kvm_dirty_gfn *ring = hostile.rings[below(rng, NR_VCPUS)];
	const bool all = chance(rng, 4);
	unsigned int nr = below(rng, RING_BYTES / sizeof(*ring));

	for (; ring && nr; nr--, ring++) {
		if (!all && !(READ_ONCE(ring->flags) & KVM_DIRTY_GFN_F_DIRTY))
			continue;
		if (chance(rng, 32)) {
			ring->slot = odd_slot(rng);
			ring->offset = odd_value(rng);
		}
		WRITE_ONCE(ring->flags, chance(rng, 32) ? odd_value(rng) :
						KVM_DIRTY_GFN_F_RESET);
	}
	return 0;
}

static int call_reset_rings(struct guest_random_state *rng)
{
	return ioctl(hostile.vm, KVM_RESET_DIRTY_RINGS, 0);
}

/* Private memory */

static int call_set_attributes(struct guest_random_state *rng)
{
	struct kvm_memory_attributes attributes = {
		.address = odd_gpa(rng),
		.size = odd_size(rng),
		.attributes = chance(rng, 16) ? odd_value(rng) :
			      chance(rng, 2) ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
		.flags = chance(rng, 32) ? odd_value(rng) : 0,
	};

	/* To reserve this many entries would take the whole memory. */
	if (attributes.size > GUEST_SIZE && !attributes.address)
		attributes.address = PAGE_BYTES;
	if (attributes.size == 1ull << 63)
		attributes.size = -PAGE_BYTES;
	return ioctl(hostile.vm, KVM_SET_MEMORY_ATTRIBUTES,
		     odd_pointer(rng, &attributes));
}

static int call_pre_fault(struct guest_random_state *rng)
{
	struct kvm_pre_fault_memory range = {
		.gpa = odd_gpa(rng),
		.size = odd_size(rng),
		.flags = chance(rng, 32) ? odd_value(rng) : 0,
	};

	return ioctl(odd_vcpu(rng), KVM_PRE_FAULT_MEMORY,
		     odd_pointer(rng, &range));
}

static int call_gmem_hole(struct guest_random_state *rng)
{
	const int mode = chance(rng, 8) ? odd_value(rng) :
			 FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;

	if (hostile.gmem < 0)
		return 0;
	return fallocate(hostile.gmem, chance(rng, 4) ? 0 : mode,
			 odd_gpa(rng) % MEM_SIZE, odd_size(rng));
}

/* The host's memory behind the slots */

static int call_change_memory(struct guest_random_state *rng)
{
	static const int advices[] = {
		MADV_DONTNEED, MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_COLD,
	};
	const uint64_t page = 64 + below(rng, MEM_SIZE / PAGE_BYTES - 64);
	const uint64_t nr = 1 + below(rng, chance(rng, 4) ? 1024 : 16);
	uint8_t *start = hostile.mem + PAGES(page);
	size_t size = min(PAGES(nr), MEM_SIZE - PAGES(page));
	int prot = chance(rng, 4) ? PROT_NONE : PROT_READ;

	switch (below(rng, 4)) {
	case 0:
		return madvise(start, size,
			       advices[below(rng, ARRAY_SIZE(advices))]);
	case 1:
		return mprotect(start, size, prot);
	case 2:
		return munmap(start, size);
	default:
		return mmap(start, size, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			    MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
			    0) == MAP_FAILED ? -1 : 0;
	}
}

const struct hostile_call hostile_memory_calls[] = {
	{ "SET_USER_MEMORY_REGION", call_set_region,
	  ERRNOS(EINVAL, EFAULT, EEXIST, ENOMEM, EBADF) },
	{ "SET_USER_MEMORY_REGION, change", call_change_region,
	  ERRNOS(EINVAL, EFAULT, EEXIST, ENOMEM, EBADF) },
	{ "SET_USER_MEMORY_REGION, slot 0", call_log_slot_0,
	  ERRNOS(EINVAL, EFAULT, EEXIST) },
	{ "GET_DIRTY_LOG", call_get_log,
	  ERRNOS(EINVAL, EFAULT, ENOENT, ENXIO) },
	{ "CLEAR_DIRTY_LOG", call_clear_log,
	  ERRNOS(EINVAL, EFAULT, ENOENT, ENXIO) },
	{ "RESET_DIRTY_RINGS", call_reset_rings, ERRNOS(EINVAL, EINTR) },
	{ "dirty rings", call_scribble_ring, ERRNOS(0) },
	{ "SET_MEMORY_ATTRIBUTES", call_set_attributes,
	  ERRNOS(EINVAL, EFAULT, ENOTTY) },
	{ "PRE_FAULT_MEMORY", call_pre_fault,
	  ERRNOS(EINVAL, EFAULT, ENOENT, EOPNOTSUPP, EINTR) },
	{ "fallocate", call_gmem_hole,
	  ERRNOS(EINVAL, EOPNOTSUPP, ENOSPC, EFBIG, EINTR) },
	{ "memory behind slots", call_change_memory,
	  ERRNOS(ENOMEM, EINVAL, EAGAIN, EINTR) },
	{}
};
