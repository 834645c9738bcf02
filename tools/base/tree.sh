#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tree.sh [--stock]: makes $(O)/tree the base with our overlay and patches on
# it (--stock: without). Files whose content stays keep their timestamps.
. "$(dirname "$0")/lib.sh"

# A git checkout gives its tracked files; another tree all but built files.
copy_base()
{
	local git=(git -c safe.directory='*' -C "$BASE_DIR")

	if [ -e "$BASE_DIR/.git" ]; then
		tar -C "$BASE_DIR" --null -cf - -T <("${git[@]}" ls-files -z |
			(cd "$BASE_DIR" && perl -0ne 'chomp; print "$_\0" if -e || -l'))
	else
		tar -C "$BASE_DIR" -cf - --exclude='*.o' --exclude='*.ko' --exclude='*.cmd' \
			--exclude=./.config --exclude=./include/config \
			--exclude=./include/generated --exclude='./vmlinux*' \
			--exclude='./arch/*/include/generated' .
	fi | tar -C "$TREE.tmp" -xf - --no-same-owner
}

lock_o
"$REPO/tools/base/base.sh"
if ! cmp -s "$O/base.id" "$O/tree.id"; then
	need_disk 4000 "the tree"
	say "copying the base to $TREE"
	rm -rf "$TREE" "$TREE.tmp" "$TREE.id" "$O/tree.manifest"
	mkdir "$TREE.tmp"
	copy_base
	mv "$TREE.tmp" "$TREE"
	cp "$O/base.id" "$TREE.id"
fi
exec "$REPO/tools/base/lay.py" "$@" "$REPO" "$O"
