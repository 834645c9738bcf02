// SPDX-License-Identifier: GPL-2.0-only
/*
 * Deleting or moving a slot unmaps its pages and no others.
 *
 * vCPUs go over all pages of four slots again and again, while the main thread
 * creates, deletes and moves slots between them: in the same huge page, or next
 * to it.  All have small or huge pages, and are read-only or not.  After each
 * deletion or move, the vCPUs go over the slots that stayed, and KVM must not
 * have had to map one of their pages again: the statistic pf_fixed of all vCPUs
 * is still what it was before.  Slots that stayed keep their contents, and a
 * slot that comes back with other memory must show that memory, not the old.
 *
 * The host may unmap a page at any time for its own reasons, e.g. to migrate
 * it.  That hits one deletion, not the next, so one in fifty may fault.
 *
 * Stock KVM zaps all when a slot is deleted.  Without the module parameter
 * slot_zap_all, or if it is 1, only the contents are checked.
 *
 * Breaks of KVM that make this test fail:
 *  - zap the whole VM, or drop its roots, when a slot is deleted or moved, as
 *    kvm_arch_flush_shadow_memslot() does with slot_zap_all=1;
 *  - zap more than the slot's gfns: the leaves in the rest of a huge page, or
 *    the neighbours of the range;
 *  - zap less, or do not flush TLBs after that: a slot shows its old memory.
 */
#include "mmu_race.h"

#define SMALL_BYTES	(64 * PAGE_BYTES)
#define AWAY_OFFSET	0x10000000ull
#define SLOT		10
#define VICTIM_SLOT	20
#define NOISE		50
#define ZAP_ALL_PARAM	"/sys/module/kvm/parameters/slot_zap_all"

struct region {
	const char *name;
	uint64_t gpa, size;
	uint32_t flags;
};

static const struct region others[] = {
	{ "huge page",		0xc0000000ull, HUGE_BYTES },
	{ "small pages",	0xc0200000ull, SMALL_BYTES },
	{ "read-only pages",	0xc0280000ull, SMALL_BYTES, KVM_MEM_READONLY },
	{ "read-only huge page", 0xc0600000ull, HUGE_BYTES, KVM_MEM_READONLY },
};

/* Read-only in every second life; between the others. */
static const struct region victims[] = {
	{ "small pages",	0xc0240000ull, SMALL_BYTES },
	{ "huge page",		0xc0400000ull, HUGE_BYTES },
};

#define NR_OTHERS	ARRAY_SIZE(others)
#define NR_VICTIMS	ARRAY_SIZE(victims)
#define OTHER_VALUE	0x4f54484552ull

static struct shared {
	uint64_t stop;
	struct passes passes;
	/* What a victim's pages hold, besides their gpa; 0: keep off. */
	uint64_t value[NR_VICTIMS];
	uint64_t writable[NR_VICTIMS];
} shared;

static struct slots {
	struct kvm_vm *vm;
	struct shared *shared;
	struct guest_random_state rng;
	uint8_t *mem[NR_VICTIMS][2];	/* each life has the other one */
	uint64_t lives[NR_VICTIMS];
	bool zaps_all;
} slots;

static struct totals {
	uint64_t deletions, moves, faulted, faults;
} totals;

/* Guest */

static void check_page(const struct region *r, uint64_t gpa, uint64_t value)
{
	uint64_t got = READ_ONCE(*(uint64_t *)gpa);

	__GUEST_ASSERT(got == (value ^ gpa), "%s at 0x%lx holds 0x%lx, not 0x%lx",
		       r->name, gpa, got, value ^ gpa);
}

/* Writes next to what is checked, to find W gone as well. */
static void touch_region(const struct region *r, uint64_t vcpu, uint64_t value,
			 bool writable)
{
	uint64_t gpa;

	for (gpa = r->gpa; gpa < r->gpa + r->size; gpa += PAGE_BYTES) {
		check_page(r, gpa, value);
		if (writable)
			WRITE_ONCE(((uint64_t *)gpa)[1 + vcpu], value);
	}
}

static void guest_pass(uint64_t vcpu)
{
	uint64_t value;
	int i;

	for (i = 0; i < NR_OTHERS; i++)
		touch_region(&others[i], vcpu, OTHER_VALUE,
			     !(others[i].flags & KVM_MEM_READONLY));
	for (i = 0; i < NR_VICTIMS; i++) {
		value = READ_ONCE(shared.value[i]);
		if (value)
			touch_region(&victims[i], vcpu, value,
				     READ_ONCE(shared.writable[i]));
	}
}

static void guest_main(uint64_t vcpu)
{
	uint64_t wanted;

	while (!READ_ONCE(shared.stop)) {
		wanted = READ_ONCE(shared.passes.wanted);
		guest_pass(vcpu);
		WRITE_ONCE(shared.passes.done[vcpu], wanted);
	}
	GUEST_SYNC(0);
}

/* Slots */

static void *map_region(const struct region *r)
{
	return map_memory(r->size, r->size == HUGE_BYTES ? MADV_HUGEPAGE :
							   MADV_NOHUGEPAGE);
}

static void fill(uint8_t *mem, const struct region *r, uint64_t value)
{
	uint64_t offset;

	for (offset = 0; offset < r->size; offset += PAGE_BYTES)
		WRITE_ONCE(*(uint64_t *)(mem + offset),
			   value ^ (r->gpa + offset));
}

