#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""check.py HEADERS TREE: do the modules that were built in TREE fit the kernel of
HEADERS?  Prints what was looked at; exits with 1 if something is wrong.

- Whatever they take from the kernel is in its Module.symvers, with the checksum
  that they expect.
- What kvmgt, a module of that kernel, takes from kvm.ko has the checksum that
  stock's has, so that GVT-g goes on working.
- struct kvm_vcpu has what it has in stock where stock has it: code that is built into
  the kernel, kernel/entry/kvm.c, writes to it.  So has struct kvm_pmu, which
  perf_guest_get_msrs() reads (arch/x86/events/intel/core.c).  struct kvm and
  struct kvm_memory_slot are KVM's own: all others, kvmgt and vfio too, have pointers.
- They are for that kernel, and what its own modules have, these have too:
  retpolines, unwind tables, BTF.
"""
import os
import re
import struct
import subprocess
import sys

MODULES = ("kvm", "kvm-amd", "kvm-intel")
OURS = "arch/x86/kvm/kvm"
KVMGT = ("kvm_page_track_register_notifier", "kvm_page_track_unregister_notifier",
         "kvm_write_track_add_gfn", "kvm_write_track_remove_gfn")
# Structures of ours that code of the kernel itself looks into
SHARED = ("kvm_vcpu", "kvm_pmu")
# An entry of the section __versions: a checksum and a name
VERSION = struct.Struct("<Q56s")
# A member in pahole's output: its name, offset and size
MEMBER = re.compile(r"^\t\S.*?(\w+)(?:\[\d+\])*(?: __attribute__\(.*\))?;"
                    r" +/\* +(\d+) +(\d+) \*/$", re.M)
SECTIONS = {"CONFIG_UNWINDER_ORC": ".orc_unwind",
            "CONFIG_DEBUG_INFO_BTF_MODULES": ".BTF"}


def symvers(path):
    """{symbol: (checksum, module)} of a Module.symvers."""
    with open(path, encoding="ascii") as file:
        rows = [line.rstrip("\n").split("\t") for line in file]
    return {row[1]: (int(row[0], 16), row[2]) for row in rows}


def configuration(headers):
    """The options that are on."""
    with open(os.path.join(headers, "include/config/auto.conf"),
              encoding="utf-8") as file:
        return set(re.findall(r"^(CONFIG_\w+)=[ym]$", file.read(), re.M))


def output(*command):
    return subprocess.run(command, text=True, check=True,
                          stdout=subprocess.PIPE).stdout


def wanted_symbols(path):
    """{symbol: checksum} that a module takes from others."""
    dump = subprocess.run(["objcopy", "-O", "binary", "--only-section=__versions",
                           "--set-section-flags", "__versions=alloc",
                           path, "/dev/stdout"],
                          check=True, stdout=subprocess.PIPE).stdout
    return {name.rstrip(b"\0").decode(): checksum
            for checksum, name in VERSION.iter_unpack(dump)}


def members(struct_name, path):
    """{member: (offset, size)} of a structure in a file.

    Version 1.30 of pahole fails after it has printed what is in DWARF.
    """
    text = subprocess.run(["pahole", "-C", struct_name, path], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    return {name: (int(offset), int(size))
            for name, offset, size in MEMBER.findall(text)}


class Check:
    """What was found, and whether all of it is right."""

    def __init__(self):
        self.good = True

    def say(self, good, text):
        self.good &= good
        print(("ok   " if good else "FAIL ") + text)

    def symbols(self, path, kernel, ours):
        """Where a module's symbols come from."""
        name = os.path.basename(path)
        undefined = set(re.findall(r"^ +U (\S+)$", output("nm", "-u", path), re.M))
        wanted = wanted_symbols(path)
        lost = sorted(undefined - set(kernel) - set(ours))
        stale = [symbol for symbol, checksum in wanted.items()
                 if symbol != "module_layout" and
                 (ours.get(symbol) or kernel.get(symbol, (None,)))[0] != checksum]
        own = len(undefined & set(ours))
        self.say(not lost, f"{name}: {len(undefined) - own} symbols of the kernel, "
                 f"{own} of kvm.ko; lost: {' '.join(lost) or 'none'}")
        self.say(not stale, f"{name}: {len(wanted)} checksums; others than the "
                 f"kernel's: {' '.join(stale) or 'none'}")

    def kvmgt(self, kernel, ours):
        for symbol in KVMGT:
            if symbol not in kernel:
                continue
            stock, mine = kernel[symbol][0], ours.get(symbol, (0,))[0]
            self.say(stock == mine, f"{symbol}: {mine:#010x}, stock's {stock:#010x}")

    def layout(self, struct_name, kernel, ours):
        """Where the members are, by two files: BTF alone, and an object without BTF."""
        stock, mine = members(struct_name, kernel), members(struct_name, ours)
        moved = [name for name in stock if mine.get(name) != stock[name]]
        self.say(bool(stock) and not moved, f"struct {struct_name}: {len(stock)} members "
                 f"of stock, {len(mine) - len(stock)} more; moved: "
                 f"{' '.join(moved) or 'none'}")

    def shape(self, path, release, options):
        """What modules of that kernel have."""
        name = os.path.basename(path)
        magic = output("modinfo", "-F", "vermagic", path).strip()
        self.say(magic.split()[0] == release, f"{name}: vermagic {magic}")
        if "CONFIG_MITIGATION_RETPOLINE" in options:
            self.say(output("modinfo", "-F", "retpoline", path).strip() == "Y",
                     f"{name}: retpolines")
        sections = output("readelf", "-SW", path)
        for option, section in SECTIONS.items():
            if option in options:
                self.say(f" {section} " in sections, f"{name}: section {section}")


def main():
    headers, tree = sys.argv[1:]
    with open(os.path.join(headers, "include/config/kernel.release"),
              encoding="ascii") as file:
        release = file.read().strip()
    stock = symvers(os.path.join(headers, "Module.symvers"))
    kernel = {symbol: row for symbol, row in stock.items() if row[1] != OURS}
    ours = symvers(os.path.join(tree, "Module.symvers"))
    options = configuration(headers)
    check = Check()
    for name in MODULES:
        path = os.path.join(tree, "arch/x86/kvm", name + ".ko")
        check.symbols(path, kernel, ours)
        check.shape(path, release, options)
    check.kvmgt(stock, ours)
    for struct_name in SHARED:
        check.layout(struct_name, os.path.join(headers, "vmlinux"),
                     os.path.join(tree, "arch/x86/kvm/x86.o"))
    return 0 if check.good else 1


if __name__ == "__main__":
    sys.exit(main())
