/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * EPT, from a nested guest's physical address to its hypervisor's.  A page that
 * has no A and D is never clean.
 */
#ifndef __KVM_X86_MMU_GUEST_FMT_EPT_H
#define __KVM_X86_MMU_GUEST_FMT_EPT_H

#include <asm/vmx.h>
#include "mmu.h"
#include "guest_fmt.h"

static const struct guest_fmt guest_fmt_ept = {
	.entry_size		= sizeof(u64),
	.level_bits		= 9,
	.max_level		= PT64_ROOT_MAX_LEVEL,

	.present		= VMX_EPT_RWX_MASK,
	.write			= VMX_EPT_WRITABLE_MASK,
	.user			= VMX_EPT_READABLE_MASK,
	.exec			= VMX_EPT_EXECUTABLE_MASK,
	.accessed		= VMX_EPT_ACCESS_BIT,
	.dirty			= VMX_EPT_DIRTY_BIT,
	.huge			= PT_PAGE_SIZE_MASK,

	.addr			= GENMASK_ULL(51, 12),
	.mt_xwr			= GENMASK_ULL(5, 0),

	.ad_optional		= true,
	.ept			= true,
};

#endif /* __KVM_X86_MMU_GUEST_FMT_EPT_H */
