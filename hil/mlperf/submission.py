# SPDX-License-Identifier: Apache-2.0
"""The files of a session: three in the format of MLCommons' runner, and those of a run folder.

`log.txt` is the session line by line, `results.txt` the lines that other programs read,
`results.json` a list of the results per file or window. For an emulator they contain no times:
those keys and lines are omitted, and the first line (a key of each record) gives the reason.
`mlperf.json` has our own figures.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final, Literal

import msgspec

import hil
from hil.bench.store import git_state, host
from hil.core.errors import StorageError, UsageError
from hil.core.files import replace_file
from hil.core.text import printable, storable
from hil.mlperf.data import DataFolder, Item
from hil.mlperf.dut import Identity, Inference
from hil.mlperf.energy import Energy, EnergyWindow
from hil.mlperf.measure import SHORTEST_S, WINDOWS, Accuracy, Performance, Window
from hil.runs.log import storage_error
from hil.runs.schema import MANIFEST, MLPERF, SCHEMA, DatasetUsed, Manifest, State, Stored
from hil.runs.seal import hash_file, own_files, pretty, sealed

LOG, RESULTS_TEXT, RESULTS_JSON = "log.txt", "results.txt", "results.json"
SIMULATED: Final = (
    "SIMULATED: a simulated instrument recorded this session. No energy in it is a measurement."
)
EMULATED: Final = (
    "EMULATED: the device under test was an emulator or a process of this computer. "
    "Its answers count; no time in this session is a measurement."
)
_RULE: Final = 57 * "-"
Record = dict[str, Any]  # of results.json


def stamp(now: datetime) -> str:
    """The prefix of the runner's lines."""
    return f"{now:%m%d.%H%M%S} ulp-mlperf:"


