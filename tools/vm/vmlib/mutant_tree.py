# SPDX-License-Identifier: GPL-2.0
"""A tree in which mutants of KVM are built, one after the other.

It is the tree of links to the user's own, but for copies of KVM's two folders.
The objects of the code without a mutant are kept aside, so that each build
compiles what its own mutant changes and no more.
"""
import os
import re
import shutil
import subprocess

from .config import REPO
from .errors import Fatal

COPIED = ("arch/x86/kvm", "virt/kvm")
FRAGMENTS = ("fast.config", "mutants.config")
TOUCHED = re.compile(r"^\+\+\+ b/(\S+)", re.MULTILINE)


class DoesNotApply(Exception):
    """A mutant for code that is not there any more."""


class DoesNotBuild(Exception):
    """A mutant that the compiler refuses."""


class MutantTree:
    """The tree, and the folder that kvm.ko is built in."""

    def __init__(self, source, folder, logs):
        self.source = source
        self.tree = os.path.join(folder, "tree")
        self.build = os.path.join(folder, "kvm-kunit")
        self.kept = os.path.join(folder, "objects")
        self.log = os.path.join(logs, "build.log")
        self.module = os.path.join(self.build, "arch/x86/kvm/kvm.ko")

    def prepare(self):
        """Follows the user's tree, and builds KVM without a mutant."""
        lay_links(self.source, self.tree)
        for folder in COPIED:
            lay_copy(os.path.join(self.source, folder),
                     os.path.join(self.tree, folder))
        os.makedirs(self.build, exist_ok=True)
        self._tool("base/configure.sh")
        for target in ("modules_prepare", "arch/x86/kvm/kvm.ko"):
            self._tool("base/build.sh", "KVM for mutants", target)
        for folder in COPIED:
            copy_folder(os.path.join(self.build, folder),
                        os.path.join(self.kept, folder))

    def make(self, patch):
        """Builds kvm.ko with one patch; put_back() comes after it."""
        self._apply(patch)
        result = self._run("vm/build-kvm.sh", self.log)
        if result.returncode:
            raise DoesNotBuild(result.stderr.strip() or self.log)

    def put_back(self, patch):
        """Sources and objects are as prepare() left them, times included."""
        for folder in COPIED:
            copy_folder(os.path.join(self.kept, folder),
                        os.path.join(self.build, folder))
        for path in touched_files(patch):
            shutil.copy2(os.path.join(self.source, path),
                         os.path.join(self.tree, path))

    def _apply(self, patch):
        environment = {**os.environ, "GIT_CEILING_DIRECTORIES":
                       os.path.dirname(os.path.realpath(self.tree))}
        result = subprocess.run(["git", "apply", "--whitespace=nowarn", patch],
                                cwd=self.tree, env=environment, text=True,
                                stderr=subprocess.PIPE, check=False)
        if result.returncode:
            raise DoesNotApply(result.stderr.strip().splitlines()[0])

    def _run(self, script, *arguments, **options):
        configs = [os.path.join(REPO, "configs", name) for name in FRAGMENTS]
        # There is no vmlinux here to resolve symbols: insmod does.
        environment = {**os.environ, "KVM_TREE": self.tree,
                       "KVM_BUILD": self.build,
                       "KVM_FRAGMENTS": " ".join(configs),
                       "KVM_MAKE": "KBUILD_MODPOST_WARN=1"}
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.run([os.path.join(REPO, "tools", script), *arguments],
                              env=environment, text=True, check=False, **options)

    def _tool(self, script, *arguments):
        if self._run(script, *arguments, stderr=None).returncode:
            raise Fatal("KVM without a mutant does not build")


def touched_files(patch):
    """The paths that a patch changes, all of them in COPIED folders."""
    with open(patch, encoding="utf-8") as file:
        paths = TOUCHED.findall(file.read())
    for path in paths:
        if not path.startswith(tuple(folder + "/" for folder in COPIED)):
            raise Fatal(f"{patch} changes {path}, which is not of KVM")
    return paths


def lay_links(source, tree, below=""):
    """Links to all that is in source, but for the way to COPIED folders."""
    os.makedirs(tree, exist_ok=True)
    names = os.listdir(source)
    for name in set(os.listdir(tree)) - set(names):
        remove(os.path.join(tree, name))
    for name in names:
        path = os.path.join(below, name)
        ours, theirs = os.path.join(tree, name), os.path.join(source, name)
        if path in COPIED:
            continue
        if any(folder.startswith(path + "/") for folder in COPIED):
            lay_links(theirs, ours, path)
        elif not os.path.islink(ours) or os.readlink(ours) != theirs:
            remove(ours)
            os.symlink(theirs, ours)


def lay_copy(source, copy):
    """Copies a folder; a file whose content stays keeps its time."""
    os.makedirs(copy, exist_ok=True)
    names = os.listdir(source)
    for name in set(os.listdir(copy)) - set(names):
        remove(os.path.join(copy, name))
    for name in names:
        theirs, ours = os.path.join(source, name), os.path.join(copy, name)
        if os.path.isdir(theirs):
            lay_copy(theirs, ours)
        elif read(ours) != read(theirs):
            shutil.copyfile(theirs, ours)


def copy_folder(source, copy):
    """Copies a folder with all times, and in one step."""
    shutil.rmtree(copy + ".new", ignore_errors=True)
    shutil.copytree(source, copy + ".new", symlinks=True)
    remove(copy)
    os.rename(copy + ".new", copy)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def read(path):
    """The content of a file, or None if there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None
