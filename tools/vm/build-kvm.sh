#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build-kvm.sh LOG: builds kvm.ko alone, of KVM_TREE in KVM_BUILD; no progress.
. "$(dirname "$0")/../base/lib.sh"

if ! kbuild O="$BUILD" -s -j"$JOBS" arch/x86/kvm/kvm.ko >"$1" 2>&1; then
	grep -E -m 3 '(error:|undefined reference|\*\*\* )' "$1" >&2 || tail -n 3 "$1" >&2
	exit 1
fi
