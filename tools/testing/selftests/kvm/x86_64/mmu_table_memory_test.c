// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of KVM's page tables: what maps 64 MiB of 4K pages takes a table for
 * each 2M, and a few above.
 *
 * SecPageTables is kept in parts by the CPUs, of a few dozen pages each: without a
 * look at stat_refresh, which adds them up, it may be 100 KiB off.
 *
 * Break of KVM that makes this test fail: count each table twice in tdp_count_table()
 * (npt=1) or alloc_page_of() (npt=0).
 */
#include <stdio.h>
#include <string.h>

#include "kvm_util.h"
#include "processor.h"
#include "test_util.h"

#define SLOT		10
#define GPA		0xc0000000ull
#define MEMORY		(64ull << 20)
#define NR_PAGES	(MEMORY / PAGE_SIZE)
#define NR_TABLES	(MEMORY >> 21)
/* Of upper levels, and of the guest's code, stack and tables. */
#define MORE_TABLES	16

static void guest_main(void)
{
	uint64_t gpa;

	GUEST_SYNC(0);
	for (gpa = GPA; gpa < GPA + MEMORY; gpa += PAGE_SIZE)
		WRITE_ONCE(*(uint64_t *)gpa, gpa);
	GUEST_DONE();
}

/* Return: what follows @name in a file, 0 if it is not there. */
static long read_number(const char *path, const char *name)
{
	const size_t len = strlen(name);
	char line[256];
	long value = 0;
	FILE *file = fopen(path, "r");

	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (!strncmp(line, name, len) &&
		    sscanf(line + len, "%*[: ]%ld", &value) == 1)
			break;
	fclose(file);
	return value;
}

/* In pages. */
static long count_tables(void)
{
	read_number("/proc/sys/vm/stat_refresh", "-");
	return read_number("/proc/meminfo", "SecPageTables") * 1024 / PAGE_SIZE;
}

static void print_slabs(const char *when)
{
	const char *const caches[] = {
		"kvm_mmu_page_header", "kvm_tdp_table", "pte_list_desc", "rmap_block",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(caches); i++)
		pr_info("%s: %ld of %s\n", when,
			read_number("/proc/slabinfo", caches[i]), caches[i]);
}

int main(void)
{
	struct kvm_vcpu *vcpu;
	struct kvm_vm *vm = vm_create_with_one_vcpu(&vcpu, guest_main);
	long before, tables;

	vm_userspace_mem_region_add(vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES, 0);
	TEST_ASSERT_EQ(madvise(addr_gpa2hva(vm, GPA), MEMORY, MADV_NOHUGEPAGE), 0);
	virt_map(vm, GPA, GPA, NR_PAGES);

	/* The guest has mapped its own code. */
	vcpu_run(vcpu);
	print_slabs("before");
	before = count_tables();
	TEST_REQUIRE(before > 0);

	vcpu_run(vcpu);
	TEST_ASSERT_EQ(get_ucall(vcpu, NULL), UCALL_DONE);
	tables = count_tables() - before;
	print_slabs("after");
	pr_info("tables: %ld pages, %ld KiB\n", tables, tables * 4);
	TEST_ASSERT(tables >= (long)NR_TABLES && tables <= (long)NR_TABLES + MORE_TABLES,
		    "%ld tables for %llu MiB", tables, MEMORY >> 20);

	kvm_vm_free(vm);
	return KSFT_PASS;
}
