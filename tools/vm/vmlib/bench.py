# SPDX-License-Identifier: GPL-2.0
"""make bench: what users wait for, stock's modules against ours.

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
from .bench_rows import (COLUMNS, Key, Rows, read_csv, table, worse,
                         write_csv)
from .config import REPO, check_host, make_config, where
from .errors import Fatal
from .pool import Pool, Task, Test, print_failures
from .results import PASS, counts, write_ktap

NAME = "mmu_bench"
LIMIT = 1200
KERNEL_CONFIG = "fast"
# One CPU does the work; four have a vCPU each in the bench "running".
CPUS = 5
MEMORY = 3072
LINE = re.compile(r"^bench: ([^|]+)\|([^|]+)\|([^|]*)\|([^|]*)\|([^|]+)"
                  r"\|(-?[\d.]+)\|(-?[\d.]+)\r?$", re.MULTILINE)
# Where the last results that were recorded are; in the text behind the marker
DOC = os.path.join(REPO, "Documentation/virtual/kvm/bench.txt")
LAST = os.path.join(REPO, "tools/vm/bench/last")
MARKER = "The last table\n==============\n"


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


def bench_task(paths, out, name, column):
    """One bench in one kind of VM; it is copied, to need no 9p."""
    variant, npt = column
    config = dataclasses.replace(
        make_config(paths, KERNEL_CONFIG, variant, npt), cpus=CPUS,
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


def run_bench(out, _kernel_config, _variant):
    """The whole target; the exit status."""
    paths = where(KERNEL_CONFIG)
    columns = {bench_task(paths, out, name, column): column
               for name in choose(out, os.environ.get("TESTS") or "")
               for column in COLUMNS}
    started = time.monotonic()
    results = Pool(columns, os.path.join(paths["logs"], "bench"),
                   check_host(2, memory=MEMORY)).run()
    print_failures(results)
    write_ktap(os.path.join(out, "results", "bench.ktap"), results)
    logs = {result.name: result.log for result in results
            if result.status == PASS}
    rows = Rows(versions(paths))
    for task, column in columns.items():
        if task.name in logs:
            read_log(rows, logs[task.name], column)
    write_results(os.path.join(out, "results", "bench"), rows)
    print(f"the bench took {(time.monotonic() - started) / 60:.0f} minutes")
    return 1 if counts(results)[1] else 0


def write_results(folder, rows):
    """Table, CSV and, with gnuplot, pictures"""
    os.makedirs(folder, exist_ok=True)
    text = "\n".join([*table(rows), "", *worse(rows)])
    print(text)
    with open(os.path.join(folder, "table.txt"), "w", encoding="utf-8") as file:
        print(text, file=file)
    write_csv(os.path.join(folder, "bench.csv"), rows)
    print(f"table.txt, bench.csv: {folder}")
    for kind in ("svg", "png"):
        bench_charts.draw(rows, folder, kind)


def run_record(out, _kernel_config, _variant):
    """make bench-record: the last results become those of the documentation."""
    source = os.path.join(out, "results", "bench", "bench.csv")
    if not os.path.exists(source):
        raise Fatal(f"no {source}: run make bench")
    rows = read_csv(source)
    os.makedirs(LAST, exist_ok=True)
    write_csv(os.path.join(LAST, "bench.csv"), rows)
    bench_charts.draw(rows, LAST, "svg")
    with open(DOC, encoding="utf-8") as file:
        text = file.read().split(MARKER)[0]
    with open(DOC, "w", encoding="utf-8") as file:
        print(text + MARKER, *rows.versions, "", *table(rows), "",
              *worse(rows), sep="\n", file=file)
    print(f"recorded in {DOC} and {LAST}")
    return 0
