#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# KVM is unloaded and loaded 20 times, and cannot be unloaded under a VM.
. "${0%/*}/lib.sh"

i=0
while [ $i -lt 20 ]; do
	kvm-unload || fail "round $i: KVM does not unload"
	[ ! -e /dev/kvm ] || fail "round $i: /dev/kvm outlives its module"
	[ ! -e /sys/kernel/debug/kvm ] || fail "round $i: debugfs/kvm stays"
	kvm-load || fail "round $i: KVM does not load"
	[ -c /dev/kvm ] || fail "round $i: no /dev/kvm"
	i=$((i + 1))
done

start_ticking_guest 1
if kvm-unload 2>/dev/null; then
	fail "KVM was unloaded under a running VM"
fi
check_ticking
stop_guest
kvm-unload || fail "KVM does not unload after the VM is gone"
kvm-load || fail "KVM does not load again"
