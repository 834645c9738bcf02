#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# deb.sh: writes the DKMS package to $(O): what we wrote, the patches, and the tools
# that lay and build it. Stock's KVM is not in it.
. "$(dirname "$0")/../base/lib.sh"

here=$REPO/tools/dkms
work=$O/deb
log=$LOGS/deb.log
tools=(tools/base/{lay.py,lib.sh,needs.sh,progress.py,versions}
       tools/dkms/{Kbuild,build.sh,check.py,mark.patch,our-version.sh,tree.sh})

git_log() { TZ=UTC git -c safe.directory='*' -C "$REPO" log -1 "$@"; }

# The files of the repository that the package is made of.
sources()
{
	git -c safe.directory='*' -C "$REPO" ls-files arch include virt 'patches/*/*.patch'
	printf '%s\n' "${tools[@]}"
}

write_changelog()
{
	cat <<END
kvm-mmu ($version) unstable; urgency=medium

  * Built from commit $(git_log --format=%h), for Linux $(tested_versions | paste -sd ' ').

 -- $maintainer  $(git_log --date=format-local:'%a, %d %b %Y %H:%M:%S +0000' --format=%cd)
END
}

lock_o
own=$("$here/our-version.sh")
version=$(tested_versions | head -n 1)+$own
# Whoever packages it, or else who wrote the commit
maintainer=$(git_log --format='%an <%ae>')
[ -z "${DEBEMAIL:-}" ] || maintainer="${DEBFULLNAME:-$USER} <$DEBEMAIL>"
name=kvm-mmu-$version
rm -rf "$work"
mkdir -p "$work/$name/src"
(cd "$REPO" && sources | xargs cp --parents -t "$work/$name/src")
echo "$own" >"$work/$name/src/tools/dkms/version"
cp -r "$here/debian" "$work/$name/debian"
sed -i "s/@MAINTAINER@/$maintainer/" "$work/$name/debian/control"
write_changelog >"$work/$name/debian/changelog"
sed "s/@VERSIONS@/$(tested_versions | sed 's/\./\\\\./g' | paste -sd '|')/" \
	"$here/dkms.conf.in" >"$work/$name/debian/kvm-mmu-dkms.dkms"
echo "src/* usr/src/$name" >"$work/$name/debian/kvm-mmu-dkms.install"
install -D -m 755 "$here/kernel-hook" "$work/$name/kernel-hook/kvm-mmu-dkms"
for folder in postinst.d header_postinst.d; do
	echo "kernel-hook/kvm-mmu-dkms etc/kernel/$folder" \
		>>"$work/$name/debian/kvm-mmu-dkms.install"
done
say "building kvm-mmu-dkms $version (log: $log)"
(cd "$work/$name" && dpkg-buildpackage -b -us -uc) >"$log" 2>&1 || {
	tail -n 5 "$log" >&2
	die "the package does not build (log: $log)"
}
rm -f "$O"/kvm-mmu-dkms_*.deb
mv "$work"/*.deb "$O/"
rm -rf "$work"
say "package: $(echo "$O"/kvm-mmu-dkms_*.deb)"
