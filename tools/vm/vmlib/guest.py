# SPDX-License-Identifier: GPL-2.0
"""One running VM.

The first serial port is the console and goes to a log file. The second one
is the control line: the host sends `run LIMIT COMMAND`, the guest's init
answers `done STATUS`. Nothing but these lines is ever printed there, so
kernel messages cannot garble a result.
"""
import os
import select
import subprocess
import time

from . import accel
from .console import Scanner
from .errors import Died, Ended, Fatal
from .image import build_image

POLL = 0.5
BOOT_LIMIT = 240
QUIET = 5


def qemu_command(config, image, extra, loglevel=7):
    """The arguments that every VM has in common.

    setpriv ends QEMU with us, even when we are killed.
    """
    accel_args, tsc_khz = accel.arguments(config)
    append = config.command_line(loglevel)
    if tsc_khz:
        append += f" tsc_early_khz={tsc_khz}"
    return [
        "setpriv", "--pdeathsig", "KILL", config.qemu, *accel_args,
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-m", str(config.memory), "-smp", str(config.cpus),
        "-kernel", config.kernel, "-initrd", image,
        "-append", append,
        "-fsdev", "local,id=host,path=/,security_model=none,readonly=on,"
                  "multidevs=remap",
        "-device", "virtio-9p-pci,fsdev=host,mount_tag=host", *extra,
    ]


class Guest:
    """A VM that runs commands one after the other."""

    def __init__(self, config, log):
        self.config = config
        self.log = log
        self.scanner = Scanner()
        self.answers = b""
        self.process = None
        self.console = None

    def boot(self):
        """Starts the VM; raises Died unless its init reports in time."""
        image = os.path.splitext(self.log)[0] + ".cpio"
        build_image(self.config, "agent", image)
        self._start(image)
        limit = BOOT_LIMIT * self.config.slowness
        answer = self._answer(limit, "boot")
        os.unlink(image)
        if answer != "ready":
            raise Died(f"the VM did not come up: {answer}")

    def _start(self, image):
        extra = ["-serial", f"file:{self.log}",
                 "-chardev", "stdio,id=control,signal=off",
                 "-serial", "chardev:control"]
        with open(self.log, "wb"), \
             open(self.log + ".qemu", "wb") as errors:
            self.process = subprocess.Popen(
                qemu_command(self.config, image, extra),
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        self.console = open(self.log, encoding="utf-8", errors="replace")

    def run(self, command, limit):
        """Runs a shell command in the guest; its exit status."""
        self._send(f"run {limit} {command}")
        grace = 30 * self.config.slowness
        answer = self._answer(limit + grace, "the command")
        word, _, status = answer.partition(" ")
        if word != "done" or not status.isdigit():
            raise Died(f"the VM answered '{answer}'")
        return int(status)

    def reports(self):
        """What the kernel complained about since the last call."""
        self._read_console()
        return self.scanner.take()

    def console_size(self):
        """Where in the log the next output goes."""
        return os.path.getsize(self.log)

    def stop(self):
        """Powers the VM off, or ends QEMU when the guest does not."""
        if self.process is None:
            return
        try:
            self._send("off")
            self.process.stdin.close()
            self.process.wait(20 * self.config.slowness)
        except (Died, OSError, subprocess.TimeoutExpired):
            pass
        self.kill()

    def kill(self):
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        self.process = None
        self._read_console()
        self.scanner.flush()
        self.console.close()
        if not os.path.getsize(self.log + ".qemu"):
            os.unlink(self.log + ".qemu")

    def _send(self, line):
        try:
            self.process.stdin.write(line.encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise self._how_it_ended() from None

    def _answer(self, limit, what):
        """The next line from the guest; keeps an eye on the console."""
        deadline = time.monotonic() + limit
        while b"\n" not in self.answers:
            if time.monotonic() > deadline:
                raise Died(f"the VM hangs: {what} took over {limit} s")
            if select.select([self.process.stdout], [], [], POLL)[0]:
                data = os.read(self.process.stdout.fileno(), 4096)
                if not data:
                    raise self._how_it_ended()
                self.answers += data
            self._read_console()
        line, self.answers = self.answers.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def _how_it_ended(self):
        status = self.process.wait()
        self._read_console()
        errors = self.log + ".qemu"
        with open(errors, encoding="utf-8", errors="replace") as file:
            said = [line.strip() for line in file if line.strip()]
        if not status and self._has_rebooted():
            return Ended("the VM rebooted")
        if not status:
            return Died("the VM died (a triple fault?)")
        return Died(f"QEMU ended with status {status}: {said[-1:]}")

    def _has_rebooted(self):
        """The kernel's last words tell a reboot from a triple fault."""
        with open(self.log, "rb") as file:
            return b"reboot: " in file.read()[-300:]

    def _read_console(self):
        if not self.console.closed:
            self.scanner.feed(self.console.read())


def interact(config, image, commands):
    """A VM whose console is this terminal; QEMU's exit status.

    Commands, if there are any, are run instead of an interactive shell.
    """
    build_image(config, "shell", image, commands)
    command = qemu_command(config, image, ["-serial", "mon:stdio"],
                           QUIET)
    stdin = subprocess.DEVNULL if commands else None
    try:
        return subprocess.call(command, stdin=stdin)
    except OSError as error:
        raise Fatal(f"{config.qemu}: {error.strerror}") from None
