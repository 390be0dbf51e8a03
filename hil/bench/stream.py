"""One run: start the board, check that it is the right image, warm up, stream, store answers."""

from __future__ import annotations

import time
from itertools import islice

from hil.bench.events import Emit, Finished, Streaming
from hil.bench.plan import wire_inputs
from hil.bench.prepare import Prepared
from hil.boards.session import open_board
from hil.compare import Expected, compare
from hil.device import Device, Timing
from hil.errors import WrongFirmware
from hil.platformio import sizes
from hil.records import Dataset, Hello, Measurement, ModelInfo
from hil.runlog.log import RunLog
from hil.runlog.schema import Memory, RunEnd

WARMUP = 3


def stream(
    prepared: Prepared,
    data: Dataset,
    expected: Expected,
    log: RunLog,
    port: str | None,
    emit: Emit,
) -> None:
    """Answer whatever of ``data`` the log does not hold yet, then store how the run ended."""
    key, board = prepared.plan.key, prepared.cell.image.board
    first = log.done[key]
    started = time.monotonic()
    with open_board(board, prepared.firmware.elf, port) as link:
        device = Device(link, Timing(board.timeouts.boot, board.timeouts.reply))
        hello = device.hello()
        number, model = _find(hello, prepared)
        encoding, inputs = wire_inputs(data)
        device.status(reset=True)
        for _ in device.infer(number, encoding, islice(wire_inputs(data)[1], WARMUP)):
            pass
        answers = device.infer(
            number, encoding, islice(inputs, first, None), window=hello.window, first=first
        )
        emit(Streaming(key, first, len(data), device.retries))
        for answer in answers:
            measured = Measurement(
                answer.index,
                answer.result.output,
                board.clock.time(answer.result),
                answer.attempts,
            )
            log.append(compare(key, data, expected, measured))
            emit(Streaming(key, answer.index + 1, len(data), device.retries))
        stack = device.status().stack_used
    seconds = time.monotonic() - started
    size = sizes(prepared.firmware.elf)
    end = RunEnd(
        key=key,
        memory=Memory(
            arena=model.arena,
            flash_model=model.flash,
            flash_code=max(0, size.flash - sum(m.flash for m in hello.models)),
            ram_static=size.ram,
            stack=stack,
        ),
        bytes_out=device.bytes_out,
        bytes_in=device.bytes_in,
        seconds=seconds,
        retries=device.retries,
    )
    log.finish(end)
    emit(Finished(key, seconds))


def _find(hello: Hello, prepared: Prepared) -> tuple[int, ModelInfo]:
    """The number of the cell's model in the image; a wrong image is caught here."""
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
