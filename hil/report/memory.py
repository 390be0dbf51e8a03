# SPDX-License-Identifier: Apache-2.0
"""Whose the memory is, what was in use, and what the host had predicted: tables and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from hil.report.draw.chart import Chart, Row, Segment, from_zero
from hil.report.text import UNKNOWN, Table, listed, size
from hil.runs.cells import Cell
from hil.runs.schema import Marks, Memory, RunEnd, Share

MODEL, ARENA, PADDING = "model", "arena", "padding"
# the order of columns and of the pieces of a bar; models come before, others after
_OWNERS = (ARENA, "engine", "firmware", "board's core", "C library", "start-up", PADDING, "unknown")
_UNEXPLAINED = "not explained"
_SEGMENTS = (("flash", "Flash"), ("ram", "RAM"), ("other_ram", "Other RAM"))


def owners(shares: Sequence[Share]) -> tuple[str, ...]:
    """The owners of an image, models first, each once."""
    found = list(dict.fromkeys(share.owner for share in shares))
    known = [name for name in _OWNERS if name in found]
    models = sorted(name for name in found if name.startswith(f"{MODEL} "))
    return (*models, *known, *(n for n in found if n not in known and n not in models))


def of_owner(shares: Sequence[Share], memory: str, owner: str = "", section: str = "") -> int:
    """Bytes of ``memory`` (flash, ram, other_ram) of an owner, of a section, of both, or of all."""
    return sum(
        int(getattr(share, memory))
        for share in shares
        if owner in ("", share.owner) and section in ("", share.section)
    )


def owner_tables(cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table an image, sections by owners; none of a run that did not look into its image."""
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
        for section in sections:
            if of_owner(shares, memory, section=section):
                rows.append((f"{title}, {section}", *_row(shares, memory, columns, section)))
        if memory != "other_ram" or of_owner(shares, memory):
            rows.append((f"{title}, all", *_row(shares, memory, columns, "")))
    note = (
        "Bytes of the linked image. What start-up copies from flash to RAM counts in both. RAM is "
        "the memory that the arena lies in; other RAM is every other, such as an ESP32's IRAM. "
        "Model: constants of a network; engine: its code and tables; C library with the compiler's "
        "own; start-up: vectors, start code and what the linker adds; padding: alignment. The "
        "stack is not in it."
    )
    title = f"Whose memory: image of {plan.precision} by {plan.engine} on {plan.board}"
    return Table(title, ("Section", *columns, "All"), tuple(rows), note)


def _row(
    shares: Sequence[Share], memory: str, columns: Sequence[str], section: str
) -> Iterator[str]:
    for owner in columns:
        found = of_owner(shares, memory, owner, section)
        yield f"{found:,}" if found else "–"
    yield f"{of_owner(shares, memory, section=section):,}"


def marks_table(cells: Sequence[Cell]) -> Table:
    """Memory in use, a row a run that reached its end."""
    head = (
        "Run",
        "Arena, used",
        "Arena, reserved",
        "Static RAM",
        "Stack, deepest",
        "Stack, size",
        "Heap at start",
        "Heap, grown since",
    )
    rows = tuple(
        (cell.name, *_marks(cell.end, cell.end.marks))
        for cell in cells
        if cell.end and cell.end.marks
    )
    note = (
        "Bytes. Arena used: as the firmware says in HELLO; reserved: the image's buffer, for its "
        "largest network. Stack: painted before the first inference, then looked how far the paint "
        "is gone. Heap: allocated before the first inference (a board's core may), and how much "
        "more after the last, which must be 0; 'none': the image holds no allocator."
    )
    return Table("Memory in use", head, rows, note)


def _marks(end: RunEnd, marks: Marks) -> Iterator[str]:
    yield size(end.memory.arena)
    for value in (marks.arena_reserved, marks.ram_static, marks.stack, marks.stack_size):
        yield UNKNOWN if value is None else size(value)
    if marks.heap_start is None or marks.heap_end is None:
        yield from (UNKNOWN, UNKNOWN)
    else:
        none = marks.allocator is False and marks.heap_start == 0
        yield "none" if none else size(marks.heap_start)
        yield size(grown(marks) or 0)


