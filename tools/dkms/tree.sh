#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# tree.sh SOURCE OUT: makes OUT/tree the sources of KVM's modules, to be built
# against a kernel's headers: stock's KVM from SOURCE, a linux-source-6.12.tar.xz or
# what was in it, with ours laid on it. OUT/base has what of stock that takes.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/needs.sh"

source=$1
out=$(realpath -m "$2")
here=$REPO/tools/dkms

# The files and folders of stock that are needed.
parts()
{
	echo Makefile arch/x86/kvm virt/kvm
	sed -nE 's,^--- a/((arch|virt|include)/.*),\1,p' "$REPO"/patches/*/*.patch |
		grep -vE '^(arch/x86|virt)/kvm/' | sort -u
	awk '{ print $1 }' <<<"$needs" | grep -vE '^(arch/x86|virt)/kvm/'
}

extract()
{
	local wanted

	mapfile -t wanted < <(parts | tr ' ' '\n' | sort -u)
	mkdir -p "$out/base.tmp"
	if [ -d "$source" ]; then
		tar -C "$source" -cf - "${wanted[@]}" | tar -C "$out/base.tmp" -xf -
	else
		xz -dc -T0 "$source" | tar -C "$out/base.tmp" -xf - --no-same-owner \
			--strip-components=1 "${wanted[@]/#/linux-source-6.12/}"
	fi
}

# Stock's KVM in a tree that ours is laid on.
start_over()
{
	local version

	rm -rf "$out"/{base,base.tmp,base.id,tree,tree.manifest}
	extract || die "$source lacks what KVM is built from"
	check_source "$source" "$out/base.tmp"
	version=$(kernel_version "$out/base.tmp")
	tested "$version" || die "$source is Linux $version; $(way_out)"
	mkdir "$out/tree"
	tar -C "$out/base.tmp" -cf - arch/x86/kvm virt/kvm | tar -C "$out/tree" -xf -
	mv "$out/base.tmp" "$out/base"
	echo "$id" >"$out/base.id"
}

# Writes standard input to a file, unless that is what it has.
update()
{
	cat >"$1.new"
	if cmp -s "$1.new" "$1"; then
		rm "$1.new"
	else
		mv "$1.new" "$1"
	fi
}

id="$source $(stat -c '%s %Y' "$source") $(parts | tr '\n' ' ')"
mkdir -p "$out"
[ "$(cat "$out/base.id" 2>/dev/null)" = "$id" ] || start_over
"$REPO/tools/base/lay.py" --modules "$REPO" "$out"
update "$out/tree/Kbuild" <"$here/Kbuild"
version=$("$here/our-version.sh")
update "$out/tree/arch/x86/kvm/version.h" <<END
#define KVM_VERSION "$version"
END
