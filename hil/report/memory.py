# SPDX-License-Identifier: Apache-2.0
"""Section "Memory": bytes by owner, memory in use, and the host's predictions compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hil.report.blocks import Section, Table, section
from hil.report.draw.chart import Chart, Row, Segment, from_zero
from hil.report.text import UNKNOWN, known, listed, size
from hil.runs.agreement import heap_growth, memory_faults
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Marks, Memory, Share

MODEL, ARENA, PADDING = "model", "arena", "padding"
# the order of columns and of the segments of a bar; models come first, unlisted owners last
_OWNERS = (ARENA, "engine", "firmware", "board's core", "C library", "start-up", PADDING, "unknown")
_SEGMENTS = (("flash", "Flash"), ("ram", "RAM"), ("other_ram", "Other RAM"))


def memory_section(_run: StoredRun, cells: Sequence[Cell]) -> Section:
    return section(
        "memory",
        "Memory",
        [
            *memory_charts(cells),
            marks_table(cells),
            prediction_table(cells),
            *owner_tables(cells),
        ],
    )


# --- bytes of the linked image by owner ---


def owners(shares: Sequence[Share]) -> tuple[str, ...]:
    """The owners of an image without repeats, models first."""
    found = list(dict.fromkeys(share.owner for share in shares))
    known = [name for name in _OWNERS if name in found]
    models = sorted(name for name in found if name.startswith(f"{MODEL} "))
    return (*models, *known, *(n for n in found if n not in known and n not in models))


def of_owner(shares: Sequence[Share], memory: str, owner: str = "", section: str = "") -> int:
    """Bytes of ``memory`` (flash, ram, other_ram), of one owner, one section, both or all."""
    return sum(
        int(getattr(share, memory))
        for share in shares
        if owner in ("", share.owner) and section in ("", share.section)
    )


def owner_tables(cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table per image, sections by owners; none for a run that did not analyse its image."""
    images: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.end and cell.end.shares:
            images.setdefault((cell.plan.board, cell.plan.firmware_sha256), []).append(cell)
    return tuple(_image(found) for found in images.values())


def _image(cells: Sequence[Cell]) -> Table:
    assert cells[0].end is not None
    plan, shares = cells[0].plan, cells[0].end.shares
    columns = owners(shares)
    sections = tuple(dict.fromkeys(share.section for share in shares))
    rows: list[tuple[str, ...]] = []
    for memory, title in _SEGMENTS:
        for name in sections:
            if of_owner(shares, memory, section=name):
                rows.append((f"{title}, {name}", *_row(shares, memory, columns, name)))
        if memory != "other_ram" or of_owner(shares, memory):
            rows.append((f"{title}, all", *_row(shares, memory, columns, "")))
    note = (
        "Bytes of the linked image. Data that start-up copies from flash to RAM counts in both. "
        "RAM is the memory that holds the arena; other RAM is any other, such as an ESP32's IRAM. "
        "Model: constants of a network; engine: its code and tables; C library: with the "
        "compiler's own; start-up: vectors, start code and what the linker adds; padding: "
        "alignment. The stack is not included."
    )
    title = f"Memory by owner: {plan.precision} image of {plan.engine} on {plan.board}"
    return Table(title, ("Section", *columns, "All"), tuple(rows), note)


def _row(
    shares: Sequence[Share], memory: str, columns: Sequence[str], section: str
) -> Iterator[str]:
    for owner in columns:
        found = of_owner(shares, memory, owner, section)
        yield f"{found:,}" if found else "–"
    yield f"{of_owner(shares, memory, section=section):,}"


# --- memory in use ---


def marks_table(cells: Sequence[Cell]) -> Table:
    """One row per run that reached its end."""
    head = (
        "Run",
        "Arena, used",
        "Arena, reserved",
        "Static RAM",
        "Stack, high-water mark",
        "Stack, size",
        "Heap at start",
        "Heap, growth",
    )
    rows = tuple(
        (cell.name, *_marks(cell.memory.arena, cell.end.marks))
        for cell in cells
        if cell.end and cell.end.marks
    )
    note = (
        "Arena used: as the firmware reports in HELLO; reserved: the image's buffer, for its "
        "largest network. Stack: painted before the first inference; the mark shows how much of "
        "the paint was overwritten. Heap: allocated before the first inference (a board's core "
        "may do that), and how much more after the last, which must be 0; 'none': the image "
        "contains no allocator."
    )
    return Table("Memory in use", head, rows, note)


