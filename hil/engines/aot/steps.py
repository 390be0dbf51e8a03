# SPDX-License-Identifier: Apache-2.0
"""The common base of all steps of an inference: operators with all values resolved to numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from hil.tflite import Tensor
from hil.tflite.graph import BOOL, FLOAT32, INT8, INT16, INT32, INT64, UINT8, Axis

# of a value of each TensorType
CTYPES: Mapping[int, str] = MappingProxyType(
    {
        FLOAT32: "float",
        INT32: "int32_t",
        UINT8: "uint8_t",
        INT64: "int64_t",
        BOOL: "uint8_t",
        INT16: "int16_t",
        INT8: "int8_t",
    }
)
_ITEM = {"float": 4, "int32_t": 4, "uint8_t": 1, "int64_t": 8, "int16_t": 2, "int8_t": 1}


def item_bytes(ctype: str) -> int:
    """Bytes of a value of a C type."""
    return _ITEM[ctype]


@dataclass(frozen=True, slots=True)
class Buffer:
    """What a step reads or writes. ``kept``: a state, which it reads and writes."""

    ctype: str
    nbytes: int
    kept: bool = False

    @staticmethod
    def of(tensor: Tensor) -> Buffer:
        """The values of an activation."""
        name = CTYPES[tensor.dtype]
        return Buffer(name, tensor.elements * _ITEM[name], tensor.variable)


class InPlace(Enum):
    """How a target may overlap a source where only the same place is safe."""

    EXACTLY = "the target starts where the source starts, or they do not overlap"


class Step(Protocol):
    """One function of the generated code. Its parameters are pointers to ``sources``, then to
    ``targets``, then ``int16_t *s`` if it needs scratch memory.
    """

    @property
    def name(self) -> str:
        """The end of the function's name in C."""
        ...

    @property
    def note(self) -> str:
        """The operators, for a comment."""
        ...

    @property
    def sources(self) -> tuple[Buffer, ...]:
        """The activations that it reads, in the order of the operator's inputs."""
        ...

    @property
    def targets(self) -> tuple[Buffer, ...]:
        """What it writes, in the order of the operator's outputs."""
        ...

    @property
    def scratch_bytes(self) -> int:
        """Bytes of RAM that it needs in addition while it runs."""
        ...

    @property
    def leads(self) -> tuple[int | InPlace | None, ...]:
        """Per source: how many bytes below it the first target must start so that nothing is lost.

        Derived from the order in which the emitted code reads and writes. It may be negative, or
        larger than the target, which is always enough. None: they may not overlap.
        `InPlace.EXACTLY`: only as it says, which a target may be that is no larger than the source.
        Other targets never overlap a source.
        """
        ...


class OneToOne(ABC):
    """Sources and targets of a step with one of each, which has ``ctypes``, ``input_bytes``,
    ``output_bytes`` and ``lead``.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def ctypes(self) -> tuple[str, str]:
        """C types of the input and output values."""

    @property
    @abstractmethod
    def input_bytes(self) -> int:
        """Bytes that it reads."""

    @property
    @abstractmethod
    def output_bytes(self) -> int:
        """Bytes that it writes."""

    @property
    @abstractmethod
    def lead(self) -> int | InPlace | None:
        """The only one of `Step.leads`."""

    @property
    def sources(self) -> tuple[Buffer, ...]:
        return (Buffer(self.ctypes[0], self.input_bytes),)

    @property
    def targets(self) -> tuple[Buffer, ...]:
        return (Buffer(self.ctypes[1], self.output_bytes),)

    @property
    def leads(self) -> tuple[int | InPlace | None, ...]:
        return (self.lead,)


class Int16ToInt16(OneToOne):
    """A step with one source and one target, both of int16, and no scratch memory."""

    __slots__ = ()
    scratch_bytes: ClassVar[int] = 0
    ctypes: ClassVar[tuple[str, str]] = ("int16_t", "int16_t")

    @property
    @abstractmethod
    def values(self) -> tuple[int, int]:
        """How many values it reads and writes."""

    @property
    def input_bytes(self) -> int:
        return 2 * self.values[0]

    @property
    def output_bytes(self) -> int:
        return 2 * self.values[1]


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