class SessionLog:
    """Logs a session, line by line to ``write``, and keeps the records for `results.json`."""

    def __init__(
        self,
        write: Callable[[str], None],
        mode: str,
        *,
        emulated: bool,
        now: Callable[[], datetime] = datetime.now,
    ) -> None:
        self._write, self._mode, self._now, self.emulated = write, mode, now, emulated
        self.records: list[Record] = []
        if emulated:
            write(EMULATED)

    def heard(self, line: str) -> None:
        """Log a line of the device."""
        if line.startswith("m-buffer-"):
            return
        if line and line != "m-ready" and not (self.emulated and line.startswith("m-lap-us")):
            self._write(f"RX:{line}")

    def say(self, text: str) -> None:
        """Log a line with the time of day."""
        self._write(f"{stamp(self._now())} {text}")

    def named(self, device: Identity) -> None:
        """Log how the device identifies itself."""
        self._write(f"Device name retrieved: {device.vendor}")
        self._write(f"Device profile retrieved: {device.profile}")
        self._write(f"Device model retrieved: {device.model}")

    def loading(self, item: Item, segment: int) -> None:
        """Log that a sample is about to be sent."""
        self.say(f"Loading file {item.file} segment {segment}")

    def answered(
        self,
        data: DataFolder,
        item: Item,
        seen: Inference,
        iterations: int = 1,
        warmups: int = 0,
        rate: float | None = None,
    ) -> None:
        """Record one `infer`; ``rate``: inferences per second, in performance mode only."""
        self.say(f"Performance results for window {len(self.records) + 1}:")
        self.say(f"  # Inferences : {iterations:>13}")
        if not self.emulated and not seen.by_pin:
            self.say(f"  Runtime      : {seen.us / 1e6:>10.3f} sec.")
            self.say(
                f"  Throughput   : {iterations / (seen.us / 1e6 or math.inf):>10.3f} inf./sec."
            )
        self.say(f"  m-results    : {list(seen.values)}")
        infer: Record = {"results": list(seen.values)}
        if not self.emulated and not seen.by_pin:
            infer |= {"start_time": seen.start, "end_time": seen.end, "elapsed_time": seen.us}
        infer |= {"total_inferences": 1, "iterations": iterations, "warmups": warmups}
        if rate is not None:
            infer["throughput"] = rate
        record: Record = {
            "file": item.file,
            "classes": str(data.classes),
            "class": str(item.label),
            "bytes_to_send": str(item.segment) if item.segment else None,
            "stride": str(item.stride) if item.stride else None,
            "total_length": item.count or None,
            "infer": infer,
            "mode": self._mode,
        }
        self.records.append(record | ({"emulated": True} if self.emulated else {}))

    def energy(self, data: DataFolder, item: Item, one: EnergyWindow) -> None:
        """Record a window of energy mode."""
        self.answered(data, item, one.inference, one.iterations, one.warmups)
        self.say(f"  Captured samples:{len(one.samples)} timestamps:{len(one.edges)}")
        marks = [[f"{i:02}", edge] for i, edge in enumerate(one.edges)]
        self.records[-1]["power"] = {
            "samples": one.samples,
            "timestamps": marks,
            "extracted_power": None,
        }

    def window(self, number: int, data: DataFolder, item: Item, one: Window) -> None:
        """Record a window of performance mode."""
        self.say(f"Window {number + 1}, with {item.file}:")
        self.answered(data, item, one.inference, one.iterations, one.warmups, one.rate)

    def results_json(
        self, performance: Performance | None = None, energy: Energy | None = None
    ) -> bytes:
        """The content of the file, with the runner's records for broken rules."""
        if energy:
            self.records = self.records[-len(energy.windows) :]  # without those that were repeated
            for record in self.records:
                record["power"]["voltage"] = energy.volts
                record |= {"simulated": True} if energy.simulated else {}
        errors = []
        if performance and len(performance.windows) != WINDOWS:
            errors.append({"error": "error 1", "mode": self._mode})
        if performance and not all(one.long_enough for one in performance.windows):
            errors.append({"error": "error 2", "mode": self._mode})
        return json.dumps([*self.records, *errors], allow_nan=False).encode() + b"\n"

    def results_text(self, found: Accuracy | Performance | Energy) -> bytes:
        """The content of the file; every line has the runner's format."""
        lines = [EMULATED] if self.emulated else []
        begins = f"{stamp(self._now())} "
        if isinstance(found, Accuracy):
            lines += [
                f"{begins}Top 1% = {found.top1:2.1f}",
                f"{begins}AUC = {found.auc:.3f}",
            ]
        elif isinstance(found, Energy):
            lines += [SIMULATED] if found.simulated else []
            lines += _energy(found)
        else:
            lines += _windows(found.windows)
            lines += _verdict(found, begins)
        return ("\n".join(lines) + "\n").encode()


def _windows(windows: Sequence[Window]) -> list[str]:
    lines = []
    for number, one in enumerate(windows, 1):
        lines += [
            f"Performance results for window {number}",
            f"    # Inferences : {one.iterations}",
            f"    Runtime: {one.us / 1e6} sec.",
            f"    Throughput: {one.rate} inf./sec.",
        ]
        if one.long_enough:
            lines.append("    Runtime requirements have been met.")
    return lines


def _energy(found: Energy) -> list[str]:
    lines = ["Power Edition Output"]
    for number, one in enumerate(found.windows):
        short = "" if one.long_enough else "  <<<< below minimum duration"
        lines += [
            f"Energy data for trial {number}",
            f"  Elapsed time  : {one.seconds}{short}",
            f"  Inferences    : {one.iterations}",
            f"  Power         : {1e3 * one.joules / one.seconds:5.4f} mW.",
            f"  Total Energy  : {one.joules * 1e6:.3f} uJ",
            f"  Energy/Inf    : {one.per_inference * 1e6:.3f} uJ/inf",
        ]
    return [
        *lines,
        _RULE,
        f"Median energy cost is {1e6 * found.median:5.4f} uJ/inf.",
        _RULE,
    ]


def _verdict(found: Performance, begins: str) -> list[str]:
    if len(found.windows) != WINDOWS:
        return [f"{begins}ERROR 1 - loop_count was not exactly {WINDOWS}."]
    if not found.valid:
        return [f"{begins}ERROR 2 - a window was shorter than {SHORTEST_S:g} seconds."]
    median = f"{begins}Median throughput is {found.median:>10.3f} inf./sec."
    return [f"{begins}{_RULE}", median, f"{begins}{_RULE}"]


