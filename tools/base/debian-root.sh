# SPDX-License-Identifier: GPL-2.0
# A Debian of its own in a folder (sourced, after lib.sh): made by debootstrap from
# the mirror of the machine's apt, and entered by chroot, as root.
# shellcheck shell=bash

# What is used of apt's configuration: the mirrors, with the keys at their place.
sources() { "$REPO/tools/base/apt-sources.py" deb "$@"; }

# make_root SUITE ROOT LOG: with make, and with the suite's updates on offer
make_root()
{
	local suite=$1 root=$2 log=$3 mirror

	mirror=$(sources "$suite" | sed -n 's/^URIs: //p' | head -n 1)
	[ -n "$mirror" ] || die "this machine's apt names no Debian mirror"
	need_disk 2000 "a Debian of its own"
	say "debootstrap: Debian $suite in $root (log: $log)"
	rm -rf "$root.tmp"
	debootstrap --variant=minbase --include=make "$suite" "$root.tmp" "$mirror" \
		>"$log" 2>&1 || die "debootstrap failed: $(tail -n 1 "$log") (log: $log)"
	rm -f "$root.tmp/etc/apt/sources.list"
	sources "$suite" "$suite-updates" "$suite-security" | grep -v '^Signed-By:' \
		>"$root.tmp/etc/apt/sources.list.d/debian.sources"
	mkdir -p "$root.tmp/src" "$root.tmp/build"
	mv "$root.tmp" "$root"
	inside "$root" apt-get update >>"$log" 2>&1 || die "apt-get update failed (log: $log)"
}

# inside ROOT COMMAND...: the repository is /src there. Its mounts are in a namespace
# that ends with it. ROOT is a mount too: else "inside" would not work inside of it.
inside()
{
	# shellcheck disable=SC2016
	unshare --mount --propagation private bash -ec '
		root=$1 repo=$2
		shift 2
		mount --bind "$root" "$root"
		for dir in proc sys dev; do
			mount --rbind "/$dir" "$root/$dir"
		done
		mount --bind "$repo" "$root/src"
		cp /etc/resolv.conf "$root/etc/"
		exec chroot "$root" env -u MAKEFLAGS -u MAKEOVERRIDES -u MAKELEVEL \
			-u O_LOCKED -u CONFIG -u KERNEL -u KSRC -u QEMU -u TMPDIR "$@"' \
		inside "$1" "$REPO" "${@:2}" 9>&-
}
