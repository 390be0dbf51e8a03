# SPDX-License-Identifier: Apache-2.0
"""What to know before trusting a figure: gaps, faults, clocks that are wrong, small numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from hil import stats
from hil.report.cost import contradictions
from hil.report.memory import memory_warnings
from hil.report.text import count, listed, noun, plural
from hil.report.times import drift_words, drifted
from hil.runs.agreement import LARGEST
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.stats.series import Latencies

FEW = 100  # samples; with fewer, a Wilson interval is wider than ±4 points at 95% accuracy


def warnings(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line each, the most serious first."""
    left_out = tuple(f"Not run: {found.reason}." for found in run.manifest.no_place)
    return (
        *_state(run),
        *left_out,
        *contradictions(cells),
        *_drifts(cells),
        *_cells(cells),
        *memory_warnings(cells),
        *_data(run, cells),
        *_boards(cells),
    )


def _state(run: StoredRun) -> Iterator[str]:
    manifest = run.manifest
    because = f" ({manifest.error})" if manifest.error else ""
    if manifest.state == "interrupted":
        yield f"The run was interrupted{because}: figures are of the answers stored until then."
    elif manifest.state == "failed":
        yield f"The run failed{because}: figures are of the answers stored until then."
    elif manifest.state == "running":
        yield "The run is in progress or was killed: figures are of the answers stored so far."
    if manifest.chaos:
        yield (
            f"Faults were injected on purpose (--chaos {manifest.chaos}): the answers count, but "
            "no time of a board or of the link is a latency."
        )
    if run.torn:
        yield "The last line of samples.jsonl is incomplete; that answer is excluded."


def _cells(cells: Sequence[Cell]) -> Iterator[str]:
    empty = [cell.name for cell in cells if not cell.n]
    if empty:
        yield f"Not run: {listed(empty)}."
    for cell in cells:
        if 0 < cell.n < cell.asked:
            yield f"{cell.name}: {count(cell.n)} of {count(cell.asked)} answers."
        yield from _times(cell)
        if LARGEST in (cell.to_litert.max_abs, cell.to_oracle.max_abs if cell.to_oracle else 0):
            yield (
                f"{cell.name}: some outputs are NaN or infinite on one side only; summary.json "
                "shows that as a difference of the largest float32."
            )
        if cell.repeats:
            yield f"{cell.name}: {plural(cell.repeats, 'answer')} took more than one attempt."
        yield from _faults(cell)


def _times(cell: Cell) -> Iterator[str]:
    if not cell.n or cell.plan.clock.unit == "none" or cell.times.size == cell.n or cell.chaos:
        return
    missing = cell.n - int(cell.times.size)
    hurt = cell.left_out if cell.plan.clock.unit == "us" else 0
    if hurt:
        yield (
            f"{cell.name}: the times of {plural(hurt, 'answer')} are excluded because a fault of "
            "the link or the board disturbed them; the figures are of the others."
        )
    if missing > hurt:
        yield (
            f"{cell.name}: {plural(missing - hurt, 'answer')} had no time; the figures are of the "
            "others."
        )


def _faults(cell: Cell) -> Iterator[str]:
    found = cell.end.faults if cell.end else UNSET
    if found is UNSET:
        return
    if found.resets:
        yield (
            f"{cell.name}: the board rebooted {plural(found.resets, 'time')} during the run; "
            "unanswered samples were sent again."
        )
    if found.reopenings:
        yield f"{cell.name}: its port was reopened {plural(found.reopenings, 'time')}."


def _drifts(cells: Sequence[Cell]) -> Iterator[str]:
    """Times that changed by more than 1%: a board that got hot or was throttled."""
    for cell in cells:
        found = stats.drift(cell.times) if isinstance(cell.series, Latencies) else None
        if drifted(found) and found and found.size and abs(found.size.point - 1) > 0.01:
            yield f"{cell.name}: its times drifted over the run by {drift_words(found)}."


def _data(run: StoredRun, cells: Sequence[Cell]) -> Iterator[str]:
    if run.manifest.dataset.note:
        yield run.manifest.dataset.note
    answered = [cell for cell in cells if cell.n]
    if not answered:
        return
    word = noun(run.manifest.dataset.name)
    fewest = min(cell.n for cell in answered)
    if fewest < FEW:
        yield f"Only {plural(fewest, word)}: too few to judge accuracy; see the intervals."
    widest = max(answered, key=lambda cell: cell.n)
    classes = widest.device.shape[1]
    seen = {int(label) for label in widest.labels}
    missing = [str(label) for label in range(classes) if label not in seen]
    if missing and classes > 1:
        some = missing if len(missing) <= 20 else [*missing[:20], "more"]
        yield f"No {word} of class {listed(some)}, so accuracy does not cover it."
    foreign = sum(not 0 <= int(label) < classes for label in widest.labels)
    if foreign:
        yield f"{plural(foreign, word)} with a label that no output stands for: counted as wrong."


def _boards(cells: Sequence[Cell]) -> Iterator[str]:
    for title, unit in dict.fromkeys((c.plan.board_title, c.plan.clock.unit) for c in cells):
        if unit == "instructions":
            yield f"{title} is emulated: instruction counts are exact, and there is no latency."
        elif unit == "none":
            yield f"{title} has no clock, so there are no times."
