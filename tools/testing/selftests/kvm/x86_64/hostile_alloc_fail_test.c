// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory runs out in each place of each call: the first allocation fails, then
 * the second one, and so on, until the call no longer meets a failure.
 *
 * A call that fails says ENOMEM, or what its row allows beside it, and leaves
 * the VM as it was: the guest reads every page of the old slots, the dirty log
 * is exact (hostile_scene.h), and the same call succeeds when there is memory.
 * One that succeeds all the same has done its work.  In the end nothing has
 * leaked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hostile_faults.h"
#include "hostile_leak.h"
#include "hostile_scene.h"
#include "kvm_util.h"
#include "test_util.h"

#define MAX_NTH		4000	/* no call has that many allocations */
#define QUICK_NTH	16	/* with -q: all until this one, then some */
#define QUICK_STEP	16
#define EVENT_GPA	(SCENE_GPA + SCENE_PAGE(SCENE_PAGES + 8))

static struct scene scene;
static struct {
	int kvm, fail_nth;
	int file;		/* what a call created */
	int bare_vm;		/* without vCPUs; -1 if there is none */
	int event;
	bool quick;
	unsigned int injected, failures;
} test;

struct row {
	const char *name;
	void (*before)(void);	/* each attempt */
	int (*call)(void);
	void (*undo)(void);	/* a call that succeeded */
	int error;		/* beside ENOMEM */
	long cap, mask;		/* what KVM must have */
};

static void must(int r, const char *what)
{
	TEST_ASSERT(r >= 0, "%s: errno %d", what, errno);
}

/* Slots */

static int set_subject(struct scene_slot slot)
{
	return scene_set(&scene, SUBJECT, &slot);
}

static int call_create(void)
{
	return set_subject(scene_slots[SUBJECT]);
}

static int call_create_logged(void)
{
	struct scene_slot slot = scene_slots[SUBJECT];

	slot.flags = KVM_MEM_LOG_DIRTY_PAGES;
	return set_subject(slot);
}

static int call_delete(void)
{
	return set_subject((struct scene_slot) {});
}

static int call_move(void)
{
	struct scene_slot slot = scene_slots[SUBJECT];

	slot.first += 5;
	return set_subject(slot);
}

static void restore_subject(void)
{
	must(call_create(), "SUBJECT");
}

static void delete_subject(void)
{
	must(call_delete(), "delete SUBJECT");
}

static void log_subject(void)
{
	must(call_create_logged(), "log SUBJECT");
}

static void start_deleted(void)
{
	if (scene.slots[SUBJECT].pages)
		delete_subject();
}

/* Logs */

static int call_get_log(void)
{
	uint64_t bitmap;
	struct kvm_dirty_log log = {
		.slot = SCENE_FIRST_ID + LOGGED,
		.dirty_bitmap = &bitmap,
	};
	int r = ioctl(scene.vm->fd, KVM_GET_DIRTY_LOG, &log);

	if (!r)
		scene.written = 0;
	return r;
}

static int call_clear_log(void)
{
	uint64_t bitmap = ~0ull;
	struct kvm_clear_dirty_log log = {
		.slot = SCENE_FIRST_ID + LOGGED,
		.num_pages = scene_slots[LOGGED].pages,
		.dirty_bitmap = &bitmap,
	};
	int r = ioctl(scene.vm->fd, KVM_CLEAR_DIRTY_LOG, &log);

	if (!r)
		scene.written = 0;
	return r;
}

/* The vCPU: all its mappings are new each time, and in a new VM all else is. */

static void new_scene(void)
{
	scene_free(&scene);
	scene_create(&scene);
}

static void unmap_memory(void)
{
	must(madvise(scene.mem, SCENE_PAGE(SCENE_HOST_PAGES), MADV_DONTNEED),
	     "madvise");
	scene_fill(&scene);
}

static int call_run(void)
{
	do {
		if (scene_run_once(&scene))
			return -1;
	} while (scene.vcpu->run->exit_reason == KVM_EXIT_MMIO);
	return 0;
}

static int call_pre_fault(void)
{
	struct kvm_pre_fault_memory range = {
		.gpa = SCENE_GPA,
		.size = SCENE_PAGE(scene_slots[PLAIN].pages),
	};

	return ioctl(scene.vcpu->fd, KVM_PRE_FAULT_MEMORY, &range);
}

