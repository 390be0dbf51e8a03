# SPDX-License-Identifier: Apache-2.0
"""Section "Layers": the first layer at which device and reference differ, and time per layer."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from hil.report.blocks import Bullets, Section, Table, Words, section
from hil.report.text import count, listed, per_inference, plural
from hil.runs.agreement import is_ours
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema import Sample
from hil.runs.schema_layers import LayerCheck, LayerSeen, LayerTime, Profiled

_NONE = "–"


def layers_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    checks = run.layer_checks
    return section(
        "layers",
        "Layers",
        [
            divergence_table(checks, cells),
            Bullets("", layer_findings(checks, cells)),
            layer_table(checks, cells),
            *profile_tables(run, cells),
            Bullets("", unprofiled(run, cells)),
            Words("" if checks else _no_layers(cells)),
        ],
    )


def _no_layers(cells: Sequence[Cell]) -> str:
    """Why this run stores no layers."""
    ours = [cell for cell in cells if is_ours(cell.plan)]
    checked = [cell for cell in ours if cell.n and cell.unexpected is not None]
    if checked and not any(cell.unexpected for cell in checked):
        return "Every checked output is as expected, so no layers were requested."
    return ""


# --- where device and reference diverge ---


def first_differing(check: LayerCheck) -> int | None:
    """Index of the first layer with a value that differs; None if all are equal."""
    return next((i for i, layer in enumerate(check.layers) if layer.differing), None)


def divergence_table(checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> Table:
    """One row per sample with a layer that differs."""
    names = _names(cells)
    rows = []
    for check in checks:
        at = first_differing(check)
        if at is None:
            continue
        layer = check.layers[at]
        rows.append(
            (
                names[check.run],
                check.id,
                f"{at + 1} {layer.name}",
                layer.op,
                _element(layer),
                _number(layer.device),
                _number(layer.expected),
                f"{count(layer.differing)} of {count(math.prod(layer.shape))}",
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
    note = "Rows, columns, channels and elements count from 0, layers from 1."
    return Table("First difference", head, tuple(rows), note)


def layer_table(checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> Table:
    """Every layer of the first sample of each run."""
    names = _names(cells)
    rows = []
    for key, group in groupby(checks, key=lambda check: check.run):
        check = next(group)
        for i, layer in enumerate(check.layers, 1):
            allowed = f"at most {layer.allowed:g}" if layer.allowed else "0"
            rows.append(
                (
                    names[key],
                    check.id,
                    f"{i} {layer.name}",
                    layer.op,
                    " × ".join(map(str, layer.shape)),
                    count(layer.differing),
                    allowed,
                )
            )
    head = ("Run", "Sample", "Layer", "Operators", "Shape", "Values that differ", "Expected")
    note = (
        "From firmware built to show its layers, for the first sample. Reference: TFLM for int8, "
        "LiteRT's reference kernels for float32. Operators that aot fuses are one layer."
    )
    return Table("Layer by layer", head, tuple(rows), note)


def layer_findings(checks: Sequence[LayerCheck], cells: Sequence[Cell]) -> tuple[str, ...]:
    """One or more lines per run, in the order of the runs."""
    names = _names(cells)
    said: list[str] = []
    for key, group in groupby(checks, key=lambda check: check.run):
        said += _findings(names[key], list(group))
    return tuple(said)


def _findings(name: str, checks: Sequence[LayerCheck]) -> Iterator[str]:
    compared = [check for check in checks if not check.why]
    diverged = [check for check in compared if first_differing(check) is not None]
    if diverged:
        yield f"{name}: {_first(diverged[0])}{_others(diverged)}."
    elif compared:
        layers = plural(len(compared[0].layers), "layer")
        ids = listed([check.id for check in compared])
        yield f"{name}: {ids}: all {layers} equal {_reference(compared[0])}'s."
    spoilt = [check for check in compared if check.input and check.input.differing]
    if spoilt and (seen := spoilt[0].input):
        yield (
            f"{name}: the input itself differs, before any layer: {spoilt[0].id}, "
            f"{_element(seen)}: device {_number(seen.device)}, host {_number(seen.expected)}; "
            f"{count(seen.differing)} of {count(math.prod(seen.shape))} values differ."
        )
    other = [check.id for check in compared if check.same_output is False]
    if other:
        yield (
            f"{name}: for {listed(other)}, the firmware built to show its layers gives another "
            "output than the measured firmware, so the difference may come from how it was built."
        )
    for check in checks:
        if check.why:
            yield f"{name}: the layers of {check.id} were not compared: {check.why}."


def _first(check: LayerCheck) -> str:
    at = first_differing(check)
    assert at is not None
    layer = check.layers[at]
    before = ("", "; layer 1 is equal", f"; layers 1–{at} are equal")[min(at, 2)]
    return (
        f"{check.id} first differs at layer {at + 1} ({layer.op} {layer.name}), "
        f"{_element(layer)}: device {_number(layer.device)}, {_reference(check)} "
        f"{_number(layer.expected)}; {count(layer.differing)} of "
        f"{count(math.prod(layer.shape))} values differ there{before}"
    )


def _others(diverged: Sequence[LayerCheck]) -> str:
    """Whether the other samples first differ at the same layer."""
    if len(diverged) < 2:
        return ""
    layers = [first_differing(check) for check in diverged]
    if len(set(layers)) == 1:
        return f". The same layer in all {len(diverged)} samples that were checked"
    rest = zip(diverged[1:], layers[1:], strict=True)
    return ". Others: " + listed([f"{check.id} at layer {(at or 0) + 1}" for check, at in rest])


def _element(layer: LayerSeen) -> str:
    """Row, column and channel if the shape is an image's."""
    at = layer.element
    if len(at) == 4 and layer.shape[0] == 1:
        return f"row {at[1]}, column {at[2]}, channel {at[3]}"
    inner = at[1:] if len(at) > 1 and layer.shape[0] == 1 else at
    return f"element {', '.join(map(str, inner))}"


