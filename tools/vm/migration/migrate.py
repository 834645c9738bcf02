#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0
"""migrate.py MIGRATIONS LOG QEMU [ARGUMENT...]: moves a guest that writes its memory.

The guest's init is writers.c, its console is LOG, to which each QEMU appends.  It is
moved so many times, each time to another QEMU.  Pages are sent slowly, and QEMU may
not stop the guest before it has looked for dirty pages some times.  Then the guest
must go on in the other, and find all of its pages as it wrote them.
"""
import glob
import json
import os
import re
import socket
import subprocess
import sys
import time

# In bytes a second, before the guest is stopped
BANDWIDTH = 32 << 20
# So often are dirty pages looked for before the guest may be stopped
ROUNDS = 5
# What QEMU may stop the guest for, in ms: never enough, and always
SHORT, LONG = 1, 600_000
# In seconds: rates of writes are measured for so long; what may take time, and how
# long a guest that has started may be silent
MEASURED = 2
LIMIT = 280
SILENCE = 60
POLL = 0.05
REPORT = re.compile(r"WRITERS: (\d+) ms, (\d+) pages, (\d+) (\d+) rounds$")
WRONG = "WRONG: "
# Of KVM, for the VM that is left
STATISTICS = ("pf_taken", "pf_fast", "tlb_flush", "dirty_regions_opened",
              "dirty_regions_closed", "dirty_pages_collected")


class Failure(Exception):
    """Why the test fails."""


class Report:
    """What the guest has done when it had been up for so many ms."""

    def __init__(self, match):
        self.ms, self.pages, *self.rounds = map(int, match.groups())


class Console:
    """What the guest prints, in whichever QEMU it is."""

    def __init__(self, path):
        self.path = path
        self.position = 0
        self.reports = []

    def read(self):
        """Takes in what is new; raises Failure if that is bad."""
        if not os.path.exists(self.path):
            return
        with open(self.path, "rb") as file:
            file.seek(self.position)
            new = file.read()
        new = new[:new.rfind(b"\n") + 1]
        self.position += len(new)
        for line in new.decode(errors="replace").splitlines():
            if line.startswith(WRONG):
                raise Failure(f"the guest: {line}")
            if match := REPORT.match(line.strip()):
                self.reports.append(Report(match))

    def wait(self, condition):
        """Reads until the condition is true of the reports."""
        known, since = len(self.reports), time.monotonic()
        while not condition():
            if time.monotonic() > since + (SILENCE if known else LIMIT):
                raise Failure("the guest is silent")
            time.sleep(POLL)
            self.read()
            if len(self.reports) > known:
                known, since = len(self.reports), time.monotonic()

    def pass_rounds(self, count):
        """Until each writer has gone round all its pages so often from now on.

        The first report may be from before, and of a round that is half over.
        """
        self.read()
        known = len(self.reports)
        self.wait(lambda: len(self.reports) > known)
        goal = [rounds + 1 + count for rounds in self.reports[known].rounds]
        self.wait(lambda: all(a >= b for a, b in
                              zip(self.reports[-1].rounds, goal)))

    def rate_from_now(self):
        """Pages that are written each second, for some seconds."""
        self.read()
        known = len(self.reports)
        self.wait(lambda: len(self.reports) > known + 1 and self.reports[-1].ms -
                  self.reports[known].ms >= MEASURED * 1000)
        return self.rate(known)

    def rate(self, first):
        """Pages that were written each second from this report on."""
        reports = self.reports[first:]
        if len(reports) < 2:
            return 0
        return round((reports[-1].pages - reports[0].pages) * 1000 /
                     (reports[-1].ms - reports[0].ms))


