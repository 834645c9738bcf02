// SPDX-License-Identifier: GPL-2.0
/* A small VM on the bare KVM API. */
#include <err.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "vm.h"

#define PTE_PRESENT	0x001
#define PTE_WRITABLE	0x002
#define PTE_USER	0x004
#define PTE_ACCESSED	0x020
#define PTE_DIRTY	0x040
#define PTE_LARGE	0x080
/* Nested page tables need the user bit. */
#define PTE_TABLE	(PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED)
#define PTE_PAGE	(PTE_TABLE | PTE_DIRTY)
#define PTES		512

#define CR0_PE		0x00000001
#define CR0_NE		0x00000020
#define CR0_WP		0x00010000
#define CR0_PG		0x80000000
#define CR4_PAE		0x00000020
#define EFER_LME	0x00000100
#define EFER_LMA	0x00000400
#define RFLAGS_FIXED	0x00000002

#define CPUID_ENTRIES	256

static int vm_ioctl(int fd, unsigned long request, void *argument,
		    const char *what)
{
	int result = ioctl(fd, request, argument);

	if (result < 0)
		err(EXIT_FAILURE, "%s", what);
	return result;
}

void vm_set_slot(struct vm *vm, uint32_t slot, uint32_t flags, uint64_t gpa,
		 uint64_t size, void *memory)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)memory,
	};

	vm_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region, "set slot");
}

void vm_get_dirty_log(struct vm *vm, uint32_t slot, void *bitmap)
{
	struct kvm_dirty_log log = {
		.slot = slot,
		.dirty_bitmap = bitmap,
	};

	vm_ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log, "get dirty log");
}

void vm_clear_dirty_log(struct vm *vm, uint32_t slot, uint32_t pages,
			void *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = slot,
		.num_pages = pages,
		.dirty_bitmap = bitmap,
	};

	vm_ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &log, "clear dirty log");
}

void vm_set_manual_log(struct vm *vm, uint64_t flags)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
		.args = { flags },
	};

	vm_ioctl(vm->fd, KVM_ENABLE_CAP, &cap, "manual dirty log");
}

int vm_add_ioeventfd(struct vm *vm, uint64_t gpa)
{
	struct kvm_ioeventfd event = {
		.addr = gpa,
		.len = 4,
		.fd = eventfd(0, 0),
	};

	if (event.fd < 0)
		err(EXIT_FAILURE, "eventfd");
	vm_ioctl(vm->fd, KVM_IOEVENTFD, &event, "add ioeventfd");
	return event.fd;
}

/* Entries of consecutive tables that map from @addr on, @size at a time. */
static void map(struct vm *vm, uint64_t table, uint64_t entries,
		uint64_t addr, uint64_t size, uint64_t bits)
{
	uint64_t *entry = (uint64_t *)(vm->system + table);
	uint64_t i;

	for (i = 0; i < entries; i++)
		entry[i] = (addr + i * size) | bits;
}

static void map_large(struct vm *vm)
{
	map(vm, LARGE_PML4, 1, LARGE_PDPT, 0, PTE_TABLE);
	map(vm, LARGE_PDPT, 4, LARGE_PD, PAGE_4K, PTE_TABLE);
	map(vm, LARGE_PD, 4 * PTES, 0, PAGE_2M, PTE_PAGE | PTE_LARGE);
}

static void map_huge(struct vm *vm)
{
	map(vm, HUGE_PML4, 1, HUGE_PDPT, 0, PTE_TABLE);
	map(vm, HUGE_PDPT, 4, 0, GIB(1), PTE_PAGE | PTE_LARGE);
}

static void map_small(struct vm *vm)
{
	map(vm, SMALL_PML4, 1, SMALL_PDPT, 0, PTE_TABLE);
	map(vm, OTHER_PML4, 1, SMALL_PDPT, 0, PTE_TABLE);
	map(vm, SMALL_PDPT, 4, LARGE_PD, PAGE_4K, PTE_TABLE);
	map(vm, SMALL_PDPT + MEMORY / GIB(1) * sizeof(uint64_t), 1, SMALL_PD,
	    0, PTE_TABLE);
	map(vm, SMALL_PD, MEMORY_SIZE / PAGE_2M, SMALL_PT, PAGE_4K, PTE_TABLE);
	map(vm, SMALL_PT, MEMORY_SIZE / PAGE_4K, MEMORY, PAGE_4K, PTE_PAGE);
}

void vm_prepare(struct vm *vm)
{
	*vm = (struct vm) {};
	vm->system = mmap(NULL, SYSTEM_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (vm->system == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the system slot");
	memcpy(vm->system + GUEST_CODE, __start_guest_code,
	       __stop_guest_code - __start_guest_code);
	map_large(vm);
	map_small(vm);
	map_huge(vm);
}

void vm_add_system(struct vm *vm)
{
	vm_set_slot(vm, SLOT_SYSTEM, 0, 0, SYSTEM_SIZE, vm->system);
}

static void set_cpuid(struct vm *vm, struct vcpu *vcpu)
{
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) +
		       CPUID_ENTRIES * sizeof(cpuid->entries[0]));
	if (!cpuid)
		err(EXIT_FAILURE, "calloc");
	cpuid->nent = CPUID_ENTRIES;
	vm_ioctl(vm->kvm, KVM_GET_SUPPORTED_CPUID, cpuid, "get CPUID");
	vm_ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid, "set CPUID");
	free(cpuid);
}

