"""Memory of each run as stacked bars: RAM and flash."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.cells import Cell
from hil.report.chart import Chart, Row, Segment, from_zero
from hil.report.text import size
from hil.runlog.schema import Memory

_RAM = (("mem-a", "arena"), ("mem-b", "other static RAM"), ("mem-c", "stack"))
_FLASH = (("mem-a", "model"), ("mem-b", "code"))


def ram_parts(memory: Memory) -> tuple[int, int, int]:
    """Arena, static RAM beyond it, stack (bytes). The image's static RAM holds the arena."""
    return memory.arena, max(memory.ram_static - memory.arena, 0), memory.stack


def memory_charts(cells: Sequence[Cell]) -> tuple[Chart, ...]:
    """RAM and flash of the runs that reached their end; none when none did."""
    ended = [(cell, cell.end.memory) for cell in cells if cell.end]
    if not ended:
        return ()
    names = [cell.name for cell, _ in ended]
    ram = [ram_parts(memory) for _, memory in ended]
    flash = [(memory.flash_model, memory.flash_code) for _, memory in ended]
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


def _chart(
    title: str,
    caption: str,
    parts: Sequence[tuple[str, str]],
    names: Sequence[str],
    sizes: Sequence[tuple[int, ...]],
) -> Chart:
    scale, ticks = from_zero([float(sum(row)) for row in sizes])
    rows = []
    for name, row in zip(names, sizes, strict=True):
        segments, start = [], 0
        for (css, _), part in zip(parts, row, strict=True):
            width = round(scale.at(start + part) - scale.at(start), 2)
            segments.append(Segment(css, scale.at(start), width))
            start += part
        said = " + ".join(f"{part:,}" if part else "?" for part in row)
        rows.append(Row(name, "", (size(start), said), segments=tuple(segments)))
    return Chart(title, caption, "bytes", ticks, tuple(rows), tuple(parts))