static void set_victim(int i, uint64_t gpa, uint64_t size)
{
	bool writable = slots.shared->writable[i];

	vm_set_user_memory_region(slots.vm, VICTIM_SLOT + i,
				  writable ? 0 : KVM_MEM_READONLY, gpa, size,
				  slots.mem[i][slots.lives[i] & 1]);
}

/* The vCPUs find the victim where it is now. */
static void show_victim(int i)
{
	uint64_t value = (slots.lives[i] << 40) | 1;

	fill(slots.mem[i][slots.lives[i] & 1], &victims[i], value);
	WRITE_ONCE(slots.shared->value[i], value);
	wait_for_pass(&slots.shared->passes);
}

static void hide_victim(int i)
{
	WRITE_ONCE(slots.shared->value[i], 0);
	wait_for_pass(&slots.shared->passes);
}

static void create_victim(int i)
{
	uint64_t life = ++slots.lives[i];

	WRITE_ONCE(slots.shared->writable[i], life >> 1 & 1);
	set_victim(i, victims[i].gpa, victims[i].size);
	show_victim(i);
}

/* Changes a victim that nobody touches, and judges what the others lost. */
static void judge_change(int i, uint64_t gpa, uint64_t size)
{
	uint64_t faults = read_stats();

	set_victim(i, gpa, size);
	wait_for_pass(&slots.shared->passes);
	faults = read_stats() - faults;
	if (faults && !slots.zaps_all && !totals.faulted++)
		pr_info("%s of the %s%s: %lu faults on other slots\n",
			size ? "move" : "deletion",
			slots.shared->writable[i] ? "" : "read-only ",
			victims[i].name, faults);
	totals.faults += faults;
}

static void move_there_and_back(int i)
{
	hide_victim(i);
	judge_change(i, victims[i].gpa + AWAY_OFFSET, victims[i].size);
	judge_change(i, victims[i].gpa, victims[i].size);
	totals.moves += 2;
	show_victim(i);
}

static void delete_victim(int i)
{
	hide_victim(i);
	judge_change(i, victims[i].gpa, 0);
	totals.deletions++;
}

static void run_round(void)
{
	int i = guest_random_u32(&slots.rng) % NR_VICTIMS;

	create_victim(i);
	if (guest_random_bool(&slots.rng))
		move_there_and_back(i);
	delete_victim(i);
}

/* Set-up and results */

static bool zaps_all(void)
{
	if (access(ZAP_ALL_PARAM, R_OK)) {
		pr_info("skipped: faults on other slots, there is no slot_zap_all\n");
		return true;
	}
	if (get_kvm_param_integer("slot_zap_all") != 1)
		return false;
	pr_info("skipped: faults on other slots, slot_zap_all is 1\n");
	return true;
}

static void map_guest(const struct region *r)
{
	if (r->size == HUGE_BYTES)
		virt_map_level(slots.vm, r->gpa, r->gpa, r->size, PG_LEVEL_2M);
	else
		virt_map(slots.vm, r->gpa, r->gpa, r->size / PAGE_BYTES);
}

static void add_other(int i)
{
	const struct region *r = &others[i];
	uint8_t *mem = map_region(r);

	fill(mem, r, OTHER_VALUE);
	vm_set_user_memory_region(slots.vm, SLOT + i, r->flags, r->gpa, r->size,
				  mem);
	map_guest(r);
}

static void start_vm(const struct options *opts)
{
	struct kvm_vcpu *vcpus[MAX_VCPUS];
	int i;

	slots.vm = vm_create_with_vcpus(opts->nr_vcpus, guest_main, vcpus);
	slots.shared = addr_gva2hva(slots.vm, (vm_vaddr_t)&shared);
	slots.rng = random_of(opts->seed, MAX_VCPUS);
	slots.zaps_all = zaps_all();
	for (i = 0; i < NR_OTHERS; i++)
		add_other(i);
	for (i = 0; i < NR_VICTIMS; i++) {
		slots.mem[i][0] = map_region(&victims[i]);
		slots.mem[i][1] = map_region(&victims[i]);
		map_guest(&victims[i]);
	}
	start_workers(vcpus, opts->nr_vcpus, &slots.shared->stop, "pf_fixed");
}

int main(int argc, char *argv[])
{
	struct options opts = { .seconds = 20, .nr_vcpus = 2, .seed = 1 };
	uint64_t end, allowed;

	parse_options(&opts, argc, argv);
	TEST_REQUIRE(kvm_has_cap(KVM_CAP_READONLY_MEM));
	start_vm(&opts);
	wait_for_pass(&slots.shared->passes);
	for (end = now_ms() + opts.seconds * 1000ull; now_ms() < end;)
		run_round();
	park_workers();
	end_workers();
	kvm_vm_free(slots.vm);

	pr_info("%lu deletions, %lu moves, %lu faults on other slots\n",
		totals.deletions, totals.moves, totals.faults);
	allowed = (totals.deletions + totals.moves) / NOISE;
	TEST_ASSERT(totals.faulted <= allowed,
		    "%lu deletions and moves unmapped other slots, %lu may",
		    totals.faulted, allowed);
	return KSFT_PASS;
}