static struct kvm_segment flat_segment(int is_code)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff,
		.selector = is_code ? 0x8 : 0x10,
		.type = is_code ? 0xb : 0x3,
		.present = 1,
		.s = 1,
		.l = is_code,
		.db = !is_code,
		.g = 1,
	};
}

static void set_sregs(struct vcpu *vcpu)
{
	struct kvm_sregs sregs;

	vm_ioctl(vcpu->fd, KVM_GET_SREGS, &sregs, "get sregs");
	sregs.cs = flat_segment(1);
	sregs.ds = flat_segment(0);
	sregs.es = sregs.ds;
	sregs.ss = sregs.ds;
	sregs.cr0 = CR0_PE | CR0_NE | CR0_WP | CR0_PG;
	sregs.cr3 = LARGE_PML4;
	sregs.cr4 = CR4_PAE;
	sregs.efer = EFER_LME | EFER_LMA;
	vm_ioctl(vcpu->fd, KVM_SET_SREGS, &sregs, "set sregs");
}

/* As if guest_main() had just been called. */
static void set_regs(struct vcpu *vcpu, int index)
{
	struct kvm_regs regs = {
		.rip = GUEST_CODE +
		       ((char *)guest_main - __start_guest_code),
		.rsp = GUEST_STACK(index) - 8,
		.rdi = GUEST_JOB(index),
		.rflags = RFLAGS_FIXED,
	};

	vm_ioctl(vcpu->fd, KVM_SET_REGS, &regs, "set regs");
}

/* With an irqchip, vCPUs but the first wait for an interrupt otherwise. */
static void set_runnable(struct vcpu *vcpu)
{
	struct kvm_mp_state state = { .mp_state = KVM_MP_STATE_RUNNABLE };

	vm_ioctl(vcpu->fd, KVM_SET_MP_STATE, &state, "set MP state");
}

void vm_add_vcpu(struct vm *vm)
{
	int index = vm->vcpu_count++;
	struct vcpu *vcpu = &vm->vcpus[index];

	vcpu->fd = vm_ioctl(vm->fd, KVM_CREATE_VCPU, (void *)(long)index,
			    "create vCPU");
	vcpu->run_size = vm_ioctl(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, NULL,
				  "get mmap size");
	vcpu->run = mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE,
			 MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED)
		err(EXIT_FAILURE, "mmap of the vCPU");
	vcpu->job = (struct guest_job *)(vm->system + GUEST_JOB(index));
	set_cpuid(vm, vcpu);
	set_sregs(vcpu);
	set_regs(vcpu, index);
	set_runnable(vcpu);
}

void vm_add_irqchip(struct vm *vm)
{
	vm_ioctl(vm->fd, KVM_CREATE_IRQCHIP, NULL, "create irqchip");
}

void vm_add_pit(struct vm *vm)
{
	struct kvm_pit_config pit = {};

	vm_ioctl(vm->fd, KVM_CREATE_PIT2, &pit, "create PIT");
}

void vm_destroy(struct vm *vm)
{
	int i;

	for (i = 0; i < vm->vcpu_count; i++) {
		munmap(vm->vcpus[i].run, vm->vcpus[i].run_size);
		close(vm->vcpus[i].fd);
	}
	close(vm->fd);
}

void vm_free(struct vm *vm)
{
	munmap(vm->system, SYSTEM_SIZE);
	close(vm->kvm);
}

void vm_set_root(struct vm *vm, uint64_t root)
{
	struct kvm_sregs sregs;

	vm_ioctl(vm->vcpus->fd, KVM_GET_SREGS, &sregs, "get sregs");
	sregs.cr3 = root;
	vm_ioctl(vm->vcpus->fd, KVM_SET_SREGS, &sregs, "set sregs");
}

void vcpu_start(struct vcpu *vcpu, struct guest_job job)
{
	*vcpu->job = job;
}

void vcpu_exit(struct vcpu *vcpu, uint32_t reason)
{
	if (ioctl(vcpu->fd, KVM_RUN, NULL))
		err(EXIT_FAILURE, "KVM_RUN");
	if (vcpu->run->exit_reason != reason)
		errx(EXIT_FAILURE, "exit reason %u instead of %u",
		     vcpu->run->exit_reason, reason);
}

void vcpu_finish(struct vcpu *vcpu)
{
	vcpu_exit(vcpu, KVM_EXIT_IO);
	if (vcpu->run->io.port != PORT_DONE)
		errx(EXIT_FAILURE, "the guest writes to port %#x",
		     vcpu->run->io.port);
}

void vm_do(struct vm *vm, struct guest_job job)
{
	vcpu_start(vm->vcpus, job);
	vcpu_finish(vm->vcpus);
}

/* Nothing happens for the first time after this. */
static void warm_up(struct vm *vm)
{
	struct guest_job job = {
		.op = GUEST_WRITE,
		.addr = GUEST_STACK(0) - PAGE_4K,
		.count = 1,
	};

	vm_do(vm, job);
	vm_do(vm, job);
}

void vm_open(struct vm *vm)
{
	vm->kvm = open("/dev/kvm", O_RDWR);
	if (vm->kvm < 0)
		err(EXIT_FAILURE, "/dev/kvm");
	vm->fd = vm_ioctl(vm->kvm, KVM_CREATE_VM, NULL, "create VM");
}

void vm_create(struct vm *vm)
{
	vm_prepare(vm);
	vm_open(vm);
	vm_add_system(vm);
	vm_add_vcpu(vm);
	warm_up(vm);
}
