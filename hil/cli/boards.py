# SPDX-License-Identifier: Apache-2.0
"""`hil boards`, `hil flash` and `hil emulate`: list boards, flash one, keep an emulator running."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hil.bench import Request
from hil.bench.advice import bench_command, bench_whatever_runs
from hil.bench.cases import sketch_of
from hil.bench.lab import ask, is_sketch
from hil.bench.lab import flash as flash_image
from hil.bench.plan import choose_image
from hil.boards.attached import (
    Attached,
    InBootloader,
    choose_attached,
    find_attached,
    find_bootloaders,
)
from hil.boards.config import Board, board_files, load_board
from hil.boards.emulator import find_detached, start_detached, stop_detached
from hil.boards.station import missing_tools
from hil.cli.console import out, say
from hil.core.errors import DeviceError, UsageError
from hil.firmware import find_project

PROBE_S = 4.0  # opening the port may reset the board, which then boots in up to 3 s


def boards(
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Ask each board what it runs. Opening its port may reset it."),
    ] = False,
) -> None:
    """List the known boards, and which of them are attached or running."""
    project = find_project()
    attached = find_attached(project)
    bootloaders = find_bootloaders(project)
    probed: list[tuple[str, str]] = []
    table = Table(box=None, pad_edge=False)
    for name in ("board", "description", "clock", "state"):
        table.add_column(name, overflow="fold")
    for name in sorted(board_files(project)):
        board = load_board(name, project)
        running = find_detached(project, name)
        table.add_row(
            name,
            escape(board.title),
            board.clock.unit,
            escape(f"runs on {running.port}" if running else _state(board, attached, bootloaders)),
        )
        if running and probe:
            probed.append((running.port, _probe(board, running.port)))
    out.print(table)
    for one in attached:
        identity = f"{one.usb} serial number {one.serial or 'none'}" if one.usb else "not USB"
        may_be = " or ".join(one.boards) or _bootloader(one, bootloaders)
        about = f"{may_be} ({one.description}, {identity})"
        out.print(f"port {escape(one.port)}: {escape(about)}", soft_wrap=True)
        if probe and one.boards:
            probed.append((one.port, _probe(load_board(one.boards[0], project), one.port)))
    for port, said in probed:
        out.print(f"port {escape(port)}: {escape(said)}", soft_wrap=True)


def _bootloader(port: Attached, bootloaders: Iterable[InBootloader]) -> str:
    """What is on a port whose USB identity is not that of a known board's firmware."""
    for one in bootloaders:
        if (one.usb, one.serial) == (port.usb, port.serial):
            return f"the bootloader of {' or '.join(one.boards)}"
    return "not a known board"


def _state(board: Board, attached: Iterable[Attached], bootloaders: Iterable[InBootloader]) -> str:
    """Whether ``board`` can be used now."""
    if missing := missing_tools(board):
        return f"missing: {', '.join(missing)}"
    if board.emulator:
        return "ready"
    ports = [one.port for one in attached if board.name in one.boards]
    if ports:
        return f"may be on {' or '.join(ports)}"
    waiting = [one for one in bootloaders if board.name in one.boards]
    return f"in its bootloader ({waiting[0]})" if waiting else "not attached"


def _probe(board: Board, port: str) -> str:
    """What a board reports about itself, or why it does not, in one line."""
    try:
        hello = ask(board, port, PROBE_S)
    except DeviceError as problem:
        return str(problem)
    if is_sketch(hello):
        return f"{hello.board} runs user: {sketch_of(hello)}"
    runs = ", ".join(f"{one.name} {one.sha256[:12]} ({one.engine})" for one in hello.models)
    return f"{hello.board} runs {hello.firmware}: {runs or 'no model'}"


def emulate(
    name: Annotated[str, typer.Argument(metavar="BOARD", help="An emulated board.")],
    firmware: Annotated[Path | None, typer.Option(help="The ELF file to run.")] = None,
    detach: Annotated[bool, typer.Option(help="Keep it running and return.")] = False,
    stop: Annotated[bool, typer.Option(help="Stop the one that was kept running.")] = False,
) -> None:
    """Start an emulated board and print its port."""
    project = find_project()
    board = load_board(name, project)
    if stop:
        out.print("stopped" if stop_detached(project, name) else f"no {name} was running")
        return
    if firmware is None or not firmware.is_file():
        raise UsageError(
            f"firmware {firmware} does not exist" if firmware else "--firmware is missing",
            f"pass an ELF file, or build and start one: hil flash --board {name}",
        )
    running = start_detached(project, board, firmware)
    out.print(f"{board.title} runs on {running.port}")
    with suppress(DeviceError):  # a sketch that prints lines of text
        hello = ask(board, running.port, PROBE_S)
        command = bench_whatever_runs(hello, board, running.port, project)
        out.print(f"run it:  {escape(command)}", soft_wrap=True)
    out.print(f"stop it: hil emulate {name} --stop")
    if not detach:
        try:
            signal.pause()
        finally:
            stop_detached(project, name)


def flash(
    board: Annotated[
        str | None, typer.Option("--board", help="Board; default: the only one attached.")
    ] = None,
    port: Annotated[str | None, typer.Option("--port", help="Its port.")] = None,
    serial: Annotated[
        str | None,
        typer.Option("--serial", help="USB serial number, to select one of several equal boards."),
    ] = None,
    model: Annotated[
        list[str], typer.Option("--model", help="A .tflite file; default: teacher and student.")
    ] = [],
    precision: Annotated[
        str | None, typer.Option("--precision", help="float32 or int8; default: int8.")
    ] = None,
    engine: Annotated[str, typer.Option("--engine", help="Inference engine.")] = "aot",
    dataset: Annotated[
        str,
        typer.Option("--dataset", help="Models trained on this data set: auto, mnist or digits."),
    ] = "auto",
) -> None:
    """Build firmware, upload it, and check that the board runs it. An emulator is left running.

    Nothing is flashed if more than one board is a candidate.
    """
    project = find_project()
    found, where = _target(project, board, port, serial)
    request = Request(
        project=project,
        boards=(found.name,),
        models=tuple(model),
        precisions=(precision,) if precision else (),
        engines=(engine,),
        dataset=dataset,
    )
    image = choose_image(request)
    names = ", ".join(network.name for network in image.networks)
    say(f"flashing {names} ({image.precision}, engine {engine}) onto {where or found.title}")
    hello, now = flash_image(image, project, where)
    out.print(f"{escape(found.name)} on {escape(now)} runs {escape(hello.firmware)}:")
    for one in hello.models:
        out.print(f"  {escape(one.name)} {one.sha256[:12]} ({escape(one.engine)})")
    out.print(f"run it: {escape(bench_command(image, now))}", soft_wrap=True)


def _target(
    project: Path, board: str | None, port: str | None, serial: str | None
) -> tuple[Board, Attached | str | None]:
    """The board and where it is; None for an emulated one."""
    if port and serial:
        raise UsageError("--port and --serial both select the board", "give one of them")
    if port and not board:
        raise UsageError("--port does not say which board is there", "add --board NAME")
    known = load_board(board, project) if board else None
    if known and known.emulator:
        if port or serial:
            raise UsageError(
                f"board {known.name} is emulated and opens its own port",
                "leave out --port and --serial",
            )
        return known, None
    if known and port:
        return known, port
    return choose_attached(project, board=board, serial=serial)
