# SPDX-License-Identifier: Apache-2.0
"""Weights and biases of an int8 network's layers: how well their codes hold the float32 values, and
whether sums fit 32 bits."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from hil.quant.match import Constant, Layer, Pair, real_values
from hil.runs.schema_quant import QuantWeights
from hil.tflite import Operator, Tensor
from hil.tflite.graph import WEIGHTED, data_input

Reals: TypeAlias = npt.NDArray[np.float64]

DIFFERENT: Final = 5.0  # dB: weights below are not those of the float32 file, but others
_LARGEST: Final = float(1 << 31)
_WEIGHTS, _BIAS = 1, 2  # inputs of a weighted operator


def weights_of(pair: Pair, layer: Layer) -> QuantWeights | None:
    """The figures of a layer's weighted operator; None if it has none, or other weights."""
    operators = {op.index: op for op in pair.coded.operators}
    by_number = {op.index: op for op in pair.plain.operators}
    for one in layer.constants:
        ours = by_number[one.operator]
        if ours.code not in WEIGHTED or one.position != _WEIGHTS:
            continue
        theirs = next(
            operators[i]
            for i in layer.integers
            if operators[i].code == ours.code and one.codes in operators[i].inputs
        )
        return _figures(pair, one, ours, theirs)
    return None


def same_weights(pair: Pair) -> bool:
    """Whether a pair's layers have the same weights, quantisation aside; False without any."""
    found = [one for layer in pair.layers if (one := weights_of(pair, layer)) is not None]
    return bool(found) and all(one.sqnr is None or one.sqnr >= DIFFERENT for one in found)


def channel_axis(operator: Operator) -> int:
    """The axis of the weights that counts output channels."""
    return 3 if operator.code == "DEPTHWISE_CONV_2D" else 0


def by_channel(values: Reals, axis: int) -> Reals:
    """(channels, weights of one)."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _figures(pair: Pair, weights: Constant, ours: Operator, operator: Operator) -> QuantWeights:
    codes = pair.coded.tensors[weights.codes]
    data = pair.plain.tensors[weights.real].data
    assert data is not None
    assert codes.data is not None
    axis = channel_axis(operator)
    real = by_channel(data.astype(np.float64), axis)
    rounded = by_channel(real_values(codes).astype(np.float64), axis)
    signal, noise = np.square(real).sum(1), np.square(real - rounded).sum(1)
    ranges = np.abs(real).max(1)
    ranges = ranges[ranges > 0]
    ratios = [decibels(s, n) for s, n in zip(signal, noise, strict=True)]
    known = [ratio for ratio in ratios if ratio is not None]
    x = pair.coded.tensors[data_input(operator)]
    bias = _bias(pair, operator)
    return QuantWeights(
        scales=len(codes.scales),
        spread=float(ranges.max() / ranges.min()) if ranges.size else None,
        sqnr=decibels(float(signal.sum()), float(noise.sum())),
        sqnr_channel=min(known, default=None),
        bias=None if bias is None else _share(bias),
        sums=_sums(codes, axis, x, bias),
        bias_scale=None if bias is None else _bias_scale(bias, x, codes),
        bias_off=None if bias is None else _bias_off(pair, ours, operator, bias, codes),
    )


def decibels(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise); None without one of them."""
    return 10 * math.log10(signal / noise) if signal > 0 and noise > 0 else None


def _bias(pair: Pair, operator: Operator) -> Tensor | None:
    place = _place(operator)
    if len(operator.inputs) <= place or operator.inputs[place] < 0:
        return None
    found = pair.coded.tensors[operator.inputs[place]]
    return found if found.data is not None else None


def _place(operator: Operator) -> int:
    """Which input is the bias."""
    return 3 if operator.code == "TRANSPOSE_CONV" else _BIAS


def _share(bias: Tensor) -> float:
    assert bias.data is not None
    return float(np.abs(bias.data.astype(np.float64)).max()) / _LARGEST


def _sums(weights: Tensor, axis: int, x: Tensor, bias: Tensor | None) -> float | None:
    """The largest sum of products that any input can make, by channel."""
    if x.data is not None or not x.scales or weights.data is None:
        return None
    if bias is not None and bias.data is not None and bias.data.dtype.itemsize == 8:
        return None  # int16 activations: sums of 64 bits
    low, high = {"i1": (-128, 127), "u1": (0, 255)}.get(f"{_kind(x)}", (-32768, 32767))
    most = max(abs(low - x.zero_point), abs(high - x.zero_point))
    zero = weights.zero_point if len(weights.scales) == 1 else 0
    rows = by_channel(np.abs(weights.data.astype(np.float64) - zero), axis)
    sums = rows.sum(1) * most
    if bias is not None and bias.data is not None and bias.elements == len(sums):
        sums = sums + np.abs(bias.data.astype(np.float64).reshape(-1))
    return float(sums.max()) / _LARGEST


def _kind(x: Tensor) -> str:
    return {9: "i1", 3: "u1"}.get(x.dtype, "i2")


def _bias_off(
    pair: Pair, ours: Operator, theirs: Operator, bias: Tensor, weights: Tensor
) -> float | None:
    """See `QuantWeights`: kernels take a bias's codes in input scale x weight scale."""
    place = _place(theirs)
    y = pair.coded.tensors[theirs.outputs[0]]
    x = pair.coded.tensors[data_input(theirs)]
    if len(ours.inputs) <= place or ours.inputs[place] < 0 or not (x.scale and y.scale):
        return None
    real = pair.plain.tensors[ours.inputs[place]].data
    if real is None or bias.data is None or real.size != bias.data.size:
        return None
    scales = np.array(weights.scales, np.float64) * x.scale
    found = bias.data.astype(np.float64).reshape(-1) * scales
    return float(np.abs(found - real.astype(np.float64).reshape(-1)).max()) / y.scale


def _bias_scale(bias: Tensor, x: Tensor, weights: Tensor) -> float | None:
    """How far the bias's scales are from input scale x weight scale."""
    if not bias.scales or not x.scale:
        return None
    expected = np.array(weights.scales, np.float64) * x.scale
    found = np.array(bias.scales, np.float64)
    if len(found) not in (1, len(expected)) and len(expected) != 1:
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(found - expected) / expected
    off = off[np.isfinite(off)]
    return float(off.max()) if off.size else None
