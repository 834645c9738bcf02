#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# debian13.sh TARGET...: runs make's targets in a Debian 13 of its own, made by
# debootstrap in $(O)/debian13 from the mirror of the machine's apt. The repository
# is /src there, and what is built is kept in /build, $(O)/debian13/build.
. "$(dirname "$0")/lib.sh"

root=$O/debian13
log=$LOGS/debian13.log
[ "$(id -u)" = 0 ] || die "make debian13 makes a root file system and mounts: it must be run as root"

# What is used of apt's configuration: the mirrors, with the keys at their place.
sources() { "$REPO/tools/base/apt-sources.py" deb "$@"; }

make_root()
{
	local mirror

	mirror=$(sources trixie | sed -n 's/^URIs: //p' | head -n 1)
	[ -n "$mirror" ] || die "this machine's apt names no Debian mirror"
	need_disk 2000 "Debian 13"
	say "debootstrap: Debian 13 in $root (log: $log)"
	rm -rf "$root.tmp"
	debootstrap --variant=minbase --include=make trixie "$root.tmp" "$mirror" >"$log" 2>&1 ||
		die "debootstrap failed: $(tail -n 1 "$log") (log: $log)"
	rm -f "$root.tmp/etc/apt/sources.list"
	sources trixie trixie-updates trixie-security | grep -v '^Signed-By:' \
		>"$root.tmp/etc/apt/sources.list.d/debian.sources"
	mkdir -p "$root.tmp/src" "$root.tmp/build"
	mv "$root.tmp" "$root"
	inside apt-get update >>"$log" 2>&1 || die "apt-get update failed (log: $log)"
}

# Runs a command there. Its mounts are in a namespace that ends with it.
inside()
{
	# shellcheck disable=SC2016
	unshare --mount --propagation private bash -ec '
		root=$1 repo=$2
		shift 2
		for dir in proc sys dev; do
			mount --rbind "/$dir" "$root/$dir"
		done
		mount --bind "$repo" "$root/src"
		cp /etc/resolv.conf "$root/etc/"
		exec chroot "$root" env -u MAKEFLAGS -u MAKEOVERRIDES -u MAKELEVEL \
			-u O_LOCKED -u KSRC -u QEMU -u TMPDIR "$@"' \
		inside "$root" "$REPO" "$@" 9>&-
}

lock_o
[ -d "$root" ] || make_root
inside make -C /src O=/build --no-print-directory "$@"
