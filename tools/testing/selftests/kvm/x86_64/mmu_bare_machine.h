/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A machine without an OS, in each paging mode: 512K of memory at 0, mapped one to
 * one, and no memory elsewhere.  What the CPU needs, its tables and stacks, may
 * each be where there is none.
 */
#ifndef SELFTEST_KVM_MMU_BARE_MACHINE_H
#define SELFTEST_KVM_MMU_BARE_MACHINE_H

#include <string.h>

#include "kvm_util.h"
#include "processor.h"

enum paging { REAL, PROTECTED, PAGING_32, PAE, LEVELS_4, LEVELS_5, NR_PAGINGS };

/* What is where no memory is. */
enum missing { NOTHING, ROOT, IDT, GDT, TSS, STACK, IST, CODE, DATA, NR_MISSING };

/*
 * How far the walk of the guest's tables gets: to the page, or to a table that is
 * where no memory is.
 */
enum depth { DEPTH_PAGE, DEPTH_PT, DEPTH_PD, DEPTH_PDPT, NR_DEPTHS };

#define MEMORY_SIZE	0x80000ul

/* Physical addresses, below 64K for real mode. */
#define AT_PML5		0x1000ul
#define AT_PML4		0x2000ul
#define AT_PDPT		0x3000ul
#define AT_PD		0x4000ul
#define AT_PDPT_PAE	0x5000ul
#define AT_PD_32	0x6000ul
#define AT_IDT_64	0x7000ul
#define AT_IDT_32	0x8000ul
#define AT_GDT		0x9000ul
#define AT_TSS		0xa000ul
#define AT_STACK	0xc000ul	/* the end */
#define AT_KERNEL_STACK	0xd000ul	/* the end, of what interrupts CPL 3 */
#define AT_HANDLER	0xe000ul
#define AT_CODE		0xe100ul
#define AT_BUFFER	0xf000ul

#define HOLE		0x90000ul
#define UNMAPPED	0x32000000ul

#define CS_64		0x08
#define DS		0x10
#define USER_CS_64	0x1b
#define USER_DS		0x23
#define CS_32		0x28
#define USER_CS_32	0x33
#define TR		0x38

#define PORT_DONE	0xe0
#define PORT_HANDLER	0xe1

/**
 * struct machine - how the machine starts
 * @paging: its mode
 * @missing: what is not there
 * @depth: where @missing is
 * @user: at CPL 3
 * @own_stack: @missing is the stack that the code has, not that of the kernel
 */
struct machine {
	enum paging paging;
	enum missing missing;
	enum depth depth;
	bool user, own_stack;
};

static inline bool has_tables(const struct machine *m)
{
	return m->paging >= PAGING_32;
}

static inline bool is_64(const struct machine *m)
{
	return m->paging >= LEVELS_4;
}

/* The linear address of what is not there. */
static inline uint64_t hole_at(const struct machine *m)
{
	static const uint64_t at[NR_DEPTHS] = { HOLE, BIT(28), BIT(30), BIT(39) };

	return at[m->depth];
}

static inline uint64_t place(const struct machine *m, enum missing what, uint64_t there)
{
	return m->missing == what ? hole_at(m) : there;
}

/* Only modes with the table in question can miss it. */
static inline bool depth_exists(const struct machine *m)
{
	static const enum depth deepest[NR_PAGINGS] = {
		[PAGING_32] = DEPTH_PT, [PAE] = DEPTH_PD,
		[LEVELS_4] = DEPTH_PDPT, [LEVELS_5] = DEPTH_PDPT,
	};

	return m->depth <= deepest[m->paging];
}

static inline void write_tables(uint8_t *ram)
{
	uint64_t *pd = (uint64_t *)(ram + AT_PD);
	uint32_t *pd_32 = (uint32_t *)(ram + AT_PD_32);

	/* PDPTEs of PAE have no W, U and A. */
	*(uint64_t *)(ram + AT_PML5) = AT_PML4 | 7;
	((uint64_t *)(ram + AT_PML4))[0] = AT_PDPT | 7;
	((uint64_t *)(ram + AT_PML4))[1] = HOLE | 7;
	((uint64_t *)(ram + AT_PDPT))[0] = AT_PD | 7;
	((uint64_t *)(ram + AT_PDPT))[1] = HOLE | 7;
	((uint64_t *)(ram + AT_PDPT_PAE))[0] = AT_PD | 1;
	((uint64_t *)(ram + AT_PDPT_PAE))[1] = HOLE | 1;
	pd[0] = 0xe7;
	pd[BIT(28 - 21)] = HOLE | 7;
	pd_32[0] = 0xe7;
	pd_32[BIT(28 - 22)] = HOLE | 7;
}

