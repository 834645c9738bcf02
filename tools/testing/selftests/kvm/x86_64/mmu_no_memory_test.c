// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the CPU needs is where no memory is.
 *
 * For each paging mode, at CPL 0 and 3: the root, the IDT, the GDT, the TSS, a
 * stack, the code or the data of an instruction are in a hole, or the table that
 * maps them is.  Then an event is delivered, or an instruction executed.  However
 * it ends, KVM_RUN must return without a signal:
 *  - the guest's handler gets the event, or the fault that the CPU raises;
 *  - the instruction does MMIO, or cannot be emulated;
 *  - where an event could not be delivered and the CPU raises no fault that KVM
 *    knows of, KVM_INTERNAL_ERROR_DELIVERY_EV;
 *  - no exception can be delivered, as the IDT cannot be translated: a shutdown; or
 *    as KVM has to do it for a guest in real mode, and cannot.
 *
 * Breaks of KVM that make this test fail:
 *  - emulate the instruction that an event interrupted, and deliver it again;
 *  - take what the emulator cannot read for MMIO that userspace will answer;
 *  - report no fault of a walk that meets no memory while an event is delivered;
 *  - in real mode, deliver an event though its pushes would be MMIO (kvm-intel).
 */
#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kvm_util.h"
#include "mmu_bare_machine.h"
#include "processor.h"
#include "test_util.h"

#define LIMIT_S		5
#define MAX_MMIO	100
#define MAX_SPINS	12
#define VECTOR		0x40

enum outcome { DONE, HANDLED, SHUT_DOWN, NOT_EMULATED, NOT_DELIVERED, SPUN, NR_OUTCOMES };

#define MAY(outcome)	BIT(outcome)
#define MAY_END		(MAY(DONE) | MAY(HANDLED) | MAY(SHUT_DOWN) | \
			 MAY(NOT_EMULATED) | MAY(NOT_DELIVERED))

static const char * const paging_names[] = {
	"real mode", "protected mode", "32-bit paging", "PAE", "4 levels", "5 levels",
};

static const char * const missing_names[] = {
	"nothing", "root", "IDT", "GDT", "TSS", "stack", "IST", "code", "data",
};

static const char * const depth_names[] = { "page", "PT", "PD", "PDPT" };

static const char * const outcome_names[] = {
	"done", "handled", "shutdown", "emulation error", "delivery error", "KVM_RUN spins",
};

struct program {
	const char *name;
	uint8_t len, code[6];
	bool irq, nmi;
	enum missing missing;	/* of an instruction */
	bool kernel_only, user_only;
};

#define BYTES(...)	.code = { __VA_ARGS__ }, \
			.len = sizeof((uint8_t []){ __VA_ARGS__ })

static const struct program events[] = {
	{ "#UD", BYTES(0x0f, 0x0b) },
	{ "#DE", BYTES(0xf6, 0xf1) },
	{ "#BP", BYTES(0xcc) },
	{ "INT", BYTES(0xcd, VECTOR) },
	{ "#PF", BYTES(0x8b, 0x03) },
	{ "interrupt", BYTES(0xeb, 0xfe), .irq = true },
	{ "NMI", BYTES(0xeb, 0xfe), .nmi = true },
};

