# SPDX-License-Identifier: Apache-2.0
"""Layers with weights: their shapes, and the multipliers, biases and clamps that break kernels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.conform.kernel import (
    ACTIVATIONS,
    CHANNELS,
    SIZES,
    SKEWS,
    ZEROS,
    Array,
    Kernel,
    Recipe,
    Value,
    integers,
    noise,
    reals,
)
from hil.tflite.graph import SAME, VALID
from hil.tflite.writer import Net

_WIDE: Final = 28  # bits of the biases of a tiny multiplier
PADDINGS: Final = {"valid": VALID, "same": SAME}

# What the factor from sums to outputs is, and how it is quantised:
# fill  the outputs fill their range
# half  a power of two, so that sums lie exactly between two outputs (ties of the rounding)
# edge  just below a power of two: its 31 bits round up to 2^31, which does not fit
# big   above 1: a shift to the left
# tiny  about 2^-22, with biases of 28 bits: a shift to the right by almost all bits
# zero  below 2^-32: all outputs are the zero point
_MULTIPLIERS: Final = ("fill", "half", "edge", "big", "tiny", "zero")

_QUANTISATION: Final[Mapping[str, tuple[Value, ...]]] = {
    "multiplier": _MULTIPLIERS,
    "channelwise": ("no", "yes"),
    "weights": ("full", "small", "limits"),
    "bias": ("small", "none", "extreme"),
    "activation": tuple(ACTIVATIONS),
    "zero_in": ZEROS,
    "zero_out": ZEROS,
    "skew": SKEWS,
}
_WINDOW: Final[Mapping[str, tuple[Value, ...]]] = {
    "height": SIZES,
    "width": SIZES,
    "window_h": (1, 2, 3, 5),
    "window_w": (1, 2, 3, 5),
    "stride_h": (1, 2, 3),
    "stride_w": (1, 2, 3),
    "padding": tuple(PADDINGS),
}


@dataclass(frozen=True, slots=True)
class _Constants:
    """Weights and bias, the weights' scales, and the scale and zero point of the output."""

    weights: Array
    bias: Array | None
    scales: tuple[float, ...]
    scale: float
    zero: int


def _weights(recipe: Recipe, shape: tuple[int, ...]) -> Array:
    seed = recipe.stream("weights")
    if recipe.real:
        return reals(seed, shape) * np.float32(0.5)
    if recipe.text("weights") == "limits":
        return np.where(noise(seed, shape) % np.uint64(2), 127, -127).astype(np.int8)
    most = {"full": 127, "small": 2}[recipe.text("weights")]
    return integers(seed, shape, -most, most).astype(np.int8)


def _input_scale(recipe: Recipe) -> float:
    kind = recipe.text("multiplier")
    step = 2.0**-7 if recipe.dtype == "int8" else 2.0**-15
    if kind == "edge":
        return step * (1 - 2.0**-23)
    return step if kind == "half" else step * 1.337


def _constants(recipe: Recipe, shape: tuple[int, ...], channels: int, taps: int) -> _Constants:
    weights = _weights(recipe, shape)
    if recipe.real:
        real = reals(recipe.stream("bias"), (channels,))
        if recipe.text("bias") == "none":
            real = np.zeros(channels, np.float32)  # LiteRT wants one
        return _Constants(weights, real, (), 0.0, 0)
    kind, wide = recipe.text("multiplier"), recipe.dtype == "int16"
    spread = {"full": 74.0, "small": 1.4, "limits": 127.0}[recipe.text("weights")]
    sums = spread * (19_000.0 if wide else 74.0) * np.sqrt(taps)  # their deviation
    outputs = 12_000.0 if wide else 50.0  # the deviation that they should have
    count = channels if recipe.text("channelwise") == "yes" else 1
    turns = noise(recipe.stream("scales"), (count,)).astype(np.float64) / 2.0**64
    x = float(np.float32(_input_scale(recipe)))
    if kind in ("half", "edge"):
        scales = 2.0 ** -np.floor(6 + 3 * turns)
        scale = 2.0 ** np.ceil(np.log2(x * 2.0**-7 * sums / outputs))
        if kind == "edge":
            scales = scales * (1 + 2.0**-23)
    else:
        factor = {
            "fill": outputs / sums,
            "big": 1.37,
            "tiny": outputs / 2.0**_WIDE * 3,
            "zero": 2.0**-34,
        }[kind]
        scales = 0.0071 * 2.0 ** (2 * turns - 1)
        scale = x * 0.0071 / factor
    bias = _bias(recipe, channels, sums, wide=wide)
    found = np.asarray(scales, np.float32).astype(float)
    return _Constants(
        weights, bias, tuple(found.tolist()), float(np.float32(scale)), recipe.zero("zero_out")
    )


