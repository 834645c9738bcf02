#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# kernel.sh: gets the kernel of this machine's own Debian, the newest of those that
# ours is tested on, with its headers: unpacked to $(O)/debian-kernel, never
# installed. Builds KVM's modules for it. Debian's mirror is asked once for each
# list of tested versions. Where there is none to be had, this fails.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/apt.sh"

out=$O/debian-kernel
log=$LOGS/debian-kernel.log
stamp=$out/id
# What the VM needs and Debian's kernel has as modules: the host's files, MSRs for
# tests; and what kvm-amd.ko needs.
drivers=(9pnet_virtio 9p msr ccp)

. /etc/os-release
codename=${VERSION_CODENAME:-}
tag=+deb${VERSION_ID:-}

fail()
{
	grep '^[EW]:' "$log" | tail -n 3 >&2 || true
	die "$1 (log: $log); KERNEL=fast builds a kernel instead"
}

# Prints "RELEASE VERSION" of the newest tested kernel that the lists in use offer.
offered()
{
	local release version

	offered_kernels apt-cache "${apt_options[@]}" |
		while read -r release version; do
			[[ $release == *"$tag-amd64" ]] && tested "$version" || continue
			echo "$release $version"
			break
		done
}

# Sets $release and $version.
choose()
{
	read -r release version < <(offered) && return
	use_private_lists "$O/apt-kernel" "$log" "$codename" "$codename-updates" \
		"$codename-security" "$codename-backports" || return
	read -r release version < <(offered)
}

download()
{
	local package

	rm -rf "$out/download"
	mkdir -p "$out/download"
	say "downloading Debian's kernel $version"
	for package in "linux-image-$release" "linux-headers-$release" \
		       "linux-headers-${release%-amd64}-common" \
		       "linux-kbuild-${release%-amd64}"; do
		(cd "$out/download" &&
			apt-get "${apt_options[@]}" download "$package=$version") \
			>>"$log" 2>&1 9>&- || return
	done
}

# The headers' Makefile names the common ones as they would be installed.
unpack()
{
	local package

	for package in "$out"/download/*.deb; do
		dpkg-deb -x "$package" "$out/root" || return
	done
	rm -rf "$out/download"
	sed -i "s, /usr/src/, $out/root/usr/src/," "$headers/Makefile"
	cp "$out/root/boot/config-$release" "$out/.config"
	cp "$out/root/boot/vmlinuz-$release" "$out/vmlinuz"
	"$REPO/tools/dkms/vmlinux.py" "$out/vmlinuz" >"$out/vmlinux"
}

# Prints where a module of Debian's is, unless it is built in.
find_module()
{
	find "$out/root" -path '*/lib/modules/*' -name "$1.ko*" -print -quit
}

# Prints the file of a module of Debian's, and before it those that it needs.
module_files()
{
	local file needed

	file=$(find_module "$1")
	[ -n "$file" ] || return 0
	for needed in $(modinfo -F depends "$file" | tr ',' ' '); do
		module_files "$needed"
	done
	echo "$file"
}

# put NAME FOLDER [PREFIX]: a module of Debian's, uncompressed
put()
{
	plain_module "$(find_module "$1")" >"$2/${3:-}$1.ko"
}

# The drivers, with numbers: the VM loads them in this order.
collect_drivers()
{
	local file number=10

	mkdir -p "$out/vm-drivers"
	for file in $(for name in "${drivers[@]}"; do module_files "$name"; done |
		      awk '!seen[$0]++'); do
		file=${file##*/}
		put "${file%%.ko*}" "$out/vm-drivers" "$number-"
		number=$((number + 1))
	done
}

collect_stock()
{
	local name

	rm -rf "$STOCK_MODULES"
	mkdir -p "$STOCK_MODULES"
	for name in irqbypass kvm kvm-amd kvm-intel; do
		put "$name" "$STOCK_MODULES"
	done
}

# What the folder was fetched for: it is fetched again when that changes.
wanted()
{
	tested_versions
	echo "${drivers[@]}"
}

fetch_kernel()
{
	need_disk 4000 "Debian's kernel"
	: >"$log"
	choose || fail "this machine's apt and its mirror offer no kernel of Debian ${VERSION_ID:-} that ours is tested on, $(tested_versions | paste -sd ' ')"
	headers=$out/root/usr/src/linux-headers-$release
	rm -rf "$out"
	mkdir -p "$out"
	download || fail "Debian's kernel $version cannot be downloaded"
	unpack || fail "Debian's kernel $version does not unpack"
	collect_drivers
	collect_stock
	printf '%s\n' "$release $version" "$(wanted)" >"$stamp"
}

# Nothing is built again unless what it is built from has changed.
build_modules()
{
	local source name sum

	source=$("$REPO/tools/base/fetch.sh" "$version")
	"$REPO/tools/dkms/tree.sh" "$O/debian/$source" "$out/kvm"
	sum=$(cat "$out/kvm/base.id" "$out/kvm/tree.manifest" \
		"$REPO"/tools/dkms/{Kbuild,build.sh,check.py,kernel.sh} \
		"$out/kvm/tree/arch/x86/kvm/version.h" | sha256sum)
	[ "$(cat "$out/kvm/built" 2>/dev/null)" != "$sum" ] || return 0
	KVM_MAKE=KVM_TEST_VMS=y "$REPO/tools/dkms/build.sh" "$headers" "$out/kvm"
	rm -rf "$OUR_MODULES"
	mkdir -p "$OUR_MODULES"
	cp "$out"/kvm/*.ko "$STOCK_MODULES/irqbypass.ko" "$OUR_MODULES/"
	echo "$sum" >"$out/kvm/built"
}

lock_o
if [ "$(tail -n +2 "$stamp" 2>/dev/null)" = "$(wanted)" ]; then
	read -r release version <"$stamp"
	headers=$out/root/usr/src/linux-headers-$release
else
	fetch_kernel
fi
build_modules
say "kernel: Debian's $release ($version); modules: ours, $OUR_MODULES"