/* RBX is the address of the data, RSI as well, AX a selector. */
static const struct program instructions[] = {
	{ "fetch", BYTES(0x90), .missing = CODE },
	{ "mov (%rbx), %eax", BYTES(0x8b, 0x03), .missing = DATA },
	{ "mov %eax, (%rbx)", BYTES(0x89, 0x03), .missing = DATA },
	{ "xchg %eax, (%rbx)", BYTES(0x87, 0x03), .missing = DATA },
	{ "cmpxchg8b (%rbx)", BYTES(0x0f, 0xc7, 0x0b), .missing = DATA },
	{ "movsb", BYTES(0xa4), .missing = DATA },
	{ "jmp *(%rbx)", BYTES(0xff, 0x23), .missing = DATA },
	{ "ljmp *(%rbx)", BYTES(0xff, 0x2b), .missing = DATA },
	{ "fxsave (%rbx)", BYTES(0x0f, 0xae, 0x03), .missing = DATA },
	{ "fxrstor (%rbx)", BYTES(0x0f, 0xae, 0x0b), .missing = DATA },
	{ "movaps (%rbx), %xmm0", BYTES(0x0f, 0x28, 0x03), .missing = DATA },
	{ "sgdt (%rbx)", BYTES(0x0f, 0x01, 0x03), .missing = DATA },
	{ "sidt (%rbx)", BYTES(0x0f, 0x01, 0x0b), .missing = DATA },
	{ "lgdt (%rbx)", BYTES(0x0f, 0x01, 0x13), .missing = DATA, .kernel_only = true },
	{ "lidt (%rbx)", BYTES(0x0f, 0x01, 0x1b), .missing = DATA, .kernel_only = true },
	{ "mov %ax, %ds", BYTES(0x8e, 0xd8), .missing = GDT },
	{ "lar %ax, %eax", BYTES(0x0f, 0x02, 0xc0), .missing = GDT },
	{ "verr %ax", BYTES(0x0f, 0x00, 0xe0), .missing = GDT },
	{ "lldt %ax", BYTES(0x0f, 0x00, 0xd0), .missing = GDT, .kernel_only = true },
	{ "ltr %ax", BYTES(0xb0, TR, 0x0f, 0x00, 0xd8), .missing = GDT, .kernel_only = true },
	{ "iret, GDT", BYTES(0xcf), .missing = GDT },
	{ "push", BYTES(0x50), .missing = STACK },
	{ "popf", BYTES(0x9d), .missing = STACK },
	{ "ret", BYTES(0xc3), .missing = STACK },
	{ "lret", BYTES(0xcb), .missing = STACK },
	{ "iret", BYTES(0xcf), .missing = STACK },
	{ "enter", BYTES(0xc8, 8, 0, 0), .missing = STACK },
	{ "in", BYTES(0xe4, 0x80), .missing = TSS, .user_only = true },
};

static unsigned int nr_cases, nr_spins, nr_by_outcome[NR_OUTCOMES];
static struct kvm_run *current_run;

static void on_alarm(int sig)
{
	WRITE_ONCE(current_run->immediate_exit, 1);
}

/* Fires again, should it come before the ioctl has begun. */
static void set_limit(unsigned int seconds)
{
	struct itimerval t = {
		.it_value.tv_sec = seconds, .it_interval.tv_sec = !!seconds,
	};

	setitimer(ITIMER_REAL, &t, NULL);
}

/* Without EPT, kvm-intel takes the SPTE's reserved bit for an exception in an exception. */
static bool is_delivery_error(uint32_t suberror)
{
	return suberror == KVM_INTERNAL_ERROR_DELIVERY_EV ||
	       (suberror == KVM_INTERNAL_ERROR_SIMUL_EX && host_cpu_is_intel &&
		!kvm_is_tdp_enabled());
}

static enum outcome outcome_of(const struct kvm_run *run)
{
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		return run->io.port == PORT_HANDLER ? HANDLED : DONE;
	case KVM_EXIT_SHUTDOWN:
		return SHUT_DOWN;
	case KVM_EXIT_INTERNAL_ERROR:
		if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION)
			return NOT_EMULATED;
		TEST_ASSERT(is_delivery_error(run->internal.suberror),
			    "KVM_EXIT_INTERNAL_ERROR %u", run->internal.suberror);
		return NOT_DELIVERED;
	default:
		TEST_FAIL("Exit reason %u", run->exit_reason);
		return SPUN;
	}
}

/* MMIO reads as ones, as from a bus where nobody answers. */
static enum outcome run_to_end(struct kvm_vcpu *vcpu)
{
	int i, r;

	current_run = vcpu->run;
	for (i = 0; i < MAX_MMIO; i++) {
		set_limit(LIMIT_S);
		r = __vcpu_run(vcpu);
		set_limit(0);
		if (r) {
			TEST_ASSERT_EQ(errno, EINTR);
			return SPUN;
		}
		if (vcpu->run->exit_reason != KVM_EXIT_MMIO)
			return outcome_of(vcpu->run);
		if (!vcpu->run->mmio.is_write)
			memset(vcpu->run->mmio.data, 0xff, 8);
	}
	TEST_FAIL("More than %d MMIO exits", MAX_MMIO);
	return SPUN;
}

static void raise_event(struct kvm_vcpu *vcpu, const struct program *p)
{
	struct kvm_interrupt irq = { .irq = VECTOR };

	if (p->irq)
		vcpu_ioctl(vcpu, KVM_INTERRUPT, &irq);
	if (p->nmi)
		vcpu_ioctl(vcpu, KVM_NMI, NULL);
}

