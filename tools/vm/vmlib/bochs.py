# SPDX-License-Identifier: GPL-2.0
"""A VM in Bochs, which emulates Intel's VMX with EPT: for kvm-intel.

Bochs has one CPU and no 9p: the host's files that the tests need are in the
initramfs.
"""
import os
import pty
import re
import subprocess
import tty

from . import loader
from .image import build_image

NAME = "Bochs"
PROGRAMS = ("bochs",)
CPUS = 1
SLOWNESS = 3
HOST_FILES = "initramfs"
# Bochs 3.0 refuses the address of any posted interrupt descriptor
INTEL_OPTIONS = "enable_apicv=0"
# The time of the guest is its instructions, so many each second
IPS = 100_000_000
# The kernel warns of Bochs's CPUID: of the topology, the size of XSAVES areas
HARMLESS = re.compile(r"parse_legacy\+|fpu__init_system_xstate\+")
PANIC = re.compile(r">>PANIC<<\s*(.*)")
POWER_OFF = "soft power off"

SETTINGS = """\
config_interface: textconfig
display_library: rfb, options="timeout=0"
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/seabios/vgabios-stdvga.bin
cpu: model=corei7_skylake_x, count={cpus}, ips={ips}, quantum=16, \
reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={memory}, host={memory}
optromimage1: file={folder}/rom, address={rom_at:#x}
ata0: enabled=1
ata0-master: type=disk, path={folder}/disk, mode=flat
boot: disk
com1: enabled=1, mode=term, dev={console}
com2: enabled=1, mode=term, dev={control}
clock: sync=none, time0=1700000000
panic: action=fatal
error: action=ignore
info: action=ignore
plugin_ctrl: es1370=0, sb16=0, usb_uhci=0, e1000=0, voodoo=0, gameport=0, \
parallel=0, biosdev=0, speaker=0
sound: waveoutdrv=dummy, waveindrv=dummy, midioutdrv=dummy
"""


def title(variant, kernel_config, npt):
    return f"{variant} bochs ept={npt}"


def command_line(loglevel=5):
    """The serial console is slow: less is printed, but every warning."""
    return (f"console=ttyS0,115200 loglevel={loglevel} oops=panic panic=-1 "
            f"nokaslr mitigations=off tsc_early_khz={IPS // 1000}")


def identity(config):
    """What of the machine, beside its kernel, can change a result."""
    return [settings(config, "", "", ""), INTEL_OPTIONS]


def settings(config, folder, console, control):
    return SETTINGS.format(
        cpus=config.cpus, memory=config.memory, ips=IPS, folder=folder,
        rom_at=loader.ROM_AT, console=console, control=control)


def start(config, folder, _, errors):
    """The process, and descriptors of the VM's second and first serial port.

    Bochs inherits the ports' other ends: ours see when it is gone. It would
    buffer what it writes to a log file, so that reports came late or never.
    """
    prepare_disk(config, folder)
    console, control = serial_port(), serial_port()
    text = settings(config, folder, os.ttyname(console[1]),
                    os.ttyname(control[1]))
    theirs = [console[1], control[1]]
    try:
        process = subprocess.Popen(command(folder, text), pass_fds=theirs,
                                   stdin=subprocess.DEVNULL, stdout=errors,
                                   stderr=errors)
    finally:
        for port in theirs:
            os.close(port)
    return process, control[0], console[0]


def prepare_disk(config, folder):
    """Kernel and initramfs, and the option ROM that loads them."""
    vmlinux = os.path.join(os.path.dirname(config.kconfig), "vmlinux")
    machine = loader.Machine(config.kernel, vmlinux, config.command_line(),
                             config.memory)
    machine.write_images(folder + "/rom", folder + "/disk",
                         build_image(config, "agent"))


def serial_port():
    """A pseudo terminal that passes bytes on as they are."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    return ours, theirs


def command(folder, text):
    """Debian's Bochs is the debugger, whose first command is "continue".

    setpriv ends Bochs with us, even when we are killed.
    """
    paths = [os.path.join(folder, name) for name in ("bochsrc", "debugger")]
    for path, content in zip(paths, (text, "c\n")):
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
    return ["setpriv", "--pdeathsig", "KILL", "bochs", "-q",
            "-f", paths[0], "-rc", paths[1]]


def autopsy(_):
    """Bochs tells nothing while it runs."""
    return []


def complaint(_, said):
    """Why Bochs ended; it takes a power-off for a panic."""
    panics = [match.group(1) for line in said if (match := PANIC.search(line))]
    if not panics:
        return f"Bochs ended: {said[-1:]}"
    return "" if POWER_OFF in panics[0] else f"Bochs panics: {panics[0]}"
