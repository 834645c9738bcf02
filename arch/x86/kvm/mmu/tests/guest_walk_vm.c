// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest of guest_walk_kunit.c, see guest_walk_vm.h.
 */
#include <kunit/test.h>
#include <kunit/test-bug.h>
#include <linux/kvm_host.h>
#include <linux/mman.h>
#include <linux/percpu.h>
#include <linux/srcu.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>

#include "forced_yields.h"
#include "guest_walk_vm.h"
#include "test_vm.h"

/* What the vendor module and L1 say */

static unsigned long test_get_rflags(struct kvm_vcpu *vcpu)
{
	return 0;
}

static int test_write_log_dirty(struct kvm_vcpu *vcpu, gpa_t l2_gpa)
{
	struct walk_test *t = kunit_get_current_test()->priv;

	t->l1.logged++;
	return t->l1.log_full ? -1 : 0;
}

static const struct kvm_x86_nested_ops test_nested_ops = {
	.write_log_dirty = test_write_log_dirty,
};

static unsigned long test_get_guest_pgd(struct kvm_vcpu *vcpu)
{
	return vcpu->arch.cr3;
}

static u64 test_get_pdptr(struct kvm_vcpu *vcpu, int index)
{
	return vcpu->arch.mmu->pdptrs[index];
}

static u64 __user *test_gpte(struct walk_test *t, int page, int index)
{
	return (u64 __user *)(t->hva + page * PAGE_SIZE) + index;
}

void walk_test_put_gpte(struct kunit *test, int page, int index, u64 gpte)
{
	struct walk_test *t = test->priv;

	KUNIT_EXPECT_EQ(test, 0, put_user(gpte, test_gpte(t, page, index)));
}

u64 walk_test_get_gpte(struct kunit *test, int page, int index)
{
	struct walk_test *t = test->priv;
	u64 gpte = 0;

	KUNIT_EXPECT_EQ(test, 0, get_user(gpte, test_gpte(t, page, index)));
	return gpte;
}

static void race_with_walk(struct kunit *test, struct l1_hook *l1)
{
	walk_test_put_gpte(test, 3, 0, l1->race_gpte);
	l1->race_gpte = 0;
	l1->raced = true;
	l1->switches = forced_yield_now();
}

static gpa_t l1_gva_to_gpa(struct kvm_vcpu *vcpu, struct kvm_mmu *mmu, gpa_t addr,
			   u64 access, struct x86_exception *exception)
{
	struct kunit *test = kunit_get_current_test();
	struct walk_test *t = test->priv;
	struct l1_hook *l1 = &t->l1;

	KUNIT_EXPECT_EQ(test, 0, offset_in_page(addr));
	if (l1->raced)
		l1->rescheduled = forced_yield_done(l1->switches);
	l1->raced = false;
	if (addr == l1->refused) {
		*exception = (struct x86_exception) { .address = addr };
		return INVALID_GPA;
	}
	if (!(access & PFERR_GUEST_FINAL_MASK)) {
		l1->table_access |= access;
	} else {
		l1->final_access = access;
		if (l1->race_gpte)
			race_with_walk(test, l1);
	}
	return addr - gfn_to_gpa(L2_RAM) + gfn_to_gpa(GWO_RAM);
}

/* The VM: slots for the three places of guest_walk_oracle.h, and a vCPU */

static void test_create_slot(struct kunit *test, u32 id, gfn_t gfn, u32 flags,
			     unsigned long hva)
{
	struct walk_test *t = test->priv;
	struct kvm_userspace_memory_region2 mem = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gfn_to_gpa(gfn),
		.memory_size = GUEST_BYTES,
		.userspace_addr = hva,
	};

	KUNIT_ASSERT_EQ(test, 0, kvm_set_memory_region(t->kvm, &mem));
}

static void test_running_vcpu(struct kvm_vcpu *vcpu)
{
	struct kvm_vcpu **running;
	int cpu;

	for_each_possible_cpu(cpu) {
		running = per_cpu_ptr(kvm_get_running_vcpus(), cpu);
		*running = vcpu;
	}
}

static void test_restore_vendor(void *data)
{
	struct walk_test *t = data;

	test_running_vcpu(NULL);
	kvm_x86_ops.nested_ops = t->vendor_nested_ops;
	static_call_update(kvm_x86_get_rflags, t->vendor_get_rflags);
}

static void test_replace_vendor(struct kunit *test)
{
	struct walk_test *t = test->priv;

	t->vendor_get_rflags = static_call_query(kvm_x86_get_rflags);
	t->vendor_nested_ops = kvm_x86_ops.nested_ops;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action(test, test_restore_vendor, t));

	static_call_update(kvm_x86_get_rflags, test_get_rflags);
	kvm_x86_ops.nested_ops = &test_nested_ops;
	test_running_vcpu(t->vcpu);
}

