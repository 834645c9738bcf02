#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Checks the models and litmus tests of this folder, and prints KTAP.

verify.py [--herd COMMAND] [--memory-model DIR] [--work DIR] [--ktap FILE] [NAME...]

models/*.pml are checked by spin, exhaustively.  A name in the text that begins
with BROKEN_ is a variant in which spin must find an error, one with SAFE_ a
variant in which it must find none.  "Config: NAME..." lines in a model's header
are macros, each of which is a model of its own; an error must be found in one.

litmus/*.litmus are checked by herd7 against "Result:" in the header.  A line
with a comment "// Broken: TEXT" makes a variant in which TEXT stands for the
line, and whose result must be Sometimes.  Skipped without herd7.
"""
import argparse
import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.abspath(os.path.join(HERE, os.pardir, os.pardir, os.pardir))
# No state space here comes near: a model that does has got out of hand.
DEPTH, MEMORY_MB, SECONDS = 4000000, 4000, 3600


class Report:
    """Results, as a table on stdout while they come and as KTAP at the end."""

    def __init__(self):
        self.lines, self.failed, self.lock = [], 0, threading.Lock()

    def add(self, name, passed, result, states="", seconds=0.0):
        with self.lock:
            self.failed += not passed
            number = len(self.lines) + 1
            self.lines.append(f"{'ok' if passed else 'not ok'} {number} {name}")
            print(f"{'ok' if passed else 'FAIL':5}{name:64} {result:10}{states:>10}"
                  f"{seconds:8.1f} s", flush=True)

    def skip(self, name, why):
        self.lines.append(f"ok {len(self.lines) + 1} {name} # SKIP {why}")
        print(f"skip {name}: {why}", flush=True)

    def write(self, path):
        with open(path + ".new", "w", encoding="utf-8") as file:
            print("KTAP version 1", f"1..{len(self.lines)}", *self.lines, sep="\n",
                  file=file)
        os.replace(path + ".new", path)


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def run(command, cwd, **options):
    """Returns all that a command prints; a hang is an error, not a result."""
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT, timeout=SECONDS, check=False,
                          stdin=subprocess.DEVNULL, **options)
    return done.returncode, done.stdout


class SpinError(Exception):
    """What spin, the compiler or the search complains of."""


def search(model, macros, work):
    """Returns (number of errors, states, unreached lines) of one search."""
    shutil.rmtree(work, ignore_errors=True)
    os.makedirs(work)
    code, text = run(["spin", "-a", *[f"-D{name}" for name in macros], model], work)
    if code or not os.path.exists(os.path.join(work, "pan.c")):
        raise SpinError(f"spin: {text.strip()}")
    code, text = run(["gcc", "-O2", "-w", "-DSAFETY", f"-DMEMLIM={MEMORY_MB}",
                      "-o", "pan", "pan.c"], work)
    if code:
        raise SpinError(f"gcc: {text.strip()}")
    code, text = run(["./pan", f"-m{DEPTH}"], work)
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\d+(?:\.\d+e\+\d+)?) states, stored", text)
    if code or not errors or not states or re.search(
            r"max search depth too small|Search not completed|out of memory", text):
        if not errors or errors[1] == "0":
            raise SpinError(f"pan: {text.strip()[-500:]}")
    unreached = re.findall(r'^\t\S+:(\d+), state \d+, "(?!-end-|D_STEP)(.*)"$', text,
                           re.M)
    return int(errors[1]), states[1], set(unreached)


def variants(text, prefix):
    return sorted(set(re.findall(rf"\b{prefix}_[A-Z_]+\b", text)))


def check_whole(report, model, config, work, extra=()):
    """The model, or a variant that is as good, has no error.

    Returns the statements that were never reached, as (line, text).
    """
    name = " ".join([os.path.basename(model)[:-len(".pml")], *config, *extra])
    start = time.monotonic()
    try:
        errors, states, unreached = search(model, [*config, *extra], work)
    except (SpinError, subprocess.TimeoutExpired) as error:
        print(error)
        report.add(name, False, "no result")
        return set()
    report.add(name, not errors, "error" if errors else "no error", states,
               time.monotonic() - start)
    return unreached


def check_broken(report, model, configs, variant, work):
    """Some configuration shows the error of a broken variant."""
    name = f"{os.path.basename(model)[:-len('.pml')]} {variant}"
    start, states, errors = time.monotonic(), "", 0
    try:
        for config in configs:
            errors, states, _ = search(model, [*config, variant], work)
            if errors:
                break
    except (SpinError, subprocess.TimeoutExpired) as error:
        print(error)
        report.add(name, False, "no result")
        return
    report.add(name, errors > 0, "found" if errors else "NOT FOUND", states,
               time.monotonic() - start)


def check_model(report, model, work):
    text = read(model)
    configs = [[name] for name in re.findall(r"^ \*\s+Config: (\w+)", text, re.M)]
    configs = configs or [[]]
    unreached = set.intersection(*[check_whole(report, model, config, work)
                                   for config in configs])
    report.add(f"{os.path.basename(model)[:-len('.pml')]}: all of it is reached",
               not unreached, f"{len(unreached)} left")
    for line, statement in sorted(unreached):
        print(f"      line {line}: {statement}")
    for variant in variants(text, "SAFE"):
        for config in configs:
            check_whole(report, model, config, work, [variant])
    for variant in variants(text, "BROKEN"):
        check_broken(report, model, configs, variant, work)


def observe(herd, memory_model, path):
    """Returns what herd7 observes: Never, Sometimes or Always; or its error."""
    _, text = run([*herd, "-conf", "linux-kernel.cfg", path], memory_model)
    found = re.search(r"^Observation \S+ (\w+) (\d+) (\d+)$", text, re.M)
    if not found:
        print(text.strip()[-500:])
        return "error", ""
    return found[1], str(int(found[2]) + int(found[3]))


BROKEN = re.compile(r"^(\s*)(\S.*?)\s*// Broken:[ \t]*(.*)$", re.M)


