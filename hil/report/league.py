# SPDX-License-Identifier: Apache-2.0
"""Section "Beside MLPerf Tiny's published results": of runs whose network is one of its four."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from msgspec import structs

from hil.league.entries import Entry, Known, ordered, own, published, recognised
from hil.league.published import NETWORKS, NetworkName, network, results
from hil.report.blocks import Block, Bullets, Section, Table, section
from hil.report.draw.chart import NARROW, Chart, Dot, Row, Scale, colour, log_ticks, ticks_in
from hil.report.text import count, listed, plural, short
from hil.runs.cells import Cell
from hil.runs.load import StoredRun

_NONE: Final = "–"
_MARGIN: Final = 1.25  # of the axis beyond its smallest and largest figure
_MARKS: Final = {"estimated": " est.", "counted": " counted"}
_SOURCE: Final = (
    "Published: MLCommons' repositories tiny_results_v0.5 to v1.3, closed division, processor "
    "cores only (docs/league.md). Cycles per MAC are computed, MHz × ms × 1000 / MACs, and are not "
    "results of MLCommons."
)
_ESTIMATED: Final = (
    "est.: estimated for the core, without cache misses and wait states of flash, which published "
    "results include."
)
_CALIBRATED: Final = (
    "On a chip, and lines: where a chip's cycles lie by the core's calibration (docs/cycles.md)."
)


@dataclass(frozen=True, slots=True)
class _Own:
    cell: Cell
    known: Known
    entry: Entry


def league_section(run: StoredRun, cells: Sequence[Cell]) -> Section:
    mine = [
        _Own(cell, known, own(cell, known.network, run.estimates, energy=run.energy))
        for cell in cells
        if (known := recognised(cell.plan))
    ]
    return section("league", "Beside MLPerf Tiny's published results", _blocks(mine))


def _blocks(mine: Sequence[_Own]) -> Iterator[Block]:
    if not mine:
        return
    yield _own_table(mine)
    notes = (f"{one.cell.name}: {one.entry.note}." for one in mine if one.entry.note)
    yield Bullets("", tuple(notes))
    for name, precision in _kinds(mine):
        others = _published(name, precision)
        here = [one for one in mine if _kind(one) == (name, precision)]
        if others:
            yield _chart(name, precision, here, others, [one.cell.plan.model for one in mine])
            yield _all(name, precision, [*others, *(_named(one) for one in here)])


def _kinds(mine: Sequence[_Own]) -> Iterator[tuple[NetworkName, str]]:
    """Network and precision of own runs: int8 is compared with int8."""
    yield from sorted(set(map(_kind, mine)), key=lambda one: (NETWORKS.index(one[0]), one[1]))


def _kind(one: _Own) -> tuple[NetworkName, str]:
    return one.entry.network, one.entry.precision


def _published(name: NetworkName, precision: str) -> tuple[Entry, ...]:
    return ordered(
        one for one in published(results()) if one.network == name and one.precision == precision
    )


def _own_table(mine: Sequence[_Own]) -> Table:
    head = ("Run", "Network", "Core", "ms", "Cycles per MAC", "Instructions per MAC", "µJ")
    rows = (
        (
            one.cell.name,
            f"{one.entry.network}, {one.entry.precision}",
            one.entry.core or _NONE,
            _number(one.entry.ms, 3),
            _with_range(one.entry),
            _number(one.entry.instructions_per_mac, 2),
            _microjoules(one.entry),
            _best(one.entry),
        )
        for one in mine
    )
    return Table("Own runs", (*head, "Best published on this core"), tuple(rows), _note(mine))


def _note(mine: Sequence[_Own]) -> str:
    """How the networks were recognised, and what an estimate leaves out."""
    hows: dict[str, list[str]] = {}
    for one in mine:
        hows.setdefault(one.known.how, []).append(one.cell.name)
    said = [f"{listed(names)}: {how}." for how, names in hows.items()]
    if any(one.entry.kind == "estimated" for one in mine):
        said.append(_ESTIMATED)
    if any(_range(one.entry) for one in mine):
        said.append(_CALIBRATED)
    return " ".join(said)


def _best(entry: Entry) -> str:
    """The fewest published cycles per MAC on the core of an own run."""
    same = [one for one in _published(entry.network, entry.precision) if one.core == entry.core]
    if not same:
        return _NONE
    best = same[0]
    return f"{_number(best.cycles_per_mac, 2)}\n{best.software}, {best.mhz:g} MHz, {best.round}"


def _chart(
    name: NetworkName,
    precision: str,
    mine: Sequence[_Own],
    others: Sequence[Entry],
    models: Sequence[str],
) -> Chart:
    """One row per core, and one per own run on a core that no result names."""
    by_core: dict[str, list[Entry]] = {}
    for one in others:
        by_core.setdefault(one.core, []).append(one)
    ranked = [one for one in mine if one.entry.cycles_per_mac is not None]
    ends = (end for one in ranked for end in (_figure(one.entry), *(_range(one.entry) or ())))
    figures = [*map(_figure, others), *ends]
    scale = Scale(min(figures) / _MARGIN, max(figures) * _MARGIN, log=True)
    ticks = ((scale.at(t), short(t)) for t in log_ticks(scale.low, scale.high))
    rows = [_core_row(core, found, ranked, scale, models) for core, found in by_core.items()]
    apart = [_own_row(one, scale, models) for one in ranked if one.entry.core not in by_core]
    kinds = {one.entry.kind for one in ranked}
    return Chart(
        title=f"Cycles per MAC: {name}, {precision}",
        caption=f"Each point is a published result of {network(name).title}, "
        f"{count(network(name).macs)} MACs. Left is better.",
        axis="cycles per MAC, log scale",
        ticks=ticks_in(NARROW, ticks, inside=True),
        rows=(*rows, *apart),
        legend=(
            *([("key-device", "own run, measured")] if "measured" in kinds else []),
            *([("key-device", "own run, counted")] if "counted" in kinds else []),
            *([("key-host", "own run, estimated")] if "estimated" in kinds else []),
            ("key-few", "published"),
        ),
    )


def _core_row(
    core: str, found: Sequence[Entry], mine: Iterable[_Own], scale: Scale, models: Sequence[str]
) -> Row:
    here = [one for one in mine if one.entry.core == core]
    low, high = _figure(found[0]), _figure(found[-1])
    span = f"{low:.2f}" if len(found) == 1 else f"{low:.2f} to {high:.2f}"
    return Row(
        label=core,
        css=_colour(here[0], models) if here else "",
        values=(
            f"{span}, {plural(len(found), 'result')}",
            *(f"{_cycles(one.entry)} {one.cell.name}" for one in here),
        ),
        dots=tuple(_dot(one, scale) for one in here),
        strip=tuple(scale.at(_figure(one)) for one in found),
    )


def _own_row(one: _Own, scale: Scale, models: Sequence[str]) -> Row:
    dot = _dot(one, scale)
    return Row(one.cell.name, _colour(one, models), (_cycles(one.entry),), (dot,), ())


def _colour(one: _Own, models: Sequence[str]) -> str:
    return colour(one.cell.plan.model, one.cell.plan.precision, models)


def _dot(one: _Own, scale: Scale) -> Dot:
    kind = "host" if one.entry.kind == "estimated" else "device"
    ends = _range(one.entry) or (_figure(one.entry), _figure(one.entry))
    return Dot(kind, scale.at(_figure(one.entry)), *(scale.at(end) for end in ends))


def _range(entry: Entry) -> tuple[float, float] | None:
    """Of a calibrated estimate."""
    if entry.chip_low is None or entry.chip_high is None:
        return None
    return entry.chip_low, entry.chip_high


def _with_range(entry: Entry) -> str:
    found = _range(entry)
    on_chip = f"\n{found[0]:.2f} to {found[1]:.2f} on a chip" if found else ""
    return _cycles(entry) + on_chip


def _figure(entry: Entry) -> float:
    return entry.cycles_per_mac or 0.0


def _named(one: _Own) -> Entry:
    """Its entry with the report's name of the run in place of the board's."""
    return structs.replace(one.entry, board=one.cell.name)


def _all(name: NetworkName, precision: str, entries: Sequence[Entry]) -> Table:
    """Every published result and own run, fewest cycles per MAC first."""
    head = ("Round", "Core", "MHz", "Board", "Software", "Submitter", "ms", "Cycles per MAC", "µJ")
    rows = tuple(
        (
            "own" if one.own else one.round,
            one.core or _NONE,
            _NONE if one.mhz is None else f"{one.mhz:g}",
            one.board,
            one.software,
            one.submitter or _NONE,
            _number(one.ms, 3),
            _cycles(one),
            _microjoules(one),
        )
        for one in ordered(one for one in entries if one.cycles_per_mac is not None)
    )
    return Table(f"All results: {name}, {precision}", head, rows, _SOURCE, folded=True)


def _cycles(entry: Entry) -> str:
    return _number(entry.cycles_per_mac, 2) + _MARKS.get(entry.kind, "")


def _microjoules(entry: Entry) -> str:
    return _NONE if entry.uj is None else count(entry.uj)


def _number(value: float | None, decimals: int) -> str:
    return _NONE if value is None else f"{value:,.{decimals}f}"