static int call_sregs(void)
{
	struct kvm_sregs sregs;

	return ioctl(scene.vcpu->fd, KVM_GET_SREGS, &sregs) ?:
	       ioctl(scene.vcpu->fd, KVM_SET_SREGS, &sregs);
}

static int call_sregs2(void)
{
	struct kvm_sregs2 sregs;

	return ioctl(scene.vcpu->fd, KVM_GET_SREGS2, &sregs) ?:
	       ioctl(scene.vcpu->fd, KVM_SET_SREGS2, &sregs);
}

static int call_cpuid(void)
{
	return ioctl(scene.vcpu->fd, KVM_SET_CPUID2, scene.vcpu->cpuid);
}

/* Files */

static void close_file(void)
{
	close(test.file);
}

static int call_create_vm(void)
{
	test.file = ioctl(test.kvm, KVM_CREATE_VM, 0);
	return test.file;
}

static void new_vm(unsigned long type)
{
	if (test.bare_vm >= 0)
		close(test.bare_vm);
	test.bare_vm = ioctl(test.kvm, KVM_CREATE_VM, type);
	must(test.bare_vm, "KVM_CREATE_VM");
}

static void new_bare_vm(void)
{
	new_vm(0);
}

static void new_bare_vm_with_ring(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_DIRTY_LOG_RING,
		.args[0] = 4096 * 4,
	};

	new_bare_vm();
	must(ioctl(test.bare_vm, KVM_ENABLE_CAP, &cap), "dirty ring");
}

static void new_bare_vm_with_irqchip(void)
{
	new_bare_vm();
	must(ioctl(test.bare_vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
}

static int call_create_vcpu(void)
{
	test.file = ioctl(test.bare_vm, KVM_CREATE_VCPU, 0);
	return test.file;
}

static int call_irqchip(void)
{
	return ioctl(test.bare_vm, KVM_CREATE_IRQCHIP, 0);
}

static int call_pit(void)
{
	struct kvm_pit_config config = {};

	return ioctl(test.bare_vm, KVM_CREATE_PIT2, &config);
}

static int call_split_irqchip(void)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args[0] = 24,
	};

	return ioctl(test.bare_vm, KVM_ENABLE_CAP, &cap);
}

static int call_vm_stats(void)
{
	test.file = ioctl(scene.vm->fd, KVM_GET_STATS_FD, NULL);
	return test.file;
}

static int call_vcpu_stats(void)
{
	test.file = ioctl(scene.vcpu->fd, KVM_GET_STATS_FD, NULL);
	return test.file;
}

/* Private memory, in a VM of its own */

static void new_protected_vm(void)
{
	new_vm(KVM_X86_SW_PROTECTED_VM);
}

static void new_protected_vm_with_file(void)
{
	struct kvm_create_guest_memfd create = { .size = SCENE_PAGE(8) };

	new_protected_vm();
	test.file = ioctl(test.bare_vm, KVM_CREATE_GUEST_MEMFD, &create);
	must(test.file, "KVM_CREATE_GUEST_MEMFD");
}

static int call_guest_memfd(void)
{
	struct kvm_create_guest_memfd create = { .size = SCENE_PAGE(8) };

	test.file = ioctl(test.bare_vm, KVM_CREATE_GUEST_MEMFD, &create);
	return test.file;
}

static int call_bind(void)
{
	struct kvm_userspace_memory_region2 region = {
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = SCENE_GPA,
		.memory_size = SCENE_PAGE(8),
		.userspace_addr = (uintptr_t)scene.mem,
		.guest_memfd = test.file,
	};

	return ioctl(test.bare_vm, KVM_SET_USER_MEMORY_REGION2, &region);
}

static int call_attributes(void)
{
	struct kvm_memory_attributes attributes = {
		.address = SCENE_GPA,
		.size = SCENE_PAGE(512),
		.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
	};

	return ioctl(test.bare_vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes);
}

/* I/O */

static struct kvm_coalesced_mmio_zone zone = { .addr = EVENT_GPA, .size = 8 };

static int call_register_zone(void)
{
	return ioctl(scene.vm->fd, KVM_REGISTER_COALESCED_MMIO, &zone);
}

