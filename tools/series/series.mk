# SPDX-License-Identifier: GPL-2.0
# The overlay as sets of patches for review, and the static checks of it.

# The number of the only set that is wanted; empty: all
SET ?=
# Who signs the mails off, "Name <mail>"; empty: nobody, and they can't be sent
SIGNOFF ?=
# Which builds of series-build, as in tools/series/build.py; empty: all
BUILDS ?=
export SET SIGNOFF BUILDS RECIPIENTS

.PHONY: series series-trip series-build check cross

series: ## write the sets of mails to $(O)/series, apply and check them (SET, SIGNOFF)
	@$(B)/deps.sh base tree series
	@tools/series/series.sh

series-trip: series ## take the mails back with b4 on the base, as a maintainer does (SET)
	@$(B)/deps.sh series-trip
	@tools/series/series-trip.sh

series-build: ## build KVM after each mail in several ways (SET, BUILDS)
	@$(B)/deps.sh base tree kernel series cross series-build
	@tools/series/series-build.sh

check: ## checkpatch, sparse and W=1: no warning that stock has not
	@$(B)/deps.sh base tree kernel check
	@tools/series/check.sh

cross: ## compile virt/kvm for arm64 and riscv
	@$(B)/deps.sh base tree kernel cross
	@tools/series/cross.sh
