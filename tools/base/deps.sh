#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deps.sh GROUP...: installs through apt what the named groups need and the
# machine lacks. Where it may not install, it lists the packages and fails.
# Every target comes here first: a base that cannot be one is refused at once.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/needs.sh"

# group_packages GROUP
group_packages()
{
	case $1 in
	base) echo python3 xz-utils ;;
	tree) echo python3 git ;;
	debian13) echo debootstrap python3 ;;
	kernel)
		case $CONFIG in
		debian) echo gcc make python3 git xz-utils zstd kmod binutils pahole ;;
		*) echo gcc libc6-dev make flex bison bc libelf-dev perl xz-utils cpio kmod ;;
		esac
		;;
	vm) echo qemu-system-x86 busybox-static cpio kmod python3 ;;
	deb) echo build-essential debhelper dh-dkms dpkg-dev lintian git ;;
	qemu) echo dpkg-dev xz-utils patch gcc libc6-dev meson ninja-build pkg-config libglib2.0-dev libpixman-1-dev libfdt-dev libattr1-dev libcap-ng-dev ;;
	bochs) echo bochs bochs-term bochsbios seabios ;;
	bench) echo gnuplot-nox ;;
	kselftest) echo gcc libc6-dev make rsync ;;
	verify) echo spin gcc libc6-dev python3 ;;
	coverage) echo lcov git gcc ;;
	series) echo git perl python3 patch ;;
	series-build) echo clang ccache ;;
	series-trip) echo b4 ;;
	check) echo sparse perl python3 ;;
	cross) echo gcc-aarch64-linux-gnu gcc-riscv64-linux-gnu ;;
	*) die "deps.sh: no group named '$1'" ;;
	esac
}

# Reads package names, prints those that are not installed.
missing_packages()
{
	local -a wanted
	local installed

	mapfile -t wanted
	installed=$(dpkg-query -W -f='${Status}\t${Package}\n' "${wanted[@]}" 2>/dev/null |
		    sed -n 's/^install ok installed\t//p') || true
	comm -23 <(printf '%s\n' "${wanted[@]}") <(sort -u <<<"$installed")
}

as_root=()
may_install()
{
	[ "$(id -u)" = 0 ] && return
	as_root=(sudo -n)
	sudo -n true 2>/dev/null && return
	as_root=(sudo)
	[ -t 0 ] && command -v sudo >/dev/null
}

apt_install()
{
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
		apt-get -o DPkg::Lock::Timeout=300 -y --no-install-recommends \
		install "$@" </dev/null
}

check_named
for group in "$@"; do
	group_packages "$group" >/dev/null
done
mapfile -t missing < <(for group in "$@"; do group_packages "$group"; done |
		       tr ' ' '\n' | sort -u | missing_packages)
[ "${#missing[@]}" -gt 0 ] || exit 0

command -v apt-get >/dev/null ||
	die "no apt here; install what provides these Debian packages: ${missing[*]}"
may_install ||
	die "missing packages, and no right to install them: apt-get install ${missing[*]}"
make_o
log=$LOGS/apt.log
say "installing ${missing[*]}"
if ! apt_install "${missing[@]}" >"$log" 2>&1; then
	"${as_root[@]}" apt-get -o DPkg::Lock::Timeout=300 update >>"$log" 2>&1 || true
	apt_install "${missing[@]}" >>"$log" 2>&1 || {
		grep '^E:' "$log" | tail -n 3 >&2 || true
		die "apt could not install ${missing[*]} (log: $log)"
	}
fi
