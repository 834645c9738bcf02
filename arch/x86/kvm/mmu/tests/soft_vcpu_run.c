// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU in software, see soft_cpu.h: what KVM_RUN does around the guest of MMU
 * matters, in its order.  Requests before an entry; exits, and what is emulated.
 */
#include <linux/irqflags.h>
#include <linux/kvm_dirty_ring.h>
#include <linux/kvm_host.h>
#include <linux/preempt.h>

#include "mmu.h"
#include "soft_cpu.h"
#include "soft_vendor.h"
#include "x86.h"

/* KVM may ask for some retries, e.g. while a notifier is at work. */
#define MAX_EXITS	100000

/* Requests for parts that the software CPU has not. */
static void drop_requests(struct kvm_vcpu *vcpu)
{
	const int unused[] = {
		KVM_REQ_MIGRATE_TIMER, KVM_REQ_MASTERCLOCK_UPDATE,
		KVM_REQ_GLOBAL_CLOCK_UPDATE, KVM_REQ_CLOCK_UPDATE,
		KVM_REQ_STEAL_UPDATE, KVM_REQ_EVENT, KVM_REQ_SCAN_IOAPIC,
		KVM_REQ_APICV_UPDATE, KVM_REQ_APIC_PAGE_RELOAD,
		KVM_REQ_MSR_FILTER_CHANGED, KVM_REQ_UNBLOCK, KVM_REQ_PMU,
	};
	int i;

	for (i = 0; i < ARRAY_SIZE(unused); i++)
		kvm_clear_request(unused[i], vcpu);
}

static int serve_requests(struct kvm_vcpu *vcpu)
{
	if (!kvm_request_pending(vcpu))
		return 0;

	if (kvm_check_request(KVM_REQ_VM_DEAD, vcpu))
		return -EIO;
	if (kvm_dirty_ring_check_request(vcpu))
		return SOFT_RING_FULL;
	if (kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu))
		kvm_mmu_free_obsolete_roots(vcpu);
	if (kvm_check_request(KVM_REQ_MMU_SYNC, vcpu))
		kvm_mmu_sync_roots(vcpu);
	if (kvm_check_request(KVM_REQ_LOAD_MMU_PGD, vcpu))
		kvm_mmu_load_pgd(vcpu);
	if (kvm_check_request(KVM_REQ_TLB_FLUSH, vcpu)) {
		soft_cpu_flush(vcpu);
		kvm_clear_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
	}
	kvm_service_local_tlb_flush_requests(vcpu);
	if (kvm_check_request(KVM_REQ_UPDATE_CPU_DIRTY_LOGGING, vcpu))
		soft_cpu_update_pml(vcpu);
	drop_requests(vcpu);
	return 0;
}

/* Return: false if something came up and the guest was not entered. */
static bool enter_guest(struct kvm_vcpu *vcpu, struct soft_access *access,
			struct soft_walk *walk)
{
	bool ready;

	preempt_disable();
	local_irq_disable();

	/* As in vcpu_enter_guest(): the mode, then a look at requests. */
	smp_store_release(&vcpu->mode, IN_GUEST_MODE);
	kvm_vcpu_srcu_read_unlock(vcpu);
	smp_mb__after_srcu_read_unlock();

	ready = READ_ONCE(vcpu->mode) == IN_GUEST_MODE &&
		!kvm_request_pending(vcpu);
	if (ready)
		*walk = soft_cpu_enter(to_soft_vcpu(vcpu), access);

	/* Who sees this mode sees what the guest did. */
	smp_store_release(&vcpu->mode, OUTSIDE_GUEST_MODE);
	local_irq_enable();
	preempt_enable();

	kvm_vcpu_srcu_read_lock(vcpu);
	return ready;
}

static void note_touched(struct kvm_vcpu *vcpu, gfn_t gfn, bool dirtied)
{
	struct soft_touched *touched = &to_soft_vcpu(vcpu)->touched;
	const int last = touched->nr - 1;

	if (touched->nr == SOFT_MAX_TOUCHED ||
	    (touched->nr && touched->gfn[last] == gfn &&
	     touched->dirtied[last] == dirtied))
		return;
	touched->gfn[touched->nr] = gfn;
	touched->dirtied[touched->nr++] = dirtied;
}

/* Whose D the CPU has set, where KVM goes by that. */
static void note_dirtied(struct kvm_vcpu *vcpu)
{
	struct soft_dirtied *dirtied = &to_soft_vcpu(vcpu)->dirtied;

	while (dirtied->nr)
		note_touched(vcpu, gpa_to_gfn(dirtied->addr[--dirtied->nr]), true);
}

