# SPDX-License-Identifier: Apache-2.0
"""The figures of one run in BASE and in NEW, each judged better, worse, same or undecided.

Exact figures (counts, bytes, an emulator's instructions over the same digits) are beyond their
limit if the value is. Sampled figures (accuracy, times of a real board) are beyond it only if the
whole 95 % interval is: by chance an interval excludes "no change" once in twenty times, but hardly
ever lies past a limit of several times its width.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import msgspec
import numpy as np
import numpy.typing as npt

from hil import stats
from hil.compare.errors import task_figures
from hil.compare.judging import (
    by_count,
    by_percent,
    exact_change,
    finite,
    judge,
    one_sided,
    to_change,
)
from hil.compare.limits import Growth
from hil.compare.records import ComparedFigure, Kind, Word
from hil.report.text import plural
from hil.report.times import MS, step_us
from hil.runs.agreement import allowed_in, differing
from hil.runs.cells import Cell
from hil.runs.schema import RunEnd
from hil.stats import Estimate
from hil.stats.series import Counts, CycleCounts, Latencies, Series, ratio
from hil.stats.series import Kind as TimeKind

NO_RATIO = "times of 0: too short for this clock"
_BYTES = ("arena", "flash_model", "flash_code", "ram_static", "stack")


def figures(
    base: Cell, new: Cell, growth: Growth, allowed: Collection[str] = ()
) -> tuple[ComparedFigure, ...]:
    """All figures of either run, over the samples that both answered."""
    unanswered = by_count("unanswered", _unanswered(base), _unanswered(new), growth.unanswered)
    one, other = shared(base, new)
    found = [unanswered, *_answers(one, other, growth, allowed)]
    found += [*times(one, other, growth), *_memory(base, new, growth)]
    found.append(by_count("retries", _retries(base), _retries(new), growth.retries))
    return tuple(figure for figure in found if figure)


def _unanswered(cell: Cell) -> int:
    return cell.asked - cell.n


def _retries(cell: Cell) -> int | None:
    return cell.end.retries if cell.end else None


def shared(base: Cell, new: Cell) -> tuple[Cell, Cell]:
    """Both, with only the samples that both answered, in BASE's order; unchanged without any."""
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
        labels=None if cell.labels is None else cell.labels[rows],
        device=None if cell.device is None else cell.device[rows],
        chosen=None if cell.chosen is None else cell.chosen[rows],
        litert=None if cell.litert is None else cell.litert[rows],
        oracle=None if cell.oracle is None else cell.oracle[rows],
        xnnpack=None if cell.xnnpack is None else cell.xnnpack[rows],
        times=times[rows][clocked[rows]],
        clocked=clocked[rows],
        round_trips=None if cell.round_trips is None else cell.round_trips[rows],
        quiet=None if cell.quiet is None else cell.quiet[rows],
        others=tuple(one.rows(rows) for one in cell.others),
        targets=None if cell.targets is None else cell.targets[rows],
    )


def _answers(
    base: Cell, new: Cell, growth: Growth, allowed: Collection[str]
) -> Iterator[ComparedFigure | None]:
    yield _accuracy(base, new, growth)
    yield from task_figures(base, new, growth)
    if not base.n or not new.n:
        return
    yield by_count("answers", base.changed, new.changed, growth.answers, n=new.n)
    yield by_count("unexpected", base.unexpected, new.unexpected, growth.unexpected, n=new.n)
    if base.plan.precision == new.plan.precision == "int8":
        one, other = (cell.to_litert.elements if cell.to_litert else None for cell in (base, new))
        yield by_count("litert", one, other, growth.litert, n=new.n)
    if base.ids == new.ids:
        yield _outputs(base, new, growth, allowed)


