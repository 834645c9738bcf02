# SPDX-License-Identifier: GPL-2.0
# Shared by the driver's scripts (sourced): where things are, messages, the lock.
# shellcheck shell=bash disable=SC2034
set -euo pipefail
export LC_ALL=C

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
O=$(realpath -m "${O:-$REPO/build}")
CONFIG=${CONFIG:-fast}
MODULES=${MODULES:-ours}
JOBS=${JOBS:-$(nproc)}
KSRC=${KSRC:-}
BASE=${BASE:-}
export O CONFIG MODULES JOBS KSRC BASE

BASE_DIR=$O/base
# The checks build other trees in other folders, with other make arguments.
TREE=${KVM_TREE:-$O/tree}
BUILD=${KVM_BUILD:-$O/$CONFIG}
BZIMAGE=$BUILD/arch/x86/boot/bzImage
# Debian's own kernel, unpacked
if [ "$CONFIG" = debian ]; then
	BUILD=$O/debian-kernel
	BZIMAGE=$BUILD/vmlinuz
fi
KVM_FRAGMENTS=${KVM_FRAGMENTS:-}
KVM_MAKE=${KVM_MAKE:-}
OUR_MODULES=$O/modules/$CONFIG
STOCK_MODULES=$O/stock_modules/$CONFIG
LOGS=$O/logs

say() { echo "== $*"; }

warn() { echo "warning: $*" >&2; }

die()
{
	echo "error: $*" >&2
	exit 1
}

# The versions that the series is tested on, newest first.
tested_versions() { grep -v '^#' "$REPO/tools/base/versions"; }

# tested VERSION: is it one of them? Debian's revision of it does not matter.
tested() { grep -qxF "${1%%-*}" <(tested_versions); }

# Creates $(O), marked as ours so that "make clean" removes nothing else.
make_o()
{
	case $O in
	*[[:space:]:]*) die "O=$O: kbuild takes no spaces or colons in paths" ;;
	esac
	if [ -d "$O" ] && [ ! -e "$O/.kvm-build" ] && [ -n "$(ls -A "$O")" ]; then
		die "O=$O is not empty and not a build folder of this repository"
	fi
	mkdir -p "$LOGS" || die "O=$O cannot be created"
	touch "$O/.kvm-build" 2>/dev/null || die "O=$O is not writable"
}

# Writes a module of the kernel, which may be compressed, to standard output.
plain_module()
{
	case $1 in
	*.xz) xz -dc "$1" ;;
	*.zst) zstd -qdc "$1" ;;
	*) cat "$1" ;;
	esac
}

# One script at a time changes $(O); the scripts that it calls inherit the lock.
lock_o()
{
	[ "${O_LOCKED:-}" = "$O" ] && return
	make_o
	exec 9>"$O/.lock"
	if ! flock -n 9; then
		say "another make works in $O: waiting for it"
		flock 9
	fi
	export O_LOCKED=$O
}

# need_disk MIB WHAT: fails unless the disk of $(O) has MIB mebibytes left.
need_disk()
{
	local free

	free=$(($(stat -f -c '%a * %S / 1048576' "$O")))
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB of disk, $O has $free MiB left"
}

# need_memory MIB WHAT
need_memory()
{
	local free

	free=$(($(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo) / 1024))
	[ "$free" -ge "$1" ] ||
		die "$2 needs $1 MiB of memory, $free MiB are available"
}

check_config()
{
	case $CONFIG in
	debian | fast | debug | kcsan | coverage | lockstat) ;;
	*) die "CONFIG=$CONFIG: must be debian, fast, debug, kcsan, coverage or lockstat" ;;
	esac
	case $MODULES in
	ours | stock) ;;
	*) die "MODULES=$MODULES: must be ours or stock" ;;
	esac
	case ${VM:-qemu} in
	qemu | nested | bochs) ;;
	*) die "VM=$VM: must be qemu, nested or bochs" ;;
	esac
	[[ $JOBS =~ ^[1-9][0-9]*$ ]] || die "JOBS=$JOBS: must be a number"
}

# kbuild ARGS: the tree's own make, deaf to the variables that ours was given.
kbuild()
{
	local arguments

	read -ra arguments <<<"$KVM_MAKE"
	env -u MAKEFLAGS -u MFLAGS -u MAKEOVERRIDES -u MAKELEVEL -u O -u CONFIG \
	    -u MODULES -u TESTS -u VM -u KSRC -u BASE -u KBUILD_OUTPUT -u KCONFIG_CONFIG \
	    -u ARCH -u CROSS_COMPILE \
	    make -C "$TREE" "${arguments[@]}" "$@" 9>&-
}