def grown(marks: Marks) -> int | None:
    """Bytes that the heap grew by while the board answered; None where it cannot tell."""
    if marks.heap_start is None or marks.heap_end is None:
        return None
    return max(0, marks.heap_end - marks.heap_start)


# engine -> why it may take less than it reserves
_LESS: Final = {
    "tflm": "the host's pointers are larger, so it reserves more",
    "bakenn": "it reserves what the chip whose kernels want most scratch takes",
}


def prediction_table(cells: Sequence[Cell]) -> Table:
    """What the host said before it built anything, beside what was found."""
    rows = tuple(row for cell in cells for row in _predictions(cell))
    head = ("Run", "Figure", "Host's prediction", "Found", "Difference", "Why")
    note = (
        "Prediction: by the engine's own plan, from the .tflite file alone. Found: arena as the "
        "firmware says in HELLO; constants and reserved arena in the linked image; RAM: static "
        "data and the deepest stack, in use at once."
    )
    return Table("Host's prediction and what was found", head, rows, note)


def _predictions(cell: Cell) -> Iterator[tuple[str, ...]]:
    said, end = cell.plan.predicted, cell.end
    if said is None or end is None:
        return
    exact = "as predicted"
    less = _LESS.get(cell.plan.engine, "")
    yield _compared(cell, "arena", said.arena, end.memory.arena, exact, less)
    constants = of_owner(end.shares, "flash", f"{MODEL} {cell.plan.model}")
    if constants:
        folded = said.flash_model - constants == said.folded
        why = "values that the compiler wrote into the engine's code" if folded else ""
        yield _compared(cell, "constants in flash", said.flash_model, constants, exact, why)
    marks = end.marks
    if marks and marks.arena_reserved is not None:
        yield _compared(
            cell, "arena reserved", said.arena_reserved, marks.arena_reserved, exact, ""
        )
    if marks and marks.ram_static is not None and marks.stack is not None:
        total = marks.ram_static + marks.stack
        beyond = _beyond(cell, marks)
        yield _compared(cell, "RAM, at the least", said.peak, total, exact, beyond)


def _beyond(cell: Cell, marks: Marks) -> str:
    """Where the RAM beyond the network's own goes."""
    said = cell.plan.predicted
    assert said is not None
    assert marks.stack is not None
    buffers = said.peak - said.arena
    other = max(0, (marks.arena_reserved or said.arena) - said.arena)
    rest = (marks.ram_static or 0) - (marks.arena_reserved or said.arena) - buffers
    parts = [f"stack {marks.stack:,}"]
    if other:
        parts.append(f"arena of a larger network {other:,}")
    parts.append(f"protocol's buffers and all other static data {rest:,}")
    return ", ".join(parts)


def _compared(
    cell: Cell, figure: str, said: int, found: int, equal: str, why: str
) -> tuple[str, ...]:
    gap = found - said
    reason = equal if not gap else why or _UNEXPLAINED
    shown = f"{gap:+,}".replace("-", "−") if gap else "0"
    return (cell.name, figure, size(said), size(found), shown, reason)


def memory_warnings(cells: Sequence[Cell]) -> Iterator[str]:
    """A heap that grew, a stack that reached its end, a prediction that nothing explains."""
    for cell in cells:
        marks = cell.end.marks if cell.end else None
        if marks and (more := grown(marks)):
            yield f"{cell.name}: the heap grew by {more:,} B while it answered; it must not."
        if marks and marks.stack and marks.stack_size and marks.stack >= marks.stack_size:
            yield f"{cell.name}: no paint is left on the stack, so it may have overflowed."
    wrong = [
        f"{row[1]} of {cell.name}"
        for cell in cells
        for row in _predictions(cell)
        if row[-1] == _UNEXPLAINED
    ]
    if wrong:
        yield f"Not what the host predicted, and nothing explains it: {listed(wrong)}."


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
    """Arena, static RAM beyond it, stack (bytes). The image's static RAM holds the arena."""
    return memory.arena, max(memory.ram_static - memory.arena, 0), memory.stack


