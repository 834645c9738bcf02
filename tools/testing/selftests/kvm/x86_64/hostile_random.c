// SPDX-License-Identifier: GPL-2.0-only
#include <linux/kernel.h>

#include "hostile_random.h"
#include "hostile_vm.h"

bool chance(struct guest_random_state *rng, unsigned int n)
{
	return !below(rng, n);
}

uint32_t below(struct guest_random_state *rng, uint32_t n)
{
	return guest_random_u32(rng) % n;
}

uint64_t odd_value(struct guest_random_state *rng)
{
	static const uint64_t odd[] = {
		0, 1, 7, 8, 63, 64, 0xfff, 0x1000, 0x1001, 0x7fffffff,
		0x80000000, 0xfffff000, 0xffffffff, 0x100000000,
		1ull << 40, (1ull << 52) - 0x1000, 1ull << 52, 1ull << 63,
		-1ull, -0x1000ull, -0x1001ull, (1ull << 63) - 0x1000,
	};
	uint64_t value = odd[below(rng, ARRAY_SIZE(odd))];

	return chance(rng, 4) ? value + below(rng, 3) - 1 : value;
}

uint32_t odd_id(struct guest_random_state *rng, uint32_t nr)
{
	return chance(rng, 8) ? odd_value(rng) : below(rng, nr);
}

uint64_t odd_size(struct guest_random_state *rng)
{
	static const uint64_t odd[] = {
		0, 1, 0xfff, 0x1000, 0x1001, 2 << 20, (2 << 20) - 0x1000,
		-1ull, -0x1000ull, 1ull << 63,
	};

	if (chance(rng, 8))
		return odd[below(rng, ARRAY_SIZE(odd))];
	return PAGES(1 + below(rng, chance(rng, 2) ? 8 : 2048));
}

void *odd_pointer(struct guest_random_state *rng, void *good)
{
	return chance(rng, 64) ? (void *)odd_value(rng) : good;
}

uint64_t flip_bits(struct guest_random_state *rng, uint64_t value)
{
	while (chance(rng, 2))
		value ^= 1ull << below(rng, 64);
	return value;
}
