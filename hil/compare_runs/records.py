"""What a comparison of two stored runs says, before it is written down in any format.

`Comparison` is also what ``--format json`` gives; its keys never change within a schema.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from hil.runlog.stored import Stored

COMPARISON_SCHEMA = 1
Word: TypeAlias = Literal["better", "worse", "same", "undecided", "missing", "new"]
Kind: TypeAlias = Literal["share", "count", "bytes", "instructions", "us"]


class Change(Stored, frozen=True):
    """NEW against BASE with its interval; an exact one has ``low`` == ``point`` == ``high``.

    ``kind`` ratio: NEW / BASE. difference: NEW - BASE, in the figure's own kind. ``high`` is None
    where BASE is 0, so that no ratio bounds it.
    """

    kind: Literal["ratio", "difference"]
    point: float
    low: float
    high: float
    method: str
    n: int
    confidence: float


class Figure(Stored, frozen=True):
    """One figure of one run in both.

    ``name`` is what limits.toml's [compare] calls it. ``limit``: how much worse it may be, in
    points, percent or counts; None where anything is allowed. ``beyond``: it is worse than that,
    or missing. ``note`` says what the numbers alone do not.
    """

    name: str
    kind: Kind
    word: Word
    base: float | None
    new: float | None
    change: Change | None = None
    limit: float | None = None
    beyond: bool = False
    n: int = 0  # samples that the figure is of, where it is of any
    note: str = ""


class Fact(Stored, frozen=True):
    """Something that is not a figure and differs."""

    name: str
    base: str
    new: str


class Compared(Stored, frozen=True):
    """One run, by its key in NEW; ``base`` is its key in BASE. ``facts`` may differ, and do.
    ``broken``: absolute limits that NEW breaks, a line each."""

    key: str
    base: str
    figures: tuple[Figure, ...]
    facts: tuple[Fact, ...] = ()
    broken: tuple[str, ...] = ()


class Lost(Stored, frozen=True):
    """A run of BASE that NEW has not, and why, where that is known."""

    key: str
    why: str


class Side(Stored, frozen=True):
    """One of the two folders."""

    run_id: str
    created: str
    commit: str  # empty: not from a checkout
    dirty: bool


class Comparison(Stored, frozen=True):
    """``problems``: every figure, run or limit that makes it a regression, a line each.
    ``added``: keys of runs that only NEW has. ``allowed``: fields that were told to be let pass."""

    schema: int
    base: Side
    new: Side
    regression: bool
    sentence: str
    problems: tuple[str, ...]
    runs: tuple[Compared, ...]
    lost: tuple[Lost, ...] = ()
    added: tuple[str, ...] = ()
    facts: tuple[Fact, ...] = ()
    allowed: tuple[str, ...] = ()
