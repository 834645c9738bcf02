// SPDX-License-Identifier: GPL-2.0-only
/*
 * Permissions against the manual: every access to every page in every mode is
 * looked up in the tables of permission_update(), and decided by a plain reading
 * of Intel SDM vol. 3A, 5.6.1 (access rights) and 5.6.2 (protection keys), or
 * vol. 3C, 30.3.3.2 (EPT violations).
 *
 * No VM and no hardware are needed.  The sweeps count what differs and name the
 * first case, because an expectation each would take minutes.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>
#include <asm/pkru.h>

#include "mmu.h"
#include "mmu/mmu_internal.h"
#include "mmu/permission.h"

#define NR_MODES	BIT(5)
#define NR_ACCESSES	BIT(5)
#define NR_PAGES	BIT(5)

/* The bits of the registers; IA32_EFER.NXE is @nxe. */
struct mode {
	bool wp;
	bool smep;
	bool smap;
	bool nxe;
	bool pke;
};

/* One of read (neither @write nor @fetch), write and fetch. */
struct access {
	bool user;
	bool write;
	bool fetch;
	bool ac;
	bool implicit;
};

/*
 * @user: U/S is 1 in every entry that maps the page
 * @writable: so is R/W
 * @xd: XD is 1 in some entry
 * @access_disable, @write_disable: PKRU of the page's key
 */
struct page_rights {
	bool user;
	bool writable;
	bool xd;
	bool access_disable;
	bool write_disable;
};

static struct mode mode_nr(unsigned int nr)
{
	return (struct mode) {
		.wp = nr & BIT(0),
		.smep = nr & BIT(1),
		.smap = nr & BIT(2),
		.nxe = nr & BIT(3),
		.pke = nr & BIT(4),
	};
}

static struct access access_nr(unsigned int nr)
{
	return (struct access) {
		.user = nr & BIT(0),
		.write = nr & BIT(1),
		.fetch = nr & BIT(2),
		.ac = nr & BIT(3),
		.implicit = nr & BIT(4),
	};
}

static struct page_rights page_nr(unsigned int nr)
{
	return (struct page_rights) {
		.user = nr & BIT(0),
		.writable = nr & BIT(1),
		.xd = nr & BIT(2),
		.access_disable = nr & BIT(3),
		.write_disable = nr & BIT(4),
	};
}

/* The manual. */

/* 5.6.2: ADi: no data access to user-mode addresses with protection key i. */
static bool key_permits_read(const struct mode *mode,
			     const struct page_rights *page)
{
	if (!mode->pke)
		return true;
	if (page->access_disable)
		return false;
	return true;
}

/*
 * 5.6.2: WDi: no user-mode write access to them; and if CR0.WP = 1, no
 * supervisor-mode write access either.
 */
static bool key_permits_write(const struct mode *mode,
			      const struct access *access,
			      const struct page_rights *page)
{
	if (!mode->pke)
		return true;
	if (page->access_disable)
		return false;
	if (page->write_disable) {
		if (access->user)
			return false;
		if (mode->wp)
			return false;
	}
	return true;
}

/*
 * 5.6.1, supervisor-mode data accesses to user-mode addresses: if CR4.SMAP = 1,
 * they are allowed only if EFLAGS.AC = 1 and the access is explicit.
 */
static bool smap_permits(const struct mode *mode, const struct access *access)
{
	if (!mode->smap)
		return true;
	if (access->implicit)
		return false;
	if (!access->ac)
		return false;
	return true;
}

/* 5.6.1: if IA32_EFER.NXE = 1, XD has to be 0 in every entry. */
static bool xd_permits(const struct mode *mode, const struct page_rights *page)
{
	if (!mode->nxe)
		return true;
	if (page->xd)
		return false;
	return true;
}

static bool supervisor_may_read(const struct mode *mode,
				const struct access *access,
				const struct page_rights *page)
{
	if (!page->user)
		return true;
	if (!smap_permits(mode, access))
		return false;
	return key_permits_read(mode, page);
}

