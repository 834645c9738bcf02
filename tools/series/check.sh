#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# checkpatch on our files; sparse and W=1 on KVM, where only the warnings that
# stock has not count.
. "$(dirname "$0")/../base/lib.sh"

export CONFIG=fast
here=$REPO/tools/series
base_log=$O/check-stock.log

# lint TREE NAME: compiles KVM of a tree with all warnings and sparse
lint()
{
	export KVM_TREE=$1 KVM_BUILD=$O/$2
	rm -rf "$KVM_BUILD/arch/x86/kvm" "$KVM_BUILD/virt/kvm"
	"$REPO/tools/base/configure.sh" --lenient
	KVM_MAKE="C=2 W=1" "$REPO/tools/base/build.sh" "$2" arch/x86/kvm/
	unset KVM_TREE KVM_BUILD
}

lock_o
"$REPO/tools/base/tree.sh"
need_disk 1000 "the check"
status=0
"$here/check.py" files "$REPO" "$O" || status=1
if ! cmp -s "$O/base.id" "$base_log.id"; then
	[ ! -e "$BASE_DIR/.config" ] || die "$(readlink "$BASE_DIR") was built in place: make mrproper there first"
	lint "$BASE_DIR" check-stock
	cp "$LOGS/build-check-stock.log" "$base_log"
	cp "$O/base.id" "$base_log.id"
	rm -rf "$O/check-stock"
fi
lint "$TREE" check-ours
"$here/check.py" warnings "$REPO" "$O" "$base_log" "$LOGS/build-check-ours.log" || status=1
[ "$status" = 0 ] || die "make check found the above"
say "check: nothing new"
