// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory that a driver maps, see soft_driver.h.
 */
#include <kunit/test.h>
#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>

#include "soft_driver.h"

/* The lock of the page keeps two vCPUs from getting two pages. */
static DEFINE_MUTEX(pages_lock);

static struct page *get_driver_page(struct soft_driver *driver, unsigned long n)
{
	guard(mutex)(&pages_lock);
	if (!driver->page[n])
		driver->page[n] = alloc_page(GFP_KERNEL | __GFP_ZERO);
	if (driver->page[n])
		get_page(driver->page[n]);
	return driver->page[n];
}

static vm_fault_t driver_fault(struct vm_fault *vmf)
{
	struct soft_driver *driver = vmf->vma->vm_private_data;

	if (driver->slow)
		driver->slow(driver->slow_data);
	if (vmf->pgoff >= driver->nr)
		return VM_FAULT_SIGBUS;
	vmf->page = get_driver_page(driver, vmf->pgoff);
	return vmf->page ? 0 : VM_FAULT_OOM;
}

/* That there is one is what makes pages read-only at first. */
static vm_fault_t driver_mkwrite(struct vm_fault *vmf)
{
	lock_page(vmf->page);
	return VM_FAULT_LOCKED;
}

static const struct vm_operations_struct driver_vm_ops = {
	.fault = driver_fault,
	.page_mkwrite = driver_mkwrite,
};

static int driver_mmap(struct file *file, struct vm_area_struct *vma)
{
	vma->vm_ops = &driver_vm_ops;
	vma->vm_private_data = file->private_data;
	return 0;
}

static const struct file_operations driver_fops = {
	.owner = THIS_MODULE,
	.mmap = driver_mmap,
};

static void drop_pages(struct soft_driver *driver, unsigned long first,
		       unsigned long nr)
{
	unsigned long i;

	guard(mutex)(&pages_lock);
	for (i = first; i < first + nr; i++) {
		if (driver->page[i])
			put_page(driver->page[i]);
		driver->page[i] = NULL;
	}
}

static void driver_close(void *data)
{
	struct soft_driver *driver = data;

	soft_driver_protect(driver, 0, driver->nr);
	drop_pages(driver, 0, driver->nr);
	fput(driver->file);
}

struct soft_driver *soft_driver_create(struct kunit *test, unsigned long nr)
{
	struct soft_driver *driver;

	driver = kunit_kzalloc(test, sizeof(*driver), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, driver);
	driver->nr = nr;
	driver->page = kunit_kcalloc(test, nr, sizeof(*driver->page), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, driver->page);
	driver->file = anon_inode_getfile("[kvm-soft]", &driver_fops, driver,
					  O_RDWR);
	KUNIT_ASSERT_FALSE(test, IS_ERR(driver->file));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, driver_close,
							   driver));
	return driver;
}

int soft_driver_map(struct soft_driver *driver, unsigned long hva,
		    unsigned long first, unsigned long nr)
{
	unsigned long r = vm_mmap(driver->file, hva, nr * PAGE_SIZE,
				  PROT_READ | PROT_WRITE,
				  MAP_SHARED | MAP_FIXED, first * PAGE_SIZE);

	drop_pages(driver, first, nr);
	return IS_ERR_VALUE(r) ? r : 0;
}

void soft_driver_protect(struct soft_driver *driver, unsigned long first,
			 unsigned long nr)
{
	unmap_mapping_range(driver->file->f_mapping, first * PAGE_SIZE,
			    nr * PAGE_SIZE, 1);
}
