# SPDX-License-Identifier: GPL-2.0
"""Writes initramfs images (cpio "newc"); needs neither cpio nor root."""
import os
import shutil
import stat
import struct

from .errors import Fatal

CONSOLE = (5, 1)
PT_INTERP = 3


class Initramfs:
    """A cpio archive that is filled in memory."""

    def __init__(self):
        self.data = bytearray()
        self.folders = set()
        self.inode = 0
        self.add_folder("dev")
        self._entry("dev/console", stat.S_IFCHR | 0o600, b"", CONSOLE)

    def add_folder(self, path):
        if path and path not in self.folders:
            self.add_folder(os.path.dirname(path))
            self.folders.add(path)
            self._entry(path, stat.S_IFDIR | 0o755, b"")

    def add_bytes(self, path, data, mode=0o644):
        self.add_folder(os.path.dirname(path))
        self._entry(path, stat.S_IFREG | mode, data)

    def add_file(self, path, source, mode=0o644):
        with open(source, "rb") as file:
            self.add_bytes(path, file.read(), mode)

    def finish(self):
        """The archive, to which nothing is added any more."""
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self.data)

    def _entry(self, path, mode, data, device=(0, 0)):
        self.inode += 1
        name = path.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device,
                  len(name), 0)
        self.data += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        self._pad()
        self.data += data
        self._pad()

    def _pad(self):
        self.data += bytes(-len(self.data) % 4)


def find_busybox():
    """The host's busybox, which must run without libraries."""
    path = shutil.which("busybox", path=os.environ["PATH"] + ":/bin:/sbin")
    if not path or _has_interpreter(path):
        raise Fatal("no static busybox: install busybox-static (make deps)")
    return path


def _has_interpreter(path):
    with open(path, "rb") as file:
        elf = file.read(4096)
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    kinds = [struct.unpack_from("<I", elf, offset + i * size)[0]
             for i in range(count)]
    return PT_INTERP in kinds
