# SPDX-License-Identifier: GPL-2.0
# The targets that run something in the test VM.

V := tools/vm

# VM=bochs runs selftests with kvm-intel instead of kvm-amd
VM_DEPS := vm $(filter bochs,$(VM))
VM_QEMU := $(if $(filter bochs,$(VM)),,qemu)

# NPT=1|0|both: nested paging or shadow paging; FORCE=1: repeat known results
NPT ?=
FORCE ?=
# So often does vmtest migrate a guest; empty: once
MIGRATIONS ?=
export NPT FORCE MIGRATIONS

# KERNEL=debian|fast|debug: whose kernel runs, of which Debian's need not be built.
# It is of Debian's version, so it is for no other base.
DEFAULT_KERNEL := $(if $(KSRC)$(BASE),fast,debian)
test: export KERNEL := $(or $(KERNEL),$(DEFAULT_KERNEL))
ifndef KERNEL
KERNEL := $(if $(filter-out file,$(origin CONFIG)),$(CONFIG),$(DEFAULT_KERNEL))
endif
run boot: override CONFIG := $(KERNEL)
run: export STARTED := $(shell date +%s)

.PHONY: bench bench-holds bench-record boot coverage qemu run test
.PHONY: kselftest kselftest-table kunit mutants soak vmtest

qemu: ## build the QEMU of the VMs, or check the one that is named (QEMU)
	@$(B)/deps.sh vm qemu
	@$(V)/qemu.sh

run: qemu ## a Linux guest on our KVM in a VM, then MMIO against memslots (KERNEL)
	@$(B)/deps.sh base tree kernel vm kselftest
	@$(B)/kernel.sh
	@$(V)/build-selftests.sh mmio_memslot_race_test
	@$(V)/vm run

test: ## everything: userland, series, models, KUnit, two kernels in VMs (KERNEL)
	@$(V)/test.sh

boot: qemu ## a shell in the VM, the host's files at /host (KERNEL, MODULES, NPT)
	@$(B)/deps.sh base tree kernel vm
	@$(B)/kernel.sh
	@$(V)/vm boot

kselftest: $(VM_QEMU) ## the base's KVM selftests in the VM (TESTS, MODULES, NPT, VM)
	@$(B)/deps.sh base tree kernel $(VM_DEPS) kselftest
	@$(B)/kernel.sh
	@$(V)/build-selftests.sh
	@$(V)/vm kselftest

kselftest-table: ## every selftest, stock's modules against ours, both NPT
	@$(MAKE) --no-print-directory kselftest MODULES=stock TESTS= NPT=both || :
	@$(MAKE) --no-print-directory kselftest MODULES=ours TESTS= NPT=both || :
	@$(V)/vm table

bench: qemu ## what users wait for: stock's modules against ours (TESTS)
	@$(B)/deps.sh base tree kernel vm kselftest
	@$(B)/deps.sh bench || echo "== without gnuplot: table and CSV, but no pictures"
	@CONFIG=fast MODULES=ours $(B)/kernel.sh
	@CONFIG=fast $(V)/build-bench.sh
	@$(V)/vm bench

bench-holds: qemu ## how long mmu_lock is held at most, of bench's operations (TESTS)
	@$(B)/deps.sh base tree kernel vm kselftest
	@CONFIG=lockstat MODULES=ours $(B)/kernel.sh
	@CONFIG=lockstat $(V)/build-bench.sh
	@$(V)/vm bench-holds

bench-record: ## the last results of bench into Documentation/virtual/kvm/bench.txt
	@$(B)/deps.sh bench
	@$(V)/vm bench-record

vmtest: qemu ## our own scripts in the VM: migration, suspend, ... (TESTS, VM, MIGRATIONS)
	@$(B)/deps.sh base tree kernel vm kselftest
	@$(B)/kernel.sh
	@$(V)/build-selftests.sh
	@$(V)/build-migration.sh
	@$(V)/vm vmtest

kunit: ## the KUnit tests of KVM, with the tree's kunit.py (CONFIG)
	@$(B)/deps.sh base tree kernel vm
	@$(B)/tree.sh
	@$(V)/kunit.sh

soak: ## random operations on software CPUs (MINUTES=60, SEED)
	@$(B)/deps.sh base tree kernel vm
	@$(B)/tree.sh
	@$(V)/soak.sh

coverage: qemu ## lines of our KVM that KUnit and the selftests execute (TESTS)
	@$(B)/deps.sh base tree kernel vm kselftest coverage
	@CONFIG=coverage MODULES=ours $(B)/kernel.sh
	@CONFIG=coverage MODULES=ours $(V)/build-selftests.sh
	@CONFIG=coverage MODULES=ours $(V)/vm coverage

mutants: qemu ## break our code, one rule at a time: a KUnit test must fail (TESTS, RANDOM_OPS)
	@$(B)/deps.sh base tree kernel vm
	@CONFIG=fast MODULES=ours $(B)/kernel.sh
	@CONFIG=fast MODULES=ours $(V)/mutants.sh
