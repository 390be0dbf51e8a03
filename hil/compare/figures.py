# SPDX-License-Identifier: Apache-2.0
"""The figures of one run in BASE and in NEW, each with its word: better, worse, same, undecided.

Two kinds of figures, two rules. What is exact (counts, bytes, an emulator's instructions over the
same digits) is beyond its limit when its value is. What is a sample of something (accuracy, times
of a real board) is beyond it only when its whole 95 % interval is: noise moves an interval across
no change at all once in twenty times, but hardly ever past a limit of several times its width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from hil import stats
from hil.compare.limits import Growth
from hil.compare.records import (
    Figure,
    Kind,
    Word,
    absent,
    change,
    count,
    exact,
    finite,
    percent,
    side,
)
from hil.report.text import plural
from hil.runs.agreement import differing
from hil.runs.cells import Cell
from hil.runs.schema import Memory, RunEnd
from hil.stats import Estimate
from hil.stats.series import Counts, Latencies, ratio

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


_BYTES = ("arena", "flash_model", "flash_code", "ram_static", "stack")
_UNKNOWN_AT_ZERO = ("flash_model", "flash_code", "ram_static", "stack")  # boards that cannot tell


def figures(
    base: Cell, new: Cell, growth: Growth, allowed: Collection[str] = ()
) -> tuple[Figure, ...]:
    """All figures that either run has, over the samples that both answered."""
    unanswered = count("unanswered", _open(base), _open(new), growth.unanswered)
    one, other = shared(base, new)
    found = [unanswered, *_answers(one, other, growth, allowed)]
    found += [*times(one, other, growth), *_memory(base.end, new.end, growth)]
    found.append(count("retries", _retries(base), _retries(new), growth.retries))
    return tuple(figure for figure in found if figure)


def _open(cell: Cell) -> int:
    return cell.asked - cell.n


def _retries(cell: Cell) -> int | None:
    return cell.end.retries if cell.end else None


def shared(base: Cell, new: Cell) -> tuple[Cell, Cell]:
    """Both, cut to the samples that both answered, in BASE's order; whole where there are none."""
    if base.ids == new.ids:
        return base, new
    at = {key: j for j, key in enumerate(new.ids)}
    both = [(i, at[key]) for i, key in enumerate(base.ids) if key in at]
    if not both:
        return base, new
    i, j = np.array(both, dtype=np.int64).T
    return _take(base, i), _take(new, j)


def _take(cell: Cell, rows: npt.NDArray[np.int64]) -> Cell:
    clocked = np.ones(cell.n, dtype=bool) if cell.clocked is None else cell.clocked
    times = np.zeros(cell.n, dtype=np.int64)
    times[clocked] = cell.times
    return replace(
        cell,
        ids=tuple(cell.ids[i] for i in rows),
        labels=cell.labels[rows],
        device=cell.device[rows],
        litert=cell.litert[rows],
        oracle=None if cell.oracle is None else cell.oracle[rows],
        xnnpack=None if cell.xnnpack is None else cell.xnnpack[rows],
        times=times[rows][clocked[rows]],
        clocked=clocked[rows],
        round_trips=None if cell.round_trips is None else cell.round_trips[rows],
        quiet=None if cell.quiet is None else cell.quiet[rows],
    )


def _answers(
    base: Cell, new: Cell, growth: Growth, allowed: Collection[str]
) -> Iterator[Figure | None]:
    if not base.n or not new.n:
        one, other = (cell.accuracy.point if cell.n else None for cell in (base, new))
        yield absent("accuracy", "share", one, other)
        return
    yield _accuracy(base, new, growth)
    yield count("answers", _changed(base), _changed(new), growth.answers, n=new.n)
    yield count("unexpected", base.unexpected, new.unexpected, growth.unexpected, n=new.n)
    if base.plan.precision == new.plan.precision == "int8":
        one, other = base.to_litert.elements, new.to_litert.elements
        yield count("litert", one, other, growth.litert, n=new.n)
    alike = base.device.dtype == new.device.dtype and base.device.shape == new.device.shape
    if base.ids == new.ids and alike:
        yield _outputs(base, new, growth, allowed)


def _changed(cell: Cell) -> int:
    """Samples that the device answers unlike the host."""
    return cell.n - cell.same_answer


def _accuracy(base: Cell, new: Cell, growth: Growth) -> Figure:
    """Paired where the samples are the same: Newcombe's interval and McNemar's exact test."""
    limit = finite(growth.accuracy)
    first, second = base.accuracy.point, new.accuracy.point
    note = ""
    if base.ids == new.ids:
        found = stats.paired_difference(new.right, base.right)
        test = stats.mcnemar(base.right, new.right)
        if test.only_first or test.only_second:
            note = f"{test.only_first} lost, {test.only_second} gained, McNemar p = {test.p:.2g}"
        equal = not test.only_first and not test.only_second
    else:
        found, equal = _unpaired(base, new), False
        note = "other samples, so not paired"
    word: Word = "same" if equal else side(-found.high, -found.low, 0.0)
    beyond = limit is not None and 100 * found.high < -limit
    return Figure(
        name="accuracy",
        kind="share",
        word=word,
        base=first,
        new=second,
        change=change("difference", found),
        limit=limit,
        beyond=beyond,
        n=new.n,
        note=note,
    )


def _unpaired(base: Cell, new: Cell) -> stats.Estimate:
    """Newcombe's method 10 without pairs: the Wilson limits squared and added."""
    a, b = new.accuracy, base.accuracy
    point = a.point - b.point
    low = point - float(np.hypot(a.point - a.low, b.high - b.point))
    high = point + float(np.hypot(a.high - a.point, b.point - b.low))
    return stats.Estimate(point, low, high, "Newcombe", min(a.n, b.n), stats.CONFIDENCE)


def _outputs(base: Cell, new: Cell, growth: Growth, allowed: Collection[str]) -> Figure:
    """Output values that are not BASE's. Another network's differ, so that `model` lets it pass."""
    other_values = int(differing(base.device, new.device, new.plan.tolerance).sum())
    other = base.plan.model_sha256 != new.plan.model_sha256
    limit = None if other and "model" in allowed else finite(growth.outputs)
    beyond = limit is not None and other_values > limit
    changed = int((base.answers != new.answers).sum())
    note = f"of {new.device.size:,}; {plural(changed, 'answer')} changed" if other_values else ""
    if beyond and other:
        note += "; the model is another: --allow model if it is meant to be"
    word: Word = "same" if not other_values else "worse" if beyond else "undecided"
    return Figure(
        name="outputs",
        kind="count",
        word=word,
        base=0,
        new=other_values,
        change=exact("difference", 0, other_values),
        limit=limit,
        beyond=beyond,
        n=new.n,
        note=note,
    )


def _memory(base: RunEnd | None, new: RunEnd | None, growth: Growth) -> Iterator[Figure | None]:
    for name in _BYTES:
        one, other = (_bytes(end.memory, name) if end else None for end in (base, new))
        yield percent(name, "bytes", one, other, getattr(growth, name))
    yield count("heap", _heap(base), _heap(new), growth.heap, kind="bytes")


def _bytes(memory: Memory, name: str) -> int | None:
    value: int = getattr(memory, name)
    return None if value == 0 and name in _UNKNOWN_AT_ZERO else value


def _heap(end: RunEnd | None) -> int | None:
    """By how much the heap grew from the first inference on."""
    marks = end.marks if end else None
    if marks is None or marks.heap_end is None or marks.heap_start is None:
        return None
    return marks.heap_end - marks.heap_start
