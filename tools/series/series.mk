# SPDX-License-Identifier: GPL-2.0
# The overlay as a series for review, and the static checks of it.

.PHONY: series series-build check cross

series: ## write the [PATCH n/m] mails to $(O)/series, apply and check them
	@$(B)/deps.sh base tree series
	@tools/series/series.sh

series-build: ## build KVM after each patch of the series
	@$(B)/deps.sh base tree kernel series
	@tools/series/series-build.sh

check: ## checkpatch, sparse and W=1: no warning that stock has not
	@$(B)/deps.sh base tree kernel check
	@tools/series/check.sh

cross: ## compile virt/kvm for arm64 and riscv
	@$(B)/deps.sh base tree kernel cross
	@tools/series/cross.sh
