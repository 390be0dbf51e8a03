# SPDX-License-Identifier: Apache-2.0
"""Operators that only move values: copies of runs, with loops that the planner resolved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from hil.engines.aot.moves.regions import FILL, Loop, Numbers, Region, numbered, regions
from hil.engines.aot.source import Array, Emitted, Writer, read, real_literal
from hil.engines.aot.steps import Buffer, item_bytes
from hil.tflite import Graph, Operator
from hil.tflite.graph import refuse
from hil.tflite.moves import moved, padding_value, positions

_FEW = 4  # values of four bytes or more that are assigned one by one


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """``numbers``: for each target where its values come from (`regions`). A source is a number:
    first those of ``sources``, then constants. ``fill``: for values that come from nowhere.
    """

    scratch_bytes: ClassVar[int] = 0

    name: str
    note: str
    sources: tuple[Buffer, ...]
    targets: tuple[Buffer, ...]
    numbers: tuple[Numbers, ...]
    regions: tuple[tuple[Region, ...], ...]
    constants: Mapping[int, npt.NDArray[np.generic]]
    fill: int | float
    lead: int | None = None  # of the only source and target

    @property
    def leads(self) -> tuple[int | None, ...]:
        return (self.lead,) if len(self.sources) == 1 else (None,) * len(self.sources)


def plan_moved(operator: Operator, graph: Graph, name: str, note: str) -> Moved:
    """An operator of `hil.tflite.moves.MOVES`. Raises `ModelError` for what it does not define."""
    tensors = graph.tensors
    taken = [tensors[operator.inputs[i]] for i in positions(operator)]
    made = [tensors[i] for i in operator.outputs]
    if len({t.dtype for t in (*taken, *made)}) > 1:
        raise refuse(operator, "its input and output differ in type", "export the model again")
    inner = [i for i in operator.inputs if i >= 0 and tensors[i].data is None]
    if len(inner) != sum(t.data is None for t in taken):
        raise refuse(operator, "an attribute that is computed", "aot takes constants there")
    count = len(inner)
    constants: dict[int, npt.NDArray[np.generic]] = {}
    numbers = []
    active = 0
    for tensor in taken:
        if tensor.data is None:
            number, active = active, active + 1
        else:
            number = count + len(constants)
            constants[number] = tensor.data
        numbers.append(numbered(tensor.shape, number))
    found = moved(operator, tensors, numbers, FILL)
    sources = tuple(Buffer.of(t) for t in taken if t.data is None)
    targets = tuple(Buffer.of(t) for t in made)
    fill = padding_value(operator, tensors)
    return made_from(name, note, sources, targets, found, constants, fill)


def made_from(
    name: str,
    note: str,
    sources: tuple[Buffer, ...],
    targets: tuple[Buffer, ...],
    numbers: Sequence[Numbers],
    constants: Mapping[int, npt.NDArray[np.generic]],
    fill: int | float,
) -> Moved:
    """The step of these values."""
    parts = tuple(tuple(regions(values)) for values in numbers)
    lead = None
    alone = len(sources) == len(targets) == len(parts[0]) == 1 and not constants
    if alone and parts[0][0].source != FILL:
        lead = _lead(numbers[0], targets[0].nbytes // numbers[0].size)
    return Moved(name, note, sources, targets, tuple(numbers), parts, constants, fill, lead)


def _lead(numbers: Numbers, size: int) -> int | None:
    """How far ahead of the source a target of one region has to start, which is written in order;
    None where they cannot overlap.
    """
    flat = numbers.reshape(-1)
    later = np.append(flat[1:], np.iinfo(np.int64).max)
    later = np.minimum.accumulate(later[::-1])[::-1]
    lead = int((np.arange(1, flat.size + 1) - later).max())
    return lead * size if lead < flat.size else None


def emit_moved(step: Moved, prefix: str) -> Emitted:
    """The C code of a move."""
    taken = ["in"] if len(step.sources) == 1 else [f"in{i}" for i in range(len(step.sources))]
    made = ["out"] if len(step.targets) == 1 else [f"out{i}" for i in range(len(step.targets))]
    parameters = [
        *(f"const {b.ctype} *{name}" for b, name in zip(step.sources, taken, strict=True)),
        *(f"{b.ctype} *{name}" for b, name in zip(step.targets, made, strict=True)),
    ]
    arrays = {
        number: Array(f"{prefix}_c{number}", values, "a constant")
        for number, values in step.constants.items()
    }
    places = {**dict(enumerate(taken)), **{n: a.name for n, a in arrays.items()}}
    tables: list[Array] = []
    w = Writer()
    with w.block(f"static inline void {prefix}({', '.join(parameters)})"):
        for name, buffer, parts in zip(made, step.targets, step.regions, strict=True):
            for region in parts:
                emit = _Nest(w, prefix, buffer.ctype, tables)
                if region.source == FILL:
                    emit.filled(region, name, step.fill)
                else:
                    flash = region.source in arrays
                    emit.copied(
                        region,
                        name,
                        places[region.source],
                        flash=flash,
                        moves=step.lead is not None,
                    )
    return Emitted([*arrays.values(), *tables], str(w))


@dataclass(frozen=True, slots=True)
class _Nest:
    """Writes the loops of one region; ``tables`` collects their arrays."""

    w: Writer
    prefix: str
    ctype: str
    tables: list[Array]

    @property
    def size(self) -> int:
        """Bytes of a value."""
        return item_bytes(self.ctype)

    def copied(self, region: Region, out: str, source: str, *, flash: bool, moves: bool) -> None:
        loops, run = _run(region.loops, taken=1)
        target, place = [str(region.made)], [str(region.taken)]
        repeated = 1
        if run == 1 and self.size == 1:
            loops, repeated = _run(loops, taken=0)

        def body() -> None:
            to, at = _sum(target), _sum(place)
            if run > 1 and (flash or (self.size >= 4 and run <= _FEW and not moves)):
                self._each(run, out, to, source, at, flash=flash)
            elif run > 1:
                function = "memmove" if moves else "memcpy"
                self.w(f"{function}({_at(out, to)}, {_at(source, at)}, {run * self.size});")
            elif repeated > 1:
                value = self._value(source, at, flash=flash)
                self.w(f"memset({_at(out, to)}, {value}, {repeated});")
            else:
                self.w(f"{out}[{to}] = {self._value(source, at, flash=flash)};")

        self._nest(loops, target, place, body, ("" if moves else out, run * repeated))

    def _each(self, run: int, out: str, to: str, source: str, at: str, *, flash: bool) -> None:
        """Value by value, in a loop where there are many."""
        if run > _FEW:
            value = self._value(source, _sum([at, "j"]), flash=flash)
            self.w(f"for (int j = 0; j < {run}; ++j) {out}[{_sum([to, 'j'])}] = {value};")
            return
        for j in range(run):
            value = self._value(source, _sum([at, str(j)]), flash=flash)
            self.w(f"{out}[{_sum([to, str(j)])}] = {value};")

    def _value(self, source: str, at: str, *, flash: bool) -> str:
        return read(self.ctype, source, at) if flash else f"{source}[{at}]"

    def filled(self, region: Region, out: str, value: int | float) -> None:
        loops, run = _run(region.loops, taken=0)
        target = [str(region.made)]
        same = self.size == 1 or str(value) in ("0", "0.0")  # not -0.0

        def body() -> None:
            to = _sum(target)
            if run > 1 and same:
                self.w(f"memset({_at(out, to)}, {int(value)}, {run * self.size});")
            elif run > 1:
                place = _sum([to, "j"])
                self.w(f"for (int j = 0; j < {run}; ++j) {out}[{place}] = {self._literal(value)};")
            else:
                self.w(f"{out}[{to}] = {self._literal(value)};")

        self._nest(loops, target, [], body, ("", run))

    def _literal(self, value: int | float) -> str:
        if self.ctype == "float":
            return real_literal(value)
        return f"INT64_C({value})" if self.size == 8 else f"({self.ctype}){value}"

    def _nest(
        self,
        loops: Sequence[Loop],
        target: list[str],
        place: list[str],
        body: Callable[[], None],
        written: tuple[str, int],
        depth: int = 0,
    ) -> None:
        """The loops around ``body``; the terms of both indices go to ``target`` and ``place``.

        ``written``: the target, and how many values ``body`` writes. What a loop would write again
        is copied from the target, unless its name is empty.
        """
        if not loops:
            body()
            return
        loop, i = loops[0], f"i{depth}"
        out, run = written
        if out and _repeats(loops, run):
            self._nest(loops[1:], target, place, body, written, depth + 1)
            first, size = _sum(target), loop.made * self.size
            with self.w.block(f"for (int {i} = 1; {i} < {loop.count}; ++{i})"):
                to = _sum([first, _times(i, loop.made)])
                self.w(f"memcpy({_at(out, to)}, {_at(out, first)}, {size});")
            return
        target.append(_times(i, loop.made))
        if loop.table:
            kind = "<i2" if max(map(abs, loop.table)) < 1 << 15 else "<i4"
            array = Array(
                f"{self.prefix}_t{len(self.tables)}", np.array(loop.table, kind), "where values are"
            )
            self.tables.append(array)
            place.append(read(array.ctype, array.name, i))
        else:
            place.append(_times(i, loop.taken))
        with self.w.loop(i, loop.count):
            self._nest(loops[1:], target, place, body, written, depth + 1)
        target.pop()
        place.pop()


def _repeats(loops: Sequence[Loop], run: int) -> bool:
    """Whether the outermost loop writes the same values again, all of them neighbours, and those
    inside it write ``run`` at a time.
    """
    first, *rest = loops
    size = run
    for loop in reversed(rest):
        if loop.made != size:
            return False
        size *= loop.count
    return bool(rest) and not first.taken and not first.table and first.made == size


def _run(loops: Sequence[Loop], taken: int) -> tuple[Sequence[Loop], int]:
    """The loops around the longest run of neighbours, and its length."""
    if loops and (loops[-1].made, loops[-1].taken, loops[-1].table) == (1, taken, ()):
        return loops[:-1], loops[-1].count
    return loops, 1


def _times(variable: str, factor: int) -> str:
    if factor in (0, 1):
        return variable * factor or "0"
    return f"{factor} * {variable}" if factor > 0 else f"-{-factor} * {variable}"


def _sum(terms: Sequence[str]) -> str:
    """Their sum, without zeros."""
    constant = sum(int(t) for t in terms if t.lstrip("-").isdecimal())
    rest = [t for t in terms if not t.lstrip("-").isdecimal()]
    found = " + ".join([*([str(constant)] if constant else []), *rest])
    return found.replace("+ -", "- ") or "0"


def _at(name: str, index: str) -> str:
    return name if index == "0" else f"{name} + {index}"
