# SPDX-License-Identifier: GPL-2.0
"""A VM in QEMU, which has all of the host's files at /host."""
import functools
import hashlib
import os
import re
import socket
import subprocess

from . import accel
from .image import build_image, write_image

NAME = "QEMU"
# The user's, or what qemu.sh has built
PROGRAMS = (os.environ.get("QEMU") or
            os.path.join(os.environ.get("O", ""), "qemu/bin/qemu-system-x86_64"),)
CPUS = 2
SLOWNESS = 1
HOST_FILES = "9p"
INTEL_OPTIONS = ""
# Reports of the kernel that say something about the emulated CPU only
HARMLESS = None
# What its monitor is asked when a VM hangs, how long it may say nothing, and what
# is left out
AUTOPSY = ("info cpus", "info registers -a", "info lapic 0", "info lapic 1", "info pic",
           "info irq")
AUTOPSY_SECONDS = 5
VECTOR_REGISTER = re.compile(r"(FPR|XMM|YMM|\(qemu\))")


def title(variant, kernel_config, npt):
    return f"{variant} {kernel_config} npt={npt}"


def command_line(loglevel=7):
    """A busy host can make timer checks fail: they are left out."""
    return (f"console=ttyS0 loglevel={loglevel} oops=panic panic=-1 "
            "nokaslr mitigations=off no_timer_check tsc=reliable")


def identity(config):
    """What of the machine, beside its kernel, can change a result."""
    return [config.accel, version()]


@functools.cache
def version():
    """What QEMU says of itself; ours names its patches there."""
    return subprocess.run([*PROGRAMS, "--version"], text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def command(config, image, extra, loglevel=7):
    """QEMU with the arguments that every VM has in common.

    setpriv ends QEMU with us, even when we are killed.
    """
    accel_args, _ = accel.arguments(config)
    return ["setpriv", "--pdeathsig", "KILL", *PROGRAMS, *accel_args,
            *machine_arguments(config, image, "", loglevel), *extra]


def machine_arguments(config, image, root, loglevel):
    """A machine of this size, with the files below root as the host's.

    The kernel's memory ends at a whole MiB: of a last part of 64 pages,
    page_idle, which access_tracking_perf_test reads, tells nothing.
    """
    append = f"{config.command_line(loglevel)} mem={config.memory - 1}M"
    _, tsc_khz = accel.arguments(config)
    if tsc_khz:
        append += f" tsc_early_khz={tsc_khz}"
    return [
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-m", str(config.memory), "-smp", str(config.cpus),
        "-kernel", root + config.kernel, "-initrd", root + image,
        "-append", append,
        "-fsdev", f"local,id=host,path={root or '/'},security_model=none,"
                  "readonly=on,multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host",
    ]


def start(config, folder, log, errors):
    """The process, a descriptor of the VM's second serial port, and None.

    QEMU itself writes what the first port prints to the log.
    """
    return start_with(config, folder, log, errors, build_image(config, "agent"))


def start_with(config, folder, log, errors, initramfs):
    """start() with another initramfs than the agent's."""
    image = os.path.join(folder, "initramfs")
    write_image(image, initramfs)
    extra = [*output_arguments(config, log), *monitor_arguments(log),
             "-serial", f"file:{log}",
             "-chardev", "stdio,id=control,signal=off",
             "-serial", "chardev:control"]
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(command(config, image, extra),
                                   stdin=theirs, stdout=theirs, stderr=errors)
    return process, ours.detach(), None


def output_arguments(config, log):
    """The VM's own folder below the output of its configuration, if any."""
    if not config.output:
        return []
    folder = os.path.join(config.output, os.path.basename(log))
    os.makedirs(folder, exist_ok=True)
    return ["-fsdev", f"local,id=output,path={folder},security_model=none",
            "-device", "virtio-9p-pci,fsdev=output,mount_tag=output"]


def monitor_name(log):
    """Of an abstract socket: a path may be too long for one."""
    return "kvm-vm-" + hashlib.sha256(log.encode()).hexdigest()[:16]


def monitor_arguments(log):
    return ["-chardev", f"socket,id=monitor,path={monitor_name(log)},abstract=on,"
                        "server=on,wait=off", "-mon", "chardev=monitor"]


def autopsy(log):
    """What QEMU knows of the CPUs and interrupts of a VM that hangs."""
    said = b""
    try:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(AUTOPSY_SECONDS)
            monitor.connect("\0" + monitor_name(log))
            monitor.sendall("\n".join([*AUTOPSY, ""]).encode())
            while data := monitor.recv(1 << 16):
                said += data
    except OSError:
        pass
    lines = said.decode(errors="replace").splitlines()
    return [line for line in lines if not VECTOR_REGISTER.match(line)]


def complaint(status, said):
    """Why QEMU ended, unless the guest wanted it to."""
    return f"QEMU ended with status {status}: {said[-1:]}" if status else ""
