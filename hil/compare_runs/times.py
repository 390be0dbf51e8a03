"""Times of two runs over the same samples. Instructions and microseconds are never put together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from hil import stats
from hil.compare_runs.records import Figure, Kind, Word
from hil.compare_runs.rules import absent, change, finite, percent, side
from hil.limits import Growth
from hil.report.cells import Cell
from hil.runlog.schema import RunEnd


def times(base: Cell, new: Cell, growth: Growth) -> Iterator[Figure | None]:
    """The figures of the clock that both runs have; none where they have different ones."""
    unit = new.plan.clock.unit
    if unit != base.plan.clock.unit:
        return
    if unit == "instructions":
        yield from _instructions(base, new, growth)
    elif unit == "us":
        yield _latency(base, new, growth)
        yield _first("us", base.end, new.end, growth)


def _instructions(base: Cell, new: Cell, growth: Growth) -> Iterator[Figure | None]:
    """Exact for each digit: what changes is the code's doing, and no interval is needed to say so.

    The median may hide what befalls fewer than half of the digits, so their sum is held as well.
    The interval is of the median over digits of this kind.
    """
    if not base.times.size or not new.times.size:
        yield absent("instructions", "instructions", *_medians(base, new))
        return
    paired = base.ids == new.ids and base.times.size == new.times.size
    word: Word | None = None
    if paired:
        more = new.times - base.times
        if not more.any():
            word = "same"
        elif (more >= 0).all() or (more <= 0).all():
            word = "worse" if more.sum() > 0 else "better"
    yield _ratio("instructions", "instructions", base, new, growth.instructions, paired, word)
    if paired:
        one, other = (int(cell.times.sum()) for cell in (base, new))
        yield percent("total", "instructions", one, other, growth.total)
    yield _first("instructions", base.end, new.end, growth)


def _latency(base: Cell, new: Cell, growth: Growth) -> Figure | None:
    if not base.times.size or not new.times.size:
        return absent("latency", "us", *_medians(base, new))
    paired = base.ids == new.ids and base.times.size == new.times.size
    return _ratio("latency", "us", base, new, growth.latency, paired, None)


def _medians(base: Cell, new: Cell) -> tuple[float | None, float | None]:
    one, other = (float(np.median(c.times)) if c.times.size else None for c in (base, new))
    return one, other


def _ratio(
    name: str,
    kind: Kind,
    base: Cell,
    new: Cell,
    most: float | None,
    paired: bool,
    known: Word | None,
) -> Figure:
    """Ratio of medians with its interval, over pairs where the samples are the same."""
    limit = finite(most)
    one, other = float(np.median(base.times)), float(np.median(new.times))
    if min(base.times.min(), new.times.min()) <= 0:
        return Figure(
            name=name,
            kind=kind,
            word=known or "undecided",
            base=one,
            new=other,
            limit=limit,
            n=new.n,
            note="times of 0: too short for this clock",
        )
    found = stats.ratio_of_medians(new.times, base.times, paired=paired)
    # an emulator's counts do not vary, so the point itself is what the code takes
    reached = found.point if kind == "instructions" else found.low
    near = (limit or 0) / 100 if kind == "us" else 0.0
    word = known or side(found.low - 1, found.high - 1, near)
    return Figure(
        name=name,
        kind=kind,
        word=word,
        base=one,
        new=other,
        change=change("ratio", found),
        limit=limit,
        beyond=limit is not None and 100 * reached > 100 + limit,
        n=found.n,
    )


def _first(kind: Kind, base: RunEnd | None, new: RunEnd | None, growth: Growth) -> Figure | None:
    """The first inference after boot. One value of a real board tells nothing of its spread."""
    one, other = (getattr(end, "first", None) for end in (base, new))
    if kind == "us" and one is not None and other is not None:
        note = "one value each, so no interval"
        return Figure(name="first", kind=kind, word="undecided", base=one, new=other, note=note)
    return percent("first", kind, one, other, growth.first)
