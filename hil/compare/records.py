# SPDX-License-Identifier: Apache-2.0
"""The result of comparing two stored runs, independent of the output format.

``--format json`` is a `Comparison`; its keys never change within a schema.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, UnsetType

from hil.runs.schema import Stored

COMPARISON_SCHEMA = 1
Word: TypeAlias = Literal["better", "worse", "same", "undecided", "missing", "new"]
# "real": an error in the unit of the targets; "area": under the ROC curve, 0 to 1
Kind: TypeAlias = Literal[
    "share", "count", "bytes", "instructions", "cycles", "us", "host_ns", "real", "area", "joules"
]


class Change(Stored, frozen=True):
    """The change from BASE to NEW with its interval; an exact one has ``low`` == ``high``.

    ``kind`` ratio: NEW / BASE. difference: NEW - BASE, in the unit of the figure.
    """

    kind: Literal["ratio", "difference"]
    point: float
    low: float
    high: float
    method: str
    n: int
    confidence: float


class ComparedFigure(Stored, frozen=True):
    """One figure of a run, in BASE and in NEW.

    ``name`` is its key in [compare] of limits.toml. ``limit``: the allowed regression in points,
    percent, counts or, of an area, in its own unit; None if any change is allowed. ``beyond``: it
    is worse than that, or missing.
    ``step``: the coarser of both clocks' steps in microseconds, stored if it is a millisecond or
    more.
    """

    name: str
    kind: Kind
    word: Word
    base: float | None
    new: float | None
    change: Change | None = None
    limit: float | None = None
    beyond: bool = False
    n: int = 0  # samples that the figure is about; 0 for others
    note: str = ""
    step: float | UnsetType = UNSET


class Fact(Stored, frozen=True):
    """A property that is not a figure and differs."""

    name: str
    base: str
    new: str


class ComparedRun(Stored, frozen=True):
    """One run, by its key in NEW; ``base`` is its key in BASE. ``facts`` are properties that differ
    and may do so. ``broken``: the absolute limits that NEW exceeds, one line each."""

    key: str
    base: str
    figures: tuple[ComparedFigure, ...]
    facts: tuple[Fact, ...] = ()
    broken: tuple[str, ...] = ()


class Lost(Stored, frozen=True):
    """A run of BASE that is missing from NEW, and why, if known. ``beyond``: not allowed to be."""

    key: str
    why: str
    beyond: bool = False


class Side(Stored, frozen=True):
    """One of the two run folders."""

    run_id: str
    created: str
    commit: str  # empty outside of a checkout
    dirty: bool


class Comparison(Stored, frozen=True):
    """``problems``: every figure, run or limit that makes it a regression, one line each.
    ``added``: keys of runs that only NEW has. ``allowed``: fields that were allowed to differ."""

    schema: int
    base: Side
    new: Side
    regression: bool
    sentence: str
    problems: tuple[str, ...]
    runs: tuple[ComparedRun, ...]
    lost: tuple[Lost, ...] = ()
    added: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    allowed: tuple[str, ...] = ()
