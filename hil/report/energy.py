# SPDX-License-Identifier: Apache-2.0
"""Section "Energy": joules per inference as an instrument measured them, one window as it was
recorded, and how long batteries last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from hil.core.units import prefix, si, si_interval
from hil.energy import battery_days
from hil.energy.windows import FAULTS
from hil.report.blocks import Bullets, Clouds, Section, Table, section
from hil.report.draw.chart import Cloud, colour
from hil.report.draw.cloud import cloud
from hil.report.text import count, listed, plural
from hil.runs.cells import Cell
from hil.runs.load import StoredRun
from hil.runs.schema_energy import EnergyMeasured, Shown, Span

HEAD: Final = (
    *("Run", "Energy per inference", "Above idle", "Idle power", "Time", "Average", "Peak"),
    "Windows",
)
_BATTERIES: Final = (("CR2032, 225 mAh", 225.0), ("1,000 mAh", 1000.0), ("2,600 mAh", 2600.0))
_PERIODS: Final = (("second", 1.0), ("10 s", 10.0), ("minute", 60.0), ("hour", 3600.0))
_EDGE: Final = 0.01  # from which on the sampled edges are worth a warning
_SIMULATED: Final = (
    "Simulated: no instrument measured a board. These figures show that the pipeline works, and "
    "are not the energy of any board."
)


def energy_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    named = {cell.plan.key: cell for cell in cells}
    models = tuple(dict.fromkeys(cell.plan.model for cell in cells))
    made = [(one, named[one.run]) for one in run.energy if not one.why and one.run in named]
    drawn = [
        _trace(one, one.shown, cell, colour(cell.plan.model, cell.plan.precision, models))
        for one, cell in made
        if one.shown
    ]
    return section(
        "energy",
        "Energy",
        [
            energy_table(run, cells),
            Bullets("", unmeasured(run, cells)),
            Clouds("One window as it was recorded", tuple(drawn)),
            *(_layers(one, cell) for one, cell in made if one.layers),
            _batteries(made),
        ],
    )


def energy_table(run: StoredRun, cells: Sequence[Cell]) -> Table:
    """One row per run whose energy was measured."""
    named = {cell.plan.key: cell for cell in cells}
    made = [one for one in run.energy if not one.why and one.run in named]
    rows = tuple(
        (
            named[one.run].name + (" (simulated)" if one.simulated else ""),
            quantity(one.joules, "J"),
            quantity(one.above_idle, "J"),
            quantity(one.idle, "W"),
            quantity(one.seconds, "s"),
            si(one.average, "A"),
            si(one.peak, "A"),
            _windows(one),
        )
        for one in made
    )
    return Table(
        "Energy per inference", HEAD, rows, _notes([(named[one.run].name, one) for one in made])
    )


def unmeasured(run: StoredRun, cells: Sequence[Cell]) -> tuple[str, ...]:
    """One line per run that was to be measured and was not, and per doubt about one that was."""
    names = {cell.plan.key: cell.name for cell in cells}
    return tuple(
        f"{names[one.run]}: {said}."
        for one in run.energy
        if one.run in names
        for said in _said(one)
    )


def energy_warnings(run: StoredRun) -> Iterator[str]:
    """What makes the energy of a run wrong."""
    for one in run.energy:
        if clocks_differ(one):
            times = one.not_counted[FAULTS["clock"]]
            yield (
                f"{one.run}: energy: in {plural(times, 'window')} the instrument's clock and the "
                "board's differ by more than 1 %: one of the two is wrong"
            )


def clocks_differ(one: EnergyMeasured) -> bool:
    """Whether a window does not count because the clocks of instrument and board disagree."""
    return FAULTS["clock"] in one.not_counted


def quantity(found: Span | None, unit: str) -> str:
    """A figure and its interval below it."""
    return (
        "–" if found is None else "\n".join(si_interval(found.point, found.low, found.high, unit))
    )


def _said(one: EnergyMeasured) -> Iterator[str]:
    if one.why:
        yield f"its energy is not known: {one.why}"
    if one.ended:
        yield f"the recording ended early: {one.ended}"
    for why, times in one.not_counted.items():
        yield f"{plural(times, 'window')} did not count: {why}"
    if one.layers_why:
        yield f"the energy of its layers is not known: {one.layers_why}"
    if one.lost:
        yield f"the instrument lost {plural(one.lost, 'sample')} of {count(one.samples)}"
    if one.edge > _EDGE:
        yield (
            f"a window has only {count(round(1 / one.edge))} samples, so that its energy can be "
            f"off by {100 * one.edge:.1f} %: let a window contain several inferences"
        )


def _windows(one: EnergyMeasured) -> str:
    left = sum(one.not_counted.values())
    each = f"\n{count(one.inferences)} inferences each" if one.inferences > 1 else ""
    return f"{count(one.windows)}{f' of {count(one.windows + left)}' if left else ''}{each}"


def _notes(made: Sequence[tuple[str, EnergyMeasured]]) -> str:
    """How the energies were measured; apart for those that were measured otherwise."""
    alike: dict[tuple[object, ...], list[tuple[str, EnergyMeasured]]] = {}
    for name, one in made:
        volts = f"{one.volts:.3g}"
        setup = (one.instrument, volts, one.supplied, one.rate, one.by, one.idle_mode)
        alike.setdefault((*setup, one.simulated), []).append((name, one))
    if len(alike) < 2:
        return "".join(_note([one for _, one in group]) for group in alike.values())
    return " ".join(
        f"{listed([name for name, _ in group])}: {_note([one for _, one in group])}"
        for group in alike.values()
    )


def _note(made: Sequence[EnergyMeasured]) -> str:
    first = made[0]
    words = [_SIMULATED] if first.simulated else []
    source = "supplied by it" if first.supplied else "not supplied by it"
    by = "the marker pin" if first.by == "gate" else "the power itself, as there is no gate"
    words.append(
        f"Instrument: {first.instrument} at {first.volts:.3g} V ({source}), "
        f"{count(round(first.rate))} samples/s; windows by {by}. Between inferences the board is "
        f"{first.idle_mode}. Means over the windows and their 95 % intervals (Student's t), which "
        "do not contain the instrument's own accuracy. Above idle: less the idle power beside each "
        "window over its time. Currents are those within windows."
    )
    ratios = [one.ratio for one in made if one.ratio is not None]
    if ratios:
        low, high = min(ratios), max(ratios)
        span = f"{low:.4f}" if low == high else f"{low:.4f} to {high:.4f}"
        words.append(f"The gate's time over the board's own: {span}.")
    changes = [one.range_changes for one in made if one.range_changes is not None]
    if changes:
        words.append(f"The instrument changed its range {plural(sum(changes), 'time')}.")
    return " ".join(words)


def _trace(one: EnergyMeasured, shown: Shown, cell: Cell, css: str) -> Cloud:
    current = np.array([np.nan if one is None else one for one in shown.current])
    seconds = (np.arange(current.size) + 0.5) * shown.step
    known = np.isfinite(current)
    scale, letter = prefix(float(np.nanmax(np.abs(current))))
    unit, milli = f"{letter}A", 1e3
    return cloud(
        cell.name,
        f"Current in {unit} over milliseconds, around {plural(one.inferences, 'inference')}. The "
        f"line shows where the {'marker pin was' if one.by == 'gate' else 'power is'} high.",
        ("Time, ms", f"Current, {unit}"),
        seconds[known] * milli,
        current[known] / scale,
        css,
        line=(shown.start * milli, shown.end * milli),
    )


def _layers(one: EnergyMeasured, cell: Cell) -> Table:
    """The energy of each layer, from firmware that shows its layers."""
    known = [layer for layer in one.layers if layer.above_idle]
    whole = sum(layer.above_idle.point for layer in known if layer.above_idle)
    rows = [
        (
            layer.name,
            layer.op,
            si(layer.seconds, "s"),
            quantity(layer.joules, "J"),
            quantity(layer.above_idle, "J"),
            _share(layer.above_idle, whole),
            _per_mac(layer.above_idle, layer.macs),
        )
        for layer in one.layers
    ]
    missing = len(one.layers) - len(known)
    note = (
        "From firmware that shows its layers: its recording is divided at the times that the board "
        f"measured. Their sum is {si(whole, 'J')} above idle"
        + (
            f" without {plural(missing, 'layer')} that the instrument has too few samples of"
            if missing
            else ""
        )
        + (
            f", beside {si(one.above_idle.point, 'J')} of the measured firmware."
            if one.above_idle
            else "."
        )
    )
    head = (
        *("Layer", "Operator", "Time", "Energy per inference", "Above idle", "Share"),
        "Per MAC",
    )
    return Table(f"Energy by layer: {cell.name}", head, tuple(rows), note, folded=True)


def _share(found: Span | None, whole: float) -> str:
    return "–" if found is None or whole <= 0 else f"{100 * found.point / whole:.1f}%"


def _per_mac(found: Span | None, macs: int | None) -> str:
    return "–" if found is None or not macs else si(found.point / macs, "J")


def _batteries(made: Sequence[tuple[EnergyMeasured, Cell]]) -> Table:
    rows = [
        (
            f"{cell.name}, every {period}",
            *(_days(one, capacity, seconds) for _, capacity in _BATTERIES),
        )
        for one, cell in made
        for period, seconds in _PERIODS
    ]
    head = ("One inference", *(name for name, _ in _BATTERIES))
    note = (
        "Days that an ideal battery of the board's voltage lasts: no self-discharge, no losses of "
        "a regulator, and the idle power of this measurement in between. For other capacities and "
        "periods: hil energy RUN --battery MAH --every SECONDS."
    )
    return Table("Battery life in days", head, tuple(rows), note, folded=True)


def _days(one: EnergyMeasured, capacity: float, every: float) -> str:
    assert one.above_idle is not None
    assert one.idle is not None
    assert one.seconds is not None
    if every < one.seconds.point:
        return "–"  # an inference takes longer
    days = battery_days(capacity, one.volts, one.above_idle.point, one.idle.point, every)
    return f"{days:,.3g}" if 0 < days < 1e6 else "–"
