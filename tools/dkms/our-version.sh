#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Prints our own version: when the commit was made, and its name. A package has it
# in a file.
cd "$(dirname "$0")" || exit
cat version 2>/dev/null ||
	TZ=UTC git -c safe.directory='*' log -1 --date=format-local:%Y%m%d%H%M \
		--abbrev=10 --format=%cd.g%h
