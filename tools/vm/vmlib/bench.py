# SPDX-License-Identifier: GPL-2.0
"""make bench: instructions per operation, stock's modules against ours.

Each VM counts its instructions (QEMU's icount), so that the results do not
depend on how busy or fast the host is.
"""
import dataclasses
import os
import re
import shlex

from .config import check_host, make_config, where
from .pool import Pool, Task, Test, print_failures
from .results import counts, write_ktap

NAME = "mmu_bench"
LIMIT = 1800
KERNEL_CONFIG = "fast"
COLUMNS = [(variant, npt) for npt in (1, 0) for variant in ("stock", "ours")]
# Rather a matter of timer ticks than of instructions
WAITS = ("  with its waits for RCU", "  with its waits, new memory")
COST = re.compile(r"^bench: (.+): ([\d.]+|skipped)\r?$", re.MULTILINE)


def bench_task(paths, out, variant, npt):
    """The benchmark in one kind of VM; it is copied, to need no 9p."""
    config = dataclasses.replace(
        make_config(paths, KERNEL_CONFIG, variant, npt), cpus=1, icount=True)
    path = shlex.quote("/host" + os.path.join(out, "bench", NAME))
    command = f"cp {path} /tmp/{NAME} && /tmp/{NAME}"
    return Task(config, Test(NAME, command, LIMIT))


def read_costs(log):
    """Costs by operation, from what the program printed; None is skipped."""
    with open(log, encoding="utf-8", errors="replace") as file:
        return {name: None if cost == "skipped" else float(cost)
                for name, cost in COST.findall(file.read())}


def ratio(stock, ours):
    return ours / stock if stock and ours is not None else None


def cell(value, digits=0):
    return "-" if value is None else f"{value:,.{digits}f}"


class Table:
    """What each operation costs in each column."""

    def __init__(self, columns):
        self.columns = columns
        self.operations = list(columns["stock", 1])

    def costs(self, operation, npt):
        return [self.columns[variant, npt].get(operation)
                for variant in ("stock", "ours")]

    def ratios(self):
        """(ratio, operation, npt) wherever both have a steady cost."""
        found = [(ratio(*self.costs(operation, npt)), operation, npt)
                 for operation in self.operations for npt in (1, 0)
                 if operation not in WAITS]
        return [entry for entry in found if entry[0] is not None]

    def lines(self):
        yield (f"{'instructions per operation':40}"
               + "".join(f"{f'stock npt={npt}':>14}{f'ours npt={npt}':>14}"
                         f"{'ratio':>7}" for npt in (1, 0)))
        for operation in self.operations:
            yield f"{operation:40}" + "".join(self._half(operation, npt)
                                              for npt in (1, 0))
        if self.ratios():
            value, operation, npt = max(self.ratios())
            yield f"worst ratio: {value:.2f} ({operation.strip()}, npt={npt})"

    def _half(self, operation, npt):
        stock, ours = self.costs(operation, npt)
        return (f"{cell(stock):>14}{cell(ours):>14}"
                f"{cell(ratio(stock, ours), 2):>7}")


def run_bench(out, _kernel_config, _variant):
    """The whole target; the exit status."""
    paths = where(KERNEL_CONFIG)
    tasks = [bench_task(paths, out, *column) for column in COLUMNS]
    results = Pool(tasks, os.path.join(paths["logs"], "bench"),
                   check_host(2)).run()
    print_failures(results)
    write_ktap(os.path.join(out, "results", "bench.ktap"), results)
    if counts(results)[1]:
        return 1
    logs = {result.name: result.log for result in results}
    table = Table({column: read_costs(logs[task.name])
                   for column, task in zip(COLUMNS, tasks)})
    write_table(os.path.join(out, "results", "bench.txt"), table)
    return 0


def write_table(path, table):
    text = "\n".join(table.lines())
    print(text)
    with open(path, "w", encoding="utf-8") as file:
        print(text, file=file)
    print(f"the table: {path}")
