#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# make dkms-test: installs the DKMS package as a user does, in a Debian of its own of
# this machine's release, $(O)/dkms-test/root, and boots its kernel in the VM with what
# DKMS built. Then it removes the package, and finds stock's modules again.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/apt.sh"
. "$(dirname "$0")/../base/debian-root.sh"
. /etc/os-release

out=$O/dkms-test
root=$out/root
log=$LOGS/dkms-test.log

in_root() { inside "$root" "$@"; }

# The VM has an initramfs of its own: none is made for the kernels there.
apt_in_root()
{
	in_root env DEBIAN_FRONTEND=noninteractive INITRD=No apt-get -y --no-install-recommends \
		"$@" >>"$log" 2>&1 || die "apt-get $1 failed (log: $log)"
}

# Splits what is offered in the tested ones and the newest of the others.
choose()
{
	local release version

	kernels=()
	untested=''
	declare -gA versions
	while read -r release version; do
		versions[$release]=$version
		if tested "$version"; then
			kernels+=("$release")
		else
			untested=${untested:-$release}
		fi
	done < <(offered_kernels in_root apt-cache)
	[ "${#kernels[@]}" -gt 0 ] || die "Debian $VERSION_ID offers no kernel that ours is tested on"
}

# install_kernel RELEASE [PACKAGE...]: with its headers, and more packages
install_kernel()
{
	say "installing linux-image-$1, with its headers"
	apt_in_root install "linux-image-$1" "linux-headers-$1" "${@:2}"
}

# The source of a kernel on the list comes with it, as "apt upgrade" does it.
install_tested()
{
	install_kernel "$1" --allow-downgrades "linux-source-6.12=${versions[$1]}"
}

# Whose KVM does a kernel in the root have: the version of ours, or nothing
kvm_version() { in_root modinfo -k "$1" -F version kvm 2>/dev/null || true; }

# expect RELEASE VERSION: fails unless all three modules are where they should be
expect()
{
	local found module where=kernel

	[ -z "$2" ] || where=updates/dkms
	for module in kvm kvm-amd kvm-intel; do
		found=$(in_root modinfo -k "$1" -n "$module")
		[[ $found == */"$1/$where/"* ]] || die "$1: $module is $found"
	done
	found=$(kvm_version "$1")
	[ "$found" = "$2" ] || die "$1: KVM's version is '$found', not '$2'"
	if [ -n "$2" ]; then
		say "$1: KVM is ours, $2"
	else
		say "$1: KVM is stock's"
	fi
}

# Copies the modules of the newest tested kernel for the VM, as modprobe takes them.
collect()
{
	local module

	rm -rf "$out/modules"
	mkdir -p "$out/modules"
	for module in irqbypass kvm kvm-amd kvm-intel; do
		plain_module "$root$(in_root modinfo -k "$newest" -n "$module")" \
			>"$out/modules/$module.ko"
	done
}

# in_vm VERSION: does the VM find these modules by modprobe, and do the tests pass?
in_vm()
{
	collect
	KVM_ROOT=$root KVM_VERSION=$1 KVM_MODULES=$out/modules \
		CONFIG=debian "$REPO/tools/vm/vm" dkms
}

[ "$(id -u)" = 0 ] || die "make dkms-test makes a root file system and mounts: it must be run as root"
lock_o
mkdir -p "$out"
: >"$log"
[ -d "$root" ] || make_root "$VERSION_CODENAME" "$root" "$log"
choose
newest=${kernels[0]}
package=$(echo "$O"/kvm-mmu-dkms_*.deb)
cp "$package" "$root/tmp/kvm-mmu-dkms.deb"
version=$("$REPO/tools/dkms/our-version.sh")

if in_root dpkg-query -s kvm-mmu-dkms >/dev/null 2>&1; then
	apt_in_root purge kvm-mmu-dkms
fi
install_tested "${kernels[-1]}"
say "installing the package: DKMS builds it (log: $log)"
apt_in_root install /tmp/kvm-mmu-dkms.deb
expect "${kernels[-1]}" "$version"
if [ "${#kernels[@]}" -gt 1 ]; then
	install_tested "$newest"
	expect "$newest" "$version"
fi
if [ -n "$untested" ]; then
	install_kernel "$untested"
	grep "kvm-mmu-dkms: $untested" "$log" | tail -n 1 ||
		die "nothing was said of $untested, which is not on the list (log: $log)"
	expect "$untested" ""
fi
in_vm "$version"
say "removing the package"
apt_in_root remove kvm-mmu-dkms
expect "$newest" ""
TESTS=modprobe in_vm ""
say "dkms-test: Debian $VERSION_ID, $newest: all is well"
