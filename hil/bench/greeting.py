# SPDX-License-Identifier: Apache-2.0
"""A board before its first digit: HELLO, the line's rate, the right image, marks, a warm-up."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import Final

from hil.bench.lab import observed
from hil.bench.plan import wire_inputs
from hil.bench.prepare import Prepared
from hil.core.errors import DataError, WrongFirmware
from hil.core.records import ClockSteps, Dataset, Hello, LineCounts, ModelInfo, Status
from hil.device import Answer, Device, Timing
from hil.link import Link, clock_of
from hil.wire.messages import INFER_OVERHEAD, Result

WARMUP: Final = 3
IDLE: Final = 5  # requests that compute nothing


@dataclass(frozen=True, slots=True)
class Greeted:
    """A board that is ready to be asked, and what it said before.

    ``before``: its STATUS before the counters were set to nought. ``idle``: microseconds of an
    empty round trip.
    """

    device: Device
    hello: Hello
    number: int
    model: ModelInfo
    before: Status
    idle: int
    steps: ClockSteps | None
    heard: LineCounts  # when it had said HELLO: boot text came before
    warm_up: tuple[Answer, ...]

    @property
    def packs(self) -> bool:
        """Whether inputs may travel packed."""
        return self.hello.unpacks


def address(prepared: Prepared, link: Link) -> Device:
    """The board behind ``link``, whatever it does just now, at the rate of boot."""
    board = prepared.case.image.board
    if link.baud != board.serial.baud:
        link.set_baud(board.serial.baud)
    timing = Timing(board.timeouts.boot, board.timeouts.reply, clock=clock_of(link))
    return Device(link, timing, board.serial.baud)


def greet(prepared: Prepared, device: Device, data: Dataset) -> Greeted:
    """Wait until the board has booted, check that it runs the image of this run, and warm it up.

    Raises WrongFirmware, DataError, and what `hil.device.Device` raises.
    """
    hello = device.hello()
    heard = device.counts
    device.speed_up(prepared.case.image.board.serial.faster)
    number, model = find(hello, prepared)
    _check_room(hello, data)
    before = device.status(reset=True)
    idle, steps = device.idle_round_trip(IDLE), device.clock_steps()
    encoding, inputs = wire_inputs(data)
    warm_up = device.infer(number, encoding, islice(inputs, WARMUP), pack=hello.unpacks)
    return Greeted(device, hello, number, model, before, idle, steps, heard, tuple(warm_up))


def _check_room(hello: Hello, data: Dataset) -> None:
    """A board short of RAM has a receive buffer for its model's own type alone."""
    wanted = INFER_OVERHEAD + data.x[0].nbytes
    if wanted > hello.max_payload:
        raise DataError(
            f"{data.name}: a sample takes a request of {wanted} bytes, "
            f"board {hello.board} holds {hello.max_payload}",
            "give uint8 pixels or int8 samples, or bench another board",
        )


def check_result(result: Result, number: int, prepared: Prepared) -> None:
    """WrongFirmware unless an answer is of the case's model, and as long as its output."""
    spec = prepared.case.network.graph.output
    if (result.model, result.dtype, len(result.output)) != (number, spec.dtype, spec.nbytes):
        raise WrongFirmware(
            f"{prepared.plan.key}: the board answered {len(result.output)} bytes of "
            f"{result.dtype.name} as model {result.model}, expected {spec.nbytes} of "
            f"{spec.dtype.name} as model {number}",
            "flash the image of this bench: `pio run -e <board> -t upload`",
        )


def find(hello: Hello, prepared: Prepared) -> tuple[int, ModelInfo]:
    """The number of the case's model in the image; a wrong image is caught here."""
    if hello.has_layers and not prepared.case.image.layers:
        raise observed(hello)
    name, sha256 = prepared.case.network.name, prepared.plan.model_sha256
    for number, model in enumerate(hello.models):
        if model.name == name:
            if model.sha256 == sha256 and model.engine == prepared.plan.engine:
                return number, model
            raise WrongFirmware(
                f"board {hello.board} runs {name} {model.sha256[:12]} by {model.engine}, "
                f"expected {sha256[:12]} by {prepared.plan.engine}",
                "flash the image of this bench: `pio run -e <board> -t upload`",
            )
    raise WrongFirmware(
        f"board {hello.board} has no model {name} (it has "
        f"{', '.join(m.name for m in hello.models) or 'none'})",
        "flash the image of this bench: `pio run -e <board> -t upload`",
    )
