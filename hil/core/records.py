# SPDX-License-Identifier: Apache-2.0
"""Frozen records that pass between packages: types, units, models, counters, samples."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Literal, Self, TypeAlias, final

import numpy as np
import numpy.typing as npt

from hil.core.errors import MixedUnits

_NUMPY_TYPES = {0: "<f4", 2: "<i4", 3: "u1", 4: "<i8", 6: "?", 7: "<i2", 9: "i1"}


class DType(IntEnum):
    """Element types, by their TFLite ``TensorType`` code (the wire uses the same numbers)."""

    FLOAT32 = 0
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    BOOL = 6  # one byte, 0 or 1
    INT16 = 7
    INT8 = 9

    @property
    def numpy(self) -> np.dtype[np.generic]:
        return np.dtype(_NUMPY_TYPES[self.value])

    @classmethod
    def of(cls, dtype: np.dtype[np.generic]) -> DType:
        """The element type of an array's values; ValueError for any other."""
        return cls({kind[-2:]: code for code, kind in _NUMPY_TYPES.items()}[dtype.str[1:]])

    @property
    def quantised(self) -> bool:
        """Whether values of this type may stand for real numbers by scale and zero point."""
        return self in (DType.INT8, DType.UINT8, DType.INT16)


class Precision(StrEnum):
    """The number format a model computes in."""

    FLOAT32 = "float32"
    INT8 = "int8"
    INT16 = "int16"  # activations; the weights are int8

    @property
    def integer(self) -> bool:
        """Whether its results are integers, which are equal on every correct engine."""
        return self is not Precision.FLOAT32


class Task(StrEnum):
    """The question that a network's answers are judged by."""

    CLASSIFICATION = "classification"  # the largest output is the class
    BINARY = "binary"  # one output: at least the midpoint of its range is class 1
    REGRESSION = "regression"  # outputs are compared with float targets
    RECONSTRUCTION = "reconstruction"  # outputs are compared with the inputs
    NONE = "none"  # nothing to judge by: only agreement, time and memory


EXPORTED = (Precision.FLOAT32, Precision.INT8)  # those in which `hil export` writes a network
CALIBRATION = 500  # samples, at most, from which an exported network's integer ranges are taken


class Encoding(IntEnum):
    """How the values of a request are written on the wire."""

    PIXELS = 1  # uint8, 0..255; the device scales by 1/255 and quantises
    INT8 = 2  # as an int8 model takes it
    FLOAT32 = 3  # little-endian; an int8 model's device quantises it
    OWN = 4  # every input in its own type, as `pack_rows` lays them out


class _Measure(ABC):
    """A value that can be compared with, subtracted from and divided by its own kind only.

    Anything else is a type error, and raises `MixedUnits` at run time.
    """

    __slots__ = ()

    @property
    @abstractmethod
    def amount(self) -> int:
        """The value in its kind's unit."""

    def _other(self, other: Self) -> int:
        if type(other) is not type(self):
            kinds = f"{type(self).__name__} and {type(other).__name__}"
            raise MixedUnits(f"{kinds} cannot be combined", "compare figures of one kind")
        return other.amount

    def __lt__(self, other: Self) -> bool:
        return self.amount < self._other(other)

    def __le__(self, other: Self) -> bool:
        return self.amount <= self._other(other)

    def __gt__(self, other: Self) -> bool:
        return self.amount > self._other(other)

    def __ge__(self, other: Self) -> bool:
        return self.amount >= self._other(other)

    def __sub__(self, other: Self) -> int:
        return self.amount - self._other(other)

    def __truediv__(self, other: Self) -> float:
        return self.amount / self._other(other)


@dataclass(frozen=True, slots=True)
class _Counted(_Measure):
    """A whole number of something."""

    count: int

    @property
    def amount(self) -> int:
        return self.count


@final
@dataclass(frozen=True, slots=True)
class Instructions(_Counted):
    """Instructions retired during one inference, counted by an emulator."""


@final
@dataclass(frozen=True, slots=True)
class Cycles(_Counted):
    """Clock cycles of one inference on an emulated core whose timing its data sheet fixes.

    Such a core has no caches and no wait states, so an emulator that counts as the data sheet says
    counts as the chip does.
    """


@final
@dataclass(frozen=True, slots=True)
class EstimatedCycles(_Counted):
    """Cycles of one inference by a model of a core: an estimate, with the assumptions of the model
    (`hil.cycles`)."""


@final
@dataclass(frozen=True, slots=True)
class EstimatedTime(_Measure):
    """Nanoseconds of one inference at a stated clock, by estimated cycles and how far such an
    estimate is from a chip (`hil.cycles.calibration`): not measured. ``low``, ``high``: its range.
    """

    nanoseconds: int
    low: int
    high: int

    @property
    def amount(self) -> int:
        return self.nanoseconds


@final
@dataclass(frozen=True, slots=True)
class Latency(_Measure):
    """Microseconds one inference took on a physical board."""

    microseconds: int

    @property
    def amount(self) -> int:
        return self.microseconds


@final
@dataclass(frozen=True, slots=True)
class EmulatorTime(_Measure):
    """Microseconds that an emulator took on this computer: not a property of any board."""

    microseconds: int

    @property
    def amount(self) -> int:
        return self.microseconds


@final
@dataclass(frozen=True, slots=True)
class HostLatency(_Measure):
    """Nanoseconds that LiteRT took for one inference on this computer."""

    nanoseconds: int

    @property
    def amount(self) -> int:
        return self.nanoseconds


