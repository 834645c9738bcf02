#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds what the guest of the VM test "migration" runs, static, in $(O)/migration.
. "$(dirname "$0")/../base/lib.sh"

out=$O/migration
log=$LOGS/migration-build.log

lock_o
mkdir -p "$out" "$LOGS"
gcc -O2 -Wall -Wextra -static -o "$out/writers" "$REPO/tools/vm/migration/writers.c" \
	>"$log" 2>&1 || die "the guest's program does not build: $log"
