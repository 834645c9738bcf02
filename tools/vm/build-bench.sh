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
# What is copied to the guest has neither libc nor tables nor an FPU, and is
# not where it was linked to.
for name in guest guest_nested; do
	compile -c -ffreestanding -fno-jump-tables -fno-stack-protector \
		-mgeneral-regs-only -mno-red-zone -fpie \
		-I "$TREE/tools/testing/selftests/kvm/include" -I "$TREE/tools/include" \
		-o "$OUT/$name.o" "$SRC/$name.c"
	objcopy --rename-section .text=guest_code "$OUT/$name.o"
done
compile -static -o "$OUT/mmu_bench" "$SRC"/{main,measure,holds,scene,vm}.c \
	"$SRC"/{start,exits,memory,slots,dirty,nested}.c "$OUT"/{guest,guest_nested}.o
