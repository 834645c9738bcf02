#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build-selftests.sh [TEST...]: builds the tree's KVM selftests, static, into
# $(O)/kselftest: all of them, or these.
. "$(dirname "$0")/../base/lib.sh"

OUT=$O/kselftest
LOG=$LOGS/kselftest-build.log
DIR=tools/testing/selftests/kvm

lock_o
"$REPO/tools/base/tree.sh"
mkdir -p "$OUT" "$LOGS"
say "building the KVM selftests (log: $LOG)"
export LDFLAGS=-static EXTRA_CFLAGS=-g0
if ! { kbuild O="$O/headers" headers &&
       kbuild -C "$DIR" -j"$JOBS" OUTPUT="$OUT" \
		KHDR_INCLUDES="-isystem $O/headers/usr/include" \
		"${@/#/$OUT/x86_64/}"; } >"$LOG" 2>&1; then
	grep -m 5 -E 'error|\*\*\*' "$LOG" >&2 || tail -n 5 "$LOG" >&2
	die "the selftests do not build: $LOG"
fi

# The script expects the program that it starts beside itself.
for script in "$TREE/$DIR"/x86_64/*.sh; do
	install -m 755 "$script" "$OUT/x86_64/"
done
