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
# A data race, and the functions on both sides; one alone if the other's is not
# known.
RACE = re.compile(r"\bKCSAN: data-race in ([^\s+]+)(?:\+\S+)?(?: \[kvm\])?"
                  r"(?: / ([^\s+]+)(?: \[kvm\])?)?$")
# Functions of stock files that race with one another, seen there: the host's
# clock mode (pvclock_gtod_notify), current->flags as a vCPU enters its guest
# (vcpu_run), flags of a vCPU whose task is scheduled out and in
# (kvm_arch_vcpu_put, kvm_arch_vcpu_load), an idle CPU's tick, the host's
# time, who sleeps on an hrtimer, how long a task of a workqueue took.  One of
# ours on either side is a report.
STOCK_RACERS = frozenset((
    "do_nanosleep", "hrtimer_wakeup", "ktime_get_mono_fast_ns",
    "ktime_get_real_seconds", "kvm_arch_vcpu_load", "kvm_arch_vcpu_put",
    "prepare_signal", "process_one_work", "pvclock_gtod_notify",
    "tick_nohz_handler", "tick_nohz_idle_got_tick", "timekeeping_advance",
    "vcpu_run", "x86_emulate_instruction",
))
STAMP = re.compile(r"\[ *\d+\.\d{6}\](\[ *[TC]\d+\])? ")
EXCERPT = 60
# Marks what tests print of the console of a guest inside the VM.
NESTED = "guest| "
# Marks the console of the guest that runs the tests (VM=nested).
L1 = "L1| "


def is_stock_race(message):
    """Does the line begin the report of a race between stock files only?"""
    race = RACE.search(message)
    return bool(race) and STOCK_RACERS.issuperset(filter(None, race.groups()))


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

    What matches harmless, if anything, starts no report.
    """

    def __init__(self, harmless=None):
        self.harmless = harmless
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
                not is_stock_race(message) and
                not (self.harmless and self.harmless.search(message)))


def scan_file(path):
    """The reports in a console log that is complete."""
    scanner = Scanner()
    with open(path, encoding="utf-8", errors="replace") as file:
        scanner.feed(file.read())
    scanner.flush()
    return scanner.take()
