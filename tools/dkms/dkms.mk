# SPDX-License-Identifier: GPL-2.0
# KVM's modules for Debian's own kernels, as a DKMS package.

D := tools/dkms

.PHONY: deb dkms-test

deb: ## write the DKMS package, to install on Debian 12 and 13, to $(O)
	@$(B)/deps.sh deb
	@$(D)/deb.sh

dkms-test: deb qemu ## install it, test what it built in the VM, remove it (as root)
	@CONFIG=debian $(B)/deps.sh base tree kernel debian13 vm kselftest
	@CONFIG=debian $(B)/kernel.sh
	@CONFIG=debian $(V)/build-selftests.sh
	@$(D)/test.sh
