# SPDX-License-Identifier: Apache-2.0
"""Which interpreters run a model at all, found in a process of its own.

Interpreters refuse models, and some crash or hang on models that another one runs: a bench must not
end there. Each interpreter runs one sample of zeros in a fork; the verdicts are kept on disk.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import numpy as np

from hil.core.errors import HilError, ModelError, StorageError, ToolMissing
from hil.core.files import replace_file
from hil.reference.cache import cache_folder
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
# by speed: what runs a model whose answers judge nothing
_FAST_FIRST: Final = ("xnnpack", "litert", "oracle")
_MODULES: Final = ("ai_edge_litert.interpreter", "tflite_micro")
_TIME_LIMIT_S: Final = 100.0  # of one interpreter, for one sample
_START_S: Final = 60.0  # to import all of them
_WORDS: Final = 300  # characters of a reason that are kept
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
    found = _tried(path, [*_MAKERS])
    if found is None:  # one of them breaks the process when it is imported: which one?
        found = {}
        for name in _MAKERS:
            alone = _tried(path, [name])
            found.update({name: "crashes when it is loaded"} if alone is None else alone)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace_file(place, json.dumps(found).encode())
    except (OSError, StorageError):
        pass  # a read-only disk
    return found


def _tried(path: Path, names: Sequence[str]) -> dict[str, str] | None:
    """`refusals` of the interpreters ``names``; None if the process that tries them ends early."""
    words = [sys.executable, "-m", __name__, str(path), *names]
    limit = _START_S + _TIME_LIMIT_S * len(names)
    try:
        done = subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=limit
        )
        found: dict[str, str] = json.loads(done.stdout)
    except (ValueError, subprocess.TimeoutExpired):
        return None
    return found


def host_interpreter(path: Path) -> Reference:
    """The fastest interpreter that runs a model, for answers that judge nothing.

    Raises ModelError if there is none.
    """
    why_not = refusals(path, cache_folder())
    for name in _FAST_FIRST:
        if name not in why_not:
            return _MAKERS[name](path)
    raise nothing_runs(path, why_not)


def nothing_runs(path: Path, why_not: Mapping[str, str]) -> ModelError:
    """The error for a model that no interpreter runs, by its `refusals`."""
    return ModelError(
        f"no interpreter on this computer runs {path}: LiteRT says: "
        f"{why_not['litert']}; TFLM says: {why_not['oracle']}",
        "there is nothing to compare the board's outputs with; export the model again",
    )


def is_missing(why: str) -> bool:
    """Whether a reason of `refusals` is that the interpreter is not installed."""
    return why == _MISSING


def _try(path: Path, make: Callable[[Path], Reference], limit: float = _TIME_LIMIT_S) -> str:
    """Why an interpreter does not run the model; empty if it does."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, _why(path, make).encode(errors="replace")[:_WORDS])
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        in_time = bool(select.select([pipe], [], [], limit)[0])  # readable at its end, too
        if not in_time:
            os.kill(child, signal.SIGKILL)
        said = pipe.read().decode(errors="replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not in_time:
        return f"does not finish one sample in {limit:g} s"
    if status < 0:
        return f"crashes on it ({signal.Signals(-status).name})"
    return "fails on it" if status else said


def _why(path: Path, make: Callable[[Path], Reference]) -> str:
    try:
        reference = make(path)
        zeros = [np.zeros((1, *spec.shape), spec.dtype.numpy) for spec in reference.graph.inputs]
        reference.outputs(zeros)
        del reference  # some crash only here
    except ToolMissing as missing:
        return f"cannot be loaded: {missing.__cause__}" if oracle_version() else _MISSING
    except HilError as refusal:
        said = refusal.what.partition(": ")[2] or refusal.what  # without "LiteRT cannot run FILE"
        return said.rstrip(".") or "refuses it"
    return ""


def _main(path: Path, names: Sequence[str]) -> None:
    for module in _MODULES if len(names) > 1 else ():  # once, before the forks
        try:
            importlib.import_module(module)
        except ImportError:
            continue
    found = {name: _try(path, _MAKERS[name]) for name in names}
    sys.stdout.write(json.dumps({name: why for name, why in found.items() if why}))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