def _accuracy(base: Cell, new: Cell, growth: Growth) -> ComparedFigure | None:
    """Paired if the samples are the same: Newcombe's interval and McNemar's exact test."""
    limit = finite(growth.accuracy)
    a, b, before, after = base.accuracy, new.accuracy, base.right, new.right
    if a is None or b is None or before is None or after is None:
        shares = (a.point if a else None, b.point if b else None)
        return one_sided("accuracy", "share", *shares, n=new.n if b else 0)
    note = ""
    if base.ids == new.ids:
        found = stats.paired_difference(after, before)
        test = stats.mcnemar(before, after)
        if test.only_first or test.only_second:
            note = f"{test.only_first} lost, {test.only_second} gained, McNemar p = {test.p:.2g}"
        equal = not test.only_first and not test.only_second
    else:
        found, equal = _unpaired(a, b), False
        note = "other samples, so not paired"
    word: Word = "same" if equal else judge(-found.high, -found.low, 0.0)
    beyond = limit is not None and 100 * found.high < -limit
    return ComparedFigure(
        name="accuracy",
        kind="share",
        word=word,
        base=a.point,
        new=b.point,
        change=to_change("difference", found),
        limit=limit,
        beyond=beyond,
        n=new.n,
        note=note,
    )


def _unpaired(base: Estimate, new: Estimate) -> Estimate:
    """Newcombe's method 10 without pairs: the Wilson limits squared and added."""
    a, b = new, base
    point = a.point - b.point
    low = point - float(np.hypot(a.point - a.low, b.high - b.point))
    high = point + float(np.hypot(a.high - a.point, b.point - b.low))
    return Estimate(point, low, high, "Newcombe", min(a.n, b.n), stats.CONFIDENCE)


def _outputs(
    base: Cell, new: Cell, growth: Growth, allowed: Collection[str]
) -> ComparedFigure | None:
    """Output values that differ from BASE's; another network's may, if `model` is allowed.

    Answers, if one of the boards sent only the class that it chose.
    """
    one, other = base.device, new.device
    if one is None or other is None:
        changed_values = int((base.answers != new.answers).sum())
    else:
        ours, theirs = ((c.device, *(o.device for o in c.others)) for c in (base, new))
        if [(a.dtype, a.shape) for a in ours if a is not None] != [
            (b.dtype, b.shape) for b in theirs if b is not None
        ]:
            return None
        changed_values = sum(
            int(differing(a, b, allowed_in(new.plan, i)).sum())
            for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
            if a is not None and b is not None
        )
    other_model = base.plan.model_sha256 != new.plan.model_sha256
    limit = None if other_model and "model" in allowed else finite(growth.outputs)
    beyond = limit is not None and changed_values > limit
    changed = ""
    if base.chooses and new.chooses:
        changed = f"; {plural(int((base.answers != new.answers).sum()), 'answer')} changed"
    known = new.values if one is not None and other is not None else new.n
    note = f"of {known:,}{changed}" if changed_values else ""
    if beyond and other_model:
        note += "; the model differs: use --allow model if that is intended"
    word: Word = "same" if not changed_values else "worse" if beyond else "undecided"
    return ComparedFigure(
        name="outputs",
        kind="count",
        word=word,
        base=0,
        new=changed_values,
        change=exact_change("difference", 0, changed_values),
        limit=limit,
        beyond=beyond,
        n=new.n,
        note=note,
    )


def times(base: Cell, new: Cell, growth: Growth) -> Iterator[ComparedFigure | None]:
    """The figures of the clock of both runs; none if the clocks have different units."""
    unit = new.plan.clock.unit
    if unit != base.plan.clock.unit or unit == "none":
        return
    base, new = _undisturbed(base, new)
    # with equal ids and a time for each, pairs are of the same inputs
    paired = base.ids == new.ids and base.times.size == new.times.size == new.n
    match base.series, new.series:
        case Counts() as one, Counts() as other:
            yield from _counts(one, other, growth, paired)
        case CycleCounts() as one, CycleCounts() as other:
            yield _noisy("cycles", "cycles", one, other, growth.cycles, paired)
        case Latencies() as one, Latencies() as other:
            figure = _noisy("latency", "us", one, other, growth.latency, paired)
            yield _stepped(figure, base, new)
        case one, other:
            known = (None if s is None else float(np.median(s.values)) for s in (one, other))
            yield one_sided("latency" if unit == "us" else unit, unit, *known)
    if unit != "us" or not (base.chaos or new.chaos):
        first = _first(unit, base.end, new.end, growth)
        yield _stepped(first, base, new) if first and first.kind == "us" else first