def _bias(recipe: Recipe, channels: int, sums: float, *, wide: bool) -> Array | None:
    kind, seed = recipe.text("bias"), recipe.stream("bias")
    dtype = np.int64 if wide else np.int32
    if recipe.text("multiplier") == "tiny":
        limit = 1 << _WIDE
    elif kind == "none":
        return None
    elif kind == "small":
        limit = max(int(sums), 1)
    else:
        limit = max(int(sums), 1)
    found = integers(seed, (channels,), -limit, limit).astype(dtype)
    if kind == "extreme" and recipe.text("multiplier") != "tiny":
        # every other channel at a limit, without overflow of the sums
        kinds = noise(recipe.stream("extremes"), (channels,)) % np.uint64(4)
        far = 1 << (37 if wide else 30)
        found[kinds == 0], found[kinds == 1] = far, -far
    return found


def _windowed(recipe: Recipe, channels: int) -> Net:
    shape = (recipe["batch"], recipe["height"], recipe["width"], channels)
    return recipe.start(shape, _input_scale(recipe))


def _conv(recipe: Recipe) -> Net:
    net = _windowed(recipe, recipe["inputs"])
    each = recipe["inputs"] // recipe["groups"]
    taps = (recipe["window_h"], recipe["window_w"])
    shape = (recipe["outputs"], *taps, each)
    found = _constants(recipe, shape, recipe["outputs"], taps[0] * taps[1] * each)
    return _append(net, recipe, found, depthwise=False)


def _depthwise(recipe: Recipe) -> Net:
    net = _windowed(recipe, recipe["inputs"])
    channels = recipe["inputs"] * recipe["multiple"]
    taps = (recipe["window_h"], recipe["window_w"])
    found = _constants(recipe, (1, *taps, channels), channels, taps[0] * taps[1])
    return _append(net, recipe, found, depthwise=True)


def _append(net: Net, recipe: Recipe, found: _Constants, *, depthwise: bool) -> Net:
    return net.conv(
        found.weights,
        found.bias,
        strides=(recipe["stride_h"], recipe["stride_w"]),
        padding=PADDINGS[recipe.text("padding")],
        act=ACTIVATIONS[recipe.text("activation")],
        depthwise=depthwise,
        scales=found.scales,
        scale=found.scale,
        zero=found.zero,
        dilation=(recipe["dilation_h"], recipe["dilation_w"]),
    )


def _dense(recipe: Recipe) -> Net:
    net = recipe.start((recipe["batch"], recipe["inputs"]), _input_scale(recipe))
    shape = (recipe["outputs"], recipe["inputs"])
    found = _constants(recipe, shape, recipe["outputs"], recipe["inputs"])
    return net.dense(
        found.weights,
        found.bias,
        act=ACTIVATIONS[recipe.text("activation")],
        scales=found.scales,
        scale=found.scale,
        zero=found.zero,
    )


def _transposed(recipe: Recipe) -> Net:
    """Without padding; or with, from an output of the input's size times the strides."""
    net = _windowed(recipe, recipe["inputs"])
    taps = (recipe["window_h"], recipe["window_w"])
    strides = (recipe["stride_h"], recipe["stride_w"])
    padding = PADDINGS[recipe.text("padding")]
    sizes = [
        n * stride if padding == SAME else (n - 1) * stride + max(window, stride)
        for n, window, stride in zip(net.shape[1:3], taps, strides, strict=True)
    ]
    shape = (net.shape[0], *sizes, recipe["outputs"])
    weights = (recipe["outputs"], *taps, recipe["inputs"])
    found = _constants(recipe, weights, recipe["outputs"], taps[0] * taps[1] * recipe["inputs"])
    constants = net.constants(found.weights, found.bias, found.scales, 0)
    options = schema.TransposeConvOptionsT()
    options.padding = padding
    options.fusedActivationFunction = ACTIVATIONS[recipe.text("activation")]
    options.strideH, options.strideW = strides
    target = net.tensor([4], "int32", np.array(shape, np.int32))
    x = net.current
    net.op(
        "TRANSPOSE_CONV",
        shape,
        options,
        "TransposeConvOptions",
        scale=found.scale,
        zero=found.zero,
        version=3,
    )
    net.graph.operators[-1].inputs = [target, constants[0], x, *constants[1:]]
    return net


def fit_window(values: dict[str, Value]) -> None:
    """A window without padding lies inside of its input; strides and dilations exclude each other,
    as in TensorFlow."""
    for axis, size in (("h", "height"), ("w", "width")):
        dilation = f"dilation_{axis}"
        if dilation in values and _int(values, f"stride_{axis}") > 1:
            values[dilation] = 1
        if values["padding"] == "valid":
            extent = (_int(values, f"window_{axis}") - 1) * int(values.get(dilation, 1)) + 1
            values[size] = max(_int(values, size), extent)


