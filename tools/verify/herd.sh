#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# herd.sh: HERD=debian. Unpacks herd7 and the libraries that it runs with to
# $(O)/herd, from the first Debian release that has them, by the mirror that the
# machine's apt uses, and makes $(O)/herd/herd7 that runs it. Nothing is
# installed.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/apt.sh"

suite=forky
packages=(herdtools7 libc6 libgmp10)
herd=$O/herd
log=$LOGS/herd.log

download()
{
	(cd "$herd/debs" && apt-get "${apt_options[@]}" download \
		"${packages[@]/%//$suite}") >>"$log" 2>&1 9>&-
}

unpack()
{
	local deb

	for deb in "$herd"/debs/*.deb; do
		dpkg-deb -x "$deb" "$herd/root" || return
	done
}

# The command: the machine's loader and libraries are too old.
write_command()
{
	local usr=$herd/root/usr libraries

	libraries=$usr/lib/x86_64-linux-gnu
	cat >"$herd/herd7.new" <<-END
		#!/bin/sh
		exec $libraries/ld-linux-x86-64.so.2 --library-path $libraries \\
			$usr/bin/herd7 -set-libdir $usr/share/herdtools7/herd "\$@"
	END
	chmod +x "$herd/herd7.new"
	"$herd/herd7.new" -version >>"$log" 2>&1 || return
	mv "$herd/herd7.new" "$herd/herd7"
}

[ ! -x "$herd/herd7" ] || exit 0
need_disk 1000 "herd7"
rm -rf "$herd"
mkdir -p "$herd/debs"
: >"$log"
use_private_lists "$herd/apt" "$log" "$suite" ||
	die "this machine's apt names no Debian mirror; use HERD=/path/to/herd7"
say "downloading ${packages[*]} of Debian $suite"
download || {
	grep '^[EW]:' "$log" | tail -n 3 >&2 || true
	die "herdtools7 cannot be downloaded (log: $log); use HERD=/path/to/herd7"
}
unpack || die "herd7 does not unpack (disk full?)"
write_command || die "herd7 does not run (log: $log)"
rm -rf "$herd/debs" "$herd/apt"
