# SPDX-License-Identifier: GPL-2.0
"""Boots a kernel in a machine with an ATA disk and a BIOS.

An option ROM, which the BIOS calls at the end of its own initialization, reads
boot parameters, kernel and initramfs from the disk, which holds nothing else,
and enters the uncompressed kernel by the 64-bit boot protocol
(Documentation/arch/x86/boot.rst). Where a second of the host is a tenth of one
in the machine, a boot loader and a compressed kernel take most of a minute.
"""
import struct

PARAMETERS_AT = 0x10000
INITRAMFS_AT = 0x40000000
ROM_AT = 0xd0000
ROM_SIZE = 512
# The disk is read in commands of 256 sectors
CHUNK = 256 * 512
CYLINDER = 16 * 63 * 512
PAGE = 4096
# Where Bochs's BIOS leaves memory to the system, and what it keeps
LOW_END = 0x9f000
BIOS_AT, BIOS_END = 0xe8000, 0x100000
ACPI_SIZE = 0x10000
RAM, RESERVED, ACPI = 1, 2, 3
# Offsets in struct boot_params
E820_COUNT, HEADER, E820_TABLE = 0x1e8, 0x1f1, 0x2d0
HEADER_END, LOADER_TYPE, RAMDISK, COMMAND_LINE = 0x201, 0x210, 0x218, 0x228
UNKNOWN_LOADER = 0xff
# Page table entries: present and writable, and a page of 2 MiB
TABLE, LARGE_PAGE = 3, 0x83
PT_LOAD = 1

# In real mode: interrupts off, A20 on, the GDT loaded, protected mode
REAL_MODE = """
fa e492 0c02 e692 2e660f0116{gdtr} 0f20c0 0c01 0f22c0 66ea{next}0800"""
# Flat segments; %ebx counts sectors of the disk, the direction is up
SEGMENTS = "66b81800 8ed8 8ec0 8ed0 31db fc"
# %edi the destination, %ebp the commands to send; for each:
#   wait for BSY to go, all of the register file, READ SECTORS,
#   and for each of its 256 sectors: wait for DRQ, rep insw
READ = """
bf{place} bd{chunks}
66baf701 ec a880 75fb 66baf201 31c0 ee
42 89d8 ee 42 c1e808 ee 42 c1e808 ee 42 b0e0 ee 42 b020 ee be00010000
ec 2488 3c08 75f9 66baf001 b900010000 f3666d 66baf701 4e 75e6
81c300010000 4d 75b2"""
# CR3, CR4.PAE, EFER.LME, %esi at the parameters, CR0.PG, jump to the kernel
ENTER = """
b8{tables} 0f22d8 0f20e0 83c820 0f22e0 b9800000c0 0f32 0d00010000 0f30
be{parameters} 0f20c0 0d00000080 0f22c0 ea{entry}1000"""
# Selectors 0x08, 0x10 and 0x18: flat 32-bit code, 64-bit code, and data
GDT = struct.pack("<4Q", 0, 0x00cf9a000000ffff, 0x00af9a000000ffff,
                  0x00cf92000000ffff)


