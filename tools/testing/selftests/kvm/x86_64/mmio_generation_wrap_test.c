// SPDX-License-Identifier: GPL-2.0-only
/*
 * An MMIO SPTE must not come back to life when the memslot generation wraps.
 *
 * An MMIO SPTE stores only a part of the generation, so after enough changes
 * the current generation looks like the one under which an old MMIO SPTE was
 * made.  The guest touches one page for each power of two while it is MMIO,
 * and then leaves these pages alone.  A slot is created at page k by exactly
 * the 2^k-th installation of a set of slots from there on.  If KVM stored k
 * bits of a counter of installations and did not drop its MMIO SPTEs at the
 * wrap, the one of page k would match again, and the guest's next access would
 * exit as MMIO although there is memory.
 *
 * In between, dirty logging of an unrelated slot is toggled: one installation
 * each, and nothing is zapped.  x86 stores enough of the generation for 2^18
 * installations.  They take a minute or more, so only -f (full) goes that far,
 * and the default stops at 2^12.
 *
 * With direct paging, KVM takes away the MMIO SPTEs of gfns that get memory, and
 * the generation does not matter.
 *
 * Breaks of KVM that make this test fail: with shadow paging, fewer bits in the
 * comparison of mmio_spte_current() than kvm_mmu_invalidate_mmio_sptes() assumes,
 * or, with -f, no zap of MMIO SPTEs in the latter (page 18); with direct paging, no
 * zap of those that have become wrong.
 */
#include <getopt.h>
#include <sys/mman.h>

#include "kvm_util.h"
#include "mmio_run.h"
#include "mmio_stats.h"
#include "processor.h"
#include "test_util.h"

#define PAGE_BYTES	4096ull
#define GPA		0xc0000000ull
#define OTHER_GPA	0xb0000000ull
#define OTHER_SLOT	100
#define FIRST_SLOT	10
#define MAX_POWER	18
#define DEFAULT_POWER	12

#define MEM_VALUE	0x4d454dull

static struct {
	uint64_t first, nr;	/* pages to read */
	uint64_t values[MAX_POWER + 1];
} shared;

static void guest_main(void)
{
	uint64_t i;

	for (;;) {
		for (i = shared.first; i < shared.first + shared.nr; i++)
			shared.values[i] =
				READ_ONCE(*(uint64_t *)(GPA + i * PAGE_BYTES));
		GUEST_SYNC(0);
	}
}

/* Returns the number of MMIO exits. */
static int read_pages(struct kvm_vcpu *vcpu, uint64_t first, uint64_t nr)
{
	write_guest_global(vcpu->vm, shared.first, first);
	write_guest_global(vcpu->vm, shared.nr, nr);
	return run_to_sync(vcpu);
}

/* One installation, which neither makes nor drops any SPTE of the pages. */
static void toggle_other(struct kvm_vm *vm, void *mem)
{
	static uint32_t flags;

	flags ^= KVM_MEM_LOG_DIRTY_PAGES;
	vm_set_user_memory_region(vm, OTHER_SLOT, flags, OTHER_GPA, PAGE_BYTES,
				  mem);
}

static struct kvm_vm *create_vm(struct kvm_vcpu **vcpu, uint8_t *mem)
{
	struct kvm_vm *vm = vm_create_with_one_vcpu(vcpu, guest_main);

	virt_map(vm, GPA, GPA, MAX_POWER + 1);
	vm_set_user_memory_region(vm, OTHER_SLOT, 0, OTHER_GPA, PAGE_BYTES,
				  mem);
	return vm;
}

/* Returns whether the guest, which saw MMIO at page @power, sees memory. */
static bool check_page(struct kvm_vcpu *vcpu, int power)
{
	uint64_t *values = addr_gva2hva(vcpu->vm, (vm_vaddr_t)&shared.values);
	int exits = read_pages(vcpu, power, 1);

	if (!exits && values[power] == MEM_VALUE)
		return true;
	pr_info("stale: page %d still is MMIO 2^%d installations later\n",
		power, power);
	return false;
}

int main(int argc, char *argv[])
{
	uint32_t installs = 0, misses;
	int power, max_power = DEFAULT_POWER, stale = 0;
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm;
	uint8_t *mem;

	if (getopt(argc, argv, "f") == 'f')
		max_power = MAX_POWER;

	mem = mmap(NULL, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap() failed: %d", errno);
	*(uint64_t *)mem = MEM_VALUE;

	vm = create_vm(&vcpu, mem + PAGE_BYTES);
	TEST_ASSERT_EQ(read_pages(vcpu, 0, max_power + 1), max_power + 1);
	misses = vcpu_stat(vcpu, "pf_mmio_spte_created");

	for (power = 0; power <= max_power; power++) {
		while (++installs < BIT(power))
			toggle_other(vm, mem + PAGE_BYTES);
		vm_set_user_memory_region(vm, FIRST_SLOT + power, 0,
					  GPA + power * PAGE_BYTES, PAGE_BYTES,
					  mem);
		stale += !check_page(vcpu, power);
	}
	kvm_vm_free(vm);

	pr_info("installed sets: %u%s\n", installs,
		max_power < MAX_POWER ? " (no wrap, -f goes to 2^18)" : "");
	pr_info("mmio sptes at the start: %u\n", misses);
	pr_info("stale accesses: %d\n", stale);
	return stale ? KSFT_FAIL : KSFT_PASS;
}