static inline void write_gates(uint8_t *ram, bool ist)
{
	const uint64_t gate = AT_HANDLER | 0xeeull << 40;
	int i;

	for (i = 0; i < 256; i++) {
		((uint32_t *)ram)[i] = AT_HANDLER;
		((uint64_t *)(ram + AT_IDT_32))[i] = gate | CS_32 << 16;
		((uint64_t *)(ram + AT_IDT_64))[2 * i] =
			gate | CS_64 << 16 | (uint64_t)ist << 32;
	}
}

static inline void write_segments(uint8_t *ram)
{
	static const uint64_t gdt[] = {
		[CS_64 / 8] = 0x00af9b000000ffffull, [DS / 8] = 0x00cf93000000ffffull,
		[USER_CS_64 / 8] = 0x00affb000000ffffull,
		[USER_DS / 8] = 0x00cff3000000ffffull,
		[CS_32 / 8] = 0x00cf9b000000ffffull,
		[USER_CS_32 / 8] = 0x00cffb000000ffffull,
		[TR / 8] = 0x0000890000000067ull | AT_TSS << 16, 0,
	};

	memcpy(ram + AT_GDT, gdt, sizeof(gdt));
}

/* The fields of a 32-bit TSS and those of a 64-bit one overlap. */
static inline void write_tss(uint8_t *ram, const struct machine *m)
{
	uint64_t stack = place(m, STACK, AT_KERNEL_STACK - 0x800) + 0x800;
	uint64_t ist = place(m, IST, AT_KERNEL_STACK - 0x800) + 0x800;

	if (m->own_stack)
		stack = AT_KERNEL_STACK;
	memcpy(ram + AT_TSS + 4, &stack, sizeof(stack));
	if (!is_64(m))
		ram[AT_TSS + 8] = DS;
	memcpy(ram + AT_TSS + 0x24, &ist, sizeof(ist));
}

static inline struct kvm_segment flat_segment(const struct machine *m, bool code)
{
	struct kvm_segment s = {
		.limit = 0xffffffff, .present = 1, .s = 1, .g = 1, .db = 1,
		.type = code ? 11 : 3, .dpl = m->user ? 3 : 0,
		.selector = m->user ? USER_DS : DS,
	};

	if (m->paging == REAL) {
		s.limit = 0xffff;
		s.selector = 0;
		s.db = 0;
		s.g = 0;
	} else if (code && is_64(m)) {
		s.selector = m->user ? USER_CS_64 : CS_64;
		s.db = 0;
		s.l = 1;
	} else if (code) {
		s.selector = m->user ? USER_CS_32 : CS_32;
	}
	return s;
}

/* In real mode, a segment that begins where there is no memory. */
static inline void move_segment(struct kvm_segment *s, uint64_t base)
{
	s->base = base;
	s->selector = base >> 4;
}

static inline void set_control_registers(struct kvm_sregs *s, const struct machine *m)
{
	static const uint64_t roots[NR_PAGINGS] = {
		[PAGING_32] = AT_PD_32, [PAE] = AT_PDPT_PAE,
		[LEVELS_4] = AT_PML4, [LEVELS_5] = AT_PML5,
	};

	s->cr0 = X86_CR0_ET | X86_CR0_NE;
	if (m->paging >= PROTECTED)
		s->cr0 |= X86_CR0_PE | X86_CR0_MP;
	if (has_tables(m))
		s->cr0 |= X86_CR0_PG | X86_CR0_WP;
	s->cr3 = m->missing == ROOT ? HOLE : roots[m->paging];
	s->cr4 = X86_CR4_OSFXSR | X86_CR4_OSXMMEXCPT;
	s->cr4 |= m->paging == PAGING_32 ? X86_CR4_PSE : X86_CR4_PAE;
	if (m->paging == LEVELS_5)
		s->cr4 |= X86_CR4_LA57;
	s->efer = is_64(m) ? EFER_LME | EFER_LMA | EFER_NX : 0;
}

