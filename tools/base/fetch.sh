#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# fetch.sh DIR: downloads the newest linux-source-6.12 that apt offers and
# unpacks it to DIR; its version goes to DIR.version, when all is there.
# Packages come through apt, which checks the archive's signature; where the
# machine's own lists lack the package, private lists in $(O) are used.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

package=linux-source-6.12
dir=$1
work=$O/download

# The newest version that the lists in use offer; nothing if there is none.
newest()
{
	local best='' version

	while read -r version; do
		if [ -z "$best" ] || dpkg --compare-versions "$version" gt "$best"; then
			best=$version
		fi
	done < <(apt-cache "${apt_options[@]}" madison "$package" 2>/dev/null |
		 awk -F'|' '$3 ~ /Packages/ { gsub(/ /, "", $2); print $2 }')
	echo "$best"
}

download()
{
	version=$(newest)
	[ -n "$version" ] || return 1
	say "downloading $package $version"
	(cd "$work" && apt-get "${apt_options[@]}" download "$package=$version") \
		>>"$log" 2>&1 9>&-
}

unpack()
{
	local deb tar total

	deb=$(echo "$work"/*.deb)
	tar=$work/source.tar.xz
	dpkg-deb --fsys-tarfile "$deb" |
		tar -xO "./usr/src/$package.tar.xz" >"$tar"
	total=$(xz --robot --list "$tar" | awk '$1 == "totals" { print $5 }')
	rm -rf "$dir.tmp"
	mkdir "$dir.tmp"
	xz -dc -T0 "$tar" |
		"$REPO/tools/base/progress.py" --label unpacking --bytes --total "$total" |
		tar -x -C "$dir.tmp" --strip-components=1 --no-same-owner
}

need_disk 6000 "the base"
log=$LOGS/fetch.log
: >"$log"
rm -rf "$work"
mkdir -p "$work"
if ! download; then
	use_private_lists "$O/apt" "$log" ||
		die "no $package here, and this machine's apt names no Debian mirror; use KSRC=/path/to/linux-6.12"
	download || {
		grep '^[EW]:' "$log" | tail -n 3 >&2 || true
		die "no base, and $package cannot be downloaded (no network? log: $log); or use KSRC=/path/to/linux-6.12"
	}
fi
unpack || die "$package $version does not unpack (disk full?)"
rm -rf "$dir" "$work"
mv "$dir.tmp" "$dir"
echo "$package $version" >"$dir.version"
