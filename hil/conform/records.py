# SPDX-License-Identifier: Apache-2.0
"""What a conformance run stores in conform.json, and `hil conform --json` prints."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

import msgspec

from hil.runs.schema import Stored

FILE: Final = "conform.json"
State: TypeAlias = Literal["complete", "interrupted", "failed"]


class KernelTally(Stored, frozen=True):
    """One kernel and type: ``shapes`` asked on the board, ``failures`` among them, and those
    ``not_taken`` by the engine or without a reference. ``covered``: the values of each parameter
    among those that were asked, in words."""

    kernel: str
    operator: str
    dtype: str
    shapes: int
    failures: int
    not_taken: int
    covered: dict[str, str] = msgspec.field(default_factory=dict)


class ConformFailure(Stored, frozen=True):
    """A failing network. ``smallest``: the smallest one that still fails, by its files' name in
    failures/; empty if it was not shrunk. ``shape``: its parameters in words; ``what`` is wrong.
    ``planted``: the deliberate fault that it has."""

    name: str
    kernel: str
    dtype: str
    shape: str
    what: str
    smallest: str = ""
    smallest_shape: str = ""
    smallest_what: str = ""
    planted: str = ""


class Conformance(Stored, frozen=True):
    """A run of `hil conform`.

    ``kernels_of``: whose kernels the firmware has, empty for an engine that has only its own.
    ``not_taken``: reasons, with the number of networks. ``images``: how many were flashed.
    ``planted``: networks with a deliberate fault; ``missed``: those whose answers are right.
    ``why``: what ended the run before its end.
    """

    board: str
    engine: str
    seed: int
    count: int
    state: State
    created: str
    command: tuple[str, ...]
    versions: dict[str, str]
    kernels_of: str
    toolchain: str
    images: int
    seconds: float
    tallies: tuple[KernelTally, ...]
    failures: tuple[ConformFailure, ...]
    not_taken: dict[str, int]
    planted: int = 0
    missed: tuple[str, ...] = ()
    why: str = ""
    schema: int = 1
