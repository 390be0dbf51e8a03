"""What each layer of a run's network takes, and how far its sum is from what was measured."""

from __future__ import annotations

from collections.abc import Sequence

from hil.report.cells import Cell
from hil.report.tables import Table
from hil.report.text import count, per_inference
from hil.runlog.load import StoredRun
from hil.runlog.schema import Sample
from hil.runlog.schema_layers import LayerTime, Profiled

_NONE = "–"


def profile_tables(run: StoredRun, cells: Sequence[Cell]) -> tuple[Table, ...]:
    """A table a run: a row a layer, and their sum beside the two inferences as wholes."""
    named = {cell.plan.key: cell for cell in cells}
    return tuple(
        _table(one, named[one.run], _sample(run, one)) for one in run.profiled if one.layers
    )


def profile_sentences(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """Why there is no table, a line each run that has none."""
    names = {cell.plan.key: cell.name for cell in cells}
    return tuple(
        f"{names[one.run]}: what its layers take is not known: {one.why}."
        for one in run.profiled
        if one.why
    )


def _sample(run: StoredRun, profiled: Profiled) -> Sample | None:
    found = run.samples.get(profiled.run, ())
    return next((sample for sample in found if sample.id == profiled.id), None)


def _table(one: Profiled, cell: Cell, sample: Sample | None) -> Table:
    times = [layer.time for layer in one.layers if layer.time is not None]
    whole = sum(times) if len(times) == len(one.layers) else None
    macs = sum(layer.macs for layer in one.layers)
    unit = per_inference(cell.plan.clock.unit)
    rows = [_row(i, layer, whole) for i, layer in enumerate(one.layers, 1)]
    rows.append(("all layers", "", _count(whole), "100.0%", count(macs), _each(whole, macs)))
    measured = sample.time if sample else None
    for name, time in (("as measured", measured), ("of this firmware", one.total)):
        rows.append((f"the inference, {name}", "", _count(time), "", "", _each(time, macs)))
    note = (
        f"Of firmware built to show its layers, on sample {one.id}; what stopping and starting the "
        f"clock takes is off. {_apart(whole, measured, unit)}MACs count padding."
    )
    shown = unit.capitalize() if unit.isascii() else unit
    head = ("Layer", "Operators", shown, "Share", "MACs", f"{shown} a MAC")
    return Table(f"What each layer takes: {cell.name}", head, tuple(rows), note)


def _row(number: int, layer: LayerTime, whole: int | None) -> tuple[str, ...]:
    share = f"{100 * layer.time / whole:.1f}%" if layer.time is not None and whole else _NONE
    macs = count(layer.macs) if layer.macs else _NONE
    name = f"{number} {layer.name}"
    return (name, layer.op, _count(layer.time), share, macs, _each(layer.time, layer.macs))


def _apart(whole: int | None, measured: int | None, unit: str) -> str:
    """How far the sum of the layers is from the same sample in the measured firmware."""
    if whole is None or not measured:
        return ""
    off = whole - measured
    word = "more" if off > 0 else "less"
    if not off:
        return "Their sum is exactly what the measured firmware took. "
    share = f"{100 * off / measured:+.2f}%"
    return f"Their sum is {count(abs(off))} {unit} {word} than measured ({share}). "


def _count(time: int | None) -> str:
    return _NONE if time is None else count(time)


def _each(time: int | None, macs: int) -> str:
    return f"{time / macs:.2f}" if time is not None and macs else _NONE
