# SPDX-License-Identifier: Apache-2.0
"""Which arrays of a data set a model takes as its inputs, and how their samples are sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.bench.cases import AnyCase, Case, Network
from hil.core.errors import DataError
from hil.core.records import Dataset, DType, Encoding, TensorSpec, pack_rows, packed_bytes
from hil.reference import encodable, encode_inputs, sample_types

Array: TypeAlias = npt.NDArray[np.generic]

_PLAIN: Final = {
    DType.UINT8: Encoding.PIXELS,
    DType.INT8: Encoding.INT8,
    DType.FLOAT32: Encoding.FLOAT32,
}
# what a board converts to an input of each type: samples of these types are sent as they are
_CONVERTED: Final = {
    DType.UINT8: (DType.UINT8,),
    DType.INT8: (DType.UINT8, DType.INT8, DType.FLOAT32),
    DType.FLOAT32: (DType.UINT8, DType.FLOAT32),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a model takes. ``who`` calls it in errors; a sketch's input has no name."""

    who: str
    specs: tuple[TensorSpec, ...]
    names: tuple[str, ...] = ("",)

    @property
    def by_name(self) -> dict[str, TensorSpec]:
        """Each input, by the name that a data set has for it."""
        return dict(zip(input_names(self.names), self.specs, strict=True))

    @property
    def words(self) -> str:
        """Names, types and shapes of all inputs."""
        return ", ".join(
            f"{name} {spec.dtype.name.lower()} (samples, {', '.join(map(str, spec.shape))})"
            for name, spec in self.by_name.items()
        )


def taken_by(network: Network) -> Taken:
    """The inputs of a .tflite file."""
    return Taken(network.path.name, network.graph.inputs, network.graph.names_in)


def taken_on(case: AnyCase) -> Taken:
    """The inputs of what the board runs: a network, or a sketch."""
    if isinstance(case, Case):
        return taken_by(case.network)
    return Taken(f"the sketch {case.calls_itself}", (case.info.input,))


def input_names(names: Sequence[str]) -> tuple[str, ...]:
    """The names under which a data set may have the inputs: without TensorFlow's additions, and
    input_0, input_1, ... where that leaves none, or the same twice."""
    plain = [one.removesuffix(":0").removeprefix("serving_default_") for one in names]
    times = Counter(plain)
    return tuple(one if one and times[one] == 1 else f"input_{i}" for i, one in enumerate(plain))


def samples_of(data: Dataset, taken: Taken) -> tuple[Array, ...]:
    """The samples of each input, in the model's order: array x, or the arrays of their names.

    DataError if the data set does not have them.
    """
    by_name = {input_names([key])[0]: values for key, values in data.named.items()}
    names = input_names(taken.names)
    if all(name in by_name for name in names):
        return tuple(by_name[name] for name in names)
    if len(names) == 1 and (not data.named or "x" in data.named):
        if data.named and not data.labelled and data.targets is None:
            raise DataError(
                f"{data.name} has no array y, but {', '.join(n for n in data.named if n != 'x')}",
                "name the labels y, or save x alone: samples without labels",
            )
        return (data.x,)
    if data.named:
        missing = ", ".join(name for name in names if name not in by_name)
        raise DataError(
            f"{data.name} has no array {missing}, but {', '.join(data.named)}; "
            f"{taken.who} takes {taken.words}",
            "name each array like its input" + (", or x" if len(names) == 1 else ""),
        )
    raise DataError(
        f"{data.name} has only one array of samples, {taken.who} takes {len(names)} inputs: "
        f"{taken.words}",
        f"save one array for each: numpy.savez(path, {', '.join(f'{n}=...' for n in names)})",
    )


def check_data(data: Dataset, taken: Taken) -> None:
    """DataError unless the samples fit the inputs of a model. `hil.bench.task` checks labels."""
    names = input_names(taken.names)
    for name, spec, x in zip(names, taken.specs, samples_of(data, taken), strict=True):
        where = f"{data.name}, {name}" if data.named else data.name
        takes = f"{taken.who} takes"
        _check_shape(x, spec, where, takes, name if data.named else "x")
        if not encodable(x.dtype, spec.dtype):
            raise DataError(
                f"{where}: {x.dtype} samples for {taken.who}, which takes {spec.dtype.name}",
                f"give {sample_types(spec.dtype)} samples",
            )


