#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""series.py commits|mails|check REPO O: the overlay as a series of patches.

commits: makes O/series.git, whose first commit holds the base's version of
         every file that the series touches and MAINTAINERS (git am reads no
         other), with one commit for each step on branch "series".
mails:   writes them as mails to O/series, applies those with git am on the
         base, and compares the result with O/tree.
check:   runs the base's checkpatch.pl --strict on each mail.
"""
import glob
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import steps as series_steps
from steps import lay

CLEAN = re.compile(r"^total: (\d+) errors, (\d+) warnings, (?:(\d+) checks, )?"
                   r"(\d+) lines checked", re.M)


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


class Series:
    """The series of one repository, and where it is built."""

    def __init__(self, repo, out):
        self.repo, self.out = repo, out
        self.base, self.tree = os.path.join(out, "base"), os.path.join(out, "tree")
        self.git_dir = os.path.join(out, "series.git")
        self.mails = os.path.join(out, "series")
        self.steps = series_steps.load(repo, self.base)
        self.env = {**os.environ, **self.identity()}

    def identity(self):
        """Author and date: the last commit's, so that the mails repeat."""
        log = ["git", "-c", "safe.directory=*", "-C", self.repo, "log", "-1",
               "--format=%an%n%ae%n%ad"]
        name, mail, date = output(log).splitlines()
        return {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", name), ("EMAIL", mail), ("DATE", date))}

    def git(self, *arguments):
        return output(["git", "-C", self.git_dir, "-c", "gc.auto=0",
                       "-c", "commit.gpgsign=false", *arguments], env=self.env)

    def touched(self):
        paths = {"MAINTAINERS"}
        for step in self.steps:
            paths |= step.touched() | set(step.overlay)
        return sorted(paths)

    def put(self, source, path):
        """Copies a file of the tree source into the repository, if it is there."""
        state = lay.read(os.path.join(source, path))
        if state:
            lay.write(os.path.join(self.git_dir, path), *state)

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

    def commit_step(self, step):
        for path in step.deleted:
            os.unlink(os.path.join(self.git_dir, path))
        if step.has_diff:
            try:
                self.git("apply", "--whitespace=nowarn", step.path)
            except SeriesError as error:
                raise SeriesError(f"patches/{step.name}: {error}") from None
        for path in step.overlay:
            self.put(self.repo, path)
        signer = (f"Signed-off-by: {self.env['GIT_AUTHOR_NAME']} "
                  f"<{self.env['GIT_AUTHOR_EMAIL']}>")
        self.commit(f"{step.subject}\n\n{step.body}\n\n{signer}")

    def make_commits(self):
        self.commit_base()
        for step in self.steps:
            self.commit_step(step)

    def write_cover(self):
        """Fills in the cover letter: patches/cover.txt, subject line first."""
        cover = os.path.join(self.mails, "0000-cover-letter.patch")
        subject, text = "KVM: A new generic core", ""
        source = os.path.join(self.repo, "patches", "cover.txt")
        if os.path.exists(source):
            with open(source, encoding="utf-8") as file:
                subject, _, text = file.read().partition("\n")
            subject = subject.removeprefix("Subject: ")
        with open(os.path.join(self.out, "base.id"), encoding="utf-8") as file:
            text = f"{text.strip()}\n\nThe base is {file.read().strip()}.".lstrip()
        with open(cover, encoding="utf-8") as file:
            mail = file.read()
        mail = mail.replace("*** SUBJECT HERE ***", subject)
        with open(cover, "w", encoding="utf-8") as file:
            file.write(mail.replace("*** BLURB HERE ***", text))

    def write_mails(self):
        shutil.rmtree(self.mails, ignore_errors=True)
        self.git("format-patch", "-q", "--cover-letter", "--base=base", "-B", "-n",
                 "-o", self.mails, "base..series")
        self.write_cover()

    def patch_mails(self):
        return [path for path in sorted(glob.glob(os.path.join(self.mails, "*.patch")))
                if not path.endswith("0000-cover-letter.patch")]

    def apply_mails(self):
        """Applies the mails on the base as their receiver does."""
        self.git("checkout", "-q", "-B", "applied", "base")
        self.git("am", "-q", *self.patch_mails())
        if self.git("diff", "--name-only", "series", "applied"):
            raise SeriesError("git am gives another tree than the commits")

    def compare_tree(self):
        """The applied mails must give what "make tree" gives."""
        laid = lay.read_manifest(os.path.join(self.out, "tree.manifest"))
        touched = set(self.touched())
        wrong = [path for path in sorted(touched | laid)
                 if path not in touched or
                 lay.read(os.path.join(self.git_dir, path))
                 != lay.read(os.path.join(self.tree, path))]
        if wrong:
            raise SeriesError("the series and the tree differ in " + ", ".join(wrong))

    def check_mail(self, path):
        """Returns checkpatch's (errors, warnings, checks, lines) and complaints."""
        done = subprocess.run(
            ["perl", os.path.join(self.base, "scripts/checkpatch.pl"), "--strict",
             "--color=never", f"--root={self.base}", path],
            cwd=self.out, capture_output=True, text=True, check=False)
        match = CLEAN.search(done.stdout)
        if not match:
            raise SeriesError(f"checkpatch.pl says nothing of {path}: {done.stderr}")
        counts = [int(count or 0) for count in match.groups()]
        return counts, done.stdout[:match.start()].strip()

    def check_mails(self):
        print(f"{'errors':>6} {'warnings':>8} {'checks':>6} {'lines':>6}  mail")
        complaints = []
        paths = self.patch_mails()
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, (counts, text) in zip(paths, pool.map(self.check_mail, paths)):
                print(f"{counts[0]:6} {counts[1]:8} {counts[2]:6} {counts[3]:6}  "
                      f"{os.path.basename(path)}", flush=True)
                if any(counts[:3]):
                    complaints.append(f"{os.path.basename(path)}:\n{text}")
        for text in complaints:
            print("\n" + text)
        return not complaints


def main():
    action, repo, out = sys.argv[1:]
    try:
        series = Series(repo, out)
        if action == "commits":
            series.make_commits()
        elif action == "mails":
            series.write_mails()
            series.apply_mails()
            series.compare_tree()
            print(f"== {len(series.patch_mails())} mails and the cover letter in "
                  f"{series.mails}: git am on the base gives the tree", flush=True)
        elif action == "check":
            if not series.check_mails():
                raise SeriesError("checkpatch.pl --strict is not clean")
    except (SeriesError, series_steps.StepError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
