# SPDX-License-Identifier: Apache-2.0
"""Attached physical boards, and which one to use. An ambiguous choice is an error, not a guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serial.tools import list_ports

from hil.boards.config import Board, board_files, load_board
from hil.core.errors import NotAttached, UsageError


class PortInfo(Protocol):
    """One port as pyserial's ``list_ports`` describes it."""

    device: str
    description: str
    vid: int | None
    pid: int | None
    serial_number: str | None


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """One USB device. A DFU bootloader is one without a serial port."""

    usb: str  # "vid:pid" in hex
    serial: str = ""  # serial number; empty if it has none


@dataclass(frozen=True, slots=True)
class InBootloader:
    """A board whose bootloader waits for an upload, so that no firmware answers."""

    usb: str
    serial: str
    boards: tuple[str, ...]  # candidates

    def __str__(self) -> str:
        return f"USB {self.usb}, serial number {self.serial or 'none'}"


@dataclass(frozen=True, slots=True)
class Attached:
    """One port of this machine, and the known boards that it may be."""

    port: str
    description: str
    usb: str  # "vid:pid" in hex; empty for a port without USB
    serial: str  # serial number; empty if it has none
    boards: tuple[str, ...]

    def __str__(self) -> str:
        identity = f" ({self.usb}, serial number {self.serial or 'none'})" if self.usb else ""
        return f"{self.port}{identity}"


def find_attached(
    project: Path | None = None, ports: Iterable[PortInfo] | None = None
) -> list[Attached]:
    """Every serial port, sorted by name; ``ports`` replaces pyserial's list in tests."""
    boards = [load_board(name, project) for name in sorted(board_files(project))]
    found = [
        _describe(port, boards) for port in (list_ports.comports() if ports is None else ports)
    ]
    return sorted(found, key=lambda one: one.port)


def find_bootloaders(
    project: Path | None = None, devices: Iterable[UsbDevice] | None = None
) -> list[InBootloader]:
    """Every board in its bootloader; ``devices`` replaces this machine's USB devices in tests."""
    boards = [load_board(name, project) for name in sorted(board_files(project))]
    found = []
    for device in usb_devices() if devices is None else devices:
        names = tuple(b.name for b in boards if b.usb and device.usb in b.usb.bootloader_ids)
        if names:
            found.append(InBootloader(device.usb, device.serial, names))
    return found


def usb_devices(sysfs: Path = Path("/sys/bus/usb/devices")) -> list[UsbDevice]:
    """The USB devices that Linux lists; on other systems those with a serial port."""
    if not sysfs.is_dir():
        ports = [_describe(port, ()) for port in list_ports.comports()]
        return [UsbDevice(one.usb, one.serial) for one in ports if one.usb]
    found = []
    for folder in sorted(sysfs.iterdir()):
        vid, pid, serial = (_line(folder / name) for name in ("idVendor", "idProduct", "serial"))
        if vid and pid:  # an interface has neither
            found.append(UsbDevice(f"{vid}:{pid}", serial))
    return found


def choose_attached(
    project: Path | None = None,
    *,
    board: str | None = None,
    serial: str | None = None,
    ports: Iterable[PortInfo] | None = None,
    devices: Iterable[UsbDevice] | None = None,
) -> tuple[Board, Attached]:
    """The only attached board that matches ``board`` and ``serial``.

    NotAttached if none does or it is in its bootloader, UsageError if more than one does or it may
    be one of several kinds.
    """
    wanted = load_board(board, project) if board else None
    if wanted and wanted.usb is None:
        raise UsageError(
            f"board {wanted.name} is not found by USB (its file has no [usb] section)",
            "name its port with --port; `hil boards` lists the ports",
        )
    matching = [
        one
        for one in find_attached(project, ports)
        if one.boards
        and (wanted is None or wanted.name in one.boards)
        and (serial is None or one.serial == serial)
    ]
    if not matching:
        what = f"board {board}" if board else "board"
        numbered = f" with serial number {serial}" if serial else ""
        for waiting in find_bootloaders(project, devices):
            if (board is None or board in waiting.boards) and serial in (None, waiting.serial):
                raise in_bootloader(waiting, board, project)
        raise NotAttached(
            f"no {what}{numbered} is attached",
            "plug one in (`hil boards` lists the ports), or name its port with --port",
        )
    if len(matching) > 1:
        raise UsageError(
            f"{len(matching)} boards are attached: {', '.join(map(str, matching))}",
            "select one: --port PORT"
            + (
                " or --serial NUMBER"
                if len({one.serial for one in matching}) == len(matching)
                else ""
            ),
        )
    (one,) = matching
    if wanted is None and len(one.boards) > 1:
        raise UsageError(
            f"port {one} may be {' or '.join(one.boards)}", "select one with --board NAME"
        )
    return wanted or load_board(one.boards[0], project), one


def in_bootloader(
    found: InBootloader, board: str | None = None, project: Path | None = None
) -> NotAttached:
    """The error for a board, ``board`` or one of the candidates, that runs its bootloader."""
    boards = [board] if board else list(found.boards)
    envs = " or ".join(load_board(name, project).pio_env for name in boards)
    return NotAttached(
        f"board {' or '.join(boards)} is in its bootloader ({found})",
        "press its reset button once to start its firmware; if it has none, upload the examples "
        f"with `pio run -t upload -e {envs}`, then your networks with `hil flash`",
    )


def _line(file: Path) -> str:
    try:
        return file.read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _describe(port: PortInfo, boards: Sequence[Board]) -> Attached:
    usb = "" if port.vid is None or port.pid is None else f"{port.vid:04x}:{port.pid:04x}"
    names = tuple(board.name for board in boards if usb and board.usb and usb in board.usb.ids)
    return Attached(port.device, port.description or "", usb, port.serial_number or "", names)
