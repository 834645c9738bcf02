#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Shows how far a long step is: a bar on a terminal, else a line each 10 %.

Either counts the objects that a kernel build names on standard input
(everything is kept in --log), or with --bytes copies standard input to
standard output and counts its bytes.
"""
import argparse
import os
import re
import sys
import time

OBJECT = re.compile(r"^  [A-Z][A-Z0-9_]+ (?:\[M\])? +\S")
CHUNK = 1 << 20


class Meter:
    """A count on its way to a total, drawn on standard error."""

    def __init__(self, label, total, unit):
        self.label, self.total, self.unit = label, total, unit
        self.start = self.drawn = time.monotonic()
        self.count, self.tenth = 0, 0
        self.tty = sys.stderr.isatty()

    def add(self, number):
        self.count += number
        self.total = max(self.total, self.count)
        if self.tty:
            if time.monotonic() - self.drawn > 0.1:
                self.draw_bar()
        elif self.count * 10 // self.total > self.tenth:
            self.tenth = self.count * 10 // self.total
            print("   " + self.text(), file=sys.stderr, flush=True)

    def text(self):
        seconds = int(time.monotonic() - self.start)
        return (f"{self.label}: {self.count} of {self.total} {self.unit}, "
                f"{seconds // 60}:{seconds % 60:02}")

    def draw_bar(self):
        self.drawn = time.monotonic()
        done = 30 * self.count // self.total
        sys.stderr.write(f"\r[{'#' * done}{'.' * (30 - done)}] {self.text()}\033[K")
        sys.stderr.flush()

    def end(self):
        if self.tty and self.count:
            self.draw_bar()
            sys.stderr.write("\n")


def count_objects(meter, log):
    for line in sys.stdin.buffer:
        log.write(line)
        if OBJECT.match(line.decode(errors="replace")):
            meter.add(1)


def count_bytes(meter):
    while chunk := sys.stdin.buffer.read(CHUNK):
        sys.stdout.buffer.write(chunk)
        meter.add(len(chunk) / CHUNK)
        meter.count = round(meter.count, 3)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--label", required=True)
    parser.add_argument("--total", type=int, default=1)
    parser.add_argument("--log", default=os.devnull)
    parser.add_argument("--bytes", action="store_true")
    args = parser.parse_args()
    if args.bytes:
        meter = Meter(args.label, max(1, args.total // CHUNK), "MiB")
        count_bytes(meter)
    else:
        meter = Meter(args.label, max(1, args.total), "objects")
        with open(args.log, "ab", buffering=0) as log:
            count_objects(meter, log)
    meter.end()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
