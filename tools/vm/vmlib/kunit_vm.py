# SPDX-License-Identifier: GPL-2.0
"""One VM that loads kvm.ko, and what its KUnit tests said on the console."""
import dataclasses
import os
import re
import subprocess
import time

from . import qemu
from .config import REPO
from .console import STAMP, scan_file
from .image import write_image
from .initramfs import Initramfs, find_busybox
from .results import FAIL, PASS, SKIP

SUITE = re.compile(r"^ {4}# Subtest: (.+)$")
EXPECTATION = re.compile(r"^ {4}# (\w+): (EXPECTATION|ASSERTION) FAILED at ")
CASE = re.compile(r"^ {4}(not )?ok \d+ (\S+)(.*# SKIP)?")
LOADED = re.compile(r"^VM: insmod status (\d+)$", re.MULTILINE)
POLL = 0.3
SHARED_MODULES = ("irqbypass.ko", "kunit.ko")


@dataclasses.dataclass
class Outcome:
    """Results of cases by "suite.case", and how the VM ended.

    trouble is empty if the VM ended as it should, and says else why it did not.
    """

    cases: dict
    trouble: str
    log: str

    def failed(self):
        return [name for name, status in self.cases.items() if status == FAIL]


def run_kunit(config, module, pattern, limit, log, arguments=""):
    """Runs the tests of a kvm.ko whose names match; limit is in seconds.

    arguments: parameters for the module.
    Of one test, the first failed expectation is enough.
    """
    os.makedirs(os.path.dirname(log), exist_ok=True)
    image = log + ".initramfs"
    write_image(image, kunit_image(config, module, pattern, arguments))
    command = qemu.command(config, image, ["-serial", f"file:{log}"])
    open(log, "w", encoding="ascii").close()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        status = watch(process, pattern, limit, log)
    finally:
        process.kill()
        process.wait()
        os.unlink(image)
    text = read_log(log)
    return Outcome(read_cases(text), find_trouble(text, status, limit, log), log)


def watch(process, test, limit, log):
    """Waits for the VM, and no longer than until the test has failed.

    Returns its exit status, or None if it did not end by itself.
    """
    deadline = time.monotonic() + limit
    while process.poll() is None and time.monotonic() < deadline:
        if read_cases(read_log(log)).get(test) == FAIL:
            break
        time.sleep(POLL)
    return process.poll()


def read_log(log):
    with open(log, encoding="utf-8", errors="replace") as file:
        return file.read()


def kunit_image(config, module, pattern, arguments):
    image = Initramfs()
    image.add_file("bin/busybox", find_busybox(), 0o755)
    image.add_file("init", os.path.join(REPO, "tools/vm/kunit-init"), 0o755)
    for name in SHARED_MODULES:
        image.add_file("modules/" + name, os.path.join(config.modules, name))
    image.add_file("modules/kvm.ko", module)
    image.add_bytes("vm.conf", f"FILTER='{pattern}'\nARGS='{arguments}'\n".encode())
    return image.finish()


def read_cases(text):
    """The results of cases, parameters taken together, in KTAP on a console.

    A failed expectation counts even if the VM did not live to say "not ok".
    """
    cases, suite = {}, ""
    for line in text.splitlines():
        line = STAMP.sub("", line, count=1)
        if match := SUITE.match(line):
            suite = match[1]
        elif match := EXPECTATION.match(line):
            cases[f"{suite}.{match[1]}"] = FAIL
        elif match := CASE.match(line):
            status = FAIL if match[1] else SKIP if match[3] else PASS
            cases[f"{suite}.{match[2]}"] = status
    return cases


def find_trouble(text, status, limit, log):
    """What went wrong beside the tests themselves, in a few words."""
    loaded = LOADED.search(text.replace("\r", ""))
    reports = scan_file(log)
    if status is None:
        return f"hangs, {limit} s were not enough"
    if not loaded:
        return "crashes: " + (reports[0].title if reports else
                              f"QEMU ended with status {status}")
    if loaded[1] != "0":
        return f"kvm.ko does not load (insmod status {loaded[1]})"
    return "kernel: " + reports[0].title if reports else ""
