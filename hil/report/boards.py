# SPDX-License-Identifier: Apache-2.0
"""Section "Boards": the networks on every board of a run, as one matrix per figure. A run on one
board has none."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import UNSET

from hil.report.blocks import Entry, Matrix, Section, Table, section
from hil.report.cost import TITLES as TIMES
from hil.report.text import count, known, short, size
from hil.report.times import time_words
from hil.runs.agreement import must_equal
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Manifest, Refused, Room, RunPlan, TooLarge

_LEFT_OUT: Final = "does not fit"


def boards_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    grid = _Grid.of(run.manifest, cells)
    blocks = [] if grid is None else [*grid.times(), grid.ram(), grid.flash(), grid.outputs()]
    return section("boards", "Boards", blocks)


def time_tables(run: StoredRun, cells: Sequence[Cell]) -> tuple[Table, ...]:
    """The matrices of times for a terminal."""
    grid = _Grid.of(run.manifest, cells)
    return tuple(matrix.table for matrix in grid.times()) if grid else ()


def core_of(title: str) -> str:
    """The core that a board's title names in its last parentheses, or the title."""
    found = re.search(r"\(([^()]*)\)[^()]*$", title)
    return re.sub(r"^(.*, )?emulated ", "", found[1]) if found else title


@dataclass(frozen=True)
class _Grid:
    """The runs by board and column; a column is a network in a precision, by an engine."""

    boards: tuple[tuple[str, str], ...]  # name and title, by core
    columns: tuple[tuple[str, str, str], ...]  # engine, model, precision
    cells: dict[tuple[str, str, str, str], Cell]
    missing: dict[str, TooLarge | Refused]  # by the key of a run

    @staticmethod
    def of(manifest: Manifest, cells: Sequence[Cell]) -> _Grid | None:
        """None with fewer than two boards."""
        left_out: list[TooLarge | Refused] = [*manifest.no_place, *manifest.refused]
        every: list[RunPlan | TooLarge | Refused] = [*(cell.plan for cell in cells), *left_out]
        titles = {one.board: one.board_title for one in every}
        if len({cell.plan.board for cell in cells}) < 2:
            return None
        return _Grid(
            tuple(sorted(titles.items(), key=lambda one: (_natural(core_of(one[1])), one[0]))),
            tuple(dict.fromkeys((one.engine, one.model, one.precision) for one in every)),
            {_place(cell.plan): cell for cell in cells},
            {one.key: one for one in left_out},
        )

    def times(self) -> Iterator[Matrix]:
        """One matrix for each kind of time; boards without a clock are in none."""
        for unit, title in TIMES.items():
            timed = {
                place: cell
                for place, cell in self.cells.items()
                if cell.time and cell.plan.clock.unit == unit
            }
            boards = [one for one in self.boards if any(one[0] == place[0] for place in timed)]
            if boards:
                yield self._times(title, boards, timed)

    def _times(
        self,
        title: str,
        boards: Sequence[tuple[str, str]],
        timed: dict[tuple[str, str, str, str], Cell],
    ) -> Matrix:
        least: dict[tuple[str, str, str], float] = {}
        most: dict[tuple[str, str, str], float] = {}
        for (_, *column), cell in timed.items():
            value = max(cell.time.point if cell.time else 1.0, 1.0)
            engine, model, precision = column
            key = (engine, model, precision)
            least[key] = min(least.get(key, value), value)
            most[key] = max(most.get(key, value), value)

        def entry(cell: Cell) -> Entry:
            if cell.time is None or _place(cell.plan) not in timed:
                return Entry("–")
            key = _place(cell.plan)[1:]
            value, low, high = max(cell.time.point, 1.0), least[key], most[key]
            shade = math.log(value / low) / math.log(high / low) if high > low else 0.0
            ratio = value / low
            beside = f"×{ratio:.3g}" if ratio < 1000 else f"×{short(ratio)}"
            beside = beside if len(boards) > 1 else ""
            return Entry(time_words(cell)[0], beside, shade=shade)

        note = (
            "Median of each run. × and the shade, which is logarithmic, compare the cores in a "
            "column: ×1 is the core with the least."
        )
        return self._matrix(title, boards, entry, note)

    def ram(self) -> Matrix:
        def entry(cell: Cell) -> Entry:
            found = cell.memory
            if found.ram_static is None:
                return Entry("–")
            used = found.ram_static + (found.stack or 0)
            arena = f"arena {known(found.arena)}"
            room = _room(cell)
            if room is None:
                return Entry(size(used), arena)
            spare = room.ram - room.stack - found.ram_static
            return Entry(size(used), f"{arena}, {size(spare)} left", gauge=used / room.ram)

        note = (
            "Static RAM of the image, with the arena of its largest network, and the deepest "
            "stack. Left: RAM without the board's stack and static data. Bar: share of the "
            f"board's RAM. “{_LEFT_OUT}”: with the bytes that are missing."
        )
        return self._matrix("RAM", self.boards, entry, note, memory="ram")

    def flash(self) -> Matrix:
        def entry(cell: Cell) -> Entry:
            used = cell.memory.flash
            room = _room(cell)
            if used is None:
                return Entry("–")
            if room is None:
                return Entry(size(used))
            left = f"{size(room.flash - used)} left"
            return Entry(size(used), left, gauge=used / room.flash)

        note = (
            "Constants of the network and all code, without other networks of the image. Bar: "
            "share of the board's flash."
        )
        return self._matrix("Flash", self.boards, entry, note, memory="flash")

    def outputs(self) -> Matrix:
        def entry(cell: Cell) -> Entry:
            found = cell.to_oracle if must_equal(cell.plan) == "oracle" else cell.to_litert
            if found is None or not cell.n:
                return Entry("–")
            wrong = cell.unexpected
            beside = f"of {count(cell.values)}"
            return Entry(count(found.elements), beside, bad=bool(wrong))

        note = (
            "Output elements that differ from the reference that counts: the byte oracle, or "
            "LiteRT. Red: more than expected."
        )
        return self._matrix("Differing outputs", self.boards, entry, note)

    def _matrix(
        self,
        title: str,
        boards: Sequence[tuple[str, str]],
        entry: Callable[[Cell], Entry],
        note: str,
        memory: str = "",
    ) -> Matrix:
        names = {name for name, _ in boards}
        shown = [
            one
            for one in self.columns
            if any((name, *one) in self.cells for name in names)
            or any(key in self.missing for key in self._keys(names, one))
        ]
        rows = []
        for board, heading in boards:
            entries = []
            for column in shown:
                cell = self.cells.get((board, *column))
                entries.append(entry(cell) if cell else self._absent(board, column, memory))
            core = core_of(heading)
            rows.append((core, board if core != board else "", tuple(entries)))
        engines = {engine for engine, *_ in self.columns}
        heads = tuple(
            f"{model} {precision}" + (f" ({engine})" if len(engines) > 1 else "")
            for engine, model, precision in shown
        )
        return Matrix(title, heads, tuple(rows), note)

    def _keys(self, boards: set[str], column: tuple[str, str, str]) -> Iterator[str]:
        engine, model, precision = column
        for board in boards:
            yield f"{board}/{engine}/{model}/{precision}"

    def _absent(self, board: str, column: tuple[str, str, str], memory: str) -> Entry:
        found = self.missing.get(next(self._keys({board}, column)))
        if found is None:
            return Entry("–")
        if isinstance(found, Refused):
            return Entry("failed" if found.failed else "not run", bad=found.failed)
        of = {"constants": "flash"}.get(found.memory, found.memory)
        if not memory:
            return Entry("–", _LEFT_OUT)
        if of != memory:
            return Entry("–")
        beside = f"{found.of} −{size(found.needs - found.has)}"
        return Entry(_LEFT_OUT, beside, bad=True)


def _place(plan: RunPlan) -> tuple[str, str, str, str]:
    return (plan.board, plan.engine, plan.model, plan.precision)


def _room(cell: Cell) -> Room | None:
    return None if cell.plan.room is UNSET else cell.plan.room


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """For sorting: M4 before M33."""
    found = re.findall(r"\d+|\D+", text)
    return tuple((0, int(one), "") if one.isdigit() else (1, 0, one.lower()) for one in found)
