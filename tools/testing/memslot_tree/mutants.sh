#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# Can the test fail?  Break memslot_tree.c or its header in one place, build the
# test with it, and expect a failure; once for each line of mutants.list, which
# has a name, a file and a sed script.  Called by the Makefile, which sets KTREE,
# SRC and OUTPUT; JOBS says how many are tried at a time.  Prints TAP.
#
# mutants.sh NR: tries the one of that line, and leaves TAP in its folder.

set -u
here=$(dirname "$(realpath "$0")")
list=$here/mutants.list
original=$OUTPUT/original

# build FOLDER: the test, from the sources there
build() {
	make -s -C "$here" KTREE="$KTREE" SRC="$1/src" OUTPUT="$1" \
		CFLAGS="-O1 -g" all >"$1/log" 2>&1
}

# run_test FOLDER
run_test() {
	timeout 60 "$1/memslot_tree" -s 1 -n 20000 >"$1/log" 2>&1
}

# result "ok"|"not ok" FOLDER NR TEXT
result() {
	echo "$1 $3 - $4" >"$2/tap"
	[ "$1" = ok ] || tail -n 5 "$2/log" | sed 's/^/# /' >>"$2/tap"
}

try_original() {
	mkdir -p "$original/src/tests" || exit 1
	cp "$SRC"/memslot_tree.c "$SRC"/memslot_tree.h "$original/src" || exit 1
	cp "$SRC"/tests/memslot_tree_*.h "$original/src/tests" || exit 1
	verdict="not ok"
	if build "$original" && run_test "$original"; then
		verdict=ok
	fi
	result "$verdict" "$original" 1 "the original passes"
}

# What is built of the original is taken over: make sees which source is newer.
# try_mutant NR NAME FILE SED
try_mutant() {
	folder=$OUTPUT/$1
	nr=$(($1 + 1))
	cp -a "$original" "$folder" || exit 1
	sed -i "$4" "$folder/src/$3"
	if cmp -s "$SRC/$3" "$folder/src/$3"; then
		echo "the edit finds nothing to change: $4" >"$folder/log"
		result "not ok" "$folder" "$nr" "$2"
	elif ! build "$folder"; then
		result "not ok" "$folder" "$nr" "$2 (does not build)"
	elif run_test "$folder"; then
		result "not ok" "$folder" "$nr" "$2 (goes unnoticed)"
	else
		result ok "$folder" "$nr" "$2"
	fi
}

if [ $# = 1 ]; then
	sed -n "$1p" "$list" | {
		IFS='|' read -r name file edit
		try_mutant "$1" "$name" "$file" "$edit"
	}
	exit
fi

rm -rf "$OUTPUT"
try_original
count=$(wc -l <"$list")
seq "$count" | xargs -P "${JOBS:-1}" -n 1 sh "$0"

echo "TAP version 13"
echo "1..$((count + 1))"
for folder in original $(seq "$count"); do
	cat "$OUTPUT/$folder/tap" || echo "not ok - $folder"
done >"$OUTPUT/tap"
cat "$OUTPUT/tap"
failed=$(grep -c '^not ok' "$OUTPUT/tap")
echo "$((count + 1 - failed)) passed, $failed failed, 0 skipped"
[ "$failed" -eq 0 ]
