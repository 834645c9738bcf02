# SPDX-License-Identifier: GPL-2.0
"""Turns what kunit.py wrote into results like those of the other parts."""
import json
import os

from .console import scan_file
from .pool import print_failures, save_excerpt
from .results import FAIL, PASS, SKIP, Result, counts, summary, write_ktap

STATUS = {"PASS": PASS, "SKIP": SKIP}
ROOTS = ("", "main", "KUnit Test Group")


def leaves(group, prefix=""):
    """(name, status) of each test case below a group."""
    name = group.get("name", "")
    path = prefix if name in ROOTS else f"{prefix}{name}."
    for case in group.get("test_cases", []):
        yield path + case["name"], case["status"]
    for child in group.get("sub_groups", []):
        yield from leaves(child, path)


def collect(folder):
    """The results of the cases, and of the kernel that ran them."""
    log = os.path.join(folder, "test.log")
    report = os.path.join(folder, "results.json")
    results = []
    if os.path.exists(report):
        with open(report, encoding="utf-8") as file:
            results = [Result(name, STATUS.get(status, FAIL), 0, "", log)
                       for name, status in leaves(json.load(file))]
    if not results:
        results.append(Result("kunit", FAIL, 0, "no test has run", log))
    reports = scan_file(log) if os.path.exists(log) else []
    save_excerpt(log, reports)
    if reports:
        results.append(Result("kunit kernel", FAIL, 0,
                              f"kernel: {reports[0].title}", log))
    return results


def run_report(out, kernel_config, _):
    """The end of make kunit; the exit status."""
    name = "kunit" if kernel_config == "fast" else f"kunit-{kernel_config}"
    results = collect(os.path.join(out, name))
    print_failures(results)
    write_ktap(os.path.join(out, "results", name + ".ktap"), results)
    print(summary(*counts(results)))
    return 1 if counts(results)[1] else 0
