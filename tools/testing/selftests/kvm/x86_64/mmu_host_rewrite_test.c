// SPDX-License-Identifier: GPL-2.0-only
/*
 * The VMM rewrites the tables of a running guest, which then flushes its TLB.
 *
 * The guest reads one address in a loop.  The host changes a gPTE of any level on
 * the way there, by its own mapping of guest memory.  Until the guest flushes, it
 * sees the old page or the new one, and afterwards the new one.  All paging modes
 * have their turn: 32-bit, PAE, 4 and 5 levels; all flushes, too: INVLPG, CR3,
 * CR4.PGE, INVPCID.
 *
 * With shadow paging KVM learns of a host's write only if it has to look: at a
 * table of the lowest level that the guest wrote to before (unsync), or at a gPTE
 * that the guest writes to afterwards.  There the guest touches a bit that the CPU
 * ignores.  PDPTEs of PAE paging are read whenever CR3 is loaded.
 *
 * Protects shadow_sync.c, shadow_write.c and what INVLPG does in shadow_root.c.
 * Breaks of KVM that make this test fail (npt=0, ept=0):
 *  - INVLPG leaves the SPTE of an unsync page alone;
 *  - shadow_sync_children() keeps SPTEs whose gPTE names another page;
 *  - shadow_write_covers() takes the wrong SPTE, or one of the two that a 4-byte
 *    gPTE of level 2 has;
 *  - a CR3 load without change does not read the PDPTEs.
 */
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>

#include "kvm_util.h"
#include "mmu_rewrite_guest.h"
#include "processor.h"
#include "test_util.h"

#define ROUNDS		400	/* per mode */
#define TIMEOUT_S	60
#define RFLAGS_IF	0x200

#define PAGE		0x1000ull
#define MEM_SIZE	0x1000000ull
#define SHARED		0x2000ull
#define STACK_END	0x4000ull
#define IDT		0x4000ull
#define GDT		0x5000ull
#define TABLES		0x10000ull	/* two per level: towards the probe */
#define LOW_TABLES	0x20000ull	/* one per level: to all of the above */
#define DATA		0x400000ull
#define NR_PAGES	2048

#define MAX_LEVEL	5
#define TAG(page)	(0x70000000u | (page))

static const char * const command_name[] = {
	"touch", "INVLPG", "CR3", "CR4.PGE", "INVPCID"
};

/**
 * struct mode - a paging mode
 * @name: for messages
 * @cr4: what selects it
 * @levels: of tables
 * @long_mode: 64-bit
 * @index_bits: of an address, per level
 */
struct mode {
	const char *name;
	uint64_t cr4;
	int levels;
	bool long_mode;
	int index_bits;
};

static const struct mode modes[] = {
	{ "32-bit", X86_CR4_PSE, 2, false, 10 },
	{ "PAE", X86_CR4_PAE, 3, false, 9 },
	{ "4-level", X86_CR4_PAE, 4, true, 9 },
	{ "5-level", X86_CR4_PAE | X86_CR4_LA57, 5, true, 9 },
};

static struct test {
	const struct mode *mode;
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	pthread_t thread;
	uint8_t *mem;
	struct shared *shared;
	struct guest_random_state rng;
	bool tdp;
} test;

/* Tables */

static uint64_t table(int level, int nr)
{
	return TABLES + (level * 2 + nr) * PAGE;
}

static uint64_t entry_bytes(void)
{
	return test.mode->index_bits == 10 ? 4 : 8;
}

static int level_shift(int level)
{
	return 12 + (level - 1) * test.mode->index_bits;
}

static uint64_t read_entry(uint64_t gpa)
{
	if (entry_bytes() == 4)
		return READ_ONCE(*(uint32_t *)(test.mem + gpa));
	return READ_ONCE(*(uint64_t *)(test.mem + gpa));
}

static void write_entry(uint64_t gpa, uint64_t value)
{
	if (entry_bytes() == 4)
		WRITE_ONCE(*(uint32_t *)(test.mem + gpa), value);
	else
		WRITE_ONCE(*(uint64_t *)(test.mem + gpa), value);
}

static bool is_pdpte(int level)
{
	return level == 3 && test.mode->levels == 3;
}

static uint64_t link_to(int level, uint64_t gpa)
{
	return gpa | PTE_PRESENT_MASK | (is_pdpte(level) ? 0 : PTE_WRITABLE_MASK);
}

/* Entry 1 of each table leads to the probe. */
static uint64_t probe_gva(void)
{
	uint64_t gva = 0;
	int level;

	for (level = test.mode->levels; level; level--)
		gva |= BIT_ULL(level_shift(level));
	return gva;
}

