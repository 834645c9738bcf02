// SPDX-License-Identifier: GPL-2.0-only
/*
 * KVM's own accesses to guest memory: copies, caches of addresses, mapped
 * frames, pinned pages (virt/kvm/guest_access.c, guest_map.c, pfn.c), in a VM of
 * software CPUs.  The VMM looks at its memory and at the dirty log itself.
 *
 * The VM has a slot that logs, one that is read-only behind it, and nothing
 * around the two.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mman.h>
#include <linux/uaccess.h>

#include "soft_hardware.h"
#include "soft_vm.h"

#define NR_PAGES	16UL
#define GFN		0x100
#define GPA		gfn_to_gpa(GFN)
#define RO_GFN		(GFN + NR_PAGES)
#define END_GFN		(RO_GFN + NR_PAGES)
#define LOGGED		0
#define READ_ONLY	1
#define PFNMAP		2
#define PFNMAP_GFN	0x200
#define PFNMAP_PAGE	(2 * NR_PAGES)
#define WORD_ID		0x574f524400000000ULL

static u64 word_id(unsigned long page, unsigned int index)
{
	return WORD_ID + page * PTRS_PER_PTE + index;
}

static void fill_page(struct soft_vm *vm, unsigned long page)
{
	static u64 words[PTRS_PER_PTE];
	int i;

	for (i = 0; i < PTRS_PER_PTE; i++)
		words[i] = word_id(page, i);
	KUNIT_EXPECT_EQ(vm->test, 0, copy_to_user((void __user *)soft_vm_hva(vm, page),
						  words, sizeof(words)));
}

/* Where paging matters, the test has a parameter. */
static struct soft_vm *new_vm(struct kunit *test)
{
	struct soft_vm *vm;
	int i;

	soft_vendor_load(test, test->param_value ?: SOFT_NPT);
	vm = soft_vm_create(test, 1, soft_memory_create(test, 3 * NR_PAGES));
	for (i = 0; i < 3 * NR_PAGES; i++)
		fill_page(vm, i);
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, LOGGED, GFN, NR_PAGES, 0,
						  KVM_MEM_LOG_DIRTY_PAGES));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, READ_ONLY, RO_GFN, NR_PAGES,
						  NR_PAGES, KVM_MEM_READONLY));
	return vm;
}

/* Which pages the guest's log has since it was read last. */
static u64 dirty_pages(struct soft_vm *vm)
{
	u64 bitmap = 0;

	KUNIT_EXPECT_EQ(vm->test, 0, soft_vm_get_dirty_log(vm, LOGGED, &bitmap, 1));
	return bitmap;
}

/* Calls of KVM are made by a vCPU that holds kvm->srcu; ioctls wait for it. */
#define BY_VCPU(vm, call)					\
({								\
	struct kvm_vcpu *__vcpu = (vm)->vcpu[0];		\
	typeof(call) __r;					\
								\
	soft_cpu_begin(__vcpu);					\
	__r = (call);						\
	soft_cpu_end(__vcpu);					\
	__r;							\
})

/* Copies of any length go on from page to page, and to the log. */
static void copy_across_pages(struct kunit *test)
{
	const gpa_t gpa = GPA + 2 * PAGE_SIZE - 16;
	const int len = PAGE_SIZE + 32;
	struct soft_vm *vm = new_vm(test);
	struct kvm_vcpu *vcpu = vm->vcpu[0];
	u64 *data = kunit_kzalloc(test, len, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_read_guest(vm->kvm, gpa, data, len)));
	KUNIT_EXPECT_EQ(test, data[0], word_id(1, 510));
	KUNIT_EXPECT_EQ(test, data[2], word_id(2, 0));
	KUNIT_EXPECT_EQ(test, data[515], word_id(3, 1));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), 0);

	data[1] = 1;
	data[2] = 2;
	data[515] = 3;
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_write_guest(vm->kvm, gpa, data, len)));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 1, 511), 1);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 2, 0), 2);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 3, 1), 3);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 3, 2), word_id(3, 2));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(1) | BIT(2) | BIT(3));

	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_vcpu_read_guest(vcpu, gpa, data, len)));
	KUNIT_EXPECT_EQ(test, data[515], 3);
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_vcpu_write_guest(vcpu, gpa, data, 24)));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(1) | BIT(2));
}

