/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A probe: one guest access, by kernel or user, to an address that may be mapped
 * in any way.  It ends with an exception in each case: INT after it, the #UD of
 * what it fetched, or its #PF; the handler notes how and resumes the caller.
 */
#ifndef SELFTEST_KVM_MMU_PROBE_H
#define SELFTEST_KVM_MMU_PROBE_H

#include "kvm_util.h"
#include "processor.h"

/* What a probe does: the bits of the #PF error code, and EFLAGS.AC. */
#define PROBE_WRITE	BIT(1)
#define PROBE_USER	BIT(2)
#define PROBE_FETCH	BIT(4)
#define PROBE_AC	BIT(18)

/* How it ends. */
#define PROBE_DONE	0x20		/* read or written */
#define PROBE_FETCHED	UD_VECTOR	/* PROBE_UD was executed */
#define PROBE_FAULT	PF_VECTOR

/* The lowest byte of what may be fetched: no instruction in 64-bit mode. */
#define PROBE_UD	0x06

#define PROBE_USER_GVA	0xe0000000ull	/* where CPL 3 has the code */
#define PROBE_USER_CS	0x28
#define PROBE_USER_DS	0x30

/**
 * struct probe - one access
 * @gva: where, aligned to 8 bytes
 * @value: what is written, or was read
 * @access: PROBE_*
 * @vector: how it ended
 * @error: of the #PF
 * @at: CR2 of the #PF; the RIP of what was fetched
 */
struct probe {
	uint64_t gva, value;
	uint32_t access, vector;
	uint64_t error, at;
};

/* Of one vCPU; the code below knows the layout. */
struct probe_cpu {
	uint64_t resume_rip, resume_rsp;
	struct probe *probe;
};

extern char probe_read_code[], probe_write_code[], probe_fetch_code[];

/* RDI is the address, RSI the value. */
asm(".pushsection .text\n"
	".balign 64\n"
	"probe_read_code: mov (%rdi), %rsi; int $0x20\n"
	"probe_write_code: mov %rsi, (%rdi); int $0x20\n"
	"probe_fetch_code: jmp *%rdi\n"
	".popsection\n");

static inline uint64_t probe_rip(uint32_t access)
{
	uint64_t rip = (uint64_t)probe_read_code;

	if (access & PROBE_FETCH)
		rip = (uint64_t)probe_fetch_code;
	else if (access & PROBE_WRITE)
		rip = (uint64_t)probe_write_code;

	return access & PROBE_USER ? PROBE_USER_GVA | (rip & 0xfff) : rip;
}

/* The handlers return to the end of guest_probe(). */
static inline void probe_end(struct ex_regs *regs)
{
	struct probe_cpu *cpu = (void *)regs->rbx;
	uint64_t *rsp_ss = (uint64_t *)(regs + 1);
	struct probe *p = cpu->probe;

	p->vector = regs->vector;
	p->error = regs->error_code;
	p->value = regs->rsi;
	asm volatile("mov %%cr2, %0" : "=r"(p->at));
	if (p->vector == PROBE_FETCHED)
		p->at = regs->rip;

	regs->rip = cpu->resume_rip;
	regs->cs = 0x8;
	regs->rflags = X86_EFLAGS_FIXED;
	rsp_ss[0] = cpu->resume_rsp;
	rsp_ss[1] = 0x10;
}

static inline void guest_probe(struct probe_cpu *cpu, struct probe *p)
{
	const bool user = p->access & PROBE_USER;
	const uint64_t rip = probe_rip(p->access);
	const uint64_t cs = user ? PROBE_USER_CS | 3 : 0x8;
	const uint64_t ss = user ? PROBE_USER_DS | 3 : 0x10;
	const uint64_t flags = X86_EFLAGS_FIXED | (p->access & PROBE_AC);

	cpu->probe = p;
	asm volatile("lea -128(%%rsp), %%rsp\n\t"	/* the red zone */
		     "lea 1f(%%rip), %%rax\n\t"
		     "mov %%rax, (%%rbx)\n\t"
		     "mov %%rsp, 8(%%rbx)\n\t"
		     "push %[ss]\n\t"
		     "push 8(%%rbx)\n\t"
		     "push %[flags]\n\t"
		     "push %[cs]\n\t"
		     "push %[rip]\n\t"
		     "iretq\n"
		     "1: lea 128(%%rsp), %%rsp"
		     : : "b"(cpu), "D"(p->gva), "S"(p->value), [ss] "r"(ss),
			 [flags] "r"(flags), [cs] "r"(cs), [rip] "r"(rip)
		     : "rax", "cc", "memory");
}

/* The host's part. */

/* Gives CPL 3 the code of the probes, segments and INT. */
static inline void probe_init_vm(struct kvm_vm *vm)
{
	struct idt_entry *idt = addr_gva2hva(vm, vm->arch.idt);
	uint64_t *gdt = addr_gva2hva(vm, vm->arch.gdt);
	vm_vaddr_t code = (vm_vaddr_t)probe_read_code & ~0xfffull;
	int level;

	virt_map(vm, PROBE_USER_GVA, addr_gva2gpa(vm, code), 1);
	for (level = PG_LEVEL_4K; level <= PG_LEVEL_512G; level++) {
		int at = level;

		*__vm_get_page_table_entry(vm, PROBE_USER_GVA, &at) |=
			PTE_USER_MASK;
	}

	gdt[PROBE_USER_CS / 8] = 0x00affb000000ffffull;
	gdt[PROBE_USER_DS / 8] = 0x00cff3000000ffffull;
	idt[PROBE_DONE].dpl = 3;
	vm_install_exception_handler(vm, PROBE_DONE, probe_end);
	vm_install_exception_handler(vm, PROBE_FETCHED, probe_end);
	vm_install_exception_handler(vm, PROBE_FAULT, probe_end);
}

/* A TSS of its own, with a stack for what interrupts CPL 3. */
static inline void probe_init_vcpu(struct kvm_vm *vm, struct kvm_vcpu *vcpu)
{
	vm_vaddr_t stack = vm_vaddr_alloc_page(vm);
	vm_vaddr_t tss = vm_vaddr_alloc_page(vm);
	uint32_t *rsp0 = addr_gva2hva(vm, tss + 4);
	struct kvm_sregs sregs;

	rsp0[0] = stack + 4096;
	rsp0[1] = (stack + 4096) >> 32;
	vcpu_sregs_get(vcpu, &sregs);
	sregs.tr.base = tss;
	vcpu_sregs_set(vcpu, &sregs);
}

#endif /* SELFTEST_KVM_MMU_PROBE_H */
