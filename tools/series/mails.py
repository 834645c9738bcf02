# SPDX-License-Identifier: GPL-2.0
"""What the kernel's scripts say of mails: checkpatch.pl and get_maintainer.pl.

NNNN-slug.patch gets a NNNN-slug.checkpatch and a NNNN-slug.maintainers.  A mail that
was looked at, but for its date and the commit that it was made from, is not looked at
again: O/series.said has what was said.
"""
import hashlib
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

COUNTS = re.compile(r"^total: (\d+) errors, (\d+) warnings, (?:(\d+) checks, )?"
                    r"(\d+) lines checked", re.M)


class MailError(Exception):
    """What is wrong with a mail, in one line."""


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def script(base, path, kind, name, *arguments):
    """Returns what a script of the base says of a mail, and keeps it."""
    mail = re.sub(r"^(?:From |Date: ).*\n", "", read(path), count=2, flags=re.M)
    state = "\0".join([read(os.path.join(base, "scripts", name)),
                       read(os.path.join(base, "MAINTAINERS")), *arguments, mail])
    said = os.path.join(os.path.dirname(base), "series.said",
                        hashlib.sha256(state.encode()).hexdigest())
    if not os.path.exists(said):
        done = subprocess.run(
            ["perl", os.path.join(base, "scripts", name), *arguments, path],
            cwd=base, capture_output=True, text=True, check=False)
        if not done.stdout.strip():
            raise MailError(f"{name} says nothing of {path}: {done.stderr}")
        os.makedirs(os.path.dirname(said), exist_ok=True)
        write(said, done.stdout)
    text = read(said)
    write(path.removesuffix(".patch") + "." + kind, text)
    return text


def checkpatch(base, path, signed):
    """Returns checkpatch's [errors, warnings, checks, lines] and complaints."""
    options = [] if signed else ["--no-signoff"]
    if not os.path.exists(os.path.join(base, ".git")):
        # No commit that "Fixes:" names can be found where there is no history.
        options.append("--ignore=UNKNOWN_COMMIT_ID")
    text = script(base, path, "checkpatch", "checkpatch.pl", "--strict",
                  "--color=never", f"--root={base}", *options)
    match = COUNTS.search(text)
    if not match:
        raise MailError(f"checkpatch.pl counts nothing in {path}")
    return [int(count or 0) for count in match.groups()], text[:match.start()].strip()


def maintainers(base, path):
    """Who gets a mail, by the base's MAINTAINERS alone; returns how many."""
    text = script(base, path, "maintainers", "get_maintainer.pl", "--nogit",
                  "--nogit-fallback", "--norolestats", "--roles")
    return len(text.splitlines())


def added_lines(path):
    """Lines that a mail adds, of files that it does not only move."""
    diff = read(path).partition("\n---\n")[2]
    return len(re.findall(r"^\+(?!\+\+ )", diff, re.M))


def check(base, paths, signed):
    """Prints a line for each mail; returns whether checkpatch is content."""
    addressed = os.environ.get("RECIPIENTS") != "no"

    def look(path):
        people = maintainers(base, path) if addressed else "-"
        return (*checkpatch(base, path, signed), people)

    print(f"{'errors':>6} {'warnings':>8} {'checks':>6} {'added':>6} {'to':>3}  mail")
    complaints = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, (counts, text, people) in zip(paths, pool.map(look, paths)):
            name = os.path.basename(path)
            print(f"{counts[0]:6} {counts[1]:8} {counts[2]:6} {added_lines(path):6} "
                  f"{people:>3}  {name}", flush=True)
            if any(counts[:3]):
                complaints.append(f"{name}:\n{text}")
    for text in complaints:
        print("\n" + text)
    return not complaints