static void clear_across_pages(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_clear_guest(vm->kvm, GPA + PAGE_SIZE - 8,
							     PAGE_SIZE + 16)));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 0, 510), word_id(0, 510));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 0, 511), 0);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 1, 300), 0);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 2, 0), 0);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 2, 1), word_id(2, 1));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(0) | BIT(1) | BIT(2));
}

/* Copies within a page are its offset's. */
static void copy_in_page(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	u64 data = 7;

	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_write_guest_page(vm->kvm, GFN + 4, &data,
								  24, 8)));
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_vcpu_write_guest_page(vm->vcpu[0], GFN + 5,
								       &data, 32, 8)));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 4, 3), 7);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 5, 4), 7);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(4) | BIT(5));

	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_read_guest_page(vm->kvm, GFN + 6, &data,
								 40, 8)));
	KUNIT_EXPECT_EQ(test, data, word_id(6, 5));
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_vcpu_read_guest_page(vm->vcpu[0], RO_GFN,
								      &data, 40, 8)));
	KUNIT_EXPECT_EQ(test, data, word_id(NR_PAGES, 5));
}

static int write_guest(struct soft_vm *vm, gpa_t gpa, const void *data, int len)
{
	return BY_VCPU(vm, kvm_write_guest(vm->kvm, gpa, data, len));
}

/* A read-only slot is not written, and where no slot is there is nothing. */
static void copy_refused(struct kunit *test)
{
	const gpa_t ro = gfn_to_gpa(RO_GFN), end = gfn_to_gpa(END_GFN);
	struct soft_vm *vm = new_vm(test);
	u64 data[2] = { 7, 7 };

	KUNIT_EXPECT_EQ(test, -EFAULT, write_guest(vm, ro, data, 8));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, NR_PAGES, 0), word_id(NR_PAGES, 0));
	/* The first half of it lies in the slot that may be written. */
	KUNIT_EXPECT_EQ(test, -EFAULT, write_guest(vm, ro - 8, data, 16));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, NR_PAGES - 1, 511), 7);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(NR_PAGES - 1));

	KUNIT_EXPECT_EQ(test, -EFAULT, BY_VCPU(vm, kvm_read_guest(vm->kvm, end - 8,
								  data, 16)));
	KUNIT_EXPECT_EQ(test, -EFAULT, BY_VCPU(vm, kvm_clear_guest(vm->kvm, GPA - 8, 8)));
}

/* What a gfn is in the VMM's address space, for writes and for reads. */
static void gfns_to_hvas(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	const unsigned long hva = soft_vm_hva(vm, 3);
	const unsigned long ro_hva = soft_vm_hva(vm, NR_PAGES + 3);
	struct kvm_vcpu *vcpu = vm->vcpu[0];
	struct kvm *kvm = vm->kvm;
	bool writable = false;

	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva(kvm, GFN + 3)), hva);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva_memslot(gfn_to_memslot(kvm, GFN + 3),
							     GFN + 3)), hva);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, kvm_vcpu_gfn_to_hva(vcpu, GFN + 3)), hva);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva_prot(kvm, GFN + 3, &writable)), hva);
	KUNIT_EXPECT_TRUE(test, writable);

	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva(kvm, RO_GFN + 3)), KVM_HVA_ERR_RO_BAD);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, kvm_vcpu_gfn_to_hva_prot(vcpu, RO_GFN + 3,
								   &writable)), ro_hva);
	KUNIT_EXPECT_FALSE(test, writable);

	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva(kvm, GFN - 1)), KVM_HVA_ERR_BAD);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, gfn_to_hva_prot(kvm, END_GFN, NULL)),
			KVM_HVA_ERR_BAD);
	KUNIT_EXPECT_TRUE(test, BY_VCPU(vm, kvm_is_visible_gfn(kvm, RO_GFN)));
	KUNIT_EXPECT_FALSE(test, BY_VCPU(vm, kvm_is_visible_gfn(kvm, END_GFN)));
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, kvm_host_page_size(vcpu, GFN)), PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, BY_VCPU(vm, kvm_host_page_size(vcpu, END_GFN)), PAGE_SIZE);
}