/* VMX wants it busy; QEMU's SVM aborts if a TSS of 32 bits is. */
static inline bool busy_tss(const struct machine *m)
{
	return is_64(m) || !host_cpu_is_amd;
}

static inline void set_sregs(struct kvm_vcpu *vcpu, const struct machine *m)
{
	struct kvm_sregs s;

	vcpu_sregs_get(vcpu, &s);
	s.cs = flat_segment(m, true);
	s.ss = flat_segment(m, false);
	s.ds = s.ss;
	s.es = s.ss;
	s.fs = s.ss;
	s.gs = s.ss;
	if (m->paging == REAL && m->missing == STACK)
		move_segment(&s.ss, HOLE);
	if (m->paging == REAL && m->missing == CODE)
		move_segment(&s.cs, HOLE);

	s.ldt = (struct kvm_segment){ .unusable = 1 };
	s.tr = (struct kvm_segment){
		.base = place(m, TSS, AT_TSS), .limit = 0x67, .present = 1,
		.selector = TR, .type = busy_tss(m) ? 11 : 9,
	};
	s.gdt.base = place(m, GDT, AT_GDT);
	s.gdt.limit = 0x4f;
	s.idt.base = place(m, IDT, m->paging == REAL ? 0 :
				   is_64(m) ? AT_IDT_64 : AT_IDT_32);
	s.idt.limit = m->paging == REAL ? 0x3ff : is_64(m) ? 0xfff : 0x7ff;
	set_control_registers(&s, m);
	vcpu_sregs_set(vcpu, &s);
}

static inline void set_regs(struct kvm_vcpu *vcpu, const struct machine *m)
{
	const bool stack = m->missing == STACK && (!m->user || m->own_stack);
	struct kvm_regs r = {
		.rip = place(m, CODE, AT_CODE),
		/* IOPL 3, unless the TSS is to be asked for an I/O port. */
		.rflags = m->missing == TSS && m->own_stack ? 0x202 : 0x3202,
		.rsp = stack ? hole_at(m) + 0x800 : AT_STACK,
		.rax = USER_DS, .rbx = place(m, DATA, UNMAPPED), .rcx = 0,
		.rsi = hole_at(m), .rdi = AT_BUFFER,
	};

	if (m->paging == REAL && stack)
		r.rsp = 0x800;
	if (m->paging == REAL && m->missing == CODE)
		r.rip = 0;
	vcpu_regs_set(vcpu, &r);
}

/* Handlers and code end with an exit to userspace. */
static inline void write_code(uint8_t *ram, const void *code, size_t len)
{
	static const uint8_t handler[] = { 0xe6, PORT_HANDLER, 0xf4 };
	static const uint8_t end[] = { 0xe6, PORT_DONE, 0xf4 };

	memcpy(ram + AT_HANDLER, handler, sizeof(handler));
	memcpy(ram + AT_CODE, code, len);
	memcpy(ram + AT_CODE + len, end, sizeof(end));
}

static inline struct kvm_vm *machine_create(const struct machine *m, const void *code,
					    size_t len, struct kvm_vcpu **vcpu)
{
	struct kvm_vm *vm = vm_create_barebones();
	uint8_t *ram;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, 0, 0,
				    MEMORY_SIZE / getpagesize(), 0);
	ram = addr_gpa2hva(vm, 0);
	write_tables(ram);
	write_gates(ram, m->missing == IST);
	write_segments(ram);
	write_tss(ram, m);
	write_code(ram, code, len);

	*vcpu = __vm_vcpu_add(vm, 0);
	vcpu_init_cpuid(*vcpu, kvm_get_supported_cpuid());
	set_sregs(*vcpu, m);
	set_regs(*vcpu, m);
	return vm;
}

#endif /* SELFTEST_KVM_MMU_BARE_MACHINE_H */
