#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The models and litmus tests of tools/verification/kvm, in the patched tree.
# HERD=COMMAND: a herd7 that is not in PATH; HERD=debian: herd.sh gets one.
. "$(dirname "$0")/../base/lib.sh"

lock_o
mkdir -p "$O/results"
say "models and litmus tests"
options=(--work "$O/verify" --ktap "$O/results/verify.ktap")
if [ "${HERD:-}" = debian ]; then
	"$REPO/tools/verify/herd.sh"
	HERD=$O/herd/herd7
elif [ -z "${HERD:-}" ] && ! command -v herd7 >/dev/null; then
	say "no herd7, so no litmus test; HERD=debian downloads it (40 MB)," \
	    "HERD=/path/to/herd7 names one"
fi
[ -z "${HERD:-}" ] || options+=(--herd "$HERD")
read -ra names <<<"${TESTS:-}"
"$TREE/tools/verification/kvm/verify.py" "${options[@]}" "${names[@]}" 9>&-
