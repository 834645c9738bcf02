/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of the VMM that is the mapping of a file, as a driver makes it: the pages
 * are there when they are first used, read-only until they are written, and the
 * fault may take as long as the driver likes.
 *
 * A page that becomes writable in place changes for nobody who has it mapped
 * read-only: MMU notifiers say nothing of it.
 */
#ifndef __KVM_X86_MMU_SOFT_DRIVER_H
#define __KVM_X86_MMU_SOFT_DRIVER_H

#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/mm_types.h>

/**
 * struct soft_driver - the driver
 * @file: that is mapped
 * @nr: how many pages it may have
 * @page: those that it has
 * @slow: is called in a fault of a page, before the page is mapped; may sleep, with
 *	mmap_lock or the VMA's lock held for reading; NULL: nothing
 * @slow_data: its argument
 */
struct soft_driver {
	struct file *file;
	unsigned long nr;
	struct page **page;
	void (*slow)(void *data);
	void *slow_data;
};

/* Goes with the test; nothing is mapped yet. */
struct soft_driver *soft_driver_create(struct kunit *test, unsigned long nr);

/**
 * soft_driver_map() - map new pages
 * @driver: the driver
 * @hva: where, in the current mm; what is there goes
 * @first: the first of them
 * @nr: how many
 *
 * Return: 0 or an errno.
 */
int soft_driver_map(struct soft_driver *driver, unsigned long hva,
		    unsigned long first, unsigned long nr);

/* What is mapped of these pages is unmapped: they come back read-only. */
void soft_driver_protect(struct soft_driver *driver, unsigned long first,
			 unsigned long nr);

#endif /* __KVM_X86_MMU_SOFT_DRIVER_H */
