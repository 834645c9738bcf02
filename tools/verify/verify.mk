# SPDX-License-Identifier: GPL-2.0
# Models and litmus tests.

.PHONY: verify

verify: ## models by spin, litmus tests by herd7 (HERD)
	@$(B)/deps.sh base tree verify
	@$(B)/tree.sh
	@tools/verify/verify.sh
