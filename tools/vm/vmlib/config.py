# SPDX-License-Identifier: GPL-2.0
"""What a VM consists of, and where the driver put it."""
import dataclasses
import glob
import os
import shlex
import subprocess

from .errors import Fatal
from .machines import MACHINES, check_programs

REPO = os.path.realpath(os.path.join(os.path.dirname(__file__), "../../.."))
# Nothing but these comes from outside; kernels with checks take much longer, and
# Debian's takes longer to boot.
SLOWNESS = {"debian": 2, "fast": 1, "debug": 6, "kcsan": 6, "coverage": 2,
            "lockstat": 3}
# For the kernel's command line. The debug kernel uses 4 levels of page tables:
# with 5, KASAN takes what a timer interrupt accesses for wild at boot, while
# identify_cpu() has cleared the CPU's features, LA57 among them. (The fast
# kernel uses 5.) It looks for leaks when a test asks for it. What gcov counted
# outlives its module, and all that KUnit says must be there for kunit-run. Debian's
# would zero all memory that it allocates: a quarter of a test's time, and what KVM
# forgets to initialize would not be noticed.
COMMAND_LINE = {"debian": "init_on_alloc=0", "fast": "",
                "debug": "no5lvl kmemleak=on log_buf_len=4M",
                "kcsan": "", "lockstat": "",
                "coverage": "gcov_persist=1 log_buf_len=4M"}
# Whose kvm.ko has its KUnit tests
HAVE_KUNIT = ("debug", "coverage")
# One thread runs all CPUs of a VM that counts instructions.
ICOUNT_SLOWNESS = 3
MODULES = ("irqbypass.ko", "kvm.ko", "kvm-amd.ko", "kvm-intel.ko")
MEMORY = 2048
HOST_SPARE = 512


def where(config):
    """The driver's paths (`make -s where`) as a dictionary."""
    command = ["make", "-s", "--no-print-directory", "-C", REPO, "where",
               f"CONFIG={config}"]
    result = subprocess.run(command, text=True, check=False,
                            stdout=subprocess.PIPE)
    if result.returncode:
        raise Fatal("make where failed")
    return dict(line.split("=", 1) for line in result.stdout.splitlines()
                if "=" in line)


@dataclasses.dataclass(frozen=True)
class Config:
    """One kind of VM: kernel, modules, paging mode, size, what runs it.

    The files are those of the host that it needs where it cannot see all; the
    output is a folder of the host that gets one for each VM, where they leave
    what gcov has counted.
    """

    kernel_config: str
    kernel: str
    kconfig: str
    modules: str
    stock_modules: str
    variant: str
    npt: int
    accel: str
    nested: str
    machine: str = "qemu"
    memory: int = MEMORY
    cpus: int = 2
    icount: bool = False
    files: tuple = ()
    output: str = ""

    @property
    def driver(self):
        return MACHINES[self.machine]

    @property
    def name(self):
        return self.driver.title(self.variant, self.kernel_config, self.npt)

    @property
    def slug(self):
        return self.name.replace(" ", "-").replace("=", "")

    @property
    def slowness(self):
        return (SLOWNESS[self.kernel_config] * self.driver.SLOWNESS *
                (ICOUNT_SLOWNESS if self.icount else 1))

    @property
    def module_names(self):
        """KVM's modules; kvm.ko needs KUnit where it has tests."""
        kunit = ("kunit.ko",) if self.kernel_config in HAVE_KUNIT else ()
        return MODULES + kunit

    def module_folders(self):
        """Folders in the guest, and the host's folders that fill them."""
        folders = {"modules": self.modules}
        if os.path.exists(os.path.join(self.stock_modules, "kvm.ko")):
            folders["stock_modules"] = self.stock_modules
        return folders

    def drivers(self):
        """Modules of the kernel that the VM needs, in the order to load them."""
        folder = os.path.join(os.path.dirname(self.kconfig), "vm-drivers")
        return sorted(glob.glob(os.path.join(folder, "*.ko")))

    def command_line(self, *loglevel):
        """The kernel's; APPEND adds to it."""
        words = [self.driver.command_line(*loglevel),
                 COMMAND_LINE[self.kernel_config], os.environ.get("APPEND")]
        return " ".join(filter(None, words))

    def guest_settings(self, mode):
        """vm.conf, which the guest's init reads as shell."""
        return (f"MODE={mode}\nNPT={self.npt}\n"
                f"HOST_FILES={self.driver.HOST_FILES}\n"
                f"INTEL_OPTIONS={self.driver.INTEL_OPTIONS}\n"
                f"KERNEL=/host{self.kernel}\nNESTED=/host{self.nested}\n"
                f"OUTPUT={shlex.quote(self.output)}\n")


def make_config(paths, kernel_config, variant, npt, machine="qemu"):
    """A Config from the driver's paths and the user's variables."""
    folder = "modules" if variant == "ours" else "stock_modules"
    return Config(kernel_config, paths["bzImage"],
                  os.path.join(paths["build"], ".config"), paths[folder],
                  paths["stock_modules"], variant, npt,
                  os.environ.get("ACCEL") or "auto",
                  os.path.join(paths["build"], "nested.cpio"), machine,
                  cpus=MACHINES[machine].CPUS)


def check_host(vms=1, machine="qemu", memory=MEMORY):
    """Fails early, in one line, when no VM can start here."""
    check_programs(machine)
    free = available_memory()
    if free < memory + HOST_SPARE:
        raise Fatal(f"a VM needs {memory + HOST_SPARE} MiB of memory, "
                    f"{free} MiB are available")
    fitting = (free - HOST_SPARE) // memory
    return min(vms, fitting, os.cpu_count() or 1)


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return int(fields["MemAvailable"].split()[0]) // 1024
