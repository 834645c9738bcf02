#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh HEADERS OUT: builds KVM's modules of OUT/tree (tree.sh) against a kernel's
# headers, /lib/modules/VERSION/build, and checks that they fit that kernel. They
# are OUT/*.ko then, without debug information.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/needs.sh"

headers=$1
out=$(realpath -m "$2")
log=$out/build.log
modules=(kvm kvm-amd kvm-intel)
TREE=$headers

# Fails with what the log says went wrong.
explain()
{
	grep -E -m 8 '(error:|error \[|undefined!|\*\*\* )' "$log" >&2 ||
		tail -n 8 "$log" >&2
	die "KVM's modules failed (log: $log)"
}

release=$(cat "$headers/include/config/kernel.release")
version=${release%%[!0-9.]*}
tested "$version" || die "$release is Linux $version; $(way_out)"
[ "$(kernel_version "$out/base")" = "$version" ] ||
	die "the headers are of $release, linux-source-6.12 is $(kernel_version "$out/base"): install that kernel, or the source of this one"
: >"$log"
total=$(kbuild M="$out/tree" -n modules 2>/dev/null |
	grep -cE "echo '  [A-Z][A-Z0-9_]+ (\[M\])? +[^ ']+'" || true)
kbuild M="$out/tree" -j"$JOBS" modules 2>&1 |
	"$REPO/tools/base/progress.py" --label "KVM for $release" --total "$total" \
		--log "$log" || explain
"$REPO/tools/dkms/check.py" "$headers" "$out/tree" >"$out/check.txt" || {
	cat "$out/check.txt" >&2
	die "KVM's modules do not fit $release"
}
for module in "${modules[@]}"; do
	strip --strip-debug -o "$out/$module.ko" "$out/tree/arch/x86/kvm/$module.ko"
done
