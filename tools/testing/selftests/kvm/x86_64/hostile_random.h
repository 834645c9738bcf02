/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Random values: small ones, and those that are near a border.
 */
#ifndef SELFTEST_KVM_HOSTILE_RANDOM_H
#define SELFTEST_KVM_HOSTILE_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "test_util.h"

/* One time of @n */
bool chance(struct guest_random_state *rng, unsigned int n);
/* 0 to @n - 1 */
uint32_t below(struct guest_random_state *rng, uint32_t n);

uint64_t odd_value(struct guest_random_state *rng);
/* Mostly below @nr */
uint32_t odd_id(struct guest_random_state *rng, uint32_t nr);
/* Bytes; not so many that to go over all of them takes long. */
uint64_t odd_size(struct guest_random_state *rng);
/* An ioctl's argument is at a good address most of the time. */
void *odd_pointer(struct guest_random_state *rng, void *good);
/* @value, with some of its bits changed or with none */
uint64_t flip_bits(struct guest_random_state *rng, uint64_t value);

#endif /* SELFTEST_KVM_HOSTILE_RANDOM_H */
