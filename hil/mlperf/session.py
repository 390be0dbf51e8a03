"""One session with a device: find it, measure, and store what it gave."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from hil.errors import UsageError
from hil.link import Link
from hil.mlperf.accuracy import Accuracy, Answer, score
from hil.mlperf.data import DataFolder, open_data
from hil.mlperf.dut import Dut, Identity, Timing
from hil.mlperf.folder import Device, Result, RunFolder, WindowSeen
from hil.mlperf.performance import WARMUPS, WINDOWS, Performance, Window, measure
from hil.mlperf.protocol import NO_TIME
from hil.mlperf.submission import RESULTS_JSON, RESULTS_TEXT, Session
from hil.runlog.schema import DatasetUsed

Mode: TypeAlias = Literal["accuracy", "performance"]
MODES: Final[tuple[Mode, ...]] = ("accuracy", "performance")


class Watcher(Protocol):
    """Told how far a session is."""

    def found(self, device: Identity, data: DataFolder) -> None: ...

    def done(self, count: int, total: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """``faults`` in words: empty when everything is as it should be."""

    device: Identity
    data: DataFolder
    found: Accuracy | Performance
    retries: int
    folder: Path
    emulated: bool  # no time of it is a measurement
    faults: tuple[str, ...]


def refuse_emulated_time(mode: Mode, *, emulated: bool) -> None:
    """UsageError for what an emulator cannot say: how long anything takes."""
    if emulated and mode == "performance":
        raise UsageError(
            "an emulator, or a process of this computer, has no inferences a second: its clock "
            "is no board's",
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
    timing: Timing | None = None,
    read_back: bool = False,
) -> Outcome:
    """Drive the device at the end of ``link`` through the set in ``data``, into the folder ``out``.

    Raises:
        UsageError: ``out`` is not empty; a time is asked of an emulator.
        DataError: as `hil.mlperf.data.open_data`.
        DeviceError: the device is silent, gone, or answers otherwise than its protocol has it.
    """
    refuse_emulated_time(mode, emulated=emulated)
    heard: list[str] = []  # before there is a log
    tell: list[Callable[[str], None]] = [heard.append]
    dut = Dut(link, timing or Timing(), lambda line: tell[0](line), read_back=read_back)
    device = dut.identify()
    emulated = emulated or device.vendor.endswith(NO_TIME)
    refuse_emulated_time(mode, emulated=emulated)
    found_data = open_data(data, device.model)
    folder = RunFolder(out, command, _used(found_data))
    session = Session(folder.log, mode[0], emulated=emulated)
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
        identity = Device(device.vendor, device.profile, device.model, link.name, link.baud)
        folder.write_result(_result(identity, mode, found, dut.retries, emulated=emulated))
    except BaseException as problem:
        folder.close("failed" if isinstance(problem, Exception) else "interrupted", str(problem))
        raise
    folder.close("complete")
    return Outcome(device, found_data, found, dut.retries, out, emulated, _faults(found))


def _accuracy(
    dut: Dut, data: DataFolder, session: Session, done: Callable[[int, int], None]
) -> Accuracy:
    answers = []
    for number, item in enumerate(data.items, 1):
        results = []
        for segment, values in enumerate(data.segments(item)):
            session.loading(item, segment)
            seen = dut.run(values)
            results.append(seen.values)
            session.answered(data, item, seen)
        answers.append(Answer(item.file, item.label, tuple(results)))
        done(number, len(data.items))
    return score(answers, data.classes)


def _performance(
    dut: Dut, data: DataFolder, session: Session, done: Callable[[int, int], None]
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
            f"{found.improper:,} of {found.n:,} results are no probabilities: the figures divide "
            "them by their sum as MLCommons' runner does; the firmware must print a softmax",
        )
    return ()


def _result(
    device: Device, mode: Mode, found: Accuracy | Performance, retries: int, *, emulated: bool
) -> Result:
    if isinstance(found, Accuracy):
        return Result(
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
    return Result(1, mode, emulated, device, retries, windows=windows, median=found.median)


def _used(data: DataFolder) -> DatasetUsed:
    n = len(data.items)
    return DatasetUsed(data.path.name, "test", data.fingerprint, n, n)


def _nobody(_count: int, _total: int) -> None:
    """Nobody watches."""
