# SPDX-License-Identifier: GPL-2.0
"""One running VM.

The first serial port is the console and goes to a log file. The second one
is the control line: the host sends `run LIMIT COMMAND`, the guest's init
answers `done STATUS`. Nothing but these lines is ever printed there, so
kernel messages cannot garble a result.
"""
import os
import select
import shutil
import subprocess
import time

from . import qemu
from .console import Scanner
from .errors import Died, Ended, Fatal
from .image import build_image, write_image

POLL = 0.5
BOOT_LIMIT = 240
QUIET = 5
OFF_LIMIT = 20
SAVE_LIMIT = 300


class Guest:
    """A VM that runs commands one after the other."""

    def __init__(self, config, log):
        self.config = config
        self.log = log
        self.errors = log + ".machine"
        self.scanner = Scanner(config.driver.HARMLESS, kvm_is_module=True)
        self.answers = b""
        self.process = None
        self.control = None
        self.port = None
        self.console = None

    def boot(self):
        """Starts the VM; raises Died unless its init reports in time."""
        folder = os.path.splitext(self.log)[0] + ".boot"
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        try:
            self._start(folder)
            limit = BOOT_LIMIT * self.config.slowness
            answer = self._answer(limit, "boot")
        finally:
            shutil.rmtree(folder)
        if answer != "ready":
            raise Died(f"the VM did not come up: {answer}")

    def _start(self, folder):
        with open(self.log, "wb"), open(self.errors, "wb") as errors:
            self.process, self.control, self.port = self.config.driver.start(
                self.config, folder, self.log, errors)
        if self.port is not None:
            os.set_blocking(self.port, False)
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
        """Powers the VM off, or ends it when the guest does not.

        A VM with an output folder writes to it first, which takes time.
        """
        if self.process is None:
            return
        limit = SAVE_LIMIT if self.config.output else OFF_LIMIT
        try:
            self._send("off")
            self.process.wait(limit * self.config.slowness)
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
        for descriptor in (self.control, self.port):
            if descriptor is not None:
                os.close(descriptor)
        self.port = None
        self.scanner.flush()
        self.console.close()
        if not os.path.getsize(self.errors):
            os.unlink(self.errors)

    def _send(self, line):
        try:
            os.write(self.control, line.encode() + b"\n")
        except OSError:
            raise self._how_it_ended() from None

    def _answer(self, limit, what):
        """The next line from the guest; keeps an eye on the console."""
        deadline = time.monotonic() + limit
        while b"\n" not in self.answers:
            if time.monotonic() > deadline:
                self._log_autopsy()
                raise Died(f"the VM hangs: {what} took over {limit} s")
            ports = [p for p in (self.control, self.port) if p is not None]
            ready = select.select(ports, [], [], POLL)[0]
            self._read_console()
            if self.control in ready:
                self.answers += self._receive()
        line, self.answers = self.answers.split(b"\n", 1)
        return line.decode(errors="replace").strip()

    def _receive(self):
        """What the guest sent; without a machine, an error or nothing."""
        try:
            data = os.read(self.control, 4096)
        except OSError:
            data = b""
        if not data:
            raise self._how_it_ended()
        return data

    def _how_it_ended(self):
        status = self.process.wait()
        self._read_console()
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            said = [line.strip() for line in file if line.strip()]
        complaint = self.config.driver.complaint(status, said)
        if complaint:
            return Died(complaint)
        if self._has_rebooted():
            return Ended("the VM rebooted")
        return Died("the VM died (a triple fault?)")

    def _has_rebooted(self):
        """The kernel's last words tell a reboot from a triple fault."""
        with open(self.log, "rb") as file:
            return b"reboot: " in file.read()[-300:]

    def _fill_log(self):
        """Writes to the log what the machine leaves to us."""
        with open(self.log, "ab") as file:
            try:
                while data := os.read(self.port, 4096):
                    file.write(data)
            except OSError:  # nothing is left, or the machine is gone
                pass

    def _log_autopsy(self):
        """Writes to the log where the CPUs of a machine are that hangs."""
        with open(self.log, "a", encoding="utf-8") as file:
            print("", *self.config.driver.autopsy(self.log), sep="\n", file=file)

    def _read_console(self):
        if self.port is not None:
            self._fill_log()
        if not self.console.closed:
            self.scanner.feed(self.console.read())


def interact(config, image, commands):
    """A VM in QEMU whose console is this terminal; the exit status.

    Commands, if there are any, are run instead of an interactive shell.
    """
    write_image(image, build_image(config, "shell", commands))
    command = qemu.command(config, image, ["-serial", "mon:stdio"],
                           QUIET)
    stdin = subprocess.DEVNULL if commands else None
    try:
        return subprocess.call(command, stdin=stdin)
    except OSError as error:
        raise Fatal(f"{command[0]}: {error.strerror}") from None
