# SPDX-License-Identifier: GPL-2.0
"""Errors that end a command in one clear line."""


class Fatal(Exception):
    """Nothing more can be done; the text is all that the user sees."""


class Died(Exception):
    """The VM ended or stopped to answer; the text says how."""


class Ended(Died):
    """The VM powered off or rebooted by itself."""
