/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest of mmu_host_rewrite_test: one loop for 32-bit and for 64-bit code,
 * which reads the probe and does what the host asks for.
 */
#ifndef SELFTEST_KVM_MMU_REWRITE_GUEST_H
#define SELFTEST_KVM_MMU_REWRITE_GUEST_H

#include <linux/stringify.h>

#include <stdint.h>

/* For the assembler, too. */
#define CODE		0x1000		/* where the host copies the loop to */
#define END_PORT	0x10
#define FAULTED		0xdead		/* what a read that faults returns */
#define GPTE_IGNORED	0x200		/* what a touch changes */

enum command { TOUCH, INVLPG, CR3, CR4_PGE, INVPCID, END };

/* The loop knows the offsets. */
struct shared {
	uint32_t request, ack;
	uint32_t flushed;	/* what was read after the last flush */
	uint32_t command;
	uint32_t touch;		/* the gpa of a gPTE */
	uint32_t seen;		/* what was read last */
	uint64_t invpcid[2];
};

extern const char guest32[], guest32_pf[], guest32_end[];
extern const char guest64[], guest64_pf[], guest64_end[];

/*
 * RDI is struct shared, RSI the probe, r the first letter of the registers.  A #PF
 * gets to the last part, which has the read return FAULTED.
 */
asm(".pushsection .rodata\n\t"
	".macro guest_loop bits, r, word, mov\n\t"
	".code\\bits\n"
	"guest\\bits:\n"
	"1:	call 7f\n\t"
		"mov %eax, 20(%\\r\\()di)\n\t"
		"mov (%\\r\\()di), %ecx\n\t"
		"cmp 4(%\\r\\()di), %ecx\n\t"
		"je 1b\n\t"
		"mov 12(%\\r\\()di), %edx\n\t"
		"cmp $0, %edx\n\t"
		"jne 2f\n\t"
		"mov 16(%\\r\\()di), %ebx\n\t"
		"xorl $" __stringify(GPTE_IGNORED) ", (%\\r\\()bx)\n\t"
		"jmp 6f\n"
	"2:	cmp $1, %edx\n\t"
		"jne 3f\n\t"
		"invlpg (%\\r\\()si)\n"
	"3:	cmp $2, %edx\n\t"
		"jne 4f\n\t"
		"mov %cr3, %\\r\\()ax\n\t"
		"mov %\\r\\()ax, %cr3\n"
	"4:	cmp $3, %edx\n\t"
		"jne 5f\n\t"
		"mov %cr4, %\\r\\()ax\n\t"
		"xor $0x80, %\\r\\()ax\n\t"
		"mov %\\r\\()ax, %cr4\n\t"
		"xor $0x80, %\\r\\()ax\n\t"
		"mov %\\r\\()ax, %cr4\n"
	"5:	cmp $4, %edx\n\t"
		"jne 5f\n\t"
		"mov $2, %eax\n\t"
		"invpcid 24(%\\r\\()di), %\\r\\()ax\n"
	"5:	cmp $5, %edx\n\t"
		"jne 5f\n\t"
		"out %al, $" __stringify(END_PORT) "\n"
	"5:	call 7f\n\t"
		"mov %eax, 20(%\\r\\()di)\n\t"
		"mov %eax, 8(%\\r\\()di)\n"
	"6:	mov %ecx, 4(%\\r\\()di)\n\t"
		"jmp 1b\n"
	"7:	mov (%\\r\\()si), %eax\n"
	"8:	ret\n"
	"guest\\bits\\()_pf:\n\t"
		"add $\\word, %\\r\\()sp\n\t"
		"\\mov $(" __stringify(CODE) " + 8b - guest\\bits), (%\\r\\()sp)\n\t"
		"mov $" __stringify(FAULTED) ", %eax\n\t"
		".if \\bits == 64\n\t"
		"iretq\n\t"
		".else\n\t"
		"iretl\n\t"
		".endif\n"
	"guest\\bits\\()_end:\n\t"
	".endm\n\t"
	"guest_loop 32, e, 4, movl\n\t"
	"guest_loop 64, r, 8, movq\n\t"
	".code64\n\t"
	".popsection\n");

#endif /* SELFTEST_KVM_MMU_REWRITE_GUEST_H */
