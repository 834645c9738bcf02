#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# The models and litmus tests of tools/verification/kvm, in the patched tree.
# HERD=COMMAND: a herd7 that is not in PATH.
. "$(dirname "$0")/../base/lib.sh"

lock_o
mkdir -p "$O/results"
say "models and litmus tests"
options=(--work "$O/verify" --ktap "$O/results/verify.ktap")
[ -z "${HERD:-}" ] || options+=(--herd "$HERD")
read -ra names <<<"${TESTS:-}"
"$TREE/tools/verification/kvm/verify.py" "${options[@]}" "${names[@]}" 9>&-
