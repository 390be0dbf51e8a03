# SPDX-License-Identifier: Apache-2.0
"""Which layer costs the accuracy: the float32 network with some of its values rounded as int8 does.

A layer in int8 has the int8 file's weights, as real numbers, and an output that is rounded to the
int8 file's codes and clamped. Sums are float32: rounding of the sums' multiplier is left out, which
changes a code by one at most. Layers that only move values, and share the range of the layer before
them, are one unit with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.quant.edit import Editor, Grid, Variant
from hil.quant.layers import Figures, grid_of
from hil.quant.match import Layer, Pair, real_values
from hil.quant.running import Runner
from hil.quant.weights import by_channel, channel_axis
from hil.tflite import Operator
from hil.tflite.graph import WEIGHTED

Array: TypeAlias = npt.NDArray[np.generic]

RECALIBRATED, PER_CHANNEL = "recalibrated", "per-channel"
CLIPPED, WIDE = "clipped", "16x8"
CURES: Final = {
    RECALIBRATED: "with ranges of this data",
    PER_CHANNEL: "with one weight scale per channel",
    WIDE: "with 16-bit activations",
    CLIPPED: "with outliers clipped",
}
# their ranges follow from the operator, not from data
FIXED: Final = ("SOFTMAX", "LOGISTIC", "TANH", "LOG_SOFTMAX", "L2_NORMALIZATION", "ARG_MAX")
_ROUNDS: Final = 24  # clipped ranges that are tried
_NARROWEST: Final = 0.1  # of the whole range


@dataclass(frozen=True, slots=True)
class Unit:
    """Layers that are quantised together: the first, and those that only move its values."""

    layers: tuple[Figures, ...]

    @property
    def name(self) -> str:
        return self.layers[0].layer.name


def fixed(layer: Layer) -> bool:
    """Whether the range of a layer's output follows from its operator."""
    return layer.code.split(" + ")[-1] in FIXED


def units_of(pair: Pair, figures: Sequence[Figures]) -> list[Unit]:
    """Every layer in one unit, in order."""
    made: list[list[Figures]] = []
    place: dict[int, int] = {}  # tensor of the int8 graph -> its unit
    operators = {op.index: op for op in pair.coded.operators}
    forward = {op.outputs[0]: op.inputs[0] for op in operators.values() if op.code == "QUANTIZE"}
    for one in figures:
        if one.layer.codes is None:
            continue
        read = {
            i
            for number in one.layer.integers
            for i in operators[number].inputs
            if i >= 0 and pair.coded.tensors[i].data is None
        }
        read |= {forward[i] for i in read if i in forward}
        same = sorted(
            {place[i] for i in read if i in place and grid_of(pair.coded.tensors[i]) == one.grid}
        )
        if same and not one.layer.constants and one.grid is not None:
            made[same[0]].append(one)
            place[one.layer.codes] = same[0]
        else:
            place[one.layer.codes] = len(made)
            made.append([one])
    return [Unit(tuple(unit)) for unit in made]


