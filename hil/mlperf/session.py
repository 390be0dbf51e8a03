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
from hil.energy import Instrument, Told
from hil.firmware import build
from hil.link import Link
from hil.link.serial_port import SerialLink
from hil.mlperf.data import DataFolder, open_data
from hil.mlperf.dut import Dut, DutTiming, Identity
from hil.mlperf.energy import Energy, EnergyWindow, measure_energy
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
    EnergySeen,
    RunFolder,
    SessionLog,
    StoredDevice,
    StoredEnergy,
    StoredResult,
    WindowSeen,
)
from hil.runs.schema import DatasetUsed

Mode: TypeAlias = Literal["accuracy", "performance", "energy"]
MODES: Final[tuple[Mode, ...]] = ("accuracy", "performance", "energy")


class Watcher(Protocol):
    """Shows the progress of a session."""

    def found(self, device: Identity, data: DataFolder) -> None: ...

    def done(self, count: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """``faults`` describes what is not as expected."""

    device: Identity
    data: DataFolder
    found: Accuracy | Performance | Energy
    retries: int
    folder: Path
    emulated: bool  # its times are not measurements
    faults: tuple[str, ...]


def refuse_emulated_time(
    mode: Mode, *, emulated: bool, instrument: Instrument | None = None
) -> None:
    """UsageError when times are requested from an emulator, or energy with a real instrument."""
    if emulated and mode == "energy" and not isinstance(instrument, Told):
        raise UsageError(
            "an emulator or a process of this computer has no energy that could be measured",
            "run --mode energy on a board, or try it with --power sim:",
        )
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
    instrument: Instrument | None = None,
) -> Outcome:
    """Run the data set in ``data`` on the device behind ``link`` and store all in ``out``.
    ``instrument``: of energy mode, and powering the device if it is to do that.

    Raises:
        UsageError: ``out`` is not empty; times are requested from an emulator.
        DataError: as `hil.mlperf.data.open_data`.
        DeviceError: the device is silent, disconnected, or violates the protocol.
    """
    refuse_emulated_time(mode, emulated=emulated, instrument=instrument)
    heard: list[str] = []  # lines that arrived before the log was open
    tell: list[Callable[[str], None]] = [heard.append]
    dut = Dut(link, timing or DutTiming(), lambda line: tell[0](line), read_back=read_back)
    device = dut.identify()
    emulated = emulated or device.vendor.endswith(NO_TIME)
    refuse_emulated_time(mode, emulated=emulated, instrument=instrument)
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
        found: Accuracy | Performance | Energy
        if mode == "accuracy":
            found = _accuracy(dut, found_data, session, done)
        elif mode == "performance":
            found = _performance(dut, found_data, session, done)
        else:
            assert instrument
            found = _energy(dut, found_data, session, done, instrument)
        performance = found if isinstance(found, Performance) else None
        energy = found if isinstance(found, Energy) else None
        folder.write(RESULTS_TEXT, session.results_text(found))
        folder.write(RESULTS_JSON, session.results_json(performance, energy))
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


def _energy(
    dut: Dut,
    data: DataFolder,
    session: SessionLog,
    done: Callable[[int, int], None],
    instrument: Instrument,
) -> Energy:
    items = data.items[:WINDOWS]
    samples = [data.segments(item)[0] for item in items]
    session.say(f"Recorded by {instrument.name}; {WARMUPS} inferences before each window")

    def window(number: int, one: EnergyWindow) -> None:
        session.say(f"Window {number + 1}, with {items[number % len(items)].file}:")
        session.energy(data, items[number % len(items)], one)
        done(number + 1, WINDOWS)

    return measure_energy(dut, samples, instrument, window, emulated=session.emulated)


def _faults(found: Accuracy | Performance | Energy) -> tuple[str, ...]:
    if isinstance(found, Energy):
        short = sum(not window.long_enough for window in found.windows)
        broken = [f"{short} of {len(found.windows)} windows are shorter than 10 s"] if short else []
        wrong = [f"window {i}: {one.fault}" for i, one in enumerate(found.windows, 1) if one.fault]
        return (*broken, *wrong)
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
    device: StoredDevice,
    mode: Mode,
    found: Accuracy | Performance | Energy,
    retries: int,
    *,
    emulated: bool,
) -> StoredResult:
    if isinstance(found, Energy):
        return StoredResult(1, mode, emulated, device, retries, energy=_stored_energy(found))
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


def _stored_energy(found: Energy) -> StoredEnergy:
    windows = tuple(
        EnergySeen(
            one.iterations,
            one.warmups,
            one.seconds,
            one.joules,
            None if one.inference.by_pin else one.inference.us,
            one.inference.whole,
            one.inference.gap,
        )
        for one in found.windows
    )
    return StoredEnergy(found.instrument, found.volts, found.simulated, found.median, windows)


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