class StoredDevice(Stored, frozen=True):
    """What the device reported for `name` and `profile`, and its port."""

    vendor: str
    profile: str
    model: str
    port: str
    baud: int


class WindowSeen(Stored, frozen=True):
    """``us`` by the device's clock; seconds by the host's (`hil.mlperf.dut.Inference`)."""

    iterations: int
    warmups: int
    us: int
    whole: float
    gap: float


class EnergySeen(Stored, frozen=True):
    """``seconds`` by the instrument's clock, ``us`` by the device's (None: it sends none), ``gap``
    and ``whole`` by the host's (`hil.mlperf.dut.Inference`). ``joules`` of all inferences."""

    iterations: int
    warmups: int
    seconds: float
    joules: float
    us: int | None
    whole: float
    gap: float


class StoredEnergy(Stored, frozen=True):
    """``median``: joules per inference. ``simulated``: no real instrument recorded it."""

    instrument: str
    volts: float
    simulated: bool
    median: float
    windows: tuple[EnergySeen, ...]


class StoredResult(Stored, frozen=True, omit_defaults=True):
    """`mlperf.json`. ``top1`` in percent, ``median`` in inferences per second."""

    schema: int
    mode: Literal["accuracy", "performance", "energy"]
    emulated: bool
    device: StoredDevice
    retries: int  # samples and queries that were repeated; no figure includes them
    n: int = 0
    correct: int | None = None
    top1: float | None = None
    auc: float | None = None
    improper: int = 0
    windows: tuple[WindowSeen, ...] = ()
    median: float | None = None
    energy: StoredEnergy | None = None


class RunFolder:
    """A new run folder, written by one session."""

    def __init__(self, path: Path, command: Sequence[str], data: DatasetUsed) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise UsageError(f"{path} is not empty", "choose another --out")
        except OSError as problem:
            raise storage_error(path, problem) from problem
        self.path = path
        created = datetime.now(UTC)
        self._manifest = Manifest(
            schema=SCHEMA,
            run_id=storable(path.name),
            created=created.isoformat(timespec="seconds"),
            state="running",
            command=tuple(map(storable, command)),
            hil=hil.__version__,
            git=git_state(Path.cwd()),
            host=host(),
            dataset=data,
            runs=(),
        )
        self._save()
        self._log: IO[str] | None = None

    def log(self, line: str) -> None:
        """Append a line to the log; StorageError when the disk is full."""
        try:
            if self._log is None:
                self._log = (self.path / LOG).open("a", encoding="utf-8", buffering=1)
            self._log.write(printable(line) + "\n")
        except OSError as problem:
            raise storage_error(self.path, problem) from problem

    def write(self, name: str, content: bytes) -> None:
        """Write a file of the folder."""
        replace_file(self.path / name, content)

    def write_result(self, result: StoredResult) -> None:
        """Write `mlperf.json`."""
        self.write(MLPERF, pretty(result))

    def close(self, state: State, error: str = "") -> None:
        """Finish the log and seal the folder."""
        try:
            if self._log is not None:
                self._log.flush()
                os.fsync(self._log.fileno())
                self._log.close()
                self._log = None
            files = {name: hash_file(self.path / name) for name in own_files(self.path)}
        except OSError as problem:
            raise storage_error(self.path, problem) from problem
        self._manifest = msgspec.structs.replace(
            self._manifest, state=state, error=error, files=files
        )
        self._save()

    def _save(self) -> None:
        replace_file(self.path / MANIFEST, sealed(self._manifest))


def read_result(folder: Path) -> StoredResult:
    """`mlperf.json` of a run folder; StorageError when it cannot be read."""
    try:
        return msgspec.json.decode((folder / MLPERF).read_bytes(), type=StoredResult)
    except (OSError, msgspec.DecodeError) as problem:
        raise StorageError(
            f"{folder / MLPERF} cannot be read ({problem})", "run the session again"
        ) from None
