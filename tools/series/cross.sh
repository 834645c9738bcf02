#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Compiles KVM, and with it our virt/kvm, for the other architectures.
. "$(dirname "$0")/../base/lib.sh"

# cross ARCH TOOLCHAIN: a warning in virt/kvm fails as an error does
cross()
{
	local log=$LOGS/build-cross-$1.log

	export KVM_BUILD=$O/cross-$1 KVM_MAKE="ARCH=$1 CROSS_COMPILE=$2-"
	export KVM_FRAGMENTS=$REPO/configs/cross-$1.config
	rm -rf "$KVM_BUILD/arch/$1/kvm" "$KVM_BUILD/virt/kvm"
	"$REPO/tools/base/configure.sh"
	"$REPO/tools/base/build.sh" "$1" "arch/$1/kvm/"
	! grep -E 'virt/kvm/[^ ]*: warning:' "$log" ||
		die "virt/kvm has warnings for $1 (log: $log)"
	say "$1: $(find "$KVM_BUILD/arch/$1/kvm" "$KVM_BUILD/virt/kvm" -name '*.o' 2>/dev/null |
		wc -l) objects"
}

lock_o
"$REPO/tools/base/tree.sh"
need_disk 1000 "make cross"
cross arm64 aarch64-linux-gnu
cross riscv riscv64-linux-gnu
