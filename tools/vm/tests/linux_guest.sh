#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A Linux guest boots on this VM's KVM, says hello and powers off.
. "${0%/*}/lib.sh"

for cpus in 1 2; do
	start=$(date +%s)
	start_guest "$cpus"
	wait_guest_line '^LINUX GUEST: ' 600
	wait "$GUEST_PID" || fail "QEMU's exit status is $?"
	grep '^LINUX GUEST: ' "$GUEST_LOG"
	echo "boot time: $(($(date +%s) - start)) s with $cpus CPUs"
	if grep -qE '\[ *[0-9.]*\] .*(BUG|WARNING|Oops|panic)' "$GUEST_LOG"; then
		fail "the guest's kernel complained"
	fi
done
