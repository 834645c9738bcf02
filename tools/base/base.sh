#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# base.sh [--again]: makes $(O)/base the pristine base: the user's KSRC, or
# Debian's source. $(O)/base.id tells which it is. What Debian offers is looked
# up once for each BASE and list of tested versions (--again: now).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/needs.sh"

chosen=$O/debian/chosen

ksrc_id()
{
	echo "$KSRC $(kernel_version "$KSRC")" \
	     "$(git -c safe.directory='*' -C "$KSRC" rev-parse HEAD 2>/dev/null || true)"
}

# Fetches what BASE or the list asks for, if that is not known yet. $chosen
# has the version, then what was asked for.
choose()
{
	local wish

	wish=$(echo "BASE=$BASE"; tested_versions)
	if [ "$1" != --again ] && [ "$(tail -n +2 "$chosen" 2>/dev/null)" = "$wish" ] &&
	   [ -d "$O/debian/$(head -n 1 "$chosen")" ]; then
		return
	fi
	version=$("$REPO/tools/base/fetch.sh" "${BASE:-tested}")
	printf '%s\n' "$version" "$wish" >"$chosen"
}

# Removes fetched sources that are not in use and not on the list.
prune()
{
	local dir

	for dir in "$O"/debian/*/; do
		dir=${dir%/}
		[ "$dir" = "$source" ] || tested "${dir##*/}" || rm -rf "$dir" "$dir".*
	done
}

check_named
lock_o
if [ -n "$KSRC" ]; then
	KSRC=$(realpath -m "$KSRC")
	source=$KSRC
	id=$(ksrc_id)
else
	choose "${1:-}"
	version=$(head -n 1 "$chosen")
	source=$O/debian/$version
	id="linux-source-6.12 $version"
fi
if [ "$(readlink "$BASE_DIR" || true)" != "$source" ] || [ "$(cat "$O/base.id" 2>/dev/null)" != "$id" ]; then
	check_source "$id" "$source"
	tested "$(kernel_version "$source")" ||
		warn "the series is not tested on $id: it may not apply or build, or lack a fix that stock has (make drift); $(way_out)"
	ln -sfn "$source" "$BASE_DIR"
	echo "$id" >"$O/base.id"
	say "base: $id"
	[ -n "$KSRC" ] || prune
elif [ "${1:-}" = --again ]; then
	say "base: $id, as before"
fi