def _number(value: int | float | str) -> str:
    return f"{value:.9g}" if isinstance(value, float) else str(value)


def _reference(check: LayerCheck) -> str:
    return "the oracle" if check.reference.startswith("tflite-micro") else check.reference


def _names(cells: Sequence[Cell]) -> dict[str, str]:
    return {cell.plan.key: cell.name for cell in cells}


# --- time per layer ---


def profile_tables(run: StoredRun, cells: Sequence[Cell]) -> tuple[Table, ...]:
    """One table per run: one row per layer, their sum, and two whole inferences to compare."""
    named = {cell.plan.key: cell for cell in cells}
    return tuple(
        _profile(one, named[one.run], _sample(run, one)) for one in run.profiled if one.layers
    )


def unprofiled(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line per run that was to be profiled and has no table: why."""
    names = _names(cells)
    return tuple(
        f"{names[one.run]}: the time per layer is not known: {one.why}."
        for one in run.profiled
        if one.why
    )


def _sample(run: StoredRun, profiled: Profiled) -> Sample | None:
    found = run.samples.get(profiled.run, ())
    return next((sample for sample in found if sample.id == profiled.id), None)


def _profile(one: Profiled, cell: Cell, sample: Sample | None) -> Table:
    times = [layer.time for layer in one.layers if layer.time is not None]
    total = sum(times) if len(times) == len(one.layers) else None
    macs = sum(layer.macs for layer in one.layers)
    unit = per_inference(cell.plan.clock.unit)
    rows = [_layer(i, layer, total) for i, layer in enumerate(one.layers, 1)]
    rows.append(("all layers", "", _count(total), "100.0%", count(macs), _per_mac(total, macs)))
    measured = sample.time if sample else None
    for name, time in (("as measured", measured), ("of this firmware", one.total)):
        rows.append((f"the inference, {name}", "", _count(time), "", "", _per_mac(time, macs)))
    note = (
        f"From firmware built to show its layers, for sample {one.id}. The time to stop and start "
        f"the clock is subtracted. {_gap(total, measured, unit)}MACs include padding."
    )
    shown = unit.capitalize() if unit.isascii() else unit
    head = ("Layer", "Operators", shown, "Share", "MACs", f"{shown} per MAC")
    return Table(f"Time per layer: {cell.name}", head, tuple(rows), note)


def _layer(number: int, layer: LayerTime, total: int | None) -> tuple[str, ...]:
    share = f"{100 * layer.time / total:.1f}%" if layer.time is not None and total else _NONE
    macs = count(layer.macs) if layer.macs else _NONE
    name = f"{number} {layer.name}"
    return (name, layer.op, _count(layer.time), share, macs, _per_mac(layer.time, layer.macs))


def _gap(total: int | None, measured: int | None, unit: str) -> str:
    """How far the sum of the layers is from the same sample in the measured firmware."""
    if total is None or not measured:
        return ""
    gap = total - measured
    if not gap:
        return "Their sum is exactly what the measured firmware took. "
    word = "more" if gap > 0 else "less"
    share = f"{100 * gap / measured:+.2f}%"
    return f"Their sum is {count(abs(gap))} {unit} {word} than measured ({share}). "


def _count(time: int | None) -> str:
    return _NONE if time is None else count(time)


def _per_mac(time: int | None, macs: int) -> str:
    return f"{time / macs:.2f}" if time is not None and macs else _NONE
