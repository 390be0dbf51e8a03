# SPDX-License-Identifier: Apache-2.0
"""Layers that compute each value by itself, or from two tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from ai_edge_litert import schema_py_generated as schema

from hil.conform.kernel import (
    ACTIVATIONS,
    CHANNELS,
    SKEWS,
    ZEROS,
    Array,
    Kernel,
    Recipe,
    Value,
    integers,
    reals,
)
from hil.tflite.writer import Net

_STEP: Final = {"int8": 0.037, "int16": 0.00013, "float32": 0.0}
# how much larger the scales of the other tensors are: equal ones take short cuts, others shift
_RATIOS: Final[Mapping[str, float]] = {"equal": 1.0, "near": 1.31, "far": 11.7, "small": 0.083}
_TENSOR: Final[Mapping[str, tuple[Value, ...]]] = {
    "height": (1, 2, 3, 5),
    "width": (1, 2, 3, 5, 8),
    "channels": CHANNELS,
    "batch": (1, 2),
}
# the second operand: another input, a constant of the same shape, one value per channel, one value
_OPERANDS: Final = ("input", "constant", "channel", "one", "itself")


def _shape(recipe: Recipe) -> tuple[int, ...]:
    return (recipe["batch"], recipe["height"], recipe["width"], recipe["channels"])


def start(recipe: Recipe, shape: tuple[int, ...]) -> Net:
    """An input of this shape, with a scale of its type."""
    return recipe.start(shape, _STEP[recipe.dtype])


def constant(net: Net, recipe: Recipe, shape: tuple[int, ...], scale: float, zero: int) -> int:
    """A tensor of constants of the network's type."""
    return net.tensor(
        shape,
        recipe.dtype,
        _values(recipe, shape),
        scales=[] if recipe.real else [scale],
        zeros=[] if recipe.real else [zero],
    )


def _values(recipe: Recipe, shape: tuple[int, ...]) -> Array:
    seed = recipe.stream("constant")
    if recipe.real:
        return reals(seed, shape)
    limit = 127 if recipe.dtype == "int8" else 32_767
    return integers(seed, shape, -limit - 1, limit).astype(recipe.dtype)


def _second(net: Net, recipe: Recipe, scale: float) -> int:
    """The tensor of the second operand."""
    kind, shape, zero = recipe.text("operand"), net.shape, recipe.zero("zero_second")
    if kind == "itself":
        return net.current
    if kind == "input":
        index = net.activation(shape, recipe.dtype, scale, zero)
        net.graph.inputs = [*net.graph.inputs, index]
        return index
    narrow = {"constant": shape, "channel": (shape[-1],), "one": (1,)}[kind]
    return constant(net, recipe, narrow, scale, zero)


def _binary(code: str, option: Callable[[], Any] | None, *, same: bool) -> Callable[[Recipe], Net]:
    """``same``: the operator moves values, so all tensors have one scale and zero point."""

    def make(recipe: Recipe) -> Net:
        net = start(recipe, _shape(recipe))
        options: Any = option() if option else None
        if option and "activation" in recipe.values:
            options.fusedActivationFunction = ACTIVATIONS[recipe.text("activation")]
        kind = f"{type(options).__name__.removesuffix('T')}" if options else ""
        if recipe.real:
            return net.op(code, net.shape, options, kind, [_second(net, recipe, 0.0)])
        if same:
            found = Recipe(recipe.dtype, {**recipe.values, "zero_second": net.zero}, recipe.seed)
            return net.op(
                code, net.shape, options, kind, [_second(net, found, net.scale)], version=2
            )
        second = net.scale * _RATIOS[recipe.text("second")]
        index = _second(net, recipe, second)
        spread = net.scale * second * 74 if code == "MUL" else net.scale + second
        if code == "MUL" and recipe.dtype == "int16":
            spread = net.scale * second * 18_000
        scale = spread * _RATIOS[recipe.text("result")]
        return net.op(
            code,
            net.shape,
            options,
            kind,
            [index],
            scale=scale,
            zero=recipe.zero("zero_out"),
            version=2,
        )

    return make


