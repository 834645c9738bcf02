/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slots of memslot_errno_test, and every bad way to set one next to them.
 */
#ifndef SELFTEST_KVM_MEMSLOT_BAD_REGIONS_H
#define SELFTEST_KVM_MEMSLOT_BAD_REGIONS_H

#include <errno.h>
#include <linux/bits.h>
#include <linux/kvm.h>

#define PAGES(n)	((n) * 4096ull)
#define GPA		0x10000000ull
#define LOGGED_GPA	(GPA + PAGES(16))
#define ROM_GPA		(GPA + PAGES(32))
#define TOO_HIGH	BIT_ULL(52)
#define TOO_MANY	PAGES(BIT_ULL(31))

/* A hva below this is an offset into the backing memory. */
#define HVA_ABS		BIT_ULL(32)
#define HVA_KERNEL	0xffff800000000000ull
#define HVA_NON_CANON	BIT_ULL(62)

enum { PLAIN = 1, LOGGED, ROM, FREE, LAST };	/* LAST: the highest slot id */

enum id_base { ID_IS, ID_FROM_NR_SLOTS, ID_FROM_NR_AS, ID_OTHER_AS };

struct region {
	const char *name;
	int error;
	uint32_t slot, flags;
	uint64_t gpa, size, hva;
	enum id_base base;
};

static const struct region layout[] = {
	{ .slot = PLAIN, .gpa = GPA, .size = PAGES(8), .hva = PAGES(0) },
	{ .slot = LOGGED, .gpa = LOGGED_GPA, .size = PAGES(8),
	  .hva = PAGES(8), .flags = KVM_MEM_LOG_DIRTY_PAGES },
	{ .slot = LAST, .gpa = GPA + PAGES(24), .size = PAGES(4),
	  .hva = PAGES(20) },
	{ .slot = ROM, .gpa = ROM_GPA, .size = PAGES(4),
	  .hva = PAGES(16), .flags = KVM_MEM_READONLY },
};

