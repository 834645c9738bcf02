#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds KVM after each mail of the series, in a tree of its own: build.py.
. "$(dirname "$0")/../base/lib.sh"

lock_o
"$REPO/tools/base/tree.sh"
need_disk 3000 "make series-build"
"$REPO/tools/series/series.py" commits "$REPO" "$O"
"$REPO/tools/series/build.py" "$REPO" "$O"
