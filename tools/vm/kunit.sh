#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the KUnit tests of KVM with the tree's own kunit.py, under QEMU; with
# CONFIG=debug or CONFIG=kcsan, on a kernel that has those checks too.
# The kernel is configured and built in steps first, to show progress.
# KUNIT_FILTER, KUNIT_KERNEL_ARGS and KUNIT_TIMEOUT (seconds) are soak.sh's.
. "$(dirname "$0")/../base/lib.sh"

NAME=kunit
WANTED=(--kunitconfig "$TREE/arch/x86/kvm/.kunitconfig")
check_config
if [ "$CONFIG" != fast ]; then
	NAME=kunit-$CONFIG
	WANTED+=(--kunitconfig "$REPO/configs/$CONFIG.config")
	KUNIT_KERNEL_ARGS=${KUNIT_KERNEL_ARGS:-kvm.soft_ops_per_hardware=20000}
fi
OUT=$O/$NAME
LOG=$LOGS/$NAME.log
JSON=$OUT/results.json

kunit()
{
	local action=$1

	shift
	(cd "$TREE" && PYTHONDONTWRITEBYTECODE=1 env -u MAKEFLAGS -u MFLAGS \
		-u MAKEOVERRIDES -u O -u CONFIG -u MODULES \
		tools/testing/kunit/kunit.py "$action" --arch x86_64 \
		"${WANTED[@]}" --build_dir "$OUT" "$@" 9>&-)
}

lock_o
need_memory 1280 "the KUnit VM"
mkdir -p "$OUT" "$LOGS"
rm -f "$JSON" "$OUT/test.log" "$O/results/$NAME.ktap"
say "KUnit: configuring (log: $LOG)"
kunit config >"$LOG" 2>&1 || {
	tail -n 5 "$LOG" >&2
	die "kunit.py config failed: $LOG"
}
KVM_BUILD=$OUT KVM_MAKE=ARCH=x86_64 "$REPO/tools/base/build.sh" \
	"KUnit kernel" all

say "KUnit: running"
status=0
arguments=()
for argument in printk.time=1 no_timer_check ${KUNIT_KERNEL_ARGS:-}; do
	arguments+=(--kernel_args="$argument")
done
kunit run --jobs="$JOBS" --timeout="${KUNIT_TIMEOUT:-1800}" --json="$JSON" --qemu_args="-smp 2" \
	"${arguments[@]}" ${KUNIT_FILTER:+"$KUNIT_FILTER"} \
	>>"$LOG" 2>&1 || status=$?
"$REPO/tools/vm/vm" kunit || status=$?
[ "$status" = 0 ] || die "KUnit: something failed (log: $LOG, $OUT/test.log)"
