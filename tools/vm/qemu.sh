#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# qemu.sh: makes $(O)/qemu/bin/qemu-system-x86_64, which runs the VMs: Debian 12's
# source of QEMU 7.2 with the patches of tools/vm/qemu, which say why. Nothing is
# installed; the firmware is that of the package qemu-system-x86.
# QEMU=/path/to/qemu-system-x86_64 takes that one instead.
. "$(dirname "$0")/../base/lib.sh"
. "$(dirname "$0")/../base/apt.sh"

patches=$REPO/tools/vm/qemu
suite=bookworm
out=$O/qemu
program=$out/bin/qemu-system-x86_64
log=$LOGS/qemu.log
# Without what the VMs do not need: QEMU is built in minutes then.
options=(--prefix=/usr
	 --firmwarepath=/usr/share/qemu:/usr/share/seabios
	 --target-list=x86_64-softmmu --without-default-features
	 --enable-tcg --enable-kvm --enable-fdt=system
	 --enable-virtfs --enable-attr --enable-cap-ng
	 --enable-trace-backends=nop --disable-debug-info
	 --without-default-devices --with-devices-x86_64=vm)
# The devices of vmlib/qemu.py, and of kunit.py
devices=(I440FX HPET VIRTIO_PCI VIRTIO_9P)

# Names what is built; results of tests are kept by it.
id=$(cat "$patches.sh" "$patches"/*.patch | sha256sum | cut -c 1-12)

fail()
{
	grep -E -m 4 '(^[EW]:|error:|ERROR|FAILED)' "$log" >&2 || tail -n 4 "$log" >&2
	die "$1 (log: $log); or use QEMU=/path/to/qemu-system-x86_64"
}

download()
{
	apt_type=deb-src use_private_lists "$out/apt" "$log" "$suite" ||
		fail "this machine's apt names no Debian mirror"
	say "downloading the source of QEMU"
	(cd "$out" && apt-get "${apt_options[@]}" --download-only source qemu) \
		>>"$log" 2>&1 9>&-
}

unpack()
{
	local patch

	dpkg-source --no-check -x "$out"/qemu_*.dsc "$out/src" >>"$log" 2>&1 || return
	for patch in "$patches"/*.patch; do
		patch -d "$out/src" -p1 --no-backup-if-mismatch <"$patch" \
			>>"$log" 2>&1 || return
	done
}

choose_devices()
{
	printf 'CONFIG_%s=y\n' "${devices[@]}" \
		>"$out/src/configs/devices/x86_64-softmmu/vm.mak"
}

# ninja's lines, as kbuild would say it
build()
(
	mkdir "$out/build"
	cd "$out/build" || return
	../src/configure "${options[@]}" --with-pkgversion="$id" \
		>>"$log" 2>&1 || return
	total=$(ninja -n qemu-system-x86_64 | grep -c Compiling || true)
	NINJA_STATUS='  ' ninja -j "$JOBS" qemu-system-x86_64 2>&1 9>&- |
		sed -u 's/^  Compiling/  CC      Compiling/' |
		"$REPO/tools/base/progress.py" --label QEMU --total "$total" \
			--log "$log"
)

if [ -n "${QEMU:-}" ]; then
	command -v "$QEMU" >/dev/null || die "QEMU=$QEMU: no such program"
	exit 0
fi
lock_o
if [ -x "$program" ] && [ "$(cat "$out/id" 2>/dev/null)" = "$id" ]; then
	exit 0
fi
need_disk 3000 "QEMU"
rm -rf "$out"
mkdir -p "$out"
: >"$log"
download || fail "the source of QEMU cannot be downloaded"
unpack || fail "the source of QEMU does not unpack"
choose_devices
build || fail "QEMU does not build"
# QEMU takes the paths that it has been configured with as relative to itself.
mkdir "$out/bin"
ln -s /usr/share "$out/share"
strip -o "$program" "$out/build/qemu-system-x86_64"
rm -rf "$out"/{apt,src,build} "$out"/qemu_*
echo "$id" >"$out/id"