# separate types, so that nothing adds, compares or plots one as the other
DeviceTime: TypeAlias = Instructions | Cycles | Latency | None
TimeUnit: TypeAlias = Literal["instructions", "cycles", "us", "none"]  # of a board's clock


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Type, shape and affine quantisation of one tensor: real = scale * (q - zero_point)."""

    dtype: DType
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        return self.elements * self.dtype.numpy.itemsize


TENSOR_ALIGNMENT = 4  # bytes: where each of several inputs or outputs starts


def packed_bytes(specs: Sequence[TensorSpec]) -> int:
    """Bytes of several tensors in one buffer: each but the first starts at a multiple of 4."""
    return offsets_of(specs)[-1] + specs[-1].nbytes


def offsets_of(specs: Sequence[TensorSpec]) -> tuple[int, ...]:
    """Where each tensor starts in such a buffer."""
    found = [0]
    for spec in specs[:-1]:
        found.append(-(-(found[-1] + spec.nbytes) // TENSOR_ALIGNMENT) * TENSOR_ALIGNMENT)
    return tuple(found)


def pack_rows(
    specs: Sequence[TensorSpec], arrays: Sequence[npt.NDArray[np.generic]]
) -> npt.NDArray[np.uint8]:
    """(n, ...) values of each tensor -> (n, `packed_bytes`), the gaps filled with zeros."""
    rows = np.zeros((len(arrays[0]), packed_bytes(specs)), np.uint8)
    for spec, start, values in zip(specs, offsets_of(specs), arrays, strict=True):
        flat = np.ascontiguousarray(values, spec.dtype.numpy).reshape(len(rows), -1)
        rows[:, start : start + spec.nbytes] = flat.view(np.uint8)
    return rows


def unpack_rows(
    specs: Sequence[TensorSpec], rows: npt.NDArray[np.generic]
) -> tuple[npt.NDArray[np.generic], ...]:
    """The reverse: (n, elements) of each tensor. ``rows`` of any type, as long as its bytes fit."""
    raw = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), packed_bytes(specs))
    return tuple(
        np.ascontiguousarray(raw[:, start : start + spec.nbytes]).view(spec.dtype.numpy)
        for spec, start in zip(specs, offsets_of(specs), strict=True)
    )


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model inside a firmware image, as HELLO lists it. Sizes in bytes.

    ``input`` and ``output`` are its first ones. ``stateful``: it keeps values from one inference
    to the next, until RESET_STATE.
    """

    name: str
    engine: str
    sha256: str
    input: TensorSpec
    output: TensorSpec
    arena: int
    flash: int
    more_inputs: tuple[TensorSpec, ...] = ()
    more_outputs: tuple[TensorSpec, ...] = ()
    stateful: bool = False

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        return (self.input, *self.more_inputs)

    @property
    def outputs(self) -> tuple[TensorSpec, ...]:
        return (self.output, *self.more_outputs)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a board reports about itself."""

    protocol: int
    board: str
    firmware: str
    toolchain: str
    window: int  # requests that may be in flight
    max_payload: int  # bytes
    tick_hz: int  # 0: no tick counter
    has_micros: bool
    models: tuple[ModelInfo, ...]
    has_layers: bool = False  # built to answer layer by layer; not the program to measure
    unpacks: bool = False  # accepts PackBits-compressed inputs
    room: int | None = 0  # bytes its line buffers while it computes; None: no limit


@dataclass(frozen=True, slots=True)
class Status:
    """Memory marks in bytes, counters since boot (or since the last reset of marks)."""

    ram_static: int
    stack_used: int
    stack_size: int
    heap_used: int | None  # allocated now; None: unknown to the board
    uptime_ms: int
    frames_ok: int
    frames_bad: int
    inferences: int
    errors: int


@dataclass(frozen=True, slots=True)
class LineCounts:
    """Traffic and faults on the line between host and board, as the host counted them.

    ``damaged_out``: frames that the board reported as damaged; ``damaged_in``: damaged frames that
    the host received; ``unexpected``: valid frames that answer no pending request (late, repeated,
    replayed); ``timeouts``: waits that ended without an answer; ``retries``: requests sent again,
    which took ``resent_bytes`` on the line.
    """

    frames_out: int = 0
    frames_in: int = 0
    damaged_out: int = 0
    damaged_in: int = 0
    unexpected: int = 0
    timeouts: int = 0
    retries: int = 0
    resent_bytes: int = 0


@dataclass(frozen=True, slots=True)
class ClockSteps:
    """The smallest steps of a board's clocks, as it measured them; 0 for one that did not step.

    ``reads``: the number of readings.
    """

    micros: int
    ticks: int
    reads: int


@dataclass(frozen=True)
class Dataset:
    """One split of a data set.

    ``x`` is (n, height, width, channels) uint8 pixels, or float32/int8 of any shape for a
    user's own data; ``y`` is (n,) int64 labels; ``ids`` are stable and unique;
    ``fingerprint`` is the SHA-256 of the source data (hex). Without labels, all of ``y`` is -1.
    ``named``: the samples of each input of a user's own model, by its name; ``x`` is then one of
    these arrays. Empty: all samples are in ``x``. ``targets``: (n, ...) float32 values that the
    outputs should have, of a regression. ``classes``: names of the labels 0, 1, ...; may be empty.
    ``input``: the rule that ``x`` was converted by (``--input``), which decides what a uint8 value
    stands for; empty: uint8 are pixels, all other values are fed as they are.
    """

    name: str
    split: str
    ids: tuple[str, ...]
    x: npt.NDArray[np.generic]
    y: npt.NDArray[np.int64]
    fingerprint: str
    named: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    targets: npt.NDArray[np.float32] | None = None
    classes: tuple[str, ...] = ()
    input: str = ""

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def labelled(self) -> bool:
        """Whether the samples have labels: all of them, or none."""
        return bool((self.y >= 0).all())
