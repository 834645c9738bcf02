// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs: found by their ids, and moved from thread to thread.
 *
 * They are bare structures in a VM that has nothing else, and never run.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/pid.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>

#include "../kvm_core.h"

#define NR_VCPUS	48

/* An odd factor: no two vCPUs have the same id, and the bits are mixed. */
#define ID_FACTOR	37
#define NR_IDS		4096

struct vcpu_vm {
	struct kvm *kvm;
	struct kvm_vcpu *vcpu[NR_VCPUS];
};

KUNIT_DEFINE_ACTION_WRAPPER(kvfree_action, kvfree, const void *);
KUNIT_DEFINE_ACTION_WRAPPER(xa_destroy_action, xa_destroy, struct xarray *);

static void *alloc_for(struct kunit *test, size_t size)
{
	void *p = kvzalloc(size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, kvfree_action, p));
	return p;
}

static struct vcpu_vm *create(struct kunit *test)
{
	struct vcpu_vm *vm = alloc_for(test, sizeof(*vm));

	vm->kvm = alloc_for(test, sizeof(*vm->kvm));
	xa_init(&vm->kvm->vcpu_array);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, xa_destroy_action,
							   &vm->kvm->vcpu_array));
	return vm;
}

/* As kvm_vcpu_set_online(). */
static void add(struct kunit *test, struct vcpu_vm *vm, int id)
{
	const int idx = atomic_read(&vm->kvm->online_vcpus);
	struct kvm_vcpu *vcpu = alloc_for(test, sizeof(*vcpu));

	vm->vcpu[idx] = vcpu;
	vcpu->kvm = vm->kvm;
	vcpu->vcpu_id = id;
	vcpu->vcpu_idx = idx;
	mutex_init(&vcpu->mutex);
	rwlock_init(&vcpu->pid_lock);
	KUNIT_ASSERT_EQ(test, 0, xa_err(xa_store(&vm->kvm->vcpu_array, idx, vcpu,
						 GFP_KERNEL)));
	atomic_inc(&vm->kvm->online_vcpus);
	kvm_vcpu_link_id(vm->kvm, vcpu);
}

/* How many ids do not lead to the vCPU that has them, or to none. */
static int wrong_ids(struct vcpu_vm *vm)
{
	const int nr = atomic_read(&vm->kvm->online_vcpus);
	int id, i, wrong = 0;

	for (id = -2; id < NR_IDS; id++) {
		for (i = 0; i < nr && vm->vcpu[i]->vcpu_id != id; i++)
			;
		wrong += kvm_get_vcpu_by_id(vm->kvm, id) !=
			 (i < nr ? vm->vcpu[i] : NULL);
	}
	return wrong;
}

/* From the first to the last, each is found once it is there, and nothing else. */
static void vcpu_ids(struct kunit *test)
{
	struct vcpu_vm *vm = create(test);
	int i;

	KUNIT_EXPECT_EQ(test, wrong_ids(vm), 0);
	for (i = 0; i < NR_VCPUS; i++) {
		add(test, vm, i * ID_FACTOR % NR_IDS);
		KUNIT_EXPECT_EQ(test, wrong_ids(vm), 0);
	}
}

static int depth_of(const struct kvm_id_node *node)
{
	return node ? 1 + max(depth_of(node->below[0]), depth_of(node->below[1])) : 0;
}

/* In the order that a VMM takes, no look-up takes many steps. */
static void vcpu_id_depth(struct kunit *test)
{
	struct vcpu_vm *vm = create(test);
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		add(test, vm, NR_VCPUS - i);
	KUNIT_EXPECT_EQ(test, wrong_ids(vm), 0);
	KUNIT_EXPECT_LE(test, depth_of(&vm->vcpu[0]->id_node),
			ilog2(NR_VCPUS) + 2);
}

static void follow(struct kunit *test, struct kvm_vcpu *vcpu)
{
	mutex_lock(&vcpu->mutex);
	KUNIT_EXPECT_EQ(test, kvm_vcpu_follow_task(vcpu), 0);
	mutex_unlock(&vcpu->mutex);
}

/*
 * The vCPU was run by another thread before.  A grace period may end meanwhile by
 * chance, but not each time.
 */
static void vcpu_changes_thread(struct kunit *test)
{
	struct vcpu_vm *vm = create(test);
	struct kvm_vcpu *vcpu;
	unsigned long state;
	bool waited = true;
	int i;

	add(test, vm, 0);
	vcpu = vm->vcpu[0];
	for (i = 0; i < 8 && waited; i++) {
		put_pid(vcpu->pid);
		vcpu->pid = find_get_pid(1);
		state = get_state_synchronize_rcu();
		follow(test, vcpu);
		waited = poll_state_synchronize_rcu(state);
	}
	KUNIT_EXPECT_FALSE(test, waited);
	KUNIT_EXPECT_PTR_EQ(test, vcpu->pid, task_pid(current));

	follow(test, vcpu);
	KUNIT_EXPECT_PTR_EQ(test, vcpu->pid, task_pid(current));
	put_pid(vcpu->pid);
}

static struct kunit_case vcpu_cases[] = {
	KUNIT_CASE(vcpu_ids),
	KUNIT_CASE(vcpu_id_depth),
	KUNIT_CASE(vcpu_changes_thread),
	{}
};

static struct kunit_suite vcpu_suite = {
	.name = "kvm_vcpu",
	.test_cases = vcpu_cases,
};

kunit_test_suite(vcpu_suite);
