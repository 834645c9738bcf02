/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The format of SPTEs, borrowed from the host for a KUnit test: no vendor module
 * is needed to have any format, and the host's own one is there again when the
 * test is over.
 *
 * No VM may see that, so a test is skipped if there is one.
 */
#ifndef __KVM_X86_MMU_TEST_FORMAT_H
#define __KVM_X86_MMU_TEST_FORMAT_H

#include <kunit/test.h>
#include <linux/kvm_host.h>

#include "mmu/spte_format.h"

/**
 * struct test_format - kunit::priv of such a test
 * @saved: the host's spte_fmt
 * @mmio_caching: its enable_mmio_caching
 * @nx_huge_pages: its nx_huge_pages
 * @dirty_log_size: its kvm_x86_ops.cpu_dirty_log_size
 * @regions: its dirty_log_regions, which is off during the test: regions need a VM
 *	whose slots can be looked up
 * @kvm: a VM, all 0
 * @vcpu: a vCPU of it, with @mmu
 * @mmu: has no reserved bits
 */
struct test_format {
	struct spte_format saved;
	bool mmio_caching;
	int nx_huge_pages;
	int dirty_log_size;
	bool regions;

	struct kvm *kvm;
	struct kvm_vcpu *vcpu;
	struct kvm_mmu mmu;
};

/**
 * struct format_case - what the CPU can do
 * @name: for the test's report
 * @ept: EPT; else legacy paging
 * @ad: it keeps A and D bits
 * @exec_only: EPT: X without R
 */
struct format_case {
	const char *name;
	bool ept;
	bool ad;
	bool exec_only;
};

/* kunit_suite::init: the format may be changed until the test is over. */
int test_format_init(struct kunit *test);

/**
 * test_format_set() - the format that a vendor module sets up on such a CPU
 * @f: the CPU
 *
 * But for spte_fmt.memtype, which is 0: spte_make_leaf() would ask the vendor
 * module for memory types.
 */
void test_format_set(const struct format_case *f);

#endif /* __KVM_X86_MMU_TEST_FORMAT_H */
