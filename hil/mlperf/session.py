# SPDX-License-Identifier: Apache-2.0
"""One session with a device: open its port, measure it and store the results."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from hil.bench.plan import Request, choose_image, one_of_each
from hil.boards.config import Board
from hil.boards.session import open_board, open_port
from hil.core.errors import UsageError
from hil.core.text import storable
from hil.firmware import build
from hil.link import Link
from hil.link.serial_port import SerialLink
from hil.mlperf.data import DataFolder, open_data
from hil.mlperf.dut import Dut, DutTiming, Identity
from hil.mlperf.measure import (
    WARMUPS,
    WINDOWS,
    Accuracy,
    FileResults,
    Performance,
    Window,
    measure,
    score,
)
from hil.mlperf.protocol import NO_TIME
from hil.mlperf.submission import (
    RESULTS_JSON,
    RESULTS_TEXT,
    RunFolder,
    SessionLog,
    StoredDevice,
    StoredResult,
    WindowSeen,
)
from hil.runs.schema import DatasetUsed

Mode: TypeAlias = Literal["accuracy", "performance"]
MODES: Final[tuple[Mode, ...]] = ("accuracy", "performance")


class Watcher(Protocol):
    """Shows the progress of a session."""

    def found(self, device: Identity, data: DataFolder) -> None: ...

    def done(self, count: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """``faults`` describes what is not as expected."""

    device: Identity
    data: DataFolder
    found: Accuracy | Performance
    retries: int
    folder: Path
    emulated: bool  # its times are not measurements
    faults: tuple[str, ...]


def refuse_emulated_time(mode: Mode, *, emulated: bool) -> None:
    """UsageError when times are requested from an emulator."""
    if emulated and mode == "performance":
        raise UsageError(
            "inferences per second cannot be measured on an emulator or a process of this computer",
            "run --mode accuracy on it, and --mode performance on a board",
        )


def run(
    link: Link,
    data: Path,
    out: Path,
    mode: Mode,
    *,
    emulated: bool,
    command: Sequence[str] = (),
    watcher: Watcher | None = None,
    timing: DutTiming | None = None,
    read_back: bool = False,
) -> Outcome:
    """Run the data set in ``data`` on the device behind ``link`` and store all in ``out``.

    Raises:
        UsageError: ``out`` is not empty; times are requested from an emulator.
        DataError: as `hil.mlperf.data.open_data`.
        DeviceError: the device is silent, disconnected, or violates the protocol.
    """
    refuse_emulated_time(mode, emulated=emulated)
    heard: list[str] = []  # lines that arrived before the log was open
    tell: list[Callable[[str], None]] = [heard.append]
    dut = Dut(link, timing or DutTiming(), lambda line: tell[0](line), read_back=read_back)
    device = dut.identify()
    emulated = emulated or device.vendor.endswith(NO_TIME)
    refuse_emulated_time(mode, emulated=emulated)
    found_data = open_data(data, device.model)
    folder = RunFolder(out, command, _used(found_data))
    session = SessionLog(folder.log, mode[0], emulated=emulated)
    try:
        for line in heard:
            session.heard(line)
        session.named(device)
        tell[0] = session.heard
        if watcher:
            watcher.found(device, found_data)
        done = watcher.done if watcher else _nobody
        found: Accuracy | Performance
        if mode == "accuracy":
            found = _accuracy(dut, found_data, session, done)
        else:
            found = _performance(dut, found_data, session, done)
        performance = found if isinstance(found, Performance) else None
        folder.write(RESULTS_TEXT, session.results_text(found))
        folder.write(RESULTS_JSON, session.results_json(performance))
        identity = StoredDevice(device.vendor, device.profile, device.model, link.name, link.baud)
        folder.write_result(_result(identity, mode, found, dut.retries, emulated=emulated))
    except BaseException as problem:
        folder.close("failed" if isinstance(problem, Exception) else "interrupted", str(problem))
        raise
    folder.close("complete")
    return Outcome(device, found_data, found, dut.retries, out, emulated, _faults(found))


def _accuracy(
    dut: Dut, data: DataFolder, session: SessionLog, done: Callable[[int, int], None]
) -> Accuracy:
    answers = []
    for number, item in enumerate(data.items, 1):
        results = []
        for segment, values in enumerate(data.segments(item)):
            session.loading(item, segment)
            seen = dut.run(values)
            results.append(seen.values)
            session.answered(data, item, seen)
        answers.append(FileResults(item.file, item.label, tuple(results)))
        done(number, len(data.items))
    return score(answers, data.classes)


def _performance(
    dut: Dut, data: DataFolder, session: SessionLog, done: Callable[[int, int], None]
) -> Performance:
    items = data.items[:WINDOWS]
    samples = [data.segments(item)[0] for item in items]
    session.say(f"Warm-up of {WARMUPS} inferences before each window")

    def window(number: int, one: Window) -> None:
        session.window(number, data, items[number % len(items)], one)
        done(number + 1, WINDOWS)

    return measure(dut, samples, window)


def _faults(found: Accuracy | Performance) -> tuple[str, ...]:
    if isinstance(found, Performance):
        short = sum(not window.long_enough for window in found.windows)
        return (f"{short} of {len(found.windows)} windows are shorter than 10 s",) if short else ()
    if found.improper:
        return (
            f"{found.improper:,} of {found.n:,} results are not probabilities: the figures divide "
            "them by their sum as MLCommons' runner does; the firmware must print a softmax",
        )
    return ()


def _result(
    device: StoredDevice, mode: Mode, found: Accuracy | Performance, retries: int, *, emulated: bool
) -> StoredResult:
    if isinstance(found, Accuracy):
        return StoredResult(
            1,
            mode,
            emulated,
            device,
            retries,
            n=found.n,
            correct=found.correct,
            top1=found.top1,
            auc=found.auc,
            improper=found.improper,
        )
    windows = tuple(
        WindowSeen(one.iterations, one.warmups, one.us, one.inference.whole, one.inference.gap)
        for one in found.windows
    )
    return StoredResult(1, mode, emulated, device, retries, windows=windows, median=found.median)


def _used(data: DataFolder) -> DatasetUsed:
    n = len(data.items)
    return DatasetUsed(storable(data.path.name), "test", data.fingerprint, n, n)


def _nobody(_count: int, _total: int) -> None:
    """Show nothing."""


BAUD: Final = 115_200  # of MLCommons' reference devices
_PTY: Final = re.compile("/dev/(pts/|ttys[0-9]+$)")  # Linux, macOS


@dataclass(frozen=True, slots=True)
class Target:
    """``emulated``: its times are not measurements."""

    link: Link
    emulated: bool


def is_pty(port: str) -> bool:
    """Whether ``port`` leads to a program on this computer, not to a device."""
    return bool(_PTY.match(str(Path(port).resolve())))


@contextmanager
def on_port(
    port: str, baud: int | None, board: Board | None, *, emulated: bool
) -> Iterator[Target]:
    """The device on ``port``; ``board`` defines how to set up the port."""
    link = open_port(board, port) if board else SerialLink(port, baud or BAUD)
    try:
        if baud and link.baud != baud:
            link.set_baud(baud)
        yield Target(link, emulated)
    finally:
        link.close()


@contextmanager
def on_board(
    board: Board,
    project: Path,
    model: str,
    precision: str | None,
    engine: str,
    dataset: str,
) -> Iterator[Target]:
    """An emulated board that runs only ``model`` (a name, or a .tflite file), built and started.

    UsageError for a board that is not emulated, and for a network that the protocol cannot carry.
    """
    if board.emulator is None:
        own = model if model.endswith(".tflite") else "FILE.tflite"
        raise UsageError(
            f"board {board.name} is not emulated",
            f"flash it (hil flash --board {board.name} --model {own}), then pass its --port too",
        )
    request = Request(
        project=project,
        boards=(board.name,),
        models=(model,),
        precisions=(precision,) if precision else (),
        engines=(engine,),
        dataset=dataset,
    )
    image = choose_image(request)
    networks = [one for one in image.networks if one.name == model] or list(image.networks)
    for network in networks:
        one_of_each(network, "MLPerf Tiny's protocol")
    models = [(one.name, one.graph) for one in networks]
    firmware = build(board.pio_env, models, image.engine, project)
    with open_board(board, firmware.elf) as link:
        yield Target(link, emulated=True)
