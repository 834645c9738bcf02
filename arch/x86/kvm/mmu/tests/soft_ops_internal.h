/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Between the files of soft_ops.h: soft_ops.c has accesses by gpa and the MMU,
 * soft_ops_gva.c by gva, soft_ops_paging.c guests with paging, soft_ops_slot.c
 * slots, their dirty pages and the VMM's memory.
 */
#ifndef __KVM_X86_MMU_SOFT_OPS_INTERNAL_H
#define __KVM_X86_MMU_SOFT_OPS_INTERNAL_H

#include <linux/kvm_host.h>

#include "smm.h"
#include "soft_ops.h"

/* KVM and the oracle differ; the first time counts. */
__printf(2, 3) void soft_differ(struct soft_run *run, const char *format, ...);

/* An enum soft_end, or an errno. */
const char *soft_end_name(int end);

/* A page of the VMM is one of the guest's tables, or was one. */
bool soft_page_was_table(const struct soft_run *run, unsigned long page);

static inline int soft_op_vcpu_id(struct soft_run *run, const struct soft_op *op)
{
	return op->vcpu % run->vm->nr_vcpus;
}

static inline struct kvm_vcpu *soft_op_vcpu(struct soft_run *run,
					    const struct soft_op *op)
{
	return run->vm->vcpu[soft_op_vcpu_id(run, op)];
}

/* The address space that a vCPU is in. */
static inline struct soft_as *soft_vcpu_as(struct soft_run *run,
					   struct kvm_vcpu *vcpu)
{
	return &run->model->as[is_smm(vcpu)];
}

static inline u64 *soft_content(struct soft_run *run, struct soft_as *as, gfn_t gfn)
{
	unsigned long page = soft_slot_page(soft_as_slot(as, gfn), gfn);

	if (soft_model_private(run->model, gfn))
		page += SOFT_PAGES;
	return &run->model->content[page];
}

/* The guests' tables are L1's, in the format of EPT. */
static inline bool soft_run_has_ept(const struct soft_run *run)
{
	return run->vm->kind.nested && soft_vendor_hardware()->ept;
}

/*
 * KVM can be held to telling of no page that nobody used.  With shadow paging, and
 * for L2, pages are mapped that the guest did not ask for.
 */
static inline bool soft_run_is_exact(const struct soft_run *run)
{
	return tdp_enabled && !run->vm->kind.nested;
}

/* What a vCPU has used goes to the oracle. */
void soft_note_used(struct soft_run *run, struct kvm_vcpu *vcpu,
		    const struct soft_access *access);

/* A write, or the value that was read: it is in RAM. */
void soft_check_ram(struct soft_run *run, struct soft_as *as, gfn_t gfn,
		    const struct soft_access *access);

/* soft_cpu_run(), collecting the dirty rings where that is needed. */
int soft_run_vcpu(struct soft_run *run, struct kvm_vcpu *vcpu,
		  struct soft_access *access);

/* KVM has nothing to zap where no slot is: what was MMIO may still be. */
bool soft_end_is_right(struct soft_as *as, gfn_t gfn, int end, int want);

/* Of soft_ops_gva.c */
void soft_access_gva(struct soft_run *run, const struct soft_op *op);

/* Of soft_ops_paging.c */
void soft_paging_init(struct soft_run *run);
bool soft_op_is_paging(struct soft_run *run, const struct soft_op *op);
void soft_guest_gpte(struct soft_run *run, const struct soft_op *op);
void soft_guest_paging(struct soft_run *run, const struct soft_op *op);
void soft_guest_protection(struct soft_run *run, const struct soft_op *op);
void soft_guest_invlpg(struct soft_run *run, const struct soft_op *op);
void soft_guest_cr3(struct soft_run *run, const struct soft_op *op);
void soft_guest_smm(struct soft_run *run, const struct soft_op *op);

/* What an OS does for a page fault: the n-th gva leads to @gfn. */
void soft_guest_mend(struct soft_run *run, int id, unsigned int n, gfn_t gfn);

/* Of soft_ops_slot.c */
void soft_op_slot(struct soft_run *run, const struct soft_op *op);
void soft_op_beyond(struct soft_run *run, const struct soft_op *op);
void soft_op_get_log(struct soft_run *run, const struct soft_op *op);
void soft_op_clear_log(struct soft_run *run, const struct soft_op *op);
void soft_op_private(struct soft_run *run, const struct soft_op *op);
void soft_op_punch_hole(struct soft_run *run, const struct soft_op *op);
void soft_op_host_write(struct soft_run *run, const struct soft_op *op);
void soft_op_renew(struct soft_run *run, const struct soft_op *op);
/* The VMM writes a new value to one of its pages. */
void soft_host_write(struct soft_run *run, unsigned long page);
void soft_op_host_protect(struct soft_run *run, const struct soft_op *op);
void soft_op_clean(struct soft_run *run, const struct soft_op *op);
void soft_op_age(struct soft_run *run, const struct soft_op *op);
void soft_op_scribble(struct soft_run *run, const struct soft_op *op);

/* The VMM collects what is in the vCPUs' dirty rings, if they have any. */
void soft_op_harvest(struct soft_run *run);

/* Of soft_ops_race.c: what two vCPUs, or a vCPU and the VMM, do at once. */
struct soft_late *soft_late_create(struct kunit *test);
struct soft_slow *soft_slow_create(struct kunit *test);
void soft_op_late(struct soft_run *run, const struct soft_op *op);
void soft_op_slow(struct soft_run *run, const struct soft_op *op);

#endif /* __KVM_X86_MMU_SOFT_OPS_INTERNAL_H */
