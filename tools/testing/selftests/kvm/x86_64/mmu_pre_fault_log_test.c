// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM_PRE_FAULT_MEMORY in a slot whose writes are logged: what nobody wrote to is
 * not dirty, in a bitmap or in a ring, and the first write to it is.
 *
 * The ring has fewer entries than pages are mapped ahead: one that is overrun loses
 * dirty pages, and KVM warns.
 *
 * Break of KVM that makes this test fail: map a page writable for a prefetch, and
 * log it.
 */
#include <linux/bitmap.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define SLOT		10
#define GPA		0xc0000000ull
#define NR_PAGES	4096
#define NR_ENTRIES	1024
#define WRITTEN		777

static void guest_main(void)
{
	WRITE_ONCE(*(uint64_t *)(GPA + WRITTEN * PAGE_SIZE), 1);
	GUEST_DONE();
}

struct machine {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
};

static struct machine create(bool ring)
{
	struct machine m;

	m.vm = vm_create(1);
	if (ring)
		vm_enable_dirty_ring(m.vm, NR_ENTRIES *
					   sizeof(struct kvm_dirty_gfn));
	m.vcpu = vm_vcpu_add(m.vm, 0, guest_main);
	vm_userspace_mem_region_add(m.vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES,
				    KVM_MEM_LOG_DIRTY_PAGES);
	virt_map(m.vm, GPA, GPA, NR_PAGES);
	/* Present in the host, and writable. */
	memset(addr_gpa2hva(m.vm, GPA), 0xa5, NR_PAGES * PAGE_SIZE);
	return m;
}

static void pre_fault(struct kvm_vcpu *vcpu)
{
	struct kvm_pre_fault_memory range = {
		.gpa = GPA,
		.size = NR_PAGES * PAGE_SIZE,
	};
	int r;

	do {
		r = __vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, &range);
	} while (range.size && (!r || errno == EINTR || errno == EAGAIN));
	TEST_ASSERT(!range.size, "pre-fault ended with %llu bytes left, errno %d",
		    range.size, errno);
}

static void write_page(struct kvm_vcpu *vcpu)
{
	struct ucall uc;

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, &uc), UCALL_DONE);
}

static void test_bitmap(void)
{
	unsigned long *log = bitmap_zalloc(NR_PAGES);
	struct machine m = create(false);
	unsigned int i, dirty = 0;

	pre_fault(m.vcpu);
	kvm_vm_get_dirty_log(m.vm, SLOT, log);
	for (i = 0; i < NR_PAGES; i++)
		dirty += test_bit(i, log);
	TEST_ASSERT(!dirty, "%u of %u pages are dirty that nobody wrote to", dirty,
		    NR_PAGES);

	write_page(m.vcpu);
	kvm_vm_get_dirty_log(m.vm, SLOT, log);
	for (i = 0; i < NR_PAGES; i++)
		TEST_ASSERT(test_bit(i, log) == (i == WRITTEN), "page %u", i);
	free(log);
	kvm_vm_free(m.vm);
}

static void test_ring(void)
{
	struct machine m = create(true);
	struct kvm_dirty_gfn *ring = vcpu_map_dirty_ring(m.vcpu);

	pre_fault(m.vcpu);
	TEST_ASSERT(!ring[0].flags, "page %llu is dirty that nobody wrote to",
		    ring[0].offset);

	write_page(m.vcpu);
	TEST_ASSERT_EQ(ring[0].flags, KVM_DIRTY_GFN_F_DIRTY);
	TEST_ASSERT_EQ(ring[0].slot, SLOT);
	TEST_ASSERT_EQ(ring[0].offset, WRITTEN);
	TEST_ASSERT(!ring[1].flags, "page %llu is dirty, too", ring[1].offset);
	kvm_vm_free(m.vm);
}

int main(void)
{
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_PRE_FAULT_MEMORY));
	/* Only direct paging is indexed by what the ioctl names. */
	TEST_REQUIRE(kvm_is_tdp_enabled());

	test_bitmap();
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_DIRTY_LOG_RING) ||
		     kvm_has_cap(KVM_CAP_DIRTY_LOG_RING_ACQ_REL));
	test_ring();
	return KSFT_PASS;
}
