#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# linux_guest.sh [CPUS...]: Linux guests with so many CPUs (1, then 2) boot on
# this VM's KVM, say hello and power off.
. "${0%/*}/lib.sh"
[ $# -gt 0 ] || set -- 1 2

for cpus; do
	start=$(date +%s)
	start_guest "$cpus"
	wait_guest_line '^LINUX GUEST: ' 600
	wait "$GUEST_PID" || fail "QEMU's exit status is $?"
	grep '^LINUX GUEST: ' "$GUEST_LOG"
	echo "boot time: $(($(date +%s) - start)) s with $cpus CPUs"
	check_guest_kernel
done
