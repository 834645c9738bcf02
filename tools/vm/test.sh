#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make test: every part, one after the other, and the sum of their results.  KUnit
# is among what runs in VMs, on the debug kernel.
# A part leaves $(O)/results/PART.ktap; one that ends badly without a failed
# result there counts as one failure.
. "$(dirname "$0")/../base/lib.sh"

here=$REPO/tools/vm
base=$REPO/tools/base
# The kernel without checks: Debian's, which need not be built, or that of fast.config
fast=${KERNEL:-debian}
parts=()

# part NAME COMMAND...: only an interrupt (130) ends the run.
part()
{
	local name=$1 file=$O/results/$1.ktap start=$SECONDS status=0

	shift
	say "make test: $name"
	rm -f "$file"
	parts+=("$name")
	"$@" || status=$?
	[ "$status" != 130 ] || exit 130
	if [ "$status" = 0 ]; then
		[ -e "$file" ] || echo "ok 1 $name" >"$file"
	elif ! grep -qs '^not ok' "$file"; then
		echo "not ok 1 $name" >>"$file"
	fi
	say "make test: $name took $((SECONDS - start)) s"
}

case ${VM:-qemu} in
qemu) ;;
*) die "VM=$VM: make test has tests in QEMU and in Bochs" ;;
esac

case $fast in
debian | fast) ;;
*) die "KERNEL=$fast: make test takes debian or fast" ;;
esac

# What all parts need, and whose failure leaves nothing to test.
build_all()
{
	CONFIG=$fast "$base/deps.sh" kernel
	CONFIG=debug "$base/deps.sh" base tree kernel vm qemu bochs kselftest series
	"$base/tree.sh"
}

# A configuration that does not build is one failed test.
build_kernels()
{
	CONFIG=$fast "$base/kernel.sh" && CONFIG=debug "$base/kernel.sh" &&
		CONFIG=fast "$here/build-selftests.sh" && "$here/build-migration.sh"
}

# The parts that only make can reach; absent targets are no failure.
make_target() { make --no-print-directory -C "$REPO" "$@"; }

build_all
mkdir -p "$O/results"
part userland "$here/userland.sh"
[ ! -e "$REPO/tools/series/series.mk" ] || part series make_target series RECIPIENTS=no
[ ! -e "$REPO/tools/verify/verify.mk" ] || part verify make_target verify
part qemu "$here/qemu.sh"
part kernels build_kernels
part vm "$here/vm" suite

exec "$here/vm" summary "${parts[@]}"
