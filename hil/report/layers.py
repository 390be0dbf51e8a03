# SPDX-License-Identifier: Apache-2.0
"""Where device and reference part: the first layer, element and value that differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from hil.report.text import Table, count, listed, per_inference, plural
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import LayerCheck, LayerSeen, LayerTime, Profiled, Sample

_WHERE = "Rows, columns, channels and elements count from 0, layers from 1."


def first_differing(parting: LayerCheck) -> int | None:
    """Index of the first layer with a value that differs; None: all are equal."""
    return next((i for i, layer in enumerate(parting.layers) if layer.differing), None)


def parting_table(layer_checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> Table:
    """A row a sample whose layers part."""
    names = _names(cells)
    rows = []
    for parting in layer_checks:
        at = first_differing(parting)
        if at is None:
            continue
        layer = parting.layers[at]
        rows.append(
            (
                names[parting.run],
                parting.id,
                f"{at + 1} {layer.name}",
                layer.op,
                _element(layer),
                _number(layer.device),
                _number(layer.expected),
                f"{count(layer.differing)} of {count(_size(layer))}",
            )
        )
    head = (
        "Run",
        "Sample",
        "First layer that differs",
        "Operators",
        "First value",
        "Device",
        "Reference",
        "Values that differ there",
    )
    return Table("Where they part", head, tuple(rows), _WHERE)


def layer_table(layer_checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> Table:
    """Every layer of the first sample of each run."""
    names = _names(cells)
    rows = []
    for key, group in groupby(layer_checks, key=lambda parting: parting.run):
        parting = next(group)
        for i, layer in enumerate(parting.layers, 1):
            allowed = f"{layer.allowed:g} at most" if layer.allowed else "0"
            rows.append(
                (
                    names[key],
                    parting.id,
                    f"{i} {layer.name}",
                    layer.op,
                    " × ".join(map(str, layer.shape)),
                    count(layer.differing),
                    allowed,
                )
            )
    head = ("Run", "Sample", "Layer", "Operators", "Shape", "Values that differ", "Expected")
    note = (
        "Of firmware built to show its layers, on the first sample asked about. Reference: TFLM "
        "for int8, LiteRT's reference kernels for float32. What aot fuses is one layer."
    )
    return Table("Layer by layer", head, tuple(rows), note)


def parting_sentences(layer_checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> tuple[str, ...]:
    """One or two lines a run, in the order of the runs."""
    names = _names(cells)
    said: list[str] = []
    for key, group in groupby(layer_checks, key=lambda parting: parting.run):
        said += _run(names[key], list(group))
    return tuple(said)


def _run(name: str, layer_checks: Sequence[LayerCheck]) -> Iterator[str]:
    asked = [parting for parting in layer_checks if not parting.why]
    apart = [parting for parting in asked if first_differing(parting) is not None]
    if apart:
        yield f"{name}: {_first(apart[0])}{_others(apart)}."
    elif asked:
        layers = plural(len(asked[0].layers), "layer")
        ids = listed([parting.id for parting in asked])
        yield f"{name}: {ids}: all {layers} as {_reference(asked[0])} has them."
    spoilt = [parting for parting in asked if parting.input and parting.input.differing]
    if spoilt and (seen := spoilt[0].input):
        yield (
            f"{name}: the input itself differs, before any layer: {spoilt[0].id}, "
            f"{_element(seen)}: device {_number(seen.device)}, host {_number(seen.expected)}; "
            f"{count(seen.differing)} of {count(_size(seen))} values differ."
        )
    other = [parting.id for parting in asked if parting.same_output is False]
    if other:
        yield (
            f"{name}: firmware built to show its layers answers {listed(other)} otherwise than the "
            "firmware that was measured, so what differs may lie in how that was built."
        )
    for parting in layer_checks:
        if parting.why:
            yield f"{name}: the layers of {parting.id} were not compared: {parting.why}."


def _first(parting: LayerCheck) -> str:
    at = first_differing(parting)
    assert at is not None
    layer = parting.layers[at]
    before = ("", "; layer 1 equal", f"; layers 1–{at} equal")[min(at, 2)]
    return (
        f"{parting.id} first differs at layer {at + 1} ({layer.op} {layer.name}), "
        f"{_element(layer)}: device {_number(layer.device)}, {_reference(parting)} "
        f"{_number(layer.expected)}; {count(layer.differing)} of {count(_size(layer))} values "
        f"differ there{before}"
    )


def _others(apart: Sequence[LayerCheck]) -> str:
    """Whether the other samples part in the same layer."""
    layers = [first_differing(parting) for parting in apart]
    if len(apart) < 2:
        return ""
    if len(set(layers)) == 1:
        return f". The same layer in all {len(apart)} that were asked about"
    rest = zip(apart[1:], layers[1:], strict=True)
    return ". Others: " + listed([f"{p.id} at layer {(at or 0) + 1}" for p, at in rest])


def _element(layer: LayerSeen) -> str:
    """In words of pictures where the shape is one."""
    at = layer.element
    if len(at) == 4 and layer.shape[0] == 1:
        return f"row {at[1]}, column {at[2]}, channel {at[3]}"
    inner = at[1:] if len(at) > 1 and layer.shape[0] == 1 else at
    return f"element {', '.join(map(str, inner))}"


def _size(layer: LayerSeen) -> int:
    size = 1
    for side in layer.shape:
        size *= side
    return size


def _number(value: int | float | str) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _reference(parting: LayerCheck) -> str:
    return "the oracle" if parting.reference.startswith("tflite-micro") else parting.reference


def _names(cells: Sequence[Cell]) -> dict[str, str]:
    return {cell.plan.key: cell.name for cell in cells}


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
