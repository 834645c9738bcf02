// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oracle of guest paging, see soft_translate.h.
 */
#include <linux/bits.h>
#include <linux/kvm_host.h>

#include "soft_translate.h"
#include "soft_vendor.h"

/* A vCPU without CPUID has physical addresses of 36 bits, and no pages of 1G. */
#define MAXPHYADDR	36

/* Of a PDPTE of PAE: bits 1, 2, 5-8 and 63 down from MAXPHYADDR (table 5-8). */
#define PDPTE_RESERVED	(GENMASK_ULL(2, 1) | GENMASK_ULL(8, 5) | \
			 GENMASK_ULL(63, MAXPHYADDR))

/* What the guest has changed */

void soft_note_change(struct soft_changes *changes, const struct soft_as *as,
		      gpa_t gpa, u64 old)
{
	changes->last[changes->nr++ % SOFT_CHANGES] = (struct soft_change) {
		.as = as,
		.gpa = gpa,
		.old = old,
	};
}

/* Walks */

/**
 * struct walk - a translation under way
 * @view: what it looks at
 * @access: the access
 * @outcomes: the answer so far
 * @gva: the gva
 * @since: when it was flushed
 */
struct walk {
	const struct soft_view *view;
	const struct soft_access *access;
	struct soft_outcomes *outcomes;
	u64 gva;
	u64 since;
};

/**
 * struct way - the entries down to a level
 * @level: of the next entry
 * @table: where it is: the table's gpa
 * @granted: of SOFT_GPTE_RIGHTS, what all so far have
 * @xd: any has XD
 */
struct way {
	int level;
	gpa_t table;
	u64 granted;
	bool xd;
};

static const struct soft_paging *paging_of(const struct walk *w)
{
	return &w->view->guest->paging;
}

static void add_outcome(struct walk *w, bool fault, gfn_t gfn)
{
	struct soft_outcomes *all = w->outcomes;
	int i;

	for (i = 0; i < all->nr; i++)
		if (all->list[i].fault == fault && all->list[i].gfn == gfn)
			return;
	if (all->nr == SOFT_OUTCOMES) {
		all->unsure = true;
		return;
	}
	all->list[all->nr++] = (struct soft_outcome) { fault, gfn };
}

/* The entry maps a page; CR4.PSE decides about 4M, and nothing about 2M. */
static bool is_leaf(const struct soft_paging *paging, u64 entry, int level)
{
	if (level == 1)
		return true;
	return level == 2 && (entry & SOFT_GPTE_PS) &&
	       (!paging->mode->pse || paging->pse);
}

static u64 reserved_bits(const struct soft_paging *paging, int level, bool leaf)
{
	const bool huge = leaf && level == 2;
	u64 bits = GENMASK_ULL(51, MAXPHYADDR);

	/* PSE-36: bits 13 to 16 are address bits 32 to 35. */
	if (paging->mode->entry_bytes == 4)
		return huge ? GENMASK_ULL(21, 17) : 0;

	if (!paging->nx)
		bits |= SOFT_GPTE_XD;
	if (paging->mode->pdpte_level)
		bits |= GENMASK_ULL(62, 52);
	if (level > 2)
		bits |= SOFT_GPTE_PS;
	/* Bit 12 is its PAT. */
	return huge ? bits | GENMASK_ULL(20, 13) : bits;
}

/* SDM 29.3.3.1: an EPT misconfiguration. */
static bool is_misconfigured(const struct soft_paging *paging, u64 entry,
			     int level, bool leaf)
{
	const u64 rwx = entry & SOFT_EPTE_RWX;
	const u64 type = (entry >> 3) & 7;
	u64 bits = GENMASK_ULL(51, MAXPHYADDR);

	if ((rwx & SOFT_EPTE_W) && !(rwx & SOFT_EPTE_R))
		return true;
	if (rwx == SOFT_EPTE_X && !soft_vendor_hardware()->exec_only)
		return true;
	if (leaf && (type == 2 || type == 3 || type == 7))
		return true;

	if (!leaf)
		bits |= level > 3 ? GENMASK_ULL(7, 3) : GENMASK_ULL(6, 3);
	else if (level == 2)
		bits |= GENMASK_ULL(20, 12);
	return entry & bits;
}

