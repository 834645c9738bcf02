#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Writes the overlay as mails to $(O)/series and proves them: they apply, give
# the tree that "make tree" gives, and checkpatch.pl has nothing to say.
. "$(dirname "$0")/../base/lib.sh"

lock_o
"$REPO/tools/base/tree.sh"
for action in commits mails check; do
	"$REPO/tools/series/series.py" "$action" "$REPO" "$O"
done
