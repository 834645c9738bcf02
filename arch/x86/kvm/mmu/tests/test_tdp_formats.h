/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The formats of direct paging, as parameters of a KUnit case:
 * tdp_formats_gen_params().
 */
#ifndef __KVM_X86_MMU_TEST_TDP_FORMATS_H
#define __KVM_X86_MMU_TEST_TDP_FORMATS_H

#include "test_tdp.h"

static const struct format_case tdp_formats[] = {
	{ .name = "legacy", .ad = true },
	{ .name = "EPT", .ept = true },
	{ .name = "EPT, A/D", .ept = true, .ad = true },
};

KUNIT_ARRAY_PARAM_DESC(tdp_formats, tdp_formats, name);

/* In a test without formats: the first. */
static inline struct tdp_test *tdp_test_create_param(struct kunit *test)
{
	return tdp_test_create(test, test->param_value ?: &tdp_formats[0]);
}

#endif /* __KVM_X86_MMU_TEST_TDP_FORMATS_H */
