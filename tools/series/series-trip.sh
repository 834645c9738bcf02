#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Takes the mails that "make series" wrote back with b4: trip.py.
. "$(dirname "$0")/../base/lib.sh"

lock_o
"$REPO/tools/series/trip.py" "$REPO" "$O"