class Machine:
    """What the loader must know of the machine and of its kernel."""

    def __init__(self, bzimage, vmlinux, words, memory):
        with open(bzimage, "rb") as file:
            self.header = file.read(PAGE)
        with open(vmlinux, "rb") as file:
            self.elf = file.read()
        self.words = words
        self.memory = memory << 20

    def write_images(self, rom_path, disk_path, initramfs):
        """Writes the ROM, and the disk that it reads."""
        place, kernel = flatten(self.elf)
        loads = [(PARAMETERS_AT, self._parameters(len(initramfs))),
                 (place, kernel), (INITRAMFS_AT, initramfs)]
        sizes = []
        with open(disk_path, "wb") as file:
            for place, data in loads:
                file.write(data + bytes(-len(data) % CHUNK))
                sizes.append((place, -(-len(data) // CHUNK)))
            file.truncate((file.tell() // CYLINDER + 1) * CYLINDER)
        entry, = struct.unpack_from("<Q", self.elf, 24)
        with open(rom_path, "wb") as file:
            file.write(rom(sizes, entry))

    def _parameters(self, ramdisk_size):
        """struct boot_params; pages with the command line, and page tables."""
        data = bytearray(PAGE)
        end = 0x202 + self.header[HEADER_END]
        data[HEADER:end] = self.header[HEADER:end]
        data[LOADER_TYPE] = UNKNOWN_LOADER
        struct.pack_into("<2I", data, RAMDISK, INITRAMFS_AT, ramdisk_size)
        struct.pack_into("<I", data, COMMAND_LINE, PARAMETERS_AT + PAGE)
        areas = self._memory_map()
        data[E820_COUNT] = len(areas)
        for index, (start, end, kind) in enumerate(areas):
            struct.pack_into("<2QI", data, E820_TABLE + index * 20, start,
                             end - start, kind)
        words = self.words.encode().ljust(PAGE, b"\0")
        return bytes(data) + words + page_tables(PARAMETERS_AT + 2 * PAGE)

    def _memory_map(self):
        """What the BIOS would answer to int 15h, eax=e820h."""
        top = self.memory - ACPI_SIZE
        return [(0, LOW_END, RAM), (LOW_END, 0xa0000, RESERVED),
                (BIOS_AT, BIOS_END, RESERVED), (BIOS_END, top, RAM),
                (top, self.memory, ACPI)]


def flatten(elf):
    """The loadable segments of a kernel, and where they belong."""
    offset, = struct.unpack_from("<Q", elf, 32)
    size, count = struct.unpack_from("<HH", elf, 54)
    segments = []
    for index in range(count):
        kind, _, start, _, place, length = struct.unpack_from(
            "<2I4Q", elf, offset + index * size)
        if kind == PT_LOAD:
            segments.append((place, elf[start:start + length]))
    first = min(place for place, _ in segments)
    data = bytearray(max(p + len(d) for p, d in segments) - first)
    for place, content in segments:
        data[place - first:place - first + len(content)] = content
    return first, bytes(data)


def page_tables(place):
    """Four levels, that map 4 GiB as they are; the first page is the root."""
    directories = range(place + 2 * PAGE, place + 6 * PAGE, PAGE)
    entries = [[place + PAGE | TABLE], [at | TABLE for at in directories]]
    entries += [[n << 30 | i << 21 | LARGE_PAGE for i in range(512)]
                for n in range(len(directories))]
    return b"".join(struct.pack(f"<{len(page)}Q", *page).ljust(PAGE, b"\0")
                    for page in entries)


def assemble(text, **fields):
    """Machine code with little-endian numbers at its {names}."""
    return bytes.fromhex(text.format(**{
        name: struct.pack("<H" if name == "gdtr" else "<I", value).hex()
        for name, value in fields.items()}))


def rom(loads, entry):
    """An option ROM: signature, size in sectors, code, checksum."""
    body = assemble(SEGMENTS)
    for place, chunks in loads:
        body += assemble(READ, place=place, chunks=chunks)
    body += assemble(ENTER, tables=PARAMETERS_AT + 2 * PAGE,
                     parameters=PARAMETERS_AT, entry=entry)
    start = 3 + len(assemble(REAL_MODE, gdtr=0, next=0))
    gdt = start + len(body)
    real = assemble(REAL_MODE, gdtr=gdt + len(GDT), next=ROM_AT + start)
    data = (b"\x55\xaa" + bytes([ROM_SIZE // 512]) + real + body + GDT +
            struct.pack("<HI", len(GDT) - 1, ROM_AT + gdt))
    data += bytes(ROM_SIZE - 1 - len(data))
    return data + bytes([-sum(data) & 0xff])
