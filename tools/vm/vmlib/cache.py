# SPDX-License-Identifier: GPL-2.0
"""Keeps results of selftests, so that an interrupted run goes on."""
import fcntl
import glob
import hashlib
import json
import os

from .results import Result


def file_hash(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def kernel_hash(config):
    """Everything of the VM that can change a result.

    The kernel proper counts by its .config: linking it again changes only its
    time stamp, and our modules are compared with stock's on the same kernel.
    """
    modules = sorted(glob.glob(os.path.join(config.modules, "*.ko")))
    parts = [file_hash(path) for path in [config.kconfig, *modules]]
    parts += [config.name, config.command_line(), str(config.memory),
              str(config.cpus), *config.driver.identity(config)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


class Cache:
    """Results by the hash of all that they depend on, in one JSON file."""

    def __init__(self, path):
        self.path = path
        self._load()

    def _load(self):
        self.data = {}
        if os.path.exists(self.path):
            with open(self.path, encoding="utf-8") as file:
                self.data = json.load(file)

    @staticmethod
    def key(task, binary):
        parts = (kernel_hash(task.config), file_hash(binary),
                 task.test.command, str(task.test.limit))
        return hashlib.sha256(" ".join(parts).encode()).hexdigest()

    def get(self, key):
        entry = self.data.get(key)
        return Result(**entry) if entry else None

    def put(self, key, result):
        """Another run may add results to the same file meanwhile."""
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._load()
            self.data[key] = vars(result)
            with open(self.path + ".new", "w", encoding="utf-8") as file:
                json.dump(self.data, file, indent=1, sort_keys=True)
            os.replace(self.path + ".new", self.path)
