#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# clean.sh [all]: removes what was built, keeps the downloaded base (all: too).
. "$(dirname "$0")/lib.sh"

[ -d "$O" ] || exit 0
[ -e "$O/.kvm-build" ] || die "O=$O is not a build folder of this repository"
lock_o
if [ "${1:-}" = all ]; then
	rm -rf "$O"
else
	find "$O" -mindepth 1 -maxdepth 1 ! -name debian ! -name .kvm-build ! -name .lock \
		-exec rm -rf {} +
fi
