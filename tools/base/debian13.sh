#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debian13.sh TARGET... [VARIABLE=value...]: runs make's targets in a Debian 13 of its
# own, $(O)/debian13. The repository is /src there, and what is built is kept in /build,
# $(O)/debian13/build.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/debian-root.sh"

root=$O/debian13
[ "$(id -u)" = 0 ] || die "make debian13 makes a root file system and mounts: it must be run as root"
lock_o
[ -d "$root" ] || make_root trixie "$root" "$LOGS/debian13.log"
inside "$root" make -C /src O=/build --no-print-directory "$@"
