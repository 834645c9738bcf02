#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# lost-symbols.sh MODULE...: prints the functions of KVM that these modules of the
# build folder call and nobody has, as one that stock has moved or added would be.
# For builds without a vmlinux, whose exports modpost would look at.
. "$(dirname "$0")/lib.sh"

modules=("${@/#/$BUILD/}")
comm -23 \
	<(nm -u "${modules[@]}" | grep -oE '\b_*kvm_\w+$' | sort -u) \
	<({
		nm "${modules[@]}" | sed -n 's/.* __ksymtab_//p'
		grep -rhoP 'EXPORT_SYMBOL\w*\(\K\w+' "$TREE/arch/x86/kernel"
	} | sort -u)
