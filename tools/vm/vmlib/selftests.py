# SPDX-License-Identifier: GPL-2.0
"""The KVM selftests of the tree: which there are, and how each is run."""
import difflib
import os
import shlex
import subprocess

from . import parameters
from .errors import Fatal
from .pool import Test

CONF = os.path.join(os.path.dirname(__file__), "..", "{}.conf")
DEFAULT_LIMIT = 240
FLAKY_ATTEMPTS = 3


class Settings:
    """selftests.conf; a machine's own file replaces the lines of tests."""

    def __init__(self, machine="qemu"):
        self.rows = {}
        self.reasons = {}
        self._read(CONF.format("selftests"))
        if machine != "qemu":
            self.rows = {name: (limit, [], arguments) for
                         name, (limit, _, arguments) in self.rows.items()
                         if name == parameters.plain_name(name)}
            self._read(CONF.format(machine))

    def _read(self, path):
        with open(path, encoding="ascii") as file:
            for line in file:
                line, _, reason = line.partition("#")
                fields = line.split(None, 3)
                if fields:
                    name, limit, groups, *arguments = fields
                    self.rows[name] = (limit, groups.split(","),
                                       "".join(arguments).strip())
                    self.reasons[name] = reason.strip()

    def limit(self, name):
        limit = self.rows.get(name, ("-",))[0]
        return DEFAULT_LIMIT if limit == "-" else int(limit)

    def arguments(self, name, wanted):
        """The test's, and in addition MORE of a wanted group that is group=MORE."""
        _, groups, arguments = self.rows.get(name, ("", [], ""))
        pairs = [g.partition("=") for g in groups]
        more = [extra for group, _, extra in pairs if group in wanted and extra]
        return " ".join([arguments, *more]).strip()

    def group(self, group):
        return [name for name, row in self.rows.items()
                if group in (g.partition("=")[0] for g in row[1])]

    def obstacle(self, name, npt):
        """Why a test is not run with this paging mode, or nothing."""
        if name in self.group("never") + self.group(f"never{npt}"):
            return self.reasons[name]
        return ""

    def obstacles(self):
        """The tests that some VM does not run, and why."""
        groups = ("never", "never0", "never1")
        return {name: f"{self.reasons[name]} ({group})" for group in groups
                for name in self.group(group)}

    def attempts(self, name):
        return FLAKY_ATTEMPTS if name in self.group("flaky") else 1


class Selftests:
    """The built tests, by their plain names."""

    def __init__(self, tree, output, machine="qemu"):
        self.settings = Settings(machine)
        self.paths = {os.path.basename(path): path
                      for path in list_tests(tree, output)}
        self.paths |= {name: self.paths[plain] for name in self.settings.rows
                       if (plain := parameters.plain_name(name)) in self.paths}

    def choose(self, wanted, groups=()):
        """The Tests for TESTS="a b", or all; an unknown name is fatal.

        With the arguments that they have in these groups.
        """
        names = [os.path.basename(name) for name in wanted]
        for name in names:
            if name not in self.paths:
                raise Fatal(self._unknown(name))
        return [self.test(name, groups) for name in names or sorted(self.paths)]

    def group(self, *groups):
        names = [n for group in groups for n in self.settings.group(group)]
        return self.choose(names, groups)

    def test(self, name, groups):
        path = self.paths[name]
        command = shlex.quote("/host" + path)
        if path.endswith(".sh"):
            command = "inhost " + command
        arguments = self.settings.arguments(name, groups)
        return Test(name, parameters.command_line(command, arguments),
                    self.settings.limit(name),
                    attempts=self.settings.attempts(name))

    def _unknown(self, name):
        near = [n for n in sorted(self.paths) if name in n]
        near += difflib.get_close_matches(name, self.paths, 5, 0.5)
        near = list(dict.fromkeys(near))[:5]
        hint = f"; near: {' '.join(near)}" if near else ""
        return f"TESTS: there is no selftest '{name}'{hint}"


def list_tests(tree, output):
    """Asks the selftests' Makefile; absolute paths of what it would run."""
    recipe = 'vm-list:;@printf "%s\\n" $(TEST_GEN_PROGS) $(TEST_PROGS)'
    command = ["make", "-s", "--no-print-directory", "-C",
               os.path.join(tree, "tools/testing/selftests/kvm"),
               f"OUTPUT={output}", f"--eval={recipe}", "vm-list"]
    result = subprocess.run(command, text=True, check=False,
                            stdout=subprocess.PIPE)
    if result.returncode:
        raise Fatal("the selftests' Makefile does not list its tests")
    return [os.path.join(output, line) for line in result.stdout.split()]