static void unregister_zone(void)
{
	must(ioctl(scene.vm->fd, KVM_UNREGISTER_COALESCED_MMIO, &zone), "zone");
}

/* In a VM of its own, as its bus is lost when there is no memory for less. */
static void new_bare_vm_with_zone(void)
{
	new_bare_vm();
	must(ioctl(test.bare_vm, KVM_REGISTER_COALESCED_MMIO, &zone), "zone");
}

static int call_unregister_zone(void)
{
	return ioctl(test.bare_vm, KVM_UNREGISTER_COALESCED_MMIO, &zone);
}

static int ioeventfd(int vm, uint32_t flags)
{
	struct kvm_ioeventfd event = {
		.addr = EVENT_GPA + 64, .len = 4, .fd = test.event,
		.flags = flags,
	};

	return ioctl(vm, KVM_IOEVENTFD, &event);
}

static int call_ioeventfd(void)
{
	return ioeventfd(scene.vm->fd, 0);
}

static void remove_ioeventfd(void)
{
	must(ioeventfd(scene.vm->fd, KVM_IOEVENTFD_FLAG_DEASSIGN), "ioeventfd");
}

static void new_bare_vm_with_ioeventfd(void)
{
	new_bare_vm();
	must(ioeventfd(test.bare_vm, 0), "ioeventfd");
}

static int call_remove_ioeventfd(void)
{
	return ioeventfd(test.bare_vm, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static int call_irqfd(void)
{
	struct kvm_irqfd irqfd = { .fd = test.event, .gsi = 5 };

	return ioctl(test.bare_vm, KVM_IRQFD, &irqfd);
}

static int call_routing(void)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry entry;
	} routing = {
		.head.nr = 1,
		.entry = { .gsi = 1, .type = KVM_IRQ_ROUTING_MSI },
	};

	return ioctl(test.bare_vm, KVM_SET_GSI_ROUTING, &routing);
}

static const struct row rows[] = {
	{ "create a slot", start_deleted, call_create, delete_subject },
	{ "create a logged slot", start_deleted, call_create_logged,
	  delete_subject },
	{ "delete a slot", restore_subject, call_delete, restore_subject },
	{ "move a slot", NULL, call_move, restore_subject },
	{ "log a slot", NULL, call_create_logged, restore_subject },
	{ "end the log of a slot", log_subject, call_create, NULL },
	{ "KVM_GET_DIRTY_LOG", NULL, call_get_log },
	{ "KVM_CLEAR_DIRTY_LOG", NULL, call_clear_log },
	{ "KVM_RUN in a new VM", new_scene, call_run, NULL, EFAULT },
	{ "KVM_RUN", unmap_memory, call_run, NULL, EFAULT },
	{ "KVM_PRE_FAULT_MEMORY", unmap_memory, call_pre_fault, NULL, EFAULT,
	  KVM_CAP_PRE_FAULT_MEMORY, 1 },
	{ "KVM_SET_SREGS", NULL, call_sregs },
	{ "KVM_SET_SREGS2", NULL, call_sregs2 },
	{ "KVM_SET_CPUID2", NULL, call_cpuid },
	{ "KVM_CREATE_VM", NULL, call_create_vm, close_file },
	{ "KVM_CREATE_VCPU", new_bare_vm, call_create_vcpu, close_file },
	{ "KVM_CREATE_VCPU with a ring", new_bare_vm_with_ring, call_create_vcpu,
	  close_file },
	{ "KVM_CREATE_VCPU with an irqchip", new_bare_vm_with_irqchip,
	  call_create_vcpu, close_file },
	{ "KVM_CREATE_IRQCHIP", new_bare_vm, call_irqchip },
	{ "KVM_CREATE_PIT2", new_bare_vm_with_irqchip, call_pit },
	{ "KVM_CAP_SPLIT_IRQCHIP", new_bare_vm, call_split_irqchip },
	{ "KVM_GET_STATS_FD of a VM", NULL, call_vm_stats, close_file },
	{ "KVM_GET_STATS_FD of a vCPU", NULL, call_vcpu_stats, close_file },
	{ "KVM_CREATE_GUEST_MEMFD", new_protected_vm, call_guest_memfd,
	  close_file, 0, KVM_CAP_VM_TYPES, BIT(KVM_X86_SW_PROTECTED_VM) },
	{ "bind guest_memfd", new_protected_vm_with_file, call_bind,
	  close_file, 0, KVM_CAP_VM_TYPES, BIT(KVM_X86_SW_PROTECTED_VM) },
	{ "KVM_SET_MEMORY_ATTRIBUTES", new_protected_vm, call_attributes, NULL,
	  0, KVM_CAP_VM_TYPES, BIT(KVM_X86_SW_PROTECTED_VM) },
	{ "KVM_REGISTER_COALESCED_MMIO", NULL, call_register_zone,
	  unregister_zone },
	{ "KVM_UNREGISTER_COALESCED_MMIO", new_bare_vm_with_zone,
	  call_unregister_zone },
	{ "KVM_IOEVENTFD", NULL, call_ioeventfd, remove_ioeventfd },
	{ "KVM_IOEVENTFD, deassign", new_bare_vm_with_ioeventfd,
	  call_remove_ioeventfd },
	{ "KVM_IRQFD", new_bare_vm_with_irqchip, call_irqfd },
	{ "KVM_SET_GSI_ROUTING", new_bare_vm_with_irqchip, call_routing },
};

