"""Times of two runs over the same samples. Instructions and microseconds are never put together:
`hil.series` has a type for each, and a ratio takes two of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil.compare_runs.records import Figure, Kind, Word
from hil.compare_runs.rules import absent, change, finite, percent, side
from hil.limits import Growth
from hil.report.cells import Cell
from hil.runlog.schema import RunEnd
from hil.series import Counts, Latencies, ratio
from hil.stats import Estimate

_NO_RATIO = "times of 0: too short for this clock"


def times(base: Cell, new: Cell, growth: Growth) -> Iterator[Figure | None]:
    """The figures of the clock that both runs have; none where they have different ones."""
    unit = new.plan.clock.unit
    if unit != base.plan.clock.unit or unit == "none":
        return
    base, new = _in_both(base, new)
    # equal ids, and a time to each: then the pairs are of the same inputs
    paired = base.ids == new.ids and base.times.size == new.times.size == new.n
    match base.series, new.series:
        case Counts() as one, Counts() as other:
            yield from _counts(one, other, growth, paired)
        case Latencies() as one, Latencies() as other:
            yield _latency(one, other, growth, paired)
        case one, other:
            known = (None if s is None else float(np.median(s.values)) for s in (one, other))
            yield absent("instructions" if unit == "instructions" else "latency", unit, *known)
    if unit == "instructions" or not (base.chaos or new.chaos):
        yield _first(unit, base.end, new.end, growth)


def _in_both(base: Cell, new: Cell) -> tuple[Cell, Cell]:
    """Latencies of the same samples, cut to those that nothing disturbed in either run."""
    one, other = base.clocked, new.clocked
    if new.plan.clock.unit != "us" or base.ids != new.ids or one is None or other is None:
        return base, new
    both = one & other
    if both.all() or not both.any():
        return base, new
    ids = tuple(key for key, kept in zip(new.ids, both, strict=True) if kept)
    every = np.ones(len(ids), dtype=bool)
    return (
        replace(base, ids=ids, times=base.times[both[one]], clocked=every),
        replace(new, ids=ids, times=new.times[both[other]], clocked=every),
    )


def _counts(base: Counts, new: Counts, growth: Growth, paired: bool) -> Iterator[Figure | None]:
    """Exact for each digit: what changes is the code's doing, and no interval is needed to say so.

    The interval is of the median over digits of this kind. A median may hide what befalls fewer
    than half of the digits, so their sum is held as well.
    """
    word: Word | None = None
    if paired:
        more = new.values - base.values
        if not more.any():
            word = "same"
        elif (more >= 0).all() or (more <= 0).all():
            word = "worse" if more.sum() > 0 else "better"
    found = ratio(new, base, paired=paired) if _positive(base.values, new.values) else None
    if word is None and found is not None:
        word = side(found.low - 1, found.high - 1, 0)
    limit = finite(growth.instructions)
    beyond = found is not None and limit is not None and 100 * found.point > 100 + limit
    yield _median(
        "instructions", "instructions", base.values, new.values, found, word, limit, beyond
    )
    if paired:
        one, other = int(base.values.sum()), int(new.values.sum())
        yield percent("total", "instructions", one, other, growth.total)


def _latency(base: Latencies, new: Latencies, growth: Growth, paired: bool) -> Figure:
    """A sample of what the board may take: beyond its limit with the whole interval, or not."""
    limit = finite(growth.latency)
    found = ratio(new, base, paired=paired) if _positive(base.values, new.values) else None
    word = None if found is None else side(found.low - 1, found.high - 1, (limit or 0) / 100)
    beyond = found is not None and limit is not None and 100 * found.low > 100 + limit
    return _median("latency", "us", base.values, new.values, found, word, limit, beyond)


def _positive(*values: npt.NDArray[np.int64]) -> bool:
    return all(bool((one > 0).all()) for one in values)


def _median(
    name: str,
    kind: Kind,
    base: npt.NDArray[np.int64],
    new: npt.NDArray[np.int64],
    found: Estimate | None,
    word: Word | None,
    limit: float | None,
    beyond: bool,
) -> Figure:
    return Figure(
        name=name,
        kind=kind,
        word=word or "undecided",
        base=float(np.median(base)),
        new=float(np.median(new)),
        change=None if found is None else change("ratio", found),
        limit=limit,
        beyond=beyond,
        n=new.size,
        note="" if found else _NO_RATIO,
    )


def _first(kind: Kind, base: RunEnd | None, new: RunEnd | None, growth: Growth) -> Figure | None:
    """The first inference after boot. One value of a real board tells nothing of its spread."""
    one, other = (end.first if end else None for end in (base, new))
    if kind == "us" and one is not None and other is not None:
        note = "one value each, so no interval"
        return Figure(name="first", kind=kind, word="undecided", base=one, new=other, note=note)
    return percent("first", kind, one, other, growth.first)
