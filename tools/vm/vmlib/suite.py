# SPDX-License-Identifier: GPL-2.0
"""What of `make test` runs in VMs: short tests debug, more of them on a fast kernel,
some in a guest of the VM, and some with kvm-intel in Bochs."""
import os

from . import machines
from .config import check_host, where
from .errors import Fatal
from .guest_tests import group_guest_tests, guest_tests
from .image import build_nested_image
from .kselftest import Runner
from .pool import Pool, Task, Test, print_failures
from .results import counts, summary, write_ktap


# The kernel without checks: Debian's, or the one of fast.config
FAST = os.environ.get("KERNEL") or "debian"
# Kernel, what runs the VM, and the groups of selftests with their paging modes: two
# layers of shadow paging take minutes to boot a guest.  What has a test that takes
# minutes comes first, or the other VM would wait for it in the end.
SUITE = ((FAST, "nested", {"nested": (1,)}),
         ("debug", "qemu", {"debug": (1, 0), "debug1": (1,)}),
         (FAST, "qemu", {"fast": (1, 0), "fast1": (1,)}),
         (FAST, "bochs", {"bochs": (1, 0), "bochs0": (0,)}))
# KUnit on the debug kernel, where random operations take ten times as long
# as in make kunit, which has a million of them; the others are not slow.
KUNIT = (Test("kunit", "kunit-run 'filter=speed>slow' --", 300),
         Test("kunit_random", "kunit-run filter_glob=kvm_soft_random -- "
              "soft_ops_per_hardware=10000", 300))


def group_tests(runner, group):
    """The selftests and VM tests of a group; KUnit's go with debug1."""
    tests = runner.tests.group(group) + group_guest_tests(group)
    return tests + list(KUNIT) if group == "debug1" else tests


def suite_tasks(out, variant):
    """Selftests of the groups in selftests.conf and the like, and VM tests."""
    tasks = []
    for kernel_config, machine, groups in SUITE:
        runner = Runner(kernel_config, out, machine)
        configs = runner.configs(variant)
        build_nested_image(configs[0].nested)
        for config in configs:
            tests = [test for group, modes in groups.items() if config.npt in modes
                     for test in group_tests(runner, group)]
            tasks += runner.tasks(tests, [config])
    return tasks


def run_suite(out, _, variant):
    """The VM part of make test; the exit status."""
    return run_tasks(suite_tasks(out, variant), "vm", out)


def run_vmtest(out, kernel_config, variant):
    """make vmtest: only our VM tests; without TESTS or VM, nested ones too."""
    wanted = os.environ.get("TESTS", "").split()
    named = wanted or os.environ.get("VM")
    tasks = []
    for machine in [machines.wanted()] if named else ["qemu", "nested"]:
        if machine == "bochs":
            raise Fatal("VM=bochs: has no QEMU, which these tests need")
        runner = Runner(kernel_config, out, machine)
        configs = runner.configs(variant)
        build_nested_image(configs[0].nested)
        tasks += runner.tasks(guest_tests(wanted, machine), configs)
    return run_tasks(tasks, "vmtest", out)


def run_tasks(tasks, name, out):
    """Runs all, says what failed, keeps the results; the exit status."""
    vms = check_host(2)
    print(f"{len(tasks)} tests in {vms} VMs at a time", flush=True)
    logs = os.path.join(where("fast")["logs"], name)
    results = Pool(tasks, logs, vms).run()
    print_failures(results)
    write_ktap(os.path.join(out, "results", name + ".ktap"), results)
    print(summary(*counts(results)))
    return 1 if counts(results)[1] else 0
