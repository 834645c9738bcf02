#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Prints deb822 apt sources for the Debian suites that carry linux-source-6.12.

apt-sources.py TYPE [SUITE...]: of that type (deb or deb-src), and for these
suites instead.

The mirrors and keys are those of the machine's own apt configuration, which
is read (one-line and deb822 files) and never changed.  Exits with 1 if the
configuration names no Debian mirror.
"""
import glob
import os
import re
import subprocess
import sys

RELEASE = r"(?:bookworm|trixie|forky|sid|testing|stable|oldstable|unstable)"
MAIN = re.compile(rf"^{RELEASE}(?:-updates|-backports)?$")
SECURITY = re.compile(rf"^{RELEASE}(?:-security|/updates)$")
SUITES = ["trixie", "trixie-updates", "bookworm-backports",
          "trixie-security", "bookworm-security"]


def apt_paths():
    shell = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f",
         "PARTS", "Dir::Etc::sourceparts/d"],
        capture_output=True, text=True, check=True).stdout
    paths = dict(re.findall(r"(\w+)='(.*)'", shell))
    parts = paths.get("PARTS", "")
    return ([paths.get("LIST", "")] + sorted(glob.glob(os.path.join(parts, "*.list"))),
            sorted(glob.glob(os.path.join(parts, "*.sources"))))


def one_line_entries(text):
    """Yields (uris, suites, components, signed_by) of a sources.list file."""
    for line in text.splitlines():
        match = re.match(r"\s*deb\s+(?:\[(.*?)\]\s*)?(\S+)\s+(\S+)\s+(.+?)\s*(?:#.*)?$",
                         line)
        if match:
            options = dict(option.split("=", 1)
                           for option in (match[1] or "").split() if "=" in option)
            yield [match[2]], [match[3]], match[4].split(), options.get("signed-by", "")


def stanzas(text):
    """Yields each deb822 stanza as {lower-case field: value with its lines}."""
    for block in re.split(r"\n[ \t]*\n", text):
        fields, name = {}, None
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1] in " \t" and name:
                fields[name] += "\n" + line
            elif ":" in line:
                name, value = line.split(":", 1)
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields:
            yield fields


def deb822_entries(text):
    for fields in stanzas(text):
        if ("deb" in fields.get("types", "").split()
                and fields.get("enabled", "yes").lower() not in ("no", "false", "0")):
            yield (fields.get("uris", "").split(), fields.get("suites", "").split(),
                   fields.get("components", "").split(), fields.get("signed-by", ""))


def machine_entries():
    one_line, deb822 = apt_paths()
    for paths, parse in ((one_line, one_line_entries), (deb822, deb822_entries)):
        for path in paths:
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace") as file:
                    yield from parse(file.read())


def main():
    kind, *named = sys.argv[1:]
    archives = [(pattern, tuple(filter(pattern.match, named or SUITES)))
                for pattern in (MAIN, SECURITY)]
    mirrors = {}
    for uris, suites, components, key in machine_entries():
        if "main" not in components:
            continue
        for pattern, wanted in archives:
            if wanted and any(pattern.match(suite) for suite in suites):
                for uri in uris:
                    mirrors.setdefault((uri, wanted), key)
    for (uri, suites), key in mirrors.items():
        print(f"Types: {kind}\nURIs: {uri}\nSuites: {' '.join(suites)}\nComponents: main")
        if key:
            print(f"Signed-By: {key}" if not key.startswith("\n") else f"Signed-By:{key}")
        print()
    return 0 if mirrors else 1


if __name__ == "__main__":
    sys.exit(main())
