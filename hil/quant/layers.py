# SPDX-License-Identifier: Apache-2.0
"""What each layer of an int8 network loses: its values compared with the float32 network's.

Three errors are told apart. The whole one: the int8 network runs as it is, so that a layer also has
the errors of those before it. The layer's own: it gets the float32 network's values, quantised, as
inputs. Rounding alone: the float32 network's values, rounded to the layer's codes and clamped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.quant.edit import Editor, Grid
from hil.quant.match import INPUT, QUANTISED, Layer, Pair
from hil.quant.running import Runner
from hil.quant.weights import weights_of
from hil.runs.schema_quant import QuantWeights
from hil.tflite import Tensor
from hil.tflite.graph import INT8, INT16, UINT8

Array: TypeAlias = npt.NDArray[np.generic]
Reals: TypeAlias = npt.NDArray[np.float64]
Progress: TypeAlias = Callable[[str, int, int], None]  # what, done, total

_LIMITS: Final = {INT8: (-128, 127), UINT8: (0, 255), INT16: (-32768, 32767)}
_KEPT: Final = 1 << 14  # values of a layer that are kept
_KEPT_AT_ONCE: Final = 1 << 12
_BLOCK: Final = 1 << 22  # values of all layers that are in memory at once


def grid_of(tensor: Tensor) -> Grid | None:
    """The grid of an activation; None if it is not quantised per tensor."""
    if tensor.dtype not in QUANTISED or len(tensor.scales) != 1 or not tensor.scale:
        return None
    return Grid(tensor.scale, tensor.zero_point, *_LIMITS[tensor.dtype])


@dataclass(slots=True)
class Noise:
    """Sums of squares of a difference."""

    squares: float = 0.0
    largest: float = 0.0

    def add(self, difference: Reals) -> None:
        self.squares += float(np.square(difference).sum())
        self.largest = max(self.largest, float(np.abs(difference).max(initial=0.0)))

    def decibels(self, signal: float) -> float:
        """Signal-to-quantisation-noise ratio; infinite without noise, NaN without signal."""
        if not self.squares:
            return math.inf
        return 10 * math.log10(signal / self.squares) if signal else math.nan


@dataclass(slots=True)
class Figures:
    """Sums over all samples of one layer; ``grid``: of its output, None if it is not quantised."""

    layer: Layer
    shape: tuple[int, ...]
    grid: Grid | None
    weights: QuantWeights | None
    count: int = 0  # values
    signal: float = 0.0  # sum of the float32 values' squares
    whole: Noise = field(default_factory=Noise)
    own: Noise = field(default_factory=Noise)
    rounding: Noise = field(default_factory=Noise)
    isolated: bool = False  # whether ``own`` is known
    least: float = math.inf  # of the float32 values
    most: float = -math.inf
    below: int = 0  # float32 values that the grid clamps
    above: int = 0
    at_low: int = 0  # codes at the limits
    at_high: int = 0
    used: npt.NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    live: npt.NDArray[np.bool_] | None = None  # channels whose codes change
    live_real: npt.NDArray[np.bool_] | None = None
    _first: tuple[Reals, Reals] | None = None
    _kept: list[Reals] = field(default_factory=list)
    _random: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def add(self, real: Array, codes: Array, own: Array | None) -> None:
        """(n, elements) of the float32 network, of the int8 one, and of the layer alone."""
        x = real.astype(np.float64)
        self.count += x.size
        self.signal += float(np.square(x).sum())
        self.least, self.most = min(self.least, float(x.min())), max(self.most, float(x.max()))
        room = _KEPT - sum(map(len, self._kept))
        if room > 0:
            drawn = self._random.integers(0, x.size, min(room, _KEPT_AT_ONCE, x.size))
            self._kept.append(x.reshape(-1)[drawn])
        grid = self.grid
        if grid is None:
            self.whole.add(x - codes.astype(np.float64))
            return
        y = grid.real(codes)
        self.whole.add(x - y)
        self.rounding.add(x - grid.real(grid.codes(x)))
        if own is not None:
            self.isolated = True
            self.own.add(x - grid.real(own))
        half = grid.scale / 2
        self.below += int((x < grid.least - half).sum())
        self.above += int((x > grid.most + half).sum())
        self.at_low += int((codes == grid.low).sum())
        self.at_high += int((codes == grid.high).sum())
        if not self.used.size:
            self.used = np.zeros(grid.high - grid.low + 1, np.bool_)
        self.used[codes.astype(np.int64).reshape(-1) - grid.low] = True
        self._channels(x, y)

    @property
    def died(self) -> int:
        """Channels that are constant in int8 only."""
        if self.live is None or self.live_real is None:
            return 0
        return int((~self.live & self.live_real).sum())

    @property
    def some(self) -> Reals:
        """Some of the float32 values."""
        return np.concatenate(self._kept)

    def _channels(self, x: Reals, y: Reals) -> None:
        channels = self.shape[-1] if self.shape else 1
        rows = x.reshape(-1, channels), y.reshape(-1, channels)
        if self._first is None:
            self._first = rows[0][0].copy(), rows[1][0].copy()
            self.live_real = np.zeros(channels, np.bool_)
            self.live = np.zeros(channels, np.bool_)
        assert self.live is not None
        assert self.live_real is not None
        self.live_real |= (rows[0] != self._first[0]).any(axis=0)
        self.live |= (rows[1] != self._first[1]).any(axis=0)


@dataclass(frozen=True, slots=True)
class Measured:
    """The figures of layers, and (n, elements) real outputs of both networks, one per output."""

    layers: tuple[Figures, ...]
    plain: tuple[Reals, ...]
    coded: tuple[Reals, ...]


def measure(
    pair: Pair, plain: Sequence[Array], coded: Sequence[Array], progress: Progress
) -> Measured:
    """The figures of every layer that both graphs store.

    ``plain``, ``coded``: (n, *input shape) per input of either network, the same samples.
    """
    found = [
        Figures(
            one,
            pair.plain.tensors[one.real].shape,
            grid_of(pair.coded.tensors[one.codes]),
            weights_of(pair, one),
        )
        for one in pair.layers
        if one.real is not None and one.codes is not None
    ]
    ours = [_real(one) for one in found if one.layer.code != INPUT]
    ours = list(dict.fromkeys((*ours, *pair.plain.output_indices)))
    theirs = [_codes(one) for one in found if not _given(pair, _codes(one))]
    theirs = list(dict.fromkeys((*theirs, *pair.coded.output_indices)))
    ends: tuple[list[list[Reals]], list[list[Reals]]] = ([], [])
    floats = Runner(Editor(pair.plain).exposing(ours), pair.plain, exact=False)
    editor = Editor(pair.coded)
    codes = Runner(editor.exposing(theirs), pair.coded, exact=True)
    apart = _Apart(pair, editor)
    n = len(plain[0])
    block = _rows(pair)
    for start in range(0, n, block):
        some = slice(start, min(start + block, n))
        reals = dict(zip(ours, floats([x[some] for x in plain]), strict=True))
        for index, x in zip(pair.plain.input_indices, plain, strict=True):
            reals[index] = x[some].reshape(len(x[some]), -1)
        said = dict(zip(theirs, codes([x[some] for x in coded]), strict=True))
        for index, x in zip(pair.coded.input_indices, coded, strict=True):
            said[index] = x[some].reshape(len(x[some]), -1)
        own = apart(reals)
        for one in found:
            one.add(reals[_real(one)], said[_codes(one)], own.get(_codes(one)))
        ends[0].append([reals[i].astype(np.float64) for i in pair.plain.output_indices])
        ends[1].append([_real_outputs(pair, i, said[i]) for i in pair.coded.output_indices])
        progress("layers", some.stop, n)
    outputs = [tuple(np.concatenate(rows) for rows in zip(*one, strict=True)) for one in ends]
    return Measured(tuple(found), *outputs)


def _real_outputs(pair: Pair, tensor: int, values: Array) -> Reals:
    grid = grid_of(pair.coded.tensors[tensor])
    return values.astype(np.float64) if grid is None else grid.real(values)


def _given(pair: Pair, tensor: int) -> bool:
    return tensor in pair.coded.input_indices


def _real(one: Figures) -> int:
    assert one.layer.real is not None
    return one.layer.real


def _codes(one: Figures) -> int:
    assert one.layer.codes is not None
    return one.layer.codes


def _rows(pair: Pair) -> int:
    """Samples per block."""
    values = sum(
        pair.plain.tensors[one.real].elements for one in pair.layers if one.real is not None
    )
    return max(1, _BLOCK // max(1, values))


class _Apart:
    """The int8 network's operators on the float32 network's values."""

    def __init__(self, pair: Pair, editor: Editor) -> None:
        self.pair = pair
        operators = list(self._whole())
        self._runner: Runner | None = None
        if pair.why or not operators:
            return
        data, self._sources, self._outputs = editor.taken_apart(operators)
        self._runner = Runner(data, pair.coded, exact=True)

    def _whole(self) -> Iterator[int]:
        """Operators whose inputs are all known from the float32 network."""
        graph = self.pair.coded
        single = {one.integers[0] for one in self.pair.layers if len(one.integers) == 1}
        for op in graph.operators:
            read = [i for i in op.inputs if i >= 0 and graph.tensors[i].data is None]
            variable = any(graph.tensors[i].variable for i in read)
            if op.index in single and not variable and set(read) <= set(self.pair.sources):
                yield op.index

    def __call__(self, reals: dict[int, Array]) -> dict[int, Array]:
        """Tensor of the int8 network -> what its operator makes of exact inputs."""
        if self._runner is None:
            return {}
        given = []
        for tensor in (self.pair.coded.tensors[i] for i in self._sources):
            x = reals[self.pair.sources[tensor.index]]
            grid = grid_of(tensor)
            kind = {INT8: np.int8, UINT8: np.uint8, INT16: np.int16}.get(tensor.dtype)
            given.append(x if grid is None or kind is None else grid.codes(x).astype(kind))
        return dict(zip(self._outputs, self._runner(given), strict=True))
