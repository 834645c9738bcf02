# SPDX-License-Identifier: GPL-2.0
"""Overlay files that later steps of the series change.

The overlay has them as they are in the end; what a step's diff changes in files that
an earlier step has brought is taken back for all steps before it.
"""
import os
import tempfile

from steps import StepError, lay


def taken_back(step, states):
    """Returns {path: state} of files as they were before a step."""
    with tempfile.TemporaryDirectory(prefix="later-") as stage:
        for path, state in states.items():
            lay.write(os.path.join(stage, path), *state)
        done = lay.git_apply(stage, step.path, "-R",
                             *(f"--include={path}" for path in states))
        if done.returncode:
            raise StepError(f"patches/{step.name}: its diff of {', '.join(states)} can't "
                            f"be taken back: {done.stderr.strip()[-300:]}")
        return {path: lay.read(os.path.join(stage, path)) for path in states}


class Later:
    """What overlay files are after each step."""

    def __init__(self, repo, steps):
        self.repo = repo
        # By path: (a step that changes it, its state before that), last one first
        self.before = {}
        ours = set()
        for step in steps:
            step.changes = step.touched() & ours
            ours |= set(step.overlay) | {path for path, _ in step.sections}
        for step in reversed(steps):
            if step.changes:
                self.take_back(step)

    def take_back(self, step):
        states = {path: self.first(path) for path in sorted(step.changes)}
        for path, state in taken_back(step, states).items():
            self.before.setdefault(path, []).append((step, state))

    def first(self, path):
        """The earliest state of a file that is known."""
        known = self.before.get(path)
        return known[-1][1] if known else lay.read(os.path.join(self.repo, path))

    def after(self, path, done):
        """The state of a file when the steps in done have been done."""
        for step, state in reversed(self.before.get(path, [])):
            if step not in done:
                return state
        return lay.read(os.path.join(self.repo, path))
