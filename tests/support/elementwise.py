# SPDX-License-Identifier: Apache-2.0
"""Draws of operators that work value by value, for `tests.support.random_graphs`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from tests.support.accumulating import add_n, cumsum, l2norm
from tests.support.tflite import Net

if TYPE_CHECKING:
    from tests.support.random_graphs import GraphMaker

# operators whose options have a fused activation
FUSING = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions", "DIV": "DivOptions"}
PAIRS = (*FUSING, "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU")


def fused_options(code: str, act: int) -> tuple[Any, str]:
    """Options of an operator on two values, and their name."""
    if code not in FUSING:
        return None, ""
    made = getattr(schema, f"{FUSING[code]}T")()
    made.fusedActivationFunction = act
    return made, FUSING[code]


# operators on one value, with their output's scale and zero point in int8 where that is fixed
FIXED = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
LITERT_ONLY = ("EXP", "GELU", "LOG", "RELU_N1_TO_1", "SQRT")  # in int8: TFLM does not have them
_RELUS = ("LEAKY_RELU", "RELU", "RELU6")
INT8_FUNCTIONS = ("ABS", "ELU", "HARD_SWISH", "RSQRT", *_RELUS, *FIXED, *LITERT_ONLY)
REAL_FUNCTIONS = (*INT8_FUNCTIONS, "CEIL", "COS", "FLOOR", "NEG", "ROUND", "SIGN", "SIN", "SQUARE")


def function(net: Net, code: str, draw: float = 0.3, **result: Any) -> Net:
    """Append an operator on one value; ``draw`` in [0, 1) decides its options."""
    options: Any = None
    kind = ""
    if code == "LEAKY_RELU":
        options, kind = schema.LeakyReluOptionsT(), "LeakyReluOptions"
        options.alpha = round(draw * 3 - 1, 2)
    if code == "GELU":
        options, kind = schema.GeluOptionsT(), "GeluOptions"
        options.approximate = draw < 0.5
    if net.dtype == "int8" and code in FIXED:
        result["scale"], result["zero"] = FIXED[code]
    return net.op(code, net.shape, options, kind, **result)


def one(maker: GraphMaker) -> None:
    """A function of one value."""
    real = maker.kind == "float32"
    # those that are not defined everywhere, or grow fast, have tests of their own
    names = [n for n in (REAL_FUNCTIONS if real else INT8_FUNCTIONS) if n not in LITERT_ONLY]
    names = [n for n in names if n not in ("COS", "RSQRT", "SIN", "SQRT", "SQUARE")]
    name = names[maker._int(0, len(names) - 1)]
    function(maker.net, name, float(maker.random.random()), **maker.result())


def pair(maker: GraphMaker, code: str) -> None:
    """The current value and another one, of its shape or smaller, or a constant."""
    net = maker.net
    operands = [net.current, _constant(maker) if maker.random.random() < 0.4 else _smaller(maker)]
    shape = net.shape
    if maker.random.random() < 0.3 and code != "PRELU":
        operands.reverse()
    net.current = operands[0]
    options, kind = fused_options(code, maker._act())
    net.op(code, shape, options, kind, operands[1:], **maker.result())


def _smaller(maker: GraphMaker) -> int:
    shape = maker.net.shape
    fits = [
        v.index
        for v in maker.values
        if v.dtype == maker.net.dtype
        and len(v.shape) <= len(shape)
        and all(n in (1, m) for n, m in zip(v.shape[::-1], shape[::-1], strict=False))
    ]
    return int(maker.random.choice(fits))


def _constant(maker: GraphMaker) -> int:
    """One value, one per channel, or one per value."""
    net = maker.net
    draw = maker.random.random()
    shape = () if draw < 0.2 else net.shape[-1:] if draw < 0.8 else net.shape
    if maker.kind == "float32":
        return net.tensor(shape, "float32", maker.random.normal(size=shape).astype(np.float32))
    values = maker.random.integers(-128, 128, shape).astype(np.int8)
    scale = net.scale * 2.0 ** maker.random.uniform(-2, 2)
    return net.tensor(shape, "int8", values, [float(np.float32(scale))], [maker._zero()])


def several() -> bytes:
    """A network of these operators in uint8, int8, int16 and float32, one after the other."""
    random = np.random.default_rng(1)
    net = Net().input((1, 2, 3, 4), "uint8", 0.05, 7)

    def values(*shape: int) -> int:
        if net.dtype == "float32":
            return net.tensor(shape, net.dtype, random.normal(size=shape).astype(np.float32))
        data = random.integers(20, 100, shape).astype(net.dtype)
        return net.tensor(shape, net.dtype, data, [0.03], [-5 if net.dtype == "int8" else 0])

    def apply(code: str, *more: int, scale: float = 0.09) -> None:
        options, kind = fused_options(code, 1 if code == "ADD" else 0)
        net.op(code, (1, 2, 3, 4), options, kind, more, scale=scale)

    def pairs(scale: float) -> None:
        start = net.current
        apply("MUL", values(2, 3, 4), scale=0.25)  # whose roundings depend on the sign
        apply("ADD", values(2, 3, 4))
        function(net, "LEAKY_RELU", 0.8, scale=0.11)
        apply("SUB", values(2, 1, 1))
        apply("SUB", start)
        apply("ADD", net.current, scale=net.scale * 2)  # which has ties
        net.simple("ABS", scale=0.1)
        apply("SQUARED_DIFFERENCE", values(1, 3, 1), scale=0.5)
        apply("MUL", start)
        apply("MAXIMUM", start)
        apply("MINIMUM", values(2, 3, 4))
        if net.dtype != "int16":
            apply("DIV", values(3, 4))
            if net.dtype == "int8":
                apply("DIV", start, scale=net.scale / 0.05 / 65)  # TFLM's shift is defined
            apply("PRELU", values(1, 1, 4))
            constant = values(1, 2, 3, 4)
            net.graph.tensors[constant].quantization = net.graph.tensors[net.current].quantization
            add_n(net, [net.current, constant], scale=net.scale)
            cumsum(net, 2, scale=net.scale)
            cumsum(net, 1, exclusive=True, reverse=True, scale=net.scale)
            l2norm(net)
        apply("MUL", values(1, 3, 1), scale=scale)

    def softmax(code: str, scale: float, zero: int) -> None:
        options = schema.SoftmaxOptionsT() if code == "SOFTMAX" else None
        if options:
            options.beta = 0.5
        kind = "SoftmaxOptions" if options else ""
        net.op(code, net.shape, options, kind, scale=scale, zero=zero)

    net.simple("QUANTIZE", dtype="int8", scale=0.05, zero=-121)
    pairs(0.1)
    softmax("LOG_SOFTMAX", 1 / 16, 127)
    softmax("SOFTMAX", 1 / 256, -128)
    net.simple("QUANTIZE", dtype="uint8", scale=0.003, zero=2)
    net.simple("QUANTIZE", dtype="int8", scale=0.002, zero=-101)
    net.simple("QUANTIZE", dtype="int16", scale=0.001, zero=0)
    pairs(0.001)
    net.simple("RELU", scale=0.001).simple("RELU6")
    net.simple("TANH", scale=2.0**-15).simple("LOGISTIC", scale=2.0**-15)
    net.simple("RSQRT", scale=2.0**-12)
    softmax("SOFTMAX", 2.0**-15, 0)
    net.simple("DEQUANTIZE", dtype="float32", scale=0.0).simple("HARD_SWISH")
    pairs(0.0)
    softmax("SOFTMAX", 0.0, 0)
    softmax("LOG_SOFTMAX", 0.0, 0)
    return net.finish()
