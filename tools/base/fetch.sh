#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# fetch.sh tested|newest|VERSION: downloads a linux-source-6.12 and unpacks it to
# $(O)/debian/FOUND, with its changelog beside it; FOUND is the version that it
# prints. tested: the newest on the list of tested versions; newest: of all;
# VERSION: 6.12.118-1, or 6.12.118 for any package of it. Packages come through
# apt, which checks the archive's signature: by the machine's own lists or, where
# these lack what is wanted, by private ones in $(O).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/apt.sh"

package=linux-source-6.12
wish=$1
work=$O/download
log=$LOGS/fetch.log
own_options=("${apt_options[@]}")
private=''
# The result is all that goes to standard output.
exec 3>&1 >&2

# The versions that the lists in use offer.
offers()
{
	apt-cache "${apt_options[@]}" madison "$package" 2>/dev/null |
		awk -F'|' '$3 ~ /Packages/ { gsub(/ /, "", $2); print $2 }'
}

# The versions that have been fetched.
fetched()
{
	find "$O/debian" -mindepth 1 -maxdepth 1 -name '6.12.*[0-9]' -type d -printf '%f\n'
}

# Prints the newest of the versions on standard input that is what is wished for.
pick()
{
	local version

	while read -r version; do
		case $wish in
		newest) ;;
		tested) tested "$version" || continue ;;
		"$version" | "${version%%-*}") ;;
		*) continue ;;
		esac
		echo "$version"
		return
	done < <(grep . | sort -rVu)
}

# Can no other list offer anything better?
best()
{
	case $wish in
	newest) return 1 ;;
	tested) [ "${1%%-*}" = "$(tested_versions | head -n 1)" ] ;;
	*) [ -n "$1" ] ;;
	esac
}

read_private_lists()
{
	[ -z "$private" ] || return 1
	private=yes
	use_private_lists "$O/apt" "$log"
}

# Looks for what is wished for: $offered is all there is, $version is it.
look()
{
	own=$(offers)
	offered=$own
	[ "$wish" = newest ] || offered+=$'\n'$(fetched)
	version=$(pick <<<"$offered")
	best "$version" && return
	[ -z "$version" ] || say "$version is at hand; looking for a newer one"
	if read_private_lists; then
		offered+=$'\n'$(offers)
		version=$(pick <<<"$offered")
	fi
}

download()
{
	local -a options=("${apt_options[@]}")

	! grep -qxF -- "$version" <<<"$own" || options=("${own_options[@]}")
	say "downloading $package $version"
	(cd "$work" && apt-get "${options[@]}" download "$package=$version") \
		>>"$log" 2>&1 9>&-
}

# A mirror may have dropped what the machine's lists still name.
download_again()
{
	own=''
	read_private_lists || return
	version=$(offers | pick)
	[ -n "$version" ] && download
}

unpack()
{
	local tar=$work/usr/src/$package.tar.xz total

	dpkg-deb -x "$work"/*.deb "$work" || return
	mv "$work/usr/share/doc/$package/changelog.Debian.gz" "$dir.changelog.gz" || return
	total=$(xz --robot --list "$tar" | awk '$1 == "totals" { print $5 }')
	rm -rf "$dir" "$dir.tmp"
	mkdir -p "$dir.tmp"
	xz -dc -T0 "$tar" |
		"$REPO/tools/base/progress.py" --label unpacking --bytes --total "$total" |
		tar -x -C "$dir.tmp" --strip-components=1 --no-same-owner
}

# Says what else there is: a version that nobody tested is not taken by itself.
tell_newer()
{
	local newest

	newest=$(wish=newest pick <<<"$offered")
	[ "$newest" = "$version" ] || tested "$newest" ||
		say "$package $newest is on offer, but not tested (BASE=$newest takes it)"
}

nothing()
{
	grep '^[EW]:' "$log" | tail -n 3 || true
	! grep -q . <<<"$offered" ||
		say "on offer: $(grep . <<<"$offered" | sort -rVu | paste -sd ' ')"
	die "no base: $1 (log: $log); or use KSRC=/path/to/linux-6.12"
}

lock_o
mkdir -p "$O/debian"
: >"$log"
look
if [ -z "$version" ]; then
	case $wish in
	tested) wanted="none of the tested versions, $(tested_versions | paste -sd ' ')," ;;
	newest) wanted="no version" ;;
	*) wanted="no version $wish" ;;
	esac
	nothing "this machine's apt and its mirror offer $wanted of $package"
fi
[ "$wish" != tested ] || tell_newer
dir=$O/debian/$version
if [ ! -d "$dir" ]; then
	need_disk 6000 "$package $version"
	rm -rf "$work"
	mkdir -p "$work"
	download || download_again ||
		nothing "$package cannot be downloaded (no network?)"
	dir=$O/debian/$version
	unpack || die "$package $version does not unpack (disk full?)"
	rm -rf "$work"
	mv "$dir.tmp" "$dir"
fi
echo "$version" >&3
