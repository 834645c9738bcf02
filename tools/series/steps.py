# SPDX-License-Identifier: GPL-2.0
"""The steps of the series, one mail each, in sets: patches/NN-SET/NN-slug.patch.

A set is a folder.  Its number, the order of its steps and its cover letter,
cover.txt ("Subject: ..." first), are there and nowhere else.

A step's file looks like a mail: a "Subject:" line, an empty one, the commit
message, which may end in lines for these tools, then "---" and a diff (or none):

Overlay: GLOB          overlay files that come with it; "*" does not match "/",
                       "**" does
Sections: PATH 1-4,7   sections of an overlay file that come with it (grow.py)
Delete: PATH           a stock file that goes
Base: VERSION          it is one for bases of these versions only

Each overlay file, or each of its sections, belongs to exactly one step.  A step
deletes files, applies its diff, and adds what it has of the overlay.

The overlay has its files as they are in the end.  A later step may change what an
earlier one has brought: its diff is taken back for the steps before it (later.py).
"""
import os
import re
import sys

import grow

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "base"))
import lay  # noqa: E402

# Nobody reads more in one go.
MAILS_OF_A_SET = 15
LINES_OF_A_MAIL = 800
SECTIONS = re.compile(r"^Sections: (\S+) ([\d,-]+)$", re.M)


class StepError(Exception):
    """What is wrong with the steps, in one line."""


def numbers(text):
    """{1, 2, 3, 7} of "1-3,7"."""
    found = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


class Step:
    """One patch of the series."""

    def __init__(self, path, text):
        folder, self.path = os.path.dirname(path), path
        self.set = os.path.basename(folder)
        self.name = f"{self.set}/{os.path.basename(path)}"
        self.text = text
        head, separator, diff = self.text.partition("\n---\n")
        match = re.match(r"Subject: (\S[^\n]*)\n\n(.+)", head, re.S)
        if not match or not separator:
            raise StepError(f"patches/{self.name}: not 'Subject: ...', "
                            "message, '---', diff")
        self.subject = match[1]
        self.globs = lay.head_values(self.text, "Overlay")
        self.deleted = lay.head_values(self.text, "Delete")
        self.sections = [(path, numbers(text))
                         for path, text in SECTIONS.findall(head)]
        self.body = re.sub(r"^(Overlay|Sections|Delete|Base): .*\n?", "", match[2],
                           flags=re.M).strip()
        self.has_diff = lay.has_diff(diff)
        self.overlay = []

    def touched(self):
        """The stock files that the step changes or deletes."""
        changed = lay.TOUCHED.findall(self.text) if self.has_diff else []
        return set(changed) | set(self.deleted)


class Set:
    """Steps that are sent together, after a cover letter."""

    def __init__(self, folder, steps):
        self.name, self.steps = os.path.basename(folder), steps
        self.number = int(self.name.split("-")[0])
        if len(steps) > MAILS_OF_A_SET:
            raise StepError(f"patches/{self.name}: {len(steps)} mails; a set has at "
                            f"most {MAILS_OF_A_SET}: split it")
        try:
            with open(os.path.join(folder, "cover.txt"), encoding="utf-8") as file:
                subject, _, self.text = file.read().partition("\n")
        except FileNotFoundError:
            raise StepError(f"patches/{self.name} has no cover.txt") from None
        if not subject.startswith("Subject: ") or not self.text.strip():
            raise StepError(f"patches/{self.name}/cover.txt: not 'Subject: ...', text")
        self.subject = subject.removeprefix("Subject: ")


def give_overlay(steps, paths):
    """Hands every overlay file to the one step that names it."""
    owner, parted = {}, {path for step in steps for path, _ in step.sections}
    for step in steps:
        for text in step.globs:
            found = [path for path in paths if lay.pattern(text).match(path)]
            if not found:
                raise StepError(f"patches/{step.name}: no overlay file is "
                                f"'{text}'")
            for path in found:
                if owner.setdefault(path, step) is not step or path in parted:
                    raise StepError(f"overlay file {path} is in two steps: patches/"
                                    f"{owner[path].name} and patches/{step.name}")
    for path in paths:
        if path in parted:
            continue
        if path not in owner:
            raise StepError(f"overlay file {path} is in no step: add 'Overlay: "
                            f"{path}' to one of patches/*/*.patch")
        owner[path].overlay.append(path)


def check_sections(steps, repo):
    """Each section of a file that comes in parts is in one step."""
    given = {}
    for step in steps:
        for path, some in step.sections:
            known = given.setdefault(path, set())
            if known & some:
                raise StepError(f"patches/{step.name}: {path} has sections "
                                f"{sorted(known & some)} in two steps")
            known |= some
    for path, known in given.items():
        state = lay.read(os.path.join(repo, path))
        there = set(grow.sections(state[0].decode())[1]) if state else set()
        if known != there:
            raise StepError(f"{path}: sections {sorted(known ^ there)} are in no step, "
                            "or in no file")


def load(repo, base):
    """Returns the sets of a repository for the base in a folder."""
    version = lay.kernel_version(base)
    steps = [Step(path, text) for path, text in lay.patches(repo, version)]
    if not steps:
        raise StepError("there are no patches/*/*.patch")
    give_overlay(steps, lay.overlay_paths(repo))
    check_sections(steps, repo)
    folders = sorted({os.path.dirname(step.path) for step in steps})
    return [Set(folder, [step for step in steps
                         if os.path.dirname(step.path) == folder])
            for folder in folders]
