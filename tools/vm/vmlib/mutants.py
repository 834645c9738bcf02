# SPDX-License-Identifier: GPL-2.0
"""make mutants: does a KUnit test notice when one rule of our code is broken?

Each patch of tests/mutants breaks one rule. Its head says which, and which test
has to fail. KVM is built with it and loaded in a VM, where that test runs; if it
passes, all tests run, to tell whether any other notices.

With RANDOM_OPS=N, do N random operations for each kind of hardware notice?  What
they do not find is left to the test that is named, and skipped here.
"""
import dataclasses
import glob
import os
import re
import shutil
import time
from concurrent.futures import ThreadPoolExecutor

from .config import REPO, check_host, make_config, where
from .errors import Fatal
from .kunit_vm import read_log, run_kunit
from .mutant_tree import DoesNotApply, DoesNotBuild, MutantTree
from .pool import MARKS, claim_logs
from .results import FAIL, PASS, SKIP, Result, counts, summary, write_ktap

FOLDER = os.path.join(REPO, "tests", "mutants")
HEAD = re.compile(r"^([A-Z][a-z-]+): ((?:.+\n)(?:[ \t]+.+\n)*)", re.MULTILINE)
KERNEL_CONFIG = "fast"
# Of all tests; make kunit has more, and a case may take 300 s.
ALL_ARGUMENTS = "soft_ops_per_hardware=20000"
# In seconds; only for what never ends.
ONE_LIMIT, ALL_LIMIT = 900, 1800
RANDOM_TEST = "kvm_soft_random.soft_test_random"
# What that says: how many operations were right on one kind of hardware, and when
# one was not
RANDOM_RIGHT = re.compile(r"soft_test_random: seed \d+: (\d+) operations in")
RANDOM_WRONG = re.compile(r" (\d+) in all: (.+)")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """A patch: the rule that it breaks, and the suite.case that notices."""

    name: str
    path: str
    rule: str
    test: str


def read_mutant(path):
    name = os.path.basename(path)[:-len(".patch")]
    with open(path, encoding="utf-8") as file:
        head = file.read().partition("\n---\n")[0] + "\n"
    fields = {key: " ".join(value.split()) for key, value in HEAD.findall(head)}
    if set(fields) != {"Breaks", "Killed-by"}:
        raise Fatal(f"{path}: the head must have Breaks: and Killed-by:")
    if not re.fullmatch(r"[\w-]+\.\w+", fields["Killed-by"]):
        raise Fatal(f"{path}: Killed-by: must be suite.case")
    return Mutant(name, path, fields["Breaks"], fields["Killed-by"])


def choose_mutants(wanted):
    """Those of TESTS="a b", or all."""
    mutants = {mutant.name: mutant for mutant in
               map(read_mutant, sorted(glob.glob(FOLDER + "/*.patch")))}
    for name in wanted:
        if name not in mutants:
            raise Fatal(f"TESTS: there is no mutant '{name}' in tests/mutants")
    return [mutants[name] for name in wanted or mutants]


@dataclasses.dataclass
class Built:
    """A mutant on its way to the VM, or why it does not get there."""

    mutant: Mutant
    module: str = ""
    obstacle: str = ""
    seconds: float = 0


