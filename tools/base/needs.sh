# SPDX-License-Identifier: GPL-2.0
# What ours needs of a base (sourced, after lib.sh): looked at before anything is
# built or installed, so that it takes no tool but what every system has.
# shellcheck shell=bash

# FILE TEXT: what the file must have, or what a patch for that version brings.
needs='include/linux/syscore_ops.h register_syscore(
virt/kvm/kvm_mm.h kvm_gmem_prepare_memory_region('

# kernel_version DIR: the version as its Makefile has it, 6.12.118
kernel_version()
{
	awk '$2 == "=" && !($1 in value) { value[$1] = $3 }
	     END { print value["VERSION"] "." value["PATCHLEVEL"] "." value["SUBLEVEL"] }' \
		"$1/Makefile"
}

# Names the versions that work, for messages.
way_out() { echo "tested are $(tested_versions | paste -sd ' '): see tools/base/versions"; }

# check_source NAME DIR: dies unless the tree in DIR has all that ours needs.
check_source()
{
	local version file text
	local -a patches

	if [ ! -f "$2/Makefile" ] || [ ! -f "$2/virt/kvm/kvm_main.c" ]; then
		die "$1 is not a Linux source tree"
	fi
	version=$(kernel_version "$2")
	[[ $version == 6.12.* ]] || die "$1 is Linux $version, not 6.12; $(way_out)"
	mapfile -t patches < <(grep -lx "Base: $version" "$REPO"/patches/*/*.patch)
	while read -r file text; do
		grep -qsF "$text" "$2/$file" "${patches[@]}" ||
			die "$1 is Linux $version, which lacks $text) in $file; $(way_out)"
	done <<<"$needs"
}

# Dies if KSRC or BASE names what cannot be a base.
check_named()
{
	if [ -n "$KSRC" ]; then
		[ -z "$BASE" ] || die "KSRC=$KSRC and BASE=$BASE both name a base: give one of them"
		check_source "KSRC=$KSRC" "$KSRC"
		case $(realpath "$KSRC")/ in
		"$O"/*) die "KSRC=$KSRC lies in O=$O" ;;
		esac
	elif [ -n "$BASE" ]; then
		[[ $BASE =~ ^6\.12\.[0-9]+(-[A-Za-z0-9.+~]+)?$ ]] ||
			die "BASE=$BASE is no version of Debian's linux-source-6.12, such as 6.12.118-1 or 6.12.118; $(way_out)"
	fi
}
