# SPDX-License-Identifier: Apache-2.0
"""Section "Estimated cycles": of each run, its functions and its hottest basic blocks; and what the
counted cycles of an emulated core with fixed timing are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hil.report.blocks import Bullets, Section, Table, section
from hil.report.calibration import clock_of, errors, time_cell, time_head
from hil.report.cycles_layers import LIMITS, layers_tables, ratio, unlayered
from hil.report.text import count
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_cycles import CycleEstimate, CyclePart

_FUNCTIONS: Final = 12  # of a run, at most
_LINES: Final = 12  # of a block's code
_HEAD: Final = (
    *("Estimated cycles", "Share", "Instructions", "Instructions per cycle", "Limited by"),
)


def counted_cycles(title: str, cells: Sequence[Cell]) -> Iterator[str]:
    """What counted cycles are, and how long they take at the clock of the emulated core."""
    yield (
        f"{title} is emulated: its cycles are those of the data sheet, which fixes this core's "
        "timing. They were not measured on a chip."
    )
    for cell in cells:
        hertz = cell.plan.clock.hertz
        if hertz and cell.time is not None:
            ms = 1000 * cell.time.point / hertz
            yield f"{cell.name}: at {hertz / 1e6:g} MHz these cycles take {ms:.4g} ms."


def cycles_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    named = {cell.plan.key: cell for cell in cells}
    made = [(one, named[one.run]) for one in run.estimates if not one.why and one.run in named]
    return section(
        "cycles",
        "Estimated cycles",
        [
            estimates_table(run, cells),
            Bullets("", (*unestimated(run, cells), *unlayered(run, cells))),
            *layers_tables(run, cells),
            *(_functions(one, cell) for one, cell in made),
            *(_blocks(one, cell) for one, cell in made),
        ],
    )


def estimates_table(run: StoredRun, cells: Sequence[Cell]) -> Table:
    """One row per run with an estimate."""
    named = {cell.plan.key: cell for cell in cells}
    made = [one for one in run.estimates if not one.why and one.run in named]
    hertz = clock_of(made)
    rows = tuple(
        (
            named[one.run].name,
            one.core,
            count(one.cycles),
            ratio(one.cycles, named[one.run].plan.macs),
            count(one.instructions),
            ratio(one.instructions, one.cycles),
            *([time_cell(one.time)] if hertz else []),
        )
        for one in made
    )
    head = (
        *("Run", "Core", "Estimated cycles", "Per MAC", "Instructions", "Instructions per cycle"),
        *([time_head(hertz)] if hertz else []),
    )
    return Table("Estimated cycles", head, rows, _note(made) if made else "")


def unestimated(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line per run that was to be estimated and was not: why."""
    names = {cell.plan.key: cell.name for cell in cells}
    return tuple(
        f"{names.get(one.run, one.run)}: its cycles are not estimated: {one.why}."
        for one in run.estimates
        if one.why
    )


def _note(made: Sequence[CycleEstimate]) -> str:
    words = [
        *errors(made),
        f"How often each basic block ran is exact, counted by QEMU for one sample; what a block "
        f"takes is llvm-mca's answer (LLVM {made[0].llvm}) for the core.",
    ]
    assumed = dict.fromkeys((one.core, one.assumptions) for one in made)
    words += [f"Assumed for {core}: {'; '.join(said)}." for core, said in assumed]
    if missing := sum(one.unknown for one in made):
        words.append(f"{missing} instructions of the code are unknown to the model, timed as NOPs.")
    return " ".join(words)


def _functions(one: CycleEstimate, cell: Cell) -> Table:
    rows = tuple((part.function, *_figures(part, one)) for part in one.functions[:_FUNCTIONS])
    head = ("Function", *_HEAD)
    return Table(f"Estimated cycles by function: {cell.name}", head, rows, folded=True)


def _blocks(one: CycleEstimate, cell: Cell) -> Table:
    rows = tuple(
        (part.function, _code(part.code), count(part.runs), *_figures(part, one))
        for part in one.hottest
    )
    head = ("Function", "Block", "Times run", *_HEAD)
    note = (
        "Basic blocks with the most estimated cycles, in LLVM's syntax; 1 is any other place. "
        f"{LIMITS}"
    )
    return Table(f"Hottest basic blocks: {cell.name}", head, rows, note, folded=True)


def _figures(part: CyclePart, one: CycleEstimate) -> tuple[str, ...]:
    return (
        count(round(part.cycles)),
        f"{100 * part.cycles / one.cycles:.1f}%" if one.cycles else "–",
        count(part.instructions),
        ratio(part.instructions, part.cycles),
        part.bottleneck or "–",
    )


def _code(code: Sequence[str]) -> str:
    shown = [" ".join(line.split()) for line in code[:_LINES]]
    more = len(code) - len(shown)
    return "\n".join([*shown, *([f"… {more} more"] if more else [])])
