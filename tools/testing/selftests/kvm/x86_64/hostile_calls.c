// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>

#include <linux/kernel.h>

#include "hostile_calls.h"

static const struct hostile_call * const groups[] = {
	hostile_memory_calls, hostile_machine_calls, hostile_vcpu_calls,
	hostile_para_calls,
};

const struct hostile_call *hostile_call(unsigned int nr)
{
	const struct hostile_call *call;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(groups); i++)
		for (call = groups[i]; call->name; call++)
			if (!nr--)
				return call;
	return NULL;
}

unsigned int count_hostile_calls(void)
{
	unsigned int nr = 0;

	while (hostile_call(nr))
		nr++;
	TEST_ASSERT(nr <= MAX_HOSTILE_CALLS, "%u kinds of calls", nr);
	return nr;
}

bool is_errno_in(const int *errnos, int error)
{
	while (*errnos && *errnos != error)
		errnos++;
	return *errnos;
}
