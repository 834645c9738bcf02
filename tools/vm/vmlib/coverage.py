# SPDX-License-Identifier: GPL-2.0
"""make coverage: which lines of our KVM do KUnit and the selftests execute?

They run in VMs whose KVM gcov profiles; each VM leaves its counts in a folder
(save-coverage), lcov adds them up.
"""
import dataclasses
import os
import shutil
import subprocess

from .config import REPO, check_host
from .errors import Fatal
from .kselftest import Runner
from .pool import Pool, Task, Test, print_failures
from .results import counts, summary, write_ktap

KERNEL_CONFIG = "coverage"
GOAL = 90
LEFT = os.path.join(REPO, "tests", "coverage-left.txt")
# Software CPUs do a part of what make kunit has them do.
KUNIT = Test("kunit", "kunit-run -- soft_ops_per_hardware=40000", 1500)
LCOV = ["lcov", "--quiet", "--rc", "lcov_branch_coverage=1"]


@dataclasses.dataclass
class Source:
    """A file of ours: lines and branches, hit and in all, functions not hit."""

    name: str
    lines: tuple = (0, 0)
    branches: tuple = (0, 0)
    left: list = dataclasses.field(default_factory=list)


def our_files():
    """The sources of our KVM, below the repository; not its tests."""
    command = ["git", "-C", REPO, "ls-files", "virt/kvm/*.[ch]",
               "arch/x86/kvm/*.[ch]"]
    listed = subprocess.run(command, text=True, check=True,
                            stdout=subprocess.PIPE).stdout.split()
    return [path for path in listed if "/tests/" not in path]


def run_coverage(out, _, variant):
    """The whole target; the exit status."""
    runner = Runner(KERNEL_CONFIG, out)
    folder = os.path.join(out, "coverage-report")
    shutil.rmtree(folder, ignore_errors=True)
    data = os.path.join(folder, "vm")
    results = run_tests(runner, variant, data)
    print_failures(results)
    write_ktap(os.path.join(out, "results", "coverage.ktap"), results)

    total = add_up(data, folder, runner.paths["tree"])
    sources = read_info(total, runner.paths["tree"])
    covered = print_report(sources, os.path.join(folder, "report.txt"))
    print(summary(*counts(results)))
    return 1 if counts(results)[1] or covered < GOAL else 0


def run_tests(runner, variant, data):
    configs = [dataclasses.replace(config, output=data)
               for config in runner.configs(variant)]
    tasks = [Task(configs[0], KUNIT)]
    wanted = os.environ.get("TESTS", "").split()
    tests = runner.tests.choose(wanted) if wanted else runner.tests.group("fast")
    tasks += runner.tasks(tests, configs)
    print(f"KUnit and {len(tasks) - 1} selftests", flush=True)
    logs = os.path.join(runner.paths["logs"], "coverage")
    return Pool(tasks, logs, check_host(2)).run()


def add_up(data, folder, tree):
    """One file of lcov's out of all folders that VMs left; its path."""
    parts = []
    for name in sorted(os.listdir(data)):
        if not os.path.exists(os.path.join(data, name, "complete")):
            print(f"{name}: the VM ended before it had left all counts")
        link_notes(os.path.join(data, name))
        part = os.path.join(folder, name + ".info")
        lcov("--capture", "--directory", os.path.join(data, name),
             "--output-file", part)
        parts += ["--add-tracefile", part]
    if not parts:
        raise Fatal("no VM has left what gcov counted")
    everything = os.path.join(folder, "all.info")
    lcov(*parts, "--output-file", everything)
    ours = os.path.join(folder, "ours.info")
    lcov("--extract", everything,
         *(os.path.join(tree, path) for path in our_files()),
         "--output-file", ours)
    return ours


def link_notes(folder):
    """gcov looks for the compiler's notes beside the counts."""
    for below, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".gcda"):
                path = os.path.join(below, name[:-len("da")] + "no")
                os.symlink("/" + os.path.relpath(path, folder), path)


def lcov(*arguments):
    result = subprocess.run([*LCOV, *arguments], text=True, check=False,
                            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    if result.returncode:
        raise Fatal("lcov: " + result.stderr.strip()[-300:])


def read_info(path, tree):
    """The Sources in a file of lcov's (geninfo(1) has its format)."""
    sources, fields, left = [], {}, []
    with open(path, encoding="utf-8") as file:
        for line in file:
            key, _, value = line.strip().partition(":")
            if key == "FNDA" and value.startswith("0,"):
                left.append(value[2:])
            elif key in ("SF", "LH", "LF", "BRH", "BRF"):
                fields[key] = value
            elif key == "end_of_record":
                sources.append(to_source(fields, left, tree))
                fields, left = {}, []
    return sources


def to_source(fields, left, tree):
    number = {key: int(fields.get(key, 0)) for key in ("LH", "LF", "BRH", "BRF")}
    return Source(os.path.relpath(fields["SF"], tree),
                  (number["LH"], number["LF"]),
                  (number["BRH"], number["BRF"]), sorted(left))


def read_reasons():
    """Why a function is not executed, by its name."""
    with open(LEFT, encoding="ascii") as file:
        lines = [line.split(None, 1) for line in file
                 if line.strip() and not line.startswith("#")]
    return {name: reason.strip() for name, reason in lines}


def percent(pair):
    return 100 * pair[0] / pair[1] if pair[1] else 100


def print_report(sources, path):
    """The table, and what no test executes; percent of lines of all files."""
    lines, branches = (tuple(map(sum, zip(*(getattr(s, kind) for s in sources))))
                       for kind in ("lines", "branches"))
    rows = sources + [Source("all", lines, branches)]
    text = [f"{'file':44} {'lines':>14}  {'branches':>14}"]
    text += [f"{row.name:44} " + "  ".join(
                 f"{pair[0]:5}/{pair[1]:5} {percent(pair):3.0f}%"
                 for pair in (row.lines, row.branches)) for row in rows]
    text += ["", "functions that no test executes:"]
    reasons = read_reasons()
    for source in sources:
        text += [f"{name} ({source.name}): {reasons.get(name, 'NO REASON')}"
                 for name in source.left]
    with open(path, "w", encoding="utf-8") as file:
        print(*text, sep="\n", file=file)
    print(*text, path, sep="\n")
    return percent(lines)
