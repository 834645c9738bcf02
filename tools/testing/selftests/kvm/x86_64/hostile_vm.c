// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/compiler.h>
#include <linux/init.h>

#include "hostile_vm.h"
#include "processor.h"
#include "test_util.h"

/*
 * Far below what mmap() chooses: call_change_memory() unmaps parts, and what is
 * mapped meanwhile, as a vCPU's kvm_run, must not come there.
 */
#define MEM_HINT	((void *)(1ul << 40))
#define LOG_SIZE	PAGES(256)
#define LOG_GUARD	(512ull << 20)	/* the log of any slot ends in it */

/* In guest memory */
#define PML4		PAGES(1)
#define PDPT		PAGES(2)
#define PD		PAGES(3)
#define STACK		PAGES(8)
#define CODE		PAGES(8)
#define GARBAGE		PAGES(16)
#define GARBAGE_SIZE	PAGES(16)
#define FIRST_ACCESS	PAGES(256)

struct hostile hostile;

uint64_t odd_gpa(struct guest_random_state *rng)
{
	if (chance(rng, 16))
		return odd_value(rng);
	if (chance(rng, 32))
		return PAGES(below(rng, 1024)) + below(rng, PAGE_BYTES);
	return PAGES(below(rng, chance(rng, 4) ? 64 : GUEST_SIZE / PAGE_BYTES));
}

void *odd_memory(struct guest_random_state *rng)
{
	if (chance(rng, 16))
		return (void *)odd_value(rng);
	return hostile.mem + PAGES(below(rng, MEM_SIZE / PAGE_BYTES));
}

int odd_event(struct guest_random_state *rng)
{
	if (chance(rng, 16))
		return chance(rng, 2) ? -1 : hostile.vm;
	return hostile.events[below(rng, NR_EVENTS)];
}

int odd_vcpu(struct guest_random_state *rng)
{
	return hostile.vcpus[below(rng, READ_ONCE(hostile.nr_vcpus))];
}

/*
 * Reads and writes words in an order that @x begins with.  It is copied to guest
 * memory, so it uses registers and the stack only.
 */
static void __section("hostile_code") __noreturn
hostile_guest(uint64_t x)
{
	uint64_t *word;

	for (;;) {
		x = x * 1103515245 + 12345;
		word = (uint64_t *)(FIRST_ACCESS + (x >> 20 & (GUEST_SIZE - 8)));
		if (x & 0x10000)
			WRITE_ONCE(*word, x);
		else
			(void)READ_ONCE(*word);
	}
}

/* The linker's, around the section that is the function above */
extern const uint8_t __start_hostile_code[], __stop_hostile_code[];

/* Tables that map the first GiB, the code, and bytes that are no code. */
static void fill_memory(struct guest_random_state *rng)
{
	uint64_t *pd = (uint64_t *)(hostile.mem + PD);
	uint32_t *garbage = (uint32_t *)(hostile.mem + GARBAGE);
	int i;

	*(uint64_t *)(hostile.mem + PML4) = PDPT | 0x7;
	*(uint64_t *)(hostile.mem + PDPT) = PD | 0x7;
	for (i = 0; i < 512; i++)
		pd[i] = (uint64_t)i << 21 | 0x87;
	memcpy(hostile.mem + CODE, hostile_guest,
	       __stop_hostile_code - __start_hostile_code);
	for (i = 0; i < GARBAGE_SIZE / 4; i++)
		garbage[i] = guest_random_u32(rng) << 1 ^ guest_random_u32(rng);
}

static int must(int r, const char *what)
{
	TEST_ASSERT(r >= 0, "%s: errno %d", what, errno);
	return r;
}

