#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# migration.sh [MIGRATIONS]: a Linux guest with 2 CPUs that writes and checks its
# memory all the time is migrated from QEMU to QEMU so often (once).
. "${0%/*}/lib.sh"

MEMORY=128
DRIVER="/usr/bin/python3 -IS ${0%/*}/../migration/migrate.py ${1:-1} $GUEST_LOG"
start_guest 2 rdinit=/bin/writers
wait "$GUEST_PID" || fail "migrate.py failed, see above"
check_guest_kernel
