// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM for KUnit, see test_vm.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/srcu.h>

#include "kvm_core.h"
#include "kvm_mm.h"
#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/spte_format.h"
#include "test_vm.h"

static void kvm_test_destroy_vm(void *data)
{
	struct kvm *kvm = data;

	refcount_set(&kvm->users_count, 0);
	kvm_memslots_destroy(kvm);
	kvm_mmu_uninit_vm(kvm);
	cleanup_srcu_struct(&kvm->srcu);
}

/**
 * kvm_test_create_vm() - A VM without slots that goes with the test.
 * @test: the test, which fails if there is no memory
 *
 * Return: the VM.
 */
struct kvm *kvm_test_create_vm(struct kunit *test)
{
	struct kvm *kvm = kunit_kzalloc(test, sizeof(*kvm), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, kvm);

	/* No vendor module was ever loaded; the next one does the same. */
	if (!spte_fmt.present)
		spte_format_reset();

	mutex_init(&kvm->slots_lock);
	mutex_init(&kvm->slots_arch_lock);
	spin_lock_init(&kvm->mn_invalidate_lock);
	rcuwait_init(&kvm->mn_memslots_update_rcuwait);
	KVM_MMU_LOCK_INIT(kvm);
	xa_init(&kvm->vcpu_array);

	KUNIT_ASSERT_EQ(test, init_srcu_struct(&kvm->srcu), 0);
	KUNIT_ASSERT_EQ(test, kvm_mmu_init_vm(kvm), 0);

	/* As if userspace had set it: slots do not resize the MMU then. */
	kvm->arch.n_requested_mmu_pages = KVM_MIN_ALLOC_MMU_PAGES;
	/* There may be none. */
	kvm->arch.shadow_mmio_value = spte_fmt.mmio_value ?: BIT_ULL(51);

	kvm_memslots_init(kvm);

	/* From here on lockdep wants readers to hold SRCU or slots_lock. */
	refcount_set(&kvm->users_count, 1);

	KUNIT_ASSERT_EQ(test, 0,
			kunit_add_action_or_reset(test, kvm_test_destroy_vm,
						  kvm));
	return kvm;
}

/**
 * kvm_test_create_vcpu() - A vCPU that knows its VM, but not the other way.
 * @test: the test, which fails if there is no memory
 * @kvm: the VM
 *
 * Return: the vCPU, outside of SMM; it goes with the test.
 */
struct kvm_vcpu *kvm_test_create_vcpu(struct kunit *test, struct kvm *kvm)
{
	struct kvm_vcpu *vcpu = kunit_kzalloc(test, sizeof(*vcpu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, vcpu);
	vcpu->kvm = kvm;
	rwlock_init(&vcpu->pid_lock);
	return vcpu;
}

/**
 * kvm_test_create_slot() - Create a slot of one page.
 * @kvm: the VM
 * @as_id: the slot's address space
 * @id: its id, unused so far
 * @gfn: its page, unused so far
 *
 * Context: takes kvm->slots_lock; waits for readers of kvm->srcu.
 * Return: as kvm_set_memory_region().
 */
int kvm_test_create_slot(struct kvm *kvm, u16 as_id, u16 id, gfn_t gfn)
{
	struct kvm_userspace_memory_region2 mem = {
		.slot = (u32)as_id << 16 | id,
		.guest_phys_addr = gfn_to_gpa(gfn),
		.memory_size = PAGE_SIZE,
		.userspace_addr = kvm_test_hva(gfn),
	};

	return kvm_set_memory_region(kvm, &mem);
}
