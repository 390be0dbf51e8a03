# SPDX-License-Identifier: Apache-2.0
"""One run: start the board, check that it is the right image, warm up, stream, store answers."""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt

from hil.bench.account import identity, marks, shares
from hil.bench.events import Emit, Finished, Sink, Streaming
from hil.bench.expected import Expected
from hil.bench.lab import Firmware
from hil.bench.prepare import Prepared
from hil.bench.recovery import Conversation, Opens, Patience
from hil.boards.config import Clock
from hil.core.records import Dataset, DeviceTime, Hello, ModelInfo
from hil.device import Answer
from hil.runs.agreement import is_disturbed
from hil.runs.schema import Memory, RunEnd, Sample


def stream(
    prepared: Prepared,
    opens: Opens,
    data: Dataset,
    expected: Expected,
    sink: Sink,
    emit: Emit,
    patience: Patience,
    *,
    known: bool = False,
) -> None:
    """Answer whatever of ``data`` the sink does not hold yet, then store how the run ended.

    ``opens`` gives a link to the board, again after the one before was lost; ``known``: it did so
    for an earlier run. Raises what
    `hil.bench.recovery` cannot mend.
    """
    key, board = prepared.plan.key, prepared.case.image.board
    first = sink.done[key]
    started = time.monotonic()
    with Conversation(prepared, opens, data, emit, patience, known=known) as talk:
        tally, greeted = talk.tally, talk.first
        emit(Streaming(key, first, len(data), tally.retries))
        for answer, disturbed in talk.answers(first):
            time_taken = stored_time(board.clock.time(answer.result))
            sink.append(_sample(key, data, expected, answer, time_taken, disturbed=disturbed))
            emit(Streaming(key, answer.index + 1, len(data), tally.retries))
        ended = talk.last_status()
        end = RunEnd(
            key=key,
            memory=_memory(greeted.model, greeted.hello, prepared.firmware, ended.stack_used),
            bytes_out=tally.bytes_out,
            bytes_in=tally.bytes_in,
            seconds=time.monotonic() - started,
            retries=tally.retries,
            answered=len(data) - first,
            first=_first(board.clock, greeted.warm_up),
            clock_step=board.clock.step(greeted.steps) if greeted.steps else None,
            idle_us=greeted.idle,
            alone_us=_alone(greeted.warm_up),
            baud=talk.link.baud,
            shares=shares(prepared.firmware.footprint),
            marks=marks(greeted.before, ended, prepared.firmware.footprint),
            identity=identity(greeted.hello, talk.link.name),
            faults=tally.faults,
        )
    sink.finish(end)
    emit(Finished(key, end.seconds))


def stored_time(time: DeviceTime) -> int | None:
    """A device's time as it is stored: a bare number in the unit of the run's clock."""
    return None if time is None else time.amount


def _sample(
    key: str,
    data: Dataset,
    expected: Expected,
    answer: Answer,
    time: int | None,
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
        time=time,
        attempts=answer.attempts,
        round_trip=answer.round_trip,
        disturbed=disturbed,
    )


def _first(clock: Clock, warm_up: tuple[Answer, ...]) -> int | None:
    """Of the first inference; a latency only where nothing disturbed it."""
    if not warm_up or (clock.unit == "us" and is_disturbed(warm_up[0])):
        return None
    return stored_time(clock.time(warm_up[0].result))


def _alone(warm_up: tuple[Answer, ...]) -> int | None:
    return min((one.round_trip for one in warm_up if not is_disturbed(one)), default=None)


def _memory(model: ModelInfo, hello: Hello, firmware: Firmware, stack: int) -> Memory:
    """Code is what the image holds beyond the constants of all its models."""
    constants = sum(one.flash for one in hello.models)
    return Memory(
        arena=model.arena,
        flash_model=model.flash,
        flash_code=max(0, firmware.flash - constants),
        ram_static=firmware.ram,
        stack=stack,
    )