/* Each exit from the guest does it. */
static void collect_pml(struct kvm_vcpu *vcpu)
{
	struct soft_dirtied *logged = &to_soft_vcpu(vcpu)->logged;
	gfn_t gfn;

	while (logged->nr) {
		gfn = gpa_to_gfn(logged->addr[--logged->nr]);
		note_touched(vcpu, gfn, true);
		kvm_vcpu_mark_page_dirty(vcpu, gfn);
	}
}

static u64 code_of_walk(const struct soft_walk *walk)
{
	return (walk->present ? PFERR_PRESENT_MASK : 0) |
	       (walk->reserved ? PFERR_RSVD_MASK : 0);
}

/* A table's entry is read, and written as need_of_table() of soft_walk.c has it. */
static u64 code_of_table(struct kvm_vcpu *vcpu, const struct soft_walk *walk)
{
	const struct soft_tables tables = soft_cpu_tables(to_soft_vcpu(vcpu));
	const bool write = !tables.ept || tables.ad || walk->denied;

	return code_of_walk(walk) | PFERR_USER_MASK | PFERR_GUEST_PAGE_MASK |
	       (write ? PFERR_WRITE_MASK : 0);
}

/* Of EPT, KVM says with this bit that the access is a read. */
static bool has_user_code(const struct soft_access *access)
{
	if (!tdp_enabled)
		return access->user;
	return !soft_vendor_hardware()->ept || (!access->write && !access->fetch);
}

static u64 error_code(struct kvm_vcpu *vcpu, const struct soft_access *access,
		      const struct soft_walk *walk)
{
	u64 code = code_of_walk(walk);

	if (walk->table)
		return code_of_table(vcpu, walk);
	if (access->write)
		code |= PFERR_WRITE_MASK;
	if (access->fetch)
		code |= PFERR_FETCH_MASK;
	if (has_user_code(access))
		code |= PFERR_USER_MASK;
	if (tdp_enabled)
		code |= PFERR_GUEST_FINAL_MASK;
	return code;
}

/* The exit handler of the vendor. */
static int handle_fault(struct kvm_vcpu *vcpu, struct soft_access *access,
			const struct soft_walk *walk)
{
	const struct soft_hardware *hw = soft_vendor_hardware();
	const u64 code = error_code(vcpu, access, walk);

	to_soft_vcpu(vcpu)->exits++;
	note_touched(vcpu, gpa_to_gfn(walk->addr), false);
	to_soft_vcpu(vcpu)->emulate = false;
	to_soft_vcpu(vcpu)->nested_fault.nested_page_fault = false;

	if (!hw->tdp)
		return kvm_handle_page_fault(vcpu, code, access->addr, NULL, 0);
	/* EPT has an exit of its own for a misconfiguration. */
	if (hw->ept && walk->reserved)
		return kvm_mmu_page_fault(vcpu, walk->addr, PFERR_RSVD_MASK,
					  NULL, 0);
	return kvm_mmu_page_fault(vcpu, walk->addr, code, NULL, 0);
}

/* The guest's fault, and no more of it. */
static bool take_guest_fault(struct kvm_vcpu *vcpu, struct soft_access *access)
{
	bool fault = vcpu->arch.exception.pending;

	WARN_ON(fault && vcpu->arch.exception.vector != PF_VECTOR);
	access->error_code = vcpu->arch.exception.error_code;
	access->fault_addr = vcpu->arch.exception.payload;
	kvm_clear_exception_queue(vcpu);
	return fault;
}

/* An exit to L1, for a fault in its tables. */
static bool take_nested_fault(struct kvm_vcpu *vcpu, struct soft_access *access)
{
	const struct x86_exception *fault = &to_soft_vcpu(vcpu)->nested_fault;

	if (!fault->nested_page_fault)
		return false;
	access->error_code = fault->error_code;
	access->fault_addr = fault->address;
	return true;
}

/* The CPU has found no page in the guest's own tables (SDM vol. 3, 4.7). */
static int raise_guest_fault(struct kvm_vcpu *vcpu, struct soft_access *access,
			     const struct soft_walk *walk)
{
	const bool tells_fetch = (vcpu->arch.efer & EFER_NX) ||
				 kvm_is_cr4_bit_set(vcpu, X86_CR4_SMEP);

	access->fault_addr = access->addr;
	access->error_code = code_of_walk(walk) |
			     (access->write ? PFERR_WRITE_MASK : 0) |
			     (access->user ? PFERR_USER_MASK : 0) |
			     (access->fetch && tells_fetch ? PFERR_FETCH_MASK : 0);
	return SOFT_FAULT;
}

