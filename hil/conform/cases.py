# SPDX-License-Identifier: Apache-2.0
"""Which networks a seed gives, and the samples that each of them gets."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from types import MappingProxyType
from typing import Final

import numpy as np

from hil.conform.kernel import Array, Kernel, Recipe, Value, Values, integers, reals
from hil.core.records import DType, Encoding, TensorSpec, pack_rows, packed_bytes
from hil.tflite import Graph, read_model
from hil.tflite.graph import constant_bytes

SAMPLES: Final = 4
SHORT: Final = {"int8": "i8", "int16": "i16", "float32": "f32"}  # in names, which are bounded
_TRIES: Final = 20  # draws that give nothing new, before a kernel has no more networks
_ENCODINGS: Final = {DType.INT8: Encoding.INT8, DType.FLOAT32: Encoding.FLOAT32}


@dataclass(frozen=True)
class Case:
    """One network: ``name`` in the image, and ``origin``, the name of the network that it was
    shrunk from, or its own."""

    name: str
    kernel: Kernel
    recipe: Recipe
    origin: str

    @cached_property
    def graph(self) -> Graph:
        skew = self.recipe.values.get("skew", 0)
        assert isinstance(skew, int)
        return read_model(self.kernel.make(self.recipe).finish(skew))

    @cached_property
    def samples(self) -> tuple[Array, ...]:
        """(SAMPLES, *shape) values of each input: two random rows, then both limits."""
        specs = self.graph.inputs
        return tuple(self._values(i, spec) for i, spec in enumerate(specs))

    def _values(self, number: int, spec: TensorSpec) -> Array:
        seed, shape = self.recipe.stream(f"samples{number}"), (SAMPLES, *spec.shape)
        if spec.dtype is DType.FLOAT32:
            found = reals(seed, shape)
            found[1] *= np.float32(8)
            found[2], found[3] = np.float32(-1.5), np.float32(3)
            return found
        limits = np.iinfo(spec.dtype.numpy.name)
        codes = integers(seed, shape, int(limits.min), int(limits.max))
        codes[2], codes[3] = limits.min, limits.max
        return codes.astype(spec.dtype.numpy)

    @property
    def encoding(self) -> Encoding:
        """How its samples travel: the only input in its own type, several as OWN."""
        plain = len(self.graph.inputs) == 1 and self.graph.input.dtype in _ENCODINGS
        return _ENCODINGS[self.graph.input.dtype] if plain else Encoding.OWN

    @property
    def rows(self) -> list[bytes]:
        """The samples as requests carry them."""
        return [row.tobytes() for row in pack_rows(self.graph.inputs, self.samples)]

    @property
    def shape(self) -> str:
        """Its parameters that are not the simplest ones, in words."""
        plain = self.kernel.parameters
        said = [
            f"{name} {value}"
            for name, value in self.recipe.values.items()
            if isinstance(value, int) or value != plain[name][0]
        ]
        return ", ".join(said)

    def with_values(self, values: Values, name: str) -> Case:
        """The same kernel, type and seed with other parameters."""
        recipe = Recipe(self.recipe.dtype, self.kernel.fitted(values), self.recipe.seed)
        return Case(name, self.kernel, recipe, self.origin)


@dataclass(frozen=True, slots=True)
class Room:
    """The largest network: bytes of constants, and of all inputs and outputs."""

    constants: int
    tensors: int

    def has(self, graph: Graph) -> bool:
        """Whether a network fits."""
        tensors = packed_bytes(graph.inputs) + packed_bytes(graph.outputs)
        return constant_bytes(graph) <= self.constants and tensors <= self.tensors


def draw(
    kernels: Sequence[Kernel], dtypes: Sequence[str], count: int, seed: int, room: Room
) -> tuple[Case, ...]:
    """Up to ``count`` networks of each kernel and type; the same ones for the same arguments."""
    found: list[Case] = []
    for kernel in kernels:
        for dtype in (one for one in kernel.dtypes if one in dtypes):
            found += _cases(kernel, dtype, count, seed, room)
    return tuple(found)


def _cases(kernel: Kernel, dtype: str, count: int, seed: int, room: Room) -> Iterator[Case]:
    """The shapes that failed elsewhere come first."""
    chance = random.Random(f"{seed} {kernel.name} {dtype}")  # the same in every Python
    known = (values for kind, values in kernel.known if kind == dtype)
    drawn = chain(known, _balanced(kernel, chance))
    seen: set[tuple[tuple[str, Value], ...]] = set()
    repeated = 0
    while len(seen) < count and repeated < _TRIES:
        values = kernel.fitted(next(drawn))
        name = f"{kernel.name}_{SHORT[dtype]}_{len(seen):03d}"
        number = chance.randrange(1 << 30)
        case = _that_fits(Case(name, kernel, Recipe(dtype, values, number), name), room)
        key = tuple(sorted(case.recipe.values.items())) if case else ()
        if case is None or key in seen:
            repeated += 1
            continue
        seen.add(key)
        yield case


def _balanced(kernel: Kernel, chance: random.Random) -> Iterator[Values]:
    """Values that use each size equally often; of the other parameters the simplest choice twice as
    often as all others together, since several extremes at once hide each other."""
    left: dict[str, list[Value]] = {name: [] for name in kernel.parameters}
    while True:
        for name, choices in kernel.parameters.items():
            if not left[name]:
                usual = choices[:1] * (2 * len(choices) - 2) if name in kernel.usual else ()
                deck = (*choices, *usual)
                left[name] = chance.sample(deck, len(deck))
        yield {name: choices.pop() for name, choices in left.items()}


def _that_fits(case: Case, room: Room) -> Case | None:
    """The case, or one with smaller parameters, whose network fits; None if none does."""
    while not room.has(case.graph):
        parameters = case.kernel.parameters
        values = case.recipe.values
        sizes = {
            name: value
            for name, value in values.items()
            if isinstance(value, int) and name != "skew" and value > min(_numbers(parameters[name]))
        }
        for name in sorted(sizes, key=lambda one: -sizes[one]):
            lower = max(one for one in _numbers(parameters[name]) if one < sizes[name])
            smaller = case.with_values(MappingProxyType({**values, name: lower}), case.name)
            if smaller.recipe.values != values:
                case = smaller
                break
        else:
            return None
    return case


def _numbers(choices: Sequence[Value]) -> list[int]:
    return [one for one in choices if isinstance(one, int)]
