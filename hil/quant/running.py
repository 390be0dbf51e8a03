# SPDX-License-Identifier: Apache-2.0
"""Run a changed file with LiteRT, one sample at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.reference import cache_folder, refusals
from hil.reference.interpreters import load_litert
from hil.tflite import Graph

Array: TypeAlias = npt.NDArray[np.generic]


_REFERENCE, _DEFAULT = "litert", "xnnpack"  # LiteRT's two sets of kernels


@lru_cache(maxsize=16)
def _kernels(path: Path, sha256: str) -> tuple[str, ...]:
    """The kernels that run a file, found in a process of their own: a crash must end nothing."""
    assert sha256  # a part of the key: the file may change
    why_not = refusals(path, cache_folder())
    found = tuple(one for one in (_REFERENCE, _DEFAULT) if one not in why_not)
    if not found:
        raise ModelError(
            f"LiteRT cannot run {path}: {why_not[_REFERENCE]}", "export the model again"
        )
    return found


class Runner:
    """The interpreter of ``data``, a changed copy of ``graph``'s file. ``exact``: the reference
    kernels, the same on every computer; else the default ones, which are many times faster. Each
    set lacks operators that the other has, which is taken instead.

    ModelError if LiteRT cannot run the file.
    """

    def __init__(self, data: bytes, graph: Graph, *, exact: bool) -> None:
        kernels = _kernels(graph.path, graph.sha256) if graph.path else (_REFERENCE, _DEFAULT)
        self._where = graph.where
        self._interpreter = self._load(data, sorted(kernels, reverse=not exact))
        self._inputs = self._interpreter.get_input_details()
        self._outputs = [one["index"] for one in self._interpreter.get_output_details()]

    def _load(self, data: bytes, kernels: Sequence[str]) -> Any:
        problem: Exception | None = None
        for one in kernels:
            try:
                return load_litert(data, default_kernels=one == _DEFAULT)
            except (ValueError, RuntimeError) as error:
                problem = problem or error
        assert problem is not None
        raise self._refused(problem) from problem

    def __call__(self, inputs: Sequence[Array]) -> list[Array]:
        """``inputs``: (n, elements) per input -> (n, elements) per output."""
        n = len(inputs[0]) if inputs else 1
        found: list[list[Array]] = [[] for _ in self._outputs]
        try:
            for i in range(n):
                for one, values in zip(self._inputs, inputs, strict=True):
                    self._interpreter.set_tensor(one["index"], values[i].reshape(one["shape"]))
                self._interpreter.invoke()
                for kept, index in zip(found, self._outputs, strict=True):
                    kept.append(self._interpreter.get_tensor(index).reshape(-1))
        except (ValueError, RuntimeError) as error:
            raise self._refused(error) from error
        return [np.stack(rows) for rows in found]

    def _refused(self, error: Exception) -> ModelError:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        return ModelError(
            f"LiteRT cannot run {self._where} layer by layer: {lines[0]}",
            "use operators that it supports",
        )
