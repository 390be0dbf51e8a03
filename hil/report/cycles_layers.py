# SPDX-License-Identifier: Apache-2.0
"""Estimated cycles of each layer of a run, and what limits the code of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hil.report.blocks import Table
from hil.report.text import count
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_cycles import CycleEstimate, CycleLayer

_NONE: Final = "–"
LIMITS: Final = (
    "Limited by: issue (instructions per cycle of the core), load (and store), multiply, shift or "
    "float (that unit is busy), dependency (waits for results)."
)


def layers_tables(run: StoredRun, cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table per run whose layers are estimated."""
    named = {cell.plan.key: cell for cell in cells}
    return tuple(
        layers_table(one, named[one.run])
        for one in run.estimates
        if one.layers and one.run in named
    )


def unlayered(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line per estimate without layers: why."""
    names = {cell.plan.key: cell.name for cell in cells}
    return tuple(
        f"{names.get(one.run, one.run)}: the cycles of its layers are not estimated: "
        f"{one.layers_why}."
        for one in run.estimates
        if one.layers_why
    )


def layers_table(one: CycleEstimate, cell: Cell) -> Table:
    """One row per layer, and their sum."""
    rows = [_row(layer, one) for layer in one.layers]
    cycles = sum(layer.cycles for layer in one.layers)
    instructions = sum(layer.instructions for layer in one.layers)
    macs = sum(layer.macs for layer in one.layers)
    each = ratio(cycles, macs), ratio(instructions, cycles)
    rows.append(("sum", count(macs), count(cycles), "", count(instructions), *each, "", ""))
    head = (
        *("Layer", "MACs", "Estimated cycles", "Share", "Instructions", "Per MAC"),
        *("Instructions per cycle", "Most cycles in", "Limited by"),
    )
    note = (
        "Counted in firmware built to show its layers, which computes channels that the measured "
        f"firmware leaves out because they are constant: that takes {count(one.cycles)} cycles in "
        f"all. {LIMITS}"
    )
    return Table(f"Estimated cycles by layer: {cell.name}", head, tuple(rows), note)


def _row(layer: CycleLayer, one: CycleEstimate) -> tuple[str, ...]:
    cycles = sum(each.cycles for each in one.layers)
    most = layer.functions[0] if layer.functions else None
    return (
        layer.name,
        count(layer.macs) if layer.macs else _NONE,
        count(layer.cycles),
        f"{100 * layer.cycles / cycles:.1f}%" if cycles else _NONE,
        count(layer.instructions),
        ratio(layer.cycles, layer.macs),
        ratio(layer.instructions, layer.cycles),
        most.function if most else _NONE,
        most.bottleneck if most else _NONE,
    )


def ratio(over: float, under: float) -> str:
    """With two decimals; a dash if it does not exist."""
    return f"{over / under:.2f}" if under else _NONE