class Qemu:
    """A QEMU, and the line for commands to it."""

    running = []

    def __init__(self, command, number, *more):
        path = f"/tmp/qmp-{number}"
        self.process = subprocess.Popen(
            [*command, "-qmp", f"unix:{path},server=on,wait=off", *more])
        self.running.append(self.process)
        self.line = self._connect(path).makefile("rw", encoding="utf-8")
        self.line.readline()
        self.execute("qmp_capabilities")

    def _connect(self, path):
        deadline = time.monotonic() + LIMIT
        line = socket.socket(socket.AF_UNIX)
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                line.connect(path)
                return line
            except OSError:
                time.sleep(POLL)
        raise Failure("QEMU does not answer")

    def execute(self, command, **arguments):
        """The answer to a command; what it says by itself is passed over."""
        words = {name.replace("_", "-"): value for name, value in arguments.items()}
        print(json.dumps({"execute": command, "arguments": words}), file=self.line,
              flush=True)
        while text := self.line.readline():
            answer = json.loads(text)
            if "error" in answer:
                raise Failure(f"{command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise Failure(f"QEMU ended at {command}, with status {self.process.wait()}")

    def statistics(self):
        """What KVM counted for this VM, as far as it does."""
        counted = {}
        for name in STATISTICS:
            for path in glob.glob(f"/sys/kernel/debug/kvm/{self.process.pid}-*/{name}"):
                with open(path, encoding="ascii") as file:
                    counted[name] = int(file.read())
        return counted

    def quit(self):
        self.execute("quit")
        if status := self.process.wait(LIMIT):
            raise Failure(f"QEMU's exit status is {status}")


def completed(state):
    """QEMU says so a moment before it knows how long it took."""
    return state.get("status") == "completed" and state["total-time"]


def send(source, uri, console):
    """Migrates; what QEMU says of it in the end."""
    source.execute("migrate-set-parameters", max_bandwidth=BANDWIDTH,
                   downtime_limit=SHORT)
    source.execute("migrate", uri=uri)
    limit = SHORT
    while not completed(state := source.execute("query-migrate")):
        if state.get("status") in ("failed", "cancelled"):
            raise Failure(f"QEMU: {state.get('error-desc', state['status'])}")
        if limit == SHORT and state.get("ram", {}).get("dirty-sync-count", 0) >= ROUNDS:
            limit = LONG
            source.execute("migrate-set-parameters", downtime_limit=limit)
        console.read()
        time.sleep(POLL)
    return state


def move(source, destination, uri, console):
    """One migration, and the proof that the guest goes on; its figures."""
    before = console.rate_from_now()
    counted = source.statistics()
    started = len(console.reports)
    state = send(source, uri, console)
    during = console.rate(started)
    counted = {name: value - counted[name] for name, value in
               source.statistics().items()}
    source.quit()
    console.pass_rounds(1)
    if (status := destination.execute("query-status")["status"]) != "running":
        raise Failure(f"the guest is {status} after it was moved")
    ram = state["ram"]
    return {"rounds": ram["dirty-sync-count"], "pages sent": ram["normal"],
            "ms down": state["downtime"], "ms in all": state["total-time"],
            "writes/s before": before, "during": during,
            "after": console.rate_from_now(),
            **{name: value for name, value in counted.items() if value}}


def text(figures):
    return ", ".join(f"{name} {value}" for name, value in figures.items())


def summary(moves):
    """Each figure, or between what it was if there was more than one migration."""
    names = dict.fromkeys(name for figures in moves for name in figures)
    ends = {name: sorted({figures.get(name, 0) for figures in moves})
            for name in names}
    return text({name: f"{values[0]}..{values[-1]}" if values[1:] else values[0]
                 for name, values in ends.items()})


def run(migrations, log, command):
    """The guest's life, from one QEMU to the next."""
    console = Console(log)
    qemu = Qemu(command, 0)
    console.pass_rounds(1)
    moves = []
    for number in range(1, migrations + 1):
        uri = f"unix:/tmp/migration-{number}"
        destination = Qemu(command, number, "-incoming", uri)
        moves.append(move(qemu, destination, uri, console))
        print(f"migration {number}: {text(moves[-1])}", flush=True)
        qemu = destination
    qemu.quit()
    print(f"FIGURES: {summary(moves)}")


def main():
    migrations, log, *command = sys.argv[1:]
    try:
        run(int(migrations), log, command)
    except Failure as failure:
        sys.exit(f"FAIL: {failure}")
    finally:
        for process in Qemu.running:
            process.kill()


if __name__ == "__main__":
    main()
