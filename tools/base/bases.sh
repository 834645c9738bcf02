#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# For each version on the list, in $(O)/bases/VERSION: lays ours on it, builds
# KVM's modules, writes and checks the series. $(O)/tree and what was built from
# it stay as they are.
. "$(dirname "$0")/lib.sh"

# try VERSION: as if for another O and a tree of the user's
try()
{
	local found

	found=$("$REPO/tools/base/fetch.sh" "$1") || return
	local -x KSRC=$O/debian/$found O=$O/bases/$1 BASE='' CONFIG=fast
	"$REPO/tools/base/tree.sh" &&
		"$REPO/tools/base/kvm-only.sh" "$1" &&
		"$REPO/tools/series/series.sh"
}

lock_o
mkdir -p "$O/bases"
summary=()
failed=0
mapfile -t versions < <(tested_versions)
for version in "${versions[@]}"; do
	say "bases: $version"
	if try "$version"; then
		summary+=("$version: the modules build, the series applies")
	else
		summary+=("$version: FAILED")
		failed=$((failed + 1))
	fi
done
printf '== bases: %s\n' "${summary[@]}"
[ "$failed" = 0 ] || die "$failed of ${#versions[@]} versions failed"
