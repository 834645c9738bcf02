#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kvm-only.sh LABEL: builds KVM's three modules of $(O)/tree, and nothing else of
# the kernel: that they compile and find what they call is all that it shows.
. "$(dirname "$0")/lib.sh"

here=$REPO/tools/base
modules=(arch/x86/kvm/kvm.ko arch/x86/kvm/kvm-amd.ko arch/x86/kvm/kvm-intel.ko)
# There is no vmlinux here, whose exports modpost could compare with.
export KVM_MAKE=KBUILD_MODPOST_WARN=1

lock_o
need_disk 2000 "$1"
"$here/configure.sh"
"$here/build.sh" "$1, preparation" modules_prepare
"$here/build.sh" "$1, KVM" "${modules[@]}"
lost=$("$here/lost-symbols.sh" "${modules[@]}")
[ -z "$lost" ] || die "nobody has what the modules call: ${lost//$'\n'/ }"
