#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check.py files REPO O: runs checkpatch.pl --strict on the overlay's files.
check.py warnings REPO O STOCK_LOG OUR_LOG: prints the warnings of a build that
stock's build has not; in the overlay's own files, every one.
Exits with 1 if there is something to print.
"""
import collections
import os
import re
import subprocess
import sys

from steps import lay

CHECKED = (".c", ".h", ".S", ".rst", ".txt", "Makefile", "Kconfig")
WARNING = re.compile(r"^(/?[\w./+-]+):\d+(?::\d+)?: ((?:warning|error): .*)")


def checkpatch(repo, tree):
    """Returns checkpatch's complaints about the overlay's files, as laid."""
    paths = [path for path in lay.overlay_paths(repo) if path.endswith(CHECKED)]
    if not paths:
        return []
    done = subprocess.run(
        ["perl", "scripts/checkpatch.pl", "--strict", "--terse", "--no-summary",
         "--color=never", "-f", *paths],
        cwd=tree, capture_output=True, text=True, check=False)
    print(f"== checkpatch: {len(paths)} files", flush=True)
    return done.stdout.splitlines()


def warnings(log, out):
    """Counts a build log's warnings as (path in the tree, text)."""
    found = collections.Counter()
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = WARNING.match(line)
            if match:
                path = os.path.normpath(match[1])
                for tree in ("base", "tree"):
                    for root in {os.path.join(out, tree),
                                 os.path.realpath(os.path.join(out, tree))}:
                        path = path.removeprefix(root + "/")
                found[path, match[2]] += 1
    return found


def new_warnings(repo, out, stock_log, our_log):
    overlay = set(lay.overlay_paths(repo))
    stock, ours = warnings(stock_log, out), warnings(our_log, out)
    print(f"== sparse and W=1: stock {stock.total()} warnings, ours {ours.total()}",
          flush=True)
    return [f"{path}: {text}" for (path, text), count in sorted(ours.items())
            if path in overlay or count > stock[path, text]]


def main():
    action, repo, out, *logs = sys.argv[1:]
    found = (checkpatch(repo, os.path.join(out, "tree")) if action == "files"
             else new_warnings(repo, out, *logs))
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