static gpa_t entry_address(const struct soft_paging *paging, u64 entry, bool huge)
{
	if (paging->mode->entry_bytes == 8)
		return entry & GENMASK_ULL(MAXPHYADDR - 1, huge ? 21 : 12);
	if (!huge)
		return entry & GENMASK_ULL(31, 12);
	return (entry & GENMASK_ULL(31, 22)) |
	       (entry & GENMASK_ULL(16, 13)) << (32 - 13);
}

/*
 * SDM 5.6.  What an access with CR0.WP=0 may do on a page that is read-only to
 * others KVM maps for the supervisor alone, once it has written there: from then
 * on no CPU applies SMAP to it.
 */
static bool smap_may_be_lost(const struct soft_paging *paging,
			     const struct soft_access *access, u64 granted)
{
	return !paging->wp && !access->fetch && !(granted & SOFT_GPTE_RW);
}

static void judge_supervisor(struct walk *w, const struct way *path, gfn_t gfn)
{
	const struct soft_paging *paging = paging_of(w);
	const struct soft_access *access = w->access;
	const bool user_page = path->granted & SOFT_GPTE_US;
	bool denied = access->write && paging->wp &&
		      !(path->granted & SOFT_GPTE_RW);

	if (access->fetch) {
		denied |= path->xd || (user_page && paging->smep);
	} else if (user_page && paging->smap && !access->ac) {
		denied = true;
		if (smap_may_be_lost(paging, access, path->granted))
			add_outcome(w, false, gfn);
	}
	add_outcome(w, denied, denied ? 0 : gfn);
}

static void judge_ept(struct walk *w, const struct way *path, gfn_t gfn)
{
	const struct soft_access *access = w->access;
	const u64 need = access->fetch ? SOFT_EPTE_X :
			 access->write ? SOFT_EPTE_W : SOFT_EPTE_R;
	const bool denied = !(path->granted & need);

	add_outcome(w, denied, denied ? 0 : gfn);
}

static void judge(struct walk *w, const struct way *path, gfn_t gfn)
{
	const struct soft_access *access = w->access;
	const struct soft_mode *mode = paging_of(w)->mode;
	bool denied;

	if (mode->ept) {
		judge_ept(w, path, gfn);
		return;
	}
	/* To NPT, each access is one of user mode. */
	if (!access->user && !mode->nested) {
		judge_supervisor(w, path, gfn);
		return;
	}
	denied = !(path->granted & SOFT_GPTE_US) ||
		 (access->write && !(path->granted & SOFT_GPTE_RW)) ||
		 (access->fetch && path->xd);
	add_outcome(w, denied, denied ? 0 : gfn);
}

static bool is_good(const struct walk *w, u64 entry, int level)
{
	const struct soft_paging *paging = paging_of(w);
	const bool leaf = is_leaf(paging, entry, level);

	if (paging->mode->ept)
		return (entry & SOFT_EPTE_RWX) &&
		       !is_misconfigured(paging, entry, level, leaf);
	return (entry & SOFT_GPTE_P) &&
	       !(entry & reserved_bits(paging, level, leaf));
}

static void walk_table(struct walk *w, const struct way *path);

static void walk_entry(struct walk *w, const struct way *path, u64 entry)
{
	const struct soft_paging *paging = paging_of(w);
	const bool leaf = is_leaf(paging, entry, path->level);
	const struct way next = {
		.level = path->level - 1,
		.table = entry_address(paging, entry, leaf && path->level > 1),
		.granted = path->granted & entry,
		.xd = path->xd || (entry & SOFT_GPTE_XD),
	};
	u64 in_page;

	if (!leaf) {
		walk_table(w, &next);
		return;
	}
	in_page = BIT_ULL(soft_level_shift(paging->mode, path->level)) - 1;
	judge(w, &next, gpa_to_gfn(next.table | (w->gva & in_page)));
}

/* A word of a table, or 0 where there is no memory. */
static u64 read_word(struct walk *w, gpa_t gpa)
{
	const gfn_t gfn = gpa_to_gfn(gpa);
	const struct soft_slot *slot = soft_as_slot(w->view->as, gfn);
	unsigned long page;

	if (!slot)
		return 0;
	page = soft_slot_page(slot, gfn);
	/* A table elsewhere: it may be changed there, which KVM does not see. */
	w->outcomes->unsure |= !soft_is_table(gfn) &&
			       test_bit(page, w->view->was_table);
	return soft_vm_read(w->view->vm, page, offset_in_page(gpa) / sizeof(u64));
}

