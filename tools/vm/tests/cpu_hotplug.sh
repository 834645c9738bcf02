#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# CPU 1 goes offline and comes back under a running VM, and before one.
. "${0%/*}/lib.sh"
CPU1=/sys/devices/system/cpu/cpu1/online
[ -e $CPU1 ] || skip "CPU 1 cannot be unplugged"

set_cpu1()
{
	echo "$1" >$CPU1 || fail "CPU 1 does not change to $1"
}

start_ticking_guest 2
for _ in 1 2 3; do
	set_cpu1 0
	check_ticking
	set_cpu1 1
	check_ticking
done
stop_guest

# Virtualization is enabled with CPU 1 away; CPU 1 follows when it is back.
set_cpu1 0
start_ticking_guest 2
set_cpu1 1
taskset -p 2 "$GUEST_PID" >/dev/null || fail "taskset"
check_ticking
stop_guest
