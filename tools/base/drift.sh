#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# drift.sh [record]: shows what stock changed, in the files that ours replaces or
# patches, between the version that was reviewed last and the newest on offer
# (or BASE); fails if there is something. record: it is reviewed now.
. "$(dirname "$0")/lib.sh"

reviewed=$REPO/tools/base/reviewed
drift=("$REPO/tools/base/drift.py" "${1:-show}" "$REPO" "$reviewed")

lock_o
newest=$("$REPO/tools/base/fetch.sh" "${BASE:-newest}")
drift+=("$O/debian/$newest")
old=$(sed -n '/^[0-9]/{p;q}' "$reviewed")
if old=$("$REPO/tools/base/fetch.sh" "$old"); then
	drift+=("$O/debian/$old")
else
	say "no mirror has what was reviewed: changed files are named, but no diff is shown"
fi
exec "${drift[@]}"