def _marks(arena: int | None, marks: Marks) -> Iterator[str]:
    for value in (arena, marks.arena_reserved, marks.ram_static, marks.stack, marks.stack_size):
        yield known(value)
    growth = heap_growth(marks)
    if marks.heap_start is None or growth is None:
        yield from (UNKNOWN, UNKNOWN)
    else:
        none = marks.allocator is False and marks.heap_start == 0
        yield "none" if none else size(marks.heap_start)
        yield size(growth)


def memory_warnings(cells: Sequence[Cell]) -> Iterator[str]:
    """A heap that grew, a stack that was used up, a prediction that was wrong without a reason."""
    for cell in cells:
        for fault in memory_faults(cell.end.marks if cell.end else None):
            yield f"{cell.name}: {fault}."
    wrong = [
        f"{one.figure} of {cell.name}"
        for cell in cells
        for one in _predictions(cell)
        if one.gap and not one.why
    ]
    if wrong:
        yield f"Not what the host predicted, and nothing explains it: {listed(wrong)}."


# --- the host's predictions ---

# engine -> why its arena may be smaller than predicted
_LESS: Final = {
    "tflm": "the host's pointers are larger, so it reserves more",
    "bakenn": "it reserves scratch for the chip whose kernels need most",
}


@dataclass(frozen=True, slots=True)
class _Prediction:
    """One figure of a run, in bytes. ``why``: what explains a difference, empty if nothing does."""

    figure: str
    said: int
    found: int
    why: str = ""

    @property
    def gap(self) -> int:
        return self.found - self.said


def prediction_table(cells: Sequence[Cell]) -> Table:
    """What the host predicted before it built anything, beside what was found."""
    rows = tuple(_prediction(cell, one) for cell in cells for one in _predictions(cell))
    head = ("Run", "Figure", "Predicted", "Found", "Difference", "Reason")
    note = (
        "Predicted: by the engine's own plan, from the .tflite file alone. Found: arena as the "
        "firmware reports in HELLO; constants and reserved arena in the linked image; RAM: static "
        "data and the deepest stack, in use at the same time."
    )
    return Table("Predicted and found", head, rows, note)


def _prediction(cell: Cell, one: _Prediction) -> tuple[str, ...]:
    reason = (one.why or "not explained") if one.gap else "as predicted"
    gap = f"{one.gap:+,}".replace("-", "−") if one.gap else "0"
    return (cell.name, one.figure, size(one.said), size(one.found), gap, reason)


def _predictions(cell: Cell) -> Iterator[_Prediction]:
    said, end = cell.plan.predicted, cell.end
    if said is None or end is None:
        return
    if cell.memory.arena is not None:
        why = _LESS.get(cell.plan.engine, "")
        yield _Prediction("arena", said.arena, cell.memory.arena, why)
    constants = of_owner(end.shares, "flash", f"{MODEL} {cell.plan.model}")
    if constants:
        folded = said.flash_model - constants == said.folded
        why = "values that the compiler put into the engine's code" if folded else ""
        yield _Prediction("constants in flash", said.flash_model, constants, why)
    marks = end.marks
    if marks and marks.arena_reserved is not None:
        yield _Prediction("arena reserved", said.arena_reserved, marks.arena_reserved)
    if marks and marks.ram_static is not None and marks.stack is not None:
        reserved = marks.arena_reserved or said.arena
        other = max(0, reserved - said.arena)
        rest = marks.ram_static - reserved - (said.peak - said.arena)
        larger = f"arena of a larger network {other:,}, " if other else ""
        why = (
            f"stack {marks.stack:,}, {larger}protocol's buffers and all other static data {rest:,}"
        )
        yield _Prediction("RAM, at least", said.peak, marks.ram_static + marks.stack, why)


# --- charts ---

_RAM = (("mem-a", "arena"), ("mem-b", "other static RAM"), ("mem-c", "stack"))
_FLASH = (("mem-a", "model"), ("mem-b", "code"))
_STACK, _OTHERS = "stack", "for a larger network"
_CSS = {
    MODEL: "mem-a",
    ARENA: "mem-a",
    _OTHERS: "mem-i",
    "engine": "mem-b",
    "firmware": "mem-d",
    "board's core": "mem-e",
    "C library": "mem-f",
    "start-up": "mem-g",
    "padding": "mem-h",
    "unknown": "mem-h",
    _STACK: "mem-c",
}


