#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs the tests of virt/kvm that need no kernel: memslot_tree.c in userland,
# and mutants of it that the test must notice.
. "$(dirname "$0")/../base/lib.sh"

LOG=$LOGS/memslot_tree.log

lock_o
mkdir -p "$O/results" "$LOGS"
say "memslot_tree.c in userland (log: $LOG)"
status=0
: >"$LOG"
for target in run mutants; do
	kbuild -C tools/testing/memslot_tree -s --no-print-directory \
		KTREE="$TREE" SRC="$TREE/virt/kvm" \
		OUTPUT="$O/memslot_tree" "$target" >>"$LOG" 2>&1 || status=$?
done
grep -E '^not ok' "$LOG" || true
grep -E '^(not )?ok' "$LOG" >"$O/results/userland.ktap" || status=1
[ "$status" = 0 ] || die "memslot_tree.c: something failed (log: $LOG)"