/* Who writes by a mapping of its own says so. */
static void mark_by_hand(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	soft_cpu_begin(vm->vcpu[0]);
	mark_page_dirty(vm->kvm, GFN + 3);
	mark_page_dirty(vm->kvm, END_GFN);
	soft_cpu_end(vm->vcpu[0]);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(3));
}

static bool has_no_slots(struct kvm *kvm)
{
	guard(mutex)(&kvm->slots_lock);
	return kvm_are_all_memslots_empty(kvm);
}

/* A VM without slots is known by all of its address spaces. */
static void no_slots(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, LOGGED, GFN, 0, 0, 0));
	KUNIT_EXPECT_FALSE(test, has_no_slots(vm->kvm));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, READ_ONLY, RO_GFN, 0, 0, 0));
	KUNIT_EXPECT_TRUE(test, has_no_slots(vm->kvm));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, 1 << 16, GFN, 1, 0, 0));
	KUNIT_EXPECT_FALSE(test, has_no_slots(vm->kvm));
}

static int init_cache(struct soft_vm *vm, struct gfn_to_hva_cache *cache, gpa_t gpa,
		      unsigned long len)
{
	return BY_VCPU(vm, kvm_gfn_to_hva_cache_init(vm->kvm, cache, gpa, len));
}

static int read_cached(struct soft_vm *vm, struct gfn_to_hva_cache *cache, u64 *value,
		       unsigned int offset)
{
	return BY_VCPU(vm, kvm_read_guest_offset_cached(vm->kvm, cache, value, offset, 8));
}

static int write_cached(struct soft_vm *vm, struct gfn_to_hva_cache *cache, u64 value,
			unsigned int offset)
{
	return BY_VCPU(vm, kvm_write_guest_offset_cached(vm->kvm, cache, &value, offset, 8));
}

/* Reads and writes go to the area, and to the log. */
static void cache_reads_writes(struct kunit *test)
{
	struct gfn_to_hva_cache cache = {};
	struct soft_vm *vm = new_vm(test);
	u64 data[2];

	KUNIT_ASSERT_EQ(test, 0, init_cache(vm, &cache, GPA + PAGE_SIZE + 8, 16));
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_read_guest_cached(vm->kvm, &cache, data, 16)));
	KUNIT_EXPECT_EQ(test, data[0], word_id(1, 1));
	KUNIT_EXPECT_EQ(test, data[1], word_id(1, 2));
	KUNIT_EXPECT_EQ(test, 0, read_cached(vm, &cache, data, 8));
	KUNIT_EXPECT_EQ(test, data[0], word_id(1, 2));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), 0);

	KUNIT_EXPECT_EQ(test, 0, write_cached(vm, &cache, 5, 8));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 1, 1), word_id(1, 1));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 1, 2), 5);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(1));
	KUNIT_EXPECT_EQ(test, 0, BY_VCPU(vm, kvm_write_guest_cached(vm->kvm, &cache, data, 8)));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 1, 1), data[0]);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(1));
}

/* An area that crosses pages is looked up each time. */
static void cache_across_pages(struct kunit *test)
{
	struct gfn_to_hva_cache cache = {};
	struct soft_vm *vm = new_vm(test);
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, init_cache(vm, &cache, GPA + 2 * PAGE_SIZE - 8, 16));
	KUNIT_EXPECT_EQ(test, 0, write_cached(vm, &cache, 5, 8));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 2, 0), 5);
	KUNIT_EXPECT_EQ(test, 0, read_cached(vm, &cache, &value, 0));
	KUNIT_EXPECT_EQ(test, value, word_id(1, 511));
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(2));
}

