#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Our modules have the statistics, tracepoints, parameters of stock's modules:
# the same names, and parameters with the same modes and values, and more: three
# parameters with their defaults, and what dirty logging by regions counts in a VM.
. "${0%/*}/lib.sh"
[ -d /stock_modules ] || skip "stock's modules are not here"

# Each name that userspace sees while a guest runs; ids of the VM replaced. How
# far it has booted does not matter.
names()
{
	start_guest 2 nested.ticks
	wait_guest_exit
	(cd /sys/kernel/debug/kvm && find . | sed 's|^\./[0-9]*-[0-9]*|VM|')
	(cd /sys/module && find kvm/parameters kvm_amd/parameters \
		kvm_intel/parameters -type f -exec stat -c '%A %n' {} + \
		2>/dev/null)
	(cd /sys/module/kvm/parameters && grep -H . ./* 2>/dev/null)
	find /sys/kernel/tracing/events/kvm -name format 2>/dev/null
	stop_guest
}

names_of()
{
	kvm-unload && kvm-load "$1" || fail "$1 cannot be loaded"
	names | sort
}

names_of /stock_modules >/tmp/names
{
	cat /tmp/names
	echo "-rw-r--r-- kvm/parameters/slot_zap_all"
	echo "./slot_zap_all:-1"
	echo "-r--r--r-- kvm/parameters/allow_unsafe_mappings"
	echo "./allow_unsafe_mappings:N"
	echo "-r--r--r-- kvm/parameters/dirty_log_regions"
	echo "./dirty_log_regions:Y"
	for name in dirty_regions_opened dirty_regions_closed dirty_pages_collected; do
		printf '%s\n' "./$name" "VM/$name"
	done
} | sort >/tmp/stock
names_of /modules >/tmp/ours
grep -c . /tmp/ours
grep -q VM/vcpu0 /tmp/ours || fail "no statistics of the vCPUs"
diff /tmp/stock /tmp/ours || fail "the names differ"
