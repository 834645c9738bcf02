/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files of soft_ops.h: soft_ops.c has accesses, the guest's tables
 * and the MMU, soft_ops_slot.c has slots, their dirty pages and the VMM's memory.
 */
#ifndef __KVM_X86_MMU_SOFT_OPS_IMPL_H
#define __KVM_X86_MMU_SOFT_OPS_IMPL_H

#include "soft_ops.h"

/* VM and oracle differ; the first time counts. */
void __printf(2, 3) soft_differ(struct soft_run *run, const char *format, ...);

/* How many tables, of both address spaces, a page of the VMM is. */
int soft_nr_tables_at(struct soft_run *run, unsigned long page);

void soft_op_slot(struct soft_run *run, const struct soft_op *op);
void soft_op_get_log(struct soft_run *run, const struct soft_op *op);
void soft_op_clear_log(struct soft_run *run, const struct soft_op *op);
void soft_op_private(struct soft_run *run, const struct soft_op *op);
void soft_op_punch_hole(struct soft_run *run, const struct soft_op *op);
void soft_op_host_write(struct soft_run *run, const struct soft_op *op);
void soft_op_renew(struct soft_run *run, const struct soft_op *op);
void soft_op_age(struct soft_run *run, const struct soft_op *op);

/* The VMM collects what is in the vCPUs' dirty rings, if they have any. */
void soft_op_harvest(struct soft_run *run);

#endif /* __KVM_X86_MMU_SOFT_OPS_IMPL_H */