/* As the emulator: a cached MMIO gva is believed.  0, or enum soft_end. */
static int emulated_gpa(struct kvm_vcpu *vcpu, struct soft_access *access,
			gpa_t *gpa, bool *mmio)
{
	struct kvm_mmu *mmu = vcpu->arch.walk_mmu;
	struct x86_exception exception = {};
	u64 code = 0;

	if (access->user)
		code |= PFERR_USER_MASK;
	if (access->write)
		code |= PFERR_WRITE_MASK;
	if (access->fetch)
		code |= PFERR_FETCH_MASK;

	*mmio = true;
	if (vcpu_match_mmio_gva(vcpu, access->addr) &&
	    (!is_paging(vcpu) ||
	     !permission_fault(vcpu, mmu, vcpu->arch.mmio_access, 0, code))) {
		*gpa = gfn_to_gpa(vcpu->arch.mmio_gfn) +
		       offset_in_page(access->addr);
		return 0;
	}

	*gpa = mmu->gva_to_gpa(vcpu, mmu, access->addr, code, &exception);
	access->error_code = exception.error_code;
	access->fault_addr = exception.address;
	if (*gpa == INVALID_GPA)
		return exception.nested_page_fault ? SOFT_EXIT : SOFT_FAULT;
	*mmio = vcpu_match_mmio_gpa(vcpu, *gpa);
	return 0;
}

static int nr_bytes(const struct soft_access *access)
{
	return access->half ? sizeof(u32) : sizeof(u64);
}

static int emulate(struct kvm_vcpu *vcpu, struct soft_access *access)
{
	bool mmio;
	gpa_t gpa;
	int end;

	access->emulated = true;
	end = emulated_gpa(vcpu, access, &gpa, &mmio);
	if (end)
		return end;
	if (mmio)
		return SOFT_MMIO;

	note_touched(vcpu, gpa_to_gfn(gpa), access->write);
	if (access->write)
		return emulator_write_phys(vcpu, gpa, &access->value,
					   nr_bytes(access)) ?
		       SOFT_RAM : SOFT_MMIO;
	access->value = 0;
	return kvm_vcpu_read_guest(vcpu, gpa, &access->value,
				   nr_bytes(access)) ?
	       SOFT_MMIO : SOFT_RAM;
}

static int one_entry(struct kvm_vcpu *vcpu, struct soft_access *access, bool *done)
{
	struct soft_walk walk = {};
	int r;

	r = serve_requests(vcpu);
	if (!r)
		r = kvm_mmu_reload(vcpu);
	*done = r;
	if (r)
		return r;
	if (!enter_guest(vcpu, access, &walk))
		return 0;

	collect_pml(vcpu);
	if (soft_vendor_hardware()->regions)
		note_dirtied(vcpu);
	*done = !soft_walk_failed(&walk);
	if (*done)
		return SOFT_RAM;
	/* A fault in the guest's own tables is the guest's, without an exit. */
	*done = !walk.outer;
	if (*done)
		return raise_guest_fault(vcpu, access, &walk);

	r = handle_fault(vcpu, access, &walk);
	if (r < 0)
		return r;
	*done = true;
	if (take_guest_fault(vcpu, access))
		return SOFT_FAULT;
	if (take_nested_fault(vcpu, access))
		return SOFT_EXIT;
	if (to_soft_vcpu(vcpu)->emulate)
		return emulate(vcpu, access);
	*done = false;
	return 0;
}

int soft_cpu_access(struct kvm_vcpu *vcpu, struct soft_access *access)
{
	bool done = false;
	int i, r;

	to_soft_vcpu(vcpu)->user = access->user;
	to_soft_vcpu(vcpu)->ac = access->ac;
	access->emulated = false;
	for (i = 0; i < MAX_EXITS; i++) {
		r = one_entry(vcpu, access, &done);
		if (r < 0 || done)
			return r;
		cond_resched();
	}
	return -ELOOP;
}

void soft_cpu_begin(struct kvm_vcpu *vcpu)
{
	mutex_lock(&vcpu->mutex);
	vcpu_load(vcpu);
	kvm_vcpu_srcu_read_lock(vcpu);
}

void soft_cpu_end(struct kvm_vcpu *vcpu)
{
	kvm_vcpu_srcu_read_unlock(vcpu);
	vcpu_put(vcpu);
	mutex_unlock(&vcpu->mutex);
}

int soft_cpu_run(struct kvm_vcpu *vcpu, struct soft_access *access)
{
	int end;

	soft_cpu_begin(vcpu);
	end = soft_cpu_access(vcpu, access);
	soft_cpu_end(vcpu);
	return end;
}
