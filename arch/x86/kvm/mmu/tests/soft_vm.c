// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VM of software CPUs, see soft_vm.h.
 */
#include <kunit/test.h>
#include <linux/falloc.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/kvm.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/uaccess.h>

#include "kvm_core.h"
#include "mmu.h"
#include "mmu/zap.h"
#include "soft_vm.h"

/* Files */

static long vm_ioctl(struct soft_vm *vm, unsigned int ioctl, unsigned long arg)
{
	return vm->file->f_op->unlocked_ioctl(vm->file, ioctl, arg);
}

long soft_file_ioctl(struct soft_vm *vm, struct file *file, unsigned int ioctl,
		     void *arg, size_t size)
{
	void __user *user = (void __user *)vm->memory->scratch;
	long r;

	if (copy_to_user(user, arg, size))
		return -EFAULT;
	r = file->f_op->unlocked_ioctl(file, ioctl, vm->memory->scratch);
	if (r >= 0 && copy_from_user(arg, user, size))
		return -EFAULT;
	return r;
}

static long ioctl_with(struct soft_vm *vm, unsigned int ioctl, void *arg,
		       size_t size)
{
	return soft_file_ioctl(vm, vm->file, ioctl, arg, size);
}

static void create_vcpu(struct soft_vm *vm, int id)
{
	int fd = vm_ioctl(vm, KVM_CREATE_VCPU, id);

	KUNIT_ASSERT_GE(vm->test, fd, 0);
	vm->vcpu_fd[id] = fd;
	vm->vcpu_file[id] = fget(fd);
	vm->vcpu[id] = kvm_get_vcpu(vm->kvm, id);
	vm->nr_vcpus++;
}

/*
 * fput() of a kernel thread leaves the last reference to a work item, and
 * flush_delayed_fput() does not wait for one that runs.
 */
void soft_file_close(int fd, struct file *file)
{
	close_fd(fd);
	__fput_sync(file);
}

static void close_vm(void *data)
{
	struct soft_vm *vm = data;
	int i;

	for (i = 0; i < vm->nr_vcpus; i++)
		soft_file_close(vm->vcpu_fd[i], vm->vcpu_file[i]);
	if (vm->gmem)
		soft_file_close(vm->gmem_fd, vm->gmem);
	soft_file_close(vm->fd, vm->file);
}

void soft_vm_destroy(struct soft_vm *vm)
{
	kunit_release_action(vm->test, close_vm, vm);
	kunit_kfree(vm->test, vm);
}

static void enable_cap(struct soft_vm *vm, u32 cap, u64 arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	KUNIT_ASSERT_EQ(vm->test, 0, ioctl_with(vm, KVM_ENABLE_CAP, &enable,
						sizeof(enable)));
}

static void create_gmem(struct soft_vm *vm)
{
	struct kvm_create_guest_memfd create = {
		.size = vm->memory->nr_pages * PAGE_SIZE,
	};

	vm->gmem_fd = ioctl_with(vm, KVM_CREATE_GUEST_MEMFD, &create,
				 sizeof(create));
	KUNIT_ASSERT_GE(vm->test, vm->gmem_fd, 0);
	vm->gmem = fget(vm->gmem_fd);
}

static void choose_log(struct soft_vm *vm)
{
	switch (vm->kind.log) {
	case SOFT_LOG_MANUAL:
		enable_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			   KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE);
		break;
	case SOFT_LOG_INITIALLY_SET:
		enable_cap(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2,
			   KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
			   KVM_DIRTY_LOG_INITIALLY_SET);
		break;
	case SOFT_LOG_RING:
		enable_cap(vm, KVM_CAP_DIRTY_LOG_RING_ACQ_REL,
			   SOFT_RING_ENTRIES * sizeof(struct kvm_dirty_gfn));
		break;
	default:
		break;
	}
}

