# SPDX-License-Identifier: GPL-2.0
"""Our own scripts that run inside the VM (tools/vm/tests)."""
import glob
import os
import shlex

from .errors import Fatal
from .pool import Test

FOLDER = os.path.realpath(os.path.join(os.path.dirname(__file__),
                                       "..", "tests"))
LIMIT = 300
ENDS_VM = {"reboot", "suspend"}


def guest_tests(wanted=()):
    """The Tests with these names, or all."""
    known = {os.path.basename(path)[:-len(".sh")]: path
             for path in sorted(glob.glob(os.path.join(FOLDER, "*.sh")))
             if os.path.basename(path) != "lib.sh"}
    for name in wanted:
        if name not in known:
            raise Fatal(f"TESTS: there is no VM test '{name}'; "
                        f"there are: {' '.join(known)}")
    return [Test(name, "sh " + shlex.quote("/host" + known[name]), LIMIT,
                 name in ENDS_VM)
            for name in wanted or known]
