/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * 32-bit paging: two levels of 4-byte entries, 4M pages with CR4.PSE, whose
 * bits 13-16 are bits 32-35 of the address (PSE-36).
 */
#ifndef __KVM_X86_MMU_GUEST_FMT_32_H
#define __KVM_X86_MMU_GUEST_FMT_32_H

#include "mmu.h"
#include "guest_fmt.h"

static const struct guest_fmt guest_fmt_32 = {
	.entry_size		= sizeof(u32),
	.level_bits		= 10,
	.max_level		= PT32_ROOT_LEVEL,

	.present		= PT_PRESENT_MASK,
	.write			= PT_WRITABLE_MASK,
	.user			= PT_USER_MASK,
	.exec			= PT_PRESENT_MASK,
	.accessed		= PT_ACCESSED_MASK,
	.dirty			= PT_DIRTY_MASK,
	.huge			= PT_PAGE_SIZE_MASK,

	.addr			= GENMASK_ULL(31, 12),
	.huge_high		= GENMASK_ULL(16, 13),
	.huge_high_shift	= 32 - 13,

	.huge_by_pse		= true,
};

#endif /* __KVM_X86_MMU_GUEST_FMT_32_H */