struct soft_vm *soft_vm_create_kind(struct kunit *test, int nr_vcpus,
				    const struct soft_memory *memory,
				    const struct soft_vm_kind *kind)
{
	struct soft_vm *vm = kunit_kzalloc(test, sizeof(*vm), GFP_KERNEL);
	int i, r;

	KUNIT_ASSERT_NOT_NULL(test, vm);
	vm->test = test;
	vm->memory = memory;
	vm->kind = *kind;
	vm->fd = kvm_create_vm_fd(kind->private ? KVM_X86_SW_PROTECTED_VM :
						  KVM_X86_DEFAULT_VM);
	KUNIT_ASSERT_GE(test, vm->fd, 0);
	vm->file = fget(vm->fd);
	vm->kvm = vm->file->private_data;
	r = kunit_add_action_or_reset(test, close_vm, vm);
	KUNIT_ASSERT_EQ(test, r, 0);

	if (kind->private)
		create_gmem(vm);
	choose_log(vm);
	for (i = 0; i < nr_vcpus; i++)
		create_vcpu(vm, i);
	return vm;
}

struct soft_vm *soft_vm_create(struct kunit *test, int nr_vcpus,
			       const struct soft_memory *memory)
{
	const struct soft_vm_kind plain = {};

	return soft_vm_create_kind(test, nr_vcpus, memory, &plain);
}

/* The VMM's memory */

/* What is aligned can be a huge page or not, whatever the kernel's default is. */
static void allow_huge(unsigned long hva, unsigned long npages, bool allow)
{
	const vm_flags_t set = allow ? VM_HUGEPAGE : VM_NOHUGEPAGE;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;

	if (!IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
		return;
	mmap_write_lock(mm);
	vma = find_vma(mm, hva);
	if (vma && hva + npages * PAGE_SIZE <= vma->vm_end)
		vm_flags_mod(vma, set, (VM_HUGEPAGE | VM_NOHUGEPAGE) & ~set);
	mmap_write_unlock(mm);
}

static unsigned long map_pages(struct kunit *test, unsigned long npages)
{
	unsigned long hva;

	hva = kunit_vm_mmap(test, NULL, 0, npages * PAGE_SIZE,
			    PROT_READ | PROT_WRITE,
			    MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, hva, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(hva));
	return hva;
}

struct soft_memory *soft_memory_create(struct kunit *test, unsigned long nr_pages)
{
	struct soft_memory *memory;

	memory = kunit_kzalloc(test, sizeof(*memory), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, memory);
	memory->nr_pages = nr_pages;
	memory->hva = ALIGN(map_pages(test, nr_pages + PTRS_PER_PTE), PMD_SIZE);
	memory->scratch = map_pages(test, 1);
	memory->driver = soft_driver_create(test, nr_pages);
	allow_huge(memory->hva, nr_pages, true);
	return memory;
}

static u64 __user *user_word(struct soft_vm *vm, unsigned long page,
			     unsigned int index)
{
	return (u64 __user *)soft_vm_hva(vm, page) + index;
}

void soft_vm_write(struct soft_vm *vm, unsigned long page, unsigned int index,
		   u64 value)
{
	u64 __user *word = user_word(vm, page, index);

	KUNIT_EXPECT_EQ(vm->test, 0, put_user(value, word));
}

u64 soft_vm_read(struct soft_vm *vm, unsigned long page, unsigned int index)
{
	u64 __user *word = user_word(vm, page, index);
	u64 value = 0;

	KUNIT_EXPECT_EQ(vm->test, 0, get_user(value, word));
	return value;
}

void soft_vm_mark_pages(struct soft_vm *vm, unsigned long page,
			unsigned long npages)
{
	unsigned long i;

	for (i = 0; i < npages; i++)
		soft_vm_write(vm, page + i, 0, SOFT_PAGE_ID + i);
}

void soft_vm_renew_pages(struct soft_vm *vm, unsigned long page,
			 unsigned long npages)
{
	unsigned long hva = soft_vm_hva(vm, page);

	KUNIT_EXPECT_EQ(vm->test, hva,
			vm_mmap(NULL, hva, npages * PAGE_SIZE,
				PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0));
	allow_huge(hva, npages, !vm->kind.small);
}

void soft_vm_renew_by_driver(struct soft_vm *vm, unsigned long page,
			     unsigned long npages)
{
	KUNIT_EXPECT_EQ(vm->test, 0,
			soft_driver_map(vm->memory->driver, soft_vm_hva(vm, page),
					page, npages));
}

void soft_vm_host_protect(struct soft_vm *vm, unsigned long page,
			  unsigned long npages)
{
	soft_driver_protect(vm->memory->driver, page, npages);
}

void soft_vm_invalidate(struct soft_vm *vm, unsigned long page,
			unsigned long npages)
{
	struct mmu_notifier *mn = &vm->kvm->mmu_notifier;
	const unsigned long hva = soft_vm_hva(vm, page);
	struct mmu_notifier_range range;

	mmu_notifier_range_init(&range, MMU_NOTIFY_CLEAR, 0, vm->kvm->mm, hva,
				hva + npages * PAGE_SIZE);
	range.flags = MMU_NOTIFIER_RANGE_BLOCKABLE;
	mn->ops->invalidate_range_start(mn, &range);
	mn->ops->invalidate_range_end(mn, &range);
}

bool soft_vm_unmap_range(struct soft_vm *vm, struct kvm_gfn_range *range)
{
	struct kvm *kvm = vm->kvm;
	bool found;

	write_lock(&kvm->mmu_lock);
	kvm_mmu_invalidate_begin(kvm);
	found = kvm_mmu_unmap_gfn_range(kvm, range);
	kvm_mmu_invalidate_end(kvm);
	if (found)
		kvm_flush_remote_tlbs(kvm);
	write_unlock(&kvm->mmu_lock);
	return found;
}

struct page *soft_vm_get_page(struct soft_vm *vm, unsigned long page)
{
	struct page *p;

	return get_user_pages_fast(soft_vm_hva(vm, page), 1, 0, &p) == 1 ? p : NULL;
}

bool soft_vm_clean_page(struct soft_vm *vm, unsigned long page)
{
	struct page *p = soft_vm_get_page(vm, page);
	struct folio *folio;
	bool dirty;

	if (!p)
		return false;
	folio = page_folio(p);
	dirty = folio_test_dirty(folio) && folio_test_anon(folio) &&
		!folio_test_large(folio);
	folio_clear_dirty(folio);
	folio_put(folio);
	return dirty;
}

/* Ioctls */

int soft_vm_set_slot(struct soft_vm *vm, u32 id, gfn_t gfn, unsigned long npages,
		     unsigned long page, u32 flags)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gfn_to_gpa(gfn),
		.memory_size = npages * PAGE_SIZE,
		.userspace_addr = soft_vm_hva(vm, page),
		.guest_memfd_offset = page * PAGE_SIZE,
		.guest_memfd = vm->gmem_fd,
	};

	return ioctl_with(vm, KVM_SET_USER_MEMORY_REGION2, &region,
			  sizeof(region));
}

