"""What a run's memory and its board are, put on record: from ELF, STATUS, HELLO and USB."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from serial.tools import list_ports

from hil.bench.cells import Cell
from hil.engines import ENGINES
from hil.engines.registry import Special
from hil.errors import HilError, ModelError
from hil.platformio import Footprint
from hil.records import Hello, ModelInfo, Status
from hil.runlog.schema import Identity, Marks, Predicted, Share
from hil.tflite import read_model

# a constant array as engine aot writes it (hil.engines.aot.source)
_ARRAY: Final = re.compile(r"^static HIL_FLASH (\w+) (\w+)\[(\d+)\]", re.MULTILINE)
_SIZES: Final = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4, "uint32_t": 4, "float": 4}


def shares(found: Footprint | None) -> tuple[Share, ...]:
    """Whose each byte of an image is; empty when that is not known."""
    return tuple(
        Share(
            section=one.section,
            owner=one.owner,
            flash=one.flash,
            ram=one.ram,
            other_ram=one.other_ram,
        )
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


@dataclass(frozen=True, slots=True)
class _Planned:
    info: ModelInfo
    arrays: dict[str, int]  # bytes of each constant array of the generated C, by name


@lru_cache
def _planned(engine: str, name: str, path: Path, sha256: str) -> _Planned:
    """What the engine's generator says of a network; once for all runs of an image."""
    graph = read_model(path)
    if graph.sha256 != sha256:
        raise ModelError(f"{path} changed while it was read", "try again")
    compiled = ENGINES[engine].compile(graph, name, path, Special())
    arrays = {
        array: int(length) * _SIZES[ctype]
        for ctype, array, length in _ARRAY.findall(compiled.header)
        if ctype in _SIZES
    }
    return _Planned(compiled.info, arrays)


def _usb(port: str) -> tuple[str, str]:
    """vid:pid and serial number of a port, which may be a link to one; empty for any other."""
    if "://" in port:
        return "", ""
    device = str(Path(port).resolve())
    for one in list_ports.comports():
        if str(Path(one.device).resolve()) == device and one.vid is not None:
            return f"{one.vid:04x}:{one.pid or 0:04x}", one.serial_number or ""
    return "", ""


def predicted(cell: Cell, found: Footprint | None = None) -> Predicted | None:
    """What the cell's engine says of memory without building anything; None when it cannot.

    With the linked image it is also said which of the planned constants are not in it.
    """
    engine = cell.image.engine
    try:
        planned = {
            network.name: _planned(engine, network.name, network.path, network.graph.sha256)
            for network in cell.image.networks
        }
    except HilError:  # the build says why, if it matters
        return None
    own = planned[cell.network.name].info
    arrays = planned[cell.network.name].arrays
    held = found.symbols if found else frozenset()
    return Predicted(
        arena=own.arena,
        flash_model=own.flash,
        arena_reserved=max(1, *(one.info.arena for one in planned.values())),
        peak=own.arena + own.input.nbytes + own.output.nbytes,
        folded=sum(size for name, size in arrays.items() if name not in held) if held else 0,
    )
