# SPDX-License-Identifier: GPL-2.0
# The targets that run something in the test VM.

V := tools/vm

# NPT=1|0|both: nested paging or shadow paging; FORCE=1: repeat known results
NPT ?=
FORCE ?=
export NPT FORCE

.PHONY: boot kselftest kselftest-table

boot: ## a shell in the VM, the host's files at /host (CONFIG, MODULES, NPT)
	@$(B)/deps.sh base tree kernel vm
	@$(B)/kernel.sh
	@$(V)/vm boot

kselftest: ## the base's KVM selftests in the VM (TESTS, MODULES, NPT, FORCE)
	@$(B)/deps.sh base tree kernel vm kselftest
	@$(B)/kernel.sh
	@$(V)/build-selftests.sh
	@$(V)/vm kselftest

kselftest-table: ## stock's modules against ours, every selftest, npt=1 and npt=0
	@$(MAKE) --no-print-directory kselftest MODULES=stock TESTS= NPT=both || :
	@$(MAKE) --no-print-directory kselftest MODULES=ours TESTS= NPT=both || :
	@$(V)/vm table
