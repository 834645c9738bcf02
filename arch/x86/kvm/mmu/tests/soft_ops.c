// SPDX-License-Identifier: GPL-2.0-only
/*
 * What happens to a VM of software CPUs, see soft_ops.h.
 */
#include <kunit/test.h>
#include <linux/bitmap.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>
#include <linux/prandom.h>

#include "mmu.h"
#include "smm.h"
#include "soft_ops.h"

static __printf(2, 3) void differ(struct soft_run *run, const char *format, ...)
{
	va_list args;

	if (run->failed)
		return;
	run->failed = true;
	va_start(args, format);
	vscnprintf(run->why, sizeof(run->why), format, args);
	va_end(args);
}

static struct kvm_vcpu *op_vcpu(struct soft_run *run, const struct soft_op *op)
{
	return run->vm->vcpu[op->vcpu % run->vm->nr_vcpus];
}

#define SOFT_QUOTA	64

/* Slots have an id of 16 bits, and above it their address space. */
#define NR_SLOT_IDS	(SOFT_NR_AS * SOFT_SLOTS)

static u32 op_slot_id(const struct soft_op *op)
{
	return (op->a / SOFT_SLOTS % SOFT_NR_AS) << 16 | op->a % SOFT_SLOTS;
}

static struct soft_as *op_slot_as(struct soft_run *run, const struct soft_op *op)
{
	return &run->model->as[op_slot_id(op) >> 16];
}

static struct soft_slot *op_slot(struct soft_run *run, const struct soft_op *op)
{
	return &op_slot_as(run, op)->slots[(u16)op_slot_id(op)];
}

/* The address space that a vCPU is in. */
static struct soft_as *vcpu_as(struct soft_run *run, struct kvm_vcpu *vcpu)
{
	return &run->model->as[is_smm(vcpu)];
}

/* Accesses */

static const char *end_name(int end)
{
	static const char * const names[] = {
		[SOFT_RAM] = "RAM",
		[SOFT_MMIO] = "MMIO",
		[SOFT_FAULT] = "a fault",
	};

	return end < 0 ? "an error" : names[end];
}

static void check_read(struct soft_run *run, struct soft_as *as, gfn_t gfn,
		       u64 value)
{
	struct soft_slot *slot = soft_as_slot(as, gfn);
	u64 want = run->model->content[soft_slot_page(slot, gfn)];

	if (value != want)
		differ(run, "gfn %#llx: read %#llx, must be %#llx", gfn, value,
		       want);
}

static void do_access(struct soft_run *run, const struct soft_op *op)
{
	const bool write = op->kind == SOFT_OP_WRITE;
	const gfn_t gfn = op->a;
	struct kvm_vcpu *vcpu = op_vcpu(run, op);
	struct soft_as *as = vcpu_as(run, vcpu);
	const int want = soft_as_end(as, gfn, write);
	struct soft_access access = {
		.addr = gfn_to_gpa(gfn),
		.write = write,
		.fetch = op->kind == SOFT_OP_FETCH,
		.value = soft_model_value(run->model, 0),
	};
	int end;

	soft_cpu_begin(vcpu);
	end = soft_cpu_access(vcpu, &access);
	soft_cpu_end(vcpu);

	if (end != want)
		differ(run, "gfn %#llx: is %s (%d), must be %s", gfn,
		       end_name(end), end, end_name(want));
	else if (end == SOFT_RAM && write)
		soft_model_written(run->model, as, gfn, access.value);
	else if (end == SOFT_RAM)
		check_read(run, as, gfn, access.value);
}

/* Slots and their dirty pages */

static void do_slot(struct soft_run *run, const struct soft_op *op)
{
	const u32 id = op_slot_id(op);
	struct soft_slot want = *op_slot(run, op);
	int r, must;

	switch (op->kind) {
	case SOFT_OP_CREATE:
		want.gfn = op->b;
		want.page = op->c;
		want.npages = op->d;
		want.flags = op->e;
		break;
	case SOFT_OP_DELETE:
		want.npages = 0;
		break;
	case SOFT_OP_MOVE:
		want.gfn = op->b;
		break;
	case SOFT_OP_FLAGS:
		want.flags = op->b;
		break;
	}

	r = soft_vm_set_slot(run->vm, id, want.gfn, want.npages, want.page,
			     want.flags);
	must = soft_as_set_slot(op_slot_as(run, op), (u16)id, &want);
	if (r != must)
		differ(run, "slot %#x: %d, must be %d", id, r, must);
}

