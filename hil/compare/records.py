# SPDX-License-Identifier: Apache-2.0
"""What a comparison of two stored runs says, before it is written down in any format.

`Comparison` is also what ``--format json`` gives; its keys never change within a schema.
"""

from __future__ import annotations

import math
from typing import Literal, TypeAlias

from hil.runs.schema import Stored
from hil.stats import Estimate

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


def side(low: float, high: float, near: float) -> Word:
    """The word for an interval of how much more there is of what one wants less of.

    ``near``: an interval that lies within plus and minus this much is called the same.
    """
    if low == high == 0:
        return "same"
    if low > 0:
        return "worse"
    if high < 0:
        return "better"
    return "same" if near and max(-low, high) <= near else "undecided"


def exact(kind: Literal["ratio", "difference"], base: float, new: float) -> Change:
    """A change without an interval of its own."""
    point = new / base if kind == "ratio" else new - base
    return Change(
        kind=kind, point=point, low=point, high=point, method="exact", n=1, confidence=1.0
    )


def change(kind: Literal["ratio", "difference"], found: Estimate) -> Change:
    """An estimate as it is stored."""
    return Change(
        kind=kind,
        point=found.point,
        low=found.low,
        high=found.high,
        method=found.method,
        n=found.n,
        confidence=found.confidence,
    )


def percent(
    name: str, kind: Kind, base: float | None, new: float | None, most: float | None
) -> Figure | None:
    """An exact figure, the less the better, limited by how many percent more there may be."""
    if base is None or new is None:
        return absent(name, kind, base, new)
    limit = finite(most)
    grown = 100 * (new - base) / base if base else math.inf if new > base else 0.0
    return Figure(
        name=name,
        kind=kind,
        word=side(new - base, new - base, 0),
        base=base,
        new=new,
        change=exact("ratio" if base else "difference", base, new),
        limit=limit,
        beyond=limit is not None and grown > limit,
    )


def count(
    name: str,
    base: int | None,
    new: int | None,
    most: float | None,
    *,
    kind: Kind = "count",
    n: int = 0,
) -> Figure | None:
    """An exact count, the fewer the better, limited by how many more there may be."""
    if base is None or new is None:
        return absent(name, kind, base, new)
    limit = finite(most)
    return Figure(
        name=name,
        kind=kind,
        word=side(new - base, new - base, 0),
        base=base,
        new=new,
        change=exact("difference", base, new),
        limit=limit,
        beyond=limit is not None and new - base > limit,
        n=n,
    )


def absent(name: str, kind: Kind, base: float | None, new: float | None) -> Figure | None:
    """A figure that one run alone has; None when neither has it. BASE's alone is missing, which
    counts as a regression."""
    if base is None and new is None:
        return None
    word: Word = "new" if base is None else "missing"
    return Figure(name=name, kind=kind, word=word, base=base, new=new, beyond=word == "missing")


def finite(most: float | None) -> float | None:
    """A limit; None where anything is allowed."""
    return None if most is None or math.isinf(most) else most
