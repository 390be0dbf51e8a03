# SPDX-License-Identifier: Apache-2.0
"""One run: send every sample to the board, store every answer and how the run ended."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from serial.tools import list_ports

from hil.bench.cases import SketchCase
from hil.bench.events import Emit, Finished, Sink, Streaming
from hil.bench.expected import Expected, expect
from hil.bench.lab import Firmware, Lab, is_sketch
from hil.bench.prepare import Prepared
from hil.bench.session import Patience, Session
from hil.bench.user import failure
from hil.boards.config import BoardClock
from hil.core.records import Dataset, DeviceTime, Hello, ModelInfo, Status
from hil.device import Answer, Failure
from hil.firmware import Footprint
from hil.runs.agreement import is_disturbed
from hil.runs.schema import Identity, Marks, Memory, RunEnd, Sample, Share


@dataclass
class Streamer:
    """Carries out runs, one after the other.

    ``known``: names of the stations seen so far; if one of them is missing, the run waits for it.
    """

    data: Dataset
    lab: Lab
    patience: Patience
    known: set[str] = field(default_factory=set)

    def __call__(self, item: Prepared, sink: Sink, emit: Emit) -> None:
        """Store the answer to each sample that ``sink`` does not have yet, then how the run ended.

        Raises the errors that `hil.bench.session.Session` cannot recover from.
        """
        expected = expect(item, self.data, emit)
        case, key = item.case, item.plan.key
        opens = partial(self.lab.open, case.station, case.image, item.firmware)
        known = case.station.name in self.known
        first, started = sink.done[key], time.monotonic()
        with Session(item, opens, self.data, emit, self.patience, known=known) as session:
            emit(Streaming(key, first, len(self.data), session.totals.retries))
            for answer, disturbed in session.answers(first):
                sink.append(_stored(item, self.data, expected, answer, disturbed=disturbed))
                done = answer.index + 1
                emit(Streaming(key, done, len(self.data), session.totals.retries))
            end = _end(item, session, len(self.data) - first, started)
        sink.finish(end)
        emit(Finished(key, end.seconds))
        self.known.add(case.station.name)


def stored_time(time: DeviceTime) -> int | None:
    """A device's time as it is stored: a bare number in the unit of the run's clock."""
    return None if time is None else time.amount


def _stored(
    item: Prepared,
    data: Dataset,
    expected: Expected,
    answer: Answer | Failure,
    *,
    disturbed: bool,
) -> Sample:
    """One answer as it is stored: with its outputs, or with the reason why it does not count."""
    key, i = item.plan.key, answer.index
    why = failure(answer, item.plan) if isinstance(item.case, SketchCase) else ""
    if isinstance(answer, Failure) or why:
        return Sample(
            run=key,
            i=i,
            id=data.ids[i],
            label=int(data.y[i]),
            device=b"",
            attempts=answer.attempts,
            round_trip=answer.round_trip,
            disturbed=disturbed,
            failed=why,
        )
    taken = stored_time(item.case.image.board.clock.time(answer.result))
    return _sample(key, data, expected, answer, taken, disturbed=disturbed)


def _sample(
    key: str,
    data: Dataset,
    expected: Expected,
    answer: Answer,
    taken: int | None,
    *,
    disturbed: bool,
) -> Sample:
    """One answer as it is stored: references only where they differ from the device."""
    i, device = answer.index, answer.result.output

    def unless_equal(reference: npt.NDArray[np.generic] | None) -> bytes | None:
        raw = None if reference is None else reference[i].tobytes()
        return None if raw == device else raw

    return Sample(
        run=key,
        i=i,
        id=data.ids[i],
        label=int(data.y[i]),
        device=device,
        litert=unless_equal(expected.litert),
        oracle=unless_equal(expected.oracle),
        xnnpack=unless_equal(expected.xnnpack),
        time=taken,
        attempts=answer.attempts,
        round_trip=answer.round_trip,
        disturbed=disturbed,
    )


def _end(item: Prepared, session: Session, answered: int, started: float) -> RunEnd:
    """What is known about a run after its last answer."""
    ready, totals, clock = session.first, session.totals, item.case.image.board.clock
    status = session.last_status()
    return RunEnd(
        key=item.plan.key,
        memory=_memory(ready.model, ready.hello, item.firmware, status.stack_used),
        bytes_out=totals.bytes_out,
        bytes_in=totals.bytes_in,
        seconds=time.monotonic() - started,
        retries=totals.retries,
        answered=answered,
        first=_first(clock, ready.warm_up),
        clock_step=clock.step(ready.steps) if ready.steps else None,
        idle_us=ready.idle,
        alone_us=_alone(ready.warm_up),
        baud=session.link.baud,
        shares=_shares(item.firmware.footprint),
        marks=_marks(ready.before, status, item.firmware.footprint),
        identity=_identity(ready.hello, session.link.name),
        faults=totals.faults,
    )


def _first(clock: BoardClock, warm_up: tuple[Answer, ...]) -> int | None:
    """Time of the first inference; a latency only where nothing disturbed it."""
    if not warm_up or (clock.unit == "us" and is_disturbed(warm_up[0])):
        return None
    return stored_time(clock.time(warm_up[0].result))


def _alone(warm_up: tuple[Answer, ...]) -> int | None:
    """Shortest round trip of an inference with no other in flight."""
    return min((one.round_trip for one in warm_up if not is_disturbed(one)), default=None)


def _memory(model: ModelInfo, hello: Hello, firmware: Firmware, stack: int) -> Memory:
    """Code is the image's flash without the constants of all its models."""
    constants = sum(one.flash for one in hello.models)
    known = not is_sketch(hello)  # a sketch reports 0 for what it does not know
    return Memory(
        arena=model.arena if known else model.arena or None,
        flash_model=model.flash if known else model.flash or None,
        flash_code=None if firmware.flash is None else max(0, firmware.flash - constants),
        ram_static=firmware.ram,
        stack=stack,
    )


def _shares(found: Footprint | None) -> tuple[Share, ...]:
    """The owners of an image's bytes; empty without a linked image."""
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


def _marks(began: Status, ended: Status, found: Footprint | None) -> Marks:
    """Memory in use, from STATUS before the first and after the last inference, and the image."""
    return Marks(
        arena_reserved=found.arena if found else None,
        ram_static=ended.ram_static or None,
        stack=ended.stack_used if ended.stack_size else None,
        stack_size=ended.stack_size or None,
        heap_start=began.heap_used,
        heap_end=ended.heap_used,
        allocator=found.allocator if found else None,
    )


def _identity(hello: Hello, port: str) -> Identity:
    """Which board answered, with its USB numbers if this machine has that port."""
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
    """vid:pid and serial number of a USB port, possibly a symlink; empty for other ports."""
    if "://" in port:
        return "", ""
    device = str(Path(port).resolve())
    for one in list_ports.comports():
        if str(Path(one.device).resolve()) == device and one.vid is not None:
            return f"{one.vid:04x}:{one.pid or 0:04x}", one.serial_number or ""
    return "", ""