static void try_case(const struct machine *m, const struct program *p,
		     unsigned int may)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = machine_create(m, p->code, p->len, &vcpu);
	enum outcome out;

	raise_event(vcpu, p);
	out = run_to_end(vcpu);
	kvm_vm_free(vm);
	nr_cases++;
	nr_by_outcome[out]++;
	if (may & MAY(out))
		return;

	nr_spins++;
	pr_info("%s, CPL %d, %s without %s (%s): %s\n", paging_names[m->paging],
		m->user ? 3 : 0, p->name, missing_names[m->missing],
		depth_names[m->depth], outcome_names[out]);
	TEST_ASSERT(nr_spins < MAX_SPINS, "%u of %u cases are wrong", nr_spins, nr_cases);
}

/* Does delivering an event use it? */
static bool event_needs(const struct machine *m)
{
	switch (m->missing) {
	case NOTHING:
		return m->depth == DEPTH_PAGE;
	case ROOT:
		return has_tables(m) && m->depth == DEPTH_PAGE;
	case IDT:
	case STACK:
		return true;
	case GDT:
		return m->paging != REAL;
	case TSS:
		return m->user;
	case IST:
		return is_64(m);
	default:
		return false;
	}
}

/* Are events of real mode delivered by KVM's emulator, and not by the CPU? */
static bool emulates_real_mode(void)
{
	return host_cpu_is_intel && !vm_is_unrestricted_guest(NULL);
}

static unsigned int event_may(const struct machine *m)
{
	if (m->missing == NOTHING)
		return MAY(HANDLED);
	if (m->paging == REAL && emulates_real_mode())
		return MAY(SHUT_DOWN);
	if (m->missing == ROOT)	/* of PAE, what the registers have counts */
		return m->paging == PAE ? MAY_END : MAY(SHUT_DOWN);
	if (m->depth == DEPTH_PAGE)
		return MAY(NOT_DELIVERED);
	return m->missing == IDT ? MAY(SHUT_DOWN) : MAY(SHUT_DOWN) | MAY(NOT_DELIVERED);
}

static void try_events(struct machine m)
{
	unsigned int i;

	m.own_stack = false;
	if (!event_needs(&m))
		return;
	for (i = 0; i < ARRAY_SIZE(events); i++) {
		/* UNMAPPED is no address of a machine without paging. */
		if (!has_tables(&m) && !strcmp(events[i].name, "#PF"))
			continue;
		try_case(&m, &events[i], event_may(&m));
	}
}

static void try_instructions(struct machine m)
{
	unsigned int i;

	m.own_stack = true;
	if (m.paging == REAL)
		return;
	for (i = 0; i < ARRAY_SIZE(instructions); i++) {
		const struct program *p = &instructions[i];

		if (p->missing != m.missing || (m.user ? p->kernel_only : p->user_only))
			continue;
		try_case(&m, p, MAY_END);
	}
}

static void try_mode(enum paging paging)
{
	struct machine m = { .paging = paging };
	unsigned int i;

	/* Real mode has no CPL 3. */
	for (i = 0; i < NR_MISSING * NR_DEPTHS * 2; i++) {
		m.missing = i % NR_MISSING;
		m.depth = i / NR_MISSING % NR_DEPTHS;
		m.user = i / NR_MISSING / NR_DEPTHS;
		if (!depth_exists(&m) || (m.user && paging == REAL))
			continue;
		try_events(m);
		try_instructions(m);
	}
}

/* The program of a mode's process. */
static void run_mode(enum paging paging)
{
	int i;

	try_mode(paging);
	for (i = 0; i < NR_OUTCOMES; i++)
		if (nr_by_outcome[i])
			pr_info("%s, %s: %u\n", paging_names[paging],
				outcome_names[i], nr_by_outcome[i]);
	TEST_ASSERT(!nr_spins, "%u of %u cases are wrong", nr_spins, nr_cases);
}

/* Modes run side by side: most of a case's time is a wait, for the end of its VM. */
int main(void)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	int i, status, nr_failed = 0;
	pid_t pid;

	sigaction(SIGALRM, &sa, NULL);
	for (i = 0; i < NR_PAGINGS; i++) {
		if (i == LEVELS_5 && !kvm_cpu_has(X86_FEATURE_LA57))
			continue;
		pid = fork();
		TEST_ASSERT(pid >= 0, "fork() failed, errno %d", errno);
		if (!pid) {
			run_mode(i);
			return 0;
		}
	}
	while (wait(&status) > 0)
		nr_failed += status != 0;
	TEST_ASSERT(!nr_failed, "%d paging modes have wrong cases", nr_failed);
	return 0;
}
