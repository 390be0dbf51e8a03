"""`hil boards` and `hil emulate`: what can be benched, and an emulator that stays."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from serial.tools import list_ports

from hil.boards import detached
from hil.boards.choice import missing_tools
from hil.boards.config import board_files, load_board
from hil.cli.console import out
from hil.errors import UsageError
from hil.platformio import find_project


def boards() -> None:
    """List the boards that are configured and the serial ports of this machine."""
    project = find_project()
    table = Table(box=None, pad_edge=False)
    for name in ("board", "what it is", "clock", "state"):
        table.add_column(name, overflow="fold")
    for name in sorted(board_files(project)):
        board = load_board(name, project)
        missing = missing_tools(board)
        running = detached.find(project, name)
        state = f"runs on {running.port}" if running else "ready"
        table.add_row(
            name,
            escape(board.title),
            board.clock.unit,
            escape(f"missing: {', '.join(missing)}" if missing else state),
        )
    out.print(table)
    for port in list_ports.comports():
        about = f"{port.description} {port.hwid}"
        out.print(f"port {escape(port.device)}: {escape(about)}")


def emulate(
    name: Annotated[str, typer.Argument(metavar="BOARD", help="An emulated board.")],
    firmware: Annotated[Path | None, typer.Option(help="The ELF file to run.")] = None,
    detach: Annotated[bool, typer.Option(help="Leave it running and return.")] = False,
    stop: Annotated[bool, typer.Option(help="End the one that was left running.")] = False,
) -> None:
    """Start an emulated board, as flashing starts a real one, and say where its port is."""
    project = find_project()
    board = load_board(name, project)
    if stop:
        out.print("stopped" if detached.stop(project, name) else f"no {name} was running")
        return
    if firmware is None or not firmware.is_file():
        raise UsageError(
            f"there is no firmware {firmware or ''}".rstrip(), f"build it: pio run -e {name}"
        )
    running = detached.start(project, board, firmware)
    out.print(f"{board.title} runs on {running.port}")
    out.print(f"bench it: hil bench --board {name} --port {running.port}")
    out.print(f"stop it:  hil emulate {name} --stop")
    if not detach:
        try:
            signal.pause()
        finally:
            detached.stop(project, name)
