# SPDX-License-Identifier: GPL-2.0
"""make boot: a shell in the VM."""
import os
import sys

from . import accel
from .config import check_host, make_config, where
from .errors import Fatal
from .guest import interact


def run_boot(out, kernel_config, variant):
    """Gives the terminal to the VM until its shell ends.

    What is piped in is run as a script instead.
    """
    npt = os.environ.get("NPT") or "1"
    if npt not in ("0", "1"):
        raise Fatal(f"NPT={npt}: must be 1 or 0 here")
    check_host()
    config = make_config(where(kernel_config), kernel_config, variant, int(npt))
    print(f"booting: {config.name}, {config.cpus} CPUs, {config.memory} MiB, "
          f"on {accel.choose(config.accel)[1]}", flush=True)
    commands = "" if sys.stdin.isatty() else sys.stdin.read()
    return interact(config, os.path.join(out, "vm", "boot.cpio"), commands)
