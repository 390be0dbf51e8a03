# SPDX-License-Identifier: Apache-2.0
"""Random inputs, for who wants time, memory and agreement and has no data: ``random[:N[:SEED]]``.

Each value is uniform over what its input takes. If all networks take one type, that is:

    int8, uint8, int16              every code
    float32                         -1 to 1
    int32, int64, bool              0 or 1, since no range is in a network's file

If some take float32 and others quantised values, the samples are float32 over the real numbers that
the quantised inputs' codes stand for.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

import numpy as np

from hil.core.errors import UsageError
from hil.core.records import Dataset, DType, TensorSpec
from hil.datasets.arrays import LARGEST, Array
from hil.datasets.labels import unlabelled
from hil.datasets.npz import dataset

NAME: Final = "random"
SAMPLES: Final = 100
REALS: Final = (-1.0, 1.0)
_FORM: Final = re.compile(r"random(?::(\d{1,9})(?::(\d{1,10}))?)?")
_ONE: Final = "x"  # the array of a single input, whatever its name

Inputs: TypeAlias = Mapping[str, TensorSpec]  # what one network takes, by name


@dataclass(frozen=True, slots=True)
class Drawing:
    """``n`` samples that ``seed`` determines."""

    n: int = SAMPLES
    seed: int = 0

    def undrawn(self) -> Dataset:
        """As many samples without values: ``x`` is (n, 1) zeros, the fingerprint is empty."""
        nothing = dataset(NAME, np.zeros((self.n, 1), np.int8), unlabelled(self.n), "")
        return replace(nothing, split=f"seed {self.seed}")


def parse(text: str) -> Drawing:
    """``random[:N[:SEED]]``; UsageError for anything else."""
    found = _FORM.fullmatch(text)
    n, seed = (int(one) if one else 0 for one in found.groups()) if found else (0, 1 << 32)
    if found and found[1] is None:
        n = SAMPLES
    if n < 1 or seed >= 1 << 32:
        raise UsageError(
            f"{text!r} is not random[:N[:SEED]]", "for example random:500, or random:500:7"
        )
    return Drawing(n, seed)


def draw(drawing: Drawing, takers: Sequence[Inputs]) -> tuple[Dataset, str]:
    """Samples for networks that take ``takers``, and a note that says their ranges.

    The first samples of a longer drawing are the same.

    Raises:
        UsageError: there is no network, or the networks take different inputs.
    """
    if not takers:
        raise UsageError("random inputs need a network that takes them", "pass --model")
    inputs = [{_ONE: one} for taken in takers for one in taken.values()]
    if any(len(taken) > 1 for taken in takers):
        inputs = [dict(taken) for taken in takers]
    arrays, said = {}, []
    for number, name in enumerate(inputs[0]):
        specs = [taken[name] for taken in inputs if name in taken]
        if len(specs) < len(inputs) or len({spec.elements for spec in specs}) > 1:
            raise UsageError(
                "the networks take inputs of different names or sizes", "bench them separately"
            )
        dtype, low, high = _range(name, specs)
        arrays[name] = _values(drawing, number, dtype, low, high, specs[0])
        said.append(f"{name} is {dtype.name.lower()}, {low:g} to {high:g}")
    digest = hashlib.sha256()
    for name, values in arrays.items():
        digest.update(f"{name} {values.dtype.str} {values.shape}".encode() + values.tobytes())
    x = next(iter(arrays.values()))
    named = arrays if len(arrays) > 1 else {}
    found = dataset(NAME, x, unlabelled(drawing.n), digest.hexdigest(), named)
    found = replace(found, split=f"seed {drawing.seed}")
    note = f"random inputs (seed {drawing.seed}), uniform: {'; '.join(said)}"
    return found, note


def _range(name: str, specs: Sequence[TensorSpec]) -> tuple[DType, float, float]:
    """The type of an input's samples, and their least and largest value."""
    types = {spec.dtype for spec in specs}
    if len(types) == 1:
        (dtype,) = types
        if dtype.quantised:
            limits = np.iinfo(dtype.numpy.name)
            return dtype, limits.min, limits.max
        return (dtype, *(REALS if dtype is DType.FLOAT32 else (0, 1)))
    quantised = [spec for spec in specs if spec.dtype.quantised and spec.scale]
    if len(quantised) + sum(spec.dtype is DType.FLOAT32 for spec in specs) < len(specs):
        words = " and ".join(sorted(one.name.lower() for one in types))
        raise UsageError(f"the networks take {words} as {name}", "bench them separately")
    ends = [
        spec.scale * (code - spec.zero_point)
        for spec in quantised
        for limits in (np.iinfo(spec.dtype.numpy.name),)
        for code in (limits.min, limits.max)
    ]
    return DType.FLOAT32, min(ends), max(ends)


def _values(
    drawing: Drawing, number: int, dtype: DType, low: float, high: float, spec: TensorSpec
) -> Array:
    """(n, *shape) values of the input with this ``number``."""
    if drawing.n * spec.elements * 8 > LARGEST:
        raise UsageError(f"{drawing.n:,} random samples do not fit in memory", "ask for fewer")
    sides = spec.shape[1:] if spec.shape[:1] == (1,) else spec.shape
    shape = (drawing.n, *(sides or (1,)))
    random = np.random.RandomState([drawing.seed, number])  # its streams are frozen
    if dtype is DType.FLOAT32:
        return (low + random.random_sample(shape) * (high - low)).astype(np.float32)
    return random.randint(int(low), int(high) + 1, shape).astype(dtype.numpy)
