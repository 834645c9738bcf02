#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# modprobe.sh ROOT VERSION: run in the VM. In a Debian below the host's files, does
# modprobe find the KVM of this version (stock's has none)?
root=/host$1

fail()
{
	echo "FAIL: $*"
	exit 1
}

kvm-unload || fail "KVM does not unload"
for dir in proc sys dev; do
	mount --rbind /$dir "$root/$dir" || fail "no $root/$dir"
done
vendor=amd parameter=npt
grep -qw svm /proc/cpuinfo || vendor=intel parameter=ept
chroot "$root" modprobe "kvm-$vendor" "$parameter=$NPT" || fail "modprobe"
found=$(cat /sys/module/kvm/version 2>/dev/null)
[ "$found" = "$2" ] || fail "the version of KVM is '$found', not '$2'"
said=$(dmesg | grep -c "kvm: memslot core and MMU .*version ${2:-none}\$")
if [ -n "$2" ]; then
	[ "$said" -gt 0 ] || fail "dmesg does not say whose KVM it is"
	dmesg | grep "kvm: memslot core" | tail -n 1
fi
chroot "$root" modprobe -r "kvm-$vendor" || fail "modprobe -r"
# That took ccp with it, which kvm-load does not know.
[ "$vendor" = intel ] || chroot "$root" modprobe ccp || fail "modprobe ccp"
kvm-load /modules || fail "KVM does not load again"
