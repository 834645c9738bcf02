# SPDX-License-Identifier: GPL-2.0
"""What can run a VM: VM=qemu, VM=nested (a guest of that VM) or VM=bochs.

Each is a module: PROGRAMS it needs, CPUS it has, SLOWNESS by which limits grow,
HOST_FILES (how the host's files come to the guest), INTEL_OPTIONS of kvm-intel,
HARMLESS reports of the kernel, title(), command_line(), identity(), start(),
autopsy() and complaint().
"""
import os
import shutil

from . import bochs, l1, qemu
from .errors import Fatal

MACHINES = {"qemu": qemu, "nested": l1, "bochs": bochs}


def wanted():
    """The user's VM=NAME."""
    name = os.environ.get("VM") or "qemu"
    if name not in MACHINES:
        raise Fatal(f"VM={name}: must be {' or '.join(MACHINES)}")
    return name


def check_programs(name):
    for program in MACHINES[name].PROGRAMS:
        if not shutil.which(program):
            raise Fatal(f"no {program}: run make deps qemu")
