# SPDX-License-Identifier: Apache-2.0
"""The common base of all steps of an inference: operators with all values resolved to numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from hil.tflite.graph import Axis


class Step(Protocol):
    """One function of the generated code, from the tensor before it to the one after it."""

    @property
    def name(self) -> str:
        """The end of the function's name in C."""
        ...

    @property
    def note(self) -> str:
        """The operators, for a comment."""
        ...

    @property
    def ctypes(self) -> tuple[str, str]:
        """C types of the input and output values."""
        ...

    @property
    def input_bytes(self) -> int:
        """Bytes that it reads."""
        ...

    @property
    def output_bytes(self) -> int:
        """Bytes that it writes."""
        ...

    @property
    def scratch_bytes(self) -> int:
        """Bytes of RAM that it needs in addition to its input while it runs."""
        ...

    @property
    def lead(self) -> int:
        """How many bytes below the input the output must start so that nothing is lost.

        Derived from the order in which the emitted code reads and writes. It may be negative, or
        larger than the output, which is always enough.
        """
        ...


def ctype(real: bool) -> str:
    """The C type of a value."""
    return "float" if real else "int8_t"


def item(real: bool) -> int:
    """Bytes of a value."""
    return 4 if real else 1


@dataclass(frozen=True, slots=True)
class Pool:
    """A pooling over (rows, columns), the average or the maximum. A step, or part of one."""

    average: bool
    rows: Axis
    columns: Axis


def first_bytes(rows: Axis, columns: Axis, pixel: int) -> npt.NDArray[np.int64]:
    """(rows.count, columns.count): the lowest input byte that each window reads."""
    y = np.maximum(np.arange(rows.count) * rows.stride - rows.before, 0)
    x = np.maximum(np.arange(columns.count) * columns.stride - columns.before, 0)
    return (y[:, None] * columns.size + x[None, :]) * pixel
