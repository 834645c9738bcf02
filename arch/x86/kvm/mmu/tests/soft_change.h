/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A change of a slot of a software VM (soft_vm.h) that is stopped on its way, for
 * tests of what goes on meanwhile; and faults that last as long as the test likes.
 */
#ifndef __KVM_X86_MMU_SOFT_CHANGE_H
#define __KVM_X86_MMU_SOFT_CHANGE_H

#include <linux/completion.h>
#include <linux/sched.h>

#include "soft_vm.h"

/**
 * struct soft_change - a thread of the VMM that changes a slot
 * @vm: the VM
 * @id: of the slot, with its address space
 * @gfn: see soft_vm_set_slot(); so are @npages, which are 0 to delete it, @page, @flags
 * @npages: see there
 * @page: see there
 * @flags: see there
 * @task: the thread; NULL: it could not be created, which is the error
 * @error: of the ioctl
 * @done: the thread uses nothing of this any more
 */
struct soft_change {
	struct soft_vm *vm;
	u32 id;
	gfn_t gfn;
	unsigned long npages;
	unsigned long page;
	u32 flags;
	struct task_struct *task;
	int error;
	struct completion done;
};

/* The change begins, in a thread; of these three, call one. */
void soft_change_begin(struct soft_change *change);

/* Runs it until it is published; a reader of kvm->srcu keeps it from ending. */
void soft_change_until_published(struct soft_change *change);

/*
 * Runs it until it would be published: there it waits, as an invalidation seems to be
 * under way.  soft_change_publish() ends that one.
 */
void soft_change_until_unpublished(struct soft_change *change);
void soft_change_publish(struct soft_change *change);

/* Waits for its end, and expects no error. */
void soft_change_end(struct soft_change *change);

/**
 * struct soft_slow - faults of memory of the driver, which a test lets wait
 * @asked: somebody waits
 * @given: nobody has to any more
 */
struct soft_slow {
	struct completion asked;
	struct completion given;
};

/* The driver maps a page, and its faults wait until @given, or until the test ends. */
struct soft_slow *soft_slow_page(struct soft_vm *vm, unsigned long page);

#endif /* __KVM_X86_MMU_SOFT_CHANGE_H */