int soft_vm_set_private(struct soft_vm *vm, gfn_t gfn, unsigned long npages,
			bool private)
{
	struct kvm_memory_attributes attributes = {
		.address = gfn_to_gpa(gfn),
		.size = npages * PAGE_SIZE,
		.attributes = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0,
	};

	return ioctl_with(vm, KVM_SET_MEMORY_ATTRIBUTES, &attributes,
			  sizeof(attributes));
}

int soft_vm_punch_hole(struct soft_vm *vm, unsigned long page,
		       unsigned long npages)
{
	return vfs_fallocate(vm->gmem,
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			     page * PAGE_SIZE, npages * PAGE_SIZE);
}

/* Behind the argument in the scratch page. */
static u64 __user *scratch_bitmap(struct soft_vm *vm)
{
	return (u64 __user *)(vm->memory->scratch + PAGE_SIZE / 2);
}

bool soft_vm_slot_changes(const struct soft_vm *vm, u32 id)
{
	u64 gen;

	scoped_guard(srcu, &vm->kvm->srcu)
		gen = READ_ONCE(__kvm_memslots(vm->kvm, id >> 16)->generation);
	return gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS;
}

int soft_vm_get_dirty_log(struct soft_vm *vm, u32 id, u64 *bitmap, int nr_longs)
{
	struct kvm_dirty_log log = {
		.slot = id,
		.dirty_bitmap = scratch_bitmap(vm),
	};
	long r = ioctl_with(vm, KVM_GET_DIRTY_LOG, &log, sizeof(log));

	return r ?: copy_from_user(bitmap, scratch_bitmap(vm),
				   nr_longs * sizeof(*bitmap)) ? -EFAULT : 0;
}

