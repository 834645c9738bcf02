#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The VM reboots under a running guest; that it ends quietly is the test.
. "${0%/*}/lib.sh"

start_ticking_guest 2
reboot -f
sleep 60
fail "the VM did not reboot"
