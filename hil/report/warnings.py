# SPDX-License-Identifier: Apache-2.0
"""What a reader must know before trusting a figure: gaps, small numbers, oddities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec import UNSET

from hil import stats
from hil.report.cost import contradictions, drift_words, drifted
from hil.report.memory import memory_warnings
from hil.report.text import count, listed, plural
from hil.report.verdict import noun
from hil.runs.agreement import LARGEST
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.stats.series import Latencies

FEW = 100  # samples; a Wilson interval is then wider than +-4 points at 95 % accuracy


def warnings(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line each, the gravest first; empty when there is nothing to say."""
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
        yield f"The run was interrupted{because}: figures are of the answers stored before that."
    elif manifest.state == "failed":
        yield f"The run failed{because}: figures are of the answers stored before that."
    elif manifest.state == "running":
        yield "The run is not finished, or its bench was killed: figures are of what is stored."
    if manifest.chaos:
        yield (
            f"Faults were injected on purpose (--chaos {manifest.chaos}): the answers count, and "
            "no time of a board or of the link is a latency."
        )
    if run.torn:
        yield "The last line of samples.jsonl was cut off in writing; that answer is left out."


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
                f"{cell.name}: outputs that are NaN or infinite on one side alone; summary.json "
                "gives that as the largest float32."
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
            f"{cell.name}: the times of {plural(hurt, 'answer')} are left out, since a fault of "
            "the line or the board came between; the figures are of the others."
        )
    if missing > hurt:
        yield (
            f"{cell.name}: {plural(missing - hurt, 'answer')} without a time; the figures are of "
            "the others."
        )


def _faults(cell: Cell) -> Iterator[str]:
    found = cell.end.faults if cell.end else UNSET
    if found is UNSET:
        return
    if found.resets:
        yield (
            f"{cell.name}: the board started anew {plural(found.resets, 'time')} in the midst of "
            "the run; what it had not answered it was asked again."
        )
    if found.reopenings:
        yield f"{cell.name}: its port was opened anew {plural(found.reopenings, 'time')}."


def _drifts(cells: Sequence[Cell]) -> Iterator[str]:
    """Real time that moved by more than a hundredth: a board that got hot, or was throttled."""
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
    word = noun(run.manifest)
    fewest = min(cell.n for cell in answered)
    if fewest < FEW:
        yield (
            f"Only {plural(fewest, word)}: too few for a figure of accuracy; mind the intervals."
        )
    widest = max(answered, key=lambda cell: cell.n)
    classes = widest.device.shape[1]
    seen = {int(label) for label in widest.labels}
    missing = [str(label) for label in range(classes) if label not in seen]
    if missing and classes > 1:
        some = missing if len(missing) <= 20 else [*missing[:20], "more"]
        yield f"No {word} of class {listed(some)}: accuracy says nothing of it."
    foreign = sum(not 0 <= int(label) < classes for label in widest.labels)
    if foreign:
        yield (f"{plural(foreign, word)} with a label that no output stands for: counted as wrong.")


def _boards(cells: Sequence[Cell]) -> Iterator[str]:
    for title, unit in dict.fromkeys((c.plan.board_title, c.plan.clock.unit) for c in cells):
        if unit == "instructions":
            yield f"{title} is emulated: instructions are exact, and no latency exists."
        elif unit == "none":
            yield f"{title} has no clock: it shows the answers alone, no time."