def litmus_texts(text):
    """Yields (variant, text): the test, and each of its broken ones."""
    yield "", text
    for match in BROKEN.finditer(text):
        yield ((f"{match[3]} for " if match[3] else "without ") + match[2],
               text[:match.start()] + match[1] + match[3] + text[match.end():])


def check_litmus(report, path, herd, memory_model, work):
    text, test = read(path), os.path.basename(path)[:-len(".litmus")]
    expected = re.search(r"^ \* Result: (\w+)$", text, re.M)[1]
    os.makedirs(work, exist_ok=True)
    for variant, body in litmus_texts(text):
        copy = os.path.join(work, os.path.basename(path))
        with open(copy, "w", encoding="utf-8") as file:
            file.write(body)
        start = time.monotonic()
        result, states = observe(herd, memory_model, copy)
        wanted = "Sometimes" if variant else expected
        report.add(f"{test} {variant}".replace(";", "").strip(), result == wanted, result, states,
                   time.monotonic() - start)


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--herd", default=shutil.which("herd7") or "",
                        help="the command that herd7 is")
    parser.add_argument("--memory-model", metavar="DIR", default=os.path.join(
        TREE, "tools", "memory-model"))
    parser.add_argument("--work", metavar="DIR", default=os.path.join(HERE, "build"))
    parser.add_argument("--ktap", metavar="FILE")
    parser.add_argument("names", nargs="*", metavar="NAME",
                        help="only these models and tests")
    return parser.parse_args()


def main():
    options, report = parse(), Report()

    def wanted(folder, suffix):
        return [path for path in sorted(glob.glob(f"{HERE}/{folder}/*{suffix}"))
                if not options.names or
                os.path.basename(path)[:-len(suffix)] in options.names]

    work = os.path.abspath(options.work)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda path: check_model(
            report, path, os.path.join(work, "spin", os.path.basename(path))),
                      wanted("models", ".pml")))
    for path in wanted("litmus", ".litmus"):
        if options.herd:
            check_litmus(report, path, options.herd.split(), options.memory_model,
                         os.path.join(work, "litmus"))
        else:
            report.skip(os.path.basename(path)[:-len(".litmus")],
                        "no herd7 (Debian's herdtools7)")
    if options.ktap:
        report.write(options.ktap)
    print(f"{len(report.lines) - report.failed} of {len(report.lines)} as expected")
    return 1 if report.failed or not report.lines else 0


if __name__ == "__main__":
    sys.exit(main())
