# SPDX-License-Identifier: Apache-2.0
"""`Run.plot`: what each run of a matrix reaches and costs, drawn with matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from hil.core.errors import ToolMissing, UsageError
from hil.runs.cells import Cell
from hil.runs.scores import TITLES
from hil.stats import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNITS: Final = {  # by unit of the clock
    "instructions": "instructions (emulated, not latency)",
    "cycles": "cycles (emulated core), median",
    "us": "microseconds, median",
}
_FILL: Final = {"float32": 0.5, "int8": 1.0}  # opacity, so that a model keeps its colour
Value: TypeAlias = Callable[[Cell], tuple[float, float, float] | None]  # point, low, high


def draw(folder: Path, cells: Sequence[Cell]) -> tuple[Axes, ...]:
    """One panel for each figure that a cell has: accuracy, or what its task has instead; time by
    unit; arena.

    Raises:
        ToolMissing: matplotlib is not installed.
        UsageError: no cell has a figure to draw.
    """
    try:
        from matplotlib import pyplot as plt
        from matplotlib.ticker import EngFormatter, MaxNLocator
    except ImportError:
        raise ToolMissing(
            "run.plot() needs matplotlib, which is not installed",
            f"pip install matplotlib, or look at {folder / 'report.html'}",
        ) from None
    panels: list[tuple[str, Value]] = [("right answers, %", _right)]
    headlines = dict.fromkeys(cell.headline for cell in cells if cell.headline)
    panels += [(f"{TITLES[name]} on the device", _score(name)) for name in headlines]
    costly = [(title, _time_in(unit)) for unit, title in _UNITS.items()]
    costly.append(("arena, bytes", _arena))
    costs = {value for _, value in costly}
    drawn = [(title, value) for title, value in panels + costly if any(map(value, cells))]
    if not drawn:
        raise UsageError(f"{folder} has no figure to draw", "run.results shows what it has")
    size = (1.5 + 3.2 * len(drawn), 1.0 + 0.35 * len(cells))
    figure, grid = plt.subplots(
        1, len(drawn), figsize=size, squeeze=False, sharey=True, layout="constrained"
    )
    for axes, (title, value) in zip(grid[0], drawn, strict=True):
        _panel(axes, cells, value, bars=value in costs)
        axes.set_xlabel(title)
        if value in costs:
            axes.xaxis.set_major_formatter(EngFormatter())
            axes.xaxis.set_major_locator(MaxNLocator(4))
    grid[0][0].set_yticks(range(len(cells)), [cell.name for cell in cells])
    grid[0][0].invert_yaxis()
    figure.suptitle(folder.name)
    return tuple(grid[0])


def _panel(axes: Axes, cells: Sequence[Cell], value: Value, *, bars: bool) -> None:
    """One figure of every cell: bars from 0, so that lengths compare, or points where the last
    digits decide."""
    models = list(dict.fromkeys(cell.plan.model for cell in cells))
    for place, cell in enumerate(cells):
        found = value(cell)
        if found is None:
            continue
        point, low, high = found
        style: dict[str, Any] = {
            "xerr": [[point - low], [high - point]] if low < high else None,
            "color": f"C{models.index(cell.plan.model)}",
            "alpha": _FILL.get(cell.plan.precision, 1.0),
            "capsize": 3,
        }
        if bars:
            label = f"{point:,.0f}" if point >= 100 else f"{point:.4g}"
            axes.bar_label(axes.barh(place, point, **style), [label], padding=4)
        else:
            axes.errorbar(point, place, fmt="o", **style)
    if bars:
        axes.margins(x=0.35)
        axes.set_xlim(left=0)


def _known(found: Estimate | None) -> tuple[float, float, float] | None:
    return (found.point, found.low, found.high) if found else None


def _right(cell: Cell) -> tuple[float, float, float] | None:
    """The accuracy in percent."""
    found = cell.accuracy
    return (100 * found.point, 100 * found.low, 100 * found.high) if found else None


def _score(name: str) -> Value:
    """The headline of a cell, if that is ``name``."""
    return lambda cell: _known(cell.scores[name].device) if cell.headline == name else None


def _time_in(unit: str) -> Value:
    """The median time of a cell whose clock counts in ``unit``."""
    return lambda cell: _known(cell.time) if cell.plan.clock.unit == unit else None


def _arena(cell: Cell) -> tuple[float, float, float] | None:
    """The RAM of one inference, which does not vary."""
    size = cell.memory.arena
    return None if size is None else (size, size, size)
