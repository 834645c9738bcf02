# SPDX-License-Identifier: GPL-2.0
"""Our own scripts that run inside the VM (tools/vm/tests)."""
import glob
import os
import shlex

from . import parameters
from .errors import Fatal
from .pool import Test

FOLDER = os.path.realpath(os.path.join(os.path.dirname(__file__),
                                       "..", "tests"))
LIMIT = 300
# What each migration but the first may take
MIGRATION_LIMIT = 60
# What a guest of the VM runs too (VM=nested), with these arguments; all that it
# needs comes over two layers of 9p, which takes a minute.
NESTED = {"linux_guest": "2"}
NESTED_LIMIT = 200
ENDS_VM = {"reboot", "suspend"}
# Those that make vmtest runs with other parameters of KVM as well
VARIANTS = {"migration+wrprot": "kvm.dirty_log_regions=0"}
# Those that do not know the paging mode: make test runs them in one.
ONE_MODE = {"cpu_hotplug", "reboot", "stats_names"}


def group_guest_tests(group):
    """What a group of `make test` has of them."""
    if group == "nested":
        return guest_tests(machine="nested")
    if group not in ("fast", "fast1"):
        return []
    return [test for test in guest_tests() if test.name not in VARIANTS
            and (test.name in ONE_MODE) == (group == "fast1")]


def guest_tests(wanted=(), machine="qemu"):
    """The Tests with these names, or all of this kind of VM."""
    known = {os.path.basename(path)[:-len(".sh")]: path
             for path in sorted(glob.glob(os.path.join(FOLDER, "*.sh")))
             if os.path.basename(path) != "lib.sh"}
    known |= {name: known[parameters.plain_name(name)] for name in VARIANTS}
    if machine == "nested":
        known = {name: known[name] for name in NESTED}
    for name in wanted:
        if name not in known:
            raise Fatal(f"TESTS: there is no VM test '{name}'; "
                        f"there are: {' '.join(known)}")
    return [guest_test(name, known[name], machine == "nested")
            for name in wanted or known]


def guest_test(name, path, nested):
    limit = NESTED_LIMIT if nested else LIMIT
    arguments = NESTED.get(name, "") if nested else VARIANTS.get(name, "")
    if parameters.plain_name(name) == "migration":
        count = migrations()
        limit += MIGRATION_LIMIT * (count - 1)
        arguments += f" {count}"
    program = "sh " + shlex.quote("/host" + path)
    return Test(name, parameters.command_line(program, arguments), limit,
                name in ENDS_VM)


def migrations():
    """The user's MIGRATIONS=N."""
    count = os.environ.get("MIGRATIONS") or "1"
    if not count.isdigit() or int(count) < 1:
        raise Fatal(f"MIGRATIONS={count}: must be a number")
    return int(count)