static void judge(const struct row *row, unsigned int nth, int r, int error)
{
	if (r >= 0) {
		scene_check(&scene);
		return;
	}
	TEST_ASSERT(error == ENOMEM || error == row->error,
		    "%s, allocation %u fails: errno %d (%s)", row->name, nth,
		    error, strerror(error));
	test.failures++;
	scene_check(&scene);
	r = row->call();
	TEST_ASSERT(r >= 0, "%s after a failure in allocation %u: errno %d",
		    row->name, nth, errno);
}

/* Returns whether there was an nth allocation, which then has failed. */
static bool try_row(const struct row *row, unsigned int nth)
{
	bool injected;
	int r, error;

	if (row->before)
		row->before();
	set_fail_nth(test.fail_nth, nth);
	r = row->call();
	error = errno;
	injected = end_fail_nth(test.fail_nth);
	test.injected += injected;

	TEST_ASSERT(injected || r >= 0, "%s: errno %d", row->name, error);
	judge(row, nth, r, error);
	if (row->undo)
		row->undo();
	return injected;
}

static void run_row(const struct row *row)
{
	const unsigned int injected = test.injected, failures = test.failures;
	unsigned int nth = 1;

	if (row->cap && !(kvm_check_cap(row->cap) & row->mask)) {
		pr_info("SKIP: %s: KVM does not have it\n", row->name);
		return;
	}
	while (try_row(row, nth)) {
		nth += test.quick && nth >= QUICK_NTH ? QUICK_STEP : 1;
		TEST_ASSERT(nth < MAX_NTH, "%s: no end", row->name);
	}
	restore_subject();
	pr_info("%-36s allocations failed: %3u, errors: %3u\n", row->name,
		test.injected - injected, test.failures - failures);
}

static void no_rows(void)
{
	scene_check(&scene);
}

static void all_rows(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++)
		run_row(&rows[i]);
	scene_check(&scene);
	if (test.bare_vm >= 0)
		close(test.bare_vm);
}

static void in_scene(void (*run)(void))
{
	scene_create(&scene);
	run();
	scene_free(&scene);
}

static void parse_options(int argc, char *argv[])
{
	int opt;

	while ((opt = getopt(argc, argv, "qh")) != -1) {
		if (opt != 'q') {
			printf("usage: %s [-q]\n"
			       " -q: quick, of many allocations some\n", argv[0]);
			exit(KSFT_SKIP);
		}
		test.quick = true;
	}
}

int main(int argc, char *argv[])
{
	parse_options(argc, argv);
	__TEST_REQUIRE(faults_init(), "this kernel cannot let allocations fail");
	test.kvm = open_kvm_dev_path_or_exit();
	test.event = eventfd(0, 0);
	must(test.event, "eventfd");
	test.bare_vm = -1;
	test.fail_nth = faults_open();
	must(test.fail_nth, "fail-nth");

	/* What is allocated once and for all, is before the counts. */
	in_scene(no_rows);
	leak_start();
	in_scene(all_rows);
	TEST_ASSERT(test.failures, "no call has failed");
	pr_info("allocations failed: %u, errors: %u\n", test.injected,
		test.failures);
	leak_check();
	return KSFT_PASS;
}
