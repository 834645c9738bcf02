# SPDX-License-Identifier: GPL-2.0
"""Finds the kernel's own reports of trouble in the log of a serial console."""
import re

# What the kernel prints when something is wrong. Each pattern is looked for
# behind a printk time stamp, so that the output of a test cannot match.
TROUBLE = re.compile("|".join((
    r"\bBUG\b", r"\bWARNING: ", r"\bOops\b", r"\bINFO: ",
    r"(?<!traps: )\bgeneral protection fault\b", r"Kernel panic",
    r"\bKASAN: ", r"\bKCSAN: ", r"\bUBSAN: ", r"\bKFENCE: ",
    r"possible circular locking", r"suspicious RCU usage",
    r"inconsistent lock state", r"sleeping function called",
    r"rcu.* (self-)?detected stalls?", r"blocked for more than",
    r"soft lockup", r"hard LOCKUP", r"double fault", r"unable to handle",
    r"unchecked MSR access error", r"kernel tried to execute",
    r"stack guard page was hit", r"refcount_t: ",
)))
USER_FAULT = re.compile(r"traps: \S+\[\d+\]")
# A data race: the functions on both sides, each with its module if it is in
# one; one alone if the other's is not known.
SIDE = r"([^\s+]+)(?:\+\S+)?( \[\w+\])?"
RACE = re.compile(rf"\bKCSAN: data-race in {SIDE}(?: / {SIDE})?$")
# Functions of stock files that race with one another, seen there: the host's
# clock mode (pvclock_gtod_notify), current->flags as a vCPU enters its guest
# (vcpu_run), flags of a vCPU whose task is scheduled out and in
# (kvm_arch_vcpu_put, kvm_arch_vcpu_load), how long a task of a workqueue took,
# a vCPU's state for Xen, or its segments, whose task is scheduled out while KVM writes
# them (kvm_xen_update_runstate; svm_set_segment, svm_get_cpl), a clock that is made to
# be read while it is written (ktime_get_mono_fast_ns).  One of ours on either side is a
# report.
STOCK_RACERS = frozenset((
    "ktime_get_mono_fast_ns", "kvm_arch_vcpu_load", "kvm_arch_vcpu_put",
    "kvm_xen_update_runstate", "process_one_work", "pvclock_gtod_notify", "svm_get_cpl",
    "svm_set_segment", "vcpu_run", "x86_emulate_instruction",
))
# Functions outside of KVM that work on KVM's own data: trees, lists, bitmaps,
# copies.  A race in these may be ours even where KVM is a module.
LIBRARY = re.compile(r"_*(rb|interval_tree|xas?|l?list|find|bitmap|copy)_")
STAMP = re.compile(r"\[ *\d+\.\d{6}\](\[ *[TC]\d+\])? ")
EXCERPT = 60
# Marks what tests print of the console of a guest inside the VM.
NESTED = "guest| "
# Marks the console of the guest that runs the tests (VM=nested).
L1 = "L1| "


def is_stock_race(message, kvm_is_module):
    """Does the line begin the report of a race between stock files only?"""
    race = RACE.search(message)
    if not race:
        return False
    sides = [side for side in (race.groups()[:2], race.groups()[2:]) if side[0]]
    # If one side is not known, its module is not either.
    by_module = kvm_is_module and len(sides) == 2
    return all(_is_stock(*side, by_module) for side in sides)


def _is_stock(function, module, by_module):
    if function in STOCK_RACERS:
        return True
    return by_module and not module and not LIBRARY.match(function)


class Report:
    """One report of the kernel: its first line, and some that follow."""

    def __init__(self, line):
        self.title = line
        self.lines = [line]

    def add(self, line):
        if len(self.lines) < EXCERPT:
            self.lines.append(line)


class Scanner:
    """Is fed what the console prints; keeps the reports in it.

    What matches harmless, if anything, starts no report. Where KVM is a
    module, a race between functions of no module is the base's.
    """

    def __init__(self, harmless=None, kvm_is_module=False):
        self.harmless = harmless
        self.kvm_is_module = kvm_is_module
        self.reports = []
        self.partial = ""

    def feed(self, text):
        lines = (self.partial + text).split("\n")
        self.partial = lines.pop()
        for line in lines:
            self._line(line.rstrip("\r"))

    def flush(self):
        self.feed("\n")

    def take(self):
        """The reports since the last call."""
        reports, self.reports = self.reports, []
        return reports

    def _line(self, line):
        stamp = STAMP.search(line)
        if not stamp or NESTED in line:
            return
        message = line[stamp.end():]
        if line.startswith(L1):
            message = L1 + message
        if self.reports and not self._starts_report(message):
            self.reports[-1].add(message)
        elif self._is_trouble(message):
            self.reports.append(Report(message))

    def _starts_report(self, message):
        """Lines of one splat often match twice: they stay one report."""
        return (len(self.reports[-1].lines) >= EXCERPT and
                self._is_trouble(message))

    def _is_trouble(self, message):
        return (TROUBLE.search(message) and not USER_FAULT.search(message) and
                not is_stock_race(message, self.kvm_is_module) and
                not (self.harmless and self.harmless.search(message)))


def scan_file(path):
    """The reports in a console log that is complete."""
    scanner = Scanner()
    with open(path, encoding="utf-8", errors="replace") as file:
        scanner.feed(file.read())
    scanner.flush()
    return scanner.take()