/* The entry at @gpa, of its word. */
static u64 entry_of(const struct soft_paging *paging, gpa_t gpa, u64 word)
{
	if (paging->mode->entry_bytes == 8)
		return word;
	return gpa & 4 ? upper_32_bits(word) : lower_32_bits(word);
}

static void walk_old_entries(struct walk *w, const struct way *path, gpa_t gpa)
{
	const struct soft_changes *changes = w->view->changes;
	const struct soft_change *change;
	u64 n, entry;

	if (changes->nr - w->since > SOFT_CHANGES) {
		w->outcomes->unsure = true;
		return;
	}
	for (n = w->since; n < changes->nr; n++) {
		change = &changes->last[n % SOFT_CHANGES];
		if (change->as != w->view->as ||
		    change->gpa != round_down(gpa, sizeof(u64)))
			continue;
		entry = entry_of(paging_of(w), gpa, change->old);
		if (is_good(w, entry, path->level))
			walk_entry(w, path, entry);
	}
}

static void walk_table(struct walk *w, const struct way *path)
{
	const struct soft_mode *mode = paging_of(w)->mode;
	const u64 index = (w->gva >> soft_level_shift(mode, path->level)) &
			  (BIT_ULL(soft_index_bits(mode)) - 1);
	const gpa_t gpa = path->table + index * mode->entry_bytes;
	const u64 entry = entry_of(paging_of(w), gpa,
				   read_word(w, round_down(gpa, sizeof(u64))));

	if (is_good(w, entry, path->level))
		walk_entry(w, path, entry);
	else
		add_outcome(w, true, 0);
	walk_old_entries(w, path, gpa);
}

/* PDPTEs */

static void walk_pdpte(struct walk *w)
{
	const u64 pdpte = paging_of(w)->pdpte[(w->gva >> 30) % SOFT_NR_PDPTES];
	const struct way path = {
		.level = 2,
		.table = pdpte & GENMASK_ULL(MAXPHYADDR - 1, 12),
		.granted = SOFT_GPTE_RIGHTS,
	};

	if (pdpte & SOFT_GPTE_P)
		walk_table(w, &path);
	else
		add_outcome(w, true, 0);
}

bool soft_load_pdptes(struct soft_vm *vm, struct soft_as *as,
		      u64 pdpte[SOFT_NR_PDPTES])
{
	const struct soft_mode *mode = &soft_modes[SOFT_PAE];
	const gfn_t gfn = SOFT_TABLE_GFN + mode->root;
	const struct soft_slot *slot = soft_as_slot(as, gfn);
	u64 new[SOFT_NR_PDPTES];
	int i;

	if (!slot)
		return false;
	for (i = 0; i < SOFT_NR_PDPTES; i++) {
		new[i] = soft_vm_read(vm, soft_slot_page(slot, gfn),
				      mode->root_word + i);
		if ((new[i] & SOFT_GPTE_P) && (new[i] & PDPTE_RESERVED))
			return false;
	}
	memcpy(pdpte, new, sizeof(new));
	return true;
}

void soft_translate(const struct soft_view *view, unsigned int n,
		    const struct soft_access *access,
		    struct soft_outcomes *outcomes)
{
	const struct soft_guest *guest = view->guest;
	const struct soft_mode *mode = guest->paging.mode;
	struct walk w = {
		.view = view,
		.access = access,
		.outcomes = outcomes,
		.gva = soft_gva(mode, n),
		.since = max(guest->flushed,
			     guest->flushed_gva[n % SOFT_NR_GVAS]),
	};
	const struct way path = {
		.level = mode->levels,
		.table = soft_table_gpa(mode->root, mode->root_word),
		.granted = SOFT_GPTE_RIGHTS,
	};

	outcomes->nr = 0;
	outcomes->unsure = false;
	if (mode->pdpte_level)
		walk_pdpte(&w);
	else
		walk_table(&w, &path);
}
