// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU in software, see soft_cpu.h.
 */
#include <linux/irqflags.h>
#include <linux/kvm_dirty_ring.h>
#include <linux/kvm_host.h>
#include <linux/preempt.h>
#include <linux/string.h>

#include "cpuid.h"
#include "mmu.h"
#include "soft_cpu.h"
#include "soft_vendor.h"
#include "x86.h"

/* KVM may ask for some retries, e.g. while a notifier is at work. */
#define MAX_EXITS	100000

/* The TLB */

int soft_cpu_create(struct kvm_vcpu *vcpu)
{
	BUILD_BUG_ON(offsetof(struct soft_vcpu, vcpu));
	soft_cpu_update_pml(vcpu);
	return 0;
}

/* The log is kept while there is a slot that wants it. */
void soft_cpu_update_pml(struct kvm_vcpu *vcpu)
{
	to_soft_vcpu(vcpu)->pml =
		soft_vendor_hardware()->pml &&
		atomic_read(&vcpu->kvm->nr_memslots_dirty_logging);
}

void soft_cpu_flush(struct kvm_vcpu *vcpu)
{
	memset(to_soft_vcpu(vcpu)->tlb, 0, sizeof(to_soft_vcpu(vcpu)->tlb));
}

/* What tells the translations of one root from those of another. */
static hpa_t tlb_tag(const struct soft_vcpu *sv)
{
	return soft_vendor_hardware()->ept ? sv->root : 0;
}

/* Of the root that KVM is about to load: INVEPT of one context. */
void soft_cpu_flush_current(struct kvm_vcpu *vcpu)
{
	struct soft_vcpu *sv = to_soft_vcpu(vcpu);
	int i;

	if (!soft_vendor_hardware()->ept) {
		soft_cpu_flush(vcpu);
		return;
	}
	for (i = 0; i < SOFT_TLB_ENTRIES; i++)
		if (sv->tlb[i].root == vcpu->arch.mmu->root.hpa)
			sv->tlb[i].pa = 0;
}

static struct soft_tlb_entry *tlb_entry(struct soft_vcpu *sv, u64 addr)
{
	return &sv->tlb[(addr >> PAGE_SHIFT) % SOFT_TLB_ENTRIES];
}

static bool tlb_has(const struct soft_vcpu *sv, const struct soft_tlb_entry *entry,
		    u64 addr)
{
	return entry->pa && entry->page == addr >> PAGE_SHIFT &&
	       entry->root == tlb_tag(sv);
}

void soft_cpu_flush_gva(struct kvm_vcpu *vcpu, gva_t gva)
{
	const struct soft_vcpu *sv = to_soft_vcpu(vcpu);
	struct soft_tlb_entry *entry = tlb_entry(to_soft_vcpu(vcpu), gva);

	if (tlb_has(sv, entry, gva))
		entry->pa = 0;
}

void soft_cpu_load_root(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
	struct soft_vcpu *sv = to_soft_vcpu(vcpu);

	sv->root = root;
	sv->levels = level;
}

/* In the guest: interrupts are off */

/* The CPU walks the guest's own tables; with shadow paging it never sees them. */
static bool walks_guest_tables(struct kvm_vcpu *vcpu)
{
	return tdp_enabled && is_paging(vcpu);
}

/* SMEP and SMAP are the guest's own, but work on the tables that KVM made. */
static bool needs_supervisor_page(struct kvm_vcpu *vcpu,
				  const struct soft_access *access)
{
	if (access->user || !is_paging(vcpu))
		return false;
	if (access->fetch)
		return kvm_is_cr4_bit_set(vcpu, X86_CR4_SMEP);
	return kvm_is_cr4_bit_set(vcpu, X86_CR4_SMAP) && !access->ac;
}

