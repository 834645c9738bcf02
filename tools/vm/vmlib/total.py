# SPDX-License-Identifier: GPL-2.0
"""The end of make test: the sum over the parts' result files."""
import os

from .results import FAIL, Result, counts, read_ktap, summary


def run_total(out, parts):
    """Prints one line for each part and the sum; the exit status."""
    everything = []
    for part in parts:
        path = os.path.join(out, "results", part + ".ktap")
        if os.path.exists(path):
            results = read_ktap(path)
        else:
            results = [Result(part, FAIL)]
        everything += results
        print(f"{part + ':':12} {summary(*counts(results))}")
        for result in results:
            if result.status == FAIL:
                print(f"    FAIL {result.name}")
    print(summary(*counts(everything)))
    return 1 if counts(everything)[1] else 0
