#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""trip.py REPO O: takes the mails of "make series" back with b4, as a maintainer does.

Each set becomes a thread in a mailbox, as if it had been sent, and "b4 shazam" applies
it to the base with the sets before it.  The result must be what the series has.
SET in the environment is the number of the only set that is wanted.
"""
import os
import re
import shutil
import sys

from series import Series, SeriesError, output
from steps import StepError


def thread_id(name, number):
    return f"<{name}-{number:04}@series.invalid>"


def as_sent(mail, name, number):
    """A mail with what a mailer adds, and without what b4 0.12 cannot read: a folded
    "From:"."""
    head, _, body = mail.partition("\n\n")
    head = re.sub(r"\n[ \t]+", " ", head) + f"\nMessage-ID: {thread_id(name, number)}"
    if number:
        head += f"\nIn-Reply-To: {thread_id(name, 0)}"
    return f"{head}\n\n" + re.sub(r"^From ", ">From ", body, flags=re.M) + "\n"


class Trip:
    """A clone of the series' repository, and the mailboxes beside it."""

    def __init__(self, series):
        self.series = series
        self.folder = os.path.join(series.out, "series-trip")
        self.clone = os.path.join(self.folder, "base")
        shutil.rmtree(self.folder, ignore_errors=True)
        output(["git", "clone", "-q", series.git_dir, self.clone])
        self.git("checkout", "-q", series.start(series.wanted[0]))
        self.git("config", "b4.attestation-policy", "off")

    def git(self, *arguments):
        return output(["git", "-C", self.clone, *arguments], env=self.series.env)

    def write_mailbox(self, part):
        cover = os.path.join(self.series.folder(part), "0000-cover-letter.patch")
        box = os.path.join(self.folder, part.name + ".mbox")
        with open(box, "w", encoding="utf-8") as out:
            for number, path in enumerate([cover, *self.series.patch_mails(part)]):
                with open(path, encoding="utf-8") as file:
                    out.write(as_sent(file.read(), part.name, number))
        return box

    def take_back(self, part):
        box = self.write_mailbox(part)
        output(["b4", "--offline-mode", "shazam", "-m", box, thread_id(part.name, 0)],
               cwd=self.clone, env=self.series.env)
        wrong = self.git("diff", "--name-only", part.name).split()
        if wrong:
            raise SeriesError(f"{part.name}: b4 gives another tree: {' '.join(wrong)}")
        print(f"== {part.name}: {len(part.steps)} mails, b4 gives the same tree",
              flush=True)


def main():
    try:
        series = Series(*sys.argv[1:])
        trip = Trip(series)
        for part in series.wanted:
            trip.take_back(part)
    except (SeriesError, StepError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
