# SPDX-License-Identifier: Apache-2.0
"""The smallest arena in which TensorFlow Lite Micro runs a model, measured on this host.

TFLM writes to standard error, and its release build does not check its own allocations: in an arena
that is too small it may crash. So one process does the measurement, and forks for every size.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Final

from hil.core.errors import ModelError, ToolMissing

ALIGNMENT: Final = 16  # TFLM aligns every buffer to it
_SMALLEST, _LARGEST = 1024, 64 << 20  # bytes of arena
_TIME_LIMIT_S = 100
_EACH_S = 5  # more for each further model
_ENOUGH: Final = (1 << 14, 1 << 15, 1 << 16)  # bytes of arena
_SIZE: Final = 4  # bytes of a model's length, before the model
_WORDS = 300  # characters of TFLM's message that are quoted
_DONE, _REFUSED, _FAILED = 0, 1, 2  # exit codes of a fork


# what is known: by the model, its "arena" or "what" goes wrong
_known: dict[bytes, dict[str, int | str]] = {}


def measure(model: bytes) -> int:
    """The smallest arena, in bytes, in which TFLM on this host allocates the model.

    Raises `ToolMissing` without the package tflite-micro, `ModelError` with TFLM's own words if it
    refuses the model in an arena of any size.
    """
    if model not in _known:
        try:
            _start([model], _TIME_LIMIT_S)
        except subprocess.TimeoutExpired:
            raise ModelError(
                f"TensorFlow Lite Micro does not finish one inference in {_TIME_LIMIT_S} s",
                "use a smaller model",
            ) from None
    found = _known[model]
    if "arena" not in found:
        raise ModelError(
            f"TensorFlow Lite Micro {found['what']}",
            "export the model without what it does not support",
        )
    return int(found["arena"])


def estimate(models: Iterable[bytes]) -> None:
    """Let `measure` return one of `_ENOUGH` for small models that run in so much, which takes a
    fraction of the time: for an image of many, whose largest decides."""
    left = [model for model in models if model not in _known]
    if left:
        with suppress(subprocess.TimeoutExpired):  # then `measure` meets the model that hangs
            _start(left, _TIME_LIMIT_S + _EACH_S * len(left), roughly=True)


def _start(models: Sequence[bytes], limit: float, *, roughly: bool = False) -> None:
    """Measure in a process of its own."""
    if importlib.util.find_spec("tflite_micro") is None:
        raise ToolMissing(
            "the engine tflm sizes its arena with tflite-micro, which is not installed",
            "pip install tflite-micro (Linux on x86-64 only), or build on such a machine",
        )
    done = subprocess.run(
        [sys.executable, "-m", __name__, *(["roughly"] if roughly else [])],
        input=b"".join(len(model).to_bytes(_SIZE, "little") + model for model in models),
        capture_output=True,
        timeout=limit,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise ToolMissing(
            f"the package tflite-micro does not work: {said[-1] if said else done.returncode}",
            "pip install --force-reinstall tflite-micro",
        )
    _known.update(zip(models, map(json.loads, done.stdout.splitlines()), strict=True))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a fork ended: its exit code, or minus the number of the signal that killed it."""

    code: int
    said: str

    @property
    def why(self) -> str:
        """The reason of a failure, as the end of a sentence that starts with TFLM's name."""
        if self.code < 0:
            return f"crashes on the model ({signal.Signals(-self.code).name})"
        doing = "refuses the model" if self.code == _REFUSED else "cannot run the model"
        return f"{doing}: {self.said or 'it gives no reason'}"


def _attempt(model: bytes, size: int, *, invoke: bool = False) -> _Outcome:
    """Let a fork allocate ``model`` in ``size`` bytes and, with ``invoke``, run it once."""
    with tempfile.TemporaryFile() as log:
        child = os.fork()
        if child == 0:
            os._exit(_fork(model, size, log, invoke=invoke))
        _, status = os.waitpid(child, 0)
        log.seek(0)
        lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    said = "; ".join(line for line in lines if line)
    return _Outcome(os.waitstatus_to_exitcode(status), said[:_WORDS])


def _fork(model: bytes, size: int, log: IO[bytes], *, invoke: bool) -> int:
    """What a fork does; its exit code. All output goes into ``log``."""
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    from tflite_micro import runtime  # Linux x86-64 only

    try:
        interpreter = runtime.Interpreter.from_bytes(model, arena_size=size)
    except RuntimeError:  # after its own words
        return _REFUSED
    except Exception as problem:  # a damaged model, in the package's Python code
        os.write(2, f"{type(problem).__name__}: {problem}".encode(errors="replace"))
        return _REFUSED
    try:
        if invoke:
            interpreter.invoke()
    except RuntimeError:
        return _FAILED
    return _DONE


def _estimate(model: bytes) -> dict[str, int | str]:
    """Without bisection, if the model is small."""
    for size in _ENOUGH:
        if _attempt(model, size, invoke=True).code == _DONE:
            return {"arena": size}
    return _measure(model)


def _measure(model: bytes) -> dict[str, int | str]:
    """By bisection: ``arena``, or ``what`` goes wrong even in the largest arena."""
    whole = _attempt(model, _LARGEST)
    if whole.code != _DONE:
        return {"what": whole.why}
    # its inputs are arbitrary, so a crash proves nothing
    if (run := _attempt(model, _LARGEST, invoke=True)).code == _FAILED:
        return {"what": run.why}
    size = _SMALLEST
    while _attempt(model, size).code != _DONE:  # refused or crashed: too small
        size *= 2
    low, high = size // 2 // ALIGNMENT, size // ALIGNMENT
    while high - low > 1:
        middle = (low + high) // 2
        fits = _attempt(model, middle * ALIGNMENT).code == _DONE
        low, high = (low, middle) if fits else (middle, high)
    return {"arena": high * ALIGNMENT}


if __name__ == "__main__":
    importlib.import_module("tflite_micro")  # once, before the forks
    found = _estimate if "roughly" in sys.argv else _measure
    while size := int.from_bytes(sys.stdin.buffer.read(_SIZE), "little"):
        sys.stdout.write(json.dumps(found(sys.stdin.buffer.read(size))) + "\n")
        sys.stdout.flush()  # not once more by each fork
