# SPDX-License-Identifier: Apache-2.0
"""`hil boards`, `hil flash` and `hil emulate`: list boards, flash one, keep an emulator running."""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from hil.api.boards import PROBE_S, list_boards
from hil.api.records import BoardState, EmulateOutput, FlashOutput, OnBoard, PortState
from hil.bench import Request
from hil.bench.advice import bench_command, bench_whatever_runs
from hil.bench.lab import ask
from hil.bench.lab import flash as flash_image
from hil.bench.plan import choose_image
from hil.boards.attached import (
    Attached,
    choose_attached,
)
from hil.boards.config import Board, load_board
from hil.boards.emulator import start_detached, stop_detached
from hil.cli.console import out, progress, say
from hil.cli.output import result
from hil.core.errors import DeviceError, UsageError
from hil.core.files import did_you_mean
from hil.firmware import find_project


def boards(
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Ask each board what it runs. Opening its port may reset it."),
    ] = False,
    every: Annotated[
        bool,
        typer.Option("--all", help="Also list boards of emulators that are not installed."),
    ] = False,
) -> None:
    """List the known boards, and which of them are attached or running."""
    found = list_boards(find_project(), probe=probe)
    result(found)
    table = Table(box=None, pad_edge=False)
    for name in ("board", "description", "clock", "state"):
        table.add_column(name, overflow="fold")
    absent = [] if every else [one for one in found.boards if _is_absent(one)]
    for board in found.boards:
        if board not in absent:
            table.add_row(board.name, escape(board.title), board.clock, escape(_state(board)))
    out.print(table)
    if absent:
        names = ", ".join(board.name for board in absent)
        out.print(
            f"{len(absent)} more, whose emulators are not installed (hil boards --all; hil doctor "
            f"--board NAME says how to get one): {names}",
            soft_wrap=True,
        )
    for port in found.ports:
        identity = f"{port.usb} serial number {port.serial or 'none'}" if port.usb else "not USB"
        about = f"{_may_be(port)} ({port.description}, {identity})"
        out.print(f"port {escape(port.port)}: {escape(about)}", soft_wrap=True)
    probed = [(one.ports[0], one.said) for one in found.boards if one.said]
    probed += [(one.port, one.said) for one in found.ports if one.said]
    for where, said in probed:
        out.print(f"port {escape(where)}: {escape(said)}", soft_wrap=True)


def _is_absent(board: BoardState) -> bool:
    """Whether ``board`` needs an emulator that users install themselves, and that is not there."""
    return board.optional and board.state == "tools missing"


def _state(board: BoardState) -> str:
    """Whether ``board`` can be used now, in words."""
    match board.state:
        case "running":
            return f"runs on {board.ports[0]}"
        case "tools missing" if board.optional:
            return f"emulator not installed: {', '.join(board.missing)}"
        case "tools missing":
            return f"missing: {', '.join(board.missing)}"
        case "attached":
            return f"may be on {' or '.join(board.ports)}"
        case "bootloader":
            return f"in its bootloader ({board.where})"
        case "absent":
            return "not attached"
        case _:
            return board.state


def _may_be(port: PortState) -> str:
    """What is on a port."""
    if not port.boards and port.bootloader_of:
        return f"the bootloader of {' or '.join(port.bootloader_of)}"
    return " or ".join(port.boards) or "not a known board"


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
        stopped = stop_detached(project, name)
        result(EmulateOutput(board=name, stopped=bool(stopped)))
        out.print("stopped" if stopped else f"no {name} was running")
        return
    if firmware is None or not firmware.is_file():
        guess = did_you_mean(firmware) if firmware else ""
        raise UsageError(
            f"firmware {firmware} does not exist" if firmware else "--firmware is missing",
            f"{guess}pass an ELF file, or build and start one: hil flash --board {name}",
        )
    running = start_detached(project, board, firmware)
    result(EmulateOutput(board=name, port=running.port))
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
    with progress() as working:
        hello, now = flash_image(image, project, where, working.doing)
    out.print(f"{escape(found.name)} on {escape(now)} runs {escape(hello.firmware)}:")
    for one in hello.models:
        out.print(f"  {escape(one.name)} {one.sha256[:12]} ({escape(one.engine)})")
    command = bench_command(image, now)
    out.print(f"run it: {escape(command)}", soft_wrap=True)
    result(
        FlashOutput(
            board=found.name,
            port=now,
            firmware=hello.firmware,
            models=tuple(
                OnBoard(name=one.name, sha256=one.sha256, engine=one.engine) for one in hello.models
            ),
            command=command,
        )
    )


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
