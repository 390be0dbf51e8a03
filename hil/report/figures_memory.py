"""Memory of each run as stacked bars: RAM and flash, by owner where the image was looked into."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.cells import Cell
from hil.report.chart import Chart, Row, Segment, from_zero
from hil.report.memory import ARENA, MODEL, of_owner, owners
from hil.report.text import size
from hil.runlog.schema import Memory, RunEnd

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
