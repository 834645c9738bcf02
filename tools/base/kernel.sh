#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds what is out of date of: stock's modules, our kernel, our modules.
# On a cold build the whole kernel is built from the stock tree, stock's modules
# are put aside, the overlay is laid, and only what it changes is built again.
# CONFIG=debian: Debian's kernel, and our modules built for it.
. "$(dirname "$0")/lib.sh"

here=$REPO/tools/base
stamp=$BUILD/.kvm-stamp

sum() { sha256sum | cut -d' ' -f1; }

# What everything built depends on: base, configuration, compiler.
base_sum()
{
	{
		cat "$O/base.id" "$REPO/configs/fast.config"
		[ "$CONFIG" = fast ] || cat "$REPO/configs/$CONFIG.config"
		gcc --version
	} | sum
}

# laid_sum kernel|modules: what is laid that the kernel proper, or anything
# that is built, depends on.
laid_sum()
{
	local skip='^(Documentation|tools|MAINTAINERS)'

	[ "$1" = modules ] || skip="$skip|^arch/x86/kvm/|^virt/kvm/"
	{
		base_sum
		awk -v skip="$skip" '$2 !~ skip || $2 ~ /Kconfig$/' "$O/tree.manifest"
	} | sum
}

# built NAME SUM: is what NAME stands for built from the state SUM?
built() { [ "$(cat "$stamp.$1" 2>/dev/null)" = "$2" ]; }

# collect DIR: copies the modules of the build to DIR, whole or not at all.
collect()
{
	local module

	rm -rf "$1.new"
	mkdir -p "$1.new"
	while read -r module; do
		cp -p "$BUILD/${module%.o}.ko" "$1.new/"
	done <"$BUILD/modules.order"
	rm -rf "$1"
	mv "$1.new" "$1"
}

# KASAN watches KVM: the kernel proper is built without its checks, which would make
# the build and each VM slower, and has the allocators that KASAN needs.
build_kernel()
{
	KVM_MAKE="$KVM_MAKE KASAN_SANITIZE=n" "$here/build.sh" "$CONFIG kernel" bzImage
}

build_stock()
{
	local base laid

	# What cannot be laid later is said before minutes of building.
	"$here/lay.py" --check "$REPO" "$O"
	say "$CONFIG kernel with stock KVM, for comparison"
	"$here/tree.sh" --stock
	base=$(base_sum)
	laid=$(laid_sum kernel)
	rm -f "$stamp".*
	"$here/configure.sh" --lenient
	build_kernel
	"$here/build.sh" "$CONFIG modules" modules
	collect "$STOCK_MODULES"
	echo "$laid" >"$stamp.kernel"
	echo "$base" >"$stamp.stock"
}

build_ours()
{
	local kernel modules

	kernel=$(laid_sum kernel)
	modules=$(laid_sum modules)
	rm -f "$stamp.modules"
	"$here/configure.sh"
	if ! built kernel "$kernel" || [ ! -f "$BZIMAGE" ]; then
		rm -f "$stamp.kernel"
		build_kernel
	fi
	"$here/build.sh" "$CONFIG modules" modules
	collect "$OUR_MODULES"
	echo "$kernel" >"$stamp.kernel"
	echo "$modules" >"$stamp.modules"
}

check_config
[ "$CONFIG" != debian ] || exec "$REPO/tools/dkms/kernel.sh"
lock_o
"$here/base.sh"
mkdir -p "$BUILD"
# What is measured on these kernels is compared with stock's modules.
if [ "$MODULES" = stock ] || [ "$CONFIG" = fast ] || [ "$CONFIG" = lockstat ]; then
	if ! built stock "$(base_sum)" || [ ! -d "$STOCK_MODULES" ]; then
		need_disk 3000 "the $CONFIG kernel"
		need_memory 1000 "the $CONFIG kernel"
		build_stock
	fi
fi
"$here/tree.sh"
[ "$MODULES" = ours ] || exit 0
if ! built modules "$(laid_sum modules)" || [ ! -f "$BZIMAGE" ] || [ ! -d "$OUR_MODULES" ]; then
	need_disk 3000 "the $CONFIG kernel"
	need_memory 1000 "the $CONFIG kernel"
	build_ours
fi
say "kernel: $BZIMAGE; modules: $OUR_MODULES"