static uint64_t probe_entry(int level, int nr)
{
	return table(level, nr) + entry_bytes();
}

/* What the guest has to read, by the tables as they are. */
static uint32_t expected_value(void)
{
	uint64_t gpa = table(test.mode->levels, 0), entry;
	int level;

	for (level = test.mode->levels; level; level--) {
		entry = read_entry(gpa + entry_bytes());
		if (!(entry & PTE_PRESENT_MASK))
			return FAULTED;
		gpa = PTE_GET_PA(entry);
		if (level == 2 && (entry & PTE_LARGE_MASK))
			return TAG(gpa / PAGE + 1);
	}
	return TAG(gpa / PAGE);
}

static uint64_t random_page(uint64_t size)
{
	return DATA + guest_random_u32(&test.rng) % (NR_PAGES * PAGE / size) * size;
}

static uint64_t random_entry(int level)
{
	const uint32_t r = guest_random_u32(&test.rng);

	if (!(r % 8))
		return 0;
	if (level == 1)
		return link_to(level, random_page(PAGE));
	if (level == 2 && (r & BIT(8)))
		return link_to(level, random_page(BIT_ULL(level_shift(2)))) |
		       PTE_LARGE_MASK;
	return link_to(level, table(level - 1, r >> 16 & 1));
}

static void init_tables(void)
{
	const int top = test.mode->levels;
	uint64_t low;
	int level;

	for (level = 1; level <= top; level++) {
		write_entry(probe_entry(level, 0), random_entry(level));
		write_entry(probe_entry(level, 1), random_entry(level));
	}
	for (level = top; level > 1; level--) {
		low = level == top ? table(top, 0) : LOW_TABLES + level * PAGE;
		write_entry(low, level > 2 ?
			    link_to(level, LOW_TABLES + (level - 1) * PAGE) :
			    link_to(level, 0) | PTE_LARGE_MASK);
	}
}

/* The vCPU */

static void init_descriptors(const char *start, const char *end, const char *pf)
{
	uint64_t *gdt = (uint64_t *)(test.mem + GDT);
	uint64_t *idt = (uint64_t *)(test.mem + IDT);
	uint64_t gate = (CODE + pf - start) | 0x8ull << 16 | 0x8e00ull << 32;

	memcpy(test.mem + CODE, start, end - start);
	gdt[1] = test.mode->long_mode ? 0x00af9b000000ffffull :
					0x00cf9b000000ffffull;
	gdt[2] = 0x00cf93000000ffffull;
	idt[test.mode->long_mode ? PF_VECTOR * 2 : PF_VECTOR] = gate;
}

static void init_segments(struct kvm_sregs *sregs)
{
	struct kvm_segment data = {
		.limit = ~0u, .selector = 0x10, .type = 3, .present = 1, .db = 1,
		.s = 1, .g = 1,
	};
	struct kvm_segment code = data;

	code.selector = 0x8;
	code.type = 11;
	code.l = test.mode->long_mode;
	code.db = !code.l;
	sregs->cs = code;
	sregs->ds = data;
	sregs->es = data;
	sregs->fs = data;
	sregs->gs = data;
	sregs->ss = data;
	sregs->gdt = (struct kvm_dtable) { .base = GDT, .limit = 0xff };
	sregs->idt = (struct kvm_dtable) { .base = IDT, .limit = 0xfff };
}

static void init_vcpu(void)
{
	struct kvm_regs regs = {
		.rip = CODE, .rsp = STACK_END, .rdi = SHARED,
		.rsi = probe_gva(), .rflags = X86_EFLAGS_FIXED | RFLAGS_IF,
	};
	struct kvm_sregs sregs;

	vcpu_sregs_get(test.vcpu, &sregs);
	init_segments(&sregs);
	sregs.cr0 = X86_CR0_PE | X86_CR0_NE | X86_CR0_WP | X86_CR0_PG;
	sregs.cr3 = table(test.mode->levels, 0);
	sregs.cr4 = test.mode->cr4 | X86_CR4_PGE;
	sregs.efer = test.mode->long_mode ? EFER_LME | EFER_LMA : 0;
	vcpu_sregs_set(test.vcpu, &sregs);
	vcpu_regs_set(test.vcpu, &regs);
}

static void *vcpu_thread(void *arg)
{
	struct kvm_run *run = test.vcpu->run;

	vcpu_run(test.vcpu);
	TEST_ASSERT(run->exit_reason == KVM_EXIT_IO && run->io.port == END_PORT,
		    "%s: exit %s", test.mode->name,
		    exit_reason_str(run->exit_reason));
	return NULL;
}

