/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A region of guest memory with hostile page tables: slots and holes, some pages
 * of tables, and a tag in every word.  gPTEs point into the region, and to far
 * away, but never to the sane part of the guest.
 *
 * The guest's kernel has the region at its guest physical addresses.
 */
#ifndef SELFTEST_KVM_MMU_HOSTILE_REGION_H
#define SELFTEST_KVM_MMU_HOSTILE_REGION_H

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "kvm_util.h"
#include "mmu_naive_walk.h"
#include "mmu_probe.h"
#include "processor.h"
#include "test_util.h"

#define WORD		8ull
#define PAGE		4096ull
#define PAGE_WORDS	(PAGE / WORD)
#define SIZE_2M		BIT_ULL(21)
#define REGION		BIT_ULL(30)	/* gpa and gva */
#define REGION_SIZE	(2 * SIZE_2M)
#define FAR_GPA_BITS	33	/* MMIO from here on */

/* Bits 52-62 of each word: what the CPU ignores in a gPTE. */
#define TAG_SHIFT	52
#define TAG_MASK	GENMASK_ULL(62, TAG_SHIFT)
#define TAG_GPTE	(0x2a5ull << TAG_SHIFT)
#define TAG_DATA	(0x35aull << TAG_SHIFT)
#define TAG_MMIO	(0x4c3ull << TAG_SHIFT)
#define AD_BITS		(PTE_ACCESSED_MASK | PTE_DIRTY_MASK)

enum { TABLES, READ_ONLY, FICKLE, DATA, HUGE_DATA, NR_SLOTS };
#define NR_TABLE_SLOTS	DATA

/* In pages from REGION; the first @tables pages are tables.  The rest is MMIO. */
static const struct slot {
	unsigned int first, nr, tables, flags;
} slots[NR_SLOTS] = {
	[TABLES]	= { 0, 16, 16 },
	[READ_ONLY]	= { 32, 32, 16, KVM_MEM_READONLY },
	[FICKLE]	= { 64, 32, 16 },
	[DATA]		= { 128, 128 },
	[HUGE_DATA]	= { 512, 512 },
};

#define FIRST_SLOT_ID	10

/**
 * struct entrance - a sane table's entry that leads to hostile tables
 * @gva: where the guest's kernel has it
 * @prefix: of the addresses below
 * @levels: of tables below
 */
struct entrance {
	uint64_t gva, prefix;
	int levels;
};

#define NR_ENTRANCES	8

/* A write of one gPTE. */
struct patch {
	uint64_t gva, value;
};

/* The guest has a copy. */
static struct common {
	struct entrance entrances[NR_ENTRANCES];
	unsigned int pa_bits;
} common;

/* Both sides: what is random. */

static inline uint64_t random_page(struct guest_random_state *rng, int slot,
				   bool table)
{
	const struct slot *s = &slots[slot];
	unsigned int nr = table ? s->tables : s->nr;

	return REGION + (s->first + guest_random_u32(rng) % nr) * PAGE;
}

static inline uint64_t random_target(struct guest_random_state *rng)
{
	const unsigned int percent = guest_random_u32(rng) % 100;
	const uint32_t far = guest_random_u32(rng);

	if (percent < 52)
		return random_page(rng, TABLES, true);
	if (percent < 62)
		return random_page(rng, READ_ONLY, true);
	if (percent < 72)
		return random_page(rng, FICKLE, true);
	if (percent < 93)
		return random_page(rng, percent % NR_SLOTS, false);
	if (percent < 96)
		return REGION + far % (REGION_SIZE / PAGE) * PAGE;
	return BIT_ULL(FAR_GPA_BITS) | (far & 0xfffff000);
}

/* CPUs differ about G in the root, and KVM's tables have no huge page there. */
static inline uint64_t random_gpte(struct guest_random_state *rng,
				   bool is_entrance)
{
	const uint32_t r = guest_random_u32(rng);
	uint64_t gpte = TAG_GPTE | random_target(rng);

	gpte |= r & (BIT(3) | BIT(4) | AD_BITS);	/* PWT, PCD */
	gpte |= __guest_random_bool(rng, 97) ? PTE_PRESENT_MASK : 0;
	gpte |= __guest_random_bool(rng, 90) ? PTE_WRITABLE_MASK : 0;
	gpte |= __guest_random_bool(rng, 90) ? PTE_USER_MASK : 0;
	gpte |= __guest_random_bool(rng, 5) ? PTE_NX_MASK : 0;
	if (__guest_random_bool(rng, 1))
		gpte |= BIT_ULL(common.pa_bits + r % (52 - common.pa_bits));
	if (is_entrance)
		return gpte;

	gpte |= r & PTE_GLOBAL_MASK;
	if (!__guest_random_bool(rng, 15))
		return gpte;

	/* Huge, if the level has it, with PAT or not, and often aligned. */
	gpte |= PTE_LARGE_MASK;
	if (r & BIT(16))
		gpte &= ~(SIZE_2M - 1) | 0xfff | (r & BIT(12));
	return gpte;
}

