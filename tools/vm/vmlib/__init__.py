# SPDX-License-Identifier: GPL-2.0
"""The test VM: boots a kernel under QEMU and runs tests in it."""
