# SPDX-License-Identifier: GPL-2.0
"""make kselftest: the tree's KVM selftests, and the table of their results."""
import dataclasses
import os

from . import machines
from .cache import Cache
from .config import check_host, make_config, where
from .errors import Fatal
from .pool import Pool, Task, print_failures
from .results import FAIL, PASS, SKIP, Result, counts, summary, write_ktap
from .selftests import Selftests

NPT = {"both": (1, 0), "1": (1,), "0": (0,)}
# What a kernel runs when TESTS names nothing, instead of all: groups of the
# tests that end on it in some minutes
SHORT = {"kcsan": ("debug", "debug1", "kcsan")}


class Runner:
    """Selftests on one kernel configuration, with a cache of results."""

    def __init__(self, kernel_config, out, machine="qemu"):
        if machine == "bochs" and kernel_config not in ("debian", "fast"):
            raise Fatal("VM=bochs: runs the kernels of CONFIG=debian and fast only")
        self.paths = where(kernel_config)
        self.kernel_config = kernel_config
        self.machine = machine
        self.out = out
        self.tests = Selftests(self.paths["tree"],
                               os.path.join(out, "kselftest"), machine)
        self.cache = Cache(os.path.join(out, "kselftest", "results.json"))
        self.keys = {}

    def choose(self, wanted):
        """The Tests for TESTS="a b", or what there is for this kernel."""
        if not wanted and self.kernel_config in SHORT:
            return self.tests.group(*SHORT[self.kernel_config])
        return self.tests.choose(wanted)

    def configs(self, variant, npt=(1, 0)):
        return [make_config(self.paths, self.kernel_config, variant, mode,
                            self.machine) for mode in npt]

    def tasks(self, tests, configs, forced=False):
        """Each test in each VM, but what is barred there, unless forced.

        Where a VM cannot see the host's files, it is given the tests.
        """
        tasks = []
        for config in configs:
            some = [t for t in tests if forced or not self.barred(t, config)]
            if config.driver.HOST_FILES == "initramfs":
                files = tuple(dict.fromkeys(self.tests.paths[test.name] for test in some))
                config = dataclasses.replace(config, files=files)
            tasks += [Task(config, test) for test in some]
        return tasks

    def barred(self, test, config):
        """The result of a test that is not run in this kind of VM, or None."""
        reason = self.tests.settings.obstacle(test.name, config.npt)
        return Result(Task(config, test).name, SKIP, 0, reason) if reason \
            else None

    def cached(self, task):
        return self.cache.get(self._key(task))

    def remember(self, task, result):
        """Keeps a result, unless what it depends on was built again."""
        if task and self._key(task) == self.keys[task]:
            self.cache.put(self.keys[task], result)

    def run(self, tasks, fresh, variant):
        """Results of the tasks; unless fresh, known ones are not repeated."""
        known = [] if fresh else [r for t in tasks if (r := self.cached(t))]
        left = [t for t in tasks if fresh or not self.cached(t)]
        self.keys = {task: self._key(task) for task in left}
        if known:
            print(f"{len(known)} results are known from earlier runs of the "
                  "same modules (FORCE=1 repeats them)")
        if not left:
            return known
        logs = os.path.join(self.paths["logs"], self.label(variant))
        vms = check_host(2, self.machine)
        return known + Pool(left, logs, vms, self.remember).run()

    def label(self, what):
        """The name of results and logs, which each machine has of its own."""
        middle = "" if self.machine == "qemu" else f"-{self.machine}"
        return f"kselftest{middle}-{what}"

    def _key(self, task):
        return Cache.key(task, self.tests.paths[task.test.name])


def forgive_stock_failures(runner, results, variant, tasks):
    """A test that fails on stock's modules too says nothing about ours."""
    if variant == "stock":
        return
    by_name = {result.name: result for result in results}
    for task in tasks:
        result = by_name.get(task.name)
        if result and result.status == FAIL and stock_fails(runner, task):
            result.status = SKIP
            result.detail = f"fails on stock's modules too: {result.detail}"


def stock_fails(runner, task):
    """Did the same test fail on stock's modules, in an earlier run?"""
    stock = runner.configs("stock", (task.config.npt,))[0]
    if not os.path.exists(os.path.join(stock.modules, "kvm.ko")):
        return False
    known = runner.cached(Task(stock, task.test))
    return known is not None and known.status == FAIL


def run_kselftest(out, kernel_config, variant):
    """The whole target; the exit status."""
    npt = os.environ.get("NPT") or "both"
    if npt not in NPT:
        raise Fatal(f"NPT={npt}: must be 1, 0 or both")
    wanted = os.environ.get("TESTS", "").split()
    runner = Runner(kernel_config, out, machines.wanted())
    tests = runner.choose(wanted)
    configs = runner.configs(variant, NPT[npt])
    tasks = runner.tasks(tests, configs, bool(wanted))
    barred = [] if wanted else [r for c in configs for t in tests
                                if (r := runner.barred(t, c))]
    print(f"{len(tests)} selftests, {variant} modules, NPT={npt}: "
          f"{len(tasks)} runs", flush=True)
    if barred:
        print(f"{len(barred)} more are skipped, for a reason that "
              f"tools/vm/{runner.machine}.conf names")
    fresh = bool(wanted) or bool(os.environ.get("FORCE"))
    results = barred + runner.run(tasks, fresh, variant)
    forgive_stock_failures(runner, results, variant, tasks)
    print_failures(results)
    write_ktap(os.path.join(out, "results", f"{runner.label(variant)}.ktap"),
               results)
    passed, failed, skipped = counts(results)
    print(summary(passed, failed, skipped))
    return 1 if failed else 0


def write_table(out, kernel_config, _):
    """Both modules side by side; the exit status is 1 if a test is lost."""
    runner = Runner(kernel_config, out, machines.wanted())
    columns = [c for v in ("stock", "ours") for c in runner.configs(v)]
    rows, lost, missing = [], [], 0
    for test in runner.choose([]):
        cells = [runner.barred(test, config) or
                 runner.cached(Task(config, test)) for config in columns]
        missing += cells.count(None)
        marks = [is_lost(*pair) for pair in zip(cells[:2], cells[2:])]
        if any(marks):
            lost.append(test.name)
        rows.append((test.name, cells, any(marks)))
    path = os.path.join(out, runner.label("table") + ".txt")
    with open(path, "w", encoding="utf-8") as file:
        print_table(file, columns, rows)
        print(file=file)
        for name, reason in sorted(runner.tests.settings.obstacles().items()):
            print(f"{name}: not run: {reason}", file=file)
        print(f"{len(lost)} tests lost{':' if lost else ''}", *lost,
              file=file)
    print(f"{path}: {len(lost)} tests lost, {missing} results missing")
    return 1 if lost or missing else 0


def is_lost(stock, ours):
    """Passed on stock's modules, but not on ours."""
    return bool(stock and ours and stock.status == PASS and
                ours.status != PASS)


def print_table(file, columns, rows):
    heads = [c.name.replace(f"{c.kernel_config} ", "") for c in columns]
    print(f"{'test':42}", *(f"{head:14}" for head in heads), file=file)
    for name, cells, lost in rows:
        texts = [cell_text(cell) for cell in cells]
        mark = "LOST" if lost else ""
        line = f"{name:42} " + " ".join(f"{t:14}" for t in texts) + " " + mark
        print(line.rstrip(), file=file)


def cell_text(result):
    return f"{result.status} {result.seconds:.0f} s" if result else "-"