/* A cache follows the slots that come and go. */
static void cache_follows_slots(struct kunit *test)
{
	struct gfn_to_hva_cache cache = {};
	struct soft_vm *vm = new_vm(test);
	u64 value;

	KUNIT_ASSERT_EQ(test, 0, init_cache(vm, &cache, GPA + 8, 8));
	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, LOGGED, GFN, 0, 0, 0));
	KUNIT_EXPECT_EQ(test, -EFAULT, read_cached(vm, &cache, &value, 0));
	KUNIT_EXPECT_EQ(test, -EFAULT, write_cached(vm, &cache, 5, 0));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 0, 1), word_id(0, 1));

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, LOGGED, GFN, NR_PAGES,
						  2 * NR_PAGES, 0));
	KUNIT_EXPECT_EQ(test, 0, read_cached(vm, &cache, &value, 0));
	KUNIT_EXPECT_EQ(test, value, word_id(2 * NR_PAGES, 1));
	KUNIT_EXPECT_EQ(test, 0, write_cached(vm, &cache, 5, 0));
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 2 * NR_PAGES, 1), 5);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 0, 1), word_id(0, 1));
}

/* An area that cannot be written all over is none. */
static void cache_refused(struct kunit *test)
{
	struct gfn_to_hva_cache cache = {};
	struct soft_vm *vm = new_vm(test);

	KUNIT_EXPECT_EQ(test, -EINVAL, init_cache(vm, &cache, -8ULL, 16));
	KUNIT_EXPECT_TRUE(test, kvm_is_error_hva(cache.hva));
	KUNIT_EXPECT_EQ(test, -EFAULT, init_cache(vm, &cache, gfn_to_gpa(RO_GFN) - 8, 16));
	KUNIT_EXPECT_TRUE(test, kvm_is_error_hva(cache.hva));
	KUNIT_EXPECT_EQ(test, -EFAULT, init_cache(vm, &cache, gfn_to_gpa(END_GFN), 8));
	KUNIT_EXPECT_TRUE(test, kvm_is_error_hva(cache.hva));
}

static int map_frame(struct soft_vm *vm, gfn_t gfn, struct kvm_host_map *map)
{
	return BY_VCPU(vm, kvm_vcpu_map(vm->vcpu[0], gfn, map));
}

static void unmap_frame(struct soft_vm *vm, struct kvm_host_map *map, bool dirty)
{
	soft_cpu_begin(vm->vcpu[0]);
	kvm_vcpu_unmap(vm->vcpu[0], map, dirty);
	soft_cpu_end(vm->vcpu[0]);
}

/* A mapped frame is the guest's page, and dirty where it is said to be. */
static void map_frames(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	struct kvm_host_map map = {};
	u64 *words;

	KUNIT_ASSERT_EQ(test, 0, map_frame(vm, GFN + 6, &map));
	words = map.hva;
	KUNIT_EXPECT_EQ(test, words[9], word_id(6, 9));
	unmap_frame(vm, &map, false);
	KUNIT_EXPECT_NULL(test, map.hva);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), 0);

	KUNIT_ASSERT_EQ(test, 0, map_frame(vm, GFN + 6, &map));
	words = map.hva;
	words[9] = 5;
	unmap_frame(vm, &map, true);
	unmap_frame(vm, &map, true);
	unmap_frame(vm, NULL, true);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, 6, 9), 5);
	KUNIT_EXPECT_EQ(test, dirty_pages(vm), BIT(6));

	KUNIT_EXPECT_EQ(test, -EINVAL, map_frame(vm, GFN, NULL));
	KUNIT_EXPECT_EQ(test, -EINVAL, map_frame(vm, RO_GFN, &map));
	KUNIT_EXPECT_EQ(test, -EINVAL, map_frame(vm, END_GFN, &map));
}

