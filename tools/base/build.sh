#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# build.sh LABEL TARGET...: runs kbuild in the build folder, shows progress
# and keeps the log. A dry run tells how many objects there are to build.
. "$(dirname "$0")/lib.sh"

label=$1
shift
log=$LOGS/build-$(basename "$BUILD").log

# Fails with what the log says went wrong.
explain()
{
	grep -E -m 8 '(error:|error \[|undefined reference|undefined!|\*\*\* )' "$log" >&2 ||
		tail -n 8 "$log" >&2
	die "$label failed (log: $log)"
}

: >"$log"
kbuild O="$BUILD" -j"$JOBS" prepare >>"$log" 2>&1 || explain
total=$(kbuild O="$BUILD" -n "$@" 2>/dev/null |
	grep -cE "echo '  [A-Z][A-Z0-9_]+ (\[M\])? +[^ ']+'" || true)
kbuild O="$BUILD" -j"$JOBS" "$@" 2>&1 |
	"$REPO/tools/base/progress.py" --label "$label" --total "$total" --log "$log" ||
	explain