static u8 rights_needed(struct kvm_vcpu *vcpu, const struct soft_access *access)
{
	const bool inner = walks_guest_tables(vcpu);
	/* To the tables of TDP each access is one of user mode. */
	const bool user = access->user || (tdp_enabled && !inner);
	/* KVM imitates CR0.WP=0 in shadow pages. */
	const bool wp = access->user || !inner ||
			kvm_is_cr0_bit_set(vcpu, X86_CR0_WP);

	return (access->fetch ? SOFT_X : SOFT_R) |
	       (access->write ? SOFT_D : 0) | (access->write && wp ? SOFT_W : 0) |
	       (user ? SOFT_U : 0) |
	       (needs_supervisor_page(vcpu, access) ? SOFT_S : 0);
}

static void touch_half(u32 *memory, struct soft_access *access)
{
	if (access->write)
		WRITE_ONCE(*memory, access->value);
	else
		access->value = READ_ONCE(*memory);
}

static void touch(hpa_t pa, struct soft_access *access)
{
	u64 *memory = phys_to_virt(pa + offset_in_page(access->addr));

	if (access->half)
		touch_half((u32 *)memory, access);
	else if (access->write)
		WRITE_ONCE(*memory, access->value);
	else
		access->value = READ_ONCE(*memory);
}

static int nr_bytes(const struct soft_access *access)
{
	return access->half ? sizeof(u32) : sizeof(u64);
}

static bool touch_by_tlb(struct soft_vcpu *sv, struct soft_access *access,
			 u8 need)
{
	const struct soft_tlb_entry *entry = tlb_entry(sv, access->addr);

	if (!tlb_has(sv, entry, access->addr) ||
	    (need & ~SOFT_D & ~entry->rights))
		return false;
	if (access->write && !entry->dirty)
		return false;

	sv->hits++;
	touch(entry->pa, access);
	return true;
}

struct soft_tables soft_cpu_tables(const struct soft_vcpu *sv)
{
	const struct soft_hardware *hw = soft_vendor_hardware();

	return (struct soft_tables) {
		.root = sv->root,
		.levels = sv->levels,
		.maxphyaddr = kvm_host.maxphyaddr,
		.ept = hw->tdp && hw->ept,
		.ad = hw->ad,
		.exec_only = hw->exec_only,
	};
}

/* 4 or 5 levels: the other modes are there for shadow paging only. */
static struct soft_tables guest_tables(struct kvm_vcpu *vcpu,
				       const struct soft_tables *outer)
{
	return (struct soft_tables) {
		.root = kvm_read_cr3(vcpu) & PAGE_MASK,
		.levels = kvm_is_cr4_bit_set(vcpu, X86_CR4_LA57) ? 5 : 4,
		.maxphyaddr = cpuid_maxphyaddr(vcpu),
		.no_xd = !(vcpu->arch.efer & EFER_NX),
		.outer = outer,
	};
}

static struct soft_walk walk_tables(struct soft_vcpu *sv, u64 addr, u8 need)
{
	const struct soft_tables tables = soft_cpu_tables(sv);
	struct soft_dirtied dirtied = {};
	struct soft_tables inner;
	struct soft_walk walk;

	if (walks_guest_tables(&sv->vcpu)) {
		inner = guest_tables(&sv->vcpu, &tables);
		walk = soft_walk(&inner, addr, need, &dirtied);
	} else {
		walk = soft_walk(&tables, addr, need, &dirtied);
		walk.outer = true;
		walk.addr = addr;
		walk.gpa = addr & PAGE_MASK;
	}
	/* KVM turns the log off in L2: it would have L2's gpas. */
	if (sv->pml && !is_guest_mode(&sv->vcpu))
		sv->logged = dirtied;
	return walk;
}

static struct soft_walk touch_by_walk(struct soft_vcpu *sv,
				      struct soft_access *access, u8 need)
{
	struct soft_walk walk = walk_tables(sv, access->addr, need);

	sv->walks++;
	if (soft_walk_failed(&walk)) {
		/* A page fault drops what the TLB has of the address. */
		soft_cpu_flush_gva(&sv->vcpu, access->addr);
		return walk;
	}

