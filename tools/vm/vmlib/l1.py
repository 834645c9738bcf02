# SPDX-License-Identifier: GPL-2.0
"""A VM in QEMU whose commands run in a Linux guest of its own (VM=nested).

The outer VM (L0: the KVM that is tested) starts the inner one (L1) with QEMU
on its KVM: same kernel, same modules, same initramfs, the host's files passed
on over 9p. L1 has KVM too, so what a test starts there is an L2 guest. L1
talks to the host over L0's control line; its console is shown on L0's.

L1 has no XSAVE: QEMU's TCG does not intercept XSETBV, so that L0 would not
know L1's XCR0.
"""
import dataclasses
import os
import shlex

from . import qemu
from .console import L1
from .image import build_image, write_image

NAME = "a guest of QEMU"
# Runs on KVM, so what qemu.sh mends in TCG does not matter
INNER = "/usr/bin/qemu-system-x86_64"
PROGRAMS = (*qemu.PROGRAMS, INNER)
CPUS = qemu.CPUS
# The boot, most of all
SLOWNESS = 3
HOST_FILES = qemu.HOST_FILES
INTEL_OPTIONS = qemu.INTEL_OPTIONS
HARMLESS = None
HOST = "/host"
MEMORY = 1536
LOGLEVEL = 5

command_line = qemu.command_line
identity = qemu.identity
complaint = qemu.complaint
autopsy = qemu.autopsy


def title(variant, kernel_config, npt):
    return "nested " + qemu.title(variant, kernel_config, npt)


def start(config, folder, log, errors):
    """As qemu.start(), with an L1 that answers in the place of L0."""
    inner = os.path.join(folder, "initramfs-l1")
    write_image(inner, build_image(config, "agent"))
    outer = build_image(config, "shell", l1_script(config, inner))
    return qemu.start_with(config, folder, log, errors, outer)


def l1_script(config, image):
    """What L0 runs: L1, and a word to the host if that ends."""
    inner = dataclasses.replace(config, memory=MEMORY)
    command = ["inhost", INNER, "-accel", "kvm",
               "-cpu", "host,-xsave",
               *qemu.machine_arguments(inner, image, HOST, LOGLEVEL),
               "-serial", "stdio", "-serial", "/dev/ttyS1"]
    return (f"{shlex.join(command)} </dev/null 2>&1 |\n"
            f"\tsed -e 's/\\r*$//' -e 's/^/{L1}/'\n"
            "echo L1 ended >/dev/ttyS1\n")
