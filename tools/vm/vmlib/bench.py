# SPDX-License-Identifier: GPL-2.0
"""make bench: what users wait for, stock's modules against ours.
make bench-holds: how long mmu_lock is held at most meanwhile.

Each VM counts its instructions (QEMU's icount), so that the results do not
depend on how busy or fast the host is. TESTS="start dirty*" chooses benches.
"""
import dataclasses
import fnmatch
import os
import re
import shlex
import subprocess
import time

from . import bench_charts, qemu
from .bench_rows import (COLUMNS, COSTS, HOLDS, Key, Rows, read_csv, table,
                         worse, write_csv)
from .config import REPO, check_host, make_config, where
from .errors import Fatal
from .pool import Pool, Task, Test, print_failures
from .results import PASS, counts, write_ktap

NAME = "mmu_bench"
LIMIT = 1200
# One CPU does the work; four have a vCPU each in the bench "running".
CPUS = 5
MEMORY = 3072
LINE = re.compile(r"^bench: ([^|]+)\|([^|]+)\|([^|]*)\|([^|]*)\|([^|]+)"
                  r"\|(-?[\d.]+)\|(-?[\d.]+)\r?$", re.MULTILINE)
# Where the last results that were recorded are; in the text behind the titles
DOC = os.path.join(REPO, "Documentation/virtual/kvm/bench.txt")
LAST = os.path.join(REPO, "tools/vm/bench/last")


@dataclasses.dataclass(frozen=True)
class Kind:
    """Of a bench: its name, the kernel that measures it, what, and its title"""

    name: str
    kernel: str
    measures: tuple
    title: str

    @property
    def marker(self):
        return f"{self.title}\n{'=' * len(self.title)}\n"


BENCH = Kind("bench", "fast", COSTS, "The last table")
BENCH_HOLDS = Kind("bench-holds", "lockstat", HOLDS,
                   "The longest holds of mmu_lock")


def program(out):
    return os.path.join(out, "bench", NAME)


def choose(out, wanted):
    """Names of benches that match a word of TESTS, or all."""
    names = subprocess.run([program(out)], text=True, check=True,
                           stdout=subprocess.PIPE).stdout.split()
    words = wanted.split() or ["*"]
    for word in words:
        if not fnmatch.filter(names, word):
            raise Fatal(f"no bench '{word}'; there are: {' '.join(names)}")
    return [name for name in names
            if any(fnmatch.fnmatch(name, word) for word in words)]


def bench_task(paths, out, kind, name, column):
    """One bench in one kind of VM; it is copied, to need no 9p."""
    variant, npt = column
    config = dataclasses.replace(
        make_config(paths, kind.kernel, variant, npt), cpus=CPUS,
        memory=MEMORY, icount=True)
    command = (f"cp {shlex.quote('/host' + program(out))} /tmp/{NAME} && "
               f"/tmp/{NAME} {name}")
    return Task(config, Test(name, command, LIMIT))


def read_log(rows, log, column):
    """Adds what the program has printed."""
    with open(log, encoding="utf-8", errors="replace") as file:
        for *key, instructions, nanoseconds in LINE.findall(file.read()):
            rows.add(Key(*key), column,
                     (float(instructions), float(nanoseconds)))


def versions(paths):
    """What the results belong to, a line each"""
    def says(*command):
        result = subprocess.run(command, text=True, check=False, cwd=REPO,
                                stdout=subprocess.PIPE)
        return (result.stdout.splitlines() or ["unknown"])[0]
    kernel_version = ("make", "-s", "-C", paths["tree"], "kernelversion")
    return [f"ours: {says('git', 'describe', '--always', '--dirty')}",
            f"base: Linux {says(*kernel_version)}",
            f"machine: {qemu.version().splitlines()[0]}, {CPUS} CPUs, "
            f"{MEMORY} MiB",
            f"compiler: {says('gcc', '--version')}",
            f"pictures: {bench_charts.version()}",
            f"date: {time.strftime('%Y-%m-%d')}"]


def run_kind(out, kind):
    """The whole target; the exit status."""
    paths = where(kind.kernel)
    columns = {bench_task(paths, out, kind, name, column): column
               for name in choose(out, os.environ.get("TESTS") or "")
               for column in COLUMNS}
    started = time.monotonic()
    results = Pool(columns, os.path.join(paths["logs"], kind.name),
                   check_host(2, memory=MEMORY)).run()
    print_failures(results)
    write_ktap(os.path.join(out, "results", f"{kind.name}.ktap"), results)
    logs = {result.name: result.log for result in results
            if result.status == PASS}
    rows = Rows(versions(paths), kind.measures)
    for task, column in columns.items():
        if task.name in logs:
            read_log(rows, logs[task.name], column)
    write_results(os.path.join(out, "results", kind.name), rows)
    print(f"{kind.name} took {(time.monotonic() - started) / 60:.0f} minutes")
    return 1 if counts(results)[1] else 0


def run_bench(out, _kernel_config, _variant):
    return run_kind(out, BENCH)


def run_holds(out, _kernel_config, _variant):
    return run_kind(out, BENCH_HOLDS)


def text_of(rows):
    return "\n".join([*table(rows), "", *worse(rows)])


def write_results(folder, rows):
    """Table, CSV and, of costs and with gnuplot, pictures"""
    os.makedirs(folder, exist_ok=True)
    text = text_of(rows)
    print(text)
    with open(os.path.join(folder, "table.txt"), "w", encoding="utf-8") as file:
        print(text, file=file)
    write_csv(os.path.join(folder, "bench.csv"), rows)
    print(f"table.txt, bench.csv: {folder}")
    if rows.measures == COSTS:
        for kind in ("svg", "png"):
            bench_charts.draw(rows, folder, kind)


def last_results(out, kind):
    """Rows, if there are any"""
    source = os.path.join(out, "results", kind.name, "bench.csv")
    return read_csv(source, kind.measures) if os.path.exists(source) else None


def record(rows, kind):
    """Replaces the CSV, and the part of the text behind the title."""
    write_csv(os.path.join(LAST, f"{kind.name}.csv"), rows)
    with open(DOC, encoding="utf-8") as file:
        before, _, after = file.read().partition(kind.marker)
    # What comes next begins with another title.
    _, title, rest = after.partition(BENCH.marker)
    # All rows of both tables would be too long for one mail.
    shown = [*table(rows.brief())] if kind == BENCH_HOLDS else [text_of(rows)]
    text = "\n".join([*rows.versions, "", *shown])
    with open(DOC, "w", encoding="utf-8") as file:
        file.write(f"{before}{kind.marker}\n{text}\n")
        if title:
            file.write(f"\n\n{title}{rest}")


def run_record(out, _kernel_config, _variant):
    """make bench-record: the last results become those of the documentation."""
    found = {kind: last_results(out, kind) for kind in (BENCH_HOLDS, BENCH)}
    if not any(found.values()):
        raise Fatal("nothing to record: run make bench or make bench-holds")
    os.makedirs(LAST, exist_ok=True)
    for kind, rows in found.items():
        if rows:
            record(rows, kind)
            print(f"recorded in {DOC} and {LAST}: {kind.name}")
    if found[BENCH]:
        bench_charts.draw(found[BENCH], LAST, "svg")
    return 0
