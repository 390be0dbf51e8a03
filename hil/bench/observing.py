"""Firmware that shows its layers: built, started and asked, beside the one that is measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from hil.bench.greeting import find
from hil.bench.lab import Lab
from hil.bench.plan import Plan
from hil.bench.prepare import Prepared
from hil.device import Device, Timing
from hil.engines import ENGINES
from hil.errors import HilError


@dataclass(frozen=True, slots=True)
class Observed:
    """A run whose firmware shows its layers, the board with it, and the model's number there."""

    item: Prepared
    device: Device
    number: int


def unobservable(item: Prepared, lab: Lab) -> str:
    """Why a run's layers cannot be looked at; empty when they can."""
    engine = item.cell.image.engine
    if not ENGINES[engine].layers(item.cell.network.graph):
        return f"engine {engine} does not answer layer by layer"
    return lab.unobservable(item.cell.station)


@contextmanager
def observed(plan: Plan, item: Prepared, lab: Lab) -> Iterator[Observed]:
    """Build the same image with layers and start it; afterwards the board holds what it held.

    Raises `HilError` as building, opening and asking do.
    """
    cell = item.cell
    image = replace(cell.image, layers=True)
    try:
        firmware = lab.build(image, plan.project)
        looked_at = replace(item, cell=replace(cell, image=image), firmware=firmware)
        with lab.open(cell.station, image, firmware) as link:
            board = image.board
            timing = Timing(board.timeouts.boot, board.timeouts.reply)
            device = Device(link, timing, board.serial.baud)
            number, _ = find(device.hello(), looked_at)
            device.speed_up(board.serial.faster)
            yield Observed(looked_at, device, number)
            device.slow_down()
    finally:
        _put_back(item, lab)


def _put_back(item: Prepared, lab: Lab) -> None:
    """Leave a board that was flashed with what it ran before."""
    cell = item.cell
    # whoever measures next is told, if this fails: HELLO says what runs
    if cell.station.port:
        with suppress(HilError), lab.open(cell.station, cell.image, item.firmware):
            pass