def _fit_conv(values: dict[str, Value]) -> None:
    for axis in "hw":  # TensorFlow refuses a stride on one axis and a dilation on the other
        if max(_int(values, "stride_h"), _int(values, "stride_w")) > 1:
            values[f"dilation_{axis}"] = 1
    fit_window(values)
    for name in ("inputs", "outputs"):  # of each group the same number
        groups = int(values.get("groups", 1))
        if name in values:
            values[name] = -(-_int(values, name) // groups) * groups
    _fit_quantisation(values)


def _fit_quantisation(values: dict[str, Value]) -> None:
    if values["multiplier"] in ("tiny", "zero"):
        values["activation"] = "none"  # a scale so large clamps everything to the zero point
    if values["multiplier"] == "tiny":
        values["bias"] = "extreme"
    if values["multiplier"] == "big":
        values["weights"] = "small"  # larger ones saturate all outputs


def _int(values: dict[str, Value], name: str) -> int:
    return int(values[name])


_PLAIN: Final[Mapping[str, Value]] = {name: choices[0] for name, choices in _QUANTISATION.items()}
_SHAPE: Final[Mapping[str, Value]] = {
    **{"stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1, "padding": "same"},
    **{"window_h": 3, "window_w": 3, "batch": 1},
    **_PLAIN,
    "channelwise": "yes",
}

CONV2D: Final = Kernel(
    "conv2d",
    "CONV_2D",
    {
        **_WINDOW,
        "dilation_h": (1, 2),
        "dilation_w": (1, 2),
        "inputs": CHANNELS,
        "outputs": CHANNELS,
        "groups": (1, 2, 4),
        "batch": (1, 2),
        **_QUANTISATION,
    },
    _conv,
    fit=_fit_conv,
    known=(
        # the most usual layer, which has padding on all sides
        ("int8", {**_SHAPE, "height": 5, "width": 7, "inputs": 3, "outputs": 5, "groups": 1}),
        # esp-nn issue 31: 3 x 3, stride 2, SAME on an even size pads the bottom and right only
        (
            "int8",
            {**_SHAPE, "height": 8, "width": 8, "inputs": 8, "outputs": 8, "groups": 1}
            | {"stride_h": 2, "stride_w": 2},
        ),
        # a pointwise convolution
        (
            "int8",
            {**_SHAPE, "height": 5, "width": 3, "inputs": 16, "outputs": 9, "groups": 1}
            | {"window_h": 1, "window_w": 1},
        ),
        # one row, as of keyword spotting: CMSIS-NN has a kernel for it
        (
            "int8",
            {**_SHAPE, "height": 1, "width": 12, "inputs": 4, "outputs": 5, "groups": 1}
            | {"window_h": 1, "window_w": 5},
        ),
    ),
)

DEPTHWISE: Final = Kernel(
    "depthwise",
    "DEPTHWISE_CONV_2D",
    {
        **_WINDOW,
        "dilation_h": (1, 2),
        "dilation_w": (1, 2),
        "inputs": CHANNELS,
        "multiple": (1, 2, 3, 8),
        "batch": (1, 2),
        **_QUANTISATION,
    },
    _depthwise,
    fit=_fit_conv,
    known=(
        ("int8", {**_SHAPE, "height": 5, "width": 7, "inputs": 5, "multiple": 1}),
        # esp-nn issue 30: 16 channels, padding of one side only
        (
            "int8",
            {**_SHAPE, "height": 9, "width": 8, "inputs": 16, "multiple": 1}
            | {"stride_h": 2, "stride_w": 2},
        ),
    ),
)

FULLY_CONNECTED: Final = Kernel(
    "fully_connected",
    "FULLY_CONNECTED",
    {
        "inputs": (*CHANNELS, 64, 127, 320),
        "outputs": CHANNELS,
        "batch": (1, 2, 3),
        **_QUANTISATION,
    },
    _dense,
    fit=_fit_quantisation,
    known=(
        # esp-nn issue 34: two outputs, per channel, weights at any address
        (
            "int8",
            {**_PLAIN, "channelwise": "yes", "inputs": 320, "outputs": 2, "batch": 1, "skew": 4},
        ),
        # esp-nn issue 22: weights and values at their limits
        ("int8", {**_PLAIN, "weights": "limits", "inputs": 64, "outputs": 3, "batch": 1}),
    ),
)

TRANSPOSE_CONV: Final = Kernel(
    "transpose_conv",
    "TRANSPOSE_CONV",
    {
        **_WINDOW,
        "height": (1, 2, 3, 5),
        "width": (1, 2, 3, 5),
        "inputs": CHANNELS,
        "outputs": CHANNELS,
        "batch": (1, 2),
        **_QUANTISATION,
    },
    _transposed,
    fit=_fit_quantisation,
)

WEIGHTED: Final = (CONV2D, DEPTHWISE, FULLY_CONNECTED, TRANSPOSE_CONV)