/* A page is kept by its pin, for writes only if its slot may be written. */
static void pin_pages(struct kunit *test)
{
	struct soft_vm *vm = new_vm(test);
	bool writable = true;
	struct page *page;
	kvm_pfn_t pfn;
	u64 *words;

	page = BY_VCPU(vm, gfn_to_page(vm->kvm, GFN + 2));
	KUNIT_ASSERT_FALSE(test, is_error_page(page));
	words = page_address(page);
	KUNIT_EXPECT_EQ(test, words[7], word_id(2, 7));
	/* The VMM lets go of it: it is there all the same. */
	soft_vm_renew_pages(vm, 2, 1);
	KUNIT_EXPECT_GE(test, page_count(page), 1);
	KUNIT_EXPECT_EQ(test, words[7], word_id(2, 7));
	kvm_release_page_dirty(page);

	pfn = BY_VCPU(vm, gfn_to_pfn_prot(vm->kvm, RO_GFN, false, &writable));
	KUNIT_EXPECT_FALSE(test, is_error_noslot_pfn(pfn));
	KUNIT_EXPECT_FALSE(test, writable);
	kvm_release_pfn_clean(pfn);
	pfn = BY_VCPU(vm, gfn_to_pfn_prot(vm->kvm, RO_GFN, true, &writable));
	KUNIT_EXPECT_EQ(test, pfn, KVM_PFN_ERR_RO_FAULT);
	pfn = BY_VCPU(vm, gfn_to_pfn_prot(vm->kvm, END_GFN, false, NULL));
	KUNIT_EXPECT_EQ(test, pfn, KVM_PFN_NOSLOT);
	KUNIT_EXPECT_PTR_EQ(test, BY_VCPU(vm, gfn_to_page(vm->kvm, END_GFN)),
			    KVM_ERR_PTR_BAD_PAGE);
}

/* Memory of a driver: mmap() maps a page by its pfn when it is touched. */

static vm_fault_t map_pfn(struct vm_fault *vmf)
{
	struct page *page = vmf->vma->vm_private_data;

	return vmf_insert_pfn(vmf->vma, vmf->address, page_to_pfn(page));
}

static const struct vm_operations_struct pfn_vm_ops = {
	.fault = map_pfn,
};

static int pfn_mmap(struct file *file, struct vm_area_struct *vma)
{
	vm_flags_set(vma, VM_PFNMAP | VM_DONTEXPAND | VM_DONTDUMP);
	vma->vm_private_data = file->private_data;
	vma->vm_ops = &pfn_vm_ops;
	return 0;
}

static const struct file_operations pfn_fops = {
	.mmap = pfn_mmap,
};

static void free_driver_page(void *page)
{
	__free_page(page);
}

/* A page of zeros that the VMM maps by its pfn, in place of PFNMAP_PAGE. */
static struct page *map_driver_page(struct soft_vm *vm, int prot)
{
	struct kunit *test = vm->test;
	struct page *page = alloc_page(GFP_KERNEL | __GFP_ZERO);
	const unsigned long hva = soft_vm_hva(vm, PFNMAP_PAGE);
	struct file *file;

	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, free_driver_page, page));
	file = anon_inode_getfile("kunit-pfn", &pfn_fops, page, O_RDWR);
	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, file);
	KUNIT_EXPECT_EQ(test, hva, vm_mmap(file, hva, PAGE_SIZE, prot,
					   MAP_SHARED | MAP_FIXED, 0));
	fput(file);
	return page;
}

/**
 * struct pfnmap - a page of a driver's that the guest has, at PFNMAP_GFN
 * @vm: the VM
 * @page: the page
 * @words: what is in it
 */
struct pfnmap {
	struct soft_vm *vm;
	struct page *page;
	u64 *words;
};

static struct pfnmap new_pfnmap(struct kunit *test, int prot)
{
	struct soft_vm *vm = new_vm(test);
	struct page *page = map_driver_page(vm, prot);

	KUNIT_ASSERT_EQ(test, 0, soft_vm_set_slot(vm, PFNMAP, PFNMAP_GFN, 1,
						  PFNMAP_PAGE, 0));
	return (struct pfnmap) { vm, page, page_address(page) };
}

/* The guest writes there.  Return: enum soft_end. */
static int write_pfnmap(const struct pfnmap *map, u64 value)
{
	struct soft_access write = { .addr = gfn_to_gpa(PFNMAP_GFN), .write = true,
				     .value = value };

	return soft_cpu_run(map->vm->vcpu[0], &write);
}

/* The guest must not have the page when the driver frees it, after the test. */
static void take_back(const struct pfnmap *map)
{
	soft_vm_renew_pages(map->vm, PFNMAP_PAGE, 1);
}

