#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Builds kvm.ko, kvm-amd.ko and kvm-intel.ko after each patch of the series,
# against the symbols of the fast kernel, in a tree of its own.
. "$(dirname "$0")/../base/lib.sh"

export CONFIG=fast KVM_TREE=$O/series-tree KVM_BUILD=$O/series-build
commits=$O/series.git
targets=(arch/x86/kvm/ virt/lib/irqbypass.ko arch/x86/kvm/kvm.ko
	 arch/x86/kvm/kvm-amd.ko arch/x86/kvm/kvm-intel.ko)

# Gives every file of the series the state that it has in the commits' work
# tree. A file is replaced, not written to: the tree's files are hard links.
update_tree()
{
	local path

	while read -r path; do
		cmp -s "$commits/$path" "$KVM_TREE/$path" && continue
		rm -f "$KVM_TREE/$path"
		[ -f "$commits/$path" ] || continue
		mkdir -p "$(dirname "$KVM_TREE/$path")"
		cp "$commits/$path" "$KVM_TREE/$path"
	done < <(git -C "$commits" diff --name-only --no-renames base series)
}

# build_step N TOTAL COMMIT
build_step()
{
	git -C "$commits" checkout -q "$3"
	update_tree
	"$REPO/tools/base/configure.sh" --lenient
	say "patch $1 of $2: $(git -C "$commits" log -1 --format=%s)"
	"$REPO/tools/base/build.sh" "patch $1" "${targets[@]}"
}

lock_o
env -u KVM_TREE -u KVM_BUILD "$REPO/tools/base/kernel.sh"
"$REPO/tools/series/series.py" commits "$REPO" "$O"
rm -rf "$KVM_TREE"
cp -al "$O/tree" "$KVM_TREE"
mkdir -p "$KVM_BUILD"
# modpost finds the kernel's exports here
ln -sf "$O/fast/vmlinux.o" "$KVM_BUILD/vmlinux.o"
mapfile -t steps < <(git -C "$commits" rev-list --reverse base..series)
n=0
for step in "${steps[@]}"; do
	n=$((n + 1))
	build_step "$n" "${#steps[@]}" "$step"
done
rm -rf "$KVM_TREE" "$KVM_BUILD"
say "KVM builds after each of the $n patches"
