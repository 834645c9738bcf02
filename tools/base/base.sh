#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Makes $(O)/base the pristine base: the user's KSRC, or Debian's source,
# fetched once. $(O)/base.id tells which it is.
. "$(dirname "$0")/lib.sh"

# The kernel's version as its Makefile has it: 6.12.117
kernel_version()
{
	awk '$2 == "=" && !($1 in value) { value[$1] = $3 }
	     END { print value["VERSION"] "." value["PATCHLEVEL"] "." value["SUBLEVEL"] }' \
		"$1/Makefile"
}

check_ksrc()
{
	[ -f "$KSRC/Makefile" ] && [ -f "$KSRC/virt/kvm/kvm_main.c" ] ||
		die "KSRC=$KSRC is not a Linux source tree"
	[[ $(kernel_version "$KSRC") == 6.12.* ]] ||
		die "KSRC=$KSRC is Linux $(kernel_version "$KSRC"), not 6.12"
	grep -q 'register_syscore(' "$KSRC/include/linux/syscore_ops.h" ||
		die "KSRC=$KSRC is Linux $(kernel_version "$KSRC"), too old: it lacks register_syscore(), which 6.12.117 has"
	case $(realpath "$KSRC")/ in
	"$O"/*) die "KSRC=$KSRC lies in O=$O" ;;
	esac
}

ksrc_id()
{
	echo "$KSRC $(kernel_version "$KSRC")" \
	     "$(git -c safe.directory='*' -C "$KSRC" rev-parse HEAD 2>/dev/null || true)"
}

lock_o
if [ -n "$KSRC" ]; then
	KSRC=$(realpath -m "$KSRC")
	check_ksrc
	source=$KSRC
	id=$(ksrc_id)
else
	source=$O/debian/linux-source-6.12
	if [ ! -f "$source.version" ]; then
		mkdir -p "$O/debian"
		"$REPO/tools/base/fetch.sh" "$source"
	fi
	id=$(<"$source.version")
fi
if [ "$(readlink "$BASE" || true)" != "$source" ] || [ "$(cat "$O/base.id" 2>/dev/null)" != "$id" ]; then
	ln -sfn "$source" "$BASE"
	echo "$id" >"$O/base.id"
	say "base: $id"
fi
