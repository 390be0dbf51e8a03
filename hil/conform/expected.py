# SPDX-License-Identifier: Apache-2.0
"""What the reference interpreters answer, in a process of its own: some crash on odd networks."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from hil.conform.cases import Case
from hil.core.errors import HilError
from hil.core.records import pack_rows
from hil.reference import Reference, litert, oracle

NAMES: Final = {"oracle": "TensorFlow Lite Micro", "litert": "LiteRT's reference kernels"}
_MAKERS: Final = {"oracle": oracle, "litert": litert}
_CRASHED: Final = "crashes on it"


@dataclass(frozen=True)
class Expected:
    """The answers of the interpreters that run a network, as (samples, bytes) of its outputs.

    ``answers``: by the interpreters' names, that which counts first. ``why_not``: of the others.
    """

    answers: dict[str, npt.NDArray[np.uint8]] = field(default_factory=dict)
    why_not: dict[str, str] = field(default_factory=dict)

    @property
    def by(self) -> str:
        """The interpreter that counts; empty if none runs the network."""
        return next(iter(self.answers), "")

    @property
    def rows(self) -> npt.NDArray[np.uint8]:
        """Its answers."""
        return self.answers[self.by]

    @property
    def agreed(self) -> bool:
        """Whether all interpreters that run the network give the same bytes."""
        return all(np.array_equal(self.rows, one) for one in self.answers.values())


class References:
    """Starts the process, and again after a crash."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="hil-conform-")
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> References:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._folder.cleanup()

    def answers(self, case: Case) -> Expected:
        """The integers' reference is TFLM, that of float32 LiteRT, as in a bench."""
        place = Path(self._folder.name)
        (place / "model.tflite").write_bytes(case.graph.data)
        np.savez(place / "x.npz", *case.samples)
        order = ["oracle", "litert"] if case.graph.precision.integer else ["litert", "oracle"]
        found = Expected()
        for name in order:
            if why := self._ask(name):
                found.why_not[name] = why
            else:
                found.answers[name] = np.load(place / "y.npy", allow_pickle=False)
        return found

    def _ask(self, name: str) -> str:
        """Why an interpreter has no answers; empty if it wrote them."""
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, self._folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,  # Ctrl-C reaches only this process, which stops it
            )
        assert self._process.stdin
        assert self._process.stdout
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(f"{name}\n")
            self._process.stdin.flush()
        said = self._process.stdout.readline()
        if not said:
            self._stop()
            return _CRASHED
        return said.strip()

    def _stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            self._process = None


def _serve(place: Path, names: Iterator[str]) -> Iterator[str]:
    """One line for each name: why there are no answers, or an empty one."""
    for name in names:
        try:
            reference = _MAKERS[name.strip()](place / "model.tflite")
            _write(place, reference)
        except HilError as refusal:
            yield refusal.what.partition(": ")[2] or refusal.what
        except (ValueError, RuntimeError) as refusal:
            yield (str(refusal).strip().splitlines() or ["refuses it"])[0]
        else:
            yield ""


def _write(place: Path, reference: Reference) -> None:
    with np.load(place / "x.npz", allow_pickle=False) as archive:
        samples = [archive[f"arr_{i}"] for i in range(len(reference.graph.inputs))]
    rows = pack_rows(reference.graph.outputs, reference.outputs(samples))
    np.save(place / "y.npy", rows, allow_pickle=False)


if __name__ == "__main__":
    for line in _serve(Path(sys.argv[1]), iter(sys.stdin)):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
