#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kvm-only.sh LABEL: builds KVM's three modules of $(O)/tree, and nothing else of
# the kernel: that they compile and find what they call is all that it shows.
. "$(dirname "$0")/lib.sh"

here=$REPO/tools/base
modules=(arch/x86/kvm/kvm.ko arch/x86/kvm/kvm-amd.ko arch/x86/kvm/kvm-intel.ko)
# There is no vmlinux here, whose exports modpost could compare with.
export KVM_MAKE=KBUILD_MODPOST_WARN=1

# Prints the functions of KVM that the modules call and nobody has, as one that
# stock has moved or added would be.
lost_symbols()
{
	comm -23 \
		<(nm -u "${modules[@]/#/$BUILD/}" | grep -oE '\b_*kvm_\w+$' | sort -u) \
		<({
			nm "${modules[@]/#/$BUILD/}" | sed -n 's/.* __ksymtab_//p'
			grep -rhoP 'EXPORT_SYMBOL\w*\(\K\w+' "$TREE/arch/x86/kernel"
		} | sort -u)
}

lock_o
need_disk 2000 "$1"
"$here/configure.sh"
"$here/build.sh" "$1, preparation" modules_prepare
"$here/build.sh" "$1, KVM" "${modules[@]}"
lost=$(lost_symbols)
[ -z "$lost" ] || die "nobody has what the modules call: ${lost//$'\n'/ }"
