# SPDX-License-Identifier: Apache-2.0
"""How a figure is judged, with or without an interval: the words, and the limits."""

from __future__ import annotations

import math
from typing import Literal

from hil.compare.records import Change, ComparedFigure, Kind, Word
from hil.stats import Estimate


def judge(low: float, high: float, near: float) -> Word:
    """The word for the interval of an increase, where less is better.

    ``near``: an interval within plus and minus this much is "same".
    """
    if low == high == 0:
        return "same"
    if low > 0:
        return "worse"
    if high < 0:
        return "better"
    return "same" if near and max(-low, high) <= near else "undecided"


def exact_change(kind: Literal["ratio", "difference"], base: float, new: float) -> Change:
    """A change without an interval."""
    point = new / base if kind == "ratio" else new - base
    return Change(
        kind=kind, point=point, low=point, high=point, method="exact", n=1, confidence=1.0
    )


def to_change(kind: Literal["ratio", "difference"], found: Estimate) -> Change:
    """An estimate as a record."""
    return Change(
        kind=kind,
        point=found.point,
        low=found.low,
        high=found.high,
        method=found.method,
        n=found.n,
        confidence=found.confidence,
    )


def by_percent(
    name: str, kind: Kind, base: float | None, new: float | None, most: float | None
) -> ComparedFigure | None:
    """An exact figure, where less is better, with an allowed increase in percent."""
    if base is None or new is None:
        return one_sided(name, kind, base, new)
    increase = 100 * (new - base) / base if base else math.inf if new > base else 0.0
    change = exact_change("ratio" if base else "difference", base, new)
    return _exact(name, kind, base, new, change, increase, most)


def by_count(
    name: str,
    base: int | None,
    new: int | None,
    most: float | None,
    *,
    kind: Kind = "count",
    n: int = 0,
) -> ComparedFigure | None:
    """An exact count, where less is better, with an allowed increase."""
    if base is None or new is None:
        return one_sided(name, kind, base, new)
    return _exact(name, kind, base, new, exact_change("difference", base, new), new - base, most, n)


def _exact(
    name: str,
    kind: Kind,
    base: float,
    new: float,
    change: Change,
    increase: float,
    most: float | None,
    n: int = 0,
) -> ComparedFigure:
    limit = finite(most)
    return ComparedFigure(
        name=name,
        kind=kind,
        word=judge(new - base, new - base, 0),
        base=base,
        new=new,
        change=change,
        limit=limit,
        beyond=limit is not None and increase > limit,
        n=n,
    )


def one_sided(
    name: str, kind: Kind, base: float | None, new: float | None, *, n: int = 0
) -> ComparedFigure | None:
    """A figure that only one run has; None if neither has it. One that only BASE has is missing,
    which is a regression."""
    if base is None and new is None:
        return None
    word: Word = "new" if base is None else "missing"
    return ComparedFigure(
        name=name, kind=kind, word=word, base=base, new=new, beyond=word == "missing", n=n
    )


def finite(most: float | None) -> float | None:
    """A limit; None if any change is allowed."""
    return None if most is None or math.isinf(most) else most
