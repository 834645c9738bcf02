# SPDX-License-Identifier: GPL-2.0
# Package lists of our own for apt (sourced, after lib.sh): of the mirror that
# the machine has, whose own lists and sources are left as they are.
# shellcheck shell=bash

# For apt-get and apt-cache. The archive's signature is always checked.
apt_options=(-o DPkg::Lock::Timeout=300 -o APT::Get::AllowUnauthenticated=false
	     -o APT::Sandbox::User=root)

# use_private_lists DIR LOG [SUITE...]: from now on, apt_options mean the lists in
# DIR, of these suites, or else of those that carry the base; apt_type=deb-src
# has lists of sources. Fails if the machine's apt names no Debian mirror.
use_private_lists()
{
	local dir=$1 log=$2

	shift 2
	mkdir -p "$dir/lists/partial" "$dir/cache/archives/partial" "$dir/parts"
	"$REPO/tools/base/apt-sources.py" "${apt_type:-deb}" "$@" >"$dir/debian.sources" || return
	apt_options+=(-o Dir::State::lists="$dir/lists" -o Dir::Cache="$dir/cache"
		      -o Dir::Etc::sourcelist="$dir/debian.sources"
		      -o Dir::Etc::sourceparts="$dir/parts"
		      -o Acquire::Languages=none)
	say "reading the mirror's package lists (private, in $dir)"
	apt-get "${apt_options[@]}" update >>"$log" 2>&1 || true
}

# offered_kernels COMMAND...: prints "RELEASE VERSION" of each kernel 6.12 of Debian's
# for amd64, newest first, that the lists offer which COMMAND, an apt-cache, uses.
offered_kernels()
{
	local names

	names=$("$@" pkgnames linux-headers-6.12. |
		grep -E '^linux-headers-6\.12\.[0-9]+\+deb[0-9]+-amd64$') || return 0
	# shellcheck disable=SC2086
	"$@" madison $names |
		awk -F'|' '{ gsub(/ /, ""); sub("linux-headers-", "", $1); print $1, $2 }' |
		sort -rVu -k1,1
}
