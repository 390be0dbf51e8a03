"""The run folder of one session: the three files of a submission, our own `mlperf.json`, and a
sealed manifest, so that `hil verify` holds every byte of it against its hash.

There is no samples.jsonl: a device that is not ours says nothing of the network it runs, and
without one there is nothing that `hil report` could compare an answer with.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Literal

import msgspec

import hil
from hil.bench.provenance import git_state, host
from hil.errors import StorageError, UsageError
from hil.files import replace_file
from hil.mlperf.submission import LOG
from hil.runlog.log import storage_error
from hil.runlog.schema import MANIFEST, MLPERF, SCHEMA, DatasetUsed, Manifest, State
from hil.runlog.seal import hash_file, own_files, pretty, sealed
from hil.runlog.stored import Stored


class Device(Stored, frozen=True):
    """As it named itself in `name` and `profile`."""

    vendor: str
    profile: str
    model: str
    port: str
    baud: int


class WindowSeen(Stored, frozen=True):
    """``us`` by the device's clock, the rest in seconds by the host's (`hil.mlperf.dut`)."""

    iterations: int
    warmups: int
    us: int
    whole: float
    gap: float


class Result(Stored, frozen=True, omit_defaults=True):
    """`mlperf.json`. ``top1`` in percent, ``median`` in inferences a second."""

    schema: int
    mode: Literal["accuracy", "performance"]
    emulated: bool
    device: Device
    retries: int  # samples and questions asked again; none of them is in a figure
    n: int = 0
    correct: int | None = None
    top1: float | None = None
    auc: float | None = None
    improper: int = 0
    windows: tuple[WindowSeen, ...] = ()
    median: float | None = None


class RunFolder:
    """A new folder, written by one session."""

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
            run_id=path.name,
            created=created.isoformat(timespec="seconds"),
            state="running",
            command=tuple(command),
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
            self._log.write("".join(c if c.isprintable() else "?" for c in line) + "\n")
        except OSError as problem:
            raise storage_error(self.path, problem) from problem

    def write(self, name: str, content: bytes) -> None:
        """One whole file."""
        replace_file(self.path / name, content)

    def write_result(self, result: Result) -> None:
        """`mlperf.json`."""
        self.write(MLPERF, pretty(result))

    def close(self, state: State, error: str = "") -> None:
        """Seal what is there."""
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


def read_result(folder: Path) -> Result:
    """`mlperf.json` of a run folder; StorageError when it is not one."""
    try:
        return msgspec.json.decode((folder / MLPERF).read_bytes(), type=Result)
    except (OSError, msgspec.DecodeError) as problem:
        raise StorageError(
            f"{folder / MLPERF} cannot be read ({problem})", "run it again"
        ) from None
