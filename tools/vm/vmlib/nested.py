# SPDX-License-Identifier: GPL-2.0
"""make run: a Linux guest on our KVM, then MMIO against memory slots."""
import dataclasses
import os
import re
import time

from . import accel
from .config import check_host, make_config, where
from .errors import Died
from .guest import Guest
from .guest_tests import guest_tests
from .image import build_nested_image
from .results import FAIL, PASS, Result, counts, summary, write_ktap
from .pool import print_failures, save_excerpt
from .selftests import Selftests

RACE = "mmio_memslot_race_test"
MODES = {1: "nested paging (npt=1)", 0: "shadow paging (npt=0)"}
# What the VM says of its kernel and of its KVM, which has a version if it was
# built outside of the kernel's tree
MARK = "whose: "
WHOSE = (f'echo "{MARK}$(uname -r) $(cat /sys/module/kvm/version 2>/dev/null)"')
FACTS = ("slot changes", "judged accesses", "stale accesses", "mmio exits",
         "mmio cache hits", "generation")


class Demo:
    """Both steps in one VM, and what they printed."""

    def __init__(self, config, log):
        self.guest = Guest(config, log)
        self.results = []
        self.identity = ""

    def run(self, steps):
        mode = MODES[self.guest.config.npt]
        print(f"\n== {mode}", flush=True)
        try:
            print("booting the VM ...", flush=True)
            started = time.monotonic()
            self.guest.boot()
            print(f"the VM is up after {time.monotonic() - started:.0f} s, "
                  "KVM is loaded", flush=True)
            self.identity = self._output(WHOSE)
            for step in steps:
                self._step(step)
        except Died as error:
            self._add("the VM", FAIL, str(error))
        finally:
            self.guest.stop()
        self._check_reports("power-off")
        return self.results

    def _output(self, command):
        """What a short command prints."""
        start = self.guest.console_size()
        self.guest.run(command, 20)
        with open(self.guest.log, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            lines = [line.strip() for line in file]
        return next((line.removeprefix(MARK) for line in lines
                     if line.startswith(MARK)), "")

    def _step(self, test):
        print(f"{test.name} ...", flush=True)
        start = self.guest.console_size()
        started = time.monotonic()
        status = self.guest.run(test.command, test.limit)
        seconds = time.monotonic() - started
        with open(self.guest.log, encoding="utf-8", errors="replace") as file:
            file.seek(start)
            show_facts(file.read())
        if not self._check_reports(test.name):
            detail = f"exit status {status}" if status else ""
            self._add(test.name, FAIL if status else PASS, detail, seconds)

    def _check_reports(self, name):
        reports = self.guest.reports()
        if reports:
            save_excerpt(self.guest.log, reports)
            self._add(name, FAIL, f"kernel: {reports[0].title}")
        return bool(reports)

    def _add(self, name, status, detail, seconds=0):
        full = f"{name} ({self.guest.config.name})"
        self.results.append(Result(full, status, seconds, detail,
                                   self.guest.log))


def show_facts(text):
    """The lines for a human out of what a step printed."""
    for line in text.splitlines():
        line = line.strip()
        if line.startswith(("LINUX GUEST: ", "boot time: ")):
            print("    " + line.replace("LINUX GUEST: ", "Linux guest: "))
        elif re.match(f"({'|'.join(FACTS)}): ", line):
            print("    " + line)


def whose(kernel_config, variant, identity):
    """Whose kernel and modules ran, and how long all of make run took."""
    release, _, version = identity.partition(" ")
    owner = "Debian's" if kernel_config == "debian" else "our"
    modules = " ".join(filter(None, [variant, version]))
    started = os.environ.get("STARTED")
    took = f"; {time.time() - int(started):.0f} s in all" if started else ""
    return f"{owner} kernel {release}, KVM's modules {modules}{took}"


def demo_steps(selftests):
    """A Linux guest with two vCPUs, and the race; make test has more of both."""
    guest, = guest_tests(["linux_guest"])
    return [dataclasses.replace(guest, command=guest.command + " 2"),
            *selftests.choose([RACE])]


def run_demo(out, kernel_config, variant):
    """make run; the exit status."""
    check_host()
    paths = where(kernel_config)
    steps = demo_steps(Selftests(paths["tree"], os.path.join(out, "kselftest")))
    results = []
    wanted = os.environ.get("ACCEL") or "auto"
    print(f"the VM runs on {accel.choose(wanted)[1]}")
    for npt in MODES:
        config = make_config(paths, kernel_config, variant, npt)
        build_nested_image(config.nested)
        log = os.path.join(paths["logs"], "run", config.slug + ".log")
        os.makedirs(os.path.dirname(log), exist_ok=True)
        demo = Demo(config, log)
        results += demo.run(steps)
    print()
    print(whose(kernel_config, variant, demo.identity))
    print_failures(results)
    write_ktap(os.path.join(out, "results", "run.ktap"), results)
    print(f"logs: {os.path.dirname(log)}")
    print(summary(*counts(results)))
    return 1 if counts(results)[1] else 0
