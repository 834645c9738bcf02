#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""vmlinux.py BZIMAGE: writes the kernel in a bzImage, which is compressed there, to
standard output (Documentation/arch/x86/boot.rst: payload_offset).  Bochs's loader
takes that: decompressing a kernel in Bochs takes a minute."""
import struct
import subprocess
import sys

# Offsets in the setup header
SETUP_SECTORS, PAYLOAD = 0x1f1, 0x248
PROGRAMS = {b"\x28\xb5\x2f\xfd": "zstd", b"\xfd7zX": "xz", b"\x1f\x8b\x08": "gzip"}


def main():
    with open(sys.argv[1], "rb") as file:
        data = file.read()
    start = (data[SETUP_SECTORS] + 1) * 512
    offset, length = struct.unpack_from("<2I", data, PAYLOAD)
    # Its last four bytes are the size of what is compressed.
    payload = data[start + offset:start + offset + length - 4]
    for magic, program in PROGRAMS.items():
        if payload.startswith(magic):
            subprocess.run([program, "-dc"], input=payload, check=True)
            return
    sys.exit(f"error: {sys.argv[1]}: compressed in a way that is not known here")


if __name__ == "__main__":
    main()