#define BAD(_name, _error, _slot, _gpa, _size, _hva, ...)		\
	{ .name = _name, .error = _error, .slot = _slot, .gpa = _gpa,	\
	  .size = _size, .hva = _hva, ##__VA_ARGS__ }

static const struct region bad_regions[] = {
	BAD("gpa not aligned", EINVAL, FREE, GPA + PAGES(9) + 8, PAGES(1), 0),
	BAD("size not aligned", EINVAL, FREE, GPA + PAGES(9), PAGES(1) + 1, 0),
	BAD("size below a page", EINVAL, FREE, GPA + PAGES(9), 2048, 0),
	BAD("hva not aligned", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 512),
	BAD("hva of the kernel", EINVAL, FREE, GPA + PAGES(9), PAGES(1),
	    HVA_KERNEL),
	BAD("hva not canonical", EINVAL, FREE, GPA + PAGES(9), PAGES(1),
	    HVA_NON_CANON),
	BAD("hva wraps", EINVAL, FREE, GPA + PAGES(9), PAGES(2), -PAGES(1)),
	BAD("hva runs into the kernel", EINVAL, FREE, 0, PAGES(BIT_ULL(30)),
	    BIT_ULL(56) - PAGES(BIT_ULL(29))),
	BAD("gpa wraps", EINVAL, FREE, -PAGES(1), PAGES(2), 0),
	BAD("gpa wraps to 0", EINVAL, FREE, -PAGES(1), PAGES(1), 0),
	BAD("too many pages", EINVAL, FREE, BIT_ULL(33), TOO_MANY, HVA_ABS),
	BAD("beyond the physical addresses", EINVAL, FREE, TOO_HIGH, PAGES(1),
	    0),
	BAD("end beyond the physical addresses", EINVAL, FREE,
	    TOO_HIGH - PAGES(1), PAGES(2), 0),

	BAD("flag 2, guest_memfd", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 0,
	    .flags = KVM_MEM_GUEST_MEMFD),
	BAD("flag 3", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 0,
	    .flags = BIT(3)),
	BAD("flag 16, invalid slot", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 0,
	    .flags = BIT(16)),
	BAD("flag 31", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 0,
	    .flags = BIT(31)),
	BAD("good flags and a bad one", EINVAL, FREE, GPA + PAGES(9), PAGES(1),
	    0, .flags = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY | BIT(17)),
	BAD("new flags, one bad", EINVAL, PLAIN, GPA, PAGES(8), 0,
	    .flags = KVM_MEM_LOG_DIRTY_PAGES | BIT(4)),

	BAD("slot id too high", EINVAL, 0, GPA + PAGES(9), PAGES(1), 0,
	    .base = ID_FROM_NR_SLOTS),
	BAD("slot id of KVM", EINVAL, 2, GPA + PAGES(9), PAGES(1), 0,
	    .base = ID_FROM_NR_SLOTS),
	BAD("slot id 0x7fff", EINVAL, 0x7fff, GPA + PAGES(9), PAGES(1), 0),
	BAD("slot id 0xffff", EINVAL, 0xffff, GPA + PAGES(9), PAGES(1), 0),
	BAD("no such address space", EINVAL, FREE, GPA + PAGES(9), PAGES(1), 0,
	    .base = ID_FROM_NR_AS),
	BAD("address space 0x8000", EINVAL, 0x80000000 | FREE, GPA + PAGES(9),
	    PAGES(1), 0),

	BAD("same place", EEXIST, FREE, GPA, PAGES(8), 0),
	BAD("over the first page", EEXIST, FREE, GPA + PAGES(15), PAGES(2), 0),
	BAD("over the last page", EEXIST, FREE, GPA + PAGES(7), PAGES(2), 0),
	BAD("inside", EEXIST, FREE, GPA + PAGES(18), PAGES(1), 0),
	BAD("around", EEXIST, FREE, GPA + PAGES(31), PAGES(6), 0),
	BAD("around all", EEXIST, FREE, GPA - PAGES(8), PAGES(64), 0),
	BAD("over two neighbours", EEXIST, FREE, GPA + PAGES(23), PAGES(2), 0),
	BAD("overlap, hva not aligned", EINVAL, FREE, GPA, PAGES(8), 1),
	BAD("overlap, bad flag", EINVAL, FREE, GPA, PAGES(8), 0,
	    .flags = BIT(5)),

	BAD("grow", EINVAL, PLAIN, GPA, PAGES(9), 0),
	BAD("shrink", EINVAL, PLAIN, GPA, PAGES(7), 0),
	BAD("grow over another", EINVAL, PLAIN, GPA, PAGES(20), 0),
	BAD("new hva", EINVAL, PLAIN, GPA, PAGES(8), PAGES(1)),
	BAD("new hva and place", EINVAL, LOGGED, GPA + PAGES(40), PAGES(8), 0,
	    .flags = KVM_MEM_LOG_DIRTY_PAGES),
	BAD("to read-only", EINVAL, PLAIN, GPA, PAGES(8), 0,
	    .flags = KVM_MEM_READONLY),
	BAD("to read-only and logged", EINVAL, PLAIN, GPA, PAGES(8), 0,
	    .flags = KVM_MEM_READONLY | KVM_MEM_LOG_DIRTY_PAGES),
	BAD("from read-only", EINVAL, ROM, GPA + PAGES(32), PAGES(4),
	    PAGES(16)),

	BAD("move onto another", EEXIST, PLAIN, GPA + PAGES(16), PAGES(8), 0),
	BAD("move into another's end", EEXIST, ROM, GPA + PAGES(27), PAGES(4),
	    PAGES(16), .flags = KVM_MEM_READONLY),
	BAD("move, gpa not aligned", EINVAL, PLAIN, GPA + 1, PAGES(8), 0),
	BAD("move, gpa wraps", EINVAL, PLAIN, -PAGES(4), PAGES(8), 0),
	BAD("move beyond the physical addresses", EINVAL, PLAIN, TOO_HIGH,
	    PAGES(8), 0),
	BAD("move beyond, logged", EINVAL, LOGGED, TOO_HIGH, PAGES(8), PAGES(8),
	    .flags = KVM_MEM_LOG_DIRTY_PAGES),
	BAD("move beyond, to logged", EINVAL, PLAIN, TOO_HIGH, PAGES(8), 0,
	    .flags = KVM_MEM_LOG_DIRTY_PAGES),
	BAD("move beyond, to unlogged", EINVAL, LOGGED, TOO_HIGH, PAGES(8),
	    PAGES(8)),
	BAD("move beyond, read-only", EINVAL, ROM, TOO_HIGH - PAGES(2),
	    PAGES(4), PAGES(16), .flags = KVM_MEM_READONLY),

	BAD("delete what is not there", EINVAL, FREE, 0, 0, 0),
	BAD("delete in the other address space", EINVAL, PLAIN, GPA, 0, 0,
	    .base = ID_OTHER_AS),
	BAD("delete, gpa not aligned", EINVAL, PLAIN, GPA + 2, 0, 0),
	BAD("delete, hva not aligned", EINVAL, PLAIN, GPA, 0, 2),
	BAD("delete, hva of the kernel", EINVAL, PLAIN, GPA, 0, HVA_KERNEL),
	BAD("delete, bad flag", EINVAL, PLAIN, GPA, 0, 0, .flags = BIT(6)),
	BAD("delete a slot of KVM", EINVAL, 0, GPA, 0, 0,
	    .base = ID_FROM_NR_SLOTS),
};

#endif /* SELFTEST_KVM_MEMSLOT_BAD_REGIONS_H */
