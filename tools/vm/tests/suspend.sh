#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The VM goes to sleep under a running guest as far as the core level of
# pm_test: all CPUs but one are offline and KVM's suspend and resume have run.
# virtio-9p does not survive that: QEMU is locked in memory, this script is
# parsed as a whole before it starts, and success is that the VM reboots.
. "${0%/*}/lib.sh"
QEMU_ARGS="-overcommit mem-lock=on"

run()
{
	[ -w /sys/power/pm_test ] || skip "no pm_test in this kernel"
	grep -qw mem /sys/power/state || skip "no suspend to memory"
	grep -qw deep /sys/power/mem_sleep || skip "no deep sleep"

	echo deep >/sys/power/mem_sleep
	echo 1 >/sys/module/suspend/parameters/pm_test_delay
	start_ticking_guest 2
	for level in processors core core; do
		echo $level >/sys/power/pm_test || fail "no level $level"
		echo mem >/sys/power/state || fail "suspend ($level) failed"
		check_ticking
	done
	reboot -f
	sleep 60
	fail "the VM did not reboot"
}

run
