# SPDX-License-Identifier: Apache-2.0
"""Run a changed file with LiteRT, one sample at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.core.errors import ModelError
from hil.reference.interpreters import load_litert

Array: TypeAlias = npt.NDArray[np.generic]


class Runner:
    """A file's interpreter. ``exact``: the reference kernels, the same on every computer; else the
    default ones, which are many times faster.

    ModelError if LiteRT cannot run the file.
    """

    def __init__(self, data: bytes, where: str, *, exact: bool) -> None:
        self._interpreter = _load(data, where, exact)
        self._inputs = self._interpreter.get_input_details()
        self._outputs = [one["index"] for one in self._interpreter.get_output_details()]
        self._where = where

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
            raise _refused(self._where, error) from error
        return [np.stack(rows) for rows in found]


def _load(data: bytes, where: str, exact: bool) -> Any:
    """An interpreter with the kernels that are wanted, else with the others: each set of kernels
    lacks operators that the other has."""
    try:
        return load_litert(data, default_kernels=not exact)
    except (ValueError, RuntimeError):
        pass
    try:
        return load_litert(data, default_kernels=exact)
    except (ValueError, RuntimeError) as error:
        raise _refused(where, error) from error


def _refused(where: str, error: Exception) -> ModelError:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return ModelError(
        f"LiteRT cannot run {where} layer by layer: {lines[0]}", "use operators that it supports"
    )
