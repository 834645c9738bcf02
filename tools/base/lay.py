#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""lay.py [--stock|--check|--modules] REPO O: lays REPO's overlay and patches on
O/tree (--stock: nothing; --check: finds out whether all patches apply, and stops;
--modules: what KVM's modules are built from alone, and a patch that marks them).

The wanted content of every touched file is worked out first (patches are
applied to copies of the base's files), so a patch that does not apply leaves
the tree as it was.

O/tree.manifest lists what is laid, one "sha256 path" a line; it is written
before the tree changes, with "?" for a hash, so that the next run repairs an
interrupted one.

A patch with "Base: VERSION" lines in its head is for bases of these versions
only; for all others it is as if it were not there.

The overlay has its files as they are in the end.  What a patch's diff changes in
one of them, of an earlier patch, is left out here: it is for the series.
"""
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile

OVERLAY = ["arch", "virt", "include", "Documentation", "lib",
           "tools/testing", "tools/verification"]
# The folders that the sources of KVM's modules are in
SOURCES = ("arch/", "virt/", "include/")
MARK = "tools/dkms/mark.patch"
TOUCHED = re.compile(r"^(?:(?:---|\+\+\+) [ab]/|(?:rename|copy) (?:from|to) )(\S+)", re.M)


def head_values(text, name):
    """The values of the lines "NAME: VALUE" in a patch's head."""
    head = text.partition("\n---\n")[0]
    return re.findall(rf"^{name}: (\S+)$", head, re.M)


def pattern(text):
    """Compiles one glob of an Overlay: line; "*" does not match "/", "**" does."""
    parts = re.split(r"(\*\*|\*)", text)
    return re.compile("".join({"**": ".*", "*": "[^/]*"}.get(part, re.escape(part))
                              for part in parts) + "$")


def kernel_version(base):
    """The version as the base's Makefile has it: 6.12.118."""
    with open(os.path.join(base, "Makefile"), encoding="utf-8") as file:
        value = dict(re.findall(r"^(\w+) = (\d+)$", file.read(), re.M))
    return ".".join(value[name] for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))


def patches(repo, version=None):
    """Lists (path, text) of the patches for a base of that version, in the order of
    their sets and names; without a version, all of them."""
    found = []
    for path in sorted(glob.glob(os.path.join(repo, "patches", "*", "*.patch"))):
        with open(path, encoding="utf-8") as file:
            text = file.read()
        bases = head_values(text, "Base")
        if not version or not bases or version in bases:
            found.append((path, text))
    return found


class PatchError(Exception):
    """A patch that does not apply, told in one line."""


def read(path):
    """Returns (content, executable) of a file, or None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(), bool(os.stat(path).st_mode & 0o100)
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(path, content, executable):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".lay", "wb") as file:
        file.write(content)
    os.chmod(path + ".lay", 0o755 if executable else 0o644)
    os.rename(path + ".lay", path)


def overlay_paths(repo):
    """Lists the overlay's files: tracked, or new and not ignored; in a package,
    which is no repository, all of them."""
    if not os.path.exists(os.path.join(repo, ".git")):
        return sorted(os.path.relpath(os.path.join(folder, name), repo)
                      for top in OVERLAY
                      for folder, _, names in os.walk(os.path.join(repo, top))
                      for name in names)
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", repo, "ls-files", "-z", "--cached",
         "--others", "--exclude-standard", "--", *OVERLAY],
        capture_output=True, check=True).stdout
    names = {os.fsdecode(name) for name in listing.split(b"\0") if name}
    return sorted(name for name in names if os.path.isfile(os.path.join(repo, name)))


def git_apply(stage, patch, *options):
    """Applies a patch in stage, which must not look like part of a repository."""
    env = {key: value for key, value in os.environ.items()
           if not key.startswith("GIT_")}
    env["GIT_CEILING_DIRECTORIES"] = os.path.dirname(os.path.realpath(stage))
    return subprocess.run(["git", "apply", "--whitespace=nowarn", *options, patch],
                          cwd=stage, env=env, capture_output=True, text=True,
                          check=False)


def explain(stage, patch):
    """Tells in one line why a patch does not apply: file and hunks."""
    output = git_apply(stage, patch, "--reject", "--verbose").stderr
    current, hunks = "", {}
    for line in output.splitlines():
        match = re.match(r"error: patch failed: (\S+?):(\d+)", line)
        if match:
            current = f"{match[1]} (line {match[2]})"
            hunks.setdefault(current, [])
        match = re.match(r"Applying patch (\S+) with", line)
        if match:
            current = next((name for name in hunks if name.split()[0] == match[1]),
                           match[1])
        match = re.match(r"Rejected hunk #(\d+)", line)
        if match:
            hunks.setdefault(current, []).append("#" + match[1])
    if not hunks:
        return "; ".join(line for line in output.splitlines()
                         if line.startswith("error:"))
    return ", ".join(name + (f" hunk {' '.join(numbers)}" if numbers else "")
                     for name, numbers in hunks.items())


def has_diff(text):
    return bool(re.search(r"^(?:diff --git |--- (?:a/|/dev/null))", text, re.M))


def given(text, paths):
    """Which of these overlay files a patch brings, or sections of them."""
    globs = head_values(text, "Overlay") + re.findall(r"^Sections: (\S+) ",
                                                      text.partition("\n---\n")[0], re.M)
    patterns = [pattern(glob_) for glob_ in globs]
    return {path for path in paths if any(known.match(path) for known in patterns)}


def delete(stage, text):
    """Deletes the files that a patch's head names; returns their paths."""
    paths = head_values(text, "Delete")
    for path in paths:
        if os.path.exists(os.path.join(stage, path)):
            os.unlink(os.path.join(stage, path))
    return paths


def fetch(base, stage, path):
    """Copies a file of the base to stage, if it is there."""
    found = read(os.path.join(base, path))
    if found:
        write(os.path.join(stage, path), *found)


def apply_patches(repo, base, stage, modules):
    """Applies all patches to copies in stage; returns the paths they touch.
    modules: only what they change in SOURCES, and the patch that marks them."""
    touched, ours, overlay = set(), set(), overlay_paths(repo)
    chosen = patches(repo, kernel_version(base))
    options = [f"--include={folder}*" for folder in SOURCES] if modules else []
    if modules:
        with open(os.path.join(repo, MARK), encoding="utf-8") as file:
            chosen.append((os.path.join(repo, MARK), file.read()))
    for patch, text in chosen:
        touched.update(delete(stage, text))
        changed = set(TOUCHED.findall(text)) if has_diff(text) else set()
        later = [f"--exclude={path}" for path in sorted(changed & ours)]
        changed -= ours
        ours |= given(text, overlay)
        for path in changed - touched:
            if not modules or path.startswith(SOURCES):
                touched.add(path)
                fetch(base, stage, path)
        if changed and git_apply(stage, patch, *later, *options).returncode:
            raise PatchError(f"{os.path.relpath(patch, repo)} does not apply: "
                             + explain(stage, patch))
    return touched


def wanted_files(repo, base, modules=False):
    """Returns {path: (content, executable), or None for a deleted file}."""
    with tempfile.TemporaryDirectory(prefix="lay-") as stage:
        touched = apply_patches(repo, base, stage, modules)
        wanted = {path: read(os.path.join(stage, path)) for path in touched}
    for path in overlay_paths(repo):
        if not modules or path.startswith(SOURCES):
            wanted[path] = read(os.path.join(repo, path))
    return wanted


def read_manifest(path):
    try:
        with open(path, encoding="utf-8") as file:
            return {line.rstrip("\n").split(" ", 1)[1] for line in file}
    except FileNotFoundError:
        return set()


def write_manifest(path, hashes):
    with open(path + ".tmp", "w", encoding="utf-8") as file:
        file.writelines(f"{hashes[name]} {name}\n" for name in sorted(hashes))
    os.rename(path + ".tmp", path)


def settle(path, wanted):
    """Gives one file its wanted state; returns 1 if that changed it."""
    if read(path) == wanted:
        return 0
    if wanted is None:
        os.unlink(path)
    else:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        write(path, *wanted)
    return 1


def digest(state):
    return hashlib.sha256(state[0]).hexdigest() if state else "deleted"


def lay(wanted, base, tree, manifest):
    stale = read_manifest(manifest) - set(wanted)
    write_manifest(manifest, {path: "?" for path in stale | set(wanted)})
    changed = sum(settle(os.path.join(tree, path), state)
                  for path, state in wanted.items())
    changed += sum(settle(os.path.join(tree, path), read(os.path.join(base, path)))
                   for path in stale)
    write_manifest(manifest, {path: digest(state) for path, state in wanted.items()})
    return changed


def main():
    *options, repo, out = sys.argv[1:]
    stock = "--stock" in options
    base, tree = os.path.join(out, "base"), os.path.join(out, "tree")
    try:
        wanted = {} if stock else wanted_files(repo, base, "--modules" in options)
    except PatchError as error:
        sys.exit(f"error: {error}")
    if "--check" in options:
        return
    changed = lay(wanted, base, tree, os.path.join(out, "tree.manifest"))
    if changed:
        print(f"== tree: {'stock' if stock else f'{len(wanted)} files laid'}, "
              f"{changed} changed", flush=True)


if __name__ == "__main__":
    main()
