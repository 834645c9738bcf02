# SPDX-License-Identifier: GPL-2.0
# Prints "target  text" for each "target: ... ## text" of the makefiles read.
BEGIN {
	print "A new KVM memslot core and x86 MMU for Linux 6.12: make TARGET [VARIABLE=value ...]\n"
	print "Start with \"make run\" or \"make test\"; each target does what it needs of the others.\n"
	print "Targets:"
}
/^[a-z][a-z0-9-]*:.*##/ {
	text = $0
	sub(/.*## */, "", text)
	sub(/:.*/, "")
	printf "  %-15s %s\n", $0, text
}
END {
	print "\nVariables:"
	print "  KSRC=PATH     your own Linux 6.12 tree (default: Debian's linux-source-6.12)"
	print "  BASE=VERSION  one of Debian's versions, 6.12.118-1 or 6.12.118 (default: the newest tested one)"
	print "  O=PATH        where everything built goes (default: build)"
	print "  JOBS=N        parallel jobs (default: number of CPUs)"
	print "  CONFIG=NAME   fast (default) or debug: KASAN, lockdep and more; debian: Debian's own;"
	print "                kcsan, coverage, lockstat"
	print "  KERNEL=NAME   run, boot: debian (default: Debian's own, nothing to build), fast or debug; test: debian (default) or fast"
	print "  MODULES=NAME  ours (default) or stock: whose KVM modules the VM loads"
	print "  TESTS=\"A B\"   only these tests"
	print "  NPT=N         boot: 1 (default) or 0 (shadow paging); kselftest: 1, 0 or both (default)"
	print "  FORCE=1       kselftest: repeat what is known of the same modules"
	print "  MIGRATIONS=N  vmtest: so often is a guest migrated while it writes (default: 1)"
	print "  MINUTES=N     soak: for so long (default: 60)"
	print "  SEED=N        soak: begin with this one (default: a random one)"
	print "  RANDOM_OPS=N  mutants: do so many random operations notice (default: the named tests)"
	print "  HERD=COMMAND  verify: the herd7 to use; HERD=debian downloads it"
	print "  ACCEL=NAME    tcg, kvm or empty (kvm where the host really has nested SVM or VMX)"
	print "  QEMU=PATH     your own qemu-system-x86_64 (default: 7.2, patched, from Debian's source)"
	print "  SET=N         series, series-trip, series-build: only this set"
	print "  BUILDS=\"A B\"  series-build: only gcc, clang, intel, amd, kunit, arm64, riscv"
	print "  RECIPIENTS=no  series: without get_maintainer.pl, which takes a minute"
	print "  SIGNOFF=\"NAME <MAIL>\"  series: who signs the mails off (without: they can't be sent)"
	print "  VM=NAME       qemu (default); nested (in a guest of the VM): selftests, vmtest;"
	print "                bochs (kvm-intel): selftests"
	print "  TARGET=\"A B\"  debian13: what to make there (default: test)"
}
