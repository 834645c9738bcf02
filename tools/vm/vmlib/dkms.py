# SPDX-License-Identifier: GPL-2.0
"""The VM part of make dkms-test: modules that DKMS built, on Debian's kernel."""
import dataclasses
import os
import shlex

from .config import REPO
from .guest_tests import guest_tests
from .image import build_nested_image
from .kselftest import Runner
from .pool import Test
from .suite import run_tasks

SCRIPT = os.path.join(REPO, "tools/dkms/modprobe.sh")
LIMIT = 120


def modprobe_test(root, version):
    """Is it these modules that modprobe finds in a Debian?"""
    command = ["sh", "/host" + SCRIPT, root, version]
    return Test("modprobe", shlex.join(command), LIMIT)


def run_dkms(out, kernel_config, variant):
    """TESTS=modprobe: that alone; the exit status."""
    runner = Runner(kernel_config, out)
    tests = [modprobe_test(os.environ["KVM_ROOT"], os.environ["KVM_VERSION"])]
    if os.environ.get("TESTS") != "modprobe":
        tests += guest_tests(["linux_guest"]) + runner.tests.group("fast")
    configs = [dataclasses.replace(config, modules=os.environ["KVM_MODULES"])
               for config in runner.configs(variant)]
    build_nested_image(configs[0].nested)
    return run_tasks(runner.tasks(tests, configs), "dkms-test", out)
