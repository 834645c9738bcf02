// SPDX-License-Identifier: GPL-2.0
/*
 * The guest's own guest, L2, on AMD's SVM. Like guest.c it is copied to the
 * guest. L2 runs with 4K tables of L1's: as nested page tables where the guest
 * has these (npt=1), else as its own.
 */
#include <linux/types.h>
#include <linux/compiler.h>
/* The selftests' library has the VMCB's layout. */
#include "x86_64/svm.h"

#include "guest.h"

#define MSR_EFER		0xc0000080
#define MSR_VM_HSAVE_PA		0xc0010117
#define EFER_SVME		(1 << 12)
#define EXIT_VMMCALL		0x81
#define CPUID_SVM		0x8000000a
#define CPUID_SVM_NPT		1
#define CODE_ATTRIBUTES		0xa9b
#define DATA_ATTRIBUTES		0xc93
#define RFLAGS_FIXED		2
#define DR6_FIXED		0xffff0ff0
#define DR7_FIXED		0x400
#define DEFAULT_PAT		0x0007040600070406ull

static struct vmcb *const vmcb = (struct vmcb *)GUEST_VMCB;

static uint64_t read_msr(uint32_t msr)
{
	uint32_t low, high;

	asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
	return (uint64_t)high << 32 | low;
}

static void write_msr(uint32_t msr, uint64_t value)
{
	asm volatile("wrmsr" : : "c"(msr), "a"((uint32_t)value),
		     "d"((uint32_t)(value >> 32)) : "memory");
}

static int have_npt(void)
{
	uint32_t a = CPUID_SVM, b, c = 0, d;

	asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
	return d & CPUID_SVM_NPT;
}

static void set_segment(struct vmcb_seg *segment, uint16_t attributes)
{
	segment->attrib = attributes;
	segment->limit = ~0u;
}

static void set_state(struct vmcb_save_area *save)
{
	set_segment(&save->cs, CODE_ATTRIBUTES);
	set_segment(&save->ds, DATA_ATTRIBUTES);
	set_segment(&save->es, DATA_ATTRIBUTES);
	set_segment(&save->ss, DATA_ATTRIBUTES);
	save->efer = read_msr(MSR_EFER);
	asm volatile("mov %%cr0, %0" : "=r"(save->cr0));
	asm volatile("mov %%cr4, %0" : "=r"(save->cr4));
	save->cr3 = HUGE_PML4;
	save->dr6 = DR6_FIXED;
	save->dr7 = DR7_FIXED;
	save->rflags = RFLAGS_FIXED;
	save->g_pat = DEFAULT_PAT;
}

static void set_root(uint64_t root)
{
	if (vmcb->control.nested_ctl)
		vmcb->control.nested_cr3 = root;
	else
		vmcb->save.cr3 = root;
}

/* The page is zero before. */
static void start_nesting(void)
{
	write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SVME);
	write_msr(MSR_VM_HSAVE_PA, GUEST_HOST_SAVE);
	set_state(&vmcb->save);
	vmcb->control.asid = 1;
	vmcb->control.intercept = 1ull << INTERCEPT_VMRUN |
				  1ull << INTERCEPT_VMMCALL;
	vmcb->control.nested_ctl = have_npt();
	set_root(SMALL_PML4);
}

static void __attribute__((noreturn)) l2_main(const struct guest_job *job)
{
	if (job->op == GUEST_L2_WRITE)
		guest_write_all(job->addr, job->step, job->count);
	else if (job->op != GUEST_L2_EXIT)
		guest_store(job->addr);
	for (;;)
		asm volatile("vmmcall" : : : "memory");
}

/* Runs L2 from its start until its VMMCALL; it has the registers of its own. */
static void run_l2(const struct guest_job *job)
{
	uint64_t vmcb_address = GUEST_VMCB;

	vmcb->save.rip = (uint64_t)l2_main;
	vmcb->save.rsp = GUEST_L2_STACK - 8;
	asm volatile("push %%rbp\n\tvmrun %%rax\n\tpop %%rbp"
		     : "+a"(vmcb_address), "+D"(job)
		     : : "rbx", "rcx", "rdx", "rsi", "r8", "r9", "r10", "r11",
			 "r12", "r13", "r14", "r15", "memory", "cc");
	if (vmcb->control.exit_code != EXIT_VMMCALL)
		guest_out(PORT_FAILED);
}

/* Each entry of the first @count gets another page of these. */
static void remap(struct guest_job job)
{
	uint64_t *table = (uint64_t *)SMALL_PT;
	uint64_t i, count = job.count, first = table[0];

	vmcb->control.tlb_ctl = TLB_CONTROL_FLUSH_ALL_ASID;
	for (i = 0; i < count; i++) {
		table[i] = i + 1 < count ? table[i + 1] : first;
		run_l2(&job);
		job.addr += job.step;
	}
	vmcb->control.tlb_ctl = TLB_CONTROL_DO_NOTHING;
}

static void switch_root(const struct guest_job *job)
{
	uint64_t i;

	for (i = 0; i < job->count; i++) {
		set_root(i & 1 ? SMALL_PML4 : OTHER_PML4);
		run_l2(job);
	}
}

void guest_nested(const struct guest_job *job)
{
	uint64_t i;

	if (!vmcb->control.asid)
		start_nesting();
	switch (job->op) {
	case GUEST_L2_EXIT:
		for (i = 0; i < job->count; i++)
			run_l2(job);
		break;
	case GUEST_L2_WRITE:
		run_l2(job);
		break;
	case GUEST_L2_REMAP:
		remap(*job);
		break;
	case GUEST_L2_SWITCH_ROOT:
		switch_root(job);
		break;
	}
}
