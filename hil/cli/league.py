# SPDX-License-Identifier: Apache-2.0
"""`hil league`: MLPerf Tiny's published results in cycles per MAC, and own runs among them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from hil.cli.console import out, say
from hil.cli.output import for_people, result

if TYPE_CHECKING:
    from hil.api.records_mlperf import LeagueOutput, LeagueTable
    from hil.league.entries import Entry

_NONE: Final = "-"
_MARKS: Final = {"estimated": " est.", "counted": " counted"}

Names = list[str]


def league(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[RUN]...",
            help="Folders of own runs, or of sessions of `hil mlperf`, to place in the tables.",
        ),
    ] = None,
    network: Annotated[
        Names,
        typer.Option(
            "--network", help="ad, kws, ic or vww; repeatable; default: those of the runs, or all."
        ),
    ] = [],
    core: Annotated[
        str, typer.Option("--core", help="Only published results on this core, such as m4.")
    ] = "",
    sort: Annotated[
        str, typer.Option("--sort", help="Order by cycles (per MAC), ms, uj, round or core.")
    ] = "cycles",
    clock: Annotated[
        str,
        typer.Option(
            "--clock", help="Clock of the board's core, such as 480MHz, for runs with a latency."
        ),
    ] = "",
) -> None:
    """Show MLPerf Tiny's published results in cycles per MAC, and own runs among them.

    A run on a physical board is placed by its latency and clock, one on an emulator by its
    estimated cycles (`hil bench --cycles`), marked "est.". Instructions are never ranked.
    """
    from hil.api.league import league as league_of

    found = league_of(runs or (), networks=network, core=core, sort=sort, clock=clock)
    result(found)
    if for_people():
        _show(found)


def _show(found: LeagueOutput) -> None:
    for table in found.tables:
        title = f"{table.network}: {table.title}, {table.macs:,} MACs"
        out.print(f"\n[bold]{title}[/]", soft_wrap=True)
        out.print(_table(table))
    out.print(
        "\nSource: MLCommons' repositories tiny_results_v0.5 to v1.3, closed division; --json has "
        "the file of each. Cycles per MAC are computed: MHz x ms / MACs.",
        soft_wrap=True,
    )
    estimated = [one for table in found.tables for one in table.entries if one.kind == "estimated"]
    if estimated:
        said = (
            "est.: estimated for the core, without cache misses and wait states of flash, which "
            "measured cycles include (docs/cycles.md)."
        )
        if any(one.chip_low is not None for one in estimated):
            said += " In brackets: where a chip's cycles lie by the core's calibration."
        out.print(said, soft_wrap=True)
    for run in found.runs:
        out.print(f"{escape(run.run)}: {escape(run.how)}", soft_wrap=True)
    for table in found.tables:
        for one in table.entries:
            if one.own and one.note:
                say(f"note: {one.run}: no cycles per MAC: {one.note}")
    for name in found.left_out:
        say(f"note: {name} is left out: another network")


def _table(found: LeagueTable) -> Table:
    counted = any(one.instructions_per_mac is not None for one in found.entries)
    shown = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("round", "core"):
        shown.add_column(name, no_wrap=True)
    shown.add_column("MHz", justify="right", no_wrap=True)
    for name in ("board", "software"):
        shown.add_column(name, overflow="fold")
    shown.add_column("type", no_wrap=True)
    for name in ("ms", "cycles/MAC", *(("instr./MAC",) if counted else ()), "uJ"):
        shown.add_column(name, justify="right", no_wrap=True)
    for one in found.entries:
        shown.add_row(*_row(one, counted), style="bold" if one.own else None)
    return shown


def _row(one: Entry, counted: bool) -> tuple[str, ...]:
    return (
        "own" if one.own else one.round,
        one.core or _NONE,
        _NONE if one.mhz is None else f"{one.mhz:g}",
        escape(one.run if one.own else one.board),
        escape(one.software),
        one.precision or _NONE,
        _number(one.ms, 3),
        _cycles(one),
        *((_number(one.instructions_per_mac, 2),) if counted else ()),
        _NONE if one.uj is None else f"{one.uj:,.0f}",
    )


def _cycles(one: Entry) -> str:
    """The figure, its kind, and the range of a calibrated estimate."""
    said = _number(one.cycles_per_mac, 2) + _MARKS.get(one.kind, "")
    if one.chip_low is None or one.chip_high is None:
        return said
    return f"{said} ({one.chip_low:.2f}-{one.chip_high:.2f})"


def _number(value: float | None, decimals: int) -> str:
    return _NONE if value is None else f"{value:,.{decimals}f}"
