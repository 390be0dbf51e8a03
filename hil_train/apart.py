# SPDX-License-Identifier: Apache-2.0
"""Convert a model in a process of its own: what `hil` calls, by the entry point ``hil.exporters``.

TensorFlow takes hundreds of MB and many threads, which would disturb what the bench times on this
computer, and its converter aborts the process on some networks. A user's program may also have
Keras loaded already, on another backend.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
import numpy as np

from hil.core.errors import HilError, ModelError, StorageError, ToolMissing, UsageError
from hil.core.records import CALIBRATION, EXPORTED, Dataset, Precision
from hil.datasets import subset
from hil_train.backend import require_installed
from hil_train.export import FLOAT_ONLY, export_samples

_ERRORS: Final = (ModelError, StorageError, ToolMissing, UsageError)
_SAMPLES, _ANSWER, _AT = "samples.npy", "answer.json", "precision"
# its ranges are the same on every machine, and no GPU is reserved
_ENVIRONMENT: Final = {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}


class _Request(msgspec.Struct, frozen=True):
    source: str
    data: str
    out: str
    precisions: tuple[Precision, ...]


class _Answer(msgspec.Struct, frozen=True):
    """The paths by precision, or an error of one of `_ERRORS`."""

    paths: dict[Precision, str] = {}
    error: str = ""
    what: str = ""
    hint: str = ""


def export(
    source: Path,
    dataset: Dataset | None,
    out: Path,
    *,
    calibration: int = CALIBRATION,
    precisions: Sequence[Precision] = EXPORTED,
) -> dict[Precision, Path]:
    """As `hil_train.export.export`, and with its errors; ModelError if TensorFlow crashes."""
    require_installed("train")
    data = dataset.name if dataset else ""
    request = _Request(str(source), data, str(out), tuple(precisions))
    with tempfile.TemporaryDirectory(prefix="hil-convert-") as name:
        folder = Path(name)
        if dataset:
            np.save(folder / _SAMPLES, subset(dataset, calibration).x, allow_pickle=False)
        done = subprocess.run(
            # -P: no module of the current folder is imported instead of an installed one
            [sys.executable, "-P", "-m", "hil_train.apart", name],
            input=msgspec.json.encode(request),
            capture_output=True,
            env=os.environ | _ENVIRONMENT,
        )
        try:
            answer = msgspec.json.decode((folder / _ANSWER).read_bytes(), type=_Answer)
        except FileNotFoundError:
            raise _crashed(source, folder / _AT, done) from None
    for kind in _ERRORS:
        if kind.__name__ == answer.error:
            raise kind(answer.what, answer.hint)
    return {precision: Path(path) for precision, path in answer.paths.items()}


def _crashed(source: Path, at: Path, done: subprocess.CompletedProcess[bytes]) -> ModelError:
    precision = at.read_text() if at.exists() else ""
    lines = done.stderr.decode(errors="replace").strip().splitlines()
    why = lines[-1] if lines else f"exit status {done.returncode}"
    return ModelError(
        f"TensorFlow crashed while it converted {source}"
        f"{f' to {precision}' if precision else ''} ({why})",
        FLOAT_ONLY
        if precision and Precision(precision).integer
        else "simplify the network, or convert it yourself and pass the .tflite file",
    )


def main(folder: Path, request: _Request) -> _Answer:
    """The work of the other process, one precision after the other: it may crash in any of them."""
    file = folder / _SAMPLES
    samples = np.load(file, allow_pickle=False) if file.exists() else None
    source, out = Path(request.source), Path(request.out)
    paths = {}
    for precision in request.precisions:
        (folder / _AT).write_text(precision)
        try:
            found = export_samples(source, samples, request.data, out, (precision,))
        except _ERRORS as problem:
            return _failed(problem)
        paths[precision] = str(found[precision])
    return _Answer(paths=paths)


def _failed(problem: HilError) -> _Answer:
    kind = next(one for one in _ERRORS if isinstance(problem, one))
    return _Answer(error=kind.__name__, what=problem.what, hint=problem.hint)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    request = msgspec.json.decode(sys.stdin.buffer.read(), type=_Request)
    answer = msgspec.json.encode(main(folder, request))
    (folder / _ANSWER).write_bytes(answer)
