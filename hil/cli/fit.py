# SPDX-License-Identifier: Apache-2.0
"""`hil fit`: which boards hold a network, without running it."""

from __future__ import annotations

from typing import Annotated, Final

import typer
from rich.markup import escape
from rich.table import Table

from hil.api.fit import FitOptions
from hil.api.fit import fit as fit_models
from hil.api.records import FitBoard, FitMemory, FitModel
from hil.cli.console import out
from hil.cli.data import DataOption, InputOption, ResizeOption, TargetOption
from hil.cli.output import result
from hil.cli.running import Bars

DOES_NOT_FIT: Final = 1
_KB: Final = 1024
_EXACT: Final = 100  # KB from which on a decimal says nothing

Names = list[str]


def fit(
    models: Annotated[
        Names,
        typer.Argument(
            metavar="MODEL...",
            help=".tflite files, or models to convert: see `hil bench --model`.",
        ),
    ],
    board: Annotated[
        Names,
        typer.Option("--board", help="Board; repeatable, or several with commas; default: all."),
    ] = [],
    engine: Annotated[
        Names,
        typer.Option(
            "--engine",
            help="Inference engine; repeatable: the table shows the first; default: aot, and "
            "whether tflm fits.",
        ),
    ] = [],
    precision: Annotated[
        Names,
        typer.Option("--precision", help="float32, int8 or int16 of a model to convert."),
    ] = [],
    data: DataOption = None,
    target: TargetOption = None,
    resize: ResizeOption = None,
    input: InputOption = None,
    link: Annotated[
        bool,
        typer.Option("--link/--no-link", help="Link for boards whose compiler is installed."),
    ] = True,
) -> None:
    """Say which boards hold each MODEL in flash and RAM, and by how much, without running it.

    Exact where the board's compiler is installed, else estimated, with the error. Exit code 1 if a
    network certainly does not fit a board that --board names.
    """
    options = FitOptions(
        models=tuple(models),
        board=tuple(board),
        engine=tuple(engine),
        precision=tuple(precision),
        data=data,
        target=target,
        resize=resize,
        input=input,
        link=link,
    )
    with Bars() as shown:
        found = fit_models(options, shown)
    result(found)
    for number, one in enumerate(found.models):
        if number:
            out.print()
        _show(one)
    if any(one.boards for one in found.models):
        out.print(_NOTE)
    if found.fits is False:
        raise typer.Exit(DOES_NOT_FIT)


_NOTE: Final = """\
KB of 1,024 bytes: needed / on the board. RAM: arena + other static + stack.
by: link (exact), or how far an estimate of flash may be off, or min: of the
network alone, so that only a no is certain. More: docs/fit.md"""


def _show(model: FitModel) -> None:
    """The network in a line, one row per board, and what would make it fit."""
    if model.why:
        out.print(f"[bold]{escape(model.model)}[/]: {escape(model.why)}", soft_wrap=True)
        return
    facts = f"{model.precision}, {model.parameters:,} parameters, {model.macs:,} MACs"
    out.print(f"[bold]{escape(model.model)}[/]: {facts}", soft_wrap=True)
    out.print(
        f"{model.engine}: {model.constants or 0:,} B of constants, {model.arena or 0:,} B of arena",
        soft_wrap=True,
    )
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("board", no_wrap=True)
    for name in ("flash", "RAM"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("fits", no_wrap=True)
    table.add_column("engines", no_wrap=True)
    table.add_column("by", no_wrap=True)
    for one in model.boards:
        table.add_row(
            escape(one.board), _flash(one), _ram(one), _fits(one), ",".join(one.engines), _by(one)
        )
    out.print(table)
    for one in model.boards:
        if one.why:
            out.print(f"{one.board}: {escape(one.why)}", soft_wrap=True)
    for line in model.advice:
        out.print(f"[bold]hint:[/] {escape(line)}", soft_wrap=True)


def _flash(one: FitBoard) -> str:
    return f"{_kb(one.flash.needs)}/{_kb(one.flash.has)}" if one.flash else "-"


def _ram(one: FitBoard) -> str:
    if one.ram is None or one.arena is None or one.stack is None:
        return "-"
    parts = "+".join(map(_kb, (one.arena, one.ram.needs - one.arena, one.stack)))
    return f"{parts}/{_kb(one.ram.has + one.stack)}"


def _fits(one: FitBoard) -> str:
    """Whether it fits; if not, which memory is too small, and by how much."""
    if one.fits:
        return "[green]yes[/]"
    if one.flash is None or one.ram is None or one.constants is None:
        return "[red]no[/]"
    if one.fits is None:
        return "[yellow]close[/]" if one.how != "network" else "[yellow]?[/]"
    if one.readable is not None and one.constants > one.readable:
        return f"[red]const -{_kb(one.constants - one.readable)}[/]"
    missing = [
        (memory.spare, name)
        for name, memory in (("flash", one.flash), ("RAM", one.ram))
        if _lacks(memory)
    ]
    spare, name = min(missing)
    return f"[red]{name} -{_kb(-spare)}[/]"


def _lacks(memory: FitMemory) -> bool:
    return memory.spare + memory.error < 0


def _by(one: FitBoard) -> str:
    """What gave the figures."""
    if one.flash is None or one.ram is None:
        return ""
    match one.how:
        case "linked":
            return "link"
        case "estimated":
            return f"±{_kb(one.flash.error)}"
        case _:
            return "min"


def _kb(size: int) -> str:
    """Bytes as KB: with a decimal below 100."""
    return f"{size / _KB:.0f}" if size >= _EXACT * _KB or not size % _KB else f"{size / _KB:.1f}"
