# SPDX-License-Identifier: GPL-2.0
"""The initramfs of a VM: busybox, the guest's scripts, the modules."""
import glob
import os

from .errors import Fatal
from .initramfs import Initramfs, find_busybox

GUEST = os.path.join(os.path.dirname(__file__), "..", "guest")


def build_image(config, mode, commands=""):
    """The image; mode is what init does: "agent" or "shell"."""
    image = Initramfs()
    image.add_file("bin/busybox", find_busybox(), 0o755)
    for script in sorted(glob.glob(os.path.join(GUEST, "*"))):
        name = os.path.basename(script)
        place = "init" if name == "init" else "bin/" + name
        image.add_file(place, script, 0o755)
    for folder, source in config.module_folders().items():
        add_modules(image, folder, source, config.module_names)
    for source in config.drivers():
        image.add_file("drivers/" + os.path.basename(source), source)
    for source in config.files:
        image.add_file("host" + source, source, 0o755)
    image.add_bytes("vm.conf", config.guest_settings(mode).encode())
    if commands:
        image.add_bytes("commands", commands.encode())
    return image.finish()


def add_modules(image, folder, source, names):
    for name in names:
        path = os.path.join(source, name)
        if not os.path.exists(path):
            raise Fatal(f"no {name} in {source}: run make modules")
        image.add_file(f"{folder}/{name}", path)


def build_nested_image(path):
    """The Linux guest inside the VM: busybox, one script, and another init."""
    image = Initramfs()
    image.add_file("bin/busybox", find_busybox(), 0o755)
    image.add_file("init", os.path.join(GUEST, "..", "nested-init"), 0o755)
    # Not for make run, which does not build it
    writers = os.path.join(os.environ["O"], "migration", "writers")
    if os.path.exists(writers):
        image.add_file("bin/writers", writers, 0o755)
    write_image(path, image.finish())


def write_image(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)
