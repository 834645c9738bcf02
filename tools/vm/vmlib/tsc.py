# SPDX-License-Identifier: GPL-2.0
"""Measures the host's time stamp counter, which TCG passes on to the VM.

On a busy host the kernel's own calibration against emulated timers can be
wrong by a factor of 40, and with it every time limit in the VM.
"""
import ctypes
import functools
import mmap
import time

# rdtsc; shl rdx, 32; or rax, rdx; ret
CODE = bytes.fromhex("0f31 48c1e220 4809d0 c3")
INTERVAL_NS = 200_000_000


@functools.lru_cache(maxsize=None)
def host_khz():
    """The frequency in kHz, or None where code cannot be mapped."""
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ |
                         mmap.PROT_WRITE | mmap.PROT_EXEC)
    except OSError:
        return None
    page.write(CODE)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    rdtsc = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)
    start, ticks = time.monotonic_ns(), rdtsc()
    time.sleep(INTERVAL_NS / 1e9)
    end, ticks = time.monotonic_ns(), rdtsc() - ticks
    return round(ticks * 1_000_000 / (end - start))