class Trial:
    """Tries mutants, and keeps what came out.

    random_ops: 0, or how many operations try instead of the test that is named.
    """

    def __init__(self, config, tree, logs, random_ops=0):
        self.config = config
        self.tree = tree
        self.logs = logs
        self.random_ops = random_ops
        self.results = []
        self.known = set()

    def try_original(self):
        """Without a mutant all tests pass: True if they do."""
        started = time.monotonic()
        outcome = self._run("original", self.tree.module,
                            RANDOM_TEST if self.random_ops else "*")
        self.known = set(outcome.cases)
        problem = outcome.trouble
        if outcome.failed():
            problem = f"{outcome.failed()[0]} fails"
        elif not self.known:
            problem = problem or "no test has run"
        self._add(Result("the original", FAIL if problem else PASS,
                         time.monotonic() - started,
                         problem or f"passes {len(self.known)} cases", outcome.log))
        return not problem

    def try_all(self, mutants):
        """One is built while the one before it is in the VM."""
        with ThreadPoolExecutor(1) as vm:
            running = None
            for mutant in mutants:
                built = self._build(mutant)
                if running:
                    self._add(running.result(), len(mutants))
                running = vm.submit(self._try, built)
            if running:
                self._add(running.result(), len(mutants))

    def _build(self, mutant):
        started = time.monotonic()
        built = Built(mutant)
        try:
            self.tree.make(mutant.path)
            built.module = os.path.join(self.logs, mutant.name + ".ko")
            shutil.copy(self.tree.module, built.module)
        except DoesNotApply as error:
            built.obstacle = f"does not apply: {error}"
        except DoesNotBuild as error:
            built.obstacle = f"does not build: {error}"
        finally:
            self.tree.put_back(mutant.path)
        built.seconds = time.monotonic() - started
        return built

    def _try(self, built):
        started = time.monotonic()
        mutant = built.mutant
        if mutant.test not in self.known and not self.random_ops:
            built.obstacle = built.obstacle or f"there is no test {mutant.test}"
        if built.obstacle:
            status, detail, log = FAIL, built.obstacle, mutant.path
        else:
            judge = self._find if self.random_ops else self._judge
            status, detail, log = judge(mutant, built.module)
        if built.module:
            os.unlink(built.module)
        return Result(mutant.name, status,
                      built.seconds + time.monotonic() - started, detail, log)

    def _judge(self, mutant, module):
        """(status, what killed it or did not, log)"""
        outcome = self._run(mutant.name, module, mutant.test)
        if mutant.test in outcome.failed():
            return PASS, f"killed by {mutant.test}", outcome.log
        if not outcome.trouble:
            outcome = self._run(mutant.name, module, "*")
        if outcome.failed():
            others = " ".join(outcome.failed()[:3])
            return FAIL, f"{mutant.test} passes; these fail: {others}", outcome.log
        if outcome.trouble:
            return FAIL, f"no test fails, but it {outcome.trouble}", outcome.log
        return FAIL, "survives", outcome.log

    def _find(self, mutant, module):
        """The same by random operations; (status, after how many, log)"""
        outcome = self._run(mutant.name, module, RANDOM_TEST)
        text = read_log(outcome.log)
        right = sum(map(int, RANDOM_RIGHT.findall(text)))
        if wrong := RANDOM_WRONG.search(text):
            return (PASS, f"found in {right + int(wrong[1])} operations: "
                    f"{wrong[2].strip()}", outcome.log)
        if outcome.trouble or outcome.failed():
            return (PASS, f"found after {right} operations: "
                    f"{outcome.trouble or outcome.failed()[0]}", outcome.log)
        return SKIP, f"not found in {right} operations", outcome.log

    def _run(self, name, module, pattern):
        if pattern == "*":
            limit, suffix, arguments = ALL_LIMIT, ".all", ALL_ARGUMENTS
        elif self.random_ops:
            limit, suffix = ONE_LIMIT, ".random"
            arguments = f"soft_ops_per_hardware={self.random_ops}"
        else:
            limit, suffix, arguments = ONE_LIMIT, "", ""
        log = os.path.join(self.logs, f"{name}{suffix}.log")
        return run_kunit(self.config, module, pattern, limit, log, arguments)

    def _add(self, result, total=0):
        number = len(self.results)
        self.results.append(result)
        place = f"[{number:{len(str(total))}}/{total}] " if total else ""
        print(f"{place}{MARKS[result.status]:4} {result.name} "
              f"{result.seconds:.0f} s  {result.detail}", flush=True)


def table(results):
    """One line for each mutant: who killed it, and in what time."""
    width = max(len(result.name) for result in results)
    yield f"{'mutant':{width}}  {'seconds':>7}  killed by"
    for result in results:
        killer = result.detail.removeprefix("killed by ")
        if result.status == FAIL:
            killer = f"NOT KILLED: {result.detail}"
        yield f"{result.name:{width}}  {result.seconds:7.0f}  {killer}"


def run_mutants(out, *_):
    """The whole target; the exit status."""
    mutants = choose_mutants((os.environ.get("TESTS") or "").split())
    check_host()
    paths = where(KERNEL_CONFIG)
    logs, _lock = claim_logs(os.path.join(paths["logs"], "mutants"))
    tree = MutantTree(paths["tree"], os.path.join(out, "mutants"), logs)
    tree.prepare()
    trial = Trial(make_config(paths, KERNEL_CONFIG, "ours", 1), tree, logs,
                  wanted_ops())
    if trial.try_original():
        trial.try_all(mutants)
    return finish(out, trial.results)


def wanted_ops():
    """RANDOM_OPS=N, or 0."""
    wanted = os.environ.get("RANDOM_OPS") or "0"
    if not wanted.isdecimal():
        raise Fatal(f"RANDOM_OPS={wanted}: must be a number")
    return int(wanted)


def finish(out, results):
    print("", *table(results), "", sep="\n")
    failed = [result for result in results if result.status == FAIL]
    for result in failed:
        print(f"FAIL {result.name}: {result.detail} (log: {result.log})")
    write_ktap(os.path.join(out, "results", "mutants.ktap"), results)
    print(summary(*counts(results)))
    return 1 if failed else 0
