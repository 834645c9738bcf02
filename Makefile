# SPDX-License-Identifier: GPL-2.0
# The driver: gets the base kernel, lays our files on it, builds and tests.
# It is not part of the overlay. "make" prints what there is.

# Where a Linux 6.12 tree is; empty: Debian's source, fetched through apt
KSRC ?=
# Which of Debian's versions, 6.12.118-1 or 6.12.118; empty: the newest tested one
BASE ?=
# Where everything that is not source goes
O ?= $(CURDIR)/build
JOBS ?= $(shell nproc)
CONFIG ?= fast
MODULES ?= ours
TESTS ?=
ACCEL ?=
# A qemu-system-x86_64 to use; empty: QEMU 7.2, patched, from Debian's source
QEMU ?=
# Where tests run: in QEMU, in a guest there (nested), or in Bochs
VM ?=
override O := $(abspath $(O))
export KSRC BASE O JOBS CONFIG MODULES TESTS ACCEL QEMU VM

B := tools/base

.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help deps base bases drift drift-reviewed debian13 tree kernel modules where clean distclean

help: ## this text
	@awk -f $(B)/help.awk $(MAKEFILE_LIST)

deps: ## install what is missing through apt (or list it)
	@$(B)/deps.sh base tree kernel vm qemu bochs kselftest bench coverage series check verify

base: ## fetch the pristine base kernel to $(O)/base (KSRC, BASE)
	@$(B)/deps.sh base
	@$(B)/base.sh --again

bases: ## build KVM and the series on every tested version, in $(O)/bases
	@$(B)/deps.sh base tree kernel series
	@$(B)/bases.sh

drift: ## what stock changed, since the last review, in files that ours replaces
	@$(B)/deps.sh base
	@$(B)/drift.sh

drift-reviewed: ## record that what drift shows is reviewed
	@$(B)/deps.sh base
	@$(B)/drift.sh record

tree: ## lay overlay and patches on a copy of the base, $(O)/tree
	@$(B)/deps.sh base tree
	@$(B)/tree.sh

# make debian13 TARGET=run: what is there is /src, built in /build.  It has defaults of
# its own: only what was asked for is passed on.
TARGET ?= test
asked = $(if $(filter-out file undefined,$(origin $(1))),$(1)=$($(1)))

debian13: ## TARGET="..." (default: test) in a Debian 13 of its own, $(O)/debian13
	@$(B)/deps.sh debian13
	@$(B)/debian13.sh $(TARGET) $(call asked,CONFIG) $(call asked,KERNEL)

kernel: ## build kernel and modules (CONFIG=fast|debug|kcsan|coverage|lockstat|debian)
	@$(B)/deps.sh base tree kernel
	@$(B)/kernel.sh

modules: kernel ## build KVM alone again after an edit
	@:

where: ## print name=path lines for scripts (make -s where)
	@$(B)/where.sh

clean: ## remove what was built, keep the downloaded base
	@$(B)/clean.sh

distclean: ## remove $(O)
	@$(B)/clean.sh all

-include tools/vm/vm.mk tools/dkms/dkms.mk tools/series/series.mk tools/verify/verify.mk
