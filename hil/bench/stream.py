# SPDX-License-Identifier: Apache-2.0
"""One run: start the board, check that it is the right image, warm up, stream, store answers."""

from __future__ import annotations

import time

from hil.bench.account import identity, marks, shares
from hil.bench.events import Emit, Finished, Sink, Streaming
from hil.bench.lab import Firmware
from hil.bench.prepare import Prepared
from hil.bench.recovery import Conversation, Opens, Patience, disturbed
from hil.boards.config import Clock
from hil.core.records import Dataset, Hello, Measurement, ModelInfo
from hil.device.device import Answer
from hil.runs.agreement import Expected, compare, count
from hil.runs.schema import Memory, RunEnd


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
        for answer, hurt in talk.answers(first):
            measured = Measurement(
                answer.index,
                answer.result.output,
                board.clock.time(answer.result),
                answer.attempts,
                answer.round_trip,
                hurt,
            )
            sink.append(compare(key, data, expected, measured))
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


def _first(clock: Clock, warm_up: tuple[Answer, ...]) -> int | None:
    """Of the first inference; a latency only where nothing disturbed it."""
    if not warm_up or (clock.unit == "us" and disturbed(warm_up[0])):
        return None
    return count(clock.time(warm_up[0].result))


def _alone(warm_up: tuple[Answer, ...]) -> int | None:
    return min((one.round_trip for one in warm_up if not disturbed(one)), default=None)


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