static void map_hostile_memory(void)
{
	hostile.mem = mmap(MEM_HINT, MEM_SIZE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	hostile.log = mmap(NULL, LOG_SIZE + LOG_GUARD, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	TEST_ASSERT(hostile.mem != MAP_FAILED && hostile.log != MAP_FAILED,
		    "mmap: errno %d", errno);
	must(mprotect(hostile.log, LOG_SIZE, PROT_READ | PROT_WRITE),
	     "mprotect");
}

void add_vcpu_file(int fd)
{
	unsigned int i = hostile.nr_vcpus;

	hostile.runs[i] = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
			       MAP_SHARED, fd, 0);
	TEST_ASSERT(hostile.runs[i] != MAP_FAILED, "mmap: errno %d", errno);
	hostile.vcpus[i] = fd;
	WRITE_ONCE(hostile.nr_vcpus, i + 1);
}

static void *map_ring(int fd)
{
	void *ring = mmap(NULL, RING_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
			  fd, PAGES(KVM_DIRTY_LOG_PAGE_OFFSET));

	TEST_ASSERT(ring != MAP_FAILED, "mmap: errno %d", errno);
	return ring;
}

/* SMM has slots of its own. */
static void create_slot_0(uint32_t as_id)
{
	struct kvm_userspace_memory_region region = {
		.slot = as_id << 16,
		.memory_size = MEM_SIZE / 2,
		.userspace_addr = (uintptr_t)hostile.mem,
	};

	must(ioctl(hostile.vm, KVM_SET_USER_MEMORY_REGION, &region), "slot 0");
}

static void create_memory(struct guest_random_state *rng)
{
	struct kvm_create_guest_memfd create = { .size = MEM_SIZE };

	map_hostile_memory();
	fill_memory(rng);
	create_slot_0(0);
	if (hostile.smm)
		create_slot_0(1);
	hostile.gmem = -1;
	if (hostile.protected_vm)
		hostile.gmem = must(ioctl(hostile.vm, KVM_CREATE_GUEST_MEMFD,
					  &create), "guest_memfd");
}

static void create_vcpus(bool ring)
{
	struct kvm_enable_cap enable = {
		.cap = KVM_CAP_DIRTY_LOG_RING,
		.args[0] = RING_BYTES,
	};
	int i;

	if (ring)
		must(ioctl(hostile.vm, KVM_ENABLE_CAP, &enable), "ring");
	for (i = 0; i < NR_VCPUS; i++) {
		add_vcpu_file(must(ioctl(hostile.vm, KVM_CREATE_VCPU, i),
				   "vCPU"));
		if (ring)
			hostile.rings[i] = map_ring(hostile.vcpus[i]);
	}
}

void create_hostile_vm(struct guest_random_state *rng)
{
	const bool can_protect = kvm_check_cap(KVM_CAP_VM_TYPES) &
				 BIT(KVM_X86_SW_PROTECTED_VM);
	int kvm = open_kvm_dev_path_or_exit();
	int i;

	hostile.protected_vm = can_protect && chance(rng, 2);
	hostile.smm = !hostile.protected_vm && chance(rng, 3);
	hostile.irqchip = chance(rng, 2);
	hostile.nr_slots = kvm_check_cap(KVM_CAP_NR_MEMSLOTS);
	hostile.cpuid = kvm_get_supported_cpuid();
	hostile.vm = must(ioctl(kvm, KVM_CREATE_VM, hostile.protected_vm ?
				KVM_X86_SW_PROTECTED_VM : 0), "VM");
	close(kvm);
	create_memory(rng);
	for (i = 0; i < NR_EVENTS; i++)
		hostile.events[i] = must(eventfd(0, EFD_NONBLOCK), "eventfd");
	if (hostile.irqchip)
		must(ioctl(hostile.vm, KVM_CREATE_IRQCHIP, 0), "irqchip");
	create_vcpus(chance(rng, 3));
}

static struct kvm_segment flat_segment(int type, bool code)
{
	return (struct kvm_segment) {
		.limit = -1, .selector = code ? 8 : 16, .type = type,
		.present = 1, .s = 1, .g = 1, .l = code, .db = !code,
	};
}

static void set_long_mode(struct kvm_sregs *sregs)
{
	sregs->cs = flat_segment(11, true);
	sregs->ds = flat_segment(3, false);
	sregs->es = sregs->ds;
	sregs->fs = sregs->ds;
	sregs->gs = sregs->ds;
	sregs->ss = sregs->ds;
	sregs->cr0 = X86_CR0_PE | X86_CR0_PG | X86_CR0_ET | X86_CR0_NE;
	sregs->cr3 = PML4;
	sregs->cr4 = X86_CR4_PAE;
	sregs->efer = EFER_LME | EFER_LMA;
}

void reset_vcpu(int fd, struct guest_random_state *rng)
{
	struct kvm_regs regs = {
		.rip = CODE, .rsp = STACK - 8, .rflags = 2,
		.rdi = guest_random_u64(rng),
	};
	struct kvm_mp_state runnable = { KVM_MP_STATE_RUNNABLE };
	struct kvm_sregs sregs;

	if (ioctl(fd, KVM_GET_SREGS, &sregs))
		return;
	set_long_mode(&sregs);
	ioctl(fd, KVM_SET_SREGS, &sregs);
	ioctl(fd, KVM_SET_REGS, &regs);
	ioctl(fd, KVM_SET_MP_STATE, &runnable);
}

void derail_vcpu(int fd, struct guest_random_state *rng)
{
	struct kvm_regs regs;

	if (ioctl(fd, KVM_GET_REGS, &regs))
		return;
	regs.rip = GARBAGE + below(rng, GARBAGE_SIZE);
	regs.rbx = guest_random_u64(rng);
	regs.rax = odd_gpa(rng);
	regs.rsi = odd_gpa(rng);
	regs.rdi = odd_gpa(rng);
	ioctl(fd, KVM_SET_REGS, &regs);
}
