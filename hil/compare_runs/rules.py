"""From two values, or an estimate of their difference, to a word and whether it is too much."""

from __future__ import annotations

import math
from typing import Literal

from hil.compare_runs.records import Change, Figure, Kind, Word
from hil.stats import Estimate


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
