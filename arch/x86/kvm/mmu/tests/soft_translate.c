// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oracle of guest paging, see soft_translate.h.
 */
#include <linux/bits.h>
#include <linux/kvm_host.h>
#include <asm/trap_pf.h>

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

static bool same_outcome(const struct soft_outcome *a, const struct soft_outcome *b)
{
	return a->fault == b->fault && a->code == b->code && a->gfn == b->gfn;
}

static void add_outcome(struct walk *w, const struct soft_outcome *outcome)
{
	struct soft_outcomes *all = w->outcomes;
	int i;

	for (i = 0; i < all->nr; i++)
		if (same_outcome(&all->list[i], outcome))
			return;
	if (all->nr == SOFT_OUTCOMES)
		all->unsure = true;
	else
		all->list[all->nr++] = *outcome;
}

static void add_page(struct walk *w, gfn_t gfn)
{
	const struct soft_outcome outcome = { .gfn = gfn };

	add_outcome(w, &outcome);
}

/* SDM 4.7: I/D is there where NX or SMEP are. */
static bool tells_fetch(const struct soft_paging *paging)
{
	return paging->smep || (paging->nx && (paging->mode->cr4 & X86_CR4_PAE));
}

/* @blame: P and RSVD, which the tables are to blame for. */
static void add_fault(struct walk *w, u32 blame)
{
	const struct soft_access *access = w->access;
	struct soft_outcome outcome = { .fault = true, .code = blame };

	if (access->write)
		outcome.code |= X86_PF_WRITE;
	if (access->user || paging_of(w)->mode->nested)
		outcome.code |= X86_PF_USER;
	if (access->fetch && tells_fetch(paging_of(w)))
		outcome.code |= X86_PF_INSTR;
	add_outcome(w, &outcome);
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

/* SDM 5.6 */
static void judge_supervisor(struct walk *w, const struct way *path, gfn_t gfn)
{
	const struct soft_paging *paging = paging_of(w);
	const struct soft_access *access = w->access;
	const bool user_page = path->granted & SOFT_GPTE_US;
	bool denied = access->write && paging->wp &&
		      !(path->granted & SOFT_GPTE_RW);

	if (access->fetch)
		denied |= path->xd || (user_page && paging->smep);
	else
		denied |= user_page && paging->smap && !access->ac;
	if (denied)
		add_fault(w, X86_PF_PROT);
	else
		add_page(w, gfn);
}

static void judge_ept(struct walk *w, const struct way *path, gfn_t gfn)
{
	const struct soft_access *access = w->access;
	const u64 need = access->fetch ? SOFT_EPTE_X :
			 access->write ? SOFT_EPTE_W : SOFT_EPTE_R;

	if (path->granted & need)
		add_page(w, gfn);
	else
		add_fault(w, X86_PF_PROT);
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
	if (denied)
		add_fault(w, X86_PF_PROT);
	else
		add_page(w, gfn);
}

static bool is_present(const struct soft_paging *paging, u64 entry)
{
	return entry & (paging->mode->ept ? SOFT_EPTE_RWX : SOFT_GPTE_P);
}

static bool is_good(const struct walk *w, u64 entry, int level)
{
	const struct soft_paging *paging = paging_of(w);
	const bool leaf = is_leaf(paging, entry, level);

	if (!is_present(paging, entry))
		return false;
	return paging->mode->ept ? !is_misconfigured(paging, entry, level, leaf) :
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

/* A table elsewhere: it may be changed there, which KVM does not see. */
static bool is_seen(const struct soft_view *view, gpa_t gpa)
{
	const gfn_t gfn = gpa_to_gfn(gpa);
	const struct soft_slot *slot = soft_as_slot(view->as, gfn);

	return !slot || soft_is_table(gfn) ||
	       !test_bit(soft_slot_page(slot, gfn), view->was_table);
}

/* The entry at @gpa, of its word. */
static u64 entry_of(const struct soft_paging *paging, gpa_t gpa, u64 word)
{
	if (paging->mode->entry_bytes == 8)
		return word;
	return gpa & 4 ? upper_32_bits(word) : lower_32_bits(word);
}

u64 soft_read_word(struct soft_vm *vm, struct soft_as *as, gpa_t gpa)
{
	const gfn_t gfn = gpa_to_gfn(gpa);
	const struct soft_slot *slot = soft_as_slot(as, gfn);

	return slot ? soft_vm_read(vm, soft_slot_page(slot, gfn),
				   offset_in_page(gpa) / sizeof(u64)) : 0;
}

u64 soft_read_entry(const struct soft_view *view, gpa_t gpa)
{
	return entry_of(&view->guest->paging, gpa,
			soft_read_word(view->vm, view->as, gpa));
}

static gpa_t entry_gpa(const struct walk *w, const struct way *path)
{
	const struct soft_mode *mode = paging_of(w)->mode;
	const u64 index = (w->gva >> soft_level_shift(mode, path->level)) &
			  (BIT_ULL(soft_index_bits(mode)) - 1);

	return path->table + index * mode->entry_bytes;
}

/* The change is one of the entry at @gpa. */
static bool is_change_of(const struct walk *w, const struct soft_change *change,
			 gpa_t gpa)
{
	return change->as == w->view->as &&
	       change->gpa == round_down(gpa, sizeof(u64));
}

static bool too_many_changes(const struct walk *w)
{
	return w->view->changes->nr - w->since > SOFT_CHANGES;
}

static void walk_old_entries(struct walk *w, const struct way *path, gpa_t gpa)
{
	const struct soft_changes *changes = w->view->changes;
	const struct soft_change *change;
	u64 n, entry;

	if (too_many_changes(w)) {
		w->outcomes->unsure = true;
		return;
	}
	for (n = w->since; n < changes->nr; n++) {
		change = &changes->last[n % SOFT_CHANGES];
		if (!is_change_of(w, change, gpa))
			continue;
		entry = entry_of(paging_of(w), gpa, change->old);
		if (is_good(w, entry, path->level))
			walk_entry(w, path, entry);
	}
}

static void walk_table(struct walk *w, const struct way *path)
{
	const gpa_t gpa = entry_gpa(w, path);
	const u64 entry = soft_read_entry(w->view, gpa);

	w->outcomes->unsure |= !is_seen(w->view, gpa);
	if (is_good(w, entry, path->level))
		walk_entry(w, path, entry);
	else
		add_fault(w, is_present(paging_of(w), entry) ?
			     X86_PF_PROT | X86_PF_RSVD : 0);
	walk_old_entries(w, path, gpa);
}

/* PDPTEs */

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

/* From where the walk goes down; false: there is no PDPTE. */
static bool first_way(const struct walk *w, struct way *path)
{
	const struct soft_mode *mode = paging_of(w)->mode;
	const u64 pdpte = paging_of(w)->pdpte[(w->gva >> 30) % SOFT_NR_PDPTES];

	*path = (struct way) {
		.level = mode->levels,
		.table = soft_table_gpa(mode->root, mode->root_word),
		.granted = SOFT_GPTE_RIGHTS,
	};
	if (!mode->pdpte_level)
		return true;
	path->level = mode->pdpte_level - 1;
	path->table = pdpte & GENMASK_ULL(MAXPHYADDR - 1, 12);
	return pdpte & SOFT_GPTE_P;
}

static struct walk walk_of(const struct soft_view *view, unsigned int n)
{
	const struct soft_guest *guest = view->guest;

	return (struct walk) {
		.view = view,
		.gva = soft_gva(guest->paging.mode, n),
		.since = max(guest->flushed,
			     guest->flushed_gva[n % SOFT_NR_GVAS]),
	};
}

void soft_translate(const struct soft_view *view, unsigned int n,
		    const struct soft_access *access,
		    struct soft_outcomes *outcomes)
{
	struct walk w = walk_of(view, n);
	struct way path;

	outcomes->nr = 0;
	outcomes->unsure = false;
	w.access = access;
	w.outcomes = outcomes;
	if (first_way(&w, &path))
		walk_table(&w, &path);
	else
		add_fault(&w, 0);
}

/* Where a gva leads now */

static bool is_changed(const struct walk *w, gpa_t gpa)
{
	const struct soft_changes *changes = w->view->changes;
	u64 n;

	if (too_many_changes(w))
		return true;
	for (n = w->since; n < changes->nr; n++)
		if (is_change_of(w, &changes->last[n % SOFT_CHANGES], gpa))
			return true;
	return false;
}

void soft_find_path(const struct soft_view *view, unsigned int n,
		    struct soft_path *path)
{
	const struct walk w = walk_of(view, n);
	const struct soft_paging *paging = paging_of(&w);
	struct soft_entry *entry;
	bool down, sure = true;
	struct way way;

	path->nr = 0;
	down = first_way(&w, &way);
	while (down) {
		entry = &path->entry[path->nr];
		entry->gpa = entry_gpa(&w, &way);
		entry->value = soft_read_entry(view, entry->gpa);
		if (!is_good(&w, entry->value, way.level))
			break;
		path->nr++;
		entry->leaf = is_leaf(paging, entry->value, way.level);
		sure &= !is_changed(&w, entry->gpa);
		entry->sure = sure;
		way.table = entry_address(paging, entry->value, false);
		way.level--;
		down = !entry->leaf;
	}
}