/* The guest has what a driver has mapped, and KVM leaves no reference behind. */
static void driver_page(struct kunit *test)
{
	const struct pfnmap driver = new_pfnmap(test, PROT_READ | PROT_WRITE);
	struct soft_vm *vm = driver.vm;
	struct kvm_host_map map = {};

	KUNIT_EXPECT_EQ(test, SOFT_RAM, write_pfnmap(&driver, 5));
	KUNIT_EXPECT_EQ(test, driver.words[0], 5);

	KUNIT_ASSERT_EQ(test, 0, map_frame(vm, PFNMAP_GFN, &map));
	KUNIT_EXPECT_PTR_EQ(test, map.hva, (void *)driver.words);
	unmap_frame(vm, &map, true);
	KUNIT_EXPECT_EQ(test, page_count(driver.page), 1);

	/* The guest cannot have it any more. */
	take_back(&driver);
	KUNIT_EXPECT_EQ(test, SOFT_RAM, write_pfnmap(&driver, 6));
	KUNIT_EXPECT_EQ(test, driver.words[0], 5);
	KUNIT_EXPECT_EQ(test, soft_vm_read(vm, PFNMAP_PAGE, 0), 6);
}

static void not_reserved(void *page)
{
	ClearPageReserved(page);
}

/*
 * A page that has no reference count (a driver's, PG_reserved) is the guest's as
 * long as the VMM has it mapped, but KVM keeps no mapping of its own.
 */
static void driver_page_reserved(struct kunit *test)
{
	const struct pfnmap driver = new_pfnmap(test, PROT_READ | PROT_WRITE);
	struct kvm_host_map map = {};

	SetPageReserved(driver.page);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, not_reserved,
							   driver.page));
	KUNIT_EXPECT_EQ(test, SOFT_RAM, write_pfnmap(&driver, 5));
	KUNIT_EXPECT_EQ(test, driver.words[0], 5);

	KUNIT_EXPECT_EQ(test, -EINVAL, map_frame(driver.vm, PFNMAP_GFN, &map));
	KUNIT_EXPECT_NULL(test, map.hva);
	KUNIT_EXPECT_EQ(test, page_count(driver.page), 1);
	take_back(&driver);
}

/* The driver maps a page for reading: the guest's writes go elsewhere. */
static void driver_page_read_only(struct kunit *test)
{
	struct soft_access read = { .addr = gfn_to_gpa(PFNMAP_GFN), .value = 1 };
	const struct pfnmap driver = new_pfnmap(test, PROT_READ);

	KUNIT_EXPECT_EQ(test, SOFT_RAM, soft_cpu_run(driver.vm->vcpu[0], &read));
	KUNIT_EXPECT_EQ(test, read.value, 0);

	KUNIT_EXPECT_NE(test, SOFT_RAM, write_pfnmap(&driver, 5));
	KUNIT_EXPECT_EQ(test, driver.words[0], 0);
	KUNIT_EXPECT_EQ(test, page_count(driver.page), 1);
	take_back(&driver);
}

static struct kunit_case guest_memory_cases[] = {
	KUNIT_CASE(copy_across_pages),
	KUNIT_CASE(clear_across_pages),
	KUNIT_CASE(copy_in_page),
	KUNIT_CASE(copy_refused),
	KUNIT_CASE(gfns_to_hvas),
	KUNIT_CASE(mark_by_hand),
	KUNIT_CASE(no_slots),
	KUNIT_CASE(cache_reads_writes),
	KUNIT_CASE(cache_across_pages),
	KUNIT_CASE(cache_follows_slots),
	KUNIT_CASE(cache_refused),
	KUNIT_CASE(map_frames),
	KUNIT_CASE(pin_pages),
	KUNIT_CASE_PARAM(driver_page, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(driver_page_reserved, soft_hardware_gen_params),
	KUNIT_CASE_PARAM(driver_page_read_only, soft_hardware_gen_params),
	{}
};

static struct kunit_suite guest_memory_suite = {
	.name = "kvm_soft_guest_memory",
	.test_cases = guest_memory_cases,
};

kunit_test_suite(guest_memory_suite);