def _stepped(figure: ComparedFigure, base: Cell, new: Cell) -> ComparedFigure:
    """A latency with the step of its clocks, if no digit below a millisecond is known."""
    step = max(step_us(base), step_us(new))
    return msgspec.structs.replace(figure, step=step) if step >= MS else figure


def _undisturbed(base: Cell, new: Cell) -> tuple[Cell, Cell]:
    """Latencies of the same samples, without those that were disturbed in either run."""
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


def _counts(
    base: Counts, new: Counts, growth: Growth, paired: bool
) -> Iterator[ComparedFigure | None]:
    """Instruction counts: exact for each digit, so every change is caused by the code.

    The interval is that of the median over digits of this kind. A median may hide a change of fewer
    than half of the digits, so the sum is compared as well.
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
        word = judge(found.low - 1, found.high - 1, 0)
    limit = finite(growth.instructions)
    beyond = found is not None and limit is not None and 100 * found.point > 100 + limit
    yield _median(
        "instructions", "instructions", base.values, new.values, found, word, limit, beyond
    )
    if paired:
        one, other = int(base.values.sum()), int(new.values.sum())
        yield by_percent("total", "instructions", one, other, growth.total)


def _noisy(
    name: str,
    kind: Kind,
    base: Series[TimeKind],
    new: Series[TimeKind],
    most: float | None,
    paired: bool,
) -> ComparedFigure:
    """Times of a real board, or cycles with interrupts: beyond the limit if the whole interval
    is."""
    limit = finite(most)
    found = ratio(new, base, paired=paired) if _positive(base.values, new.values) else None
    word = None if found is None else judge(found.low - 1, found.high - 1, (limit or 0) / 100)
    beyond = found is not None and limit is not None and 100 * found.low > 100 + limit
    return _median(name, kind, base.values, new.values, found, word, limit, beyond)


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
) -> ComparedFigure:
    return ComparedFigure(
        name=name,
        kind=kind,
        word=word or "undecided",
        base=float(np.median(base)),
        new=float(np.median(new)),
        change=None if found is None else to_change("ratio", found),
        limit=limit,
        beyond=beyond,
        n=new.size,
        note="" if found else NO_RATIO,
    )


def _first(
    kind: Kind, base: RunEnd | None, new: RunEnd | None, growth: Growth
) -> ComparedFigure | None:
    """The first inference after boot. One value of a real board has no interval."""
    one, other = (end.first if end else None for end in (base, new))
    if kind == "us" and one is not None and other is not None:
        note = "one value each, so no interval"
        return ComparedFigure(
            name="first", kind=kind, word="undecided", base=one, new=other, note=note
        )
    return by_percent("first", kind, one, other, growth.first)


def _memory(base: Cell, new: Cell, growth: Growth) -> Iterator[ComparedFigure | None]:
    for name in _BYTES:
        one, other = (getattr(cell.memory, name) for cell in (base, new))
        yield by_percent(name, "bytes", one, other, getattr(growth, name))
    yield by_count("heap", _heap(base.end), _heap(new.end), growth.heap, kind="bytes")


def _heap(end: RunEnd | None) -> int | None:
    """Growth of the heap since the first inference."""
    marks = end.marks if end else None
    if marks is None or marks.heap_end is None or marks.heap_start is None:
        return None
    return marks.heap_end - marks.heap_start