def _check_shape(x: Array, spec: TensorSpec, where: str, takes: str, array: str) -> None:
    """DataError unless a sample has the input's shape, axes of 1 aside. If either of them is flat,
    its number of values is enough: both are in C order."""
    shape = x.shape[1:]
    if x[0].size != spec.elements:
        raise DataError(
            f"{where}: a sample has {x[0].size} values, {takes} {spec.elements} {list(spec.shape)}",
            _resized(x, spec) or "use data of the model's input shape",
        )
    given, wanted = ([n for n in sides if n != 1] for sides in (shape, spec.shape))
    if given == wanted or len(given) < 2 or len(wanted) < 2:
        return
    sides = ", ".join(map(str, spec.shape[1:] if spec.shape[0] == 1 else spec.shape))
    hint = f"if its values are in that order, save {array}.reshape({len(x)}, {sides})"
    if axes := _transposition(shape, spec.shape):
        hint = f"save {array}.transpose(0, {', '.join(map(str, axes))})"
    raise DataError(f"{where}: a sample has shape {list(shape)}, {takes} {list(spec.shape)}", hint)


def _resized(x: Array, spec: TensorSpec) -> str:
    """The advice for pictures of another size or with other channels than an input has; empty for
    other samples."""
    sides = [n for n in spec.shape if n != 1]
    given = [n for n in x.shape[1:] if n != 1]
    shape = ", ".join(map(str, (*sides[:2], 1)))
    if [*given, 3] == sides:
        return (
            "these are grey pictures, the network takes colour: save "
            f"numpy.repeat(x.reshape(-1, {shape}), 3, axis=-1)"
        )
    if given == [*sides, 3]:
        size = "x".join(map(str, (*sides, 1)))
        return (
            "these are colour pictures, the network takes grey ones: save "
            f"(x @ [0.299, 0.587, 0.114]).reshape(-1, {shape}).astype(x.dtype); of a folder of "
            f"pictures: --resize {size}"
        )
    if x.dtype != np.uint8 or x.ndim != 4 or not 2 <= len(sides) <= 3:
        return ""
    height, width, channels = (*sides, 1)[:3]
    return f"scale them; of a folder of pictures: --resize {height}x{width}x{channels}"


def _transposition(shape: Sequence[int], wanted: Sequence[int]) -> tuple[int, ...]:
    """The axes of a batch that bring a sample of ``shape`` to ``wanted``; empty if none do.

    Axes of equal length keep their order: channels move, rows and columns are not swapped.
    """
    left = dict(enumerate(shape, 1))
    axes = []
    for size in (n for n in wanted if n != 1):
        axis = next((axis for axis, n in left.items() if n == size), None)
        if axis is None:
            return ()
        del left[axis]
        axes.append(axis)
    return (*axes, *left) if all(n == 1 for n in left.values()) else ()


def encoded(arrays: Sequence[Array], taken: Taken) -> tuple[Array, ...]:
    """Samples as values of the model's inputs."""
    return tuple(encode_inputs(x, spec) for x, spec in zip(arrays, taken.specs, strict=True))


@dataclass(frozen=True, slots=True)
class Inputs:
    """A data set as it is sent to a model.

    The samples of a single input are not quantised, where the device can do that. All others are
    sent as the model takes them.
    """

    data: Dataset
    taken: Taken

    @property
    def encoding(self) -> Encoding:
        (x, *others), spec = samples_of(self.data, self.taken), self.taken.specs[0]
        if others or spec.dtype not in _PLAIN:
            return Encoding.OWN
        sent = DType.of(x.dtype)
        return _PLAIN[sent if sent in _CONVERTED[spec.dtype] else spec.dtype]

    def __getitem__(self, i: int) -> bytes:
        arrays = [x[i : i + 1] for x in samples_of(self.data, self.taken)]
        (x, *others), spec = arrays, self.taken.specs[0]
        if not others and DType.of(x.dtype) in _CONVERTED.get(spec.dtype, ()):
            return np.ascontiguousarray(x, dtype=x.dtype.newbyteorder("<")).tobytes()
        return pack_rows(self.taken.specs, encoded(arrays, self.taken)).tobytes()

    def __len__(self) -> int:
        return len(self.data)

    @property
    def nbytes(self) -> int:
        """Bytes of a sample as it is sent."""
        (x, *others), spec = samples_of(self.data, self.taken), self.taken.specs[0]
        if not others and DType.of(x.dtype) in _CONVERTED.get(spec.dtype, ()):
            return int(x[0].nbytes)
        return packed_bytes(self.taken.specs)
