# SPDX-License-Identifier: Apache-2.0
"""Layers that pool, reduce, normalise or move values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from hil.conform.elementwise import constant, start
from hil.conform.kernel import ACTIVATIONS, CHANNELS, SIZES, ZEROS, Kernel, Recipe, Value
from hil.conform.weighted import PADDINGS, fit_window
from hil.tflite.writer import Net

_IMAGE: Final[Mapping[str, tuple[Value, ...]]] = {
    "height": SIZES,
    "width": SIZES,
    "channels": CHANNELS,
    "batch": (1, 2),
    "zero_in": ZEROS,
}


def _image(recipe: Recipe) -> Net:
    shape = (recipe["batch"], recipe["height"], recipe["width"], recipe["channels"])
    return start(recipe, shape)


def _pool(*, average: bool) -> Callable[[Recipe], Net]:
    def make(recipe: Recipe) -> Net:
        return _image(recipe).pool(
            (recipe["window_h"], recipe["window_w"]),
            (recipe["stride_h"], recipe["stride_w"]),
            average=average,
            padding=PADDINGS[recipe.text("padding")],
            act=ACTIVATIONS[recipe.text("activation")],
        )

    return make


_POOL: Final[Mapping[str, tuple[Value, ...]]] = {
    **_IMAGE,
    "window_h": (1, 2, 3, 5),
    "window_w": (1, 2, 3, 5),
    "stride_h": (1, 2, 3),
    "stride_w": (1, 2, 3),
    "padding": tuple(PADDINGS),
    "activation": tuple(ACTIVATIONS),
}


def _softmax(recipe: Recipe) -> Net:
    scale = {"usual": 0.07, "wide": 1.9, "narrow": 0.0011}[recipe.text("scale")]
    scale = scale if recipe.dtype == "int8" else scale / 256
    net = recipe.start((recipe["height"], recipe["channels"]), scale)
    net.softmax({"one": 1.0, "half": 0.5, "three": 3.0}[recipe.text("beta")])
    if recipe.dtype == "int16":
        net.graph.tensors[net.current].quantization.scale = np.array([1 / 32_768], np.float32)
        net.graph.tensors[net.current].quantization.zeroPoint = np.array([0], np.int64)
    return net


def _pad(recipe: Recipe) -> Net:
    net = _image(recipe)
    sides = [(0, 0), *((recipe[f"{a}_before"], recipe[f"{a}_after"]) for a in ("h", "w", "c"))]
    table = net.tensor([4, 2], "int32", np.array(sides, np.int32))
    shape = [n + a + b for n, (a, b) in zip(net.shape, sides, strict=True)]
    return net.op("PAD", shape, schema.PadOptionsT(), "PadOptions", [table], version=2)


def _mean(recipe: Recipe) -> Net:
    net = _image(recipe)
    axes = {"image": (1, 2), "rows": (1,), "columns": (2,), "channels": (3,)}[recipe.text("axes")]
    options = schema.ReducerOptionsT()
    options.keepDims = recipe.text("keep") == "yes"
    table = net.tensor([len(axes)], "int32", np.array(axes, np.int32))
    shape = [1 if i in axes else n for i, n in enumerate(net.shape)]
    if not options.keepDims:
        shape = [n for i, n in enumerate(net.shape) if i not in axes]
    scale = net.scale * {"equal": 1.0, "finer": 0.37}[recipe.text("result")]
    zero = net.zero if recipe.text("result") == "equal" else recipe.zero("zero_out")
    return net.op("MEAN", shape, options, "ReducerOptions", [table], scale=scale, zero=zero)


def _concat(recipe: Recipe) -> Net:
    """With itself or a constant, of the same scale; other ones are not a copy."""
    net = _image(recipe)
    axis = {"channels": 3, "columns": 2, "rows": 1}[recipe.text("axis")]
    more = [n if i != axis else recipe["length"] for i, n in enumerate(net.shape)]
    second = constant(net, recipe, tuple(more), net.scale, net.zero)
    options = schema.ConcatenationOptionsT()
    options.axis, options.fusedActivationFunction = axis, 0
    shape = [n if i != axis else n + recipe["length"] for i, n in enumerate(net.shape)]
    return net.op("CONCATENATION", shape, options, "ConcatenationOptions", [second], version=2)


def _transpose(recipe: Recipe) -> Net:
    net = _image(recipe)
    order = [int(c) for c in recipe.text("order")]
    table = net.tensor([4], "int32", np.array(order, np.int32))
    shape = [net.shape[i] for i in order]
    return net.op("TRANSPOSE", shape, schema.TransposeOptionsT(), "TransposeOptions", [table])


def _batch_matmul(recipe: Recipe) -> Net:
    """With another input, since TFLM has constants on the right only in some versions."""
    net = start(recipe, (recipe["batch"], recipe["height"], recipe["inputs"]))
    shape = (recipe["batch"], recipe["inputs"], recipe["outputs"])
    turned = recipe.text("turned") == "yes"
    second = (shape[0], shape[2], shape[1]) if turned else shape
    index = net.activation(second, recipe.dtype, 0.021 if recipe.dtype == "int8" else 0.0001, 0)
    net.graph.inputs = [*net.graph.inputs, index]
    options = schema.BatchMatMulOptionsT()
    options.adjX, options.adjY = False, turned
    wide = 18_000 if recipe.dtype == "int16" else 74
    scale = net.scale * 0.021 * wide * np.sqrt(recipe["inputs"]) if not recipe.real else 0.0
    if recipe.dtype == "int16":
        scale = net.scale * 0.0001 * wide * np.sqrt(recipe["inputs"])
    return net.op(
        "BATCH_MATMUL",
        (shape[0], recipe["height"], shape[2]),
        options,
        "BatchMatMulOptions",
        [index],
        scale=float(np.float32(scale)),
        zero=recipe.zero("zero_out"),
        version=2,
    )


_SIDES: Final[Mapping[str, tuple[Value, ...]]] = {
    f"{axis}_{side}": (0, 1, 2, 3) for axis in "hwc" for side in ("before", "after")
}

SPATIAL: Final = (
    Kernel("max_pool", "MAX_POOL_2D", _POOL, _pool(average=False), fit=fit_window),
    Kernel("average_pool", "AVERAGE_POOL_2D", _POOL, _pool(average=True), fit=fit_window),
    Kernel(
        "softmax",
        "SOFTMAX",
        {
            "height": (1, 2, 3),
            "channels": (*CHANNELS[1:], 127),
            "scale": ("usual", "wide", "narrow"),
            "beta": ("one", "half", "three"),
            "zero_in": ZEROS,
        },
        _softmax,
    ),
    Kernel(
        "mean",
        "MEAN",
        {
            **_IMAGE,
            "axes": ("image", "rows", "columns", "channels"),
            "keep": ("yes", "no"),
            "result": ("equal", "finer"),
            "zero_out": ZEROS,
        },
        _mean,
    ),
    Kernel("pad", "PAD", {**_IMAGE, **_SIDES}, _pad),
    Kernel(
        "concat",
        "CONCATENATION",
        {**_IMAGE, "axis": ("channels", "columns", "rows"), "length": (1, 2, 3, 5, 16)},
        _concat,
    ),
    Kernel(
        "transpose",
        "TRANSPOSE",
        {**_IMAGE, "order": ("0231", "0213", "0312", "0321", "0132")},
        _transpose,
    ),
    Kernel(
        "batch_matmul",
        "BATCH_MATMUL",
        {
            "height": (1, 2, 3, 5),
            "inputs": CHANNELS,
            "outputs": CHANNELS,
            "batch": (1, 2),
            "turned": ("no", "yes"),
            "zero_in": ZEROS,
            "zero_out": ZEROS,
        },
        _batch_matmul,
    ),
)