int soft_vm_clear_dirty_log(struct soft_vm *vm, u32 id, unsigned long first,
			    unsigned long npages, const u64 *bitmap)
{
	struct kvm_clear_dirty_log log = {
		.slot = id,
		.num_pages = npages,
		.first_page = first,
		.dirty_bitmap = scratch_bitmap(vm),
	};

	if (copy_to_user(scratch_bitmap(vm), bitmap,
			 DIV_ROUND_UP(npages, 64) * sizeof(*bitmap)))
		return -EFAULT;
	return ioctl_with(vm, KVM_CLEAR_DIRTY_LOG, &log, sizeof(log));
}

/* As userspace does in the ring that it has mapped (api.rst 8.29). */
bool soft_vm_next_dirty(struct soft_vm *vm, int vcpu, struct kvm_dirty_gfn *entry)
{
	struct kvm_dirty_gfn *ring = vm->vcpu[vcpu]->dirty_ring.dirty_gfns;
	struct kvm_dirty_gfn *next = &ring[vm->collected[vcpu] % SOFT_RING_ENTRIES];

	/* Pairs with the release of KVM's flag: the rest of the entry is there. */
	if (smp_load_acquire(&next->flags) != KVM_DIRTY_GFN_F_DIRTY)
		return false;
	*entry = *next;
	/* Pairs with the acquire of KVM's reset: the entry has been read. */
	smp_store_release(&next->flags, KVM_DIRTY_GFN_F_RESET);
	vm->collected[vcpu]++;
	return true;
}

void soft_vm_scribble(struct soft_vm *vm, int vcpu, u32 nr, u32 flags)
{
	struct kvm_dirty_gfn *ring = vm->vcpu[vcpu]->dirty_ring.dirty_gfns;
	u32 i;

	for (i = 0; i < nr; i++)
		WRITE_ONCE(ring[(vm->collected[vcpu] + i) % SOFT_RING_ENTRIES].flags,
			   flags);
}

int soft_vm_reset_rings(struct soft_vm *vm)
{
	return vm_ioctl(vm, KVM_RESET_DIRTY_RINGS, 0);
}

/* Each vCPU has a place of its own in the scratch page. */
int soft_vm_pre_fault(struct soft_vm *vm, int vcpu, gfn_t gfn,
		      unsigned long npages)
{
	const unsigned long arg = vm->memory->scratch + PAGE_SIZE / 4 +
				  vcpu * sizeof(struct kvm_pre_fault_memory);
	struct kvm_pre_fault_memory range = {
		.gpa = gfn_to_gpa(gfn),
		.size = npages * PAGE_SIZE,
	};

	if (copy_to_user((void __user *)arg, &range, sizeof(range)))
		return -EFAULT;
	return vm->vcpu_file[vcpu]->f_op->unlocked_ioctl(vm->vcpu_file[vcpu],
							 KVM_PRE_FAULT_MEMORY,
							 arg);
}

int soft_vm_set_quota(struct soft_vm *vm, unsigned long pages)
{
	return vm_ioctl(vm, KVM_SET_NR_MMU_PAGES, pages);
}

void soft_vm_zap_all(struct soft_vm *vm)
{
	mutex_lock(&vm->kvm->slots_lock);
	zap_all_fast(vm->kvm);
	mutex_unlock(&vm->kvm->slots_lock);
}

void soft_vm_clear_young(struct soft_vm *vm, unsigned long page,
			 unsigned long npages)
{
	struct mmu_notifier *mn = &vm->kvm->mmu_notifier;
	const unsigned long hva = soft_vm_hva(vm, page);

	mn->ops->clear_young(mn, vm->kvm->mm, hva, hva + npages * PAGE_SIZE);
}

bool soft_vm_clear_flush_young(struct soft_vm *vm, unsigned long page,
			       unsigned long npages)
{
	struct mmu_notifier *mn = &vm->kvm->mmu_notifier;
	const unsigned long hva = soft_vm_hva(vm, page);

	return mn->ops->clear_flush_young(mn, vm->kvm->mm, hva,
					  hva + npages * PAGE_SIZE);
}

bool soft_vm_test_young(struct soft_vm *vm, unsigned long page)
{
	struct mmu_notifier *mn = &vm->kvm->mmu_notifier;

	return mn->ops->test_young(mn, vm->kvm->mm, soft_vm_hva(vm, page));
}
