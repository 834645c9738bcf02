/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The CPUs that the tests with software CPUs run on, as parameters of a KUnit
 * case: soft_hardware_gen_params(), or by name.
 */
#ifndef __KVM_X86_MMU_SOFT_HARDWARE_H
#define __KVM_X86_MMU_SOFT_HARDWARE_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "soft_vendor.h"

static const struct soft_hardware soft_hardwares[] = {
	{ "NPT", .tdp = true, .levels = 4, .huge_level = PG_LEVEL_1G },
	{ "NPT with 5 levels", .tdp = true, .hypercall = true, .levels = 5,
	  .huge_level = PG_LEVEL_1G },
	{ "EPT", .tdp = true, .ept = true, .ad = true, .exec_only = true,
	  .levels = 4, .huge_level = PG_LEVEL_1G },
	{ "EPT with PML", .tdp = true, .ept = true, .ad = true, .exec_only = true,
	  .pml = true, .levels = 4, .huge_level = PG_LEVEL_1G },
	{ "EPT without A/D", .tdp = true, .ept = true, .levels = 5,
	  .huge_level = PG_LEVEL_2M },
	{ "NPT, log by regions", .tdp = true, .regions = true, .levels = 4,
	  .huge_level = PG_LEVEL_2M },
	{ "EPT, log by regions", .tdp = true, .ept = true, .ad = true,
	  .exec_only = true, .hypercall = true, .regions = true, .levels = 5,
	  .huge_level = PG_LEVEL_1G },
	{ "shadow paging", .levels = 4, .huge_level = PG_LEVEL_1G },
};

/* The plain one, for what is the same on all, and the one without TDP. */
#define SOFT_NPT	(&soft_hardwares[0])
#define SOFT_SHADOW	(&soft_hardwares[ARRAY_SIZE(soft_hardwares) - 1])

static inline void soft_hardware_desc(const struct soft_hardware *hw, char *desc)
{
	strscpy(desc, hw->name, KUNIT_PARAM_DESC_SIZE);
}

static const void *soft_hardware_gen_params(const void *prev, char *desc) __maybe_unused;
KUNIT_ARRAY_PARAM(soft_hardware, soft_hardwares, soft_hardware_desc);

#endif /* __KVM_X86_MMU_SOFT_HARDWARE_H */