static void do_get_log(struct soft_run *run, const struct soft_op *op)
{
	static u64 log[BITS_TO_LONGS(SOFT_PAGES)];
	const u32 id = op_slot_id(op);
	struct soft_slot *slot = op_slot(run, op);
	const bool logs = slot->npages && (slot->flags & KVM_MEM_LOG_DIRTY_PAGES);
	int r = soft_vm_get_dirty_log(run->vm, id, log,
				      BITS_TO_LONGS(slot->npages));

	if (r != (logs ? 0 : -ENOENT)) {
		differ(run, "dirty log of slot %#x: %d", id, r);
		return;
	}
	if (!logs)
		return;
	if (!bitmap_subset(slot->dirty, (unsigned long *)log, slot->npages))
		differ(run, "dirty log of slot %#x: a page is missing", id);
	bitmap_zero(slot->dirty, SOFT_PAGES);
}

/* The VMM's memory; @pages is cut where the memory ends */

static unsigned long cut(unsigned long page, unsigned long pages)
{
	return min(pages, SOFT_PAGES - page);
}

static void do_host_write(struct soft_run *run, unsigned long page)
{
	const u64 value = soft_model_value(run->model, page);

	run->model->content[page] = value;
	soft_vm_write_page(run->vm, page, value);
}

static void do_renew(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long pages = cut(op->a, op->b);
	unsigned long i;

	soft_vm_renew_pages(run->vm, op->a, pages);
	for (i = 0; i < pages; i++)
		do_host_write(run, op->a + i);
}

/* Nobody runs in between: what was just made old is old. */
static void do_age(struct soft_run *run, const struct soft_op *op)
{
	const unsigned long start = soft_vm_hva(run->vm, op->a);
	const unsigned long end = start + cut(op->a, op->b) * PAGE_SIZE;
	struct mm_struct *mm = run->vm->kvm->mm;
	unsigned long hva;

	mmu_notifier_clear_young(mm, start, end);
	for (hva = start; hva < end; hva += PAGE_SIZE)
		if (mmu_notifier_test_young(mm, hva))
			differ(run, "page %#lx is young",
			       op->a + (hva - start) / PAGE_SIZE);
}

/* The MMU */

static void do_prefault(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);
	const int end = soft_as_end(vcpu_as(run, vcpu), op->a, false);
	struct kvm_pre_fault_memory range = {
		.gpa = gfn_to_gpa(op->a),
		.size = PAGE_SIZE,
	};
	long r, must;

	soft_cpu_begin(vcpu);
	r = kvm_arch_vcpu_pre_fault_memory(vcpu, &range);
	soft_cpu_end(vcpu);

	if (!tdp_enabled)
		must = -EOPNOTSUPP;
	else
		must = end == SOFT_RAM ? PAGE_SIZE : -ENOENT;
	if (r != must)
		differ(run, "gfn %#x: pre-fault: %ld, must be %ld", op->a, r,
		       must);
}

static void do_new_root(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);

	soft_cpu_begin(vcpu);
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

/* As enter_smm() and RSM change what the MMU sees. */
static void do_smm(struct soft_run *run, const struct soft_op *op)
{
	struct kvm_vcpu *vcpu = op_vcpu(run, op);

	soft_cpu_begin(vcpu);
	vcpu->arch.hflags ^= HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	soft_cpu_end(vcpu);
}

static void do_quota(struct soft_run *run, const struct soft_op *op)
{
	int r = soft_vm_set_quota(run->vm, op->a);

	if (r)
		differ(run, "quota of %d: %d", op->a, r);
}

static void do_op(struct soft_run *run, const struct soft_op *op)
{
	switch (op->kind) {
	case SOFT_OP_READ:
	case SOFT_OP_WRITE:
	case SOFT_OP_FETCH:
		return do_access(run, op);
	case SOFT_OP_CREATE:
	case SOFT_OP_DELETE:
	case SOFT_OP_MOVE:
	case SOFT_OP_FLAGS:
		return do_slot(run, op);
	case SOFT_OP_GET_LOG:
		return do_get_log(run, op);
	case SOFT_OP_RENEW:
		return do_renew(run, op);
	case SOFT_OP_HOST_WRITE:
		return do_host_write(run, op->a);
	case SOFT_OP_AGE:
		return do_age(run, op);
	case SOFT_OP_PREFAULT:
		return do_prefault(run, op);
	case SOFT_OP_NEW_ROOT:
		return do_new_root(run, op);
	case SOFT_OP_SMM:
		return do_smm(run, op);
	case SOFT_OP_QUOTA:
		return do_quota(run, op);
	case SOFT_OP_FAIL:
		if (++run->fails_seen == 2)
			differ(run, "told to");
	}
}

