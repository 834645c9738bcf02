#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""drift.py show|record REPO RECORD NEW [OLD]: what stock changed.

NEW is the folder of a base, with its package's changelog in NEW.changelog.gz,
OLD of the one that was reviewed last, if it can be had.  RECORD tells what that
was: its version, and a checksum for each file that ours replaces or patches, and
for all others in the folders that ours stands in.

show:   lists the changelog's lines that concern KVM on x86, and the diff of
        each of these files; exits with 1 if one of them changed.
record: writes RECORD anew from NEW.
"""
import difflib
import gzip
import os
import re
import sys

import lay

# All stock files here are watched: what ours replaces may move to another one.
FOLDERS = ("virt/kvm", "arch/x86/kvm/mmu")
# What the rest of KVM knows of the MMU that ours replaces.
INTERFACES = {"arch/x86/kvm/mmu.h", "arch/x86/include/asm/kvm_host.h"}
# Changes each week in lines that are not ours; a patch of it applies or does not.
IGNORED = {"MAINTAINERS"}
OTHER_ARCH = re.compile(r"\[(?:arm|riscv|s390|powerpc|ppc|mips|loong)[^\]]*\]|"
                        r"KVM: (?:arm64|s390|PPC|RISC-V|riscv|MIPS|LoongArch)\b")
HEAD = """\
# What "make drift" compares with, written by "make drift-reviewed": the version
# of stock that ours was last reviewed against, and the files as they were then.
"""


def number(version):
    """A version as a list of numbers; Debian's revision is left out."""
    return [int(part) for part in version.partition("-")[0].split(".")]


def read_record(path):
    """Returns (version, {path: checksum})."""
    with open(path, encoding="utf-8") as file:
        lines = [line.split() for line in file if not line.startswith("#")]
    return lines[0][0], {name: checksum for checksum, name in lines[1:]}


def write_record(path, version, files):
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEAD + version + "\n")
        file.writelines(f"{files[name]} {name}\n" for name in sorted(files))


def touched(repo):
    """The paths that the series touches, stock's and its own."""
    paths = set(lay.overlay_paths(repo))
    for _, text in lay.patches(repo):
        paths.update(lay.head_values(text, "Delete"))
        paths.update(lay.TOUCHED.findall(text) if lay.has_diff(text) else ())
    return paths


def watched(repo, base, recorded=()):
    """Returns {path: checksum} of a base's files that are watched."""
    paths = touched(repo) | INTERFACES | set(recorded)
    for folder in FOLDERS:
        paths.update(f"{folder}/{name}" for name in os.listdir(f"{base}/{folder}")
                     if os.path.isfile(f"{base}/{folder}/{name}"))
    found = {path: lay.read(os.path.join(base, path)) for path in paths - IGNORED}
    return {path: lay.digest(state) for path, state in found.items() if state}


def changelog(base, version):
    """Lists the entries of a package's changelog after a version that concern KVM
    on x86, each with the package's version."""
    found, package, entry = [], "", ""
    with gzip.open(base + ".changelog.gz", "rt", encoding="utf-8") as file:
        for line in file:
            head = re.match(r"linux \((\S+)\)", line)
            if head and number(head[1]) <= number(version):
                break
            if head or not line.strip() or re.match(r" +([-*] |http)", line):
                if "KVM" in entry and not OTHER_ARCH.search(entry):
                    found.append(f"{package}: {entry}")
                entry = re.sub(r"^ +[-*] ", "", line).strip()
            else:
                entry += " " + line.strip()
            package = head[1] if head else package
    return found


def lines(base, path):
    state = lay.read(os.path.join(base, path))
    return state[0].decode(errors="replace").splitlines(True) if state else []


def show_diff(old, new, path):
    sys.stdout.writelines(difflib.unified_diff(
        lines(old, path), lines(new, path), f"a/{path}", f"b/{path}"))


def compare(was, now):
    """Lists (what happened, path) for each file that is not as it was."""
    for path in sorted(set(was) | set(now)):
        if path not in now:
            yield "gone", path
        elif path not in was:
            yield "new", path
        elif was[path] != now[path]:
            yield "changed", path


def show(repo, record, new, old):
    version, was = read_record(record)
    if old:
        # What the series touches since the review is compared as well.
        was = {**watched(repo, old), **was}
    changes = list(compare(was, watched(repo, new, was)))
    print(f"== drift: from {version} to {os.path.basename(new)}, "
          f"{len(was)} files", flush=True)
    for line in changelog(new, version):
        print(f"   {line}")
    for what, path in changes:
        print(f"== {what}: {path}")
        if old and what == "changed":
            show_diff(old, new, path)
    if changes:
        for what, path in changes:
            print(f"   {what:8} {path}")
        sys.exit(f"error: {len(changes)} files are not reviewed; when ours has what "
                 "it needs of the above: make drift-reviewed")
    print("== drift: nothing that is not reviewed")


def main():
    action, repo, record, new, *old = sys.argv[1:]
    if action == "record":
        files = watched(repo, new)
        write_record(record, lay.kernel_version(new), files)
        print(f"== reviewed: {os.path.basename(new)}, {len(files)} files")
    else:
        show(repo, record, new, old[0] if old else None)


if __name__ == "__main__":
    main()