/* 5.6.1: CR0.WP = 0 lets supervisor mode write to read-only pages. */
static bool supervisor_may_write(const struct mode *mode,
				 const struct access *access,
				 const struct page_rights *page)
{
	if (mode->wp && !page->writable)
		return false;
	if (!page->user)
		return true;
	if (!smap_permits(mode, access))
		return false;
	return key_permits_write(mode, access, page);
}

/* 5.6.1: if CR4.SMEP = 1, no fetch from user-mode addresses. */
static bool supervisor_may_fetch(const struct mode *mode,
				 const struct page_rights *page)
{
	if (page->user && mode->smep)
		return false;
	return xd_permits(mode, page);
}

/* 5.6.1: user mode has no access at all to supervisor-mode addresses. */
static bool user_may(const struct mode *mode, const struct access *access,
		     const struct page_rights *page)
{
	if (!page->user)
		return false;
	if (access->fetch)
		return xd_permits(mode, page);
	if (!access->write)
		return key_permits_read(mode, page);
	if (!page->writable)
		return false;
	return key_permits_write(mode, access, page);
}

static bool manual_allows(const struct mode *mode, const struct access *access,
			  const struct page_rights *page)
{
	if (access->user)
		return user_may(mode, access, page);
	if (access->fetch)
		return supervisor_may_fetch(mode, page);
	if (access->write)
		return supervisor_may_write(mode, access, page);
	return supervisor_may_read(mode, access, page);
}

/* The tables, read as permission_fault() does. */

static bool table_allows(const struct kvm_mmu *mmu, const struct access *access,
			 const struct page_rights *page)
{
	const bool no_smap = access->ac && !access->implicit;
	unsigned int error_code = 0, acc = 0, pkru = 0, index;

	error_code |= access->user ? PFERR_USER_MASK : 0;
	error_code |= access->write ? PFERR_WRITE_MASK : 0;
	error_code |= access->fetch ? PFERR_FETCH_MASK : 0;

	acc |= page->user ? ACC_USER_MASK : 0;
	acc |= page->writable ? ACC_WRITE_MASK : 0;
	acc |= page->xd ? 0 : ACC_EXEC_MASK;

	pkru |= page->access_disable ? PKRU_AD_BIT : 0;
	pkru |= page->write_disable ? PKRU_WD_BIT : 0;

	index = (error_code | (no_smap ? PFERR_RSVD_MASK : 0)) >> 1;
	if (mmu->permissions[index] & BIT(acc))
		return false;

	index = error_code | (page->user ? PFERR_RSVD_MASK : 0);
	return !(pkru & (mmu->pkru_mask >> index));
}

static void mmu_set_mode(struct kvm_mmu *mmu, const struct mode *mode)
{
	mmu->cpu_role.base.level = PT64_ROOT_4LEVEL;
	mmu->cpu_role.base.cr0_wp = mode->wp;
	mmu->cpu_role.base.efer_nx = mode->nxe;
	mmu->cpu_role.ext.cr4_smep = mode->smep;
	mmu->cpu_role.ext.cr4_smap = mode->smap;
	mmu->cpu_role.ext.cr4_pke = mode->pke;
}

/* What is left in the tables from before must not matter. */
static struct kvm_mmu *permission_mmu(struct kunit *test)
{
	struct kvm_mmu *mmu = kunit_kzalloc(test, sizeof(*mmu), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, mmu);
	memset(mmu->permissions, 0x5a, sizeof(mmu->permissions));
	mmu->pkru_mask = 0xa5a5a5a5;
	return mmu;
}

/* How many accesses differ in one mode; says which one is the first. */
static unsigned long mode_differs(struct kunit *test, const struct kvm_mmu *mmu,
				  const struct mode *mode, bool quiet)
{
	unsigned long bad = 0;
	unsigned int a, p;

	for (a = 0; a < NR_ACCESSES; a++) {
		const struct access access = access_nr(a);

		if (access.write && access.fetch)
			continue;
		for (p = 0; p < NR_PAGES; p++) {
			const struct page_rights page = page_nr(p);

			if (table_allows(mmu, &access, &page) ==
			    manual_allows(mode, &access, &page))
				continue;
			if (!bad++ && !quiet)
				kunit_err(test, "access %x to page %x differs\n",
					  a, p);
		}
	}
	return bad;
}

