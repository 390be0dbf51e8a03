# SPDX-License-Identifier: Apache-2.0
"""Which interpreters run a model at all, found in a process of its own.

Interpreters refuse models, and some crash on models that another one runs: a bench must not end
there. Each interpreter runs one sample of zeros in a fork; the verdicts are kept on disk.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from hil.core.errors import HilError, StorageError, ToolMissing
from hil.core.files import replace_file
from hil.reference.interpreters import (
    Reference,
    litert,
    litert_version,
    oracle,
    oracle_version,
    xnnpack,
    xnnpack_version,
)

_MAKERS: Final[Mapping[str, Callable[[Path], Reference]]] = {
    "litert": litert,
    "oracle": oracle,
    "xnnpack": xnnpack,
}
_TIME_LIMIT_S = 300
_WORDS = 300  # characters of a reason that are kept
_MISSING = "is not installed"


def refusals(path: Path, directory: Path) -> dict[str, str]:
    """Interpreter ("litert", "oracle", "xnnpack") -> why it cannot run the model.

    Those that run it are left out. ``directory`` keeps the verdicts, by the model's content and the
    interpreters' versions. An interpreter that is not installed refuses every model.
    """
    versions = (litert_version(), oracle_version(), xnnpack_version())
    key = sha256("\n".join((sha256(path.read_bytes()).hexdigest(), *versions)).encode())
    return _refusals(path, directory / f"{key.hexdigest()}.trial")


@lru_cache
def _refusals(path: Path, place: Path) -> dict[str, str]:
    try:
        kept = json.loads(place.read_bytes())
        if isinstance(kept, dict) and set(kept) <= set(_MAKERS):
            return {str(name): str(why) for name, why in kept.items()}
    except (OSError, ValueError):
        pass  # not tried before, or damaged
    words = [sys.executable, "-m", __name__, str(path)]
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=_TIME_LIMIT_S
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        return {}  # the bench itself then meets what is wrong
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, json.dumps(found).encode())
    except (OSError, StorageError):
        pass  # a read-only disk
    return found


def is_missing(why: str) -> bool:
    """Whether a reason of `refusals` is that the interpreter is not installed."""
    return why == _MISSING


def _try(path: Path, make: Callable[[Path], Reference]) -> str:
    """Why an interpreter does not run the model; empty if it does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, _why(path, make).encode(errors="replace")[:_WORDS])
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return f"crashes on it ({signal.Signals(-status).name})" if status < 0 else said


def _why(path: Path, make: Callable[[Path], Reference]) -> str:
    try:
        reference = make(path)
        zeros = [np.zeros((1, *spec.shape), spec.dtype.numpy) for spec in reference.graph.inputs]
        reference.outputs(zeros)
        del reference  # some crash only here
    except ToolMissing:
        return _MISSING
    except HilError as refusal:
        return refusal.what.partition(": ")[2] or refusal.what  # without "LiteRT cannot run FILE"
    except (ValueError, RuntimeError) as refusal:
        return str(refusal).strip().splitlines()[0] if str(refusal).strip() else "refuses it"
    return ""


def _main(path: Path) -> None:
    for module in ("ai_edge_litert.interpreter", "tflite_micro"):  # once, before the forks
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    found = {name: _try(path, make) for name, make in _MAKERS.items()}
    sys.stdout.write(json.dumps({name: why for name, why in found.items() if why}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
