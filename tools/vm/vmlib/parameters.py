# SPDX-License-Identifier: GPL-2.0
"""Tests that want other parameters of KVM's modules.

The name of such a test is that of the plain one, + and a word of its own.  Among
its arguments are the parameters, as the kernel's command line would have them.
"""
import re

PARAMETER = re.compile(r"kvm(_amd|_intel)?\.\w+=\S+")


def plain_name(name):
    """The test that this one is."""
    return name.partition("+")[0]


def command_line(program, arguments):
    """What the VM runs: the program, with KVM loaded anew if need be."""
    words = arguments.split()
    wanted = [word for word in words if PARAMETER.fullmatch(word)]
    command = " ".join([program, *(w for w in words if w not in wanted)])
    return f"kvm-with {' '.join(wanted)} -- {command}" if wanted else command
