#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds the benchmark, static, as $(O)/bench/mmu_bench.
. "$(dirname "$0")/../base/lib.sh"

SRC=$REPO/tools/vm/bench
OUT=$O/bench
LOG=$LOGS/bench-build.log

# compile ARGUMENTS
compile()
{
	gcc -O2 -Wall -Wextra -isystem "$BUILD/usr/include" "$@" >>"$LOG" 2>&1 || {
		tail -n 5 "$LOG" >&2
		die "the benchmark does not build: $LOG"
	}
}

lock_o
mkdir -p "$OUT" "$LOGS"
kbuild O="$BUILD" headers >"$LOG" 2>&1 || die "no kernel headers: $LOG"
# What is copied to the guest has neither libc nor tables nor an FPU.
compile -c -ffreestanding -fno-jump-tables -fno-stack-protector -mgeneral-regs-only \
	-o "$OUT/guest.o" "$SRC/guest.c"
objcopy --rename-section .text=guest_code "$OUT/guest.o"
compile -static -o "$OUT/mmu_bench" "$SRC/mmu_bench.c" "$SRC/vm.c" "$OUT/guest.o"
