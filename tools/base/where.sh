#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Prints where the driver keeps things, as name=path lines for scripts.
. "$(dirname "$0")/lib.sh"

check_config
cat <<END
base=$BASE_DIR
tree=$TREE
build=$BUILD
bzImage=$BZIMAGE
modules=$OUR_MODULES
stock_modules=$STOCK_MODULES
logs=$LOGS
END