static void start_vm(void)
{
	uint64_t page;

	test.mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(test.mem != MAP_FAILED, "mmap() failed: %d", errno);
	for (page = DATA / PAGE; page < DATA / PAGE + NR_PAGES; page++)
		*(uint32_t *)(test.mem + page * PAGE) = TAG(page);
	test.shared = (struct shared *)(test.mem + SHARED);
	init_tables();
	if (test.mode->long_mode)
		init_descriptors(guest64, guest64_end, guest64_pf);
	else
		init_descriptors(guest32, guest32_end, guest32_pf);

	test.vm = vm_create_barebones();
	vm_set_user_memory_region(test.vm, 0, 0, 0, MEM_SIZE, test.mem);
	test.vcpu = __vm_vcpu_add(test.vm, 0);
	vcpu_init_cpuid(test.vcpu, kvm_get_supported_cpuid());
	init_vcpu();
	pthread_create(&test.thread, NULL, vcpu_thread, NULL);
}

/* Rounds */

static void command(enum command command)
{
	struct shared *sh = test.shared;
	const time_t end = time(NULL) + TIMEOUT_S;

	sh->command = command;
	__atomic_fetch_add(&sh->request, 1, __ATOMIC_SEQ_CST);
	if (command == END)
		return;
	while (__atomic_load_n(&sh->ack, __ATOMIC_SEQ_CST) != sh->request) {
		sched_yield();
		TEST_ASSERT(time(NULL) < end, "%s: no answer to %s",
			    test.mode->name, command_name[command]);
	}
}

/*
 * With PAE, TCG of QEMU 7.2 sets A in the PDPTEs that it walks.  KVM refuses that
 * as reserved when it sees them next, which is with CR4.PGE.
 */
static enum command random_flush(int level)
{
	const int nr = kvm_cpu_has(X86_FEATURE_INVPCID) ? 4 : 3;
	const enum command flush = INVLPG + guest_random_u32(&test.rng) % nr;

	if (is_pdpte(level))
		return CR3;
	if (flush == CR4_PGE && test.tdp && test.mode->levels == 3)
		return CR3;
	return flush;
}

static void touch(uint64_t gpa)
{
	test.shared->touch = gpa;
	command(TOUCH);
}

static void run_round(int round)
{
	const int level = 1 + guest_random_u32(&test.rng) % test.mode->levels;
	const int nr = level == test.mode->levels ? 0 : round & 1;
	const enum command flush = random_flush(level);
	const bool by_touch = !test.tdp && !is_pdpte(level);
	const uint64_t gpa = probe_entry(level, nr);
	const uint32_t old = expected_value();
	uint32_t new, seen;

	if (by_touch && level == 1)
		touch(gpa);
	write_entry(gpa, random_entry(level));
	new = expected_value();
	if (by_touch && level > 1)
		touch(gpa);
	seen = READ_ONCE(test.shared->seen);
	TEST_ASSERT(seen == old || seen == new,
		    "%s: 0x%x, neither 0x%x nor 0x%x, in round %d (level %d)",
		    test.mode->name, seen, old, new, round, level);

	command(flush);
	seen = READ_ONCE(test.shared->flushed);
	TEST_ASSERT(seen == new,
		    "%s: 0x%x, not 0x%x (was 0x%x) after %s in round %d (level %d)",
		    test.mode->name, seen, new, old, command_name[flush], round,
		    level);
}

static void run_mode(const struct mode *mode)
{
	int round;

	test.mode = mode;
	start_vm();
	command(CR3);
	for (round = 0; round < ROUNDS; round++)
		run_round(round);
	command(END);
	pthread_join(test.thread, NULL);
	kvm_vm_free(test.vm);
	munmap(test.mem, MEM_SIZE);
	pr_info("%s: %d rounds\n", mode->name, ROUNDS);
}

int main(int argc, char *argv[])
{
	const uint32_t seed = argc > 1 ? atoi_non_negative("Seed", argv[1]) :
					 time(NULL);
	unsigned int i;

	pr_info("seed: %u\n", seed);
	test.rng = new_guest_random_state(seed);
	test.tdp = kvm_is_tdp_enabled();
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		if (modes[i].levels == MAX_LEVEL &&
		    !kvm_cpu_has(X86_FEATURE_LA57))
			pr_info("%s: no LA57\n", modes[i].name);
		else
			run_mode(&modes[i]);
	}
	return KSFT_PASS;
}
