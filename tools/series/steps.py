# SPDX-License-Identifier: GPL-2.0
"""The steps of the series: patches/NNNN-slug.patch, in order of their names.

A step's file looks like a mail: a "Subject:" line, an empty one, the commit
message, which may end in "Overlay: GLOB", "Delete: PATH" and "Base: VERSION"
lines, then "---" and a diff of stock files (or none).  A step with "Base:" lines
is one for bases of these versions only.  The step deletes the stock files that it
names, applies the diff and adds the overlay files that its globs name; "*" does
not match "/", "**" does.  Each overlay file belongs to exactly one step.
"""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                os.pardir, "base"))
import lay  # noqa: E402


class StepError(Exception):
    """What is wrong with the steps, in one line."""


class Step:
    """One patch of the series."""

    def __init__(self, path, text):
        self.name = os.path.basename(path)
        self.text = text
        head, separator, diff = self.text.partition("\n---\n")
        match = re.match(r"Subject: (\S[^\n]*)\n\n(.+)", head, re.S)
        if not match or not separator:
            raise StepError(f"patches/{self.name}: not 'Subject: ...', "
                            "message, '---', diff")
        self.path, self.subject = path, match[1]
        self.globs = lay.head_values(self.text, "Overlay")
        self.deleted = lay.head_values(self.text, "Delete")
        self.body = re.sub(r"^(Overlay|Delete|Base): .*\n?", "", match[2],
                           flags=re.M).strip()
        self.has_diff = lay.has_diff(diff)
        self.overlay = []

    def touched(self):
        """The stock files that the step changes or deletes."""
        changed = lay.TOUCHED.findall(self.text) if self.has_diff else []
        return set(changed) | set(self.deleted)


def give_overlay(steps, paths):
    """Hands every overlay file to the one step that names it."""
    owner = {}
    for step in steps:
        for text in step.globs:
            found = [path for path in paths if lay.pattern(text).match(path)]
            if not found:
                raise StepError(f"patches/{step.name}: no overlay file is "
                                f"'{text}'")
            for path in found:
                if owner.setdefault(path, step) is not step:
                    raise StepError(f"overlay file {path} is in two steps: patches/"
                                    f"{owner[path].name} and patches/{step.name}")
    for path in paths:
        if path not in owner:
            raise StepError(f"overlay file {path} is in no step: add 'Overlay: "
                            f"{path}' to one of patches/*.patch")
        owner[path].overlay.append(path)


def load(repo, base):
    """Returns the steps of a repository for the base in a folder."""
    version = lay.kernel_version(base)
    steps = [Step(path, text) for path, text in lay.patches(repo, version)]
    if not steps:
        raise StepError("there are no patches/*.patch")
    give_overlay(steps, lay.overlay_paths(repo))
    return steps
