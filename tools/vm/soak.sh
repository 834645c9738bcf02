#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Random operations on software CPUs (arch/x86/kvm/mmu/tests/soft_*) for MINUTES,
# in rounds that begin with SEED: another range of seeds for each round.
. "$(dirname "$0")/../base/lib.sh"

MINUTES=${MINUTES:-60}
SEED=${SEED:-$((RANDOM << 15 | RANDOM))}
# Of each hardware in a round: five minutes on an idle machine, which this one may not be.
OPS=100000
TIMEOUT=7200
# Of soft_random_kunit.c, which uses one for each.
EPISODE_OPS=2000

[[ $MINUTES =~ ^[0-9]+$ ]] || die "MINUTES=$MINUTES: must be a number"
[[ $SEED =~ ^[0-9]+$ ]] || die "SEED=$SEED: must be a number"

# What the round that just ended did: operations, accesses under changes.
sum_of() { grep -o "$1" "$O/kunit/test.log" | awk '{ n += $1 } END { print n + 0 }'; }

rounds=0 operations=0 accesses=0 first=$SEED
while [ "$rounds" = 0 ] || [ "$SECONDS" -lt $((MINUTES * 60)) ]; do
	say "soak: round $((rounds + 1)), seed $SEED"
	KUNIT_FILTER='kvm_soft_*' KUNIT_TIMEOUT=$TIMEOUT \
	KUNIT_KERNEL_ARGS="kvm.soft_seed=$SEED kvm.soft_ops_per_hardware=$OPS" \
		"$REPO/tools/vm/kunit.sh" ||
		die "soak: seed $SEED failed after $operations good operations"
	operations=$((operations + $(sum_of '[0-9]* operations in')))
	accesses=$((accesses + $(sum_of '[0-9]* judged$')))
	rounds=$((rounds + 1))
	SEED=$((SEED + OPS / EPISODE_OPS))
done
say "soak: seeds $first to $((SEED - 1)): $operations operations," \
	"$accesses accesses judged under changes, in $SECONDS s:" \
	"$((operations / SECONDS)) operations a second, nothing failed"
