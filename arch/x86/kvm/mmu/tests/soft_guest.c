// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest with paging, see soft_guest.h.
 */
#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "soft_cpu.h"
#include "soft_guest.h"

void soft_guest_make_memory(struct soft_vm *vm, bool ept, gfn_t gfn, u64 bits)
{
	int i;

	soft_vm_mark_pages(vm, 0, vm->memory->nr_pages);
	soft_make_links(vm, SOFT_TABLE_GFN, ept);
	for (i = 0; i < SOFT_NR_GVAS; i++)
		soft_vm_write(vm, SOFT_TABLE_GFN + soft_pt(i), soft_pt_word(i),
			      soft_pte_as(ept, gfn + i, bits));
}

void soft_guest_begin_paging(struct soft_vm *vm, const struct soft_paging *paging)
{
	soft_cpu_begin(vm->vcpu[1]);
	KUNIT_EXPECT_TRUE(vm->test, soft_set_paging(vm->vcpu[1], paging));
	soft_cpu_end(vm->vcpu[1]);
}

u64 soft_guest_page_at(struct soft_vm *vm, const struct soft_paging *paging,
		       unsigned int n)
{
	struct soft_access access = { .addr = soft_gva(paging->mode, n) };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[1], &access), SOFT_RAM);
	return access.value - SOFT_PAGE_ID;
}

void soft_guest_write(struct soft_vm *vm, gpa_t gpa, u64 value)
{
	struct soft_access write = { .addr = gpa, .write = true, .value = value };

	KUNIT_EXPECT_EQ(vm->test, soft_cpu_run(vm->vcpu[0], &write), SOFT_RAM);
}
