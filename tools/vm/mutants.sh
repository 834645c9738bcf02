#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Runs KUnit against each mutant of our code in tests/mutants (vmlib/mutants.py),
# in folders of its own below $(O)/mutants: nobody's tree is changed.
. "$(dirname "$0")/../base/lib.sh"

check_config
lock_o
need_disk 500 "the mutants"
need_memory 2560 "the VM of the mutants"
exec "$REPO/tools/vm/vm" mutants
