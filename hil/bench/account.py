"""What a run's memory and its board are, put on record: from ELF, STATUS, HELLO and USB."""

from __future__ import annotations

from pathlib import Path

from serial.tools import list_ports

from hil.bench.cells import Cell
from hil.engines import ENGINES
from hil.errors import HilError
from hil.platformio import Footprint
from hil.records import Hello, Status
from hil.runlog.schema import Identity, Marks, Predicted, Share


def shares(found: Footprint | None) -> tuple[Share, ...]:
    """Whose each byte of an image is; empty when that is not known."""
    return tuple(
        Share(section=one.section, owner=one.owner, flash=one.flash, ram=one.ram)
        for one in (found.shares if found else ())
    )


def marks(began: Status, ended: Status, found: Footprint | None) -> Marks:
    """Memory in use: STATUS before the first inference and after the last, and the image."""
    return Marks(
        arena_reserved=found.arena if found else None,
        ram_static=ended.ram_static or None,
        stack=ended.stack_used if ended.stack_size else None,
        stack_size=ended.stack_size or None,
        heap_start=began.heap_used,
        heap_end=ended.heap_used,
        allocator=found.allocator if found else None,
    )


def identity(hello: Hello, port: str) -> Identity:
    """The board behind ``port``; its USB numbers where the port is one of this machine's."""
    usb, serial = _usb(port)
    return Identity(
        board=hello.board,
        firmware=hello.firmware,
        toolchain=hello.toolchain,
        protocol=hello.protocol,
        port=port,
        usb=usb,
        serial=serial,
    )


def _usb(port: str) -> tuple[str, str]:
    """vid:pid and serial number of a port, which may be a link to one; empty for any other."""
    if "://" in port:
        return "", ""
    device = str(Path(port).resolve())
    for one in list_ports.comports():
        if str(Path(one.device).resolve()) == device and one.vid is not None:
            return f"{one.vid:04x}:{one.pid or 0:04x}", one.serial_number or ""
    return "", ""


def predicted(cell: Cell) -> Predicted | None:
    """What the cell's engine says of memory before anything is built; None when it cannot."""
    engine = ENGINES[cell.image.engine]
    try:
        infos = {
            network.name: engine.compile(network.graph, network.name, network.path).info
            for network in cell.image.networks
        }
    except HilError:  # the build says why, if it matters
        return None
    own = infos[cell.network.name]
    return Predicted(
        arena=own.arena,
        flash_model=own.flash,
        arena_reserved=max(1, *(info.arena for info in infos.values())),
        peak=own.arena + own.input.nbytes + own.output.nbytes,
    )