int walk_test_init(struct kunit *test)
{
	struct walk_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!list_empty(&vm_list))
		kunit_skip(test, "VMs need what the test replaces");

	KUNIT_ASSERT_NOT_NULL(test, t);
	test->priv = t;
	t->guest.image = kunit_kzalloc(test, GUEST_BYTES, GFP_KERNEL);
	t->copy = kunit_kzalloc(test, GUEST_BYTES, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, t->guest.image);
	KUNIT_ASSERT_NOT_NULL(test, t->copy);
	prandom_seed_state(&t->rnd, 1);

	t->hva = kunit_vm_mmap(test, NULL, 0, GUEST_BYTES, PROT_READ | PROT_WRITE,
			       MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, t->hva, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(t->hva));

	t->kvm = kvm_test_create_vm(test);
	t->vcpu = kvm_test_create_vcpu(test, t->kvm);
	test_create_slot(test, 0, GWO_RAM, KVM_MEM_LOG_DIRTY_PAGES, t->hva);
	test_create_slot(test, 1, GWO_ROM, KVM_MEM_READONLY, t->hva);
	test_create_slot(test, 2, GWO_HOLE, 0, PAGE_SIZE);
	test_replace_vendor(test);
	return 0;
}

static void test_fill_permissions(struct kvm_mmu *mmu)
{
	int i, granted;

	for (i = 0; i < ARRAY_SIZE(mmu->permissions); i++) {
		mmu->permissions[i] = 0;
		for (granted = 0; granted <= ACC_ALL; granted++)
			if (gwo_denies(granted, i << 1))
				mmu->permissions[i] |= BIT(granted);
	}
}

void walk_test_setup_mmu(struct walk_test *t, const struct walk_mode *mode,
			 struct kvm_mmu *mmu)
{
	struct kvm_vcpu_arch *arch = &t->vcpu->arch;

	arch->cr0 = X86_CR0_WP;
	arch->mmu = mmu;
	arch->walk_mmu = &arch->root_mmu;

	t->mmu = mmu;
	mmu->gva_to_gpa = mode->gva_to_gpa;
	mmu->get_guest_pgd = test_get_guest_pgd;
	mmu->get_pdptr = test_get_pdptr;
	mmu->cpu_role.base.level = mode->levels;
	mmu->cpu_role.base.cr0_wp = 1;
	mmu->cpu_role.base.ad_disabled = mode->no_ad;
	mmu->cpu_role.base.has_4_byte_gpte = mode->fmt->bytes == 4;
	mmu->cpu_role.ext.cr4_pse = mode->fmt->pse36 && !mode->ps_off;
	mmu->pkru_mask = mode->fmt->pkey < 0 ? 0 : ~0u;
	test_fill_permissions(mmu);

	t->guest.fmt = mode->fmt;
	t->guest.levels = mode->levels;
	t->guest.pae = mode->pae;
	t->guest.ps_off = mode->ps_off;
	t->guest.has_ad = !mode->no_ad;
}

void walk_test_nest(struct walk_test *t)
{
	struct kvm_vcpu_arch *arch = &t->vcpu->arch;

	arch->mmu = &arch->guest_mmu;
	arch->walk_mmu = &arch->nested_mmu;
	arch->guest_mmu.gva_to_gpa = l1_gva_to_gpa;
}

void walk_test_load(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct gwo *guest = &t->guest;
	struct rsvd_bits_validate *rsvd = &t->mmu->guest_rsvd_check;

	gwo_randomize(guest, &t->rnd);
	KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)t->hva, guest->image,
					      GUEST_BYTES));

	t->vcpu->arch.cr3 = guest->root;
	t->vcpu->arch.pkru = guest->pkru;
	memcpy(t->mmu->pdptrs, guest->pdptr, sizeof(guest->pdptr));
	BUILD_BUG_ON(sizeof(rsvd->rsvd_bits_mask) != sizeof(guest->rsvd));
	memcpy(rsvd->rsvd_bits_mask, guest->rsvd, sizeof(guest->rsvd));
	rsvd->bad_mt_xwr = guest->bad_mt_xwr;
	t->mmu->cpu_role.base.efer_nx = guest->tells_fetch;
}

void walk_test_expect_memory(struct kunit *test)
{
	struct walk_test *t = test->priv;
	struct kvm_memory_slot *slot;
	int idx;

	KUNIT_ASSERT_EQ(test, 0, copy_from_user(t->copy, (void __user *)t->hva,
						GUEST_BYTES));
	KUNIT_EXPECT_MEMEQ(test, t->copy, t->guest.image, GUEST_BYTES);

	idx = srcu_read_lock(&t->kvm->srcu);
	slot = gfn_to_memslot(t->kvm, GWO_RAM);
	KUNIT_EXPECT_EQ(test, slot->dirty_bitmap[0], t->guest.dirty);
	slot->dirty_bitmap[0] = 0;
	srcu_read_unlock(&t->kvm->srcu, idx);
}
