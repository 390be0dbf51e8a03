# SPDX-License-Identifier: Apache-2.0
"""A run's record of its memory and its board: from the ELF file, STATUS, HELLO and USB."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from serial.tools import list_ports

from hil.bench.plan import Case
from hil.core.errors import HilError
from hil.core.records import Hello, Status
from hil.engines import ENGINES, CompiledModel, Special
from hil.firmware import Footprint
from hil.runs.schema import Identity, Marks, Predicted, Share
from hil.tflite import Graph


def shares(found: Footprint | None) -> tuple[Share, ...]:
    """The owners of an image's bytes; empty when they are not known."""
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
    """Memory in use: STATUS before the first and after the last inference, and the image."""
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
    """The board behind ``port``; with its USB numbers if this machine has that port."""
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


@lru_cache
def _compiled(engine: str, name: str, graph: Graph) -> CompiledModel:
    return ENGINES[engine].compile(graph, name, f"{name}.tflite", Special())


def _usb(port: str) -> tuple[str, str]:
    """vid:pid and serial number of a port, possibly behind a symlink; empty for other ports."""
    if "://" in port:
        return "", ""
    device = str(Path(port).resolve())
    for one in list_ports.comports():
        if str(Path(one.device).resolve()) == device and one.vid is not None:
            return f"{one.vid:04x}:{one.pid or 0:04x}", one.serial_number or ""
    return "", ""


def predicted(
    case: Case, compiled: Sequence[CompiledModel] = (), found: Footprint | None = None
) -> Predicted | None:
    """What the case's engine says of memory before anything runs; None when it cannot.

    ``compiled`` are the image's models, which are compiled here if nothing built them. With the
    linked image ``found`` it also says how many bytes of the generated constants are not in it,
    because the compiler folded them into code.
    """
    image = case.image
    try:
        models = {
            model.info.name: model
            for model in compiled
            or [_compiled(image.engine, one.name, one.graph) for one in image.networks]
        }
    except HilError:  # the build says why, if it matters
        return None
    own = models[case.network.name]
    held = found.symbols if found else frozenset()
    return Predicted(
        arena=own.info.arena,
        flash_model=own.info.flash,
        arena_reserved=max(1, *(one.info.arena for one in models.values())),
        peak=own.info.arena + own.info.input.nbytes + own.info.output.nbytes,
        folded=sum(one.nbytes for one in own.arrays if one.name not in held) if held else 0,
    )
