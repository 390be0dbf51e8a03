# SPDX-License-Identifier: Apache-2.0
"""`hil energy`: joules per inference from a recording."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hil.cli.console import out, say
from hil.cli.output import result
from hil.core.errors import UsageError
from hil.core.units import si, si_interval

if TYPE_CHECKING:
    from hil.api.records import Bounds, EnergyOutput, EnergyPart

_EDGE = 0.01  # from which on the sampled edges are worth a warning


def energy(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="[RUN] [TRACE]",
            help="The recording (.csv, .ppk2, .jls), and the run folder that it was made of: the "
            "result is stored there. A run folder alone: what is stored in it.",
        ),
    ],
    voltage: Annotated[
        float | None,
        typer.Option("--voltage", help="Volts of the supply, if the recording has none."),
    ] = None,
    gate: Annotated[
        str, typer.Option("--gate", help="Digital channel of the marker pin; default: the first.")
    ] = "",
    rate: Annotated[
        float | None,
        typer.Option("--rate", help="Samples per second, if the recording has no time."),
    ] = None,
    inferences: Annotated[int, typer.Option("--inferences", help="Inferences in each window.")] = 1,
    idle_mode: Annotated[
        str | None,
        typer.Option("--idle-mode", help="What the board did between inferences, in words."),
    ] = None,
    battery: Annotated[
        float | None,
        typer.Option("--battery", help="Capacity of a battery in mAh: how long does it last?"),
    ] = None,
    every: Annotated[
        float | None, typer.Option("--every", help="Seconds between inferences, for --battery.")
    ] = None,
) -> None:
    """Compute the energy per inference from what an instrument recorded.

    RUN alone shows what is stored in it. Windows are where the marker pin is high, or, without a
    digital channel, where the power is.
    Exit code 1 if windows do not count because the gate and the device's clock disagree.
    """
    from hil.api import energy as api  # scipy takes half a second to load
    from hil.energy.files import Given
    from hil.energy.windows import FAULTS
    from hil.runs.schema_energy import IDLE_MODE

    if len(paths) > 2:
        raise UsageError(f"{len(paths)} paths", "give a recording, or a run folder and a recording")
    cell = api.battery(battery, every)
    if len(paths) == 1 and paths[0].is_dir():
        found = api.stored_energy(paths[0], cell)
    else:
        found = api.energy_of(
            paths[-1],
            paths[0] if len(paths) == 2 else None,
            given=Given(voltage, rate, gate),
            inferences=inferences,
            battery=cell,
            idle_mode=idle_mode or IDLE_MODE,
        )
    result(found)
    _show(found)
    if any(FAULTS["clock"] in part.not_counted for part in found.parts):
        raise typer.Exit(1)


def _show(found: EnergyOutput) -> None:
    by = "the gate" if found.by == "gate" else "the power (there is no gate)"
    lost = f", {found.lost:,} samples lost" if found.lost else ""
    out.print(
        f"{escape(found.trace)}: {found.seconds:,.4g} s at {found.rate:,.6g} samples/s, "
        f"{found.voltage:.3g} V{lost}; windows by {by}",
        soft_wrap=True,
    )
    for part in found.parts:
        out.print(_table(part))
        if part.simulated:
            say("warning: simulated: no instrument measured a board")
        for why, count in part.not_counted.items():
            say(f"warning: windows that do not count: {count:,} ({why})")
        if part.edge > _EDGE:
            say(
                f"warning: a window has only {1 / part.edge:,.0f} samples, so that its energy can "
                f"be off by {part.edge:.1%}"
            )


def _table(part: EnergyPart) -> Table:
    title = escape(part.run) if part.run else "all windows"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, show_header=False)
    each = f", {part.inferences:,} inferences each" if part.inferences > 1 else ""
    table.add_row("windows", f"{part.windows:,}{each}")
    table.add_row("energy per inference", _quantity(part.joules, "J"))
    table.add_row("  above idle", _quantity(part.above_idle, "J"))
    table.add_row("idle power", _quantity(part.idle_watts, "W"))
    table.add_row("time per inference", _quantity(part.seconds, "s"))
    if part.gate_over_device is not None:
        table.add_row("  over the device's", f"{part.gate_over_device:.4f}")
    table.add_row("average current", si(part.average_amperes, "A"))
    table.add_row("peak current", si(part.peak_amperes, "A"))
    if part.battery_days is not None:
        table.add_row("battery lasts", f"{part.battery_days:,.1f} days (ideal battery)")
    return table


def _quantity(found: Bounds, unit: str) -> str:
    return " ".join(si_interval(found.point, found.low, found.high, unit))