	*tlb_entry(sv, access->addr) = (struct soft_tlb_entry) {
		.page = access->addr >> PAGE_SHIFT,
		.root = tlb_tag(sv),
		.pa = walk.pa,
		.gpa = walk.gpa,
		.rights = walk.rights,
		.dirty = access->write,
	};
	touch(walk.pa, access);
	return walk;
}

/* What a hypercall has flushed since the last access. */
static void serve_hypercall(struct soft_vcpu *sv)
{
	const long flushes = atomic_long_read(&sv->flushes);

	if (flushes == sv->flushed)
		return;
	sv->flushed = flushes;
	soft_cpu_flush(&sv->vcpu);
}

static struct soft_walk run_guest(struct soft_vcpu *sv, struct soft_access *access)
{
	const u8 need = rights_needed(&sv->vcpu, access);
	struct soft_walk walk = { .present = true };

	WRITE_ONCE(sv->in_guest, true);
	smp_mb(); /* soft_cpu_flush_by_hypercall() waits, or is seen. */
	serve_hypercall(sv);
	if (!touch_by_tlb(sv, access, need))
		walk = touch_by_walk(sv, access, need);
	/* The access is over. */
	smp_store_release(&sv->in_guest, false);
	return walk;
}

/* An access that has begun ends before this does; the next one sees it. */
int soft_cpu_flush_by_hypercall(struct kvm *kvm)
{
	struct kvm_vcpu *vcpu;
	struct soft_vcpu *sv;
	unsigned long i;

	kvm_for_each_vcpu(i, vcpu, kvm) {
		sv = to_soft_vcpu(vcpu);
		atomic_long_inc(&sv->flushes);
		smp_mb(); /* see run_guest() */
		while (smp_load_acquire(&sv->in_guest)) /* what it did is done */
			cpu_relax();
	}
	return 0;
}

/* Around the guest: what KVM_RUN does of MMU matters, in its order */

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
		*walk = run_guest(to_soft_vcpu(vcpu), access);

	/* Who sees this mode sees what the guest did. */
	smp_store_release(&vcpu->mode, OUTSIDE_GUEST_MODE);
	local_irq_enable();
	preempt_enable();

	kvm_vcpu_srcu_read_lock(vcpu);
	return ready;
}

static void note_touched(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	struct soft_touched *touched = &to_soft_vcpu(vcpu)->touched;

	if (touched->nr == SOFT_MAX_TOUCHED ||
	    (touched->nr && touched->gfn[touched->nr - 1] == gfn))
		return;
	touched->gfn[touched->nr++] = gfn;
}

/* Each exit from the guest does it. */
static void collect_pml(struct kvm_vcpu *vcpu)
{
	struct soft_dirtied *logged = &to_soft_vcpu(vcpu)->logged;
	gfn_t gfn;

	while (logged->nr) {
		gfn = gpa_to_gfn(logged->addr[--logged->nr]);
		note_touched(vcpu, gfn);
		kvm_vcpu_mark_page_dirty(vcpu, gfn);
	}
}

static u64 code_of_walk(const struct soft_walk *walk)
{
	return (walk->present ? PFERR_PRESENT_MASK : 0) |
	       (walk->reserved ? PFERR_RSVD_MASK : 0);
}

/* A table's entry is read, and written as need_of_table() of soft_walk.c has it. */
static u64 code_of_table(const struct soft_walk *walk)
{
	const struct soft_hardware *hw = soft_vendor_hardware();
	const bool write = !hw->ept || hw->ad || walk->denied;

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

static u64 error_code(const struct soft_access *access,
		      const struct soft_walk *walk)
{
	u64 code = code_of_walk(walk);

	if (walk->table)
		return code_of_table(walk);
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
	const u64 code = error_code(access, walk);

	to_soft_vcpu(vcpu)->exits++;
	note_touched(vcpu, gpa_to_gfn(walk->addr));
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

	note_touched(vcpu, gpa_to_gfn(gpa));
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
