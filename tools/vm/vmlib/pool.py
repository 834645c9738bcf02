# SPDX-License-Identifier: GPL-2.0
"""Runs tests in several VMs at once, and survives what tests do to a VM."""
import dataclasses
import fcntl
import glob
import os
import shutil
import threading
import time

from .console import L1
from .errors import Died, Ended
from .guest import Guest
from .results import FAIL, PASS, SKIP, Result

KSFT_SKIP = 4
KILLED = 137
SHOWN_LINES = 64
# Before what a test that passes measured
FIGURES = "FIGURES: "
# Of what a failed test said last
WIDTH = 100
MARKS = {PASS: "ok", FAIL: "FAIL", SKIP: "skip"}


@dataclasses.dataclass(frozen=True)
class Test:
    """A shell command for the guest; exit status 0 passes, 4 skips.

    A test that ends the VM passes if the VM is gone without a report. More
    than one attempt is for tests that fail on stock's modules at times.
    """

    name: str
    command: str
    limit: int
    ends_vm: bool = False
    attempts: int = 1


@dataclasses.dataclass(frozen=True)
class Task:
    """One test in one kind of VM."""

    config: object
    test: Test

    @property
    def name(self):
        return f"{self.test.name} ({self.config.name})"


class Pool:
    """Workers, each with a VM, that share a list of tasks.

    on_result is called once for each task, under the pool's lock.
    """

    def __init__(self, tasks, logs, vms, on_result=None):
        self.tasks = list(tasks)
        self.total = len(tasks)
        self.logs, self.logs_lock = claim_logs(logs)
        self.vms = max(1, min(vms, self.total))
        self.on_result = on_result or (lambda task, result: None)
        self.results = []
        self.lock = threading.Lock()
        self.claimed = set()
        self.boots = 0
        self.stopping = False

    def run(self):
        """All results; Ctrl-C ends the VMs and is passed on."""
        workers = [Worker(self) for _ in range(self.vms)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(0.5)
        except KeyboardInterrupt:
            self.stopping = True
            for worker in workers:
                worker.abandon()
            raise
        for worker in workers:
            if worker.error:
                raise worker.error
        return self.results

    def next_task(self, config):
        """A task, for the VM that the worker has if there is any."""
        with self.lock:
            if self.stopping or not self.tasks:
                return None
            same = [t for t in self.tasks if t.config == config]
            task = (same or self._of_next_config())[0]
            self.claimed.add(task.config)
            self.tasks.remove(task)
            return task

    def _of_next_config(self):
        """Tasks of the first configuration that no worker has begun; if there
        is none, of the one that has the most left."""
        left = [task.config for task in self.tasks]
        fresh = [config for config in left if config not in self.claimed]
        wanted = fresh[0] if fresh else max(left, key=left.count)
        return [t for t in self.tasks if t.config == wanted]

    def next_log(self, config):
        with self.lock:
            self.boots += 1
            return os.path.join(self.logs,
                                f"vm-{self.boots}-{config.slug}.log")

    def finish(self, task, result):
        with self.lock:
            if self.stopping:
                return
            self.results.append(result)
            width = len(str(self.total))
            print(f"[{len(self.results):{width}}/{self.total}] "
                  f"{MARKS[result.status]:4} {result.name} "
                  f"{result.seconds:.0f} s  {result.detail}".rstrip(),
                  flush=True)
            self.on_result(task, result)

    def add_failure(self, name, report, log):
        """A kernel report that belongs to no test."""
        with self.lock:
            self.total += 1
        self.finish(None, Result(name, FAIL, 0, report.title, log))


class Worker(threading.Thread):
    """Takes tasks until there are none; keeps its VM while it is healthy."""

    def __init__(self, pool):
        super().__init__(daemon=True)
        self.pool = pool
        self.guest = None
        self.error = None

    def run(self):
        try:
            while task := self.pool.next_task(self.guest and
                                              self.guest.config):
                self.pool.finish(task, self._result(task))
            self._retire()
        except Exception as error:  # handed to the main thread
            self.error = error
            self.pool.stopping = True
            self.abandon()

    def abandon(self):
        guest, self.guest = self.guest, None
        if guest and guest.process:
            guest.process.kill()

    def _result(self, task):
        """The last attempt's; what the kernel reports is never retried."""
        before = []
        for _ in range(task.test.attempts):
            result = self._attempt(task)
            if result.status != FAIL or os.path.exists(excerpt(result.log)):
                break
            before.append(result.detail)
        if before and result.status == PASS:
            result.detail = (f"passed at attempt {len(before) + 1}, "
                             f"after: {'; '.join(before)}")
        return result

    def _attempt(self, task):
        started = time.monotonic()
        try:
            self._provide(task.config)
            start = self.guest.console_size()
            status, detail = self._run_test(task)
        except Died as error:
            start = 0
            self.guest.kill()
            status, detail = FAIL, str(error)
        seconds = time.monotonic() - started
        reports = self.guest.reports()
        log = self._keep_log(task, start, reports)
        if reports:
            status, detail = FAIL, f"kernel: {reports[0].title}"
        elif status == FAIL:
            detail += last_words(log)
        elif status == PASS:
            detail = figures(log)
        if status == FAIL or task.test.ends_vm:
            self._drop()
        return Result(task.name, status, seconds, detail, log)

    def _keep_log(self, task, start, reports):
        """The console's part for one test, and the reports in it."""
        folder = os.path.join(self.pool.logs, task.config.slug)
        os.makedirs(folder, exist_ok=True)
        log = os.path.join(folder, f"{task.test.name}.log")
        with open(self.guest.log, "rb") as console, open(log, "wb") as file:
            console.seek(start)
            file.write(console.read())
        save_excerpt(log, reports)
        return log

    def _run_test(self, task):
        limit = task.test.limit * task.config.slowness
        started = time.monotonic()
        try:
            status = self.guest.run(task.test.command, limit)
        except Ended as error:
            self.guest.kill()
            return (PASS, "") if task.test.ends_vm else (FAIL, str(error))
        except Died as error:
            self.guest.kill()
            return FAIL, str(error)
        if status == KILLED and time.monotonic() - started >= limit - 1:
            return FAIL, f"did not end within {limit} s"
        if status == KSFT_SKIP:
            return SKIP, ""
        return (FAIL, f"exit status {status}") if status else (PASS, "")

    def _provide(self, config):
        """A VM that is up; a failed test's VM is never used again."""
        if self.guest and self.guest.config == config:
            return
        self._retire()
        self.guest = Guest(config, self.pool.next_log(config))
        self.guest.boot()
        self._blame("boot", self.guest)

    def _retire(self):
        guest = self.guest
        self._drop()
        if guest:
            self._blame("power-off", guest)

    def _blame(self, step, guest):
        """What a VM reports outside tests is a failure of that step."""
        reports = guest.reports()
        if reports:
            save_excerpt(guest.log, reports)
            self.pool.add_failure(f"{step} ({guest.config.name})",
                                  reports[0], guest.log)

    def _drop(self):
        guest, self.guest = self.guest, None
        if guest:
            guest.stop()


def claim_logs(folder):
    """A folder for logs that no other run uses, and the open lock of it."""
    os.makedirs(folder, exist_ok=True)
    lock = open(os.path.join(folder, ".lock"), "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return claim_logs(f"{folder}-{os.getpid()}")
    for old in glob.glob(os.path.join(folder, "vm-*")):
        shutil.rmtree(old) if os.path.isdir(old) else os.unlink(old)
    return folder, lock


def excerpt(log):
    """The file with the kernel's reports in a log."""
    return log + ".reports"


def figures(log):
    """What a test that passed says for its result."""
    with open(log, encoding="utf-8", errors="replace") as file:
        found = [line.removeprefix(FIGURES).strip() for line in file
                 if line.startswith(FIGURES)]
    return found[-1] if found else ""


def last_words(log):
    """Behind a detail: what the test, or what it ran in, said last."""
    with open(log, encoding="utf-8", errors="replace") as file:
        said = [line.removeprefix(L1).strip() for line in file]
    said = [line for line in said if line and not line.startswith("VM: ")]
    told = [line for line in said if "FAIL: " in line] or said
    return ": " + told[-1].split("FAIL: ")[-1][:WIDTH] if told else ""


def save_excerpt(log, reports):
    """Keeps the kernel's reports beside the log, for the end of the run."""
    if os.path.exists(excerpt(log)):
        os.unlink(excerpt(log))
    if reports:
        with open(excerpt(log), "w", encoding="utf-8") as file:
            for report in reports:
                print("", *report.lines, sep="\n    ", file=file)


def print_failures(results):
    """Says for each failed test where to look, and shows each log once."""
    shown = {""}
    for result in results:
        if result.status != FAIL:
            continue
        print(f"FAIL {result.name}: {result.detail}")
        print(f"     log: {result.log}")
        if result.log not in shown:
            print_log(result.log)
        shown.add(result.log)


def print_log(log):
    """The kernel's reports in a log, or its end: CI's own log is all we get."""
    path = excerpt(log) if os.path.exists(excerpt(log)) else log
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file.readlines()[-SHOWN_LINES:]:
            print("    |", line.rstrip())