/* Mostly the first entries of each table, which change. */
static inline unsigned int random_index(struct guest_random_state *rng)
{
	const uint32_t r = guest_random_u32(rng);

	return r % 16 ? (r >> 8) % 4 : (r >> 8) % PAGE_WORDS;
}

static inline const struct entrance *
random_entrance(struct guest_random_state *rng)
{
	return &common.entrances[guest_random_u32(rng) % NR_ENTRANCES];
}

/* An address below an entrance. */
static inline uint64_t random_address(struct guest_random_state *rng)
{
	const struct entrance *e = random_entrance(rng);
	uint64_t index = 0;
	int i;

	for (i = 0; i < e->levels; i++)
		index = index << 9 | random_index(rng);
	return e->prefix | index << 12 | (guest_random_u32(rng) & 0xff8);
}

static inline uint32_t random_access(struct guest_random_state *rng)
{
	static const uint32_t kinds[] = { 0, PROBE_WRITE, PROBE_FETCH };
	const uint32_t r = guest_random_u32(rng);

	return kinds[r % 3] | ((r >> 8) & (PROBE_USER | PROBE_AC));
}

/* Of a table in the slot. */
static inline struct patch random_patch(struct guest_random_state *rng, int slot)
{
	uint64_t gva = random_page(rng, slot, true) + random_index(rng) * WORD;

	return (struct patch) { gva, random_gpte(rng, false) };
}

/* The guest may also change an entrance. */
static inline struct patch random_guest_patch(struct guest_random_state *rng,
					      int slot)
{
	if (guest_random_u32(rng) % 8)
		return random_patch(rng, slot);

	return (struct patch) {
		random_entrance(rng)->gva, random_gpte(rng, true)
	};
}

/* The guest */

static inline void write_patch(const struct patch *p)
{
	WRITE_ONCE(*(uint64_t *)p->gva, p->value);
}

/* The host */

static struct region {
	struct kvm_vm *vm;
	struct guest_random_state rng;
	uint64_t *mem;
	bool fickle_there;
} region;

static inline const struct slot *slot_at(uint64_t gpa)
{
	const uint64_t page = gpa / PAGE - REGION / PAGE;
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		if (page - slots[i].first < slots[i].nr &&
		    (i != FICKLE || region.fickle_there))
			return &slots[i];
	return NULL;
}

/* Below the region are the sane tables. */
static inline uint64_t *host_word(uint64_t gpa)
{
	if (gpa < REGION)
		return addr_gpa2hva(region.vm, gpa);
	return slot_at(gpa) ? &region.mem[(gpa - REGION) / WORD] : NULL;
}

static inline bool is_read_only(uint64_t gpa)
{
	const struct slot *slot = slot_at(gpa);

	return slot && (slot->flags & KVM_MEM_READONLY);
}

static inline bool is_table(uint64_t gpa)
{
	const struct slot *slot = slot_at(gpa);

	return slot && (gpa - REGION) / PAGE - slot->first < slot->tables;
}

static inline uint64_t data_at(uint64_t gpa)
{
	return TAG_DATA | (gpa & ~(PAGE - 1)) | (gpa & 0x78) << 5 | PROBE_UD;
}

static inline uint64_t mmio_value(uint64_t gpa)
{
	return TAG_MMIO | (gpa & ~TAG_MASK);
}

static inline void fill_slot(const struct slot *slot)
{
	const uint64_t first = slot->first * PAGE_WORDS;
	uint64_t i;

	for (i = 0; i < slot->nr * PAGE_WORDS; i++)
		region.mem[first + i] = i < slot->tables * PAGE_WORDS ?
			random_gpte(&region.rng, false) :
			data_at(REGION + (first + i) * WORD);
}

