#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Can the test fail?  Break memslot_tree.c or its header in one place, build the
# test with it, and expect a failure; once for each line of mutants.list, which
# has a name, a file and a sed script.  Called by the Makefile, which sets KTREE,
# SRC and OUTPUT.  Prints TAP.

set -u
here=$(dirname "$(realpath "$0")")
src=$OUTPUT/src
nr=0
failed=0

# Put the original in place; make looks at the time of what is newer.
restore() {
	mkdir -p "$src/tests" || exit 1
	cp "$SRC"/memslot_tree.c "$SRC"/memslot_tree.h "$src" || exit 1
	cp -p "$SRC"/tests/memslot_tree_*.h "$src/tests" || exit 1
}

build() {
	make -s -C "$here" KTREE="$KTREE" SRC="$src" OUTPUT="$OUTPUT" \
		CFLAGS="-O1 -g" all >"$OUTPUT/log" 2>&1
}

run_test() {
	timeout 60 "$OUTPUT/memslot_tree" -s 1 -n 20000 >"$OUTPUT/log" 2>&1
}

result() {
	nr=$((nr + 1))
	echo "$1 $nr - $2"
	if [ "$1" != ok ]; then
		failed=$((failed + 1))
		tail -n 5 "$OUTPUT/log" | sed 's/^/# /'
	fi
}

# mutant NAME FILE SED
mutant() {
	restore
	sed -i "$3" "$src/$2"
	if cmp -s "$SRC/$2" "$src/$2"; then
		echo "the edit finds nothing to change: $3" >"$OUTPUT/log"
		result "not ok" "$1"
	elif ! build; then
		result "not ok" "$1 (does not build)"
	elif run_test; then
		result "not ok" "$1 (goes unnoticed)"
	else
		result ok "$1"
	fi
}

echo "TAP version 13"
restore
if build && run_test; then
	result ok "the original passes"
else
	result "not ok" "the original passes"
fi

while IFS='|' read -r name file edit; do
	mutant "$name" "$file" "$edit"
done <"$here/mutants.list"

echo "1..$nr"
echo "$((nr - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
