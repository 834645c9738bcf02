# SPDX-License-Identifier: GPL-2.0
"""Results of tests, KTAP files, and the summary line."""
import dataclasses
import os
import re

PASS, FAIL, SKIP = "pass", "fail", "skip"
SUMMARY = re.compile(r"(\d+) passed, (\d+) failed, (\d+) skipped")
TAP_LINE = re.compile(r"^(not )?ok\b(?: \d+)?(?: -)? *([^#]*)(# *SKIP\b.*)?",
                      re.IGNORECASE)


@dataclasses.dataclass
class Result:
    """How one test ended."""

    name: str
    status: str
    seconds: float = 0
    detail: str = ""
    log: str = ""

    def ktap(self, number):
        word = "not ok" if self.status == FAIL else "ok"
        skip = f" # SKIP {self.detail}" if self.status == SKIP else ""
        return f"{word} {number} {self.name}{skip}".rstrip()


def write_ktap(path, results):
    """Keeps the results where the summary of a whole run finds them."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w", encoding="utf-8") as file:
        print("KTAP version 1", f"1..{len(results)}", sep="\n", file=file)
        for number, result in enumerate(results, 1):
            if result.detail or result.seconds:
                print(f"# {result.name}: {result.seconds:.0f} s "
                      f"{result.detail}".rstrip(), file=file)
            print(result.ktap(number), file=file)
    os.replace(path + ".new", path)


def read_ktap(path):
    """The top-level results of a TAP or KTAP file."""
    results = []
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = TAP_LINE.match(line)
            if match:
                bad, name, skip = match.groups()
                status = FAIL if bad else SKIP if skip else PASS
                results.append(Result(name.strip(), status))
    return results


def counts(results):
    """(passed, failed, skipped)"""
    return tuple(sum(r.status == s for r in results)
                 for s in (PASS, FAIL, SKIP))


def summary(passed, failed, skipped):
    return f"{passed} passed, {failed} failed, {skipped} skipped"