_TWO: Final[Mapping[str, tuple[Value, ...]]] = {
    **_TENSOR,
    "operand": _OPERANDS,
    "second": tuple(_RATIOS),
    "result": tuple(_RATIOS),
    "activation": tuple(ACTIVATIONS),
    "zero_in": ZEROS,
    "zero_second": ZEROS,
    "zero_out": ZEROS,
    "skew": SKEWS,
}
_MOVED: Final[Mapping[str, tuple[Value, ...]]] = {
    **_TENSOR,
    "operand": _OPERANDS,
    "zero_in": ZEROS,
    "skew": SKEWS,
}


def _function(code: str, result: tuple[float, int] | None = None) -> Callable[[Recipe], Net]:
    """``result``: the scale and zero point that TFLite asks for in int8."""

    def make(recipe: Recipe) -> Net:
        net = recipe.start(_shape(recipe), _INPUTS[recipe.text("scale")] * _STEP[recipe.dtype])
        options: Any = None
        if code == "LEAKY_RELU":
            options = schema.LeakyReluOptionsT()
            options.alpha = {"small": 0.1, "large": 1.5, "negative": -0.2}[recipe.text("alpha")]
        kind = "LeakyReluOptions" if options else ""
        if recipe.real:
            return net.op(code, net.shape, options, kind)
        scale, zero = 1.0 / 32_768, 0  # of int16
        if result is not None:
            scale, zero = (scale, zero) if recipe.dtype == "int16" else result
        elif code == "RELU6":
            scale, zero = net.scale, net.zero
        else:
            scale = net.scale * _RATIOS[recipe.text("result")]
            zero = recipe.zero("zero_out")
        return net.op(code, net.shape, options, kind, scale=scale, zero=zero, version=2)

    return make


_INPUTS: Final[Mapping[str, float]] = {"usual": 1.0, "wide": 9.0, "narrow": 0.03}
_ONE: Final[Mapping[str, tuple[Value, ...]]] = {
    **_TENSOR,
    "scale": tuple(_INPUTS),
    "zero_in": ZEROS,
}
_FREE: Final[Mapping[str, tuple[Value, ...]]] = {
    **_ONE,
    "result": tuple(_RATIOS),
    "zero_out": ZEROS,
}

ELEMENTWISE: Final = (
    Kernel("add", "ADD", _TWO, _binary("ADD", schema.AddOptionsT, same=False)),
    Kernel("sub", "SUB", _TWO, _binary("SUB", schema.SubOptionsT, same=False)),
    Kernel("mul", "MUL", _TWO, _binary("MUL", schema.MulOptionsT, same=False)),
    Kernel("maximum", "MAXIMUM", _MOVED, _binary("MAXIMUM", None, same=True), ("int8", "float32")),
    Kernel("minimum", "MINIMUM", _MOVED, _binary("MINIMUM", None, same=True), ("int8", "float32")),
    Kernel("relu", "RELU", _FREE, _function("RELU"), ("int8", "float32")),
    Kernel("relu6", "RELU6", _ONE, _function("RELU6"), ("int8", "float32")),
    Kernel(
        "leaky_relu",
        "LEAKY_RELU",
        {**_FREE, "alpha": ("small", "large", "negative")},
        _function("LEAKY_RELU"),
    ),
    Kernel("logistic", "LOGISTIC", _ONE, _function("LOGISTIC", (1 / 256, -128))),
    Kernel("tanh", "TANH", _ONE, _function("TANH", (1 / 128, 0))),
    Kernel("hard_swish", "HARD_SWISH", _FREE, _function("HARD_SWISH"), ("int8", "float32")),
    Kernel("requantize", "QUANTIZE", _FREE, _function("QUANTIZE"), ("int8", "int16")),
)
