#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""series.py commits|mails|check REPO O: the overlay as sets of patches.

commits: makes O/series.git, whose first commit holds the base's version of
         every file that the series touches and MAINTAINERS (git am reads no
         other), with one commit for each step on branch "series", and a tag for
         each set where it ends.
mails:   writes them as mails to O/series/SET, applies those with git am, and
         compares the result with O/tree.
check:   runs the base's checkpatch.pl --strict and get_maintainer.pl on each mail,
         and keeps what they say beside it.

In the environment, SET is the number of the only set that is wanted, and SIGNOFF is
"Name <mail>", who signs the mails off.  Without it they can't be sent.
RECIPIENTS=no leaves get_maintainer.pl out, which can't fail and takes a minute.
"""
import glob
import os
import re
import shutil
import subprocess
import sys

import grow
import mails
import steps as series_steps
from later import Later
from steps import lay


# What is moved or copied as good as it is, is shown so.
COPIES = ("-C85%", "--find-copies-harder")


class SeriesError(Exception):
    """What is wrong with the series, in one line."""


def output(command, **options):
    """Runs a command, returns what it prints; raises what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          **options)
    if done.returncode:
        raise SeriesError(f"{' '.join(command[:6])}: "
                          f"{(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def signer():
    """(name, mail) of who signs off, or None."""
    text = os.environ.get("SIGNOFF", "")
    if not text:
        return None
    match = re.fullmatch(r"(\S[^<>]*\S) <([^<>\s]+@[^<>\s]+)>", text)
    if not match:
        raise SeriesError(f"SIGNOFF={text}: not \"Name <mail>\"")
    return match.groups()


class Series:
    """The series of one repository, and where it is built."""

    def __init__(self, repo, out):
        self.repo, self.out = repo, out
        self.base, self.tree = os.path.join(out, "base"), os.path.join(out, "tree")
        self.git_dir = os.path.join(out, "series.git")
        self.mails = os.path.join(out, "series")
        self.sets = series_steps.load(repo, self.base)
        self.steps = [step for part in self.sets for step in part.steps]
        self.overlay = set(lay.overlay_paths(repo))
        self.wanted = self.wanted_sets()
        self.signer = signer()
        self.env = {**os.environ, **self.identity()}
        self.later = Later(repo, self.steps)
        # What is there: steps, overlay files, sections; lists as patches change them
        self.done, self.present, self.parts, self.lists = set(), set(), {}, {}

    def wanted_sets(self):
        number = os.environ.get("SET", "")
        found = [part for part in self.sets if number in ("", str(part.number))]
        if not found:
            raise SeriesError(f"SET={number}: there are 1 to {self.sets[-1].number}")
        return found

    def identity(self):
        """Author and date: who signs off, or the last commit's author; its date, so
        that the mails repeat."""
        log = ["git", "-c", "safe.directory=*", "-C", self.repo, "log", "-1",
               "--format=%an%n%ae%n%ad"]
        name, mail, date = output(log).splitlines()
        name, mail = self.signer or (name, mail)
        return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))}

    def git(self, *arguments):
        return output(["git", "-C", self.git_dir, "-c", "gc.auto=0",
                       "-c", "commit.gpgsign=false", *arguments], env=self.env)

    def touched(self):
        paths = {"MAINTAINERS"} | self.overlay
        for step in self.steps:
            paths |= step.touched()
        return sorted(paths)

    def put(self, source, path):
        """Copies a file of the tree source into the repository, if it is there."""
        state = lay.read(os.path.join(source, path))
        if state:
            lay.write(os.path.join(self.git_dir, path), *state)

    def put_text(self, path, text):
        lay.write(os.path.join(self.git_dir, path), text.encode(), False)

    def text(self, source, path):
        return lay.read(os.path.join(source, path))[0].decode()

    def commit(self, message):
        self.git("add", "-A", "-f", ".")
        self.git("commit", "-q", "--allow-empty", "-m", message)

    def commit_base(self):
        shutil.rmtree(self.git_dir, ignore_errors=True)
        os.makedirs(self.git_dir)
        self.git("init", "-q", "-b", "base")
        for path in self.touched():
            self.put(self.base, path)
        with open(os.path.join(self.out, "base.id"), encoding="utf-8") as file:
            self.commit(f"Base: {file.read().strip()}")
        self.git("checkout", "-q", "-b", "series")

    def apply(self, step):
        """Applies a diff; lists are whole meanwhile."""
        for path, text in self.lists.items():
            self.put_text(path, text)
        try:
            self.git("apply", "--whitespace=nowarn", step.path,
                     *(f"--exclude={path}" for path in step.changes))
        except SeriesError as error:
            raise SeriesError(f"patches/{step.name}: {error}") from None
        for path in filter(grow.is_list, step.touched()):
            self.lists[path] = self.text(self.git_dir, path)

    def put_overlay(self, step):
        self.done.add(step)
        for path, some in step.sections:
            self.parts.setdefault(path, set()).update(some)
        for path in {*step.overlay, *dict(step.sections), *step.changes}:
            content, executable = self.later.after(path, self.done)
            if path in self.parts:
                content = grow.with_sections(content.decode(), self.parts[path]).encode()
            lay.write(os.path.join(self.git_dir, path), content, executable)
        self.present |= set(step.overlay) | {path for path, _ in step.sections}
        for path, text in self.lists.items():
            self.put_text(path, grow.grown(path, text, self.text(self.base, path),
                                           self.overlay, self.present))

    def check_size(self, step):
        """Fails if a step adds more than a reader takes."""
        lines = self.git("show", "--format=", "--numstat", *COPIES, "HEAD").splitlines()
        added = sum(int(line.split("\t")[0]) for line in lines
                    if line and line[0] != "-")
        if added > series_steps.LINES_OF_A_MAIL:
            raise SeriesError(f"patches/{step.name} adds {added} lines; a mail has at "
                              f"most {series_steps.LINES_OF_A_MAIL}: split it")

    def commit_step(self, step):
        for path in step.deleted:
            os.unlink(os.path.join(self.git_dir, path))
        if step.has_diff:
            self.apply(step)
        self.put_overlay(step)
        message = f"{step.subject}\n\n{step.body}"
        if self.signer:
            # "Fixes:" and the like stand in one block with it.
            trailer = re.search(r"\n\n[A-Z][\w-]+: [^\n]+(\n[A-Z][\w-]+: [^\n]+)*$",
                                message)
            message += "\n" if trailer else "\n\n"
            message += "Signed-off-by: {} <{}>".format(*self.signer)
        self.commit(message)
        self.check_size(step)

    def make_commits(self):
        self.commit_base()
        for part in self.sets:
            for step in part.steps:
                self.commit_step(step)
            self.git("tag", part.name)

    def start(self, part):
        """What a set begins on."""
        at = self.sets.index(part)
        return self.sets[at - 1].name if at else "base"

    def folder(self, part):
        return os.path.join(self.mails, part.name)

    def write_cover(self, part):
        with open(os.path.join(self.out, "base.id"), encoding="utf-8") as file:
            base = f"Set {part.number} of {self.sets[-1].number}.  The base is " \
                   + file.read().strip()
        if part is not self.sets[0]:
            base += f",\nwith the sets before this one, up to {self.start(part)}"
        cover = os.path.join(self.folder(part), "0000-cover-letter.patch")
        with open(cover, encoding="utf-8") as file:
            mail = file.read()
        mail = mail.replace("*** SUBJECT HERE ***", part.subject)
        mail = mail.replace("*** BLURB HERE ***", f"{part.text.strip()}\n\n{base}.")
        with open(cover, "w", encoding="utf-8") as file:
            file.write(mail)

    def write_mails(self):
        shutil.rmtree(self.mails, ignore_errors=True)
        for part in self.wanted:
            self.git("format-patch", "-q", "--cover-letter", "-B", *COPIES, "-n",
                     "-o", self.folder(part), f"{self.start(part)}..{part.name}")
            self.write_cover(part)

    def patch_mails(self, part):
        found = glob.glob(os.path.join(self.folder(part), "*.patch"))
        return [path for path in sorted(found)
                if not path.endswith("0000-cover-letter.patch")]

    def apply_mails(self):
        """Applies the mails as their receiver does: a set on those before it."""
        self.git("checkout", "-q", "-B", "applied", self.start(self.wanted[0]))
        for part in self.wanted:
            self.git("am", "-q", *self.patch_mails(part))
            if self.git("diff", "--name-only", part.name, "applied"):
                raise SeriesError(f"{part.name}: git am gives another tree than the "
                                  "commits")

    def compare_tree(self):
        """All mails applied must give what "make tree" gives."""
        laid = lay.read_manifest(os.path.join(self.out, "tree.manifest"))
        touched = set(self.touched())
        wrong = [path for path in sorted(touched | laid)
                 if path not in touched or
                 lay.read(os.path.join(self.git_dir, path))
                 != lay.read(os.path.join(self.tree, path))]
        if wrong:
            raise SeriesError("the series and the tree differ in " + ", ".join(wrong))

    def make_mails(self):
        self.write_mails()
        self.apply_mails()
        if len(self.wanted) == len(self.sets):
            self.compare_tree()
            result = "git am on the base gives the tree"
        else:
            result = "git am on the sets before it gives the commits"
        count = sum(len(self.patch_mails(part)) for part in self.wanted)
        print(f"== {count} mails in {len(self.wanted)} sets in {self.mails}: {result}",
              flush=True)

    def check(self):
        """Says what checkpatch.pl counts in each mail, set by set."""
        clean = True
        for part in self.wanted:
            print(f"== {part.name}: {part.subject}")
            clean &= mails.check(self.base, self.patch_mails(part), self.signer)
        if not clean:
            raise SeriesError("checkpatch.pl --strict is not clean")
        if not self.signer:
            print("== these mails can't be sent: nobody has signed them off "
                  "(SIGNOFF=\"Name <mail>\")", flush=True)


def main():
    action, repo, out = sys.argv[1:]
    try:
        series = Series(repo, out)
        {"commits": series.make_commits, "mails": series.make_mails,
         "check": series.check}[action]()
    except (SeriesError, series_steps.StepError, mails.MailError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