static inline void check_data(void)
{
	uint64_t gpa;

	for (gpa = REGION; gpa < REGION + REGION_SIZE; gpa += WORD)
		if (slot_at(gpa) && !is_table(gpa))
			TEST_ASSERT(*host_word(gpa) == data_at(gpa),
				    "gpa 0x%lx was overwritten: 0x%lx", gpa,
				    *host_word(gpa));
}

static inline void set_slot(int i, bool there)
{
	const struct slot *s = &slots[i];

	vm_set_user_memory_region(region.vm, FIRST_SLOT_ID + i, s->flags,
				  REGION + s->first * PAGE,
				  there ? s->nr * PAGE : 0,
				  &region.mem[s->first * PAGE_WORDS]);
	if (i == FICKLE)
		region.fickle_there = there;
}

/*
 * With the slots all of it goes that KVM knows of them, be it only those that have
 * gone or, with KVM_X86_QUIRK_SLOT_ZAP_ALL, the whole VM.
 */
static inline void forget_all(void)
{
	int i;

	for (i = 0; i < NR_SLOTS; i++) {
		if (i == FICKLE && !region.fickle_there)
			continue;
		set_slot(i, false);
		set_slot(i, true);
	}
}

static inline uint64_t *patched_word(const struct patch *p)
{
	if (p->gva - REGION >= REGION_SIZE)
		return addr_gva2hva(region.vm, p->gva);
	return &region.mem[(p->gva - REGION) / WORD];
}

static inline void fill_all(void)
{
	unsigned int i;

	for (i = 0; i < NR_SLOTS; i++)
		fill_slot(&slots[i]);
	forget_all();
}

/* Before the guest runs: later KVM would not see it. */
static inline void fill_entrances(void)
{
	unsigned int i;

	for (i = 0; i < NR_ENTRANCES; i++) {
		struct patch p = { common.entrances[i].gva };

		*patched_word(&p) = random_gpte(&region.rng, true);
	}
}

/* Memory that stays is no MMIO. */
static inline void answer_mmio(struct kvm_run *run)
{
	const uint64_t gpa = run->mmio.phys_addr, value = mmio_value(gpa);
	const struct slot *slot = slot_at(gpa);

	TEST_ASSERT(run->mmio.len == WORD, "MMIO of %u bytes at 0x%lx",
		    run->mmio.len, gpa);
	TEST_ASSERT(!slot || slot == &slots[FICKLE] ||
		    (slot == &slots[READ_ONLY] && run->mmio.is_write),
		    "MMIO %s at 0x%lx, where memory is",
		    run->mmio.is_write ? "write" : "read", gpa);
	if (!run->mmio.is_write)
		memcpy(run->mmio.data, &value, sizeof(value));
}

/* Entrances come before: the guest gets its copy here. */
static inline void create_region(struct kvm_vm *vm, uint32_t seed)
{
	uint8_t *mem = mmap(NULL, REGION_SIZE + SIZE_2M, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int i;

	TEST_ASSERT(mem != MAP_FAILED, "mmap() failed: %d", errno);
	mem += -(uintptr_t)mem & (SIZE_2M - 1);
	madvise(mem, REGION_SIZE, MADV_HUGEPAGE);
	region.mem = (uint64_t *)mem;
	region.vm = vm;
	region.rng = new_guest_random_state(seed);

	common.pa_bits = vm->pa_bits;
	sync_global_to_guest(vm, common);
	virt_map(vm, REGION, REGION, REGION_SIZE / PAGE);
	for (i = 0; i < NR_SLOTS; i++)
		set_slot(i, true);
	fill_entrances();
}

struct options {
	unsigned int batches;
	uint32_t seed;
};

/* The seed is the time unless it is given. */
static inline struct options parse_options(int argc, char *argv[],
					   unsigned int batches)
{
	struct options options = { .batches = batches, .seed = time(NULL) };
	int opt;

	while ((opt = getopt(argc, argv, "n:s:h")) != -1) {
		switch (opt) {
		case 'n':
			options.batches = atoi_positive("Batches", optarg);
			break;
		case 's':
			options.seed = atoi_non_negative("Seed", optarg);
			break;
		default:
			printf("usage: %s [-n batches] [-s seed]\n", argv[0]);
			exit(KSFT_SKIP);
		}
	}
	return options;
}

#endif /* SELFTEST_KVM_MMU_HOSTILE_REGION_H */