int soft_ops_run(struct soft_run *run, const struct soft_op *ops, int nr)
{
	unsigned long page;
	int i;

	run->failed = false;
	run->fails_seen = 0;
	soft_model_init(run->model);
	/* Without slots, KVM allows no shadow page, not even a root. */
	soft_vm_set_quota(run->vm, SOFT_QUOTA);
	for (page = 0; page < SOFT_PAGES; page++)
		soft_vm_write_page(run->vm, page, run->model->content[page]);

	for (i = 0; i < nr; i++) {
		do_op(run, &ops[i]);
		if (run->failed)
			break;
		cond_resched();
	}
	return i;
}

/* Random ones */

static u32 below(struct rnd_state *rnd, u32 limit)
{
	return prandom_u32_state(rnd) % limit;
}

/* Mostly few, so that the vCPUs meet; sometimes a 2M page and more. */
static u32 some_pages(struct rnd_state *rnd)
{
	return below(rnd, 4) ? 1 + below(rnd, 40) : 1 + below(rnd, 1100);
}

static u32 some_gfn(struct rnd_state *rnd)
{
	return below(rnd, 3) ? below(rnd, 96) : below(rnd, SOFT_GFNS);
}

static void random_slot(struct rnd_state *rnd, struct soft_op *op)
{
	static const u8 flags[] = {
		0, KVM_MEM_LOG_DIRTY_PAGES, KVM_MEM_READONLY,
		KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY,
	};

	op->b = some_gfn(rnd);
	op->c = below(rnd, SOFT_PAGES);
	/* What lies alike in gfns and in host memory can be a huge page. */
	if (below(rnd, 2))
		op->c = (op->c & ~511) | (op->b & 511);
	op->d = cut(op->c, some_pages(rnd));
	op->e = flags[below(rnd, ARRAY_SIZE(flags))];
}

/* How often each comes, of the sum of all. */
static const u8 weights[SOFT_NR_OPS] = {
	[SOFT_OP_READ] = 60,
	[SOFT_OP_WRITE] = 60,
	[SOFT_OP_FETCH] = 10,
	[SOFT_OP_CREATE] = 8,
	[SOFT_OP_DELETE] = 4,
	[SOFT_OP_MOVE] = 4,
	[SOFT_OP_FLAGS] = 8,
	[SOFT_OP_GET_LOG] = 12,
	[SOFT_OP_RENEW] = 3,
	[SOFT_OP_HOST_WRITE] = 6,
	[SOFT_OP_AGE] = 3,
	[SOFT_OP_PREFAULT] = 3,
	[SOFT_OP_NEW_ROOT] = 2,
	[SOFT_OP_SMM] = 2,
	[SOFT_OP_QUOTA] = 1,
};

static int random_kind(struct rnd_state *rnd)
{
	int kind, sum = 0, n;

	for (kind = 0; kind < SOFT_NR_OPS; kind++)
		sum += weights[kind];
	n = below(rnd, sum);
	for (kind = 0; n >= weights[kind]; kind++)
		n -= weights[kind];
	return kind;
}

struct soft_op soft_op_random(struct rnd_state *rnd)
{
	struct soft_op op = {
		.kind = random_kind(rnd),
		.vcpu = below(rnd, SOFT_MAX_VCPUS),
	};

	switch (op.kind) {
	case SOFT_OP_CREATE:
		random_slot(rnd, &op);
		op.a = below(rnd, NR_SLOT_IDS);
		break;
	case SOFT_OP_MOVE:
		op.a = below(rnd, NR_SLOT_IDS);
		op.b = some_gfn(rnd);
		break;
	case SOFT_OP_DELETE:
	case SOFT_OP_GET_LOG:
		op.a = below(rnd, NR_SLOT_IDS);
		break;
	case SOFT_OP_FLAGS:
		op.a = below(rnd, NR_SLOT_IDS);
		op.b = below(rnd, 2) ? KVM_MEM_LOG_DIRTY_PAGES : 0;
		break;
	case SOFT_OP_RENEW:
	case SOFT_OP_AGE:
		op.a = below(rnd, SOFT_PAGES);
		op.b = 1 + below(rnd, 64);
		break;
	case SOFT_OP_HOST_WRITE:
		op.a = below(rnd, SOFT_PAGES);
		break;
	case SOFT_OP_QUOTA:
		op.a = KVM_MIN_ALLOC_MMU_PAGES + below(rnd, 64);
		break;
	default:
		op.a = some_gfn(rnd);
	}
	return op;
}

void soft_op_print(struct kunit *test, const struct soft_op *op)
{
	static const char * const names[] = {
#define SOFT_OP_NAME(name)	#name,
		SOFT_OPS(SOFT_OP_NAME)
	};

	kunit_info(test, "\t{ SOFT_OP_%s, %u, %#x, %#x, %#x, %#x, %#x },\n",
		   names[op->kind], op->vcpu, op->a, op->b, op->c, op->d, op->e);
}
