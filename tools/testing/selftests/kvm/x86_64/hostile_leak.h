/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the kernel holds for VMs is given back when there are none: objects of
 * KVM's slab caches and VMs in debugfs, of which none are left; memory of page
 * tables and references to KVM's modules, of which as many are left as before;
 * and kmemleak finds nothing.
 *
 * Nothing else may run VMs in the meantime.  A count that this kernel does not
 * have is named in a line "SKIP".
 */
#ifndef SELFTEST_KVM_HOSTILE_LEAK_H
#define SELFTEST_KVM_HOSTILE_LEAK_H

/* While there is no VM, before and after those of a test. */
void leak_start(void);
void leak_check(void);

#endif /* SELFTEST_KVM_HOSTILE_LEAK_H */
