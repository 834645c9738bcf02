/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the format of a guest's page tables is to a walk of them: bits.  One
 * description each is in guest_fmt_32.h, guest_fmt_64.h and guest_fmt_ept.h.
 *
 * They are constants, and the algorithm (guest_walk_alg.h) is inlined once for
 * each, so that nothing of them is left at run time.
 *
 *              32-bit          PAE, 4- and 5-level   EPT
 *   manual     SDM 3A, 5.3     SDM 3A, 5.4 and 5.5   SDM 3C, 30.3.2
 *   present    P (0)           P (0)                 any of R, W, X (0, 1, 2)
 *   write      R/W (1)         R/W (1)               W (1)
 *   user       U/S (2)         U/S (2)               R (0)
 *   execute    P (0)           not NX (63)           X (2)
 *   A, D       5, 6            5, 6                  8, 9, if EPTP bit 6 is set
 *   huge       PS (7), if PSE  PS (7)                7
 *   address    12-31           12-51                 12-51
 *
 * A guest's EPT may grant X without R: ACC_USER_MASK, of no other use there,
 * stands for R.
 */
#ifndef __KVM_X86_MMU_GUEST_FMT_H
#define __KVM_X86_MMU_GUEST_FMT_H

#include <linux/types.h>

/**
 * struct guest_fmt - the bits of a format
 * @entry_size: of a gPTE, in bytes: 4 or 8
 * @level_bits: how many bits of the address are the index into a table
 * @max_level: how many levels there may be
 * @pdptr_level: the level of a root that is not in memory, but in four
 *	registers; 0: none
 * @present: any of them: the entry is present
 * @write: grants writes
 * @user: grants CPL 3; EPT: reads
 * @exec: grants fetches, once @forbid is inverted
 * @forbid: the bits that take a right away when they are set
 * @accessed: set by an access
 * @dirty: set by a write, in leaves
 * @huge: a leaf above level 1; it also chooses the row of reserved bits
 * @addr: the address of the next table or of the page
 * @huge_high: in a leaf above level 1: more address bits (PSE-36)
 * @huge_high_shift: how far they move up
 * @pkey: the protection key
 * @pkey_shift: how far it moves down
 * @mt_xwr: memory type and rights: not every combination is legal; 0: all are
 * @ad_optional: the guest chooses whether there are A and D
 * @huge_by_pse: @huge is ignored unless CR4.PSE is set
 * @ept: a fault has an exit qualification, and the CPU logs D (PML)
 */
struct guest_fmt {
	unsigned int entry_size;
	int level_bits;
	int max_level;
	int pdptr_level;

	u64 present;
	u64 write;
	u64 user;
	u64 exec;
	u64 forbid;
	u64 accessed;
	u64 dirty;
	u64 huge;

	u64 addr;
	u64 huge_high;
	int huge_high_shift;
	u64 pkey;
	int pkey_shift;
	u64 mt_xwr;

	bool ad_optional;
	bool huge_by_pse;
	bool ept;
};

#endif /* __KVM_X86_MMU_GUEST_FMT_H */
