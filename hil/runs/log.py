# SPDX-License-Identifier: Apache-2.0
"""The only writer of a run's folder.

Files are renamed into place, so none is half-written. Samples are appended one line at a time; a
torn last line is cut off when the run continues.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from io import FileIO
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from hil.core.errors import InUse, StorageError
from hil.core.files import locked, replace_file
from hil.runs.load import load_run
from hil.runs.schema import (
    CYCLES,
    DIGITS,
    HOST,
    LAYERS,
    MANIFEST,
    PROFILE,
    SAMPLES,
    TARGETS,
    Manifest,
    Picture,
    RunEnd,
    Sample,
    State,
)
from hil.runs.schema_checks import CHECKS, CheckFinding
from hil.runs.schema_cycles import CycleEstimate
from hil.runs.schema_energy import ENERGY, EnergyMeasured
from hil.runs.schema_host import HostLatencies
from hil.runs.schema_layers import LayerCheck, Profiled
from hil.runs.schema_quant import QUANT, QuantPair
from hil.runs.seal import LOCK, hash_data, pretty, sealed
from hil.runs.task import encode_targets

RESULTS: Final = Path("results")  # of the current folder


def new_folder(*kinds: str, parent: Path = RESULTS) -> Path:
    """Create a run folder that nobody else has: ``results/<UTC time>-<kinds>``.

    ``kinds``: what runs, such as the names of the boards; repeated ones count once. A bench that
    starts in the same second gets ``...-2``. StorageError if the folder cannot be created.
    """
    name = "-".join((f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}", *dict.fromkeys(kinds)))
    try:
        parent.mkdir(parents=True, exist_ok=True)
        for number in count(1):
            folder = parent / (name if number == 1 else f"{name}-{number}")
            with suppress(FileExistsError):
                folder.mkdir()  # fails if another process was first
                return folder
    except OSError as problem:
        raise StorageError(
            f"cannot create a folder in {parent} ({problem.strerror})", "choose another --out"
        ) from None
    raise AssertionError("unreachable: count() does not end")


@contextmanager
def run_folder(given: Path | None, *kinds: str) -> Iterator[Path]:
    """``given``, or a `new_folder`, which is removed again if nothing was stored in it."""
    folder = given or new_folder(*kinds)
    try:
        yield folder
    finally:
        if given is None:
            with suppress(OSError):  # it is not empty
                folder.rmdir()


class RunLog:
    """One run's folder, locked by one process at a time.

    ``done``: how many answers of each run are stored, by `RunPlan.key`.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._held = ExitStack()
        self._samples: FileIO | None = None
        self._size = 0  # bytes of samples.jsonl, which are all whole lines
        self.done: Counter[str] = Counter()

    def __enter__(self) -> RunLog:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for name in (LOCK, SAMPLES):  # written in place, through any link
                if (self.folder / name).is_symlink():
                    raise StorageError(
                        f"{self.folder / name} is a symbolic link",
                        "remove it, or choose another --out",
                    )
            self._lock()
            self._sweep()
            self._cut_torn_line()
            if (self.folder / MANIFEST).exists():
                stored = load_run(self.folder).samples
                self.done = Counter({key: len(samples) for key, samples in stored.items()})
            self._samples = (self.folder / SAMPLES).open("ab", buffering=0)
            self._size = self._samples.tell()
        except OSError as problem:
            self._close()
            raise storage_error(self.folder, problem) from problem
        except StorageError:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def append(self, sample: Sample) -> None:
        """Store one answer: all of it when this returns, nothing when it raises StorageError."""
        assert self._samples is not None, "append outside `with`"
        line = msgspec.json.encode(sample) + b"\n"
        try:
            if self._samples.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as problem:
            with suppress(OSError):  # if this fails, the next run cuts the line off
                self._samples.truncate(self._size)
            raise storage_error(self.folder, problem) from problem
        self._size += len(line)
        self.done[sample.run] += 1

    def save(self, manifest: Manifest) -> None:
        """Replace the stored manifest."""
        self.manifest = manifest
        replace_file(self.folder / MANIFEST, sealed(manifest))

    def set_state(self, state: State, error: str = "") -> None:
        """Store the state of the bench, and the hashes of its data unless it is running."""
        try:
            files = {} if state == "running" else hash_data(self.folder)
        except OSError as problem:
            raise storage_error(self.folder, problem) from problem
        self.save(msgspec.structs.replace(self.manifest, state=state, error=error, files=files))

    def finish(self, end: RunEnd) -> None:
        """Store how one run of the matrix ended."""
        self.save(msgspec.structs.replace(self.manifest, ends=(*self.manifest.ends, end)))

    def save_targets(self, targets: npt.NDArray[np.generic]) -> None:
        """Store what the outputs should be: (samples, values), in the run's order."""
        replace_file(self.folder / TARGETS, encode_targets(targets))

    def save_pictures(self, pictures: Mapping[str, Picture]) -> None:
        """Store the samples worth drawing, by id."""
        replace_file(self.folder / DIGITS, msgspec.json.encode(pictures))

    def save_layer_checks(self, layer_checks: Sequence[LayerCheck]) -> None:
        """Store the layers of samples whose output is wrong."""
        replace_file(self.folder / LAYERS, pretty(layer_checks))

    def save_profile(self, profiled: Sequence[Profiled]) -> None:
        """Store the time of each layer of each run."""
        replace_file(self.folder / PROFILE, pretty(profiled))

    def save_cycles(self, estimates: Sequence[CycleEstimate]) -> None:
        """Store the estimated cycles of each run."""
        replace_file(self.folder / CYCLES, pretty(estimates))

    def save_energy(self, measured: Sequence[EnergyMeasured]) -> None:
        """Store the energy of each run."""
        replace_file(self.folder / ENERGY, pretty(measured))

    def save_host(self, host: HostLatencies) -> None:
        """Store how long LiteRT takes on this computer."""
        replace_file(self.folder / HOST, msgspec.json.encode(host))

    def save_checks(self, found: Sequence[CheckFinding]) -> None:
        """Store what the checks found; without findings there is no file."""
        self._save_if(CHECKS, found)

    def save_quant(self, found: Sequence[QuantPair]) -> None:
        """Store what int8 loses to float32; without pairs there is no file."""
        self._save_if(QUANT, found)

    def _save_if(self, name: str, records: Sequence[msgspec.Struct]) -> None:
        if records:
            replace_file(self.folder / name, pretty(records))
        else:
            (self.folder / name).unlink(missing_ok=True)

    def _lock(self) -> None:
        try:
            self._held.enter_context(locked(self.folder / LOCK, wait=False))
        except InUse:
            raise InUse(
                f"another bench is writing {self.folder}", "wait for it, or choose another --out"
            ) from None

    def _sweep(self) -> None:
        """Remove temporary files that a killed bench did not rename."""
        for name in (
            MANIFEST,
            TARGETS,
            DIGITS,
            LAYERS,
            PROFILE,
            CYCLES,
            ENERGY,
            HOST,
            CHECKS,
            QUANT,
        ):
            for left in self.folder.glob(f".{name}.*"):
                shutil.rmtree(left, ignore_errors=True)

    def _cut_torn_line(self) -> None:
        """Remove the half line that a killed bench may have left."""
        file = self.folder / SAMPLES
        if file.exists() and (data := file.read_bytes()) and not data.endswith(b"\n"):
            if (self.folder / MANIFEST).exists():
                # its hashes may include the half line: without them, a kill here is not damage
                self.save(msgspec.structs.replace(self.manifest, state="running", files={}))
            with file.open("r+b") as handle:
                handle.truncate(data.rfind(b"\n") + 1)

    def _close(self) -> None:
        if self._samples is not None:
            self._samples.close()
        self._samples = None
        self._held.close()


def storage_error(folder: Path, problem: OSError) -> StorageError:
    """A failed read or write of a run's folder, in one line."""
    return StorageError(
        f"cannot write {folder} ({problem.strerror})",
        "all answers stored so far are safe: free space or fix the permissions, "
        "then run the same command with the same --out to continue",
    )
