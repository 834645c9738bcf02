/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory allocations of one task that fail: the nth from now on, be it of slab
 * memory or of pages.  See Documentation/fault-injection/fault-injection.rst.
 */
#ifndef SELFTEST_KVM_HOSTILE_FAULTS_H
#define SELFTEST_KVM_HOSTILE_FAULTS_H

#include <stdbool.h>

/* Whether this kernel can do it. */
bool faults_init(void);
/* The calling thread's file, which the functions below take; -1 without. */
int faults_open(void);
void set_fail_nth(int fd, unsigned int nth);
/* Ends the injection; returns whether an allocation failed. */
bool end_fail_nth(int fd);

#endif /* SELFTEST_KVM_HOSTILE_FAULTS_H */
