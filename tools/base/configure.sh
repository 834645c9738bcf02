#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# configure.sh [--lenient]: tinyconfig plus the fragments of configs/ becomes
# the build folder's .config, whose timestamp moves only if it changed. Every
# option that a fragment asks for must have made it (--lenient: need not, for
# the stock tree, which lacks the options that ours adds); a fragment names the
# ones that may be absent in "# optional: NAME..." lines.
. "$(dirname "$0")/lib.sh"

fragments=("$REPO/configs/fast.config")
[ "$CONFIG" = fast ] || fragments+=("$REPO/configs/$CONFIG.config")
[ -z "$KVM_FRAGMENTS" ] || read -ra fragments <<<"$KVM_FRAGMENTS"
log=$LOGS/configure-$(basename "$BUILD").log
new=$BUILD/.config.new

# Prints the wanted options that the new configuration lacks.
lost_options()
{
	awk -v optional="$(sed -n 's/^# optional://p' "${fragments[@]}" | tr '\n' ' ')" '
		BEGIN {
			n = split(optional, names)
			for (i = 1; i <= n; i++)
				may_lack["CONFIG_" names[i]]
		}
		/^CONFIG_[A-Za-z0-9_]+=/ {
			name = substr($0, 1, index($0, "=") - 1)
			value = substr($0, index($0, "=") + 1)
			if (FILENAME == ARGV[ARGC - 1])
				got[name] = value
			else
				wanted[name] = value
		}
		END {
			for (name in wanted) {
				have = name in got ? got[name] : "n"
				if (have != wanted[name] && !(name in may_lack))
					print name "=" wanted[name]
			}
		}' "${fragments[@]}" "$new" | sort
}

mkdir -p "$BUILD"
rm -f "$new"
{
	kbuild O="$BUILD" KCONFIG_CONFIG="$new" tinyconfig &&
	(cd "$TREE" && KCONFIG_CONFIG="$new" \
		scripts/kconfig/merge_config.sh -m -O "$BUILD" "$new" "${fragments[@]}") &&
	kbuild O="$BUILD" KCONFIG_CONFIG="$new" olddefconfig
} >"$log" 2>&1 || {
	tail -n 3 "$log" >&2
	die "the kernel cannot be configured (log: $log)"
}
lost=$(lost_options)
if [ -n "$lost" ] && [ "${1:-}" != --lenient ]; then
	die "options that did not make it into $new: ${lost//$'\n'/ }"
fi
if cmp -s "$new" "$BUILD/.config"; then
	rm "$new"
else
	mv "$new" "$BUILD/.config"
fi
rm -f "$new.old"
