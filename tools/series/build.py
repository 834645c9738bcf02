#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""build.py REPO O: builds KVM after each mail of the series, in several ways.

The commits are those of series.py.  SET and BUILDS in the environment choose a set
by its number, and builds by their names: of BUILDS below, in that order.

A build is of what its sources are, O/series-build/built lists what was built: it is
not built again, be it for another mail or in another run.  Files of ours that are not
linked yet are not among them; those of the MMU are compiled where they come.

The compilers are those of ccache: most mails leave most objects as they were, and so
do two builds that differ in the vendor.
"""
import collections
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

from series import Series, SeriesError, output
from steps import StepError, lay

MODULES = {"amd": "arch/x86/kvm/kvm-amd.ko", "intel": "arch/x86/kvm/kvm-intel.ko"}
TESTS = ("arch/x86/kvm/mmu/tests/", "virt/kvm/tests/")
CCACHE = "/usr/lib/ccache"
MAKEFILES = {"arch/x86/kvm/": "arch/x86/kvm/Makefile",
             "virt/kvm/": "virt/kvm/Makefile.kvm"}


class Build:
    """One way to build KVM."""

    def __init__(self, name, fragments, make="", vendors=("amd", "intel"), arch="x86",
                 compiler="gcc"):
        self.name, self.fragments, self.make = name, fragments, make
        self.compiler = compiler
        self.vendors, self.arch = vendors, arch
        # Options that come with a mail are not there before.
        self.lenient = name == "kunit"
        self.sources = (f"arch/{arch}", "include", "virt")

    def targets(self):
        if self.arch != "x86":
            return [f"arch/{self.arch}/kvm/"]
        return ["virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko",
                *(MODULES[vendor] for vendor in self.vendors)]

    def needs(self, path):
        """Is that file one of its sources?"""
        return path.startswith(self.sources) and (
            self.name == "kunit" or not path.startswith(TESTS))


NO_VMLINUX = "KBUILD_MODPOST_WARN=1"
BUILDS = [
    Build("gcc", ("fast", "series"), NO_VMLINUX),
    Build("clang", ("fast", "series"), NO_VMLINUX + " CC=clang",
          compiler="clang"),
    Build("intel", ("fast", "series", "series-intel"), NO_VMLINUX, ("intel",)),
    Build("amd", ("fast", "series", "series-amd"), NO_VMLINUX, ("amd",)),
    Build("kunit", ("fast", "series", "series-kunit"), NO_VMLINUX),
    Build("arm64", ("cross-arm64",), "ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-",
          arch="arm64", compiler="aarch64-linux-gnu-gcc"),
    Build("riscv", ("cross-riscv",), "ARCH=riscv CROSS_COMPILE=riscv64-linux-gnu-",
          arch="riscv", compiler="riscv64-linux-gnu-gcc"),
]


def wanted_builds():
    names = os.environ.get("BUILDS", "").split()
    unknown = set(names) - {build.name for build in BUILDS}
    if unknown:
        raise SeriesError(f"BUILDS: no build is named {' '.join(sorted(unknown))}")
    return [build for build in BUILDS if not names or build.name in names]


class Builder:
    """Builds the commits of a series, and knows what was built."""

    def __init__(self, series):
        self.series = series
        self.folder = os.path.join(series.out, "series-build")
        self.tree = os.path.join(self.folder, "tree")
        # Also those that come and go again
        self.paths = sorted(set(series.git("log", "--format=", "--name-only",
                                           "--no-renames", "base..series").split()))
        self.built = self.read_built()
        # By name of the build: how many were built, how long that took, all
        self.count, self.seconds = collections.Counter(), collections.Counter()
        self.done = collections.Counter()
        # By name of the build: the Kconfig files that it was configured with
        self.configured = {}

    def read_built(self):
        try:
            with open(os.path.join(self.folder, "built"), encoding="utf-8") as file:
                return set(file.read().split())
        except FileNotFoundError:
            return set()

    def prepare(self):
        """The tree that is built is the base's, with a commit's files in it.  They
        are replaced and not written to, as they are hard links."""
        with open(os.path.join(self.series.out, "base.id"), encoding="utf-8") as file:
            state = file.read()
        mark = os.path.join(self.folder, "base.id")
        if lay.read(mark) != (state.encode(), False):
            shutil.rmtree(self.folder, ignore_errors=True)
            os.makedirs(self.folder)
            self.built = set()
            output(["cp", "-al", self.series.tree, self.tree])
            lay.write(mark, state.encode(), False)
        laid = os.path.join(self.folder, "laid")
        before = (lay.read(laid) or (b"", False))[0].decode().split()
        for path in set(before) - set(self.paths):
            lay.settle(os.path.join(self.tree, path),
                       lay.read(os.path.join(self.series.base, path)))
        lay.write(laid, "\n".join(self.paths).encode(), False)

    def check_out(self, commit):
        self.series.git("checkout", "-q", commit)
        for path in self.paths:
            lay.settle(os.path.join(self.tree, path),
                       lay.read(os.path.join(self.series.git_dir, path)))

    def linked(self, commit):
        """The sources that KVM's Makefiles name in a commit."""
        found = set()
        for folder, path in MAKEFILES.items():
            text = self.series.git("show", f"{commit}:{path}")
            for name in re.findall(r"[\w/$()-]+(?=\.o\b)", text):
                found.add(folder + name.removeprefix("$(KVM)/") + ".c")
        return found

    def unlinked(self, paths, commit):
        """Files of ours that are not built yet, and headers that only these have."""
        linked = self.linked(commit)
        folders = {os.path.dirname(path) for path in linked}
        return {path for path in paths & self.series.overlay
                if path not in linked and
                (path.endswith(".c") or os.path.dirname(path) not in folders)}

    def objects(self, build, commit):
        """Objects of the MMU that come with a commit, and are linked later."""
        if build.name not in ("gcc", "clang"):
            return []
        text = self.series.git("show", f"series:{MAKEFILES['arch/x86/kvm/']}")
        later = re.findall(r"^kvm-y\s*\+=(.*)$", text.replace("\\\n", " "), re.M)
        added = self.series.git("show", "--format=", "--name-only", "--no-renames",
                                "--diff-filter=A", commit).split()
        linked = self.linked(commit)
        found = {f"arch/x86/kvm/{name}" for name in " ".join(later).split()}
        return sorted(path[:-1] + "o" for path in added if path not in linked
                      and path.endswith(".c") and path[:-1] + "o" in found)

    def key(self, build, commit):
        """What the build is of, as a number."""
        listed = {line.split("\t")[1]: line for line in
                  self.series.git("ls-tree", "-r", commit).splitlines()}
        objects = self.objects(build, commit)
        left_out = set() if objects else self.unlinked(set(listed), commit)
        told = [line for path, line in listed.items()
                if build.needs(path) and path not in left_out]
        for name in build.fragments:
            told.append(self.series.text(self.series.repo, f"configs/{name}.config"))
        told += [build.make, *build.targets(), *objects, output([build.compiler, "--version"])]
        return build.name + "-" + hashlib.sha256("\n".join(told).encode()).hexdigest()

    def environment(self, build):
        fragments = [os.path.join(self.series.repo, "configs", f"{name}.config")
                     for name in build.fragments]
        return {**os.environ, "KVM_TREE": self.tree, "CONFIG": "fast",
                "PATH": f"{CCACHE}:{os.environ['PATH']}",
                "CCACHE_DIR": os.path.join(self.folder, "ccache"),
                "CCACHE_MAXSIZE": "2G",
                "KVM_BUILD": os.path.join(self.folder, build.name),
                "KVM_FRAGMENTS": " ".join(fragments), "KVM_MAKE": build.make}

    def run(self, build, script, *arguments):
        done = subprocess.run(
            [os.path.join(self.series.repo, "tools/base", script), *arguments],
            env=self.environment(build), stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            raise SeriesError(f"{build.name}: {script} failed")
        return done.stdout

    def configure(self, build):
        """Few mails change a Kconfig file."""
        kconfig = [lay.read(os.path.join(self.tree, path)) for path in self.paths
                   if os.path.basename(path).startswith("Kconfig")]
        if self.configured.get(build.name) != kconfig:
            self.run(build, "configure.sh", *["--lenient"] if build.lenient else [])
            self.configured[build.name] = kconfig

    def make(self, build, label, objects):
        self.configure(build)
        if build.arch != "x86":
            self.run(build, "build.sh", label, *build.targets())
            self.check_warnings(build)
            return
        self.run(build, "build.sh", f"{label}, preparation", "modules_prepare")
        self.run(build, "build.sh", label, *build.targets(), *objects)
        lost = self.run(build, "lost-symbols.sh", *build.targets()[1:]).split()
        if lost:
            raise SeriesError(f"{label}: nobody has what the modules call: "
                              + " ".join(lost))

    def check_warnings(self, build):
        """Other architectures know no CONFIG_KVM_WERROR."""
        log = os.path.join(self.series.out, "logs", f"build-{build.name}.log")
        with open(log, encoding="utf-8", errors="replace") as file:
            for line in file:
                if "virt/kvm/" in line and ": warning: " in line:
                    raise SeriesError(f"{build.name}: {line.strip()} (log: {log})")

    def build_commit(self, commit, title, builds):
        print(f"== {title}", flush=True)
        ready = False
        for build in builds:
            key = self.key(build, commit)
            self.done[build.name] += 1
            if key in self.built:
                continue
            if not ready:
                self.check_out(commit)
                ready = True
            start = time.monotonic()
            self.make(build, f"{build.name}, {title.split(':')[0]}",
                      self.objects(build, commit))
            self.count[build.name] += 1
            self.seconds[build.name] += time.monotonic() - start
            self.built.add(key)
            with open(os.path.join(self.folder, "built"), "a", encoding="utf-8") as file:
                file.write(key + "\n")

    def build_set(self, part, builds):
        commits = self.series.git("rev-list", "--reverse",
                                  f"{self.series.start(part)}..{part.name}").split()
        for number, (commit, step) in enumerate(zip(commits, part.steps), 1):
            self.build_commit(commit, f"{part.name} {number}/{len(commits)}: "
                              f"{step.subject}", builds)

    def report(self, builds):
        print("== series-build: all mails build")
        print(f"{'build':8} {'mails':>6} {'built':>6} {'the same':>9} {'minutes':>8}")
        for build in builds:
            name = build.name
            print(f"{name:8} {self.done[name]:6} {self.count[name]:6} "
                  f"{self.done[name] - self.count[name]:9} "
                  f"{self.seconds[name] / 60:8.1f}")


def main():
    try:
        builds = wanted_builds()
        builder = Builder(Series(*sys.argv[1:]))
        builder.prepare()
        for part in builder.series.wanted:
            builder.build_set(part, builds)
        builder.report(builds)
    except (SeriesError, StepError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