class Trials:
    """The float32 network on the same samples, with other values rounded each time.

    ``inputs``: (n, *shape) per input of the float32 network.
    """

    def __init__(self, pair: Pair, units: Sequence[Unit], inputs: Sequence[Array]) -> None:
        self.pair, self.units, self.inputs = pair, units, inputs
        self._editor = Editor(pair.plain)
        self._operators = {op.index: op for op in pair.plain.operators}

    def run(self, variant: Variant) -> list[Array]:
        """(n, elements) of every output."""
        data = self._editor.quantised(variant, self.pair.plain.output_indices)
        return Runner(data, self.pair.plain, exact=False)(self.inputs)

    def variant(self, units: Iterable[Unit]) -> Variant:
        """``units`` in int8."""
        grids: dict[int, Grid] = {}
        constants: dict[tuple[int, int], Array] = {}
        for one in (layer for unit in units for layer in unit.layers):
            if one.grid is not None and one.layer.real is not None:
                grids[one.layer.real] = one.grid
            for held in one.layer.constants:
                place = held.operator, held.position
                constants[place] = real_values(self.pair.coded.tensors[held.codes])
        return Variant(grids, constants)

    def but(self, left_out: Unit) -> Variant:
        """All units in int8 but one."""
        return self.variant(unit for unit in self.units if unit is not left_out)

    def but_weights(self, of: Unit) -> Variant:
        """All in int8 but the weights of a unit."""
        whole = self.variant(self.units)
        left_out = set(self.variant([of]).constants)
        return Variant(
            whole.grids, {at: x for at, x in whole.constants.items() if at not in left_out}
        )

    def cure(self, name: str) -> Variant | None:
        """The whole network in int8 with the change of `CURES`; None if it changes nothing."""
        whole = self.variant(self.units)
        if name == WIDE:
            return Variant({}, whole.constants) if whole.grids else None
        if name == PER_CHANNEL:
            constants = self._per_channel()
            return Variant(whole.grids, {**whole.constants, **constants}) if constants else None
        grids = dict(whole.grids)
        for unit in self.units:
            grids.update(_regridded(unit, clip=name == CLIPPED))
        return Variant(grids, whole.constants) if grids != whole.grids else None

    def _per_channel(self) -> Mapping[tuple[int, int], Array]:
        """The float32 weights of layers with one scale, quantised with one per channel."""
        found: dict[tuple[int, int], Array] = {}
        for one in (layer for unit in self.units for layer in unit.layers):
            for held in one.layer.constants:
                operator = self._operators[held.operator]
                codes = self.pair.coded.tensors[held.codes]
                data = self.pair.plain.tensors[held.real].data
                weighted = operator.code in WEIGHTED and held.position == 1
                if weighted and len(codes.scales) == 1 and data is not None:
                    found[held.operator, held.position] = _by_channel(data, operator)
        return found


def _by_channel(data: Array, operator: Operator) -> npt.NDArray[np.float32]:
    """Symmetric int8 weights with one scale per output channel, as real numbers."""
    axis = channel_axis(operator)
    rows = by_channel(data.astype(np.float64), axis)
    scales = np.maximum(np.abs(rows).max(1, keepdims=True), 1e-30) / 127
    rounded = np.rint(rows / scales) * scales
    moved = np.moveaxis(data, axis, 0).shape
    return np.asarray(np.moveaxis(rounded.reshape(moved), 0, axis), np.float32)


def _regridded(unit: Unit, *, clip: bool) -> dict[int, Grid]:
    """The grids of a unit's values, from the range that the first samples have."""
    first = unit.layers[0]
    if first.grid is None or fixed(first.layer):
        return {}
    low = min(one.least for one in unit.layers)
    high = max(one.most for one in unit.layers)
    if clip:
        low, high = _clipped(first, low, high)
    grid = fitted(low, high, first.grid)
    return {one.layer.real: grid for one in unit.layers if one.layer.real is not None}


def fitted(low: float, high: float, like: Grid) -> Grid:
    """The grid of a range, 0 included, with the number of codes that ``like`` has."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / (like.high - like.low) or 1.0
    if like.low == -(like.high + 1) and like.high > 127:  # int16 is symmetric
        scale = max(-low, high) / like.high or 1.0
        return Grid(scale, 0, like.low, like.high)
    zero = round(like.low - low / scale)
    return Grid(scale, min(max(zero, like.low), like.high), like.low, like.high)


def _clipped(one: Figures, low: float, high: float) -> tuple[float, float]:
    """The range with the least mean square error on a sample of the values."""
    x = one.some
    assert one.grid is not None
    best = (np.inf, low, high)
    for share in np.linspace(_NARROWEST, 1.0, _ROUNDS):
        grid = fitted(low * share, high * share, one.grid)
        error = float(np.square(x - grid.real(grid.codes(x))).sum())
        best = min(best, (error, low * float(share), high * float(share)))
    return best[1], best[2]
