"""One run: start the board, check that it is the right image, warm up, stream, store answers."""

from __future__ import annotations

import time
from functools import partial
from itertools import islice

from hil.bench.account import identity, marks, shares
from hil.bench.events import Emit, Finished, Streaming
from hil.bench.flash import observed
from hil.bench.lab import Firmware
from hil.bench.plan import wire_inputs
from hil.bench.prepare import Prepared
from hil.bench.sink import Sink
from hil.compare import Expected, compare, count
from hil.device import Device, Timing
from hil.errors import DataError, WrongFirmware
from hil.link import Link
from hil.records import Dataset, Hello, Measurement, ModelInfo
from hil.runlog.schema import Memory, RunEnd
from hil.wire.messages import INFER_OVERHEAD, Result

WARMUP = 3


def stream(
    prepared: Prepared,
    link: Link,
    data: Dataset,
    expected: Expected,
    sink: Sink,
    emit: Emit,
) -> None:
    """Answer whatever of ``data`` the sink does not hold yet, then store how the run ended."""
    key, board = prepared.plan.key, prepared.cell.image.board
    first = sink.done[key]
    started = time.monotonic()
    timing = Timing(board.timeouts.boot, board.timeouts.reply)
    device = Device(link, timing, board.serial.baud)
    hello = device.hello()
    device.speed_up(board.serial.faster)
    number, model = find(hello, prepared)
    encoding, inputs = wire_inputs(data)
    _check_room(hello, data)
    began = device.status(reset=True)
    idle, steps = device.idle_round_trip(), device.clock_steps()
    packs = hello.unpacks
    warm_up = list(device.infer(number, encoding, islice(inputs, WARMUP), pack=packs))
    emit(Streaming(key, first, len(data), device.retries))
    _, inputs = wire_inputs(data)
    rest = islice(inputs, first, None)
    ask = partial(device.infer, window=hello.window, room=hello.room, pack=packs)
    for answer in ask(number, encoding, rest, first=first):
        _check(answer.result, number, prepared)
        time_taken = board.clock.time(answer.result)
        measured = Measurement(
            answer.index, answer.result.output, time_taken, answer.attempts, answer.round_trip
        )
        sink.append(compare(key, data, expected, measured))
        emit(Streaming(key, answer.index + 1, len(data), device.retries))
    ended = device.status()
    end = RunEnd(
        key=key,
        memory=_memory(model, hello, prepared.firmware, ended.stack_used),
        bytes_out=device.bytes_out,
        bytes_in=device.bytes_in,
        seconds=time.monotonic() - started,
        retries=device.retries,
        answered=len(data) - first,
        first=count(board.clock.time(warm_up[0].result)) if warm_up else None,
        clock_step=board.clock.step(steps) if steps else None,
        idle_us=idle,
        alone_us=min((answer.round_trip for answer in warm_up), default=None),
        baud=link.baud,
        shares=shares(prepared.firmware.footprint),
        marks=marks(began, ended, prepared.firmware.footprint),
        identity=identity(hello, link.name),
    )
    device.slow_down()
    sink.finish(end)
    emit(Finished(key, end.seconds))


def _check_room(hello: Hello, data: Dataset) -> None:
    """A board short of RAM has a receive buffer for its model's own type alone."""
    wanted = INFER_OVERHEAD + data.x[0].nbytes
    if wanted > hello.max_payload:
        raise DataError(
            f"{data.name}: a sample takes a request of {wanted} bytes, "
            f"board {hello.board} holds {hello.max_payload}",
            "give uint8 pixels or int8 samples, or bench another board",
        )


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


def _check(result: Result, number: int, prepared: Prepared) -> None:
    spec = prepared.cell.network.graph.output
    if (result.model, result.dtype, len(result.output)) != (number, spec.dtype, spec.nbytes):
        raise WrongFirmware(
            f"{prepared.plan.key}: the board answered {len(result.output)} bytes of "
            f"{result.dtype.name} as model {result.model}, expected {spec.nbytes} of "
            f"{spec.dtype.name} as model {number}",
            "flash the image of this bench: `pio run -e <board> -t upload`",
        )


def find(hello: Hello, prepared: Prepared) -> tuple[int, ModelInfo]:
    """The number of the cell's model in the image; a wrong image is caught here."""
    if hello.has_layers and not prepared.cell.image.layers:
        raise observed(hello)
    name, sha256 = prepared.cell.network.name, prepared.plan.model_sha256
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