static void permission_legacy(struct kunit *test)
{
	struct kvm_mmu *mmu = permission_mmu(test);
	unsigned int m;

	for (m = 0; m < NR_MODES; m++) {
		const struct mode mode = mode_nr(m);

		mmu_set_mode(mmu, &mode);
		permission_update(mmu, false);
		KUNIT_EXPECT_EQ_MSG(test, mode_differs(test, mmu, &mode, false), 0,
				    "mode %x", m);
	}
}

/* Each bit of the mode matters: the tables of a neighbour are wrong. */
static void permission_notices_modes(struct kunit *test)
{
	struct kvm_mmu *mmu = permission_mmu(test);
	unsigned int m;

	for (m = 1; m < NR_MODES; m <<= 1) {
		const struct mode with = mode_nr(NR_MODES - 1);
		const struct mode without = mode_nr(~m & (NR_MODES - 1));

		mmu_set_mode(mmu, &without);
		permission_update(mmu, false);
		KUNIT_EXPECT_GT_MSG(test, mode_differs(test, mmu, &with, true), 0,
				    "bit %x", m);
	}
}

/* A 32-bit or PAE guest has no protection keys: its role has no PKE. */
static void permission_without_keys(struct kunit *test)
{
	struct kvm_mmu *mmu = permission_mmu(test);
	const struct mode mode = { .wp = true, .smap = true, .nxe = true };

	mmu_set_mode(mmu, &mode);
	permission_update(mmu, false);
	KUNIT_EXPECT_EQ(test, mmu->pkru_mask, 0);
}

/*
 * 30.3.3.2: a read needs bit 0 in all entries, a write bit 1, a fetch bit 2.
 * Here PFERR_USER_MASK stands for a read, and ACC_USER_MASK for bit 0.
 */
static bool ept_allows(unsigned int error_code, unsigned int acc)
{
	if ((error_code & PFERR_USER_MASK) && !(acc & ACC_USER_MASK))
		return false;
	if ((error_code & PFERR_WRITE_MASK) && !(acc & ACC_WRITE_MASK))
		return false;
	if ((error_code & PFERR_FETCH_MASK) && !(acc & ACC_EXEC_MASK))
		return false;
	return true;
}

static unsigned long ept_differs(const struct kvm_mmu *mmu)
{
	unsigned int index, acc;
	unsigned long bad = 0;
	bool allowed;

	for (index = 0; index < ARRAY_SIZE(mmu->permissions); index++) {
		for (acc = 0; acc <= ACC_ALL; acc++) {
			allowed = !(mmu->permissions[index] & BIT(acc));
			bad += allowed != ept_allows(index << 1, acc);
		}
	}
	return bad;
}

/* EPT permissions are the same whatever the role says of the registers. */
static void permission_ept(struct kunit *test)
{
	struct kvm_mmu *mmu = permission_mmu(test);
	unsigned int m;

	for (m = 0; m < NR_MODES; m++) {
		const struct mode mode = mode_nr(m);

		mmu_set_mode(mmu, &mode);
		permission_update(mmu, true);
		KUNIT_EXPECT_EQ_MSG(test, ept_differs(mmu), 0, "mode %x", m);
		KUNIT_EXPECT_EQ(test, mmu->pkru_mask, 0);
	}
}

static struct kunit_case permission_cases[] = {
	KUNIT_CASE(permission_legacy),
	KUNIT_CASE(permission_notices_modes),
	KUNIT_CASE(permission_without_keys),
	KUNIT_CASE(permission_ept),
	{}
};

static struct kunit_suite permission_suite = {
	.name = "kvm_mmu_permission",
	.test_cases = permission_cases,
};

kunit_test_suite(permission_suite);
