# SPDX-License-Identifier: Apache-2.0
"""Networks with state variables: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE, CALL_ONCE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from ai_edge_litert import schema_py_generated as schema

from tests.support.tflite import Net

FRAME, ROWS = 2, 5  # lengths of a stream's new frames and of its state


def _operator(
    net: Net, graph: Any, code: str, inputs: Sequence[int], outputs: Sequence[int]
) -> Any:
    opcode = schema.OperatorCodeT()
    number = getattr(schema.BuiltinOperator, code)
    opcode.builtinCode, opcode.version = number, 1
    opcode.deprecatedBuiltinCode = min(number, 127)
    net.model.operatorCodes.append(opcode)
    operator = schema.OperatorT()
    operator.opcodeIndex = len(net.model.operatorCodes) - 1
    operator.inputs, operator.outputs = list(inputs), list(outputs)
    graph.operators.append(operator)
    return operator


def _handle_tensor(graph: Any) -> int:
    tensor = schema.TensorT()
    tensor.shape, tensor.type, tensor.buffer = [], schema.TensorType.RESOURCE, 0
    tensor.name = f"handle{len(graph.tensors)}"
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def handle(net: Net, name: str, graph: Any = None) -> int:
    """The tensor of a VAR_HANDLE."""
    graph = graph or net.graph
    found = _handle_tensor(graph)
    operator = _operator(net, graph, "VAR_HANDLE", [], [found])
    operator.builtinOptionsType = schema.BuiltinOptions.VarHandleOptions
    operator.builtinOptions = schema.VarHandleOptionsT()
    operator.builtinOptions.sharedName, operator.builtinOptions.container = name, ""
    return found


def read(net: Net, variable: int, shape: Sequence[int]) -> Net:
    """READ_VARIABLE, of the current type and scale; its result is the current tensor."""
    made = net.activation(shape, net.dtype, net.scale, net.zero)
    _operator(net, net.graph, "READ_VARIABLE", [variable], [made])
    net._now(made, shape, net.dtype, net.scale, net.zero)
    return net


def assign(net: Net, variable: int, value: int | None = None) -> Net:
    """ASSIGN_VARIABLE of a tensor, or of the current one."""
    _operator(
        net, net.graph, "ASSIGN_VARIABLE", [variable, net.current if value is None else value], []
    )
    return net


def call_once(net: Net, values: Mapping[str, npt.NDArray[np.generic]]) -> Net:
    """CALL_ONCE of a subgraph that gives variables their first values, of the current type."""
    inner = schema.SubGraphT()
    inner.tensors, inner.operators, inner.inputs, inner.outputs = [], [], [], []
    inner.name = "once"
    net.model.subgraphs.append(inner)
    main, net.graph = net.graph, inner
    for name, value in values.items():
        variable = handle(net, name, inner)
        scales = [net.scale] if net.scale else []
        constant = net.tensor(value.shape, net.dtype, value, scales, [net.zero] if scales else [])
        _operator(net, inner, "ASSIGN_VARIABLE", [variable, constant], [])
    net.graph = main
    operator = _operator(net, main, "CALL_ONCE", [], [])
    operator.builtinOptionsType = schema.BuiltinOptions.CallOnceOptions
    operator.builtinOptions = schema.CallOnceOptionsT()
    operator.builtinOptions.initSubgraphIndex = len(net.model.subgraphs) - 1
    return net


def joined(net: Net, first: int, second: int, shape: Sequence[int], axis: int = 1) -> Net:
    """CONCATENATION of two tensors, without a fused activation."""
    options = schema.ConcatenationOptionsT()
    options.axis = axis
    net.current = first
    return net.op("CONCATENATION", shape, options, "ConcatenationOptions", [second])


def sliced(net: Net, begin: Sequence[int], shape: Sequence[int]) -> Net:
    """STRIDED_SLICE of the current tensor."""
    ends = [b + n for b, n in zip(begin, shape, strict=True)]
    limits = [
        net.tensor([len(shape)], "int32", np.array(v, np.int32))
        for v in (begin, ends, [1] * len(shape))
    ]
    options = schema.StridedSliceOptionsT()
    return net.op("STRIDED_SLICE", shape, options, "StridedSliceOptions", limits)


def stream(dtype: str, *, late: bool = False, once: bool = True, channels: int = 3) -> Net:
    """A convolution over a state of `ROWS` rows and `FRAME` new ones.

    ``late``: the slice comes before the concatenation, and the whole becomes the state.
    """
    random = np.random.default_rng(3)
    scale, zero = (0.05, -7) if dtype == "int8" else (0.0, 0)
    net = Net().input((1, FRAME, 1, channels), dtype, scale, zero)
    frame, whole = net.current, (1, ROWS + FRAME, 1, channels)
    held = whole if late else (1, ROWS, 1, channels)
    if once:
        values = random.integers(-128, 128, held) if dtype == "int8" else random.normal(size=held)
        call_once(net, {"rows": values.astype("int8" if dtype == "int8" else "float32")})
    rows = handle(net, "rows")
    read(net, rows, held)
    if late:
        sliced(net, (0, FRAME, 0, 0), (1, ROWS, 1, channels))
    joined(net, net.current, frame, whole)
    result = net.current
    if late:
        assign(net, rows)
    else:
        assign(sliced(net, (0, FRAME, 0, 0), held), rows)
    net._now(result, whole, dtype, scale, zero)
    weights = random.integers(-127, 128, (4, ROWS + FRAME, 1, channels))
    if dtype == "int8":
        bias = np.arange(4, dtype=np.int32)
        return net.conv(weights.astype(np.int8), bias, scales=[0.01] * 4, scale=0.5, zero=3)
    return net.conv(weights.astype(np.float32), np.arange(4, dtype=np.float32))