def ram_parts(memory: Memory) -> tuple[int, int, int]:
    """Bytes of arena, other static RAM and stack; 0: not known. The image's static RAM includes the
    arena."""
    arena = memory.arena or 0
    return arena, max((memory.ram_static or 0) - arena, 0), memory.stack or 0


def memory_charts(cells: Sequence[Cell]) -> tuple[Chart, ...]:
    """RAM and flash of the runs that reached their end and whose memory is known."""
    ended = [(cell, cell.end) for cell in cells if cell.end and cell.end.memory]
    if not ended:
        return ()
    names = [cell.name for cell, _ in ended]
    if all(end.shares for _, end in ended):
        return (
            _by_owner(
                "RAM",
                "Static RAM of the image by owner, and the stack's high-water mark. Arena: RAM of "
                "one inference beyond its input and output.",
                names,
                [_ram_by_owner(cell.memory, end.shares) for cell, end in ended],
            ),
            _by_owner(
                "Flash",
                "The linked image by owner, without other models. Model: weights and constants.",
                names,
                [_flash_by_owner(cell.plan.model, end.shares) for cell, end in ended],
            ),
        )
    ram = [ram_parts(cell.memory) for cell, _ in ended]
    flash = [(cell.memory.flash_model or 0, cell.memory.flash_code or 0) for cell, _ in ended]
    return (
        _chart(
            "RAM",
            "Arena: RAM of one inference beyond its input and output. Other static RAM is the "
            "whole image's: buffers, and what a larger model in the same image reserves. Stack: "
            "its high-water mark.",
            _RAM,
            names,
            ram,
        ),
        _chart(
            "Flash",
            "Model: weights and constants of this model. Code: the rest of the image without "
            "other models.",
            _FLASH,
            names,
            flash,
        ),
    )


def _ram_by_owner(memory: Memory, shares: Sequence[Share]) -> dict[str, int]:
    found = {name: of_owner(shares, "ram", name) for name in owners(shares)}
    reserved = found.get(ARENA, 0)
    if memory.arena is not None and reserved > memory.arena:
        found |= {ARENA: memory.arena, _OTHERS: reserved - memory.arena}
    return found | {_STACK: memory.stack or 0}


def _flash_by_owner(model: str, shares: Sequence[Share]) -> dict[str, int]:
    found = {name: of_owner(shares, "flash", name) for name in owners(shares)}
    own = found.get(f"{MODEL} {model}", 0)
    return {MODEL: own} | {n: v for n, v in found.items() if not n.startswith(f"{MODEL} ")}


def _by_owner(
    title: str, caption: str, names: Sequence[str], found: Sequence[dict[str, int]]
) -> Chart:
    parts = [(css, name) for name, css in _CSS.items() if any(row.get(name) for row in found)]
    sizes = [tuple(row.get(name, 0) for _, name in parts) for row in found]
    # only the stack's size may be unknown
    return _chart(title, caption, parts, names, sizes, unknown=(_STACK,))


def _chart(
    title: str,
    caption: str,
    parts: Sequence[tuple[str, str]],
    names: Sequence[str],
    sizes: Sequence[tuple[int, ...]],
    unknown: Sequence[str] | None = None,  # parts of which 0 means unknown; None: all
) -> Chart:
    scale, ticks = from_zero([float(sum(row)) for row in sizes])
    rows = []
    for name_of_row, row in zip(names, sizes, strict=True):
        segments, start = [], 0
        for (css, _), part in zip(parts, row, strict=True):
            width = round(scale.at(start + part) - scale.at(start), 2)
            segments.append(Segment(css, scale.at(start), width))
            start += part
        said = " + ".join(
            "?" if not part and (unknown is None or name in unknown) else f"{part:,}"
            for (_, name), part in zip(parts, row, strict=True)
        )
        rows.append(Row(name_of_row, "", (size(start), said), segments=tuple(segments)))
    return Chart(title, caption, "bytes", ticks, tuple(rows), tuple(parts))
