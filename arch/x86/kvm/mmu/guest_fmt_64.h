/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PAE, 4-level and 5-level paging, and AMD's NPT.  PAE's root is four registers
 * (PDPTRs); what else it has not, NX and 1G pages for example, is reserved.
 */
#ifndef __KVM_X86_MMU_GUEST_FMT_64_H
#define __KVM_X86_MMU_GUEST_FMT_64_H

#include <asm/pgtable_types.h>
#include "mmu.h"
#include "guest_fmt.h"

static const struct guest_fmt guest_fmt_64 = {
	.entry_size		= sizeof(u64),
	.level_bits		= 9,
	.max_level		= PT64_ROOT_MAX_LEVEL,
	.pdptr_level		= PT32E_ROOT_LEVEL,

	.present		= PT_PRESENT_MASK,
	.write			= PT_WRITABLE_MASK,
	.user			= PT_USER_MASK,
	.exec			= PT64_NX_MASK,
	.forbid			= PT64_NX_MASK,
	.accessed		= PT_ACCESSED_MASK,
	.dirty			= PT_DIRTY_MASK,
	.huge			= PT_PAGE_SIZE_MASK,

	.addr			= GENMASK_ULL(51, 12),
	.pkey			= _PAGE_PKEY_MASK,
	.pkey_shift		= _PAGE_BIT_PKEY_BIT0,
};

#endif /* __KVM_X86_MMU_GUEST_FMT_64_H */
