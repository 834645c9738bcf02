# SPDX-License-Identifier: GPL-2.0
"""Chooses what QEMU runs the VM on: TCG, or the host's KVM if it nests."""
import os
import re

from . import tsc
from .errors import Fatal

NESTED = {"svm": "/sys/module/kvm_amd/parameters/nested",
          "vmx": "/sys/module/kvm_intel/parameters/nested"}
ICOUNT_KHZ = 1_000_000


def choose(wanted):
    """ACCEL=auto, tcg or kvm to the arguments for QEMU, and a word on why."""
    if wanted not in ("auto", "tcg", "kvm"):
        raise Fatal(f"ACCEL={wanted}: must be auto, tcg or kvm")
    obstacle = "ACCEL=tcg" if wanted == "tcg" else why_no_kvm()
    if not obstacle:
        return ["-accel", "kvm", "-cpu", "host"], "the host's KVM, nested"
    if wanted == "kvm":
        raise Fatal(f"ACCEL=kvm: {obstacle}")
    return ["-accel", "tcg,thread=multi", "-cpu", "max"], f"TCG ({obstacle})"


def arguments(config):
    """QEMU's arguments for a VM, and its TSC's frequency in kHz if known.

    With icount, a clock cycle of the VM is an instruction; when all of its CPUs
    are idle, its clock goes on to the next timer at once, whatever the host is
    busy with. Without ERMS it zeroes memory by 8 bytes an instruction, not by
    one, which would be most of what is counted.
    """
    if config.icount:
        return ["-accel", "tcg,thread=single", "-cpu", "max,-erms",
                "-icount", "shift=0,sleep=off"], ICOUNT_KHZ
    qemu_arguments, _ = choose(config.accel)
    return qemu_arguments, "tcg" in qemu_arguments[1] and tsc.host_khz()


def why_no_kvm():
    """What keeps the host's KVM from running KVM in a guest, or None."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "no usable /dev/kvm"
    flags = cpu_flags()
    for flag, parameter in NESTED.items():
        if flag in flags:
            return None if _is_on(parameter) else f"{parameter} is not on"
    return "the host's CPU offers neither svm nor vmx"


def cpu_flags():
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        match = re.search(r"^flags\s*:(.*)$", file.read(), re.MULTILINE)
    return set(match.group(1).split()) if match else set()


def _is_on(parameter):
    try:
        with open(parameter, encoding="ascii") as file:
            return file.read().strip() in ("1", "Y")
    except OSError:
        return False
