# SPDX-License-Identifier: GPL-2.0
"""What the kernel's scripts say of mails: checkpatch.pl and get_maintainer.pl.

NNNN-slug.patch gets a NNNN-slug.checkpatch and a NNNN-slug.maintainers.
"""
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

COUNTS = re.compile(r"^total: (\d+) errors, (\d+) warnings, (?:(\d+) checks, )?"
                    r"(\d+) lines checked", re.M)


class MailError(Exception):
    """What is wrong with a mail, in one line."""


def run_script(base, name, *arguments):
    return subprocess.run(["perl", os.path.join(base, "scripts", name), *arguments],
                          cwd=base, capture_output=True, text=True, check=False)


def keep(path, kind, text):
    with open(path.removesuffix(".patch") + "." + kind, "w", encoding="utf-8") as file:
        file.write(text)


def checkpatch(base, path, signed):
    """Returns checkpatch's [errors, warnings, checks, lines] and complaints."""
    options = [] if signed else ["--no-signoff"]
    done = run_script(base, "checkpatch.pl", "--strict", "--color=never",
                      f"--root={base}", *options, path)
    match = COUNTS.search(done.stdout)
    if not match:
        raise MailError(f"checkpatch.pl says nothing of {path}: {done.stderr}")
    keep(path, "checkpatch", done.stdout)
    counts = [int(count or 0) for count in match.groups()]
    return counts, done.stdout[:match.start()].strip()


def maintainers(base, path):
    """Who gets a mail, by the base's MAINTAINERS alone; returns how many."""
    done = run_script(base, "get_maintainer.pl", "--nogit", "--nogit-fallback",
                      "--norolestats", "--roles", path)
    if done.returncode or not done.stdout.strip():
        raise MailError(f"get_maintainer.pl knows nobody for {path}: {done.stderr}")
    keep(path, "maintainers", done.stdout)
    return len(done.stdout.splitlines())


def added_lines(path):
    """Lines that a mail adds, of files that it does not only move."""
    with open(path, encoding="utf-8") as file:
        diff = file.read().partition("\n---\n")[2]
    return len(re.findall(r"^\+(?!\+\+ )", diff, re.M))


def check(base, paths, signed):
    """Prints a line for each mail; returns whether checkpatch is content."""
    def look(path):
        return (*checkpatch(base, path, signed), maintainers(base, path))

    print(f"{'errors':>6} {'warnings':>8} {'checks':>6} {'added':>6} {'to':>3}  mail")
    complaints = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (counts, text, people) in zip(paths, pool.map(look, paths)):
            name = os.path.basename(path)
            print(f"{counts[0]:6} {counts[1]:8} {counts[2]:6} {added_lines(path):6} "
                  f"{people:3}  {name}", flush=True)
            if any(counts[:3]):
                complaints.append(f"{name}:\n{text}")
    for text in complaints:
        print("\n" + text)
    return not complaints