def memory_charts(cells: Sequence[Cell]) -> tuple[Chart, ...]:
    """RAM and flash of the runs that reached their end; none when none did."""
    ended = [(cell, cell.end) for cell in cells if cell.end]
    if not ended:
        return ()
    names = [cell.name for cell, _ in ended]
    if all(end.shares for _, end in ended):
        return (
            _by_owner(
                "RAM",
                "Static RAM of the image by owner, and the stack's high-water mark. Arena: what "
                "one inference needs beyond its input and output.",
                names,
                [_ram_by_owner(end) for _, end in ended],
            ),
            _by_owner(
                "Flash",
                "The linked image by owner, but for other models. Model: weights and constants.",
                names,
                [_flash_by_owner(cell.plan.model, end) for cell, end in ended],
            ),
        )
    ram = [ram_parts(end.memory) for _, end in ended]
    flash = [(end.memory.flash_model, end.memory.flash_code) for _, end in ended]
    return (
        _chart(
            "RAM",
            "Arena: what one inference needs beyond its input and output. Other static RAM is the "
            "whole image's: buffers, and what a larger model beside this one reserves. Stack is "
            "its high-water mark.",
            _RAM,
            names,
            ram,
        ),
        _chart(
            "Flash",
            "Model: weights and constants of this model. Code: the rest of the image but for "
            "other models.",
            _FLASH,
            names,
            flash,
        ),
    )


def _ram_by_owner(end: RunEnd) -> dict[str, int]:
    found = {name: of_owner(end.shares, "ram", name) for name in owners(end.shares)}
    reserved = found.get(ARENA, 0)
    if reserved > end.memory.arena:
        found |= {ARENA: end.memory.arena, _OTHERS: reserved - end.memory.arena}
    return found | {_STACK: end.memory.stack}


def _flash_by_owner(model: str, end: RunEnd) -> dict[str, int]:
    found = {name: of_owner(end.shares, "flash", name) for name in owners(end.shares)}
    own = found.get(f"{MODEL} {model}", 0)
    return {MODEL: own} | {n: v for n, v in found.items() if not n.startswith(f"{MODEL} ")}


def _by_owner(
    title: str, caption: str, names: Sequence[str], found: Sequence[dict[str, int]]
) -> Chart:
    parts = [(css, name) for name, css in _CSS.items() if any(row.get(name) for row in found)]
    sizes = [tuple(row.get(name, 0) for _, name in parts) for row in found]
    # of a stack alone nothing may be known
    return _chart(title, caption, parts, names, sizes, unknown=(_STACK,))


def _chart(
    title: str,
    caption: str,
    parts: Sequence[tuple[str, str]],
    names: Sequence[str],
    sizes: Sequence[tuple[int, ...]],
    unknown: Sequence[str] | None = None,  # parts of which 0 bytes mean that; None: all
) -> Chart:
    scale, ticks = from_zero([float(sum(row)) for row in sizes])
    rows = []
    for title_of_row, row in zip(names, sizes, strict=True):
        segments, start = [], 0
        for (css, _), part in zip(parts, row, strict=True):
            width = round(scale.at(start + part) - scale.at(start), 2)
            segments.append(Segment(css, scale.at(start), width))
            start += part
        said = " + ".join(
            "?" if not part and (unknown is None or name in unknown) else f"{part:,}"
            for (_, name), part in zip(parts, row, strict=True)
        )
        rows.append(Row(title_of_row, "", (size(start), said), segments=tuple(segments)))
    return Chart(title, caption, "bytes", ticks, tuple(rows), tuple(parts))
