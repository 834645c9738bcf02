/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The oracle of guest paging: what a gva may be, from the guest's tables as they
 * lie in the VMM's memory, by SDM vol. 3 chapter 5.
 *
 * "May", as a CPU caches entries of each level until the guest flushes them
 * (SDM 5.10): until then each entry counts as it is or as it was at any time since
 * the last flush.  Entries that are not present, or have reserved bits, are not
 * cached: as such, only what is there now counts.
 */
#ifndef __KVM_X86_MMU_SOFT_TRANSLATE_H
#define __KVM_X86_MMU_SOFT_TRANSLATE_H

#include "soft_paging.h"

#define SOFT_CHANGES	512

/**
 * struct soft_change - a word of a table that the guest has changed
 * @as: the table's address space
 * @gpa: where
 * @old: what it was
 */
struct soft_change {
	const struct soft_as *as;
	gpa_t gpa;
	u64 old;
};

/**
 * struct soft_changes - those of a VM; its numbers are what time is to the oracle
 * @nr: how many there were
 * @last: the last of them, the n-th at n % SOFT_CHANGES
 */
struct soft_changes {
	u64 nr;
	struct soft_change last[SOFT_CHANGES];
};

/* Before the guest changes the word at @gpa. */
void soft_note_change(struct soft_changes *changes, const struct soft_as *as,
		      gpa_t gpa, u64 old);

/**
 * struct soft_guest - a vCPU's paging, and when it was flushed
 * @paging: how it translates
 * @flushed: when for all gvas: soft_changes::nr of then
 * @flushed_gva: when for each one
 * @recent: the n-th gva, which was used or linked last
 */
struct soft_guest {
	struct soft_paging paging;
	unsigned int recent;
	u64 flushed;
	u64 flushed_gva[SOFT_NR_GVAS];
};

/**
 * struct soft_view - what a translation looks at
 * @vm: whose memory has the tables
 * @as: the address space that they are in
 * @guest: the vCPU's paging
 * @changes: what the guest has changed
 * @was_table: pages of the VMM that the guest has used as tables
 */
struct soft_view {
	struct soft_vm *vm;
	struct soft_as *as;
	const struct soft_guest *guest;
	const struct soft_changes *changes;
	const unsigned long *was_table;
};

/* What an access may come to: the page at @gfn, or a page fault with @code. */
struct soft_outcome {
	bool fault;
	u32 code;
	gfn_t gfn;
};

#define SOFT_OUTCOMES	16

/**
 * struct soft_outcomes - all that it may come to
 * @nr: of @list
 * @unsure: there is more, as KVM does not see all that changes the tables
 * @list: each is another
 */
struct soft_outcomes {
	int nr;
	bool unsure;
	struct soft_outcome list[SOFT_OUTCOMES];
};

/**
 * soft_translate() - what an access by gva may come to
 * @view: see there
 * @n: the gva, see soft_gva()
 * @access: its addr does not matter
 * @outcomes: becomes the answer
 */
void soft_translate(const struct soft_view *view, unsigned int n,
		    const struct soft_access *access,
		    struct soft_outcomes *outcomes);

/**
 * struct soft_entry - an entry that a gva leads through
 * @gpa: where it is
 * @value: what is there
 * @leaf: it maps a page
 * @sure: since the flush, neither it nor one above was anything else
 */
struct soft_entry {
	gpa_t gpa;
	u64 value;
	bool leaf;
	bool sure;
};

#define SOFT_MAX_LEVELS	5

/**
 * struct soft_path - the entries, from the root down to what maps a page or is bad
 * @nr: of @entry; a bad one does not count
 * @entry: see there
 */
struct soft_path {
	int nr;
	struct soft_entry entry[SOFT_MAX_LEVELS];
};

/* Where a gva leads now. */
void soft_find_path(const struct soft_view *view, unsigned int n,
		    struct soft_path *path);

/* The word of a table around a gpa; 0 where there is no memory. */
u64 soft_read_word(struct soft_vm *vm, struct soft_as *as, gpa_t gpa);

/* What is at the gpa of an entry; 0 where there is no memory. */
u64 soft_read_entry(const struct soft_view *view, gpa_t gpa);

/* MOV to CR3 with PAE loads them; false if it is a #GP, and nothing changes. */
bool soft_load_pdptes(struct soft_vm *vm, struct soft_as *as,
		      u64 pdpte[SOFT_NR_PDPTES]);

#endif /* __KVM_X86_MMU_SOFT_TRANSLATE_H */
