/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A small VM whose every slot can be checked: what the guest reads in each
 * page, and what it has written is in the dirty log, and nothing else is.
 */
#ifndef SELFTEST_KVM_HOSTILE_SCENE_H
#define SELFTEST_KVM_HOSTILE_SCENE_H

#include <stdint.h>

#include "kvm_util.h"

#define SCENE_GPA	0x10000000ull
#define SCENE_PAGES	32		/* that the guest reads */
#define SCENE_HOST_PAGES 64
#define SCENE_PAGE(n)	((n) * 4096ull)
#define SCENE_FIRST_ID	100

/* A slot: @pages from page @first of the guest's, and from @host of the host's. */
struct scene_slot {
	uint32_t flags;
	int first, pages, host;
};

/* Whatever a test does to slots, it does to SUBJECT. */
enum { PLAIN, LOGGED, SUBJECT, NR_SCENE_SLOTS };

extern const struct scene_slot scene_slots[NR_SCENE_SLOTS];

struct scene {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	uint8_t *mem;
	struct scene_slot slots[NR_SCENE_SLOTS];
	unsigned int passes, target;	/* page of LOGGED that a pass writes */
	uint64_t written;		/* what the next log must have */
};

void scene_create(struct scene *s);
void scene_free(struct scene *s);
/* What the slots' pages hold */
void scene_fill(struct scene *s);

/* These two return as ioctls do.  A slot of 0 pages is deleted. */
int scene_set(struct scene *s, int id, const struct scene_slot *slot);
/* One KVM_RUN; answers reads of what is no memory. */
int scene_run_once(struct scene *s);

/* Everything is as the slots say, whatever has cut the guest's pass short. */
void scene_check(struct scene *s);

#endif /* SELFTEST_KVM_HOSTILE_SCENE_H */
